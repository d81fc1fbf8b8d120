// SPDX-License-Identifier: GPL-2.0

//! A queue pair: a subqueue with its stages and TX ring, an RX ring, and the poll of both rings.
//!
//! The transmit side is [`Transmit`], under the xmit lock that the core takes for
//! `ndo_start_xmit` anyway. The poll takes frames from the TX ring, forwards them without the
//! lock, and takes the lock again to free their slots. A doorbell sets `tx_pending` before it
//! schedules the poll, and the poll clears it before it takes the lock, so that none is lost.

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
pub(super) enum TxLook {
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
    pub(super) rx_pending: RelaxedCell<bool>,
    /// Number of frames of `rx` that the poll has passed to the stack or dropped. Wraps.
    pub(super) rx_done: RelaxedCell<usize>,
    /// The last poll found `rx` full and was slow: no frame waits for this receiver.
    pub(super) rx_slow: RelaxedCell<bool>,
    /// Filled by the polls of senders, emptied by the poll.
    #[pin]
    pub(super) rx: SpinLockBh<RxRing>,
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
        let Some((mut tx, locked)) = queue.tx.get_mut(&mut txq) else {
            // Unreachable: `txq` is the lock of this queue, under which the driver sends nothing.
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        let tx = &mut *tx;
        let Some(stage) = tx.stages.get_mut(cpu as usize) else {
            // Unreachable: each CPU has a stage.
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        // Fast path: the packet joins an armed stage.
        if let Err(skb) = tx.transmit.join(stage, skb, class, more) {
            Self::dispatch(queue, port, skb, class, more, tx, locked, bh);
        }
    }

    /// The slow path of [`transmit`](Self::transmit).
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
            // Under the lock: the poll that frees slots sees the queue stopped.
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
        // Before the poll is scheduled: scheduling orders this write before the poll.
        queue.tx_pending.write(true);
        if queue.schedule() == Scheduled::Remote {
            queue.count(Counter::TxRemoteSchedules, 1);
        }
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

    /// Starts the packets that `cpu` has staged. Called by the rollup of that CPU.
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

    /// Schedules a start of the queued packets by the poll.
    pub(super) fn restart(queue: &Napi<Self>, port: &Port, txq: TxQueue<'_>, bh: &LocalBhDisabled) {
        queue.with_tx(txq, bh, |tx, _| {
            if tx.transmit.schedule() {
                Self::kick(queue, port, &mut tx.watch, Flush::Forced);
            }
        });
    }

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

    /// Checks the TX ring, a second after the last check or after the doorbell that armed the
    /// watchdog.
    ///
    /// Also wakes a stopped queue that has no qdisc any more: the core would warn about each
    /// packet and drop it, and does not notify drivers of that change.
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
                // A stopped queue may lose its qdisc, see above.
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

    /// Forwards frames from the TX ring. Returns whether more of them can be forwarded at once,
    /// and how many frames a receiver's poll has received from within this one.
    fn poll_tx(&self, context: &PollContext<'_, Self>) -> (bool, usize) {
        if !self.tx_pending.read() {
            return (false, 0);
        }
        // Before the lock: a later doorbell schedules another poll, and the packets of an earlier
        // one are seen under the lock.
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
                // As `loopback_xmit()`: the timestamp is reported to the socket, before `orphan`.
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
            // Otherwise `napi_defer_hard_irqs` has no effect on a device that only transmits.
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
        // `poll_from` must be called without a lock.
        let received = ring.map_or(0, |ring| ring.poll_from(context));
        // Read again: a write that ended the stall meanwhile may have found nothing to restart.
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

/// Time after which a frame is offered again to a full RX ring, in nanoseconds.
const RETRY: u64 = 50_000;

impl napi::Poll for Queue {
    type Driver = Spans;

    fn poll(&self, context: &PollContext<'_, Self>) -> usize {
        let (more, by_others) = self.poll_tx(context);
        let received = self.poll_rx(context);
        if more || received >= context.budget() {
            return context.budget();
        }
        // Frames that receivers' polls received count as work, but need no further poll.
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
