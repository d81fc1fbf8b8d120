// SPDX-License-Identifier: GPL-2.0

//! What spans decides, without a kernel.
//!
//! Nothing here knows a clock, a lock, an allocator or `struct sk_buff`. Each
//! module takes what it needs as arguments and answers with what is to be done;
//! `rust/spans` asks and does it. The same sources are compiled into `spans.ko`
//! and, as a cargo crate, into the tests of the host.
//!
//! - [`address`]: link addresses.
//! - [`cls`]: the 28-byte header of the SPANS medium, on the wire.
//! - [`medium`]: what a segment carries: address length, framing, MTU range.
//! - [`queue`]: what a bounded queue does with one packet more.
//! - [`receive`]: what an interface does with a frame that reached it.
//! - [`segment`]: who a frame on a segment reaches.

#![cfg_attr(not(any(kernel, test)), no_std)]
#![forbid(unsafe_code)]

pub mod address;
pub mod cls;
pub mod medium;
pub mod queue;
pub mod receive;
pub mod segment;
