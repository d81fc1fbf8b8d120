// SPDX-License-Identifier: GPL-2.0

//! Storage for the entries of a table.
//!
//! Entries are kept in slots of a [`Store`], which the table's owner allocates in pieces on demand.
//! An entry keeps its slot. It is in one bucket of a hash table, and on up to three lists, which
//! are linked by slot numbers: each operation on one entry takes constant time.

use core::{marker::PhantomData, net::Ipv4Addr, ops::DerefMut};

use crate::address::Address;

/// A slot number, or [`NONE`].
type Index = u32;

const NONE: Index = Index::MAX;

/// The lists on which an entry can be: at most one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListId {
    /// The lists by state, on which entries wait for a deadline.
    Age,
    /// The lists of unsolicited, sent-to and unanswered entries.
    Use,
    /// The list of entries with a pending update.
    Update,
}

const LISTS: usize = 3;

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: Index,
    next: Index,
}

const UNLINKED: Link = Link {
    previous: NONE,
    next: NONE,
};

/// An entry: the state of one IPv4 address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<S> {
    pub(super) ip: Ipv4Addr,
    pub(super) address: Address,
    /// Time of the last change of state, in nanoseconds.
    pub(super) since: u64,
    pub(super) state: S,
    /// No packet has been sent to it: it is evicted first.
    pub(super) unsolicited: bool,
    /// An update of the neighbour is pending.
    pub(super) locked: bool,
}

/// Storage for one entry.
#[derive(Clone, Copy, Debug)]
pub struct Slot<S> {
    entry: Option<Entry<S>>,
    /// The next slot in the bucket or on the free list.
    after: Index,
    links: [Link; LISTS],
}

impl<S> Default for Slot<S> {
    fn default() -> Self {
        Self {
            entry: None,
            after: NONE,
            links: [UNLINKED; LISTS],
        }
    }
}

/// An array of slots that can grow.
pub trait Store<S> {
    /// Returns a slot.
    fn get(&self, index: usize) -> Option<&Slot<S>>;

    /// Returns a slot for modification.
    fn get_mut(&mut self, index: usize) -> Option<&mut Slot<S>>;

    /// Returns the number of slots.
    fn count(&self) -> usize;

    /// Returns the largest number of slots.
    fn max_count(&self) -> usize;

    /// Appends empty slots if [`max_count`](Self::max_count) and memory allow it. Called with the
    /// table's lock held.
    fn extend(&mut self);

    /// Moves all slots out of `other`, which has at most [`max_count`](Self::max_count) of them.
    fn take_from(&mut self, other: &mut Self);
}

/// A slice: all slots exist from the beginning.
impl<S: Copy, E: DerefMut<Target = [Slot<S>]>> Store<S> for E {
    #[inline]
    fn get(&self, index: usize) -> Option<&Slot<S>> {
        self.deref().get(index)
    }

    #[inline]
    fn get_mut(&mut self, index: usize) -> Option<&mut Slot<S>> {
        self.deref_mut().get_mut(index)
    }

    fn count(&self) -> usize {
        self.deref().len()
    }

    fn max_count(&self) -> usize {
        self.deref().len()
    }

    fn extend(&mut self) {}

    fn take_from(&mut self, other: &mut Self) {
        for (to, from) in self.iter_mut().zip(other.iter()) {
            *to = *from;
        }
    }
}

/// The head of a hash chain.
#[derive(Clone, Copy, Debug)]
pub struct Bucket(Index);

impl Default for Bucket {
    fn default() -> Self {
        Self(NONE)
    }
}

/// A list of entries, oldest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    chain: ListId,
    first: Index,
    last: Index,
}

impl List {
    pub(super) const fn new(chain: ListId) -> Self {
        Self {
            chain,
            first: NONE,
            last: NONE,
        }
    }

    #[inline]
    pub(super) fn first(&self) -> Option<SlotId> {
        (self.first != NONE).then_some(SlotId(self.first))
    }
}

