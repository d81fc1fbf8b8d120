// SPDX-License-Identifier: GPL-2.0

//! The driver: what happens when.
//!
//! A packet goes one way through these files:
//!
//! ```text
//!  device::start_xmit -> queue::Queue (tx) -> doorbell
//!     -> queue::poll -> segment::Segment -> queue::Queue (rx) of the hearers
//!     -> queue::poll -> receive -> the stack
//! ```
//!
//! What is decided on the way is decided by the crate `spans_logic`; what the
//! kernel is asked to do is asked through [`crate::net`]. There is no `unsafe`
//! code here.

mod counters;
mod device;
mod header;
mod link;
mod port;
mod queue;
mod receive;
mod segment;

/// The driver, for the tables of functions that the kernel calls.
pub(crate) struct Spans;
