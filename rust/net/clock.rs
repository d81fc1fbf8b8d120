// SPDX-License-Identifier: GPL-2.0

//! The time.
//!
//! C header: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use super::bindings;
use kernel::time::{Jiffies, Msecs};

/// Nanoseconds since the system was booted (`CLOCK_MONOTONIC`). They do not go
/// back. Any context but NMI.
#[inline]
pub fn ktime_get() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::ktime_get() as u64 }
}

/// Ticks of the clock, from an arbitrary one, overflowing. Any context.
#[inline]
pub fn jiffies() -> Jiffies {
    // SAFETY: It is valid. A volatile read of one word, as READ_ONCE().
    unsafe { (&raw const bindings::jiffies).read_volatile() }
}

/// How many milliseconds so many ticks are.
pub fn jiffies_to_msecs(ticks: Jiffies) -> Msecs {
    // SAFETY: No requirements.
    unsafe { bindings::rust_helper_jiffies_to_msecs(ticks) }
}
