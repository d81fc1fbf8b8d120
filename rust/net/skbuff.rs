// SPDX-License-Identifier: GPL-2.0

//! Socket buffers.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

mod offload;

pub use offload::Offloads;

use super::{
    bindings,
    device::{Device, Operations}, //
};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::prelude::*;

/// The reason of a drop: `enum skb_drop_reason`, as `skb:kfree_skb` and dropwatch show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DropReason(bindings::skb_drop_reason);

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $value:ident,)*) => {
        impl DropReason {
            $($(#[$doc])* pub const $name: Self = Self(bindings::$value);)*
        }
    };
}

drop_reasons! {
    /// The link header is invalid.
    DEV_HDR = skb_drop_reason_SKB_DROP_REASON_DEV_HDR,
    /// The device cannot take packets at the moment.
    DEV_READY = skb_drop_reason_SKB_DROP_REASON_DEV_READY,
    /// A ring of the device is full.
    FULL_RING = skb_drop_reason_SKB_DROP_REASON_FULL_RING,
    /// Out of memory.
    NOMEM = skb_drop_reason_SKB_DROP_REASON_NOMEM,
    /// No reason that C has a name for.
    NOT_SPECIFIED = skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
    /// No device has the destination address.
    NO_TX_TARGET = skb_drop_reason_SKB_DROP_REASON_NO_TX_TARGET,
    /// The packet is for another host.
    OTHERHOST = skb_drop_reason_SKB_DROP_REASON_OTHERHOST,
    /// Longer than the MTU.
    PKT_TOO_BIG = skb_drop_reason_SKB_DROP_REASON_PKT_TOO_BIG,
    /// A deferred checksum (`CHECKSUM_PARTIAL`) cannot be computed.
    SKB_CSUM = skb_drop_reason_SKB_DROP_REASON_SKB_CSUM,
    /// A GSO packet cannot be segmented.
    SKB_GSO_SEG = skb_drop_reason_SKB_DROP_REASON_SKB_GSO_SEG,
    /// Shorter than its headers.
    PKT_TOO_SMALL = skb_drop_reason_SKB_DROP_REASON_PKT_TOO_SMALL,
    /// A queue was purged.
    QUEUE_PURGE = skb_drop_reason_SKB_DROP_REASON_QUEUE_PURGE,
    /// Zero-copy pages of user space could not be copied.
    SKB_UCOPY_FAULT = skb_drop_reason_SKB_DROP_REASON_SKB_UCOPY_FAULT,
    /// Unknown protocol.
    UNHANDLED_PROTO = skb_drop_reason_SKB_DROP_REASON_UNHANDLED_PROTO,
}

/// The destination of a received packet: `skb->pkt_type`.
#[derive(Clone, Copy)]
pub enum PacketType {
    /// `PACKET_HOST`: this host.
    Host,
    /// `PACKET_BROADCAST`: all hosts.
    Broadcast,
    /// `PACKET_MULTICAST`: the members of a group.
    Multicast,
    /// `PACKET_OTHERHOST`: another host; received in promiscuous mode.
    OtherHost,
}

/// An owned packet: `struct sk_buff`.
///
/// It must be consumed by one of the methods that take it, as [`kfree_reason`],
/// [`SkBuffList::push_back`] and [`super::napi::PollContext::receive`] do. Where the compiler
/// cannot prove that it is, the module does not link. (`mem::forget()` is safe and leaks a packet.)
///
/// [`kfree_reason`]: Self::kfree_reason
///
/// # Invariants
///
/// The pointer is valid, and nothing else uses the packet: another reference, as pktgen has one of
/// each packet (`skb_shared()`), only keeps it from being freed. The data may be shared with
/// clones. The packet is on no list.
#[must_use = "a packet must be freed with a reason, queued or passed on"]
#[repr(transparent)]
pub struct SkBuff(NonNull<bindings::sk_buff>);

// SAFETY: A packet is not bound to a thread.
unsafe impl Send for SkBuff {}

impl SkBuff {
    /// # Safety
    ///
    /// `skb` must fulfil the invariants of the type, and the caller must give up its reference.
    #[inline]
    pub(super) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: By the safety requirements of this function `skb` is valid, so it is not null.
        Self(unsafe { NonNull::new_unchecked(skb) })
    }

    /// Gives up ownership of the packet, without freeing it.
    #[inline]
    pub(super) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }

    #[inline]
    fn as_raw(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// Returns the length in bytes from `skb->data` on.
    #[inline]
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        // SAFETY: By the type invariant the packet is valid and exclusively owned.
        unsafe { (*self.as_raw()).len as usize }
    }

    /// Returns the TX queue that the core has selected.
    #[inline]
    pub fn queue_mapping(&self) -> u16 {
        // SAFETY: By the type invariant the packet is valid and exclusively owned.
        unsafe { (*self.as_raw()).queue_mapping }
    }

    /// Returns `skb->priority`: `SO_PRIORITY`, or the class of a qdisc.
    #[inline]
    pub fn priority(&self) -> u32 {
        // SAFETY: By the type invariant the packet is valid and exclusively owned.
        unsafe { (*headers(self.as_raw())).priority }
    }

    /// Returns the number that the driver has stored in the control block, which belongs to the
    /// owner of the packet. Arbitrary before the first [`set_cb`](Self::set_cb).
    #[inline]
    pub fn cb(&self) -> u64 {
        // SAFETY: By the type invariant the packet is valid and exclusively owned. The control
        // block has 48 bytes, all initialised, and is aligned to 8.
        unsafe { (&raw const (*self.as_raw()).cb).cast::<u64>().read() }
    }

    /// Stores the number that [`cb`](Self::cb) returns.
    #[inline]
    pub fn set_cb(&mut self, number: u64) {
        // SAFETY: As above.
        unsafe { (&raw mut (*self.as_raw()).cb).cast::<u64>().write(number) };
    }

    /// Returns the first `len` bytes, which are made contiguous first: `pskb_may_pull_reason()`.
    /// May allocate memory. Any context.
    ///
    /// Fails with `PKT_TOO_SMALL` for a shorter packet, and with `NOMEM`, also for a packet with
    /// another reference, whose head cannot be moved.
    #[inline]
    pub fn header(&mut self, len: usize) -> Result<&[u8], DropReason> {
        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and exclusively owned.
        let linear = unsafe { (*skb).len.wrapping_sub((*skb).data_len) as usize };
        if linear < len {
            if self.len() < len {
                return Err(DropReason::PKT_TOO_SMALL);
            }
            // SAFETY: As above. There are enough bytes behind the linear part. C has a BUG() for a
            // packet that is shared and whose head would have to be moved, which is excluded first.
            unsafe {
                if bindings::rust_helper_skb_shared(skb)
                    || bindings::__pskb_pull_tail(skb, (len - linear) as c_int).is_null()
                {
                    return Err(DropReason::NOMEM);
                }
            }
        }
        // SAFETY: The linear part begins at `data` and has at least `len` bytes now. They do not
        // change while `self` is borrowed: writers to data that clones share copy it first.
        Ok(unsafe { core::slice::from_raw_parts((*skb).data, len) })
    }

    /// Reports the time of transmission to a socket that has asked for it, if `device` is the
    /// device that the packet leaves: `skb_tx_timestamp()`. Any context.
    #[inline]
    pub fn tx_timestamp<T: Operations>(&mut self, device: &Device<T>) {
        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and exclusively owned. C reads its
        // device, which lives, as `device` is borrowed. Without a socket there is no request.
        unsafe {
            if !(*skb).sk.is_null() && *dev(skb) == device.as_raw() {
                bindings::rust_helper_skb_tx_timestamp(skb);
            }
        }
    }

    /// Releases the socket that accounts for the packet (`sk_wmem_alloc`): `skb_orphan()`. Any
    /// context but hard interrupts.
    #[inline]
    pub fn orphan(&mut self) {
        // SAFETY: By the type invariant the packet is valid and exclusively owned.
        unsafe { bindings::rust_helper_skb_orphan(self.as_raw()) };
    }

    /// Returns a packet that shares the data: `skb_clone()`. Any context. Fails with `ENOMEM`.
    #[expect(clippy::should_implement_trait)]
    pub fn clone(&self) -> Result<Self> {
        // SAFETY: By the type invariant the packet is valid. C writes `cloned` in it, which nothing
        // else accesses, as `SkBuff` is not `Sync`.
        let clone = unsafe { bindings::skb_clone(self.as_raw(), bindings::SPANS_GFP_ATOMIC) };
        if clone.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: The clone is valid, on no list, and this is the only reference to it.
        Ok(unsafe { Self::from_raw(clone) })
    }

    /// Returns a packet without another reference, as the stack and GRO require:
    /// `skb_share_check()`. Any context. Returns the packet itself if memory is short.
    #[inline]
    pub(super) fn unshare(self) -> Result<Self, (Self, DropReason)> {
        // SAFETY: By the type invariant the packet is valid. refcount_read().
        let users = unsafe { (&raw const (*self.as_raw()).users.refs.counter).read_volatile() };
        if users == 1 {
            return Ok(self);
        }
        let Ok(clone) = self.clone() else {
            return Err((self, DropReason::NOMEM));
        };
        // SAFETY: By the type invariant the packet is valid and exclusively owned, and it is not
        // used again.
        unsafe { bindings::consume_skb(self.into_raw()) };
        Ok(clone)
    }

    /// Removes what a wire does not transport: device, route, marks of netfilter and tc,
    /// timestamps, and zero-copy pages of the sender, which are copied. Like
    /// `____dev_forward_skb()` to another namespace. Any context.
    ///
    /// Returns the unchanged packet if the pages cannot be copied.
    pub fn scrub_packet(self) -> Result<Self, Self> {
        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and exclusively owned.
        unsafe {
            // Zero-copy pages are in the non-linear part only.
            if (*skb).data_len != 0
                && bindings::rust_helper_skb_orphan_frags_rx(skb, bindings::SPANS_GFP_ATOMIC) != 0
            {
                return Err(self);
            }
            bindings::skb_scrub_packet(skb, true);
            *dev(skb) = core::ptr::null_mut();
            (*headers(skb)).priority = 0;
        }
        Ok(self)
    }

    /// Frees a packet that was delivered or not needed, without a drop: `dev_consume_skb_any()`.
    /// Any context.
    pub fn consume(self) {
        // SAFETY: By the type invariant the packet is valid and exclusively owned, and it is not
        // used again.
        unsafe { bindings::rust_helper_dev_consume_skb_any(self.into_raw()) };
    }

    /// Drops the packet for `reason`: `dev_kfree_skb_any_reason()`. Any context.
    pub fn kfree_reason(self, reason: DropReason) {
        // SAFETY: By the type invariant the packet is valid and exclusively owned, and it is not
        // used again.
        unsafe { bindings::dev_kfree_skb_any_reason(self.into_raw(), reason.0) };
    }
}

