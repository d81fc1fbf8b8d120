// SPDX-License-Identifier: GPL-2.0

//! `/sys/class/net/DEVICE/spans/`.

use super::{arp::Arp, cpus, port::Port, Spans};
use crate::net::sysfs::{Attribute, Attributes};
use kernel::prelude::*;
use spans_logic::{
    arp,
    config::{OutOfRange, Param},
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
