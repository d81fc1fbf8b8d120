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
//! | ARP input | `judge()`, then `hear()` |
//! | aging and retry tick | `tick()` |
//! | `ADD_ARP` | `neighbour(Permanent)` |
//! | `DEL_ARP` | `neighbour(Failed)` |
//! | `INF_ARP` | `views()` |
//! | activation | `up()` |
//! | deactivation | `down()`, then `drop_some()` |
//!
//! `svcin` and `INF_ASV` have nothing to do with the table there either, and there is
//! neither a call that comes in nor an ARP server here. That there is no panic at
//! start and stop needs no test here: `new()` and `drop()` ask for nothing.

#[path = "common/arp.rs"]
mod arp;

use arp::{hw, ip, packet, Rig, MINUTE, OWN, SECOND, SETTINGS, SLOWEST};
use spans_logic::{
    address::Address,
    arp::{
        packet::{judge, Host, Operation, Packet, Refused, LEN},
        slots::Bucket,
        table::{Due, Ends, Heard, Neighbour, News, Resolution, Sender, Settings, Slot, State},
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
            assert_eq!(*due, Due::Ask(ip));
            *at
        })
        .collect()
}

// --- svcout ------------------------------------------------------------------------

#[test]
fn resolve_none_asks_at_once_and_joins_the_retries() {
    let mut rig = Rig::new();
    let began = rig.now;
    assert_eq!(rig.resolve(IT), Resolution::Ask);
    assert!(rig.is_incomplete(IT));
    assert_eq!(rig.table.lookup(IT), None);
    assert_eq!(rig.tell(), []);
    assert_eq!(rig.table.totals().requests, 1);
    // The retry timer runs, and for longer than a moment.
    let next = rig.table.next_timeout().unwrap();
    assert!(next >= began + SETTINGS.retry / 2 && next <= began + SLOWEST);
}

/// There is no `MAP_FAILED` for an interface that is not there: it is answered as
/// where there is no room, for the packet comes to the same end.
#[test]
fn resolve_while_down_is_refused() {
    let mut rig = Rig::new();
    rig.table.down();
    assert_eq!(rig.resolve(IT), Resolution::NoRoom);
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.totals().requests, 0);
}

#[test]
fn resolve_incomplete_asks_no_second_time() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    let next = rig.table.next_timeout();
    rig.now += SECOND;
    assert_eq!(rig.resolve(IT), Resolution::Wait);
    assert_eq!(rig.table.totals().requests, 1);
    // Nor does it make the next request wait for longer.
    assert_eq!(rig.table.next_timeout(), next);
    assert_eq!(rig.tell(), []);
}

/// The ancestor answers `MAP_VALID` and is done; here the kernel asks because its
/// neighbour does not know, so it is told.
#[test]
fn resolve_valid_is_known_and_does_not_refresh() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    let next = rig.table.next_timeout();
    rig.now += MINUTE;
    assert_eq!(rig.resolve(IT), Resolution::Known);
    assert_eq!(rig.view(IT).unwrap().age, MINUTE);
    assert_eq!(rig.table.next_timeout(), next);
    assert_eq!(rig.tell(), [(IT, News::Valid(ITS))]);
    assert_eq!(rig.table.totals().requests, 1);
}

#[test]
fn resolve_ending_is_known_and_does_not_refresh() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.pass(19 * MINUTE);
    assert_eq!(rig.state(IT), Some(State::Ending));
    assert_eq!(rig.resolve(IT), Resolution::Known);
    assert_eq!(rig.view(IT).unwrap().age, 19 * MINUTE);
    assert_eq!(rig.tell(), [(IT, News::Valid(ITS))]);
}

#[test]
fn resolve_permanent_is_known() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    assert_eq!(rig.resolve(IT), Resolution::Known);
    assert_eq!(rig.tell(), [(IT, News::Permanent(ITS))]);
    assert_eq!(rig.table.totals().requests, 0);
}

// --- svcactive -----------------------------------------------------------------------

#[test]
fn kernel_valid_none_is_remembered() {
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.state(IT), Some(State::Valid));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    // It is the kernel who said so.
    assert_eq!(rig.tell(), []);
}

/// The ancestor's entry stays on the retry chain without a waiter (B15).
#[test]
fn kernel_valid_incomplete_ends_the_search() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.tell(), []);
    assert_eq!(rig.pass(10 * MINUTE), []);
}

/// The ancestor takes an open circuit for a sign of life. Here it would be our own
/// telling that comes back: it proves nothing, and an entry would never end.
#[test]
fn kernel_valid_valid_does_not_refresh() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += MINUTE;
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.view(IT).unwrap().age, MINUTE);
    assert_eq!(rig.tell(), []);
}

#[test]
fn kernel_valid_ending_does_not_refresh() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.pass(19 * MINUTE);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.state(IT), Some(State::Ending));
    rig.pass(MINUTE);
    assert_eq!(rig.table.lookup(IT), None);
}

#[test]
fn kernel_valid_with_another_address_is_believed() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += MINUTE;
    rig.neighbour(IT, Neighbour::Reachable(OTHER));
    assert_eq!(rig.table.lookup(IT), Some(OTHER));
    assert_eq!(rig.view(IT).unwrap().age, 0);
    assert_eq!(rig.tell(), []);
}

/// What the kernel says may be what it was told before.
#[test]
fn kernel_valid_locked_is_not_believed() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.hear(IT, OTHER, false);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.table.lookup(IT), Some(OTHER));
    assert_eq!(rig.tell(), [(IT, News::Valid(OTHER))]);
}

/// The user replaces a permanent entry by one that is not.
#[test]
fn kernel_valid_permanent_is_valid() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.state(IT), Some(State::Valid));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
}

