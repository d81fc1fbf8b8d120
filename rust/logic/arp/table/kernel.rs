// SPDX-License-Identifier: GPL-2.0

//! What the kernel says of its neighbours, and what it has forgotten.

use super::{Bucket, State, Store, Table};
use crate::{
    address::Address,
    arp::{
        event::{Neighbour, Wish},
        slots::Place,
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
            | Neighbour::Probing(address) => self.has_address(ip, address, neighbour, now),
            Neighbour::Unresolved | Neighbour::Failed | Neighbour::Dead => {
                self.has_none(ip, neighbour);
            }
        }
    }

    fn set_permanent(&mut self, ip: Ipv4Addr, address: Address, now: u64) {
        let place = match self.known(ip) {
            Some((place, _)) => Some(place),
            None => self.add(ip, Wish::User),
        };
        if let Some(place) = place {
            self.enter(place, State::Permanent, now);
            self.set_address(place, address);
            self.set_heard(place, false);
        }
    }

    fn has_address(&mut self, ip: Ipv4Addr, address: Address, neighbour: Neighbour, now: u64) {
        // Only REACHABLE is said without doubt.
        let doubted = !matches!(neighbour, Neighbour::Reachable(_));
        let Some((place, entry)) = self.known(ip) else {
            let wish = if doubted {
                Wish::Stranger
            } else {
                Wish::Packet
            };
            if let Some(place) = self.add(ip, wish) {
                self.has(place, address, doubted, now);
            }
            return;
        };
        let same = entry.address == address;
        match entry.state {
            // What it was told last.
            State::Forgotten if same => (),
            State::Forgotten if self.up => self.lock(place),
            State::Forgotten | State::Permanent => self.has(place, address, doubted, now),
            // It is to be told something else, or the same.
            _ if entry.locked => (),
            // An answer to a question that was not ours: no first packet will be noted.
            State::Valid | State::Ending if same && !doubted => self.set_heard(place, false),
            State::Valid | State::Ending if same => (),
            State::Unverified if same && doubted => (),
            // It is asked for already.
            State::Incomplete { .. } if doubted => (),
            _ => self.has(place, address, doubted, now),
        }
    }

    fn has(&mut self, place: Place, address: Address, doubted: bool, now: u64) {
        if doubted {
            self.doubt(place, address, now);
        } else {
            self.believe(place, address, now);
            self.set_heard(place, false);
        }
    }

    fn has_none(&mut self, ip: Ipv4Addr, neighbour: Neighbour) {
        let Some((place, entry)) = self.known(ip) else {
            return;
        };
        let ends = match (neighbour, entry.state) {
            (Neighbour::Dead, State::Permanent) => {
                self.enter(place, State::Forgotten, entry.since);
                false
            }
            (_, State::Permanent) => true,
            // Nobody waits for an answer any more, or the user wants it to be tried again.
            // What is known stays known.
            (Neighbour::Dead, state) => !state.is_valid(),
            // Unless it failed because it was told so, the user has deleted it.
            (Neighbour::Failed, state) => state != State::Failed && self.told != Some(ip),
            _ => false,
        };
        if ends {
            self.release(place);
        }
    }

    /// Something that the user has set and the kernel has forgotten.
    pub fn forgotten(&self) -> Option<(Ipv4Addr, Address)> {
        let entry = self.slots.get(self.queues.forgotten.first()?)?;
        Some((entry.ip, entry.address))
    }

    /// The kernel cannot have it any more.
    pub fn not_restored(&mut self, ip: Ipv4Addr) {
        if let Some((place, entry)) = self.known(ip) {
            if entry.state == State::Forgotten {
                self.release(place);
            }
        }
    }

    /// The kernel has it again.
    pub fn restored(&mut self, ip: Ipv4Addr) {
        if let Some((place, entry)) = self.known(ip) {
            if entry.state == State::Forgotten {
                self.enter(place, State::Permanent, entry.since);
            }
        }
    }
}
