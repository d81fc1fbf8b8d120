// SPDX-License-Identifier: GPL-2.0

//! The way of frames from a transmit ring over the segment into receive rings.

use super::{interface, Segment, Station, Stations};
use crate::{
    net::{napi::Napi, spinlock_bh::LocalBhDisabled, Device, DropReason, SkBuff, SkBuffList},
    spans::{counters::Counter, port::Port, queue::Queue, Spans},
};
use kernel::sync::Arc;
use spans_logic::{
    address::Address,
    medium::{Cast, Medium},
    segment::{is_owner, owners},
};

/// Those who hear what goes to some address, the sender perhaps among them.
#[derive(Clone, Copy)]
struct Hearers<'a> {
    medium: &'static Medium,
    address: Address,
    cast: Cast,
    /// Who has the address. For a group all that there are.
    stations: &'a [Station],
    /// Who may hear what is for others, too. Their filters say.
    taps: &'a [Arc<Port>],
    bh: &'a LocalBhDisabled,
}

fn is(port: &Port, other: &Port) -> bool {
    core::ptr::eq(port, other)
}

impl<'a> Hearers<'a> {
    /// Nobody.
    fn none(medium: &'static Medium, bh: &'a LocalBhDisabled) -> Self {
        Self {
            medium,
            address: Address::NONE,
            cast: Cast::Unicast,
            stations: &[],
            taps: &[],
            bh,
        }
    }

    /// Those among `stations` who hear what goes to another address.
    fn of(self, stations: &'a Stations, address: Address) -> Self {
        let cast = self.medium.cast(address);
        let (stations, taps) = match cast {
            Cast::Unicast => (owners(&stations.addresses, address), &*stations.promiscuous),
            // They hear groups as stations.
            _ => (&*stations.addresses, [].as_slice()),
        };
        Self {
            address,
            cast,
            stations,
            taps,
            ..self
        }
    }

    /// The ports of stations but the sender's, each once.
    fn ports(self, sender: &'a Port) -> impl Iterator<Item = &'a Port> {
        self.stations
            .iter()
            .filter(move |station| station.own || self.cast == Cast::Unicast)
            .map(|station| &*station.port)
            .filter(move |port| !is(port, sender))
    }

    /// The taps but the sender's and another one, and those that hear it as stations.
    fn taps(self, sender: &'a Port, other: &'a Port) -> impl Iterator<Item = &'a Port> {
        self.taps
            .iter()
            .map(|port| &**port)
            .filter(move |port| !is(port, sender) && !is(port, other))
            .filter(move |port| port.filter(self.bh).hears(self.medium, self.address))
            .filter(move |port| !is_owner(self.stations, interface(port)))
    }

