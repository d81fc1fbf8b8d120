// SPDX-License-Identifier: GPL-2.0

//! Fixture of the ARP tests: a table with a clock, and helpers for its events.

#![allow(dead_code, reason = "each test uses a part of this")]

use spans_logic::{
    address::Address,
    arp::{
        config::Settings,
        event::{AddressInfo, Due, Neighbour, Resolution, RxOutcome, SenderType, Update},
        packet::{Host, Operation, Packet},
        slots::Bucket,
        table::{EntryInfo, Slot, State, Table},
    },
    medium::{Medium, MEDIA},
};
use std::net::Ipv4Addr;

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;

/// The ancestor's values, and those of Net/3 where it has none: `SPANSARP_MAXAGE` of 20 ticks,
/// `SPANSARP_AGING` of a minute, `SPANSARP_RETRY` of three seconds, the zone limit of 100 of one
/// revision; `arp_maxtries` and `arpt_down`.
pub(crate) const SETTINGS: Settings = Settings {
    lifetime: 20 * MINUTE,
    tick: MINUTE,
    retry: 3 * SECOND,
    tries: 5,
    hold: 20 * SECOND,
    limit: 100,
};

/// The longest time between two requests: 19/16 of the mean.
pub(crate) const SLOWEST: u64 = SETTINGS.retry / 16 * 19;

/// More timeouts than any test needs: an entry has a handful.
const MOST_TIMEOUTS: usize = 10_000;

/// The ancestor's medium.
pub(crate) static SPANS: &Medium = &MEDIA[0];

pub(crate) const OWN: Address = hw(1);

pub(crate) const fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

pub(crate) const fn hw(last: u8) -> Address {
    Address::new([2, 0, 0, 0, 0, 0, 0, last])
}

/// A packet from a host to the device.
pub(crate) fn packet(operation: Operation, sender: (Ipv4Addr, Address)) -> Packet {
    Packet {
        operation,
        sender: Host {
            ip: sender.0,
            hardware: sender.1,
        },
        target: Host {
            ip: ip(1),
            hardware: OWN,
        },
    }
}

