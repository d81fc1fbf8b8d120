// SPDX-License-Identifier: GPL-2.0

//! Any bytes as a frame: a header, and what may be ARP behind it.

#![no_main]

#[path = "../tests/common/parsers.rs"]
mod parsers;

use libfuzzer_sys::fuzz_target;
use spans_logic::{address::Address, medium::MEDIA};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, frame)) = bytes.split_first() else {
        return;
    };
    let medium = &MEDIA[usize::from(*kind) % parsers::KINDS];
    parsers::check_header(medium, frame);
    let Some((header, packet)) = frame.split_at_checked(medium.header_len()) else {
        return;
    };
    // The frame says who sent it, and the kind, whether it was we.
    let own = match kind >> 7 {
        0 => Address::new([2, 0, 0, 0, 0, 0, 0, 1]),
        _ => medium.source(header),
    };
    parsers::check_arp(medium, packet, medium.source(header), own);
});
