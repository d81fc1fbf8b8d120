// SPDX-License-Identifier: GPL-2.0

//! What happens to devices, their addresses and their neighbours, as the kernel tells
//! everybody.
//!
//! C header: [`include/linux/notifier.h`](srctree/include/linux/notifier.h)

use super::{
    bindings,
    device::Device,
    inet::from_be32,
    neighbour::{Event, Operations},
    rtnl::Rtnl,
    spinlock_bh::local_bh_disable,
};
use core::{marker::PhantomData, mem::offset_of, net::Ipv4Addr};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// What a driver wants to know about its own devices.
///
/// All but [`neigh_update`](Operations::neigh_update), which belongs to
/// neighbours, is called in process context with RTNL held, after the stack and other
/// modules know it.
#[vtable]
pub trait Events: Operations {
    /// `NETDEV_REGISTER`: the device has come to a namespace, and IPv4 is there.
    fn register(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_UNREGISTER`: the device leaves its namespace.
    fn unregister(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_UP`, after `open`.
    fn up(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_DOWN`, after `stop`.
    fn down(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_CHANGEADDR`: another link address. Neighbours were flushed.
    fn change_addr(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_CHANGE` or `NETDEV_CHANGEUPPER`: flags, carrier, or who it belongs to (a
    /// VRF, say). Neighbours may have been flushed.
    fn change(dev: &Device<Self>, rtnl: &Rtnl);

    /// The device has got another IPv4 address.
    fn address_added(dev: &Device<Self>, ip: Ipv4Addr, rtnl: &Rtnl);

    /// The device has lost an IPv4 address. If it was the last one, neighbours were
    /// flushed.
    fn address_removed(dev: &Device<Self>, rtnl: &Rtnl);
}

/// A chain of functions that the kernel calls.
///
/// # Safety
///
/// - After `unregister` returned, or `register` an error, the chain must not call, nor a call
///   be at work.
/// - `device` must answer null or a device that is valid during the call and, if it is of
///   `T`, has its data.
/// - Where `call` assumes RTNL, the chain must be called with it held.
pub(super) unsafe trait Chain<T: Events> {
    /// # Safety
    ///
    /// `block` must be valid and pinned until `unregister` returned.
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int;

    /// # Safety
    ///
    /// `block` must be registered.
    unsafe fn unregister(block: *mut bindings::notifier_block);

    /// The device that an event is about.
    ///
    /// # Safety
    ///
    /// `data` must be what the chain calls with.
    unsafe fn device(event: c_ulong, data: *mut c_void) -> *mut bindings::net_device;

    /// Passes an event on.
    ///
    /// # Safety
    ///
    /// As for `device`; `dev` is the device.
    unsafe fn call(dev: &Device<T>, event: c_ulong, data: *mut c_void);
}

/// A link in one of these chains.
///
/// # Invariants
///
/// `block` is registered.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub(super) struct Notifier<T: Events, C: Chain<T>> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    /// What devices of `T` have; only compared.
    kind: *const bindings::rtnl_link_ops,
    _chain: PhantomData<(T, C)>,
}

impl<T: Events, C: Chain<T>> Notifier<T, C> {
    /// Calls for all devices whose `rtnl_link_ops` is `kind`.
    ///
    /// # Safety
    ///
    /// Those must be devices of `T`.
    pub(super) unsafe fn new(kind: *const bindings::rtnl_link_ops) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            kind,
            _chain: PhantomData,
            block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                let mut block: bindings::notifier_block = pin_init::zeroed();
                block.notifier_call = Some(Self::callback);
                // The last one in the chain: what a driver does then may call the chain again, and
                // all others have seen this event before the next one.
                block.priority = c_int::MIN;
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(block) };
                // SAFETY: `slot` is pinned, and unregistered before it goes. `kind` is written
                // already.
                // INVARIANT: It is registered when this succeeds.
                to_result(unsafe { C::register(slot) })
            }),
        })
    }

    /// # Safety
    ///
    /// Called by the kernel for the `block` of a `Notifier<T, C>`.
    unsafe extern "C" fn callback(
        block: *mut bindings::notifier_block,
        event: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: It is that field, which is there until it is unregistered.
        let kind = unsafe { (*block.byte_sub(offset_of!(Self, block)).cast::<Self>()).kind };
        // SAFETY: The kernel gives us `data`.
        let dev = unsafe { C::device(event, data) };
        // SAFETY: The device is valid during the call.
        if !dev.is_null() && unsafe { (*dev).rtnl_link_ops } == kind {
            // SAFETY: It is one of `T`. It has its data before `register_netdevice()` sends the
            // first event of it, and until its destructor, after the last one.
            let device = unsafe { Device::from_raw(dev) };
            // SAFETY: The kernel gives us `data`, and it is about this device.
            unsafe { C::call(device, event, data) };
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<T: Events, C: Chain<T>> PinnedDrop for Notifier<T, C> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered.
        unsafe { C::unregister(self.block.get()) };
    }
}

/// `register_netdevice_notifier()`.
pub(super) struct Devices;

// SAFETY: The chain is called, and unregistering done, with RTNL held. Its events are about
// devices that were given their data before they were registered.
unsafe impl<T: Events> Chain<T> for Devices {
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int {
        // SAFETY: The caller promises it.
        unsafe { bindings::register_netdevice_notifier(block) }
    }

    unsafe fn unregister(block: *mut bindings::notifier_block) {
        // SAFETY: The caller promises it.
        unsafe { bindings::unregister_netdevice_notifier(block) };
    }

    unsafe fn device(_: c_ulong, data: *mut c_void) -> *mut bindings::net_device {
        // SAFETY: The chain calls with a `struct netdev_notifier_info`, or what begins with one.
        unsafe { (*data.cast::<bindings::netdev_notifier_info>()).dev }
    }

    unsafe fn call(dev: &Device<T>, event: c_ulong, _: *mut c_void) {
        // SAFETY: This chain is called with RTNL held.
        let rtnl = unsafe { Rtnl::assume() };
        match event as u32 {
            bindings::netdev_cmd_NETDEV_REGISTER => T::register(dev, &rtnl),
            bindings::netdev_cmd_NETDEV_UNREGISTER => T::unregister(dev, &rtnl),
            bindings::netdev_cmd_NETDEV_UP => T::up(dev, &rtnl),
            bindings::netdev_cmd_NETDEV_DOWN => T::down(dev, &rtnl),
            bindings::netdev_cmd_NETDEV_CHANGEADDR => T::change_addr(dev, &rtnl),
            bindings::netdev_cmd_NETDEV_CHANGE | bindings::netdev_cmd_NETDEV_CHANGEUPPER => {
                T::change(dev, &rtnl)
            }
            _ => (),
        }
    }
}

/// `register_inetaddr_notifier()`.
pub(super) struct Addresses;

// SAFETY: Unregistering waits for calls, and all who call hold RTNL (`net/ipv4/devinet.c`). The
// device of an address is registered.
unsafe impl<T: Events> Chain<T> for Addresses {
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int {
        // SAFETY: The caller promises it.
        unsafe { bindings::register_inetaddr_notifier(block) }
    }

    unsafe fn unregister(block: *mut bindings::notifier_block) {
        // SAFETY: The caller promises it.
        unsafe { bindings::unregister_inetaddr_notifier(block) };
    }

    unsafe fn device(_: c_ulong, data: *mut c_void) -> *mut bindings::net_device {
        // SAFETY: The chain calls with a `struct in_ifaddr`, which belongs to a device.
        unsafe { (*(*data.cast::<bindings::in_ifaddr>()).ifa_dev).dev }
    }

    unsafe fn call(dev: &Device<T>, event: c_ulong, data: *mut c_void) {
        // SAFETY: Addresses are added and removed with RTNL held.
        let rtnl = unsafe { Rtnl::assume() };
        match event as u32 {
            bindings::netdev_cmd_NETDEV_UP => {
                // SAFETY: As in `device`.
                let ip = from_be32(unsafe { (*data.cast::<bindings::in_ifaddr>()).ifa_local });
                T::address_added(dev, ip, &rtnl);
            }
            bindings::netdev_cmd_NETDEV_DOWN => T::address_removed(dev, &rtnl),
            _ => (),
        }
    }
}

/// `register_netevent_notifier()`.
pub(super) struct Neighbours;

// SAFETY: Unregistering waits for an RCU grace period, in which calls end. A neighbour has a
// reference to its device.
unsafe impl<T: Events> Chain<T> for Neighbours {
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int {
        // SAFETY: The caller promises it.
        unsafe { bindings::register_netevent_notifier(block) }
    }

    unsafe fn unregister(block: *mut bindings::notifier_block) {
        // SAFETY: The caller promises it.
        unsafe { bindings::unregister_netevent_notifier(block) };
    }

    unsafe fn device(event: c_ulong, data: *mut c_void) -> *mut bindings::net_device {
        if event as u32 != bindings::netevent_notif_type_NETEVENT_NEIGH_UPDATE {
            return core::ptr::null_mut();
        }
        let neighbour = data.cast::<bindings::neighbour>();
        // SAFETY: The chain calls with a neighbour, which keeps its device.
        unsafe {
            if (*neighbour).tbl != &raw mut bindings::arp_tbl {
                return core::ptr::null_mut();
            }
            (*neighbour).dev
        }
    }

    unsafe fn call(dev: &Device<T>, _: c_ulong, data: *mut c_void) {
        // SAFETY: As above; neither is the lock of the neighbour held.
        let event = unsafe { Event::from_raw(data.cast()) };
        T::neigh_update(dev, &event, &local_bh_disable());
    }
}