/// The slot of an existing entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotId(Index);

/// The slots of a table and their hash table.
#[derive(Debug)]
pub(super) struct Slots<S, E, B>
where
    E: Store<S>,
    B: DerefMut<Target = [Bucket]>,
{
    slots: E,
    buckets: B,
    free: Index,
    used: usize,
    /// The secret hash factor; odd.
    key: u32,
    _state: PhantomData<S>,
}

impl<S, E, B> Slots<S, E, B>
where
    S: Copy,
    E: Store<S>,
    B: DerefMut<Target = [Bucket]>,
{
    /// Makes all slots empty. `secret` keeps hosts from choosing addresses that collide in one
    /// bucket.
    pub(super) fn new(slots: E, mut buckets: B, secret: u32) -> Self {
        for bucket in buckets.iter_mut() {
            *bucket = Bucket::default();
        }
        let mut new = Self {
            slots,
            buckets,
            free: NONE,
            used: 0,
            key: secret | 1,
            _state: PhantomData,
        };
        new.free_from(0);
        new
    }

    /// Empties the slots from `first` on and puts them at the head of the free list.
    fn free_from(&mut self, first: usize) {
        for index in (first..self.slots.count()).rev() {
            let after = self.free;
            if let Some(slot) = self.slots.get_mut(index) {
                *slot = Slot {
                    after,
                    ..Slot::default()
                };
                self.free = index as Index;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Returns whether no slot is free and the store cannot grow.
    pub(super) fn is_full(&self) -> bool {
        self.slot(self.free).is_none() && self.slots.count() >= self.slots.max_count()
    }

    /// Multiplicative hashing with a secret odd factor (Dietzfelbinger and others,
    /// "A reliable randomized algorithm for the closest-pair problem", 1997), as
    /// `arp_hashfn()` of `include/net/arp.h`.
    #[inline]
    fn bucket(&self, ip: Ipv4Addr) -> usize {
        let hash = u32::from(ip).wrapping_mul(self.key);
        // The upper bits are the well-mixed ones: scale them to the number of buckets.
        ((u64::from(hash) * self.buckets.len() as u64) >> 32) as usize
    }

    #[inline]
    fn slot(&self, index: Index) -> Option<&Slot<S>> {
        self.slots.get(index as usize)
    }

    #[inline]
    fn slot_mut(&mut self, index: Index) -> Option<&mut Slot<S>> {
        self.slots.get_mut(index as usize)
    }

    #[inline]
    pub(super) fn find(&self, ip: Ipv4Addr) -> Option<SlotId> {
        let mut index = self.buckets.get(self.bucket(ip))?.0;
        // `NONE` ends the chain: it is no valid slot number.
        while let Some(slot) = self.slot(index) {
            if slot.entry.as_ref().is_some_and(|entry| entry.ip == ip) {
                return Some(SlotId(index));
            }
            index = slot.after;
        }
        None
    }

    #[inline]
    pub(super) fn get(&self, id: SlotId) -> Option<&Entry<S>> {
        self.slot(id.0)?.entry.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SlotId) -> Option<&mut Entry<S>> {
        self.slot_mut(id.0)?.entry.as_mut()
    }

    /// Adds an entry, on no list, for an address that has none. Returns `None` if no slot is free
    /// and there is no memory for more.
    pub(super) fn insert(&mut self, entry: Entry<S>) -> Option<SlotId> {
        if self.slot(self.free).is_none() {
            let first = self.slots.count();
            self.slots.extend();
            self.free_from(first);
        }
        let number = self.bucket(entry.ip);
        let index = self.free;
        let first = self.buckets.get(number)?.0;
        let slot = self.slot_mut(index)?;
        let free = slot.after;
        *slot = Slot {
            entry: Some(entry),
            after: first,
            links: [UNLINKED; LISTS],
        };
        self.free = free;
        self.buckets.get_mut(number)?.0 = index;
        self.used = self.used.saturating_add(1);
        Some(SlotId(index))
    }

    /// Removes an entry that is on no list.
    pub(super) fn remove(&mut self, id: SlotId) -> Option<()> {
        let SlotId(index) = id;
        let number = self.bucket(self.get(id)?.ip);
        let after = self.slot(index)?.after;
        let mut before = self.buckets.get(number)?.0;
        if before == index {
            self.buckets.get_mut(number)?.0 = after;
        } else {
            while self.slot(before)?.after != index {
                before = self.slot(before)?.after;
            }
            self.slot_mut(before)?.after = after;
        }
        let free = self.free;
        *self.slot_mut(index)? = Slot {
            after: free,
            ..Slot::default()
        };
        self.free = index;
        self.used = self.used.saturating_sub(1);
        Some(())
    }

    #[inline]
    fn link(&mut self, index: Index, chain: ListId) -> Option<&mut Link> {
        self.slot_mut(index)?.links.get_mut(chain as usize)
    }

    /// Appends an entry that is on no other list of this kind.
    #[inline]
    pub(super) fn push(&mut self, list: &mut List, id: SlotId) {
        let SlotId(index) = id;
        if let Some(link) = self.link(index, list.chain) {
            *link = Link {
                previous: list.last,
                next: NONE,
            };
        }
        match self.link(list.last, list.chain) {
            Some(link) => link.next = index,
            None => list.first = index,
        }
        list.last = index;
    }

    /// Removes an entry from the list that it is on.
    #[inline]
    pub(super) fn unlink(&mut self, list: &mut List, id: SlotId) {
        let Some(link) = self.link(id.0, list.chain) else {
            return;
        };
        let Link { previous, next } = core::mem::replace(link, UNLINKED);
        match self.link(previous, list.chain) {
            Some(link) => link.next = next,
            None => list.first = next,
        }
        match self.link(next, list.chain) {
            Some(link) => link.previous = previous,
            None => list.last = previous,
        }
    }

    /// Returns the entries of a list, oldest first.
    pub(super) fn iter(&self, list: &List) -> impl Iterator<Item = &Entry<S>> {
        let chain = list.chain;
        core::iter::successors(self.slot(list.first), move |slot| {
            self.slot(slot.links.get(chain as usize)?.next)
        })
        .filter_map(|slot| slot.entry.as_ref())
    }

    /// Returns the entries of a range of slots, in slot order.
    pub(super) fn entries_from(
        &self,
        first: usize,
        slots: usize,
    ) -> impl Iterator<Item = &Entry<S>> {
        (first..first.saturating_add(slots).min(self.slots.count()))
            .filter_map(|index| self.slots.get(index)?.entry.as_ref())
    }

    /// Moves to a larger store and more buckets, and returns the old ones. Entries keep their
    /// slots.
    pub(super) fn grow(&mut self, mut slots: E, mut buckets: B) -> (E, B) {
        buckets.fill(Bucket::default());
        let first = self.slots.count();
        slots.take_from(&mut self.slots);
        let old = (
            core::mem::replace(&mut self.slots, slots),
            core::mem::replace(&mut self.buckets, buckets),
        );
        self.free_from(first);
        for index in 0..first as Index {
            let Some(ip) = self.get(SlotId(index)).map(|entry| entry.ip) else {
                continue;
            };
            let number = self.bucket(ip);
            if let Some(bucket) = self.buckets.get_mut(number) {
                let first = core::mem::replace(bucket, Bucket(index)).0;
                if let Some(slot) = self.slot_mut(index) {
                    slot.after = first;
                }
            }
        }
        old
    }

    /// Returns the largest number of slots.
    pub(super) fn max_len(&self) -> usize {
        self.slots.max_count()
    }

    /// Returns the number of slots.
    pub(super) fn capacity(&self) -> usize {
        self.slots.count()
    }
}
