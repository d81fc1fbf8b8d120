// SPDX-License-Identifier: GPL-2.0

//! Fuzz target: any bytes as events for an ARP table and its model. `SHOW` in the environment has
//! the events printed.

#![no_main]

#[path = "../tests/common/arp_oracle.rs"]
mod arp_oracle;

use arp_oracle::{Event, Pair};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((begin, events)) = bytes.split_first_chunk() else {
        return;
    };
    let show = std::env::var_os("SHOW").is_some();
    let mut pair = Pair::new(*begin);
    for event in events.chunks_exact(arp_oracle::EVENT_LEN) {
        let event = Event::new(event.try_into().unwrap());
        if show {
            eprintln!("{event:?}");
        }
        pair.happen(event);
    }
    pair.end();
});
