// SPDX-License-Identifier: GPL-2.0

//! The driver: what happens when.
//!
//! A packet goes one way through these files:
//!
//! ```text
//!  device::start_xmit -> queue::Queue (subqueue, stage) -> [rollup] -> doorbell
//!     -> queue::poll -> segment::Segment -> queue::Queue (rx) of the hearers
//!     -> queue::poll -> receive -> the stack
//! ```
//!
//! What is decided on the way is decided by the crate `spans_logic`; what the
//! kernel is asked to do is asked through [`crate::net`]. There is no `unsafe`
//! code here.

mod arp;
mod carrier;
mod config;
mod counters;
mod cpus;
mod debugfs;
mod device;
mod filter;
mod header;
mod link;
mod packets;
mod port;
mod queue;
mod receive;
mod rollup;
mod segment;
mod show;
mod stall;
mod watchdog;

/// The driver, for the tables of functions that the kernel calls.
pub(crate) struct Spans;
