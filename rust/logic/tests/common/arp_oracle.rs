// SPDX-License-Identifier: GPL-2.0

//! A model of the ARP table: a plain list that is searched from the beginning for everything. The
//! table is compared with it after each event. Where the table has lists, each entry of the model
//! has sequence numbers of its changes.

use spans_logic::{
    address::Address,
    arp::{
        config::Settings,
        event::{
            AddressInfo, Due, Neighbour, RemoveReason, Requester, Resolution, RxOutcome,
            SenderType, Update,
        },
        packet::{Host, Operation, Packet},
        slots::{Bucket, Store},
        table::{EntryInfo, Slot, State, Stats, Table},
    },
};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// Number of hosts: few, so that events often concern the same one.
const HOSTS: u8 = 12;
/// Number of link addresses: few, so that hosts often keep theirs.
const ADDRESSES: u8 = 3;
/// In nanoseconds, and a multiple of 16, so that sixteenths are exact.
const UNIT: u64 = 1600;

fn host(byte: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, byte % HOSTS)
}

fn address(byte: u8) -> Address {
    Address::new([2, 0, 0, 0, 0, 0, 0, byte % ADDRESSES])
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Resolve(Ipv4Addr, u32),
    Used(Ipv4Addr, u32),
    Process(Packet, AddressInfo),
    Neighbour(Ipv4Addr, Neighbour),
    Up,
    Restore,
    RetryFailed(usize),
    CarrierOn,
    Grow(usize),
    InUse(Ipv4Addr),
    Evict(Ipv4Addr),
    Down,
    FlushSome(usize, bool),
    /// Budget, and seed of the random numbers.
    Tick(usize, u32),
    /// Number of updates, and whether the kernel reports each one back.
    NextUpdate(u8, bool),
    Pass(u64),
    /// Advances the clock to the next timeout.
    PassToTimeout,
    Set(Settings),
}

/// Number of bytes in an encoded event.
pub(crate) const EVENT_LEN: usize = 4;

impl Event {
    /// Decodes an event. All bytes are valid.
    pub(crate) fn new([kind, index, what, more]: [u8; EVENT_LEN]) -> Self {
        let ip = host(index);
        match kind % 32 {
            0..=5 => Self::Resolve(ip, u32::from(what)),
            6 => Self::Used(ip, u32::from(what)),
            7..=12 => {
                let operation = if more & 1 == 0 {
                    Operation::Request
                } else {
                    Operation::Reply
                };
                let sender = match more >> 4 {
                    0 => SenderType::Own,
                    1 => SenderType::Invalid,
                    _ => SenderType::Host,
                };
                let ends = AddressInfo {
                    sender,
                    for_us: more & 2 == 0,
                };
                let packet = Packet {
                    operation,
                    sender: Host {
                        ip,
                        hardware: address(what),
                    },
                    target: Host {
                        ip: host(more),
                        hardware: address(more),
                    },
                };
                Self::Process(packet, ends)
            }
            13..=17 => {
                let neighbour = match what % 10 {
                    0 => Neighbour::Permanent(address(more)),
                    1 | 2 => Neighbour::Reachable(address(more)),
                    8 => Neighbour::Stale(address(more)),
                    9 => Neighbour::Probing(address(more)),
                    3 => Neighbour::Unresolved,
                    4 | 5 => Neighbour::Failed,
                    _ => Neighbour::Dead,
                };
                Self::Neighbour(ip, neighbour)
            }
            18 => Self::Up,
            // Rare, as little can be tested while down.
            19 if what < 64 => Self::Down,
            19 if what < 96 => Self::Up,
            19 if what < 160 => Self::Restore,
            19 if what < 200 => Self::RetryFailed(usize::from(more % 4)),
            19 if what < 220 => Self::CarrierOn,
            19 => Self::Grow(usize::from(more % 4)),
            20 => Self::FlushSome(usize::from(what % 8), more % 4 == 0),
            21..=23 => {
                let budget = if what % 4 == 0 {
                    usize::from(what / 4 % 5)
                } else {
                    usize::MAX
                };
                Self::Tick(budget, u32::from(more))
            }
            24 => Self::Pass(UNIT / 16 * u64::from(what)),
            25 => Self::Pass(UNIT * u64::from(what)),
            26 | 27 => Self::PassToTimeout,
            28 => Self::Set(settings([what, more])),
            30 if what < 32 => Self::Evict(ip),
            30 if what < 64 => Self::InUse(ip),
            _ => Self::NextUpdate(what % 8, more % 2 == 0),
        }
    }
}

