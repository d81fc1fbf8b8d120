// SPDX-License-Identifier: GPL-2.0

//! The state of a ring for the watchdog.
//!
//! The watchdog checks the rings of a device once a second, as long as one of them has work. Each
//! ring records whether it is watched: the first doorbell of an unwatched ring arms the watchdog,
//! and the check of an idle ring is the last one.
//!
//! Times are ticks of one clock that may overflow (jiffies). All functions are called under the
//! lock of the ring, so that a doorbell comes either before a check, which sees its work, or after.

/// Whether the watchdog checks a ring.
#[derive(Debug, Default)]
struct Watched(bool);

impl Watched {
    /// Marks a ring that has work. Returns whether the watchdog is to be armed.
    #[inline]
    fn begin(&mut self) -> bool {
        !core::mem::replace(&mut self.0, true)
    }
}

/// A TX ring. Its TX timeout is detected by
/// [`watchdog_check`](crate::transmit::Transmit::watchdog_check).
#[derive(Debug, Default)]
pub struct Tx {
    watched: Watched,
    /// Since when the ring has frames and completes none.
    since: Option<usize>,
}

impl Tx {
    /// Records a doorbell. Returns whether the watchdog is to be armed.
    #[inline]
    pub fn doorbell(&mut self, now: impl Fn() -> usize) -> bool {
        if self.since.is_none() {
            self.since = Some(now());
        }
        self.watched.begin()
    }

    /// Records that the poll completed `frames` frames and whether the ring is `empty`. Returns
    /// whether the watchdog is to be armed: requeued frames may be in a ring that was emptied
    /// meanwhile.
    #[inline]
    pub fn completed(&mut self, frames: usize, empty: bool, now: impl Fn() -> usize) -> bool {
        if empty {
            self.since = None;
            return false;
        }
        if frames > 0 || self.since.is_none() {
            self.since = Some(now());
        }
        self.watched.begin()
    }

    /// Records a check of a ring that has not expired, and whether it has work. Returns whether
    /// another check is needed.
    pub fn look(&mut self, work: bool) -> bool {
        self.watched.0 = work;
        work
    }

    /// Records that the ring was emptied. Returns for how many ticks it had completed nothing.
    /// Frames that the poll forwards at that time may be requeued.
    pub fn emptied(&mut self, now: usize) -> usize {
        self.since.take().map_or(0, |since| now.wrapping_sub(since))
    }
}

/// An RX ring.
#[derive(Debug, Default)]
pub struct Rx {
    watched: Watched,
    /// The number of frames that the poll had completed at the last check, if the ring had frames.
    seen: Option<usize>,
}

/// The result of the check of an RX ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// No frames: this was the last check.
    Idle,
    /// Frames; at the last check there were other frames, or none.
    Moves,
    /// The same frames as at the last check. Unless a poll runs, an IRQ was missed, and the frames
    /// would stay.
    Stands,
}

impl Rx {
    /// Records new frames. Returns whether the watchdog is to be armed.
    #[inline]
    pub fn doorbell(&mut self) -> bool {
        self.watched.begin()
    }

    /// Checks the ring. `done` is the number of frames that the poll has ever completed.
    pub fn look(&mut self, empty: bool, done: usize) -> Look {
        let seen = core::mem::replace(&mut self.seen, (!empty).then_some(done));
        self.watched.0 = !empty;
        match self.seen {
            None => Look::Idle,
            _ if seen == self.seen => Look::Stands,
            _ => Look::Moves,
        }
    }

    /// Records that the ring was emptied, so that later frames are not the same.
    pub fn emptied(&mut self) {
        self.seen = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_doorbell_arms_and_a_look_at_an_idle_ring_is_the_last() {
        let mut tx = Tx::default();
        assert!(tx.doorbell(|| 0));
        assert!(!tx.doorbell(|| 1));
        assert!(tx.look(true));
        assert!(!tx.doorbell(|| 2));
        assert!(!tx.completed(2, true, || 3));
        assert!(!tx.look(false));
        assert!(tx.doorbell(|| 4));

        let mut rx = Rx::default();
        assert!(rx.doorbell());
        assert!(!rx.doorbell());
        assert_eq!(rx.look(false, 0), Look::Moves);
        assert!(!rx.doorbell());
        assert_eq!(rx.look(true, 1), Look::Idle);
        assert!(rx.doorbell());
    }

    #[test]
    fn what_comes_back_to_a_ring_that_was_emptied_is_watched() {
        let mut tx = Tx::default();
        assert!(tx.doorbell(|| 0));
        assert_eq!(tx.emptied(5), 5);
        assert!(!tx.look(false));
        assert!(tx.completed(0, false, || 7));
        assert_eq!(tx.emptied(9), 2);
    }

    #[test]
    fn the_age_is_since_something_was_completed_or_there_was_nothing_to_do() {
        let mut tx = Tx::default();
        let never = || -> usize { panic!("the clock is asked without need") };
        tx.doorbell(|| usize::MAX - 1);
        tx.doorbell(never);
        assert_eq!(tx.emptied(3), 5);
        assert_eq!(tx.emptied(4), 0);
        tx.doorbell(|| 10);
        tx.completed(1, false, || 12);
        tx.completed(0, false, never);
        assert_eq!(tx.emptied(20), 8);
        tx.doorbell(|| 30);
        tx.completed(1, true, never);
        tx.doorbell(|| 40);
        assert_eq!(tx.emptied(41), 1);
    }

    #[test]
    fn a_ring_stands_that_has_frames_at_two_looks_and_is_done_with_none() {
        let mut rx = Rx::default();
        assert_eq!(rx.look(false, 7), Look::Moves);
        assert_eq!(rx.look(false, 8), Look::Moves);
        assert_eq!(rx.look(false, 8), Look::Stands);
        assert_eq!(rx.look(false, 8), Look::Stands);
        assert_eq!(rx.look(true, 9), Look::Idle);
        // New frames.
        assert_eq!(rx.look(false, 9), Look::Moves);
        rx.emptied();
        assert_eq!(rx.look(false, 9), Look::Moves);
        assert_eq!(rx.look(false, 9), Look::Stands);
    }
}
