// SPDX-License-Identifier: GPL-2.0

//! What spans decides, without a kernel.
//!
//! Nothing here knows a clock, a lock, an allocator or `struct sk_buff`. Each
//! module takes what it needs as arguments and answers with what is to be done;
//! `rust/spans` asks and does it. The same sources are compiled into `spans.ko`
//! and, as a cargo crate, into the tests of the host.
//!
//! - [`address`]: link addresses.
//! - [`arp`]: SPANS ARP: which link address an IPv4 address has.
//! - [`class`]: which of a subqueue's two FIFOs a packet goes to.
//! - [`config`]: what the user can set, and what follows from it.
//! - [`cpus`]: which CPU sends on which subqueue, and which one polls it.
//! - [`filter`]: what an interface hears beside its own address and broadcast.
//! - [`header`]: link headers, on the wire.
//! - [`line`]: the way of frames over the line of a device, which its queues share.
//! - [`medium`]: what a segment carries: addresses, framing, MTU range.
//! - [`packet`]: what a queue has to know of packets.
//! - [`receive`]: what an interface does with a frame that reached it.
//! - [`ring`]: slots for frames that are the other side's business.
//! - [`segment`]: who a frame on a segment reaches.
//! - [`stage`]: when packets that wait for company are started.
//! - [`subqueue`]: two FIFOs and their limits.
//! - [`transmit`]: subqueue, stages and ring together, and who starts what.
//! - [`watchdog`]: which rings the watchdog looks at, and what it finds.

#![cfg_attr(not(any(kernel, test)), no_std)]
#![forbid(unsafe_code)]

pub mod address;
pub mod arp;
pub mod class;
pub mod config;
pub mod cpus;
pub mod filter;
pub mod header;
pub mod line;
pub mod medium;
pub mod packet;
pub mod receive;
pub mod ring;
pub mod segment;
pub mod stage;
pub mod subqueue;
pub mod transmit;
pub mod watchdog;
