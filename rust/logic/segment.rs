// SPDX-License-Identifier: GPL-2.0

//! Who a frame on a segment reaches.
//!
//! A segment is a wire: a frame reaches every interface that has its
//! destination for an address, what goes to a group reaches all, those who are
//! promiscuous hear everything, and nobody hears himself.

use crate::address::Address;

/// How often in a second the core takes note at once of a carrier that another device has
/// changed. What exceeds that is left to linkwatch, which does so once a second: one member
/// must not cost others much.
const REPORTS: u32 = 32;

const SECOND: u64 = 1_000_000_000;

/// How often the core was told of a carrier.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reports {
    since: u64,
    count: u32,
}

impl Reports {
    /// Whether the core may be told once more at this time, in nanoseconds.
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

/// One address on a segment.
pub trait Member {
    /// The address under which an interface is reached.
    fn address(&self) -> Address;

    /// The interface: another number for each.
    fn interface(&self) -> usize;
}

fn key<M: Member>(member: &M) -> (Address, usize) {
    (member.address(), member.interface())
}

/// Puts members into the order that the other functions ask for: by their addresses, and
/// those that have the same by their interfaces.
///
/// (A heapsort: those of `core` may panic.)
pub fn sort<M: Member>(members: &mut [M]) {
    let len = members.len();
    for root in (0..len / 2).rev() {
        sift_down(members, root, len);
    }
    for end in (1..len).rev() {
        swap(members, 0, end);
        sift_down(members, 0, end);
    }
}

/// Makes a heap of the members from `root` to `end`, which is one below `root`.
fn sift_down<M: Member>(members: &mut [M], mut root: usize, end: usize) {
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

/// Exchanges two members, the first of which comes first.
fn swap<M>(members: &mut [M], first: usize, second: usize) {
    if let Some((before, rest)) = members.split_at_mut_checked(second) {
        if let (Some(first), Some(second)) = (before.get_mut(first), rest.first_mut()) {
            core::mem::swap(first, second);
        }
    }
}

/// The members that have this address, its sender perhaps among them. `members` are
/// [in order](sort).
///
/// Usually there is one. Two interfaces with one address both hear, as on a
/// wire.
pub fn owners<M: Member>(members: &[M], address: Address) -> &[M] {
    let from = members.partition_point(|member| member.address() < address);
    let rest = members.get(from..).unwrap_or(&[]);
    let to = rest
        .iter()
        .position(|member| member.address() != address)
        .unwrap_or(rest.len());
    rest.get(..to).unwrap_or(&[])
}

/// Whether an interface is among the [owners] of an address.
pub fn is_owner<M: Member>(owners: &[M], interface: usize) -> bool {
    owners
        .binary_search_by_key(&interface, |owner| owner.interface())
        .is_ok()
}

/// Which interfaces that are up have a carrier. For each of them: has the user `forced_off`
/// its line?
///
/// A line carries something when there is another one to carry it to.
pub fn carriers(forced_off: impl Iterator<Item = bool> + Clone) -> impl Iterator<Item = bool> {
    let links = forced_off.clone().filter(|forced_off| !forced_off).count();
    forced_off.map(move |forced_off| !forced_off && links > 1)
}

/// How many frames one poll takes from a transmit ring whose segment has so many
/// stations. A frame may go to each of them: however many they are, a poll makes
/// at most [`MAX_COPIES`] (unless that is less than one frame) and ends soon.
pub const fn tx_budget(stations: usize) -> usize {
    if stations <= MAX_COPIES / MAX_TX_BUDGET {
        return MAX_TX_BUDGET;
    }
    let budget = MAX_COPIES / stations;
    if budget == 0 {
        1
    } else {
        budget
    }
}

/// The weight of a NAPI (`NAPI_POLL_WEIGHT`).
const MAX_TX_BUDGET: usize = 64;

/// Copies of frames that one poll may make.
pub const MAX_COPIES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reports_are_bounded() {
        let mut reports = Reports::default();
        for second in 1..5 {
            let told = (0..1000).filter(|ms| reports.may(second * SECOND + ms * 1_000_000));
            assert_eq!(told.count(), 32);
        }
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Station(u64, usize);

    impl Member for Station {
        fn address(&self) -> Address {
            Address::new(self.0.to_be_bytes())
        }

        fn interface(&self) -> usize {
            self.1
        }
    }

    fn segment(addresses: &[u64]) -> Vec<Station> {
        let stations = addresses.iter().enumerate();
        let mut members: Vec<_> = stations
            .map(|(name, address)| Station(*address, name))
            .collect();
        // However they came.
        members.reverse();
        sort(&mut members);
        members
    }

    fn names(members: &[Station], destination: u64) -> Vec<usize> {
        owners(members, Address::new(destination.to_be_bytes()))
            .iter()
            .map(|station| station.1)
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

    fn who_has_a_carrier(forced_off: &[bool]) -> Vec<bool> {
        carriers(forced_off.iter().copied()).collect()
    }

    #[test]
    fn a_carrier_takes_two() {
        let (forced_off, mended) = (true, false);
        assert_eq!(who_has_a_carrier(&[]), []);
        assert_eq!(who_has_a_carrier(&[mended]), [false]);
        assert_eq!(who_has_a_carrier(&[mended, mended]), [true, true]);
        assert_eq!(who_has_a_carrier(&[mended, forced_off]), [false, false]);
        assert_eq!(
            who_has_a_carrier(&[mended, forced_off, mended]),
            [true, false, true]
        );
        assert_eq!(
            who_has_a_carrier(&[forced_off, forced_off, mended]),
            [false; 3]
        );
    }

    proptest! {
        #[test]
        fn a_carrier_is_somebody_else_to_hear(forced_off in prop::collection::vec(any::<bool>(), 0..20)) {
            let plain: Vec<_> = (0..forced_off.len())
                .map(|me| !forced_off[me] && (0..forced_off.len()).any(|other| other != me && !forced_off[other]))
                .collect();
            prop_assert_eq!(who_has_a_carrier(&forced_off), plain);
        }

        #[test]
        fn a_poll_ends_soon(stations in 0usize..100_000) {
            let budget = tx_budget(stations);
            prop_assert!((1..=64).contains(&budget));
            prop_assert!(budget == 1 || budget * stations <= MAX_COPIES);
            prop_assert!(budget == 64 || (budget + 1) * stations > MAX_COPIES);
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