impl Drop for SkBuff {
    #[inline(always)]
    fn drop(&mut self) {
        build_error!("a packet was lost: free it with a reason, queue it or pass it on");
    }
}

/// A FIFO of packets, linked by `skb->next`. Dropping it drops its packets (`QUEUE_PURGE`).
///
/// # Invariants
///
/// The packets from `first` by their `next` pointers are `len` many, the last of them is `last`,
/// whose `next` is null. The list owns all of them.
pub struct SkBuffList {
    first: *mut bindings::sk_buff,
    last: *mut bindings::sk_buff,
    len: usize,
}

// SAFETY: Packets are not bound to a thread.
unsafe impl Send for SkBuffList {}

/// Returns the fields that a clone inherits: the group `headers` of `struct sk_buff`.
///
/// # Safety
///
/// `skb` must be valid.
#[inline]
pub(super) unsafe fn headers(
    skb: *mut bindings::sk_buff,
) -> *mut bindings::sk_buff__bindgen_ty_4__bindgen_ty_2 {
    // CAST: A union of two views of the same fields, for which bindgen generates a type that
    // depends on the configuration.
    // SAFETY: By the safety requirements of this function `skb` is valid.
    unsafe { &raw mut (*skb).__bindgen_anon_4 }.cast()
}

/// Sets the MAC header and pulls `len` bytes, like `eth_type_trans()`.
///
/// # Safety
///
/// `skb` must be valid and exclusively owned by the caller, with `len` bytes of linear data.
#[inline]
pub(super) unsafe fn pull_mac_header(skb: *mut bindings::sk_buff, len: usize) {
    // SAFETY: By the safety requirements of this function. The data begins behind the head, by less
    // than 64 KiB for any packet with a link header, as C stores that offset in 16 bits.
    unsafe {
        let headers = &mut *headers(skb);
        headers.mac_header = (*skb).data.offset_from((*skb).head) as u16;
        if u32::from(headers.ip_summed()) == bindings::CHECKSUM_COMPLETE {
            bindings::rust_helper_skb_pull_rcsum(skb, len as c_uint);
        } else {
            (*skb).len = (*skb).len.wrapping_sub(len as c_uint);
            (*skb).data = (*skb).data.add(len);
        }
    }
}

