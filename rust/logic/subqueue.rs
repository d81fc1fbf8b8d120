// SPDX-License-Identifier: GPL-2.0

//! A subqueue: two FIFOs with limits.
//!
//! The ancestor is DragonFly's classic queue (`sys/net/ifq_var.h`,
//! `sys/net/altq/altq_subr.c`). Packets that the ancestor drops silently are counted here, and prio
//! cannot starve norm.
//!
//! All functions are called under the xmit lock.

use crate::{
    class::Class,
    packet::{Packet, Packets}, //
};

/// The limits of a subqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Packets, at least 1.
    pub packets: usize,
    /// Bytes. One packet may exceed them: they are checked before it is added.
    pub bytes: usize,
}

impl Limits {
    /// Returns the limits of a subqueue that holds `queue_len` packets of at most `frame` bytes, in
    /// addition to those that CPUs may have staged: staging alone never fills a queue. With
    /// `queue_bytes` 0 the limit of bytes is derived from that of packets, each with a cluster
    /// (2048 bytes) or a frame, whichever is longer.
    pub const fn new(
        queue_len: usize,
        queue_bytes: usize,
        cpus: usize,
        stage_count: usize,
        frame: usize,
    ) -> Self {
        const CLUSTER: usize = 2048;
        let packets = queue_len.saturating_add(cpus.saturating_mul(stage_count));
        let each = if frame > CLUSTER { frame } else { CLUSTER };
        Self {
            packets: if packets == 0 { 1 } else { packets },
            bytes: if queue_bytes == 0 {
                packets.saturating_mul(each)
            } else {
                queue_bytes
            },
        }
    }
}

/// The result of [`Subqueue::enqueue`].
#[must_use = "a packet may have come back"]
pub enum Enqueued<L: Packets> {
    /// The packet is queued.
    Queued,
    /// The packet is queued, and these, the oldest norm packets, were evicted.
    Evicted(L),
    /// There is no room: the packet is returned.
    Full(L::Packet),
}

/// The number of consecutive prio packets after which a waiting norm packet leaves.
pub const PRIO_RUN: u32 = 16;

/// A subqueue without its lock.
#[derive(Debug)]
pub struct Subqueue<L> {
    /// One packet that was dequeued and put back, or none. Leaves first.
    prepended: L,
    prio: L,
    norm: L,
    /// Packets in all three lists.
    len: usize,
    /// Bytes in all three lists.
    bytes: usize,
    prio_bytes: usize,
    /// Prio packets that left since the last norm packet, or since norm was empty.
    prio_run: u32,
    limits: Limits,
    len_max: usize,
}

impl<L: Packets> Subqueue<L> {
    /// Creates an empty subqueue.
    pub fn new(limits: Limits) -> Self {
        Self {
            prepended: L::default(),
            prio: L::default(),
            norm: L::default(),
            len: 0,
            bytes: 0,
            prio_bytes: 0,
            prio_run: 0,
            limits,
            len_max: 0,
        }
    }

    /// Returns the number of packets.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whether there are no packets.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the highest number of packets so far.
    pub fn len_max(&self) -> usize {
        self.len_max
    }

    /// Returns whether either limit is reached.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len >= self.limits.packets || self.bytes >= self.limits.bytes
    }

    /// Returns whether a packet of `len` bytes has room, and another one after it.
    #[inline]
    pub fn has_room(&self, len: usize) -> bool {
        self.len.wrapping_add(1) < self.limits.packets
            && self.bytes.wrapping_add(len) < self.limits.bytes
    }

    /// Sets the limits. Queued packets stay.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Adds a packet, if there is room or room can be made.
    ///
    /// In a full queue a prio packet replaces the oldest norm packet, as long as prio has less than
    /// half of both limits. If the prio packet is longer, it replaces several, so that the queue
    /// does not grow beyond its limit of bytes step by step.
    #[inline]
    pub fn enqueue(&mut self, packet: L::Packet, class: Class) -> Enqueued<L> {
        if !self.is_full() {
            self.push(packet, class);
            return Enqueued::Queued;
        }
        let may_evict = class == Class::Prio
            && self.prio.len() < self.limits.packets / 2
            && self.prio_bytes < self.limits.bytes / 2
            && !self.norm.is_empty();
        if !may_evict {
            return Enqueued::Full(packet);
        }
        let mut victims = L::default();
        let mut room = 0usize;
        while room < packet.len() || victims.is_empty() {
            let Some(victim) = self.pop_norm() else {
                break;
            };
            room = room.saturating_add(victim.len());
            victims.push_back(victim);
        }
        self.push(packet, class);
        Enqueued::Evicted(victims)
    }

    /// Takes the next packet: the prepended one, then prio, then norm. After [`PRIO_RUN`] prio
    /// packets one norm packet leaves.
    pub fn dequeue(&mut self) -> Option<L::Packet> {
        if let Some(packet) = self.prepended.pop_front() {
            return Some(self.taken(packet));
        }
        if self.norm.is_empty() {
            self.prio_run = 0;
        }
        if self.prio_run < PRIO_RUN {
            if let Some(packet) = self.prio.pop_front() {
                self.prio_bytes = self.prio_bytes.saturating_sub(packet.len());
                self.prio_run = self.prio_run.saturating_add(1);
                return Some(self.taken(packet));
            }
        }
        self.prio_run = 0;
        self.pop_norm()
    }

    /// Returns whether [`take_all`](Self::take_all) has the order of [`dequeue`](Self::dequeue): no
    /// norm packet has to leave between prio packets.
    #[inline]
    pub fn may_take_all(&self) -> bool {
        self.prio.is_empty()
            || self.norm.is_empty()
            || self.prio.len().saturating_add(self.prio_run as usize) <= PRIO_RUN as usize
    }

    /// Takes all packets: the prepended one, prio, norm.
    #[inline]
    pub fn take_all(&mut self) -> L {
        let mut all;
        if self.prio.is_empty() && self.prepended.is_empty() {
            all = self.norm.take();
        } else {
            all = self.prepended.take();
            all.append(&mut self.prio);
            all.append(&mut self.norm);
        }
        self.len = 0;
        self.bytes = 0;
        self.prio_bytes = 0;
        self.prio_run = 0;
        all
    }

    /// Puts back a packet that was just dequeued, in front of all others. Allowed only once before
    /// the next [`dequeue`](Self::dequeue).
    pub fn prepend(&mut self, packet: L::Packet) {
        self.added(packet.len());
        self.prepended.push_back(packet);
    }

    /// Adds a packet without a check of the limits.
    #[inline]
    pub(crate) fn push(&mut self, packet: L::Packet, class: Class) {
        let len = packet.len();
        self.added(len);
        match class {
            Class::Prio => {
                self.prio_bytes = self.prio_bytes.saturating_add(len);
                self.prio.push_back(packet);
            }
            Class::Norm => self.norm.push_back(packet),
        }
    }

    fn pop_norm(&mut self) -> Option<L::Packet> {
        let packet = self.norm.pop_front()?;
        Some(self.taken(packet))
    }

    #[inline]
    fn added(&mut self, len: usize) {
        // Bounded by memory: cannot wrap.
        self.len = self.len.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(len);
        if self.len > self.len_max {
            self.len_max = self.len;
        }
    }

    #[inline]
    fn taken(&mut self, packet: L::Packet) -> L::Packet {
        self.len = self.len.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(packet.len());
        packet
    }
}
