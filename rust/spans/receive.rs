// SPDX-License-Identifier: GPL-2.0

//! The receive ring, and from there to the stack.

use super::{arp::Arp, counters::Counter, queue::Queue};
use crate::net::{
    napi::PollContext,
    skbuff::PacketType,
    spinlock_bh::LocalBhDisabled,
    DropReason,
    SkBuff,
    SkBuffList, //
};
use spans_logic::{
    address::Address,
    arp::packet,
    cls,
    receive::{judge, room, Recipient, Refused},
};

/// A receive ring.
pub(super) struct RxRing {
    /// Whether the device is up.
    open: bool,
    /// Whether its line is not cut.
    carrier: bool,
    frames: SkBuffList,
    slots: usize,
}

impl RxRing {
    /// The ring of a device that is down.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            open: false,
            carrier: false,
            frames: SkBuffList::default(),
            slots,
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

    /// Puts frames from the segment into the receive ring, as many as there is room
    /// for. Answers whether the doorbell is to be rung.
    pub(super) fn offer(&self, frames: &mut SkBuffList, bh: &LocalBhDisabled) -> bool {
        let mut rx = self.rx.lock(bh);
        if !rx.open || !rx.carrier {
            drop(rx);
            self.drop_frames(frames, Counter::RxDropNotReady, DropReason::DEV_READY);
            return false;
        }
        let taken = room(rx.frames.len(), rx.slots, frames.len());
        rx.frames.append(&mut frames.take_front(taken));
        // Under the lock, before the poll is scheduled.
        self.rx_rung.write(true);
        taken > 0
    }

    /// Gives at most a budget of frames from the receive ring to the stack.
    pub(super) fn poll_rx(&self, context: &PollContext<'_, Self>) -> usize {
        if !self.rx_rung.read() {
            return 0;
        }
        let frames = {
            let mut rx = self.rx.lock(context.bh());
            let frames = rx.frames.take_front(context.budget());
            self.rx_rung.write(!rx.frames.is_empty());
            frames
        };
        let count = frames.len();
        if count > 0 {
            self.receive(context, frames);
        }
        count
    }

    /// Refuses frames of the segment from now on, and drops those that are there.
    /// The poll is not running any more.
    pub(super) fn close(&self, bh: &LocalBhDisabled) {
        let mut received = {
            let mut rx = self.rx.lock(bh);
            rx.open = false;
            rx.frames.take()
        };
        self.drop_frames(&mut received, Counter::RxDropPurge, DropReason::QUEUE_PURGE);
    }

    /// Gives frames that are for this device to the stack, and drops the others.
    fn receive(&self, context: &PollContext<'_, Self>, mut frames: SkBuffList) {
        let own = context.device().data().address();
        let mtu = context.device().mtu() as usize;
        // The stack warns of a queue that is not in use any more, in whose ring frames may be left.
        let queue =
            Some(self.index()).filter(|_| context.device().data().receives_on(self.index()));
        let (mut packets, mut bytes) = (0u64, 0u64);

        while let Some(mut skb) = frames.pop_front() {
            let len = skb.len();
            let judgement = match skb.header() {
                Ok(header) => judge(header, len, own, mtu),
                Err(reason) => {
                    self.headless(skb, reason);
                    continue;
                }
            };
            let accepted = match judgement {
                Ok(accepted) => accepted,
                Err(refused) => {
                    self.refuse(skb, refused);
                    continue;
                }
            };
            if accepted.protocol == packet::ETHERTYPE {
                skb = match self.hear(context, skb, own) {
                    Some(skb) => skb,
                    None => continue,
                };
            }
            let packet_type = match accepted.recipient {
                Recipient::Host => PacketType::Host,
                Recipient::Broadcast => PacketType::Broadcast,
            };
            match context.receive::<{ cls::LEN }>(skb, accepted.protocol, packet_type, queue) {
                Ok(()) => {
                    packets = packets.wrapping_add(1);
                    bytes = bytes.wrapping_add(len as u64);
                }
                Err((skb, reason)) => self.headless(skb, reason),
            }
        }

        if packets > 0 {
            self.count(Counter::RxPackets, packets);
            self.count(Counter::RxBytes, bytes);
        }
    }

    /// Learns from an ARP packet, which comes back if it is worth looking at: the stack
    /// answers it.
    fn hear(
        &self,
        context: &PollContext<'_, Self>,
        mut skb: SkBuff,
        own: Address,
    ) -> Option<SkBuff> {
        if !context.device().does_arp() {
            return Some(skb);
        }
        let judgement = match skb.header::<{ cls::LEN + packet::LEN }>() {
            Ok(bytes) => match (bytes.first_chunk(), bytes.last_chunk()) {
                (Some(header), Some(body)) => packet::judge(body, cls::source(header), own),
                _ => Err(packet::Refused::Malformed),
            },
            Err(reason) => {
                self.headless(skb, reason);
                return None;
            }
        };
        match judgement {
            Ok(packet) => {
                let port = context.device().data();
                Arp::hear(port.arp(), context.device(), &packet, context.bh());
                Some(skb)
            }
            Err(packet::Refused::Malformed) => {
                self.drop_frame(skb, Counter::RxErrorArp, DropReason::DEV_HDR);
                None
            }
            Err(
                packet::Refused::BroadcastSender
                | packet::Refused::OwnSender
                | packet::Refused::ForeignSender,
            ) => {
                self.drop_frame(skb, Counter::RxDropArp, DropReason::DEV_HDR);
                None
            }
        }
    }

    fn headless(&self, skb: SkBuff, reason: DropReason) {
        self.drop_headless(skb, reason, Counter::RxErrorShort, Counter::RxDropNoMemory);
    }

    fn refuse(&self, skb: SkBuff, refused: Refused) {
        let (counter, reason) = match refused {
            Refused::Long => (Counter::RxErrorLong, DropReason::PKT_TOO_BIG),
            Refused::Malformed => (Counter::RxErrorMalformed, DropReason::DEV_HDR),
            Refused::Bridged => (Counter::RxDropBridged, DropReason::UNHANDLED_PROTO),
            Refused::OtherHost => (Counter::RxDropOtherHost, DropReason::OTHERHOST),
        };
        self.drop_frame(skb, counter, reason);
    }
}
