// SPDX-License-Identifier: GPL-2.0

//! Link headers on the wire.
//!
//! | bytes | field |
//! |---|---|
//! | n | destination |
//! | n | source |
//! | c | fixed bytes: the same in all frames of the medium |
//! | 2 | EtherType, big endian |
//!
//! The [`Medium`] defines n and c: 8 and 10 for SPANS, 6 and 0 for Ethernet.

use crate::{address::Address, medium::Medium};

/// The length of the longest header of any medium, in bytes.
pub const MAX_LEN: usize = 28;

/// The protocol of an IEEE 802.3 frame with a length field: IEEE 802.2 (`ETH_P_802_2`).
const IEEE_802_2: u16 = 0x0004;

/// The same without IEEE 802.2, as in old Novell networks (`ETH_P_802_3`).
const IEEE_802_3: u16 = 0x0001;

/// The smallest EtherType that is not a length (`ETH_P_802_3_MIN`).
const MIN_ETHERTYPE: u16 = 0x0600;

/// A parsed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The destination address.
    pub destination: Address,
    /// The source address that the frame claims.
    pub source: Address,
    /// The EtherType of the payload, in host order.
    pub protocol: u16,
}

/// A header in wire format.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// Why a header is invalid for the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The frame is a bridged frame.
    Bridged,
    /// The fixed bytes are wrong, or the header is too short.
    Malformed,
}

impl Medium {
    /// Returns the length of the link header in bytes.
    #[inline]
    pub const fn header_len(&self) -> usize {
        self.measures.len
    }

    /// Returns the destination address, the only field that a segment reads. Here and below
    /// `header` must have [`header_len`](Self::header_len) bytes; missing bytes count as zero.
    #[inline]
    pub fn destination(&self, header: &[u8]) -> Address {
        self.address_at(header, 0)
    }

    /// Returns the source address that the frame claims.
    #[inline]
    pub fn source(&self, header: &[u8]) -> Address {
        self.address_at(header, self.measures.source)
    }

    /// Returns the bytes of the source address.
    pub fn source_bytes<'a>(&self, header: &'a [u8]) -> Option<&'a [u8]> {
        let len = usize::from(self.address_len);
        header.get(len..)?.get(..len)
    }

    /// Returns the EtherType of the payload. The rest of the header need not be valid.
    #[inline]
    pub fn protocol(&self, header: &[u8]) -> u16 {
        let protocol = header
            .get(self.measures.protocol..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |bytes| u16::from_be_bytes(*bytes));
        if self.has_lengths && protocol < MIN_ETHERTYPE {
            IEEE_802_2
        } else {
            protocol
        }
    }

    /// Checks the fixed bytes.
    #[inline]
    pub fn check(&self, header: &[u8]) -> Result<(), Error> {
        if self.fixed.is_empty() {
            return Ok(());
        }
        let fixed = header.get(self.measures.fixed..self.measures.protocol);
        if fixed.is_some_and(|fixed| is(fixed, self.fixed)) {
            Ok(())
        } else if fixed.is_some_and(|fixed| is(fixed, self.bridged)) {
            Err(Error::Bridged)
        } else {
            Err(Error::Malformed)
        }
    }

    /// Parses a header in wire format.
    pub fn parse(&self, header: &[u8]) -> Result<Header, Error> {
        if header.len() < self.measures.len {
            return Err(Error::Malformed);
        }
        self.check(header)?;
        Ok(Header {
            destination: self.destination(header),
            source: self.source(header),
            protocol: self.protocol(header),
        })
    }

    /// Returns the header in wire format, for a payload of `len` bytes.
    pub fn write(&self, header: &Header, len: usize) -> Bytes {
        let protocol = match header.protocol {
            IEEE_802_2 | IEEE_802_3 if self.has_lengths => len as u16,
            protocol => protocol,
        };
        let mut bytes = [0; MAX_LEN];
        let fields = [
            self.bytes(&header.destination),
            self.bytes(&header.source),
            self.fixed,
            &protocol.to_be_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        Bytes {
            bytes,
            len: self.header_len(),
        }
    }

    /// Returns the address at offset `at`. As this is done for each frame, it is one load and a
    /// mask if eight bytes are available.
    #[inline]
    pub(crate) fn address_at(&self, header: &[u8], at: usize) -> Address {
        let Some(bytes) = header.get(at..) else {
            return Address::NONE;
        };
        match bytes.first_chunk() {
            Some(word) => {
                Address::new((u64::from_le_bytes(*word) & self.measures.mask).to_le_bytes())
            }
            None => Address::from_slice(bytes.get(..self.address_len.into()).unwrap_or(bytes)),
        }
    }
}