/// Returns the place of `skb->dev`.
///
/// # Safety
///
/// `skb` must be valid.
#[inline]
pub(super) unsafe fn dev(skb: *mut bindings::sk_buff) -> *mut *mut bindings::net_device {
    // SAFETY: By the safety requirements of this function `skb` is valid.
    unsafe {
        &raw mut (*skb)
            .__bindgen_anon_1
            .__bindgen_anon_1
            .__bindgen_anon_1
            .dev
    }
}

/// Returns the place of `skb->next`.
///
/// # Safety
///
/// `skb` must be valid.
#[inline]
unsafe fn next(skb: *mut bindings::sk_buff) -> *mut *mut bindings::sk_buff {
    // SAFETY: By the safety requirements of this function `skb` is valid.
    unsafe { &raw mut (*skb).__bindgen_anon_1.__bindgen_anon_1.next }
}

impl Default for SkBuffList {
    #[inline]
    fn default() -> Self {
        // INVARIANT: The list is empty.
        Self {
            first: core::ptr::null_mut(),
            last: core::ptr::null_mut(),
            len: 0,
        }
    }
}

impl SkBuffList {
    /// Returns the number of packets.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the list is empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Appends a packet.
    #[inline]
    pub fn push_back(&mut self, skb: SkBuff) {
        let skb = skb.into_raw();
        // INVARIANT: The packet follows `last`, and becomes the last one.
        // SAFETY: The list owns `skb` from now on, and `last` if there is one.
        unsafe {
            *next(skb) = core::ptr::null_mut();
            if self.first.is_null() {
                self.first = skb;
            } else {
                *next(self.last) = skb;
            }
        }
        self.last = skb;
        self.len = self.len.wrapping_add(1);
    }

