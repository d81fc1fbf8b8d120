// SPDX-License-Identifier: GPL-2.0

//! Who on a segment has a carrier.
//!
//! One that goes up, goes down, or whose line is cut or mended may give a carrier to
//! another, or take it away.

use super::Spans;
use crate::net::{rtnl::Rtnl, spinlock_bh::local_bh_disable, Device};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{aref::ARef, Mutex},
};
use spans_logic::segment::carriers;

/// The devices of a segment that are up. This is not what frames look at, so that
/// none of these references outlives its device's going down.
#[pin_data]
pub(super) struct Lines {
    #[pin]
    devices: Mutex<KVec<ARef<Device<Spans>>>>,
}

impl Lines {
    /// Those of a segment with nobody on it.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            devices <- new_mutex!(KVec::new(), "spans_lines"),
        })
    }

    /// Gives each device a carrier, or takes it away, as it is right now. Process context.
    pub(super) fn settle(&self, _: &Rtnl) {
        settle(&self.devices.lock());
    }
}

fn settle(devices: &[ARef<Device<Spans>>]) {
    let cuts = devices.iter().map(|device| device.data().is_cut());
    for (device, carrier) in devices.iter().zip(carriers(cuts)) {
        if device.carrier_ok() == carrier {
            continue;
        }
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
pub(super) struct Line {
    device: ARef<Device<Spans>>,
}

impl Line {
    /// For a device that goes up. It gets its carrier when the lines are
    /// [settled](Lines::settle). Process context.
    pub(super) fn new(device: &Device<Spans>, _: &Rtnl) -> Result<Self> {
        let port = device.data();
        let mut devices = port.segment().lines().devices.lock();
        devices.push(device.into(), GFP_KERNEL_ACCOUNT)?;
        Ok(Self {
            device: device.into(),
        })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let port = self.device.data();
        let mut devices = port.segment().lines().devices.lock();
        let index = devices
            .iter()
            .position(|device| core::ptr::eq(&**device, &*self.device));
        // It has been there since it was made.
        let _ = index.map(|index| devices.remove(index));
        self.device.carrier_off();
        settle(&devices);
    }
}
