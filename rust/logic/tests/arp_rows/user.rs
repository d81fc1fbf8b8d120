// SPDX-License-Identifier: GPL-2.0

//! Commands of the user: `ADD_ARP`, `DEL_ARP`, `INF_ARP`, up and down.

use super::*;

// --- ADD_ARP ---------------------------------------------------------------------------

#[test]
fn add_none_is_permanent() {
    let mut rig = Rig::new();
    rig.neighbour(IT, Neighbour::Permanent(ITS));
    assert_eq!(rig.state(IT), Some(State::Permanent));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.next_update(), []);
    assert_eq!(rig.pass(10 * MINUTE), []);
    assert_eq!(rig.table.stats().requests, 0);
}

/// While the device is down, too: the kernel keeps such a neighbour when it goes up.
#[test]
fn add_while_down_is_permanent() {
    let mut rig = Rig::new();
    rig.down();
    rig.permanent(IT, ITS);
    assert_eq!(rig.up(), []);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
}

/// The ancestor notifies its waiters; here the neighbour has the address already.
#[test]
fn add_incomplete_is_permanent_and_not_asked_for() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.permanent(IT, ITS);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.pass(10 * MINUTE), []);
    assert_eq!(rig.next_update(), []);
}

#[test]
fn add_valid_is_permanent() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.permanent(IT, OTHER);
    assert_eq!(rig.table.lookup(IT), Some(OTHER));
    assert_eq!(rig.pass(100 * MINUTE), []);
    assert_eq!(rig.state(IT), Some(State::Permanent));
    assert_eq!(rig.next_update(), []);
}

#[test]
fn add_permanent_has_the_new_address() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.now += MINUTE;
    rig.permanent(IT, OTHER);
    assert_eq!(rig.table.lookup(IT), Some(OTHER));
    assert_eq!(rig.table.len(), 1);
    assert_eq!(rig.entry(IT).unwrap().age, 0);
    assert_eq!(rig.next_update(), []);
}

#[test]
fn add_failed_is_permanent() {
    let mut rig = Rig::new();
    rig.failed(IT);
    rig.permanent(IT, ITS);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.pass(MINUTE), []);
    assert_eq!(rig.state(IT), Some(State::Permanent));
}

/// An unsolicited entry becomes the user's, and is not evicted any more.
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
    rig.process(IT, ITS, true);
    rig.permanent(IT, ITS);
    assert!(!rig.entry(IT).unwrap().unsolicited);
    assert_eq!(rig.process(ip(3), hw(3), true), RxOutcome::NoRoom);
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

/// Here and below, the ancestor notifies its waiters with `MAP_FAILED`; here the kernel has done
/// so.
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
    // Nor is it restored.
    rig.down();
    assert_eq!(rig.up(), []);
}

/// `ip neigh change ... nud none`, or a new neighbour.
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

/// The state of a new neighbour of an unrestored entry is not the user's: another address, which a
/// duplicate host may have sent, is corrected by an update.
#[test]
fn unrestored_is_changed_by_the_user_only() {
    for (neighbour, wrong) in [
        (Neighbour::Unresolved, false),
        (Neighbour::Dead, false),
        (Neighbour::Reachable(ITS), false),
        (Neighbour::Reachable(OTHER), true),
        (Neighbour::Stale(OTHER), true),
        (Neighbour::Probing(OTHER), true),
    ] {
        let mut rig = Rig::new();
        rig.permanent(IT, ITS);
        rig.neighbour(IT, Neighbour::Dead);
        rig.neighbour(IT, neighbour);
        assert_eq!(rig.state(IT), Some(State::Unrestored), "{neighbour:?}");
        let updates = if wrong {
            vec![(IT, Update::Valid(ITS))]
        } else {
            vec![]
        };
        assert_eq!(rig.next_update(), updates, "{neighbour:?}");
        assert_eq!(rig.process(IT, OTHER, true), RxOutcome::Permanent);
        assert_eq!(rig.restore(), [(IT, ITS)]);
        assert_eq!(rig.state(IT), Some(State::Permanent));
    }
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.neighbour(IT, Neighbour::Dead);
    rig.permanent(IT, OTHER);
    assert_eq!(rig.restore(), []);
    assert_eq!(rig.table.lookup(IT), Some(OTHER));
}

