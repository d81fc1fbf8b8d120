// SPDX-License-Identifier: GPL-2.0

//! The media of segments.
//!
//! Each medium is one entry of [`MEDIA`]; no other place depends on it. The length of the link
//! address identifies the medium of a device (Souvatzis, link-level independent ARP for NetBSD), as
//! no two media have the same.
//!
//! A frame begins with its destination, its source, the fixed bytes of the medium, and the
//! EtherType: see [`header`](crate::header).

use crate::address::{Address, MAX_LEN};
use core::{ffi::CStr, ops::RangeInclusive};

/// A medium.
#[derive(Debug, PartialEq, Eq)]
pub struct Medium {
    /// The name in the user interface.
    pub name: &'static CStr,
    /// The hardware type (`ARPHRD_*`) in ARP packets and `struct sockaddr_ll`.
    pub hardware_type: u16,
    /// Length of link addresses in bytes, at most [`MAX_LEN`].
    pub address_len: u8,
    /// The broadcast address.
    pub broadcast: Address,
    /// Whether the low bit of an address's first byte marks a multicast address.
    pub has_multicast: bool,
    /// The bytes between the addresses and the EtherType.
    pub(crate) fixed: &'static [u8],
    /// The fixed bytes of frames that carry a whole frame of another network, which the ancestor
    /// drops silently. As long as `fixed`, or empty.
    pub(crate) bridged: &'static [u8],
    /// Whether the EtherType may be a length instead (IEEE 802.3).
    pub(crate) has_lengths: bool,
    /// Whether the sender address in an ARP packet may differ from the source of its frame, as
    /// with VRRP.
    pub foreign_arp: bool,
    /// The MTU of a new device, without the link header.
    pub mtu: u32,
    /// The range of the MTU. The minimum is that of IPv4 (RFC 791).
    pub mtu_range: RangeInclusive<u32>,
    /// Offsets derived from the other fields, for the code that reads each frame.
    pub(crate) measures: Measures,
}

/// The offsets of header fields, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Measures {
    /// The bytes of a word that belong to an address.
    pub(crate) mask: u64,
    pub(crate) source: usize,
    pub(crate) fixed: usize,
    pub(crate) protocol: usize,
    pub(crate) len: usize,
}

impl Measures {
    const fn new(address_len: usize, constant_len: usize) -> Self {
        let protocol = 2 * address_len + constant_len;
        Self {
            mask: u64::MAX >> (8 * (MAX_LEN - address_len)),
            source: address_len,
            fixed: 2 * address_len,
            protocol,
            len: protocol + 2,
        }
    }
}

/// All media. The first one is the default of a segment.
pub static MEDIA: [Medium; 4] = [
    // SPANS over ATM adaptation layer 3/4 (FreeBSD `spans_cls.h`, `struct spanscls_hdr`):
    // addresses of eight opaque bytes; behind them protocol, extension length and bridging of
    // IEEE 802.6, all 0, then LLC and the OUI of SNAP. MTU 9180 as in classical IP over ATM.
    Medium {
        name: c"spans",
        hardware_type: 0x4040,
        address_len: 8,
        broadcast: Address::new([0xff; 8]),
        has_multicast: false,
        fixed: &[0, 0, 0, 0, 0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00],
        bridged: &[0, 0, 0, 0, 0xaa, 0xaa, 0x03, 0x00, 0x80, 0xc2],
        has_lengths: false,
        foreign_arp: false,
        mtu: 9180,
        mtu_range: 68..=65535,
        measures: Measures::new(8, 10),
    },
    // ARPHRD_ETHER.
    Medium {
        name: c"ethernet",
        hardware_type: 1,
        address_len: 6,
        broadcast: Address::new([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]),
        has_multicast: true,
        fixed: &[],
        bridged: &[],
        has_lengths: true,
        foreign_arp: true,
        mtu: 1500,
        mtu_range: 68..=65535,
        measures: Measures::new(6, 0),
    },
    // Like AX.25: call signs with SSID as addresses, QST-0 as broadcast, UI frames (0x03) with
    // the escape (0xff), behind which the protocol follows. The hardware type is private: the
    // kernel's ARP treats AX.25's (3) in another way, and AX.25 itself has been removed.
    Medium {
        name: c"ax25",
        hardware_type: 0x4047,
        address_len: 7,
        broadcast: Address::new([0xa2, 0xa6, 0xa8, 0x40, 0x40, 0x40, 0x00, 0]),
        has_multicast: false,
        fixed: &[0x03, 0xff],
        bridged: &[],
        has_lengths: false,
        foreign_arp: false,
        mtu: 256,
        mtu_range: 68..=65535,
        measures: Measures::new(7, 2),
    },
    // Like ARCnet: 0 as broadcast, and no packet longer than in RFC 1201. The hardware type is
    // private, as the kernel's ARCnet (7) has another header.
    Medium {
        name: c"arcnet",
        hardware_type: 0x4041,
        address_len: 1,
        broadcast: Address::NONE,
        has_multicast: false,
        fixed: &[],
        bridged: &[],
        has_lengths: false,
        foreign_arp: false,
        mtu: 1500,
        mtu_range: 68..=60480,
        measures: Measures::new(1, 0),
    },
];

