// SPDX-License-Identifier: GPL-2.0

//! The aging tick, the retry tick, and what Net/3 adds to them.

use super::*;

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

/// Nor does it have to be that somebody ticks in between.
#[test]
fn aging_valid_ends_after_a_long_sleep() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += 100 * MINUTE;
    // Asking for what is over would be of no use.
    assert_eq!(rig.tick(), []);
    assert_eq!(
        rig.next_update(),
        [(IT, Update::Removed(RemoveReason::Expired))]
    );
}

/// The ancestor asks at once for an entry that has ended and has waiters. Here a
/// neighbour that has something to send asks; that it does before the tick counts, too.
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
    // The neighbour has asked: it need not be told that it does not know.
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
    assert_eq!(rig.process(IT, ITS, true), RxOutcome::Confirmed);
    let again = rig.now + 19 * MINUTE;
    assert_eq!(rig.pass(19 * MINUTE), [(again, Due::Verify(IT, ITS))]);
}

/// Some readers of the kernel's neighbours do not tell that they use them.
#[test]
fn aging_asks_whom_a_packet_was_ever_sent_to() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    for _ in 0..10 {
        let due = rig.now + 19 * MINUTE;
        assert_eq!(rig.pass(19 * MINUTE), [(due, Due::Verify(IT, ITS))]);
        assert_eq!(rig.process(IT, ITS, true), RxOutcome::Confirmed);
    }
    // Silence ends it.
    assert_eq!(rig.pass(20 * MINUTE).len(), 1);
    assert_eq!(
        rig.next_update(),
        [(IT, Update::Removed(RemoveReason::Expired))]
    );
    // Strangers are left alone, until a packet is sent.
    for (sent, asked) in [(false, 0), (true, 1)] {
        rig.process(ip(3), hw(3), true);
        if sent {
            assert_eq!(rig.table.used(ip(3), rig.now, 0), None);
        }
        assert_eq!(rig.pass(20 * MINUTE).len(), asked);
    }
}

/// A host that was only heard of, and is sent to after its entry was looked at.
#[test]
fn aging_asks_whom_a_packet_is_sent_to_in_the_last_tick() {
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

/// `arping`, or an answer that the user's REACHABLE has made needless.
#[test]
fn aging_asks_a_host_that_the_kernel_found_reachable() {
    let mut rig = Rig::new();
    rig.process(IT, ITS, true);
    rig.next_update();
    rig.neighbour(IT, Neighbour::Reachable(ITS));
    assert!(!rig.entry(IT).unwrap().unsolicited);
    assert_eq!(rig.pass(19 * MINUTE).len(), 1);
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
    assert_eq!(rig.tick(), [Due::Request(IT)]);
    assert_eq!(rig.tick(), []);
    assert_eq!(rig.table.stats().requests, 2);
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
        // Each time: its neighbour has begun anew.
        assert_eq!(rig.next_update(), [(IT, Update::Failed)]);
    }
    assert_eq!(rig.table.stats().requests, 5);
    rig.now = failed + 20 * SECOND;
    assert_eq!(rig.resolve(IT), Resolution::Request);
    assert_eq!(requests(&rig.pass(18 * SECOND), IT).len(), 4);
    assert_eq!(rig.state(IT), Some(State::Failed));
}

/// Who is not asked for again is forgotten, and the kernel's neighbour with it.
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
