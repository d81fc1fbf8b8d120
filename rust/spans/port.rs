// SPDX-License-Identifier: GPL-2.0

//! What the driver keeps about a device: its place on a segment, and its queues.

use super::{queue::Queue, segment::Segment};
use crate::net::{
    napi::Napi,
    spinlock_bh::LocalBhDisabled, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};
use spans_logic::address::Address;

/// A port of a segment, and the data of a device.
///
/// It outlives its device for as long as somebody on the segment might still
/// have it in sight. By then its rings are closed.
pub(crate) struct Port {
    segment: Arc<Segment>,
    queues: KVec<Arc<Napi<Queue>>>,
    /// How many of the queues receive.
    rx_queues: usize,
    /// The link address, for the receive side, which does not hold RTNL.
    address: Atomic<u64>,
}

impl Port {
    /// A port of `segment`, closed, for a device with so many queues.
    pub(super) fn new(segment: Arc<Segment>, tx: u32, rx: u32) -> Result<Arc<Self>> {
        let count = tx.max(rx);
        let mut queues = KVec::with_capacity(count as usize, GFP_KERNEL_ACCOUNT)?;
        for index in 0..count {
            let queue = Napi::new(Queue::new(index as u16));
            queues.push(
                Arc::pin_init(queue, GFP_KERNEL_ACCOUNT)?,
                GFP_KERNEL_ACCOUNT,
            )?;
        }
        let port = Self {
            segment,
            queues,
            rx_queues: rx as usize,
            address: Atomic::new(0),
        };
        Ok(Arc::new(port, GFP_KERNEL_ACCOUNT)?)
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// One for each transmit queue and each receive queue: a queue number means
    /// the same pair of rings in both directions.
    pub(super) fn queues(&self) -> &[Arc<Napi<Queue>>] {
        &self.queues
    }

    /// The queue that receives what a sender's queue number `index` sent. What
    /// comes from one queue stays in order.
    pub(super) fn rx_queue(&self, index: u16) -> Option<&Napi<Queue>> {
        let mut index = usize::from(index);
        // Usually all have the same number of queues, and nothing is divided.
        if index >= self.rx_queues {
            index = index.checked_rem(self.rx_queues)?;
        }
        Some(self.queues.get(index)?)
    }

    pub(super) fn address(&self) -> Address {
        Address::new(self.address.load(Relaxed).to_ne_bytes())
    }

    pub(super) fn set_address(&self, address: Address) {
        self.address
            .store(u64::from_ne_bytes(*address.as_bytes()), Relaxed);
    }

    /// From now on the rings take frames.
    pub(super) fn open(&self, bh: &LocalBhDisabled) {
        for queue in self.queues.iter() {
            queue.open(bh);
        }
    }

    /// From now on the rings refuse frames. Those in them are dropped.
    pub(super) fn close(&self, bh: &LocalBhDisabled) {
        for queue in self.queues.iter() {
            queue.close(bh);
        }
    }
}
