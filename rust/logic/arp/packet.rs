// SPDX-License-Identifier: GPL-2.0

//! ARP on the wire.
//!
//! | offset | bytes | field | value |
//! |---|---|---|---|
//! | 0 | 2 | hardware type | 0x4040 |
//! | 2 | 2 | protocol | 0x0800, IPv4 |
//! | 4 | 1 | length of hardware addresses | 8 |
//! | 5 | 1 | length of protocol addresses | 4 |
//! | 6 | 2 | operation | 1 request, 2 reply |
//! | 8 | 8 | sender's hardware address | |
//! | 16 | 4 | sender's IPv4 address | |
//! | 20 | 8 | target's hardware address | |
//! | 28 | 4 | target's IPv4 address | |
//!
//! That is RFC 826 with the lengths of FreeBSD's `struct spansarp_hdr`, and what
//! `arp_create()` of `net/ipv4/arp.c` writes for a device of that type.

use crate::address::Address;
use core::net::Ipv4Addr;

/// Length in bytes.
pub const LEN: usize = 32;

/// The EtherType.
pub const ETHERTYPE: u16 = 0x0806;

/// What is the same in all packets: hardware type, protocol and both lengths.
const CONSTANT: [u8; 6] = [0x40, 0x40, 0x08, 0x00, 8, 4];

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The target is to say its hardware address.
    Request,
    /// The answer.
    Reply,
}

/// One end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its link address.
    pub hardware: Address,
    /// Its IPv4 address.
    pub ip: Ipv4Addr,
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What is wanted.
    pub operation: Operation,
    /// Who says so. Its addresses are what can be learned.
    pub sender: Host,
    /// Who is meant. The hardware address of a request says nothing.
    pub target: Host,
}

/// Why a packet teaches nothing and is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not ARP for IPv4 on this medium, or neither request nor reply.
    Malformed,
    /// Its sender says to be everybody.
    BroadcastSender,
    /// Its sender says to be this interface.
    OwnSender,
    /// Its sender is not the source of the frame it came in.
    ForeignSender,
}

impl Packet {
    /// Reads a packet as it is on the wire.
    pub fn parse(bytes: &[u8; LEN]) -> Result<Self, Refused> {
        let constant: [u8; 6] = field(bytes, 0);
        if constant != CONSTANT {
            return Err(Refused::Malformed);
        }
        let operation = match u16::from_be_bytes(field(bytes, 6)) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Refused::Malformed),
        };
        let host = |at| Host {
            hardware: Address::new(field(bytes, at)),
            ip: Ipv4Addr::from(field::<4>(bytes, at + 8)),
        };
        Ok(Self {
            operation,
            sender: host(8),
            target: host(20),
        })
    }

    /// Whether it only says where its sender is, or asks whether there is another one.
    pub fn is_gratuitous(&self) -> bool {
        self.sender.ip == self.target.ip
    }

    /// The packet as it goes on the wire.
    pub fn to_bytes(&self) -> [u8; LEN] {
        let operation: u16 = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        let mut bytes = [0; LEN];
        let fields = CONSTANT
            .into_iter()
            .chain(operation.to_be_bytes())
            .chain(*self.sender.hardware.as_bytes())
            .chain(self.sender.ip.octets())
            .chain(*self.target.hardware.as_bytes())
            .chain(self.target.ip.octets());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }
}

/// Judges a packet that came to the interface `own` in a frame of `source`, in the
/// order of the ancestor (FreeBSD `spans_arp.c`, `spansarp_input`), which looked
/// neither at lengths and operation nor at the frame's source.
pub fn judge(bytes: &[u8; LEN], source: Address, own: Address) -> Result<Packet, Refused> {
    let packet = Packet::parse(bytes)?;
    let sender = packet.sender.hardware;
    if sender.is_broadcast() {
        Err(Refused::BroadcastSender)
    } else if sender == own {
        Err(Refused::OwnSender)
    } else if sender != source {
        Err(Refused::ForeignSender)
    } else {
        Ok(packet)
    }
}

// As in `cls`: cannot panic, and with constant positions compiles to plain loads.
#[inline]
fn field<const N: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Address = Address::new([2, 0, 0, 0, 0, 0, 0, 1]);
    const PEER: Address = Address::new([2, 0, 0, 0, 0, 0, 0, 2]);

    /// Who has 10.0.0.1? Tell 10.0.0.2.
    const REQUEST: [u8; LEN] = [
        0x40, 0x40, 0x08, 0x00, 8, 4, 0, 1, // SPANS, IPv4, lengths, request
        2, 0, 0, 0, 0, 0, 0, 2, 10, 0, 0, 2, // sender
        0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1, // target
    ];

    #[test]
    fn golden_bytes_both_ways() {
        let packet = Packet::parse(&REQUEST).unwrap();
        assert_eq!(packet.operation, Operation::Request);
        assert_eq!(packet.sender.hardware, PEER);
        assert_eq!(packet.sender.ip, Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(packet.target.ip, Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(packet.to_bytes(), REQUEST);
    }
    #[test]
    fn the_sender_is_judged() {
        let mut bytes = REQUEST;
        assert!(judge(&bytes, PEER, OWN).is_ok());
        assert_eq!(judge(&bytes, OWN, OWN), Err(Refused::ForeignSender));
        bytes[8..16].copy_from_slice(OWN.as_bytes());
        assert_eq!(judge(&bytes, PEER, OWN), Err(Refused::OwnSender));
        bytes[8..16].copy_from_slice(Address::BROADCAST.as_bytes());
        assert_eq!(judge(&bytes, PEER, OWN), Err(Refused::BroadcastSender));
    }
}
