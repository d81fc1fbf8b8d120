// SPDX-License-Identifier: GPL-2.0

//! Link headers.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{bindings, device, Device};
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Release},
};

/// Alignment of the end of a cached header.
const HH_DATA_MOD: usize = bindings::HH_DATA_MOD as usize;

/// The link header of the devices of a driver: `struct header_ops`.
///
/// All functions may be called in any context in which a spinlock may be held, on any CPU, in any
/// state of the device. A `header` is always as long as the link header of the device, and begins
/// with the destination address.
#[vtable]
pub trait Operations: device::Operations {
    /// A link header, of `hard_header_len` bytes.
    type Header: AsRef<[u8]>;

    /// Returns a header for a packet of `len` bytes, or `None` to drop the packet. The addresses
    /// have `addr_len` bytes; `protocol` is an EtherType in host order.
    fn create(
        dev: &Device<Self>,
        destination: &[u8],
        source: &[u8],
        protocol: u16,
        len: usize,
    ) -> Option<Self::Header>;

    /// Returns the source address, of which `parse_callback` uses at most eight bytes.
    fn source<'a>(dev: &Device<Self>, header: &'a [u8]) -> Option<&'a [u8]>;

    /// Returns the EtherType of the payload in host order.
    fn protocol(dev: &Device<Self>, header: &[u8]) -> u16;
}

/// Builds the `struct header_ops` of `T`.
pub(super) struct VTable<T: Operations>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    /// Prepends a header to `skb`. Returns its length, negated if there is no destination address
    /// yet, or an errno.
    ///
    /// # Safety
    ///
    /// Called by the core. `skb` is exclusive to the caller; `daddr` and `saddr` are null or link
    /// addresses of `dev`.
    unsafe extern "C" fn create_callback(
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
        protocol: c_ushort,
        daddr: *const c_void,
        saddr: *const c_void,
        len: c_uint,
    ) -> c_int {
        // SAFETY: The device is or was registered, and the caller keeps it, so it has its data.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: The fields do not change once a device is set up.
        let (header_len, address_len) = unsafe {
            (
                usize::from((*dev).hard_header_len),
                usize::from((*dev).addr_len),
            )
        };
        if daddr.is_null() {
            // SAFETY: `skb` is valid and exclusive to the caller.
            return match unsafe { push(skb, header_len) } {
                Some(header) => {
                    // SAFETY: `push` has added that many bytes to the packet.
                    unsafe { header.write_bytes(0, header_len) };
                    -(header_len as c_int)
                }
                None => -(bindings::ENOBUFS as c_int),
            };
        }
        let saddr = if saddr.is_null() {
            // SAFETY: `dev_addr` always points to MAX_ADDR_LEN bytes.
            unsafe { (*dev).dev_addr.cast::<c_void>() }
        } else {
            saddr
        };
        // RTNL or the neighbour table may change the addresses concurrently, so they are copied
        // first, as in C.
        let mut addresses = [[0u8; bindings::MAX_ADDR_LEN as usize]; 2];
        let [destination, source] = &mut addresses;
        let (Some(destination), Some(source)) = (
            destination.get_mut(..address_len),
            source.get_mut(..address_len),
        ) else {
            return EINVAL.to_errno();
        };
        // SAFETY: Both are link addresses of `dev`, so they have at least `address_len` bytes.
        unsafe {
            copy_volatile(destination, daddr.cast());
            copy_volatile(source, saddr.cast());
        }
        let Some(header) = T::create(device, destination, source, protocol, len as usize) else {
            return EINVAL.to_errno();
        };
        let header = header.as_ref();
        if header.len() != header_len {
            return EINVAL.to_errno();
        }
        // SAFETY: `skb` is valid and exclusive to the caller.
        match unsafe { push(skb, header.len()) } {
            Some(to) => {
                // SAFETY: `push` has added that many bytes to the packet; they do not overlap.
                unsafe { to.copy_from_nonoverlapping(header.as_ptr(), header.len()) };
                header_len as c_int
            }
            None => -(bindings::ENOBUFS as c_int),
        }
    }

    /// Writes the source address of a packet to `haddr` and returns its length, 0 if it is unknown.
    ///
    /// # Safety
    ///
    /// Called by the core. `haddr` has room for eight bytes, as in `struct sockaddr_ll` and in the
    /// packets of nfnetlink log and queue.
    unsafe extern "C" fn parse_callback(
        skb: *const bindings::sk_buff,
        dev: *const bindings::net_device,
        haddr: *mut c_uchar,
    ) -> c_int {
        // SAFETY: `skb` and `dev` are valid during the call.
        let Some(header) = (unsafe { mac_header(skb, dev) }) else {
            return 0;
        };
        // SAFETY: A device of a packet is or was registered, and the caller keeps it with its data.
        let Some(source) = T::source(unsafe { Device::from_raw(dev) }, header) else {
            return 0;
        };
        let len = source.len().min(8);
        // SAFETY: There is room for `len` bytes, and the header lies elsewhere.
        unsafe { haddr.copy_from_nonoverlapping(source.as_ptr(), len) };
        len as c_int
    }

    /// # Safety
    ///
    /// Called by the core. `skb` has a device.
    unsafe extern "C" fn parse_protocol_callback(
        skb: *const bindings::sk_buff,
    ) -> bindings::__be16 {
        // SAFETY: `skb` is valid, and its device is the one that has these operations.
        let dev = unsafe {
            (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev
        };
        // SAFETY: `skb` and `dev` are valid during the call. A device of a packet is or was
        // registered, and the caller keeps it with its data.
        unsafe {
            mac_header(skb, dev).map_or(0, |header| {
                T::protocol(Device::from_raw(dev), header).to_be()
            })
        }
    }

    /// Fills the header cache of a neighbour.
    ///
    /// # Safety
    ///
    /// Called by the core with the lock of the neighbour held. `hh` is empty, and is not read
    /// before its length is set.
    unsafe extern "C" fn cache_callback(
        neighbour: *const bindings::neighbour,
        hh: *mut bindings::hh_cache,
        protocol: bindings::__be16,
    ) -> c_int {
        // SAFETY: The neighbour has a reference to its device, which is or was registered: it has
        // its data.
        let device = unsafe { Device::<T>::from_raw((*neighbour).dev) };
        let mut source = [0u8; bindings::MAX_ADDR_LEN as usize];
        // SAFETY: `dev_addr` always points to MAX_ADDR_LEN bytes. The address of the neighbour, of
        // the same size, does not change while the neighbour is locked, and `addr_len` never does.
        let (destination, source) = unsafe {
            copy_volatile(&mut source, (*device.as_raw()).dev_addr);
            let len = usize::from((*device.as_raw()).addr_len);
            (
                core::slice::from_raw_parts((&raw const (*neighbour).ha).cast::<u8>(), len),
                source.get(..len).unwrap_or(&source),
            )
        };
        let header = T::create(device, destination, source, u16::from_be(protocol), 0);
        let Some(header) = header else {
            return EINVAL.to_errno();
        };
        let header = header.as_ref();
        // SAFETY: `hard_header_len` does not change once a device is set up.
        if header.len() != usize::from(unsafe { (*device.as_raw()).hard_header_len }) {
            return EINVAL.to_errno();
        }
        // SAFETY: `hh` is valid, and nothing reads it before its length is set.
        unsafe {
            // The end is aligned: the bytes in front of the header are copied and overwritten.
            let data = &raw mut (*hh).hh_data;
            let at = header.len().wrapping_neg() % HH_DATA_MOD;
            if header.is_empty() || at + header.len() > size_of_val(&*data) {
                return EINVAL.to_errno();
            }
            data.cast::<u8>()
                .add(at)
                .copy_from_nonoverlapping(header.as_ptr(), header.len());
            // Pairs with READ_ONCE() in neigh_output() and neigh_hh_output().
            Atomic::from_ptr(&raw mut (*hh).hh_len).store(header.len() as u32, Release);
        }
        0
    }

    /// Replaces the destination address in a cached header.
    ///
    /// # Safety
    ///
    /// Called by the core with the lock of `hh` held, which `cache_callback` has filled.
    unsafe extern "C" fn cache_update_callback(
        hh: *mut bindings::hh_cache,
        dev: *const bindings::net_device,
        haddr: *const c_uchar,
    ) {
        // SAFETY: Both pointers are valid. `haddr` has `addr_len` bytes. The header lies where
        // `cache_callback` wrote it, and is at least as long as the address. A concurrent reader
        // reads again (`hh_lock` is a seqlock).
        unsafe {
            let header_len = (*hh).hh_len as usize;
            let len = usize::from((*dev).addr_len);
            if len > header_len {
                return;
            }
            (&raw mut (*hh).hh_data)
                .cast::<u8>()
                .add(header_len.wrapping_neg() % HH_DATA_MOD)
                .copy_from_nonoverlapping(haddr, len);
        }
    }

    const VTABLE: bindings::header_ops = {
        let mut ops: bindings::header_ops = pin_init::zeroed();
        ops.create = Some(Self::create_callback);
        ops.parse = Some(Self::parse_callback);
        ops.parse_protocol = Some(Self::parse_protocol_callback);
        ops.cache = Some(Self::cache_callback);
        ops.cache_update = Some(Self::cache_update_callback);
        ops
    };

    pub(super) const fn build() -> &'static bindings::header_ops {
        &Self::VTABLE
    }
}

