// SPDX-License-Identifier: GPL-2.0

//! Property tests: random events for an ARP table and its model, and random bytes as packets. The
//! targets in `fuzz` search the same inputs guided by coverage.

#[path = "common/arp_oracle.rs"]
mod arp_oracle;
#[path = "common/parsers.rs"]
mod parsers;

use arp_oracle::{Event, Pair, Pieces, EVENT_LEN};
use parsers::{check_arp, check_header, KINDS};
use proptest::{collection::vec, prelude::*, sample::select};
use spans_logic::{
    address::Address,
    arp::{
        config::Config,
        event::Resolution,
        packet::{self, Host, Operation, Packet},
        slots::Bucket,
        table::Table,
    },
    header::Header,
    medium::{Medium, MEDIA},
};
use std::net::Ipv4Addr;

/// `cases`, or fewer if `PROPTEST_CASES` is lower.
fn config(cases: u32) -> ProptestConfig {
    let bound = std::env::var("PROPTEST_CASES").ok();
    let bound = bound.and_then(|bound| bound.parse().ok());
    ProptestConfig {
        cases: bound.map_or(cases, |bound: u32| cases.min(bound)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Few addresses, so that senders of packets and frames are often the same.
fn address(medium: &'static Medium) -> impl Strategy<Value = Address> {
    prop_oneof![
        Just(medium.broadcast),
        Just(Address::NONE),
        (0..4u8).prop_map(move |byte| {
            Address::from_slice(&[0x10 | byte; 8][..medium.address_len.into()])
        }),
    ]
}

fn medium() -> impl Strategy<Value = &'static Medium> {
    (0..KINDS).prop_map(|kind| &MEDIA[kind])
}

fn any_host(medium: &'static Medium) -> impl Strategy<Value = Host> {
    (any::<[u8; 8]>(), any::<[u8; 4]>()).prop_map(move |(hardware, ip)| Host {
        hardware: Address::from_slice(&hardware[..medium.address_len.into()]),
        ip: Ipv4Addr::from(ip),
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    select(&[Operation::Request, Operation::Reply][..])
}

/// Changes up to two bytes of a valid packet.
fn almost(sound: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    vec((0..sound.len(), any::<u8>()), 0..3).prop_map(move |changes| {
        let mut bytes = sound.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    })
}

#[test]
fn refused_without_memory() {
    let mut pieces = Pieces::new(100);
    pieces.memory = 5;
    let buckets = vec![Bucket::default(); 10];
    let mut table = Table::new(pieces, buckets, 1, Config::default().settings());
    table.up();
    for number in 0..7 {
        let wanted = if number < 5 {
            Resolution::Request
        } else {
            Resolution::NoRoom
        };
        assert_eq!(table.resolve(Ipv4Addr::from(number), 0, 0), wanted);
    }
    assert_eq!(table.stats().refused, 2);
    assert_eq!((table.len(), table.capacity()), (5, 5));
}

proptest! {
    #![proptest_config(config(20_000))]

    #[test]
    fn whatever_happens_it_is_as_the_plain_list_says(
        begin: [u8; 3],
        events in vec(any::<[u8; EVENT_LEN]>().prop_map(Event::new), 1..150),
    ) {
        let mut pair = Pair::new(begin);
        for event in &events {
            pair.happen(*event);
        }
        pair.end();
    }

    #[test]
    fn what_was_written_is_read(
        (medium, sender, target) in medium().prop_flat_map(|medium| {
            (Just(medium), any_host(medium), any_host(medium))
        }),
        operation in operation(),
    ) {
        let packet = Packet { operation, sender, target };
        prop_assert_eq!(Packet::parse(medium, &packet.to_bytes(medium)), Ok(packet));
    }

    #[test]
    fn any_bytes_are_judged(
        bytes in vec(any::<u8>(), 0..40),
        (medium, source, own) in medium().prop_flat_map(|medium| {
            (Just(medium), address(medium), address(medium))
        }),
    ) {
        check_arp(medium, &bytes, source, own);
        check_header(medium, &bytes);
    }

    #[test]
    fn almost_sound_packets_are_judged(
        (medium, bytes, source, own) in medium().prop_flat_map(|medium| {
            let any = (operation(), address(medium), any_host(medium));
            (any, address(medium), address(medium))
                .prop_flat_map(move |((operation, hardware, target), source, own)| {
                    let sender = Host { hardware, ip: target.ip };
                    let packet = Packet { operation, sender, target };
                    let bytes = packet.to_bytes(medium)[..packet::len(medium)].to_vec();
                    (Just(medium), almost(bytes), Just(source), Just(own))
                })
        }),
    ) {
        check_arp(medium, &bytes, source, own);
    }

    #[test]
    fn almost_sound_headers_are_read(
        (medium, bytes) in (medium(), any::<u16>(), any::<bool>()).prop_flat_map(
            |(medium, protocol, bridged)| {
                let destination = medium.broadcast;
                let source = Address::from_slice(&[2; 8][..medium.address_len.into()]);
                let header = Header { destination, source, protocol };
                let mut bytes = medium.write(&header, 0).as_ref().to_vec();
                if bridged && medium.name == c"spans" {
                    bytes[24..26].copy_from_slice(&[0x80, 0xc2]);
                }
                (Just(medium), almost(bytes))
            },
        ),
    ) {
        check_header(medium, &bytes);
    }
}