fn settings([one, two]: [u8; 2]) -> Settings {
    let pick = |of: [u64; 4], by: u8| of[usize::from(by % 4)];
    Settings {
        lifetime: UNIT * pick([40, 20, 4, 0], one),
        tick: UNIT * pick([1, 2, 100, 0], one / 4),
        retry: UNIT * pick([1, 2, 3, 5], one / 16),
        tries: [3, 1, 5, 0][usize::from(one / 64)],
        hold: UNIT * pick([8, 1, 30, 0], two),
        limit: usize::from(two / 4 % 9),
    }
}

#[derive(Clone, Copy, Debug)]
struct Plain {
    ip: Ipv4Addr,
    is: Is,
    since: u64,
    /// Sequence number of the last change of state.
    order: u64,
    /// Sequence number of the time when it became unsolicited.
    unsolicited: Option<u64>,
    /// Sequence number of the time when it became valid with traffic, or of the last use.
    sent: Option<u64>,
    /// Sequence number of the second request.
    unanswered: Option<u64>,
    /// Sequence number of the pending update.
    update: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Incomplete { tries: u8, pace: u8 },
    Valid { at: Address, expiring: bool },
    Failed,
    Unverified { at: Address },
    Permanent { at: Address, unrestored: bool },
    Removed(RemoveReason),
}

impl Plain {
    fn is_removed(&self) -> bool {
        matches!(self.is, Is::Removed(_))
    }

    fn address(&self) -> Option<Address> {
        match self.is {
            Is::Valid { at, .. } | Is::Unverified { at } | Is::Permanent { at, .. } => Some(at),
            _ => None,
        }
    }

    fn valid_address(&self) -> Option<Address> {
        self.address()
            .filter(|_| !matches!(self.is, Is::Unverified { .. }))
    }
}

/// The actions of a tick, in the order in which they are performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Retry(u8),
    Verify,
    Expire,
    ExpireUnverified,
    EndHoldDown,
}

#[derive(Debug)]
pub(crate) struct Oracle {
    list: Vec<Plain>,
    slots: usize,
    settings: Settings,
    stats: Stats,
    up: bool,
    carrier_since: u64,
    /// The last sequence number.
    clock: u64,
    last_update: Option<Ipv4Addr>,
}

impl Oracle {
    fn new(slots: usize, settings: Settings) -> Self {
        Self {
            list: Vec::new(),
            slots,
            settings,
            stats: Stats::default(),
            up: false,
            carrier_since: 0,
            clock: 0,
            last_update: None,
        }
    }

