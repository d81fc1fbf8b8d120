// SPDX-License-Identifier: GPL-2.0

//! The members of a segment: address lookup, carrier, and the budget of a poll.
//!
//! A segment works like a wire: a frame reaches each member that has its destination as an address,
//! a multicast frame reaches all members, promiscuous members receive all frames, and no member
//! receives its own frames.

use crate::address::Address;

/// The limit of immediate reports to the core per second, for a carrier that another device has
/// changed. Further changes are left to linkwatch, which runs once a second, so that the cost that
/// one member causes for others is bounded.
const REPORTS: u32 = 32;

const SECOND: u64 = 1_000_000_000;

/// The rate limit of carrier reports of one device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reports {
    since: u64,
    count: u32,
}

impl Reports {
    /// Counts a report at `now`, in nanoseconds. Returns whether it is allowed.
    pub fn may(&mut self, now: u64) -> bool {
        if now.saturating_sub(self.since) >= SECOND {
            *self = Self {
                since: now,
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        self.count <= REPORTS
    }
}

/// One address of a member of a segment.
pub trait Entry {
    /// Returns the address.
    fn address(&self) -> Address;

    /// Returns the number of the device, which is unique on the segment.
    fn member(&self) -> usize;
}

fn key<M: Entry>(member: &M) -> (Address, usize) {
    (member.address(), member.member())
}

/// Sorts members as the other functions require: by address, and by device if they have the same
/// address.
///
/// (A heapsort: the sorts of `core` may panic.)
pub fn sort<M: Entry>(members: &mut [M]) {
    let len = members.len();
    for root in (0..len / 2).rev() {
        sift_down(members, root, len);
    }
    for end in (1..len).rev() {
        swap(members, 0, end);
        sift_down(members, 0, end);
    }
}

/// Makes a heap of `root..end`; the members behind `root` are one already.
fn sift_down<M: Entry>(members: &mut [M], mut root: usize, end: usize) {
    loop {
        let left = root.saturating_mul(2).saturating_add(1);
        let children = left..end.min(left.saturating_add(2));
        let keys = children.filter_map(|child| Some((key(members.get(child)?), child)));
        let Some((greatest, child)) = keys.max() else {
            return;
        };
        if members
            .get(root)
            .is_none_or(|member| key(member) >= greatest)
        {
            return;
        }
        swap(members, root, child);
        root = child;
    }
}

/// Swaps two members; `first` must be less than `second`.
fn swap<M>(members: &mut [M], first: usize, second: usize) {
    if let Some((before, rest)) = members.split_at_mut_checked(second) {
        if let (Some(first), Some(second)) = (before.get_mut(first), rest.first_mut()) {
            core::mem::swap(first, second);
        }
    }
}

/// Returns the members that have this address, which may include the sender. `members` are
/// [sorted](sort).
///
/// Usually there is one. Two devices with the same address both receive, as on a wire.
pub fn owners<M: Entry>(members: &[M], address: Address) -> &[M] {
    let from = members.partition_point(|member| member.address() < address);
    let rest = members.get(from..).unwrap_or(&[]);
    let to = rest
        .iter()
        .position(|member| member.address() != address)
        .unwrap_or(rest.len());
    rest.get(..to).unwrap_or(&[])
}

/// Returns whether a device is among the [owners] of an address.
pub fn is_owner<M: Entry>(owners: &[M], member: usize) -> bool {
    owners
        .binary_search_by_key(&member, |owner| owner.member())
        .is_ok()
}

/// Returns which of the devices that are up have a carrier. `forced_off` is the user's setting of
/// each.
///
/// A device has a carrier if it is not forced off and another such device exists.
pub fn carriers(forced_off: impl Iterator<Item = bool> + Clone) -> impl Iterator<Item = bool> {
    let links = forced_off.clone().filter(|forced_off| !forced_off).count();
    forced_off.map(move |forced_off| !forced_off && links > 1)
}

/// Returns how many frames one poll takes from a TX ring on a segment with `members` members. As a
/// frame may be copied to each of them, a poll makes at most [`MAX_COPIES`] copies, or those of one
/// frame, which bounds its time.
pub const fn tx_budget(members: usize) -> usize {
    if members <= MAX_COPIES / MAX_TX_BUDGET {
        return MAX_TX_BUDGET;
    }
    let budget = MAX_COPIES / members;
    if budget == 0 {
        1
    } else {
        budget
    }
}

/// The kernel's `NAPI_POLL_WEIGHT`.
const MAX_TX_BUDGET: usize = 64;

/// The maximum number of copies of frames that one poll makes.
pub const MAX_COPIES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reports_are_bounded() {
        let mut reports = Reports::default();
        for second in 1..5 {
            let reported = (0..1000).filter(|ms| reports.may(second * SECOND + ms * 1_000_000));
            assert_eq!(reported.count(), 32);
        }
    }

    #[derive(Clone, Debug, PartialEq)]
    struct TestEntry(u64, usize);

    impl Entry for TestEntry {
        fn address(&self) -> Address {
            Address::new(self.0.to_be_bytes())
        }

        fn member(&self) -> usize {
            self.1
        }
    }

    fn segment(addresses: &[u64]) -> Vec<TestEntry> {
        let entries = addresses.iter().enumerate();
        let mut members: Vec<_> = entries
            .map(|(name, address)| TestEntry(*address, name))
            .collect();
        // In any order of arrival.
        members.reverse();
        sort(&mut members);
        members
    }

    fn names(members: &[TestEntry], destination: u64) -> Vec<usize> {
        owners(members, Address::new(destination.to_be_bytes()))
            .iter()
            .map(|entry| entry.1)
            .collect()
    }

    #[test]
    fn unicast_reaches_only_its_owner() {
        let members = segment(&[7, 3, 5]);
        assert_eq!(names(&members, 3), [1]);
        assert_eq!(names(&members, 4), []);
        assert_eq!(names(&members, 0), []);
        assert_eq!(names(&members, u64::MAX), []);
        assert_eq!(names(&segment(&[]), 3), []);
    }

    #[test]
    fn a_shared_address_reaches_both() {
        assert_eq!(names(&segment(&[9, 4, 9]), 9), [0, 2]);
    }

    fn carriers_of(forced_off: &[bool]) -> Vec<bool> {
        carriers(forced_off.iter().copied()).collect()
    }

    #[test]
    fn a_carrier_takes_two() {
        let (forced_off, on) = (true, false);
        assert_eq!(carriers_of(&[]), []);
        assert_eq!(carriers_of(&[on]), [false]);
        assert_eq!(carriers_of(&[on, on]), [true, true]);
        assert_eq!(carriers_of(&[on, forced_off]), [false, false]);
        assert_eq!(carriers_of(&[on, forced_off, on]), [true, false, true]);
        assert_eq!(carriers_of(&[forced_off, forced_off, on]), [false; 3]);
    }

    proptest! {
        #[test]
        fn a_carrier_is_somebody_else_to_hear(forced_off in prop::collection::vec(any::<bool>(), 0..20)) {
            let plain: Vec<_> = (0..forced_off.len())
                .map(|me| !forced_off[me] && (0..forced_off.len()).any(|other| other != me && !forced_off[other]))
                .collect();
            prop_assert_eq!(carriers_of(&forced_off), plain);
        }

        #[test]
        fn a_poll_ends_soon(members in 0usize..100_000) {
            let budget = tx_budget(members);
            prop_assert!((1..=64).contains(&budget));
            prop_assert!(budget == 1 || budget * members <= MAX_COPIES);
            prop_assert!(budget == 64 || (budget + 1) * members > MAX_COPIES);
        }

        #[test]
        fn as_a_plain_search_finds_them(
            addresses in prop::collection::vec(0u64..12, 0..20),
            destination in 0u64..14,
        ) {
            let plain: Vec<_> = (0..addresses.len())
                .filter(|name| addresses[*name] == destination)
                .collect();
            let members = segment(&addresses);
            prop_assert_eq!(names(&members, destination), plain.as_slice());
            let found = owners(&members, Address::new(destination.to_be_bytes()));
            for name in 0..=addresses.len() {
                prop_assert_eq!(is_owner(found, name), plain.contains(&name));
            }
        }
    }
}