/// `ip neigh del` before the neighbour could be restored.
#[test]
fn delete_forgotten() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.neighbour(IT, Neighbour::Dead);
    rig.resolve(IT);
    rig.next_update();
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
    assert_eq!(rig.restore(), []);
}

/// While the device is down only the user sets another address; a report of the same address is
/// that of the last update.
#[test]
fn replace_while_down() {
    for neighbour in [
        Neighbour::Reachable(OTHER),
        Neighbour::Stale(OTHER),
        Neighbour::Probing(OTHER),
    ] {
        let mut rig = Rig::new();
        rig.permanent(IT, ITS);
        rig.down();
        rig.neighbour(IT, Neighbour::Reachable(ITS));
        assert_eq!(rig.state(IT), Some(State::Unrestored));
        rig.neighbour(IT, neighbour);
        assert_eq!(rig.up(), []);
        assert_eq!(rig.entry(IT).unwrap().address, Some(OTHER));
        let unverified = neighbour != Neighbour::Reachable(OTHER);
        assert_eq!(rig.state(IT) == Some(State::Unverified), unverified);
    }
}

/// `ip neigh replace ... nud reachable`: only the user can do that to a permanent entry, also with
/// an update pending.
#[test]
fn permanent_ends_by_the_users_wish() {
    for neighbour in [
        Neighbour::Reachable(OTHER),
        Neighbour::Stale(OTHER),
        Neighbour::Probing(OTHER),
        Neighbour::Reachable(ITS),
    ] {
        for locked in [false, true] {
            let mut rig = Rig::new();
            if locked {
                rig.process(IT, OTHER, true);
            }
            rig.permanent(IT, ITS);
            assert_eq!(rig.entry(IT).unwrap().locked, locked);
            rig.neighbour(IT, neighbour);
            let state = match neighbour {
                Neighbour::Reachable(_) => State::Valid,
                _ => State::Unverified,
            };
            assert_eq!(rig.state(IT), Some(state), "{neighbour:?}");
            rig.pass(20 * MINUTE);
            assert_eq!(rig.table.lookup(IT), None);
            rig.down();
            assert_eq!(rig.up(), []);
        }
    }
}

/// An update taken before the user made the entry permanent is about its previous state.
#[test]
fn delete_permanent_is_no_echo() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.pass(20 * SECOND);
    assert_eq!(rig.table.next_update(), Some((IT, Update::Failed)));
    rig.permanent(IT, ITS);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
}

/// If the kernel has no memory for the neighbour, the entry stays unrestored.
#[test]
fn restored_is_what_the_kernel_took() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.table.restored(IT);
    rig.table.restored(ip(3));
    assert_eq!(rig.table.next_unrestored(), None);
    rig.neighbour(IT, Neighbour::Dead);
    assert_eq!(rig.table.next_unrestored(), Some((IT, ITS)));
    assert_eq!(rig.table.next_unrestored(), Some((IT, ITS)));
    rig.table.restored(IT);
    assert_eq!(rig.table.next_unrestored(), None);
    assert_eq!(rig.state(IT), Some(State::Permanent));
}

/// E.g. its address has become local.
#[test]
fn not_restored_is_gone() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    rig.table.not_restored(IT);
    assert_eq!(rig.state(IT), Some(State::Permanent));
    rig.neighbour(IT, Neighbour::Dead);
    rig.table.not_restored(IT);
    rig.table.not_restored(ip(3));
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.next_unrestored(), None);
}

#[test]
fn delete_locked_has_nothing_more_to_tell() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.process(IT, ITS, true);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
}

/// The ancestor has no such state. The neighbour of a held-down host fails because of the update,
/// and the hold-down stays.
#[test]
fn delete_failed_stays_held() {
    let mut rig = Rig::new();
    rig.failed(IT);
    rig.neighbour(IT, Neighbour::Failed);
    assert_eq!(rig.resolve(IT), Resolution::HeldDown);
}

