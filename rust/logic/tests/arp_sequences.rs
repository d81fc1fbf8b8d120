// SPDX-License-Identifier: GPL-2.0

//! Random sequences of all that can happen to an ARP table, against a plain list; and
//! any bytes as packets. `fuzz` looks for the same with more time and a better nose.

#[path = "common/arp_oracle.rs"]
mod arp_oracle;
#[path = "common/parsers.rs"]
mod parsers;

use arp_oracle::{Event, Pair, EVENT_LEN};
use parsers::{check_arp, check_cls};
use proptest::{collection::vec, prelude::*, sample::select};
use spans_logic::{
    address::Address,
    arp::packet::{self, Host, Operation, Packet},
    cls,
};
use std::net::Ipv4Addr;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Few enough that ends of packets and frames are often the same.
fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        Just(Address::BROADCAST),
        Just(Address::new([0; 8])),
        (0..4u8).prop_map(|last| Address::new([2, 0, 0, 0, 0, 0, 0, last])),
    ]
}

fn any_host() -> impl Strategy<Value = Host> {
    (any::<[u8; 8]>(), any::<[u8; 4]>()).prop_map(|(hardware, ip)| Host {
        hardware: Address::new(hardware),
        ip: Ipv4Addr::from(ip),
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    select(&[Operation::Request, Operation::Reply][..])
}

/// One that is almost sound: up to two bytes are something else.
fn almost<const N: usize>(sound: [u8; N]) -> impl Strategy<Value = [u8; N]> {
    vec((0..N, any::<u8>()), 0..3).prop_map(move |changes| {
        let mut bytes = sound;
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    })
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
    fn what_was_written_is_read(operation in operation(), sender in any_host(), target in any_host()) {
        let packet = Packet { operation, sender, target };
        prop_assert_eq!(Packet::parse(&packet.to_bytes()), Ok(packet));
    }

    #[test]
    fn any_bytes_are_judged(bytes: [u8; packet::LEN], source in address(), own in address()) {
        check_arp(&bytes, source, own);
    }

    #[test]
    fn almost_sound_packets_are_judged(
        (bytes, source, own) in (operation(), address(), any_host(), address(), address())
            .prop_flat_map(|(operation, hardware, target, source, own)| {
                let sender = Host { hardware, ip: target.ip };
                let packet = Packet { operation, sender, target };
                (almost(packet.to_bytes()), Just(source), Just(own))
            }),
    ) {
        check_arp(&bytes, source, own);
    }

    #[test]
    fn almost_sound_headers_are_read(
        bytes in (any::<u16>(), any::<bool>()).prop_flat_map(|(protocol, bridged)| {
            let destination = Address::BROADCAST;
            let source = Address::new([2, 0, 0, 0, 0, 0, 0, 2]);
            let mut bytes = cls::Header { destination, source, protocol }.to_bytes();
            if bridged {
                bytes[24..26].copy_from_slice(&[0x80, 0xc2]);
            }
            almost(bytes)
        }),
    ) {
        check_cls(&bytes);
    }
}
