// SPDX-License-Identifier: GPL-2.0

//! The reception of frames: checks, and backpressure by full RX rings.
//!
//! The order of the checks is that of the ancestor (FreeBSD `spans_cls.c`,
//! `spanscls_cpcs_data`): length, fixed bytes, destination. The payload is left to the protocols.

use crate::{
    address::Address,
    filter::Filter,
    header,
    medium::{AddressClass, Medium},
};
use core::ops::Deref;

/// The destination of a frame as seen by the device, for `skb->pkt_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// This device.
    Host,
    /// All devices.
    Broadcast,
    /// A multicast group.
    Multicast,
    /// Another address: the device is promiscuous, or has more than one address.
    OtherHost,
}

impl Recipient {
    /// Returns whether the frame is for more than one device.
    #[inline]
    pub fn is_group(self) -> bool {
        matches!(self, Self::Broadcast | Self::Multicast)
    }
}

/// A frame to be passed to the stack without its link header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The destination.
    pub recipient: Recipient,
    /// The EtherType of the payload, in host order.
    pub protocol: u16,
}

/// Why the receiver drops a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxDrop {
    /// A bridged frame.
    Bridged,
    /// Not a frame of this medium.
    Malformed,
    /// For another address: the device's address or filter was changed after the frame was
    /// forwarded.
    OtherHost,
}

/// Classifies a frame that begins with `header`, at the device with the address `own` and this
/// filter.
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

/// The tag of IEEE 802.1Q.
const C_TAG: u16 = 0x8100;

/// The tag of IEEE 802.1ad.
const S_TAG: u16 = 0x88a8;

/// Returns the maximum length of a frame that carries `protocol`, with a link header of `header`
/// bytes and this MTU. A tagged frame may be longer by two tags, as a VLAN device may be stacked on
/// another one, both with the full MTU.
#[inline]
pub fn longest(header: usize, mtu: usize, protocol: u16) -> usize {
    let tags = match protocol {
        C_TAG | S_TAG => 8,
        _ => 0,
    };
    mtu.saturating_add(header).saturating_add(tags)
}

/// A full RX ring, as its senders see it.
///
/// A frame waits for a receiver that makes progress. A receiver may make none for any time: a
/// thread that never runs, a poll that its user has masked for an hour. Until its poll completes
/// another frame, each sender waits for it once, for its TX wait. The times at which a sender
/// checks the ring have no effect on the wait of other senders.
#[derive(Debug, Default)]
pub struct RingFull {
    /// The number of frames that the poll had completed, and when the ring was full first since.
    seen: Option<(usize, u64)>,
}

/// The longest time per frame of a receiver that makes progress, in nanoseconds: 8000 frames a
/// second. No frame waits for a slower receiver: its stack may run in the poll of the sender.
pub const PACE: u64 = 125_000;

/// Returns whether a poll that gave `frames` frames to the stack in `time` nanoseconds was too slow
/// for backpressure.
#[inline]
pub fn is_slow(frames: usize, time: u64) -> bool {
    time > (frames as u64).saturating_mul(PACE)
}

/// The decision about a frame for a full RX ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// It is forwarded again later. It and the frames behind it wait in their TX ring.
    Backpressure,
    /// It is dropped at the receiver.
    Drop,
}

impl RingFull {
    /// Decides about a frame without room at `now`, of a sender with this `tx_wait`, in nanoseconds
    /// of one clock. `done` is the number of frames that the poll has ever completed.
    pub fn on_full(&mut self, now: u64, tx_wait: u64, done: usize) -> OnFull {
        let since = match self.seen {
            Some((seen, since)) if seen == done => since,
            _ => now,
        };
        self.seen = Some((done, since));
        if now.saturating_sub(since) < tx_wait {
            OnFull::Backpressure
        } else {
            OnFull::Drop
        }
    }
}

/// The multiple of its TX wait that a sender waits while a receiver only accepts frames of other
/// senders: a flood from another CPU takes each slot that becomes free.
pub const TURNS: u64 = 8;

