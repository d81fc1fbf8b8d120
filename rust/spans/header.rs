// SPDX-License-Identifier: GPL-2.0

//! The link header, for the stack.

use super::Spans;
use crate::net::{header_ops, Device};
use kernel::prelude::*;
use spans_logic::{address::Address, cls};

#[vtable]
impl header_ops::Operations for Spans {
    fn create(
        _dev: &Device<Self>,
        header: &mut [u8],
        destination: &[u8],
        source: &[u8],
        protocol: u16,
    ) {
        let (Some(destination), Some(source)) = (
            Address::from_slice(destination),
            Address::from_slice(source),
        ) else {
            return;
        };
        let written = cls::Header {
            destination,
            source,
            protocol,
        }
        .to_bytes();
        for (to, from) in header.iter_mut().zip(written) {
            *to = from;
        }
    }

    fn source(header: &[u8]) -> Option<&[u8]> {
        header.get(cls::SOURCE)
    }

    fn protocol(header: &[u8]) -> Option<u16> {
        header.first_chunk().map(cls::protocol)
    }
}
