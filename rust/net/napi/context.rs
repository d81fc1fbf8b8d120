// SPDX-License-Identifier: GPL-2.0

//! The context of a NAPI poll.

use super::{Napi, Poll};
use crate::net::{
    bindings,
    device::Device,
    skbuff::{self, DropReason, PacketType, SkBuff},
    spinlock_bh::LocalBhDisabled,
};
use core::cell::Cell;

/// The context of a NAPI poll: device, budget and evidence.
pub struct PollContext<'a, T: Poll> {
    pub(super) napi: &'a Napi<T>,
    pub(super) device: &'a Device<T::Driver>,
    pub(super) budget: usize,
    /// Called by the poll of another instance.
    pub(super) nested: bool,
    /// Work was done, even if no packet was received.
    pub(super) worked: Cell<bool>,
    pub(super) bh: LocalBhDisabled,
}

impl<'a, T: Poll> PollContext<'a, T> {
    /// Returns the device that is polled.
    #[inline]
    pub fn device(&self) -> &'a Device<T::Driver> {
        self.device
    }

    /// Returns the maximum number of packets to receive.
    #[inline]
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Reports work, which counts for `napi_defer_hard_irqs` like a received packet. Polls without
    /// work end the deferral.
    #[inline]
    pub fn worked(&self) {
        self.worked.set(true);
    }

    /// Returns the evidence that bottom halves are off.
    #[inline]
    pub fn bh(&self) -> &LocalBhDisabled {
        &self.bh
    }

    /// Schedules another poll in so many nanoseconds, see [`Napi::schedule_after`].
    pub fn poll_again_after(&self, nanoseconds: u64) {
        self.napi.schedule_after(nanoseconds, &self.bh);
    }

    /// Passes a packet to the stack, by GRO if that is on, as received on RX queue `queue` (`None`
    /// for one that is not in use any more).
    ///
    /// Pulls the link header of `header_len` bytes; `protocol` is its EtherType in host order and
    /// `packet_type` its kind of destination, compare `eth_type_trans()`. Returns the packet if it
    /// is shorter than the header or memory is short.
    // Fast path, with arguments that are mostly constant at the call site.
    #[inline(always)]
    pub fn receive(
        &self,
        mut skb: SkBuff,
        header_len: usize,
        protocol: u16,
        packet_type: PacketType,
        queue: Option<u16>,
    ) -> Result<(), (SkBuff, DropReason)> {
        if let Err(reason) = skb.header(header_len) {
            return Err((skb, reason));
        }
        let skb = skb.unshare()?.into_raw();
        let napi = self.napi.napi.get();
        // SAFETY: The packet is owned, and passes to the stack. It has `header_len` bytes of linear
        // data to pull, as was just tested. The device lives, and its `napi` is being polled by the
        // caller, to which the GRO list therefore belongs. GRO writes to packets: the data is
        // unshared first, and the socket is released, of which GRO would not know.
        unsafe {
            *skbuff::dev(skb) = self.device.as_raw();
            skbuff::pull_mac_header(skb, header_len);
            let headers = &mut *skbuff::headers(skb);
            headers.protocol = protocol.to_be();
            headers.set_pkt_type(match packet_type {
                PacketType::Host => bindings::PACKET_HOST,
                PacketType::Broadcast => bindings::PACKET_BROADCAST,
                PacketType::Multicast => bindings::PACKET_MULTICAST,
                PacketType::OtherHost => bindings::PACKET_OTHERHOST,
            } as u8);
            // See `skb_record_rx_queue()`.
            (*skb).queue_mapping = queue.map_or(0, |queue| queue.wrapping_add(1));
            if !self.device.has_gro() {
                // For sockets that busy poll; GRO does the same.
                bindings::rust_helper_skb_mark_napi_id(skb, napi);
                bindings::netif_receive_skb(skb);
                return Ok(());
            }
            bindings::rust_helper_skb_prepare_for_gro(skb);
            if bindings::rust_helper_skb_unclone(skb, bindings::SPANS_GFP_ATOMIC) == 0 {
                bindings::gro_receive_skb(&raw mut (*napi).gro, skb);
            } else {
                bindings::netif_receive_skb(skb);
            }
        }
        Ok(())
    }
}
