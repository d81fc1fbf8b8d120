// SPDX-License-Identifier: GPL-2.0

//! The input and output types of an ARP table.

use crate::address::Address;
use core::net::Ipv4Addr;

/// What the device's configuration says about the addresses in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressInfo {
    /// The kind of the sender's IPv4 address.
    pub sender: SenderType,
    /// The target is an address of this device.
    pub for_us: bool,
}

/// The kind of an IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderType {
    /// A unicast address of another host.
    Host,
    /// An address of this device.
    Own,
    /// Not an address of a host: broadcast, multicast, unspecified.
    Invalid,
}

/// The state of a neighbour (`nud_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// `NUD_PERMANENT` or `NUD_NOARP`: set by the user.
    Permanent(Address),
    /// `NUD_REACHABLE`.
    Reachable(Address),
    /// `NUD_STALE`: it has a link address, to be verified on use.
    Stale(Address),
    /// `NUD_DELAY` or `NUD_PROBE`: its link address is being verified.
    Probing(Address),
    /// A state without a link address.
    Unresolved,
    /// `NUD_FAILED`.
    Failed,
    /// Removed from the kernel's table.
    Dead,
}

/// The result of a request for a link address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Broadcast a request.
    Request,
    /// A request has been sent: `MAP_PROCEEDING`.
    Wait,
    /// The address is known; an update is pending: `MAP_VALID`.
    Known,
    /// As [`Known`](Self::Known), and a unicast request is to be sent to this address: the entry is
    /// expiring and was unsolicited until now.
    Verify(Address),
    /// The entry is held down; an update is pending.
    HeldDown,
    /// There is no room for an entry, or the device is down.
    NoRoom,
}

/// The effect of a received packet on the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxOutcome {
    /// None: the sender has no entry and the target is not this device, or the sender is not a
    /// host.
    Ignored,
    /// The sender uses an address of this device.
    Duplicate {
        /// The packet is a request, to which the caller replies that the address is taken.
        asked: bool,
    },
    /// The sender has a new entry.
    New,
    /// The sender's entry had no address, and is valid now.
    Resolved,
    /// The sender's address is confirmed.
    Confirmed,
    /// The sender's link address has changed.
    Changed {
        /// The previous address.
        from: Address,
    },
    /// The sender's entry is permanent and stays unchanged.
    Permanent,
    /// The sender has no entry, and there is no room for one.
    NoRoom,
}

/// An update for the kernel's neighbour, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Set this address: `MAP_VALID`, `MAP_CHANGED`.
    Valid(Address),
    /// Set this address as unverified: the entry is unsolicited, and the first packet to it has to
    /// be reported to the table.
    Learned(Address),
    /// Resolution has failed: `MAP_FAILED`.
    Failed,
    /// The entry has been removed: `MAP_INVALID`.
    Removed(RemoveReason),
}

/// The reason for which an entry was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveReason {
    /// Its lifetime is over.
    Expired,
    /// It had failed, and may be requested again.
    RetryAllowed,
    /// It was evicted for an entry that this requester needs.
    Evicted(Requester),
}

/// The origin of a new entry, which determines the entries that may be evicted for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requester {
    /// A received packet or an unverified neighbour: evicts unsolicited entries only.
    Unsolicited,
    /// A packet to be sent or a reachable neighbour: also evicts failed entries and those that
    /// missed their first reply.
    Packet,
    /// The user: evicts all entries but permanent ones.
    User,
}

/// An action that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Broadcast a request for this address.
    Request(Ipv4Addr),
    /// Send a unicast request to this address.
    Verify(Ipv4Addr, Address),
}