#[test]
fn kernel_valid_failed_is_believed() {
    let mut rig = Rig::new();
    rig.failed(IT);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.tell(), []);
}

/// There is nothing to be told to a neighbour that waits, even if there was something
/// before its address was asked for again.
#[test]
fn kernel_valid_asked_for_again_ends_the_search() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.hear(IT, OTHER, false);
    rig.now += SETTINGS.lifetime;
    assert_eq!(rig.resolve(IT), Resolution::Ask);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.tell(), []);
}

// --- vcclose -------------------------------------------------------------------------

#[test]
fn dead_none_does_nothing() {
    let mut rig = Rig::new();
    rig.valid(ip(3), hw(3));
    rig.neighbour(IT, Neighbour::Dead);
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.lookup(ip(3)), Some(hw(3)));
}

#[test]
fn dead_incomplete_is_forgotten() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.neighbour(IT, Neighbour::Dead);
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.len(), 0);
    assert_eq!(rig.table.next_timeout(), None);
    assert_eq!(rig.pass(MINUTE), []);
    // Other waiters of other addresses still wait.
    rig.incomplete(IT);
    rig.incomplete(ip(3));
    rig.neighbour(IT, Neighbour::Dead);
    assert!(rig.is_incomplete(ip(3)));
}

#[test]
fn dead_valid_stays_known() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.neighbour(IT, Neighbour::Dead);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    rig.pass(19 * MINUTE);
    rig.neighbour(IT, Neighbour::Dead);
    assert_eq!(rig.state(IT), Some(State::Ending));
}

#[test]
fn dead_permanent_stays_known() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.neighbour(IT, Neighbour::Dead);
    assert_eq!(rig.state(IT), Some(State::Permanent));
}

/// The ancestor has no such state. Who deletes the neighbour wants it to be tried again.
#[test]
fn dead_failed_may_be_asked_again() {
    let mut rig = Rig::new();
    rig.failed(IT);
    rig.neighbour(IT, Neighbour::Dead);
    assert_eq!(rig.resolve(IT), Resolution::Ask);
}

/// When the line is mended, too.
#[test]
fn forgiven_failed_may_be_asked_again() {
    let mut rig = Rig::new();
    rig.failed(IT);
    rig.failed(ip(3));
    assert!(rig.table.forgive(1));
    assert!(!rig.table.forgive(5));
    assert_eq!(rig.resolve(IT), Resolution::Ask);
    assert_eq!(rig.resolve(ip(3)), Resolution::Ask);
}

/// Whom the stack has answered, and nobody here has asked for, makes room as others do
/// that were only heard.
#[test]
fn stale_none_is_heard() {
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Stale(ITS));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert!(rig
        .table
        .views(0, usize::MAX, rig.now)
        .all(|view| view.heard));
}

/// The kernel doubts an address that nothing is known of here: that is no reason to
/// believe it.
#[test]
fn probing_teaches_nothing_new() {
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Probing(ITS));
    assert!(rig.is_none(IT));
    rig.incomplete(IT);
    rig.neighbour(IT, Neighbour::Probing(ITS));
    assert_eq!(rig.resolve(IT), Resolution::Wait);
}

/// Whoever was heard of last makes room last.
#[test]
fn heard_again_makes_room_later() {
    let settings = Settings {
        limit: 2,
        ..SETTINGS
    };
    let mut rig = Rig::with(settings, 10, 3);
    for last in [2, 3, 2, 4] {
        rig.hear(ip(last), hw(last), true);
    }
    assert_eq!(rig.table.lookup(ip(2)), Some(hw(2)));
    assert_eq!(rig.table.lookup(ip(3)), None);
}

/// More room changes nothing of what is there, nor in which order it ends.
#[test]
fn grown_tables_hold_what_they_held() {
    let mut rig = Rig::with(SETTINGS, 40, 7);
    let mut other = Rig::with(SETTINGS, 40, 7);
    for rig in [&mut rig, &mut other] {
        for last in 2..30 {
            rig.hear(ip(last), hw(last), true);
            rig.pass(SECOND);
        }
        rig.tell();
        rig.failed(ip(40));
        rig.permanent(ip(41), hw(41));
        rig.incomplete(ip(42));
    }
    let fewer = (vec![Slot::default(); 39], vec![Bucket::default(); 7]);
    assert_eq!(rig.table.grow(fewer.0, fewer.1).0.len(), 39);
    let more = (vec![Slot::default(); 100], vec![Bucket::default(); 50]);
    assert_eq!(rig.table.grow(more.0, more.1).0.len(), 40);
    assert_eq!(rig.table.capacity(), 100);
    for last in 0..=255 {
        assert_eq!(rig.table.lookup(ip(last)), other.table.lookup(ip(last)));
    }
    for rig in [&mut rig, &mut other] {
        rig.hear(ip(5), hw(6), true);
    }
    assert_eq!(rig.tell(), other.tell());
    assert_eq!(rig.pass(30 * MINUTE), other.pass(30 * MINUTE));
    assert_eq!(rig.tell(), other.tell());
    assert_eq!(rig.table.len(), other.table.len());
    for last in 50..140 {
        assert_eq!(rig.hear(ip(last), hw(last), true), Heard::New);
    }
}

#[test]
fn dead_locked_stays_and_is_told() {
    let mut rig = Rig::new();
    rig.gone(ip(4), hw(4));
    rig.incomplete(IT);
    rig.hear(IT, ITS, true);
    rig.permanent(ip(3), hw(3));
    rig.resolve(ip(3));
    for last in 2..5 {
        rig.neighbour(ip(last), Neighbour::Dead);
    }
    assert_eq!(
        rig.tell(),
        [
            (ip(4), News::Gone),
            (IT, News::Valid(ITS)),
            (ip(3), News::Permanent(hw(3))),
        ]
    );
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.table.len(), 2);
}

