// SPDX-License-Identifier: GPL-2.0

//! The traits of packets and lists of packets, for every kind of owner.

/// A packet. In the kernel an `skb`, in tests a number.
#[expect(clippy::len_without_is_empty)]
pub trait Packet {
    /// Returns the length in bytes, with the link header.
    fn len(&self) -> usize;

    /// Returns the length in bytes of all frames after GSO segmentation, each with its headers.
    fn wire_len(&self) -> usize;

    /// Stores a time with the packet, in nanoseconds.
    fn set_time(&mut self, time: u64);

    /// Returns the time that was stored last; arbitrary if there is none.
    fn time(&self) -> u64;
}

/// An owned list of packets, in order.
///
/// Code that is generic over this trait drops no packet: it returns the packets to drop.
pub trait Packets: Default {
    /// The type of the packets.
    type Packet: Packet;

    /// Returns the number of packets.
    fn len(&self) -> usize;

    /// Returns whether the list is empty.
    fn is_empty(&self) -> bool;

    /// Appends a packet.
    fn push_back(&mut self, packet: Self::Packet);

    /// Takes the first packet.
    fn pop_front(&mut self) -> Option<Self::Packet>;

    /// Moves all packets of `other` to the end of this list.
    fn append(&mut self, other: &mut Self);

    /// Returns the first packet, which stays in the list.
    fn front(&self) -> Option<&Self::Packet>;

    /// Takes all packets.
    #[inline]
    fn take(&mut self) -> Self {
        core::mem::take(self)
    }
}
