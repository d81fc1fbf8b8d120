// SPDX-License-Identifier: GPL-2.0

//! Offloads: deferred segmentation and checksums.
//!
//! C header: [`include/net/gso.h`](srctree/include/net/gso.h)

use super::{dev, headers, DropReason, SkBuff, SkBuffList};
use crate::net::{
    bindings,
    device::{Device, Operations},
    spinlock_bh::LocalBhDisabled,
};
use kernel::{error::from_err_ptr, prelude::*};

/// The offloads that the receiver of a packet accepts.
///
/// # Invariants
///
/// Segmentation implies checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// GSO packets are accepted: `ethtool -K DEVICE rx-gro-hw`.
    segmentation: bool,
    /// Packets are accepted without a checksum (`CHECKSUM_PARTIAL`), and one that was verified is
    /// not verified again: `ethtool -K DEVICE rx-checksum`.
    checksums: bool,
}

impl Offloads {
    /// Returns whether packets can be delivered unchanged.
    #[inline]
    pub fn is_all(self) -> bool {
        self.segmentation && self.checksums
    }
}

impl<T: Operations> Device<T> {
    /// Returns the offloads that the user has turned on for reception. Any context.
    #[inline]
    pub fn offloads(&self) -> Offloads {
        // SAFETY: The device is valid. READ_ONCE().
        let features = unsafe { (&raw const (*self.as_raw()).features).read_volatile() };
        let checksums = features & bindings::SPANS_NETIF_F_RXCSUM != 0;
        // INVARIANT: `netdev_fix_features()` has the same rule: each segment would need a checksum.
        Offloads {
            segmentation: checksums && features & bindings::SPANS_NETIF_F_GRO_HW != 0,
            checksums,
        }
    }
}

impl SkBuff {
    /// Returns whether this is a GSO packet without a segment of more than `len` bytes:
    /// `skb_gso_validate_mac_len()`. The packet must begin with its link header.
    pub fn is_gso_of(&mut self, len: usize) -> bool {
        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and exclusively owned. Its data begins
        // behind the head, by less than 64 KiB for any packet with a link header.
        unsafe {
            if !bindings::rust_helper_skb_is_gso(skb) {
                return false;
            }
            (*headers(skb)).mac_header = (*skb).data.offset_from((*skb).head) as u16;
            bindings::skb_gso_validate_mac_len(skb, len.min(u32::MAX as usize) as c_uint)
        }
    }

    /// Returns the length in bytes on the wire: of a GSO packet, that of all segments with their
    /// headers. Like `qdisc_pkt_len_segs_init()`, which packets that bypass the qdisc do not pass.
    ///
    /// The packet must begin with its link header.
    pub fn wire_len(&self) -> usize {
        let skb = self.as_raw();
        let len = self.len();
        // SAFETY: By the type invariant the packet is valid and exclusively owned. C returns the
        // address of its `struct skb_shared_info`, which is valid as long as the packet.
        let (size, segments, kind) = unsafe {
            if !bindings::rust_helper_skb_is_gso(skb) {
                return len;
            }
            let info = bindings::rust_helper_skb_shinfo(skb);
            ((*info).gso_size, (*info).gso_segs, (*info).gso_type)
        };
        let headers = self.segment_headers(kind);
        let segments = if u32::from(size) == bindings::GSO_BY_FRAGS {
            usize::from(segments)
        } else {
            // `gso_segs` of an untrusted packet (`SKB_GSO_DODGY`) may not be set.
            len.saturating_sub(headers)
                .div_ceil(usize::from(size).max(1))
        };
        len.saturating_add(segments.saturating_sub(1).saturating_mul(headers))
    }

    /// Returns the length in bytes of the headers of each segment, for a packet of this `gso_type`.
    /// Only headers in its linear part are counted.
    fn segment_headers(&self, kind: c_uint) -> usize {
        /// The byte of a TCP header whose upper half is the header length, in units of 4 bytes.
        const TCP_DATA_OFFSET: usize = 12;
        const UDP_HEADER: usize = 8;

        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and exclusively owned. Its linear part
        // begins at `data`, which is behind `head`, and does not change while `self` is borrowed.
        let (transport, linear) = unsafe {
            let fields = &*headers(skb);
            let transport = if fields.encapsulation() == 0 {
                fields.transport_header
            } else {
                fields.inner_transport_header
            };
            let begin = (*skb).data.offset_from((*skb).head) as usize;
            let len = (*skb).len.wrapping_sub((*skb).data_len) as usize;
            (
                usize::from(transport).checked_sub(begin),
                core::slice::from_raw_parts((*skb).data, len),
            )
        };
        // A header that was not set has an offset far behind the linear part.
        let Some(transport) = transport.filter(|transport| *transport < linear.len()) else {
            return 0;
        };
        let header = if kind & bindings::SPANS_SKB_GSO_TCP != 0 {
            linear
                .get(transport.saturating_add(TCP_DATA_OFFSET))
                .map_or(0, |length| usize::from(length >> 4).saturating_mul(4))
        } else if kind & bindings::SPANS_SKB_GSO_UDP_L4 != 0 {
            UDP_HEADER
        } else {
            0
        };
        transport.saturating_add(header)
    }

