// SPDX-License-Identifier: GPL-2.0

//! What the kernel log hears of a device.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h)

use super::{
    bindings,
    device::{Device, Operations}, //
};
use kernel::{fmt, prelude::*};

/// Whether something that others can cause may be logged now. They share what the
/// network may log: 10 lines in 5 seconds (`net.core.message_burst`, `message_cost`).
fn net_ratelimit() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::net_ratelimit() != 0 }
}

/// `net_warn_ratelimited()`, with the name of a device.
pub fn warn_ratelimited<T: Operations>(device: &Device<T>, what: fmt::Arguments<'_>) {
    if net_ratelimit() {
        pr_warn!("{}: {}\n", device.name(), what);
    }
}

/// `net_info_ratelimited()`, with the name of a device.
pub fn info_ratelimited<T: Operations>(device: &Device<T>, what: fmt::Arguments<'_>) {
    if net_ratelimit() {
        pr_info!("{}: {}\n", device.name(), what);
    }
}
