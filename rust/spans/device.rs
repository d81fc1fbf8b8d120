// SPDX-License-Identifier: GPL-2.0

//! What the stack asks of a device.

use super::{
    port::Port,
    queue::Queue,
    segment::Membership,
    Spans, //
};
use crate::net::{
    device::{self, Device},
    error::eaddrnotavail,
    napi,
    queue::TxQueue,
    rtnl::Rtnl,
    spinlock_bh::{local_bh_disable, LocalBhDisabled},
    stats::LinkStats,
    SkBuff,
};
use kernel::{prelude::*, sync::Arc};
use spans_logic::address::Address;

/// What a device has only while it is up.
pub(crate) struct Running {
    membership: Membership,
    polls: napi::Registration<Queue>,
}

#[vtable]
impl device::Operations for Spans {
    type Data = Arc<Port>;
    type Running = KBox<Running>;

    fn open(dev: &Device<Self>, rtnl: &Rtnl) -> Result<KBox<Running>> {
        let port: Arc<Port> = dev.data().into();
        let address = dev.address(rtnl).map(Address::new).ok_or(EINVAL)?;
        port.set_address(address);

        let mut queues = KVec::with_capacity(port.queues().len(), GFP_KERNEL_ACCOUNT)?;
        queues.extend_from_slice(port.queues(), GFP_KERNEL_ACCOUNT)?;
        let running = KBox::new_uninit(GFP_KERNEL_ACCOUNT)?;
        let polls = napi::Registration::new(dev, queues, rtnl)?;
        // The last step that can fail.
        let membership = port.segment().join(port.clone(), rtnl)?;

        port.open(&local_bh_disable());
        dev.start_all_queues(rtnl);
        Ok(running.write(Running { membership, polls }))
    }

    /// Off the segment first, so that nothing new arrives, then the polls; only
    /// then nobody fetches what is in the rings any more.
    fn stop(dev: &Device<Self>, running: KBox<Running>, rtnl: &Rtnl) {
        let Running { membership, polls } = KBox::into_inner(running);
        membership.leave(rtnl);
        drop(polls);
        dev.data().close(&local_bh_disable());
    }

    fn start_xmit(dev: &Device<Self>, skb: SkBuff, txq: TxQueue<'_>, bh: &LocalBhDisabled) {
        let port = dev.data();
        match port.queues().get(usize::from(txq.index())) {
            Some(queue) => {
                if queue.transmit(dev, skb, txq, bh) {
                    queue.schedule();
                }
            }
            // The device has a queue for each transmit queue.
            None => skb.kfree_reason(crate::net::DropReason::NOT_SPECIFIED),
        }
    }

    fn set_address(dev: &Device<Self>, address: &[u8], rtnl: &Rtnl) -> Result {
        let address = Address::from_slice(address).ok_or(EINVAL)?;
        if !address.is_station() {
            return Err(eaddrnotavail());
        }
        let port = dev.data();
        port.segment().readdress(&port, address, rtnl)?;
        port.set_address(address);
        dev.set_address(address.as_bytes(), rtnl)
    }

    fn stats64(dev: &Device<Self>, stats: &mut LinkStats) {
        dev.data().add_to(stats);
    }

    fn port_parent_id(dev: &Device<Self>) -> [u8; 8] {
        dev.data().segment().id()
    }
}
