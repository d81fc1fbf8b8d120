// SPDX-License-Identifier: GPL-2.0

//! The netfilter hook in front of the kernel's ARP: behind XDP, tc, and all filters of nftables and
//! arptables.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)
//!
//! `arp_rcv()` calls the hooks of `NF_ARP_IN` and then `arp_process()`. The last hook sees each
//! packet that `arp_process()` sees, just before. (A chain of nftables with the last priority, too,
//! that was registered before the module follows it.)

use super::{
    bindings,
    device::{Device, Operations},
    skbuff,
    spinlock_bh::{local_bh_disable, LocalBhDisabled},
};
use core::{cell::UnsafeCell, marker::PhantomData};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{AtomicFlag, Full, Release}, //
};

/// The handler of received ARP packets that no filter has dropped.
#[vtable]
pub trait ArpIn: Operations {
    /// Called for a packet that the device has received, before the ARP of the kernel processes it.
    fn arp_in(dev: &Device<Self>, packet: &ArpPacket<'_>, bh: &LocalBhDisabled);
}

/// An ARP packet before `arp_process()`.
///
/// # Invariants
///
/// The packet is valid and does not change for `'a`. Its linear part begins with the ARP header.
pub struct ArpPacket<'a> {
    skb: *mut bindings::sk_buff,
    _life: PhantomData<&'a ()>,
}

impl ArpPacket<'_> {
    /// Returns the link header; empty if it is not available any more.
    pub fn link_header(&self) -> &[u8] {
        // SAFETY: By the type invariant the packet is valid.
        let (head, data, offset) = unsafe {
            let headers = &*skbuff::headers(self.skb);
            ((*self.skb).head, (*self.skb).data, headers.mac_header)
        };
        // SAFETY: The data begins in the same allocation as the head.
        let end = unsafe { data.offset_from(head) };
        match usize::try_from(end).unwrap_or(0).checked_sub(offset.into()) {
            // SAFETY: These bytes lie between link header and data, in the allocation of the head.
            Some(len) => unsafe { core::slice::from_raw_parts(head.add(offset.into()), len) },
            // It was never set, or lies behind the data.
            None => &[],
        }
    }

    /// Returns the packet from `struct arphdr` on.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: By the type invariant the packet is valid, and its linear part begins at `data`.
        unsafe {
            let linear = (*self.skb).len.wrapping_sub((*self.skb).data_len) as usize;
            core::slice::from_raw_parts((*self.skb).data, linear)
        }
    }
}

/// The structures that the core keeps pointers to. The module has one set: a hook is found by its
/// address when it is unregistered.
struct Hook {
    ops: UnsafeCell<bindings::nf_hook_ops>,
    pernet: UnsafeCell<bindings::pernet_operations>,
    /// The ID by which `net_generic()` finds a [`PerNet`].
    id: UnsafeCell<c_uint>,
    /// Whether a [`Registration`] exists.
    claimed: AtomicFlag,
}

// SAFETY: All fields but `claimed` are written by the `Registration` that has claimed the hook,
// before it is registered, and by the core while it is registered (`pernet_ops_rwsem`).
unsafe impl Sync for Hook {}

static HOOK: Hook = Hook {
    ops: UnsafeCell::new(pin_init::zeroed()),
    pernet: UnsafeCell::new(pin_init::zeroed()),
    id: UnsafeCell::new(0),
    claimed: AtomicFlag::new(false),
};

/// State per network namespace, initially zeroed: `net_generic()`.
#[repr(C)]
struct PerNet {
    /// The hook is registered in this namespace.
    hooked: bool,
}

/// # Safety
///
/// Called by the core for a namespace that is being created or destroyed, with [`HOOK`] registered.
unsafe fn per_net(net: *mut bindings::net) -> *mut PerNet {
    // SAFETY: The ID was written when the operations were registered, and the core has allocated
    // `size` bytes for it in the namespace.
    unsafe { bindings::rust_helper_net_generic(net, *HOOK.id.get()).cast() }
}

