// SPDX-License-Identifier: GPL-2.0

//! ARP on the wire.
//!
//! | offset | bytes | field | value |
//! |---|---|---|---|
//! | 0 | 2 | hardware type | that of the medium |
//! | 2 | 2 | protocol | 0x0800, IPv4 |
//! | 4 | 1 | length of hardware addresses | n, that of the medium |
//! | 5 | 1 | length of protocol addresses | 4 |
//! | 6 | 2 | operation | 1 request, 2 reply |
//! | 8 | n | sender's hardware address | |
//! | 8 + n | 4 | sender's IPv4 address | |
//! | 12 + n | n | target's hardware address | |
//! | 12 + 2n | 4 | target's IPv4 address | |
//!
//! That is RFC 826, as `arp_create()` of `net/ipv4/arp.c` writes it for a device of that
//! type: 32 bytes with the lengths of FreeBSD's `struct spansarp_hdr`, 28 on Ethernet,
//! 30 and 18 where addresses have 7 bytes or 1.

use crate::{
    address::Address,
    medium::{AddressClass, Medium},
};
use core::net::Ipv4Addr;

/// Length on the medium with the longest addresses, in bytes.
pub const MAX_LEN: usize = 32;

/// The EtherType.
pub const ETHERTYPE: u16 = 0x0806;

/// IEEE 802 networks: the kernel takes it for Ethernet, too (`arp_process()`).
const IEEE_802: u16 = 6;

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
pub enum Invalid {
    /// It is not ARP for IPv4 on this medium, or neither request nor reply.
    Malformed,
    /// Its sender says to be everybody, or a group.
    BroadcastSender,
    /// Its sender says to be this interface.
    OwnSender,
    /// Its sender is not the source of the frame it came in.
    ForeignSender,
}

/// Length in bytes.
pub const fn len(medium: &Medium) -> usize {
    16 + 2 * medium.address_len as usize
}

impl Packet {
    /// Reads a packet as it is on the wire. What is behind it does not matter: short
    /// frames are padded.
    pub fn parse(medium: &Medium, bytes: &[u8]) -> Result<Self, Invalid> {
        let bytes = bytes.get(..len(medium)).ok_or(Invalid::Malformed)?;
        let [hardware, protocol, lengths, operation] =
            [0, 2, 4, 6].map(|at| u16::from_be_bytes(field(bytes, at)));
        let hardware = match hardware {
            IEEE_802 if medium.has_lengths => medium.hardware_type,
            other => other,
        };
        let fixed = (
            medium.hardware_type,
            0x0800,
            u16::from_be_bytes([medium.address_len, 4]),
        );
        if (hardware, protocol, lengths) != fixed {
            return Err(Invalid::Malformed);
        }
        let operation = match operation {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Invalid::Malformed),
        };
        let address_len = usize::from(medium.address_len);
        let host = |at| Host {
            hardware: medium.address_at(bytes, at),
            ip: Ipv4Addr::from(field::<4>(bytes, at + address_len)),
        };
        Ok(Self {
            operation,
            sender: host(8),
            target: host(12 + address_len),
        })
    }

    /// Whether it only says where its sender is, or asks whether there is another one.
    pub fn is_gratuitous(&self) -> bool {
        self.sender.ip == self.target.ip
    }

    /// The packet as it goes on the wire, with zeroes behind it.
    pub fn to_bytes(&self, medium: &Medium) -> [u8; MAX_LEN] {
        let operation: u16 = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        let mut bytes = [0; MAX_LEN];
        let fields = [
            &medium.hardware_type.to_be_bytes()[..],
            &[0x08, 0x00, medium.address_len, 4],
            &operation.to_be_bytes(),
            medium.bytes(&self.sender.hardware),
            &self.sender.ip.octets(),
            medium.bytes(&self.target.hardware),
            &self.target.ip.octets(),
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }
}

/// Judges a packet that came to the interface `own` in a frame of `source`, in the
/// order of the ancestor (FreeBSD `spans_arp.c`, `spansarp_input`), which looked
/// neither at lengths and operation nor at the frame's source.
pub fn validate(
    medium: &Medium,
    bytes: &[u8],
    source: Address,
    own: Address,
) -> Result<Packet, Invalid> {
    let packet = Packet::parse(medium, bytes)?;
    let sender = packet.sender.hardware;
    if medium.address_class(sender) != AddressClass::Unicast {
        Err(Invalid::BroadcastSender)
    } else if sender == own {
        Err(Invalid::OwnSender)
    } else if sender != source && !medium.foreign_arp {
        Err(Invalid::ForeignSender)
    } else {
        Ok(packet)
    }
}

