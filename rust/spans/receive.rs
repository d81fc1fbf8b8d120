// SPDX-License-Identifier: GPL-2.0

//! The receive ring, and from there to the stack.

use super::{counters::Counter, port::Port, queue::Queue};
use crate::net::{
    clock::{jiffies, ktime_get},
    napi::{Napi, PollContext},
    skbuff::{Offloads, PacketType},
    spinlock_bh::LocalBhDisabled,
    DropReason,
    SkBuff,
    SkBuffList, //
};
use spans_logic::{
    address::Address,
    arp::packet,
    receive::{classify, is_slow, longest, room, OnFull, Recipient, RingFull, RxDrop},
    watchdog::{self, Look},
};

/// A receive ring.
pub(super) struct RxRing {
    /// Whether the device is up.
    open: bool,
    /// Whether its line is not cut.
    carrier: bool,
    frames: SkBuffList,
    slots: usize,
    full: RingFull,
    watch: watchdog::Rx,
    /// No doorbell schedules a poll: a fault that the user has switched on.
    misses_irq: bool,
}

/// What a look at a receive ring has found.
pub(super) enum RxLook {
    /// No frames: this was the last look.
    Idle,
    /// Frames that a poll will fetch.
    Busy,
    /// So many frames for which no poll was scheduled. Now one is.
    MissedIrq(usize),
}

/// What the stack is told of a frame.
struct ToStack {
    header_len: usize,
    protocol: u16,
    packet_type: PacketType,
    queue: Option<u16>,
}

impl ToStack {
    #[inline(always)]
    fn give(
        &self,
        context: &PollContext<'_, Queue>,
        skb: SkBuff,
    ) -> Result<(), (SkBuff, DropReason)> {
        context.receive(
            skb,
            self.header_len,
            self.protocol,
            self.packet_type,
            self.queue,
        )
    }
}

impl RxRing {
    /// The ring of a device that is down.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            open: false,
            carrier: false,
            frames: SkBuffList::default(),
            slots,
            full: RingFull::default(),
            watch: watchdog::Rx::default(),
            misses_irq: false,
        }
    }

    /// The device goes up.
    pub(super) fn open(&mut self, carrier: bool) {
        self.open = true;
        self.carrier = carrier;
    }

    /// The line is cut or mended.
    pub(super) fn set_carrier(&mut self, carrier: bool) {
        self.carrier = carrier;
    }
}

impl Queue {
    /// Sets the number of slots of the receive ring. Frames that are there stay.
    pub(super) fn set_rx_slots(&self, slots: usize, bh: &LocalBhDisabled) {
        self.rx.lock(bh).slots = slots;
    }

    /// Has no doorbell of this ring schedule a poll, until [`look_rx`](Self::look_rx) does.
    pub(super) fn set_misses_irq(&self, misses: bool, bh: &LocalBhDisabled) {
        self.rx.lock(bh).misses_irq = misses;
    }

    pub(super) fn misses_irq(&self, bh: &LocalBhDisabled) -> bool {
        self.rx.lock(bh).misses_irq
    }

    /// The watchdog looks, a second after it did last, or after the doorbell that armed it. Has
    /// the ring polled if it stands and no poll is due. A poll that is slow is under way, one that
    /// the user defers is due: [`RingFull`] is about those.
    pub(super) fn look_rx(queue: &Napi<Self>, bh: &LocalBhDisabled) -> RxLook {
        let (look, frames) = {
            let mut rx = queue.rx.lock(bh);
            let frames = rx.frames.len();
            let look = rx.watch.look(frames == 0, queue.rx_done.read());
            if look == Look::Stands {
                // Under the lock, before the poll is scheduled: what rang may be what was lost.
                queue.rx_pending.write(true);
            }
            (look, frames)
        };
        match look {
            Look::Idle => RxLook::Idle,
            Look::Stands if queue.schedule_if_missed() => {
                queue.set_misses_irq(false, bh);
                queue.count(Counter::RxMissedIrqs, 1);
                RxLook::MissedIrq(frames)
            }
            Look::Moves | Look::Stands => RxLook::Busy,
        }
    }

    /// Returns whether another frame of a sender with this `tx_wait`, in nanoseconds, would have to
    /// wait.
    pub(super) fn makes_wait(&self, tx_wait: u64, bh: &LocalBhDisabled) -> bool {
        let mut rx = self.rx.lock(bh);
        rx.open
            && rx.carrier
            && room(rx.frames.len(), rx.slots, 1) == 0
            && self.on_full(&mut rx, tx_wait) == OnFull::Backpressure
    }

    /// Decides about a frame without room, of a sender with this `tx_wait`.
    fn on_full(&self, rx: &mut RxRing, tx_wait: u64) -> OnFull {
        if self.rx_slow.read() {
            return OnFull::Drop;
        }
        rx.full.on_full(ktime_get(), tx_wait, self.rx_done.read())
    }

