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
