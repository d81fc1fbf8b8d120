// SPDX-License-Identifier: GPL-2.0

//! What a device shall hear beside its own address and broadcast.

use super::{Device, Operations};
use crate::net::bindings;
use core::marker::PhantomData;

/// What a device shall hear: its flags, and the lists of addresses, in which those are
/// that somebody has asked for, once each.
///
/// # Invariants
///
/// `unicast` and `multicast` are lists of `struct netdev_hw_addr` that nobody changes
/// for `'a`. `len` is the length of the device's addresses.
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
    /// The lists must be copies that the core has made for the device, valid for the
    /// lifetime of the value.
    pub(super) unsafe fn new<T: Operations>(
        dev: &Device<T>,
        unicast: *const bindings::netdev_hw_addr_list,
        multicast: *const bindings::netdev_hw_addr_list,
    ) -> Self {
        let dev = dev.as_raw();
        // INVARIANT: The caller promises it.
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

    /// Whether it shall hear everything.
    pub fn is_promiscuous(&self) -> bool {
        self.flags & bindings::net_device_flags_IFF_PROMISC != 0
    }

    /// Whether it shall hear what goes to any group.
    pub fn is_all_multicast(&self) -> bool {
        self.flags & bindings::net_device_flags_IFF_ALLMULTI != 0
    }

    /// The addresses of one station that it has beside its own.
    pub fn unicast(&self) -> impl Iterator<Item = &[u8]> {
        // SAFETY: By the type invariant.
        unsafe { addresses(self.unicast, self.len) }
    }

    /// The groups.
    pub fn multicast(&self) -> impl Iterator<Item = &[u8]> {
        // SAFETY: By the type invariant.
        unsafe { addresses(self.multicast, self.len) }
    }
}

/// `netdev_hw_addr_list_for_each()`.
///
/// # Safety
///
/// `list` must be a list that nobody changes for `'a`, of addresses of `len` bytes.
unsafe fn addresses<'a>(
    list: *const bindings::netdev_hw_addr_list,
    len: usize,
) -> impl Iterator<Item = &'a [u8]> {
    // SAFETY: The caller promises that the list is valid.
    let (head, mut next) = unsafe { (&raw const (*list).list, (*list).list.next) };
    core::iter::from_fn(move || {
        if core::ptr::eq(next, head) {
            return None;
        }
        // SAFETY: What is linked and not the head is that field of a `netdev_hw_addr`, which has
        // room for MAX_ADDR_LEN bytes.
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
