// SPDX-License-Identifier: GPL-2.0

//! Any bytes as a frame: a header, and what may be ARP behind it.

#![no_main]

#[path = "../tests/common/parsers.rs"]
mod parsers;

use libfuzzer_sys::fuzz_target;
use spans_logic::address::Address;

fuzz_target!(|bytes: &[u8]| {
    let Some((header, rest)) = bytes.split_first_chunk() else {
        return;
    };
    parsers::check_cls(header);
    let Some((packet, own)) = rest.split_first_chunk() else {
        return;
    };
    // The frame says who sent it.
    let source = Address::from_slice(&header[8..16]).unwrap();
    let own = Address::from_slice(own).unwrap_or(Address::new([2, 0, 0, 0, 0, 0, 0, 1]));
    parsers::check_arp(packet, source, own);
});
