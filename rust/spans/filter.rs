// SPDX-License-Identifier: GPL-2.0

//! The address filter of a device, from its flags and the core's address lists.

use crate::net::{device::RxMode, rcu::RcuBox};
use kernel::prelude::*;
use spans_logic::{
    address::Address,
    filter::{Filter, MAX_MULTICAST, MAX_UNICAST},
    medium::{AddressClass, Medium},
};

/// The addresses that a device accepts beside its own and broadcast.
pub(super) type AddressFilter = Filter<KVec<Address>>;

/// Returns a filter for the device's own address and broadcast only. Process context.
pub(super) fn none() -> Result<RcuBox<AddressFilter>> {
    RcuBox::new(Filter::default(), GFP_KERNEL_ACCOUNT)
}

/// Returns a filter for `mode`. It is promiscuous, or accepts all multicast, if there are more
/// addresses than a filter holds. Process context.
pub(super) fn of(medium: &Medium, mode: &RxMode<'_>) -> Result<RcuBox<AddressFilter>> {
    let mut unicast = List::new(MAX_UNICAST);
    let mut multicast = List::new(MAX_MULTICAST);
    // `bridge fdb add` may put a multicast address on the unicast list.
    for bytes in mode.unicast() {
        add(medium, bytes, &mut unicast, &mut multicast)?;
    }
    for bytes in mode.multicast() {
        add(medium, bytes, &mut unicast, &mut multicast)?;
    }
    let filter = Filter::new(
        mode.is_promiscuous() || unicast.is_full,
        mode.is_all_multicast() || multicast.is_full,
        unicast.addresses,
        multicast.addresses,
    );
    RcuBox::new(filter, GFP_KERNEL_ACCOUNT)
}

fn add(medium: &Medium, bytes: &[u8], unicast: &mut List, multicast: &mut List) -> Result {
    let Some(address) = medium.address(bytes) else {
        return Ok(());
    };
    match medium.address_class(address) {
        AddressClass::Unicast => unicast.add(address),
        AddressClass::Multicast => multicast.add(address),
        AddressClass::Broadcast => Ok(()),
    }
}

/// A sorted list of addresses.
struct List {
    addresses: KVec<Address>,
    limit: usize,
    /// An address was left out.
    is_full: bool,
}

impl List {
    fn new(limit: usize) -> Self {
        Self {
            addresses: KVec::new(),
            limit,
            is_full: false,
        }
    }

    fn add(&mut self, address: Address) -> Result {
        let Err(at) = self.addresses.binary_search(&address) else {
            return Ok(());
        };
        if self.addresses.len() == self.limit {
            self.is_full = true;
            return Ok(());
        }
        self.addresses.reserve(1, GFP_KERNEL_ACCOUNT)?;
        self.addresses
            .insert_within_capacity(at, address)
            .map_err(|_| ENOMEM)
    }
}
