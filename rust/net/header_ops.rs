// SPDX-License-Identifier: GPL-2.0

//! Link headers: written for those who send, read for those who listen.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{bindings, device, Device};
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Release},
};

/// To what the end of a header that is kept is aligned.
const HH_DATA_MOD: usize = bindings::HH_DATA_MOD as usize;

/// The link header of a driver's devices: `struct header_ops`.
///
/// The functions may be called in any context that may hold a spinlock, on any
/// CPU, for a device in any state. A `header` is always as long as the device's
/// link header is, and begins with the destination's address.
#[vtable]
pub trait Operations: device::Operations {
    /// A header, as long as the devices' is.
    type Header: AsRef<[u8]>;

    /// Makes a header for a packet of `len` bytes. The addresses are as long as the
    /// device's are; `protocol` is an EtherType in host order.
    fn create(
        dev: &Device<Self>,
        destination: &[u8],
        source: &[u8],
        protocol: u16,
        len: usize,
    ) -> Option<Self::Header>;

    /// The address of the sender. What is longer than eight bytes is cut.
    fn source<'a>(dev: &Device<Self>, header: &'a [u8]) -> Option<&'a [u8]>;

    /// The EtherType of what follows, in host order.
    fn protocol(dev: &Device<Self>, header: &[u8]) -> u16;
}

/// The table of functions that the core calls, made of those of `T`.
pub(super) struct VTable<T: Operations>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    /// Writes a header before the data of `skb`. Answers its length, negative
    /// when the destination is not known yet and the packet cannot be sent.
    ///
    /// # Safety
    ///
    /// Called by the core. `skb` is the caller's alone; `daddr` and `saddr` are
    /// null or link addresses of `dev`.
    unsafe extern "C" fn create_callback(
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
        protocol: c_ushort,
        daddr: *const c_void,
        saddr: *const c_void,
        len: c_uint,
    ) -> c_int {
        // SAFETY: A device whose headers are asked for is registered.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: These do not change once a device is set up.
        let (header_len, address_len) = unsafe {
            (
                usize::from((*dev).hard_header_len),
                usize::from((*dev).addr_len),
            )
        };
        if daddr.is_null() {
            // SAFETY: `skb` is valid and the caller's alone.
            return match unsafe { push(skb, header_len) } {
                Some(header) => {
                    // SAFETY: As many bytes were just added to the packet.
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
        // The addresses may be written meanwhile, by RTNL or by the neighbour table, so they are
        // copied first, as C does.
        let mut addresses = [[0u8; bindings::MAX_ADDR_LEN as usize]; 2];
        let [destination, source] = &mut addresses;
        let (Some(destination), Some(source)) = (
            destination.get_mut(..address_len),
            source.get_mut(..address_len),
        ) else {
            return EINVAL.to_errno();
        };
        // SAFETY: Both are link addresses of `dev`, so they are at least `address_len` bytes long.
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
        // SAFETY: `skb` is valid and the caller's alone.
        match unsafe { push(skb, header.len()) } {
            Some(to) => {
                // SAFETY: As many bytes were just added to the packet; they lie elsewhere.
                unsafe { to.copy_from_nonoverlapping(header.as_ptr(), header.len()) };
                header_len as c_int
            }
            None => -(bindings::ENOBUFS as c_int),
        }
    }

    /// Writes the sender's address to `haddr` and answers its length, 0 if it is
    /// not known.
    ///
    /// # Safety
    ///
    /// Called by the core. `haddr` has room for eight bytes, as `sockaddr_ll` and
    /// netfilter's log and queue have.
    unsafe extern "C" fn parse_callback(
        skb: *const bindings::sk_buff,
        dev: *const bindings::net_device,
        haddr: *mut c_uchar,
    ) -> c_int {
        // SAFETY: `skb` and `dev` are valid for the duration of the call.
        let Some(header) = (unsafe { mac_header(skb, dev) }) else {
            return 0;
        };
        // SAFETY: A device of which there are packets is registered, or was.
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
        // SAFETY: `skb` is valid, and belongs to the device that these operations are of.
        let dev = unsafe {
            (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev
        };
        // SAFETY: `skb` and `dev` are valid for the duration of the call. A device of which there
        // are packets is registered, or was.
        unsafe {
            mac_header(skb, dev).map_or(0, |header| {
                T::protocol(Device::from_raw(dev), header).to_be()
            })
        }
    }

    /// Keeps the header for packets to a neighbour.
    ///
    /// # Safety
    ///
    /// Called by the core with the neighbour's lock. `hh` is empty, and nobody reads
    /// what is in it before its length is set.
    unsafe extern "C" fn cache_callback(
        neighbour: *const bindings::neighbour,
        hh: *mut bindings::hh_cache,
        protocol: bindings::__be16,
    ) -> c_int {
        // SAFETY: A device that has neighbours is registered, or was.
        let device = unsafe { Device::<T>::from_raw((*neighbour).dev) };
        let mut source = [0u8; bindings::MAX_ADDR_LEN as usize];
        // SAFETY: `dev_addr` always points to MAX_ADDR_LEN bytes. The neighbour's address, in as
        // many, does not change while it is locked, and `addr_len` never does.
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
        // SAFETY: The length does not change once a device is set up.
        if header.len() != usize::from(unsafe { (*device.as_raw()).hard_header_len }) {
            return EINVAL.to_errno();
        }
        // SAFETY: The core gives us `hh`, and nobody reads it before its length is set.
        unsafe {
            // Its end is aligned: what is in front of it is copied and overwritten.
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

    /// The neighbour has got another address.
    ///
    /// # Safety
    ///
    /// Called by the core with the lock of `hh`, which was filled by `cache_callback`.
    unsafe extern "C" fn cache_update_callback(
        hh: *mut bindings::hh_cache,
        dev: *const bindings::net_device,
        haddr: *const c_uchar,
    ) {
        // SAFETY: The core gives us both. `haddr` is as long as the addresses of the device. The
        // header lies where it was written, and is at least as long as what is written now. Who
        // reads meanwhile reads again.
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

/// Makes room for a header of `len` bytes, if there is any. They are not
/// initialised.
///
/// # Safety
///
/// `skb` must be valid and the caller's alone, with the bytes before its data:
/// who asks for a header has seen to that (`skb_cow_head()`).
unsafe fn push(skb: *mut bindings::sk_buff, len: usize) -> Option<*mut u8> {
    // SAFETY: The caller promises that `skb` is ours; there is room, as is seen first.
    unsafe {
        if (bindings::rust_helper_skb_headroom(skb) as usize) < len {
            return None;
        }
        Some(bindings::rust_helper___skb_push(skb, len as c_uint).cast())
    }
}

/// Copies bytes that somebody may be writing.
///
/// # Safety
///
/// As many bytes as `to` is long must be readable at `from`.
unsafe fn copy_volatile(to: &mut [u8], from: *const u8) {
    for (index, byte) in to.iter_mut().enumerate() {
        // SAFETY: The caller promises it.
        *byte = unsafe { from.add(index).read_volatile() };
    }
}

/// The link header of a packet, if all of it is there.
///
/// # Safety
///
/// `skb` and `dev` must be valid for `'a`.
unsafe fn mac_header<'a>(
    skb: *const bindings::sk_buff,
    dev: *const bindings::net_device,
) -> Option<&'a [u8]> {
    // SAFETY: The caller promises that all is valid. The header is read only as far as the linear
    // part of the packet goes.
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
