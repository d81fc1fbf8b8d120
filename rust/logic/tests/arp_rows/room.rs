// SPDX-License-Identifier: GPL-2.0

//! The limit of the table, and eviction.

use super::*;

// --- room --------------------------------------------------------------------------------

/// A table for two entries, with this number of slots.
fn two(slots: usize) -> Rig {
    let settings = Settings {
        limit: 2,
        ..SETTINGS
    };
    Rig::with(settings, slots, 2)
}

/// One revision of the ancestor has a limit for its pool, beyond which every allocation fails.
#[test]
fn room_is_made_by_the_oldest_stranger() {
    let mut rig = two(66);
    rig.process(ip(2), hw(2), true);
    rig.process(ip(3), hw(3), true);
    assert_eq!(rig.process(ip(4), hw(4), true), RxOutcome::New);
    assert_eq!(rig.table.lookup(ip(2)), None);
    assert_eq!(rig.table.len(), 2);
    assert_eq!(rig.table.stats().evicted, 1);
    assert_eq!(
        rig.next_update(),
        [
            (
                ip(2),
                Update::Removed(RemoveReason::Evicted(Requester::Unsolicited))
            ),
            (ip(3), Update::Learned(hw(3))),
            (ip(4), Update::Learned(hw(4))),
        ]
    );
    assert_eq!(rig.resolve(ip(5)), Resolution::Request);
    assert_eq!(rig.table.lookup(ip(3)), None);
}

/// An entry is not unsolicited any more after a request or a packet.
#[test]
fn room_is_made_by_none_that_is_in_use() {
    let mut rig = two(66);
    rig.process(ip(2), hw(2), true);
    rig.process(ip(3), hw(3), true);
    assert_eq!(rig.resolve(ip(2)), Resolution::Known);
    assert_eq!(rig.process(ip(4), hw(4), true), RxOutcome::New);
    assert_eq!(rig.table.lookup(ip(2)), Some(hw(2)));
    assert_eq!(rig.table.lookup(ip(3)), None);
    assert_eq!(rig.table.used(ip(4), rig.now, 0), None);
    assert_eq!(rig.process(ip(5), hw(5), true), RxOutcome::NoRoom);
    assert_eq!(rig.resolve(ip(5)), Resolution::NoRoom);
    assert_eq!(rig.table.stats().refused, 2);
}

#[test]
fn room_for_a_packet_is_made_by_what_does_not_answer() {
    let mut rig = two(66);
    rig.failed(ip(2));
    rig.permanent(ip(3), hw(3));
    assert_eq!(rig.process(ip(4), hw(4), true), RxOutcome::NoRoom);
    assert_eq!(rig.resolve(ip(4)), Resolution::Request);
    assert_eq!(rig.state(ip(2)), None);
    assert_eq!(
        rig.next_update(),
        [(
            ip(2),
            Update::Removed(RemoveReason::Evicted(Requester::Packet))
        )]
    );
}

/// In this order: unsolicited, failed, incomplete, valid.
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
    rig.process(ip(5), hw(5), true);
    for (new, old) in [(12, 5), (13, 2), (14, 4), (15, 3)] {
        assert!(rig.entry(ip(old)).is_some());
        rig.permanent(ip(new), hw(new));
        assert_eq!(rig.entry(ip(old)), None);
        assert_eq!(rig.table.len(), 4);
    }
    rig.neighbour(ip(16), Neighbour::Permanent(hw(16)));
    assert_eq!(rig.table.lookup(ip(16)), None);
    assert_eq!(rig.table.len(), 4);
}

/// Evicts an entry that is idle, as the kernel reports.
#[test]
fn room_for_a_packet_is_made_by_what_was_not_used_of_late() {
    let mut rig = Rig::with(
        Settings {
            limit: 5,
            ..SETTINGS
        },
        69,
        4,
    );
    rig.valid(ip(2), hw(2));
    rig.permanent(ip(4), hw(4));
    rig.valid(ip(5), hw(5));
    rig.valid(ip(6), hw(6));
    rig.process(ip(3), hw(3), true);
    let used = |rig: &Rig, budget| -> Vec<_> { rig.table.least_recently_used(budget).collect() };
    assert_eq!(used(&rig, 9), [ip(2), ip(5), ip(6)]);
    assert_eq!(used(&rig, 1), [ip(2)]);
    // A received packet is no use.
    rig.process(ip(2), hw(2), true);
    rig.table.in_use(ip(2));
    assert_eq!(used(&rig, 9), [ip(5), ip(6), ip(2)]);
    assert_eq!(rig.resolve(ip(3)), Resolution::Known);
    assert_eq!(used(&rig, 9), [ip(5), ip(6), ip(2), ip(3)]);
    assert!(rig.table.needs_eviction(ip(7)) && !rig.table.needs_eviction(ip(2)));
    assert_eq!(rig.resolve(ip(7)), Resolution::NoRoom);
    for not_sent_to in [ip(4), ip(8)] {
        assert!(!rig.table.evict(not_sent_to));
        rig.table.in_use(not_sent_to);
    }
    assert!(rig.table.evict(ip(5)));
    assert!(!rig.table.evict(ip(5)));
    assert!(!rig.table.needs_eviction(ip(7)));
    assert_eq!(rig.resolve(ip(7)), Resolution::Request);
    assert_eq!(rig.table.stats().evicted, 1);
    let gone = (
        ip(5),
        Update::Removed(RemoveReason::Evicted(Requester::Packet)),
    );
    assert!(rig.next_update().contains(&gone));
}