// Cannot panic, and with constant positions compiles to plain loads.
#[inline]
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::medium::MEDIA;

    const OWN: Address = Address::new([2, 0, 0, 0, 0, 0, 0, 1]);
    const PEER: Address = Address::new([2, 0, 0, 0, 0, 0, 0, 2]);

    /// Who has 10.0.0.1? Tell 10.0.0.2. On SPANS.
    const REQUEST: [u8; MAX_LEN] = [
        0x40, 0x40, 0x08, 0x00, 8, 4, 0, 1, // SPANS, IPv4, lengths, request
        2, 0, 0, 0, 0, 0, 0, 2, 10, 0, 0, 2, // sender
        0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1, // target
    ];

    /// The same on Ethernet, AX.25 and ARCnet.
    const OTHERS: [&[u8]; 3] = [
        &[
            0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1,
        ],
        &[
            0x40, 0x47, 8, 0, 7, 4, 0, 1, 2, 0, 0, 0, 0, 0, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
            10, 0, 0, 1,
        ],
        &[0x40, 0x41, 8, 0, 1, 4, 0, 1, 2, 10, 0, 0, 2, 0, 10, 0, 0, 1],
    ];

    #[test]
    fn golden_bytes_both_ways() {
        let all = [&REQUEST[..]].into_iter().chain(OTHERS);
        for (medium, bytes) in MEDIA.iter().zip(all) {
            assert_eq!(len(medium), bytes.len(), "{:?}", medium.name);
            let packet = Packet::parse(medium, bytes).unwrap();
            assert_eq!(packet.operation, Operation::Request);
            let sender = &bytes[8..8 + usize::from(medium.address_len)];
            assert_eq!(medium.bytes(&packet.sender.hardware), sender);
            assert_eq!(packet.sender.ip, Ipv4Addr::new(10, 0, 0, 2));
            assert_eq!(packet.target.hardware, Address::NONE);
            assert_eq!(packet.target.ip, Ipv4Addr::new(10, 0, 0, 1));
            assert_eq!(packet.to_bytes(medium)[..bytes.len()], *bytes);
            // Padding, and a cut.
            let mut padded = bytes.to_vec();
            padded.extend([0xff; 20]);
            assert_eq!(Packet::parse(medium, &padded), Ok(packet));
            let cut = &bytes[..bytes.len() - 1];
            assert_eq!(Packet::parse(medium, cut), Err(Invalid::Malformed));
            // On each of the others it is nothing.
            for other in MEDIA.iter().filter(|other| *other != medium) {
                assert!(Packet::parse(other, &padded).is_err());
            }
        }
    }

    #[test]
    fn ieee_802_is_taken_for_ethernet() {
        let mut bytes = OTHERS[0].to_vec();
        bytes[1] = 6;
        assert!(Packet::parse(&MEDIA[1], &bytes).is_ok());
        let mut bytes = OTHERS[2].to_vec();
        bytes[..2].copy_from_slice(&[0, 6]);
        assert!(Packet::parse(&MEDIA[3], &bytes).is_err());
    }

    #[test]
    fn the_sender_is_judged() {
        let spans = &MEDIA[0];
        let mut bytes = REQUEST;
        assert!(validate(spans, &bytes, PEER, OWN).is_ok());
        assert_eq!(
            validate(spans, &bytes, OWN, OWN),
            Err(Invalid::ForeignSender)
        );
        bytes[8..16].copy_from_slice(OWN.as_bytes());
        assert_eq!(validate(spans, &bytes, PEER, OWN), Err(Invalid::OwnSender));
        bytes[8..16].copy_from_slice(spans.broadcast.as_bytes());
        assert_eq!(
            validate(spans, &bytes, PEER, OWN),
            Err(Invalid::BroadcastSender)
        );
    }

    #[test]
    fn on_ethernet_others_may_speak_for_a_station_but_not_for_a_group() {
        let ethernet = &MEDIA[1];
        let mut bytes = OTHERS[0].to_vec();
        let router = Address::new([0, 0, 0x5e, 0, 1, 1, 0, 0]);
        assert!(validate(ethernet, &bytes, router, OWN).is_ok());
        bytes[8] |= 1;
        assert_eq!(
            validate(ethernet, &bytes, router, OWN),
            Err(Invalid::BroadcastSender)
        );
    }
}
