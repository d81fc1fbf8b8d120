// SPDX-License-Identifier: GPL-2.0

//! Spinlocks shared with softirqs.
//!
//! C header: [`include/linux/bottom_half.h`](srctree/include/linux/bottom_half.h)
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)
//!
//! A lock that a softirq takes must never be taken elsewhere with bottom halves
//! on: the softirq could interrupt the holder on the same CPU and wait for it
//! forever. C has `spin_lock_bh()` for process context and `spin_lock()` for
//! softirqs, and leaves the choice to the author. Here the lock asks for proof,
//! and where the proof comes for free, as in `ndo_start_xmit` and in NAPI polls,
//! taking the lock costs what `spin_lock()` costs.

use super::bindings;
use kernel::{
    cpu::CpuId,
    prelude::*,
    sync::{
        lock::{spinlock::SpinLockBackend, Guard},
        LockClassKey, SpinLock,
    },
    types::NotThreadSafe,
};

/// Evidence that bottom halves are off on this CPU.
///
/// # Invariants
///
/// While a value of this type exists, the thread that it belongs to runs with
/// bottom halves disabled.
pub struct LocalBhDisabled(NotThreadSafe);

impl LocalBhDisabled {
    /// Claims that bottom halves are off.
    ///
    /// # Safety
    ///
    /// They must be, for as long as the value exists.
    pub(super) unsafe fn assume() -> Self {
        // INVARIANT: The caller promises it.
        Self(NotThreadSafe)
    }

    /// This CPU. It stays the same while bottom halves are off: where they do not
    /// keep a thread from being preempted, they keep it from migrating.
    #[inline]
    pub fn cpu(&self) -> CpuId {
        CpuId::current()
    }
}

/// Bottom halves are off until this is dropped. Dropping it runs softirqs that
/// became pending meanwhile, so it must not happen with interrupts disabled.
pub struct LocalBhGuard(LocalBhDisabled);

impl core::ops::Deref for LocalBhGuard {
    type Target = LocalBhDisabled;

    fn deref(&self) -> &LocalBhDisabled {
        &self.0
    }
}

impl Drop for LocalBhGuard {
    fn drop(&mut self) {
        // SAFETY: Pairs with the call in `local_bh_disable`, on the same thread, as the evidence
        // in here cannot be sent to another.
        unsafe { bindings::rust_helper_local_bh_enable() };
    }
}

/// Turns bottom halves off. Any context but hard interrupts.
pub fn local_bh_disable() -> LocalBhGuard {
    // SAFETY: May be called in any context and nests.
    unsafe { bindings::rust_helper_local_bh_disable() };
    // SAFETY: They were just turned off, and stay so until the guard is dropped.
    LocalBhGuard(unsafe { LocalBhDisabled::assume() })
}

/// Creates a [`SpinLockBh`] initialiser with a lock class of its own.
#[macro_export]
macro_rules! new_spinlock_bh {
    ($inner:expr, $name:expr) => {
        $crate::net::spinlock_bh::SpinLockBh::new($inner, $name, ::kernel::static_lock_class!())
    };
}

/// A spinlock that is only taken with bottom halves off.
#[pin_data]
pub struct SpinLockBh<T> {
    #[pin]
    inner: SpinLock<T>,
}

impl<T> SpinLockBh<T> {
    /// Creates an initialiser. Use [`new_spinlock_bh!`](crate::new_spinlock_bh).
    pub fn new(
        value: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- SpinLock::new(value, name, key),
        })
    }

    /// Takes the lock.
    ///
    /// The guard cannot outlive the evidence, so bottom halves stay off for as
    /// long as the lock is held.
    #[inline]
    pub fn lock<'a>(&'a self, _: &'a LocalBhDisabled) -> Guard<'a, T, SpinLockBackend> {
        self.inner.lock()
    }
}
