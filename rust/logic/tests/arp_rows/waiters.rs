// SPDX-License-Identifier: GPL-2.0

//! Requests and reports of waiters, the kernel's neighbours: `svcout`, `svcactive`, `vcclose`.

use super::*;

// --- svcout ------------------------------------------------------------------------

#[test]
fn resolve_none_asks_at_once_and_joins_the_retries() {
    let mut rig = Rig::new();
    let began = rig.now;
    assert_eq!(rig.resolve(IT), Resolution::Request);
    assert!(rig.is_incomplete(IT));
    assert_eq!(rig.table.lookup(IT), None);
    assert_eq!(rig.next_update(), []);
    assert_eq!(rig.table.stats().requests, 1);
    // The retry timer is armed, for a reasonable time.
    let next = rig.table.next_timeout().unwrap();
    assert!(next >= began + SETTINGS.retry / 2 && next <= began + SLOWEST);
}

/// There is no `MAP_FAILED` for a device that is down: the result is that without room, as the
/// packet is dropped, too.
#[test]
fn resolve_while_down_is_refused() {
    let mut rig = Rig::new();
    rig.table.down();
    assert_eq!(rig.resolve(IT), Resolution::NoRoom);
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.stats().requests, 0);
}

#[test]
fn resolve_incomplete_asks_no_second_time() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    let next = rig.table.next_timeout();
    rig.now += SECOND;
    assert_eq!(rig.resolve(IT), Resolution::Wait);
    assert_eq!(rig.table.stats().requests, 1);
    // Nor is the next retry postponed.
    assert_eq!(rig.table.next_timeout(), next);
    assert_eq!(rig.next_update(), []);
}

/// The ancestor returns `MAP_VALID`; here the kernel's neighbour has no address, so it gets an
/// update.
#[test]
fn resolve_valid_is_known_and_does_not_refresh() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    let next = rig.table.next_timeout();
    rig.now += MINUTE;
    assert_eq!(rig.resolve(IT), Resolution::Known);
    assert_eq!(rig.entry(IT).unwrap().age, MINUTE);
    assert_eq!(rig.table.next_timeout(), next);
    assert_eq!(rig.next_update(), [(IT, Update::Valid(ITS))]);
    assert_eq!(rig.table.stats().requests, 1);
}

#[test]
fn resolve_ending_is_known_and_does_not_refresh() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.pass(19 * MINUTE);
    assert_eq!(rig.state(IT), Some(State::Expiring));
    assert_eq!(rig.resolve(IT), Resolution::Known);
    assert_eq!(rig.entry(IT).unwrap().age, 19 * MINUTE);
    assert_eq!(rig.next_update(), [(IT, Update::Valid(ITS))]);
}

/// A permanent entry without a neighbour.
#[test]
fn resolve_forgotten_is_known() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.neighbour(IT, Neighbour::Dead);
    assert_eq!(rig.resolve(IT), Resolution::Known);
    assert_eq!(rig.next_update(), [(IT, Update::Valid(ITS))]);
    assert_eq!(rig.state(IT), Some(State::Unrestored));
    assert_eq!(rig.table.stats().requests, 0);
}

/// The kernel does not solicit a permanent neighbour: the user has just deleted it, and a packet is
/// sent before the kernel reports that.
#[test]
fn resolve_permanent_is_asked_for() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    assert_eq!(rig.resolve(IT), Resolution::Request);
    rig.neighbour(IT, Neighbour::Unresolved);
    assert!(rig.is_incomplete(IT));
    rig.down();
    assert_eq!(rig.up(), []);
}

// --- svcactive -----------------------------------------------------------------------

#[test]
fn kernel_valid_none_is_remembered() {
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.state(IT), Some(State::Valid));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    // No update, as the kernel reported it.
    assert_eq!(rig.next_update(), []);
}

/// The ancestor retries the entry without a waiter (B15).
#[test]
fn kernel_valid_incomplete_ends_the_search() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.next_update(), []);
    assert_eq!(rig.pass(10 * MINUTE), []);
}

/// The ancestor takes an open circuit for a confirmation. Here it would be the report of the
/// table's own update: it proves nothing, and the entry would never expire.
#[test]
fn kernel_valid_valid_does_not_refresh() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += MINUTE;
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.entry(IT).unwrap().age, MINUTE);
    assert_eq!(rig.next_update(), []);
}

#[test]
fn kernel_valid_ending_does_not_refresh() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.pass(19 * MINUTE);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.state(IT), Some(State::Expiring));
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
    assert_eq!(rig.entry(IT).unwrap().age, 0);
    assert_eq!(rig.next_update(), []);
}