// --- ARP input: what is judged ---------------------------------------------------------

const PEER: (Ipv4Addr, Address) = (IT, ITS);

#[test]
fn input_hardware_type_and_protocol_must_fit() {
    let good = packet(Operation::Request, PEER).to_bytes();
    assert!(judge(&good, ITS, OWN).is_ok());
    for at in 0..4 {
        for bit in 0..8 {
            let mut bytes = good;
            bytes[at] ^= 1 << bit;
            assert_eq!(judge(&bytes, ITS, OWN), Err(Refused::Malformed));
        }
    }
}

#[test]
fn input_of_a_broadcast_sender_is_refused() {
    let bytes = packet(Operation::Reply, (IT, Address::BROADCAST)).to_bytes();
    assert_eq!(
        judge(&bytes, Address::BROADCAST, OWN),
        Err(Refused::BroadcastSender)
    );
}

#[test]
fn input_of_ourselves_is_refused() {
    let bytes = packet(Operation::Request, (ip(1), OWN)).to_bytes();
    assert_eq!(judge(&bytes, OWN, OWN), Err(Refused::OwnSender));
}

/// With a packet that is wrong in all ways, which are put right one after another.
#[test]
fn input_is_judged_in_the_order_of_the_ancestor() {
    let mut it = packet(Operation::Reply, (IT, Address::BROADCAST));
    let mut bytes = it.to_bytes();
    bytes[0] = 0;
    assert_eq!(judge(&bytes, ITS, OWN), Err(Refused::Malformed));
    assert_eq!(
        judge(&it.to_bytes(), ITS, Address::BROADCAST),
        Err(Refused::BroadcastSender)
    );
    it.sender.hardware = OWN;
    assert_eq!(judge(&it.to_bytes(), ITS, OWN), Err(Refused::OwnSender));
    // The ancestor does not look at the frame's source (B7).
    it.sender.hardware = OTHER;
    assert_eq!(judge(&it.to_bytes(), ITS, OWN), Err(Refused::ForeignSender));
    it.sender.hardware = ITS;
    assert_eq!(judge(&it.to_bytes(), ITS, OWN), Ok(it));
}

#[test]
fn input_while_down_teaches_nothing() {
    let mut rig = Rig::new();
    rig.permanent(ip(3), hw(3));
    rig.table.down();
    assert_eq!(rig.hear(IT, ITS, true), Heard::Nothing);
    assert!(rig.is_none(IT));
    let us = Ends {
        sender: Sender::Us,
        for_us: true,
    };
    assert_eq!(
        rig.hear_from(Operation::Request, ip(1), ITS, us),
        Heard::Nothing
    );
    assert_eq!(rig.table.totals().duplicates, 0);
}

/// The ancestor makes us the target, so that a request is answered; who answers here is
/// told that.
#[test]
fn input_from_our_own_ip_is_a_duplicate() {
    let mut rig = Rig::new();
    for for_us in [false, true] {
        let ends = Ends {
            sender: Sender::Us,
            for_us,
        };
        assert_eq!(
            rig.hear_from(Operation::Request, ip(1), ITS, ends),
            Heard::Duplicate { asked: true }
        );
        assert_eq!(
            rig.hear_from(Operation::Reply, ip(1), ITS, ends),
            Heard::Duplicate { asked: false }
        );
    }
    assert!(rig.is_none(ip(1)));
    assert_eq!(rig.table.totals().duplicates, 4);
    // Not even if it is known by mistake.
    rig.permanent(ip(1), OTHER);
    rig.hear_from(
        Operation::Request,
        ip(1),
        ITS,
        Ends {
            sender: Sender::Us,
            for_us: true,
        },
    );
    assert_eq!(rig.table.lookup(ip(1)), Some(OTHER));
}

#[test]
fn input_from_nobody_teaches_nothing() {
    let mut rig = Rig::new();
    let ends = Ends {
        sender: Sender::Nobody,
        for_us: true,
    };
    for ip in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST] {
        assert_eq!(
            rig.hear_from(Operation::Request, ip, ITS, ends),
            Heard::Nothing
        );
        assert!(rig.is_none(ip));
    }
}

// --- ARP input: what is learned --------------------------------------------------------

/// Requests and replies teach alike, as there. The ancestor notifies nobody; here the
/// kernel may have a neighbour of that address, which is told.
#[test]
fn input_none_for_us_is_learned() {
    for operation in [Operation::Request, Operation::Reply] {
        let mut rig = Rig::new();
        let ends = Ends {
            sender: Sender::Host,
            for_us: true,
        };
        assert_eq!(rig.hear_from(operation, IT, ITS, ends), Heard::New);
        assert_eq!(rig.state(IT), Some(State::Valid));
        assert_eq!(rig.table.lookup(IT), Some(ITS));
        assert!(rig.view(IT).unwrap().heard);
        assert_eq!(rig.tell(), [(IT, News::Valid(ITS))]);
        assert_eq!(rig.table.totals().learned, 1);
        assert_eq!(rig.table.totals().requests, 0);
    }
}

#[test]
fn input_none_for_others_teaches_nothing() {
    let mut rig = Rig::new();
    assert_eq!(rig.hear(IT, ITS, false), Heard::Nothing);
    assert!(rig.is_none(IT));
}

#[test]
fn input_incomplete_is_the_answer() {
    // Whomever it is for: its sender is known.
    for for_us in [false, true] {
        let mut rig = Rig::new();
        rig.incomplete(IT);
        rig.now += SECOND;
        assert_eq!(rig.hear(IT, ITS, for_us), Heard::Answer);
        assert_eq!(rig.state(IT), Some(State::Valid));
        assert_eq!(rig.view(IT).unwrap().age, 0);
        assert!(rig.view(IT).unwrap().locked);
        assert_eq!(rig.tell(), [(IT, News::Valid(ITS))]);
        assert!(!rig.view(IT).unwrap().locked);
        // Off the retry chain.
        assert_eq!(rig.pass(10 * MINUTE), []);
        assert_eq!(rig.table.totals().resolved, 1);
    }
}

