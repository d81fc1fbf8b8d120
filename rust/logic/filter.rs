// SPDX-License-Identifier: GPL-2.0

//! The address filter of a device, in addition to its own address and broadcast.
//!
//! The core keeps the lists and counts references. The ancestor (the skeleton driver of IRIX) has a
//! hash of 256 bits, as the hardware of its time, which also passes some other addresses; these
//! lists are exact.

use crate::{
    address::Address,
    medium::{AddressClass, Medium},
};
use core::ops::Deref;

/// Most unicast addresses besides its own that a device filters for. With more it receives all
/// frames, like a NIC with a full filter.
pub const MAX_UNICAST: usize = 64;

/// Most multicast addresses. With more the device receives all multicast frames.
pub const MAX_MULTICAST: usize = 256;

/// An address filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter<L> {
    promiscuous: bool,
    all_multicast: bool,
    unicast: L,
    multicast: L,
}

impl<L: Deref<Target = [Address]>> Filter<L> {
    /// Creates the filter of a device that accepts all frames (`IFF_PROMISC`), all multicast frames
    /// (`IFF_ALLMULTI`), or those to the addresses in the lists. The lists must be sorted and not
    /// longer than [`MAX_UNICAST`] and [`MAX_MULTICAST`].
    pub fn new(promiscuous: bool, all_multicast: bool, unicast: L, multicast: L) -> Self {
        Self {
            promiscuous,
            all_multicast,
            unicast,
            multicast,
        }
    }

    /// Returns whether frames for all addresses are accepted.
    pub fn is_promiscuous(&self) -> bool {
        self.promiscuous
    }

    /// Returns the unicast addresses besides the device's own, sorted.
    pub fn unicast(&self) -> &[Address] {
        &self.unicast
    }

    /// Returns whether a frame is accepted. `destination` is not the device's own address.
    #[inline]
    pub fn accepts(&self, medium: &Medium, destination: Address) -> bool {
        match medium.address_class(destination) {
            AddressClass::Broadcast => true,
            _ if self.promiscuous => true,
            AddressClass::Multicast => {
                self.all_multicast || self.multicast.binary_search(&destination).is_ok()
            }
            AddressClass::Unicast => self.unicast.binary_search(&destination).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::medium::MEDIA;

    const SPANS: &Medium = &MEDIA[0];
    const ETHERNET: &Medium = &MEDIA[1];
    const GROUP: Address = Address::new([0x33, 0x33, 0, 0, 0, 1, 0, 0]);
    const OTHER_GROUP: Address = Address::new([0x33, 0x33, 0, 0, 0, 2, 0, 0]);
    const SECOND: Address = Address::new([2, 0, 0, 0, 0, 9, 0, 0]);
    const OTHER: Address = Address::new([2, 0, 0, 0, 0, 8, 0, 0]);

    fn accepted(filter: &Filter<Vec<Address>>) -> [bool; 5] {
        let all = [ETHERNET.broadcast, GROUP, OTHER_GROUP, SECOND, OTHER];
        all.map(|address| filter.accepts(ETHERNET, address))
    }

    #[test]
    fn lists_and_flags() {
        let filter = |promiscuous, all_multicast, unicast: &[_], multicast: &[_]| {
            Filter::new(
                promiscuous,
                all_multicast,
                unicast.to_vec(),
                multicast.to_vec(),
            )
        };
        let nothing = filter(false, false, &[], &[]);
        assert_eq!(nothing, Filter::default());
        assert_eq!(accepted(&nothing), [true, false, false, false, false]);
        let lists = filter(false, false, &[SECOND], &[GROUP]);
        assert_eq!(accepted(&lists), [true, true, false, true, false]);
        let all_multicast = filter(false, true, &[], &[]);
        assert_eq!(accepted(&all_multicast), [true, true, true, false, false]);
        assert_eq!(accepted(&filter(true, false, &[], &[])), [true; 5]);
    }

    #[test]
    fn no_groups_but_on_ethernet() {
        let filter = Filter::new(false, true, vec![], vec![GROUP]);
        assert!(!filter.accepts(SPANS, GROUP));
        assert!(filter.accepts(SPANS, SPANS.broadcast));
    }
}
