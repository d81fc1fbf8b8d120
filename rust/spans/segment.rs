// SPDX-License-Identifier: GPL-2.0

//! Segments: the wires that devices are on.
//!
//! Who is on a segment is read for every frame and changes when a device goes up
//! or down. Readers see an immutable list, in order of the addresses, under RCU;
//! a change publishes a new one. The ancestor of this is DragonFly's
//! `ifnet_array` (`sys/net/if.c`).

use super::{
    counters::Counter,
    port::Port,
    queue::Queue,
    Spans, //
};
use crate::net::{
    napi::Napi,
    random::get_random_bytes,
    rcu::{Rcu, RcuBox},
    rtnl::Rtnl,
    spinlock_bh::LocalBhDisabled,
    Device, DropReason, SkBuff, SkBuffList,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use spans_logic::{
    address::Address,
    cls,
    segment::{hearers, position, Member},
};

/// Somebody on a segment.
#[derive(Clone)]
struct Station {
    address: Address,
    port: Arc<Port>,
}

impl Member for Station {
    fn address(&self) -> Address {
        self.address
    }
}

/// How many devices can be up on a segment, as a bridge's ports (`BR_MAX_PORTS`):
/// a broadcast is work for each of them.
const MAX_STATIONS: usize = 1024;

/// The stations of a segment, in order of their addresses.
type Stations = KVec<Station>;

/// Who is on the segment, for those who change it.
struct Roster {
    stations: Stations,
    /// An empty list, so that the last one can always leave.
    nobody: Option<RcuBox<Stations>>,
}

impl Roster {
    /// A copy to be published.
    fn snapshot(&self) -> Result<RcuBox<Stations>> {
        let mut stations = KVec::with_capacity(self.stations.len(), GFP_KERNEL_ACCOUNT)?;
        stations.extend_from_slice(&self.stations, GFP_KERNEL_ACCOUNT)?;
        RcuBox::new(stations, GFP_KERNEL_ACCOUNT)
    }

    fn insert(&mut self, station: Station) -> Result {
        if self.stations.len() >= MAX_STATIONS {
            return Err(ENOSPC);
        }
        let position = position(&self.stations, station.address);
        self.stations.reserve(1, GFP_KERNEL_ACCOUNT)?;
        self.stations
            .insert_within_capacity(position, station)
            .map_err(|_| ENOMEM)
    }

    fn remove(&mut self, port: &Port) -> Option<Station> {
        let index = self
            .stations
            .iter()
            .position(|station| core::ptr::eq(&*station.port, port))?;
        self.stations.remove(index).ok()
    }
}

/// A segment.
///
/// It holds on to the ports that are up, and every port holds on to its segment.
#[pin_data]
pub(crate) struct Segment {
    id: [u8; 8],
    stations: Rcu<Stations>,
    #[pin]
    roster: Mutex<Roster>,
}

impl Segment {
    /// A segment with nobody on it.
    pub(super) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                id: get_random_bytes(),
                stations: Rcu::new(RcuBox::new(KVec::new(), GFP_KERNEL_ACCOUNT)?),
                roster <- new_mutex!(
                    Roster {
                        stations: KVec::new(),
                        nobody: None,
                    },
                    "spans_segment"
                ),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// What tells this segment from others. Random, so that it says nothing about
    /// the segments of other users.
    pub(super) fn id(&self) -> [u8; 8] {
        self.id
    }

    /// How many stations there are. May be out of date at once.
    pub(super) fn len(&self, bh: &LocalBhDisabled) -> usize {
        self.stations.read(bh).len()
    }

    /// Puts a port on the segment, under its present address. Process context.
    /// Fails with `ENOSPC` when the segment is full.
    pub(super) fn join(self: &Arc<Self>, port: Arc<Port>, rtnl: &Rtnl) -> Result<Membership> {
        let mut roster = self.roster.lock();
        if roster.nobody.is_none() {
            roster.nobody = Some(RcuBox::new(KVec::new(), GFP_KERNEL_ACCOUNT)?);
        }
        roster.insert(Station {
            address: port.address(),
            port: port.clone(),
        })?;
        match roster.snapshot() {
            Ok(snapshot) => self.stations.replace(snapshot, rtnl),
            Err(error) => {
                roster.remove(&port);
                return Err(error);
            }
        }
        drop(roster);
        Ok(Membership {
            segment: self.clone(),
            port,
        })
    }

    /// Takes a port off the segment. Cannot fail: if there is no memory for a new
    /// list, readers see the port a little longer, with its rings closed.
    fn leave(&self, port: &Port, rtnl: &Rtnl) {
        let mut roster = self.roster.lock();
        let left = roster.remove(port);
        let snapshot = match roster.snapshot() {
            Ok(snapshot) => Some(snapshot),
            // The last one must not stay: port and segment would hold on to each other.
            Err(_) if roster.stations.is_empty() => roster.nobody.take(),
            Err(_) => None,
        };
        if let Some(snapshot) = snapshot {
            self.stations.replace(snapshot, rtnl);
        }
        drop(roster);
        drop(left);
    }

    /// Has a port that is up reached under another address. Process context.
    pub(super) fn readdress(&self, port: &Port, address: Address, rtnl: &Rtnl) -> Result {
        let mut roster = self.roster.lock();
        let Some(station) = roster.remove(port) else {
            return Ok(());
        };
        // What was just removed leaves room for what is inserted: only the copy can fail.
        roster.insert(Station {
            address,
            port: station.port.clone(),
        })?;
        match roster.snapshot() {
            Ok(snapshot) => {
                self.stations.replace(snapshot, rtnl);
                Ok(())
            }
            Err(error) => {
                roster.remove(port);
                roster.insert(station)?;
                Err(error)
            }
        }
    }

    /// Brings frames from the queue `from` of `sender` to all who hear them.
    ///
    /// A frame for one station waits until that has room for it, and those behind it
    /// wait, too: they come back. One for many does not.
    pub(super) fn carry<'a>(
        &'a self,
        device: &Device<Spans>,
        sender: &Port,
        from: &Queue,
        mut frames: SkBuffList,
        bh: &'a LocalBhDisabled,
    ) -> Carried<'a> {
        if frames.is_empty() {
            return Carried::default();
        }
        let stations = self.stations.read(bh);
        let mut delivery = Delivery::new(from.index(), bh);
        let mut lost = SkBuffList::default();
        let mut dropped = 0usize;
        let (mut last, mut heard_by): (_, &[Station]) = (None, &[]);

        while let Some(mut skb) = frames.pop_front() {
            let len = skb.len();
            let destination = match skb.header() {
                Ok(header) => cls::destination(header),
                Err(reason) => {
                    from.drop_headless(skb, reason, Counter::TxDropShort, Counter::TxDropNoMemory);
                    dropped = dropped.wrapping_add(len);
                    continue;
                }
            };
            // Mostly it is for the same one as the one before.
            if last != Some(destination) {
                heard_by = hearers(stations, destination);
                last = Some(destination);
            }
            let mut hearers = heard_by
                .iter()
                .filter(|station| !core::ptr::eq(&*station.port, sender));
            let Some(mut hearer) = hearers.next() else {
                lost.push_back(skb);
                dropped = dropped.wrapping_add(len);
                continue;
            };
            skb.tx_timestamp(device);
            let skb = match skb.scrub_packet() {
                Ok(skb) => skb,
                Err(skb) => {
                    from.drop_frame(skb, Counter::TxDropNoMemory, DropReason::SKB_UCOPY_FAULT);
                    dropped = dropped.wrapping_add(len);
                    continue;
                }
            };
            let mut to = Hearers::One;
            for next in hearers {
                if to == Hearers::One {
                    to = Hearers::Many;
                    // Those before it are not overtaken.
                    delivery.flush();
                    if delivery.is_blocked() {
                        break;
                    }
                }
                // All but the last get a copy.
                delivery.copy(&skb, &hearer.port);
                hearer = next;
            }
            delivery.give(skb, &hearer.port, to);
            if delivery.is_blocked() {
                delivery.back.append(&mut frames);
            }
        }
        let (packets, bytes, back, ring) = delivery.finish();
        from.drop_frames(&mut lost, Counter::TxDropNoTarget, DropReason::NO_TX_TARGET);

        if packets > 0 {
            from.count(Counter::TxPackets, packets as u64);
            from.count(Counter::TxBytes, bytes as u64);
        }
        Carried {
            bytes: bytes.saturating_add(dropped),
            back,
            ring,
        }
    }
}

