// SPDX-License-Identifier: GPL-2.0

//! A switch in debugfs that makes a transmit ring hang, for those who test
//! watchdogs: `stall`.

use super::{port::Port, queue::Queue, Spans};
use crate::net::{spinlock_bh::local_bh_disable, Device};
use kernel::{
    debugfs,
    fmt,
    prelude::*,
    sync::aref::ARef,
    uaccess::UserSliceReader, //
};

/// The number of the ring that hangs, or -1.
pub(super) struct Switch {
    device: ARef<Device<Spans>>,
}

impl Switch {
    pub(super) fn new(device: &Device<Spans>) -> Self {
        Self {
            device: device.into(),
        }
    }
}

impl debugfs::Writer for Switch {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.device.data().stalled())
    }
}

impl debugfs::Reader for Switch {
    fn read_from_slice(&self, reader: &mut UserSliceReader) -> Result {
        let mut text = [0u8; 16];
        let len = reader.len();
        let text = text.get_mut(..len).ok_or(EINVAL)?;
        reader.read_slice(text)?;
        let ring: i32 = core::str::from_utf8(text)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or(EINVAL)?;
        let port = self.device.data();
        if ring < Port::NO_RING || ring >= self.device.num_tx_queues() as i32 {
            return Err(EINVAL);
        }
        port.set_stalled(ring);
        // One that hung until now goes on.
        let bh = local_bh_disable();
        for queue in port.queues() {
            if let Some(txq) = self.device.tx_queue(queue.index()) {
                Queue::restart(queue, txq, &bh);
            }
        }
        Ok(())
    }
}