/// The class of a destination address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// One member.
    Unicast,
    /// The members that accept this multicast address.
    Multicast,
    /// All members.
    Broadcast,
}

/// Why a device cannot be created as requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// No medium has this name.
    Name,
    /// No medium has addresses of this length.
    Length,
    /// The named medium has addresses of another length.
    Address,
    /// The segment to join has another medium.
    Segment,
}

impl Medium {
    /// Returns the medium of a new device, by its name, by the length of the device's address and
    /// by the segment to join. All that are given must agree; without any it is the default.
    pub fn choose(
        name: Option<&[u8]>,
        address: Option<&[u8]>,
        segment: Option<&'static Self>,
    ) -> Result<&'static Self, Mismatch> {
        let by_name = match name {
            Some(name) => Some(Self::from_name(name).ok_or(Mismatch::Name)?),
            None => None,
        };
        let by_address = match address {
            Some(address) => Some(Self::from_address_len(address.len()).ok_or(Mismatch::Length)?),
            None => None,
        };
        let requested = by_name.or(by_address);
        if by_address.is_some() && by_address != requested {
            return Err(Mismatch::Address);
        }
        match (requested, segment) {
            (Some(medium), Some(segment)) if medium != segment => Err(Mismatch::Segment),
            (Some(medium), _) | (None, Some(medium)) => Ok(medium),
            (None, None) => Ok(&MEDIA[0]),
        }
    }

    /// Returns the medium with this name.
    pub fn from_name(name: &[u8]) -> Option<&'static Self> {
        MEDIA.iter().find(|medium| medium.name.to_bytes() == name)
    }

    /// Returns the medium with addresses of this length.
    pub fn from_address_len(len: usize) -> Option<&'static Self> {
        MEDIA
            .iter()
            .find(|medium| usize::from(medium.address_len) == len)
    }

    /// Returns the address in bytes of a user or a frame, if the length is right.
    pub fn address(&self, bytes: &[u8]) -> Option<Address> {
        (bytes.len() == self.address_len.into()).then(|| Address::from_slice(bytes))
    }

    /// Returns an address in wire format.
    pub fn bytes<'a>(&self, address: &'a Address) -> &'a [u8] {
        let bytes = address.as_bytes();
        bytes.get(..self.address_len.into()).unwrap_or(bytes)
    }

    /// Returns the class of an address.
    #[inline]
    pub fn address_class(&self, address: Address) -> AddressClass {
        let [first, ..] = *address.as_bytes();
        if address == self.broadcast {
            AddressClass::Broadcast
        } else if self.has_multicast && first & 0x01 != 0 {
            AddressClass::Multicast
        } else {
            AddressClass::Unicast
        }
    }

    /// Returns whether a device may have this address: unicast, and not [`Address::NONE`].
    pub fn is_valid_unicast(&self, address: Address) -> bool {
        self.address_class(address) == AddressClass::Unicast && address != Address::NONE
    }

    /// Returns a unicast address, from random bytes.
    ///
    /// The low bit of the first byte is cleared and the next one set, so that tools which assume
    /// Ethernet see a locally administered unicast address. An address of one byte needs all bits.
    pub fn random_address(&self, mut bytes: [u8; MAX_LEN]) -> Address {
        let len = self.address_len.into();
        if len > 1 {
            bytes[0] = (bytes[0] & !0x01) | 0x02;
        }
        let address = Address::from_slice(bytes.get(..len).unwrap_or(&bytes));
        if self.is_valid_unicast(address) {
            address
        } else {
            // The low bit makes it valid: 1 instead of 0, QST-1 instead of QST-0.
            let last = len.saturating_sub(1);
            if let Some(byte) = bytes.get_mut(last) {
                *byte ^= 0x01;
            }
            Address::from_slice(bytes.get(..len).unwrap_or(&bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn medium(name: &str) -> &'static Medium {
        Medium::from_name(name.as_bytes()).unwrap()
    }

    #[test]
    fn each_medium_is_found_and_told_from_the_others() {
        assert_eq!(MEDIA.each_ref().map(|row| row.address_len), [8, 6, 7, 1]);
        for row in &MEDIA {
            assert_eq!(Medium::from_name(row.name.to_bytes()), Some(row));
            assert_eq!(Medium::from_address_len(row.address_len.into()), Some(row));
            assert_eq!(row.address_class(row.broadcast), AddressClass::Broadcast);
            assert!(!row.is_valid_unicast(row.broadcast));
            assert!(!row.is_valid_unicast(Address::NONE));
            assert!(row.mtu_range.contains(&row.mtu));
            let measures = Measures::new(row.address_len.into(), row.fixed.len());
            assert_eq!(row.measures, measures);
            assert!(row.bridged.is_empty() || row.bridged.len() == row.fixed.len());
            let same = |other: &&Medium| other.hardware_type == row.hardware_type;
            assert_eq!(MEDIA.iter().filter(same).count(), 1);
        }
        assert_eq!(Medium::from_name(b"token ring"), None);
        assert_eq!(Medium::from_name(b""), None);
        for len in [0, 2, 5, 9, 20] {
            assert_eq!(Medium::from_address_len(len), None);
        }
    }

    #[test]
    fn wishes_must_agree() {
        let [spans, ethernet, ..] = &MEDIA;
        let choose = Medium::choose;
        assert_eq!(choose(None, None, None), Ok(spans));
        assert_eq!(choose(None, None, Some(ethernet)), Ok(ethernet));
        assert_eq!(choose(None, Some(&[2; 6]), None), Ok(ethernet));
        assert_eq!(choose(Some(b"ethernet"), None, None), Ok(ethernet));
        assert_eq!(
            choose(Some(b"ethernet"), Some(&[2; 6]), Some(ethernet)),
            Ok(ethernet)
        );
        assert_eq!(
            choose(Some(b"fddi"), Some(&[2; 6]), None),
            Err(Mismatch::Name)
        );
        assert_eq!(choose(None, Some(&[2; 5]), None), Err(Mismatch::Length));
        assert_eq!(choose(None, Some(&[]), None), Err(Mismatch::Length));
        assert_eq!(
            choose(Some(b"ethernet"), Some(&[2; 8]), None),
            Err(Mismatch::Address)
        );
        assert_eq!(
            choose(None, Some(&[2; 8]), Some(ethernet)),
            Err(Mismatch::Segment)
        );
        assert_eq!(
            choose(Some(b"arcnet"), None, Some(ethernet)),
            Err(Mismatch::Segment)
        );
    }

    #[test]
    fn length_must_fit() {
        let spans = medium("spans");
        assert_eq!(spans.address(&[1, 2, 3, 4, 5, 6]), None);
        assert_eq!(spans.address(&[0; 9]), None);
        let address = spans.address(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert_eq!(address, Address::new([1, 2, 3, 4, 5, 6, 7, 8]));
        let ethernet = medium("ethernet");
        let address = ethernet.address(&[1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(address, Address::new([1, 2, 3, 4, 5, 6, 0, 0]));
        assert_eq!(ethernet.bytes(&address), [1, 2, 3, 4, 5, 6]);
        assert_eq!(medium("arcnet").bytes(&Address::from_slice(&[7])), [7]);
    }

    #[test]
    fn only_ethernet_has_groups() {
        let group = [0x33, 0x33, 0, 0, 0, 1, 0, 0];
        let classes: Vec<_> = MEDIA
            .iter()
            .map(|medium| {
                medium.address_class(Address::from_slice(&group[..medium.address_len.into()]))
            })
            .collect();
        use AddressClass::*;
        assert_eq!(classes, [Unicast, Multicast, Unicast, Unicast]);
    }

    #[test]
    fn broadcast_is_what_the_ancestors_had() {
        let broadcast = |name| medium(name).bytes(&medium(name).broadcast);
        assert_eq!(broadcast("spans"), [0xff; 8]);
        assert_eq!(broadcast("ethernet"), [0xff; 6]);
        // AX.25 shifts letters by one bit, which makes room for the end mark.
        let qst = [b'Q', b'S', b'T', b' ', b' ', b' '].map(|letter| letter << 1);
        assert_eq!(broadcast("ax25")[..6], qst);
        assert_eq!(broadcast("ax25")[6], 0);
        assert_eq!(broadcast("arcnet"), [0]);
    }

    #[test]
    fn what_is_close_to_broadcast_is_a_station() {
        let ax25 = medium("ax25");
        let address = ax25.random_address(*ax25.broadcast.as_bytes());
        assert_eq!(
            address,
            Address::new([0xa2, 0xa6, 0xa8, 0x40, 0x40, 0x40, 0x01, 0])
        );
        let arcnet = medium("arcnet");
        assert_eq!(arcnet.random_address([0; 8]), Address::from_slice(&[1]));
        assert_eq!(
            arcnet.random_address([0xff; 8]),
            Address::from_slice(&[0xff])
        );
    }

    proptest! {
        #[test]
        fn random_addresses_are_stations(bytes: [u8; MAX_LEN]) {
            for medium in &MEDIA {
                let address = medium.random_address(bytes);
                prop_assert!(medium.is_valid_unicast(address));
                prop_assert_eq!(medium.address(medium.bytes(&address)), Some(address));
                if medium.address_len > 1 {
                    prop_assert_eq!(address.as_bytes()[0] & 0x03, 0x02);
                }
            }
        }
    }
}
