// SPDX-License-Identifier: GPL-2.0

//! The counters of a queue.
//!
//! Every packet of a device is counted by exactly one of these:
//!
//! - from the stack: `tx packets`, `tx error_short`, or one of `tx drop_*`;
//! - from the segment: `rx packets`, or one of `rx drop_*` and `rx error_*`.

use crate::net::stats::LinkStats;

macro_rules! counters {
    (
        tx { $($(#[$tx_doc:meta])* $tx:ident = $tx_name:literal,)* }
        rx { $($(#[$rx_doc:meta])* $rx:ident = $rx_name:literal,)* }
    ) => {
        #[derive(Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub(super) enum Counter {
            $($(#[$tx_doc])* $tx,)*
            $($(#[$rx_doc])* $rx,)*
        }

        pub(super) const TX: &[&str] = &[$($tx_name),*];
        pub(super) const RX: &[&str] = &[$($rx_name),*];
    };
}

counters! {
    tx {
        /// Frames forwarded to at least one member.
        TxPackets = "packets",
        /// Their bytes, link headers included.
        TxBytes = "bytes",
        /// Doorbells: the sum of all `flush_*`.
        TxDoorbells = "doorbells",
        /// Doorbells for a single packet on an idle device.
        TxFlushIdle = "flush_idle",
        /// Doorbells because of `stage_count`, also if it allows no staging.
        TxFlushCount = "flush_count",
        /// Doorbells because of `stage_bytes`.
        TxFlushBytes = "flush_bytes",
        /// Doorbells because `stage_usecs` was over.
        TxFlushTime = "flush_time",
        /// Doorbells at the end of a softirq round.
        TxFlushRollup = "flush_rollup",
        /// Doorbells because `xmit_more` ended.
        TxFlushXmitEnd = "flush_xmit_end",
        /// Doorbells because the subqueue was full, or a setting was changed.
        TxFlushForced = "flush_forced",
        /// Doorbells that scheduled the poll on another CPU.
        TxRemoteSchedules = "remote_schedules",
        /// Polls and CSDs that moved to the owner CPU.
        TxMigrations = "migrations",
        /// How often the queue was stopped.
        TxStop = "stop",
        /// How often it was woken again.
        TxWake = "wake",
        /// TX timeouts, after which the ring was reset.
        TxTimeouts = "timeouts",
        /// The largest number of packets in the subqueue.
        TxQueueMax = "queue_max",
        /// The largest number of frames in the ring.
        TxRingMax = "ring_max",
        /// Packets for a full subqueue without a qdisc.
        TxDropFull = "drop_full",
        /// The oldest packets of norm in a full subqueue, dropped for one of prio.
        TxDropPrioEvict = "drop_prio_evict",
        /// Frames in a ring that was reset after a TX timeout.
        TxDropTimeout = "drop_timeout",
        /// Packets dropped because the device has no carrier.
        TxDropNoCarrier = "drop_no_carrier",
        /// Packets for a device that was going down.
        TxDropNotReady = "drop_not_ready",
        /// Frames for an address that no member has.
        TxDropNoTarget = "drop_no_target",
        /// Out of memory.
        TxDropNoMemory = "drop_no_memory",
        /// Packets queued when the device went down or was reset.
        TxDropPurge = "drop_purge",
        /// Packets shorter than a link header.
        TxErrorShort = "error_short",
        /// Forwarded frames with a multicast or broadcast destination.
        TxMulticast = "multicast",
    }
    rx {
        /// Frames passed to the stack.
        RxPackets = "packets",
        /// Their bytes, link headers included.
        RxBytes = "bytes",
        /// Frames for a full ring.
        RxDropFull = "drop_full",
        /// Frames for a device that was going down, or without a carrier.
        RxDropNotReady = "drop_not_ready",
        /// Out of memory, mostly for another copy of a broadcast.
        RxDropNoMemory = "drop_no_memory",
        /// Bridged frames (OUI 00-80-C2).
        RxDropBridged = "drop_bridged",
        /// Frames for an address that the device has not any more.
        RxDropOtherHost = "drop_otherhost",
        /// Frames in the ring when the device went down or was reset.
        RxDropPurge = "drop_purge",
        /// ARP with a sender address that is the device's own, broadcast, multicast, or not the
        /// source of the frame.
        RxDropArp = "drop_arp",
        /// Frames shorter than a link header.
        RxErrorShort = "error_short",
        /// Frames longer than the MTU.
        RxErrorLong = "error_long",
        /// Frames without the fixed header bytes of the medium.
        RxErrorMalformed = "error_malformed",
        /// ARP that is not for IPv4 on this medium.
        RxErrorArp = "error_arp",
        /// Frames that could not be segmented or checksummed in software.
        RxErrorOffload = "error_offload",
        /// Received frames with a multicast or broadcast destination.
        RxMulticast = "multicast",
        /// Multicast frames that the address filter rejected before the ring.
        RxFiltered = "filtered",
        /// Rings with frames and no scheduled poll, found by the watchdog.
        RxMissedIrqs = "missed_irqs",
    }
}

/// The counters that `doorbells` sums up.
pub(super) const FLUSHES: &[Counter] = &[
    Counter::TxFlushIdle,
    Counter::TxFlushCount,
    Counter::TxFlushBytes,
    Counter::TxFlushTime,
    Counter::TxFlushRollup,
    Counter::TxFlushXmitEnd,
    Counter::TxFlushForced,
];

pub(super) const COUNT: usize = TX.len() + RX.len();

/// The counters of a queue, summed over all CPUs.
pub(super) struct Sums(pub(super) [u64; COUNT]);

impl Sums {
    fn of(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }

    pub(super) fn all_of(&self, counters: &[Counter]) -> u64 {
        counters
            .iter()
            .fold(0, |sum, counter| sum.wrapping_add(self.of(*counter)))
    }

    pub(super) fn set(&mut self, counter: Counter, value: u64) {
        if let Some(sum) = self.0.get_mut(counter as usize) {
            *sum = value;
        }
    }

    pub(super) fn add_to(&self, stats: &mut LinkStats) {
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
