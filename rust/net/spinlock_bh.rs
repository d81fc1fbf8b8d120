// SPDX-License-Identifier: GPL-2.0

//! Spinlocks that softirqs take, too.
//!
//! C header: [`include/linux/bottom_half.h`](srctree/include/linux/bottom_half.h)
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)
//!
//! A lock that a softirq takes must never be taken elsewhere with bottom halves on: the softirq
//! could interrupt the holder on the same CPU, and deadlock. C has `spin_lock_bh()` for process
//! context and `spin_lock()` for softirqs, and leaves the choice to the author. Here taking the
//! lock requires evidence; where the evidence exists, as in `ndo_start_xmit` and NAPI polls, it
//! costs no more than `spin_lock()`.

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

// Without SMP a spinlock only disables preemption: a thread could take it twice, and so borrow its
// data mutably twice. With CONFIG_DEBUG_SPINLOCK the kernel reports that, and continues. This is
// enough for test kernels, where a report is a failure, and meant for them only.
#[cfg(not(any(CONFIG_SMP, CONFIG_DEBUG_SPINLOCK)))]
compile_error!("a spinlock of a kernel without SMP does not keep a thread from its own data");

/// Evidence that bottom halves are off on this CPU.
///
/// # Invariants
///
/// While a value of this type exists, the thread that it belongs to runs with bottom halves off.
pub struct LocalBhDisabled(NotThreadSafe);

impl LocalBhDisabled {
    /// Creates the evidence.
    ///
    /// # Safety
    ///
    /// Bottom halves must be off for as long as the value exists.
    pub(super) unsafe fn assume() -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(NotThreadSafe)
    }

    /// Returns this CPU. It stays the same: where bottom halves being off does not prevent
    /// preemption, it prevents migration.
    #[inline]
    pub fn cpu(&self) -> CpuId {
        CpuId::current()
    }
}

/// Keeps bottom halves off until it is dropped. The drop runs softirqs that are pending, so it must
/// not happen with interrupts off.
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
        // cannot be sent to another.
        unsafe { bindings::rust_helper_local_bh_enable() };
    }
}

/// Turns bottom halves off: `local_bh_disable()`. Any context but hard interrupts.
pub fn local_bh_disable() -> LocalBhGuard {
    // SAFETY: May be called in any context and nests.
    unsafe { bindings::rust_helper_local_bh_disable() };
    // SAFETY: Bottom halves were just turned off, and stay off until the guard is dropped.
    LocalBhGuard(unsafe { LocalBhDisabled::assume() })
}

/// Creates a [`SpinLockBh`] initialiser with its own lock class.
#[macro_export]
macro_rules! new_spinlock_bh {
    ($inner:expr, $name:expr) => {
        $crate::net::spinlock_bh::SpinLockBh::new($inner, $name, ::kernel::static_lock_class!())
    };
}

/// A spinlock that is taken with bottom halves off only: `spin_lock_bh()`.
#[pin_data]
pub struct SpinLockBh<T> {
    #[pin]
    inner: SpinLock<T>,
}

impl<T> SpinLockBh<T> {
    /// Creates an initialiser. Use [`new_spinlock_bh!`](crate::new_spinlock_bh) instead.
    pub fn new(
        value: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- SpinLock::new(value, name, key),
        })
    }

    /// Takes the lock. The guard cannot outlive the evidence, so bottom halves stay off while the
    /// lock is held.
    #[inline]
    pub fn lock<'a>(&'a self, _: &'a LocalBhDisabled) -> Guard<'a, T, SpinLockBackend> {
        self.inner.lock()
    }
}