#[test]
fn input_valid_refreshes_without_a_word() {
    for for_us in [false, true] {
        let mut rig = Rig::new();
        rig.valid(IT, ITS);
        rig.pass(19 * MINUTE);
        assert_eq!(rig.hear(IT, ITS, for_us), Heard::Same);
        assert_eq!(rig.state(IT), Some(State::Valid));
        assert_eq!(rig.tell(), []);
        rig.pass(20 * MINUTE - 1);
        assert_eq!(rig.table.lookup(IT), Some(ITS));
    }
}

/// The ancestor overwrites and tells nobody (B8).
#[test]
fn input_valid_with_another_address_is_told() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += MINUTE;
    assert_eq!(rig.hear(IT, OTHER, false), Heard::Changed { from: ITS });
    assert_eq!(rig.view(IT).unwrap().age, 0);
    assert_eq!(rig.tell(), [(IT, News::Valid(OTHER))]);
    assert_eq!(rig.table.totals().changed, 1);
}

#[test]
fn input_permanent_is_ignored() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    assert_eq!(rig.hear(IT, OTHER, true), Heard::Permanent);
    assert_eq!(rig.hear(IT, ITS, true), Heard::Permanent);
    assert_eq!(rig.state(IT), Some(State::Permanent));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.tell(), []);
}

/// The ancestor has no such state. Who speaks is there.
#[test]
fn input_failed_is_the_answer() {
    let mut rig = Rig::new();
    rig.failed(IT);
    assert_eq!(rig.hear(IT, ITS, false), Heard::Answer);
    assert_eq!(rig.tell(), [(IT, News::Valid(ITS))]);
    assert_eq!(rig.resolve(IT), Resolution::Known);
}

/// What is gone is not known, even if the kernel does not know yet.
#[test]
fn input_gone_is_learned_only_for_us() {
    let mut rig = Rig::new();
    rig.gone(IT, ITS);
    assert_eq!(rig.hear(IT, OTHER, false), Heard::Nothing);
    assert_eq!(rig.hear(IT, OTHER, true), Heard::New);
    assert_eq!(rig.tell(), [(IT, News::Valid(OTHER))]);
    assert_eq!(rig.table.len(), 1);
}

// --- ARP input: what is answered ---------------------------------------------------------

#[test]
fn reply_goes_back_with_our_address() {
    let request = Packet {
        target: Host {
            ip: ip(1),
            hardware: Address::new([0; 8]),
        },
        ..packet(Operation::Request, PEER)
    };
    assert_eq!(
        request.reply(OWN),
        Packet {
            operation: Operation::Reply,
            sender: Host {
                hardware: OWN,
                ip: ip(1),
            },
            target: Host {
                hardware: ITS,
                ip: IT,
            },
        }
    );
    assert_eq!(
        request.reply(OWN).to_bytes(),
        [
            0x40, 0x40, 8, 0, 8, 4, 0, 2, //
            2, 0, 0, 0, 0, 0, 0, 1, 10, 0, 0, 1, //
            2, 0, 0, 0, 0, 0, 0, 2, 10, 0, 0, 2, //
        ]
    );
}

#[test]
fn packet_is_the_ancestors_to_the_byte() {
    // With the header of 28 bytes: `ARP_PACKET_LEN`.
    assert_eq!(LEN + spans_logic::cls::LEN, 60);
    assert_eq!(
        packet(Operation::Request, PEER).to_bytes(),
        [
            0x40, 0x40, 8, 0, 8, 4, 0, 1, //
            2, 0, 0, 0, 0, 0, 0, 2, 10, 0, 0, 2, //
            2, 0, 0, 0, 0, 0, 0, 1, 10, 0, 0, 1, //
        ]
    );
}

// --- the aging tick ------------------------------------------------------------------

#[test]
fn aging_skips_incomplete() {
    let settings = Settings {
        lifetime: SECOND,
        tick: SECOND / 4,
        ..SETTINGS
    };
    let mut rig = Rig::with(settings, 8, 8);
    rig.incomplete(IT);
    rig.now += 2 * SECOND;
    assert_eq!(rig.tick(), []);
    assert!(rig.is_incomplete(IT));
}

/// The ancestor counts ticks of a minute, so that an entry lives for 19 to 20 minutes;
/// here it is exactly 20 for each.
#[test]
fn aging_valid_ends_at_twenty_ticks() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += 20 * MINUTE - 1;
    rig.tick();
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.tell(), []);
    rig.now += 1;
    rig.tick();
    assert_eq!(rig.table.lookup(IT), None);
    assert_eq!(rig.table.len(), 0);
    // MAP_INVALID.
    assert_eq!(rig.tell(), [(IT, News::Gone)]);
    assert_eq!(rig.table.totals().expired, 1);
    assert_eq!(rig.table.next_timeout(), None);
}

/// Nor does it have to be that somebody ticks in between.
#[test]
fn aging_valid_ends_after_a_long_sleep() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += 100 * MINUTE;
    // Asking for what is over would be of no use.
    assert_eq!(rig.tick(), []);
    assert_eq!(rig.tell(), [(IT, News::Gone)]);
}

/// The ancestor asks at once for an entry that has ended and has waiters. Here a
/// neighbour that has something to send asks; that it does before the tick counts, too.
#[test]
fn aging_valid_with_a_waiter_is_asked_for_again() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += 20 * MINUTE;
    assert_eq!(rig.resolve(IT), Resolution::Ask);
    assert!(rig.is_incomplete(IT));
    assert_eq!(rig.table.lookup(IT), None);
    assert_eq!(rig.tell(), []);
    assert_eq!(rig.table.totals().expired, 1);
    assert_eq!(rig.table.totals().requests, 2);
}

