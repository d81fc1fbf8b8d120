// SPDX-License-Identifier: GPL-2.0

//! From the receive ring to the stack.

use super::{counters::Counter, queue::Queue};
use crate::net::{
    napi::PollContext,
    skbuff::PacketType,
    DropReason,
    SkBuff,
    SkBuffList, //
};
use spans_logic::{
    cls,
    receive::{judge, Recipient, Refused},
};

impl Queue {
    /// Gives frames that are for this device to the stack, and drops the others.
    pub(super) fn receive(&self, context: &PollContext<'_, Self>, mut frames: SkBuffList) {
        let own = context.device().data().address();
        let mtu = context.device().mtu() as usize;
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
            let packet_type = match accepted.recipient {
                Recipient::Host => PacketType::Host,
                Recipient::Broadcast => PacketType::Broadcast,
            };
            match context.receive::<{ cls::LEN }>(skb, accepted.protocol, packet_type, self.index())
            {
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
