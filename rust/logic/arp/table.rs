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
//!   Permanent: from and to anything by the user only; Forgotten while the kernel
//!   does not know it
//!
//!   Unverified: an address that the user or the kernel has said with doubt (NUD_STALE,
//!   NUD_DELAY, NUD_PROBE), from and to which packets go; Incomplete with the first of them
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

mod aging;
mod kernel;
mod room;

use super::{
    config::Settings,
    event::{Due, End, Ends, Heard, News, Resolution, Sender, Wish},
    packet::{Operation, Packet},
    slots::{Bucket, Chain, Entry, Place, Queue, Slots, Store},
};
use crate::address::Address;
use aging::Waits;
use core::{net::Ipv4Addr, ops::DerefMut};
pub use room::IDLE_MS;

/// Slots beyond the limit, for entries that are gone and about which the neighbour
/// framework was not told yet.
pub const SPARE_SLOTS: usize = 64;

/// How many hosts are remembered whose packets were refused.
const REFUSED: usize = 8;

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
    /// Said with doubt, and not used yet: its first packet has it verified.
    Unverified,
    /// Did not answer.
    Failed,
    /// Set by the user: believed for good.
    Permanent,
    /// Set by the user, and the kernel has forgotten it, as it does whenever a device
    /// goes down: to be [restored](Table::forgotten).
    Forgotten,
    /// Not there any more, and the neighbour framework does not know yet.
    Gone(End),
}

impl State {
    /// Whether there is an address to send to: `SAF_VALID`.
    pub const fn is_valid(self) -> bool {
        matches!(
            self,
            Self::Valid | Self::Ending | Self::Permanent | Self::Forgotten
        )
    }

    /// Whether there is an address, believed or not.
    const fn has_address(self) -> bool {
        self.is_valid() || matches!(self, Self::Unverified)
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
    unverified: Queue,
    failed: Queue,
    permanent: Queue,
    forgotten: Queue,
}

impl Queues {
    fn of(&mut self, state: State) -> Option<&mut Queue> {
        match state {
            State::Incomplete { pace, .. } => self.asking.get_mut(usize::from(pace)),
            State::Valid => Some(&mut self.valid),
            State::Ending => Some(&mut self.ending),
            State::Unverified => Some(&mut self.unverified),
            State::Failed => Some(&mut self.failed),
            State::Permanent => Some(&mut self.permanent),
            State::Forgotten => Some(&mut self.forgotten),
            State::Gone(_) => None,
        }
    }
}

/// What an entry is used for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It was only heard of.
    Heard,
    /// Packets were sent to it.
    Sent,
    /// Packets are to be sent to it, and it did not answer the first request.
    Unanswered,
    /// It is not known, or the user has set it.
    None,
}

impl Use {
    fn of((state, heard): (State, bool)) -> Self {
        match state {
            _ if heard => Self::Heard,
            State::Valid | State::Ending => Self::Sent,
            State::Incomplete { tries, .. } if tries > 1 => Self::Unanswered,
            _ => Self::None,
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

/// An entry, for those who look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Its IPv4 address.
    pub ip: Ipv4Addr,
    /// Its link address, if there is one.
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

/// The table of one interface.
#[derive(Debug)]
pub struct Table<E, B>
where
    E: Store<State>,
    B: DerefMut<Target = [Bucket]>,
{
    slots: Slots<State, E, B>,
    queues: Queues,
    /// Entries that nobody has asked for.
    heard: Queue,
    /// Valid entries that packets were sent to, least recently used first, as far as is known.
    sent: Queue,
    /// Entries that were asked for more than once.
    unanswered: Queue,
    /// Entries that are locked.
    tell: Queue,
    /// What was told last, which the kernel may be taking in just now.
    told: Option<Ipv4Addr>,
    /// The hosts whose packets were refused last, one for each CPU that may hear one at this
    /// moment, most often.
    refused: [Option<Ipv4Addr>; REFUSED],
    /// Entries that are gone.
    gone: usize,
    up: bool,
    /// When the line was mended last. Requests from before were for nothing.
    mended: u64,
    settings: Settings,
    waits: Waits,
    totals: Totals,
}

impl<E, B> Table<E, B>
where
    E: Store<State>,
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
                unverified: queue,
                failed: queue,
                permanent: queue,
                forgotten: queue,
            },
            heard: Queue::new(Chain::Use),
            sent: Queue::new(Chain::Use),
            unanswered: Queue::new(Chain::Use),
            tell: Queue::new(Chain::Tell),
            told: None,
            refused: [None; REFUSED],
            gone: 0,
            up: false,
            mended: 0,
            waits: Waits::new(&settings),
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

    /// How many slots there may be.
    pub fn max_len(&self) -> usize {
        self.slots.max_len()
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
        self.waits = Waits::new(&settings);
        self.settings = settings;
    }

    /// The link address of a neighbour, if it is known.
    #[inline]
    pub fn lookup(&self, ip: Ipv4Addr) -> Option<Address> {
        let entry = self.slots.get(self.slots.find(ip)?)?;
        entry.state.is_valid().then_some(entry.address)
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
            State::Valid | State::Ending | State::Forgotten => {
                let verify = self.first_use(place);
                self.lock(place);
                verify.map_or(Resolution::Known, Resolution::Ending)
            }
            State::Failed if age < self.settings.hold => {
                self.lock(place);
                Resolution::Held
            }
            // What is gone is not known. For one that is permanent the kernel does not ask: the
            // user has just made it something else.
            State::Failed | State::Unverified | State::Gone(_) | State::Permanent => {
                self.ask(place, 0, now, dice)
            }
        }
    }