/// What became of frames that were carried.
#[derive(Default)]
pub(super) struct Carried<'a> {
    /// The bytes of those that arrived or were dropped.
    pub(super) bytes: usize,
    /// Those that could not be delivered yet, in order.
    pub(super) back: SkBuffList,
    /// The last ring that has got frames, whose poll is still to be scheduled.
    pub(super) ring: Option<&'a Napi<Queue>>,
}

/// Whether a frame is for one station.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hearers {
    One,
    Many,
}

/// Frames on their way into receive rings. As long as they go to the same one,
/// they go together: one lock and one doorbell.
struct Delivery<'a> {
    /// The number of the sender's queue.
    index: u16,
    bh: &'a LocalBhDisabled,
    ring: Option<&'a Napi<Queue>>,
    to: Hearers,
    /// On their way into `ring`.
    frames: SkBuffList,
    bytes: usize,
    /// Delivered, a frame for many being one.
    packets: usize,
    total: usize,
    /// Refused by a ring that is full, and all behind them.
    back: SkBuffList,
}

impl<'a> Delivery<'a> {
    fn new(index: u16, bh: &'a LocalBhDisabled) -> Self {
        Self {
            index,
            bh,
            ring: None,
            to: Hearers::One,
            frames: SkBuffList::default(),
            bytes: 0,
            packets: 0,
            total: 0,
            back: SkBuffList::default(),
        }
    }