/// A scan of addresses evicts its own entries, not a host that replied.
#[test]
fn room_for_a_packet_is_made_by_what_did_not_answer_the_first_request() {
    let mut rig = two(66);
    rig.valid(ip(2), hw(2));
    rig.incomplete(ip(3));
    assert!(rig.table.needs_eviction(ip(4)));
    rig.pass(SLOWEST);
    assert!(!rig.table.needs_eviction(ip(4)));
    assert_eq!(rig.resolve(ip(4)), Resolution::Request);
    assert_eq!(rig.table.lookup(ip(2)), Some(hw(2)));
    assert!(rig.is_none(ip(3)) || rig.state(ip(3)).is_none());
}

/// The stack's reply to an unsolicited sender evicts no host.
#[test]
fn room_is_not_made_by_a_host_for_a_stranger() {
    let mut rig = two(66);
    rig.valid(ip(2), hw(2));
    rig.valid(ip(3), hw(3));
    for last in 4..10 {
        assert_eq!(rig.process(ip(last), hw(last), true), RxOutcome::NoRoom);
    }
    for last in 4..10 {
        assert!(!rig.table.needs_eviction(ip(last)));
        assert!(!rig.table.admits(ip(last)));
        // A packet from this host does.
        assert!(rig.table.needs_eviction(ip(last)));
    }
    assert_eq!(rig.table.stats().refused, 6);
}

/// A removed entry keeps its slot until the update is taken.
#[test]
fn room_is_not_made_without_a_slot() {
    let mut rig = two(3);
    rig.process(ip(2), hw(2), true);
    rig.process(ip(3), hw(3), true);
    assert_eq!(rig.process(ip(4), hw(4), true), RxOutcome::New);
    assert!(!rig.table.has_room(ip(5)));
    assert_eq!(rig.process(ip(5), hw(5), true), RxOutcome::NoRoom);
    assert_eq!(rig.resolve(ip(5)), Resolution::NoRoom);
    assert_eq!(rig.table.len(), 2);
    assert_eq!(rig.table.stats().evicted, 1);
    rig.next_update();
    assert_eq!(rig.process(ip(5), hw(5), true), RxOutcome::New);
}

#[test]
fn room_is_seen_where_there_is_some() {
    let mut rig = two(66);
    assert!(rig.table.has_room(ip(4)));
    rig.valid(ip(2), hw(2));
    rig.process(ip(3), hw(3), true);
    // An unsolicited entry is evicted, and is not learned again.
    assert!(rig.table.has_room(ip(4)));
    assert_eq!(rig.resolve(ip(4)), Resolution::Request);
    for last in [3, 5] {
        assert!(!rig.table.has_room(ip(last)));
        assert_eq!(rig.resolve(ip(last)), Resolution::NoRoom);
    }
    // These have an entry.
    assert!(rig.table.has_room(ip(2)) && rig.table.has_room(ip(4)));
}

/// Once for each packet, host and neighbour without room.
#[test]
fn refusals_are_counted_once() {
    let mut rig = two(66);
    rig.valid(ip(2), hw(2));
    rig.valid(ip(3), hw(3));
    assert_eq!(rig.process(ip(4), hw(4), true), RxOutcome::NoRoom);
    assert_eq!(rig.table.stats().refused, 1);
    // The stack handles the same packet.
    assert!(!rig.table.admits(ip(4)));
    assert_eq!(rig.table.stats().refused, 1);
    assert!(!rig.table.admits(ip(4)));
    assert!(!rig.table.admits(ip(5)));
    assert_eq!(rig.table.stats().refused, 3);
    assert!(rig.table.admits(ip(2)));
    assert_eq!(rig.table.stats().refused, 3);
}
