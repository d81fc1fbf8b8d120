// SPDX-License-Identifier: GPL-2.0

//! Values that are read under RCU and replaced as a whole.
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h)

use super::{bindings, rtnl::Rtnl, spinlock_bh::LocalBhDisabled};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full},
};

/// A value with the `struct rcu_head` for its release by `call_rcu()`, which therefore cannot fail.
pub struct RcuBox<T>(KBox<Inner<T>>);

#[repr(C)]
struct Inner<T> {
    head: bindings::callback_head,
    value: T,
}

// SAFETY: `head` is not used before `call_rcu()`, which any thread may call.
unsafe impl<T: Send> Send for RcuBox<T> {}

impl<T> RcuBox<T> {
    /// Allocates a box for `value`. The context depends on `flags`.
    pub fn new(value: T, flags: kernel::alloc::Flags) -> Result<Self> {
        let head = pin_init::zeroed();
        Ok(Self(KBox::new(Inner { head, value }, flags)?))
    }
}

/// A value that is replaced as a whole and read under RCU.
///
/// Old values are dropped after a grace period, in softirq context. The code of that drop is in
/// this module, so the module must not be unloaded before `rcu_barrier()` has seen it end.
/// [`rtnl::Registration`] waits for that after the last device. No value is replaced later, as that
/// takes an [`Rtnl`], which only callbacks of devices are given.
///
/// [`rtnl::Registration`]: super::rtnl::Registration
///
/// # Invariants
///
/// `current` came from [`KBox::into_raw`]. The caller that takes it out owns it, and must wait for
/// a grace period before it frees it.
pub struct Rcu<T: Send + Sync + 'static> {
    current: Atomic<*mut Inner<T>>,
}

// SAFETY: It owns a `T` to which other threads get shared references and which is dropped on the
// CPU that ends the grace period; `T` is `Send` and `Sync`.
unsafe impl<T: Send + Sync + 'static> Send for Rcu<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync + 'static> Sync for Rcu<T> {}

impl<T: Send + Sync + 'static> Rcu<T> {
    /// Publishes the first value.
    pub fn new(value: RcuBox<T>) -> Self {
        // INVARIANT: The pointer comes from `into_raw`.
        Self {
            current: Atomic::new(KBox::into_raw(value.0)),
        }
    }

    /// Returns the current value: `rcu_dereference_bh()`. A section with bottom halves off is a
    /// read-side section.
    ///
    /// Two reads in one section may return two different values.
    #[inline]
    pub fn read<'a>(&'a self, _: &'a LocalBhDisabled) -> &'a T {
        // Acquire is `rcu_dereference()` without its reliance on address dependencies, which Rust
        // cannot express. Pairs with the full barrier of `replace`.
        let current = self.current.load(Acquire);
        // SAFETY: By the type invariant the pointer was valid when it was loaded, and the value is
        // not freed before the read-side section ends, which outlives 'a.
        unsafe { &(*current).value }
    }

    /// Publishes another value: `rcu_assign_pointer()`. Readers see the old or the new one; the old
    /// one is dropped after a grace period.
    pub fn replace(&self, value: RcuBox<T>, _: &Rtnl) {
        // INVARIANT: The pointer comes from `into_raw`. The full barrier orders the writes to the
        // new value before its publication, like `rcu_assign_pointer()`; pairs with the Acquire in
        // `read`.
        let old = self.current.xchg(KBox::into_raw(value.0), Full);
        // SAFETY: By the type invariant, and as no other `xchg` can return the same pointer, `old`
        // belongs to this function. `head` is its first field and unused until now, and
        // `free_callback` expects just this pointer.
        unsafe { bindings::call_rcu(&raw mut (*old).head, Some(Self::free_callback)) };
    }

    /// # Safety
    ///
    /// `head` must be the first field of an `Inner<T>` from [`KBox::into_raw`] that no reader has a
    /// reference to and that is not used afterwards.
    unsafe extern "C" fn free_callback(head: *mut bindings::callback_head) {
        // SAFETY: `Inner` is `repr(C)` with `head` first, so the pointers are the same. By the
        // safety requirements of this function the value is exclusively owned.
        drop(unsafe { KBox::from_raw(head.cast::<Inner<T>>()) });
    }
}

impl<T: Send + Sync + 'static> Drop for Rcu<T> {
    fn drop(&mut self) {
        // Readers borrow `self`, so there are none.
        if let Some(current) = NonNull::new(*self.current.get_mut()) {
            // SAFETY: By the type invariant, and as `self` is not used again.
            drop(unsafe { KBox::from_raw(current.as_ptr()) });
        }
    }
}

/// Waits for all queued `call_rcu()` callbacks: `rcu_barrier()`. Process context.
pub(super) fn barrier() {
    // SAFETY: No requirement but process context.
    unsafe { bindings::rcu_barrier() };
}

/// Waits for all polls that are running; later ones see all writes of the caller before the call:
/// `synchronize_net()`. Process context.
pub fn synchronize_net(_: &Rtnl) {
    // SAFETY: A thread with an `Rtnl` is in process context.
    unsafe { bindings::synchronize_net() };
}
