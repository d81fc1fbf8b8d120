// SPDX-License-Identifier: GPL-2.0

//! Time.
//!
//! C header: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use super::bindings;
use kernel::time::{Jiffies, Msecs};

/// Returns `CLOCK_MONOTONIC` in nanoseconds, which does not go back. Any context but NMI.
#[inline]
pub fn ktime_get() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::ktime_get() as u64 }
}

/// Returns `jiffies`, which wraps around. Any context.
#[inline]
pub fn jiffies() -> Jiffies {
    // SAFETY: The static is valid. A volatile read of one word is READ_ONCE().
    unsafe { (&raw const bindings::jiffies).read_volatile() }
}

/// Converts jiffies to milliseconds. Any context.
pub fn jiffies_to_msecs(ticks: Jiffies) -> Msecs {
    // SAFETY: No requirements.
    unsafe { bindings::rust_helper_jiffies_to_msecs(ticks) }
}
