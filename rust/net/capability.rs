// SPDX-License-Identifier: GPL-2.0

//! What the current process may do.
//!
//! C header: [`include/linux/capability.h`](srctree/include/linux/capability.h)

use super::bindings;
use kernel::ffi::c_int;

/// Whether it has `CAP_NET_ADMIN` of the machine, not just of a user namespace. Process
/// context.
pub fn capable_net_admin() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::capable(bindings::CAP_NET_ADMIN as c_int) }
}

/// The same, where no is the answer to a question and nothing is refused, so that security
/// modules log nothing.
pub fn capable_net_admin_noaudit() -> bool {
    // SAFETY: The user namespace of the machine is always there.
    unsafe {
        bindings::ns_capable_noaudit(
            &raw mut bindings::init_user_ns,
            bindings::CAP_NET_ADMIN as c_int,
        )
    }
}