    /// The kernel sends to a host whose link address it has without having asked. Answers what is
    /// to be done. `dice` is random.
    pub fn used(&mut self, ip: Ipv4Addr, now: u64, dice: u32) -> Option<Due> {
        match self.known(ip).filter(|_| self.up) {
            Some((place, entry)) if entry.state == State::Unverified => {
                self.ask(place, 0, now, dice);
                Some(Due::Ask(ip))
            }
            Some((place, _)) => Some(Due::Verify(ip, self.first_use(place)?)),
            None => None,
        }
    }

    /// A packet is sent to a host. If it was only heard of until now, and its entry is looked at no
    /// more, answers its address: it is to be asked whether it is still there.
    fn first_use(&mut self, place: Place) -> Option<Address> {
        let entry = self.slots.get(place)?;
        let (heard, state, address) = (entry.heard, entry.state, entry.address);
        self.set_heard(place, false);
        (heard && state == State::Ending).then_some(address)
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
                let mut last = Some(ip);
                for refused in &mut self.refused {
                    core::mem::swap(refused, &mut last);
                }
                return Heard::NoRoom;
            };
            self.totals.learned = self.totals.learned.wrapping_add(1);
            self.believe(place, address, now);
            self.set_heard(place, true);
            self.lock(place);
            return Heard::New;
        };
        match entry.state {
            State::Permanent | State::Forgotten => return Heard::Permanent,
            State::Valid | State::Ending | State::Unverified if entry.address == address => {
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
        if entry.state.has_address() {
            self.totals.changed = self.totals.changed.wrapping_add(1);
            Heard::Changed {
                from: entry.address,
            }
        } else {
            self.totals.resolved = self.totals.resolved.wrapping_add(1);
            Heard::Answer
        }
    }

    /// The interface goes up: from now on it is asked and learned.
    pub fn up(&mut self) {
        self.up = true;
    }

    /// The interface goes down: nothing is asked or learned any more. The entries are
    /// to be [dropped](Self::drop_some).
    pub fn down(&mut self) {
        self.up = false;
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
                ip,
                state,
                address,
                heard,
                ..
            } = self.slots.get(place)?;
            self.unlock(place);
            let news = match state {
                State::Valid | State::Ending if heard => News::Learned(address),
                State::Valid | State::Ending | State::Permanent | State::Forgotten => {
                    News::Valid(address)
                }
                State::Failed => News::Failed,
                State::Gone(end) => {
                    self.gone = self.gone.saturating_sub(1);
                    self.slots.remove(place);
                    News::Gone(end)
                }
                // Never locked.
                State::Incomplete { .. } | State::Unverified => continue,
            };
            if !matches!(news, News::Valid(_) | News::Learned(_)) {
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
            .filter(|entry| !matches!(entry.state, State::Gone(_)))
            .map(move |entry| View {
                ip: entry.ip,
                address: entry.state.has_address().then_some(entry.address),
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
        (!matches!(entry.state, State::Gone(_))).then_some((place, entry))
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

    /// It has an address that is to be verified when it is used.
    fn doubt(&mut self, place: Place, address: Address, now: u64) {
        self.unlock(place);
        self.enter(place, State::Unverified, now);
        self.set_address(place, address);
        self.set_heard(place, true);
    }

    fn set_address(&mut self, place: Place, address: Address) {
        if let Some(entry) = self.slots.get_mut(place) {
            entry.address = address;
        }
    }

    /// Nothing is known any more, which the kernel is to be told.
    fn go(&mut self, place: Place, end: End) {
        self.set_heard(place, false);
        self.enter(place, State::Gone(end), 0);
        self.lock(place);
    }

    /// Changes the state of an entry.
    #[inline]
    fn enter(&mut self, place: Place, state: State, since: u64) {
        let Some(entry) = self.slots.get_mut(place) else {
            return;
        };
        entry.since = since;
        let (before, heard) = (core::mem::replace(&mut entry.state, state), entry.heard);
        match self.queues.of(before) {
            Some(queue) => self.slots.unlink(queue, place),
            None => self.gone = self.gone.saturating_sub(1),
        }
        match self.queues.of(state) {
            Some(queue) => self.slots.push(queue, place),
            None => self.gone = self.gone.saturating_add(1),
        }
        self.use_changes(place, (before, heard), (state, heard));
    }

    fn set_heard(&mut self, place: Place, heard: bool) {
        let Some(entry) = self.slots.get_mut(place) else {
            return;
        };
        let (state, before) = (entry.state, core::mem::replace(&mut entry.heard, heard));
        self.use_changes(place, (state, before), (state, heard));
    }

    /// Has an entry whose state, or of which it was known that it was only heard of, changes on
    /// the queue for that.
    fn use_changes(&mut self, place: Place, before: (State, bool), after: (State, bool)) {
        let (before, after) = (Use::of(before), Use::of(after));
        if before == after {
            return;
        }
        match before {
            Use::Heard => self.slots.unlink(&mut self.heard, place),
            Use::Sent => self.slots.unlink(&mut self.sent, place),
            Use::Unanswered => self.slots.unlink(&mut self.unanswered, place),
            Use::None => (),
        }
        match after {
            Use::Heard => self.slots.push(&mut self.heard, place),
            Use::Sent => self.slots.push(&mut self.sent, place),
            Use::Unanswered => self.slots.push(&mut self.unanswered, place),
            Use::None => (),
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
        self.enter(place, State::Gone(End::Expired), 0);
        self.gone = self.gone.saturating_sub(1);
        self.slots.remove(place);
    }
}
