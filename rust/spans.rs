// SPDX-License-Identifier: GPL-2.0

//! The driver: connects the decisions of `spans_logic` to the abstractions of [`crate::net`]. No
//! `unsafe` code.
//!
//! A packet passes these files in one direction:
//!
//! ```text
//!  netdev::start_xmit -> queue::Queue (subqueue, stage) -> [rollup] -> doorbell
//!     -> poll of the queue -> segment::Segment -> RX rings of the receivers
//!     -> poll of their queues -> receive -> the stack
//! ```

mod arp;
mod carrier;
mod counters;
mod cpus;
mod debugfs;
mod ethtool;
mod filter;
mod fmt;
mod header;
mod link;
mod netdev;
mod poll;
mod port;
mod queue;
mod receive;
mod rollup;
mod segment;
mod skb;
mod stall;
mod sysfs;
mod watchdog;

/// The driver, as the parameter of the abstractions in [`crate::net`].
pub(crate) struct Spans;
