// SPDX-License-Identifier: GPL-2.0

//! The table of what the ancestor's ARP does (FreeBSD `spans_arp.c`): each event in
//! each state, and what of Net/3 there is beside it.
//!
//! | there | here |
//! |---|---|
//! | waiter | the kernel's neighbour; there is one for an address |
//! | `svcout` | `resolve()` |
//! | `svcactive` | `neighbour(Valid)`: the kernel believes in an address |
//! | `vcclose` | `neighbour(Dead)` |
//! | ARP input | `validate()`, then `process()` |
//! | aging and retry tick | `tick()` |
//! | `ADD_ARP` | `neighbour(Permanent)` |
//! | `DEL_ARP` | `neighbour(Failed)` |
//! | `INF_ARP` | `entries()` |
//! | activation | `up()` |
//! | deactivation | `down()`, then `drop_some()` |
//!
//! `svcin` and `INF_ASV` have nothing to do with the table there either, and there is
//! neither a call that comes in nor an ARP server here. That there is no panic at
//! start and stop needs no test here: `new()` and `drop()` ask for nothing.

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

/// The one that the tests are about.
const IT: Ipv4Addr = ip(2);
const ITS: Address = hw(2);
const OTHER: Address = hw(99);

/// The requests among what was due, all of which have to be for this address.
fn requests(due: &[(u64, Due)], ip: Ipv4Addr) -> Vec<u64> {
    due.iter()
        .map(|(at, due)| {
            assert_eq!(*due, Due::Request(ip));
            *at
        })
        .collect()
}