    /// Puts frames from the segment into the receive ring of `port`, as many as there is room
    /// for. The others stay in `frames` if their sender's `tx_wait`, in nanoseconds, lets
    /// them wait, or are dropped. Answers whether the doorbell is to be rung.
    pub(super) fn enqueue_rx(
        &self,
        port: &Port,
        frames: &mut SkBuffList,
        tx_wait: u64,
        bh: &LocalBhDisabled,
    ) -> bool {
        if frames.is_empty() {
            return false;
        }
        let mut rx = self.rx.lock(bh);
        if !rx.open || !rx.carrier {
            drop(rx);
            self.drop_frames(frames, Counter::RxDropNotReady, DropReason::DEV_READY);
            return false;
        }
        let taken = room(rx.frames.len(), rx.slots, frames.len());
        rx.frames.append(&mut frames.take_front(taken));
        // Under the lock, before the poll is scheduled.
        self.rx_pending.write(true);
        if taken > 0 && rx.watch.doorbell() {
            port.watch();
        }
        let rings = taken > 0 && !rx.misses_irq;
        if !frames.is_empty() && self.on_full(&mut rx, tx_wait) == OnFull::Drop {
            drop(rx);
            self.drop_frames(frames, Counter::RxDropFull, DropReason::FULL_RING);
        }
        rings
    }

    /// Gives at most a budget of frames from the receive ring to the stack.
    pub(super) fn poll_rx(&self, context: &PollContext<'_, Self>) -> usize {
        if !self.rx_pending.read() {
            return 0;
        }
        let (frames, full) = {
            let mut rx = self.rx.lock(context.bh());
            let full = room(rx.frames.len(), rx.slots, 1) == 0;
            let frames = rx.frames.take_front(context.budget());
            self.rx_pending.write(!rx.frames.is_empty());
            (frames, full)
        };
        if frames.is_empty() {
            return 0;
        }
        // The clock is asked where frames may wait for the answer.
        let begin = full.then(ktime_get);
        let (count, mut rest) = self.receive(context, frames);
        let slow = begin.is_some_and(|begin| {
            let time = ktime_get().saturating_sub(begin);
            // Frames that were taken apart are as many as their parts.
            is_slow(count, time)
        });
        if slow != self.rx_slow.read() {
            self.rx_slow.write(slow);
        }
        if rest.is_empty() {
            return count;
        }
        let mut rx = self.rx.lock(context.bh());
        rest.append(&mut rx.frames);
        rx.frames = rest;
        self.rx_pending.write(true);
        context.budget()
    }

    /// Refuses frames of the segment from now on, and drops those that are there.
    /// The poll is not running any more.
    pub(super) fn close(&self, bh: &LocalBhDisabled) {
        self.rx.lock(bh).open = false;
        self.purge_rx(bh);
        self.rx.lock(bh).watch = watchdog::Rx::default();
    }

    /// Drops the frames that are there.
    pub(super) fn purge_rx(&self, bh: &LocalBhDisabled) {
        let mut received = {
            let mut rx = self.rx.lock(bh);
            rx.full = RingFull::default();
            rx.watch.emptied();
            rx.misses_irq = false;
            self.rx_slow.write(false);
            rx.frames.take()
        };
        self.drop_frames(&mut received, Counter::RxDropPurge, DropReason::QUEUE_PURGE);
    }

