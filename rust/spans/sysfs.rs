// SPDX-License-Identifier: GPL-2.0

//! The settings of a device: `/sys/class/net/s0/spans/` and `ethtool`.

use super::{arp::Arp, cpus, port::Port, Spans};
use crate::net::{
    error::enetdown,
    ethtool::{self, Coalesce, RingParam},
    netlink::ExtAck,
    rcu::synchronize_net,
    rtnl::Rtnl,
    spinlock_bh::local_bh_disable,
    sysfs::{Attribute, Attributes},
    Device,
};
use kernel::{
    prelude::*, //
};
use spans_logic::{
    arp,
    config::{Config, OutOfRange, Param, RING_SLOTS},
};

fn parse(text: &str) -> Result<u32> {
    text.parse().map_err(|_| EINVAL)
}

/// The sysfs file of a parameter.
macro_rules! param {
    ($name:literal, $param:ident) => {
        Attribute::new(
            $name,
            |dev, to| Ok(write!(to, "{}", dev.data().config().get(Param::$param))?),
            |dev, text, rtnl| {
                let value = parse(text)?;
                Port::configure(dev, rtnl, |config| {
                    config
                        .set(Param::$param, value)
                        .map_err(|OutOfRange| EINVAL)
                })
            },
        )
    };
}

/// The sysfs file of a parameter of the ARP table.
macro_rules! arp_param {
    ($name:literal, $param:ident) => {
        Attribute::new(
            $name,
            |dev, to| {
                let value = dev.data().arp().get(arp::config::Param::$param);
                Ok(write!(to, "{value}")?)
            },
            |dev, text, rtnl| {
                let value = parse(text)?;
                Arp::set(dev.data().arp(), arp::config::Param::$param, value, rtnl)
            },
        )
    };
}

/// The sysfs file of a counter of the ARP table.
macro_rules! arp_total {
    ($name:literal, $total:ident) => {
        Attribute::read_only($name, |dev, to| {
            let (_, stats) = dev.data().arp().stats();
            Ok(write!(to, "{}", stats.$total)?)
        })
    };
}

impl Attributes for Spans {
    const GROUP: &'static CStr = c"spans";
    const ATTRIBUTES: &'static [Attribute<Self>] = &[
        param!(c"stage_count", StageCount),
        param!(c"stage_bytes", StageBytes),
        param!(c"stage_usecs", StageUsecs),
        param!(c"queue_len", QueueLen),
        param!(c"queue_bytes", QueueBytes),
        param!(c"rate_mbit", RateMbit),
        param!(c"delay_usecs", DelayUsecs),
        param!(c"tx_wait_usecs", TxWaitUsecs),
        cpus::MAPPING,
        cpus::OWNER_CPUS,
        Attribute::read_only(c"medium", |dev, to| {
            let name = dev.data().medium().name;
            Ok(to.write_str(name.to_str().map_err(|_| EINVAL)?)?)
        }),
        arp_param!(c"arp_tick_ms", TickMs),
        arp_param!(c"arp_ticks", Ticks),
        arp_param!(c"arp_retrans_ms", RetransMs),
        arp_param!(c"arp_probes", Probes),
        arp_param!(c"arp_hold_ms", HoldMs),
        arp_param!(c"arp_max_entries", MaxEntries),
        Attribute::read_only(c"arp_entries", |dev, to| {
            let (entries, _) = dev.data().arp().stats();
            Ok(write!(to, "{entries}")?)
        }),
        arp_total!(c"arp_requests", requests),
        arp_total!(c"arp_learned", learned),
        arp_total!(c"arp_resolved", resolved),
        arp_total!(c"arp_failed", failed),
        arp_total!(c"arp_changed", changed),
        arp_total!(c"arp_expired", expired),
        arp_total!(c"arp_evicted", evicted),
        arp_total!(c"arp_refused", refused),
        arp_total!(c"arp_duplicates", duplicates),
    ];
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
