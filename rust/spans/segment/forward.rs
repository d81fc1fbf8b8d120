// SPDX-License-Identifier: GPL-2.0

//! Forwards frames from a TX ring to the RX rings of the segment's members.

use super::{interface, Fdb, FdbEntry, Segment};
use crate::{
    net::{napi::Napi, spinlock_bh::LocalBhDisabled, Device, DropReason, SkBuff, SkBuffList},
    spans::{counters::Counter, port::Port, queue::Queue, Spans},
};
use kernel::sync::Arc;
use spans_logic::{
    address::Address,
    medium::{AddressClass, Medium},
    segment::{is_owner, owners},
};

/// The members that receive frames for an address, the sender perhaps among them.
#[derive(Clone, Copy)]
struct Receivers<'a> {
    medium: &'static Medium,
    address: Address,
    class: AddressClass,
    /// The entries of the address; all entries if it is multicast or broadcast.
    entries: &'a [FdbEntry],
    /// The promiscuous members, subject to their filters.
    promiscuous: &'a [Arc<Port>],
    bh: &'a LocalBhDisabled,
}

fn is(port: &Port, other: &Port) -> bool {
    core::ptr::eq(port, other)
}

impl<'a> Receivers<'a> {
    fn none(medium: &'static Medium, bh: &'a LocalBhDisabled) -> Self {
        Self {
            medium,
            address: Address::NONE,
            class: AddressClass::Unicast,
            entries: &[],
            promiscuous: &[],
            bh,
        }
    }

    /// Returns the receivers for another address.
    fn of(self, fdb: &'a Fdb, address: Address) -> Self {
        let class = self.medium.address_class(address);
        let (entries, promiscuous) = match class {
            AddressClass::Unicast => (owners(&fdb.addresses, address), &*fdb.promiscuous),
            // All entries include those of the promiscuous members.
            _ => (&*fdb.addresses, [].as_slice()),
        };
        Self {
            address,
            class,
            entries,
            promiscuous,
            ..self
        }
    }

    /// Returns the ports of the entries, each once, without the sender's.
    fn ports(self, sender: &'a Port) -> impl Iterator<Item = &'a Port> {
        self.entries
            .iter()
            .filter(move |entry| entry.primary || self.class == AddressClass::Unicast)
            .map(|entry| &*entry.port)
            .filter(move |port| !is(port, sender))
    }

    /// Returns the promiscuous members, without the sender, `other` and the members that have
    /// the address.
    fn promiscuous(self, sender: &'a Port, other: &'a Port) -> impl Iterator<Item = &'a Port> {
        self.promiscuous
            .iter()
            .map(|port| &**port)
            .filter(move |port| !is(port, sender) && !is(port, other))
            .filter(move |port| port.filter(self.bh).accepts(self.medium, self.address))
            .filter(move |port| !is_owner(self.entries, interface(port)))
    }

