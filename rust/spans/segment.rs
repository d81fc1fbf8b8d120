// SPDX-License-Identifier: GPL-2.0

//! Segments: the broadcast domains that connect devices.
//!
//! The table of a segment is read for every frame, and changes when a device goes up or down or
//! changes its addresses. Readers see an immutable table under RCU, sorted by address; a change
//! publishes a new one. The ancestor is DragonFly's `ifnet_array` (`sys/net/if.c`).

mod forward;

pub(super) use forward::Forwarded;

use super::{
    carrier::LinkStates,
    port::Port, //
};
use crate::net::{
    random::get_random_bytes,
    rcu::{Rcu, RcuBox},
    rtnl::Rtnl,
    spinlock_bh::{local_bh_disable, LocalBhDisabled},
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use spans_logic::{
    address::Address,
    medium::Medium,
    segment::{sort, Member},
};

/// An address on a segment, and the port of the member that has it.
struct FdbEntry {
    address: Address,
    port: Arc<Port>,
    /// It is the device's own address, not one that was added to it.
    primary: bool,
}

impl Member for FdbEntry {
    fn address(&self) -> Address {
        self.address
    }

    fn interface(&self) -> usize {
        interface(&self.port)
    }
}

/// Returns a number that identifies a port.
fn interface(port: &Port) -> usize {
    core::ptr::from_ref(port).addr()
}

/// Largest number of members, as of a bridge's ports (`BR_MAX_PORTS`): a broadcast is copied to
/// each of them.
const MAX_MEMBERS: usize = 1024;

/// Largest number of fdb entries. With more, members that have more than one address become
/// promiscuous members instead, so that a change stays short.
const MAX_ADDRESSES: usize = 2 * MAX_MEMBERS;

/// The forwarding table of a segment, which readers see under RCU.
#[derive(Default)]
struct Fdb {
    /// Sorted by [`sort`].
    addresses: KVec<FdbEntry>,
    /// The promiscuous members.
    promiscuous: KVec<Arc<Port>>,
    /// Number of members.
    count: usize,
}

impl Fdb {
    /// Creates the table of `ports`. RTNL keeps their addresses and filters from changing.
    fn of(ports: &[Arc<Port>], _: &Rtnl) -> Result<Self> {
        let (mut addresses, mut promiscuous) = (0usize, 0usize);
        for port in ports {
            let bh = local_bh_disable();
            let filter = port.filter(&bh);
            addresses = addresses.saturating_add(1 + filter.unicast().len());
            promiscuous += usize::from(filter.is_promiscuous());
        }
        let crowded = addresses > MAX_ADDRESSES;
        if crowded {
            (addresses, promiscuous) = (ports.len(), ports.len());
        }
        let mut this = Self {
            addresses: KVec::with_capacity(addresses, GFP_KERNEL_ACCOUNT)?,
            promiscuous: KVec::with_capacity(promiscuous, GFP_KERNEL_ACCOUNT)?,
            count: ports.len(),
        };
        for port in ports {
            let primary = port.address();
            let bh = local_bh_disable();
            let filter = port.filter(&bh);
            let mut insert = |address, primary| {
                let port = port.clone();
                let entry = FdbEntry {
                    address,
                    port,
                    primary,
                };
                let pushed = this.addresses.push_within_capacity(entry);
                pushed.map_err(|_| ENOMEM)
            };
            insert(primary, true)?;
            let others = if crowded { &[] } else { filter.unicast() };
            for other in others.iter().filter(|other| **other != primary) {
                insert(*other, false)?;
            }
            if filter.is_promiscuous() || crowded && !filter.unicast().is_empty() {
                let pushed = this.promiscuous.push_within_capacity(port.clone());
                pushed.map_err(|_| ENOMEM)?;
            }
        }
        sort(&mut this.addresses);
        Ok(this)
    }
}

/// The members, for changes of the table.
struct Members {
    ports: KVec<Arc<Port>>,
    /// An empty table, allocated in advance so that the last member can always leave.
    empty: Option<RcuBox<Fdb>>,
}

impl Members {
    fn snapshot(&self, rtnl: &Rtnl) -> Result<RcuBox<Fdb>> {
        RcuBox::new(Fdb::of(&self.ports, rtnl)?, GFP_KERNEL_ACCOUNT)
    }

    fn insert(&mut self, port: Arc<Port>) -> Result {
        if self.ports.len() >= MAX_MEMBERS {
            return Err(ENOSPC);
        }
        self.ports.push(port, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    fn position(&self, port: &Port) -> Option<usize> {
        self.ports
            .iter()
            .position(|other| core::ptr::eq(&**other, port))
    }

    fn remove(&mut self, port: &Port) -> Option<Arc<Port>> {
        self.ports.remove(self.position(port)?).ok()
    }
}

/// A segment. It holds references to the ports that are up, and each port one to its segment.
#[pin_data]
pub(crate) struct Segment {
    id: [u8; 8],
    medium: &'static Medium,
    fdb: Rcu<Fdb>,
    #[pin]
    members: Mutex<Members>,
    #[pin]
    link_states: LinkStates,
}

impl Segment {
    pub(super) fn new(medium: &'static Medium) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                id: get_random_bytes(),
                medium,
                fdb: Rcu::new(RcuBox::new(Fdb::default(), GFP_KERNEL_ACCOUNT)?),
                members <- new_mutex!(
                    Members {
                        ports: KVec::new(),
                        empty: None,
                    },
                    "spans_segment"
                ),
                link_states <- LinkStates::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Returns the `port_parent_id`. Random, so that it discloses nothing about the segments of
    /// other users.
    pub(super) fn id(&self) -> [u8; 8] {
        self.id
    }

    #[inline]
    pub(super) fn medium(&self) -> &'static Medium {
        self.medium
    }

    pub(super) fn link_states(&self) -> &LinkStates {
        &self.link_states
    }

    /// Returns the number of members. May be out of date at once.
    pub(super) fn len(&self, bh: &LocalBhDisabled) -> usize {
        self.fdb.read(bh).count
    }

    /// Adds a port under its present addresses. Fails with `ENOSPC` if the segment is full.
    /// Process context.
    pub(super) fn join(self: &Arc<Self>, port: Arc<Port>, rtnl: &Rtnl) -> Result<Membership> {
        let mut members = self.members.lock();
        if members.empty.is_none() {
            let empty = RcuBox::new(Fdb::default(), GFP_KERNEL_ACCOUNT)?;
            members.empty = Some(empty);
        }
        members.insert(port.clone())?;
        match members.snapshot(rtnl) {
            Ok(snapshot) => self.fdb.replace(snapshot, rtnl),
            Err(error) => {
                members.remove(&port);
                return Err(error);
            }
        }
        drop(members);
        Ok(Membership {
            segment: self.clone(),
            port,
        })
    }

    /// Removes a port. Cannot fail: without memory for a new table, readers see the port until
    /// the next change, with its rings closed.
    fn leave(&self, port: &Port, rtnl: &Rtnl) {
        let mut members = self.members.lock();
        let left = members.remove(port);
        let snapshot = match members.snapshot(rtnl) {
            Ok(snapshot) => Some(snapshot),
            // The last port must not stay: port and segment would hold references to each other.
            Err(_) if members.ports.is_empty() => members.empty.take(),
            Err(_) => None,
        };
        if let Some(snapshot) = snapshot {
            self.fdb.replace(snapshot, rtnl);
        }
        drop(members);
        drop(left);
    }

    /// Publishes the present address and filter of a port. Does nothing if it is not up. Process
    /// context.
    pub(super) fn update(&self, port: &Port, rtnl: &Rtnl) -> Result {
        let members = self.members.lock();
        if members.position(port).is_some() {
            self.fdb.replace(members.snapshot(rtnl)?, rtnl);
        }
        Ok(())
    }
}

/// The membership of a port, until it [leaves](Self::leave) the segment.
#[must_use = "a port that never leaves its segment is never freed"]
pub(crate) struct Membership {
    segment: Arc<Segment>,
    port: Arc<Port>,
}

impl Membership {
    /// Removes the port from the segment. Process context.
    pub(super) fn leave(self, rtnl: &Rtnl) {
        self.segment.leave(&self.port, rtnl);
    }
}
