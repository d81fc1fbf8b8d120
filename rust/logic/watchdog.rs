// SPDX-License-Identifier: GPL-2.0

//! What the watchdog knows of a ring.
//!
//! The watchdog looks at the rings of a device once a second, but only as long as one of them
//! has work. Each ring knows whether it is looked at: the first doorbell that finds that it is
//! not arms the watchdog, and a look at an idle ring is the last one.
//!
//! Times are ticks of one clock that may overflow (jiffies). All is called under the lock of the
//! ring, so that a doorbell comes either before a look, which sees its work, or after it.

/// Whether the watchdog looks at a ring.
#[derive(Debug, Default)]
struct Watched(bool);

impl Watched {
    /// The ring has work. Answers whether the watchdog is to be armed.
    #[inline]
    fn begin(&mut self) -> bool {
        !core::mem::replace(&mut self.0, true)
    }
}

/// A transmit ring, beside [`tick`](crate::transmit::Transmit::tick), which says whether it
/// hangs.
#[derive(Debug, Default)]
pub struct Tx {
    watched: Watched,
    /// Since when the ring has frames and completes none.
    since: Option<usize>,
}

impl Tx {
    /// A doorbell rings: the ring has frames. Answers whether the watchdog is to be armed.
    #[inline]
    pub fn doorbell(&mut self, now: impl Fn() -> usize) -> bool {
        if self.since.is_none() {
            self.since = Some(now());
        }
        self.watched.begin()
    }

    /// The poll is done with so many frames, and the ring holds others or does not. Answers
    /// whether the watchdog is to be armed: frames that came back may be in a ring that was
    /// emptied meanwhile.
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

    /// A look at a ring that does not hang, and has work or not. Answers whether there is to be
    /// another one.
    pub fn look(&mut self, work: bool) -> bool {
        self.watched.0 = work;
        work
    }

    /// The ring was emptied. Answers for how long it had completed nothing. The frames that the
    /// poll is carrying at this moment may come back.
    pub fn emptied(&mut self, now: usize) -> usize {
        self.since.take().map_or(0, |since| now.wrapping_sub(since))
    }
}

/// A receive ring.
#[derive(Debug, Default)]
pub struct Rx {
    watched: Watched,
    /// How many frames the poll had been done with at the last look, if the ring had others.
    seen: Option<usize>,
}

/// What a look at a receive ring has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing: this was the last look.
    Idle,
    /// Frames, of which there were others at the last look, or none.
    Moves,
    /// Frames, the same as at the last look. Unless a poll is under way, nothing will fetch
    /// them: an interrupt was missed.
    Stands,
}

impl Rx {
    /// Frames have come. Answers whether the watchdog is to be armed.
    #[inline]
    pub fn doorbell(&mut self) -> bool {
        self.watched.begin()
    }

    /// A look at the ring, when the poll was `done` with so many frames since ever.
    pub fn look(&mut self, empty: bool, done: usize) -> Look {
        let seen = core::mem::replace(&mut self.seen, (!empty).then_some(done));
        self.watched.0 = !empty;
        match self.seen {
            None => Look::Idle,
            _ if seen == self.seen => Look::Stands,
            _ => Look::Moves,
        }
    }

    /// The ring was emptied: the frames that come are others.
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
        // These have just come.
        assert_eq!(rx.look(false, 9), Look::Moves);
        rx.emptied();
        assert_eq!(rx.look(false, 9), Look::Moves);
        assert_eq!(rx.look(false, 9), Look::Stands);
    }
}
