// SPDX-License-Identifier: GPL-2.0

//! Tracepoints: `/sys/kernel/tracing/events/spans`.
//!
//! C header: `include/spans/trace.h`

use super::{
    bindings,
    device::{Device, Operations},
    inet::to_be32,
};
use core::net::Ipv4Addr;
use kernel::prelude::*;

/// `trace_spans_arp_remove()`: an entry was removed from the ARP table of a device, for the reason
/// `why`. Any context.
pub fn spans_arp_remove<T: Operations>(device: &Device<T>, ip: Ipv4Addr, why: &CStr) {
    // SAFETY: The device is valid, and both its name and the reason are copied.
    unsafe {
        bindings::rust_helper_trace_spans_arp_remove(
            device.as_raw(),
            to_be32(ip),
            why.as_char_ptr(),
        );
    }
}
