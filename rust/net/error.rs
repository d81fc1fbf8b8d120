// SPDX-License-Identifier: GPL-2.0

//! Error codes of the network stack that `kernel::error::code` does not name.

use super::bindings;
use kernel::prelude::*;

/// Cannot assign requested address.
pub fn eaddrnotavail() -> Error {
    Error::from_errno(-(bindings::EADDRNOTAVAIL as c_int))
}

/// Network is down.
pub fn enetdown() -> Error {
    Error::from_errno(-(bindings::ENETDOWN as c_int))
}

/// No buffer space available.
pub fn enobufs() -> Error {
    Error::from_errno(-(bindings::ENOBUFS as c_int))
}
