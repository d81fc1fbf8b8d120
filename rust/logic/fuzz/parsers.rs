// SPDX-License-Identifier: GPL-2.0

//! Fuzz target: any bytes as a frame of any medium, with a header and possibly ARP.

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
    // The highest bit of `kind` selects whether the frame's source is the own address.
    let own = match kind >> 7 {
        0 => Address::new([2, 0, 0, 0, 0, 0, 0, 1]),
        _ => medium.source(header),
    };
    parsers::check_arp(medium, packet, medium.source(header), own);
});