/// A neighbour that fails because of an update was not deleted by the user, even if the entry has
/// changed since.
#[test]
fn delete_what_is_being_told_is_an_echo() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    rig.pass(20 * SECOND);
    assert_eq!(rig.table.next_update(), Some((IT, Update::Failed)));
    rig.process(IT, ITS, true);
    rig.neighbour(IT, Neighbour::Failed);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.table.next_update(), Some((IT, Update::Valid(ITS))));
    // The update is done: from now on it is the user.
    assert_eq!(rig.table.next_update(), None);
    rig.neighbour(IT, Neighbour::Failed);
    assert!(rig.is_none(IT));
}

#[test]
fn delete_after_gone_is_an_echo() {
    let mut rig = Rig::new();
    rig.gone(IT, ITS);
    assert_eq!(
        rig.table.next_update(),
        Some((IT, Update::Removed(RemoveReason::Expired)))
    );
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
    rig.process(ip(5), hw(5), true);
    let mut entries = rig.entries();
    entries.sort_by_key(|entry| entry.ip);
    let got: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.ip,
                entry.address,
                entry.locked,
                entry.unsolicited,
                entry.age,
            )
        })
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
    assert_eq!(entries[0].state, State::Permanent);
    assert!(matches!(
        entries[2].state,
        State::Incomplete { tries: 1, .. }
    ));
}

/// The ancestor fills a buffer and returns its end; here the reader continues with the next slots,
/// and misses no entry that stays.
#[test]
fn views_come_in_parts() {
    let mut rig = Rig::new();
    for last in 2..52 {
        rig.permanent(ip(last), hw(last));
    }
    let mut seen = Vec::new();
    for first in (0..rig.table.capacity()).step_by(7) {
        let part: Vec<_> = rig.table.entries(first, 7, rig.now).collect();
        assert!(part.len() <= 7);
        seen.extend(part.iter().map(|entry| entry.ip));
    }
    seen.sort();
    assert_eq!(seen, (2..52).map(ip).collect::<Vec<_>>());
}

#[test]
fn views_do_not_show_what_is_gone() {
    let mut rig = Rig::new();
    rig.gone(IT, ITS);
    assert_eq!(rig.entries(), []);
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
    // The kernel deletes its neighbours, in any order.
    for _ in 0..2 {
        rig.down();
        let mut restored = rig.up();
        restored.sort();
        assert_eq!(restored, [2, 3, 4].map(|last| (ip(last), hw(last))));
        assert_eq!(rig.next_update(), []);
    }
    // Only neighbours that were deleted are restored.
    rig.neighbour(ip(3), Neighbour::Dead);
    assert_eq!(rig.up(), [(ip(3), hw(3))]);
}

/// The ancestor removes permanent entries, too. Here they stay until the device is deleted; waiting
/// packets are no reason to panic.
#[test]
fn down_drops_all_but_permanent() {
    let mut rig = Rig::new();
    rig.permanent(ip(2), hw(2));
    rig.valid(ip(3), hw(3));
    rig.failed(ip(4));
    rig.incomplete(ip(5));
    rig.valid(ip(6), hw(6));
    rig.process(ip(6), hw(66), false);
    rig.process(ip(7), hw(7), true);
    rig.table.down();
    assert!(!rig.table.flush_some(usize::MAX, false));
    assert_eq!(rig.table.len(), 1);
    assert_eq!(rig.table.lookup(ip(2)), Some(hw(2)));
    assert_eq!(rig.table.next_timeout(), None);
    assert_eq!(rig.next_update(), []);
    assert!(!rig.table.flush_some(usize::MAX, true));
    assert!(rig.table.is_empty());
}

#[test]
fn down_drops_what_is_ending() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.pass(19 * MINUTE);
    rig.table.down();
    assert!(!rig.table.flush_some(10, false));
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
    assert!(rig.table.flush_some(4, false));
    assert_eq!(rig.table.len(), 7);
    assert!(rig.table.flush_some(0, false));
    assert_eq!(rig.table.len(), 7);
    assert!(rig.table.flush_some(5, false));
    // The budget is exactly the number of entries.
    assert!(!rig.table.flush_some(1, false));
    assert!(!rig.table.flush_some(0, false));
    assert_eq!(rig.table.len(), 1);
    assert!(rig.table.flush_some(0, true));
    assert!(!rig.table.flush_some(1, true));
    assert!(rig.table.is_empty());
}

/// The timer may fire until the flush is done.
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
    assert_eq!(rig.table.stats().requests, 2);
}
