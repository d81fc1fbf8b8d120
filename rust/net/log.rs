// SPDX-License-Identifier: GPL-2.0

//! Log messages of devices.
//!
//! C headers: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/linux/net.h`](srctree/include/linux/net.h)

use super::{
    bindings,
    device::{Device, Operations}, //
};
use kernel::{fmt, prelude::*};

/// The class of a message: `ethtool -s DEVICE msglvl CLASS on|off` enables classes.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Class {
    /// The driver in general: `NETIF_MSG_DRV`.
    Drv = bindings::SPANS_NETIF_MSG_DRV,
    /// Receive errors: `NETIF_MSG_RX_ERR`.
    RxErr = bindings::SPANS_NETIF_MSG_RX_ERR,
    /// Transmit errors: `NETIF_MSG_TX_ERR`.
    TxErr = bindings::SPANS_NETIF_MSG_TX_ERR,
}

/// The enabled classes of a new device: all.
pub(super) const DEFAULT: u32 = Class::Drv as u32 | Class::RxErr as u32 | Class::TxErr as u32;

/// `netdev_warn()` and functions of the same type.
type Print = unsafe extern "C" fn(*const bindings::net_device, *const c_char, ...);

/// Logs a message about an event that remote hosts can cause. All devices share the limit of
/// `net_ratelimit()`: 10 messages in 5 seconds (`net.core.message_burst`, `message_cost`). A
/// disabled class does not use it up.
///
/// # Safety
///
/// `print` must be `netdev_warn()` or one of its siblings.
unsafe fn log_ratelimited<T: Operations>(
    print: Print,
    device: &Device<T>,
    class: Class,
    what: fmt::Arguments<'_>,
) {
    // SAFETY: No requirements.
    if device.msg_enable().read() & class as u32 != 0 && unsafe { bindings::net_ratelimit() != 0 } {
        // SAFETY: The device is valid. `%pA` takes a pointer to `fmt::Arguments`, which are
        // formatted before the call returns.
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
    // SAFETY: `netdev_warn()` is one of these functions.
    unsafe { log_ratelimited(bindings::netdev_warn, device, class, what) };
}

/// `netif_info()`, if `net_ratelimit()` permits it. Any context.
pub fn info_ratelimited<T: Operations>(device: &Device<T>, class: Class, what: fmt::Arguments<'_>) {
    // SAFETY: `netdev_info()` is one of these functions.
    unsafe { log_ratelimited(bindings::netdev_info, device, class, what) };
}
