// SPDX-License-Identifier: GPL-2.0

//! What a queue has to know of packets, whoever owns them.

/// A packet. In the kernel an `skb`, in tests a number.
#[expect(clippy::len_without_is_empty)]
pub trait Packet {
    /// Length in bytes, with the link header.
    fn len(&self) -> usize;

    /// Length in bytes of the frames that the packet stands for, each with its headers.
    fn wire_len(&self) -> usize;

    /// Notes a time with the packet, in nanoseconds.
    fn set_time(&mut self, time: u64);

    /// The time that was noted last. Before that it is anything.
    fn time(&self) -> u64;
}

/// Packets in order, owned.
///
/// Nothing that is generic over this drops a packet: those that have to go are
/// given back.
pub trait Packets: Default {
    /// What is queued.
    type Packet: Packet;

    /// How many packets there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool;

    /// Adds a packet behind the others.
    fn push_back(&mut self, packet: Self::Packet);

    /// Takes the first packet.
    fn pop_front(&mut self) -> Option<Self::Packet>;

    /// Moves all packets of `other` behind those of this one.
    fn append(&mut self, other: &mut Self);

    /// The first packet, which stays.
    fn front(&self) -> Option<&Self::Packet>;

    /// Takes all packets.
    #[inline]
    fn take(&mut self) -> Self {
        core::mem::take(self)
    }
}
