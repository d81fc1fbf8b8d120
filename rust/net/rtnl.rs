// SPDX-License-Identifier: GPL-2.0

//! Kinds of links: what `ip link add type KIND` makes.
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
/// It is one for all network namespaces, on which each user of this evidence relies: a segment
/// may have members in several, and [`Rcu::replace`](rcu::Rcu::replace), lists of a
/// segment's devices and notifiers are for all of them. `CONFIG_DEBUG_NET_SMALL_RTNL` is no harm:
/// it takes a mutex of the namespace beside RTNL (`rtnl_net_lock()` in net/core/rtnetlink.c). A
/// kernel that takes that one alone is [refused](check_rtnl), unless another thread holds RTNL at
/// that moment.
///
/// # Invariants
///
/// While a value of this type exists, the thread that it belongs to holds it.
pub struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// # Safety
    ///
    /// RTNL must be held for as long as the value exists.
    pub(super) unsafe fn assume() -> Self {
        // INVARIANT: The caller promises it.
        Self(NotThreadSafe)
    }
}

/// Refuses with `ENOEXEC` a kernel whose `rtnl_net_lock()` leaves other namespaces alone. Process
/// context, without RTNL.
fn check_rtnl() -> Result {
    // SAFETY: The first namespace is always there. RTNL that this thread holds cannot be taken by
    // it; what was taken is given back.
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
        pr_err!("rtnl: this kernel has an RTNL for each namespace, but segments span namespaces\n");
        return Err(ENOEXEC);
    }
    Ok(())
}

/// What `ip link add ... link DEVICE` named.
pub enum Link<'a, T: Operations> {
    /// Nothing.
    None,
    /// An index that no device has.
    Missing,
    /// A device of another kind.
    Foreign,
    /// A device of the same kind.
    Own(&'a Device<T>),
}

/// How a device of this kind comes into being: `struct rtnl_link_ops`.
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
    /// The name of the kind, without underscores: iproute2 takes what follows
    /// one for something else.
    const KIND: &'static CStr;

    /// How many transmit and receive queues a device gets unless the user says so.
    fn num_queues() -> u32;

    /// The kind's own attributes (`IFLA_INFO_DATA`), by their numbers: the first is none.
    const INFO: &'static [Policy];

    /// Fills in a new device, before the user's wishes are written over it: address,
    /// broadcast address, MTU, of which only the last one is checked by then.
    fn setup(dev: &mut Setup<'_, Self>);

    /// Makes the data of a new device, which is registered next, if it can be what the
    /// user wishes.
    fn new_link(
        dev: &mut Setup<'_, Self>,
        attributes: &LinkAttributes<'_>,
        link: Link<'_, Self>,
        extack: &ExtAck<'_>,
    ) -> Result<Self::Data>;

    /// Says of a device what its own attributes are, none of which is longer than
    /// [`INFO`](Self::INFO) has it.
    fn fill_info(dev: &Device<Self>, info: &mut LinkInfo<'_>) -> Result;

    /// The device has just been registered. When this fails, it is unregistered.
    fn registered(dev: &Device<Self>, rtnl: &Rtnl) -> Result;
}

/// A kind that the kernel knows.
///
/// When it is dropped, all devices of the kind go with it, in whatever namespace
/// they are and whatever they are doing. Like the registrations of the kernel
/// crate it relies on being dropped: a module must not forget it.
///
/// # Invariants
///
/// `ops` is registered with `rtnl_link_register()`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: LinkOperations> {
    // The core keeps lists in it: pinned, and never borrowed by Rust.
    #[pin]
    ops: Opaque<bindings::rtnl_link_ops>,
    // Dropped when all devices are gone.
    #[pin]
    neighbours: Notifier<T, Neighbours>,
    #[pin]
    addresses: Notifier<T, Addresses>,
    #[pin]
    devices: Notifier<T, Devices>,
    arp_in: netfilter::Registration<T>,
    _driver: PhantomData<T>,
}

