// SPDX-License-Identifier: GPL-2.0

//! Forwards frames from a TX ring to the RX rings of the segment's members.

use super::{number, Fdb, FdbEntry, Member, Segment};
use crate::{
    net::{napi::Napi, spinlock_bh::LocalBhDisabled, Device, DropReason, SkBuff, SkBuffList},
    spans::{counters::Counter, queue::Queue, Spans},
};
use kernel::sync::Arc;
use spans_logic::{
    address::Address,
    medium::{AddressClass, Medium},
    segment::{is_owner, owners},
};

/// The members that receive frames for an address, the sender perhaps among them.
struct Receivers<'a, M> {
    medium: &'static Medium,
    address: Address,
    class: AddressClass,
    /// The entries of the address; all entries if it is multicast or broadcast.
    entries: &'a [FdbEntry<M>],
    /// The promiscuous members, subject to their filters.
    promiscuous: &'a [Arc<M>],
    bh: &'a LocalBhDisabled,
}

impl<M> Clone for Receivers<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Receivers<'_, M> {}

fn is<M>(member: &M, other: &M) -> bool {
    core::ptr::eq(member, other)
}

impl<'a, M: Member> Receivers<'a, M> {
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
    fn of(self, fdb: &'a Fdb<M>, address: Address) -> Self {
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

    /// Returns the members of the entries, each once, without the sender.
    fn members(self, sender: &'a M) -> impl Iterator<Item = &'a M> {
        self.entries
            .iter()
            .filter(move |entry| entry.primary || self.class == AddressClass::Unicast)
            .map(|entry| &*entry.member)
            .filter(move |member| !is(*member, sender))
    }

    /// Returns the promiscuous members, without the sender, `other` and the members that have
    /// the address.
    fn promiscuous(self, sender: &'a M, other: &'a M) -> impl Iterator<Item = &'a M> {
        self.promiscuous
            .iter()
            .map(|member| &**member)
            .filter(move |member| !is(*member, sender) && !is(*member, other))
            .filter(move |member| member.filter(self.bh).accepts(self.medium, self.address))
            .filter(move |member| !is_owner(self.entries, number(*member)))
    }

    /// Returns the forwarding decision for frames of `sender`.
    fn forwarding(self, sender: &'a M) -> Forwarding<'a, M> {
        let mut members = self.members(sender);
        match (members.next(), members.next()) {
            (Some(_), _) if self.class == AddressClass::Multicast => Forwarding::Flood,
            (Some(_), Some(_)) => Forwarding::Flood,
            (Some(member), None) if self.promiscuous(sender, member).next().is_none() => {
                Forwarding::Unicast(member)
            }
            (Some(member), None) => Forwarding::UnicastAndMirror(member),
            // Only promiscuous members, as a bridge port is: they cause no backpressure.
            (None, _) => match self.promiscuous(sender, sender).next() {
                Some(_) => Forwarding::Flood,
                None => Forwarding::Drop,
            },
        }
    }
}

/// A forwarding decision.
enum Forwarding<'a, M> {
    Drop,
    /// With backpressure, within the sender's TX wait.
    Unicast(&'a M),
    /// The same, and promiscuous members get copies once the frame does not wait any more.
    UnicastAndMirror(&'a M),
    /// Without backpressure.
    Flood,
}

impl<M> Clone for Forwarding<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Forwarding<'_, M> {}

impl<M: Member> Segment<M> {
    /// Forwards frames from the queue `from` of `sender`.
    ///
    /// A unicast frame waits for room in a full RX ring while its receiver makes progress, up to
    /// `tx_wait` nanoseconds; the frames behind it wait, too. They are returned. Flooded frames do
    /// not wait.
    pub(in crate::spans) fn forward<'a>(
        &'a self,
        device: &Device<Spans>,
        sender: &'a M,
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
                Forwarding::Unicast(member) => delivery.unicast(skb, member),
                Forwarding::UnicastAndMirror(member) => {
                    let promiscuous = || receivers.promiscuous(sender, member);
                    delivery.unicast_and_mirror(skb, member, promiscuous);
                }
                Forwarding::Flood | Forwarding::Drop => {
                    let group = (receivers.class == AddressClass::Multicast).then_some(destination);
                    let members = receivers
                        .members(sender)
                        .chain(receivers.promiscuous(sender, sender));
                    delivery.flood(skb, members, |member| {
                        group.is_none_or(|group| member.filter(bh).accepts(self.medium, group))
                    });
                }
            }
            if receivers.class != AddressClass::Unicast {
                // To know whether it was delivered.
                delivery.deliver();
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
#[must_use = "frames may wait, and a poll may have to be scheduled"]
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
struct Delivery<'a, M> {
    /// Index of the sender's queue.
    index: u16,
    /// The sender's TX wait, in nanoseconds.
    tx_wait: u64,
    bh: &'a LocalBhDisabled,
    ring: Option<(&'a M, &'a Napi<Queue>)>,
    /// The TX wait of the batch for `ring`; 0 for flooded frames.
    ring_wait: u64,
    /// The batch for `ring`.
    frames: SkBuffList,
    /// Number of frames delivered; a flooded frame counts once.
    packets: usize,
    bytes: usize,
    /// Frames that a full ring did not take, and all frames behind them.
    back: SkBuffList,
}

impl<'a, M: Member> Delivery<'a, M> {
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
    fn unicast(&mut self, skb: SkBuff, member: &'a M) {
        self.count(&skb);
        self.put(skb, member, self.tx_wait);
    }

    /// Delivers a frame to one member, and copies to promiscuous members, also if the ring of
    /// `member` drops it.
    #[inline(never)]
    fn unicast_and_mirror<I: Iterator<Item = &'a M>>(
        &mut self,
        skb: SkBuff,
        member: &'a M,
        promiscuous: impl Fn() -> I,
    ) {
        self.deliver();
        let waits = member
            .rx_queue(self.index)
            .is_some_and(|ring| ring.makes_wait(self.tx_wait, self.bh));
        if waits || self.is_blocked() {
            // No copies yet: the frame will be offered again.
            return self.back.push_back(skb);
        }
        let copy = skb.clone();
        self.unicast(skb, member);
        self.deliver();
        match copy {
            Ok(copy) if self.is_blocked() => copy.consume(),
            Ok(copy) => self.copy_to_all(copy, promiscuous(), |_| true),
            Err(_) if self.is_blocked() => (),
            Err(_) => {
                promiscuous().for_each(|member| self.count_at(member, Counter::RxDropNoMemory))
            }
        }
    }

    /// Delivers copies of a frame to the members that accept it.
    #[inline(never)]
    fn flood(
        &mut self,
        skb: SkBuff,
        members: impl Iterator<Item = &'a M>,
        accepts: impl Fn(&M) -> bool,
    ) {
        // Keeps the order: frames before it may still wait.
        self.deliver();
        if self.is_blocked() {
            return self.back.push_back(skb);
        }
        self.count(&skb);
        self.copy_to_all(skb, members, accepts);
    }

    fn copy_to_all(
        &mut self,
        skb: SkBuff,
        members: impl Iterator<Item = &'a M>,
        accepts: impl Fn(&M) -> bool,
    ) {
        let mut last = None;
        for member in members {
            if !accepts(member) {
                self.count_at(member, Counter::RxFiltered);
                continue;
            }
            let Some(before) = last.replace(member) else {
                continue;
            };
            match skb.clone() {
                Ok(copy) => self.put(copy, before, 0),
                Err(_) => self.count_at(before, Counter::RxDropNoMemory),
            }
        }
        match last {
            Some(member) => self.put(skb, member, 0),
            // Sent, but no member accepts it.
            None => skb.consume(),
        }
    }

    fn count_at(&self, member: &M, counter: Counter) {
        if let Some(ring) = member.rx_queue(self.index) {
            ring.count(counter, 1);
        }
    }

    /// Delivers the batch, and starts one for another ring.
    #[inline(never)]
    fn turn_to(&mut self, member: &'a M, ring: &'a Napi<Queue>, ring_wait: u64) {
        self.deliver();
        self.ring = Some((member, ring));
        self.ring_wait = ring_wait;
    }

    #[inline]
    fn put(&mut self, skb: SkBuff, member: &'a M, ring_wait: u64) {
        let Some(ring) = member.rx_queue(self.index) else {
            // Unreachable: a member always has a queue.
            return skb.kfree_reason(DropReason::NOT_SPECIFIED);
        };
        let same = |(_, last): (_, &Napi<Queue>)| core::ptr::eq(last, ring);
        if self.ring_wait != ring_wait || !self.ring.is_some_and(same) {
            self.turn_to(member, ring, ring_wait);
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
    fn deliver(&mut self) {
        if let Some(ring) = self.put_into_ring() {
            ring.schedule();
        }
    }

    /// Delivers the batch. Returns the ring if its poll has to be scheduled.
    fn put_into_ring(&mut self) -> Option<&'a Napi<Queue>> {
        // Empty if the frames were requeued.
        let (member, ring) = self.ring.take().filter(|_| !self.frames.is_empty())?;
        let watch = || member.watch();
        let schedule = ring.enqueue_rx(&mut self.frames, self.ring_wait, watch, self.bh);
        while let Some(skb) = self.frames.pop_front() {
            self.requeue(skb);
        }
        schedule.then_some(ring)
    }

    /// Delivers the last batch. Returns the packets and bytes delivered, the requeued frames, and
    /// the ring if its poll has to be scheduled.
    fn finish(&mut self) -> (usize, usize, SkBuffList, Option<&'a Napi<Queue>>) {
        let ring = self.put_into_ring();
        (self.packets, self.bytes, self.back.take(), ring)
    }
}