/// The report may be that of an earlier update.
#[test]
fn kernel_valid_locked_is_not_believed() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.process(IT, OTHER, false);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.table.lookup(IT), Some(OTHER));
    assert_eq!(rig.next_update(), [(IT, Update::Valid(OTHER))]);
}

/// The user replaces a permanent neighbour by one that is not.
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
    assert_eq!(rig.next_update(), []);
}

/// A neighbour that waits gets no update that was pending before its address was requested again.
#[test]
fn kernel_valid_asked_for_again_ends_the_search() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.process(IT, OTHER, false);
    rig.now += SETTINGS.lifetime;
    assert_eq!(rig.resolve(IT), Resolution::Request);
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.next_update(), []);
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
    // Other addresses are still requested.
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
    assert_eq!(rig.state(IT), Some(State::Expiring));
}

#[test]
fn dead_permanent_stays_known() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.neighbour(IT, Neighbour::Dead);
    assert_eq!(rig.state(IT), Some(State::Unrestored));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
}

/// The ancestor has no such state. Deleting the neighbour allows another request.
#[test]
fn dead_failed_may_be_asked_again() {
    let mut rig = Rig::new();
    rig.failed(IT);
    rig.neighbour(IT, Neighbour::Dead);
    assert_eq!(rig.resolve(IT), Resolution::Request);
}

/// A carrier that comes on does the same.
#[test]
fn forgiven_failed_may_be_asked_again() {
    let mut rig = Rig::new();
    rig.failed(IT);
    rig.failed(ip(3));
    assert!(rig.table.retry_failed(1));
    assert!(!rig.table.retry_failed(5));
    assert_eq!(
        rig.next_update(),
        [IT, ip(3)].map(|ip| (ip, Update::Removed(RemoveReason::RetryAllowed)))
    );
    assert_eq!(rig.resolve(IT), Resolution::Request);
    assert_eq!(rig.resolve(ip(3)), Resolution::Request);
}

/// A request without a carrier counts as lost.
#[test]
fn mended_incomplete_is_asked_at_once() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.now += SECOND;
    rig.incomplete(ip(3));
    rig.now += 1;
    rig.table.carrier_on(rig.now);
    assert!(rig.table.next_timeout().is_some_and(|next| next <= rig.now));
    let mut due = Vec::new();
    assert!(!rig.table.tick(rig.now, 9, || 0, |it| due.push(it)));
    due.sort_by_key(|it| matches!(it, Due::Request(it) if *it != IT));
    assert_eq!(due, [Due::Request(IT), Due::Request(ip(3))]);
    // The count of requests starts anew.
    let state = State::Incomplete { tries: 1, pace: 0 };
    assert_eq!(rig.state(IT), Some(state));
    assert!(rig.table.next_timeout().is_some_and(|next| next > rig.now));
}

// --- unverified entries ------------------------------------------------------------------

const DOUBTED: [fn(Address) -> Neighbour; 2] = [Neighbour::Stale, Neighbour::Probing];

/// It is not valid, and is evicted as unsolicited entries are.
#[test]
fn doubted_none_is_unverified() {
    for doubted in DOUBTED {
        let mut rig = Rig::new();
        rig.neighbour(IT, doubted(ITS));
        let entry = rig.entry(IT).unwrap();
        assert_eq!((entry.state, entry.unsolicited), (State::Unverified, true));
        assert_eq!(entry.address, Some(ITS));
        assert_eq!(rig.table.lookup(IT), None);
        assert_eq!(rig.next_update(), []);
        // Without a packet it expires as all others do.
        assert_eq!(rig.pass(20 * MINUTE - 1), []);
        assert_eq!(rig.state(IT), Some(State::Unverified));
        rig.pass(1);
        assert_eq!(
            rig.next_update(),
            [(IT, Update::Removed(RemoveReason::Expired))]
        );
        assert_eq!(rig.table.stats().requests, 0);
    }
}

/// The first packet triggers a broadcast request; the next ones do not.
#[test]
fn doubted_is_asked_for_with_its_first_packet() {
    for answer in [ITS, OTHER] {
        let mut rig = Rig::new();
        rig.neighbour(IT, Neighbour::Stale(ITS));
        assert_eq!(rig.table.used(IT, rig.now, 0), Some(Due::Request(IT)));
        assert!(rig.is_incomplete(IT));
        assert_eq!(rig.table.used(IT, rig.now, 0), None);
        assert_eq!(rig.process(IT, answer, true), RxOutcome::Resolved);
        assert_eq!(rig.next_update(), [(IT, Update::Valid(answer))]);
    }
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Stale(ITS));
    assert_eq!(rig.table.used(IT, rig.now, 0), Some(Due::Request(IT)));
    assert_eq!(requests(&rig.pass(18 * SECOND), IT).len(), 4);
    assert_eq!(rig.next_update(), [(IT, Update::Failed)]);
}

