// SPDX-License-Identifier: GPL-2.0

//! Statistics: per-CPU counters.
//!
//! C header: [`include/linux/u64_stats_sync.h`](srctree/include/linux/u64_stats_sync.h)
//!
//! Counting is one `this_cpu_add()`, without lock, shared cache line or required context, like
//! `u64_stats_sync.h` on 64-bit kernels.

use super::{bindings, percpu::DynamicPerCpu};
use kernel::prelude::*;

#[cfg(not(CONFIG_64BIT))]
compile_error!("a 64-bit counter is read in one piece only on a 64-bit kernel");

pub use bindings::rtnl_link_stats64 as LinkStats;

/// `N` counters per CPU. They start at zero and only grow.
pub struct Counters<const N: usize>(DynamicPerCpu<[u64; N]>);

impl<const N: usize> Counters<N> {
    /// Allocates the counters. Process context.
    pub fn new() -> Result<Self> {
        Ok(Self(DynamicPerCpu::new_zero()?))
    }

    /// Adds `value` to a counter of this CPU. Any context. Does nothing for an index from `N` on.
    #[inline]
    pub fn add(&self, index: usize, value: u64) {
        if index < N {
            // SAFETY: `as_raw` points to `N` per-CPU counters and `index` is less than that.
            // `this_cpu_add()` selects the CPU itself and is not torn by a migration.
            unsafe {
                bindings::rust_helper_this_cpu_add_u64(
                    self.0.as_raw().cast::<u64>().add(index),
                    value,
                )
            };
        }
    }

    /// Returns the sums over all CPUs. Any context. Not a snapshot.
    pub fn sum(&self) -> [u64; N] {
        let mut sums = [0u64; N];
        for counters in self.0.per_cpu_ptrs() {
            let counters = counters.cast::<u64>();
            for (index, sum) in sums.iter_mut().enumerate() {
                // SAFETY: The copy of this CPU has `N` counters, as many as there are sums. The CPU
                // may be writing; a volatile read of an aligned word is READ_ONCE().
                let value = unsafe { counters.add(index).read_volatile() };
                *sum = sum.wrapping_add(value);
            }
        }
        sums
    }
}