    fn next(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn position(&self, ip: Ipv4Addr) -> Option<usize> {
        self.list
            .iter()
            .position(|it| it.ip == ip && !it.is_removed())
    }

    fn become_(&mut self, at: usize, is: Is, since: u64) {
        let order = self.next();
        let it = &mut self.list[at];
        (it.is, it.since, it.order) = (is, since, order);
        if matches!(is, Is::Incomplete { .. } | Is::Unverified { .. }) {
            it.update = None;
        }
        let twice = matches!(is, Is::Incomplete { tries, .. } if tries > 1);
        it.unanswered = twice.then(|| it.unanswered.unwrap_or(order));
        if matches!(is, Is::Unverified { .. }) {
            it.unsolicited.get_or_insert(order);
        } else if !matches!(is, Is::Valid { .. }) {
            it.unsolicited = None;
        }
    }

    fn confirm(&mut self, at: usize, address: Address, now: u64) {
        let is = Is::Valid {
            at: address,
            expiring: false,
        };
        self.become_(at, is, now);
    }

    /// Sets an address from the kernel, confirmed or not.
    fn set_resolved(&mut self, at: usize, address: Address, unverified: bool, now: u64) {
        if unverified {
            self.become_(at, Is::Unverified { at: address }, now);
        } else {
            self.confirm(at, address, now);
            self.list[at].unsolicited = None;
        }
    }

    fn lock(&mut self, at: usize) {
        let order = self.next();
        self.list[at].update.get_or_insert(order);
    }

    fn mark_removed(&mut self, at: usize, end: RemoveReason) {
        self.become_(at, Is::Removed(end), 0);
        self.lock(at);
    }

    fn len(&self) -> usize {
        self.list.iter().filter(|it| !it.is_removed()).count()
    }

    fn oldest(&self, which: impl Fn(&Plain) -> bool) -> Option<usize> {
        (0..self.list.len())
            .filter(|at| which(&self.list[*at]))
            .min_by_key(|at| self.list[*at].order)
    }

    fn oldest_unsolicited(&self) -> Option<usize> {
        (0..self.list.len())
            .filter(|at| self.list[*at].unsolicited.is_some())
            .min_by_key(|at| self.list[*at].unsolicited)
    }

    /// Returns the first incomplete entry of the shortest timeout.
    fn oldest_incomplete(&self) -> Option<usize> {
        (0..4).find_map(|wanted| {
            self.oldest(|it| matches!(it.is, Is::Incomplete { pace, .. } if pace == wanted))
        })
    }

    fn oldest_valid(&self) -> Option<usize> {
        let known = |wanted: bool| {
            self.oldest(|it| matches!(it.is, Is::Valid { expiring, .. } if expiring == wanted))
        };
        known(true).or(known(false))
    }

    /// Returns the first entry that was requested twice.
    fn oldest_unanswered(&self) -> Option<usize> {
        (0..self.list.len())
            .filter(|at| self.list[*at].unanswered.is_some())
            .min_by_key(|at| self.list[*at].unanswered)
    }

    fn victim(&self, for_packet: bool, for_user: bool) -> Option<usize> {
        let mut victim = self.oldest_unsolicited();
        if for_packet || for_user {
            victim = victim
                .or(self.oldest(|it| it.is == Is::Failed))
                .or(self.oldest_unanswered());
        }
        if for_user {
            victim = victim.or(self.oldest_incomplete()).or(self.oldest_valid());
        }
        victim
    }

    fn has_slot(&self, ip: Ipv4Addr) -> bool {
        self.list.len() < self.slots || self.list.iter().any(|it| it.ip == ip)
    }

    fn has_room(&self, ip: Ipv4Addr) -> bool {
        self.position(ip).is_some()
            || self.has_slot(ip)
                && (self.len() < self.settings.limit || self.victim(true, false).is_some())
    }

    /// Returns the index of the entry of an address, which is created as removed if there is none.
    fn make(&mut self, ip: Ipv4Addr, for_packet: bool, for_user: bool) -> Option<usize> {
        let full = self.len() >= self.settings.limit;
        let victim = self.victim(for_packet, for_user);
        if !self.has_slot(ip) || full && victim.is_none() {
            self.stats.refused += 1;
            return None;
        }
        if full {
            self.stats.evicted += 1;
            let requester = match (for_packet, for_user) {
                (_, true) => Requester::User,
                (true, _) => Requester::Packet,
                _ => Requester::Unsolicited,
            };
            self.mark_removed(victim.unwrap(), RemoveReason::Evicted(requester));
        }
        if let Some(at) = self.list.iter().position(|it| it.ip == ip) {
            return Some(at);
        }
        self.list.push(Plain {
            ip,
            is: Is::Removed(RemoveReason::Expired),
            since: 0,
            order: 0,
            unsolicited: None,
            sent: None,
            unanswered: None,
            update: None,
        });
        Some(self.list.len() - 1)
    }

    fn request(&mut self, at: usize, tries: u8, now: u64, random: u32) {
        self.stats.requests += 1;
        let pace = (random % 4) as u8;
        self.become_(at, Is::Incomplete { tries, pace }, now);
    }

    fn resolve(&mut self, ip: Ipv4Addr, now: u64, random: u32) -> Resolution {
        if !self.up {
            return Resolution::NoRoom;
        }
        let Some(at) = self.position(ip) else {
            let Some(at) = self.make(ip, true, false) else {
                return Resolution::NoRoom;
            };
            self.request(at, 1, now, random);
            return Resolution::Request;
        };
        let age = now - self.list[at].since;
        match self.list[at].is {
            Is::Incomplete { .. } => Resolution::Wait,
            Is::Valid { .. } if age >= self.settings.lifetime => {
                self.stats.expired += 1;
                self.request(at, 1, now, random);
                Resolution::Request
            }
            Is::Valid { .. }
            | Is::Permanent {
                unrestored: true, ..
            } => {
                let ending = self.first_use(at);
                self.lock(at);
                ending.map_or(Resolution::Known, Resolution::Verify)
            }
            Is::Permanent { .. } | Is::Unverified { .. } => {
                self.request(at, 1, now, random);
                Resolution::Request
            }
            Is::Failed if age >= self.settings.hold => {
                self.request(at, 1, now, random);
                Resolution::Request
            }
            Is::Failed => {
                self.lock(at);
                Resolution::HeldDown
            }
            Is::Removed(_) => unreachable!(),
        }
    }

    fn first_use(&mut self, at: usize) -> Option<Address> {
        let unsolicited = self.list[at].unsolicited.take().is_some();
        match self.list[at].is {
            Is::Valid { at, expiring: true } if unsolicited => Some(at),
            _ => None,
        }
    }

    fn used(&mut self, ip: Ipv4Addr, now: u64, random: u32) -> Option<Due> {
        let at = self.position(ip).filter(|_| self.up)?;
        let unverified = matches!(self.list[at].is, Is::Unverified { .. });
        if unverified {
            self.request(at, 1, now, random);
            return Some(Due::Request(ip));
        }
        Some(Due::Verify(ip, self.first_use(at)?))
    }

    fn process(&mut self, packet: &Packet, ends: AddressInfo, now: u64) -> RxOutcome {
        let (ip, address) = (packet.sender.ip, packet.sender.hardware);
        if !self.up || ends.sender == SenderType::Invalid {
            return RxOutcome::Ignored;
        }
        if ends.sender == SenderType::Own {
            self.stats.duplicates += 1;
            let asked = packet.operation == Operation::Request;
            return RxOutcome::Duplicate { asked };
        }
        let Some(at) = self.position(ip) else {
            if !ends.for_us || packet.operation == Operation::Reply {
                return RxOutcome::Ignored;
            }
            let Some(at) = self.make(ip, false, false) else {
                return RxOutcome::NoRoom;
            };
            self.stats.learned += 1;
            self.confirm(at, address, now);
            self.list[at].unsolicited = Some(self.clock);
            self.lock(at);
            return RxOutcome::New;
        };
        let outcome = match self.list[at].is {
            Is::Permanent { .. } => return RxOutcome::Permanent,
            Is::Valid { at: from, .. } | Is::Unverified { at: from } if from == address => {
                RxOutcome::Confirmed
            }
            Is::Valid { at: from, .. } | Is::Unverified { at: from } => RxOutcome::Changed { from },
            _ => RxOutcome::Resolved,
        };
        self.confirm(at, address, now);
        match outcome {
            RxOutcome::Changed { .. } => self.stats.changed += 1,
            RxOutcome::Resolved => self.stats.resolved += 1,
            _ => {
                if self.list[at].unsolicited.is_some() {
                    self.list[at].unsolicited = Some(self.clock);
                }
                return outcome;
            }
        }
        self.lock(at);
        outcome
    }

    fn neighbour(&mut self, ip: Ipv4Addr, neighbour: Neighbour, now: u64) {
        let found = self.position(ip);
        let locked = found.is_some_and(|at| self.list[at].update.is_some());
        let is = found.map(|at| self.list[at].is);
        let reachable = matches!(neighbour, Neighbour::Reachable(_));
        // Whether the entry is permanent, and then whether the kernel has the neighbour.
        let set = match is {
            Some(Is::Permanent { unrestored, .. }) => Some(!unrestored),
            _ => None,
        };
        match neighbour {
            Neighbour::Reachable(address)
            | Neighbour::Stale(address)
            | Neighbour::Probing(address)
                if set.is_some() =>
            {
                let at = found.unwrap();
                let other = self.list[at].address() != Some(address);
                if set == Some(true) || other && !self.up {
                    self.set_resolved(at, address, !reachable, now);
                } else if other {
                    self.lock(at);
                }
            }
            Neighbour::Permanent(address) => {
                if let Some(at) = found.or_else(|| self.make(ip, false, true)) {
                    let is = Is::Permanent {
                        at: address,
                        unrestored: false,
                    };
                    self.become_(at, is, now);
                }
            }
            Neighbour::Reachable(address) => {
                let same = matches!(is, Some(Is::Valid { at, .. }) if at == address);
                if let Some(at) = found.filter(|_| !locked && same) {
                    self.list[at].unsolicited = None;
                }
                if !locked && !same {
                    if let Some(at) = found.or_else(|| self.make(ip, true, false)) {
                        self.set_resolved(at, address, false, now);
                    }
                }
            }
            Neighbour::Stale(address) | Neighbour::Probing(address) => match found {
                None => {
                    if let Some(at) = self.make(ip, false, false) {
                        self.set_resolved(at, address, true, now);
                    }
                }
                Some(at) => {
                    let same = self.list[at].address() == Some(address);
                    let asked = matches!(is, Some(Is::Incomplete { .. }));
                    if !locked && !same && !asked {
                        self.set_resolved(at, address, true, now);
                    }
                }
            },
            Neighbour::Unresolved => {
                if set == Some(true) {
                    self.remove(ip);
                }
            }
            Neighbour::Failed => {
                let goes = match is {
                    None | Some(Is::Failed) => false,
                    Some(Is::Permanent {
                        unrestored: false, ..
                    }) => true,
                    _ => self.last_update != Some(ip),
                };
                if goes {
                    self.remove(ip);
                }
            }
            Neighbour::Dead => match is {
                Some(Is::Incomplete { .. } | Is::Failed | Is::Unverified { .. }) => self.remove(ip),
                Some(Is::Permanent { at, .. }) if set == Some(true) => {
                    let it = found.unwrap();
                    let unrestored = Is::Permanent {
                        at,
                        unrestored: true,
                    };
                    self.become_(it, unrestored, self.list[it].since);
                }
                _ => {}
            },
        }
    }

    fn remove(&mut self, ip: Ipv4Addr) {
        self.list.retain(|it| it.ip != ip);
    }

    fn next_unrestored(&self) -> Option<usize> {
        self.oldest(|it| {
            matches!(
                it.is,
                Is::Permanent {
                    unrestored: true,
                    ..
                }
            )
        })
    }

    fn restore(&mut self) -> Option<(Ipv4Addr, Address)> {
        let it = self.next_unrestored()?;
        let (ip, at, since) = (
            self.list[it].ip,
            self.list[it].address()?,
            self.list[it].since,
        );
        let is = Is::Permanent {
            at,
            unrestored: false,
        };
        self.become_(it, is, since);
        Some((ip, at))
    }

    fn retry_failed(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            match self.oldest(|it| it.is == Is::Failed) {
                Some(at) => self.mark_removed(at, RemoveReason::RetryAllowed),
                None => return false,
            }
        }
        true
    }

