// SPDX-License-Identifier: GPL-2.0

//! The ARP table of one device.
//!
//! The states are those of the ancestor (FreeBSD `spans_arp.c`), and the hold-down of Net/3
//! (`arpresolve()`: after five tries a host is not requested for 20 seconds):
//!
//! ```text
//!            resolve                    no reply, `tries` times
//!   (none) ----------> Incomplete -------------------------------> Failed
//!     |  ^                 |  any packet of the host                 | | `hold` is over,
//!     |  |                 v                                         | | or deleted
//!     |  +------------- Valid <--------------------------------------+ +---> (none)
//!     |   `lifetime`,      ^                 any packet of the host
//!     |   or deleted       |
//!     +--------------------+
//!       request for an address of this device
//!
//!   Permanent: from and to any state by the user only; Unrestored while the kernel
//!   has deleted its neighbour
//!
//!   Unverified: set by the user or the kernel without confirmation (NUD_STALE, NUD_DELAY,
//!   NUD_PROBE) and used for packets; Incomplete with the first of them
//! ```
//!
//! The ancestor's waiters are the kernel's neighbours: an incomplete one holds packets and has
//! called [`Table::resolve`]. Its updates come from [`Table::next_update`], in order and one at a
//! time. An entry with a pending update is locked, as with the ancestor's `SAF_LOCKED`: it keeps
//! its slot until the update has been taken.
//!
//! Aging needs no search: all entries of a list have the same timeout, so the first one is due
//! first.

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

/// Slots beyond the limit, for removed entries with a pending update.
pub const SPARE_SLOTS: usize = 64;

/// Number of refused senders that are remembered.
const REFUSED: usize = 8;

/// Number of lists for incomplete entries, each with its own timeout, so that hosts that were
/// requested at once are not retried at once.
const PACES: usize = 4;

/// The state of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Requests are sent, no reply has come.
    Incomplete {
        /// Requests sent so far.
        tries: u8,
        /// The list that it is on, an index below `PACES`.
        pace: u8,
    },
    /// The address is confirmed.
    Valid,
    /// Valid, and its lifetime is nearly over.
    Expiring,
    /// The address was set without confirmation; the first packet has it verified.
    Unverified,
    /// No reply to the last request.
    Failed,
    /// Set by the user: no lifetime.
    Permanent,
    /// Permanent, but the kernel has deleted its neighbour, as it does when a device goes down: to
    /// be [restored](Table::next_unrestored).
    Unrestored,
    /// Removed, with the update pending.
    Removed(RemoveReason),
}

impl State {
    /// Returns whether there is an address to send to: `SAF_VALID`.
    pub const fn is_valid(self) -> bool {
        matches!(
            self,
            Self::Valid | Self::Expiring | Self::Permanent | Self::Unrestored
        )
    }

    /// Returns whether there is an address, confirmed or not.
    const fn has_address(self) -> bool {
        self.is_valid() || matches!(self, Self::Unverified)
    }
}

/// Storage for one entry.
pub type Slot = super::slots::Slot<State>;

/// The lists by state, oldest first.
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

/// The list of kind [`ListId::Use`] that an entry is on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// No packet has been sent to it.
    Unsolicited,
    /// Valid, and packets have been sent to it.
    Sent,
    /// Incomplete after more than one request.
    Unanswered,
    /// On none of these lists.
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

/// Counters since the creation of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests for addresses, including retries.
    pub requests: u64,
    /// Entries learned from unsolicited senders.
    pub learned: u64,
    /// Entries that were resolved.
    pub resolved: u64,
    /// Entries that failed.
    pub failed: u64,
    /// Entries that got another link address.
    pub changed: u64,
    /// Entries that expired.
    pub expired: u64,
    /// Entries evicted to make room.
    pub evicted: u64,
    /// Entries refused for lack of room.
    pub refused: u64,
    /// Packets from other hosts that use an address of this device.
    pub duplicates: u64,
}

/// A snapshot of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryInfo {
    /// IPv4 address.
    pub ip: Ipv4Addr,
    /// Link address, if there is one.
    pub address: Option<Address>,
    /// State.
    pub state: State,
    /// An update is pending.
    pub locked: bool,
    /// No packet has been sent to it.
    pub unsolicited: bool,
    /// Time since the last change of state, in nanoseconds.
    pub age: u64,
}

