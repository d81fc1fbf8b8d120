// SPDX-License-Identifier: GPL-2.0

//! Kinds of links: `ip link add type KIND`.
//!
//! C header: [`include/net/rtnetlink.h`](srctree/include/net/rtnetlink.h)

use super::{
    bindings,
    device::{Device, Operations, Setup},
    ethtool,
    header_ops,
    layout,
    neighbour,
    netfilter,
    netlink::{ExtAck, LinkAttributes, LinkInfo, Policy},
    notifier::{self, Addresses, Devices, Neighbours, Notifier},
    rcu,
    sysfs, //
};
use core::marker::PhantomData;
use kernel::{
    error::{from_result, to_result},
    prelude::*,
    types::{NotThreadSafe, Opaque},
};

/// Evidence that this thread holds the RTNL mutex.
///
/// RTNL is one mutex for all network namespaces, and users of this evidence rely on that: the
/// members of a segment may be in several namespaces, and [`Rcu::replace`](rcu::Rcu::replace), the
/// lists of devices of a segment, and notifiers are global. `CONFIG_DEBUG_NET_SMALL_RTNL` is
/// harmless: it takes a mutex of the namespace in addition to RTNL (`rtnl_net_lock()` in
/// net/core/rtnetlink.c). A kernel that takes that mutex only is [rejected](check_rtnl), unless
/// another thread holds RTNL at that moment.
///
/// # Invariants
///
/// While a value of this type exists, the thread that it belongs to holds RTNL.
pub struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// # Safety
    ///
    /// RTNL must be held for as long as the value exists.
    pub(super) unsafe fn assume() -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(NotThreadSafe)
    }
}

/// Fails with `ENOEXEC` if `rtnl_net_lock()` does not lock the other namespaces. Process context,
/// without RTNL.
fn check_rtnl() -> Result {
    // SAFETY: `init_net` always exists. If this thread holds RTNL, `rtnl_trylock()` fails; if it
    // succeeds, RTNL is released again.
    let free = unsafe {
        bindings::rust_helper_rtnl_net_lock(&raw mut bindings::init_net);
        let free = bindings::rtnl_trylock() != 0;
        if free {
            bindings::rtnl_unlock();
        }
        bindings::rust_helper_rtnl_net_unlock(&raw mut bindings::init_net);
        free
    };
    if free {
        pr_err!("rtnl: kernels with one RTNL per network namespace are not supported\n");
        return Err(ENOEXEC);
    }
    Ok(())
}

/// The device that `ip link add ... link DEVICE` names: `IFLA_LINK`.
pub enum Link<'a, T: Operations> {
    /// No attribute.
    None,
    /// No device has this index.
    Missing,
    /// A device of another kind.
    Foreign,
    /// A device of the same kind.
    Own(&'a Device<T>),
}