#[test]
fn aging_ended_and_untold_is_asked_for_again() {
    let mut rig = Rig::new();
    rig.gone(IT, ITS);
    assert_eq!(rig.resolve(IT), Resolution::Ask);
    // The neighbour has asked: it need not be told that it does not know.
    assert_eq!(rig.tell(), []);
    assert!(rig.is_incomplete(IT));
}

#[test]
fn aging_skips_permanent() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    assert_eq!(rig.table.next_timeout(), None);
    rig.now += 10_000 * MINUTE;
    assert_eq!(rig.tick(), []);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.tell(), []);
}

/// B16: the ancestor throws away what is in use.
#[test]
fn aging_asks_one_tick_before_the_end() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += 19 * MINUTE - 1;
    assert_eq!(rig.tick(), []);
    rig.now += 1;
    assert_eq!(rig.tick(), [Due::Verify(IT, ITS)]);
    // Once.
    assert_eq!(rig.tick(), []);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.hear(IT, ITS, true), Heard::Same);
    let again = rig.now + 19 * MINUTE;
    assert_eq!(rig.pass(19 * MINUTE), [(again, Due::Verify(IT, ITS))]);
}

/// A tick that is longer than the life must not have everything asked for at once.
#[test]
fn aging_asks_in_the_last_quarter_at_the_earliest() {
    let settings = Settings {
        tick: 100 * MINUTE,
        ..SETTINGS
    };
    let mut rig = Rig::with(settings, 8, 8);
    rig.valid(IT, ITS);
    assert_eq!(
        rig.pass(20 * MINUTE - 1),
        [(1000 * SECOND + 15 * MINUTE, Due::Verify(IT, ITS))]
    );
}

// --- the retry tick ------------------------------------------------------------------

#[test]
fn retry_incomplete_asks_again() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    let next = rig.table.next_timeout().unwrap();
    rig.now = next - 1;
    assert_eq!(rig.tick(), []);
    rig.now = next;
    assert_eq!(rig.tick(), [Due::Ask(IT)]);
    assert_eq!(rig.tick(), []);
    assert_eq!(rig.table.totals().requests, 2);
}

#[test]
fn retry_asks_for_nobody_else() {
    let mut rig = Rig::new();
    rig.valid(ip(3), hw(3));
    rig.permanent(ip(4), hw(4));
    rig.failed(ip(5));
    rig.incomplete(IT);
    assert_eq!(requests(&rig.pass(12 * SECOND), IT).len(), 4);
}

// --- ADD_ARP ---------------------------------------------------------------------------

#[test]
fn add_none_is_permanent() {
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Permanent(ITS));
    assert_eq!(rig.state(IT), Some(State::Permanent));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.tell(), []);
    assert_eq!(rig.pass(10 * MINUTE), []);
    assert_eq!(rig.table.totals().requests, 0);
}

/// Also while the interface is down: it is told when it goes up.
#[test]
fn add_while_down_is_permanent() {
    let mut rig = Rig::new();
    rig.table.down();
    rig.permanent(IT, ITS);
    rig.up();
    assert_eq!(rig.tell(), [(IT, News::Permanent(ITS))]);
}

/// The ancestor tells its waiters; here the one who waits is who said so.
#[test]
fn add_incomplete_is_permanent_and_not_asked_for() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.permanent(IT, ITS);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.pass(10 * MINUTE), []);
    assert_eq!(rig.tell(), []);
}

#[test]
fn add_valid_is_permanent() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.permanent(IT, OTHER);
    assert_eq!(rig.table.lookup(IT), Some(OTHER));
    assert_eq!(rig.pass(100 * MINUTE), []);
    assert_eq!(rig.state(IT), Some(State::Permanent));
    assert_eq!(rig.tell(), []);
}

#[test]
fn add_permanent_has_the_new_address() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.now += MINUTE;
    rig.permanent(IT, OTHER);
    assert_eq!(rig.table.lookup(IT), Some(OTHER));
    assert_eq!(rig.table.len(), 1);
    assert_eq!(rig.view(IT).unwrap().age, 0);
    assert_eq!(rig.tell(), []);
}

#[test]
fn add_failed_is_permanent() {
    let mut rig = Rig::new();
    rig.failed(IT);
    rig.permanent(IT, ITS);
    assert_eq!(rig.resolve(IT), Resolution::Known);
    assert_eq!(rig.pass(MINUTE), []);
    assert_eq!(rig.state(IT), Some(State::Permanent));
}

/// What a stranger said is the user's from then on, and makes room for nobody.
#[test]
fn add_heard_is_the_users() {
    let mut rig = Rig::with(
        Settings {
            limit: 1,
            ..SETTINGS
        },
        8,
        8,
    );
    rig.hear(IT, ITS, true);
    rig.permanent(IT, ITS);
    assert!(!rig.view(IT).unwrap().heard);
    assert_eq!(rig.hear(ip(3), hw(3), true), Heard::NoRoom);
    assert_eq!(rig.resolve(ip(3)), Resolution::NoRoom);
    rig.neighbour(ip(3), Neighbour::Permanent(hw(3)));
    assert_eq!(rig.state(ip(3)), None);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
}

// --- DEL_ARP ---------------------------------------------------------------------------

#[test]
fn delete_none_does_nothing() {
    let mut rig = Rig::new();
    rig.valid(ip(3), hw(3));
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.len(), 1);
}

/// Here and below, the ancestor tells its waiters `MAP_FAILED`; the kernel, who said
/// so, has told them.
#[test]
fn delete_incomplete_is_forgotten() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.next_timeout(), None);
}

