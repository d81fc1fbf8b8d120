// SPDX-License-Identifier: GPL-2.0

//! What is to be read from bytes that came from anybody, said a second time with plain
//! slices.

use spans_logic::{
    address::Address,
    arp::packet::{self, Host, Operation, Packet, Refused},
    cls,
};
use std::net::Ipv4Addr;

fn address(bytes: &[u8]) -> Address {
    Address::from_slice(bytes).unwrap()
}

/// Any 32 bytes as ARP, in a frame of `source`, at the interface `own`.
pub(crate) fn check_arp(bytes: &[u8; packet::LEN], source: Address, own: Address) {
    let sound = bytes[..7] == [0x40, 0x40, 8, 0, 8, 4, 0] && matches!(bytes[7], 1 | 2);
    let sender = address(&bytes[8..16]);
    let parsed = Packet::parse(bytes);
    let judged = packet::judge(bytes, source, own);
    if !sound {
        assert_eq!(parsed, Err(Refused::Malformed));
        assert_eq!(judged, parsed);
        return;
    }
    let it = parsed.unwrap();
    assert_eq!(it.operation == Operation::Request, bytes[7] == 1);
    let host = |bytes: &[u8]| Host {
        hardware: address(&bytes[..8]),
        ip: Ipv4Addr::new(bytes[8], bytes[9], bytes[10], bytes[11]),
    };
    assert_eq!(it.sender, host(&bytes[8..20]));
    assert_eq!(it.target, host(&bytes[20..32]));
    // Each of its bytes is in it, so it can be written again.
    assert_eq!(it.to_bytes(), *bytes);

    let wanted = if sender == Address::new([0xff; 8]) {
        Err(Refused::BroadcastSender)
    } else if sender == own {
        Err(Refused::OwnSender)
    } else if sender != source {
        Err(Refused::ForeignSender)
    } else {
        Ok(it)
    };
    assert_eq!(judged, wanted);
}

/// Any 28 bytes as a header.
pub(crate) fn check_cls(bytes: &[u8; cls::LEN]) {
    assert_eq!(cls::destination(bytes), address(&bytes[..8]));
    assert_eq!(
        cls::protocol(bytes),
        u16::from_be_bytes([bytes[26], bytes[27]])
    );
    let constant = &bytes[16..26];
    match cls::Header::parse(bytes) {
        Ok(header) => {
            assert_eq!(constant, [0, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0]);
            assert_eq!(header.destination, address(&bytes[..8]));
            assert_eq!(header.source, address(&bytes[8..16]));
            assert_eq!(header.protocol, cls::protocol(bytes));
            assert_eq!(header.to_bytes(), *bytes);
        }
        Err(cls::Error::Bridged) => {
            assert_eq!(constant, [0, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0x80, 0xc2]);
        }
        Err(cls::Error::Malformed) => {
            assert_ne!(constant, [0, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0]);
            assert_ne!(constant, [0, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0x80, 0xc2]);
        }
    }
}
