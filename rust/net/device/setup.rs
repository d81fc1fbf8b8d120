// SPDX-License-Identifier: GPL-2.0

//! A device before its registration.

use super::{drop_data, private, vtable::VTable, Device, Operations, Private};
use crate::net::{bindings, log, neighbour, relaxed_cell::RelaxedCell, rtnl::Rtnl};
use core::{marker::PhantomData, ops::RangeInclusive};
use kernel::{
    error::to_result,
    prelude::*,
    types::ForeignOwnable, //
};

/// Properties of a device that depend on its medium.
pub struct LinkLayer {
    /// `ARPHRD_*`, which `ip link` shows behind `link/`.
    pub hardware_type: u16,
    /// The broadcast address. Its length is `addr_len`; bytes beyond `MAX_ADDR_LEN` are ignored.
    pub broadcast: &'static [u8],
    /// Length of the link header in bytes.
    pub header_len: u8,
}

/// A device that is allocated and not registered.
///
/// # Invariants
///
/// `dev` is not registered, was allocated with a zeroed private area of
/// [`PRIVATE_LEN`](Self::PRIVATE_LEN) bytes, and is used by nothing else during `'a`.
pub struct Setup<'a, T: Operations> {
    dev: *mut bindings::net_device,
    _exclusive: PhantomData<&'a mut Device<T>>,
}

/// Returns the bit fields that [`Setup::set_priv_flags`] changes.
///
/// # Safety
///
/// `dev` must be valid.
pub(in crate::net) unsafe fn priv_flags_fast(
    dev: *mut bindings::net_device,
) -> *mut bindings::net_device__bindgen_ty_1__bindgen_ty_2 {
    // CAST: A union of two views of the same bit fields.
    // SAFETY: By the safety requirements of this function `dev` is valid.
    unsafe { &raw mut (*dev).__bindgen_anon_1 }.cast()
}

