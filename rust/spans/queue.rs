// SPDX-License-Identifier: GPL-2.0

//! The queues of a device: a ring to send, a ring to receive, and the poll that
//! empties both.
//!
//! The doorbell is [`Napi::schedule`]: whoever puts something into a ring rings
//! it afterwards, without the lock. The poll empties the rings and then goes to
//! sleep; when the doorbell rings in between, NAPI remembers and polls again, so
//! nothing is left lying.
//!
//! [`Napi::schedule`]: crate::net::napi::Napi::schedule

use super::{
    counters::{self, Counter, Sums},
    Spans,
};
use crate::{
    net::{
        napi::{self, PollContext},
        queue::TxQueue,
        spinlock_bh::{LocalBhDisabled, SpinLockBh},
        stats::Counters,
        Device, DropReason, SkBuff, SkBuffList,
    },
    new_spinlock_bh,
};
use kernel::prelude::*;
use spans_logic::queue::{admit, room, tx_budget, Admission, Upstream};

/// Slots of a transmit ring.
const TX_RING: usize = 256;

/// Slots of a receive ring.
const RX_RING: usize = 1024;

/// A ring.
#[derive(Default)]
struct Ring {
    /// Whether the device is up.
    open: bool,
    frames: SkBuffList,
}

impl Ring {
    /// Takes no frames from now on. Those that are there are given back.
    fn close(&mut self) -> SkBuffList {
        self.open = false;
        self.frames.take()
    }
}

/// One pair of rings.
#[pin_data]
pub(crate) struct Queue {
    index: u16,
    counters: Counters<{ counters::COUNT }>,
    /// Filled by `start_xmit`, emptied by the poll.
    #[pin]
    tx: SpinLockBh<Ring>,
    /// Filled by the polls of senders, emptied by the poll.
    #[pin]
    rx: SpinLockBh<Ring>,
}

impl Queue {
    pub(super) fn new(index: u16) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            index,
            counters: Counters::new()?,
            tx <- new_spinlock_bh!(Ring::default(), c"spans_tx"),
            rx <- new_spinlock_bh!(Ring::default(), c"spans_rx"),
        })
    }

    pub(super) fn index(&self) -> u16 {
        self.index
    }

    #[inline]
    pub(super) fn count(&self, counter: Counter, value: u64) {
        self.counters.add(counter as usize, value);
    }

    pub(super) fn sums(&self) -> Sums {
        Sums(self.counters.sum())
    }

    /// Ends one frame and counts it.
    pub(super) fn drop_frame(&self, skb: SkBuff, counter: Counter, reason: DropReason) {
        self.count(counter, 1);
        skb.kfree_reason(reason);
    }

    /// Ends frames and counts them.
    fn drop_frames(&self, frames: &mut SkBuffList, counter: Counter, reason: DropReason) {
        if !frames.is_empty() {
            self.count(counter, frames.purge(reason) as u64);
        }
    }

    /// Ends one frame whose header cannot be read.
    pub(super) fn drop_headless(
        &self,
        skb: SkBuff,
        reason: DropReason,
        short: Counter,
        no_memory: Counter,
    ) {
        let counter = if reason == DropReason::NOMEM {
            no_memory
        } else {
            short
        };
        self.drop_frame(skb, counter, reason);
    }

    /// Puts a packet into the transmit ring. Answers whether the doorbell is to
    /// be rung.
    #[inline]
    pub(super) fn transmit(
        &self,
        dev: &Device<Spans>,
        mut skb: SkBuff,
        txq: TxQueue<'_>,
        bh: &LocalBhDisabled,
    ) -> bool {
        let upstream = if txq.has_no_qdisc(bh) {
            Upstream::Nobody
        } else {
            Upstream::Qdisc
        };

        let mut tx = self.tx.lock(bh);
        if !tx.open {
            drop(tx);
            self.drop_frame(skb, Counter::TxDropNotReady, DropReason::DEV_READY);
            return false;
        }
        let admission = admit(tx.frames.len(), TX_RING, upstream);
        if admission == Admission::Drop {
            drop(tx);
            self.drop_frame(skb, Counter::TxDropFull, DropReason::FULL_RING);
            return false;
        }
        skb.tx_timestamp(dev);
        tx.frames.push_back(skb);
        if admission == Admission::QueueAndStop {
            // Under the lock: the poll that empties the ring sees the queue stopped.
            txq.stop();
        }
        drop(tx);

        if admission == Admission::QueueAndStop {
            self.count(Counter::TxStops, 1);
        }
        self.count(Counter::TxDoorbells, 1);
        true
    }

    /// Brings frames from the transmit ring onto the segment. Answers whether
    /// there are more.
    fn poll_tx(&self, context: &PollContext<'_, Self>) -> bool {
        let device = context.device();
        let port = device.data();
        let budget = tx_budget(port.segment().len());
        let (frames, more, stopped) = {
            let mut tx = self.tx.lock(context.bh());
            let frames = tx.frames.take_front(budget);
            let txq = device.tx_queue(self.index).filter(TxQueue::is_stopped);
            (frames, !tx.frames.is_empty(), txq)
        };
        if !frames.is_empty() {
            port.segment().carry(&port, self, frames, context.bh());
        }
        if let Some(txq) = stopped {
            txq.wake();
            self.count(Counter::TxWakes, 1);
        }
        more
    }

    /// Puts frames from the segment into the receive ring, and drops what it
    /// does not take. Answers whether the doorbell is to be rung.
    pub(super) fn offer(&self, mut frames: SkBuffList, bh: &LocalBhDisabled) -> bool {
        let mut rx = self.rx.lock(bh);
        if !rx.open {
            drop(rx);
            self.drop_frames(&mut frames, Counter::RxDropNotReady, DropReason::DEV_READY);
            return false;
        }
        let taken = room(rx.frames.len(), RX_RING, frames.len());
        rx.frames.append(&mut frames.take_front(taken));
        drop(rx);
        self.drop_frames(&mut frames, Counter::RxDropFull, DropReason::FULL_RING);
        taken > 0
    }

    /// Gives at most a budget of frames from the receive ring to the stack.
    fn poll_rx(&self, context: &PollContext<'_, Self>) -> usize {
        let frames = {
            let mut rx = self.rx.lock(context.bh());
            rx.frames.take_front(context.budget())
        };
        let count = frames.len();
        if count > 0 {
            self.receive(context, frames);
        }
        count
    }

    /// Takes frames from now on.
    pub(super) fn open(&self, bh: &LocalBhDisabled) {
        self.rx.lock(bh).open = true;
        self.tx.lock(bh).open = true;
    }

    /// Refuses frames from now on, and drops those that are there. The poll is
    /// not running any more.
    pub(super) fn close(&self, bh: &LocalBhDisabled) {
        let mut received = self.rx.lock(bh).close();
        self.drop_frames(&mut received, Counter::RxDropPurge, DropReason::QUEUE_PURGE);
        let mut sent = self.tx.lock(bh).close();
        self.drop_frames(&mut sent, Counter::TxDropPurge, DropReason::QUEUE_PURGE);
    }
}

impl napi::Poll for Queue {
    type Driver = Spans;

    fn poll(&self, context: &PollContext<'_, Self>) -> usize {
        let more = self.poll_tx(context);
        let received = self.poll_rx(context);
        if more {
            context.budget()
        } else {
            received
        }
    }
}
