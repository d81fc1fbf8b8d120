// SPDX-License-Identifier: GPL-2.0

//! The ARP wire format.
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
//! As in RFC 826 and as `arp_create()` of `net/ipv4/arp.c` builds it: 32 bytes with the lengths of
//! FreeBSD's `struct spansarp_hdr`, 28 on Ethernet, 30 and 18 with addresses of 7 bytes and 1 byte.

use crate::{
    address::Address,
    medium::{AddressClass, Medium},
};
use core::net::Ipv4Addr;

/// Length of the longest packet of any medium, in bytes.
pub const MAX_LEN: usize = 32;

/// EtherType.
pub const ETHERTYPE: u16 = 0x0806;

/// IEEE 802 networks, which `arp_process()` accepts as Ethernet.
const IEEE_802: u16 = 6;

/// The operation code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Requests the target's hardware address.
    Request,
    /// Reply to a request.
    Reply,
}

/// One of the two address pairs in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Link address.
    pub hardware: Address,
    /// IPv4 address.
    pub ip: Ipv4Addr,
}

/// A parsed ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Request or reply.
    pub operation: Operation,
    /// The sender's addresses, from which the table learns.
    pub sender: Host,
    /// The target's addresses. The hardware address is meaningless in a request.
    pub target: Host,
}

/// The reason for which a packet is invalid: it is neither learned from nor replied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Not ARP for IPv4 on this medium, or neither request nor reply.
    Malformed,
    /// The sender's link address is broadcast or multicast.
    BroadcastSender,
    /// The sender's link address is that of this device.
    OwnSender,
    /// The sender's link address is not the source address of the frame.
    ForeignSender,
}

/// Returns the length of a packet on `medium`, in bytes.
pub const fn len(medium: &Medium) -> usize {
    16 + 2 * medium.address_len as usize
}

impl Packet {
    /// Parses a packet. Trailing bytes are ignored, as short frames are padded.
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

    /// Returns whether the packet is gratuitous: an announcement, or a probe for a duplicate.
    pub fn is_gratuitous(&self) -> bool {
        self.sender.ip == self.target.ip
    }

    /// Returns the wire format, zero-padded.
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

/// Validates a packet that the device with address `own` received in a frame of `source`. The
/// checks are in the order of the ancestor (FreeBSD `spans_arp.c`, `spansarp_input`), which checked
/// neither lengths, operation nor the frame's source.
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

// Cannot panic; with constant offsets it compiles to plain loads.
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

    /// Request for 10.0.0.1 from 10.0.0.2, on SPANS.
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
            // Padded and truncated.
            let mut padded = bytes.to_vec();
            padded.extend([0xff; 20]);
            assert_eq!(Packet::parse(medium, &padded), Ok(packet));
            let cut = &bytes[..bytes.len() - 1];
            assert_eq!(Packet::parse(medium, cut), Err(Invalid::Malformed));
            // Invalid on every other medium.
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