    /// Performs the offloads that `offloads` does not contain: returns the segments of a GSO
    /// packet, with their checksums; mostly this is the packet itself, unchanged. `device` has
    /// received the packet, `protocol` is the EtherType of its link header. The packet must begin
    /// with its link header.
    ///
    /// On failure the packet is returned with the reason: `NOMEM`, `SKB_GSO_SEG` or `SKB_CSUM`.
    pub fn without_offloads<T: Operations>(
        self,
        device: &Device<T>,
        protocol: u16,
        offloads: Offloads,
        _: &LocalBhDisabled,
    ) -> Result<SkBuffList, (Self, DropReason)> {
        let this = self.unshare()?;
        let skb = this.as_raw();
        let features = if offloads.checksums {
            bindings::SPANS_NETIF_F_CSUM | bindings::SPANS_NETIF_F_SG
        } else {
            bindings::SPANS_NETIF_F_SG
        };
        // SAFETY: By the type invariant the packet is valid and exclusively owned, and it was
        // unshared.
        let gso = unsafe {
            *dev(skb) = device.as_raw();
            (*headers(skb)).protocol = protocol.to_be();
            bindings::rust_helper_skb_is_gso(skb)
        };
        let mut frames = SkBuffList::default();
        if gso && !offloads.segmentation {
            // SAFETY: The packet is valid, exclusively owned and unshared. C is asked to copy its
            // headers if a clone shares them.
            unsafe {
                // tcp_gso_segment() and similar functions write a checksum into the header, and
                // __skb_gso_segment() copies the header first for CHECKSUM_NONE, but not for
                // CHECKSUM_UNNECESSARY.
                if u32::from((*headers(skb)).ip_summed()) != bindings::CHECKSUM_PARTIAL
                    && bindings::rust_helper_skb_cow_head(skb, 0) != 0
                {
                    return Err((this, DropReason::NOMEM));
                }
            }
            // SAFETY: The packet begins with its link header and is exclusively owned. The segments
            // that replace it are linked by `next` and exclusively owned, too.
            let segments = unsafe { bindings::__skb_gso_segment(skb, features, true) };
            let segments = from_err_ptr(segments);
            let Ok(mut segment) = segments else {
                return Err((this, DropReason::SKB_GSO_SEG));
            };
            if !segment.is_null() {
                // SAFETY: The packet is not used again: its segments replace it.
                unsafe { bindings::consume_skb(this.into_raw()) };
                while !segment.is_null() {
                    // SAFETY: Segments are valid, exclusively owned, and on no list once unlinked.
                    unsafe {
                        let next = super::next(segment).replace(core::ptr::null_mut());
                        // Checksums of a GRO frag list were verified before the merge.
                        let summed = u32::from((*headers(segment)).ip_summed());
                        if !offloads.checksums && summed != bindings::CHECKSUM_PARTIAL {
                            (*headers(segment)).set_ip_summed(bindings::CHECKSUM_NONE as u8);
                        }
                        frames.push_back(Self::from_raw(segment));
                        segment = next;
                    }
                }
                return Ok(frames);
            }
        }
        if !offloads.checksums {
            // SAFETY: The packet is valid, exclusively owned and unshared.
            unsafe {
                let summed = u32::from((*headers(skb)).ip_summed());
                if summed == bindings::CHECKSUM_PARTIAL
                    && bindings::skb_csum_hwoffload_help(skb, 0) != 0
                {
                    return Err((this, DropReason::SKB_CSUM));
                }
                (*headers(skb)).set_ip_summed(bindings::CHECKSUM_NONE as u8);
            }
        }
        frames.push_back(this);
        Ok(frames)
    }
}
