// SPDX-License-Identifier: GPL-2.0

//! A second implementation of the parsers of untrusted bytes, with plain slices.

use spans_logic::{
    address::Address,
    arp::packet::{self, Host, Invalid, Operation, Packet},
    header::Error,
    medium::{Medium, MEDIA},
};
use std::net::Ipv4Addr;

/// Number of media.
pub(crate) const KINDS: usize = MEDIA.len();

/// Checks the parser of ARP with any bytes, in a frame from `source`, on the device `own`.
pub(crate) fn check_arp(medium: &Medium, bytes: &[u8], source: Address, own: Address) {
    let n = usize::from(medium.address_len);
    let parsed = Packet::parse(medium, bytes);
    let verdict = packet::validate(medium, bytes, source, own);
    let [high, low] = medium.hardware_type.to_be_bytes();
    let ethernet = medium.name == c"ethernet";
    let sound = bytes.len() >= 16 + 2 * n
        && (bytes[..2] == [high, low] || ethernet && bytes[..2] == [0, 6])
        && bytes[2..7] == [8, 0, n as u8, 4, 0]
        && matches!(bytes[7], 1 | 2);
    if !sound {
        assert_eq!(parsed, Err(Invalid::Malformed));
        assert_eq!(verdict, parsed);
        return;
    }
    let it = parsed.unwrap();
    assert_eq!(it.operation == Operation::Request, bytes[7] == 1);
    let host = |bytes: &[u8]| Host {
        hardware: Address::from_slice(&bytes[..n]),
        ip: Ipv4Addr::new(bytes[n], bytes[n + 1], bytes[n + 2], bytes[n + 3]),
    };
    assert_eq!(it.sender, host(&bytes[8..]));
    assert_eq!(it.target, host(&bytes[12 + n..]));
    // `it` has all of its bytes but the hardware type, so that it can be written again.
    assert_eq!(it.to_bytes(medium)[2..16 + 2 * n], bytes[2..16 + 2 * n]);

    let sender = &bytes[8..8 + n];
    let group = ethernet && sender[0] & 1 != 0;
    let wanted = if sender == medium.bytes(&medium.broadcast) || group {
        Err(Invalid::BroadcastSender)
    } else if sender == medium.bytes(&own) {
        Err(Invalid::OwnSender)
    } else if sender != medium.bytes(&source) && !ethernet {
        Err(Invalid::ForeignSender)
    } else {
        Ok(it)
    };
    assert_eq!(verdict, wanted);
}

/// Checks the parser of link headers with any bytes. A frame is as long as its length field
/// says, if it has one.
pub(crate) fn check_header(medium: &Medium, bytes: &[u8]) {
    let n = usize::from(medium.address_len);
    let (fixed, bridged): (&[u8], &[u8]) = match medium.name.to_bytes() {
        b"spans" => (
            &[0, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0],
            &[0, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0x80, 0xc2],
        ),
        b"ax25" => (&[3, 0xff], &[]),
        _ => (&[], &[]),
    };
    assert_eq!(medium.header_len(), 2 * n + fixed.len() + 2);
    let Some(bytes) = bytes.get(..medium.header_len()) else {
        return;
    };
    let field = u16::from_be_bytes([bytes[bytes.len() - 2], bytes[bytes.len() - 1]]);
    let length = medium.name == c"ethernet" && field < 1536;
    assert_eq!(medium.destination(bytes), Address::from_slice(&bytes[..n]));
    assert_eq!(medium.source(bytes), Address::from_slice(&bytes[n..2 * n]));
    assert_eq!(medium.protocol(bytes), if length { 4 } else { field });
    let found = &bytes[2 * n..bytes.len() - 2];
    match medium.parse(bytes) {
        Ok(header) => {
            assert_eq!(found, fixed);
            assert_eq!(header.destination, medium.destination(bytes));
            assert_eq!(header.source, medium.source(bytes));
            assert_eq!(header.protocol, medium.protocol(bytes));
            assert_eq!(medium.write(&header, field.into()).as_ref(), bytes);
        }
        Err(Error::Bridged) => assert_eq!(found, bridged),
        Err(Error::Malformed) => assert!(found != fixed && found != bridged),
    }
}
