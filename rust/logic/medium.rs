// SPDX-License-Identifier: GPL-2.0

//! Media: what a segment carries.
//!
//! One row a medium. The length of the link address decides which medium an
//! interface speaks (Souvatzis, link-level independent ARP for NetBSD).

use crate::{address::Address, cls};
use core::ops::RangeInclusive;

/// A medium.
#[derive(Debug)]
pub struct Medium {
    /// The address of every station; others are as long.
    pub broadcast: Address,
    /// The hardware type of ARP and of `struct sockaddr_ll`: ARPHRD.
    pub hardware_type: u16,
    /// Length of the link header in bytes.
    pub header_len: u8,
    /// The MTU of a new interface, without the link header.
    pub mtu: u32,
    /// What the MTU may be set to. The lower end is what IPv4 needs
    /// (RFC 791), the upper end the longest IPv4 packet.
    pub mtu_range: RangeInclusive<u32>,
}

/// SPANS over ATM adaptation layer 3/4 (FreeBSD `spans_cls.h`): eight-byte
/// addresses, hardware type 0x4040, CLS header, 9180 bytes like every classical
/// IP over ATM.
pub const SPANS: Medium = Medium {
    broadcast: Address::BROADCAST,
    hardware_type: 0x4040,
    header_len: cls::LEN as u8,
    mtu: 9180,
    mtu_range: 68..=65535,
};