    fn is_sent_to(it: &Plain) -> bool {
        matches!(it.is, Is::Valid { .. }) && it.unsolicited.is_none()
    }

    /// Updates `sent` after each event, which can change it for one entry at most.
    fn note_use(&mut self) {
        for at in 0..self.list.len() {
            let sent = Self::is_sent_to(&self.list[at]);
            let order = self.next();
            let noted = &mut self.list[at].sent;
            *noted = sent.then(|| noted.unwrap_or(order));
        }
    }

    fn least_recently_used(&self) -> Vec<Ipv4Addr> {
        let mut sent: Vec<_> = self.list.iter().filter(|it| Self::is_sent_to(it)).collect();
        sent.sort_by_key(|it| it.sent);
        sent.iter().map(|it| it.ip).collect()
    }

    fn evict(&mut self, ip: Ipv4Addr) -> bool {
        let at = self
            .position(ip)
            .filter(|at| Self::is_sent_to(&self.list[*at]));
        if let Some(at) = at {
            self.stats.evicted += 1;
            self.mark_removed(at, RemoveReason::Evicted(Requester::Packet));
        }
        at.is_some()
    }

    fn flush_some(&mut self, budget: usize, all: bool) -> bool {
        let goes = |it: &Plain| !it.is_removed() && (all || !matches!(it.is, Is::Permanent { .. }));
        for _ in 0..budget {
            let first = self
                .oldest_incomplete()
                .or(self.oldest(|it| {
                    matches!(
                        it.is,
                        Is::Valid {
                            expiring: false,
                            ..
                        }
                    )
                }))
                .or(self.oldest_valid())
                .or(self.oldest(|it| matches!(it.is, Is::Unverified { .. })))
                .or(self.oldest(|it| it.is == Is::Failed))
                .or(self.oldest(|it| {
                    goes(it)
                        && !matches!(
                            it.is,
                            Is::Permanent {
                                unrestored: true,
                                ..
                            }
                        )
                }))
                .or(self.next_unrestored().filter(|_| all));
            match first {
                Some(at) => drop(self.list.remove(at)),
                None => return false,
            }
        }
        self.list.iter().any(goes)
    }