    /// How a frame reaches them.
    fn reach(self, sender: &'a Port) -> Reach<'a> {
        let mut ports = self.ports(sender);
        match (ports.next(), ports.next()) {
            (Some(_), _) if self.cast == Cast::Multicast => Reach::Many,
            (Some(_), Some(_)) => Reach::Many,
            (Some(port), None) if self.taps(sender, port).next().is_none() => Reach::One(port),
            (Some(port), None) => Reach::OneAndTaps(port),
            // Taps alone, as is the port of a bridge: no frame waits for them.
            (None, _) => match self.taps(sender, sender).next() {
                Some(_) => Reach::Many,
                None => Reach::Nobody,
            },
        }
    }
}

/// How a frame reaches its hearers.
#[derive(Clone, Copy)]
enum Reach<'a> {
    Nobody,
    /// Waits for room, at most as long as its sender does.
    One(&'a Port),
    /// So does this; the others get copies when it waits no more.
    OneAndTaps(&'a Port),
    /// Waits for nobody.
    Many,
}

impl Segment {
    /// Brings frames from the queue `from` of `sender` to all who hear them.
    ///
    /// A frame for one station waits for room there, as long as that gets on and its sender
    /// has so much `patience`, in nanoseconds; those behind it wait, too: they come back. One
    /// for many does not.
    pub(in crate::spans) fn carry<'a>(
        &'a self,
        device: &Device<Spans>,
        sender: &'a Port,
        from: &Queue,
        mut frames: SkBuffList,
        patience: u64,
        bh: &'a LocalBhDisabled,
    ) -> Carried<'a> {
        if frames.is_empty() {
            return Carried::default();
        }
        let stations = self.stations.read(bh);
        let header_len = self.medium.header_len();
        let mut delivery = Delivery::new(from.index(), patience, bh);
        let mut lost = SkBuffList::default();
        let (mut dropped, mut groups) = (0usize, 0u64);
        let mut hearers = Hearers::none(self.medium, bh);
        let (mut last, mut reach) = (None, Reach::Nobody);

        while let Some(mut skb) = frames.pop_front() {
            let len = skb.len();
            let destination = match skb.header(header_len) {
                Ok(header) => self.medium.destination(header),
                Err(reason) => {
                    from.drop_headless(skb, reason, Counter::TxErrorShort, Counter::TxDropNoMemory);
                    dropped = dropped.wrapping_add(len);
                    continue;
                }
            };
            // Mostly it is for the same one as the one before.
            if last != Some(destination) {
                last = Some(destination);
                hearers = hearers.of(stations, destination);
                reach = hearers.reach(sender);
            }
            if matches!(reach, Reach::Nobody) {
                lost.push_back(skb);
                dropped = dropped.wrapping_add(len);
                continue;
            }
            skb.tx_timestamp(device);
            let skb = match skb.scrub_packet() {
                Ok(skb) => skb,
                Err(skb) => {
                    from.drop_frame(skb, Counter::TxDropNoMemory, DropReason::SKB_UCOPY_FAULT);
                    dropped = dropped.wrapping_add(len);
                    continue;
                }
            };
            match reach {
                Reach::One(port) => delivery.give(skb, port),
                Reach::OneAndTaps(port) => {
                    delivery.give_and_tap(skb, port, || hearers.taps(sender, port));
                }
                Reach::Many | Reach::Nobody => {
                    let group = (hearers.cast == Cast::Multicast).then_some(destination);
                    let ports = hearers.ports(sender).chain(hearers.taps(sender, sender));
                    delivery.spread(skb, ports, |port| {
                        group.is_none_or(|group| port.filter(bh).hears(self.medium, group))
                    });
                }
            }
            if hearers.cast != Cast::Unicast {
                // To know whether it has arrived.
                delivery.flush();
                groups = groups.wrapping_add(u64::from(!delivery.is_blocked()));
            }
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
        if groups > 0 {
            from.count(Counter::TxMulticast, groups);
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
pub(in crate::spans) struct Carried<'a> {
    /// The bytes of those that arrived or were dropped.
    pub(in crate::spans) bytes: usize,
    /// Those that could not be delivered yet, in order.
    pub(in crate::spans) back: SkBuffList,
    /// The last ring that has got frames, whose poll is still to be scheduled.
    pub(in crate::spans) ring: Option<&'a Napi<Queue>>,
}

/// Frames on their way into receive rings. As long as they go to the same one,
/// they go together: one lock and one doorbell.
struct Delivery<'a> {
    /// The number of the sender's queue.
    index: u16,
    /// How long a frame for one port waits for a ring that does not move, in nanoseconds.
    wait: u64,
    bh: &'a LocalBhDisabled,
    ring: Option<(&'a Port, &'a Napi<Queue>)>,
    /// How long those that are on their way into `ring` wait: 0 is not at all.
    patience: u64,
    /// On their way into `ring`.
    frames: SkBuffList,
    /// Delivered, a frame for many being one.
    packets: usize,
    bytes: usize,
    /// Refused by a ring that is full, and all behind them.
    back: SkBuffList,
}

impl<'a> Delivery<'a> {
    fn new(index: u16, wait: u64, bh: &'a LocalBhDisabled) -> Self {
        Self {
            index,
            wait,
            bh,
            ring: None,
            patience: wait,
            frames: SkBuffList::default(),
            packets: 0,
            bytes: 0,
            back: SkBuffList::default(),
        }
    }

    fn is_blocked(&self) -> bool {
        !self.back.is_empty()
    }

    fn count(&mut self, skb: &SkBuff) {
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(skb.len());
    }

    /// A frame for one port.
    #[inline]
    fn give(&mut self, skb: SkBuff, port: &'a Port) {
        self.count(&skb);
        self.put(skb, port, self.wait);
    }

    /// A frame for one port, of which others get copies, though its ring may drop it: it was
    /// on the wire.
    #[inline(never)]
    fn give_and_tap<I: Iterator<Item = &'a Port>>(
        &mut self,
        skb: SkBuff,
        port: &'a Port,
        taps: impl Fn() -> I,
    ) {
        self.flush();
        let waits = port
            .rx_queue(self.index)
            .is_some_and(|ring| ring.makes_wait(self.wait, self.bh));
        if waits || self.is_blocked() {
            // There are no copies of a frame that will be offered again.
            return self.back.push_back(skb);
        }
        let copy = skb.clone();
        self.give(skb, port);
        self.flush();
        match copy {
            Ok(copy) if self.is_blocked() => copy.consume(),
            Ok(copy) => self.copy_to_all(copy, taps(), |_| true),
            Err(_) if self.is_blocked() => (),
            Err(_) => taps().for_each(|tap| self.count_at(tap, Counter::RxDropNoMemory)),
        }
    }

    /// A frame for those of many ports that hear it.
    #[inline(never)]
    fn spread(
        &mut self,
        skb: SkBuff,
        ports: impl Iterator<Item = &'a Port>,
        hears: impl Fn(&Port) -> bool,
    ) {
        // Those before it are not overtaken.
        self.flush();
        if self.is_blocked() {
            return self.back.push_back(skb);
        }
        self.count(&skb);
        self.copy_to_all(skb, ports, hears);
    }

    fn copy_to_all(
        &mut self,
        skb: SkBuff,
        ports: impl Iterator<Item = &'a Port>,
        hears: impl Fn(&Port) -> bool,
    ) {
        let mut last = None;
        for port in ports {
            if !hears(port) {
                self.count_at(port, Counter::RxFiltered);
                continue;
            }
            let Some(before) = last.replace(port) else {
                continue;
            };
            match skb.clone() {
                Ok(copy) => self.put(copy, before, 0),
                Err(_) => self.count_at(before, Counter::RxDropNoMemory),
            }
        }
        match last {
            Some(port) => self.put(skb, port, 0),
            // It was on the wire, where nobody wanted to hear it.
            None => skb.consume(),
        }
    }

    fn count_at(&self, port: &Port, counter: Counter) {
        if let Some(ring) = port.rx_queue(self.index) {
            ring.count(counter, 1);
        }
    }

    /// The frames that follow go to another ring than those before.
    #[inline(never)]
    fn turn_to(&mut self, port: &'a Port, ring: &'a Napi<Queue>, patience: u64) {
        self.flush();
        self.ring = Some((port, ring));
        self.patience = patience;
    }

    #[inline]
    fn put(&mut self, skb: SkBuff, port: &'a Port, patience: u64) {
        let Some(ring) = port.rx_queue(self.index) else {
            // A port always has a queue.
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        let same = |(_, last): (_, &Napi<Queue>)| core::ptr::eq(last, ring);
        if self.patience != patience || !self.ring.is_some_and(same) {
            self.turn_to(port, ring, patience);
        }
        if self.is_blocked() {
            return self.hold_back(skb);
        }
        self.frames.push_back(skb);
    }

    /// It was counted, and has not arrived.
    fn hold_back(&mut self, skb: SkBuff) {
        self.packets = self.packets.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(skb.len());
        self.back.push_back(skb);
    }

    /// Puts the frames into their ring, and has that polled.
    fn flush(&mut self) {
        if let Some(ring) = self.put_into_ring() {
            ring.schedule();
        }
    }

    /// Puts the frames into their ring. Answers whose poll is to be scheduled.
    fn put_into_ring(&mut self) -> Option<&'a Napi<Queue>> {
        // None if they were held back.
        let (port, ring) = self.ring.take().filter(|_| !self.frames.is_empty())?;
        let rings = ring.offer(port, &mut self.frames, self.patience, self.bh);
        while let Some(skb) = self.frames.pop_front() {
            self.hold_back(skb);
        }
        rings.then_some(ring)
    }

    /// How many packets and bytes were delivered, what was not, and whose poll is
    /// still to be scheduled.
    fn finish(&mut self) -> (usize, usize, SkBuffList, Option<&'a Napi<Queue>>) {
        let ring = self.put_into_ring();
        (self.packets, self.bytes, self.back.take(), ring)
    }
}