#[test]
fn delete_valid_is_forgotten() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.next_timeout(), None);
    rig.valid(IT, ITS);
    rig.pass(19 * MINUTE);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.next_timeout(), None);
}

#[test]
fn delete_permanent_is_forgotten() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
    // Not told again either.
    rig.up();
    assert_eq!(rig.tell(), []);
}

/// `ip neigh change ... nud none`, or a neighbour that is made anew.
#[test]
fn unresolved_takes_only_permanence() {
    let mut rig = Rig::new();
    rig.failed(ip(5));
    rig.permanent(IT, ITS);
    rig.valid(ip(3), hw(3));
    rig.incomplete(ip(4));
    for last in 2..6 {
        rig.neighbour(ip(last), Neighbour::Unresolved);
    }
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.len(), 3);
    assert_eq!(rig.table.lookup(ip(3)), Some(hw(3)));
}

/// It is about to be told that it is permanent.
#[test]
fn unresolved_locked_permanent_stays() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.up();
    rig.neighbour(IT, Neighbour::Unresolved);
    assert_eq!(rig.tell(), [(IT, News::Permanent(ITS))]);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
}

#[test]
fn delete_locked_has_nothing_more_to_tell() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.hear(IT, ITS, true);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
}

/// The ancestor has no such state. A neighbour that fails while the host is held down
/// fails because of that, and the hold-down stays.
#[test]
fn delete_failed_stays_held() {
    let mut rig = Rig::new();
    rig.failed(IT);
    rig.neighbour(IT, Neighbour::Failed);
    assert_eq!(rig.resolve(IT), Resolution::Held);
}

/// A neighbour fails because it is told so: that is no wish of the user, whatever was
/// heard meanwhile.
#[test]
fn delete_what_is_being_told_is_an_echo() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.pass(20 * SECOND);
    assert_eq!(rig.table.tell(), Some((IT, News::Failed)));
    rig.hear(IT, ITS, true);
    rig.neighbour(IT, Neighbour::Failed);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.table.tell(), Some((IT, News::Valid(ITS))));
    // Told, and no echo any more.
    assert_eq!(rig.table.tell(), None);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
}

#[test]
fn delete_after_gone_is_an_echo() {
    let mut rig = Rig::new();
    rig.gone(IT, ITS);
    assert_eq!(rig.table.tell(), Some((IT, News::Gone)));
    rig.resolve(IT);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_incomplete(IT));
}

// --- INF_ARP ---------------------------------------------------------------------------

#[test]
fn views_show_all_that_is_known() {
    let mut rig = Rig::new();
    rig.permanent(ip(2), hw(2));
    rig.now += SECOND;
    rig.valid(ip(3), hw(3));
    rig.now += SECOND;
    rig.incomplete(ip(4));
    rig.hear(ip(5), hw(5), true);
    let mut views = rig.views();
    views.sort_by_key(|view| view.ip);
    let got: Vec<_> = views
        .iter()
        .map(|view| (view.ip, view.address, view.locked, view.heard, view.age))
        .collect();
    assert_eq!(
        got,
        [
            (ip(2), Some(hw(2)), false, false, 2 * SECOND),
            (ip(3), Some(hw(3)), false, false, SECOND),
            (ip(4), None, false, false, 0),
            (ip(5), Some(hw(5)), true, true, 0),
        ]
    );
    assert_eq!(views[0].state, State::Permanent);
    assert!(matches!(views[2].state, State::Incomplete { tries: 1, .. }));
}

/// The ancestor fills a buffer and says where it ended; here the reader comes again for
/// the next slots, and misses nothing that stays.
#[test]
fn views_come_in_parts() {
    let mut rig = Rig::new();
    for last in 2..52 {
        rig.permanent(ip(last), hw(last));
    }
    let mut seen = Vec::new();
    for first in (0..rig.table.capacity()).step_by(7) {
        let part: Vec<_> = rig.table.views(first, 7, rig.now).collect();
        assert!(part.len() <= 7);
        seen.extend(part.iter().map(|view| view.ip));
    }
    seen.sort();
    assert_eq!(seen, (2..52).map(ip).collect::<Vec<_>>());
}

#[test]
fn views_do_not_show_what_is_gone() {
    let mut rig = Rig::new();
    rig.gone(IT, ITS);
    assert_eq!(rig.views(), []);
    assert_eq!(rig.table.lookup(IT), None);
    assert!(rig.table.is_empty());
}

// --- activation ------------------------------------------------------------------------

#[test]
fn up_tells_what_the_user_has_set() {
    let mut rig = Rig::new();
    assert_eq!(rig.table.next_timeout(), None);
    for last in [4, 2, 3] {
        rig.permanent(ip(last), hw(last));
    }
    // The kernel has flushed its neighbours.
    rig.table.down();
    assert!(!rig.table.drop_some(usize::MAX, false));
    rig.up();
    assert_eq!(
        rig.tell(),
        [4, 2, 3].map(|last| (ip(last), News::Permanent(hw(last))))
    );
    // Each time.
    rig.up();
    assert_eq!(rig.tell().len(), 3);
}

/// The ancestor drops permanent entries, too. Here the user's stay until the device
/// goes; and who waits is no reason to panic.
#[test]
fn down_drops_all_but_permanent() {
    let mut rig = Rig::new();
    rig.permanent(ip(2), hw(2));
    rig.valid(ip(3), hw(3));
    rig.failed(ip(4));
    rig.incomplete(ip(5));
    rig.valid(ip(6), hw(6));
    rig.hear(ip(6), hw(66), false);
    rig.hear(ip(7), hw(7), true);
    rig.table.down();
    assert!(!rig.table.drop_some(usize::MAX, false));
    assert_eq!(rig.table.len(), 1);
    assert_eq!(rig.table.lookup(ip(2)), Some(hw(2)));
    assert_eq!(rig.table.next_timeout(), None);
    assert_eq!(rig.tell(), []);
    assert!(!rig.table.drop_some(usize::MAX, true));
    assert!(rig.table.is_empty());
}

