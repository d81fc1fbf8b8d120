// SPDX-License-Identifier: GPL-2.0

//! SPANS ARP: which link address an IPv4 address has, for how long that is believed,
//! and when it is asked for.
//!
//! - [`config`]: what the user can set.
//! - [`event`]: what happens to a table, and what comes of it.
//! - [`packet`]: the 32 bytes on the wire, and which of them teach something.
//! - [`removal`]: how often the kernel's table may be walked through.
//! - [`slots`]: where entries are kept: found by address, queued by age.
//! - [`table`]: the state machine.

pub mod config;
pub mod event;
pub mod packet;
pub mod removal;
pub mod slots;
pub mod table;
