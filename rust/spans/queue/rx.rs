// SPDX-License-Identifier: GPL-2.0

//! The RX ring: filled by the polls of senders, emptied by the poll of the queue.

use super::Queue;
use crate::{
    net::{clock::ktime_get, napi::Napi, spinlock_bh::LocalBhDisabled, DropReason, SkBuffList},
    spans::counters::Counter,
};
use spans_logic::{
    receive::{room, OnFull, RingFull},
    watchdog::{self, Look},
};

pub(super) struct RxRing {
    /// Whether the device is up.
    open: bool,
    /// Whether the device has a carrier.
    carrier: bool,
    frames: SkBuffList,
    slots: usize,
    full: RingFull,
    watch: watchdog::Rx,
    /// Doorbells schedule no poll: fault injection by debugfs `miss_irq`.
    misses_irq: bool,
}

/// The result of a watchdog check of an RX ring.
pub(in crate::spans) enum RxCheck {
    /// No frames: the watchdog need not check it again.
    Idle,
    /// Frames that a poll will fetch.
    Busy,
    /// Number of frames for which no poll was scheduled. Now one is.
    MissedIrq(usize),
}

impl RxRing {
    /// Creates the ring of a device that is down.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            open: false,
            carrier: false,
            frames: SkBuffList::default(),
            slots,
            full: RingFull::default(),
            watch: watchdog::Rx::default(),
            misses_irq: false,
        }
    }

    /// Accepts frames while there is a `carrier`: the device goes up.
    pub(super) fn open(&mut self, carrier: bool) {
        self.open = true;
        self.carrier = carrier;
    }

    pub(super) fn set_carrier(&mut self, carrier: bool) {
        self.carrier = carrier;
    }
}

impl Queue {
    /// Sets the number of slots. Frames in the ring stay.
    pub(in crate::spans) fn set_rx_slots(&self, slots: usize, bh: &LocalBhDisabled) {
        self.rx.lock(bh).slots = slots;
    }

    /// Sets whether doorbells schedule no poll, until [`check_rx`](Self::check_rx) schedules one.
    pub(in crate::spans) fn set_misses_irq(&self, misses: bool, bh: &LocalBhDisabled) {
        self.rx.lock(bh).misses_irq = misses;
    }

    pub(in crate::spans) fn misses_irq(&self, bh: &LocalBhDisabled) -> bool {
        self.rx.lock(bh).misses_irq
    }

    /// Checks the RX ring, a second after the last check or after the doorbell that armed the
    /// watchdog. Schedules a poll if the ring has made no progress and no poll is scheduled,
    /// running or deferred by the user. [`RingFull`] handles slow and deferred polls.
    pub(in crate::spans) fn check_rx(queue: &Napi<Self>, bh: &LocalBhDisabled) -> RxCheck {
        let (look, frames) = {
            let mut rx = queue.rx.lock(bh);
            let frames = rx.frames.len();
            let look = rx.watch.look(frames == 0, queue.rx_done.read());
            if look == Look::Stands {
                // Under the lock, before the poll is scheduled: this flag may be what was lost.
                queue.rx_pending.write(true);
            }
            (look, frames)
        };
        match look {
            Look::Idle => RxCheck::Idle,
            Look::Stands if queue.schedule_if_missed(bh) => {
                queue.set_misses_irq(false, bh);
                queue.count(Counter::RxMissedIrqs, 1);
                RxCheck::MissedIrq(frames)
            }
            Look::Moves | Look::Stands => RxCheck::Busy,
        }
    }

    /// Returns whether another frame of a sender with this `tx_wait`, in nanoseconds, would have to
    /// wait.
    pub(in crate::spans) fn makes_wait(&self, tx_wait: u64, bh: &LocalBhDisabled) -> bool {
        let mut rx = self.rx.lock(bh);
        rx.open
            && rx.carrier
            && room(rx.frames.len(), rx.slots, 1) == 0
            && self.on_full(&mut rx, tx_wait) == OnFull::Backpressure
    }