/// The ARP table of one device.
#[derive(Debug)]
pub struct Table<E, B>
where
    E: Store<State>,
    B: DerefMut<Target = [Bucket]>,
{
    slots: Slots<State, E, B>,
    lists: Lists,
    unsolicited: List,
    /// Valid entries with traffic, least recently used first, as far as is known.
    sent: List,
    /// Incomplete entries after more than one request.
    unanswered: List,
    /// Locked entries.
    updates: List,
    /// The address of the last update, if that was `Failed` or `Removed` and may still be in
    /// progress.
    last_update: Option<Ipv4Addr>,
    /// The last senders refused for lack of room; enough for most systems to have one for each CPU
    /// that receives.
    refused: [Option<Ipv4Addr>; REFUSED],
    /// Number of removed entries that still have a slot.
    removed: usize,
    up: bool,
    /// Time of the last carrier on, in nanoseconds. Earlier requests count as lost.
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
    /// Creates an empty table for a device that is down. `slots` should have [`SPARE_SLOTS`] slots
    /// more than the limit, `buckets` about as many.
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

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.removed)
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the largest number of slots.
    pub fn max_len(&self) -> usize {
        self.slots.max_len()
    }

    /// Returns the number of slots.
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Returns the counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Returns the settings.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Changes the settings, which apply to existing entries, too. A lower limit evicts nothing.
    pub fn set(&mut self, settings: Settings) {
        self.waits = Waits::new(&settings);
        self.settings = settings;
    }

    /// Returns the link address of a valid entry.
    #[inline]
    pub fn lookup(&self, ip: Ipv4Addr) -> Option<Address> {
        let entry = self.slots.get(self.slots.find(ip)?)?;
        entry.state.is_valid().then_some(entry.address)
    }

    /// Resolves an address for a packet that waits in the kernel's neighbour: the ancestor's
    /// `svcout`. `random` spreads the retries.
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
            // The kernel does not solicit a permanent neighbour: the user has just changed it to
            // another state.
            State::Failed | State::Unverified | State::Removed(_) | State::Permanent => {
                self.request(id, 0, now, random)
            }
        }
    }

    /// Handles the first packet to a neighbour in NUD_STALE. Returns the request to be sent.
    /// `random` spreads the retries.
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

    /// Records a packet to a host. Returns its address if it has to be verified: the entry was
    /// unsolicited and is already expiring.
    fn first_use(&mut self, id: SlotId) -> Option<Address> {
        let entry = self.slots.get(id)?;
        let (unsolicited, state, address) = (entry.unsolicited, entry.state, entry.address);
        self.set_unsolicited(id, false);
        (unsolicited && state == State::Expiring).then_some(address)
    }

    /// Processes a received packet.
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
            // As in `arp_process()`: a reply without a request creates no entry.
            if !ends.for_us || packet.operation != Operation::Request {
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
                // Move it to the end of the eviction order.
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

    /// Enables requests and learning: the device goes up.
    pub fn up(&mut self) {
        self.up = true;
    }

    /// Disables requests and learning: the device goes down. The caller then
    /// [flushes](Self::flush_some) the entries.
    pub fn down(&mut self) {
        self.up = false;
    }

    /// Returns whether an update is pending.
    pub fn has_updates(&self) -> bool {
        self.updates.first().is_some()
    }

    /// Ends a series of updates, all of which the caller has applied.
    pub fn pause_updates(&mut self) {
        self.last_update = None;
    }

    /// Returns the next update for the kernel's neighbours. The caller must have applied the
    /// previous one, and there may be only one caller at a time.
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

    /// Returns the entries of a range of slots, in slot order.
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

    /// Returns the entry of an address, unless it is removed.
    fn live(&self, ip: Ipv4Addr) -> Option<(SlotId, Entry<State>)> {
        let id = self.slots.find(ip)?;
        let entry = *self.slots.get(id)?;
        (!matches!(entry.state, State::Removed(_))).then_some((id, entry))
    }

    fn request(&mut self, id: SlotId, tries: u8, now: u64, random: u32) -> Resolution {
        self.stats.requests = self.stats.requests.wrapping_add(1);
        self.set_unsolicited(id, false);
        // Its neighbour waits for a reply, too: a pending update is obsolete.
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

    /// Sets an address that is verified with the first packet.
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

    /// Marks an entry as removed. Its slot is freed when the update has been taken.
    fn mark_removed(&mut self, id: SlotId, end: RemoveReason) {
        self.set_unsolicited(id, false);
        self.set_state(id, State::Removed(end), 0);
        self.lock(id);
    }

    /// Changes the state of an entry, and its list.
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

    /// Moves an entry to another list of kind [`ListId::Use`] after a change of its state or of
    /// `unsolicited`.
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

    /// Removes an entry at once, without an update.
    fn remove(&mut self, id: SlotId) {
        self.set_unsolicited(id, false);
        self.unlock(id);
        self.set_state(id, State::Removed(RemoveReason::Expired), 0);
        self.removed = self.removed.saturating_sub(1);
        self.slots.remove(id);
    }
}
