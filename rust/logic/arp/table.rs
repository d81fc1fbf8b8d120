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
//! has to be told is in [`Table::next_update`], in order and one at a time; an entry for
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
    event::{AddressInfo, Due, RemoveReason, Requester, Resolution, RxOutcome, SenderType, Update},
    packet::{Operation, Packet},
    slots::{Bucket, Entry, List, ListId, SlotId, Slots, Store},
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
    Expiring,
    /// Said with doubt, and not used yet: its first packet has it verified.
    Unverified,
    /// Did not answer.
    Failed,
    /// Set by the user: believed for good.
    Permanent,
    /// Set by the user, and the kernel has forgotten it, as it does whenever a device
    /// goes down: to be [restored](Table::forgotten).
    Unrestored,
    /// Not there any more, and the neighbour framework does not know yet.
    Removed(RemoveReason),
}

impl State {
    /// Whether there is an address to send to: `SAF_VALID`.
    pub const fn is_valid(self) -> bool {
        matches!(
            self,
            Self::Valid | Self::Expiring | Self::Permanent | Self::Unrestored
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
struct Lists {
    asking: [List; PACES],
    valid: List,
    expiring: List,
    unverified: List,
    failed: List,
    permanent: List,
    unrestored: List,
}

impl Lists {
    fn of(&mut self, state: State) -> Option<&mut List> {
        match state {
            State::Incomplete { pace, .. } => self.asking.get_mut(usize::from(pace)),
            State::Valid => Some(&mut self.valid),
            State::Expiring => Some(&mut self.expiring),
            State::Unverified => Some(&mut self.unverified),
            State::Failed => Some(&mut self.failed),
            State::Permanent => Some(&mut self.permanent),
            State::Unrestored => Some(&mut self.unrestored),
            State::Removed(_) => None,
        }
    }
}

/// What an entry is used for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It was only heard of.
    Unsolicited,
    /// Packets were sent to it.
    Sent,
    /// Packets are to be sent to it, and it did not answer the first request.
    Unanswered,
    /// It is not known, or the user has set it.
    None,
}

impl Use {
    fn of((state, unsolicited): (State, bool)) -> Self {
        match state {
            _ if unsolicited => Self::Unsolicited,
            State::Valid | State::Expiring => Self::Sent,
            State::Incomplete { tries, .. } if tries > 1 => Self::Unanswered,
            _ => Self::None,
        }
    }
}

/// What has happened since the table was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
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
pub struct EntryInfo {
    /// Its IPv4 address.
    pub ip: Ipv4Addr,
    /// Its link address, if there is one.
    pub address: Option<Address>,
    /// How it is doing.
    pub state: State,
    /// The kernel is still to be told.
    pub locked: bool,
    /// Nobody here has asked for it.
    pub unsolicited: bool,
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
    lists: Lists,
    /// Entries that nobody has asked for.
    unsolicited: List,
    /// Valid entries that packets were sent to, least recently used first, as far as is known.
    sent: List,
    /// Entries that were asked for more than once.
    unanswered: List,
    /// Entries that are locked.
    updates: List,
    /// What was told last, which the kernel may be taking in just now.
    last_update: Option<Ipv4Addr>,
    /// The hosts whose packets were refused last, one for each CPU that may hear one at this
    /// moment, most often.
    refused: [Option<Ipv4Addr>; REFUSED],
    /// Entries that are gone.
    removed: usize,
    up: bool,
    /// When the line was mended last. Requests from before were for nothing.
    carrier_since: u64,
    settings: Settings,
    waits: Waits,
    stats: Stats,
}

impl<E, B> Table<E, B>
where
    E: Store<State>,
    B: DerefMut<Target = [Bucket]>,
{
    /// The empty table of an interface that is down. There should be
    /// [`SPARE_SLOTS`] slots more than entries, and about as many buckets.
    pub fn new(slots: E, buckets: B, secret: u32, settings: Settings) -> Self {
        let list = List::new(ListId::Age);
        Self {
            slots: Slots::new(slots, buckets, secret),
            lists: Lists {
                asking: [list; PACES],
                valid: list,
                expiring: list,
                unverified: list,
                failed: list,
                permanent: list,
                unrestored: list,
            },
            unsolicited: List::new(ListId::Use),
            sent: List::new(ListId::Use),
            unanswered: List::new(ListId::Use),
            updates: List::new(ListId::Update),
            last_update: None,
            refused: [None; REFUSED],
            removed: 0,
            up: false,
            carrier_since: 0,
            waits: Waits::new(&settings),
            settings,
            stats: Stats::default(),
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.removed)
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
    pub fn stats(&self) -> Stats {
        self.stats
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
    /// the ancestor's `svcout`. `random` is random.
    pub fn resolve(&mut self, ip: Ipv4Addr, now: u64, random: u32) -> Resolution {
        if !self.up {
            return Resolution::NoRoom;
        }
        let Some((id, entry)) = self.live(ip) else {
            let Some(id) = self.add(ip, Requester::Packet) else {
                return Resolution::NoRoom;
            };
            return self.request(id, 0, now, random);
        };
        let age = now.saturating_sub(entry.since);
        match entry.state {
            State::Incomplete { .. } => Resolution::Wait,
            State::Valid | State::Expiring if age >= self.settings.lifetime => {
                self.stats.expired = self.stats.expired.wrapping_add(1);
                self.request(id, 0, now, random)
            }
            State::Valid | State::Expiring | State::Unrestored => {
                let verify = self.first_use(id);
                self.lock(id);
                verify.map_or(Resolution::Known, Resolution::Verify)
            }
            State::Failed if age < self.settings.hold => {
                self.lock(id);
                Resolution::HeldDown
            }
            // What is gone is not known. For one that is permanent the kernel does not ask: the
            // user has just made it something else.
            State::Failed | State::Unverified | State::Removed(_) | State::Permanent => {
                self.request(id, 0, now, random)
            }
        }
    }

    /// The kernel sends to a host whose link address it has without having asked. Answers what is
    /// to be done. `random` is random.
    pub fn used(&mut self, ip: Ipv4Addr, now: u64, random: u32) -> Option<Due> {
        match self.live(ip).filter(|_| self.up) {
            Some((id, entry)) if entry.state == State::Unverified => {
                self.request(id, 0, now, random);
                Some(Due::Request(ip))
            }
            Some((id, _)) => Some(Due::Verify(ip, self.first_use(id)?)),
            None => None,
        }
    }

    /// A packet is sent to a host. If it was only heard of until now, and its entry is looked at no
    /// more, answers its address: it is to be asked whether it is still there.
    fn first_use(&mut self, id: SlotId) -> Option<Address> {
        let entry = self.slots.get(id)?;
        let (unsolicited, state, address) = (entry.unsolicited, entry.state, entry.address);
        self.set_unsolicited(id, false);
        (unsolicited && state == State::Expiring).then_some(address)
    }

    /// A packet has come in.
    pub fn process(&mut self, packet: &Packet, ends: AddressInfo, now: u64) -> RxOutcome {
        if !self.up {
            return RxOutcome::Ignored;
        }
        match ends.sender {
            SenderType::Invalid => return RxOutcome::Ignored,
            SenderType::Own => {
                self.stats.duplicates = self.stats.duplicates.wrapping_add(1);
                return RxOutcome::Duplicate {
                    asked: packet.operation == Operation::Request,
                };
            }
            SenderType::Host => (),
        }
        let ip = packet.sender.ip;
        let address = packet.sender.hardware;
        let Some((id, entry)) = self.live(ip) else {
            if !ends.for_us {
                return RxOutcome::Ignored;
            }
            let Some(id) = self.add(ip, Requester::Unsolicited) else {
                let mut last = Some(ip);
                for refused in &mut self.refused {
                    core::mem::swap(refused, &mut last);
                }
                return RxOutcome::NoRoom;
            };
            self.stats.learned = self.stats.learned.wrapping_add(1);
            self.confirm(id, address, now);
            self.set_unsolicited(id, true);
            self.lock(id);
            return RxOutcome::New;
        };
        match entry.state {
            State::Permanent | State::Unrestored => return RxOutcome::Permanent,
            State::Valid | State::Expiring | State::Unverified if entry.address == address => {
                self.confirm(id, address, now);
                // The last one to make room.
                if entry.unsolicited {
                    self.set_unsolicited(id, false);
                    self.set_unsolicited(id, true);
                }
                return RxOutcome::Confirmed;
            }
            _ => (),
        }
        self.confirm(id, address, now);
        self.lock(id);
        if entry.state.has_address() {
            self.stats.changed = self.stats.changed.wrapping_add(1);
            RxOutcome::Changed {
                from: entry.address,
            }
        } else {
            self.stats.resolved = self.stats.resolved.wrapping_add(1);
            RxOutcome::Resolved
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
    pub fn has_updates(&self) -> bool {
        self.updates.first().is_some()
    }

    /// Whoever tells stops for now, having told the last one.
    pub fn pause_updates(&mut self) {
        self.last_update = None;
    }

    /// What the kernel is to be told next. Whoever asks must have told the last one;
    /// there may be only one who tells.
    pub fn next_update(&mut self) -> Option<(Ipv4Addr, Update)> {
        self.last_update = None;
        while let Some(id) = self.updates.first() {
            let &Entry {
                ip,
                state,
                address,
                unsolicited,
                ..
            } = self.slots.get(id)?;
            self.unlock(id);
            let update = match state {
                State::Valid | State::Expiring if unsolicited => Update::Learned(address),
                State::Valid | State::Expiring | State::Permanent | State::Unrestored => {
                    Update::Valid(address)
                }
                State::Failed => Update::Failed,
                State::Removed(end) => {
                    self.removed = self.removed.saturating_sub(1);
                    self.slots.remove(id);
                    Update::Removed(end)
                }
                // Never locked.
                State::Incomplete { .. } | State::Unverified => continue,
            };
            if !matches!(update, Update::Valid(_) | Update::Learned(_)) {
                self.last_update = Some(ip);
            }
            return Some((ip, update));
        }
        None
    }

    /// The entries of some slots, in no order.
    pub fn entries(
        &self,
        first: usize,
        slots: usize,
        now: u64,
    ) -> impl Iterator<Item = EntryInfo> + '_ {
        self.slots
            .entries_from(first, slots)
            .filter(|entry| !matches!(entry.state, State::Removed(_)))
            .map(move |entry| EntryInfo {
                ip: entry.ip,
                address: entry.state.has_address().then_some(entry.address),
                state: entry.state,
                locked: entry.locked,
                unsolicited: entry.unsolicited,
                age: now.saturating_sub(entry.since),
            })
    }

    /// The entry of an address, unless it is gone.
    fn live(&self, ip: Ipv4Addr) -> Option<(SlotId, Entry<State>)> {
        let id = self.slots.find(ip)?;
        let entry = *self.slots.get(id)?;
        (!matches!(entry.state, State::Removed(_))).then_some((id, entry))
    }

    fn request(&mut self, id: SlotId, tries: u8, now: u64, random: u32) -> Resolution {
        self.stats.requests = self.stats.requests.wrapping_add(1);
        self.set_unsolicited(id, false);
        // It waits for an answer, as its neighbour does: whatever was to be told is over.
        self.unlock(id);
        self.set_state(
            id,
            State::Incomplete {
                tries: tries.saturating_add(1),
                pace: (random % PACES as u32) as u8,
            },
            now,
        );
        Resolution::Request
    }

    fn confirm(&mut self, id: SlotId, address: Address, now: u64) {
        self.set_state(id, State::Valid, now);
        self.set_address(id, address);
    }

    /// It has an address that is to be verified when it is used.
    fn set_unverified(&mut self, id: SlotId, address: Address, now: u64) {
        self.unlock(id);
        self.set_state(id, State::Unverified, now);
        self.set_address(id, address);
        self.set_unsolicited(id, true);
    }

    fn set_address(&mut self, id: SlotId, address: Address) {
        if let Some(entry) = self.slots.get_mut(id) {
            entry.address = address;
        }
    }

    /// Nothing is known any more, which the kernel is to be told.
    fn mark_removed(&mut self, id: SlotId, end: RemoveReason) {
        self.set_unsolicited(id, false);
        self.set_state(id, State::Removed(end), 0);
        self.lock(id);
    }

    /// Changes the state of an entry.
    #[inline]
    fn set_state(&mut self, id: SlotId, state: State, since: u64) {
        let Some(entry) = self.slots.get_mut(id) else {
            return;
        };
        entry.since = since;
        let (before, unsolicited) = (
            core::mem::replace(&mut entry.state, state),
            entry.unsolicited,
        );
        match self.lists.of(before) {
            Some(list) => self.slots.unlink(list, id),
            None => self.removed = self.removed.saturating_sub(1),
        }
        match self.lists.of(state) {
            Some(list) => self.slots.push(list, id),
            None => self.removed = self.removed.saturating_add(1),
        }
        self.use_changes(id, (before, unsolicited), (state, unsolicited));
    }

    fn set_unsolicited(&mut self, id: SlotId, unsolicited: bool) {
        let Some(entry) = self.slots.get_mut(id) else {
            return;
        };
        let (state, before) = (
            entry.state,
            core::mem::replace(&mut entry.unsolicited, unsolicited),
        );
        self.use_changes(id, (state, before), (state, unsolicited));
    }

    /// Has an entry whose state, or of which it was known that it was only heard of, changes on
    /// the queue for that.
    fn use_changes(&mut self, id: SlotId, before: (State, bool), after: (State, bool)) {
        let (before, after) = (Use::of(before), Use::of(after));
        if before == after {
            return;
        }
        match before {
            Use::Unsolicited => self.slots.unlink(&mut self.unsolicited, id),
            Use::Sent => self.slots.unlink(&mut self.sent, id),
            Use::Unanswered => self.slots.unlink(&mut self.unanswered, id),
            Use::None => (),
        }
        match after {
            Use::Unsolicited => self.slots.push(&mut self.unsolicited, id),
            Use::Sent => self.slots.push(&mut self.sent, id),
            Use::Unanswered => self.slots.push(&mut self.unanswered, id),
            Use::None => (),
        }
    }

    /// The kernel is to be told.
    fn lock(&mut self, id: SlotId) {
        let Some(entry) = self.slots.get_mut(id) else {
            return;
        };
        if !core::mem::replace(&mut entry.locked, true) {
            self.slots.push(&mut self.updates, id);
        }
    }

    fn unlock(&mut self, id: SlotId) {
        let Some(entry) = self.slots.get_mut(id) else {
            return;
        };
        if core::mem::replace(&mut entry.locked, false) {
            self.slots.unlink(&mut self.updates, id);
        }
    }

    /// Forgets an entry at once: there is nobody to tell.
    fn remove(&mut self, id: SlotId) {
        self.set_unsolicited(id, false);
        self.unlock(id);
        self.set_state(id, State::Removed(RemoveReason::Expired), 0);
        self.removed = self.removed.saturating_sub(1);
        self.slots.remove(id);
    }
}
