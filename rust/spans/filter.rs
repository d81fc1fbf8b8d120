// SPDX-License-Identifier: GPL-2.0

//! What a device hears beside its own address and broadcast, as the kernel wishes it.

use super::port::AddressFilter;
use crate::net::{device::RxMode, rcu::RcuBox};
use kernel::prelude::*;
use spans_logic::{
    address::Address,
    filter::{Filter, MAX_MULTICAST, MAX_UNICAST},
    medium::Medium,
};

/// Nothing. Process context.
pub(super) fn none() -> Result<RcuBox<AddressFilter>> {
    RcuBox::new(Filter::default(), GFP_KERNEL_ACCOUNT)
}

/// What `mode` says, or more, where there are more addresses than a filter holds.
/// Process context.
pub(super) fn of(medium: &Medium, mode: &RxMode<'_>) -> Result<RcuBox<AddressFilter>> {
    let unicast = sorted(medium, mode.unicast(), MAX_UNICAST)?;
    let multicast = sorted(medium, mode.multicast(), MAX_MULTICAST)?;
    let filter = Filter::new(
        mode.is_promiscuous() || unicast.is_none(),
        mode.is_all_multicast() || multicast.is_none(),
        unicast.unwrap_or_default(),
        multicast.unwrap_or_default(),
    );
    RcuBox::new(filter, GFP_KERNEL_ACCOUNT)
}

/// Addresses in order, unless they are more than `limit`.
fn sorted<'a>(
    medium: &Medium,
    addresses: impl Iterator<Item = &'a [u8]>,
    limit: usize,
) -> Result<Option<KVec<Address>>> {
    let mut sorted = KVec::<Address>::new();
    for address in addresses.filter_map(|bytes| medium.address(bytes)) {
        if sorted.len() == limit {
            return Ok(None);
        }
        sorted.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let at = sorted.partition_point(|other| *other <= address);
        sorted
            .insert_within_capacity(at, address)
            .map_err(|_| ENOMEM)?;
    }
    Ok(Some(sorted))
}
