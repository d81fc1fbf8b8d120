// SPDX-License-Identifier: GPL-2.0

//! A subqueue: two FIFOs, what they hold at most, and what happens to one packet
//! more.
//!
//! The ancestor is DragonFly's classic queue (`sys/net/ifq_var.h`,
//! `sys/net/altq/altq_subr.c`). What it drops without a word is counted here, and
//! prio cannot starve norm for ever.
//!
//! Everything here is called under the subqueue's lock.

use crate::{
    class::Class,
    packet::{Packet, Packets}, //
};

/// What a subqueue holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Packets, at least 1.
    pub packets: usize,
    /// Bytes. One packet may exceed them: it is looked at before it is added.
    pub bytes: usize,
}

impl Limits {
    /// The limits of a subqueue that shall hold `queue_len` packets of at most
    /// `frame` bytes, beside those that CPUs may have staged: staging by itself
    /// never makes a queue full. `queue_bytes` of 0 leaves the bytes to follow
    /// from the packets, each with a cluster (2048 bytes) or a frame.
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

/// What became of a packet that was to be enqueued.
#[must_use = "a packet may have come back"]
pub enum Enqueued<L: Packets> {
    /// It is in the queue.
    Queued,
    /// It is in the queue, and these, the oldest of norm, had to go.
    Evicted(L),
    /// There is no room: it comes back.
    Full(L::Packet),
}

/// So many prio packets in a row leave while norm waits, then one of norm does.
pub const PRIO_RUN: u32 = 16;

/// A subqueue without its lock.
#[derive(Debug)]
pub struct Subqueue<L> {
    /// One packet that was dequeued and put back, or none. Leaves first.
    prepended: L,
    prio: L,
    norm: L,
    /// Packets in all three.
    len: usize,
    /// Bytes in all three.
    bytes: usize,
    prio_bytes: usize,
    /// Prio packets that left since one of norm did or norm was empty.
    prio_run: u32,
    limits: Limits,
    len_max: usize,
}

impl<L: Packets> Subqueue<L> {
    /// An empty subqueue.
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

    /// How many packets there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many bytes there are.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there are no packets.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most packets there ever were.
    pub fn len_max(&self) -> usize {
        self.len_max
    }

    /// Whether either limit is reached.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len >= self.limits.packets || self.bytes >= self.limits.bytes
    }

    /// Whether a packet of `len` bytes fits in, and another one after it.
    #[inline]
    pub fn has_room(&self, len: usize) -> bool {
        self.len.wrapping_add(1) < self.limits.packets
            && self.bytes.wrapping_add(len) < self.limits.bytes
    }

    /// Sets other limits. Packets that are there stay.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Adds a packet, if there is room or room can be made.
    ///
    /// In a full queue a prio packet takes the place of the oldest norm packet, as
    /// long as prio has less than half of both limits; of several, if it is longer,
    /// so that the queue does not grow beyond its limit byte by byte.
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

    /// Takes the packet that is to leave next: the prepended one, then prio, then
    /// norm, of which one leaves after each [`PRIO_RUN`] of prio.
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

    /// Whether [`take_all`](Self::take_all) takes them as [`dequeue`](Self::dequeue)
    /// would: there is no norm that has to leave between prio.
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

    /// Puts back a packet that was just dequeued. It leaves before all others.
    /// Legal only once before the next [`dequeue`](Self::dequeue).
    pub fn prepend(&mut self, packet: L::Packet) {
        self.added(packet.len());
        self.prepended.push_back(packet);
    }

    /// Adds a packet, which has room.
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
        // As much as memory holds: it does not wrap.
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
