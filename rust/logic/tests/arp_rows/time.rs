// SPDX-License-Identifier: GPL-2.0

//! Aging, retries, and the additions of Net/3.

use super::*;

// --- aging ---------------------------------------------------------------------------

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

/// The ancestor counts ticks of a minute: an entry lives for 19 to 20 minutes. Here it is exactly
/// 20.
#[test]
fn aging_valid_ends_at_twenty_ticks() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += 20 * MINUTE - 1;
    rig.tick();
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.next_update(), []);
    rig.now += 1;
    rig.tick();
    assert_eq!(rig.table.lookup(IT), None);
    assert_eq!(rig.table.len(), 0);
    // MAP_INVALID.
    assert_eq!(
        rig.next_update(),
        [(IT, Update::Removed(RemoveReason::Expired))]
    );
    assert_eq!(rig.table.stats().expired, 1);
    assert_eq!(rig.table.next_timeout(), None);
}

/// Without ticks in between.
#[test]
fn aging_valid_ends_after_a_long_sleep() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += 100 * MINUTE;
    // An entry that has expired is not verified.
    assert_eq!(rig.tick(), []);
    assert_eq!(
        rig.next_update(),
        [(IT, Update::Removed(RemoveReason::Expired))]
    );
}

/// The ancestor requests an expired entry with waiters at once. Here a neighbour with a packet
/// does, even before the tick.
#[test]
fn aging_valid_with_a_waiter_is_asked_for_again() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += 20 * MINUTE;
    assert_eq!(rig.resolve(IT), Resolution::Request);
    assert!(rig.is_incomplete(IT));
    assert_eq!(rig.table.lookup(IT), None);
    assert_eq!(rig.next_update(), []);
    assert_eq!(rig.table.stats().expired, 1);
    assert_eq!(rig.table.stats().requests, 2);
}

#[test]
fn aging_ended_and_untold_is_asked_for_again() {
    let mut rig = Rig::new();
    rig.gone(IT, ITS);
    assert_eq!(rig.resolve(IT), Resolution::Request);
    // The neighbour is incomplete already: it needs no update.
    assert_eq!(rig.next_update(), []);
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
    assert_eq!(rig.next_update(), []);
}

/// B16: the ancestor removes entries in use.
#[test]
fn aging_asks_one_tick_before_the_end() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += 19 * MINUTE - 1;
    assert_eq!(rig.tick(), []);
    rig.now += 1;
    assert_eq!(rig.tick(), [Due::Verify(IT, ITS)]);
    assert_eq!(rig.tick(), []);
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.process(IT, ITS, true), RxOutcome::Confirmed);
    let again = rig.now + 19 * MINUTE;
    assert_eq!(rig.pass(19 * MINUTE), [(again, Due::Verify(IT, ITS))]);
}

/// Some users of the kernel's neighbours do not report use.
#[test]
fn aging_verifies_a_host_that_a_packet_was_ever_sent_to() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    for _ in 0..10 {
        let due = rig.now + 19 * MINUTE;
        assert_eq!(rig.pass(19 * MINUTE), [(due, Due::Verify(IT, ITS))]);
        assert_eq!(rig.process(IT, ITS, true), RxOutcome::Confirmed);
    }
    // Without a reply it expires.
    assert_eq!(rig.pass(20 * MINUTE).len(), 1);
    assert_eq!(
        rig.next_update(),
        [(IT, Update::Removed(RemoveReason::Expired))]
    );
    // Unsolicited entries are not verified before the first packet.
    for (sent, asked) in [(false, 0), (true, 1)] {
        rig.process(ip(3), hw(3), true);
        if sent {
            assert_eq!(rig.table.used(ip(3), rig.now, 0), None);
        }
        assert_eq!(rig.pass(20 * MINUTE).len(), asked);
    }
}

/// The first packet to an unsolicited entry that is already expiring.
#[test]
fn aging_verifies_a_host_that_a_packet_is_sent_to_in_the_last_tick() {
    for by_question in [false, true] {
        let mut rig = Rig::new();
        rig.process(IT, ITS, true);
        assert_eq!(rig.pass(19 * MINUTE + SECOND), []);
        if by_question {
            assert_eq!(rig.resolve(IT), Resolution::Verify(ITS));
            assert_eq!(rig.resolve(IT), Resolution::Known);
        } else {
            let due = Some(Due::Verify(IT, ITS));
            assert_eq!(rig.table.used(IT, rig.now, 0), due);
            assert_eq!(rig.table.used(IT, rig.now, 0), None);
        }
        assert_eq!(rig.process(IT, ITS, true), RxOutcome::Confirmed);
        assert_eq!(rig.pass(19 * MINUTE).len(), 1);
    }
}