/// Prepends `len` uninitialised bytes: `__skb_push()`. Returns `None` without enough headroom.
///
/// # Safety
///
/// `skb` must be valid and exclusive to the caller, which has also made the headroom writable
/// (`skb_cow_head()`).
unsafe fn push(skb: *mut bindings::sk_buff, len: usize) -> Option<*mut u8> {
    // SAFETY: By the safety requirements of this function `skb` is exclusively used; the headroom
    // is tested first.
    unsafe {
        if (bindings::rust_helper_skb_headroom(skb) as usize) < len {
            return None;
        }
        Some(bindings::rust_helper___skb_push(skb, len as c_uint).cast())
    }
}

/// Copies bytes that may change concurrently.
///
/// # Safety
///
/// `to.len()` bytes must be readable at `from`.
unsafe fn copy_volatile(to: &mut [u8], from: *const u8) {
    for (index, byte) in to.iter_mut().enumerate() {
        // SAFETY: By the safety requirements of this function.
        *byte = unsafe { from.add(index).read_volatile() };
    }
}

/// Returns the link header of a packet, if it is complete.
///
/// # Safety
///
/// `skb` and `dev` must be valid for `'a`.
unsafe fn mac_header<'a>(
    skb: *const bindings::sk_buff,
    dev: *const bindings::net_device,
) -> Option<&'a [u8]> {
    // SAFETY: By the safety requirements of this function both are valid. The header is read only
    // as far as the linear part of the packet goes.
    unsafe {
        let len = usize::from((*dev).hard_header_len);
        if !bindings::rust_helper_skb_mac_header_was_set(skb) {
            return None;
        }
        let header = bindings::rust_helper_skb_mac_header(skb);
        let there = bindings::rust_helper_skb_tail_pointer(skb).offset_from(header);
        if there < len as isize {
            return None;
        }
        Some(core::slice::from_raw_parts(header, len))
    }
}
