// SPDX-License-Identifier: GPL-2.0

//! The decisions of spans, without a kernel.
//!
//! This crate uses no clock, lock, allocator or `struct sk_buff`. Its functions get their input as
//! arguments and return the actions, which `rust/spans` performs. The same sources are compiled
//! into `spans.ko` and, as a cargo crate, into the host tests.
//!
//! - [`address`]: link addresses.
//! - [`arp`]: SPANS ARP: the link address of an IPv4 address.
//! - [`class`]: the class of a packet, which selects a FIFO of a subqueue.
//! - [`config`]: the parameters, and the settings derived from them.
//! - [`cpus`]: the CPUs that send on a subqueue, and the CPU that polls it.
//! - [`filter`]: the address filter of a device.
//! - [`header`]: link headers on the wire.
//! - [`line`]: the frames on the line of a device, which its queues share.
//! - [`medium`]: the media of segments: addresses, framing, MTU range.
//! - [`packet`]: the traits of packets and lists of packets.
//! - [`receive`]: the checks of received frames, and backpressure.
//! - [`ring`]: the slots of a TX ring.
//! - [`segment`]: address lookup, carrier, and the budget of a poll.
//! - [`stage`]: when staged packets are started.
//! - [`subqueue`]: two FIFOs and their limits.
//! - [`transmit`]: subqueue, stages and TX ring of a queue together.
//! - [`watchdog`]: the rings that the watchdog checks, and its findings.

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
