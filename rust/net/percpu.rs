// SPDX-License-Identifier: GPL-2.0

//! Memory that every CPU has its own copy of.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)
//!
//! The names are those of the series "rust: Add Per-CPU Variable API" by
//! Mitchell Levy (v3, 2025), so that this file can go when it is merged.

use super::{bindings, cpu::possible_cpus};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::prelude::*;

/// A `T` for every possible CPU, all zeroes at first.
///
/// # Invariants
///
/// `ptr` is a per-CPU pointer from `__alloc_percpu()` with the size and
/// alignment of `T`, and is freed by nobody else.
pub struct DynamicPerCpu<T: Zeroable> {
    ptr: NonNull<T>,
    _owned: PhantomData<T>,
}

// SAFETY: The copies belong to the value, which gives out no references to them.
unsafe impl<T: Zeroable + Send> Send for DynamicPerCpu<T> {}
// SAFETY: As above: all access through `&self` is by raw pointers, under the rules of whoever
// dereferences them.
unsafe impl<T: Zeroable + Send> Sync for DynamicPerCpu<T> {}

impl<T: Zeroable> DynamicPerCpu<T> {
    /// Allocates the copies, charged to the user who asks for them
    /// (`GFP_KERNEL_ACCOUNT`). Process context.
    pub fn new_zero() -> Result<Self> {
        // SAFETY: Any size and alignment may be asked for; null is the answer where it fails.
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

    /// The per-CPU pointer: to be given to `this_cpu_*()`, never dereferenced.
    pub(super) fn as_raw(&self) -> *mut T {
        self.ptr.as_ptr()
    }

    /// The copies of all CPUs. Valid while `self` is; what may be done with one
    /// depends on who else writes it.
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
        // SAFETY: By the type invariant. Any context may free. The copies themselves are not
        // dropped: nobody is ever given one to put something into.
        unsafe { bindings::free_percpu(self.as_raw().cast()) };
    }
}