// SAFETY: It can be unregistered by another thread than the one which registered it.
unsafe impl<T: LinkOperations> Send for Registration<T> {}
// SAFETY: It has no methods.
unsafe impl<T: LinkOperations> Sync for Registration<T> {}

impl<T: LinkOperations> Registration<T> {
    /// Makes the kind known. Must not be called with RTNL held. Fails with `ENOEXEC` where
    /// the kernel's compiler and bindgen disagree about a structure, or RTNL is not one for all.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            // All that is unsafe here relies on it.
            _: { layout::check()?; check_rtnl()? },
            // Before there are devices.
            // SAFETY: `this` is the memory of `Self`, of which only the place of a field is taken;
            // devices with these operations are of `T`.
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
                // SAFETY: `slot` is pinned and initialised, and is unregistered before it goes.
                // INVARIANT: It is registered when this succeeds.
                to_result(unsafe { bindings::rtnl_link_register(slot) })
            }),
            _driver: PhantomData,
        })
    }

    /// # Safety
    ///
    /// Called by the core for a device that it has just allocated with
    /// `priv_size` bytes of private area.
    unsafe extern "C" fn setup_callback(dev: *mut bindings::net_device) {
        // SAFETY: A new device is the caller's alone, and `alloc_netdev_mqs()` zeroes all of it.
        let mut setup = unsafe { Setup::<T>::from_raw(dev) };
        setup.prepare();
        // SAFETY: As above.
        unsafe {
            (*dev).header_ops = header_ops::VTable::<T>::build();
            (*dev).ethtool_ops = ethtool::VTable::<T>::build();
            // The others are the core's.
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
    /// Called by the core for a registered device, with RTNL held. `skb` is a message that is
    /// being written.
    unsafe extern "C" fn fill_info_callback(
        skb: *mut bindings::sk_buff,
        dev: *const bindings::net_device,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data, until after this call, for which
        // the message is ours.
        let (dev, mut info) = unsafe { (Device::from_raw(dev), LinkInfo::from_raw(skb)) };
        from_result(|| {
            T::fill_info(dev, &mut info)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held, for a device that `setup_callback` was
    /// called for.
    unsafe extern "C" fn newlink_callback(
        dev: *mut bindings::net_device,
        params: *mut bindings::rtnl_newlink_params,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: The device is not registered: the core and we are the only ones to know it.
        let mut setup = unsafe { Setup::<T>::from_raw(dev) };
        // SAFETY: The core gives us all of it for the duration of the call.
        let (attributes, extack) = unsafe {
            (
                LinkAttributes::from_raw((*params).tb, (*params).data, T::INFO.len()),
                ExtAck::from_raw(extack),
            )
        };
        from_result(|| {
            // SAFETY: The device is kept from going away by RTNL.
            let link = unsafe { Self::link(setup.as_raw(), params, &attributes) };
            let data = T::new_link(&mut setup, &attributes, link, &extack)?;
            let device = setup.register(data, &rtnl)?;
            T::registered(device, &rtnl).inspect_err(|_| {
                // SAFETY: The device is registered and RTNL is held. It is freed with the last
                // reference to it, when the core is done with it.
                unsafe { bindings::unregister_netdevice_queue(dev, core::ptr::null_mut()) };
            })?;
            Ok(0)
        })
    }

    /// Finds the device that `link` names, in the namespace that the core has
    /// checked the user's rights in.
    ///
    /// # Safety
    ///
    /// `dev` and `params` must be those of `newlink`, and RTNL must be held for
    /// `'a`.
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
        // SAFETY: RTNL is held.
        let link = unsafe { bindings::__dev_get_by_index(net, index) };
        if link.is_null() {
            return Link::Missing;
        }
        // SAFETY: The core has set the operations of `dev` to those that it was made with: ours.
        // A device with the same ones was set up for `T`, too. As it was found in the list of its
        // namespace, it is registered: it has its data, until RTNL is released.
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
        // SAFETY: By the type invariant it is registered. This returns when the last device of the
        // kind has been freed.
        unsafe { bindings::rtnl_link_unregister(self.ops.get()) };
        // Values that the devices published may still wait for their grace period.
        rcu::barrier();
    }
}
