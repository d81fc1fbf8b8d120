// SPDX-License-Identifier: GPL-2.0

//! A device that is being made.

use super::{drop_data, private, vtable::VTable, Device, Operations, Private};
use crate::net::{bindings, log, neighbour, rtnl::Rtnl, word::RelaxedCell};
use core::{marker::PhantomData, ops::RangeInclusive};
use kernel::{
    error::to_result,
    prelude::*,
    types::ForeignOwnable, //
};

/// The parts of a device that its medium decides.
pub struct LinkLayer {
    /// ARPHRD, in `ip link` the text or number behind `link/`.
    pub hardware_type: u16,
    /// The address of every station. Others are as long; what is longer than 32
    /// bytes is cut.
    pub broadcast: &'static [u8],
    /// Length of the link header in bytes.
    pub header_len: u8,
}

/// A device that only its maker can see yet.
///
/// # Invariants
///
/// `dev` is not registered, was allocated with a zeroed private area of
/// [`PRIVATE_LEN`](Self::PRIVATE_LEN) bytes, and nobody else uses it for `'a`.
pub struct Setup<'a, T: Operations> {
    dev: *mut bindings::net_device,
    _exclusive: PhantomData<&'a mut Device<T>>,
}

/// The bit fields that [`Setup::set_priv_flags`] changes.
///
/// # Safety
///
/// `dev` must be valid.
pub(in crate::net) unsafe fn priv_flags_fast(
    dev: *mut bindings::net_device,
) -> *mut bindings::net_device__bindgen_ty_1__bindgen_ty_2 {
    // CAST: A union of two views of the same bit fields.
    // SAFETY: The caller promises that it is valid.
    unsafe { &raw mut (*dev).__bindgen_anon_1 }.cast()
}