    /// Returns the next action for an entry, and its time.
    fn turn(&self, it: &Plain) -> Option<(u64, Turn)> {
        let settings = &self.settings;
        let (after, turn) = match it.is {
            Is::Incomplete { pace, .. } if it.since < self.carrier_since => (0, Turn::Retry(pace)),
            Is::Incomplete { pace, .. } => (
                settings.retry / 16 * (13 + 2 * u64::from(pace)),
                Turn::Retry(pace),
            ),
            Is::Valid {
                expiring: false, ..
            } => (
                settings.lifetime - settings.tick.min(settings.lifetime / 4),
                Turn::Verify,
            ),
            Is::Valid { .. } => (settings.lifetime, Turn::Expire),
            Is::Unverified { .. } => (settings.lifetime, Turn::ExpireUnverified),
            Is::Failed => (settings.hold, Turn::EndHoldDown),
            Is::Permanent { .. } | Is::Removed(_) => return None,
        };
        Some((it.since + after, turn))
    }

    fn next_timeout(&self) -> Option<u64> {
        let turns = self.list.iter().filter_map(|it| self.turn(it));
        turns.map(|(at, _)| at).min().filter(|_| self.up)
    }

    fn tick(
        &mut self,
        now: u64,
        budget: usize,
        mut random: impl FnMut() -> u32,
    ) -> (bool, Vec<Due>) {
        let mut out = Vec::new();
        let mut done = 0;
        while self.up {
            let due = (0..self.list.len())
                .filter_map(|at| Some((at, self.turn(&self.list[at])?)))
                .filter(|(_, (when, _))| *when <= now)
                .map(|(at, (_, turn))| (turn, self.list[at].order, at))
                .min();
            let Some((_, _, at)) = due else {
                break;
            };
            if done == budget {
                return (true, out);
            }
            done += 1;
            let Plain {
                ip,
                is,
                since,
                unsolicited,
                ..
            } = self.list[at];
            match is {
                Is::Incomplete { .. } if since < self.carrier_since => {
                    self.request(at, 1, now, random());
                    out.push(Due::Request(ip));
                }
                Is::Incomplete { tries, .. } if tries < self.settings.tries => {
                    self.request(at, tries + 1, now, random());
                    out.push(Due::Request(ip));
                }
                Is::Incomplete { .. } => {
                    self.stats.failed += 1;
                    self.become_(at, Is::Failed, now);
                    self.lock(at);
                }
                Is::Valid {
                    at: address,
                    expiring: false,
                } => {
                    let is = Is::Valid {
                        at: address,
                        expiring: true,
                    };
                    self.become_(at, is, since);
                    if unsolicited.is_none() && now - since < self.settings.lifetime {
                        out.push(Due::Verify(ip, address));
                    }
                }
                Is::Valid { .. } | Is::Unverified { .. } => {
                    self.stats.expired += 1;
                    self.mark_removed(at, RemoveReason::Expired);
                }
                Is::Failed => self.mark_removed(at, RemoveReason::RetryAllowed),
                Is::Permanent { .. } | Is::Removed(_) => unreachable!(),
            }
        }
        (false, out)
    }