impl<T: Operations> Setup<'_, T> {
    /// Size of the private area of a device in bytes: `rtnl_link_ops::priv_size`.
    pub(in crate::net) const PRIVATE_LEN: usize = size_of::<Private<T>>();

    /// # Safety
    ///
    /// `dev` must fulfil the invariants of the type for the lifetime of the value.
    pub(in crate::net) unsafe fn from_raw(dev: *mut bindings::net_device) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            dev,
            _exclusive: PhantomData,
        }
    }

    pub(in crate::net) fn as_raw(&mut self) -> *mut bindings::net_device {
        self.dev
    }

    /// Sets the fields that every driver of this abstraction needs, before `LinkOperations::setup`.
    pub(in crate::net) fn prepare(&mut self)
    where
        T: neighbour::Operations,
    {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        let dev = unsafe { &mut *self.dev };
        dev.netdev_ops = VTable::<T>::build();
        dev.neigh_priv_len = neighbour::PRIVATE_LEN;
        dev.needs_free_netdev = true;
        dev.priv_destructor = Some(VTable::<T>::destructor_callback);
        // netdev_lock_pos() warns about unknown types under lockdep. `init_callback` sets the real
        // type, after the last call of it.
        dev.type_ = bindings::ARPHRD_NONE as u16;
        // SAFETY: By the type invariant the area is a `Private<T>`, and nothing else uses it.
        unsafe { (*private::<T>(self.dev)).msg_enable = RelaxedCell::new(log::DEFAULT) };
        // Netpoll (netconsole) would send and poll with interrupts off, also within a section that
        // a `LocalBhDisabled` protects.
        //
        // The driver filters by unicast address, so extra addresses do not need promiscuous mode.
        self.set_priv_flags(
            bindings::netdev_priv_flags_IFF_DISABLE_NETPOLL
                | bindings::netdev_priv_flags_IFF_UNICAST_FLT,
        );
    }

    /// Sets type, address length, link header and broadcast address. Addresses that the user has
    /// given must have the same length, which the driver checks.
    pub fn set_link_layer(&mut self, link: &LinkLayer) {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        let dev = unsafe { &mut *self.dev };
        // SAFETY: By the type invariant the area is a `Private<T>`, and nothing else uses it.
        unsafe { (*private::<T>(self.dev)).hardware_type = link.hardware_type };
        dev.addr_len = link.broadcast.len().min(dev.broadcast.len()) as u8;
        dev.hard_header_len = link.header_len.into();
        dev.min_header_len = link.header_len;
        for (to, from) in dev.broadcast.iter_mut().zip(link.broadcast) {
            *to = *from;
        }
        dev.flags |=
            bindings::net_device_flags_IFF_BROADCAST | bindings::net_device_flags_IFF_MULTICAST;
    }

    /// Sets the range of the MTU in bytes.
    pub fn set_mtu_range(&mut self, range: &RangeInclusive<u32>) {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        let dev = unsafe { &mut *self.dev };
        dev.min_mtu = *range.start();
        dev.max_mtu = *range.end();
    }

    /// Sets the MTU in bytes.
    pub fn set_mtu(&mut self, mtu: u32) {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        unsafe { (*self.dev).mtu = mtu };
    }

    /// Sets a random link address (`NET_ADDR_RANDOM`), which an address of the user replaces. Bytes
    /// beyond `addr_len` are ignored.
    pub fn set_random_address(&mut self, address: &[u8]) {
        // SAFETY: By the type invariant the device is valid and exclusively owned. `addr_len` is at
        // most MAX_ADDR_LEN, the size of the address, and `address` has at least the `len` bytes
        // that are read.
        unsafe {
            let len = address.len().min((*self.dev).addr_len.into());
            bindings::dev_addr_mod(self.dev, 0, address.as_ptr().cast(), len);
            (*self.dev).addr_assign_type = bindings::NET_ADDR_RANDOM as u8;
        }
    }

    /// Sets the features of a device that forwards packets unchanged: checksum and segmentation
    /// offload, both deferred to the receiver, and scatter-gather. The user can turn each off by
    /// `ethtool -K`.
    pub fn set_features(&mut self) {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        let dev = unsafe { &mut *self.dev };
        let tx =
            bindings::SPANS_NETIF_F_SG | bindings::SPANS_NETIF_F_CSUM | bindings::SPANS_NETIF_F_GSO;
        let all = tx | bindings::SPANS_NETIF_F_RXCSUM | bindings::SPANS_NETIF_F_GRO_HW;
        dev.features |= all;
        dev.hw_features |= all;
        // The same for packets with a VLAN tag, in a tunnel or with an MPLS label.
        dev.vlan_features |= tx;
        dev.hw_enc_features |= tx;
        dev.mpls_features |= tx;
    }

    /// Sets the length of the qdisc in packets: `ip link set DEVICE txqueuelen`.
    pub fn set_tx_queue_len(&mut self, len: u32) {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        unsafe { (*self.dev).tx_queue_len = len };
    }

    /// Makes the device start without a carrier.
    pub fn carrier_off(&mut self) {
        // SAFETY: By the type invariant the device is valid and exclusively owned; as it is not
        // registered, no linkwatch event is queued.
        unsafe { bindings::netif_carrier_off(self.dev) };
    }

    fn set_priv_flags(&mut self, set: u32) {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        let flags = unsafe { &mut *priv_flags_fast(self.dev) };
        flags.set_priv_flags(flags.priv_flags() | set as c_ulong);
    }

    /// Returns the number of allocated TX queues.
    pub fn num_tx_queues(&self) -> u32 {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        unsafe { (*self.dev).num_tx_queues }
    }

    /// Returns the number of allocated RX queues.
    pub fn num_rx_queues(&self) -> u32 {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        unsafe { (*self.dev).num_rx_queues }
    }

    /// Returns the MTU in bytes.
    pub fn mtu(&self) -> u32 {
        // SAFETY: By the type invariant the device is valid and exclusively owned.
        unsafe { (*self.dev).mtu }
    }

    /// Returns the address of a TX queue, or null if there is none with this index.
    pub(in crate::net) fn tx_queue_address(&self, index: u16) -> *const bindings::netdev_queue {
        if u32::from(index) >= self.num_tx_queues() {
            return core::ptr::null();
        }
        // SAFETY: The array has `num_tx_queues` elements.
        unsafe { (*self.dev)._tx.add(index.into()) }
    }

    /// Stores the data and registers the device: `register_netdevice()`.
    ///
    /// On failure the data is dropped, either here or by the destructor.
    pub(in crate::net) fn register<'a>(self, data: T::Data, _: &'a Rtnl) -> Result<&'a Device<T>> {
        let private = private::<T>(self.dev);
        // SAFETY: By the type invariant the area is a `Private<T>`, and nothing else uses it.
        unsafe { (*private).data = data.into_foreign() };
        // SAFETY: RTNL is held and the device is not registered.
        let result = to_result(unsafe { bindings::register_netdevice(self.dev) });
        // SAFETY: The device exists until the core frees it after `newlink` has returned.
        let state = unsafe { (*self.dev).reg_state };
        if result.is_err() && state != bindings::netdev_reg_state_NETREG_UNREGISTERING as u8 {
            // Early failures do not call the destructor, later ones have called it (the data is
            // null then), and for a device that is being unregistered the core will call it.
            // SAFETY: The registration has failed, so nothing uses the data.
            unsafe { drop_data::<T>(private) };
        }
        result?;
        // SAFETY: The device was set up for `T`, has its data, and stays registered while RTNL is
        // held.
        Ok(unsafe { Device::from_raw(self.dev) })
    }
}
