// SPDX-License-Identifier: GPL-2.0

//! The queues of a device: a subqueue with its stages and its ring to send, a ring
//! to receive, and the poll that empties both rings.
//!
//! The transmit side is [`Transmit`], under the xmit lock that the core takes for
//! `ndo_start_xmit` anyway. The poll is the other side of the doorbell: it takes
//! frames from the ring, brings them onto the segment without a lock, and comes
//! back to free their slots. Whoever rings makes a note of it first (`tx_pending`) and
//! schedules the poll then, so that nothing is left lying.

use super::{
    counters::{self, Counter, Sums},
    port::Port,
    receive::RxRing,
    rollup::Rollup,
    segment::Forwarded,
    Spans,
};
use crate::{
    net::{
        clock::{jiffies, ktime_get},
        device::Setup,
        napi::{self, Napi, PollContext, Scheduled},
        queue::{TxQueue, XmitCell, XmitLocked},
        spinlock_bh::{LocalBhDisabled, SpinLockBh},
        stats::Counters,
        word::RelaxedCell,
        DropReason, SkBuff, SkBuffList,
    },
    new_spinlock_bh,
};
use kernel::prelude::*;
use spans_logic::{
    class::Class,
    receive::TxWait,
    ring::Again,
    segment::tx_budget,
    stage::{Flush, Stage},
    transmit::{Arrival, Settings, Transmit, TxDrop, WatchdogCheck},
    watchdog,
};

/// What the xmit lock guards.
pub(super) struct Tx {
    transmit: Transmit<SkBuffList>,
    /// One for each CPU.
    stages: KVec<Stage>,
    /// For receivers.
    waiting: TxWait,
    watch: watchdog::Tx,
}

/// What a look at a transmit ring has found.
pub(super) enum TxLook {
    /// No work: this was the last look.
    Idle,
    /// Work.
    Busy,
    /// A ring that hung, and was reset. It is to be [restarted](Queue::restart).
    Reset {
        /// How many frames were in it.
        frames: usize,
        /// For how long it had completed nothing, in jiffies.
        age: usize,
    },
}

/// One pair of rings.
#[pin_data]
pub(crate) struct Queue {
    index: u16,
    counters: Counters<{ counters::COUNT }>,
    /// Filled by `start_xmit`, emptied by the poll.
    tx: XmitCell<Tx>,
    /// The poll is to look at `tx`.
    tx_pending: RelaxedCell<bool>,
    /// The poll is to look at `rx`.
    pub(super) rx_pending: RelaxedCell<bool>,
    /// Frames of `rx` that the poll has given to the stack or dropped, overflowing.
    pub(super) rx_done: RelaxedCell<usize>,
    /// The last poll found `rx` full, and took too long to be waited for.
    pub(super) rx_slow: RelaxedCell<bool>,
    /// Filled by the polls of senders, emptied by the poll.
    #[pin]
    pub(super) rx: SpinLockBh<RxRing>,
}

/// What a queue has held at most.
pub(super) struct HighWater {
    pub(super) subqueue: usize,
    pub(super) ring: usize,
}

impl Queue {
    /// Queue number `index` of a device that is being made.
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

    /// Ends one frame and counts it.
    pub(super) fn drop_frame(&self, skb: SkBuff, counter: Counter, reason: DropReason) {
        self.count(counter, 1);
        skb.kfree_reason(reason);
    }

    /// Ends frames and counts them.
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

