// SPDX-License-Identifier: GPL-2.0

//! spans: virtual network device with rings, subqueues and SPANS addresses.

#![deny(unsafe_code)]

use kernel::prelude::*;

#[allow(unsafe_code)]
pub mod net;
mod spans;

module! {
    type: Module,
    name: "spans",
    authors: ["The spans developers"],
    description: "Virtual network device with rings, subqueues and SPANS addresses",
    license: "GPL v2",
    alias: ["rtnl-link-spans"],
}

#[pin_data]
struct Module {
    #[pin]
    link: net::rtnl::Registration<spans::Spans>,
}

impl kernel::InPlaceModule for Module {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            link <- net::rtnl::Registration::new(),
        })
    }
}
