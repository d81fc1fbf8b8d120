// SPDX-License-Identifier: GPL-2.0

//! The CPUs of a queue: those that transmit on it, by XPS (`mapping`), and the owner CPU, which
//! polls it (`owner_cpus`). [`spans_logic::cpus`] decides.

use super::{port::Port, Spans};
use crate::net::{
    capability::capable_net_admin_noaudit,
    cpu::{is_housekeeping, is_possible, possible_cpus},
    rtnl::Rtnl,
    sysfs::Attribute,
    Device, //
};
use kernel::{
    cpu::CpuId,
    cpumask::CpumaskVar,
    fmt::Write,
    prelude::*, //
};
use spans_logic::cpus::{self, Malformed, Mapping, Run};

/// Returns the owner CPUs of the queues of a device that the current process creates.
pub(super) fn first_owners() -> Result<KVec<Run>> {
    let is_housekeeping = |cpu| CpuId::from_u32(cpu).is_some_and(is_housekeeping);
    let possible = possible_cpus().map(u32::from);
    let mut owners = KVec::new();
    for run in cpus::first_owners(capable_net_admin_noaudit(), possible, is_housekeeping) {
        owners.push(run, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(owners)
}

/// Writable with `CAP_NET_ADMIN` in the initial user namespace, as it moves work to other CPUs.
pub(super) const OWNER_CPUS: Attribute<Spans> =
    Attribute::new(c"owner_cpus", show_owners, store_owners).init_ns_only();

fn show_owners(dev: &Device<Spans>, to: &mut dyn Write) -> Result {
    let port = dev.data();
    let owners = port.owners().lock();
    for (index, run) in owners.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(to, "{comma}{run}")?;
    }
    Ok(())
}

fn store_owners(dev: &Device<Spans>, text: &str, _: &Rtnl) -> Result {
    let mut owners = KVec::new();
    for run in cpus::parse(text) {
        let run = run.map_err(|Malformed| EINVAL)?;
        // An offline CPU is valid: a CPU that goes offline stays the owner, too.
        if !run
            .cpus()
            .all(|cpu| CpuId::from_u32(cpu).is_some_and(is_possible))
        {
            return Err(EINVAL);
        }
        owners.push(run, GFP_KERNEL_ACCOUNT)?;
    }
    dev.data().set_owners(owners);
    Ok(())
}

pub(super) const MAPPING: Attribute<Spans> =
    Attribute::new(c"mapping", show_mapping, store_mapping);

fn show_mapping(dev: &Device<Spans>, to: &mut dyn Write) -> Result {
    Ok(to.write_str(dev.data().config().mapping.name())?)
}

fn store_mapping(dev: &Device<Spans>, text: &str, rtnl: &Rtnl) -> Result {
    let mapping = Mapping::from_name(text).ok_or(EINVAL)?;
    let before = dev.data().config().mapping;
    set_mapping(dev, mapping, rtnl).inspect_err(|_| {
        // Best effort: restoring the old mapping may fail without memory, too.
        let _ = set_mapping(dev, before, rtnl);
    })
}

fn set_mapping(dev: &Device<Spans>, mapping: Mapping, rtnl: &Rtnl) -> Result {
    Port::configure(dev, rtnl, |config| {
        config.mapping = mapping;
        Ok(())
    })?;
    map_cpus(dev, rtnl)
}

/// Sets XPS: each possible CPU transmits on the queue that `mapping` assigns to it.
pub(super) fn map_cpus(dev: &Device<Spans>, rtnl: &Rtnl) -> Result {
    let mapping = dev.data().config().mapping;
    let queues = dev.real_num_tx_queues() as usize;
    for index in 0..queues {
        let mut cpus = CpumaskVar::new_zero(GFP_KERNEL)?;
        for cpu in possible_cpus() {
            if mapping.queue(cpu.as_u32() as usize, queues) == index {
                cpus.set(cpu);
            }
        }
        match dev.set_xps_cpus(index as u16, &cpus, rtnl) {
            // A queue outside of all traffic classes (mqprio): the core does not select it.
            Err(error) if error != EINVAL => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
