// SPDX-License-Identifier: GPL-2.0

//! `Display` for addresses.

use core::net::Ipv4Addr;
use kernel::fmt;
use spans_logic::{address::Address, medium::Medium};

pub(super) struct Ip(pub(super) Ipv4Addr);

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0.octets();
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

/// A link address in the format of `ip link`.
pub(super) struct Link(pub(super) &'static Medium, pub(super) Address);

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.bytes(&self.1).iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}
