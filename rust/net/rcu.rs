// SPDX-License-Identifier: GPL-2.0

//! A pointer that readers follow without a lock.
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h)

use super::{bindings, rtnl::Rtnl, spinlock_bh::LocalBhDisabled};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full},
};

/// A value with the room that `call_rcu()` needs to free it later, so that
/// freeing cannot fail.
pub struct RcuBox<T>(KBox<Inner<T>>);

#[repr(C)]
struct Inner<T> {
    head: bindings::callback_head,
    value: T,
}

// SAFETY: Nobody uses `head` before the box is given to `call_rcu()`, which any thread may do.
unsafe impl<T: Send> Send for RcuBox<T> {}

impl<T> RcuBox<T> {
    /// Allocates a box for `value`.
    pub fn new(value: T, flags: kernel::alloc::Flags) -> Result<Self> {
        let head = pin_init::zeroed();
        Ok(Self(KBox::new(Inner { head, value }, flags)?))
    }
}

/// A value that is replaced as a whole and read under RCU.
///
/// Old values are dropped after a grace period, in softirq context. The code of
/// that drop is this module's, so the module must not go before `rcu_barrier()`
/// has seen it end. [`rtnl::Registration`] waits for that when all devices are
/// gone. As values are replaced only by who has an [`Rtnl`], which callbacks of
/// devices are lent, none is replaced afterwards.
///
/// [`rtnl::Registration`]: super::rtnl::Registration
///
/// # Invariants
///
/// `current` came from [`KBox::into_raw`]. Whoever takes it out owns it, and
/// must give readers a grace period before freeing it.
pub struct Rcu<T: Send + Sync + 'static> {
    current: Atomic<*mut Inner<T>>,
}

// SAFETY: It owns a `T` that other threads get shared references to and that is dropped on
// whichever CPU ends the grace period; `T` is `Send` and `Sync`.
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

    /// The current value, for as long as bottom halves are off, which is a read-side
    /// section, too (`rcu_dereference_bh()`).
    ///
    /// Two reads in one section may see two values.
    #[inline]
    pub fn read<'a>(&'a self, _: &'a LocalBhDisabled) -> &'a T {
        // Acquire is `rcu_dereference()` without its reliance on address dependencies, which Rust
        // cannot express. Pairs with the full barrier of `replace`.
        let current = self.current.load(Acquire);
        // SAFETY: By the type invariant the pointer was valid when it was loaded, and it is not
        // freed before the read-side section ends, which outlives 'a.
        unsafe { &(*current).value }
    }

    /// Publishes another value. Readers see the one or the other; the old one is
    /// dropped when no reader can still have it.
    pub fn replace(&self, value: RcuBox<T>, _: &Rtnl) {
        // INVARIANT: The pointer comes from `into_raw`. The full barrier orders the writes to the
        // new value before its publication, like `rcu_assign_pointer()`; pairs with the Acquire in
        // `read`.
        let old = self.current.xchg(KBox::into_raw(value.0), Full);
        // SAFETY: By the type invariant, and as `xchg` gave us what nobody else can take out again,
        // `old` is ours to free. `head` is its first field and untouched until now, and
        // `free_callback` expects just this pointer.
        unsafe { bindings::call_rcu(&raw mut (*old).head, Some(Self::free_callback)) };
    }

    /// # Safety
    ///
    /// `head` must be the first field of an `Inner<T>` from [`KBox::into_raw`]
    /// that no reader can have any more, and is not used afterwards.
    unsafe extern "C" fn free_callback(head: *mut bindings::callback_head) {
        // SAFETY: `Inner` is `repr(C)` with `head` first, so the pointers are the same; ownership
        // is given by the caller.
        drop(unsafe { KBox::from_raw(head.cast::<Inner<T>>()) });
    }
}

impl<T: Send + Sync + 'static> Drop for Rcu<T> {
    fn drop(&mut self) {
        // Readers borrow `self`, so there are none.
        if let Some(current) = NonNull::new(*self.current.get_mut()) {
            // SAFETY: By the type invariant, and because `self` is not used again.
            drop(unsafe { KBox::from_raw(current.as_ptr()) });
        }
    }
}

/// Waits until every `call_rcu()` callback that was queued has run. Sleeps.
pub(super) fn barrier() {
    // SAFETY: No requirement but process context.
    unsafe { bindings::rcu_barrier() };
}

/// Waits until all polls that are at work now are done; those after that see what the
/// caller has written before. Process context.
pub fn synchronize_net(_: &Rtnl) {
    // SAFETY: Who has an `Rtnl` is in process context.
    unsafe { bindings::synchronize_net() };
}
