// SPDX-License-Identifier: GPL-2.0

//! The header of the SPANS connectionless service, 28 bytes.
//!
//! | offset | bytes | field | value |
//! |---|---|---|---|
//! | 0 | 8 | destination | station or broadcast |
//! | 8 | 8 | source | |
//! | 16 | 4 | protocol, extension length, bridging | 0 |
//! | 20 | 3 | LLC: DSAP, SSAP, control | aa aa 03 |
//! | 23 | 3 | OUI | 00 00 00 |
//! | 26 | 2 | PID | EtherType, big endian |
//!
//! The first 20 bytes are called an IEEE 802.6 MAC header by the ancestor
//! (FreeBSD `spans_cls.h`, `struct spanscls_hdr`), the rest is LLC/SNAP.

use crate::address::Address;

/// Length of the header in bytes.
pub const LEN: usize = 28;

/// The bytes that hold the source.
pub const SOURCE: core::ops::Range<usize> = 8..16;

/// Where the fields begin.
mod at {
    pub(super) const DESTINATION: usize = 0;
    pub(super) const SOURCE: usize = super::SOURCE.start;
    pub(super) const CONSTANT: usize = 16;
    pub(super) const PID: usize = 26;
}

/// Bytes 16 to 23 and 24 to 25, as words: each frame's are compared.
type Constant = ([u8; 8], [u8; 2]);

/// Those of a frame that carries an EtherType.
const LLC_SNAP: Constant = ([0, 0, 0, 0, 0xaa, 0xaa, 0x03, 0], [0, 0]);

/// Those of a bridged IEEE 802.1 frame.
const BRIDGED: Constant = ([0, 0, 0, 0, 0xaa, 0xaa, 0x03, 0x00], [0x80, 0xc2]);

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who shall get the frame.
    pub destination: Address,
    /// Who says to have sent it.
    pub source: Address,
    /// What the frame carries: an EtherType, in host order.
    pub protocol: u16,
}

/// Why a frame is not one that this medium can deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A bridged frame, which the ancestor drops without a word.
    Bridged,
    /// The constant bytes are not those of the medium.
    Malformed,
}

/// Where a frame goes: all that a segment reads of it.
#[inline]
pub fn destination(bytes: &[u8; LEN]) -> Address {
    Address::new(read(bytes, at::DESTINATION))
}

/// What is the same in all frames.
#[inline]
fn constant(bytes: &[u8; LEN]) -> Constant {
    (read(bytes, at::CONSTANT), read(bytes, at::CONSTANT + 8))
}

/// Who says to have sent a frame.
#[inline]
pub fn source(bytes: &[u8; LEN]) -> Address {
    Address::new(read(bytes, at::SOURCE))
}

/// What a frame says to carry, whether or not the rest of the header is sound.
#[inline]
pub fn protocol(bytes: &[u8; LEN]) -> u16 {
    u16::from_be_bytes(read(bytes, at::PID))
}

impl Header {
    /// Reads a header as it is on the wire.
    #[inline]
    pub fn parse(bytes: &[u8; LEN]) -> Result<Self, Error> {
        match constant(bytes) {
            LLC_SNAP => Ok(Self {
                destination: destination(bytes),
                source: source(bytes),
                protocol: protocol(bytes),
            }),
            BRIDGED => Err(Error::Bridged),
            _ => Err(Error::Malformed),
        }
    }

    /// The header as it goes on the wire.
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        write(&mut bytes, at::DESTINATION, self.destination.as_bytes());
        write(&mut bytes, at::SOURCE, self.source.as_bytes());
        write(&mut bytes, at::CONSTANT, &LLC_SNAP.0);
        write(&mut bytes, at::CONSTANT + 8, &LLC_SNAP.1);
        write(&mut bytes, at::PID, &self.protocol.to_be_bytes());
        bytes
    }
}

// Zipped iterators rather than slices of slices: they cannot panic, and with
// constant positions they compile to plain loads and stores.

#[inline]
fn read<const N: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    field
}

fn write(bytes: &mut [u8; LEN], at: usize, field: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(field) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An ARP frame of 00:..:02 to everybody, byte for byte.
    const ARP_BROADCAST: [u8; LEN] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // destination
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, // source
        0x00, 0x00, 0x00, 0x00, // protocol, extension length, bridging
        0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00, // LLC, OUI
        0x08, 0x06, // ARP
    ];

    const ARP_HEADER: Header = Header {
        destination: Address::BROADCAST,
        source: Address::new([0, 0, 0, 0, 0, 0, 0, 2]),
        protocol: 0x0806,
    };

    #[test]
    fn golden_bytes_both_ways() {
        assert_eq!(Header::parse(&ARP_BROADCAST), Ok(ARP_HEADER));
        assert_eq!(ARP_HEADER.to_bytes(), ARP_BROADCAST);
    }

    #[test]
    fn bridged_frames_are_told_from_broken_ones() {
        let mut bytes = ARP_BROADCAST;
        bytes[24] = 0x80;
        bytes[25] = 0xc2;
        assert_eq!(Header::parse(&bytes), Err(Error::Bridged));
        bytes[25] = 0xc3;
        assert_eq!(Header::parse(&bytes), Err(Error::Malformed));
    }

    #[test]
    fn every_constant_byte_counts() {
        for position in at::CONSTANT..at::PID {
            for bit in 0..8 {
                let mut bytes = ARP_BROADCAST;
                bytes[position] ^= 1 << bit;
                assert_eq!(
                    Header::parse(&bytes),
                    Err(Error::Malformed),
                    "byte {position}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(destination: [u8; 8], source: [u8; 8], protocol: u16) {
            let header = Header {
                destination: Address::new(destination),
                source: Address::new(source),
                protocol,
            };
            prop_assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        }

        #[test]
        fn what_is_accepted_is_written_again(mut bytes: [u8; LEN], make_sound: bool) {
            if make_sound {
                bytes[at::CONSTANT..at::PID].copy_from_slice(&ARP_BROADCAST[at::CONSTANT..at::PID]);
            }
            match Header::parse(&bytes) {
                Ok(header) => prop_assert_eq!(header.to_bytes(), bytes),
                Err(_) => prop_assert_ne!(&bytes[at::CONSTANT..at::PID], &ARP_BROADCAST[at::CONSTANT..at::PID]),
            }
        }
    }
}
