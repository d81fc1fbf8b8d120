// SPDX-License-Identifier: GPL-2.0

//! `ethtool`: statistics of the queues, rings, coalescing, channels, reset.

use super::{
    counters::{self, Counter},
    cpus,
    port::Port,
    Spans,
};
use crate::net::{
    error::enetdown,
    ethtool::{self, Coalesce, RingParam},
    netlink::ExtAck,
    rcu::synchronize_net,
    rtnl::Rtnl,
    spinlock_bh::local_bh_disable,
    Device,
};
use kernel::prelude::*;
use spans_logic::config::{Config, OutOfRange, Param, RING_SLOTS};

#[vtable]
impl ethtool::QueueStats for Spans {
    const TX: &'static [&'static str] = counters::TX;
    const RX: &'static [&'static str] = counters::RX;

    fn stats(dev: &Device<Self>, queue: u32, tx: &mut [u64], rx: &mut [u64]) {
        let port = dev.data();
        let Some(queue) = port.queues().get(queue as usize) else {
            return;
        };
        let mut sums = queue.sums();
        sums.set(Counter::TxDoorbells, sums.all_of(counters::FLUSHES));
        if let Some(txq) = dev.tx_queue(queue.index()) {
            if let Some(high_water) = queue.high_water(txq, &local_bh_disable()) {
                sums.set(Counter::TxQueueMax, high_water.subqueue as u64);
                sums.set(Counter::TxRingMax, high_water.ring as u64);
            }
        }
        let values = sums.0.iter();
        for (to, from) in tx.iter_mut().zip(values.clone()) {
            *to = *from;
        }
        for (to, from) in rx.iter_mut().zip(values.skip(counters::TX.len())) {
            *to = *from;
        }
    }
}

/// Sets the numbers of TX and RX queues in use. If it fails, they may be partly set.
fn use_queues(dev: &Device<Spans>, tx: u32, rx: u32, rtnl: &Rtnl) -> Result {
    let port = dev.data();
    if rx < dev.real_num_rx_queues() {
        // The stack warns about packets of a queue that is not in use: first no frame is
        // forwarded into its ring any more.
        port.set_rx_queues(rx);
        synchronize_net(rtnl);
    }
    dev.set_real_num_queues(tx, rx, rtnl)?;
    port.set_rx_queues(rx);
    cpus::map_cpus(dev, rtnl)
}

#[vtable]
impl ethtool::Settings for Spans {
    fn ringparam(dev: &Device<Self>) -> RingParam {
        let config = dev.data().config();
        RingParam {
            tx: config.tx_slots(),
            rx: config.rx_slots(),
            max: *RING_SLOTS.end(),
        }
    }

    fn set_ringparam(
        dev: &Device<Self>,
        tx: u32,
        rx: u32,
        rtnl: &Rtnl,
        extack: &ExtAck<'_>,
    ) -> Result {
        Port::configure(dev, rtnl, |config| {
            config.set_slots(tx, rx).or_else(|OutOfRange| {
                extack.fail(
                    EINVAL,
                    c"spans: rings have 16 to 32768 slots, a power of two",
                )
            })
        })
    }

    fn coalesce(dev: &Device<Self>) -> Coalesce {
        let config = dev.data().config();
        Coalesce {
            tx_aggr_max_bytes: config.get(Param::StageBytes),
            tx_aggr_max_frames: config.get(Param::StageCount),
            tx_aggr_time_usecs: config.get(Param::StageUsecs),
        }
    }

    fn set_coalesce(
        dev: &Device<Self>,
        coalesce: Coalesce,
        rtnl: &Rtnl,
        extack: &ExtAck<'_>,
    ) -> Result {
        let set = |config: &mut Config| {
            config.set(Param::StageBytes, coalesce.tx_aggr_max_bytes)?;
            config.set(Param::StageCount, coalesce.tx_aggr_max_frames)?;
            config.set(Param::StageUsecs, coalesce.tx_aggr_time_usecs)
        };
        Port::configure(dev, rtnl, |config| {
            set(config).or_else(|OutOfRange| {
                extack.fail(
                    EINVAL,
                    c"spans: at most 256 frames, 1048576 bytes, 1000000 usecs",
                )
            })
        })
    }

    /// Returns `rate_mbit`, or without a rate the speed of veth. Bonding compares it.
    fn speed(dev: &Device<Self>) -> u32 {
        match dev.data().config().get(Param::RateMbit) {
            0 => 10_000,
            rate => rate,
        }
    }

    fn set_channels(dev: &Device<Self>, combined: u32, rtnl: &Rtnl) -> Result {
        let before = (dev.real_num_tx_queues(), dev.real_num_rx_queues());
        let tx = combined.min(dev.num_tx_queues());
        let rx = combined.min(dev.num_rx_queues());
        use_queues(dev, tx, rx, rtnl).inspect_err(|_| {
            // Best effort: restoring the old numbers may fail without memory, too.
            let _ = use_queues(dev, before.0, before.1, rtnl);
        })
    }

    fn reset(dev: &Device<Self>, _: &Rtnl) -> Result {
        if !dev.is_running() {
            return Err(enetdown());
        }
        dev.data().reset(dev, &local_bh_disable());
        Ok(())
    }
}
