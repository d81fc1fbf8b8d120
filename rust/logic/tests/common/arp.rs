// SPDX-License-Identifier: GPL-2.0

//! What the tests of SPANS ARP share: an interface's table with a clock, and short
//! names for what happens to it.

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

/// The ancestor's numbers, and Net/3's where it has none: `SPANSARP_MAXAGE` of 20
/// ticks, `SPANSARP_AGING` of a minute, `SPANSARP_RETRY` of three seconds, the zone
/// limit of 100 that it had once; `arp_maxtries` and `arpt_down`.
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

/// More often than this no timer fires in any test: an entry has a handful of timeouts.
const MOST_TIMEOUTS: usize = 10_000;

/// What the ancestor's interfaces are on.
pub(crate) static SPANS: &Medium = &MEDIA[0];

pub(crate) const OWN: Address = hw(1);

/// Some host's IPv4 address.
pub(crate) const fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

/// Some host's link address.
pub(crate) const fn hw(last: u8) -> Address {
    Address::new([2, 0, 0, 0, 0, 0, 0, last])
}

/// The packet in which a host asks for, or answers, the first one.
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

/// An interface's table.
pub(crate) struct Rig {
    pub(crate) table: Table<Vec<Slot>, Vec<Bucket>>,
    pub(crate) now: u64,
    /// The next random number.
    pub(crate) random: u32,
}

impl Rig {
    /// One that is up.
    pub(crate) fn new() -> Self {
        Self::with(SETTINGS, SETTINGS.limit + 64, 19)
    }

    /// One that is up, with these settings and this room.
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

    /// The interface goes down, as the kernel has it: that forgets all neighbours.
    pub(crate) fn down(&mut self) {
        self.table.down();
        for entry in self.entries() {
            self.neighbour(entry.ip, Neighbour::Dead);
        }
        while self.table.flush_some(1, false) {}
    }

    /// The interface goes up. Answers what the kernel is told.
    pub(crate) fn up(&mut self) -> Vec<(Ipv4Addr, Address)> {
        self.table.up();
        self.restore()
    }

    /// Has the kernel know again what the user has set.
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

    /// A packet of a host.
    pub(crate) fn process(&mut self, ip: Ipv4Addr, address: Address, for_us: bool) -> RxOutcome {
        let ends = AddressInfo {
            sender: SenderType::Host,
            for_us,
        };
        self.hear_from(Operation::Reply, ip, address, ends)
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

    /// All that is due now.
    pub(crate) fn tick(&mut self) -> Vec<Due> {
        let mut due = Vec::new();
        let random = &mut self.random;
        let throw = || {
            *random = random.wrapping_add(1);
            *random
        };
        assert!(!self
            .table
            .tick(self.now, usize::MAX, throw, |it| due.push(it)));
        due
    }

    /// Lets time pass, with a timer that is set to when something is due, and answers
    /// what was due and when.
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

    /// All that the kernel is to be told.
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

    /// Nothing is known of it, and there is nothing to do or to tell about it.
    pub(crate) fn is_none(&mut self, ip: Ipv4Addr) -> bool {
        self.entry(ip).is_none()
            && self.table.lookup(ip).is_none()
            && self.next_update().iter().all(|(told, _)| *told != ip)
    }

    /// Makes an entry that is incomplete.
    pub(crate) fn incomplete(&mut self, ip: Ipv4Addr) {
        assert_eq!(self.resolve(ip), Resolution::Request);
        assert!(self.is_incomplete(ip));
    }

    pub(crate) fn is_incomplete(&self, ip: Ipv4Addr) -> bool {
        matches!(self.state(ip), Some(State::Incomplete { .. }))
    }

    /// Makes an entry that is valid, of which the kernel was told.
    pub(crate) fn valid(&mut self, ip: Ipv4Addr, address: Address) {
        self.incomplete(ip);
        assert_eq!(self.process(ip, address, true), RxOutcome::Resolved);
        assert_eq!(self.next_update(), [(ip, Update::Valid(address))]);
    }

    /// Makes an entry that is permanent.
    pub(crate) fn permanent(&mut self, ip: Ipv4Addr, address: Address) {
        self.neighbour(ip, Neighbour::Permanent(address));
        assert_eq!(self.state(ip), Some(State::Permanent));
    }

    /// Makes an entry that did not answer, of which the kernel was told.
    pub(crate) fn failed(&mut self, ip: Ipv4Addr) {
        self.incomplete(ip);
        // A sixteenth more than the longest wait for each try.
        for _ in 0..20 * u32::from(SETTINGS.tries) {
            if self.is_incomplete(ip) {
                self.pass(SETTINGS.retry / 16);
            }
        }
        assert_eq!(self.state(ip), Some(State::Failed));
        assert_eq!(self.next_update(), [(ip, Update::Failed)]);
    }

    /// Makes an entry that has ended, of which the kernel was not told. Whatever was
    /// valid before has ended, too.
    pub(crate) fn gone(&mut self, ip: Ipv4Addr, address: Address) {
        self.valid(ip, address);
        self.now += SETTINGS.lifetime;
        assert_eq!(self.tick(), []);
        assert_eq!(self.entry(ip), None);
    }
}