/// The kernel sends probes itself if the user sets NUD_PROBE.
#[test]
fn doubted_is_asked_for_with_the_kernels_question() {
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Probing(ITS));
    assert_eq!(rig.resolve(IT), Resolution::Request);
    assert!(!rig.entry(IT).unwrap().unsolicited);
}

/// It is verified by a packet of the host, and by TCP (`dst_confirm()`).
#[test]
fn doubted_is_verified_without_a_question() {
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Stale(ITS));
    assert_eq!(rig.process(IT, ITS, true), RxOutcome::Confirmed);
    assert_eq!(rig.state(IT), Some(State::Valid));
    assert!(rig.entry(IT).unwrap().unsolicited);

    rig.neighbour(ip(3), Neighbour::Stale(hw(3)));
    assert_eq!(
        rig.process(ip(3), OTHER, true),
        RxOutcome::Changed { from: hw(3) }
    );
    assert_eq!(rig.next_update(), [(ip(3), Update::Learned(OTHER))]);

    rig.neighbour(ip(4), Neighbour::Stale(hw(4)));
    rig.neighbour(ip(4), Neighbour::Reachable(hw(4)));
    assert_eq!(rig.state(ip(4)), Some(State::Valid));
    assert!(!rig.entry(ip(4)).unwrap().unsolicited);
}

/// A valid entry with the same address stays; another address replaces it, unverified.
#[test]
fn doubted_after_it_was_known() {
    for doubted in DOUBTED {
        let mut rig = Rig::new();
        rig.valid(IT, ITS);
        rig.neighbour(IT, doubted(ITS));
        assert_eq!(rig.state(IT), Some(State::Valid));
        rig.neighbour(IT, doubted(OTHER));
        assert_eq!(rig.state(IT), Some(State::Unverified));
        assert_eq!(rig.entry(IT).unwrap().address, Some(OTHER));

        rig.failed(ip(3));
        rig.neighbour(ip(3), doubted(hw(3)));
        assert_eq!(rig.state(ip(3)), Some(State::Unverified));

        rig.incomplete(ip(4));
        rig.neighbour(ip(4), doubted(hw(4)));
        assert_eq!(rig.resolve(ip(4)), Resolution::Wait);
    }
}

#[test]
fn doubted_goes_with_its_neighbour() {
    for gone in [Neighbour::Failed, Neighbour::Dead] {
        let mut rig = Rig::new();
        rig.neighbour(IT, Neighbour::Stale(ITS));
        rig.neighbour(IT, gone);
        assert!(rig.is_none(IT));
    }
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Stale(ITS));
    rig.down();
    assert_eq!(rig.table.used(IT, rig.now, 0), None);
    assert!(rig.is_none(IT));
}

/// The host with the most recent packet is evicted last.
#[test]
fn heard_again_makes_room_later() {
    let settings = Settings {
        limit: 2,
        ..SETTINGS
    };
    let mut rig = Rig::with(settings, 10, 3);
    for last in [2, 3, 2, 4] {
        rig.process(ip(last), hw(last), true);
    }
    assert_eq!(rig.table.lookup(ip(2)), Some(hw(2)));
    assert_eq!(rig.table.lookup(ip(3)), None);
}

/// Growing changes neither the entries nor the order in which they expire.
#[test]
fn grown_tables_hold_what_they_held() {
    let mut rig = Rig::with(SETTINGS, 40, 7);
    let mut other = Rig::with(SETTINGS, 40, 7);
    for rig in [&mut rig, &mut other] {
        for last in 2..30 {
            rig.process(ip(last), hw(last), true);
            rig.pass(SECOND);
        }
        rig.next_update();
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
        rig.process(ip(5), hw(6), true);
    }
    assert_eq!(rig.next_update(), other.next_update());
    assert_eq!(rig.pass(30 * MINUTE), other.pass(30 * MINUTE));
    assert_eq!(rig.next_update(), other.next_update());
    assert_eq!(rig.table.len(), other.table.len());
    for last in 50..140 {
        assert_eq!(rig.process(ip(last), hw(last), true), RxOutcome::New);
    }
}

#[test]
fn dead_locked_stays_and_is_told() {
    let mut rig = Rig::new();
    rig.gone(ip(4), hw(4));
    rig.incomplete(IT);
    rig.process(IT, ITS, true);
    rig.permanent(ip(3), hw(3));
    for last in 2..5 {
        rig.neighbour(ip(last), Neighbour::Dead);
    }
    rig.resolve(ip(3));
    assert_eq!(
        rig.next_update(),
        [
            (ip(4), Update::Removed(RemoveReason::Expired)),
            (IT, Update::Valid(ITS)),
            (ip(3), Update::Valid(hw(3))),
        ]
    );
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.table.len(), 2);
}
