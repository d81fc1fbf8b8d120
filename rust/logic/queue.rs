// SPDX-License-Identifier: GPL-2.0

//! What a bounded queue does with one packet more.

/// Who waits in front of a transmit queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A qdisc: it holds packets while the queue is stopped.
    Qdisc,
    /// Nobody: a packet that the queue does not take is lost.
    Nobody,
}

/// The answer of [`admit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Append the packet.
    Queue,
    /// Append the packet and stop the queue: it took the last slot.
    QueueAndStop,
    /// The queue is full: drop the packet and count it.
    Drop,
}

/// Decides about one packet for a transmit queue that holds `len` of at most
/// `limit` packets.
///
/// The queue is stopped with the packet that fills it, so that a qdisc never
/// sees one refused. Stopping a queue with nobody upstream would only make the
/// core drop in our place, and complain.
pub const fn admit(len: usize, limit: usize, upstream: Upstream) -> Admission {
    if len >= limit {
        return Admission::Drop;
    }
    match upstream {
        Upstream::Qdisc if len.saturating_add(1) >= limit => Admission::QueueAndStop,
        _ => Admission::Queue,
    }
}

/// How many of `offered` packets a receive ring takes that holds `len` of at
/// most `limit`. The others are lost, the youngest first.
pub const fn room(len: usize, limit: usize, offered: usize) -> usize {
    let free = limit.saturating_sub(len);
    if offered < free {
        offered
    } else {
        free
    }
}

/// How many frames one poll takes from a transmit ring whose segment has so many
/// stations. A frame may go to each of them: however many they are, a poll makes
/// at most [`MAX_COPIES`] (unless that is less than one frame) and ends soon.
pub const fn tx_budget(stations: usize) -> usize {
    if stations <= MAX_COPIES / MAX_TX_BUDGET {
        return MAX_TX_BUDGET;
    }
    let budget = MAX_COPIES / stations;
    if budget == 0 {
        1
    } else {
        budget
    }
}

/// The weight of a NAPI (`NAPI_POLL_WEIGHT`).
const MAX_TX_BUDGET: usize = 64;

/// Copies of frames that one poll may make.
pub const MAX_COPIES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_packet_that_fills_the_queue_stops_it() {
        assert_eq!(admit(2, 4, Upstream::Qdisc), Admission::Queue);
        assert_eq!(admit(3, 4, Upstream::Qdisc), Admission::QueueAndStop);
        assert_eq!(admit(4, 4, Upstream::Qdisc), Admission::Drop);
    }

    #[test]
    fn without_a_qdisc_nothing_is_stopped() {
        assert_eq!(admit(3, 4, Upstream::Nobody), Admission::Queue);
        assert_eq!(admit(4, 4, Upstream::Nobody), Admission::Drop);
    }

    proptest! {
        #[test]
        fn a_poll_ends_soon(stations in 0usize..100_000) {
            let budget = tx_budget(stations);
            prop_assert!((1..=64).contains(&budget));
            prop_assert!(budget == 1 || budget * stations <= MAX_COPIES);
            prop_assert!(budget == 64 || (budget + 1) * stations > MAX_COPIES);
        }

        /// A queue that is woken when it is drained loses nothing under a
        /// qdisc, never exceeds its limit, and is stopped exactly when full.
        #[test]
        fn a_qdisc_never_sees_a_drop(limit in 1usize..20, steps: Vec<bool>) {
            let (mut len, mut stopped) = (0, false);
            for enqueue in steps {
                if enqueue && !stopped {
                    match admit(len, limit, Upstream::Qdisc) {
                        Admission::Queue => len += 1,
                        Admission::QueueAndStop => {
                            len += 1;
                            stopped = true;
                        }
                        Admission::Drop => prop_assert!(false, "dropped under a qdisc"),
                    }
                } else if !enqueue {
                    len = 0;
                    stopped = false;
                }
                prop_assert!(len <= limit);
                prop_assert_eq!(stopped, len == limit);
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
