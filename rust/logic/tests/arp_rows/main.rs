// SPDX-License-Identifier: GPL-2.0

//! The table of the behaviour of the ancestor's ARP (FreeBSD `spans_arp.c`): each event in each
//! state, with the additions of Net/3.
//!
//! | ancestor | here |
//! |---|---|
//! | waiter | the kernel's neighbour, one for each address |
//! | `svcout` | `resolve()` |
//! | `svcactive` | `neighbour(Reachable)`: the kernel confirms an address |
//! | `vcclose` | `neighbour(Dead)` |
//! | ARP input | `validate()`, then `process()` |
//! | aging and retry tick | `tick()` |
//! | `ADD_ARP` | `neighbour(Permanent)` |
//! | `DEL_ARP` | `neighbour(Failed)` |
//! | `INF_ARP` | `entries()` |
//! | activation | `up()` |
//! | deactivation | `down()`, then `flush_some()` |
//!
//! `svcin` and `INF_ASV` do not use the ancestor's table either, and there are neither incoming
//! calls nor an ARP server here. Panics at start and stop need no test: `new()` and `drop()` have
//! no preconditions.

#[path = "../common/arp.rs"]
mod arp;
mod input;
mod room;
mod time;
mod user;
mod waiters;

use arp::{hw, ip, packet, Rig, MINUTE, OWN, SECOND, SETTINGS, SLOWEST, SPANS};
use spans_logic::{
    address::Address,
    arp::{
        config::Settings,
        event::{
            AddressInfo, Due, Neighbour, RemoveReason, Requester, Resolution, RxOutcome,
            SenderType, Update,
        },
        packet::{len, validate, Invalid, Operation},
        slots::Bucket,
        table::{Slot, State},
    },
};
use std::net::Ipv4Addr;

const IT: Ipv4Addr = ip(2);
const ITS: Address = hw(2);
const OTHER: Address = hw(99);

/// Returns the times of the due requests, all of which must be for this address.
fn requests(due: &[(u64, Due)], ip: Ipv4Addr) -> Vec<u64> {
    due.iter()
        .map(|(at, due)| {
            assert_eq!(*due, Due::Request(ip));
            *at
        })
        .collect()
}
