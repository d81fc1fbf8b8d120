// SPDX-License-Identifier: GPL-2.0

//! What happens to a table, and what comes of it.

use crate::address::Address;
use core::net::Ipv4Addr;

/// What the interface knows about the ends of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressInfo {
    /// What kind of IPv4 address the sender has.
    pub sender: SenderType,
    /// The target is one of our addresses.
    pub for_us: bool,
}

/// What kind of IPv4 address somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderType {
    /// One of a single host.
    Host,
    /// One of ours.
    Own,
    /// None that a host can have: broadcast, multicast, none at all.
    Invalid,
}

/// What the kernel says of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// `NUD_PERMANENT` or `NUD_NOARP`: set by the user.
    Permanent(Address),
    /// `NUD_REACHABLE`.
    Reachable(Address),
    /// `NUD_STALE`: it has a link address that is to be verified when it is used.
    Stale(Address),
    /// `NUD_DELAY` or `NUD_PROBE`: it has a link address that is being verified.
    Probing(Address),
    /// A state without.
    Unresolved,
    /// `NUD_FAILED`.
    Failed,
    /// Not in the kernel's table any more.
    Dead,
}

/// What becomes of a question for a link address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Ask everybody.
    Request,
    /// It was asked for already: `MAP_PROCEEDING`.
    Wait,
    /// It is known, and about to be told: `MAP_VALID`.
    Known,
    /// The same, and it is to be asked whether it is still there, by unicast: its entry ends
    /// soon, and it was only heard of until now.
    Verify(Address),
    /// Nobody answered not long ago, which is about to be told.
    HeldDown,
    /// There is no room to remember that it was asked for, or the interface is down.
    NoRoom,
}

/// What a packet has taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxOutcome {
    /// Nothing: neither is its sender known nor are we meant, or it is not a host's.
    Ignored,
    /// Its sender has one of our addresses. If it asked for it, it shall hear that it is
    /// taken.
    Duplicate {
        /// It asked for that address.
        asked: bool,
    },
    /// Its sender is new.
    New,
    /// Its sender is what was asked for.
    Resolved,
    /// Its sender is still there.
    Confirmed,
    /// Its sender has another link address now.
    Changed {
        /// The one it had.
        from: Address,
    },
    /// Its sender is permanent: what the user set stays.
    Permanent,
    /// Its sender is new, and there is no room.
    NoRoom,
}

/// What the kernel is to be told of a neighbour, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// It has this address: `MAP_VALID`, `MAP_CHANGED`.
    Valid(Address),
    /// The same of a host that nobody here has asked for: that a packet is sent to it is to be
    /// noted.
    Learned(Address),
    /// It does not answer: `MAP_FAILED`.
    Failed,
    /// Nothing is known of it any more: `MAP_INVALID`.
    Removed(RemoveReason),
}

/// Why an entry is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveReason {
    /// It was not heard of for too long.
    Expired,
    /// It did not answer, and may be asked for again.
    RetryAllowed,
    /// It made room for somebody whom this one wants.
    Evicted(Requester),
}

/// Who wants an entry, and who has to make room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requester {
    /// Somebody on the segment: only others that nobody asked for.
    Unsolicited,
    /// A packet to be sent: those, and what has not answered.
    Packet,
    /// The user: all but what the user has set.
    User,
}

/// What is to be done as time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Ask everybody for this address.
    Request(Ipv4Addr),
    /// Ask this host whether it is still there.
    Verify(Ipv4Addr, Address),
}
