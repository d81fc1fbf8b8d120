// SPDX-License-Identifier: GPL-2.0

//! Switches in debugfs that make a ring hang, for tests of watchdogs: `stall` for a transmit
//! ring, `miss_irq` for a receive ring.

use super::{port::Port, queue::Queue, Spans};
use crate::net::{spinlock_bh::local_bh_disable, Device};
use kernel::{
    fmt,
    prelude::*,
    sync::aref::ARef, //
};

/// The number of one of so many rings, or -1.
fn parse(line: &str, rings: u32) -> Result<i32> {
    let ring: i32 = line.parse().map_err(|_| EINVAL)?;
    if ring < Port::NO_RING || ring >= rings as i32 {
        return Err(EINVAL);
    }
    Ok(ring)
}

/// The number of the ring that hangs, or -1.
pub(super) fn show(device: &ARef<Device<Spans>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", device.data().stalled())
}

pub(super) fn store(device: &ARef<Device<Spans>>, line: &str) -> Result {
    let ring = parse(line, device.num_tx_queues())?;
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

/// The number of the receive ring whose doorbells schedule no poll, or -1.
pub(super) fn show_miss_irq(
    device: &ARef<Device<Spans>>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let bh = local_bh_disable();
    let port = device.data();
    let ring = port.queues().iter().find(|queue| queue.misses_irq(&bh));
    writeln!(
        f,
        "{}",
        ring.map_or(Port::NO_RING, |queue| queue.index().into())
    )
}

/// A poll that was not scheduled until now is not made up for: what is in the ring waits for
/// another doorbell, or the watchdog.
pub(super) fn store_miss_irq(device: &ARef<Device<Spans>>, line: &str) -> Result {
    let ring = parse(line, device.num_rx_queues())?;
    let bh = local_bh_disable();
    for queue in device.data().queues() {
        queue.set_misses_irq(i32::from(queue.index()) == ring, &bh);
    }
    Ok(())
}
