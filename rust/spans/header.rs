// SPDX-License-Identifier: GPL-2.0

//! The `header_ops` of a device.

use super::Spans;
use crate::net::{header_ops, Device};
use kernel::prelude::*;
use spans_logic::header::{Bytes, Header};

#[vtable]
impl header_ops::Operations for Spans {
    type Header = Bytes;

    fn create(
        dev: &Device<Self>,
        destination: &[u8],
        source: &[u8],
        protocol: u16,
        len: usize,
    ) -> Option<Bytes> {
        let medium = dev.data().medium();
        let header = Header {
            destination: medium.address(destination)?,
            source: medium.address(source)?,
            protocol,
        };
        Some(medium.write(&header, len))
    }

    fn source<'a>(dev: &Device<Self>, header: &'a [u8]) -> Option<&'a [u8]> {
        dev.data().medium().source_bytes(header)
    }

    fn protocol(dev: &Device<Self>, header: &[u8]) -> u16 {
        dev.data().medium().protocol(header)
    }
}