    /// Returns the forwarding decision for frames of `sender`.
    fn forwarding(self, sender: &'a Port) -> Forwarding<'a> {
        let mut ports = self.ports(sender);
        match (ports.next(), ports.next()) {
            (Some(_), _) if self.class == AddressClass::Multicast => Forwarding::Flood,
            (Some(_), Some(_)) => Forwarding::Flood,
            (Some(port), None) if self.promiscuous(sender, port).next().is_none() => {
                Forwarding::Unicast(port)
            }
            (Some(port), None) => Forwarding::UnicastAndMirror(port),
            // Only promiscuous members, as a bridge port is: they cause no backpressure.
            (None, _) => match self.promiscuous(sender, sender).next() {
                Some(_) => Forwarding::Flood,
                None => Forwarding::Drop,
            },
        }
    }
}

/// A forwarding decision.
#[derive(Clone, Copy)]
enum Forwarding<'a> {
    Drop,
    /// With backpressure, within the sender's TX wait.
    Unicast(&'a Port),
    /// The same, and promiscuous members get copies once the frame does not wait any more.
    UnicastAndMirror(&'a Port),
    /// Without backpressure.
    Flood,
}

impl Segment {
    /// Forwards frames from the queue `from` of `sender`.
    ///
    /// A frame for one station waits for room there, as long as that gets on and its sender
    /// has `tx_wait` nanoseconds left; those behind it wait, too: they come back. One
    /// for many does not.
    pub(in crate::spans) fn forward<'a>(
        &'a self,
        device: &Device<Spans>,
        sender: &'a Port,
        from: &Queue,
        mut frames: SkBuffList,
        tx_wait: u64,
        bh: &'a LocalBhDisabled,
    ) -> Forwarded<'a> {
        if frames.is_empty() {
            return Forwarded::default();
        }
        let fdb = self.fdb.read(bh);
        let header_len = self.medium.header_len();
        let mut delivery = Delivery::new(from.index(), tx_wait, bh);
        let mut lost = SkBuffList::default();
        let (mut dropped, mut multicasts) = (0usize, 0u64);
        let mut receivers = Receivers::none(self.medium, bh);
        let (mut last, mut forwarding) = (None, Forwarding::Drop);

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
            // Most frames have the same destination as the frame before.
            if last != Some(destination) {
                last = Some(destination);
                receivers = receivers.of(fdb, destination);
                forwarding = receivers.forwarding(sender);
            }
            if matches!(forwarding, Forwarding::Drop) {
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
            match forwarding {
                Forwarding::Unicast(port) => delivery.unicast(skb, port),
                Forwarding::UnicastAndMirror(port) => {
                    delivery.unicast_and_mirror(skb, port, || receivers.promiscuous(sender, port));
                }
                Forwarding::Flood | Forwarding::Drop => {
                    let group = (receivers.class == AddressClass::Multicast).then_some(destination);
                    let ports = receivers
                        .ports(sender)
                        .chain(receivers.promiscuous(sender, sender));
                    delivery.flood(skb, ports, |port| {
                        group.is_none_or(|group| port.filter(bh).accepts(self.medium, group))
                    });
                }
            }
            if receivers.class != AddressClass::Unicast {
                // To know whether it was delivered.
                delivery.flush();
                multicasts = multicasts.wrapping_add(u64::from(!delivery.is_blocked()));
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
        if multicasts > 0 {
            from.count(Counter::TxMulticast, multicasts);
        }
        Forwarded {
            bytes: bytes.saturating_add(dropped),
            back,
            ring,
        }
    }
}

/// The result of [`Segment::forward`].
#[derive(Default)]
pub(in crate::spans) struct Forwarded<'a> {
    /// Bytes of the frames delivered or dropped.
    pub(in crate::spans) bytes: usize,
    /// The frames that wait for room, in order.
    pub(in crate::spans) back: SkBuffList,
    /// The last RX ring that got frames. The caller has to schedule its poll.
    pub(in crate::spans) ring: Option<&'a Napi<Queue>>,
}

/// The delivery of frames into RX rings. Consecutive frames for the same ring are batched: one
/// lock and one doorbell.
struct Delivery<'a> {
    /// Index of the sender's queue.
    index: u16,
    /// The sender's TX wait, in nanoseconds.
    tx_wait: u64,
    bh: &'a LocalBhDisabled,
    ring: Option<(&'a Port, &'a Napi<Queue>)>,
    /// How long those that are on their way into `ring` wait: 0 is not at all.
    ring_wait: u64,
    /// On their way into `ring`.
    frames: SkBuffList,
    /// Number of frames delivered; a flooded frame counts once.
    packets: usize,
    bytes: usize,
    /// Frames that a full ring did not take, and all frames behind them.
    back: SkBuffList,
}