/// The time that the frames of a TX ring have waited for receivers.
#[derive(Debug, Default)]
pub struct TxWait {
    /// When the wait without a completed frame began.
    since: Option<u64>,
    /// The wait has reached its limit.
    over: bool,
}

impl TxWait {
    /// Returns the remaining TX wait in nanoseconds: `tx_wait`, or 0 if the waiting frames are to
    /// be dropped.
    #[inline]
    pub fn remaining(&self, tx_wait: u64) -> u64 {
        if self.over {
            0
        } else {
            tx_wait
        }
    }

    /// Records that the sender's poll completed `done` frames, and whether others wait. The limit
    /// is `tx_wait` times [`TURNS`]; a late poll of the sender forwards the frames once more before
    /// the limit applies.
    #[inline]
    pub fn forwarded(&mut self, done: usize, waits: bool, tx_wait: u64, clock: impl Fn() -> u64) {
        match self.since {
            _ if !waits => *self = Self::default(),
            Some(since) if done == 0 => {
                self.over = clock().saturating_sub(since) >= tx_wait.saturating_mul(TURNS);
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

/// Returns how many of `offered` packets fit into an RX ring that holds `len` of at most `limit`
/// packets.
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
        // Once for all frames, and not again after a pause.
        assert_eq!(full.on_full(6 * MS + 1, MS, 7), OnFull::Drop);
        assert_eq!(full.on_full(9_000 * MS, MS, 7), OnFull::Drop);
        // A sender with a longer TX wait waits for the rest of it.
        assert_eq!(
            full.on_full(9_000 * MS, 8_996 * MS, 7),
            OnFull::Backpressure
        );
        assert_eq!(full.on_full(9_000 * MS, 8_995 * MS, 7), OnFull::Drop);
        // The receiver has made progress.
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
    fn a_sender_without_tx_wait_never_waits() {
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
        assert_eq!(waiting.remaining(MS), MS);
        waiting.forwarded(3, false, MS, never);
        waiting.forwarded(0, true, MS, || 5 * MS);
        waiting.forwarded(0, true, MS, || 13 * MS - 1);
        assert_eq!(waiting.remaining(MS), MS);
        waiting.forwarded(0, true, MS, || 13 * MS);
        assert_eq!(waiting.remaining(MS), 0);
        // One frame was completed.
        waiting.forwarded(1, true, MS, || 13 * MS);
        assert_eq!(waiting.remaining(MS), MS);
        waiting.forwarded(0, true, MS, || 21 * MS);
        assert_eq!(waiting.remaining(MS), 0);
        waiting.forwarded(1, false, MS, never);
        assert_eq!(waiting.remaining(MS), MS);
    }

    /// A delay of the sender's own poll does not count as waiting for receivers.
    #[test]
    fn a_late_poll_of_the_sender_offers_once_more() {
        let mut waiting = TxWait::default();
        waiting.forwarded(16, true, MS, || 5 * MS);
        assert_eq!(waiting.remaining(MS), MS);
        waiting.forwarded(16, true, MS, || 25 * MS);
        assert_eq!(waiting.remaining(MS), MS);
        waiting.forwarded(0, true, MS, || 45 * MS);
        assert_eq!(waiting.remaining(MS), 0);
    }

    proptest! {
        /// Continuous backpressure is bounded, whatever the receiver does.
        #[test]
        fn waiting_is_bounded(
            tx_wait in 1u64..=1000 * MS,
            steps in proptest::collection::vec((0usize..4, 0u64..500_000), 1..200),
        ) {
            let (mut full, mut waiting) = (RingFull::default(), TxWait::default());
            let (mut now, mut done, mut waited) = (0u64, 0usize, 0u64);
            for (frames, time) in steps {
                now += time;
                done += frames;
                let waits = full.on_full(now, waiting.remaining(tx_wait), done) == OnFull::Backpressure;
                waiting.forwarded(usize::from(!waits), waits, tx_wait, || now);
                waited = if waits { waited + time } else { 0 };
                // Plus two steps: the first one began before the ring was full, in the last one the
                // frame was forwarded once more.
                prop_assert!(waited <= tx_wait * TURNS + 1_000_000);
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
