// SPDX-License-Identifier: GPL-2.0

//! The `net_device_ops` of a device.

use super::{
    arp::Arp,
    carrier::LinkState,
    debugfs,
    filter,
    port::Port,
    queue::Queue,
    rollup::Rollup,
    segment::{Member, Membership},
    watchdog::Watchdog,
    Spans, //
};
use crate::net::{
    device::{self, Device, RxMode},
    error::eaddrnotavail,
    napi,
    queue::XmitLocked,
    rtnl::Rtnl,
    spinlock_bh::{local_bh_disable, LocalBhDisabled},
    stats::LinkStats,
    DropReason, SkBuff,
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use spans_logic::address::Address;

/// State that exists only while a device is up.
pub(crate) struct OpenState {
    link_state: LinkState,
    membership: Membership<Port>,
    queues: napi::Registration<Queue>,
    rollups: napi::Registration<Rollup>,
    _files: debugfs::Files,
}

/// Returns a copy of `napis` that a registration can own.
fn list<T>(napis: &[Arc<T>]) -> Result<KVec<Arc<T>>> {
    let mut list = KVec::with_capacity(napis.len(), GFP_KERNEL_ACCOUNT)?;
    list.extend_from_slice(napis, GFP_KERNEL_ACCOUNT)?;
    Ok(list)
}

#[vtable]
impl device::Operations for Spans {
    type Data = Arc<Port>;
    type OpenState = KBox<OpenState>;

    fn open(dev: &Device<Self>, rtnl: &Rtnl) -> Result<KBox<OpenState>> {
        let port: Arc<Port> = dev.data().into();
        let address = dev.address(rtnl).map(Address::new).ok_or(EINVAL)?;
        port.set_address(address);
        port.set_filter(filter::none()?, rtnl);

        let state = KBox::new_uninit(GFP_KERNEL_ACCOUNT)?;
        let files = debugfs::files(dev)?;
        let queues = napi::Registration::new(dev, list(port.queues())?, rtnl)?;
        let rollups = napi::Registration::new(dev, list(port.rollups())?, rtnl)?;
        let link_state = LinkState::new(dev, rtnl)?;
        // The last step that can fail.
        let membership = port.segment().join(port.clone(), rtnl)?;

        port.watchdog().open(dev, &local_bh_disable());
        port.open(dev, &local_bh_disable());
        Arp::open(port.arp(), dev, &local_bh_disable());
        dev.start_all_queues(rtnl);
        port.segment().link_states().update_carriers(rtnl);
        Ok(state.write(OpenState {
            link_state,
            membership,
            queues,
            rollups,
            _files: files,
        }))
    }

    /// Leaves the segment first, so that no more frames arrive, then ends the polls. The rings
    /// are purged last, when no poll reads them.
    fn stop(dev: &Device<Self>, state: KBox<OpenState>, rtnl: &Rtnl) {
        let OpenState {
            link_state,
            membership,
            queues,
            rollups,
            _files: files,
        } = KBox::into_inner(state);
        membership.leave(rtnl);
        drop(link_state);
        drop(files);
        drop(queues);
        drop(rollups);
        dev.data().close(dev, &local_bh_disable());
        Watchdog::close(dev.data().watchdog(), rtnl);
        Arp::close(dev.data().arp(), rtnl);
    }

    #[inline]
    fn start_xmit(dev: &Device<Self>, skb: SkBuff, mut txq: XmitLocked<'_>, bh: &LocalBhDisabled) {
        let port = dev.data();
        let Some(queue) = port.queues().get(usize::from(txq.index())) else {
            // Unreachable: the port has a queue for each TX queue.
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        if let Some(todo) = Queue::transmit(queue, skb, &mut txq, bh) {
            port.follow_up(&txq, todo, bh);
        }
    }

    fn set_address(dev: &Device<Self>, address: &[u8], rtnl: &Rtnl) -> Result {
        let port = dev.data();
        let medium = port.medium();
        let address = medium.address(address).ok_or(EINVAL)?;
        if !medium.is_valid_unicast(address) {
            return Err(eaddrnotavail());
        }
        let before = port.address();
        port.set_address(address);
        port.segment().update(&port, rtnl).inspect_err(|_| {
            port.set_address(before);
        })?;
        dev.set_address(medium.bytes(&address), rtnl)
    }

    fn set_rx_mode(dev: &Device<Self>, mode: &RxMode<'_>, rtnl: &Rtnl) -> Result {
        let port = dev.data();
        // If `update` fails without memory, the filter is newer than the segment's table until the
        // core retries, for up to 15 seconds, or until the next change. Meanwhile frames for a new
        // address are not forwarded, and frames for a removed one not accepted.
        port.set_filter(filter::of(port.medium(), mode)?, rtnl);
        port.segment().update(&port, rtnl)
    }

    /// Updates the limits of stages and subqueues, which depend on the MTU.
    fn mtu_changed(dev: &Device<Self>, rtnl: &Rtnl) -> Result {
        Port::configure(dev, rtnl, |_| Ok(()))
    }

    fn change_carrier(dev: &Device<Self>, carrier: bool, rtnl: &Rtnl) {
        let port = dev.data();
        port.set_forced_off(!carrier);
        port.segment().link_states().update_carriers(rtnl);
        port.segment().link_states().report(rtnl);
    }

    fn stats64(dev: &Device<Self>, stats: &mut LinkStats) {
        for queue in dev.data().queues() {
            queue.sums().add_to(stats);
        }
    }

    fn port_parent_id(dev: &Device<Self>) -> [u8; 8] {
        dev.data().segment().id()
    }

    fn phys_port_id(dev: &Device<Self>) -> [u8; 8] {
        dev.data().id()
    }
}
