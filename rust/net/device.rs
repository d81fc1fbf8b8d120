// SPDX-License-Identifier: GPL-2.0

//! Network devices and the callbacks of their drivers.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)
//!
//! # Life of a device
//!
//! ```text
//!  alloc_netdev_mqs()   setup()     exclusive: Setup
//!  newlink              new_link()  creates Data
//!  register_netdevice()             from here on every CPU may use the device
//!    up                 open()      creates OpenState
//!                         start_xmit(), polls, ...
//!    down               stop()      consumes OpenState
//!  unregister_netdevice()
//!  last reference put   Data is dropped, then the device is freed
//! ```
//!
//! [`Operations::Data`] is the driver's state of a device, [`Operations::OpenState`] the part of it
//! that exists only while `IFF_UP` is set: `open` returns it and `stop` consumes it, so that
//! neither can be undone by halves.

mod rx_mode;
mod setup;
mod vtable;

pub use rx_mode::RxMode;
pub(super) use setup::priv_flags_fast;
pub use setup::{LinkLayer, Setup};

use super::{
    bindings,
    queue::{TxQueue, XmitLocked},
    relaxed_cell::RelaxedCell, //
    rtnl::Rtnl,
    skbuff::SkBuff,
    spinlock_bh::LocalBhDisabled,
    stats::LinkStats,
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    cpumask::Cpumask,
    error::to_result,
    prelude::*,
    sync::aref::AlwaysRefCounted,
    types::{ForeignOwnable, Opaque},
};

