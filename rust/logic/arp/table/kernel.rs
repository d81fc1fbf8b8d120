// SPDX-License-Identifier: GPL-2.0

//! State changes of the kernel's neighbours, and permanent neighbours that it deleted.

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
    /// Handles a new state of a neighbour: the result of an update, of a command of the user, or of
    /// garbage collection. Only the user changes a permanent entry. For an unrestored one the
    /// kernel may create a neighbour in any state, which the table overrides; while the device is
    /// down only the user can create one.
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
        // Only NUD_REACHABLE is a confirmation.
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
            // The result of the last update.
            State::Unrestored if same => (),
            State::Unrestored if self.up => self.lock(id),
            State::Unrestored | State::Permanent => self.learn(id, address, unverified, now),
            // An update is pending.
            _ if entry.locked => (),
            // Confirmed without a request of this table; from NUD_REACHABLE no first packet is
            // reported.
            State::Valid | State::Expiring if same && !unverified => {
                self.set_unsolicited(id, false)
            }
            State::Valid | State::Expiring if same => (),
            State::Unverified if same && unverified => (),
            // A request is under way.
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
            // No packet waits any more, or the user wants a retry. A valid entry stays.
            (Neighbour::Dead, state) => !state.is_valid(),
            // The user has deleted it, unless this is the result of an update.
            (Neighbour::Failed, state) => state != State::Failed && self.last_update != Some(ip),
            _ => false,
        };
        if ends {
            self.remove(id);
        }
    }

    /// Returns a permanent entry without a neighbour: the kernel has deleted it.
    pub fn next_unrestored(&self) -> Option<(Ipv4Addr, Address)> {
        let entry = self.slots.get(self.lists.unrestored.first()?)?;
        Some((entry.ip, entry.address))
    }

    /// Removes an unrestored entry for which there can be no neighbour.
    pub fn not_restored(&mut self, ip: Ipv4Addr) {
        if let Some((id, entry)) = self.live(ip) {
            if entry.state == State::Unrestored {
                self.remove(id);
            }
        }
    }

    /// Makes an unrestored entry permanent: its neighbour exists again.
    pub fn restored(&mut self, ip: Ipv4Addr) {
        if let Some((id, entry)) = self.live(ip) {
            if entry.state == State::Unrestored {
                self.set_state(id, State::Permanent, entry.since);
            }
        }
    }
}
