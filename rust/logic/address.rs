// SPDX-License-Identifier: GPL-2.0

//! Link addresses.

/// The longest link address of any medium, in bytes.
pub const MAX_LEN: usize = 8;

/// A link address of any medium.
///
/// The [`Medium`](crate::medium::Medium) defines the number of bytes in use and their meaning;
/// the bytes behind them are zero. Only addresses of the same medium are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address([u8; MAX_LEN]);

impl Address {
    /// All zeroes: no address.
    pub const NONE: Self = Self([0; MAX_LEN]);

    /// Creates an address from these bytes, of which the unused ones must be zero.
    pub const fn new(bytes: [u8; MAX_LEN]) -> Self {
        Self(bytes)
    }

    /// Creates an address from at most the first [`MAX_LEN`] bytes.
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut address = Self::NONE;
        for (to, from) in address.0.iter_mut().zip(bytes) {
            *to = *from;
        }
        address
    }

    /// Returns all bytes, including the unused ones.
    pub const fn as_bytes(&self) -> &[u8; MAX_LEN] {
        &self.0
    }
}