/// Compares bytes, by words if there are at least eight, as this is done for each frame.
#[inline]
fn is(bytes: &[u8], wanted: &[u8]) -> bool {
    let ends = |bytes: &[u8]| -> Option<(u64, u64)> {
        Some((
            u64::from_ne_bytes(*bytes.first_chunk()?),
            u64::from_ne_bytes(*bytes.last_chunk()?),
        ))
    };
    if bytes.len() != wanted.len() {
        return false;
    }
    match (ends(bytes), ends(wanted)) {
        // Fixed bytes are at most 16: the two words cover them.
        (Some(bytes), Some(wanted)) => bytes == wanted,
        _ => bytes
            .iter()
            .zip(wanted)
            .all(|(byte, wanted)| byte == wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::medium::MEDIA;
    use proptest::prelude::*;

    /// Broadcast ARP frames from the address that ends with 2, byte for byte, on each medium.
    const ARP_BROADCAST: [&[u8]; 4] = [
        &[
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // destination
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, // source
            0x00, 0x00, 0x00, 0x00, // protocol, extension length, bridging
            0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00, // LLC, OUI
            0x08, 0x06, // ARP
        ],
        &[
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x06,
        ],
        &[
            0xa2, 0xa6, 0xa8, 0x40, 0x40, 0x40, 0x00, // QST-0
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, // source
            0x03, 0xff, 0x08, 0x06, // UI, escape, ARP
        ],
        &[0x00, 0x02, 0x08, 0x06],
    ];

    fn rows() -> impl Iterator<Item = (&'static Medium, &'static [u8], Header)> {
        MEDIA.iter().zip(ARP_BROADCAST).map(|(medium, bytes)| {
            let mut source = [0; 8];
            source[usize::from(medium.address_len) - 1] = 2;
            let header = Header {
                destination: medium.broadcast,
                source: Address::new(source),
                protocol: 0x0806,
            };
            (medium, bytes, header)
        })
    }

    #[test]
    fn golden_bytes_both_ways() {
        for (medium, bytes, header) in rows() {
            assert_eq!(medium.header_len(), bytes.len(), "{:?}", medium.name);
            assert!(bytes.len() <= MAX_LEN);
            assert!(medium.fixed.len() <= 16);
            assert_eq!(medium.parse(bytes), Ok(header), "{:?}", medium.name);
            assert_eq!(medium.write(&header, 46).as_ref(), bytes);
            assert_eq!(medium.source(bytes), header.source);
            let source = medium.source_bytes(bytes).unwrap();
            assert_eq!(source, medium.bytes(&header.source));
            assert_eq!(medium.destination(bytes), header.destination);
        }
    }

    #[test]
    fn bridged_frames_are_told_from_broken_ones() {
        for (medium, bytes, _) in rows() {
            let at = medium.measures.protocol;
            let mut bytes = bytes.to_vec();
            if medium.fixed.len() >= 2 {
                bytes[at - 2..at].copy_from_slice(&[0x80, 0xc2]);
                let spans = medium.name == c"spans";
                let error = if spans {
                    Error::Bridged
                } else {
                    Error::Malformed
                };
                assert_eq!(medium.parse(&bytes), Err(error), "{:?}", medium.name);
                bytes[at - 1] = 0xc3;
                assert_eq!(medium.parse(&bytes), Err(Error::Malformed));
            }
        }
    }

    #[test]
    fn every_constant_byte_counts() {
        for (medium, bytes, _) in rows() {
            for at in medium.measures.fixed..medium.measures.protocol {
                for bit in 0..8 {
                    let mut bytes = bytes.to_vec();
                    bytes[at] ^= 1 << bit;
                    assert_eq!(medium.parse(&bytes), Err(Error::Malformed), "byte {at}");
                }
            }
        }
    }

    #[test]
    fn only_ethernet_has_lengths() {
        for (medium, bytes, header) in rows() {
            let ethernet = medium.name == c"ethernet";
            let mut bytes = bytes.to_vec();
            let at = bytes.len() - 2;
            for (field, length) in [(0x05ffu16, true), (0x0026, true), (0x0600, false)] {
                bytes[at..].copy_from_slice(&field.to_be_bytes());
                let protocol = if ethernet && length { 4 } else { field };
                assert_eq!(medium.protocol(&bytes), protocol);
            }
            for protocol in [1, 4] {
                let written = medium.write(&Header { protocol, ..header }, 0x26);
                let field = if ethernet { 0x26 } else { protocol as u8 };
                assert_eq!(written.as_ref()[at..], [0, field]);
            }
        }
    }

    #[test]
    fn a_header_that_is_cut_is_not_one() {
        for (medium, bytes, _) in rows() {
            for len in 0..medium.header_len() {
                assert_eq!(medium.parse(&bytes[..len]), Err(Error::Malformed));
            }
            assert_eq!(medium.destination(&[]), Address::NONE);
            assert_eq!(medium.source(&[]), Address::NONE);
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(destination: [u8; 8], source: [u8; 8], protocol in 0x600u16..) {
            for medium in &MEDIA {
                let address = |bytes: [u8; 8]| {
                    Address::from_slice(&bytes[..medium.address_len.into()])
                };
                let header = Header {
                    destination: address(destination),
                    source: address(source),
                    protocol,
                };
                let bytes = medium.write(&header, 0);
                prop_assert_eq!(medium.parse(bytes.as_ref()), Ok(header));
                // Bytes behind the header are ignored.
                let mut frame = bytes.as_ref().to_vec();
                frame.extend([0xff; 16]);
                prop_assert_eq!(medium.parse(&frame), Ok(header));
            }
        }

        #[test]
        fn what_is_accepted_is_written_again(bytes: [u8; MAX_LEN], make_sound: bool) {
            for medium in &MEDIA {
                let mut bytes = bytes[..medium.header_len()].to_vec();
                let fixed = medium.measures.fixed..medium.measures.protocol;
                if make_sound {
                    bytes[fixed.clone()].copy_from_slice(medium.fixed);
                }
                match medium.parse(&bytes) {
                    Ok(header) => {
                        let len = u16::from_be_bytes(*bytes.last_chunk().unwrap()).into();
                        let written = medium.write(&header, len);
                        prop_assert_eq!(written.as_ref(), &bytes[..]);
                    }
                    Err(_) => prop_assert_ne!(&bytes[fixed], medium.fixed),
                }
            }
        }
    }
}
