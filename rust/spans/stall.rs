// SPDX-License-Identifier: GPL-2.0

//! Fault injection by debugfs, for tests of the watchdog: `stall` makes a TX ring hang,
//! `miss_irq` has the doorbells of an RX ring schedule no poll.

use super::{port::Port, Spans};
use crate::net::{spinlock_bh::local_bh_disable, Device};
use kernel::{
    fmt,
    prelude::*,
    sync::aref::ARef, //
};

/// Parses the index of one of `rings` rings, or -1 for none.
fn parse(line: &str, rings: u32) -> Result<i32> {
    let ring: i32 = line.parse().map_err(|_| EINVAL)?;
    if ring < Port::NO_RING || ring >= rings as i32 {
        return Err(EINVAL);
    }
    Ok(ring)
}

/// Shows the index of the TX ring that hangs, or -1.
pub(super) fn show(device: &ARef<Device<Spans>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", device.data().stalled())
}

pub(super) fn store(device: &ARef<Device<Spans>>, line: &str) -> Result {
    let ring = parse(line, device.num_tx_queues())?;
    let port = device.data();
    port.set_stalled(ring);
    // Restarts the ring that hung until now.
    let bh = local_bh_disable();
    for queue in port.queues() {
        if let Some(txq) = device.tx_queue(queue.index()) {
            port.restart(queue, txq, &bh);
        }
    }
    Ok(())
}

/// Shows the index of the RX ring that schedules no poll, or -1.
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

/// Sets the RX ring that schedules no poll. Does not schedule a poll for the ring set before: its
/// frames wait for another doorbell, or the watchdog.
pub(super) fn store_miss_irq(device: &ARef<Device<Spans>>, line: &str) -> Result {
    let ring = parse(line, device.num_rx_queues())?;
    let bh = local_bh_disable();
    for queue in device.data().queues() {
        queue.set_misses_irq(i32::from(queue.index()) == ring, &bh);
    }
    Ok(())
}
