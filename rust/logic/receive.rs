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
    medium::{AddressClass, Medium},
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
pub enum RxDrop {
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
pub fn classify<L: Deref<Target = [Address]>>(
    medium: &Medium,
    header: &[u8],
    own: Address,
    filter: &Filter<L>,
) -> Result<Accepted, RxDrop> {
    medium.check(header).map_err(|error| match error {
        header::Error::Bridged => RxDrop::Bridged,
        header::Error::Malformed => RxDrop::Malformed,
    })?;
    let destination = medium.destination(header);
    let recipient = if destination == own {
        Recipient::Host
    } else {
        if !filter.accepts(medium, destination) {
            return Err(RxDrop::OtherHost);
        }
        match medium.address_class(destination) {
            AddressClass::Broadcast => Recipient::Broadcast,
            AddressClass::Multicast => Recipient::Multicast,
            AddressClass::Unicast => Recipient::OtherHost,
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

/// A receive ring that has no room, as its senders see it.
///
/// A frame waits for a receiver that is getting on. A receiver that is not may be anything: a
/// thread that never runs, a poll that its user has masked for an hour. Until its poll is done
/// with another frame, it costs each sender once as much as that has patience. When senders
/// look makes no difference to how long others wait.
#[derive(Debug, Default)]
pub struct RingFull {
    /// How many frames the poll had been done with, and when there was no room first since
    /// then.
    seen: Option<(usize, u64)>,
}

/// How long a frame takes a receiver that is getting on, at most: 8000 in a second. No frame
/// waits for one that is slower: its stack may run in the poll of its sender.
pub const PACE: u64 = 125_000;

/// Whether a poll that gave so many frames to the stack in so many nanoseconds was too slow to
/// be waited for.
#[inline]
pub fn is_slow(frames: usize, time: u64) -> bool {
    time > (frames as u64).saturating_mul(PACE)
}

/// What becomes of a frame that a receive ring has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// It is offered again, and those behind it wait, too.
    Backpressure,
    /// It is dropped at the receiver.
    Drop,
}

impl RingFull {
    /// There is no room for a frame at `now`, of a sender that waits for `patience`, in
    /// nanoseconds of one clock. The poll was `done` with so many frames since ever.
    pub fn on_full(&mut self, now: u64, patience: u64, done: usize) -> OnFull {
        let since = match self.seen {
            Some((seen, since)) if seen == done => since,
            _ => now,
        };
        self.seen = Some((done, since));
        if now.saturating_sub(since) < patience {
            OnFull::Backpressure
        } else {
            OnFull::Drop
        }
    }
}

/// How many times its patience a sender waits while a receiver gets on with frames of others
/// only: a flood from another CPU takes each slot that becomes free.
pub const TURNS: u64 = 8;

/// How long the frames of a transmit ring have waited for receivers.
#[derive(Debug, Default)]
pub struct TxWait {
    /// Since when none of them got anywhere.
    since: Option<u64>,
    /// They have waited for long enough.
    over: bool,
}

impl TxWait {
    /// The patience that is left of `patience`: all of it, or none, in which case the frames
    /// that wait are dropped. Nanoseconds.
    #[inline]
    pub fn patience(&self, patience: u64) -> u64 {
        if self.over {
            0
        } else {
            patience
        }
    }

    /// So many frames are done with, and others wait or do not, of a sender with so much
    /// `patience`. A poll of the sender that comes late has them offered once more before it is
    /// over.
    #[inline]
    pub fn forwarded(&mut self, done: usize, waits: bool, patience: u64, clock: impl Fn() -> u64) {
        match self.since {
            _ if !waits => *self = Self::default(),
            Some(since) if done == 0 => {
                self.over = clock().saturating_sub(since) >= patience.saturating_mul(TURNS);
            }
            _ => {
                *self = Self {
                    since: Some(clock()),
                    over: false,
                };
            }
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

    fn verdict(
        medium: &Medium,
        destination: Address,
        promiscuous: bool,
    ) -> Result<Recipient, RxDrop> {
        let filter = Filter::new(promiscuous, false, vec![], vec![]);
        let accepted = classify(medium, &frame(medium, destination), OWN, &filter)?;
        assert_eq!(accepted.protocol, 0x0800);
        Ok(accepted.recipient)
    }

    #[test]
    fn own_and_broadcast_pass() {
        for medium in [SPANS, ETHERNET] {
            for promiscuous in [false, true] {
                let verdict = |destination| verdict(medium, destination, promiscuous);
                assert_eq!(verdict(OWN), Ok(Recipient::Host));
                assert_eq!(verdict(medium.broadcast), Ok(Recipient::Broadcast));
            }
        }
    }

    #[test]
    fn others_pass_where_the_filter_lets_them() {
        assert_eq!(verdict(SPANS, OTHER, false), Err(RxDrop::OtherHost));
        assert_eq!(verdict(SPANS, OTHER, true), Ok(Recipient::OtherHost));
        assert_eq!(verdict(ETHERNET, GROUP, false), Err(RxDrop::OtherHost));
        assert_eq!(verdict(ETHERNET, GROUP, true), Ok(Recipient::Multicast));
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
        let verdict = |bytes: &[u8]| classify(SPANS, bytes, OWN, &filter);
        assert_eq!(verdict(&bytes), Err(RxDrop::Malformed));
        bytes[20] = 0xaa;
        bytes[24] = 0x80;
        bytes[25] = 0xc2;
        assert_eq!(verdict(&bytes), Err(RxDrop::Bridged));
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn a_receiver_that_does_nothing_is_waited_for_once() {
        let mut full = RingFull::default();
        assert_eq!(full.on_full(5 * MS, MS, 7), OnFull::Backpressure);
        assert_eq!(full.on_full(6 * MS - 1, MS, 7), OnFull::Backpressure);
        assert_eq!(full.on_full(6 * MS, MS, 7), OnFull::Drop);
        // Not for each frame, and not again after a pause.
        assert_eq!(full.on_full(6 * MS + 1, MS, 7), OnFull::Drop);
        assert_eq!(full.on_full(9_000 * MS, MS, 7), OnFull::Drop);
        // A sender with more patience waits for what is left.
        assert_eq!(
            full.on_full(9_000 * MS, 8_996 * MS, 7),
            OnFull::Backpressure
        );
        assert_eq!(full.on_full(9_000 * MS, 8_995 * MS, 7), OnFull::Drop);
        // It got on.
        assert_eq!(full.on_full(9_001 * MS, MS, 8), OnFull::Backpressure);
        assert_eq!(full.on_full(9_002 * MS, MS, 8), OnFull::Drop);
    }

    #[test]
    fn a_receiver_that_was_idle_owes_nothing() {
        let (mut full, mut done) = (RingFull::default(), usize::MAX - 100);
        for burst in 0..1000 {
            assert_eq!(
                full.on_full(burst * 20 * MS, MS, done),
                OnFull::Backpressure
            );
            done = done.wrapping_add(30);
        }
    }

    #[test]
    fn no_sender_makes_others_wait_or_lose() {
        let mut full = RingFull::default();
        assert_eq!(full.on_full(0, MS, 0), OnFull::Backpressure);
        for now in 1..MS {
            assert_eq!(full.on_full(now, now % 2, 0), OnFull::Drop);
        }
        assert_eq!(full.on_full(MS - 1, MS, 0), OnFull::Backpressure);
        assert_eq!(full.on_full(MS, MS, 0), OnFull::Drop);
    }

    #[test]
    fn a_sender_without_patience_never_waits() {
        assert_eq!(RingFull::default().on_full(0, 0, 0), OnFull::Drop);
    }

    #[test]
    fn slow_is_less_than_8000_a_second() {
        assert!(!is_slow(16, 2 * MS));
        assert!(is_slow(16, 2 * MS + 1));
        assert!(!is_slow(0, 0));
    }

    #[test]
    fn a_sender_gives_up_if_others_take_all_the_room() {
        let mut waiting = TxWait::default();
        let never = || -> u64 { panic!("the clock is asked without need") };
        assert_eq!(waiting.patience(MS), MS);
        waiting.forwarded(3, false, MS, never);
        waiting.forwarded(0, true, MS, || 5 * MS);
        waiting.forwarded(0, true, MS, || 13 * MS - 1);
        assert_eq!(waiting.patience(MS), MS);
        waiting.forwarded(0, true, MS, || 13 * MS);
        assert_eq!(waiting.patience(MS), 0);
        // One of them got somewhere.
        waiting.forwarded(1, true, MS, || 13 * MS);
        assert_eq!(waiting.patience(MS), MS);
        waiting.forwarded(0, true, MS, || 21 * MS);
        assert_eq!(waiting.patience(MS), 0);
        waiting.forwarded(1, false, MS, never);
        assert_eq!(waiting.patience(MS), MS);
    }

    /// The time in which the sender's own poll did not come is not the receivers'.
    #[test]
    fn a_late_poll_of_the_sender_offers_once_more() {
        let mut waiting = TxWait::default();
        waiting.forwarded(16, true, MS, || 5 * MS);
        assert_eq!(waiting.patience(MS), MS);
        waiting.forwarded(16, true, MS, || 25 * MS);
        assert_eq!(waiting.patience(MS), MS);
        waiting.forwarded(0, true, MS, || 45 * MS);
        assert_eq!(waiting.patience(MS), 0);
    }

    proptest! {
        /// Whatever a receiver does, frames wait no longer than that in a row.
        #[test]
        fn waiting_is_bounded(
            patience in 1u64..=1000 * MS,
            steps in proptest::collection::vec((0usize..4, 0u64..500_000), 1..200),
        ) {
            let (mut full, mut waiting) = (RingFull::default(), TxWait::default());
            let (mut now, mut done, mut waited) = (0u64, 0usize, 0u64);
            for (frames, time) in steps {
                now += time;
                done += frames;
                let waits = full.on_full(now, waiting.patience(patience), done) == OnFull::Backpressure;
                waiting.forwarded(usize::from(!waits), waits, patience, || now);
                waited = if waits { waited + time } else { 0 };
                // The first of these passed before there was no room, the last one is that in which
                // it was offered once more.
                prop_assert!(waited <= patience * TURNS + 1_000_000);
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
