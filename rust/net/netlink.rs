// SPDX-License-Identifier: GPL-2.0

//! Attributes of links, and messages for failed requests.
//!
//! C header: [`include/linux/netlink.h`](srctree/include/linux/netlink.h)
//! C header: [`include/uapi/linux/if_link.h`](srctree/include/uapi/linux/if_link.h)

use super::bindings;
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{error::to_result, prelude::*};

/// The message that user space prints with an error: `struct netlink_ext_ack`.
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
    /// `extack` must be null, or valid and not used otherwise for the lifetime of the value.
    pub(super) unsafe fn from_raw(extack: *mut bindings::netlink_ext_ack) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            extack: NonNull::new(extack),
            _request: PhantomData,
        }
    }

    /// Returns `error` with a message: `NL_SET_ERR_MSG_MOD()`.
    pub fn fail<T>(&self, error: Error, message: &'static CStr) -> Result<T> {
        if let Some(extack) = self.extack {
            // SAFETY: By the type invariant `extack` is valid and exclusively used.
            unsafe { (*extack.as_ptr())._msg = message.as_char_ptr() };
        }
        Err(error)
    }
}

/// Maximum payload of an attribute in bytes: `nla_len` is a `u16` and counts the header.
const LONGEST: usize = u16::MAX as usize - size_of::<bindings::nlattr>();

/// The permitted contents of an attribute: `struct nla_policy`.
#[repr(transparent)]
pub struct Policy(bindings::nla_policy);

impl Policy {
    /// No such attribute.
    pub const NONE: Self = Self(pin_init::zeroed());

    /// A NUL-terminated string of at most `len` bytes without the NUL: `NLA_NUL_STRING`.
    pub const fn string(len: u16) -> Self {
        let mut policy: bindings::nla_policy = pin_init::zeroed();
        policy.type_ = bindings::NLA_NUL_STRING as u8;
        policy.len = len;
        Self(policy)
    }

    /// Returns the size of the attribute in a message in bytes: `nla_total_size()`.
    pub(super) const fn total_size(&self) -> usize {
        (size_of::<bindings::nlattr>() + self.0.len as usize + 1).next_multiple_of(4)
    }

    /// Returns an array of policies, indexed by attribute.
    pub(super) const fn as_raw(policies: &'static [Self]) -> *const bindings::nla_policy {
        policies.as_ptr().cast()
    }
}

/// A message to which a driver adds its own attributes of a device: `IFLA_INFO_DATA`.
///
/// # Invariants
///
/// The pointer is valid for `'a`, and nothing else writes the message.
pub struct LinkInfo<'a> {
    skb: *mut bindings::sk_buff,
    _message: PhantomData<&'a ()>,
}

impl LinkInfo<'_> {
    /// # Safety
    ///
    /// `skb` must be a netlink message that nothing else uses for the lifetime of the value.
    pub(super) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            skb,
            _message: PhantomData,
        }
    }

    /// Adds a string: `nla_put_string()`. Fails with `EMSGSIZE` if the message is full, and with
    /// `EINVAL` if no attribute can hold the string.
    pub fn put_string(&mut self, kind: u16, value: &CStr) -> Result {
        let value = value.to_bytes_with_nul();
        if value.len() > LONGEST {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariant the message is exclusively used; `value` has `len` bytes.
        to_result(unsafe {
            bindings::nla_put(
                self.skb,
                kind.into(),
                value.len() as c_int,
                value.as_ptr().cast(),
            )
        })
    }
}

/// The `IFLA_*` attributes of a request for a link.
///
/// # Invariants
///
/// `tb` points to `__IFLA_MAX` pointers that are null or point to attributes which the core has
/// parsed, valid for `'a`; `info` points to `info_len` such pointers, or is null.
pub struct LinkAttributes<'a> {
    tb: *mut *mut bindings::nlattr,
    info: *mut *mut bindings::nlattr,
    info_len: usize,
    _request: PhantomData<&'a ()>,
}

impl<'a> LinkAttributes<'a> {
    /// # Safety
    ///
    /// `tb` must be the table of attributes that the core passes to operations of `struct
    /// rtnl_link_ops`, valid for `'a`. `info` must be null or the table of the kind's own
    /// attributes, with `info_len` elements.
    pub(super) unsafe fn from_raw(
        tb: *mut *mut bindings::nlattr,
        info: *mut *mut bindings::nlattr,
        info_len: usize,
    ) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            tb,
            info,
            info_len,
            _request: PhantomData,
        }
    }

    /// Returns the payload of an attribute, of unchecked length.
    fn payload(&self, kind: u32) -> Option<&'a [u8]> {
        if kind >= bindings::__IFLA_MAX {
            return None;
        }
        // SAFETY: By the type invariant the table has `__IFLA_MAX` entries.
        unsafe { Self::payload_of(*self.tb.add(kind as usize)) }
    }

    /// # Safety
    ///
    /// `attribute` must be null or an attribute that the core has parsed, valid for `'a`.
    unsafe fn payload_of(attribute: *const bindings::nlattr) -> Option<&'a [u8]> {
        if attribute.is_null() {
            return None;
        }
        // SAFETY: By the safety requirements of this function the attribute is valid; `nla_len`
        // counts its header.
        let len = usize::from(unsafe { (*attribute).nla_len });
        let header = size_of::<bindings::nlattr>();
        // SAFETY: The core has checked that the attribute lies within its message, so `len` bytes
        // from its start, the header included, are readable.
        Some(unsafe {
            core::slice::from_raw_parts(
                attribute.cast::<u8>().add(header),
                len.saturating_sub(header),
            )
        })
    }

    /// Returns an own attribute of the kind, a string, without the NUL.
    pub fn info_string(&self, kind: usize) -> Option<&'a [u8]> {
        if self.info.is_null() || kind >= self.info_len {
            return None;
        }
        // SAFETY: By the type invariant there are `info_len` entries.
        let bytes = unsafe { Self::payload_of(*self.info.add(kind))? };
        bytes.split(|byte| *byte == 0).next()
    }

    /// Returns `IFLA_MTU`: `ip link ... mtu`.
    pub fn mtu(&self) -> Option<u32> {
        let bytes = self.payload(bindings::IFLA_MTU)?;
        Some(u32::from_ne_bytes(*bytes.first_chunk()?))
    }

    /// Returns `IFLA_ADDRESS`: `ip link ... address`.
    pub fn address(&self) -> Option<&'a [u8]> {
        self.payload(bindings::IFLA_ADDRESS)
    }

    /// Returns `IFLA_BROADCAST`: `ip link ... broadcast`.
    pub fn broadcast(&self) -> Option<&'a [u8]> {
        self.payload(bindings::IFLA_BROADCAST)
    }

    /// Returns `IFLA_LINK`, the index of a device: `ip link ... link`.
    pub fn link(&self) -> Option<i32> {
        let bytes = self.payload(bindings::IFLA_LINK)?;
        Some(i32::from_ne_bytes(*bytes.first_chunk()?))
    }
}
