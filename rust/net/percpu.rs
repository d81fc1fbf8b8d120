// SPDX-License-Identifier: GPL-2.0

//! Memory that every CPU has its own copy of.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)
//!
//! The names are those of the series "rust: Add Per-CPU Variable API" by
//! Mitchell Levy (v3, 2025), so that this file can go when it is merged.

use crate::bindings;
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{cpu::CpuId, prelude::*};

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
    /// Allocates the copies. Process context.
    pub fn new_zero() -> Result<Self> {
        // SAFETY: Any size and alignment may be asked for; null is the answer where it fails.
        let ptr = unsafe { bindings::rust_helper___alloc_percpu(size_of::<T>(), align_of::<T>()) };
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

    /// The copy of one CPU. Valid while `self` is; what may be done with it
    /// depends on who else writes it.
    pub(super) fn per_cpu_ptr(&self, cpu: CpuId) -> *mut T {
        // SAFETY: By the type invariant `ptr` is a per-CPU pointer, and a `CpuId` is a CPU that
        // there can be.
        unsafe { bindings::rust_helper_per_cpu_ptr(self.as_raw().cast(), cpu.as_u32()) }.cast()
    }
}

impl<T: Zeroable> Drop for DynamicPerCpu<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; any context may free. `T: Zeroable` has no drop that
        // would have to run first: it could not be all zeroes otherwise without ever having been
        // made by one of its own constructors.
        unsafe { bindings::free_percpu(self.as_raw().cast()) };
    }
}

/// All CPUs that there can be.
pub fn possible_cpus() -> impl Iterator<Item = CpuId> {
    let mut cpu = -1;
    core::iter::from_fn(move || {
        // SAFETY: Any number of at least -1 may be given.
        let next = unsafe { bindings::rust_helper_cpumask_next_possible(cpu) };
        cpu = next.try_into().ok()?;
        CpuId::from_i32(cpu)
    })
}

/// How many CPUs there can be.
pub fn num_possible_cpus() -> u32 {
    // SAFETY: Reads a mask that is fixed after boot.
    unsafe { bindings::rust_helper_num_possible_cpus() }
}