    fn is_blocked(&self) -> bool {
        !self.back.is_empty()
    }

    #[inline]
    fn give(&mut self, skb: SkBuff, port: &'a Port, to: Hearers) {
        self.put(skb, port, to, true);
    }

    fn copy(&mut self, skb: &SkBuff, port: &'a Port) {
        match skb.clone() {
            Ok(copy) => self.put(copy, port, Hearers::Many, false),
            Err(_) => {
                if let Some(ring) = port.rx_queue(self.index) {
                    ring.count(Counter::RxDropNoMemory, 1);
                }
            }
        }
    }

    /// The frames that follow go to another ring than those before.
    #[inline(never)]
    fn turn_to(&mut self, ring: &'a Napi<Queue>, to: Hearers) {
        self.flush();
        self.ring = Some(ring);
        self.to = to;
    }

    /// `counts`: it is the frame itself and not a copy.
    #[inline]
    fn put(&mut self, skb: SkBuff, port: &'a Port, to: Hearers, counts: bool) {
        let Some(ring) = port.rx_queue(self.index) else {
            // A port always has a queue.
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        if self.to != to || !self.ring.is_some_and(|last| core::ptr::eq(last, ring)) {
            self.turn_to(ring, to);
        }
        if self.is_blocked() {
            return self.back.push_back(skb);
        }
        if counts {
            let len = skb.len();
            self.bytes = self.bytes.wrapping_add(len);
            self.packets = self.packets.wrapping_add(1);
        }
        self.frames.push_back(skb);
    }

    /// Puts the frames into their ring, and has that polled.
    fn flush(&mut self) {
        if let Some(ring) = self.put_into_ring() {
            ring.schedule();
        }
    }

    /// Puts the frames into their ring. Answers whose poll is to be scheduled.
    fn put_into_ring(&mut self) -> Option<&'a Napi<Queue>> {
        let bytes = core::mem::take(&mut self.bytes);
        self.total = self.total.saturating_add(bytes);
        let ring = self.ring.take()?;
        let rings = ring.offer(&mut self.frames, self.bh);
        match self.to {
            Hearers::One => {
                while let Some(skb) = self.frames.pop_front() {
                    self.total = self.total.saturating_sub(skb.len());
                    self.packets = self.packets.saturating_sub(1);
                    self.back.push_back(skb);
                }
            }
            Hearers::Many => {
                ring.drop_frames(&mut self.frames, Counter::RxDropFull, DropReason::FULL_RING);
            }
        }
        rings.then_some(ring)
    }

    /// How many packets and bytes were delivered, what was not, and whose poll is
    /// still to be scheduled.
    fn finish(&mut self) -> (usize, usize, SkBuffList, Option<&'a Napi<Queue>>) {
        let ring = self.put_into_ring();
        (self.packets, self.total, self.back.take(), ring)
    }
}

/// A port is on a segment until it [leaves](Self::leave).
#[must_use = "a port that is never taken off its segment is never freed"]
pub(crate) struct Membership {
    segment: Arc<Segment>,
    port: Arc<Port>,
}

impl Membership {
    /// Takes the port off the segment. Process context.
    pub(super) fn leave(self, rtnl: &Rtnl) {
        self.segment.leave(&self.port, rtnl);
    }
}
