// SPDX-License-Identifier: GPL-2.0

//! The time.
//!
//! C header: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use super::bindings;

/// Nanoseconds since the system was booted (`CLOCK_MONOTONIC`). They do not go
/// back. Any context.
#[inline]
pub fn ktime_get() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::ktime_get() as u64 }
}
