// SPDX-License-Identifier: GPL-2.0

//! The table of one interface.
//!
//! The states are those of the ancestor (FreeBSD `spans_arp.c`), and a hold-down of
//! Net/3 (`arpresolve()`: after five tries hosts are left alone for 20 seconds):
//!
//! ```text
//!            resolve                    no answer, `tries` times
//!   (none) ----------> Incomplete -------------------------------> Failed
//!     |  ^                 |  heard of                               | | `hold` is over,
//!     |  |                 v                                         | | or deleted
//!     |  +------------- Valid <--------------------------------------+ +---> (none)
//!     |   `lifetime`,      ^                 heard of
//!     |   or deleted       |
//!     +--------------------+
//!       heard of, and it asked for us
//!
//!   Permanent: from and to anything by the user only
//! ```
//!
//! What the ancestor calls waiters are the neighbours of the kernel: one that is
//! incomplete holds packets back and has asked us with [`Table::resolve`]. Whatever it
//! has to be told is in [`Table::tell`], in order and one at a time; an entry for
//! which there is something to tell is locked, as the ancestor's `SAF_LOCKED`: it does
//! not go before that is told.
//!
//! Nothing is looked for when time passes: entries wait in queues in which all wait
//! equally long.

use super::{
    packet::{Operation, Packet},
    slots::{Bucket, Chain, Entry, Place, Queue, Slots},
};
use crate::address::Address;
use core::{net::Ipv4Addr, ops::DerefMut};

/// What the user can set, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long an entry is believed after it was heard of last.
    pub lifetime: u64,
    /// How long before its end an entry that is in use is asked for again, at most.
    pub tick: u64,
    /// Between two requests, on average.
    pub retry: u64,
    /// Requests before it is given up.
    pub tries: u8,
    /// How long nobody is asked who did not answer.
    pub hold: u64,
    /// Entries.
    pub limit: usize,
}

impl Settings {
    /// How long before its end an entry is looked at.
    fn lead(&self) -> u64 {
        self.tick.min(self.lifetime / 4)
    }

    /// How long an entry may not have been used and count as in use all the same.
    pub fn idle(&self) -> u64 {
        self.lifetime / 4
    }
}

/// Slots beyond the limit, for entries that are gone and about which the neighbour
/// framework was not told yet.
pub const SPARE_SLOTS: usize = 64;

/// In how many queues entries wait for an answer, in each for another time: hosts
/// that were asked at once are not asked again at once.
const PACES: usize = 4;

/// How an entry is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked for, not answered.
    Incomplete {
        /// Requests that were sent.
        tries: u8,
        /// The queue it waits in.
        pace: u8,
    },
    /// Believed.
    Valid,
    /// Believed, but not much longer.
    Ending,
    /// Did not answer.
    Failed,
    /// Set by the user: believed for good.
    Permanent,
    /// Not there any more, and the neighbour framework does not know yet.
    Gone,
}

impl State {
    /// Whether there is an address to send to: `SAF_VALID`.
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Valid | Self::Ending | Self::Permanent)
    }
}

/// Room for an entry.
pub type Slot = super::slots::Slot<State>;

/// The queues in which entries grow old.
#[derive(Debug)]
struct Queues {
    asking: [Queue; PACES],
    valid: Queue,
    ending: Queue,
    failed: Queue,
    permanent: Queue,
}

impl Queues {
    fn of(&mut self, state: State) -> Option<&mut Queue> {
        match state {
            State::Incomplete { pace, .. } => self.asking.get_mut(usize::from(pace)),
            State::Valid => Some(&mut self.valid),
            State::Ending => Some(&mut self.ending),
            State::Failed => Some(&mut self.failed),
            State::Permanent => Some(&mut self.permanent),
            State::Gone => None,
        }
    }
}

/// What has happened since the table was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Addresses that were asked for, each try.
    pub requests: u64,
    /// Entries that were learned from hosts that nobody here had asked for.
    pub learned: u64,
    /// Entries that were asked for and answered.
    pub resolved: u64,
    /// Entries that were asked for and not answered.
    pub failed: u64,
    /// Entries whose link address changed.
    pub changed: u64,
    /// Entries that nobody was heard of for too long.
    pub expired: u64,
    /// Entries that made room for others.
    pub evicted: u64,
    /// Entries for which there was no room.
    pub refused: u64,
    /// Packets in which somebody else said to have one of our addresses.
    pub duplicates: u64,
}

