// SPDX-License-Identifier: GPL-2.0

//! What an interface does with a frame that reached it.
//!
//! The order of the checks is that of the ancestor (FreeBSD `spans_cls.c`,
//! `spanscls_cpcs_data`): length, constant bytes, destination. What the frame
//! carries is for the protocols above to know.

use crate::{
    address::Address,
    filter::Filter,
    header,
    medium::{Cast, Medium},
};
use core::ops::Deref;

/// Whom a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// This interface.
    Host,
    /// Every interface.
    Broadcast,
    /// A group.
    Multicast,
    /// Somebody else, but it is heard: the interface is promiscuous, or has more than
    /// one address.
    OtherHost,
}

impl Recipient {
    /// Whether it is for more than one interface.
    #[inline]
    pub fn is_group(self) -> bool {
        matches!(self, Self::Broadcast | Self::Multicast)
    }
}

/// A frame to be passed on without its link header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Whom it is for.
    pub recipient: Recipient,
    /// What it carries: an EtherType, in host order.
    pub protocol: u16,
}

/// Why a frame ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A bridged frame.
    Bridged,
    /// Not a frame of this medium.
    Malformed,
    /// For somebody else: the address or the filter was changed while the frame
    /// travelled.
    OtherHost,
}

/// Judges a frame that begins with `header`, at the interface `own` with this filter.
#[inline]
pub fn judge<L: Deref<Target = [Address]>>(
    medium: &Medium,
    header: &[u8],
    own: Address,
    filter: &Filter<L>,
) -> Result<Accepted, Refused> {
    medium.check(header).map_err(|error| match error {
        header::Error::Bridged => Refused::Bridged,
        header::Error::Malformed => Refused::Malformed,
    })?;
    let destination = medium.destination(header);
    let recipient = if destination == own {
        Recipient::Host
    } else {
        if !filter.hears(medium, destination) {
            return Err(Refused::OtherHost);
        }
        match medium.cast(destination) {
            Cast::Broadcast => Recipient::Broadcast,
            Cast::Multicast => Recipient::Multicast,
            Cast::Unicast => Recipient::OtherHost,
        }
    };
    Ok(Accepted {
        recipient,
        protocol: medium.protocol(header),
    })
}

/// IEEE 802.1Q: a tag.
const C_TAG: u16 = 0x8100;

/// IEEE 802.1ad: a tag.
const S_TAG: u16 = 0x88a8;

/// How long a frame that carries `protocol` may be, behind a link header of `header` bytes
/// and where the MTU is `mtu`. With a tag it may be longer by two, as a VLAN may lie on
/// another one, both with the whole MTU.
#[inline]
pub fn longest(header: usize, mtu: usize, protocol: u16) -> usize {
    let tags = match protocol {
        C_TAG | S_TAG => 8,
        _ => 0,
    };
    mtu.saturating_add(header).saturating_add(tags)
}

/// How long senders have waited for a receive ring that has no room.
///
/// A sender waits for a receiver that is getting on. One that is not may be anything: a
/// thread that never runs, a poll that its user has masked for an hour, a stack with rules by
/// the thousand. It costs a sender as much as that has patience, and [`PACE`] for each frame
/// that its poll is done with meanwhile; other frames for it are dropped. No sender has any
/// influence on how long others wait.
#[derive(Debug, Default)]
pub struct Full {
    /// When frames began to wait, and later by their share for each that the poll was done
    /// with.
    since: Option<u64>,
    /// When there was no room last.
    last: u64,
    /// How many frames the poll had been done with by then.
    done: usize,
}

/// How long a frame takes a receiver that is getting on, at most: 8000 in a second.
pub const PACE: u64 = 125_000;

/// A receiver that was slower does not have to make up for more than this, as no sender has
/// more patience.
const LAG: u64 = 1_000_000_000;

/// If no frame had to wait for so long, nothing is held against a receiver.
const FORGET: u64 = 100_000_000;

