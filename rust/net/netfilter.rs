// SPDX-License-Identifier: GPL-2.0

//! The place where the kernel's ARP learns: behind XDP, tc, and all filters of nftables and
//! arptables.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)
//!
//! `arp_rcv()` asks the hooks of `NF_ARP_IN` and then calls `arp_process()`. The last hook
//! sees each packet that the latter sees, just before it.

use super::{
    bindings,
    device::{Device, Operations},
    skbuff,
    spinlock_bh::{local_bh_disable, LocalBhDisabled},
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering},
};
use kernel::{error::to_result, prelude::*};

/// What a driver does with ARP packets that no filter has dropped.
#[vtable]
pub trait ArpIn: Operations {
    /// Where the driver's hook is: a static.
    fn hook() -> &'static ArpHook<Self>;

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

/// The hook of a driver, one in each network namespace: `struct nf_hook_ops` and `struct
/// pernet_operations`.
pub struct ArpHook<T: ArpIn> {
    hook: bindings::nf_hook_ops,
    pernet: UnsafeCell<bindings::pernet_operations>,
    /// What devices of `T` have, only compared; null while it is not registered.
    kind: AtomicPtr<bindings::rtnl_link_ops>,
    _driver: PhantomData<fn(T)>,
}

// SAFETY: `hook` is only read, `pernet` used by the core alone, under its own lock.
unsafe impl<T: ArpIn> Sync for ArpHook<T> {}

impl<T: ArpIn> ArpHook<T> {
    /// One that is not registered.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        let mut hook: bindings::nf_hook_ops = pin_init::zeroed();
        hook.hook = Some(Self::hook_callback);
        hook.pf = bindings::NFPROTO_ARP as u8;
        hook.hooknum = bindings::NF_ARP_IN;
        // Behind all others.
        hook.priority = c_int::MAX;
        let mut pernet: bindings::pernet_operations = pin_init::zeroed();
        pernet.init = Some(Self::init_callback);
        // Not `exit`: an RCU grace period follows, in which calls of the hook end.
        pernet.pre_exit = Some(Self::pre_exit_callback);
        Self {
            hook,
            pernet: UnsafeCell::new(pernet),
            kind: AtomicPtr::new(null_mut()),
            _driver: PhantomData,
        }
    }

    /// # Safety
    ///
    /// Called by the core for a new namespace, or one that is there when the hook is registered.
    unsafe extern "C" fn init_callback(net: *mut bindings::net) -> c_int {
        // SAFETY: The core gives us the namespace. The hook is a static.
        unsafe { bindings::nf_register_net_hook(net, &T::hook().hook) }
    }

    /// # Safety
    ///
    /// Called by the core for a namespace for which `init_callback` succeeded.
    unsafe extern "C" fn pre_exit_callback(net: *mut bindings::net) {
        // SAFETY: The core gives us the namespace.
        unsafe { bindings::nf_unregister_net_hook(net, &T::hook().hook) };
    }

    /// # Safety
    ///
    /// Called by `arp_rcv()`, in an RCU read-side section.
    unsafe extern "C" fn hook_callback(
        _private: *mut c_void,
        skb: *mut bindings::sk_buff,
        state: *const bindings::nf_hook_state,
    ) -> c_uint {
        let kind = T::hook().kind.load(Ordering::Relaxed);
        // SAFETY: The core gives us the state; the device of a packet lives as long as the packet
        // is received.
        let dev = unsafe { (*state).in_ };
        // SAFETY: As above.
        if !dev.is_null() && unsafe { (*dev).rtnl_link_ops } == kind {
            // SAFETY: It is one of `T`, as `register` was promised, and registered: it has data.
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

/// The hook of a driver, while it is registered.
///
/// # Invariants
///
/// [`ArpIn::hook`] is registered, by this value.
pub(super) struct Registration<T: ArpIn>(PhantomData<T>);

impl<T: ArpIn> Registration<T> {
    /// Registers the hook, for all devices whose `rtnl_link_ops` is `kind`. Process context,
    /// without RTNL. Fails if it is registered already.
    ///
    /// # Safety
    ///
    /// Those must be devices of `T`, which have their data while they are registered.
    pub(super) unsafe fn new(kind: *mut bindings::rtnl_link_ops) -> Result<Self> {
        let hook = T::hook();
        hook.kind
            .compare_exchange(null_mut(), kind, Ordering::Relaxed, Ordering::Relaxed)
            .map_err(|_| EBUSY)?;
        // SAFETY: It is a static, and not registered, as was just seen.
        to_result(unsafe { bindings::register_pernet_subsys(hook.pernet.get()) })
            .inspect_err(|_| hook.kind.store(null_mut(), Ordering::Relaxed))?;
        // INVARIANT: It was just registered.
        Ok(Self(PhantomData))
    }
}

impl<T: ArpIn> Drop for Registration<T> {
    fn drop(&mut self) {
        let hook = T::hook();
        // SAFETY: By the type invariant it is registered. No call is at work when this returns.
        unsafe { bindings::unregister_pernet_subsys(hook.pernet.get()) };
        hook.kind.store(null_mut(), Ordering::Relaxed);
    }
}
