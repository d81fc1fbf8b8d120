// SPDX-License-Identifier: GPL-2.0

//! What an interface does with a frame that reached it.
//!
//! The order of the checks is that of the ancestor (FreeBSD `spans_cls.c`,
//! `spanscls_cpcs_data`): length, constant bytes, destination. What the frame
//! carries is for the protocols above to know.

use crate::{address::Address, cls};

/// Whom a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// This interface.
    Host,
    /// Every interface.
    Broadcast,
}

/// A frame to be passed on without its link header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Whom it is for.
    pub recipient: Recipient,
    /// What it carries: an EtherType, in host order.
    pub protocol: u16,
}

/// Why a frame ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Longer than this interface's MTU.
    Long,
    /// A bridged frame.
    Bridged,
    /// Not a frame of this medium.
    Malformed,
    /// For somebody else: the address was changed while the frame travelled.
    OtherHost,
}

/// Judges a frame of `len` bytes, of which `header` are the first, at the interface
/// `own` with MTU `mtu`.
#[inline]
pub fn judge(
    header: &[u8; cls::LEN],
    len: usize,
    own: Address,
    mtu: usize,
) -> Result<Accepted, Refused> {
    if len > mtu.saturating_add(cls::LEN) {
        return Err(Refused::Long);
    }
    let header = cls::Header::parse(header).map_err(|error| match error {
        cls::Error::Bridged => Refused::Bridged,
        cls::Error::Malformed => Refused::Malformed,
    })?;
    let recipient = if header.destination == own {
        Recipient::Host
    } else if header.destination.is_broadcast() {
        Recipient::Broadcast
    } else {
        return Err(Refused::OtherHost);
    };
    Ok(Accepted {
        recipient,
        protocol: header.protocol,
    })
}

/// How many of `offered` packets a receive ring takes that holds `len` of at most
/// `limit`.
pub const fn room(len: usize, limit: usize, offered: usize) -> usize {
    let free = limit.saturating_sub(len);
    if offered < free {
        offered
    } else {
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cls::Header;
    use proptest::prelude::*;

    const OWN: Address = Address::new([0, 0, 0, 0, 0, 0, 0, 1]);
    const OTHER: Address = Address::new([0, 0, 0, 0, 0, 0, 0, 2]);
    const MTU: usize = 1500;

    fn frame(destination: Address) -> [u8; cls::LEN] {
        Header {
            destination,
            source: OTHER,
            protocol: 0x0800,
        }
        .to_bytes()
    }

    fn judged(header: &[u8; cls::LEN], len: usize) -> Result<Accepted, Refused> {
        judge(header, len, OWN, MTU)
    }

    #[test]
    fn own_and_broadcast_pass() {
        let accepted = |recipient| {
            Ok(Accepted {
                recipient,
                protocol: 0x0800,
            })
        };
        assert_eq!(judged(&frame(OWN), 100), accepted(Recipient::Host));
        assert_eq!(
            judged(&frame(Address::BROADCAST), 100),
            accepted(Recipient::Broadcast)
        );
        assert_eq!(judged(&frame(OTHER), 100), Err(Refused::OtherHost));
    }

    #[test]
    fn length_is_from_header_to_header_and_mtu() {
        assert!(judged(&frame(OWN), 28).is_ok());
        assert!(judged(&frame(OWN), 28 + MTU).is_ok());
        assert_eq!(judged(&frame(OWN), 29 + MTU), Err(Refused::Long));
    }

    #[test]
    fn the_header_is_checked_before_the_destination() {
        let mut bytes = frame(OTHER);
        bytes[20] = 0;
        assert_eq!(judged(&bytes, 100), Err(Refused::Malformed));
        bytes[20] = 0xaa;
        bytes[24] = 0x80;
        bytes[25] = 0xc2;
        assert_eq!(judged(&bytes, 100), Err(Refused::Bridged));
    }

    proptest! {
        #[test]
        fn room_fills_up_and_no_further(len in 0usize..50, limit in 0usize..50, offered in 0usize..50) {
            let taken = room(len, limit, offered);
            prop_assert!(taken <= offered);
            prop_assert!(len + taken <= limit.max(len));
            prop_assert!(taken == offered || len + taken >= limit);
        }
    }
}
