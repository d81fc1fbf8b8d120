// SPDX-License-Identifier: GPL-2.0

//! A switch in debugfs that makes a transmit ring hang, for those who test
//! watchdogs: `stall`.

use super::{port::Port, queue::Queue, Spans};
use crate::net::{spinlock_bh::local_bh_disable, Device};
use kernel::{
    fmt,
    prelude::*,
    sync::aref::ARef, //
};

/// The number of the ring that hangs, or -1.
pub(super) fn show(device: &ARef<Device<Spans>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", device.data().stalled())
}

pub(super) fn store(device: &ARef<Device<Spans>>, line: &str) -> Result {
    let ring: i32 = line.parse().map_err(|_| EINVAL)?;
    if ring < Port::NO_RING || ring >= device.num_tx_queues() as i32 {
        return Err(EINVAL);
    }
    let port = device.data();
    port.set_stalled(ring);
    // One that hung until now goes on.
    let bh = local_bh_disable();
    for queue in port.queues() {
        if let Some(txq) = device.tx_queue(queue.index()) {
            Queue::restart(queue, &port, txq, &bh);
        }
    }
    Ok(())
}
