// SPDX-License-Identifier: GPL-2.0

//! Link addresses.

/// The longest link address of any medium, in bytes.
pub const MAX_LEN: usize = 8;

/// A link address.
///
/// SPANS addresses are eight opaque bytes; nothing in them marks a group, and
/// all ones are broadcast (FreeBSD `spans_var.h`, `struct spans_addr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address([u8; MAX_LEN]);

impl Address {
    /// All ones: every interface of the segment.
    pub const BROADCAST: Self = Self([0xff; MAX_LEN]);

    /// The address with these bytes.
    pub const fn new(bytes: [u8; MAX_LEN]) -> Self {
        Self(bytes)
    }

    /// The address that a user or a frame gave, if it has the right length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// A unicast address from random bytes.
    ///
    /// The low bit of the first byte is cleared and the next one set, so that
    /// tools which think in Ethernet see a locally administered address of one
    /// station. That also makes it neither broadcast nor all zeroes.
    pub const fn from_random(mut bytes: [u8; MAX_LEN]) -> Self {
        bytes[0] = (bytes[0] & !0x01) | 0x02;
        Self(bytes)
    }

    /// The bytes as they go on the wire.
    pub const fn as_bytes(&self) -> &[u8; MAX_LEN] {
        &self.0
    }

    /// Whether every interface of the segment is meant.
    #[inline]
    pub fn is_broadcast(&self) -> bool {
        *self == Self::BROADCAST
    }

    /// Whether an interface may have this address: it is neither broadcast nor
    /// all zeroes, which stand for "no address".
    pub fn is_station(&self) -> bool {
        !self.is_broadcast() && self.0 != [0; MAX_LEN]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn length_must_fit() {
        assert_eq!(Address::from_slice(&[1, 2, 3, 4, 5, 6]), None);
        assert_eq!(Address::from_slice(&[0; 9]), None);
        assert_eq!(
            Address::from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]),
            Some(Address::new([1, 2, 3, 4, 5, 6, 7, 8]))
        );
    }

    #[test]
    fn broadcast_and_zero_are_no_station() {
        assert!(!Address::BROADCAST.is_station());
        assert!(!Address::new([0; 8]).is_station());
        assert!(Address::new([0, 0, 0, 0, 0, 0, 0, 1]).is_station());
        assert!(Address::new([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]).is_station());
    }

    proptest! {
        #[test]
        fn random_addresses_are_stations(bytes: [u8; MAX_LEN]) {
            let address = Address::from_random(bytes);
            prop_assert!(address.is_station());
            prop_assert_eq!(address.as_bytes()[0] & 0x03, 0x02);
            prop_assert_eq!(&address.as_bytes()[1..], &bytes[1..]);
        }
    }
}
