// SPDX-License-Identifier: GPL-2.0

//! Notifiers for devices, IPv4 addresses and neighbours.
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

/// Events of the devices of a driver.
///
/// All functions but [`neigh_update`](Operations::neigh_update) of neighbours are called in process
/// context with RTNL held, after the stack and other modules have handled the event.
#[vtable]
pub trait Events: Operations {
    /// `NETDEV_REGISTER`: the device is in a (new) namespace, and has its `in_device`.
    fn register(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_UNREGISTER`: the device leaves its namespace.
    fn unregister(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_UP`, after `open`.
    fn up(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_DOWN`, after `stop`.
    fn down(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_CHANGEADDR`: the link address has changed. Neighbours were flushed.
    fn change_addr(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_CHANGE` or `NETDEV_CHANGEUPPER`: flags, carrier or upper device (a VRF, for example)
    /// have changed. Neighbours may have been flushed.
    fn change(dev: &Device<Self>, rtnl: &Rtnl);

    /// `NETDEV_UP` of `inetaddr_chain`: the device has a new IPv4 address.
    fn address_added(dev: &Device<Self>, ip: Ipv4Addr, rtnl: &Rtnl);

    /// `NETDEV_DOWN` of `inetaddr_chain`: an IPv4 address was removed. After the last one
    /// neighbours were flushed.
    fn address_removed(dev: &Device<Self>, rtnl: &Rtnl);
}

/// A notifier chain.
///
/// # Safety
///
/// - After `unregister` has returned, or `register` has returned an error, the chain must not call
///   the block, and no call may be in progress.
/// - `device` must return null or a device that is valid during the call and, if it is of `T`, has
///   its data.
/// - Where `call` assumes RTNL, the chain must be called with it held.
pub(super) unsafe trait Chain<T: Events> {
    /// # Safety
    ///
    /// `block` must be valid and pinned until `unregister` has returned.
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int;

    /// # Safety
    ///
    /// `block` must be registered.
    unsafe fn unregister(block: *mut bindings::notifier_block);

    /// Returns the device of an event, or null.
    ///
    /// # Safety
    ///
    /// `data` must be the argument of a call by the chain.
    unsafe fn device(event: c_ulong, data: *mut c_void) -> *mut bindings::net_device;

    /// Calls the driver.
    ///
    /// # Safety
    ///
    /// As for `device`; `dev` must be the device that it returned.
    unsafe fn call(dev: &Device<T>, event: c_ulong, data: *mut c_void);
}

/// A registered block of a chain: `struct notifier_block`.
///
/// # Invariants
///
/// `block` is registered.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub(super) struct Notifier<T: Events, C: Chain<T>> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    /// `rtnl_link_ops` of the devices of `T`; only compared.
    kind: *const bindings::rtnl_link_ops,
    _chain: PhantomData<(T, C)>,
}

impl<T: Events, C: Chain<T>> Notifier<T, C> {
    /// Creates an initialiser that registers for the devices whose `rtnl_link_ops` is `kind`.
    /// Process context, without RTNL.
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
                // Last in the chain: the driver may cause another event, and all other blocks have
                // seen this event before that one.
                block.priority = c_int::MIN;
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(block) };
                // SAFETY: `slot` is pinned, and unregistered before it is freed. `kind` is set.
                // INVARIANT: It is registered when this succeeds.
                to_result(unsafe { C::register(slot) })
            }),
        })
    }

    /// # Safety
    ///
    /// Called by the chain for the `block` of a `Notifier<T, C>`.
    unsafe extern "C" fn callback(
        block: *mut bindings::notifier_block,
        event: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: It is that field of a value that lives until the block is unregistered.
        let kind = unsafe { (*block.byte_sub(offset_of!(Self, block)).cast::<Self>()).kind };
        // SAFETY: `data` is the argument of this call.
        let dev = unsafe { C::device(event, data) };
        // SAFETY: The device is valid during the call.
        if !dev.is_null() && unsafe { (*dev).rtnl_link_ops } == kind {
            // SAFETY: It is a device of `T`. It has its data before `register_netdevice()` sends
            // the first event for it, and until its destructor, which follows the last one.
            let device = unsafe { Device::from_raw(dev) };
            // SAFETY: `data` is the argument of this call, and `dev` its device.
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

/// The chain of `register_netdevice_notifier()`.
pub(super) struct Devices;

// SAFETY: The chain is called with RTNL held, and RTNL is held to remove a block, also after a
// failed registration. Its events are for devices that got their data before they were registered.
unsafe impl<T: Events> Chain<T> for Devices {
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::register_netdevice_notifier(block) }
    }

    unsafe fn unregister(block: *mut bindings::notifier_block) {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::unregister_netdevice_notifier(block) };
    }

    unsafe fn device(_: c_ulong, data: *mut c_void) -> *mut bindings::net_device {
        // SAFETY: The argument is a `struct netdev_notifier_info`, or a structure that begins with
        // one.
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

/// The chain of `register_inetaddr_notifier()`.
pub(super) struct Addresses;

// SAFETY: `unregister` waits for calls, `register` fails only without adding the block, and all
// calls are made with RTNL held (`net/ipv4/devinet.c`). The device of an address is registered or
// being unregistered; it keeps its data until its destructor.
unsafe impl<T: Events> Chain<T> for Addresses {
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::register_inetaddr_notifier(block) }
    }

    unsafe fn unregister(block: *mut bindings::notifier_block) {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::unregister_inetaddr_notifier(block) };
    }

    unsafe fn device(_: c_ulong, data: *mut c_void) -> *mut bindings::net_device {
        // SAFETY: The argument is a `struct in_ifaddr`, which belongs to a device.
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

/// The chain of `register_netevent_notifier()`.
pub(super) struct Neighbours;

// SAFETY: `unregister` waits for an RCU grace period, in which calls end; `register` fails only
// without adding the block. A neighbour has a reference to its device, which keeps the data.
unsafe impl<T: Events> Chain<T> for Neighbours {
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::register_netevent_notifier(block) }
    }

    unsafe fn unregister(block: *mut bindings::notifier_block) {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::unregister_netevent_notifier(block) };
    }

    unsafe fn device(event: c_ulong, data: *mut c_void) -> *mut bindings::net_device {
        if event as u32 != bindings::netevent_notif_type_NETEVENT_NEIGH_UPDATE {
            return core::ptr::null_mut();
        }
        let neighbour = data.cast::<bindings::neighbour>();
        // SAFETY: For this event the argument is a neighbour, which has a reference to its device.
        unsafe {
            if (*neighbour).tbl != &raw mut bindings::arp_tbl {
                return core::ptr::null_mut();
            }
            (*neighbour).dev
        }
    }

    unsafe fn call(dev: &Device<T>, _: c_ulong, data: *mut c_void) {
        // SAFETY: As above. The chain is called without the lock of the neighbour.
        let event = unsafe { Event::from_raw(data.cast()) };
        T::neigh_update(dev, &event, &local_bh_disable());
    }
}
