// SPDX-License-Identifier: GPL-2.0

//! What is counted, queue by queue.
//!
//! Every packet that a device takes, from the stack or from its segment, ends in
//! exactly one of these:
//!
//! - from the stack: `tx packets`, or one of `tx drop_*`;
//! - from the segment: `rx packets`, or one of `rx drop_*` and `rx error_*`.

use super::{port::Port, Spans};
use crate::net::{
    ethtool,
    spinlock_bh::local_bh_disable,
    stats::LinkStats,
    Device, //
};
use kernel::prelude::*;

macro_rules! counters {
    (
        tx { $($(#[$tx_doc:meta])* $tx:ident = $tx_name:literal,)* }
        rx { $($(#[$rx_doc:meta])* $rx:ident = $rx_name:literal,)* }
    ) => {
        /// One counter of a queue.
        #[derive(Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub(super) enum Counter {
            $($(#[$tx_doc])* $tx,)*
            $($(#[$rx_doc])* $rx,)*
        }

        const TX: &[&str] = &[$($tx_name),*];
        const RX: &[&str] = &[$($rx_name),*];
    };
}

counters! {
    tx {
        /// Frames that reached somebody.
        TxPackets = "packets",
        /// Their length with the link header.
        TxBytes = "bytes",
        /// How often the other side was told to look: all `flush_*` together, as
        /// there is no other reason.
        TxDoorbells = "doorbells",
        /// A lone packet, the device being idle.
        TxFlushIdle = "flush_idle",
        /// As many packets as may wait, or none may.
        TxFlushCount = "flush_count",
        /// As many bytes as may wait.
        TxFlushBytes = "flush_bytes",
        /// The time was over.
        TxFlushTime = "flush_time",
        /// The softirq round ended.
        TxFlushRollup = "flush_rollup",
        /// The stack said that this was the last one.
        TxFlushXmitEnd = "flush_xmit_end",
        /// The subqueue was full, or a setting was changed.
        TxFlushForced = "flush_forced",
        /// Doorbells that went to another CPU.
        TxRemoteSchedules = "remote_schedules",
        /// Polls that found themselves on the wrong CPU.
        TxMigrations = "migrations",
        /// How often the queue was stopped because its ring was full.
        TxStop = "stop",
        /// How often it was woken again.
        TxWake = "wake",
        /// Rings that did not move and were reset.
        TxTimeouts = "timeouts",
        /// The most packets that were in the subqueue.
        TxQueueMax = "queue_max",
        /// The most packets that were in the ring.
        TxRingMax = "ring_max",
        /// The subqueue was full and no qdisc held the packet back.
        TxDropFull = "drop_full",
        /// The subqueue was full, and the packet the oldest of norm when one of
        /// prio came.
        TxDropPrioEvict = "drop_prio_evict",
        /// The ring did not move and was reset.
        TxDropTimeout = "drop_timeout",
        /// The line is cut.
        TxDropNoCarrier = "drop_no_carrier",
        /// The device was going down.
        TxDropNotReady = "drop_not_ready",
        /// Nobody up on the segment has the destination.
        TxDropNoTarget = "drop_no_target",
        /// No memory.
        TxDropNoMemory = "drop_no_memory",
        /// The device went down.
        TxDropPurge = "drop_purge",
        /// Shorter than a link header: cannot be sent.
        TxErrorShort = "error_short",
        /// Of those that reached somebody, frames to a group or to everybody.
        TxMulticast = "multicast",
    }
    rx {
        /// Frames given to the stack.
        RxPackets = "packets",
        /// Their length with the link header.
        RxBytes = "bytes",
        /// The ring was full.
        RxDropFull = "drop_full",
        /// The device was going down.
        RxDropNotReady = "drop_not_ready",
        /// No memory, mostly for another copy of a broadcast.
        RxDropNoMemory = "drop_no_memory",
        /// A bridged frame.
        RxDropBridged = "drop_bridged",
        /// The address was changed while the frame travelled.
        RxDropOtherHost = "drop_otherhost",
        /// The device went down.
        RxDropPurge = "drop_purge",
        /// ARP whose sender says to be this device, everybody, or another one than sent
        /// the frame.
        RxDropArp = "drop_arp",
        /// Shorter than a link header.
        RxErrorShort = "error_short",
        /// Longer than the MTU.
        RxErrorLong = "error_long",
        /// Not a frame of the medium.
        RxErrorMalformed = "error_malformed",
        /// ARP that is not for IPv4 on this medium.
        RxErrorArp = "error_arp",
        /// What its sender has left to hardware cannot be done.
        RxErrorOffload = "error_offload",
        /// Of those given to the stack, frames to a group or to everybody.
        RxMulticast = "multicast",
        /// Frames to groups that nobody here wants to hear. They are never in the ring.
        RxFiltered = "filtered",
        /// Times that the ring held frames and no poll was due, so that the watchdog scheduled
        /// one.
        RxMissedIrqs = "missed_irqs",
    }
}

/// Why doorbells rang.
const FLUSHES: &[Counter] = &[
    Counter::TxFlushIdle,
    Counter::TxFlushCount,
    Counter::TxFlushBytes,
    Counter::TxFlushTime,
    Counter::TxFlushRollup,
    Counter::TxFlushXmitEnd,
    Counter::TxFlushForced,
];

/// How many counters a queue has.
pub(super) const COUNT: usize = TX.len() + RX.len();

/// The counters of a queue, added up.
pub(super) struct Sums(pub(super) [u64; COUNT]);

impl Sums {
    fn of(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }

    fn all_of(&self, counters: &[Counter]) -> u64 {
        counters
            .iter()
            .fold(0, |sum, counter| sum.wrapping_add(self.of(*counter)))
    }

    fn set(&mut self, counter: Counter, value: u64) {
        if let Some(sum) = self.0.get_mut(counter as usize) {
            *sum = value;
        }
    }

    /// Adds this queue to the statistics of its device.
    fn add_to(&self, stats: &mut LinkStats) {
        use Counter::*;
        let add = |to: &mut u64, counters: &[Counter]| *to = to.wrapping_add(self.all_of(counters));
        let (length, frame) = (
            &[RxErrorShort, RxErrorLong],
            &[RxErrorMalformed, RxErrorArp, RxErrorOffload],
        );

        add(&mut stats.tx_packets, &[TxPackets]);
        add(&mut stats.tx_bytes, &[TxBytes]);
        add(
            &mut stats.tx_dropped,
            &[
                TxDropFull,
                TxDropPrioEvict,
                TxDropTimeout,
                TxDropNoCarrier,
                TxDropNotReady,
                TxDropNoTarget,
                TxDropNoMemory,
                TxDropPurge,
            ],
        );
        add(&mut stats.tx_errors, &[TxErrorShort, TxTimeouts]);
        add(&mut stats.rx_packets, &[RxPackets]);
        add(&mut stats.multicast, &[RxMulticast]);
        add(&mut stats.rx_bytes, &[RxBytes]);
        add(&mut stats.rx_missed_errors, &[RxDropFull]);
        add(
            &mut stats.rx_dropped,
            &[
                RxDropNotReady,
                RxDropNoMemory,
                RxDropBridged,
                RxDropOtherHost,
                RxDropPurge,
                RxDropArp,
            ],
        );
        add(&mut stats.rx_length_errors, length);
        add(&mut stats.rx_frame_errors, frame);
        add(&mut stats.rx_errors, length);
        add(&mut stats.rx_errors, frame);
    }
}

impl Port {
    /// Adds all queues to the statistics of the device.
    pub(super) fn add_to(&self, stats: &mut LinkStats) {
        for queue in self.queues() {
            queue.sums().add_to(stats);
        }
    }
}

#[vtable]
impl ethtool::QueueStats for Spans {
    const TX: &'static [&'static str] = TX;
    const RX: &'static [&'static str] = RX;

    fn stats(dev: &Device<Self>, queue: u32, tx: &mut [u64], rx: &mut [u64]) {
        let port = dev.data();
        let Some(queue) = port.queues().get(queue as usize) else {
            return;
        };
        let mut sums = queue.sums();
        sums.set(Counter::TxDoorbells, sums.all_of(FLUSHES));
        if let Some(txq) = dev.tx_queue(queue.index()) {
            if let Some(high_water) = queue.high_water(txq, &local_bh_disable()) {
                sums.set(Counter::TxQueueMax, high_water.subqueue as u64);
                sums.set(Counter::TxRingMax, high_water.ring as u64);
            }
        }
        let counters = sums.0.iter();
        for (to, from) in tx.iter_mut().zip(counters.clone()) {
            *to = *from;
        }
        for (to, from) in rx.iter_mut().zip(counters.skip(TX.len())) {
            *to = *from;
        }
    }
}
