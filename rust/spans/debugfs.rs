// SPDX-License-Identifier: GPL-2.0

//! The debugfs directory of a device that is up: `/sys/kernel/debug/spans-PORT/`, with PORT as
//! `phys_port_id` in sysfs.

use super::{
    fmt::{Ip, Link},
    stall, Spans,
};
use crate::net::{
    debugfs::{Dir, File},
    Device, //
};
use kernel::{
    fmt,
    prelude::*,
    str::CString,
    sync::aref::ARef, //
};
use spans_logic::{
    arp::table::{EntryInfo, State},
    medium::Medium,
};

/// The files of a device, removed on drop.
pub(super) type Files = Dir<ARef<Device<Spans>>>;

const FILES: &[File<ARef<Device<Spans>>>] = &[
    File {
        name: c"arp",
        show: show_arp,
        store: None,
    },
    File {
        name: c"stall",
        show: stall::show,
        store: Some(stall::store),
    },
    File {
        name: c"miss_irq",
        show: stall::show_miss_irq,
        store: Some(stall::store_miss_irq),
    },
];

/// Creates the files of a device. Process context.
pub(super) fn files(device: &Device<Spans>) -> Result<Files> {
    let id = u64::from_be_bytes(device.data().id());
    let name = CString::try_from_fmt(fmt!("spans-{id:016x}"))?;
    Dir::new(&name, FILES, &device.into())
}

/// Number of slots read under one lock of the ARP table.
const SLOTS: usize = 64;

/// Prints the ARP table, one entry per line.
fn show_arp(device: &ARef<Device<Spans>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "ip lladdr state origin flags waiters tries age_ms")?;
    let mut entries = KVec::with_capacity(SLOTS, GFP_KERNEL).map_err(|_| fmt::Error)?;
    let port = device.data();
    let mut first = 0usize;
    let mut more = true;
    while more {
        more = port.arp().entries(first, SLOTS, &mut entries);
        first = first.saturating_add(SLOTS);
        for entry in entries.drain_all() {
            write_entry(f, port.medium(), &entry)?;
        }
    }
    Ok(())
}

fn write_entry(
    f: &mut fmt::Formatter<'_>,
    medium: &'static Medium,
    entry: &EntryInfo,
) -> fmt::Result {
    f.write_fmt(fmt!("{} ", Ip(entry.ip)))?;
    match entry.address {
        Some(address) => f.write_fmt(fmt!("{} ", Link(medium, address)))?,
        None => f.write_str("- ")?,
    }
    let (state, origin, waiters, tries) = match entry.state {
        State::Incomplete { tries, .. } => ("incomplete", "lookup", 1, tries),
        State::Valid | State::Expiring => ("valid", "lookup", 0, 0),
        State::Unverified => ("unverified", "lookup", 0, 0),
        State::Failed => ("failed", "lookup", 0, 0),
        State::Permanent | State::Unrestored => ("permanent", "perm", 0, 0),
        State::Removed(_) => return Ok(()),
    };
    write!(f, "{state} {origin} ")?;
    let flags = [
        (entry.state.is_valid(), "V"),
        (entry.locked, "L"),
        (entry.unsolicited, "U"),
        (entry.state == State::Expiring, "E"),
        (entry.state == State::Unrestored, "R"),
    ];
    let mut none = true;
    for (_, flag) in flags.iter().filter(|(set, _)| *set) {
        f.write_str(flag)?;
        none = false;
    }
    if none {
        f.write_str("-")?;
    }
    writeln!(f, " {waiters} {tries} {}", entry.age / 1_000_000)
}