/// Creation and configuration of devices of one kind: `struct rtnl_link_ops`.
///
/// All functions are called in process context with RTNL held.
#[vtable]
pub trait LinkOperations:
    Operations
    + header_ops::Operations
    + ethtool::QueueStats
    + ethtool::Settings
    + sysfs::Attributes
    + neighbour::Operations
    + netfilter::ArpIn
    + notifier::Events
{
    /// Name of the kind. No underscore: iproute2 interprets the part behind it.
    const KIND: &'static CStr;

    /// Returns the number of TX and of RX queues of a device, unless the user sets it.
    fn num_queues() -> u32;

    /// Policies of the kind's own attributes (`IFLA_INFO_DATA`), by number; number 0 is unused.
    const INFO: &'static [Policy];

    /// Sets the defaults of a new device. The core then applies address, broadcast address and MTU
    /// of the user, and has validated only the last of them.
    fn setup(dev: &mut Setup<'_, Self>);

    /// Validates the attributes of the user and creates the data of a new device, which is
    /// registered next. On failure `extack` holds the reason.
    fn new_link(
        dev: &mut Setup<'_, Self>,
        attributes: &LinkAttributes<'_>,
        link: Link<'_, Self>,
        extack: &ExtAck<'_>,
    ) -> Result<Self::Data>;

    /// Adds the own attributes of a device to `info`. Lengths are limited by [`INFO`](Self::INFO).
    fn fill_info(dev: &Device<Self>, info: &mut LinkInfo<'_>) -> Result;

    /// Called when the device has been registered. An error unregisters it again.
    fn registered(dev: &Device<Self>, rtnl: &Rtnl) -> Result;
}

/// A registered kind of links: `rtnl_link_register()`.
///
/// Dropping it unregisters all devices of the kind, in all namespaces and in any state. Like the
/// registrations of the kernel crate it relies on being dropped: a module must not forget it.
///
/// # Invariants
///
/// `ops` is registered with `rtnl_link_register()`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: LinkOperations> {
    // The core links it into lists: pinned, and never borrowed by Rust.
    #[pin]
    ops: Opaque<bindings::rtnl_link_ops>,
    // Dropped after `PinnedDrop` has unregistered all devices.
    #[pin]
    neighbours: Notifier<T, Neighbours>,
    #[pin]
    addresses: Notifier<T, Addresses>,
    #[pin]
    devices: Notifier<T, Devices>,
    arp_in: netfilter::Registration<T>,
    _driver: PhantomData<T>,
}

// SAFETY: `rtnl_link_unregister()` may be called by any thread.
unsafe impl<T: LinkOperations> Send for Registration<T> {}
// SAFETY: No method takes a shared reference.
unsafe impl<T: LinkOperations> Sync for Registration<T> {}

impl<T: LinkOperations> Registration<T> {
    /// Registers the kind. Process context, without RTNL. Fails with `ENOEXEC` if the C compiler
    /// and bindgen disagree about a structure or RTNL is not global, and with `EBUSY` if the
    /// netfilter hook is registered for another driver.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            // All unsafe code of `net` relies on these checks.
            _: { layout::check()?; check_rtnl()? },
            // Registered before there are devices.
            // SAFETY: `this` is the memory of `Self`, of which only the address of a field is
            // taken; devices with these operations are of `T`.
            neighbours <- unsafe { Notifier::new((&raw const (*this.as_ptr()).ops).cast()) },
            // SAFETY: As above.
            addresses <- unsafe { Notifier::new((&raw const (*this.as_ptr()).ops).cast()) },
            // SAFETY: As above.
            devices <- unsafe { Notifier::new((&raw const (*this.as_ptr()).ops).cast()) },
            // SAFETY: As above.
            arp_in: unsafe { netfilter::Registration::new((&raw mut (*this.as_ptr()).ops).cast())? },
            ops <- Opaque::try_ffi_init(|slot: *mut bindings::rtnl_link_ops| {
                let mut ops: bindings::rtnl_link_ops = pin_init::zeroed();
                ops.kind = T::KIND.as_char_ptr();
                ops.priv_size = Setup::<T>::PRIVATE_LEN;
                ops.setup = Some(Self::setup_callback);
                ops.maxtype = T::INFO.len().saturating_sub(1) as c_uint;
                ops.policy = Policy::as_raw(T::INFO);
                ops.newlink = Some(Self::newlink_callback);
                ops.get_size = Some(Self::get_size_callback);
                ops.fill_info = Some(Self::fill_info_callback);
                ops.get_num_tx_queues = Some(Self::num_queues_callback);
                ops.get_num_rx_queues = Some(Self::num_queues_callback);
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(ops) };
                // SAFETY: `slot` is pinned and initialised, and is unregistered before it is freed.
                // INVARIANT: It is registered when this succeeds.
                to_result(unsafe { bindings::rtnl_link_register(slot) })
            }),
            _driver: PhantomData,
        })
    }

    /// # Safety
    ///
    /// Called by the core for a new device, with `priv_size` bytes of private area.
    unsafe extern "C" fn setup_callback(dev: *mut bindings::net_device) {
        // SAFETY: A new device is used by nothing else, and `alloc_netdev_mqs()` zeroes all of it.
        let mut setup = unsafe { Setup::<T>::from_raw(dev) };
        setup.prepare();
        // SAFETY: As above.
        unsafe {
            (*dev).header_ops = header_ops::VTable::<T>::build();
            (*dev).ethtool_ops = ethtool::VTable::<T>::build();
            // The other groups are set by the core.
            (*dev).sysfs_groups[0] = sysfs::Group::<T>::build();
        }
        T::setup(&mut setup);
    }

    /// # Safety
    ///
    /// None.
    unsafe extern "C" fn get_size_callback(_dev: *const bindings::net_device) -> usize {
        let sizes = T::INFO.iter().skip(1).map(Policy::total_size);
        sizes.fold(0, usize::saturating_add)
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held. `skb` is a message that is being
    /// written.
    unsafe extern "C" fn fill_info_callback(
        skb: *mut bindings::sk_buff,
        dev: *const bindings::net_device,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call, during which
        // the message is exclusive to this function.
        let (dev, mut info) = unsafe { (Device::from_raw(dev), LinkInfo::from_raw(skb)) };
        from_result(|| {
            T::fill_info(dev, &mut info)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held, for a device that `setup_callback` was called for.
    unsafe extern "C" fn newlink_callback(
        dev: *mut bindings::net_device,
        params: *mut bindings::rtnl_newlink_params,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: The device is not registered: only the core and this function use it.
        let mut setup = unsafe { Setup::<T>::from_raw(dev) };
        // SAFETY: All pointers are valid and exclusive to this function during the call.
        let (attributes, extack) = unsafe {
            (
                LinkAttributes::from_raw((*params).tb, (*params).data, T::INFO.len()),
                ExtAck::from_raw(extack),
            )
        };
        from_result(|| {
            // SAFETY: `dev` and `params` are those of this call, and RTNL is held during it.
            let link = unsafe { Self::link(setup.as_raw(), params, &attributes) };
            let data = T::new_link(&mut setup, &attributes, link, &extack)?;
            let device = setup.register(data, &rtnl)?;
            T::registered(device, &rtnl).inspect_err(|_| {
                // SAFETY: The device is registered and RTNL is held. The core frees it after the
                // last reference is put, not before it has returned from `newlink`.
                unsafe { bindings::unregister_netdevice_queue(dev, core::ptr::null_mut()) };
            })?;
            Ok(0)
        })
    }

    /// Looks up the device of `IFLA_LINK`, in the namespace in which the core has checked the
    /// capabilities of the user.
    ///
    /// # Safety
    ///
    /// `dev` and `params` must be those of `newlink`, and RTNL must be held for `'a`.
    unsafe fn link<'a>(
        dev: *mut bindings::net_device,
        params: *mut bindings::rtnl_newlink_params,
        attributes: &LinkAttributes<'_>,
    ) -> Link<'a, T> {
        let Some(index) = attributes.link() else {
            return Link::None;
        };
        // SAFETY: `params` is valid, and so are the namespaces in it.
        let net = unsafe { bindings::rust_helper_rtnl_newlink_link_net(params) };
        // SAFETY: RTNL is held, and the namespace is valid.
        let link = unsafe { bindings::__dev_get_by_index(net, index) };
        if link.is_null() {
            return Link::Missing;
        }
        // SAFETY: The core has set `rtnl_link_ops` of `dev` to the operations of this kind. A
        // device with the same operations was set up for `T`, too. As it was found in the list of
        // its namespace, it is registered: it has its data until RTNL is released.
        unsafe {
            if (*link).rtnl_link_ops != (*dev).rtnl_link_ops {
                return Link::Foreign;
            }
            Link::Own(Device::from_raw(link))
        }
    }

    /// # Safety
    ///
    /// None.
    unsafe extern "C" fn num_queues_callback() -> c_uint {
        T::num_queues()
    }
}

#[pinned_drop]
impl<T: LinkOperations> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered. Returns when the destructor of the last
        // device of the kind has run (`rtnl_lock_unregistering_all()`, `netdev_run_todo()`).
        unsafe { bindings::rtnl_link_unregister(self.ops.get()) };
        // Values that the devices published may still wait for a grace period.
        rcu::barrier();
    }
}