/// Callbacks of a network driver: `struct net_device_ops`.
#[vtable]
pub trait Operations: Sized + Send + Sync + 'static {
    /// The driver's state of a device (`netdev_priv()`), from before its registration until the
    /// last reference to the device is put. Dropped in process context, in `priv_destructor`;
    /// values that it shares may live longer.
    type Data: ForeignOwnable + Send + Sync;

    /// State that exists only while the device is up.
    type OpenState: ForeignOwnable + Send;

    /// `ndo_open`: brings the device up. Process context. On failure nothing may stay allocated.
    fn open(dev: &Device<Self>, rtnl: &Rtnl) -> Result<Self::OpenState>;

    /// `ndo_stop`: takes the device down. Process context. `start_xmit` may still be running or be
    /// called later: with `PACKET_QDISC_BYPASS` a packet socket tests whether the device is up, and
    /// sends some time later.
    fn stop(dev: &Device<Self>, running: Self::OpenState, rtnl: &Rtnl);

    /// `ndo_start_xmit`: sends a packet. Bottom halves are off and the xmit lock of `txq` is held.
    ///
    /// The driver must take the packet: `NETDEV_TX_BUSY` cannot be returned, so a driver without
    /// room for another packet stops the queue in time. The device may be down, see
    /// [`stop`](Self::stop).
    fn start_xmit(dev: &Device<Self>, skb: SkBuff, txq: XmitLocked<'_>, bh: &LocalBhDisabled);

    /// `ndo_set_mac_address`: changes the link address to one of `addr_len` bytes. The driver
    /// validates it and calls [`Device::set_address`]. Process context.
    fn set_address(dev: &Device<Self>, address: &[u8], rtnl: &Rtnl) -> Result;

    /// `ndo_set_rx_mode_async`: the flags or address lists of a device that is up have changed.
    /// After an error the core retries up to four times in 15 seconds. Process context.
    fn set_rx_mode(dev: &Device<Self>, mode: &RxMode<'_>, rtnl: &Rtnl) -> Result;

    /// `ndo_change_mtu`: the MTU has just been changed, within its range. An error restores the old
    /// one. Process context.
    fn mtu_changed(dev: &Device<Self>, rtnl: &Rtnl) -> Result;

    /// `ndo_change_carrier`: the user forces the carrier off, or no longer does. If that changes
    /// the link state, the driver calls [`Device::carrier_off`] or [`Device::carrier_on`]. Process
    /// context.
    fn change_carrier(dev: &Device<Self>, carrier: bool, rtnl: &Rtnl);

    /// `ndo_get_stats64`: adds the driver's counters to `stats`, which is zeroed. Any context in
    /// which a spinlock may be held.
    fn stats64(dev: &Device<Self>, stats: &mut LinkStats);

    /// `ndo_get_port_parent_id`: returns the identifier that ports of one switch have in common,
    /// the switchid of `ip -d link`.
    fn port_parent_id(dev: &Device<Self>) -> [u8; 8];

    /// `ndo_get_phys_port_id`: returns an identifier of the device that does not depend on its
    /// name, the portid of `ip -d link`.
    fn phys_port_id(dev: &Device<Self>) -> [u8; 8];
}

/// A network device of the driver `T`: `struct net_device`.
///
/// # Invariants
///
/// - The device was set up by [`Setup`] for this `T`, so that its private area is a `Private<T>`.
/// - `Private::data` came from `T::Data::into_foreign()` and is not converted back while a
///   reference to this value can exist.
/// - `addr_len` is at most `MAX_ADDR_LEN` and never changes, nor do `num_tx_queues` and
///   `num_rx_queues`. The queues live as long as the device.
#[repr(transparent)]
pub struct Device<T: Operations> {
    dev: Opaque<bindings::net_device>,
    _driver: PhantomData<T>,
}

/// The private area of a device: `netdev_priv()`.
#[repr(C)]
struct Private<T: Operations> {
    /// `T::Data`, or null before `new_link` and after the destructor.
    data: *mut c_void,
    /// `T::OpenState`, or null while the device is down. Protected by RTNL.
    running: *mut c_void,
    /// `dev->type` once it is registered.
    hardware_type: u16,
    /// Enabled classes of log messages: bits of `NETIF_MSG_*`.
    msg_enable: RelaxedCell<u32>,
    _driver: PhantomData<T>,
}

// SAFETY: All methods may be called from any thread; the data is `Send`.
unsafe impl<T: Operations> Send for Device<T> {}
// SAFETY: All methods may be called from several threads at once; the data is `Sync`.
unsafe impl<T: Operations> Sync for Device<T> {}

// SAFETY: `dev_hold()` keeps the device and its `Data` until the matching `dev_put()`: the
// destructor runs when all references are gone. The exception is a registration that fails early,
// which drops `Data` without waiting; before that point no code of the driver is given a `Device`,
// see `was_registered`.
unsafe impl<T: Operations> AlwaysRefCounted for Device<T> {
    fn inc_ref(&self) {
        // SAFETY: The device is valid as long as `self` is borrowed.
        unsafe { bindings::rust_helper_dev_hold(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller owns a reference, so the device is valid.
        unsafe { bindings::rust_helper_dev_put(obj.cast().as_ptr()) };
    }
}

impl<T: Operations> Device<T> {
    /// # Safety
    ///
    /// `dev` must fulfil the invariants of the type for `'a`.
    pub(super) unsafe fn from_raw<'a>(dev: *const bindings::net_device) -> &'a Self {
        // SAFETY: By the safety requirements of this function; `Self` is transparent.
        unsafe { &*dev.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::net_device {
        self.dev.get()
    }

    fn private(&self) -> *mut Private<T> {
        private(self.as_raw())
    }

    /// Returns the driver's state of this device. Any context.
    #[inline]
    pub fn data(&self) -> <T::Data as ForeignOwnable>::Borrowed<'_> {
        // SAFETY: By the type invariant the area is a `Private<T>`, and `data` is valid and stays
        // so while `self` is borrowed.
        unsafe { T::Data::borrow((*self.private()).data) }
    }

    /// Returns the classes of enabled log messages, see `netif_msg_init()`. Any context.
    pub(super) fn msg_enable(&self) -> &RelaxedCell<u32> {
        // SAFETY: By the type invariant the area is a `Private<T>`, which lives as long as the
        // device. The field is accessed as a `RelaxedCell` only.
        unsafe { &(*self.private()).msg_enable }
    }

    /// Returns whether the device uses ARP, that is, `IFF_NOARP` is not set. Any context.
    pub fn does_arp(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let flags = unsafe { (&raw const (*self.as_raw()).flags).read_volatile() };
        flags & bindings::net_device_flags_IFF_NOARP == 0
    }

    /// Returns whether the device has an `rx_handler`, as a port of a bridge, bond or macvlan does.
    pub fn has_rx_handler(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let handler = unsafe {
            (&raw const (*self.as_raw()).rx_handler)
                .cast::<usize>()
                .read_volatile()
        };
        handler != 0
    }

    /// Returns whether the device is up or being brought up: `netif_running()`. Any context.
    pub fn is_running(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::rust_helper_netif_running(self.as_raw()) }
    }

    /// Returns the MTU in bytes, without the link header. Any context.
    pub fn mtu(&self) -> u32 {
        // SAFETY: The device is valid. The field may change concurrently: READ_ONCE().
        unsafe { (&raw const (*self.as_raw()).mtu).read_volatile() }
    }

    /// Returns the link address, padded with zeroes, or `None` if it is longer than `N` bytes.
    pub fn address<const N: usize>(&self, _: &Rtnl) -> Option<[u8; N]> {
        const { assert!(N <= bindings::MAX_ADDR_LEN as usize) };
        let dev = self.as_raw();
        // SAFETY: `dev_addr` always points to MAX_ADDR_LEN bytes, and `N` is at most that. They are
        // written only under RTNL, which is held.
        let (len, mut address) = unsafe {
            (
                usize::from((*dev).addr_len),
                (*dev).dev_addr.cast::<[u8; N]>().read(),
            )
        };
        address.get_mut(len..)?.fill(0);
        Some(address)
    }

    /// Sets the link address: `dev_addr_mod()`. Fails with `EINVAL` for a wrong length.
    pub fn set_address(&self, address: &[u8], _: &Rtnl) -> Result {
        let dev = self.as_raw();
        // SAFETY: The device is valid, and `addr_len` never changes.
        if address.len() != usize::from(unsafe { (*dev).addr_len }) {
            return Err(EINVAL);
        }
        // SAFETY: `address` has `addr_len` bytes, which by the type invariant fit, and RTNL is held
        // as `dev_addr_mod()` requires.
        unsafe { bindings::dev_addr_mod(dev, 0, address.as_ptr().cast(), address.len()) };
        Ok(())
    }

    /// Returns the number of allocated TX queues, which never changes.
    pub fn num_tx_queues(&self) -> u32 {
        // SAFETY: The device is valid and the field never changes.
        unsafe { (*self.as_raw()).num_tx_queues }
    }

    /// Returns the number of allocated RX queues, which never changes.
    pub fn num_rx_queues(&self) -> u32 {
        // SAFETY: The device is valid and the field never changes.
        unsafe { (*self.as_raw()).num_rx_queues }
    }

    /// Returns the number of TX queues that the core uses. It may change at any time.
    #[inline]
    pub fn real_num_tx_queues(&self) -> u32 {
        // SAFETY: The device is valid. READ_ONCE().
        unsafe { (&raw const (*self.as_raw()).real_num_tx_queues).read_volatile() }
    }

    /// Returns the number of RX queues in use. It may change at any time.
    pub fn real_num_rx_queues(&self) -> u32 {
        // SAFETY: The device is valid. Written under RTNL; READ_ONCE().
        unsafe { (&raw const (*self.as_raw()).real_num_rx_queues).read_volatile() }
    }

    /// Sets the number of TX and RX queues in use: `netif_set_real_num_queues()`. Qdiscs drop the
    /// packets of queues that are no longer used. Fails with `ENODEV` unless registered.
    pub fn set_real_num_queues(&self, tx: u32, rx: u32, _: &Rtnl) -> Result {
        if !self.is_registered() {
            return Err(ENODEV);
        }
        // SAFETY: The device is valid and registered, and stays registered while RTNL is held.
        to_result(unsafe { bindings::netif_set_real_num_queues(self.as_raw(), tx, rx) })
    }

    /// Selects TX queue `index` for packets that are sent on `cpus`, until the user sets
    /// `queues/tx-N/xps_cpus`: `netif_set_xps_queue()`. Offline CPUs are ignored. A kernel without
    /// XPS selects queues by flow. Process context. Fails with `ENODEV` unless registered, and with
    /// `EINVAL` without such a queue, or if it is in no traffic class.
    pub fn set_xps_cpus(&self, index: u16, cpus: &Cpumask, _: &Rtnl) -> Result {
        if !self.is_registered() {
            return Err(ENODEV);
        }
        if u32::from(index) >= self.num_tx_queues() {
            return Err(EINVAL);
        }
        // SAFETY: The device is valid, has the queue, and stays registered while RTNL is held: the
        // maps are freed when it is unregistered. The mask is copied.
        // CAST: Both bindings have the same C type.
        to_result(unsafe {
            bindings::rust_helper_netif_set_xps_queue(self.as_raw(), cpus.as_raw().cast(), index)
        })
    }

    /// Returns whether GRO is on: `ethtool -K DEVICE gro on`. Any context.
    #[inline]
    pub(super) fn has_gro(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let features = unsafe { (&raw const (*self.as_raw()).features).read_volatile() };
        features & bindings::SPANS_NETIF_F_GRO != 0
    }

    /// Turns GRO off until the user turns it on. For a device that was just registered, as
    /// `register_netdevice()` turns it on.
    pub fn disable_gro(&self, _: &Rtnl) {
        if !self.is_registered() {
            return;
        }
        let dev = self.as_raw();
        // SAFETY: The device is valid and registered. RTNL, which is held, protects its features.
        unsafe {
            (*dev).features &= !bindings::SPANS_NETIF_F_GRO;
            (*dev).wanted_features &= !bindings::SPANS_NETIF_F_GRO;
            bindings::netdev_update_features(dev);
        }
    }

    /// Returns whether the device has a carrier: `netif_carrier_ok()`. Any context.
    #[inline]
    pub fn carrier_ok(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::rust_helper_netif_carrier_ok(self.as_raw()) }
    }

    /// Reports that the device has a carrier: `netif_carrier_on()`. Any context.
    pub fn carrier_on(&self) {
        // SAFETY: The device is valid.
        unsafe { bindings::netif_carrier_on(self.as_raw()) };
    }

    /// Reports that the device has no carrier: `netif_carrier_off()`. linkwatch then stops the core
    /// from sending. Any context.
    pub fn carrier_off(&self) {
        // SAFETY: The device is valid.
        unsafe { bindings::netif_carrier_off(self.as_raw()) };
    }

    /// Handles a pending linkwatch event at once: queues, operational state, `NETDEV_CHANGE`.
    ///
    /// linkwatch delays an event by up to a second unless the queues of a device that is up wait
    /// for its carrier (`linkwatch_urgent_event()` in `net/core/link_watch.c`), which they do not
    /// after `open`. Does nothing without a pending event, and leaves the event to linkwatch while
    /// the device is being closed. Calls notifiers. Process context, but not in `open` or `stop`.
    pub fn linkwatch_sync(&self, _: &Rtnl) {
        let dev = self.as_raw();
        // SAFETY: The device is valid, and RTNL protects its flags and the list.
        let closing = unsafe {
            let list = &raw mut (*dev).close_list;
            !core::ptr::eq((*list).next, list)
                && (*dev).flags & bindings::net_device_flags_IFF_UP != 0
        };
        if closing {
            return;
        }
        // SAFETY: The device is valid, RTNL is held, and the device has no instance lock
        // (`netdev_need_ops_lock()`). For a device that is up, `dev_deactivate()` links
        // `close_list`, which is on no list, as was just tested.
        unsafe { bindings::ethtool_op_get_link(dev) };
    }

    /// Fails with `EPERM` unless the current process has `CAP_NET_ADMIN` in the network namespace
    /// of the device. Process context.
    pub(super) fn may_be_administered(&self, _: &Rtnl) -> Result {
        // SAFETY: The device is valid, and so is its namespace, which it leaves only under RTNL.
        let may = unsafe {
            let net = bindings::rust_helper_dev_net(self.as_raw());
            bindings::ns_capable((*net).user_ns, bindings::CAP_NET_ADMIN as c_int)
        };
        if may {
            Ok(())
        } else {
            Err(EPERM)
        }
    }

    /// Returns whether the registration has reached the state from which a failure waits for all
    /// references to the device.
    pub(super) fn was_registered(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let state = unsafe { (&raw const (*self.as_raw()).reg_state).read_volatile() };
        state != bindings::netdev_reg_state_NETREG_UNINITIALIZED as u8
    }

    /// Returns whether the device is registered and not being unregistered. Stable under RTNL only.
    pub(super) fn is_registered(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let state = unsafe { (&raw const (*self.as_raw()).reg_state).read_volatile() };
        state == bindings::netdev_reg_state_NETREG_REGISTERED as u8
    }

    /// Returns the TX queue with this index, if there is one.
    #[inline]
    pub fn tx_queue(&self, index: u16) -> Option<TxQueue<'_>> {
        if u32::from(index) >= self.num_tx_queues() {
            return None;
        }
        // SAFETY: The array has `num_tx_queues` elements and, by the type invariant, lives as long
        // as the device.
        Some(unsafe { TxQueue::from_raw((*self.as_raw())._tx.add(index.into()), index) })
    }

    /// Lets the core send on all queues: `netif_tx_start_all_queues()`. For `open`.
    pub fn start_all_queues(&self, _: &Rtnl) {
        // SAFETY: The device is valid, and so are its queues.
        unsafe { bindings::rust_helper_netif_tx_start_all_queues(self.as_raw()) };
    }
}

fn private<T: Operations>(dev: *mut bindings::net_device) -> *mut Private<T> {
    // SAFETY: Computes an address within the allocation of `dev`, as `netdev_priv()`.
    unsafe { (&raw mut (*dev).priv_).cast() }
}

/// Drops the data of a device, if it has not been dropped yet.
///
/// # Safety
///
/// `private` must be the private area of a device to whose data no reference exists.
unsafe fn drop_data<T: Operations>(private: *mut Private<T>) {
    // SAFETY: By the safety requirements of this function nothing else uses the area.
    let data = unsafe { core::mem::replace(&mut (*private).data, core::ptr::null_mut()) };
    // SAFETY: `data` came from `into_foreign()` or is null, and is taken out only once.
    drop(unsafe { T::Data::try_from_foreign(data) });
}
