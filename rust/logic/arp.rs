// SPDX-License-Identifier: GPL-2.0

//! SPANS ARP: resolves IPv4 addresses to link addresses, with retries and aging.
//!
//! - [`config`]: the parameters that the user can set.
//! - [`event`]: the input and output types of a table.
//! - [`packet`]: the wire format, and which packets are valid.
//! - [`removal`]: how often the kernel's table may be walked to remove neighbours.
//! - [`slots`]: storage of entries, with a hash table and lists by age.
//! - [`table`]: the state machine.

pub mod config;
pub mod event;
pub mod packet;
pub mod removal;
pub mod slots;
pub mod table;