    /// Gives frames that are for this device to the stack, and drops the others. Answers how
    /// many there were, of those that were taken apart each part, and what exceeds the budget
    /// with them, or the time.
    ///
    /// The stack may take long for each (rules by the thousand), and this poll may run in that
    /// of a sender: after two ticks of the clock at most other polls have their turn, as after
    /// those of `net_rx_action()`, which looks only between polls.
    fn receive(
        &self,
        context: &PollContext<'_, Self>,
        mut frames: SkBuffList,
    ) -> (usize, SkBuffList) {
        let device = context.device();
        let port = device.data();
        let medium = port.medium();
        let header_len = medium.header_len();
        let filter = port.filter(context.bh());
        let own = port.address();
        let mtu = device.mtu() as usize;
        let usual = header_len.saturating_add(mtu);
        let offloads = device.offloads();
        // The stack warns of a queue that is not in use any more, in whose ring frames may be left.
        let queue = Some(self.index()).filter(|_| port.receives_on(self.index()));
        let (mut packets, mut bytes, mut multicasts) = (0u64, 0u64, 0u64);
        let mut count = 0usize;
        let mut done = self.rx_done.read();
        let begin = jiffies();

        while count < context.budget() && jiffies().wrapping_sub(begin) <= 1 {
            let Some(mut skb) = frames.pop_front() else {
                break;
            };
            count = count.wrapping_add(1);
            done = done.wrapping_add(1);
            // As soon as it is taken up, and by this poll alone.
            self.rx_done.write(done);
            let len = skb.len();
            let verdict = match skb.header(header_len) {
                Ok(header) => classify(medium, header, own, filter),
                Err(reason) => {
                    self.headless(skb, reason);
                    continue;
                }
            };
            let accepted = match verdict {
                Ok(accepted) => accepted,
                Err(refused) => {
                    self.refuse(skb, refused);
                    continue;
                }
            };
            if len > usual {
                let longest = longest(header_len, mtu, accepted.protocol);
                if len > longest && !skb.is_gso_of(longest) {
                    self.drop_frame(skb, Counter::RxErrorLong, DropReason::PKT_TOO_BIG);
                    continue;
                }
            }
            if accepted.protocol == packet::ETHERTYPE && accepted.recipient != Recipient::OtherHost
            {
                skb = match self.validate_arp(context, skb, own) {
                    Some(skb) => skb,
                    None => continue,
                };
            }
            let packet_type = match accepted.recipient {
                Recipient::Host => PacketType::Host,
                Recipient::Broadcast => PacketType::Broadcast,
                Recipient::Multicast => PacketType::Multicast,
                Recipient::OtherHost => PacketType::OtherHost,
            };
            let to_stack = ToStack {
                header_len,
                protocol: accepted.protocol,
                packet_type,
                queue,
            };
            let given = if offloads.is_all() {
                to_stack
                    .give(context, skb)
                    .map_err(|(skb, reason)| self.headless(skb, reason))
                    .is_ok()
            } else {
                let parts = self.take_apart(context, skb, offloads, &to_stack);
                count = count.wrapping_add(parts.saturating_sub(1));
                parts > 0
            };
            if given {
                packets = packets.wrapping_add(1);
                bytes = bytes.wrapping_add(len as u64);
                multicasts = multicasts.wrapping_add(u64::from(accepted.recipient.is_group()));
            }
        }

        if packets > 0 {
            self.count(Counter::RxPackets, packets);
            self.count(Counter::RxBytes, bytes);
        }
        if multicasts > 0 {
            self.count(Counter::RxMulticast, multicasts);
        }
        (count, frames)
    }

    /// Gives a frame to the stack as it would have come over a wire. Answers in how many
    /// parts; if not all could be given, it was dropped.
    #[inline(never)]
    fn take_apart(
        &self,
        context: &PollContext<'_, Self>,
        skb: SkBuff,
        offloads: Offloads,
        to: &ToStack,
    ) -> usize {
        let device = context.device();
        let mut parts = match skb.without_offloads(device, to.protocol, offloads, context.bh()) {
            Ok(parts) => parts,
            Err((skb, reason)) => {
                self.drop_frame(skb, Counter::RxErrorOffload, reason);
                return 0;
            }
        };
        let mut given = 0usize;
        while let Some(part) = parts.pop_front() {
            if let Err((part, reason)) = to.give(context, part) {
                // One frame is lost, however many parts of it.
                parts.purge(reason);
                self.drop_frame(part, Counter::RxDropNoMemory, reason);
                return 0;
            }
            given = given.wrapping_add(1);
        }
        given
    }

    /// Drops an ARP packet that is not to be believed. Other ones come back: the stack answers
    /// them, and the table learns from them where the stack does, behind its filters. What is for
    /// the device that this one belongs to (a bridge, say) always comes back.
    fn validate_arp(
        &self,
        context: &PollContext<'_, Self>,
        mut skb: SkBuff,
        own: Address,
    ) -> Option<SkBuff> {
        let device = context.device();
        let port = device.data();
        let medium = port.medium();
        if !device.does_arp() {
            return Some(skb);
        }
        let header_len = medium.header_len();
        let verdict = match skb.header(header_len.saturating_add(packet::len(medium))) {
            Ok(bytes) => {
                let body = bytes.get(header_len..).unwrap_or(&[]);
                packet::validate(medium, body, medium.source(bytes), own)
            }
            Err(_) if device.has_rx_handler() => return Some(skb),
            Err(reason) => {
                self.headless(skb, reason);
                return None;
            }
        };
        match verdict {
            Ok(_) => Some(skb),
            Err(_) if device.has_rx_handler() => Some(skb),
            Err(packet::Invalid::Malformed) => {
                self.drop_frame(skb, Counter::RxErrorArp, DropReason::DEV_HDR);
                None
            }
            Err(
                packet::Invalid::BroadcastSender
                | packet::Invalid::OwnSender
                | packet::Invalid::ForeignSender,
            ) => {
                self.drop_frame(skb, Counter::RxDropArp, DropReason::DEV_HDR);
                None
            }
        }
    }

    fn headless(&self, skb: SkBuff, reason: DropReason) {
        self.drop_headless(skb, reason, Counter::RxErrorShort, Counter::RxDropNoMemory);
    }

    fn refuse(&self, skb: SkBuff, refused: RxDrop) {
        let (counter, reason) = match refused {
            RxDrop::Malformed => (Counter::RxErrorMalformed, DropReason::DEV_HDR),
            RxDrop::Bridged => (Counter::RxDropBridged, DropReason::UNHANDLED_PROTO),
            RxDrop::OtherHost => (Counter::RxDropOtherHost, DropReason::OTHERHOST),
        };
        self.drop_frame(skb, counter, reason);
    }
}
