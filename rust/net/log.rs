// SPDX-License-Identifier: GPL-2.0

//! Lines about a device in the kernel log.
//!
//! C headers: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/linux/net.h`](srctree/include/linux/net.h)

use super::{
    bindings,
    device::{Device, Operations}, //
};
use kernel::{fmt, prelude::*};

/// The class of a line: `ethtool -s DEVICE msglvl CLASS on|off` selects the classes that are
/// logged.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Class {
    /// The driver in general: `NETIF_MSG_DRV`.
    Drv = bindings::SPANS_NETIF_MSG_DRV,
    /// Errors of reception: `NETIF_MSG_RX_ERR`.
    RxErr = bindings::SPANS_NETIF_MSG_RX_ERR,
    /// Errors of transmission: `NETIF_MSG_TX_ERR`.
    TxErr = bindings::SPANS_NETIF_MSG_TX_ERR,
}

/// The classes that a new device logs: all.
pub(super) const DEFAULT: u32 = Class::Drv as u32 | Class::RxErr as u32 | Class::TxErr as u32;

/// `netdev_warn()` and its relatives.
type Print = unsafe extern "C" fn(*const bindings::net_device, *const c_char, ...);

/// Logs a line about an event that others can cause. All devices share the limit of the network:
/// 10 lines in 5 seconds (`net.core.message_burst`, `message_cost`). A class that is off takes
/// nothing from it.
///
/// # Safety
///
/// `print` must be one of `netdev_warn()` and its relatives.
unsafe fn log_ratelimited<T: Operations>(
    print: Print,
    device: &Device<T>,
    class: Class,
    what: fmt::Arguments<'_>,
) {
    // SAFETY: No requirements.
    if device.msg_enable().read() & class as u32 != 0 && unsafe { bindings::net_ratelimit() != 0 } {
        // SAFETY: The device is valid. `%pA` takes a pointer to `fmt::Arguments`, which are
        // written out before the call returns.
        unsafe {
            print(
                device.as_raw(),
                c"%pA\n".as_char_ptr(),
                (&raw const what).cast::<c_void>(),
            )
        };
    }
}

/// `netif_warn()`, if `net_ratelimit()` permits it. Any context.
pub fn warn_ratelimited<T: Operations>(device: &Device<T>, class: Class, what: fmt::Arguments<'_>) {
    // SAFETY: It is one of these.
    unsafe { log_ratelimited(bindings::netdev_warn, device, class, what) };
}

/// `netif_info()`, if `net_ratelimit()` permits it. Any context.
pub fn info_ratelimited<T: Operations>(device: &Device<T>, class: Class, what: fmt::Arguments<'_>) {
    // SAFETY: It is one of these.
    unsafe { log_ratelimited(bindings::netdev_info, device, class, what) };
}
