// SPDX-License-Identifier: GPL-2.0

//! The limit of the table, and eviction.

use super::{Bucket, List, State, Store, Table, Use};
use crate::{
    address::Address,
    arp::{
        event::{RemoveReason, Requester},
        slots::{Entry, SlotId},
    },
};
use core::{net::Ipv4Addr, ops::DerefMut};

/// Idle time in milliseconds after which an entry may be evicted for a packet to another host, as a
/// neighbour by `neigh_forced_gc()`.
pub const IDLE_MS: u32 = 5000;

impl<E, B> Table<E, B>
where
    E: Store<State>,
    B: DerefMut<Target = [Bucket]>,
{
    /// Returns whether there is an entry for this address, or room for one that a packet needs.
    pub fn has_room(&self, ip: Ipv4Addr) -> bool {
        self.live(ip).is_some()
            || self.has_slot(ip)
                && (self.len() < self.settings.limit || self.victim(Requester::Packet).is_some())
    }

    /// As [`has_room`](Self::has_room), before the kernel creates a neighbour. Counts a refusal,
    /// but not a second time for a sender that [`process`](Self::process) has just refused: the
    /// stack handles the same packet next.
    pub fn admits(&mut self, ip: Ipv4Addr) -> bool {
        let has_room = self.has_room(ip);
        let same = self.refused.iter_mut().find(|it| **it == Some(ip));
        if !has_room && same.and_then(Option::take).is_none() {
            self.stats.refused = self.stats.refused.wrapping_add(1);
        }
        has_room
    }

    /// Returns whether room for a packet to this address requires that an entry with traffic is
    /// [evicted](Self::evict). `false` for a sender that was just refused: the stack's reply must
    /// not evict another host.
    pub fn needs_eviction(&self, ip: Ipv4Addr) -> bool {
        self.has_slot(ip) && !self.has_room(ip) && !self.refused.contains(&Some(ip))
    }

    /// Returns at most `budget` entries with traffic, least recently used first, as far as is
    /// known. The caller [evicts](Self::evict) the first one that is idle, and reports those that
    /// are not as [in use](Self::in_use), which moves them to the end.
    pub fn least_recently_used(&self, budget: usize) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.slots
            .iter(&self.sent)
            .take(budget)
            .map(|entry| entry.ip)
    }

    /// Moves an entry with traffic to the end of the eviction order.
    pub fn in_use(&mut self, ip: Ipv4Addr) {
        if let Some(id) = self.sent_to(ip) {
            self.slots.unlink(&mut self.sent, id);
            self.slots.push(&mut self.sent, id);
        }
    }

    /// Evicts an entry with traffic for a packet to another host. Returns whether there was one for
    /// this address.
    pub fn evict(&mut self, ip: Ipv4Addr) -> bool {
        let id = self.sent_to(ip);
        if let Some(id) = id {
            self.stats.evicted = self.stats.evicted.wrapping_add(1);
            self.mark_removed(id, RemoveReason::Evicted(Requester::Packet));
        }
        id.is_some()
    }

    fn sent_to(&self, ip: Ipv4Addr) -> Option<SlotId> {
        let (id, entry) = self.live(ip)?;
        (Use::of((entry.state, entry.unsolicited)) == Use::Sent).then_some(id)
    }

    /// Moves to another store and other buckets, and returns the old ones. Returns the new ones
    /// unused if `slots` is too small.
    pub fn grow(&mut self, slots: E, buckets: B) -> (E, B) {
        if slots.max_count() < self.slots.capacity() {
            return (slots, buckets);
        }
        self.slots.grow(slots, buckets)
    }

    /// Removes at most `budget` failed entries, so that they can be requested again. Returns
    /// whether there may be more.
    pub fn retry_failed(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            match self.lists.failed.first() {
                Some(id) => self.mark_removed(id, RemoveReason::RetryAllowed),
                None => return false,
            }
        }
        true
    }

    /// Removes at most `budget` entries, without updates: the kernel removes its neighbours itself.
    /// Permanent entries only with `all`. Returns whether there are more.
    pub fn flush_some(&mut self, budget: usize, all: bool) -> bool {
        let mut left = budget;
        loop {
            let set = self.lists.permanent.first();
            let set = set.or(self.lists.unrestored.first()).filter(|_| all);
            let asking = self.lists.asking.iter().find_map(List::first);
            let first = asking
                .or(self.lists.valid.first())
                .or(self.lists.expiring.first())
                .or(self.lists.unverified.first())
                .or(self.lists.failed.first())
                .or(set);
            let Some(id) = first else {
                return false;
            };
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.remove(id);
        }
    }

    /// Returns a removed entry for an address that has none, to be set to another state. Evicts
    /// another entry if necessary; a refusal is counted.
    pub(super) fn add(&mut self, ip: Ipv4Addr, requester: Requester) -> Option<SlotId> {
        if !self.has_slot(ip) {
            self.stats.refused = self.stats.refused.wrapping_add(1);
            return None;
        }
        if self.len() >= self.settings.limit {
            if let Some(victim) = self.victim(requester) {
                self.stats.evicted = self.stats.evicted.wrapping_add(1);
                self.mark_removed(victim, RemoveReason::Evicted(requester));
            } else {
                self.stats.refused = self.stats.refused.wrapping_add(1);
                return None;
            }
        }
        if let Some(id) = self.slots.find(ip) {
            return Some(id);
        }
        let id = self.slots.insert(Entry {
            ip,
            address: Address::NONE,
            since: 0,
            state: State::Removed(RemoveReason::Expired),
            unsolicited: false,
            locked: false,
        });
        // There is no memory for another slot.
        let Some(id) = id else {
            self.stats.refused = self.stats.refused.wrapping_add(1);
            return None;
        };
        self.removed = self.removed.saturating_add(1);
        Some(id)
    }

    /// Returns whether there is a slot for this address, irrespective of the limit.
    fn has_slot(&self, ip: Ipv4Addr) -> bool {
        self.slots.find(ip).is_some() || !self.slots.is_full()
    }

    /// Returns the entry to be evicted.
    fn victim(&self, requester: Requester) -> Option<SlotId> {
        let unsolicited = self.unsolicited.first();
        if requester == Requester::Unsolicited || unsolicited.is_some() {
            return unsolicited;
        }
        let failed = self.lists.failed.first();
        let silent = failed.or(self.unanswered.first());
        if requester == Requester::Packet || silent.is_some() {
            return silent;
        }
        let asking = self.lists.asking.iter().find_map(List::first);
        let known = self.lists.expiring.first().or(self.lists.valid.first());
        asking.or(known)
    }
}