    fn next_update(&mut self) -> Option<(Ipv4Addr, Update)> {
        self.last_update = None;
        let at = (0..self.list.len())
            .filter(|at| self.list[*at].update.is_some())
            .min_by_key(|at| self.list[*at].update)?;
        self.list[at].update = None;
        let Plain {
            ip,
            is,
            unsolicited,
            ..
        } = self.list[at];
        let update = match is {
            Is::Valid { at, .. } if unsolicited.is_some() => Update::Learned(at),
            Is::Valid { at, .. } | Is::Permanent { at, .. } => Update::Valid(at),
            Is::Failed => Update::Failed,
            Is::Removed(end) => Update::Removed(end),
            Is::Incomplete { .. } | Is::Unverified { .. } => unreachable!(),
        };
        if matches!(is, Is::Failed | Is::Removed(_)) {
            self.last_update = Some(ip);
        }
        if matches!(is, Is::Removed(_)) {
            self.list.remove(at);
        }
        Some((ip, update))
    }

    fn entries(&self, now: u64) -> BTreeMap<Ipv4Addr, EntryInfo> {
        self.list
            .iter()
            .filter(|it| !it.is_removed())
            .map(|it| {
                let state = match it.is {
                    Is::Incomplete { tries, pace } => State::Incomplete { tries, pace },
                    Is::Valid { expiring: true, .. } => State::Expiring,
                    Is::Valid { .. } => State::Valid,
                    Is::Failed => State::Failed,
                    Is::Unverified { .. } => State::Unverified,
                    Is::Permanent { unrestored, .. } if unrestored => State::Unrestored,
                    Is::Permanent { .. } => State::Permanent,
                    Is::Removed(_) => unreachable!(),
                };
                let entry = EntryInfo {
                    ip: it.ip,
                    address: it.address(),
                    state,
                    locked: it.update.is_some(),
                    unsolicited: it.unsolicited.is_some(),
                    age: now - it.since,
                };
                (it.ip, entry)
            })
            .collect()
    }
}

/// Returns random numbers, the same sequence for the table and the model.
fn random(seed: u32) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        state >> 16
    }
}

/// A store that grows a few slots at a time.
pub(crate) struct Pieces {
    slots: Vec<Slot>,
    max: usize,
    /// Number of slots for which there is memory.
    pub(crate) memory: usize,
}

const PIECE: usize = 3;

impl Pieces {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            slots: Vec::new(),
            max,
            memory: usize::MAX,
        }
    }
}

impl Store<State> for Pieces {
    fn get(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.slots.get_mut(index)
    }

    fn count(&self) -> usize {
        self.slots.len()
    }

    fn max_count(&self) -> usize {
        self.max
    }

