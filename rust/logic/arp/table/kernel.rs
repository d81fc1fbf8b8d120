// SPDX-License-Identifier: GPL-2.0

//! What the kernel says of its neighbours, and what it has forgotten.

use super::{Bucket, State, Store, Table};
use crate::{
    address::Address,
    arp::{
        event::{Neighbour, Requester},
        slots::SlotId,
    },
};
use core::{net::Ipv4Addr, ops::DerefMut};

impl<E, B> Table<E, B>
where
    E: Store<State>,
    B: DerefMut<Target = [Bucket]>,
{
    /// The kernel says how a neighbour is doing: because it was told so, because the
    /// user wants it, or because nobody needs it any more. One that was permanent
    /// changes by the user's will only, while the kernel may make anything of one that it
    /// has forgotten, but not while the interface is down.
    pub fn neighbour(&mut self, ip: Ipv4Addr, neighbour: Neighbour, now: u64) {
        match neighbour {
            Neighbour::Permanent(address) => self.set_permanent(ip, address, now),
            Neighbour::Reachable(address)
            | Neighbour::Stale(address)
            | Neighbour::Probing(address) => self.set_resolved(ip, address, neighbour, now),
            Neighbour::Unresolved | Neighbour::Failed | Neighbour::Dead => {
                self.set_unresolved(ip, neighbour);
            }
        }
    }

    fn set_permanent(&mut self, ip: Ipv4Addr, address: Address, now: u64) {
        let id = match self.live(ip) {
            Some((id, _)) => Some(id),
            None => self.add(ip, Requester::User),
        };
        if let Some(id) = id {
            self.set_state(id, State::Permanent, now);
            self.set_address(id, address);
            self.set_unsolicited(id, false);
        }
    }

    fn set_resolved(&mut self, ip: Ipv4Addr, address: Address, neighbour: Neighbour, now: u64) {
        // Only REACHABLE is said without doubt.
        let unverified = !matches!(neighbour, Neighbour::Reachable(_));
        let Some((id, entry)) = self.live(ip) else {
            let requester = if unverified {
                Requester::Unsolicited
            } else {
                Requester::Packet
            };
            if let Some(id) = self.add(ip, requester) {
                self.learn(id, address, unverified, now);
            }
            return;
        };
        let same = entry.address == address;
        match entry.state {
            // What it was told last.
            State::Unrestored if same => (),
            State::Unrestored if self.up => self.lock(id),
            State::Unrestored | State::Permanent => self.learn(id, address, unverified, now),
            // It is to be told something else, or the same.
            _ if entry.locked => (),
            // An answer to a question that was not ours: no first packet will be noted.
            State::Valid | State::Expiring if same && !unverified => {
                self.set_unsolicited(id, false)
            }
            State::Valid | State::Expiring if same => (),
            State::Unverified if same && unverified => (),
            // It is asked for already.
            State::Incomplete { .. } if unverified => (),
            _ => self.learn(id, address, unverified, now),
        }
    }

    fn learn(&mut self, id: SlotId, address: Address, unverified: bool, now: u64) {
        if unverified {
            self.set_unverified(id, address, now);
        } else {
            self.confirm(id, address, now);
            self.set_unsolicited(id, false);
        }
    }

    fn set_unresolved(&mut self, ip: Ipv4Addr, neighbour: Neighbour) {
        let Some((id, entry)) = self.live(ip) else {
            return;
        };
        let ends = match (neighbour, entry.state) {
            (Neighbour::Dead, State::Permanent) => {
                self.set_state(id, State::Unrestored, entry.since);
                false
            }
            (_, State::Permanent) => true,
            // Nobody waits for an answer any more, or the user wants it to be tried again.
            // What is known stays known.
            (Neighbour::Dead, state) => !state.is_valid(),
            // Unless it failed because it was told so, the user has deleted it.
            (Neighbour::Failed, state) => state != State::Failed && self.last_update != Some(ip),
            _ => false,
        };
        if ends {
            self.remove(id);
        }
    }

    /// Something that the user has set and the kernel has forgotten.
    pub fn next_unrestored(&self) -> Option<(Ipv4Addr, Address)> {
        let entry = self.slots.get(self.lists.unrestored.first()?)?;
        Some((entry.ip, entry.address))
    }

    /// The kernel cannot have it any more.
    pub fn not_restored(&mut self, ip: Ipv4Addr) {
        if let Some((id, entry)) = self.live(ip) {
            if entry.state == State::Unrestored {
                self.remove(id);
            }
        }
    }

    /// The kernel has it again.
    pub fn restored(&mut self, ip: Ipv4Addr) {
        if let Some((id, entry)) = self.live(ip) {
            if entry.state == State::Unrestored {
                self.set_state(id, State::Permanent, entry.since);
            }
        }
    }
}
