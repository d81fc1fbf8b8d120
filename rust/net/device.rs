// SPDX-License-Identifier: GPL-2.0

//! Network devices and what the stack asks of their drivers.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)
//!
//! # The life of a device
//!
//! ```text
//!  alloc_netdev_mqs()   setup()     exclusive: Setup
//!  newlink              new_link()  makes Data
//!  register_netdevice()             from here on every CPU may see the device
//!    up                 open()      makes Running
//!                         start_xmit(), polls, ...
//!    down               stop()      ends Running
//!  unregister_netdevice()
//!  last reference put   Data is dropped, then the device is freed
//! ```
//!
//! `Data` is what the driver keeps about a device, `Running` what exists only
//! while it is up. That `stop` consumes what `open` made is how a driver cannot
//! forget half of either.

mod rx_mode;
mod setup;
mod vtable;

pub use rx_mode::RxMode;
pub(super) use setup::priv_flags_fast;
pub use setup::{LinkLayer, Setup};

use super::{
    bindings,
    queue::{TxQueue, XmitLocked},
    rtnl::Rtnl,
    skbuff::SkBuff,
    spinlock_bh::LocalBhDisabled,
    stats::LinkStats,
    word::RelaxedCell, //
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    error::to_result,
    prelude::*,
    sync::aref::AlwaysRefCounted,
    types::{ForeignOwnable, Opaque},
};