impl<T: Operations> Setup<'_, T> {
    /// How large the private area of a device must be.
    pub(in crate::net) const PRIVATE_LEN: usize = size_of::<Private<T>>();

    /// # Safety
    ///
    /// `dev` must fulfil the invariants for the lifetime of the value.
    pub(in crate::net) unsafe fn from_raw(dev: *mut bindings::net_device) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            dev,
            _exclusive: PhantomData,
        }
    }

    pub(in crate::net) fn as_raw(&mut self) -> *mut bindings::net_device {
        self.dev
    }

    /// What every driver of this kind needs, before its own settings.
    pub(in crate::net) fn prepare(&mut self)
    where
        T: neighbour::Operations,
    {
        // SAFETY: By the type invariant the device is ours.
        let dev = unsafe { &mut *self.dev };
        dev.netdev_ops = VTable::<T>::build();
        dev.neigh_priv_len = neighbour::PRIVATE_LEN;
        dev.needs_free_netdev = true;
        dev.priv_destructor = Some(VTable::<T>::destructor_callback);
        // netdev_lock_pos() warns about types that it does not know, under lockdep: the real one
        // comes with `ndo_init`, when it has been asked for the last time.
        dev.type_ = bindings::ARPHRD_NONE as u16;
        // SAFETY: By the type invariant the area is a `Private<T>`, and nobody else uses it.
        unsafe { (*private::<T>(self.dev)).msg_enable = RelaxedCell::new(log::DEFAULT) };
        // Netpoll, which netconsole stands on, would send and poll with interrupts off: in the
        // middle of a section that a `LocalBhDisabled` seems to protect.
        //
        // What a device hears is filtered by its driver.
        self.set_priv_flags(
            bindings::netdev_priv_flags_IFF_DISABLE_NETPOLL
                | bindings::netdev_priv_flags_IFF_UNICAST_FLT,
        );
    }

    /// Gives the device what its medium decides. An address that the user has given is to
    /// be as long as the others.
    pub fn set_link_layer(&mut self, link: &LinkLayer) {
        // SAFETY: By the type invariant the device is ours.
        let dev = unsafe { &mut *self.dev };
        // SAFETY: By the type invariant the area is a `Private<T>`, and nobody else uses it.
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

    /// What the MTU can be set to.
    pub fn set_mtu_range(&mut self, range: &RangeInclusive<u32>) {
        // SAFETY: By the type invariant the device is ours.
        let dev = unsafe { &mut *self.dev };
        dev.min_mtu = *range.start();
        dev.max_mtu = *range.end();
    }

    /// Sets the MTU.
    pub fn set_mtu(&mut self, mtu: u32) {
        // SAFETY: By the type invariant the device is ours.
        unsafe { (*self.dev).mtu = mtu };
    }

    /// Gives the device a random address, which the user's replaces if there is
    /// one. What is longer than its addresses are is cut.
    pub fn set_random_address(&mut self, address: &[u8]) {
        // SAFETY: By the type invariant the device is ours. `addr_len` is at most MAX_ADDR_LEN,
        // for which there is room, and `address` is as long as is read of it.
        unsafe {
            let len = address.len().min((*self.dev).addr_len.into());
            bindings::dev_addr_mod(self.dev, 0, address.as_ptr().cast(), len);
            (*self.dev).addr_assign_type = bindings::NET_ADDR_RANDOM as u8;
        }
    }

    /// What a device of this kind can do that passes packets on as they are: leave
    /// checksums and segmentation to whoever receives them, and take packets in pieces. The
    /// user can switch each of it off.
    pub fn set_features(&mut self) {
        // SAFETY: By the type invariant the device is ours.
        let dev = unsafe { &mut *self.dev };
        let tx =
            bindings::SPANS_NETIF_F_SG | bindings::SPANS_NETIF_F_CSUM | bindings::SPANS_NETIF_F_GSO;
        let all = tx | bindings::SPANS_NETIF_F_RXCSUM | bindings::SPANS_NETIF_F_GRO_HW;
        dev.features |= all;
        dev.hw_features |= all;
        // Behind a tag, within a tunnel, under a label all is the same.
        dev.vlan_features |= tx;
        dev.hw_enc_features |= tx;
        dev.mpls_features |= tx;
    }

    /// How many packets a qdisc holds, as `ip link` shows and sets it.
    pub fn set_tx_queue_len(&mut self, len: u32) {
        // SAFETY: By the type invariant the device is ours.
        unsafe { (*self.dev).tx_queue_len = len };
    }

    /// Has the device begin without a carrier.
    pub fn carrier_off(&mut self) {
        // SAFETY: By the type invariant the device is ours; as it is not registered, nobody is
        // told.
        unsafe { bindings::netif_carrier_off(self.dev) };
    }

    fn set_priv_flags(&mut self, set: u32) {
        // SAFETY: By the type invariant the device is ours.
        let flags = unsafe { &mut *priv_flags_fast(self.dev) };
        flags.set_priv_flags(flags.priv_flags() | set as c_ulong);
    }

    /// How many transmit queues there are.
    pub fn num_tx_queues(&self) -> u32 {
        // SAFETY: By the type invariant the device is ours.
        unsafe { (*self.dev).num_tx_queues }
    }

    /// How many receive queues there are.
    pub fn num_rx_queues(&self) -> u32 {
        // SAFETY: By the type invariant the device is ours.
        unsafe { (*self.dev).num_rx_queues }
    }

    /// The MTU.
    pub fn mtu(&self) -> u32 {
        // SAFETY: By the type invariant the device is ours.
        unsafe { (*self.dev).mtu }
    }

    /// Where a transmit queue is; null if there is none with this index.
    pub(in crate::net) fn tx_queue_address(&self, index: u16) -> *const bindings::netdev_queue {
        if u32::from(index) >= self.num_tx_queues() {
            return core::ptr::null();
        }
        // SAFETY: The array has `num_tx_queues` elements.
        unsafe { (*self.dev)._tx.add(index.into()) }
    }

    /// Gives the device its data and makes it known to the kernel.
    ///
    /// On failure the data is dropped, at once or with the device.
    pub(in crate::net) fn register<'a>(self, data: T::Data, _: &'a Rtnl) -> Result<&'a Device<T>> {
        let private = private::<T>(self.dev);
        // SAFETY: By the type invariant the area is a `Private<T>`, and nobody else uses it.
        unsafe { (*private).data = data.into_foreign() };
        // SAFETY: RTNL is held and the device is not registered.
        let result = to_result(unsafe { bindings::register_netdevice(self.dev) });
        // SAFETY: The device exists until the core frees it after our return.
        let state = unsafe { (*self.dev).reg_state };
        if result.is_err() && state != bindings::netdev_reg_state_NETREG_UNREGISTERING as u8 {
            // Early failures do not call the destructor, later ones have, and while the device is
            // being unregistered it will be.
            // SAFETY: The registration has failed, so nobody uses the data.
            unsafe { drop_data::<T>(private) };
        }
        result?;
        // SAFETY: The device was set up for `T`, has its data, and cannot go while RTNL is held.
        Ok(unsafe { Device::from_raw(self.dev) })
    }
}
