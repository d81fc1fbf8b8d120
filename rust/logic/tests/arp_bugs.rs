// SPDX-License-Identifier: GPL-2.0

//! Regression tests for the faults of the ancestor's ARP (FreeBSD `spans_arp.c`): each fails
//! with the ancestor's behaviour.
//!
//! Not, or only partly, testable without a kernel:
//!
//! | | the ancestor | here |
//! |---|---|---|
//! | B5 | may sleep for memory while a packet is received | this crate has no allocator: `no_std`, and slots are passed in. The rest: the debug kernel's sleep-in-atomic checks under the selftests |
//! | B9 | has one table for all interfaces, by IPv4 address only | each device owns its table, and the compiler proves that this crate shares nothing. That the module uses the right table: selftests |
//! | B11 | logs each packet of a duplicate address, from a static buffer | duplicates are counted (`arp_rows`); the rate limit of the log is the module's: selftests |
//! | B12 | copies a record to the user that it has not cleared | `bug_12` is about the age; the record is netlink's: selftests |
//! | B13 | has no lock | `bug_13` tests events between two updates; locking is checked by the compiler, and by lockdep under the selftests |
//! | B19 | replies with the length of the request, in a buffer that may be shared | the types of `packet.rs` have 32 bytes for input and another 32 for output. Writes to the buffer: selftests |
//! | B20 | no gratuitous ARP, no proxy, no detection of duplicates | `bug_20` is about the hold-down; the rest is the kernel's: selftests |

#[path = "common/arp.rs"]
mod arp;

