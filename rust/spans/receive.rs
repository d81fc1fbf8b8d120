// SPDX-License-Identifier: GPL-2.0

//! The RX ring, and the path of frames from it to the stack.

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

pub(super) struct RxRing {
    /// Whether the device is up.
    open: bool,
    /// Whether the device has a carrier.
    carrier: bool,
    frames: SkBuffList,
    slots: usize,
    full: RingFull,
    watch: watchdog::Rx,
    /// Doorbells schedule no poll: fault injection by debugfs `miss_irq`.
    misses_irq: bool,
}

/// The result of a watchdog check of an RX ring.
pub(super) enum RxLook {
    /// No frames: the watchdog need not check it again.
    Idle,
    /// Frames that a poll will fetch.
    Busy,
    /// Number of frames for which no poll was scheduled. Now one is.
    MissedIrq(usize),
}

/// The arguments of [`PollContext::receive`] for a frame.
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
    /// Creates the ring of a device that is down.
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

    /// Accepts frames while there is a `carrier`: the device goes up.
    pub(super) fn open(&mut self, carrier: bool) {
        self.open = true;
        self.carrier = carrier;
    }

    pub(super) fn set_carrier(&mut self, carrier: bool) {
        self.carrier = carrier;
    }
}

impl Queue {
    /// Sets the number of slots. Frames in the ring stay.
    pub(super) fn set_rx_slots(&self, slots: usize, bh: &LocalBhDisabled) {
        self.rx.lock(bh).slots = slots;
    }

    /// Sets whether doorbells schedule no poll, until [`look_rx`](Self::look_rx) schedules one.
    pub(super) fn set_misses_irq(&self, misses: bool, bh: &LocalBhDisabled) {
        self.rx.lock(bh).misses_irq = misses;
    }

    pub(super) fn misses_irq(&self, bh: &LocalBhDisabled) -> bool {
        self.rx.lock(bh).misses_irq
    }

    /// Checks the RX ring, a second after the last check or after the doorbell that armed the
    /// watchdog. Schedules a poll if the ring has made no progress and no poll is scheduled,
    /// running or deferred by the user. [`RingFull`] handles slow and deferred polls.
    pub(super) fn look_rx(queue: &Napi<Self>, bh: &LocalBhDisabled) -> RxLook {
        let (look, frames) = {
            let mut rx = queue.rx.lock(bh);
            let frames = rx.frames.len();
            let look = rx.watch.look(frames == 0, queue.rx_done.read());
            if look == Look::Stands {
                // Under the lock, before the poll is scheduled: this flag may be what was lost.
                queue.rx_pending.write(true);
            }
            (look, frames)
        };
        match look {
            Look::Idle => RxLook::Idle,
            Look::Stands if queue.schedule_if_missed(bh) => {
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

    /// Passes at most a budget of frames from the RX ring to the stack. Returns their number, or
    /// the budget if frames are left.
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
        // Measured only if the ring is full, when frames may wait for this receiver.
        let begin = full.then(ktime_get);
        let (count, mut rest) = self.receive(context, frames);
        let slow = begin.is_some_and(|begin| {
            let time = ktime_get().saturating_sub(begin);
            // `count` has each part of a segmented frame.
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

    /// Refuses frames of the segment from now on, and drops the frames in the ring. The poll is
    /// not running.
    pub(super) fn close(&self, bh: &LocalBhDisabled) {
        self.rx.lock(bh).open = false;
        self.purge_rx(bh);
        self.rx.lock(bh).watch = watchdog::Rx::default();
    }

    /// Drops the frames in the ring.
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

    /// Passes frames for this device to the stack, and drops all other frames. Returns the number
    /// of frames, with each part of a segmented one, and the frames beyond the budget or the time.
    ///
    /// The stack may need long for a frame (thousands of filter rules), and this poll may run
    /// within a sender's: it ends after at most two jiffies, as `net_rx_action()`, which checks the
    /// time only between polls.
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
        // The stack warns about a queue that is not in use; its ring may still have frames.
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
            // Before the frame is processed. Only this poll writes it.
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

    /// Segments and checksums a frame as `offloads` require, and passes it to the stack. Returns
    /// the number of parts, or 0 if the frame or a part of it was dropped.
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
                // Counted as one frame, however many of its parts are lost.
                parts.purge(reason);
                self.drop_frame(part, Counter::RxDropNoMemory, reason);
                return 0;
            }
            given = given.wrapping_add(1);
        }
        given
    }

    /// Drops an invalid ARP packet. Returns a valid one: the stack replies to it, and the ARP table
    /// learns from it where the stack does, behind its filters. Packets for an `rx_handler` (of a
    /// bridge, say) are always returned.
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
