// SPDX-License-Identifier: GPL-2.0

//! Capabilities of the current process.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use super::bindings;
use kernel::ffi::c_int;

/// Returns whether it has `CAP_NET_ADMIN` in the initial user namespace. Process context.
pub fn capable_net_admin() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::capable(bindings::CAP_NET_ADMIN as c_int) }
}

/// Like [`capable_net_admin`], without an audit record: for a check after which nothing is denied.
/// Process context.
pub fn capable_net_admin_noaudit() -> bool {
    // SAFETY: `init_user_ns` always exists.
    unsafe {
        bindings::ns_capable_noaudit(
            &raw mut bindings::init_user_ns,
            bindings::CAP_NET_ADMIN as c_int,
        )
    }
}