#[test]
fn down_drops_what_is_ending() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.pass(19 * MINUTE);
    rig.table.down();
    assert!(!rig.table.drop_some(10, false));
    assert!(rig.is_none(IT));
}

#[test]
fn down_drops_some_at_a_time() {
    let mut rig = Rig::new();
    for last in 2..12 {
        rig.incomplete(ip(last));
    }
    rig.permanent(ip(12), hw(12));
    rig.table.down();
    assert!(rig.table.drop_some(4, false));
    assert_eq!(rig.table.len(), 7);
    assert!(rig.table.drop_some(0, false));
    assert_eq!(rig.table.len(), 7);
    assert!(rig.table.drop_some(5, false));
    // Just as many as there are.
    assert!(!rig.table.drop_some(1, false));
    assert!(!rig.table.drop_some(0, false));
    assert_eq!(rig.table.len(), 1);
    assert!(rig.table.drop_some(0, true));
    assert!(!rig.table.drop_some(1, true));
    assert!(rig.table.is_empty());
}

/// The timer may fire until all is dropped.
#[test]
fn down_asks_for_nothing() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.valid(ip(3), hw(3));
    rig.table.down();
    assert_eq!(rig.table.next_timeout(), None);
    for minutes in 0..30 {
        rig.now += MINUTE;
        assert_eq!(rig.tick(), [], "after {minutes} minutes");
    }
    assert_eq!(rig.table.totals().requests, 2);
}

// --- Net/3 -----------------------------------------------------------------------------

#[test]
fn net3_gives_up_after_five_tries() {
    let mut rig = Rig::new();
    let began = rig.now;
    rig.incomplete(IT);
    let mut asked = vec![began];
    asked.extend(requests(&rig.pass(18 * SECOND), IT));
    assert_eq!(asked.len(), 5);
    for pair in asked.windows(2) {
        // Net/3 asks at most once a second.
        let between = pair[1] - pair[0];
        assert!((SETTINGS.retry / 16 * 13..=SLOWEST).contains(&between));
    }
    // The fifth has as long to be answered as the others.
    let failed = rig.now - rig.view(IT).unwrap().age;
    assert!((SETTINGS.retry / 16 * 13..=SLOWEST).contains(&(failed - asked[4])));
    assert_eq!(rig.state(IT), Some(State::Failed));
    assert_eq!(rig.tell(), [(IT, News::Failed)]);
    assert_eq!(rig.table.totals().failed, 1);
    assert_eq!(rig.table.totals().requests, 5);
}

#[test]
fn net3_holds_down_for_twenty_seconds_and_counts_anew() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    while rig.is_incomplete(IT) {
        rig.now = rig.table.next_timeout().unwrap();
        rig.tick();
    }
    assert_eq!(rig.tell(), [(IT, News::Failed)]);
    let failed = rig.now;
    for after in [0, SECOND, 20 * SECOND - 1] {
        rig.now = failed + after;
        assert_eq!(rig.resolve(IT), Resolution::Held);
        // Each time: its neighbour has begun anew.
        assert_eq!(rig.tell(), [(IT, News::Failed)]);
    }
    assert_eq!(rig.table.totals().requests, 5);
    rig.now = failed + 20 * SECOND;
    assert_eq!(rig.resolve(IT), Resolution::Ask);
    assert_eq!(requests(&rig.pass(18 * SECOND), IT).len(), 4);
    assert_eq!(rig.state(IT), Some(State::Failed));
}

/// Who is not asked for again is forgotten, and the kernel's neighbour with it.
#[test]
fn net3_hold_down_ends() {
    let mut rig = Rig::new();
    rig.failed(IT);
    let failed = rig.now - rig.view(IT).unwrap().age;
    assert_eq!(rig.table.next_timeout(), Some(failed + 20 * SECOND));
    rig.now = failed + 20 * SECOND - 1;
    rig.tick();
    assert_eq!(rig.state(IT), Some(State::Failed));
    rig.now += 1;
    assert_eq!(rig.tick(), []);
    assert_eq!(rig.tell(), [(IT, News::Gone)]);
    assert!(rig.is_none(IT));
}

/// `arpt_keep`.
#[test]
fn net3_keeps_for_twenty_minutes() {
    let mut rig = Rig::new();
    rig.hear(IT, ITS, true);
    rig.pass(1200 * SECOND - 1);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    rig.pass(1);
    assert_eq!(rig.table.lookup(IT), None);
}

// --- settings ----------------------------------------------------------------------------

#[test]
fn settings_count_at_once() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.incomplete(ip(3));
    rig.now += SECOND;
    rig.table.set(Settings {
        lifetime: SECOND,
        tries: 1,
        retry: SECOND / 2,
        ..SETTINGS
    });
    assert!(rig.table.next_timeout().unwrap() <= rig.now);
    assert_eq!(rig.tick(), []);
    assert_eq!(rig.table.lookup(IT), None);
    assert_eq!(rig.state(ip(3)), Some(State::Failed));
}

/// What is beyond a lower limit stays, but nothing comes to it.
#[test]
fn settings_lower_limit_drops_nothing() {
    let mut rig = Rig::new();
    for last in 2..12 {
        rig.valid(ip(last), hw(last));
    }
    rig.table.set(Settings {
        limit: 4,
        ..SETTINGS
    });
    assert_eq!(rig.table.len(), 10);
    assert_eq!(rig.resolve(ip(20)), Resolution::NoRoom);
    assert_eq!(rig.hear(ip(20), hw(20), true), Heard::NoRoom);
    rig.pass(20 * MINUTE);
    assert_eq!(rig.table.len(), 0);
}