/// What a driver does for its devices: `struct net_device_ops`.
#[vtable]
pub trait Operations: Sized + Send + Sync + 'static {
    /// What the driver keeps about a device, from before it is registered until
    /// nothing refers to the device any more. Dropped in process context (what it
    /// shares may of course live longer).
    type Data: ForeignOwnable + Send + Sync;

    /// What exists only while the device is up.
    type OpenState: ForeignOwnable + Send;

    /// `ndo_open`: the device goes up. Process context. What fails must leave
    /// nothing behind.
    fn open(dev: &Device<Self>, rtnl: &Rtnl) -> Result<Self::OpenState>;

    /// `ndo_stop`: the device goes down. Process context. A `start_xmit` may still
    /// come, or be running: a packet socket that bypasses the qdisc looks whether
    /// the device is up, and sends some time later.
    fn stop(dev: &Device<Self>, running: Self::OpenState, rtnl: &Rtnl);

    /// `ndo_start_xmit`: a packet is to be sent. Its transmit queue's lock, `txq`,
    /// is held.
    ///
    /// The driver must take the packet: one that does not want more stops the
    /// queue in time, as `NETDEV_TX_BUSY` cannot be answered. The device may be
    /// down, see [`stop`](Self::stop).
    fn start_xmit(dev: &Device<Self>, skb: SkBuff, txq: XmitLocked<'_>, bh: &LocalBhDisabled);

    /// `ndo_set_mac_address`: the device shall get this address of `addr_len`
    /// bytes. The driver checks it and calls [`Device::set_address`]. Process
    /// context.
    fn set_address(dev: &Device<Self>, address: &[u8], rtnl: &Rtnl) -> Result;

    /// `ndo_set_rx_mode_async`: the device is up, and shall hear more or less than its own
    /// address and broadcast. What fails is tried again some seconds later. Process
    /// context.
    fn set_rx_mode(dev: &Device<Self>, mode: &RxMode<'_>, rtnl: &Rtnl) -> Result;

    /// `ndo_change_mtu`: the device has just got another MTU, within its range.
    /// Process context.
    fn mtu_changed(dev: &Device<Self>, rtnl: &Rtnl) -> Result;

    /// `ndo_change_carrier`: the user cuts the line, or mends it. The driver calls
    /// [`Device::carrier_off`] or [`Device::carrier_on`], if that changes anything.
    /// Process context.
    fn change_carrier(dev: &Device<Self>, carrier: bool, rtnl: &Rtnl);

    /// `ndo_get_stats64`: adds the driver's counts to zeroes. Any context that
    /// may hold a spinlock.
    fn stats64(dev: &Device<Self>, stats: &mut LinkStats);

    /// `ndo_get_port_parent_id`: says by what number the devices know each other
    /// that are ports of one thing; `ip -d link` shows it as switchid.
    fn port_parent_id(dev: &Device<Self>) -> [u8; 8];

    /// `ndo_get_phys_port_id`: says by what number the device is known to those who
    /// do not trust its name; `ip -d link` shows it as portid.
    fn phys_port_id(dev: &Device<Self>) -> [u8; 8];
}

/// A device of the driver `T`: `struct net_device`.
///
/// # Invariants
///
/// - The device was set up by [`Setup`] for this `T`, so that its private area is
///   a `Private<T>`.
/// - `Private::data` came from `T::Data::into_foreign()` and is not converted
///   back while a reference to this value can exist.
/// - `addr_len` is at most `MAX_ADDR_LEN` and never changes, nor do `num_tx_queues`
///   and `num_rx_queues`. The queues live as long as the device.
#[repr(transparent)]
pub struct Device<T: Operations> {
    dev: Opaque<bindings::net_device>,
    _driver: PhantomData<T>,
}

/// The private area of a device.
#[repr(C)]
struct Private<T: Operations> {
    /// `T::Data`, or null before `new_link` and after the destructor.
    data: *mut c_void,
    /// `T::OpenState`, or null while the device is down. Under RTNL.
    running: *mut c_void,
    /// `dev->type` once it is registered.
    hardware_type: u16,
    /// Which lines go into the kernel log: bits of `NETIF_MSG_*`.
    msg_enable: RelaxedCell<u32>,
    _driver: PhantomData<T>,
}

// SAFETY: All methods are safe to call from any thread; the data is `Send`.
unsafe impl<T: Operations> Send for Device<T> {}
// SAFETY: All methods are safe to call from several threads; the data is `Sync`.
unsafe impl<T: Operations> Sync for Device<T> {}

// SAFETY: `dev_hold()` keeps the device, and with it its `Data`, until the matching `dev_put()`:
// the destructor runs when all references are gone. Only where a registration fails early it does
// not wait, and to nobody a device is shown before that: see `was_registered`.
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
    /// `dev` must fulfil the invariants of the type for the lifetime `'a`.
    pub(super) unsafe fn from_raw<'a>(dev: *const bindings::net_device) -> &'a Self {
        // SAFETY: The caller promises it; `Self` is transparent.
        unsafe { &*dev.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::net_device {
        self.dev.get()
    }

    fn private(&self) -> *mut Private<T> {
        private(self.as_raw())
    }

    /// What the driver keeps about this device.
    #[inline]
    pub fn data(&self) -> <T::Data as ForeignOwnable>::Borrowed<'_> {
        // SAFETY: By the type invariant the area is a `Private<T>`, and `data` is valid and stays
        // so while `self` is borrowed.
        unsafe { T::Data::borrow((*self.private()).data) }
    }

    /// The classes of lines that go into the kernel log, as in `netif_msg_init()`.
    pub(super) fn msg_enable(&self) -> &RelaxedCell<u32> {
        // SAFETY: By the type invariant the area is a `Private<T>`, which lives as long as the
        // device. The field is accessed as a `RelaxedCell` only.
        unsafe { &(*self.private()).msg_enable }
    }

    /// Whether it speaks ARP: not with `ip link set DEVICE arp off`.
    pub fn does_arp(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let flags = unsafe { (&raw const (*self.as_raw()).flags).read_volatile() };
        flags & bindings::net_device_flags_IFF_NOARP == 0
    }

    /// Whether what it receives is another device's first: a bridge's, a bond's, macvlan's.
    pub fn has_rx_handler(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let handler = unsafe {
            (&raw const (*self.as_raw()).rx_handler)
                .cast::<usize>()
                .read_volatile()
        };
        handler != 0
    }

    /// Whether the device is up, or about to be.
    pub fn is_running(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::rust_helper_netif_running(self.as_raw()) }
    }

    /// The MTU: the longest packet without its link header. Any context.
    pub fn mtu(&self) -> u32 {
        // SAFETY: The device is valid. It may be changed meanwhile: READ_ONCE().
        unsafe { (&raw const (*self.as_raw()).mtu).read_volatile() }
    }

    /// The link address, with zeroes behind it; `None` if the device's is longer than
    /// `N` bytes.
    pub fn address<const N: usize>(&self, _: &Rtnl) -> Option<[u8; N]> {
        const { assert!(N <= bindings::MAX_ADDR_LEN as usize) };
        let dev = self.as_raw();
        // SAFETY: `dev_addr` always points to MAX_ADDR_LEN bytes, which `N` are no more than. They
        // are written only under RTNL.
        let (len, mut address) = unsafe {
            (
                usize::from((*dev).addr_len),
                (*dev).dev_addr.cast::<[u8; N]>().read(),
            )
        };
        address.get_mut(len..)?.fill(0);
        Some(address)
    }

    /// Gives the device another link address. `address` must be as long as all
    /// of this device are.
    pub fn set_address(&self, address: &[u8], _: &Rtnl) -> Result {
        let dev = self.as_raw();
        // SAFETY: The device is valid, and `addr_len` never changes.
        if address.len() != usize::from(unsafe { (*dev).addr_len }) {
            return Err(EINVAL);
        }
        // SAFETY: `address` is as long as `addr_len`, for which by the type invariant there is
        // room, and RTNL is held as `dev_addr_mod()` asks.
        unsafe { bindings::dev_addr_mod(dev, 0, address.as_ptr().cast(), address.len()) };
        Ok(())
    }

    /// How many transmit queues there are. Fixed when the device was made.
    pub fn num_tx_queues(&self) -> u32 {
        // SAFETY: The device is valid and the field never changes.
        unsafe { (*self.as_raw()).num_tx_queues }
    }

    /// How many receive queues there are. Fixed when the device was made.
    pub fn num_rx_queues(&self) -> u32 {
        // SAFETY: The device is valid and the field never changes.
        unsafe { (*self.as_raw()).num_rx_queues }
    }

    /// How many transmit queues the stack uses. May be out of date at once.
    #[inline]
    pub fn real_num_tx_queues(&self) -> u32 {
        // SAFETY: The device is valid. READ_ONCE().
        unsafe { (&raw const (*self.as_raw()).real_num_tx_queues).read_volatile() }
    }

    /// How many of the receive queues are in use.
    pub fn real_num_rx_queues(&self) -> u32 {
        // SAFETY: The device is valid. Written under RTNL, but for READ_ONCE() of others.
        unsafe { (&raw const (*self.as_raw()).real_num_rx_queues).read_volatile() }
    }

    /// Has the stack use so many transmit and receive queues. Packets that a qdisc
    /// holds for one that is not used any more are dropped by it. Fails with `ENODEV`
    /// when the device is going.
    pub fn set_real_num_queues(&self, tx: u32, rx: u32, _: &Rtnl) -> Result {
        if !self.is_registered() {
            return Err(ENODEV);
        }
        // SAFETY: The device is valid and registered, and RTNL, which is held, keeps it so.
        to_result(unsafe { bindings::netif_set_real_num_queues(self.as_raw(), tx, rx) })
    }

    /// Whether packets that are received are to be merged: `ethtool -K DEVICE gro on`.
    #[inline]
    pub(super) fn has_gro(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let features = unsafe { (&raw const (*self.as_raw()).features).read_volatile() };
        features & bindings::SPANS_NETIF_F_GRO != 0
    }

    /// Does not merge packets that are received, unless the user wants it. For a
    /// device that was just registered.
    pub fn disable_gro(&self, _: &Rtnl) {
        if !self.is_registered() {
            return;
        }
        let dev = self.as_raw();
        // SAFETY: The device is valid and registered, and RTNL guards its features.
        unsafe {
            (*dev).features &= !bindings::SPANS_NETIF_F_GRO;
            (*dev).wanted_features &= !bindings::SPANS_NETIF_F_GRO;
            bindings::netdev_update_features(dev);
        }
    }

    /// Whether the device has a carrier.
    #[inline]
    pub fn carrier_ok(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::rust_helper_netif_carrier_ok(self.as_raw()) }
    }

    /// Says that the device has a carrier. Any context.
    pub fn carrier_on(&self) {
        // SAFETY: The device is valid.
        unsafe { bindings::netif_carrier_on(self.as_raw()) };
    }

    /// Says that the device has no carrier. The stack sends nothing soon. Any
    /// context.
    pub fn carrier_off(&self) {
        // SAFETY: The device is valid.
        unsafe { bindings::netif_carrier_off(self.as_raw()) };
    }

    /// Has the core take note of the carrier: queues, operational state, `NETDEV_CHANGE`.
    ///
    /// By itself it does so up to a second later, as linkwatch handles an event at once only
    /// if the queues of a device that is up wait for its carrier (`linkwatch_urgent_event()`
    /// in `net/core/link_watch.c`), which they do not after `open`. Does nothing if there is
    /// no such event, and leaves it to linkwatch while the device is being closed.
    /// Notifiers are called. Process context, not from `open` or `stop`.
    pub fn linkwatch_sync(&self, _: &Rtnl) {
        let dev = self.as_raw();
        // SAFETY: The device is valid, and RTNL guards its flags and the list.
        let closing = unsafe {
            let list = &raw mut (*dev).close_list;
            !core::ptr::eq((*list).next, list)
                && (*dev).flags & bindings::net_device_flags_IFF_UP != 0
        };
        if closing {
            return;
        }
        // SAFETY: The device is valid, RTNL is held, and it has no lock of its own
        // (`netdev_need_ops_lock()`). `dev_deactivate()`, of a device that is up, puts it into
        // a list by `close_list`, which is in none.
        unsafe { bindings::ethtool_op_get_link(dev) };
    }

    /// Fails with `EPERM` unless this process may administer the network of the
    /// device's namespace.
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

    /// Whether its registration has come so far that, if it fails, it waits for those
    /// who have a reference.
    pub(super) fn was_registered(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let state = unsafe { (&raw const (*self.as_raw()).reg_state).read_volatile() };
        state != bindings::netdev_reg_state_NETREG_UNINITIALIZED as u8
    }

    /// Whether it is registered, and not on its way out. For who holds RTNL.
    pub(super) fn is_registered(&self) -> bool {
        // SAFETY: The device is valid. READ_ONCE().
        let state = unsafe { (&raw const (*self.as_raw()).reg_state).read_volatile() };
        state == bindings::netdev_reg_state_NETREG_REGISTERED as u8
    }

    /// A transmit queue, if there is one with this index.
    #[inline]
    pub fn tx_queue(&self, index: u16) -> Option<TxQueue<'_>> {
        if u32::from(index) >= self.num_tx_queues() {
            return None;
        }
        // SAFETY: The array has `num_tx_queues` elements and, by the type invariant, lives as long
        // as the device.
        Some(unsafe { TxQueue::from_raw((*self.as_raw())._tx.add(index.into()), index) })
    }

    /// Lets the stack send on all queues. For `open`.
    pub fn start_all_queues(&self, _: &Rtnl) {
        // SAFETY: The device is valid, and so are its queues.
        unsafe { bindings::rust_helper_netif_tx_start_all_queues(self.as_raw()) };
    }
}

fn private<T: Operations>(dev: *mut bindings::net_device) -> *mut Private<T> {
    // SAFETY: Computes an address within the allocation of `dev`, as `netdev_priv()`.
    unsafe { (&raw mut (*dev).priv_).cast() }
}

/// Drops the data of a device, if it is still there.
///
/// # Safety
///
/// `private` must be the area of a device to whose data nobody refers.
unsafe fn drop_data<T: Operations>(private: *mut Private<T>) {
    // SAFETY: The caller promises that the area is ours.
    let data = unsafe { core::mem::replace(&mut (*private).data, core::ptr::null_mut()) };
    // SAFETY: `data` came from `into_foreign()` or is null, and is taken out only once.
    drop(unsafe { T::Data::try_from_foreign(data) });
}
