// SPDX-License-Identifier: GPL-2.0

//! Packets.
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

/// Why a packet ended: `enum skb_drop_reason`, as tracing and dropwatch show it.
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
    /// The driver's link header is not what it should be.
    DEV_HDR = skb_drop_reason_SKB_DROP_REASON_DEV_HDR,
    /// The device cannot take packets at this moment.
    DEV_READY = skb_drop_reason_SKB_DROP_REASON_DEV_READY,
    /// A ring of the device is full.
    FULL_RING = skb_drop_reason_SKB_DROP_REASON_FULL_RING,
    /// No memory.
    NOMEM = skb_drop_reason_SKB_DROP_REASON_NOMEM,
    /// No reason that C has a name for.
    NOT_SPECIFIED = skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
    /// Nobody has the address that the packet goes to.
    NO_TX_TARGET = skb_drop_reason_SKB_DROP_REASON_NO_TX_TARGET,
    /// The packet is for another host.
    OTHERHOST = skb_drop_reason_SKB_DROP_REASON_OTHERHOST,
    /// Longer than the MTU.
    PKT_TOO_BIG = skb_drop_reason_SKB_DROP_REASON_PKT_TOO_BIG,
    /// A checksum that was left to hardware cannot be computed.
    SKB_CSUM = skb_drop_reason_SKB_DROP_REASON_SKB_CSUM,
    /// A packet that stands for several cannot be taken apart.
    SKB_GSO_SEG = skb_drop_reason_SKB_DROP_REASON_SKB_GSO_SEG,
    /// Shorter than its header.
    PKT_TOO_SMALL = skb_drop_reason_SKB_DROP_REASON_PKT_TOO_SMALL,
    /// A queue was emptied.
    QUEUE_PURGE = skb_drop_reason_SKB_DROP_REASON_QUEUE_PURGE,
    /// Pages of user space could not be copied.
    SKB_UCOPY_FAULT = skb_drop_reason_SKB_DROP_REASON_SKB_UCOPY_FAULT,
    /// A protocol that is not spoken here.
    UNHANDLED_PROTO = skb_drop_reason_SKB_DROP_REASON_UNHANDLED_PROTO,
}

/// Whom a received packet is for: `PACKET_HOST` and its relatives.
#[derive(Clone, Copy)]
pub enum PacketType {
    /// This host.
    Host,
    /// Every host.
    Broadcast,
    /// Those of a group.
    Multicast,
    /// Another host, as this one hears others, too.
    OtherHost,
}

/// A packet, owned: `struct sk_buff`.
///
/// It must leave by one of the methods that take it: [`kfree_reason`],
/// [`SkBuffList::push_back`], [`super::napi::PollContext::receive`]. Where
/// the compiler cannot see that it does, the module does not link.
///
/// [`kfree_reason`]: Self::kfree_reason
///
/// (`mem::forget()` is safe, as everywhere in Rust, and leaks a packet. Nobody
/// does that by mistake.)
///
/// # Invariants
///
/// The pointer is valid, and nobody else uses the packet: another reference only
/// keeps it from being freed, as pktgen has one of each packet (`skb_shared()`). Its
/// data may be shared with clones. It is on no list.
#[must_use = "a packet must be freed with a reason, queued or passed on"]
#[repr(transparent)]
pub struct SkBuff(NonNull<bindings::sk_buff>);

// SAFETY: A packet belongs to no thread.
unsafe impl Send for SkBuff {}