/// # Safety
///
/// Called by the core for a new namespace, or one that exists when the hook is registered.
unsafe extern "C" fn init_callback(net: *mut bindings::net) -> c_int {
    // SAFETY: `net` is valid during the call. The hook is a static.
    let hooked = match to_result(unsafe { bindings::nf_register_net_hook(net, HOOK.ops.get()) }) {
        Ok(()) => true,
        // The user of a namespace may have registered the maximum number of hooks there, before the
        // module was loaded. This must not fail the registration for all others.
        Err(error) if error == E2BIG => {
            pr_warn!("a network namespace has no room for the NF_ARP_IN hook\n");
            false
        }
        Err(error) => return error.to_errno(),
    };
    // SAFETY: This is a call by the core as `per_net` requires.
    unsafe { (*per_net(net)).hooked = hooked };
    0
}

/// # Safety
///
/// Called by the core for a namespace for which `init_callback` was called. An RCU grace period
/// follows, in which calls of the hook end.
unsafe extern "C" fn pre_exit_callback(net: *mut bindings::net) {
    // SAFETY: This is a call by the core as `per_net` requires.
    if unsafe { (*per_net(net)).hooked } {
        // SAFETY: `net` is valid during the call, and the hook is registered in it.
        unsafe { bindings::nf_unregister_net_hook(net, HOOK.ops.get()) };
    }
}

/// The hook of a driver in each network namespace: `struct nf_hook_ops`, registered by
/// `register_pernet_subsys()`.
///
/// # Invariants
///
/// This value has claimed [`HOOK`], which is registered for `T`.
pub(super) struct Registration<T: ArpIn>(PhantomData<T>);

impl<T: ArpIn> Registration<T> {
    /// Registers the hook for the devices whose `rtnl_link_ops` is `kind`. Process context, without
    /// RTNL. Fails with `EBUSY` if the module has registered it for another driver.
    ///
    /// # Safety
    ///
    /// Those must be devices of `T`, which have their data while they are registered.
    pub(super) unsafe fn new(kind: *mut bindings::rtnl_link_ops) -> Result<Self> {
        if HOOK.claimed.xchg(true, Full) {
            return Err(EBUSY);
        }
        let mut ops: bindings::nf_hook_ops = pin_init::zeroed();
        ops.hook = Some(Self::hook_callback);
        ops.priv_ = kind.cast();
        ops.pf = bindings::NFPROTO_ARP as u8;
        ops.hooknum = bindings::NF_ARP_IN;
        // After all other hooks.
        ops.priority = c_int::MAX;
        let mut pernet: bindings::pernet_operations = pin_init::zeroed();
        pernet.init = Some(init_callback);
        pernet.pre_exit = Some(pre_exit_callback);
        pernet.id = HOOK.id.get();
        // SAFETY: Nothing else uses them, as they are claimed and not registered. `size` is
        // constant in C, and is written before the core reads it.
        unsafe {
            HOOK.ops.get().write(ops);
            (&raw const pernet.size)
                .cast_mut()
                .write(size_of::<PerNet>());
            HOOK.pernet.get().write(pernet);
        }
        // SAFETY: They are statics, initialised, and not registered.
        to_result(unsafe { bindings::register_pernet_subsys(HOOK.pernet.get()) })
            .inspect_err(|_| HOOK.claimed.store(false, Release))?;
        // INVARIANT: It was just registered.
        Ok(Self(PhantomData))
    }

    /// # Safety
    ///
    /// Called by `arp_rcv()`, in an RCU read-side section, with `priv` of the hook.
    unsafe extern "C" fn hook_callback(
        kind: *mut c_void,
        skb: *mut bindings::sk_buff,
        state: *const bindings::nf_hook_state,
    ) -> c_uint {
        // SAFETY: `state` is valid during the call; the device of a packet lives while the packet
        // is being received.
        let dev = unsafe { (*state).in_ };
        // SAFETY: As above.
        if !dev.is_null() && unsafe { (*dev).rtnl_link_ops } == kind.cast() {
            // SAFETY: By the safety requirements of `new` it is a device of `T`, and registered: it
            // has data.
            let device = unsafe { Device::<T>::from_raw(dev) };
            // INVARIANT: `arp_rcv()` has unshared the packet and made the ARP header linear; the
            // packet does not change before this call returns.
            let packet = ArpPacket {
                skb,
                _life: PhantomData,
            };
            T::arp_in(device, &packet, &local_bh_disable());
        }
        bindings::NF_ACCEPT
    }
}

impl<T: ArpIn> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is registered. No call is in progress when this returns.
        unsafe { bindings::unregister_pernet_subsys(HOOK.pernet.get()) };
        // Pairs with the exchange in `new`: the next owner writes after the core's last access.
        HOOK.claimed.store(false, Release);
    }
}
