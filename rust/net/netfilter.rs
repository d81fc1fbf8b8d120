// SPDX-License-Identifier: GPL-2.0

//! The place where the kernel's ARP learns: behind XDP, tc, and all filters of nftables and
//! arptables.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)
//!
//! `arp_rcv()` asks the hooks of `NF_ARP_IN` and then calls `arp_process()`. The last hook
//! sees each packet that the latter sees, just before it. (A chain of nftables that has the
//! last priority, too, and was there before the module is behind it.)

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
    sync::atomic::{Atomic, Full, Relaxed}, //
};

/// What a driver does with ARP packets that no filter has dropped.
#[vtable]
pub trait ArpIn: Operations {
    /// The kernel's ARP is about to look at a packet that came in by the device.
    fn arp_in(dev: &Device<Self>, packet: &ArpPacket<'_>, bh: &LocalBhDisabled);
}

/// A packet that the kernel's ARP is about to look at.
///
/// # Invariants
///
/// The packet is valid and does not change for `'a`. Its linear part begins with ARP.
pub struct ArpPacket<'a> {
    skb: *mut bindings::sk_buff,
    _life: PhantomData<&'a ()>,
}

impl ArpPacket<'_> {
    /// The link header that it came with; empty if that is not there any more.
    pub fn link_header(&self) -> &[u8] {
        // SAFETY: By the type invariant the packet is valid.
        let (head, data, offset) = unsafe {
            let headers = &*skbuff::headers(self.skb);
            ((*self.skb).head, (*self.skb).data, headers.mac_header)
        };
        // SAFETY: The data begins in the same allocation as the head.
        let end = unsafe { data.offset_from(head) };
        match usize::try_from(end).unwrap_or(0).checked_sub(offset.into()) {
            // SAFETY: These are the bytes between the link header and the data, behind the head.
            Some(len) => unsafe { core::slice::from_raw_parts(head.add(offset.into()), len) },
            // It was never set, or is behind the data.
            None => &[],
        }
    }

    /// The packet: `struct arphdr` and what is behind it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: By the type invariant the packet is valid, and its linear part begins at `data`.
        unsafe {
            let linear = (*self.skb).len.wrapping_sub((*self.skb).data_len) as usize;
            core::slice::from_raw_parts((*self.skb).data, linear)
        }
    }
}

/// What the core keeps pointers to, of which a module has one: a hook is found by its address
/// when it is unregistered.
struct Hook {
    ops: UnsafeCell<bindings::nf_hook_ops>,
    pernet: UnsafeCell<bindings::pernet_operations>,
    /// The number that the core gives to what it keeps for us in each namespace.
    id: UnsafeCell<c_uint>,
    /// Whether a [`Registration`] has it.
    claimed: Atomic<u32>,
}

// SAFETY: All but `claimed` is written by the `Registration` that has claimed it, before it is
// registered, and by the core while it is registered (`pernet_ops_rwsem`).
unsafe impl Sync for Hook {}

static HOOK: Hook = Hook {
    ops: UnsafeCell::new(pin_init::zeroed()),
    pernet: UnsafeCell::new(pin_init::zeroed()),
    id: UnsafeCell::new(0),
    claimed: Atomic::new(0),
};

/// What the core keeps for us in each namespace, zeroed at first.
#[repr(C)]
struct PerNet {
    /// The hook is registered there.
    hooked: bool,
}

/// # Safety
///
/// Called by the core for a namespace that is being made or unmade, with [`HOOK`] registered.
unsafe fn per_net(net: *mut bindings::net) -> *mut PerNet {
    // SAFETY: The number was written when the operations were registered, and the namespace has
    // memory of their `size` for it.
    unsafe { bindings::rust_helper_net_generic(net, *HOOK.id.get()).cast() }
}

/// # Safety
///
/// Called by the core for a new namespace, or one that is there when the hook is registered.
unsafe extern "C" fn init_callback(net: *mut bindings::net) -> c_int {
    // SAFETY: The core gives us the namespace. The hook is a static.
    let result = to_result(unsafe { bindings::nf_register_net_hook(net, HOOK.ops.get()) });
    // The user of a namespace may have as many hooks there as there can be: that is no reason to
    // fail for all others. What its neighbours say of themselves is learned all the same.
    if let Err(error) = &result {
        pr_warn!("ARP is not learned in a namespace: {error:?}\n");
    }
    // SAFETY: As the core calls us.
    unsafe { (*per_net(net)).hooked = result.is_ok() };
    0
}

/// # Safety
///
/// Called by the core for a namespace for which `init_callback` was called. An RCU grace period
/// follows, in which calls of the hook end.
unsafe extern "C" fn pre_exit_callback(net: *mut bindings::net) {
    // SAFETY: As the core calls us.
    if unsafe { (*per_net(net)).hooked } {
        // SAFETY: The core gives us the namespace, in which it was registered.
        unsafe { bindings::nf_unregister_net_hook(net, HOOK.ops.get()) };
    }
}

/// The hook of a driver, one in each network namespace, while it is registered.
///
/// # Invariants
///
/// This value has claimed [`HOOK`], which is registered for `T`.
pub(super) struct Registration<T: ArpIn>(PhantomData<T>);

impl<T: ArpIn> Registration<T> {
    /// Registers the hook, for all devices whose `rtnl_link_ops` is `kind`. Process context,
    /// without RTNL. Fails with `EBUSY` if the module has registered it for another driver.
    ///
    /// # Safety
    ///
    /// Those must be devices of `T`, which have their data while they are registered.
    pub(super) unsafe fn new(kind: *mut bindings::rtnl_link_ops) -> Result<Self> {
        HOOK.claimed.cmpxchg(0, 1, Full).map_err(|_| EBUSY)?;
        let mut ops: bindings::nf_hook_ops = pin_init::zeroed();
        ops.hook = Some(Self::hook_callback);
        ops.priv_ = kind.cast();
        ops.pf = bindings::NFPROTO_ARP as u8;
        ops.hooknum = bindings::NF_ARP_IN;
        // Behind all others.
        ops.priority = c_int::MAX;
        let mut pernet: bindings::pernet_operations = pin_init::zeroed();
        pernet.init = Some(init_callback);
        pernet.pre_exit = Some(pre_exit_callback);
        pernet.id = HOOK.id.get();
        // SAFETY: Nobody else uses them, as they are claimed and not registered. `size` is
        // constant in C, and is written before that is used.
        unsafe {
            HOOK.ops.get().write(ops);
            (&raw const pernet.size)
                .cast_mut()
                .write(size_of::<PerNet>());
            HOOK.pernet.get().write(pernet);
        }
        // SAFETY: They are statics, filled in, and not registered.
        to_result(unsafe { bindings::register_pernet_subsys(HOOK.pernet.get()) })
            .inspect_err(|_| HOOK.claimed.store(0, Relaxed))?;
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
        // SAFETY: The core gives us the state; the device of a packet lives as long as the packet
        // is received.
        let dev = unsafe { (*state).in_ };
        // SAFETY: As above.
        if !dev.is_null() && unsafe { (*dev).rtnl_link_ops } == kind.cast() {
            // SAFETY: It is one of `T`, as `new` was promised, and registered: it has data.
            let device = unsafe { Device::<T>::from_raw(dev) };
            // INVARIANT: `arp_rcv()` has unshared the packet and made ARP linear; it is not changed
            // before this call returns.
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
        // SAFETY: By the type invariant it is registered. No call is at work when this returns.
        unsafe { bindings::unregister_pernet_subsys(HOOK.pernet.get()) };
        HOOK.claimed.store(0, Relaxed);
    }
}