    fn extend(&mut self) {
        let len = self.max.min(self.memory).min(self.slots.len() + PIECE);
        self.slots.resize_with(len, Slot::default);
    }

    fn take_from(&mut self, other: &mut Self) {
        self.slots = std::mem::take(&mut other.slots);
    }
}

/// A table and its model, which get the same events.
pub(crate) struct Pair {
    table: Table<Pieces, Vec<Bucket>>,
    oracle: Oracle,
    now: u64,
    entries: BTreeMap<Ipv4Addr, EntryInfo>,
}

impl Pair {
    /// Decodes the sizes and settings of a table that is up.
    pub(crate) fn new([room, one, two]: [u8; 3]) -> Self {
        let settings = settings([one, two]);
        // Usually enough; otherwise removed entries can use up all slots.
        let slots = settings.limit + usize::from(room % 8);
        let buckets = 1 + usize::from(room / 8 % 8);
        let mut pair = Self {
            table: Table::new(
                Pieces::new(slots),
                vec![Bucket::default(); buckets],
                u32::from(room).wrapping_mul(0x0101_6b35),
                settings,
            ),
            oracle: Oracle::new(slots, settings),
            now: 0,
            entries: BTreeMap::new(),
        };
        pair.happen(Event::Up);
        pair
    }

    /// Passes an event to both, and compares the results.
    pub(crate) fn happen(&mut self, event: Event) {
        let len = self.table.len();
        let now = self.now;
        let (table, oracle) = (&mut self.table, &mut self.oracle);
        match event {
            Event::Resolve(ip, random) => {
                let room = table.has_room(ip);
                let up = oracle.up;
                let got = table.resolve(ip, now, random);
                assert_eq!(got, oracle.resolve(ip, now, random));
                // `has_room()` predicts the result.
                assert_eq!(got != Resolution::NoRoom, room && up);
            }
            Event::Used(ip, random) => {
                assert_eq!(table.used(ip, now, random), oracle.used(ip, now, random));
            }
            Event::Process(packet, ends) => assert_eq!(
                table.process(&packet, ends, now),
                oracle.process(&packet, ends, now)
            ),
            Event::Neighbour(ip, neighbour) => {
                table.neighbour(ip, neighbour, now);
                oracle.neighbour(ip, neighbour, now);
            }
            Event::Up => {
                table.up();
                oracle.up = true;
            }
            Event::Restore => {
                let unrestored = table.next_unrestored();
                assert_eq!(unrestored, oracle.restore());
                if let Some((ip, _)) = unrestored {
                    table.restored(ip);
                }
            }
            Event::RetryFailed(budget) => {
                assert_eq!(table.retry_failed(budget), oracle.retry_failed(budget));
            }
            Event::CarrierOn => {
                table.carrier_on(now);
                oracle.carrier_since = now;
            }
            Event::Grow(more) => {
                let slots = table.max_len() + more;
                let old = table.grow(Pieces::new(slots), vec![Bucket::default(); slots / 2 + 1]);
                assert_eq!((old.0.count(), old.0.max), (0, slots - more));
                oracle.slots = slots;
                assert_eq!(table.max_len(), slots);
            }
            Event::InUse(ip) => {
                table.in_use(ip);
                if let Some(at) = oracle.position(ip) {
                    oracle.list[at].sent = None;
                }
            }
            Event::Evict(ip) => assert_eq!(table.evict(ip), oracle.evict(ip)),
            Event::Down => {
                table.down();
                oracle.up = false;
            }
            Event::FlushSome(budget, all) => {
                assert_eq!(
                    table.flush_some(budget, all),
                    oracle.flush_some(budget, all)
                );
            }
            Event::Tick(budget, seed) => {
                let mut due = Vec::new();
                let more = table.tick(now, budget, random(seed), |it| due.push(it));
                assert_eq!((more, due), oracle.tick(now, budget, random(seed)));
                // The timer must not fire again at once.
                assert!(more || self.table.next_timeout().is_none_or(|next| next > now));
            }
            Event::NextUpdate(count, echo) => {
                for _ in 0..count {
                    self.next_update(echo);
                }
            }
            Event::Pass(time) => self.now += time,
            Event::PassToTimeout => {
                if let Some(next) = table.next_timeout() {
                    self.now = now.max(next);
                }
            }
            Event::Set(settings) => {
                table.set(settings);
                oracle.settings = settings;
                assert_eq!(table.settings(), settings);
            }
        }
        self.oracle.note_use();
        self.check(event, len);
    }

