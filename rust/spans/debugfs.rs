// SPDX-License-Identifier: GPL-2.0

//! Files for developers, while a device is up: `/sys/kernel/debug/spans-PORT/`, where
//! PORT is what `phys_port_id` in sysfs says.

use super::{
    show::{Ip, Link},
    stall::Switch,
    Spans,
};
use crate::net::Device;
use kernel::{
    debugfs::{self, Dir, File},
    fmt,
    prelude::*,
    str::CString,
    sync::aref::ARef, //
};
use spans_logic::{
    arp::table::{State, View},
    medium::Medium,
};

/// The files, which are there while this exists. Dropping it waits for those who read
/// or write them.
pub(super) struct Files {
    _stall: Pin<KBox<File<Switch>>>,
    _arp: Pin<KBox<File<ArpTable>>>,
    _dir: Dir,
}

impl Files {
    pub(super) fn new(device: &Device<Spans>) -> Result<Self> {
        let id = u64::from_be_bytes(device.data().id());
        let name = CString::try_from_fmt(fmt!("spans-{id:016x}"))?;
        let dir = Dir::new(&name);
        let stall = dir.read_write_file(c"stall", Switch::new(device));
        let stall = KBox::pin_init(stall, GFP_KERNEL)?;
        let arp = ArpTable {
            device: device.into(),
        };
        let arp = KBox::pin_init(dir.read_only_file(c"arp", arp), GFP_KERNEL)?;
        Ok(Self {
            _stall: stall,
            _arp: arp,
            _dir: dir,
        })
    }
}

/// The ARP table, an entry a line.
struct ArpTable {
    device: ARef<Device<Spans>>,
}

/// How many slots are looked at with the lock of the table.
const SLOTS: usize = 64;

impl debugfs::Writer for ArpTable {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ip lladdr state origin flags waiters tries age_ms")?;
        let mut views = KVec::with_capacity(SLOTS, GFP_KERNEL).map_err(|_| fmt::Error)?;
        let medium = self.device.data().medium();
        let mut first = 0usize;
        let mut more = true;
        while more {
            more = self.device.data().arp().views(first, SLOTS, &mut views);
            first = first.saturating_add(SLOTS);
            for view in views.drain_all() {
                write_entry(f, medium, &view)?;
            }
        }
        Ok(())
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, medium: &'static Medium, view: &View) -> fmt::Result {
    f.write_fmt(fmt!("{} ", Ip(view.ip)))?;
    match view.address {
        Some(address) => f.write_fmt(fmt!("{} ", Link(medium, address)))?,
        None => f.write_str("- ")?,
    }
    let (state, origin, waiters, tries) = match view.state {
        State::Incomplete { tries, .. } => ("incomplete", "lookup", 1, tries),
        State::Valid | State::Ending => ("valid", "lookup", 0, 0),
        State::Failed => ("failed", "lookup", 0, 0),
        State::Permanent | State::Forgotten => ("permanent", "perm", 0, 0),
        State::Gone(_) => return Ok(()),
    };
    write!(f, "{state} {origin} ")?;
    let flags = [
        (view.state.is_valid(), "V"),
        (view.locked, "L"),
        (view.heard, "H"),
        (view.state == State::Ending, "E"),
        (view.state == State::Forgotten, "F"),
    ];
    let mut none = true;
    for (_, flag) in flags.iter().filter(|(set, _)| *set) {
        f.write_str(flag)?;
        none = false;
    }
    if none {
        f.write_str("-")?;
    }
    writeln!(f, " {waiters} {tries} {}", view.age / 1_000_000)
}
