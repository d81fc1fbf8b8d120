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

use super::{
    bindings,
    queue::{TxQueue, XmitLocked},
    rtnl::Rtnl,
    skbuff::SkBuff,
    spinlock_bh::LocalBhDisabled,
    stats::LinkStats, //
};
use core::{marker::PhantomData, ops::RangeInclusive, ptr::NonNull};
use kernel::{
    error::{from_result, to_result},
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
    type Running: ForeignOwnable + Send;

    /// `ndo_open`: the device goes up. Process context. What fails must leave
    /// nothing behind.
    fn open(dev: &Device<Self>, rtnl: &Rtnl) -> Result<Self::Running>;

    /// `ndo_stop`: the device goes down. Process context. A `start_xmit` may still
    /// come, or be running: a packet socket that bypasses the qdisc looks whether
    /// the device is up, and sends some time later.
    fn stop(dev: &Device<Self>, running: Self::Running, rtnl: &Rtnl);

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

    /// `ndo_change_mtu`: the device has just got another MTU, within its range.
    /// Process context.
    fn mtu_changed(dev: &Device<Self>, rtnl: &Rtnl) -> Result;

    /// `ndo_change_carrier`: the user cuts the line, or mends it. The driver calls
    /// [`Device::carrier_off`] or [`Device::carrier_on`]. Process context.
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
    /// `T::Running`, or null while the device is down. Under RTNL.
    running: *mut c_void,
    /// `dev->type` once it is registered.
    hardware_type: u16,
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

    /// The MTU: the longest packet without its link header. Any context.
    pub fn mtu(&self) -> u32 {
        // SAFETY: The device is valid. It may be changed meanwhile: READ_ONCE().
        unsafe { (&raw const (*self.as_raw()).mtu).read_volatile() }
    }

    /// The link address; `None` if the device's is not `N` bytes long.
    pub fn address<const N: usize>(&self, _: &Rtnl) -> Option<[u8; N]> {
        let dev = self.as_raw();
        // SAFETY: By the type invariant `N` bytes are at most MAX_ADDR_LEN if `addr_len` is that,
        // which `dev_addr` always points to. They are written only under RTNL.
        unsafe {
            if usize::from((*dev).addr_len) != N {
                return None;
            }
            Some((*dev).dev_addr.cast::<[u8; N]>().read())
        }
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

/// The parts of a device that its medium decides.
pub struct LinkLayer {
    /// ARPHRD, in `ip link` the text or number behind `link/`.
    pub hardware_type: u16,
    /// The address of every station. Others are as long; what is longer than 32
    /// bytes is cut.
    pub broadcast: &'static [u8],
    /// Length of the link header in bytes.
    pub header_len: u8,
    /// The MTU of a new device.
    pub mtu: u32,
    /// What the MTU can be set to.
    pub mtu_range: RangeInclusive<u32>,
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

impl<T: Operations> Setup<'_, T> {
    /// How large the private area of a device must be.
    pub(super) const PRIVATE_LEN: usize = size_of::<Private<T>>();

    /// # Safety
    ///
    /// `dev` must fulfil the invariants for the lifetime of the value.
    pub(super) unsafe fn from_raw(dev: *mut bindings::net_device) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            dev,
            _exclusive: PhantomData,
        }
    }

    pub(super) fn as_raw(&mut self) -> *mut bindings::net_device {
        self.dev
    }

    /// What every driver of this kind needs, before its own settings.
    pub(super) fn prepare(&mut self) {
        // SAFETY: By the type invariant the device is ours.
        let dev = unsafe { &mut *self.dev };
        dev.netdev_ops = OperationsVTable::<T>::build();
        dev.needs_free_netdev = true;
        dev.priv_destructor = Some(OperationsVTable::<T>::destructor_callback);
        // Netpoll, which netconsole stands on, would send and poll with interrupts off: in the
        // middle of a section that a `LocalBhDisabled` seems to protect.
        self.set_priv_flags(bindings::netdev_priv_flags_IFF_DISABLE_NETPOLL);
        // netdev_lock_pos() warns about types that it does not know, under lockdep: the real one
        // comes with `ndo_init`, when it has been asked for the last time.
        dev.type_ = bindings::ARPHRD_NONE as u16;
    }

    /// Gives the device what its medium decides.
    pub fn set_link_layer(&mut self, link: &LinkLayer) {
        // SAFETY: By the type invariant the device is ours.
        let dev = unsafe { &mut *self.dev };
        // SAFETY: By the type invariant the area is a `Private<T>`, and nobody else uses it.
        unsafe { (*private::<T>(self.dev)).hardware_type = link.hardware_type };
        dev.addr_len = link.broadcast.len().min(dev.broadcast.len()) as u8;
        dev.hard_header_len = link.header_len.into();
        dev.min_header_len = link.header_len;
        dev.mtu = link.mtu;
        dev.min_mtu = *link.mtu_range.start();
        dev.max_mtu = *link.mtu_range.end();
        for (to, from) in dev.broadcast.iter_mut().zip(link.broadcast) {
            *to = *from;
        }
        dev.flags |=
            bindings::net_device_flags_IFF_BROADCAST | bindings::net_device_flags_IFF_MULTICAST;
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

    /// How many packets a qdisc holds, as `ip link` shows and sets it.
    pub fn set_tx_queue_len(&mut self, len: u32) {
        // SAFETY: By the type invariant the device is ours.
        unsafe { (*self.dev).tx_queue_len = len };
    }

    fn set_priv_flags(&mut self, set: u32) {
        // CAST: A union of two views of the same bit fields.
        // SAFETY: By the type invariant the device is ours.
        let flags = unsafe {
            &mut *(&raw mut (*self.dev).__bindgen_anon_1)
                .cast::<bindings::net_device__bindgen_ty_1__bindgen_ty_2>()
        };
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
    pub(super) fn tx_queue_address(&self, index: u16) -> *const bindings::netdev_queue {
        if u32::from(index) >= self.num_tx_queues() {
            return core::ptr::null();
        }
        // SAFETY: The array has `num_tx_queues` elements.
        unsafe { (*self.dev)._tx.add(index.into()) }
    }

    /// Gives the device its data and makes it known to the kernel.
    ///
    /// On failure the data is dropped, at once or with the device.
    pub(super) fn register<'a>(self, data: T::Data, _: &'a Rtnl) -> Result<&'a Device<T>> {
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

fn write_id(id: &mut bindings::netdev_phys_item_id, number: [u8; 8]) {
    for (to, from) in id.id.iter_mut().zip(number) {
        *to = from;
    }
    id.id_len = number.len() as u8;
}

/// The table of functions that the core calls, made of those of `T`.
struct OperationsVTable<T: Operations>(PhantomData<T>);

impl<T: Operations> OperationsVTable<T> {
    /// # Safety
    ///
    /// Called by the core once for a device, which is being registered, with
    /// RTNL held.
    unsafe extern "C" fn init_callback(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: `Setup::register` has filled in the private area.
        unsafe { (*dev).type_ = (*private::<T>(dev)).hardware_type };
        // SAFETY: The device is valid; its locks are initialised and not held.
        unsafe { bindings::rust_helper_netdev_lockdep_set_classes(dev) };
        0
    }

    /// # Safety
    ///
    /// Called by the core for a registered device that is down, with RTNL held.
    unsafe extern "C" fn open_callback(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: The device is registered, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        from_result(|| {
            let running = T::open(device, &rtnl)?;
            // SAFETY: RTNL guards the field; it is null, as the device was down.
            unsafe { (*device.private()).running = running.into_foreign() };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a device whose `open_callback` succeeded, with RTNL
    /// held.
    unsafe extern "C" fn stop_callback(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: The device is registered, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: RTNL guards the field.
        let running =
            unsafe { core::mem::replace(&mut (*device.private()).running, core::ptr::null_mut()) };
        // SAFETY: `open_callback` put it there with `into_foreign()`, and it was just taken out.
        if let Some(running) = unsafe { T::Running::try_from_foreign(running) } {
            T::stop(device, running, &rtnl);
        }
        0
    }

    /// # Safety
    ///
    /// Called by the core for a device that is up, with bottom halves off. It
    /// gives away its reference to `skb`, unless the answer is `NETDEV_TX_BUSY`.
    unsafe extern "C" fn start_xmit_callback(
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
    ) -> bindings::netdev_tx_t {
        // SAFETY: The device is up, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: The packet is valid.
        let Some(txq) = device.tx_queue(unsafe { (*skb).queue_mapping }) else {
            // SAFETY: The core gives us `skb`, and keeps it from looking into it.
            unsafe { SkBuff::from_raw(skb) }.kfree_reason(super::DropReason::NOT_SPECIFIED);
            return bindings::netdev_tx_NETDEV_TX_OK;
        };
        // The core has locked the queue of the first packet of several that a qdisc gave it, and a
        // filter of that qdisc may have sent another of them elsewhere. That one comes back from
        // the qdisc alone, under its own lock.
        if !txq.is_locked_here() {
            return bindings::netdev_tx_NETDEV_TX_BUSY;
        }
        // SAFETY: The core gives us `skb`. Who has another reference, as pktgen does, only waits
        // for the packet to be freed.
        let skb = unsafe { SkBuff::from_raw(skb) };
        // SAFETY: `ndo_start_xmit` runs with bottom halves off. (Netpoll, which has interrupts off
        // instead, leaves devices alone that `Setup::prepare` made.)
        let bh = unsafe { LocalBhDisabled::assume() };
        // SAFETY: The lock is held on this CPU, as was just seen, and so by the core for us: nobody
        // sends with a queue locked, as `__dev_queue_xmit()` sees to.
        let txq = unsafe { XmitLocked::assume(txq) };
        T::start_xmit(device, skb, txq, &bh);
        bindings::netdev_tx_NETDEV_TX_OK
    }

    /// # Safety
    ///
    /// Called by the core for a registered device with RTNL held. `address` is a
    /// `struct sockaddr_storage`.
    unsafe extern "C" fn set_mac_address_callback(
        dev: *mut bindings::net_device,
        address: *mut c_void,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: The device is valid, and `addr_len` never changes.
        let len = usize::from(unsafe { (*dev).addr_len });
        // The address begins behind the family, in `struct sockaddr` as in `sockaddr_storage`.
        let offset = size_of::<u16>();
        // SAFETY: The storage is 128 bytes long, a link address by the type invariant at most 32.
        let bytes = unsafe { core::slice::from_raw_parts(address.cast::<u8>().add(offset), len) };
        from_result(|| {
            T::set_address(device, bytes, &rtnl)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a device that is registered or being so. `stats` is
    /// zeroed.
    unsafe extern "C" fn get_stats64_callback(
        dev: *mut bindings::net_device,
        stats: *mut bindings::rtnl_link_stats64,
    ) {
        // SAFETY: The device is registered or being so, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        if device.was_registered() {
            // SAFETY: The core gives us `stats` for the duration of the call.
            T::stats64(device, unsafe { &mut *stats });
        }
    }

    /// # Safety
    ///
    /// Called by the core for a registered device. `id` is to be written.
    unsafe extern "C" fn get_port_parent_id_callback(
        dev: *mut bindings::net_device,
        id: *mut bindings::netdev_phys_item_id,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: The core gives us `id` for the duration of the call.
        write_id(unsafe { &mut *id }, T::port_parent_id(device));
        0
    }

    /// # Safety
    ///
    /// Called by the core for a registered device with RTNL held.
    unsafe extern "C" fn change_mtu_callback(dev: *mut bindings::net_device, mtu: c_int) -> c_int {
        // SAFETY: The device is registered, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: The device is valid.
        let field = unsafe { &raw mut (*dev).mtu };
        let before = device.mtu();
        // SAFETY: The device is valid, and RTNL guards the field. WRITE_ONCE().
        unsafe { field.write_volatile(mtu as u32) };
        from_result(|| {
            T::mtu_changed(device, &rtnl).inspect_err(|_| {
                // SAFETY: As above.
                unsafe { field.write_volatile(before) };
            })?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a registered device with RTNL held.
    unsafe extern "C" fn change_carrier_callback(
        dev: *mut bindings::net_device,
        carrier: bool,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: RTNL is held during the call.
        T::change_carrier(device, carrier, &unsafe { Rtnl::assume() });
        0
    }

    /// # Safety
    ///
    /// Called by the core for a registered device. `id` is to be written.
    unsafe extern "C" fn get_phys_port_id_callback(
        dev: *mut bindings::net_device,
        id: *mut bindings::netdev_phys_item_id,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: The core gives us `id` for the duration of the call.
        write_id(unsafe { &mut *id }, T::phys_port_id(device));
        0
    }

    /// # Safety
    ///
    /// Called by the core when nothing refers to the device any more, before it is
    /// freed, in process context.
    unsafe extern "C" fn destructor_callback(dev: *mut bindings::net_device) {
        // SAFETY: The device was set up for `T` and nobody uses it.
        unsafe { drop_data::<T>(private(dev)) };
    }

    const VTABLE: bindings::net_device_ops = {
        let mut ops: bindings::net_device_ops = pin_init::zeroed();
        ops.ndo_init = Some(Self::init_callback);
        ops.ndo_open = Some(Self::open_callback);
        ops.ndo_stop = Some(Self::stop_callback);
        ops.ndo_start_xmit = Some(Self::start_xmit_callback);
        ops.ndo_set_mac_address = Some(Self::set_mac_address_callback);
        ops.ndo_change_mtu = Some(Self::change_mtu_callback);
        ops.ndo_change_carrier = Some(Self::change_carrier_callback);
        ops.ndo_get_stats64 = Some(Self::get_stats64_callback);
        ops.ndo_get_phys_port_id = Some(Self::get_phys_port_id_callback);
        ops.ndo_get_port_parent_id = Some(Self::get_port_parent_id_callback);
        ops
    };

    const fn build() -> &'static bindings::net_device_ops {
        &Self::VTABLE
    }
}
