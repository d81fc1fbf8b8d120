// SPDX-License-Identifier: GPL-2.0

//! What an interface hears beside its own address and broadcast.
//!
//! The lists are the kernel's, which counts references. The ancestor (the skeleton
//! driver of IRIX) has a hash of 256 bits that lets some of the others through, as the
//! hardware of its time; here memory is cheap.

use crate::{
    address::Address,
    medium::{AddressClass, Medium},
};
use core::ops::Deref;

/// The most addresses beside its own that an interface filters for. With more it hears
/// all, as a NIC whose filter is full.
pub const MAX_UNICAST: usize = 64;

/// The same for groups.
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
    /// The filter of an interface that hears everything (`IFF_PROMISC`), what goes to
    /// any group (`IFF_ALLMULTI`), or to those in the lists, which are in order and none
    /// of them longer than there is room for: see [`MAX_UNICAST`], [`MAX_MULTICAST`].
    pub fn new(promiscuous: bool, all_multicast: bool, unicast: L, multicast: L) -> Self {
        Self {
            promiscuous,
            all_multicast,
            unicast,
            multicast,
        }
    }

    /// Whether it hears what goes to others.
    pub fn is_promiscuous(&self) -> bool {
        self.promiscuous
    }

    /// The addresses of one station that it has beside its own, in order.
    pub fn unicast(&self) -> &[Address] {
        &self.unicast
    }

    /// Whether a frame for this address, which is not the interface's own, is heard.
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

    fn heard(filter: &Filter<Vec<Address>>) -> [bool; 5] {
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
        assert_eq!(heard(&nothing), [true, false, false, false, false]);
        let lists = filter(false, false, &[SECOND], &[GROUP]);
        assert_eq!(heard(&lists), [true, true, false, true, false]);
        let all_multicast = filter(false, true, &[], &[]);
        assert_eq!(heard(&all_multicast), [true, true, true, false, false]);
        assert_eq!(heard(&filter(true, false, &[], &[])), [true; 5]);
    }

    #[test]
    fn no_groups_but_on_ethernet() {
        let filter = Filter::new(false, true, vec![], vec![GROUP]);
        assert!(!filter.accepts(SPANS, GROUP));
        assert!(filter.accepts(SPANS, SPANS.broadcast));
    }
}
