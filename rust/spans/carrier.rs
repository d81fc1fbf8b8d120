// SPDX-License-Identifier: GPL-2.0

//! Who on a segment has a carrier.
//!
//! One that goes up, goes down, or whose line is cut or mended may give a carrier to
//! another, or take it away.
//!
//! A device has its carrier when `open` returns, so that the core starts its queues then and
//! each `NETDEV_UP` finds them working. That is why linkwatch is not in a hurry to tell the
//! rest of the system, which it is: IPv6, bridges and daemons wait for the operational state.
//! It is [reported](LinkStates::report) as soon as the device is up or down.

use super::Spans;
use crate::net::{clock::ktime_get, rtnl::Rtnl, spinlock_bh::local_bh_disable, Device};
use core::cell::Cell;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{aref::ARef, Mutex},
};
use spans_logic::segment::{carriers, Reports};

/// A device that is up.
struct Entry {
    device: ARef<Device<Spans>>,
    /// Its carrier is not what the core was [told](LinkStates::report).
    changed: Cell<bool>,
    reports: Cell<Reports>,
}

/// The devices of a segment that are up. This is not what frames look at, so that
/// none of these references outlives its device's going down.
#[pin_data]
pub(super) struct LinkStates {
    #[pin]
    entries: Mutex<KVec<Entry>>,
}

impl LinkStates {
    /// Those of a segment with nobody on it.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            entries <- new_mutex!(KVec::new(), "spans_link_states"),
        })
    }

    /// Gives each device a carrier, or takes it away, as it is right now. The core is to be
    /// [told](Self::report). Process context.
    pub(super) fn update_carriers(&self, _: &Rtnl) {
        update_carriers(&self.entries.lock());
    }

    /// Has the core take note of each carrier that has changed, but of none too often. Process context, not from
    /// `open` or `stop`: notifiers are called, which is why no lock is held meanwhile.
    pub(super) fn report(&self, rtnl: &Rtnl) {
        while let Some(device) = self.next_changed() {
            device.linkwatch_sync(rtnl);
        }
    }

    fn next_changed(&self) -> Option<ARef<Device<Spans>>> {
        let entries = self.entries.lock();
        let now = ktime_get();
        let entry = entries.iter().find(|entry| {
            let mut reports = entry.reports.get();
            let told = entry.changed.take() && reports.may(now);
            entry.reports.set(reports);
            told
        })?;
        Some(entry.device.clone())
    }
}

fn update_carriers(entries: &[Entry]) {
    let forced_off = entries
        .iter()
        .map(|entry| entry.device.data().is_forced_off());
    for (
        Entry {
            device, changed, ..
        },
        carrier,
    ) in entries.iter().zip(carriers(forced_off))
    {
        if device.carrier_ok() == carrier {
            continue;
        }
        changed.set(true);
        let bh = local_bh_disable();
        if carrier {
            device.carrier_on();
            device.data().carrier_on(device, &bh);
        } else {
            device.carrier_off();
            device.data().carrier_off(device, &bh);
        }
    }
}

/// The line of a device that is up: it has none, and no carrier, when this is dropped.
#[must_use = "a line that is dropped carries nothing"]
pub(super) struct LinkState {
    device: ARef<Device<Spans>>,
}

impl LinkState {
    /// For a device that goes up. It gets its carrier when the lines are
    /// [settled](LinkStates::update_carriers). Process context.
    pub(super) fn new(device: &Device<Spans>, _: &Rtnl) -> Result<Self> {
        let port = device.data();
        let entry = Entry {
            device: device.into(),
            changed: Cell::new(false),
            reports: Cell::new(Reports::default()),
        };
        let mut entries = port.segment().link_states().entries.lock();
        entries.push(entry, GFP_KERNEL_ACCOUNT)?;
        Ok(Self {
            device: device.into(),
        })
    }
}

impl Drop for LinkState {
    fn drop(&mut self) {
        let port = self.device.data();
        let mut entries = port.segment().link_states().entries.lock();
        let index = entries
            .iter()
            .position(|entry| core::ptr::eq(&*entry.device, &*self.device));
        // It has been there since it was made.
        let _ = index.map(|index| entries.remove(index));
        self.device.carrier_off();
        update_carriers(&entries);
    }
}
