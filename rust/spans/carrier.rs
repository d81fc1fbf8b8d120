// SPDX-License-Identifier: GPL-2.0

//! The carriers of the devices of a segment.
//!
//! A device that goes up or down, or that the user forces off, may change the carrier of the
//! other devices of its segment.
//!
//! A device has its carrier when `open` returns, so that the core starts its queues then and
//! each `NETDEV_UP` finds them working. Linkwatch delays the event of such a device, while IPv6,
//! bridges and daemons wait for the operational state: [`LinkStates::report`] has it handled as
//! soon as the device is up or down.

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
    /// The carrier has changed since it was last [reported](LinkStates::report).
    changed: Cell<bool>,
    reports: Cell<Reports>,
}

/// The devices of a segment that are up. The forwarding path does not read this list, so that
/// no reference outlives `ndo_stop`.
#[pin_data]
pub(super) struct LinkStates {
    #[pin]
    entries: Mutex<KVec<Entry>>,
}

impl LinkStates {
    /// Creates the empty list of a new segment.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            entries <- new_mutex!(KVec::new(), "spans_link_states"),
        })
    }

    /// Turns the carrier of each device on or off. The caller has to [report](Self::report) the
    /// changes. Process context.
    pub(super) fn update_carriers(&self, _: &Rtnl) {
        update_carriers(&self.entries.lock());
    }

    /// Has linkwatch handle each changed carrier now, at a [limited rate](Reports) for each
    /// device. Process context, not from `open` or `stop`: notifiers are called, without a lock
    /// of this module.
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
            let due = entry.changed.take() && reports.may(now);
            entry.reports.set(reports);
            due
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

/// The link state of a device that is up. When it is dropped, the device loses its carrier.
#[must_use = "a device without a link state has no carrier"]
pub(super) struct LinkState {
    device: ARef<Device<Spans>>,
}

impl LinkState {
    /// Adds a device that goes up. [`LinkStates::update_carriers`] turns its carrier on. Process
    /// context.
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
        // `new` has added it.
        let _ = index.map(|index| entries.remove(index));
        self.device.carrier_off();
        update_carriers(&entries);
    }
}