impl SkBuff {
    /// # Safety
    ///
    /// `skb` must fulfil the invariants, and the caller must give up its
    /// reference.
    #[inline]
    pub(super) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: The caller promises it.
        // SAFETY: The caller promises that it is valid, so it is not null.
        Self(unsafe { NonNull::new_unchecked(skb) })
    }

    /// Gives up ownership.
    #[inline]
    pub(super) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }

    #[inline]
    fn as_raw(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// Length in bytes, from the current header on.
    #[inline]
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        // SAFETY: By the type invariant the packet is valid and ours.
        unsafe { (*self.as_raw()).len as usize }
    }

    /// The transmit queue that the stack chose.
    #[inline]
    pub fn queue_mapping(&self) -> u16 {
        // SAFETY: By the type invariant the packet is valid and ours.
        unsafe { (*self.as_raw()).queue_mapping }
    }

    /// What the sender thinks of its urgency: `SO_PRIORITY`, or a class of a qdisc.
    #[inline]
    pub fn priority(&self) -> u32 {
        // SAFETY: By the type invariant the packet is valid and ours.
        unsafe { (*headers(self.as_raw())).priority }
    }

    /// A number that the driver keeps with the packet while it owns it, in the
    /// control block. What others left there before the driver writes it is
    /// anything.
    #[inline]
    pub fn cb(&self) -> u64 {
        // SAFETY: By the type invariant the packet is valid and ours. The control block has 48
        // bytes and is aligned to 8.
        unsafe { (&raw const (*self.as_raw()).cb).cast::<u64>().read() }
    }

    /// Sets the number that [`cb`](Self::cb) reads.
    #[inline]
    pub fn set_cb(&mut self, number: u64) {
        // SAFETY: As above.
        unsafe { (&raw mut (*self.as_raw()).cb).cast::<u64>().write(number) };
    }

    /// The first `len` bytes, or why they cannot be had: `pskb_may_pull_reason()`.
    ///
    /// They are made contiguous first, which may have to allocate memory. Any
    /// context.
    #[inline]
    pub fn header(&mut self, len: usize) -> Result<&[u8], DropReason> {
        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and ours.
        let linear = unsafe { (*skb).len.wrapping_sub((*skb).data_len) as usize };
        if linear < len {
            if self.len() < len {
                return Err(DropReason::PKT_TOO_SMALL);
            }
            // SAFETY: As above. There are enough bytes behind the linear part. C panics where it
            // would have to move the head of a packet that is shared.
            unsafe {
                if bindings::rust_helper_skb_shared(skb)
                    || bindings::__pskb_pull_tail(skb, (len - linear) as c_int).is_null()
                {
                    return Err(DropReason::NOMEM);
                }
            }
        }
        // SAFETY: The linear part begins at `data` and has `len` bytes by now. They are not written
        // while `self` is borrowed: whoever wants to write data that is shared copies it.
        Ok(unsafe { core::slice::from_raw_parts((*skb).data, len) })
    }

    /// Tells a sender that asked for it when the packet left, if it is `device`
    /// that the packet leaves by. Any context.
    #[inline]
    pub fn tx_timestamp<T: Operations>(&mut self, device: &Device<T>) {
        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and ours. C looks into its device,
        // which lives, as `device` is borrowed. Without a socket nobody has asked.
        unsafe {
            if !(*skb).sk.is_null() && *dev(skb) == device.as_raw() {
                bindings::rust_helper_skb_tx_timestamp(skb);
            }
        }
    }

    /// Releases the owner of the packet, a socket that counts it as sent and not gone yet:
    /// `skb_orphan()`. Any context but hard interrupts.
    #[inline]
    pub fn orphan(&mut self) {
        // SAFETY: By the type invariant the packet is valid and ours.
        unsafe { bindings::rust_helper_skb_orphan(self.as_raw()) };
    }

    /// Another packet with the same data. Any context.
    #[expect(clippy::should_implement_trait)]
    pub fn clone(&self) -> Result<Self> {
        // SAFETY: By the type invariant the packet is valid. C notes in it that it has been cloned,
        // where nobody else looks, as `SkBuff` is not `Sync`.
        let clone = unsafe { bindings::skb_clone(self.as_raw(), bindings::SPANS_GFP_ATOMIC) };
        if clone.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: A clone is the only reference to itself, and on no list.
        Ok(unsafe { Self::from_raw(clone) })
    }

    /// A packet that nobody else has a reference to, as the stack and GRO want it:
    /// `skb_share_check()`. Any context. Without memory for it, it comes back.
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
        // SAFETY: By the type invariant the packet is valid and ours, and it is not used again.
        unsafe { bindings::consume_skb(self.into_raw()) };
        Ok(clone)
    }

    /// Takes off what a packet does not carry over a wire: its device, its route,
    /// the marks of firewall and scheduler, timestamps, and pages that the sender
    /// wants back. As `____dev_forward_skb()` to another namespace. Any context.
    ///
    /// When the pages cannot be copied, the packet comes back as it was.
    pub fn scrub_packet(self) -> Result<Self, Self> {
        let skb = self.as_raw();
        // SAFETY: By the type invariant the packet is valid and ours.
        unsafe {
            // Pages are in what is not linear.
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

    /// Ends a copy that was not needed: nothing was lost. Any context.
    pub fn consume(self) {
        // SAFETY: By the type invariant the packet is valid and ours, and it is not used again.
        unsafe { bindings::rust_helper_dev_consume_skb_any(self.into_raw()) };
    }

    /// Ends the packet and says why. Any context.
    pub fn kfree_reason(self, reason: DropReason) {
        // SAFETY: By the type invariant the packet is valid and ours, and it is not used again.
        unsafe { bindings::dev_kfree_skb_any_reason(self.into_raw(), reason.0) };
    }
}

impl Drop for SkBuff {
    #[inline(always)]
    fn drop(&mut self) {
        build_error!("a packet was lost: free it with a reason, queue it or pass it on");
    }
}

/// Packets in order, linked by themselves. By default there are none.
///
/// # Invariants
///
/// The packets from `first` by their `next` pointers are `len` many, the last of
/// them is `last`, whose `next` is null. The list owns all of them.
pub struct SkBuffList {
    first: *mut bindings::sk_buff,
    last: *mut bindings::sk_buff,
    len: usize,
}

// SAFETY: Packets belong to no thread.
unsafe impl Send for SkBuffList {}

/// The fields that a clone inherits.
///
/// # Safety
///
/// `skb` must be valid.
#[inline]
pub(super) unsafe fn headers(
    skb: *mut bindings::sk_buff,
) -> *mut bindings::sk_buff__bindgen_ty_4__bindgen_ty_2 {
    // CAST: A union of two views of the same fields, which bindgen may render as one that Rust
    // knows, or not, depending on the configuration.
    // SAFETY: The caller promises that `skb` is valid.
    unsafe { &raw mut (*skb).__bindgen_anon_4 }.cast()
}

/// Takes a link header of `len` bytes off a packet, as `eth_type_trans()` does.
///
/// # Safety
///
/// `skb` must be valid and the caller's, with `len` bytes of linear data.
#[inline]
pub(super) unsafe fn pull_mac_header(skb: *mut bindings::sk_buff, len: usize) {
    // SAFETY: The caller promises it. The data begins behind the head, less than 64 KiB away
    // wherever a packet has a link header at all, as C notes it in 16 bits.
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

/// The device of a packet.
///
/// # Safety
///
/// `skb` must be valid.
#[inline]
pub(super) unsafe fn dev(skb: *mut bindings::sk_buff) -> *mut *mut bindings::net_device {
    // SAFETY: The caller promises it.
    unsafe {
        &raw mut (*skb)
            .__bindgen_anon_1
            .__bindgen_anon_1
            .__bindgen_anon_1
            .dev
    }
}

/// The link of a packet to the next one.
///
/// # Safety
///
/// `skb` must be valid.
#[inline]
unsafe fn next(skb: *mut bindings::sk_buff) -> *mut *mut bindings::sk_buff {
    // SAFETY: The caller promises it.
    unsafe { &raw mut (*skb).__bindgen_anon_1.__bindgen_anon_1.next }
}

impl Default for SkBuffList {
    #[inline]
    fn default() -> Self {
        // INVARIANT: There are none.
        Self {
            first: core::ptr::null_mut(),
            last: core::ptr::null_mut(),
            len: 0,
        }
    }
}

impl SkBuffList {
    /// How many packets there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Adds a packet behind the others.
    #[inline]
    pub fn push_back(&mut self, skb: SkBuff) {
        let skb = skb.into_raw();
        // INVARIANT: The packet comes behind `last`, and is the last one.
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

    /// Takes the first packet.
    #[inline]
    pub fn pop_front(&mut self) -> Option<SkBuff> {
        if self.first.is_null() {
            return None;
        }
        let skb = self.first;
        // INVARIANT: The list begins behind the packet that is taken.
        // SAFETY: The list owns the packet, which becomes the caller's and is on no list then.
        unsafe {
            self.first = *next(skb);
            *next(skb) = core::ptr::null_mut();
            self.len = self.len.wrapping_sub(1);
            Some(SkBuff::from_raw(skb))
        }
    }

    /// The first packet, which stays.
    #[inline]
    pub fn front(&self) -> Option<&SkBuff> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: An `SkBuff` is nothing but a pointer that is not null, and by the type invariant
        // the packet is the list's, and nobody else's while the list is borrowed.
        Some(unsafe { &*(&raw const self.first).cast::<SkBuff>() })
    }

    /// Takes all packets.
    #[inline]
    pub fn take(&mut self) -> Self {
        core::mem::take(self)
    }

    /// Takes the first `count` packets, or all if there are fewer.
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

    /// Moves all packets of `other` behind those of this list.
    #[inline]
    pub fn append(&mut self, other: &mut Self) {
        let other = ManuallyDrop::new(other.take());
        if other.first.is_null() {
            return;
        }
        // INVARIANT: The packets of `other`, which is forgotten, follow ours.
        if self.first.is_null() {
            self.first = other.first;
        } else {
            // SAFETY: The list owns its last packet.
            unsafe { *next(self.last) = other.first };
        }
        self.last = other.last;
        self.len = self.len.wrapping_add(other.len);
    }

    /// Ends all packets, says why, and how many they were. Any context.
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
