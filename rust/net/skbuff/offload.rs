// SPDX-License-Identifier: GPL-2.0

//! What senders leave to hardware: segmentation and checksums.
//!
//! C header: [`include/net/gso.h`](srctree/include/net/gso.h)

use super::{dev, headers, DropReason, SkBuff, SkBuffList};
use crate::net::{
    bindings,
    device::{Device, Operations},
    spinlock_bh::LocalBhDisabled,
};
use kernel::{error::from_err_ptr, prelude::*};

/// What can be left to the receiver of a packet.
///
/// # Invariants
///
/// Segmentation is only with checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// A packet may stand for several frames: `ethtool -K DEVICE rx-gro-hw`.
    segmentation: bool,
    /// Checksums need not be there, or be seen again: `ethtool -K DEVICE rx-checksum`.
    checksums: bool,
}

impl Offloads {
    /// Whether nothing is to be done.
    #[inline]
    pub fn is_all(self) -> bool {
        self.segmentation && self.checksums
    }
}

impl<T: Operations> Device<T> {
    /// What senders may leave to this device.
    #[inline]
    pub fn offloads(&self) -> Offloads {
        // SAFETY: The device is valid. READ_ONCE().
        let features = unsafe { (&raw const (*self.as_raw()).features).read_volatile() };
        let checksums = features & bindings::SPANS_NETIF_F_RXCSUM != 0;
        // INVARIANT: As the kernel sees to, too: each of the frames would have a checksum.
        Offloads {
            segmentation: checksums && features & bindings::SPANS_NETIF_F_GRO_HW != 0,
            checksums,
        }
    }
}

impl SkBuff {
    /// Whether it stands for several frames, none of which is longer than `len` bytes.
    pub fn is_gso_of(&mut self, len: usize) -> bool {
        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and ours. It begins with its link
        // header, behind the head, less than 64 KiB away wherever a packet has one at all.
        unsafe {
            if !bindings::rust_helper_skb_is_gso(skb) {
                return false;
            }
            (*headers(skb)).mac_header = (*skb).data.offset_from((*skb).head) as u16;
            bindings::skb_gso_validate_mac_len(skb, len.min(u32::MAX as usize) as c_uint)
        }
    }

    /// Length in bytes of the frames that a packet stands for, each with its headers. As
    /// `qdisc_pkt_len_segs_init()`, which packets that bypass the qdiscs do not pass.
    ///
    /// The packet must begin with its link header.
    pub fn wire_len(&self) -> usize {
        let skb = self.as_raw();
        let len = self.len();
        // SAFETY: By the type invariant the packet is valid and ours. C answers where its shared
        // information is, which is valid as long as the packet.
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
            // An untrusted packet (`SKB_GSO_DODGY`) may not say how many they are.
            len.saturating_sub(headers)
                .div_ceil(usize::from(size).max(1))
        };
        len.saturating_add(segments.saturating_sub(1).saturating_mul(headers))
    }

    /// Length in bytes of the headers that each frame has for which a packet of this `gso_type`
    /// stands. Only headers in its linear part are counted.
    fn segment_headers(&self, kind: c_uint) -> usize {
        /// Where the upper half of a byte is the length of a TCP header, in units of 4 bytes.
        const TCP_DATA_OFFSET: usize = 12;
        const UDP_HEADER: usize = 8;

        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and ours. Its linear part begins at
        // `data`, which is behind `head`. It is not written while `self` is borrowed.
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
        // Where it was not set it is far behind them.
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

    /// The frames that a packet stands for, with their checksums where those may not be left
    /// to `device`, which has received it; `protocol` is what its link header says that it
    /// carries. Mostly it is one frame and comes back as it is. If it cannot be done, the
    /// packet comes back.
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
        // SAFETY: By the type invariant the packet is valid and ours, and nobody else's.
        let gso = unsafe {
            *dev(skb) = device.as_raw();
            (*headers(skb)).protocol = protocol.to_be();
            bindings::rust_helper_skb_is_gso(skb)
        };
        let mut frames = SkBuffList::default();
        if gso && !offloads.segmentation {
            // SAFETY: The packet is valid and ours, and nobody else's. C is asked to copy its headers
            // if a clone shares them.
            unsafe {
                // tcp_gso_segment() and its relatives write a checksum into the header, and
                // __skb_gso_segment() copies that for CHECKSUM_NONE, not for CHECKSUM_UNNECESSARY.
                if u32::from((*headers(skb)).ip_summed()) != bindings::CHECKSUM_PARTIAL
                    && bindings::rust_helper_skb_cow_head(skb, 0) != 0
                {
                    return Err((this, DropReason::NOMEM));
                }
            }
            // SAFETY: The packet begins with its link header, and is ours. What comes instead of it
            // is linked by `next` and ours, too.
            let segments = unsafe { bindings::__skb_gso_segment(skb, features, true) };
            let segments = from_err_ptr(segments);
            let Ok(mut segment) = segments else {
                return Err((this, DropReason::SKB_GSO_SEG));
            };
            if !segment.is_null() {
                // SAFETY: The packet is not used again: its frames take its place.
                unsafe { bindings::consume_skb(this.into_raw()) };
                while !segment.is_null() {
                    // SAFETY: Segments are valid and ours, each on no list once it is unlinked.
                    unsafe {
                        let next = super::next(segment).replace(core::ptr::null_mut());
                        // Of a list that was merged, they have been looked at.
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
            // SAFETY: The packet is valid and ours, and nobody else's.
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