/// What becomes of a question for a link address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Ask everybody.
    Ask,
    /// It was asked for already: `MAP_PROCEEDING`.
    Wait,
    /// It is known, and about to be told: `MAP_VALID`.
    Known,
    /// Nobody answered not long ago, which is about to be told.
    Held,
    /// There is no room to remember that it was asked for, or the interface is down.
    NoRoom,
}

/// What the interface knows about the ends of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// What kind of IPv4 address the sender has.
    pub sender: Sender,
    /// The target is one of our addresses.
    pub for_us: bool,
}

/// What kind of IPv4 address somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// One of a single host.
    Host,
    /// One of ours.
    Us,
    /// None that a host can have: broadcast, multicast, none at all.
    Nobody,
}

/// What a packet has taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing: neither is its sender known nor are we meant, or it is not a host's.
    Nothing,
    /// Its sender has one of our addresses. If it asked for it, it shall hear that it is
    /// taken.
    Duplicate {
        /// It asked for that address.
        asked: bool,
    },
    /// Its sender is new.
    New,
    /// Its sender is what was asked for.
    Answer,
    /// Its sender is still there.
    Same,
    /// Its sender has another link address now.
    Changed {
        /// The one it had.
        from: Address,
    },
    /// Its sender is permanent: what the user set stays.
    Permanent,
    /// Its sender is new, and there is no room.
    NoRoom,
}

/// What the kernel says of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// `NUD_PERMANENT` or `NUD_NOARP`: set by the user.
    Permanent(Address),
    /// `NUD_REACHABLE`.
    Reachable(Address),
    /// `NUD_STALE`: it has a link address that nobody has asked for.
    Stale(Address),
    /// `NUD_DELAY` or `NUD_PROBE`: it has a link address that is doubted.
    Probing(Address),
    /// A state without.
    Unresolved,
    /// `NUD_FAILED`.
    Failed,
    /// Not in the kernel's table any more.
    Dead,
}

/// What the kernel is to be told of a neighbour, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It has this address: `MAP_VALID`, `MAP_CHANGED`.
    Valid(Address),
    /// It has this address for good, even if there is no neighbour yet.
    Permanent(Address),
    /// It does not answer: `MAP_FAILED`.
    Failed,
    /// Nothing is known of it any more: `MAP_INVALID`.
    Gone,
}

/// What is to be done as time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Ask everybody for this address.
    Ask(Ipv4Addr),
    /// If it is in use, ask whether it is still there.
    Verify(Ipv4Addr, Address),
}

/// An entry, for those who look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Its IPv4 address.
    pub ip: Ipv4Addr,
    /// Its link address, if it is valid.
    pub address: Option<Address>,
    /// How it is doing.
    pub state: State,
    /// The kernel is still to be told.
    pub locked: bool,
    /// Nobody here has asked for it.
    pub heard: bool,
    /// How long it has been so, in nanoseconds.
    pub age: u64,
}

/// Who wants an entry, and who has to make room for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Somebody on the segment: only others that nobody asked for.
    Stranger,
    /// A packet to be sent: those, and what does not answer.
    Packet,
    /// The user: all but what the user has set.
    User,
}

/// The table of one interface.
#[derive(Debug)]
pub struct Table<E, B>
where
    E: DerefMut<Target = [Slot]>,
    B: DerefMut<Target = [Bucket]>,
{
    slots: Slots<State, E, B>,
    queues: Queues,
    /// Entries that nobody has asked for.
    heard: Queue,
    /// Entries that are locked.
    tell: Queue,
    /// What was told last, which the kernel may be taking in just now.
    told: Option<Ipv4Addr>,
    /// Entries that are gone.
    gone: usize,
    up: bool,
    settings: Settings,
    totals: Totals,
}

