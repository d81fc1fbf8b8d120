// SPDX-License-Identifier: GPL-2.0

//! The link header, for the stack.

use super::Spans;
use crate::net::{header_ops, Device};
use kernel::prelude::*;
use spans_logic::{address::Address, cls};

#[vtable]
impl header_ops::Operations for Spans {
    type Header = [u8; cls::LEN];

    fn create(
        _dev: &Device<Self>,
        destination: &[u8],
        source: &[u8],
        protocol: u16,
    ) -> Option<[u8; cls::LEN]> {
        let header = cls::Header {
            destination: Address::from_slice(destination)?,
            source: Address::from_slice(source)?,
            protocol,
        };
        Some(header.to_bytes())
    }

    fn source(header: &[u8]) -> Option<&[u8]> {
        header.get(cls::SOURCE)
    }

    fn protocol(header: &[u8]) -> Option<u16> {
        header.first_chunk().map(cls::protocol)
    }
}