use arp::{hw, ip, packet, Rig, MINUTE, OWN, SECOND, SETTINGS, SLOWEST, SPANS};
use spans_logic::{
    address::Address,
    arp::{
        config::Settings,
        event::{AddressInfo, Due, Neighbour, Resolution, RxOutcome, SenderType, Update},
        packet::{validate, Invalid, Operation},
        slots::Bucket,
        table::{Slot, State, Table},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// The retry loop continues in the hash chain: only the first incomplete entry is retried, and with
/// it all entries of its bucket, even valid ones.
#[test]
fn bug_01_retry_follows_its_own_chain() {
    // All in one bucket, several in each, each in its own.
    for buckets in [1, 4, 256] {
        let mut rig = Rig::with(SETTINGS, 164, buckets);
        for last in 2..12 {
            rig.valid(ip(last), hw(last));
            rig.permanent(ip(last + 10), hw(last));
        }
        for last in 102..132 {
            rig.incomplete(ip(last));
        }
        let mut asked = BTreeMap::<Ipv4Addr, usize>::new();
        for (_, due) in rig.pass(SLOWEST) {
            let Due::Request(ip) = due else {
                panic!("{due:?}")
            };
            *asked.entry(ip).or_default() += 1;
        }
        assert_eq!(asked, (102..132).map(|last| (ip(last), 1)).collect());
    }
}

/// Memory from the pool is not zeroed, and half of the fields are never set.
#[test]
fn bug_02_slots_that_were_used_are_clean() {
    let slots = &mut [Slot::default(); 8][..];
    let buckets = &mut [Bucket::default(); 3][..];
    let mut old = Table::new(&mut *slots, &mut *buckets, 1, SETTINGS);
    old.up();
    old.neighbour(ip(2), Neighbour::Permanent(hw(2)), 5);
    old.resolve(ip(3), 6, 3);
    let received = packet(Operation::Reply, (ip(3), hw(3)));
    let ends = AddressInfo {
        sender: SenderType::Host,
        for_us: true,
    };
    old.process(&received, ends, 7);
    old.process(&packet(Operation::Request, (ip(4), hw(4))), ends, 8);
    assert_eq!(old.len(), 3);

    let mut new = Table::new(&mut *slots, &mut *buckets, 1, SETTINGS);
    new.up();
    assert_eq!((new.len(), new.next_timeout()), (0, None));
    assert_eq!(new.next_update(), None);
    assert_eq!(new.entries(0, 8, 9).count(), 0);
    for last in 2..10 {
        assert_eq!(new.lookup(ip(last)), None);
        assert_eq!(new.resolve(ip(last), 9, 0), Resolution::Request);
    }
    // A reused slot of the same table has nothing of its last entry.
    let mut rig = Rig::with(SETTINGS, 1, 1);
    rig.process(ip(2), hw(2), true);
    rig.neighbour(ip(2), Neighbour::Failed);
    rig.incomplete(ip(3));
    let entry = rig.entry(ip(3)).unwrap();
    assert_eq!(
        (entry.address, entry.locked, entry.unsolicited),
        (None, false, false)
    );
}

/// Retries never end, and all are sent in the same tick.
#[test]
fn bug_03_retries_end_and_do_not_come_at_once() {
    let mut rig = Rig::new();
    for last in 2..42 {
        rig.incomplete(ip(last));
    }
    let due = rig.pass(60 * SECOND);
    assert_eq!(due.len(), 40 * 4);
    for at in due.iter().map(|(at, _)| *at).collect::<BTreeSet<_>>() {
        let burst = due.iter().filter(|(other, _)| *other == at).count();
        assert!(burst <= 10, "{burst} requests at once");
    }
    assert_eq!(rig.pass(1000 * SECOND), []);
    assert_eq!(rig.table.stats().requests, 40 * 5);
    assert!(rig.table.is_empty());
}

/// Waiters are notified of a valid entry that has no address.
#[test]
fn bug_04_what_is_said_to_be_known_has_an_address() {
    let mut rig = Rig::new();
    rig.incomplete(ip(2));
    rig.permanent(ip(2), hw(2));
    rig.neighbour(ip(2), Neighbour::Dead);
    assert_eq!(rig.table.lookup(ip(2)), Some(hw(2)));
    assert_eq!(rig.resolve(ip(2)), Resolution::Known);
    assert_eq!(rig.next_update(), [(ip(2), Update::Valid(hw(2)))]);
}

/// The target's hardware address in a request is uninitialised memory.
#[test]
fn bug_06_no_byte_on_the_wire_is_left_over() {
    let mut request = packet(Operation::Request, (ip(2), hw(2)));
    request.target.hardware = Address::new([0; 8]);
    assert_eq!(request.to_bytes(SPANS)[20..28], [0; 8]);
    // Each byte has the value that was set.
    request.sender.hardware = Address::new([0xa5; 8]);
    request.target.hardware = Address::new([0xa5; 8]);
    request.sender.ip = Ipv4Addr::from([0xa5; 4]);
    request.target.ip = Ipv4Addr::from([0xa5; 4]);
    let mut wanted = [0xa5; 32];
    wanted[..8].copy_from_slice(&[0x40, 0x40, 8, 0, 8, 4, 0, 1]);
    assert_eq!(request.to_bytes(SPANS), wanted);
}

/// Lengths are not checked, all operations are learned from, and any host can send for another.
#[test]
fn bug_07_lengths_operation_and_source_are_checked() {
    let good = packet(Operation::Request, (ip(2), hw(2)));
    let bytes = good.to_bytes(SPANS);
    assert_eq!(validate(SPANS, &bytes, hw(2), OWN), Ok(good));
    let with = |at: usize, value: u8| {
        let mut bytes = bytes;
        bytes[at] = value;
        validate(SPANS, &bytes, hw(2), OWN)
    };
    for value in (0..=255).filter(|value| *value != 8) {
        assert_eq!(with(4, value), Err(Invalid::Malformed));
    }
    for value in (0..=255).filter(|value| *value != 4) {
        assert_eq!(with(5, value), Err(Invalid::Malformed));
    }
    for value in 1..=255 {
        assert_eq!(with(6, value), Err(Invalid::Malformed));
    }
    for value in (0..=255).filter(|value| !matches!(value, 1 | 2)) {
        assert_eq!(with(7, value), Err(Invalid::Malformed));
    }
    assert_eq!(
        validate(SPANS, &bytes, hw(3), OWN),
        Err(Invalid::ForeignSender)
    );
}

/// A new address replaces the old one, and users of the entry are not notified.
#[test]
fn bug_08_a_new_address_is_told() {
    let mut rig = Rig::new();
    rig.valid(ip(2), hw(2));
    assert_eq!(
        rig.process(ip(2), hw(66), false),
        RxOutcome::Changed { from: hw(2) }
    );
    assert_eq!(rig.table.stats().changed, 1);
    assert_eq!(rig.next_update(), [(ip(2), Update::Valid(hw(66)))]);
}

/// Each source that requests an own address gets an entry, without a limit.
#[test]
fn bug_10_a_flood_finds_a_limit_and_harms_no_entry() {
    let mut rig = Rig::new();
    for last in 2..52 {
        rig.valid(ip(last), hw(last));
    }
    for last in 52..60 {
        rig.incomplete(ip(last));
    }
    for flood in 0..10_000_u32 {
        let source = Ipv4Addr::from(0xac10_0000 + flood);
        assert!(matches!(
            rig.process(source, hw(9), true),
            RxOutcome::New | RxOutcome::NoRoom
        ));
        assert!(rig.table.len() <= SETTINGS.limit);
        if flood % 100 == 0 {
            rig.next_update();
        }
    }
    assert_eq!(rig.table.len(), SETTINGS.limit);
    assert!((2..52).all(|last| rig.table.lookup(ip(last)) == Some(hw(last))));
    assert!((52..60).all(|last| rig.is_incomplete(ip(last))));
    // Nor does the flood prevent new requests.
    rig.next_update();
    assert_eq!(rig.resolve(ip(60)), Resolution::Request);
}

/// The age of a permanent entry is uninitialised memory, and an expired entry still shows its old
/// address.
#[test]
fn bug_12_what_is_shown_is_so() {
    let mut rig = Rig::new();
    rig.gone(ip(2), hw(2));
    assert_eq!(rig.resolve(ip(2)), Resolution::Request);
    rig.permanent(ip(3), hw(3));
    rig.now += MINUTE;
    assert_eq!(rig.entry(ip(2)).unwrap().address, None);
    assert_eq!(rig.table.lookup(ip(2)), None);
    assert_eq!(rig.entry(ip(3)).unwrap().age, MINUTE);
}

/// The notified waiter calls back and changes the list during the walk.
#[test]
fn bug_13_between_two_updates_anything_may_happen() {
    let mut rig = Rig::new();
    for last in 2..10 {
        rig.incomplete(ip(last));
        rig.process(ip(last), hw(last), true);
    }
    let mut updates = Vec::new();
    while let Some((it, update)) = rig.table.next_update() {
        updates.push((it, update));
        match it.octets()[3] {
            // The next entry is removed, the one behind it changes its address, and this one gets
            // another update.
            2 => {
                rig.neighbour(ip(3), Neighbour::Failed);
                rig.process(ip(4), hw(44), true);
                rig.process(ip(2), hw(22), true);
            }
            // The kernel reports this update back; the last entry is removed.
            5 => {
                rig.neighbour(ip(5), Neighbour::Reachable(hw(5)));
                rig.neighbour(ip(5), Neighbour::Dead);
                rig.neighbour(ip(9), Neighbour::Failed);
            }
            7 => {
                rig.table.down();
                rig.table.flush_some(usize::MAX, true);
            }
            _ => {}
        }
    }
    assert_eq!(
        updates,
        [(2, 2), (4, 44), (5, 5), (6, 6), (7, 7)]
            .map(|(last, address)| (ip(last), Update::Valid(hw(address))))
    );
}

/// Panics if an interface or the module is removed while a packet waits.
#[test]
fn bug_14_a_waiting_packet_does_not_block_removal() {
    let mut rig = Rig::new();
    rig.permanent(ip(2), hw(2));
    rig.incomplete(ip(3));
    rig.incomplete(ip(4));
    rig.process(ip(4), hw(4), true);
    rig.table.down();
    assert!(!rig.table.flush_some(usize::MAX, true));
    assert!(rig.table.is_empty());
    assert_eq!(rig.next_update(), []);
    // The table is dropped with an incomplete entry.
    rig.table.up();
    rig.incomplete(ip(3));
    drop(rig);
}

/// The last waiter leaves, and its entry is requested for ever.
#[test]
fn bug_15_an_entry_without_a_waiter_is_not_requested() {
    let mut rig = Rig::new();
    rig.incomplete(ip(2));
    rig.neighbour(ip(2), Neighbour::Reachable(hw(2)));
    rig.incomplete(ip(3));
    rig.neighbour(ip(3), Neighbour::Dead);
    rig.incomplete(ip(4));
    rig.neighbour(ip(4), Neighbour::Failed);
    assert_eq!(rig.pass(10 * MINUTE), []);
    assert_eq!(rig.table.len(), 1);
    // Without any report it is removed after the hold-down.
    rig.incomplete(ip(5));
    assert_eq!(rig.pass(MINUTE).len(), 4);
    assert_eq!(rig.state(ip(5)), None);
}

/// Entries in use are removed every twenty minutes.
#[test]
fn bug_16_what_is_in_use_is_asked_for_before_it_ends() {
    let mut rig = Rig::new();
    rig.valid(ip(2), hw(2));
    for _ in 0..10 {
        let before = rig.now;
        let due = rig.pass(19 * MINUTE);
        assert_eq!(due, [(before + 19 * MINUTE, Due::Verify(ip(2), hw(2)))]);
        assert_eq!(rig.table.lookup(ip(2)), Some(hw(2)));
        // The host replies a second later.
        rig.now += SECOND;
        assert_eq!(rig.process(ip(2), hw(2), true), RxOutcome::Confirmed);
    }
    assert_eq!(rig.next_update(), []);
}

/// An incoming circuit without an address closes that of another host.
#[test]
fn bug_17_a_removed_entry_takes_no_other_along() {
    let mut rig = Rig::with(SETTINGS, 164, 1);
    for last in 2..12 {
        rig.incomplete(ip(last));
    }
    for other in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, ip(12)] {
        rig.neighbour(other, Neighbour::Dead);
        rig.neighbour(other, Neighbour::Failed);
    }
    assert_eq!(rig.table.len(), 10);
    rig.neighbour(ip(5), Neighbour::Dead);
    assert!((2..12).all(|last| rig.is_incomplete(ip(last)) == (last != 5)));
}

/// Lists are walked to their ends: the cost is quadratic in the number of waiters.
#[test]
fn bug_18_many_cost_no_more_each() {
    const MANY: u32 = 100_000;
    let settings = Settings {
        limit: MANY as usize,
        ..SETTINGS
    };
    let all = || (0..MANY).map(|number| Ipv4Addr::from(0x0a00_0000 + number));
    let mut rig = Rig::with(settings, MANY as usize + 64, MANY as usize);
    // It takes a tenth of a second; quadratic cost would take minutes.
    let began = Instant::now();
    let in_time = || assert!(began.elapsed() < Duration::from_secs(10));
    for ip in all() {
        assert_eq!(rig.resolve(ip), Resolution::Request);
        in_time();
    }
    // Five requests, failed, update, held down, removed, update.
    let (mut asked, mut updates) = (0, 0);
    while let Some(next) = rig.table.next_timeout() {
        rig.now = rig.now.max(next);
        let random = &mut rig.random;
        let next_random = || {
            *random = random.wrapping_add(1);
            *random
        };
        rig.table.tick(rig.now, 64, next_random, |_| asked += 1);
        while rig.table.next_update().is_some() {
            updates += 1;
        }
        in_time();
    }
    assert_eq!((asked, updates), (4 * MANY, 2 * MANY));
    assert!(rig.table.is_empty());
}

/// A host that does not reply is requested again at once.
#[test]
fn bug_20_a_host_that_does_not_answer_is_left_alone() {
    let mut rig = Rig::new();
    rig.failed(ip(2));
    for _ in 0..10 {
        assert_eq!(rig.resolve(ip(2)), Resolution::HeldDown);
        // The neighbour of each waiting packet gets the update.
        assert_eq!(rig.next_update(), [(ip(2), Update::Failed)]);
    }
    assert_eq!(rig.table.stats().requests, 5);
}

/// The retry timer is not stopped with the interface.
#[test]
fn bug_21_nothing_is_due_when_all_is_down() {
    let mut rig = Rig::new();
    rig.permanent(ip(2), hw(2));
    rig.valid(ip(3), hw(3));
    rig.failed(ip(4));
    rig.incomplete(ip(5));
    rig.table.down();
    // Immediately, not only after the flush.
    assert_eq!(rig.table.next_timeout(), None);
    rig.now += SLOWEST;
    assert_eq!(rig.tick(), []);
    rig.table.flush_some(usize::MAX, false);
    rig.table.up();
    assert_eq!(rig.table.next_timeout(), None);
    assert_eq!(rig.state(ip(2)), Some(State::Permanent));
}
