// SPDX-License-Identifier: GPL-2.0

//! Room for entries, and who has to make it.

use super::{Bucket, List, State, Store, Table, Use};
use crate::{
    address::Address,
    arp::{
        event::{RemoveReason, Requester},
        slots::{Entry, SlotId},
    },
};
use core::{net::Ipv4Addr, ops::DerefMut};

/// A host that was not used for so long, in milliseconds, may have to make room for a packet to
/// another one: as a neighbour may that has not changed for so long (`neigh_forced_gc()`).
pub const IDLE_MS: u32 = 5000;

impl<E, B> Table<E, B>
where
    E: Store<State>,
    B: DerefMut<Target = [Bucket]>,
{
    /// Whether an entry for this address is there or could be made for a packet.
    pub fn has_room(&self, ip: Ipv4Addr) -> bool {
        self.live(ip).is_some()
            || self.has_slot(ip)
                && (self.len() < self.settings.limit || self.victim(Requester::Packet).is_some())
    }

    /// The same, before the kernel makes a neighbour: that there is no room is counted, but
    /// not once more for a host whose packet the table has just refused: the stack looks at
    /// that packet next.
    pub fn admits(&mut self, ip: Ipv4Addr) -> bool {
        let has_room = self.has_room(ip);
        let same = self.refused.iter_mut().find(|it| **it == Some(ip));
        if !has_room && same.and_then(Option::take).is_none() {
            self.stats.refused = self.stats.refused.wrapping_add(1);
        }
        has_room
    }

    /// Whether a packet to this address finds room only if a host is [evicted](Self::evict). Not
    /// for a host whose own packet was just refused: the stack, which answers that packet, would
    /// have a stranger make room for itself.
    pub fn needs_eviction(&self, ip: Ipv4Addr) -> bool {
        self.has_slot(ip) && !self.has_room(ip) && !self.refused.contains(&Some(ip))
    }

    /// At most so many of the hosts that packets were sent to, least recently used first, as far
    /// as is known. If one of them was not used of late it can be [evicted](Self::evict), and if
    /// it [was](Self::in_use), others come before it the next time.
    pub fn least_recently_used(&self, budget: usize) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.slots
            .iter(&self.sent)
            .take(budget)
            .map(|entry| entry.ip)
    }

    /// Packets were sent to a host of late.
    pub fn in_use(&mut self, ip: Ipv4Addr) {
        if let Some(id) = self.sent_to(ip) {
            self.slots.unlink(&mut self.sent, id);
            self.slots.push(&mut self.sent, id);
        }
    }

    /// Has a host that packets were sent to make room for a packet to another one. Answers
    /// whether it has.
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

    /// Moves to another store and other buckets, and gives the old ones back. A store in which
    /// there may be fewer slots than there are comes back unused.
    pub fn grow(&mut self, slots: E, buckets: B) -> (E, B) {
        if slots.max_count() < self.slots.capacity() {
            return (slots, buckets);
        }
        self.slots.grow(slots, buckets)
    }

    /// Gives at most so many of those that did not answer another chance. Answers whether
    /// there are more.
    pub fn retry_failed(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            match self.lists.failed.first() {
                Some(id) => self.mark_removed(id, RemoveReason::RetryAllowed),
                None => return false,
            }
        }
        true
    }

    /// Forgets at most so many entries, but none that the user has set unless `all`
    /// shall go, and tells nobody: the kernel forgets them, too. Answers whether there
    /// are more.
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

    /// An entry for an address of which nothing is known. It is gone until it enters
    /// another state. There may have to be made room; if none can be, that is counted.
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
        // Or there is no memory for it.
        let Some(id) = id else {
            self.stats.refused = self.stats.refused.wrapping_add(1);
            return None;
        };
        self.removed = self.removed.saturating_add(1);
        Some(id)
    }

    /// Whether there is a slot for an entry, however many entries there may be.
    fn has_slot(&self, ip: Ipv4Addr) -> bool {
        self.slots.find(ip).is_some() || !self.slots.is_full()
    }

    /// Who has to make room.
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