    /// Takes a packet from the stack.
    #[inline]
    pub(super) fn transmit(
        queue: &Napi<Self>,
        port: &Port,
        skb: SkBuff,
        mut txq: XmitLocked<'_>,
        bh: &LocalBhDisabled,
    ) {
        let cpu = bh.cpu().as_u32();
        let more = txq.xmit_more();
        let class = Class::of(skb.priority());
        let Some((tx, locked)) = queue.tx.get_mut(&mut txq) else {
            // The queue is that of its lock.
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        let Some(stage) = tx.stages.get_mut(cpu as usize) else {
            // Each CPU has a stage.
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        // In good company a packet costs no more than this.
        if let Err(skb) = tx.transmit.join(stage, skb, class, more) {
            Self::dispatch(queue, port, skb, class, more, tx, locked, bh);
        }
    }

    /// Takes a packet from the stack, when more is to be done than to queue it.
    #[inline(never)]
    #[expect(clippy::too_many_arguments)]
    fn dispatch(
        queue: &Napi<Self>,
        port: &Port,
        skb: SkBuff,
        class: Class,
        more: bool,
        tx: &mut Tx,
        locked: &XmitLocked<'_>,
        bh: &LocalBhDisabled,
    ) {
        let cpu = bh.cpu().as_u32();
        let arrival = Arrival {
            class,
            more,
            is_local: queue.is_local(cpu),
            cpu,
            qdisc: !locked.has_no_qdisc(bh),
        };
        let Some(stage) = tx.stages.get_mut(cpu as usize) else {
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        let todo = tx.transmit.dispatch(stage, skb, arrival, ktime_get);
        locked.sent_queue(todo.posted, bh);
        if todo.stop {
            // Under the lock: the poll that makes room sees the queue stopped.
            locked.stop();
            queue.count(Counter::TxStop, 1);
        }
        if let Some(why) = todo.doorbell {
            Self::kick(queue, port, &mut tx.watch, why);
        }
        if let Some(how) = todo.arm {
            if let Some(rollup) = port.rollup(cpu) {
                Rollup::arm(rollup, queue.index, how, bh);
            }
        }
        if let Some((why, mut packets)) = todo.refused {
            let (counter, reason) = match why {
                TxDrop::Down => (Counter::TxDropNotReady, DropReason::DEV_READY),
                TxDrop::NoCarrier => (Counter::TxDropNoCarrier, DropReason::DEV_READY),
                TxDrop::Full => (Counter::TxDropFull, DropReason::FULL_RING),
                TxDrop::PrioEvict => (Counter::TxDropPrioEvict, DropReason::FULL_RING),
            };
            queue.drop_frames(&mut packets, counter, reason);
        }
    }

    /// Rings the doorbell, under the xmit lock.
    #[inline]
    fn kick(queue: &Napi<Self>, port: &Port, watch: &mut watchdog::Tx, why: Flush) {
        if watch.doorbell(jiffies) {
            port.watch();
        }
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
        // Before the poll is scheduled, which makes it see this.
        queue.tx_pending.write(true);
        if queue.schedule() == Scheduled::Remote {
            queue.count(Counter::TxRemoteSchedules, 1);
        }
    }

    /// Does something with the transmit side, under the xmit lock.
    fn with_tx<R>(
        &self,
        txq: TxQueue<'_>,
        bh: &LocalBhDisabled,
        f: impl FnOnce(&mut Tx, &XmitLocked<'_>) -> R,
    ) -> Option<R> {
        let mut guard = txq.lock(bh);
        let mut locked = guard.locked();
        let (tx, locked) = self.tx.get_mut(&mut locked)?;
        Some(f(tx, locked))
    }

    /// Starts what `cpu` has staged: the rollup of that CPU.
    pub(super) fn flush(
        queue: &Napi<Self>,
        port: &Port,
        txq: TxQueue<'_>,
        cpu: u32,
        bh: &LocalBhDisabled,
    ) {
        queue.with_tx(txq, bh, |tx, locked| {
            let Some(stage) = tx.stages.get_mut(cpu as usize) else {
                return;
            };
            let (doorbell, posted) = tx.transmit.rollup(stage, ktime_get);
            locked.sent_queue(posted, bh);
            if let Some(why) = doorbell {
                Self::kick(queue, port, &mut tx.watch, why);
            }
        });
    }

    /// Has the poll start what is queued.
    pub(super) fn restart(queue: &Napi<Self>, port: &Port, txq: TxQueue<'_>, bh: &LocalBhDisabled) {
        queue.with_tx(txq, bh, |tx, _| {
            if tx.transmit.schedule() {
                Self::kick(queue, port, &mut tx.watch, Flush::Forced);
            }
        });
    }

    /// Applies what the user has set.
    pub(super) fn set(
        queue: &Napi<Self>,
        port: &Port,
        txq: TxQueue<'_>,
        settings: Settings,
        bh: &LocalBhDisabled,
    ) {
        queue.with_tx(txq, bh, |tx, locked| {
            if tx
                .transmit
                .set(settings, !locked.has_no_qdisc(bh), ktime_get)
            {
                locked.stop();
                queue.count(Counter::TxStop, 1);
            }
            if tx.transmit.schedule() {
                Self::kick(queue, port, &mut tx.watch, Flush::Forced);
            }
        });
    }

    pub(super) fn high_water(&self, txq: TxQueue<'_>, bh: &LocalBhDisabled) -> Option<HighWater> {
        self.with_tx(txq, bh, |tx, _| HighWater {
            subqueue: tx.transmit.subqueue().len_max(),
            ring: tx.transmit.ring().used_max(),
        })
    }

    /// The watchdog looks, a second after it did last, or after the doorbell that armed it.
    ///
    /// If there was a qdisc when the queue was stopped and is none now, the core would
    /// complain about each packet and drop it; nobody tells a driver when that comes.
    pub(super) fn watchdog_check(&self, txq: TxQueue<'_>, bh: &LocalBhDisabled) -> TxLook {
        let look = self.with_tx(txq, bh, |tx, locked| {
            if locked.has_no_qdisc(bh) {
                locked.complete_all();
                if tx.transmit.release() {
                    locked.wake();
                    self.count(Counter::TxWake, 1);
                }
            }
            match tx.transmit.watchdog_check(ktime_get) {
                // One that is stopped may lose its qdisc, see above.
                WatchdogCheck::Idle if !tx.watch.look(tx.transmit.stopped()) => {
                    (TxLook::Idle, None)
                }
                WatchdogCheck::Idle | WatchdogCheck::Busy => (TxLook::Busy, None),
                WatchdogCheck::Expired(lost) => {
                    locked.complete_all();
                    tx.waiting = TxWait::default();
                    let reset = TxLook::Reset {
                        frames: lost.len(),
                        age: tx.watch.emptied(jiffies()),
                    };
                    (reset, Some(lost))
                }
            }
        });
        let Some((look, lost)) = look else {
            return TxLook::Idle;
        };
        if let Some(mut lost) = lost {
            self.count(Counter::TxTimeouts, 1);
            self.drop_frames(&mut lost, Counter::TxDropTimeout, DropReason::QUEUE_PURGE);
        }
        look
    }

    /// Brings frames from the transmit ring onto the segment. Answers whether there are
    /// more that can be brought at once, and how many a receiver has received of them
    /// already.
    fn poll_tx(&self, context: &PollContext<'_, Self>) -> (bool, usize) {
        if !self.tx_pending.read() {
            return (false, 0);
        }
        // Before the lock: who rings afterwards schedules another poll, and what was rung for
        // before is seen under the lock.
        self.tx_pending.write(false);
        let device = context.device();
        let port = device.data();
        let bh = context.bh();
        let Some(txq) = device.tx_queue(self.index) else {
            return (false, 0);
        };
        let budget = if port.is_stalled(self.index) {
            0
        } else {
            tx_budget(port.segment().len(bh))
        };

        let polled = self.with_tx(txq, bh, |tx, locked| {
            if let Some(stage) = tx
                .transmit
                .covered()
                .and_then(|cpu| tx.stages.get_mut(cpu as usize))
            {
                stage.disarm();
            }
            let line = || port.line().lock(bh);
            let polled = tx.transmit.poll(budget, ktime_get, line, |skb| {
                // As `loopback_xmit()`: without its socket, a timestamp could not be told.
                skb.tx_timestamp(device);
                skb.orphan();
            });
            locked.sent_queue(polled.posted, bh);
            locked.completed_queue(polled.left);
            (polled.frames, tx.waiting.remaining(port.tx_wait()))
        });
        let Some((frames, tx_wait)) = polled else {
            return (false, 0);
        };
        let taken = frames.len();
        let Forwarded { bytes, back, ring } = port
            .segment()
            .forward(device, &port, self, frames, tx_wait, bh);
        let blocked = !back.is_empty();
        let done = taken.saturating_sub(back.len());
        if done > 0 {
            // Or who only sends would have a poll for each doorbell, whatever the user has set.
            context.worked();
        }

        let completed = self.with_tx(txq, bh, |tx, locked| {
            tx.waiting
                .forwarded(done, blocked, port.tx_wait(), ktime_get);
            let completed = tx.transmit.complete(done, bytes, back, ktime_get);
            let empty = tx.transmit.ring().used() == 0;
            if tx.watch.completed(done, empty, jiffies) {
                port.watch();
            }
            locked.completed_queue(completed.left);
            locked.sent_queue(completed.posted, bh);
            if completed.wake {
                locked.wake();
                self.count(Counter::TxWake, 1);
            }
            completed
        });
        let Some(mut completed) = completed else {
            return (false, 0);
        };
        self.drop_frames(
            &mut completed.lost,
            Counter::TxDropNoCarrier,
            DropReason::DEV_READY,
        );
        // With nothing locked any more.
        let received = ring.map_or(0, |ring| ring.poll_from(context));
        // Looked at again: whoever lets the ring go on meanwhile may find nothing to start.
        if completed.again == Again::Never || port.is_stalled(self.index) {
            return (false, received);
        }
        self.tx_pending.write(true);
        match completed.again {
            _ if blocked => context.poll_again_after(RETRY),
            Again::At(at) => context.poll_again_after(at.saturating_sub(ktime_get())),
            _ => return (true, received),
        }
        (false, received)
    }

    /// The device is up from now on, and the line cut or not.
    pub(super) fn open(&self, txq: Option<TxQueue<'_>>, carrier: bool, bh: &LocalBhDisabled) {
        self.rx.lock(bh).open(carrier);
        if let Some(txq) = txq {
            self.with_tx(txq, bh, |tx, _| tx.transmit.set_up(true, carrier));
        }
    }

    /// Takes no packets from the stack any more.
    pub(super) fn quiesce(&self, txq: TxQueue<'_>, bh: &LocalBhDisabled) {
        self.with_tx(txq, bh, |tx, _| tx.transmit.set_up(false, false));
    }

    /// Takes packets from the stack and frames of the segment, or does not, as there
    /// is a line or not.
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

    /// Drops what waits to be sent. If the device goes down, the polls are not
    /// running any more; otherwise they may be.
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

    /// Forgets what was armed, as the device is down and no poll is running.
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

/// When a frame is offered again to a receiver whose ring was full, in nanoseconds.
const RETRY: u64 = 50_000;

impl napi::Poll for Queue {
    type Driver = Spans;

    fn poll(&self, context: &PollContext<'_, Self>) -> usize {
        let (more, by_others) = self.poll_tx(context);
        let received = self.poll_rx(context);
        if more || received >= context.budget() {
            return context.budget();
        }
        // What others received is work as well, but no reason to be polled again.
        let most = context.budget().saturating_sub(1);
        received.saturating_add(by_others).min(most)
    }

    fn has_work(&self) -> bool {
        self.tx_pending.read() || self.rx_pending.read()
    }

    fn migrated(&self) {
        self.count(Counter::TxMigrations, 1);
    }
}