// --- ticks with a budget -----------------------------------------------------------------

#[test]
fn tick_does_no_more_than_its_budget() {
    let mut rig = Rig::new();
    for last in 2..12 {
        rig.incomplete(ip(last));
    }
    rig.now += SLOWEST;
    let mut asked = Vec::new();
    for (budget, more) in [(0, true), (4, true), (6, false), (6, false)] {
        let before = asked.len();
        let got = rig.table.tick(
            rig.now,
            budget,
            || 0,
            |due| {
                asked.push(due);
            },
        );
        assert_eq!(got, more);
        assert!(asked.len() - before <= budget);
    }
    asked.sort_by_key(|due| format!("{due:?}"));
    asked.dedup();
    assert_eq!(asked.len(), 10);
}

// --- room --------------------------------------------------------------------------------

/// A rig for two entries, with so many slots.
fn two(slots: usize) -> Rig {
    let settings = Settings {
        limit: 2,
        ..SETTINGS
    };
    Rig::with(settings, slots, 2)
}

/// The ancestor's pool has a limit in one revision, and then nobody gets anything.
#[test]
fn room_is_made_by_the_oldest_stranger() {
    let mut rig = two(66);
    rig.hear(ip(2), hw(2), true);
    rig.hear(ip(3), hw(3), true);
    assert_eq!(rig.hear(ip(4), hw(4), true), Heard::New);
    assert_eq!(rig.table.lookup(ip(2)), None);
    assert_eq!(rig.table.len(), 2);
    assert_eq!(rig.table.totals().evicted, 1);
    assert_eq!(
        rig.tell(),
        [
            (ip(2), News::Gone),
            (ip(3), News::Valid(hw(3))),
            (ip(4), News::Valid(hw(4))),
        ]
    );
    assert_eq!(rig.resolve(ip(5)), Resolution::Ask);
    assert_eq!(rig.table.lookup(ip(3)), None);
}

/// Whoever is asked for, or sent to, is no stranger any more.
#[test]
fn room_is_made_by_none_that_is_in_use() {
    let mut rig = two(66);
    rig.hear(ip(2), hw(2), true);
    rig.hear(ip(3), hw(3), true);
    assert_eq!(rig.resolve(ip(2)), Resolution::Known);
    assert_eq!(rig.hear(ip(4), hw(4), true), Heard::New);
    assert_eq!(rig.table.lookup(ip(2)), Some(hw(2)));
    assert_eq!(rig.table.lookup(ip(3)), None);
    rig.table.used(ip(4));
    assert_eq!(rig.hear(ip(5), hw(5), true), Heard::NoRoom);
    assert_eq!(rig.resolve(ip(5)), Resolution::NoRoom);
    assert_eq!(rig.table.totals().refused, 2);
}

#[test]
fn room_for_a_packet_is_made_by_what_does_not_answer() {
    let mut rig = two(66);
    rig.failed(ip(2));
    rig.permanent(ip(3), hw(3));
    assert_eq!(rig.hear(ip(4), hw(4), true), Heard::NoRoom);
    assert_eq!(rig.resolve(ip(4)), Resolution::Ask);
    assert_eq!(rig.state(ip(2)), None);
    assert_eq!(rig.tell(), [(ip(2), News::Gone)]);
}

/// In this order: strangers, what does not answer, what is asked for, what is known.
#[test]
fn room_for_the_user_is_made_by_all_but_the_users() {
    let mut rig = Rig::with(
        Settings {
            limit: 4,
            ..SETTINGS
        },
        68,
        4,
    );
    rig.failed(ip(2));
    rig.valid(ip(3), hw(3));
    rig.incomplete(ip(4));
    rig.hear(ip(5), hw(5), true);
    for (new, old) in [(12, 5), (13, 2), (14, 4), (15, 3)] {
        assert!(rig.view(ip(old)).is_some());
        rig.permanent(ip(new), hw(new));
        assert_eq!(rig.view(ip(old)), None);
        assert_eq!(rig.table.len(), 4);
    }
    rig.neighbour(ip(16), Neighbour::Permanent(hw(16)));
    assert_eq!(rig.table.lookup(ip(16)), None);
    assert_eq!(rig.table.len(), 4);
}

/// What is gone keeps its slot until that is told.
#[test]
fn room_is_not_made_without_a_slot() {
    let mut rig = two(3);
    rig.hear(ip(2), hw(2), true);
    rig.hear(ip(3), hw(3), true);
    assert_eq!(rig.hear(ip(4), hw(4), true), Heard::New);
    assert!(!rig.table.has_room(ip(5)));
    assert_eq!(rig.hear(ip(5), hw(5), true), Heard::NoRoom);
    assert_eq!(rig.resolve(ip(5)), Resolution::NoRoom);
    assert_eq!(rig.table.len(), 2);
    assert_eq!(rig.table.totals().evicted, 1);
    rig.tell();
    assert_eq!(rig.hear(ip(5), hw(5), true), Heard::New);
}

#[test]
fn room_is_seen_where_there_is_some() {
    let mut rig = two(66);
    assert!(rig.table.has_room(ip(4)));
    rig.valid(ip(2), hw(2));
    rig.hear(ip(3), hw(3), true);
    // A stranger would make room, and comes back in vain.
    assert!(rig.table.has_room(ip(4)));
    assert_eq!(rig.resolve(ip(4)), Resolution::Ask);
    for last in [3, 5] {
        assert!(!rig.table.has_room(ip(last)));
        assert_eq!(rig.resolve(ip(last)), Resolution::NoRoom);
    }
    // There is one already.
    assert!(rig.table.has_room(ip(2)) && rig.table.has_room(ip(4)));
}