/// By `arping`, or by the user with NUD_REACHABLE.
#[test]
fn aging_asks_a_host_that_the_kernel_found_reachable() {
    let mut rig = Rig::new();
    rig.process(IT, ITS, true);
    rig.next_update();
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert!(!rig.entry(IT).unwrap().unsolicited);
    assert_eq!(rig.pass(19 * MINUTE).len(), 1);
}

/// A tick longer than the lifetime must not have all entries verified at once.
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

// --- retries -------------------------------------------------------------------------

#[test]
fn retry_incomplete_asks_again() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    let next = rig.table.next_timeout().unwrap();
    rig.now = next - 1;
    assert_eq!(rig.tick(), []);
    rig.now = next;
    assert_eq!(rig.tick(), [Due::Request(IT)]);
    assert_eq!(rig.tick(), []);
    assert_eq!(rig.table.stats().requests, 2);
}

#[test]
fn retry_requests_no_other_host() {
    let mut rig = Rig::new();
    rig.valid(ip(3), hw(3));
    rig.permanent(ip(4), hw(4));
    rig.failed(ip(5));
    rig.incomplete(IT);
    assert_eq!(requests(&rig.pass(12 * SECOND), IT).len(), 4);
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
        // Net/3 sends at most one a second.
        let between = pair[1] - pair[0];
        assert!((SETTINGS.retry / 16 * 13..=SLOWEST).contains(&between));
    }
    // The last request has the same timeout as the others.
    let failed = rig.now - rig.entry(IT).unwrap().age;
    assert!((SETTINGS.retry / 16 * 13..=SLOWEST).contains(&(failed - asked[4])));
    assert_eq!(rig.state(IT), Some(State::Failed));
    assert_eq!(rig.next_update(), [(IT, Update::Failed)]);
    assert_eq!(rig.table.stats().failed, 1);
    assert_eq!(rig.table.stats().requests, 5);
}

#[test]
fn net3_holds_down_for_twenty_seconds_and_counts_anew() {
    let mut rig = Rig::new();
    rig.incomplete(IT);
    while rig.is_incomplete(IT) {
        rig.now = rig.table.next_timeout().unwrap();
        rig.tick();
    }
    assert_eq!(rig.next_update(), [(IT, Update::Failed)]);
    let failed = rig.now;
    for after in [0, SECOND, 20 * SECOND - 1] {
        rig.now = failed + after;
        assert_eq!(rig.resolve(IT), Resolution::HeldDown);
        // Each time, as a new neighbour waits.
        assert_eq!(rig.next_update(), [(IT, Update::Failed)]);
    }
    assert_eq!(rig.table.stats().requests, 5);
    rig.now = failed + 20 * SECOND;
    assert_eq!(rig.resolve(IT), Resolution::Request);
    assert_eq!(requests(&rig.pass(18 * SECOND), IT).len(), 4);
    assert_eq!(rig.state(IT), Some(State::Failed));
}

/// The entry and its neighbour are removed after the hold-down.
#[test]
fn net3_hold_down_ends() {
    let mut rig = Rig::new();
    rig.failed(IT);
    let failed = rig.now - rig.entry(IT).unwrap().age;
    assert_eq!(rig.table.next_timeout(), Some(failed + 20 * SECOND));
    rig.now = failed + 20 * SECOND - 1;
    rig.tick();
    assert_eq!(rig.state(IT), Some(State::Failed));
    rig.now += 1;
    assert_eq!(rig.tick(), []);
    assert_eq!(
        rig.next_update(),
        [(IT, Update::Removed(RemoveReason::RetryAllowed))]
    );
    assert!(rig.is_none(IT));
}

/// `arpt_keep`.
#[test]
fn net3_keeps_for_twenty_minutes() {
    let mut rig = Rig::new();
    rig.process(IT, ITS, true);
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

/// Entries beyond a lower limit stay, but no new ones are admitted.
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
    assert_eq!(rig.process(ip(20), hw(20), true), RxOutcome::NoRoom);
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
