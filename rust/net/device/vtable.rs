// SPDX-License-Identifier: GPL-2.0

//! The C callbacks of `struct net_device_ops`.

use super::{drop_data, private, Device, Operations, RxMode};
use crate::net::{
    bindings, neighbour,
    queue::XmitLocked,
    rtnl::Rtnl,
    skbuff::{DropReason, SkBuff},
    spinlock_bh::LocalBhDisabled,
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*,
    types::ForeignOwnable, //
};

fn write_id(id: &mut bindings::netdev_phys_item_id, number: [u8; 8]) {
    for (to, from) in id.id.iter_mut().zip(number) {
        *to = from;
    }
    id.id_len = number.len() as u8;
}

/// Builds the `struct net_device_ops` of `T`.
pub(super) struct VTable<T: Operations>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    /// # Safety
    ///
    /// Called by the core once per device, during its registration, with RTNL held.
    unsafe extern "C" fn init_callback(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: By the invariants of `Setup` the area is a `Private<T>`, and RTNL is held.
        unsafe { (*dev).type_ = (*private::<T>(dev)).hardware_type };
        // SAFETY: The device is valid; its locks are initialised and not held.
        unsafe { bindings::rust_helper_netdev_lockdep_set_classes(dev) };
        0
    }

    /// # Safety
    ///
    /// Called by the core for a registered device that is down, with RTNL held.
    unsafe extern "C" fn open_callback(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        from_result(|| {
            let running = T::open(device, &rtnl)?;
            // SAFETY: RTNL protects the field, which is null, as the device was down.
            unsafe { (*device.private()).running = running.into_foreign() };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a device whose `open_callback` succeeded, with RTNL held.
    unsafe extern "C" fn stop_callback(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: RTNL protects the field.
        let running =
            unsafe { core::mem::replace(&mut (*device.private()).running, core::ptr::null_mut()) };
        // SAFETY: `open_callback` put it there with `into_foreign()`, and it was just taken out.
        if let Some(running) = unsafe { T::OpenState::try_from_foreign(running) } {
            T::stop(device, running, &rtnl);
        }
        0
    }

    /// # Safety
    ///
    /// Called by the core for a device that was registered, and may be down, with bottom halves off
    /// and the xmit lock of a queue. The core passes its reference to `skb`, unless `NETDEV_TX_BUSY` is returned.
    unsafe extern "C" fn start_xmit_callback(
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
    ) -> bindings::netdev_tx_t {
        // SAFETY: The device was registered. The sender has a reference to it, or is in an RCU
        // read-side section that unregistration waits for: it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: The packet is valid.
        let Some(txq) = device.tx_queue(unsafe { (*skb).queue_mapping }) else {
            // SAFETY: The core passes its reference to `skb`.
            unsafe { SkBuff::from_raw(skb) }.kfree_reason(DropReason::NOT_SPECIFIED);
            return bindings::netdev_tx_NETDEV_TX_OK;
        };
        // The core has locked the queue of the first packet of several that a qdisc has dequeued,
        // and a filter of that qdisc may have set another `queue_mapping` in one of the others. The
        // qdisc sends that packet again, alone and under the lock of its own queue.
        if !txq.is_locked_here() {
            return bindings::netdev_tx_NETDEV_TX_BUSY;
        }
        // SAFETY: The core passes its reference to `skb`. The holder of another reference, as
        // pktgen would have, only waits for the packet to be freed.
        let skb = unsafe { SkBuff::from_raw(skb) };
        // SAFETY: `ndo_start_xmit` runs with bottom halves off. (Netpoll, which has interrupts off
        // instead, does not use devices that `Setup::prepare` has set up.)
        let bh = unsafe { LocalBhDisabled::assume() };
        // SAFETY: The lock is held on this CPU, as was just tested, by the core for this call or by
        // an outer function, and is not released before this call returns.
        let txq = unsafe { XmitLocked::assume(txq) };
        T::start_xmit(device, skb, txq, &bh);
        bindings::netdev_tx_NETDEV_TX_OK
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held. `address` points to a `struct
    /// sockaddr_storage`.
    unsafe extern "C" fn set_mac_address_callback(
        dev: *mut bindings::net_device,
        address: *mut c_void,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: The device is valid, and `addr_len` never changes.
        let len = usize::from(unsafe { (*dev).addr_len });
        // The address follows the family, in `struct sockaddr` as in `struct sockaddr_storage`.
        let offset = size_of::<u16>();
        // SAFETY: The storage has 128 bytes; by the type invariant a link address has at most 32.
        let bytes = unsafe { core::slice::from_raw_parts(address.cast::<u8>().add(offset), len) };
        from_result(|| {
            T::set_address(device, bytes, &rtnl)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a device that is up, with RTNL held. The lists are copies that the
    /// core has made for this call.
    unsafe extern "C" fn set_rx_mode_callback(
        dev: *mut bindings::net_device,
        uc: *mut bindings::netdev_hw_addr_list,
        mc: *mut bindings::netdev_hw_addr_list,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held and the lists are valid and unchanged during the call.
        let (rtnl, mode) = unsafe { (Rtnl::assume(), RxMode::new(device, uc, mc)) };
        from_result(|| {
            T::set_rx_mode(device, &mode, &rtnl)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a device that is registered or being registered. `stats` is zeroed.
    unsafe extern "C" fn get_stats64_callback(
        dev: *mut bindings::net_device,
        stats: *mut bindings::rtnl_link_stats64,
    ) {
        // SAFETY: `Setup::register` has stored the data, which stays until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        if device.was_registered() {
            // SAFETY: `stats` is valid and exclusive to this function during the call.
            T::stats64(device, unsafe { &mut *stats });
        }
    }

    /// # Safety
    ///
    /// Called by the core for a registered device. `id` is to be written.
    unsafe extern "C" fn get_port_parent_id_callback(
        dev: *mut bindings::net_device,
        id: *mut bindings::netdev_phys_item_id,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: `id` is valid and exclusive to this function during the call.
        write_id(unsafe { &mut *id }, T::port_parent_id(device));
        0
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held.
    unsafe extern "C" fn change_mtu_callback(dev: *mut bindings::net_device, mtu: c_int) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: The device is valid.
        let field = unsafe { &raw mut (*dev).mtu };
        let before = device.mtu();
        // SAFETY: The device is valid, and RTNL protects the field. WRITE_ONCE().
        unsafe { field.write_volatile(mtu as u32) };
        from_result(|| {
            T::mtu_changed(device, &rtnl).inspect_err(|_| {
                // SAFETY: As above.
                unsafe { field.write_volatile(before) };
            })?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held.
    unsafe extern "C" fn change_carrier_callback(
        dev: *mut bindings::net_device,
        carrier: bool,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        T::change_carrier(device, carrier, &unsafe { Rtnl::assume() });
        0
    }

    /// # Safety
    ///
    /// Called by the core for a registered device. `id` is to be written.
    unsafe extern "C" fn get_phys_port_id_callback(
        dev: *mut bindings::net_device,
        id: *mut bindings::netdev_phys_item_id,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: `id` is valid and exclusive to this function during the call.
        write_id(unsafe { &mut *id }, T::phys_port_id(device));
        0
    }

    /// `dev->priv_destructor`: drops the data.
    ///
    /// # Safety
    ///
    /// Called by the core when no reference to the device exists, before it is freed, in process
    /// context.
    pub(super) unsafe extern "C" fn destructor_callback(dev: *mut bindings::net_device) {
        // SAFETY: The device was set up for `T` and nothing uses it.
        unsafe { drop_data::<T>(private(dev)) };
    }
}

impl<T: Operations + neighbour::Operations> VTable<T> {
    const OPS: bindings::net_device_ops = {
        let mut ops: bindings::net_device_ops = pin_init::zeroed();
        ops.ndo_init = Some(Self::init_callback);
        ops.ndo_open = Some(Self::open_callback);
        ops.ndo_stop = Some(Self::stop_callback);
        ops.ndo_start_xmit = Some(Self::start_xmit_callback);
        ops.ndo_set_mac_address = Some(Self::set_mac_address_callback);
        ops.ndo_set_rx_mode_async = Some(Self::set_rx_mode_callback);
        ops.ndo_change_mtu = Some(Self::change_mtu_callback);
        ops.ndo_change_carrier = Some(Self::change_carrier_callback);
        ops.ndo_get_stats64 = Some(Self::get_stats64_callback);
        ops.ndo_neigh_construct = Some(neighbour::Table::<T>::construct_callback);
        ops.ndo_get_phys_port_id = Some(Self::get_phys_port_id_callback);
        ops.ndo_get_port_parent_id = Some(Self::get_port_parent_id_callback);
        ops
    };

    pub(super) const fn build() -> &'static bindings::net_device_ops {
        &Self::OPS
    }
}
