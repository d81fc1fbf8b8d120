// SPDX-License-Identifier: GPL-2.0

//! Link addresses.

/// The longest link address of any medium, in bytes.
pub const MAX_LEN: usize = 8;

/// A link address of whatever medium.
///
/// How many of its bytes count, and what they mean, is the medium's business
/// ([`Medium`](crate::medium::Medium)); behind them are zeroes. All that is
/// compared is of one medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address([u8; MAX_LEN]);

impl Address {
    /// All zeroes, which stand for "no address".
    pub const NONE: Self = Self([0; MAX_LEN]);

    /// The address with these bytes, the unused ones being zero.
    pub const fn new(bytes: [u8; MAX_LEN]) -> Self {
        Self(bytes)
    }

    /// The address that begins with these bytes; of more than [`MAX_LEN`] the first.
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut address = Self::NONE;
        for (to, from) in address.0.iter_mut().zip(bytes) {
            *to = *from;
        }
        address
    }

    /// All bytes, the unused ones, too.
    pub const fn as_bytes(&self) -> &[u8; MAX_LEN] {
        &self.0
    }
}