pub(crate) struct Rig {
    pub(crate) table: Table<Vec<Slot>, Vec<Bucket>>,
    pub(crate) now: u64,
    /// The last random number.
    pub(crate) random: u32,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(SETTINGS, SETTINGS.limit + 64, 19)
    }

    /// A table that is up, with these settings and sizes.
    pub(crate) fn with(settings: Settings, slots: usize, buckets: usize) -> Self {
        let slots = vec![Slot::default(); slots];
        let buckets = vec![Bucket::default(); buckets];
        let mut table = Table::new(slots, buckets, 0x9e37_79b9, settings);
        table.up();
        Self {
            table,
            now: 1000 * SECOND,
            random: 0,
        }
    }

    /// Takes the device down: the kernel deletes all neighbours.
    pub(crate) fn down(&mut self) {
        self.table.down();
        for entry in self.entries() {
            self.neighbour(entry.ip, Neighbour::Dead);
        }
        while self.table.flush_some(1, false) {}
    }

    /// Brings the device up. Returns the restored neighbours.
    pub(crate) fn up(&mut self) -> Vec<(Ipv4Addr, Address)> {
        self.table.up();
        self.restore()
    }

    /// Restores the neighbours of unrestored entries, and returns them.
    pub(crate) fn restore(&mut self) -> Vec<(Ipv4Addr, Address)> {
        let mut all = Vec::new();
        while let Some((ip, address)) = self.table.next_unrestored() {
            self.neighbour(ip, Neighbour::Permanent(address));
            self.table.restored(ip);
            all.push((ip, address));
        }
        all
    }

    pub(crate) fn resolve(&mut self, ip: Ipv4Addr) -> Resolution {
        self.random = self.random.wrapping_add(1);
        self.table.resolve(ip, self.now, self.random)
    }

    pub(crate) fn process(&mut self, ip: Ipv4Addr, address: Address, for_us: bool) -> RxOutcome {
        let ends = AddressInfo {
            sender: SenderType::Host,
            for_us,
        };
        let operation = if for_us {
            Operation::Request
        } else {
            Operation::Reply
        };
        self.hear_from(operation, ip, address, ends)
    }

    pub(crate) fn hear_from(
        &mut self,
        operation: Operation,
        ip: Ipv4Addr,
        address: Address,
        ends: AddressInfo,
    ) -> RxOutcome {
        self.table
            .process(&packet(operation, (ip, address)), ends, self.now)
    }

    pub(crate) fn neighbour(&mut self, ip: Ipv4Addr, neighbour: Neighbour) {
        self.table.neighbour(ip, neighbour, self.now);
    }

    pub(crate) fn tick(&mut self) -> Vec<Due> {
        let mut due = Vec::new();
        let random = &mut self.random;
        let next_random = || {
            *random = random.wrapping_add(1);
            *random
        };
        assert!(!self
            .table
            .tick(self.now, usize::MAX, next_random, |it| due.push(it)));
        due
    }

    /// Advances the clock, with a timer that fires at each timeout. Returns the due actions and
    /// their times.
    pub(crate) fn pass(&mut self, time: u64) -> Vec<(u64, Due)> {
        let end = self.now + time;
        let mut all = Vec::new();
        let mut fired = 0;
        while let Some(next) = self.table.next_timeout().filter(|next| *next <= end) {
            assert!(next >= self.now, "the timer would fire at once for ever");
            fired += 1;
            assert!(fired <= MOST_TIMEOUTS, "the timer fires again and again");
            self.now = next;
            all.extend(self.tick().into_iter().map(|due| (next, due)));
        }
        self.now = end;
        all
    }

    /// Takes all pending updates.
    pub(crate) fn next_update(&mut self) -> Vec<(Ipv4Addr, Update)> {
        std::iter::from_fn(|| self.table.next_update()).collect()
    }

    pub(crate) fn entries(&self) -> Vec<EntryInfo> {
        self.table
            .entries(0, self.table.capacity(), self.now)
            .collect()
    }

    pub(crate) fn entry(&self, ip: Ipv4Addr) -> Option<EntryInfo> {
        self.entries().into_iter().find(|entry| entry.ip == ip)
    }

    pub(crate) fn state(&self, ip: Ipv4Addr) -> Option<State> {
        self.entry(ip).map(|entry| entry.state)
    }

    /// Returns whether there is no entry and no pending update for this address.
    pub(crate) fn is_none(&mut self, ip: Ipv4Addr) -> bool {
        self.entry(ip).is_none()
            && self.table.lookup(ip).is_none()
            && self.next_update().iter().all(|(updated, _)| *updated != ip)
    }

    pub(crate) fn incomplete(&mut self, ip: Ipv4Addr) {
        assert_eq!(self.resolve(ip), Resolution::Request);
        assert!(self.is_incomplete(ip));
    }

    pub(crate) fn is_incomplete(&self, ip: Ipv4Addr) -> bool {
        matches!(self.state(ip), Some(State::Incomplete { .. }))
    }

    /// Creates a valid entry, with the neighbour updated.
    pub(crate) fn valid(&mut self, ip: Ipv4Addr, address: Address) {
        self.incomplete(ip);
        assert_eq!(self.process(ip, address, true), RxOutcome::Resolved);
        assert_eq!(self.next_update(), [(ip, Update::Valid(address))]);
    }

    pub(crate) fn permanent(&mut self, ip: Ipv4Addr, address: Address) {
        self.neighbour(ip, Neighbour::Permanent(address));
        assert_eq!(self.state(ip), Some(State::Permanent));
    }

    /// Creates a failed entry, with the neighbour updated.
    pub(crate) fn failed(&mut self, ip: Ipv4Addr) {
        self.incomplete(ip);
        // Twenty sixteenths per request: the longest timeout is nineteen.
        for _ in 0..20 * u32::from(SETTINGS.tries) {
            if self.is_incomplete(ip) {
                self.pass(SETTINGS.retry / 16);
            }
        }
        assert_eq!(self.state(ip), Some(State::Failed));
        assert_eq!(self.next_update(), [(ip, Update::Failed)]);
    }

    /// Creates an expired entry, with the update pending. All other valid entries expire, too.
    pub(crate) fn gone(&mut self, ip: Ipv4Addr, address: Address) {
        self.valid(ip, address);
        self.now += SETTINGS.lifetime;
        assert_eq!(self.tick(), []);
        assert_eq!(self.entry(ip), None);
    }
}