    /// Removes and returns the first packet.
    #[inline]
    pub fn pop_front(&mut self) -> Option<SkBuff> {
        if self.first.is_null() {
            return None;
        }
        let skb = self.first;
        // INVARIANT: The list begins behind the removed packet.
        // SAFETY: The list owns the packet, which passes to the caller and is on no list then.
        unsafe {
            self.first = *next(skb);
            *next(skb) = core::ptr::null_mut();
            self.len = self.len.wrapping_sub(1);
            Some(SkBuff::from_raw(skb))
        }
    }

    /// Returns the first packet without removing it.
    #[inline]
    pub fn front(&self) -> Option<&SkBuff> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: An `SkBuff` is a transparent non-null pointer. By the type invariant the list
        // owns the packet, and nothing else uses it while the list is borrowed.
        Some(unsafe { &*(&raw const self.first).cast::<SkBuff>() })
    }

    /// Removes and returns all packets.
    #[inline]
    pub fn take(&mut self) -> Self {
        core::mem::take(self)
    }

    /// Removes and returns the first `count` packets, or all if there are fewer.
    pub fn take_front(&mut self, count: usize) -> Self {
        if count >= self.len {
            return self.take();
        }
        let mut front = Self::default();
        while front.len < count {
            match self.pop_front() {
                Some(skb) => front.push_back(skb),
                None => break,
            }
        }
        front
    }

    /// Moves all packets of `other` to the end of this list.
    #[inline]
    pub fn append(&mut self, other: &mut Self) {
        let other = ManuallyDrop::new(other.take());
        if other.first.is_null() {
            return;
        }
        // INVARIANT: The packets of `other`, which is forgotten, follow those of `self`.
        if self.first.is_null() {
            self.first = other.first;
        } else {
            // SAFETY: The list owns its last packet.
            unsafe { *next(self.last) = other.first };
        }
        self.last = other.last;
        self.len = self.len.wrapping_add(other.len);
    }

    /// Drops all packets for `reason` and returns their number. Any context.
    pub fn purge(&mut self, reason: DropReason) -> usize {
        let count = self.len;
        while let Some(skb) = self.pop_front() {
            skb.kfree_reason(reason);
        }
        count
    }
}

impl Drop for SkBuffList {
    fn drop(&mut self) {
        self.purge(DropReason::QUEUE_PURGE);
    }
}
