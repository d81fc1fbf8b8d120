// SPDX-License-Identifier: GPL-2.0

//! A queue pair: a subqueue with its stages and TX ring, and an RX ring. `poll.rs` has its poll.
//!
//! The transmit side is [`Transmit`], under the xmit lock that the core takes for
//! `ndo_start_xmit` anyway. The poll takes frames from the TX ring, forwards them without the
//! lock, and takes the lock again to free their slots. A doorbell sets `tx_pending` before it
//! schedules the poll, and the poll clears it before it takes the lock, so that none is lost.

mod rx;

pub(super) use rx::RxCheck;

use super::{
    counters::{self, Counter, Sums},
    Spans,
};
use crate::{
    net::{
        clock::{jiffies, ktime_get},
        device::Setup,
        napi::{Napi, Scheduled},
        queue::{TxQueue, XmitCell, XmitLocked},
        relaxed_cell::RelaxedCell,
        spinlock_bh::{LocalBhDisabled, SpinLockBh},
        stats::Counters,
        DropReason, SkBuff, SkBuffList,
    },
    new_spinlock_bh,
};
use core::ops::DerefMut;
use kernel::prelude::*;
use rx::RxRing;
use spans_logic::{
    class::Class,
    line::Occupancy,
    receive::TxWait,
    ring::Again,
    stage::{Flush, Stage},
    transmit::{Arm, Arrival, Settings, Transmit, TxDrop, WatchdogCheck},
    watchdog,
};

/// The data that the xmit lock protects.
pub(super) struct Tx {
    transmit: Transmit<SkBuffList>,
    /// One for each CPU.
    stages: KVec<Stage>,
    /// The wait for full RX rings.
    waiting: TxWait,
    watch: watchdog::Tx,
}

/// The result of a watchdog check of a TX ring.
#[must_use = "a ring that was reset has to be restarted"]
pub(super) enum TxCheck {
    /// No work: the watchdog need not check it again.
    Idle,
    /// Work.
    Busy,
    /// It hung, and was reset. The caller has to [restart](Queue::restart) it.
    Reset {
        /// Number of frames dropped.
        frames: usize,
        /// Time since its last completion, in jiffies.
        age: usize,
    },
}

/// A queue pair.
#[pin_data]
pub(crate) struct Queue {
    index: u16,
    counters: Counters<{ counters::COUNT }>,
    /// Filled by `start_xmit`, emptied by the poll.
    tx: XmitCell<Tx>,
    /// The poll has work in `tx`.
    tx_pending: RelaxedCell<bool>,
    /// The poll has work in `rx`.
    rx_pending: RelaxedCell<bool>,
    /// Number of frames of `rx` that the poll has passed to the stack or dropped. Wraps.
    rx_done: RelaxedCell<usize>,
    /// The last poll found `rx` full and was slow: no frame waits for this receiver.
    rx_slow: RelaxedCell<bool>,
    /// Filled by the polls of senders, emptied by the poll.
    #[pin]
    rx: SpinLockBh<RxRing>,
}

/// The consequences of a packet in a subqueue, for the caller, which holds the xmit lock.
pub(super) struct FollowUp {
    /// The rollup of this CPU has to be armed.
    pub(super) arm: Option<Arm>,
    /// The watchdog has to be armed.
    pub(super) watch: bool,
}

/// The largest numbers of packets in a queue.
pub(super) struct HighWater {
    pub(super) subqueue: usize,
    pub(super) ring: usize,
}

