// SPDX-License-Identifier: GPL-2.0

//! The path of frames from an RX ring to the stack.

use super::{counters::Counter, queue::Queue, segment::Member};
use crate::net::{
    clock::{jiffies, ktime_get},
    napi::PollContext,
    skbuff::{Offloads, PacketType},
    DropReason,
    SkBuff,
    SkBuffList, //
};
use spans_logic::{
    address::Address,
    arp::packet,
    receive::{classify, is_slow, longest, Recipient, RxDrop},
};

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

/// Passes at most a budget of frames from the RX ring to the stack. Returns their number, or the
/// budget if frames are left.
pub(super) fn poll_rx(queue: &Queue, context: &PollContext<'_, Queue>) -> usize {
    let bh = context.bh();
    let Some((frames, full)) = queue.take_rx(context.budget(), bh) else {
        return 0;
    };
    // Measured only if the ring is full, when frames may wait for this receiver.
    let begin = full.then(ktime_get);
    let (count, rest) = receive(queue, context, frames);
    queue.set_rx_slow(begin.is_some_and(|begin| {
        let time = ktime_get().saturating_sub(begin);
        // `count` has each part of a segmented frame.
        is_slow(count, time)
    }));
    if rest.is_empty() {
        return count;
    }
    queue.put_back_rx(rest, bh);
    context.budget()
}

/// Passes frames for this device to the stack, and drops all other frames. Returns the number
/// of frames, with each part of a segmented one, and the frames beyond the budget or the time.
///
/// The stack may need long for a frame (thousands of filter rules), and this poll may run
/// within a sender's: it ends after at most two jiffies, as `net_rx_action()`, which checks the
/// time only between polls.
fn receive(
    queue: &Queue,
    context: &PollContext<'_, Queue>,
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
    let index = Some(queue.index()).filter(|index| port.receives_on(*index));
    let (mut packets, mut bytes, mut multicasts) = (0u64, 0u64, 0u64);
    let mut count = 0usize;
    let mut done = queue.rx_done();
    let begin = jiffies();

    while count < context.budget() && jiffies().wrapping_sub(begin) <= 1 {
        let Some(mut skb) = frames.pop_front() else {
            break;
        };
        count = count.wrapping_add(1);
        done = done.wrapping_add(1);
        // Before the frame is processed. Only this poll writes it.
        queue.set_rx_done(done);
        let len = skb.len();
        let verdict = match skb.header(header_len) {
            Ok(header) => classify(medium, header, own, filter),
            Err(reason) => {
                headless(queue, skb, reason);
                continue;
            }
        };
        let accepted = match verdict {
            Ok(accepted) => accepted,
            Err(refused) => {
                refuse(queue, skb, refused);
                continue;
            }
        };
        if len > usual {
            let longest = longest(header_len, mtu, accepted.protocol);
            if len > longest && !skb.is_gso_of(longest) {
                queue.drop_frame(skb, Counter::RxErrorLong, DropReason::PKT_TOO_BIG);
                continue;
            }
        }
        if accepted.protocol == packet::ETHERTYPE && accepted.recipient != Recipient::OtherHost {
            skb = match validate_arp(queue, context, skb, own) {
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
            queue: index,
        };
        let given = if offloads.is_all() {
            to_stack
                .give(context, skb)
                .map_err(|(skb, reason)| headless(queue, skb, reason))
                .is_ok()
        } else {
            let parts = take_apart(queue, context, skb, offloads, &to_stack);
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
        queue.count(Counter::RxPackets, packets);
        queue.count(Counter::RxBytes, bytes);
    }
    if multicasts > 0 {
        queue.count(Counter::RxMulticast, multicasts);
    }
    (count, frames)
}

/// Segments and checksums a frame as `offloads` require, and passes it to the stack. Returns
/// the number of parts, or 0 if the frame or a part of it was dropped.
#[inline(never)]
fn take_apart(
    queue: &Queue,
    context: &PollContext<'_, Queue>,
    skb: SkBuff,
    offloads: Offloads,
    to: &ToStack,
) -> usize {
    let device = context.device();
    let mut parts = match skb.without_offloads(device, to.protocol, offloads, context.bh()) {
        Ok(parts) => parts,
        Err((skb, reason)) => {
            queue.drop_frame(skb, Counter::RxErrorOffload, reason);
            return 0;
        }
    };
    let mut given = 0usize;
    while let Some(part) = parts.pop_front() {
        if let Err((part, reason)) = to.give(context, part) {
            // Counted as one frame, however many of its parts are lost.
            parts.purge(reason);
            queue.drop_frame(part, Counter::RxDropNoMemory, reason);
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
    queue: &Queue,
    context: &PollContext<'_, Queue>,
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
            headless(queue, skb, reason);
            return None;
        }
    };
    match verdict {
        Ok(_) => Some(skb),
        Err(_) if device.has_rx_handler() => Some(skb),
        Err(packet::Invalid::Malformed) => {
            queue.drop_frame(skb, Counter::RxErrorArp, DropReason::DEV_HDR);
            None
        }
        Err(
            packet::Invalid::BroadcastSender
            | packet::Invalid::OwnSender
            | packet::Invalid::ForeignSender,
        ) => {
            queue.drop_frame(skb, Counter::RxDropArp, DropReason::DEV_HDR);
            None
        }
    }
}

fn headless(queue: &Queue, skb: SkBuff, reason: DropReason) {
    queue.drop_headless(skb, reason, Counter::RxErrorShort, Counter::RxDropNoMemory);
}

fn refuse(queue: &Queue, skb: SkBuff, refused: RxDrop) {
    let (counter, reason) = match refused {
        RxDrop::Malformed => (Counter::RxErrorMalformed, DropReason::DEV_HDR),
        RxDrop::Bridged => (Counter::RxDropBridged, DropReason::UNHANDLED_PROTO),
        RxDrop::OtherHost => (Counter::RxDropOtherHost, DropReason::OTHERHOST),
    };
    queue.drop_frame(skb, counter, reason);
}