impl<E, B> Table<E, B>
where
    E: DerefMut<Target = [Slot]>,
    B: DerefMut<Target = [Bucket]>,
{
    /// The empty table of an interface that is down. There should be
    /// [`SPARE_SLOTS`] slots more than entries, and about as many buckets.
    pub fn new(slots: E, buckets: B, secret: u32, settings: Settings) -> Self {
        let queue = Queue::new(Chain::Age);
        Self {
            slots: Slots::new(slots, buckets, secret),
            queues: Queues {
                asking: [queue; PACES],
                valid: queue,
                ending: queue,
                failed: queue,
                permanent: queue,
            },
            heard: Queue::new(Chain::Heard),
            tell: Queue::new(Chain::Tell),
            told: None,
            gone: 0,
            up: false,
            settings,
            totals: Totals::default(),
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.gone)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// What has happened.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What is set.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Sets something else. It is as if it had always been so, but that entries
    /// beyond a lower limit stay as long as they would have.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The link address of a neighbour, if it is known.
    #[inline]
    pub fn lookup(&self, ip: Ipv4Addr) -> Option<Address> {
        let entry = self.slots.get(self.slots.find(ip)?)?;
        entry.state.is_valid().then_some(entry.address)
    }

    /// Whether an entry for this address is there or could be made for a packet.
    pub fn has_room(&self, ip: Ipv4Addr) -> bool {
        self.known(ip).is_some()
            || self.has_slot(ip)
                && (self.len() < self.settings.limit || self.victim(Wish::Packet).is_some())
    }

    /// A packet is to be sent to somebody whose link address the kernel does not know:
    /// the ancestor's `svcout`. `dice` is random.
    pub fn resolve(&mut self, ip: Ipv4Addr, now: u64, dice: u32) -> Resolution {
        if !self.up {
            return Resolution::NoRoom;
        }
        let Some((place, entry)) = self.known(ip) else {
            let Some(place) = self.add(ip, Wish::Packet) else {
                return Resolution::NoRoom;
            };
            return self.ask(place, 0, now, dice);
        };
        let age = now.saturating_sub(entry.since);
        match entry.state {
            State::Incomplete { .. } => Resolution::Wait,
            State::Valid | State::Ending if age >= self.settings.lifetime => {
                self.totals.expired = self.totals.expired.wrapping_add(1);
                self.ask(place, 0, now, dice)
            }
            State::Valid | State::Ending | State::Permanent => {
                self.set_heard(place, false);
                self.lock(place);
                Resolution::Known
            }
            State::Failed if age < self.settings.hold => {
                self.lock(place);
                Resolution::Held
            }
            // What is gone is not known.
            State::Failed | State::Gone => self.ask(place, 0, now, dice),
        }
    }

    /// The kernel sends to somebody whose link address it has without having asked.
    pub fn used(&mut self, ip: Ipv4Addr) {
        if let Some(place) = self.slots.find(ip) {
            self.set_heard(place, false);
        }
    }

    /// A packet has come in.
    pub fn hear(&mut self, packet: &Packet, ends: Ends, now: u64) -> Heard {
        if !self.up {
            return Heard::Nothing;
        }
        match ends.sender {
            Sender::Nobody => return Heard::Nothing,
            Sender::Us => {
                self.totals.duplicates = self.totals.duplicates.wrapping_add(1);
                return Heard::Duplicate {
                    asked: packet.operation == Operation::Request,
                };
            }
            Sender::Host => (),
        }
        let ip = packet.sender.ip;
        let address = packet.sender.hardware;
        let Some((place, entry)) = self.known(ip) else {
            if !ends.for_us {
                return Heard::Nothing;
            }
            let Some(place) = self.add(ip, Wish::Stranger) else {
                return Heard::NoRoom;
            };
            self.totals.learned = self.totals.learned.wrapping_add(1);
            self.believe(place, address, now);
            self.set_heard(place, true);
            self.lock(place);
            return Heard::New;
        };
        match entry.state {
            State::Permanent => return Heard::Permanent,
            State::Valid | State::Ending if entry.address == address => {
                self.believe(place, address, now);
                // The last one to make room.
                if entry.heard {
                    self.set_heard(place, false);
                    self.set_heard(place, true);
                }
                return Heard::Same;
            }
            _ => (),
        }
        self.believe(place, address, now);
        self.lock(place);
        if entry.state.is_valid() {
            self.totals.changed = self.totals.changed.wrapping_add(1);
            Heard::Changed {
                from: entry.address,
            }
        } else {
            self.totals.resolved = self.totals.resolved.wrapping_add(1);
            Heard::Answer
        }
    }

    /// The kernel says how a neighbour is doing: because it was told so, because the
    /// user wants it, or because nobody needs it any more.
    pub fn neighbour(&mut self, ip: Ipv4Addr, neighbour: Neighbour, now: u64) {
        let found = self.known(ip);
        match neighbour {
            Neighbour::Permanent(address) => {
                let place = match found {
                    Some((place, _)) => Some(place),
                    None => self.add(ip, Wish::User),
                };
                if let Some(place) = place {
                    self.enter(place, State::Permanent, now);
                    self.set_address(place, address);
                    self.set_heard(place, false);
                }
            }
            Neighbour::Reachable(address)
            | Neighbour::Stale(address)
            | Neighbour::Probing(address) => match found {
                None => {
                    let stale = matches!(neighbour, Neighbour::Stale(_));
                    let wish = if stale { Wish::Stranger } else { Wish::Packet };
                    // What is doubted is not believed.
                    let doubted = matches!(neighbour, Neighbour::Probing(_));
                    if let Some(place) = (!doubted).then(|| self.add(ip, wish)).flatten() {
                        self.believe(place, address, now);
                        self.set_heard(place, stale);
                    }
                }
                // It is to be told something else, or the same.
                Some((_, entry)) if entry.locked => (),
                Some((_, entry))
                    if entry.address == address
                        && matches!(entry.state, State::Valid | State::Ending) => {}
                // It is asked for already, or does not answer.
                Some((_, entry))
                    if matches!(neighbour, Neighbour::Probing(_)) && !entry.state.is_valid() => {}
                Some((place, _)) => self.believe(place, address, now),
            },
            Neighbour::Unresolved => {
                if let Some((place, entry)) = found {
                    if entry.state == State::Permanent && !entry.locked {
                        self.release(place);
                    }
                }
            }
            // Unless it failed because it was told so, the user has deleted it.
            Neighbour::Failed => {
                if let Some((place, entry)) = found {
                    let echo = self.told == Some(ip) || entry.state == State::Failed;
                    if !echo {
                        self.release(place);
                    }
                }
            }
            // Nobody waits for an answer any more, or the user wants it to be tried again.
            // What is known stays known.
            Neighbour::Dead => {
                if let Some((place, entry)) = found {
                    if !entry.state.is_valid() {
                        self.release(place);
                    }
                }
            }
        }
    }

    /// The interface goes up: from now on it is asked and learned.
    pub fn up(&mut self) {
        self.up = true;
    }

    /// The kernel has forgotten all it knew, and is to be told again what the user has
    /// set.
    pub fn tell_permanent(&mut self) {
        let mut place = self.queues.permanent.first();
        while let Some(this) = place {
            self.lock(this);
            place = self.slots.next(&self.queues.permanent, this);
        }
    }

    /// Moves to other slots and buckets, of which there must be at least as many, and
    /// gives the old ones back; fewer come back unused.
    pub fn grow(&mut self, slots: E, buckets: B) -> (E, B) {
        if slots.len() < self.slots.capacity() {
            return (slots, buckets);
        }
        self.slots.grow(slots, buckets)
    }

    /// The interface goes down: nothing is asked or learned any more. The entries are
    /// to be [dropped](Self::drop_some).
    pub fn down(&mut self) {
        self.up = false;
    }

    /// Gives at most so many of those that did not answer another chance, and tells
    /// nobody. Answers whether there are more.
    pub fn forgive(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            match self.queues.failed.first() {
                Some(place) => self.release(place),
                None => return false,
            }
        }
        true
    }

    /// Forgets at most so many entries, but none that the user has set unless `all`
    /// shall go, and tells nobody: the kernel forgets them, too. Answers whether there
    /// are more.
    pub fn drop_some(&mut self, budget: usize, all: bool) -> bool {
        let mut left = budget;
        loop {
            let permanent = self.queues.permanent.first().filter(|_| all);
            let asking = self.queues.asking.iter().find_map(Queue::first);
            let first = asking
                .or(self.queues.valid.first())
                .or(self.queues.ending.first())
                .or(self.queues.failed.first())
                .or(permanent);
            let Some(place) = first else {
                return false;
            };
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.release(place);
        }
    }

    /// Time has passed: does at most `budget` of what is due, which goes to `out`.
    /// `dice` throws random numbers. Answers whether there is more.
    pub fn tick(
        &mut self,
        now: u64,
        budget: usize,
        mut dice: impl FnMut() -> u32,
        mut out: impl FnMut(Due),
    ) -> bool {
        // What is still there is about to be dropped.
        if !self.up {
            return false;
        }
        let settings = self.settings;
        let mut left = budget;
        for pace in 0..PACES {
            let wait = wait(settings.retry, pace);
            while let Some(place) = self.due(|queues| queues.asking.get(pace), wait, now) {
                let Some(rest) = left.checked_sub(1) else {
                    return true;
                };
                left = rest;
                let Some(&Entry { ip, state, .. }) = self.slots.get(place) else {
                    break;
                };
                match state {
                    State::Incomplete { tries, .. } if tries < settings.tries => {
                        self.ask(place, tries, now, dice());
                        out(Due::Ask(ip));
                    }
                    _ => {
                        self.totals.failed = self.totals.failed.wrapping_add(1);
                        self.enter(place, State::Failed, now);
                        self.lock(place);
                    }
                }
            }
        }
        let look = settings.lifetime.saturating_sub(settings.lead());
        while let Some(place) = self.due(|queues| Some(&queues.valid), look, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            let Some(&Entry {
                ip, address, since, ..
            }) = self.slots.get(place)
            else {
                break;
            };
            self.enter(place, State::Ending, since);
            if now.saturating_sub(since) < settings.lifetime {
                out(Due::Verify(ip, address));
            }
        }
        while let Some(place) = self.due(|queues| Some(&queues.ending), settings.lifetime, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.totals.expired = self.totals.expired.wrapping_add(1);
            self.go(place);
        }
        while let Some(place) = self.due(|queues| Some(&queues.failed), settings.hold, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.go(place);
        }
        false
    }

    /// When something is due next, if nothing happens until then.
    pub fn next_timeout(&self) -> Option<u64> {
        if !self.up {
            return None;
        }
        let settings = &self.settings;
        let at = |queue: &Queue, wait: u64| {
            let entry = self.slots.get(queue.first()?)?;
            Some(entry.since.saturating_add(wait))
        };
        let asking = self
            .queues
            .asking
            .iter()
            .enumerate()
            .filter_map(|(pace, queue)| at(queue, wait(settings.retry, pace)));
        let look = settings.lifetime.saturating_sub(settings.lead());
        asking
            .chain(at(&self.queues.valid, look))
            .chain(at(&self.queues.ending, settings.lifetime))
            .chain(at(&self.queues.failed, settings.hold))
            .min()
    }

    /// Whether there is something to tell.
    pub fn has_news(&self) -> bool {
        self.tell.first().is_some()
    }

    /// Whoever tells stops for now, having told the last one.
    pub fn pause(&mut self) {
        self.told = None;
    }

    /// What the kernel is to be told next. Whoever asks must have told the last one;
    /// there may be only one who tells.
    pub fn tell(&mut self) -> Option<(Ipv4Addr, News)> {
        self.told = None;
        while let Some(place) = self.tell.first() {
            let &Entry {
                ip, state, address, ..
            } = self.slots.get(place)?;
            self.unlock(place);
            let news = match state {
                State::Valid | State::Ending => News::Valid(address),
                State::Permanent => News::Permanent(address),
                State::Failed => News::Failed,
                State::Gone => {
                    self.gone = self.gone.saturating_sub(1);
                    self.slots.remove(place);
                    News::Gone
                }
                // Never locked.
                State::Incomplete { .. } => continue,
            };
            if matches!(news, News::Failed | News::Gone) {
                self.told = Some(ip);
            }
            return Some((ip, news));
        }
        None
    }

    /// The entries of some slots, in no order.
    pub fn views(&self, first: usize, slots: usize, now: u64) -> impl Iterator<Item = View> + '_ {
        self.slots
            .entries_from(first, slots)
            .filter(|entry| entry.state != State::Gone)
            .map(move |entry| View {
                ip: entry.ip,
                address: entry.state.is_valid().then_some(entry.address),
                state: entry.state,
                locked: entry.locked,
                heard: entry.heard,
                age: now.saturating_sub(entry.since),
            })
    }

    /// The entry of an address, unless it is gone.
    fn known(&self, ip: Ipv4Addr) -> Option<(Place, Entry<State>)> {
        let place = self.slots.find(ip)?;
        let entry = *self.slots.get(place)?;
        (entry.state != State::Gone).then_some((place, entry))
    }

    /// The first entry of a queue, if it has waited there for so long.
    fn due(
        &self,
        queue: impl FnOnce(&Queues) -> Option<&Queue>,
        wait: u64,
        now: u64,
    ) -> Option<Place> {
        let place = queue(&self.queues)?.first()?;
        let entry = self.slots.get(place)?;
        (now >= entry.since.saturating_add(wait)).then_some(place)
    }

    /// An entry for an address of which nothing is known. It is gone until it enters
    /// another state. There may have to be made room; if none can be, that is counted.
    fn add(&mut self, ip: Ipv4Addr, wish: Wish) -> Option<Place> {
        if !self.has_slot(ip) {
            self.totals.refused = self.totals.refused.wrapping_add(1);
            return None;
        }
        if self.len() >= self.settings.limit {
            if let Some(victim) = self.victim(wish) {
                self.totals.evicted = self.totals.evicted.wrapping_add(1);
                self.go(victim);
            } else {
                self.totals.refused = self.totals.refused.wrapping_add(1);
                return None;
            }
        }
        if let Some(place) = self.slots.find(ip) {
            return Some(place);
        }
        let place = self.slots.insert(Entry {
            ip,
            address: Address::BROADCAST,
            since: 0,
            state: State::Gone,
            heard: false,
            locked: false,
        });
        match place {
            Some(_) => self.gone = self.gone.saturating_add(1),
            None => self.totals.refused = self.totals.refused.wrapping_add(1),
        }
        place
    }

    /// Whether there is a slot for an entry, however many entries there may be.
    fn has_slot(&self, ip: Ipv4Addr) -> bool {
        self.slots.find(ip).is_some() || !self.slots.is_full()
    }

    /// Who has to make room.
    fn victim(&self, wish: Wish) -> Option<Place> {
        let heard = self.heard.first();
        if wish == Wish::Stranger || heard.is_some() {
            return heard;
        }
        let failed = self.queues.failed.first();
        if wish == Wish::Packet || failed.is_some() {
            return failed;
        }
        let asking = self.queues.asking.iter().find_map(Queue::first);
        let known = self.queues.ending.first().or(self.queues.valid.first());
        asking.or(known)
    }

    fn ask(&mut self, place: Place, tries: u8, now: u64, dice: u32) -> Resolution {
        self.totals.requests = self.totals.requests.wrapping_add(1);
        self.set_heard(place, false);
        // It waits for an answer, as its neighbour does: whatever was to be told is over.
        self.unlock(place);
        self.enter(
            place,
            State::Incomplete {
                tries: tries.saturating_add(1),
                pace: (dice % PACES as u32) as u8,
            },
            now,
        );
        Resolution::Ask
    }

    fn believe(&mut self, place: Place, address: Address, now: u64) {
        self.enter(place, State::Valid, now);
        self.set_address(place, address);
    }

    fn set_address(&mut self, place: Place, address: Address) {
        if let Some(entry) = self.slots.get_mut(place) {
            entry.address = address;
        }
    }

    /// Nothing is known any more, which the kernel is to be told.
    fn go(&mut self, place: Place) {
        self.set_heard(place, false);
        self.enter(place, State::Gone, 0);
        self.lock(place);
    }

    /// Changes the state of an entry.
    fn enter(&mut self, place: Place, state: State, since: u64) {
        let Some(entry) = self.slots.get_mut(place) else {
            return;
        };
        let before = core::mem::replace(&mut entry.state, state);
        entry.since = since;
        match self.queues.of(before) {
            Some(queue) => self.slots.unlink(queue, place),
            None => self.gone = self.gone.saturating_sub(1),
        }
        match self.queues.of(state) {
            Some(queue) => self.slots.push(queue, place),
            None => self.gone = self.gone.saturating_add(1),
        }
    }

    fn set_heard(&mut self, place: Place, heard: bool) {
        let Some(entry) = self.slots.get_mut(place) else {
            return;
        };
        match (core::mem::replace(&mut entry.heard, heard), heard) {
            (false, true) => self.slots.push(&mut self.heard, place),
            (true, false) => self.slots.unlink(&mut self.heard, place),
            _ => (),
        }
    }

    /// The kernel is to be told.
    fn lock(&mut self, place: Place) {
        let Some(entry) = self.slots.get_mut(place) else {
            return;
        };
        if !core::mem::replace(&mut entry.locked, true) {
            self.slots.push(&mut self.tell, place);
        }
    }

    fn unlock(&mut self, place: Place) {
        let Some(entry) = self.slots.get_mut(place) else {
            return;
        };
        if core::mem::replace(&mut entry.locked, false) {
            self.slots.unlink(&mut self.tell, place);
        }
    }

    /// Forgets an entry at once: there is nobody to tell.
    fn release(&mut self, place: Place) {
        self.set_heard(place, false);
        self.unlock(place);
        self.enter(place, State::Gone, 0);
        self.gone = self.gone.saturating_sub(1);
        self.slots.remove(place);
    }
}

/// How long an entry waits for an answer that waits at this pace.
fn wait(retry: u64, pace: usize) -> u64 {
    (retry / 16).saturating_mul(13 + 2 * pace as u64)
}