impl Queue {
    /// Creates queue `index` of a device that is being created.
    pub(super) fn new(
        index: u16,
        cpus: usize,
        settings: Settings,
        rx_slots: usize,
        dev: &Setup<'_, Spans>,
    ) -> Result<impl PinInit<Self, Error>> {
        let mut stages = KVec::with_capacity(cpus, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..cpus {
            stages.push(Stage::default(), GFP_KERNEL_ACCOUNT)?;
        }
        let tx = Tx {
            transmit: Transmit::new(settings),
            stages,
            waiting: TxWait::default(),
            watch: watchdog::Tx::default(),
        };
        let tx = XmitCell::new(dev, index, tx);
        Ok(try_pin_init!(Self {
            index,
            counters: Counters::new()?,
            tx,
            tx_pending: RelaxedCell::new(false),
            rx_pending: RelaxedCell::new(false),
            rx_done: RelaxedCell::new(0),
            rx_slow: RelaxedCell::new(false),
            rx <- new_spinlock_bh!(
                RxRing::new(rx_slots),
                c"spans_rx"
            ),
        }))
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

    pub(super) fn drop_frame(&self, skb: SkBuff, counter: Counter, reason: DropReason) {
        self.count(counter, 1);
        skb.kfree_reason(reason);
    }

    pub(super) fn drop_frames(
        &self,
        frames: &mut SkBuffList,
        counter: Counter,
        reason: DropReason,
    ) {
        if !frames.is_empty() {
            self.count(counter, frames.purge(reason) as u64);
        }
    }

    /// Drops one frame with an unreadable header, counted by `short` or `no_memory`.
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

    /// `ndo_start_xmit`: takes a packet from the stack.
    #[inline]
    #[must_use = "staged packets wait for the rollup"]
    pub(super) fn transmit(
        queue: &Napi<Self>,
        skb: SkBuff,
        txq: &mut XmitLocked<'_>,
        bh: &LocalBhDisabled,
    ) -> Option<FollowUp> {
        let cpu = bh.cpu().as_u32();
        let more = txq.xmit_more();
        let class = Class::of(skb.priority());
        let Some((mut tx, locked)) = queue.tx.get_mut(txq) else {
            // Unreachable: `txq` is the lock of this queue, under which the driver sends nothing.
            skb.kfree_reason(DropReason::NOT_SPECIFIED);
            return None;
        };
        let tx = &mut *tx;
        let Some(stage) = tx.stages.get_mut(cpu as usize) else {
            // Unreachable: each CPU has a stage.
            skb.kfree_reason(DropReason::NOT_SPECIFIED);
            return None;
        };
        // Fast path: the packet joins an armed stage.
        match tx.transmit.join(stage, skb, class, more) {
            Ok(()) => None,
            Err(skb) => Self::dispatch(queue, skb, (class, more), tx, locked, bh),
        }
    }

    /// The slow path of [`transmit`](Self::transmit).
    #[inline(never)]
    fn dispatch(
        queue: &Napi<Self>,
        skb: SkBuff,
        (class, more): (Class, bool),
        tx: &mut Tx,
        locked: &XmitLocked<'_>,
        bh: &LocalBhDisabled,
    ) -> Option<FollowUp> {
        let cpu = bh.cpu().as_u32();
        let arrival = Arrival {
            class,
            more,
            is_local: queue.is_local(cpu),
            cpu,
            qdisc: !locked.has_no_qdisc(bh),
        };
        let Some(stage) = tx.stages.get_mut(cpu as usize) else {
            skb.kfree_reason(DropReason::NOT_SPECIFIED);
            return None;
        };
        let todo = tx.transmit.dispatch(stage, skb, arrival, ktime_get);
        locked.sent_queue(todo.posted, bh);
        if todo.stop {
            // Under the lock: the poll that frees slots sees the queue stopped.
            locked.stop();
            queue.count(Counter::TxStop, 1);
        }
        let watch = todo
            .doorbell
            .is_some_and(|why| Self::kick(queue, &mut tx.watch, why));
        if let Some((why, mut packets)) = todo.refused {
            let (counter, reason) = match why {
                TxDrop::Down => (Counter::TxDropNotReady, DropReason::DEV_READY),
                TxDrop::NoCarrier => (Counter::TxDropNoCarrier, DropReason::DEV_READY),
                TxDrop::Full => (Counter::TxDropFull, DropReason::FULL_RING),
                TxDrop::PrioEvict => (Counter::TxDropPrioEvict, DropReason::FULL_RING),
            };
            queue.drop_frames(&mut packets, counter, reason);
        }
        (watch || todo.arm.is_some()).then_some(FollowUp {
            arm: todo.arm,
            watch,
        })
    }

    /// Rings the doorbell, under the xmit lock. Returns whether the watchdog has to be armed.
    #[inline]
    fn kick(queue: &Napi<Self>, watch: &mut watchdog::Tx, why: Flush) -> bool {
        let watch = watch.doorbell(jiffies);
        queue.count(
            match why {
                Flush::Idle => Counter::TxFlushIdle,
                Flush::Count => Counter::TxFlushCount,
                Flush::Bytes => Counter::TxFlushBytes,
                Flush::Time => Counter::TxFlushTime,
                Flush::Rollup => Counter::TxFlushRollup,
                Flush::XmitEnd => Counter::TxFlushXmitEnd,
                Flush::Forced => Counter::TxFlushForced,
            },
            1,
        );
        // Before the poll is scheduled: scheduling orders this write before the poll.
        queue.tx_pending.write(true);
        if queue.schedule() == Scheduled::Remote {
            queue.count(Counter::TxRemoteSchedules, 1);
        }
        watch
    }

    /// Calls `f` with the transmit side under the xmit lock.
    fn with_tx<R>(
        &self,
        txq: TxQueue<'_>,
        bh: &LocalBhDisabled,
        f: impl FnOnce(&mut Tx, &XmitLocked<'_>) -> R,
    ) -> Option<R> {
        let mut guard = txq.lock(bh);
        let mut locked = guard.locked();
        let (mut tx, locked) = self.tx.get_mut(&mut locked)?;
        Some(f(&mut tx, locked))
    }

    /// Starts the packets that `cpu` has staged. Called by the rollup of that CPU. Returns whether
    /// the watchdog has to be armed.
    #[must_use]
    pub(super) fn flush(
        queue: &Napi<Self>,
        txq: TxQueue<'_>,
        cpu: u32,
        bh: &LocalBhDisabled,
    ) -> bool {
        let watch = queue.with_tx(txq, bh, |tx, locked| {
            let stage = tx.stages.get_mut(cpu as usize)?;
            let (doorbell, posted) = tx.transmit.rollup(stage, ktime_get);
            locked.sent_queue(posted, bh);
            Some(Self::kick(queue, &mut tx.watch, doorbell?))
        });
        watch.flatten().unwrap_or(false)
    }

    /// Schedules a start of the queued packets by the poll. Returns whether the watchdog has to be
    /// armed.
    #[must_use]
    pub(super) fn restart(queue: &Napi<Self>, txq: TxQueue<'_>, bh: &LocalBhDisabled) -> bool {
        let watch = queue.with_tx(txq, bh, |tx, _| {
            tx.transmit.schedule() && Self::kick(queue, &mut tx.watch, Flush::Forced)
        });
        watch.unwrap_or(false)
    }

    /// Applies settings. Returns whether the watchdog has to be armed.
    #[must_use]
    pub(super) fn set(
        queue: &Napi<Self>,
        txq: TxQueue<'_>,
        settings: Settings,
        bh: &LocalBhDisabled,
    ) -> bool {
        let watch = queue.with_tx(txq, bh, |tx, locked| {
            if tx
                .transmit
                .set(settings, !locked.has_no_qdisc(bh), ktime_get)
            {
                locked.stop();
                queue.count(Counter::TxStop, 1);
            }
            tx.transmit.schedule() && Self::kick(queue, &mut tx.watch, Flush::Forced)
        });
        watch.unwrap_or(false)
    }

    pub(super) fn high_water(&self, txq: TxQueue<'_>, bh: &LocalBhDisabled) -> Option<HighWater> {
        self.with_tx(txq, bh, |tx, _| HighWater {
            subqueue: tx.transmit.subqueue().len_max(),
            ring: tx.transmit.ring().used_max(),
        })
    }

    /// Checks the TX ring, a second after the last check or after the doorbell that armed the
    /// watchdog.
    ///
    /// Also wakes a stopped queue that has no qdisc any more: the core would warn about each
    /// packet and drop it, and does not notify drivers of that change.
    pub(super) fn check_tx(&self, txq: TxQueue<'_>, bh: &LocalBhDisabled) -> TxCheck {
        let look = self.with_tx(txq, bh, |tx, locked| {
            if locked.has_no_qdisc(bh) {
                locked.complete_all();
                if tx.transmit.release() {
                    locked.wake();
                    self.count(Counter::TxWake, 1);
                }
            }
            match tx.transmit.watchdog_check(ktime_get) {
                // A stopped queue may lose its qdisc, see above.
                WatchdogCheck::Idle if !tx.watch.look(tx.transmit.stopped()) => {
                    (TxCheck::Idle, None)
                }
                WatchdogCheck::Idle | WatchdogCheck::Busy => (TxCheck::Busy, None),
                WatchdogCheck::Expired(lost) => {
                    locked.complete_all();
                    tx.waiting = TxWait::default();
                    let reset = TxCheck::Reset {
                        frames: lost.len(),
                        age: tx.watch.emptied(jiffies()),
                    };
                    (reset, Some(lost))
                }
            }
        });
        let Some((look, lost)) = look else {
            return TxCheck::Idle;
        };
        if let Some(mut lost) = lost {
            self.count(Counter::TxTimeouts, 1);
            self.drop_frames(&mut lost, Counter::TxDropTimeout, DropReason::QUEUE_PURGE);
        }
        look
    }

    /// Takes note of the last doorbell. Returns whether there was one since the last call.
    pub(super) fn take_tx_pending(&self) -> bool {
        // Before the lock: a later doorbell schedules another poll, and the packets of an earlier
        // one are seen under the lock.
        self.tx_pending.read() && {
            self.tx_pending.write(false);
            true
        }
    }

    /// The poll has more work in the TX ring.
    pub(super) fn set_tx_pending(&self) {
        self.tx_pending.write(true);
    }

    pub(super) fn has_work(&self) -> bool {
        self.tx_pending.read() || self.rx_pending.read()
    }

    /// Starts the queued packets and takes at most `budget` frames from the TX ring. Returns also
    /// how long they may wait for full RX rings, of `tx_wait`, in nanoseconds.
    ///
    /// `line` gives access to the line that the queues of the device share; `left` is called for
    /// each frame whose last bit is on it.
    pub(super) fn take_tx<G: DerefMut<Target = Occupancy>>(
        &self,
        txq: TxQueue<'_>,
        budget: usize,
        tx_wait: u64,
        line: impl FnOnce() -> G,
        left: impl FnMut(&mut SkBuff),
        bh: &LocalBhDisabled,
    ) -> Option<(SkBuffList, u64)> {
        self.with_tx(txq, bh, |tx, locked| {
            if let Some(stage) = tx
                .transmit
                .covered()
                .and_then(|cpu| tx.stages.get_mut(cpu as usize))
            {
                stage.disarm();
            }
            let polled = tx.transmit.poll(budget, ktime_get, line, left);
            locked.sent_queue(polled.posted, bh);
            locked.completed_queue(polled.left);
            (polled.frames, tx.waiting.remaining(tx_wait))
        })
    }

    /// Frees the slots of `done` frames with so many `bytes`, which were delivered or dropped, and
    /// puts `back` the frames that wait. Returns when the next poll is due, and whether the
    /// watchdog has to be armed.
    #[must_use = "the poll may be due, and the watchdog"]
    pub(super) fn complete_tx(
        &self,
        txq: TxQueue<'_>,
        (done, bytes): (usize, usize),
        back: SkBuffList,
        tx_wait: u64,
        bh: &LocalBhDisabled,
    ) -> (Again, bool) {
        let blocked = !back.is_empty();
        let completed = self.with_tx(txq, bh, |tx, locked| {
            tx.waiting.forwarded(done, blocked, tx_wait, ktime_get);
            let completed = tx.transmit.complete(done, bytes, back, ktime_get);
            let empty = tx.transmit.ring().used() == 0;
            let watch = tx.watch.completed(done, empty, jiffies);
            locked.completed_queue(completed.left);
            locked.sent_queue(completed.posted, bh);
            if completed.wake {
                locked.wake();
                self.count(Counter::TxWake, 1);
            }
            (completed.again, completed.lost, watch)
        });
        let Some((again, mut lost, watch)) = completed else {
            return (Again::Never, false);
        };
        self.drop_frames(&mut lost, Counter::TxDropNoCarrier, DropReason::DEV_READY);
        (again, watch)
    }

    /// Accepts packets and frames while there is a `carrier`: the device goes up.
    pub(super) fn open(&self, txq: Option<TxQueue<'_>>, carrier: bool, bh: &LocalBhDisabled) {
        self.rx.lock(bh).open(carrier);
        if let Some(txq) = txq {
            self.with_tx(txq, bh, |tx, _| tx.transmit.set_up(true, carrier));
        }
    }

    /// Refuses packets of the stack from now on.
    pub(super) fn quiesce(&self, txq: TxQueue<'_>, bh: &LocalBhDisabled) {
        self.with_tx(txq, bh, |tx, _| tx.transmit.set_up(false, false));
    }

    /// Accepts packets of the stack and frames of the segment, or refuses them without a
    /// `carrier`.
    pub(super) fn set_carrier(
        &self,
        txq: Option<TxQueue<'_>>,
        carrier: bool,
        bh: &LocalBhDisabled,
    ) {
        self.rx.lock(bh).set_carrier(carrier);
        if let Some(txq) = txq {
            self.with_tx(txq, bh, |tx, _| tx.transmit.set_carrier(carrier));
        }
    }

    /// Drops the packets of the subqueue and the TX ring. Polls may be running, unless the device
    /// goes down.
    pub(super) fn purge(
        &self,
        txq: TxQueue<'_>,
        counter: Counter,
        reason: DropReason,
        bh: &LocalBhDisabled,
    ) {
        let packets = self.with_tx(txq, bh, |tx, locked| {
            locked.complete_all();
            tx.watch.emptied(jiffies());
            tx.waiting = TxWait::default();
            tx.transmit.purge()
        });
        if let Some(mut packets) = packets {
            self.drop_frames(&mut packets, counter, reason);
        }
    }

    /// Clears all armed stages and the watchdog: the device is down, and no poll is running.
    pub(super) fn disarm(&self, txq: TxQueue<'_>, bh: &LocalBhDisabled) {
        self.with_tx(txq, bh, |tx, locked| {
            tx.transmit.down();
            tx.watch = watchdog::Tx::default();
            tx.waiting = TxWait::default();
            for stage in tx.stages.iter_mut() {
                stage.disarm();
            }
            locked.reset_queue();
        });
    }
}