/// What becomes of a frame that a receive ring has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// It is offered again, and those behind it wait, too.
    Wait,
    /// It is dropped at the receiver.
    Drop,
}

impl Full {
    /// There is no room for a frame at `now`, of a sender that waits for `patience`, in
    /// nanoseconds of one clock. The poll was `done` with so many frames since ever.
    pub fn no_room(&mut self, now: u64, patience: u64, done: usize) -> NoRoom {
        let since = match self.since {
            Some(since) if now.saturating_sub(self.last) <= FORGET => {
                let share = (done.wrapping_sub(self.done) as u64).saturating_mul(PACE);
                let least = now.saturating_sub(LAG);
                since.saturating_add(share).clamp(least, now)
            }
            _ => now,
        };
        self.since = Some(since);
        self.last = now;
        self.done = done;
        if now.saturating_sub(since) < patience {
            NoRoom::Wait
        } else {
            NoRoom::Drop
        }
    }
}

/// How many of `offered` packets a receive ring takes that holds `len` of at most
/// `limit`.
pub const fn room(len: usize, limit: usize, offered: usize) -> usize {
    let free = limit.saturating_sub(len);
    if offered < free {
        offered
    } else {
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{header::Header, medium::MEDIA};
    use proptest::prelude::*;

    const SPANS: &Medium = &MEDIA[0];
    const ETHERNET: &Medium = &MEDIA[1];
    const OWN: Address = Address::new([0, 0, 0, 0, 0, 1, 0, 0]);
    const OTHER: Address = Address::new([0, 0, 0, 0, 0, 2, 0, 0]);
    const GROUP: Address = Address::new([1, 0, 0, 0, 0, 2, 0, 0]);

    fn frame(medium: &Medium, destination: Address) -> Vec<u8> {
        let header = Header {
            destination,
            source: OTHER,
            protocol: 0x0800,
        };
        medium.write(&header, 0).as_ref().to_vec()
    }

    fn judged(
        medium: &Medium,
        destination: Address,
        promiscuous: bool,
    ) -> Result<Recipient, Refused> {
        let filter = Filter::new(promiscuous, false, vec![], vec![]);
        let accepted = judge(medium, &frame(medium, destination), OWN, &filter)?;
        assert_eq!(accepted.protocol, 0x0800);
        Ok(accepted.recipient)
    }

    #[test]
    fn own_and_broadcast_pass() {
        for medium in [SPANS, ETHERNET] {
            for promiscuous in [false, true] {
                let judged = |destination| judged(medium, destination, promiscuous);
                assert_eq!(judged(OWN), Ok(Recipient::Host));
                assert_eq!(judged(medium.broadcast), Ok(Recipient::Broadcast));
            }
        }
    }

    #[test]
    fn others_pass_where_the_filter_lets_them() {
        assert_eq!(judged(SPANS, OTHER, false), Err(Refused::OtherHost));
        assert_eq!(judged(SPANS, OTHER, true), Ok(Recipient::OtherHost));
        assert_eq!(judged(ETHERNET, GROUP, false), Err(Refused::OtherHost));
        assert_eq!(judged(ETHERNET, GROUP, true), Ok(Recipient::Multicast));
    }

    #[test]
    fn a_frame_is_as_long_as_header_and_mtu() {
        assert_eq!(longest(28, 9180, 0x0800), 9208);
        assert_eq!(longest(14, 1500, 0x86dd), 1514);
        assert_eq!(longest(14, 1500, 0x8100), 1522);
        assert_eq!(longest(14, 1500, 0x88a8), 1522);
    }

    #[test]
    fn the_header_is_checked_before_the_destination() {
        let filter = Filter::<Vec<_>>::default();
        let mut bytes = frame(SPANS, OTHER);
        bytes[20] = 0;
        let judged = |bytes: &[u8]| judge(SPANS, bytes, OWN, &filter);
        assert_eq!(judged(&bytes), Err(Refused::Malformed));
        bytes[20] = 0xaa;
        bytes[24] = 0x80;
        bytes[25] = 0xc2;
        assert_eq!(judged(&bytes), Err(Refused::Bridged));
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn a_sender_waits_for_its_patience_and_not_for_each_frame() {
        let mut full = Full::default();
        assert_eq!(full.no_room(5 * MS, MS, 7), NoRoom::Wait);
        assert_eq!(full.no_room(6 * MS - 1, MS, 7), NoRoom::Wait);
        assert_eq!(full.no_room(6 * MS, MS, 7), NoRoom::Drop);
        // The next one does not wait again, however late.
        assert_eq!(full.no_room(6 * MS + 1, MS, 7), NoRoom::Drop);
        assert_eq!(full.no_room(90 * MS, MS, 7), NoRoom::Drop);
        // Nor for one that is done with, but for its share.
        assert_eq!(full.no_room(90 * MS, MS, 8), NoRoom::Drop);
        assert_eq!(full.no_room(90 * MS, 85 * MS, 8), NoRoom::Wait);
        assert_eq!(full.no_room(90 * MS, 85 * MS - PACE, 8), NoRoom::Drop);
        // It has caught up.
        assert_eq!(full.no_room(90 * MS, MS, 1008), NoRoom::Wait);
        assert_eq!(full.no_room(91 * MS, MS, 1008), NoRoom::Drop);
        // It is long ago.
        assert_eq!(full.no_room(192 * MS, MS, 1008), NoRoom::Wait);
    }

    #[test]
    fn a_receiver_that_is_getting_on_is_waited_for_and_not_longer_when_it_stops() {
        let mut full = Full::default();
        let (mut now, mut done) = (0, usize::MAX - 1000);
        for _ in 0..10_000 {
            assert_eq!(full.no_room(now, MS, done), NoRoom::Wait);
            now += 16 * PACE;
            done = done.wrapping_add(16);
        }
        assert_eq!(full.no_room(now + MS - 1, MS, done), NoRoom::Wait);
        assert_eq!(full.no_room(now + MS, MS, done), NoRoom::Drop);
    }

    #[test]
    fn no_sender_makes_others_wait() {
        let mut full = Full::default();
        assert_eq!(full.no_room(0, MS, 0), NoRoom::Wait);
        for now in 1..MS {
            assert_eq!(full.no_room(now, now % 2, 0), NoRoom::Drop);
        }
        assert_eq!(full.no_room(MS, MS, 0), NoRoom::Drop);
    }

    #[test]
    fn a_sender_without_patience_never_waits() {
        let mut full = Full::default();
        assert_eq!(full.no_room(0, 0, 0), NoRoom::Drop);
        assert_eq!(full.no_room(0, 0, 1000), NoRoom::Drop);
    }

    proptest! {
        /// Whatever a receiver does, it costs no more than what it is granted.
        #[test]
        fn waiting_is_bounded(
            patience in 1u64..=1000 * MS,
            steps in proptest::collection::vec((0usize..4, 0u64..500_000), 1..200),
        ) {
            let (mut full, mut now, mut done) = (Full::default(), 0u64, 0usize);
            let (mut allowed, mut waited, mut waits) = (patience, 0u64, false);
            for (frames, time) in steps {
                now += time;
                waited += if waits { time } else { 0 };
                done += frames;
                allowed += frames as u64 * PACE;
                let before = waits;
                waits = full.no_room(now, patience, done) == NoRoom::Wait;
                // The time may have been over before it was offered again.
                allowed += if before && !waits { time } else { 0 };
                prop_assert!(waited <= allowed);
            }
        }

        #[test]
        fn room_fills_up_and_no_further(len in 0usize..50, limit in 0usize..50, offered in 0usize..50) {
            let taken = room(len, limit, offered);
            prop_assert!(taken <= offered);
            prop_assert!(len + taken <= limit.max(len));
            prop_assert!(taken == offered || len + taken >= limit);
        }
    }
}