    /// Decides about a frame without room, of a sender with this `tx_wait`.
    fn on_full(&self, rx: &mut RxRing, tx_wait: u64) -> OnFull {
        if self.rx_slow.read() {
            return OnFull::Drop;
        }
        rx.full.on_full(ktime_get(), tx_wait, self.rx_done.read())
    }

    /// Puts frames from the segment into the RX ring while there is room. The other frames stay in
    /// `frames` if the `tx_wait` of their sender, in nanoseconds, lets them wait, or are dropped.
    /// Returns whether the poll has to be scheduled. `watch` arms the watchdog; it is called under
    /// the lock, so not after [`close`](Self::close).
    #[must_use = "the poll has to be scheduled"]
    pub(in crate::spans) fn enqueue_rx(
        &self,
        frames: &mut SkBuffList,
        tx_wait: u64,
        watch: impl FnOnce(),
        bh: &LocalBhDisabled,
    ) -> bool {
        if frames.is_empty() {
            return false;
        }
        let mut rx = self.rx.lock(bh);
        if !rx.open || !rx.carrier {
            drop(rx);
            self.drop_frames(frames, Counter::RxDropNotReady, DropReason::DEV_READY);
            return false;
        }
        let taken = room(rx.frames.len(), rx.slots, frames.len());
        rx.frames.append(&mut frames.take_front(taken));
        // Under the lock, before the poll is scheduled.
        self.rx_pending.write(true);
        if taken > 0 && rx.watch.doorbell() {
            watch();
        }
        let schedule = taken > 0 && !rx.misses_irq;
        if !frames.is_empty() && self.on_full(&mut rx, tx_wait) == OnFull::Drop {
            drop(rx);
            self.drop_frames(frames, Counter::RxDropFull, DropReason::FULL_RING);
        }
        schedule
    }

    /// Takes at most `budget` frames from the RX ring, for the poll. Returns also whether the ring
    /// was full.
    pub(in crate::spans) fn take_rx(
        &self,
        budget: usize,
        bh: &LocalBhDisabled,
    ) -> Option<(SkBuffList, bool)> {
        if !self.rx_pending.read() {
            return None;
        }
        let mut rx = self.rx.lock(bh);
        let full = room(rx.frames.len(), rx.slots, 1) == 0;
        let frames = rx.frames.take_front(budget);
        self.rx_pending.write(!rx.frames.is_empty());
        (!frames.is_empty()).then_some((frames, full))
    }

    /// Puts frames back that the poll has taken and had no time for.
    pub(in crate::spans) fn put_back_rx(&self, mut frames: SkBuffList, bh: &LocalBhDisabled) {
        let mut rx = self.rx.lock(bh);
        frames.append(&mut rx.frames);
        rx.frames = frames;
        self.rx_pending.write(true);
    }

    /// Number of frames that the poll has passed to the stack or dropped. Wraps.
    pub(in crate::spans) fn rx_done(&self) -> usize {
        self.rx_done.read()
    }

    /// For the poll, which alone changes it.
    pub(in crate::spans) fn set_rx_done(&self, done: usize) {
        self.rx_done.write(done);
    }

    /// Sets whether frames wait for this receiver while its ring is full. For the poll.
    pub(in crate::spans) fn set_rx_slow(&self, slow: bool) {
        if slow != self.rx_slow.read() {
            self.rx_slow.write(slow);
        }
    }

    /// Refuses frames of the segment from now on, and drops the frames in the ring. The poll is
    /// not running.
    pub(in crate::spans) fn close(&self, bh: &LocalBhDisabled) {
        self.rx.lock(bh).open = false;
        self.purge_rx(bh);
        self.rx.lock(bh).watch = watchdog::Rx::default();
    }

    /// Drops the frames in the ring.
    pub(in crate::spans) fn purge_rx(&self, bh: &LocalBhDisabled) {
        let mut received = {
            let mut rx = self.rx.lock(bh);
            rx.full = RingFull::default();
            rx.watch.emptied();
            rx.misses_irq = false;
            self.rx_slow.write(false);
            rx.frames.take()
        };
        self.drop_frames(&mut received, Counter::RxDropPurge, DropReason::QUEUE_PURGE);
    }
}
