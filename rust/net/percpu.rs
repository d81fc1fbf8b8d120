// SPDX-License-Identifier: GPL-2.0

//! Per-CPU memory.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)
//!
//! The names are those of the series "rust: Add Per-CPU Variable API" by Mitchell Levy (v3, 2025),
//! so that this file can be removed when it is merged.

use super::{bindings, cpu::possible_cpus};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::prelude::*;

/// A `T` for each possible CPU, initially zeroed.
///
/// # Invariants
///
/// `ptr` is a per-CPU pointer from `__alloc_percpu_gfp()` with the size and alignment of `T`, and
/// is freed by this value only.
pub struct DynamicPerCpu<T: Zeroable> {
    ptr: NonNull<T>,
    _owned: PhantomData<T>,
}

// SAFETY: The value owns the copies, and gives out no references to them.
unsafe impl<T: Zeroable + Send> Send for DynamicPerCpu<T> {}
// SAFETY: As above: all access through `&self` is by raw pointers, under the rules of their users.
unsafe impl<T: Zeroable + Send> Sync for DynamicPerCpu<T> {}

impl<T: Zeroable> DynamicPerCpu<T> {
    /// Allocates the copies, charged to the memory cgroup of the caller (`GFP_KERNEL_ACCOUNT`).
    /// Process context. Fails with `ENOMEM`.
    pub fn new_zero() -> Result<Self> {
        // SAFETY: Any size and alignment may be requested; null is returned on failure.
        let ptr = unsafe {
            bindings::rust_helper___alloc_percpu_gfp(
                size_of::<T>(),
                align_of::<T>(),
                bindings::SPANS_GFP_KERNEL_ACCOUNT,
            )
        };
        // INVARIANT: Not null, so it is the allocation.
        Ok(Self {
            ptr: NonNull::new(ptr.cast()).ok_or(ENOMEM)?,
            _owned: PhantomData,
        })
    }

    /// Returns the per-CPU pointer, for `this_cpu_*()`; it must not be dereferenced.
    pub(super) fn as_raw(&self) -> *mut T {
        self.ptr.as_ptr()
    }

    /// Returns pointers to the copies of all CPUs, valid while `self` is. The user has to consider
    /// concurrent writers.
    pub(super) fn per_cpu_ptrs(&self) -> impl Iterator<Item = *mut T> + '_ {
        possible_cpus().map(|cpu| {
            // SAFETY: By the type invariant `ptr` is a per-CPU pointer, which has a copy for each
            // possible CPU.
            unsafe { bindings::rust_helper_per_cpu_ptr(self.as_raw().cast(), cpu.as_u32()) }.cast()
        })
    }
}

impl<T: Zeroable> Drop for DynamicPerCpu<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant `ptr` is an allocation of this value. Any context may free.
        // The copies are not dropped: no `T` is ever stored in them.
        unsafe { bindings::free_percpu(self.as_raw().cast()) };
    }
}
