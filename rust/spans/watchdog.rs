// SPDX-License-Identifier: GPL-2.0

//! Does every ring that has work get anywhere?
//!
//! The core's own watchdog looks at queues that are stopped only, and stops with
//! the qdisc. This one looks at rings, each second while the device is up, as
//! DragonFly's (`ifsq_watchdog()`, `sys/net/if.c`).

use super::{queue::Queue, Spans};
use crate::net::{
    spinlock_bh::LocalBhDisabled,
    timer::{self, Timer},
    Device, //
};
use kernel::{
    sync::aref::ARef,
    time::Msecs, //
};

/// Between two looks.
pub(super) const PERIOD: Msecs = 1000;

/// Looks after the rings of a device.
pub(super) struct Watchdog {
    device: ARef<Device<Spans>>,
}

impl Watchdog {
    /// For as long as the device is up, which it refers to.
    pub(super) fn new(device: &Device<Spans>) -> Self {
        Self {
            device: device.into(),
        }
    }
}

impl timer::Callback for Watchdog {
    fn expired(this: &Timer<Self>, bh: &LocalBhDisabled) -> Option<Msecs> {
        let port = this.device.data();
        for queue in port.queues() {
            let Some(txq) = this.device.tx_queue(queue.index()) else {
                continue;
            };
            if queue.tick(txq, bh) {
                // A reset ends whatever made the ring hang, and only then it can go on.
                if port.is_stalled(queue.index()) {
                    port.unstall();
                }
                Queue::restart(queue, txq, bh);
            }
        }
        Some(PERIOD)
    }
}