    /// Takes one update, and lets the kernel report it back.
    fn next_update(&mut self, echo: bool) {
        let update = self.table.next_update();
        assert_eq!(update, self.oracle.next_update());
        let Some((ip, update)) = update else {
            return;
        };
        // Only locked entries have an update, once.
        match self.entries.get(&ip) {
            Some(entry) => assert!(entry.locked),
            None => assert!(matches!(update, Update::Removed(_))),
        }
        let before = self.collect();
        assert!(before.get(&ip).is_none_or(|entry| !entry.locked));
        if echo {
            let neighbour = match update {
                Update::Valid(address) => Neighbour::Reachable(address),
                Update::Learned(address) => Neighbour::Stale(address),
                Update::Failed | Update::Removed(_) => Neighbour::Failed,
            };
            // The kernel does not change a permanent neighbour.
            if self
                .entries
                .get(&ip)
                .is_some_and(|entry| entry.state == State::Permanent)
            {
                self.entries = before;
                return;
            }
            self.table.neighbour(ip, neighbour, self.now);
            self.oracle.neighbour(ip, neighbour, self.now);
            // The report of an update changes nothing.
            assert_eq!(self.collect(), before);
        }
        self.entries = self.collect();
    }

    /// Returns the entries, and checks that none occurs twice.
    fn collect(&self) -> BTreeMap<Ipv4Addr, EntryInfo> {
        let entries = self.table.entries(0, self.table.capacity(), self.now);
        let mut all = BTreeMap::new();
        for entry in entries {
            assert_eq!(all.insert(entry.ip, entry), None, "twice");
        }
        all
    }

    fn check(&mut self, event: Event, len: usize) {
        let (table, oracle) = (&self.table, &self.oracle);
        let entries = self.collect();
        assert_eq!(entries, oracle.entries(self.now));
        assert_eq!(table.len(), entries.len());
        assert_eq!(table.len(), oracle.len());
        assert_eq!(table.is_empty(), entries.is_empty());
        assert_eq!(table.stats(), oracle.stats);
        assert_eq!(table.next_timeout(), oracle.next_timeout());
        let used: Vec<_> = table.least_recently_used(usize::MAX).collect();
        assert_eq!(used, oracle.least_recently_used());
        for last in 0..HOSTS {
            let ip = host(last);
            let wanted = oracle
                .position(ip)
                .and_then(|at| oracle.list[at].valid_address());
            assert_eq!(table.lookup(ip), wanted);
            assert_eq!(table.has_room(ip), oracle.has_room(ip));
        }

        // Invariants without the model. A lower limit evicts nothing, but admits nothing.
        assert!(table.len() <= table.settings().limit.max(len));
        for (ip, before) in &self.entries {
            let by_user = match event {
                Event::Neighbour(changed, _) | Event::Resolve(changed, _) => changed == *ip,
                Event::FlushSome(_, all) => all,
                _ => false,
            };
            let set =
                |entry: &EntryInfo| matches!(entry.state, State::Permanent | State::Unrestored);
            if set(before) && !by_user {
                let after = entries.get(ip);
                assert!(after.is_some_and(|after| set(after) && after.address == before.address));
            }
        }
        for entry in entries.values() {
            match entry.state {
                State::Incomplete { tries, .. } => assert!(tries > 0 && !entry.locked),
                State::Failed => {}
                State::Unverified => {
                    assert!(entry.address.is_some() && entry.unsolicited && !entry.locked)
                }
                State::Valid | State::Expiring | State::Permanent | State::Unrestored => {
                    assert!(entry.address.is_some());
                }
                State::Removed(_) => panic!("{entry:?}"),
            }
            // Only valid, expiring and unverified entries are unsolicited.
            assert!(
                !entry.unsolicited
                    || matches!(
                        entry.state,
                        State::Valid | State::Expiring | State::Unverified
                    )
            );
        }
        self.entries = entries;
    }

    /// Takes all updates and flushes all entries: the table is empty and no slot is leaked.
    pub(crate) fn end(mut self) {
        self.happen(Event::NextUpdate(u8::MAX, true));
        assert_eq!(self.table.next_update(), None);
        self.happen(Event::Down);
        self.happen(Event::FlushSome(usize::MAX, true));
        self.happen(Event::Up);
        assert!(self.table.is_empty());
        assert_eq!(self.table.next_update(), None);
        assert_eq!(self.table.next_timeout(), None);
        self.happen(Event::Set(Settings {
            limit: usize::MAX,
            ..self.table.settings()
        }));
        for number in 0..self.table.max_len() as u32 {
            self.happen(Event::Resolve(Ipv4Addr::from(number), number));
        }
        assert_eq!(self.table.len(), self.table.max_len());
        assert_eq!(self.table.len(), self.table.capacity());
    }
}
