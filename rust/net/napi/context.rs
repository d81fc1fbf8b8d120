// SPDX-License-Identifier: GPL-2.0

//! What a poll works with.

use super::{Napi, Poll};
use crate::net::{
    bindings,
    device::Device,
    skbuff::{self, DropReason, PacketType, SkBuff},
    spinlock_bh::LocalBhDisabled,
};
use core::cell::Cell;

/// What a poll may do.
pub struct PollContext<'a, T: Poll> {
    pub(super) napi: &'a Napi<T>,
    pub(super) device: &'a Device<T::Driver>,
    pub(super) budget: usize,
    /// By the poll of another.
    pub(super) nested: bool,
    /// Something was done, even if nothing was received.
    pub(super) worked: Cell<bool>,
    pub(super) bh: LocalBhDisabled,
}

impl<'a, T: Poll> PollContext<'a, T> {
    /// The device that is polled.
    #[inline]
    pub fn device(&self) -> &'a Device<T::Driver> {
        self.device
    }

    /// How many packets may be received.
    #[inline]
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Something was done, which counts for `napi_defer_hard_irqs` as if a packet was
    /// received. What is polled only to find nothing is not deferred for long.
    #[inline]
    pub fn worked(&self) {
        self.worked.set(true);
    }

    /// Evidence that bottom halves are off.
    #[inline]
    pub fn bh(&self) -> &LocalBhDisabled {
        &self.bh
    }

    /// Has it polled again when so many nanoseconds are over, or before that if it
    /// is scheduled.
    pub fn poll_again_after(&self, nanoseconds: u64) {
        self.napi.schedule_after(nanoseconds, &self.bh);
    }

    /// Hands a packet to the stack, as received on the receive queue `queue` of
    /// this device (`None` for one that the stack does not use any more). Its link header of
    /// `header_len` bytes is taken off, after it has said that this is the EtherType `protocol`
    /// (in host order) and whom it is for; compare `eth_type_trans()`. A packet shorter than
    /// that, or for which there is no memory, comes back.
    // Each packet comes here, from where mostly all but the packet is the same.
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
        // SAFETY: The packet is ours and becomes the stack's. It has as many bytes of linear data to
        // pull, as was just seen. The device lives, and its `napi` is being polled by us, so its
        // GRO list is ours. GRO writes to what it is given: the data is made the packet's own first,
        // and no socket may be left that GRO would not know of.
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
            // As `skb_record_rx_queue()`.
            (*skb).queue_mapping = queue.map_or(0, |queue| queue.wrapping_add(1));
            if !self.device.has_gro() {
                // As GRO does, for sockets that poll busily.
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
