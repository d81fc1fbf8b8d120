// SPDX-License-Identifier: GPL-2.0

//! The receive filter of a device: flags and address lists of `ndo_set_rx_mode_async`.

use super::{Device, Operations};
use crate::net::bindings;
use core::marker::PhantomData;

/// The receive filter that the core requests of a device: its flags, and its lists of unicast and
/// multicast addresses, each of which is listed once.
///
/// # Invariants
///
/// `unicast` and `multicast` are lists of `struct netdev_hw_addr` that do not change during `'a`.
/// `len` is the length of the device's addresses.
pub struct RxMode<'a> {
    flags: u32,
    unicast: *const bindings::netdev_hw_addr_list,
    multicast: *const bindings::netdev_hw_addr_list,
    len: usize,
    _lists: PhantomData<&'a ()>,
}

impl RxMode<'_> {
    /// # Safety
    ///
    /// The lists must be copies that the core has made for `dev`, valid for the lifetime of the
    /// value.
    pub(super) unsafe fn new<T: Operations>(
        dev: &Device<T>,
        unicast: *const bindings::netdev_hw_addr_list,
        multicast: *const bindings::netdev_hw_addr_list,
    ) -> Self {
        let dev = dev.as_raw();
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: The device is valid. READ_ONCE().
        unsafe {
            Self {
                flags: (&raw const (*dev).flags).read_volatile(),
                unicast,
                multicast,
                len: (*dev).addr_len.into(),
                _lists: PhantomData,
            }
        }
    }

    /// Returns whether the device receives all frames: `IFF_PROMISC`.
    pub fn is_promiscuous(&self) -> bool {
        self.flags & bindings::net_device_flags_IFF_PROMISC != 0
    }

    /// Returns whether the device receives all multicast frames: `IFF_ALLMULTI`.
    pub fn is_all_multicast(&self) -> bool {
        self.flags & bindings::net_device_flags_IFF_ALLMULTI != 0
    }

    /// Returns the unicast addresses to receive in addition to the device's own: `dev->uc`.
    pub fn unicast(&self) -> impl Iterator<Item = &[u8]> {
        // SAFETY: By the type invariant the list is valid and has addresses of `len` bytes.
        unsafe { addresses(self.unicast, self.len) }
    }

    /// Returns the multicast addresses to receive: `dev->mc`.
    pub fn multicast(&self) -> impl Iterator<Item = &[u8]> {
        // SAFETY: By the type invariant the list is valid and has addresses of `len` bytes.
        unsafe { addresses(self.multicast, self.len) }
    }
}

/// Iterates over a list: `netdev_hw_addr_list_for_each()`.
///
/// # Safety
///
/// `list` must be a list that does not change during `'a`, of addresses of `len` bytes.
unsafe fn addresses<'a>(
    list: *const bindings::netdev_hw_addr_list,
    len: usize,
) -> impl Iterator<Item = &'a [u8]> {
    // SAFETY: By the safety requirements of this function the list is valid.
    let (head, mut next) = unsafe { (&raw const (*list).list, (*list).list.next) };
    core::iter::from_fn(move || {
        if core::ptr::eq(next, head) {
            return None;
        }
        // SAFETY: A node other than the head is the `list` field of a `netdev_hw_addr`, whose
        // `addr` has MAX_ADDR_LEN bytes. The list does not change during `'a`.
        unsafe {
            let entry = next
                .byte_sub(core::mem::offset_of!(bindings::netdev_hw_addr, list))
                .cast::<bindings::netdev_hw_addr>();
            next = (*next).next;
            let bytes = (&raw const (*entry).addr).cast::<u8>();
            let len = len.min(bindings::MAX_ADDR_LEN as usize);
            Some(core::slice::from_raw_parts(bytes, len))
        }
    })
}