impl<'a> Delivery<'a> {
    fn new(index: u16, tx_wait: u64, bh: &'a LocalBhDisabled) -> Self {
        Self {
            index,
            tx_wait,
            bh,
            ring: None,
            ring_wait: tx_wait,
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

    #[inline]
    fn unicast(&mut self, skb: SkBuff, port: &'a Port) {
        self.count(&skb);
        self.put(skb, port, self.tx_wait);
    }

    /// Delivers a frame to one port, and copies to promiscuous members, also if the ring of
    /// `port` drops it.
    #[inline(never)]
    fn unicast_and_mirror<I: Iterator<Item = &'a Port>>(
        &mut self,
        skb: SkBuff,
        port: &'a Port,
        promiscuous: impl Fn() -> I,
    ) {
        self.flush();
        let waits = port
            .rx_queue(self.index)
            .is_some_and(|ring| ring.makes_wait(self.tx_wait, self.bh));
        if waits || self.is_blocked() {
            // No copies yet: the frame will be offered again.
            return self.back.push_back(skb);
        }
        let copy = skb.clone();
        self.unicast(skb, port);
        self.flush();
        match copy {
            Ok(copy) if self.is_blocked() => copy.consume(),
            Ok(copy) => self.copy_to_all(copy, promiscuous(), |_| true),
            Err(_) if self.is_blocked() => (),
            Err(_) => {
                promiscuous().for_each(|member| self.count_at(member, Counter::RxDropNoMemory))
            }
        }
    }

    /// Delivers copies of a frame to the ports that accept it.
    #[inline(never)]
    fn flood(
        &mut self,
        skb: SkBuff,
        ports: impl Iterator<Item = &'a Port>,
        accepts: impl Fn(&Port) -> bool,
    ) {
        // Keeps the order: frames before it may still wait.
        self.flush();
        if self.is_blocked() {
            return self.back.push_back(skb);
        }
        self.count(&skb);
        self.copy_to_all(skb, ports, accepts);
    }

    fn copy_to_all(
        &mut self,
        skb: SkBuff,
        ports: impl Iterator<Item = &'a Port>,
        accepts: impl Fn(&Port) -> bool,
    ) {
        let mut last = None;
        for port in ports {
            if !accepts(port) {
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
            // Sent, but no member accepts it.
            None => skb.consume(),
        }
    }

    fn count_at(&self, port: &Port, counter: Counter) {
        if let Some(ring) = port.rx_queue(self.index) {
            ring.count(counter, 1);
        }
    }

    /// Delivers the batch, and starts one for another ring.
    #[inline(never)]
    fn turn_to(&mut self, port: &'a Port, ring: &'a Napi<Queue>, ring_wait: u64) {
        self.flush();
        self.ring = Some((port, ring));
        self.ring_wait = ring_wait;
    }

    #[inline]
    fn put(&mut self, skb: SkBuff, port: &'a Port, ring_wait: u64) {
        let Some(ring) = port.rx_queue(self.index) else {
            // Unreachable: a port always has a queue.
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        let same = |(_, last): (_, &Napi<Queue>)| core::ptr::eq(last, ring);
        if self.ring_wait != ring_wait || !self.ring.is_some_and(same) {
            self.turn_to(port, ring, ring_wait);
        }
        if self.is_blocked() {
            return self.requeue(skb);
        }
        self.frames.push_back(skb);
    }

    /// Puts a frame into `back` that was counted but not delivered.
    fn requeue(&mut self, skb: SkBuff) {
        self.packets = self.packets.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(skb.len());
        self.back.push_back(skb);
    }

    /// Delivers the batch, and schedules the poll of its ring.
    fn flush(&mut self) {
        if let Some(ring) = self.put_into_ring() {
            ring.schedule();
        }
    }

    /// Delivers the batch. Returns the ring if its poll has to be scheduled.
    fn put_into_ring(&mut self) -> Option<&'a Napi<Queue>> {
        // Empty if the frames were requeued.
        let (port, ring) = self.ring.take().filter(|_| !self.frames.is_empty())?;
        let rings = ring.enqueue_rx(port, &mut self.frames, self.ring_wait, self.bh);
        while let Some(skb) = self.frames.pop_front() {
            self.requeue(skb);
        }
        rings.then_some(ring)
    }

    /// Delivers the last batch. Returns the packets and bytes delivered, the requeued frames, and
    /// the ring if its poll has to be scheduled.
    fn finish(&mut self) -> (usize, usize, SkBuffList, Option<&'a Napi<Queue>>) {
        let ring = self.put_into_ring();
        (self.packets, self.bytes, self.back.take(), ring)
    }
}
