// SPDX-License-Identifier: GPL-2.0

//! What a link is asked to be, and what is said when it cannot.
//!
//! C header: [`include/linux/netlink.h`](srctree/include/linux/netlink.h)
//! C header: [`include/uapi/linux/if_link.h`](srctree/include/uapi/linux/if_link.h)

use super::bindings;
use core::{marker::PhantomData, ptr::NonNull};
use kernel::prelude::*;

/// Where the message goes that user space prints beside the errno:
/// `struct netlink_ext_ack`.
///
/// # Invariants
///
/// The pointer, if there is one, is valid for `'a` and used by this thread only.
pub struct ExtAck<'a> {
    extack: Option<NonNull<bindings::netlink_ext_ack>>,
    _request: PhantomData<&'a ()>,
}

impl ExtAck<'_> {
    /// # Safety
    ///
    /// `extack` must be null, or valid and not used otherwise for the lifetime
    /// of the value.
    pub(super) unsafe fn from_raw(extack: *mut bindings::netlink_ext_ack) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            extack: NonNull::new(extack),
            _request: PhantomData,
        }
    }

    /// Fails with `error` and says why: `NL_SET_ERR_MSG_MOD()`.
    pub fn fail<T>(&self, error: Error, message: &'static CStr) -> Result<T> {
        if let Some(extack) = self.extack {
            // SAFETY: By the type invariant `extack` is valid and ours.
            unsafe { (*extack.as_ptr())._msg = message.as_char_ptr() };
        }
        Err(error)
    }
}

/// The `IFLA_*` attributes of a request for a link.
///
/// # Invariants
///
/// `tb` points to `__IFLA_MAX` pointers that are null or point to attributes
/// which the core parsed, valid for `'a`.
pub struct LinkAttributes<'a> {
    tb: *mut *mut bindings::nlattr,
    _request: PhantomData<&'a ()>,
}

impl<'a> LinkAttributes<'a> {
    /// # Safety
    ///
    /// `tb` must be the table of attributes that the core gives to operations
    /// of `struct rtnl_link_ops`, valid for `'a`.
    pub(super) unsafe fn from_raw(tb: *mut *mut bindings::nlattr) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            tb,
            _request: PhantomData,
        }
    }

    /// The payload of an attribute, of whatever length user space gave it.
    fn payload(&self, kind: u32) -> Option<&'a [u8]> {
        if kind >= bindings::__IFLA_MAX {
            return None;
        }
        // SAFETY: By the type invariant the table has `__IFLA_MAX` entries.
        let attribute = unsafe { *self.tb.add(kind as usize) };
        if attribute.is_null() {
            return None;
        }
        // SAFETY: By the type invariant the attribute is valid; its length counts its header.
        let len = usize::from(unsafe { (*attribute).nla_len });
        let header = size_of::<bindings::nlattr>();
        // SAFETY: The core has checked that the attribute lies within its message, so `len` bytes
        // from its start are readable, the header among them.
        Some(unsafe {
            core::slice::from_raw_parts(
                attribute.cast::<u8>().add(header),
                len.saturating_sub(header),
            )
        })
    }

    /// `ip link ... address`.
    pub fn address(&self) -> Option<&'a [u8]> {
        self.payload(bindings::IFLA_ADDRESS)
    }

    /// `ip link ... broadcast`.
    pub fn broadcast(&self) -> Option<&'a [u8]> {
        self.payload(bindings::IFLA_BROADCAST)
    }

    /// `ip link ... link`: the index of a device.
    pub fn link(&self) -> Option<i32> {
        let bytes = self.payload(bindings::IFLA_LINK)?;
        Some(i32::from_ne_bytes(*bytes.first_chunk()?))
    }
}
