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
    filter::AddressFilter,
    queue::Queue, //
};
use crate::net::{
    napi::Napi,
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
    segment::{sort, Entry},
};

/// A device that is up, as its segment sees it.
pub(super) trait Member: Send + Sync + 'static {
    /// Its own address.
    fn address(&self) -> Address;

    /// The addresses that it accepts beside that and broadcast.
    fn filter<'a>(&'a self, bh: &'a LocalBhDisabled) -> &'a AddressFilter;

    /// Returns the queue that receives the frames of the sender's queue `index`. Frames of one
    /// queue stay in order.
    fn rx_queue(&self, index: u16) -> Option<&Napi<Queue>>;

    /// Arms its watchdog: a ring has work.
    fn watch(&self);
}

/// An address on a segment, and the member that has it.
struct FdbEntry<M> {
    address: Address,
    member: Arc<M>,
    /// It is the device's own address, not one that was added to it.
    primary: bool,
}

impl<M> Entry for FdbEntry<M> {
    fn address(&self) -> Address {
        self.address
    }

    fn member(&self) -> usize {
        number(&*self.member)
    }
}

/// Returns a number that identifies a member.
fn number<M>(member: &M) -> usize {
    core::ptr::from_ref(member).addr()
}

/// Largest number of members, as of a bridge's ports (`BR_MAX_PORTS`): a broadcast is copied to
/// each of them.
const MAX_MEMBERS: usize = 1024;

/// Largest number of fdb entries. With more, members that have more than one address become
/// promiscuous members instead, so that a change stays short.
const MAX_ADDRESSES: usize = 2 * MAX_MEMBERS;

/// The forwarding table of a segment, which readers see under RCU.
struct Fdb<M> {
    /// Sorted by [`sort`].
    addresses: KVec<FdbEntry<M>>,
    /// The promiscuous members.
    promiscuous: KVec<Arc<M>>,
    /// Number of members.
    count: usize,
}

impl<M> Default for Fdb<M> {
    fn default() -> Self {
        Self {
            addresses: KVec::new(),
            promiscuous: KVec::new(),
            count: 0,
        }
    }
}

impl<M: Member> Fdb<M> {
    /// Creates the table of `members`. RTNL keeps their addresses and filters from changing.
    fn of(members: &[Arc<M>], _: &Rtnl) -> Result<Self> {
        let (mut addresses, mut promiscuous) = (0usize, 0usize);
        for member in members {
            let bh = local_bh_disable();
            let filter = member.filter(&bh);
            addresses = addresses.saturating_add(1 + filter.unicast().len());
            promiscuous += usize::from(filter.is_promiscuous());
        }
        let crowded = addresses > MAX_ADDRESSES;
        if crowded {
            (addresses, promiscuous) = (members.len(), members.len());
        }
        let mut this = Self {
            addresses: KVec::with_capacity(addresses, GFP_KERNEL_ACCOUNT)?,
            promiscuous: KVec::with_capacity(promiscuous, GFP_KERNEL_ACCOUNT)?,
            count: members.len(),
        };
        for member in members {
            let primary = member.address();
            let bh = local_bh_disable();
            let filter = member.filter(&bh);
            let mut insert = |address, primary| {
                let member = member.clone();
                let entry = FdbEntry {
                    address,
                    member,
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
                let pushed = this.promiscuous.push_within_capacity(member.clone());
                pushed.map_err(|_| ENOMEM)?;
            }
        }
        sort(&mut this.addresses);
        Ok(this)
    }
}

/// The members, for changes of the table.
struct Members<M> {
    list: KVec<Arc<M>>,
    /// An empty table, allocated in advance so that the last member can always leave.
    empty: Option<RcuBox<Fdb<M>>>,
}

impl<M: Member> Members<M> {
    fn snapshot(&self, rtnl: &Rtnl) -> Result<RcuBox<Fdb<M>>> {
        RcuBox::new(Fdb::of(&self.list, rtnl)?, GFP_KERNEL_ACCOUNT)
    }

    fn insert(&mut self, member: Arc<M>) -> Result {
        if self.list.len() >= MAX_MEMBERS {
            return Err(ENOSPC);
        }
        self.list.push(member, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    fn position(&self, member: &M) -> Option<usize> {
        self.list
            .iter()
            .position(|other| core::ptr::eq(&**other, member))
    }

    fn remove(&mut self, member: &M) -> Option<Arc<M>> {
        self.list.remove(self.position(member)?).ok()
    }
}

/// A segment. It holds references to its members, and each member one to its segment.
#[pin_data]
pub(crate) struct Segment<M: Member> {
    id: [u8; 8],
    medium: &'static Medium,
    fdb: Rcu<Fdb<M>>,
    #[pin]
    members: Mutex<Members<M>>,
    #[pin]
    link_states: LinkStates,
}

impl<M: Member> Segment<M> {
    pub(super) fn new(medium: &'static Medium) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                id: get_random_bytes(),
                medium,
                fdb: Rcu::new(RcuBox::new(Fdb::default(), GFP_KERNEL_ACCOUNT)?),
                members <- new_mutex!(
                    Members {
                        list: KVec::new(),
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

    /// Adds a member under its present addresses. Fails with `ENOSPC` if the segment is full.
    /// Process context.
    pub(super) fn join(self: &Arc<Self>, member: Arc<M>, rtnl: &Rtnl) -> Result<Membership<M>> {
        let mut members = self.members.lock();
        if members.empty.is_none() {
            let empty = RcuBox::new(Fdb::default(), GFP_KERNEL_ACCOUNT)?;
            members.empty = Some(empty);
        }
        members.insert(member.clone())?;
        match members.snapshot(rtnl) {
            Ok(snapshot) => self.fdb.replace(snapshot, rtnl),
            Err(error) => {
                members.remove(&member);
                return Err(error);
            }
        }
        drop(members);
        Ok(Membership {
            segment: self.clone(),
            member,
        })
    }

    /// Removes a member. Cannot fail: without memory for a new table, readers see it until
    /// the next change, with its rings closed.
    fn leave(&self, member: &M, rtnl: &Rtnl) {
        let mut members = self.members.lock();
        let left = members.remove(member);
        let snapshot = match members.snapshot(rtnl) {
            Ok(snapshot) => Some(snapshot),
            // The last member must not stay: it and the segment would hold references to each other.
            Err(_) if members.list.is_empty() => members.empty.take(),
            Err(_) => None,
        };
        if let Some(snapshot) = snapshot {
            self.fdb.replace(snapshot, rtnl);
        }
        drop(members);
        drop(left);
    }

    /// Publishes the present address and filter of a member. Does nothing if it is not up. Process
    /// context.
    pub(super) fn update(&self, member: &M, rtnl: &Rtnl) -> Result {
        let members = self.members.lock();
        if members.position(member).is_some() {
            self.fdb.replace(members.snapshot(rtnl)?, rtnl);
        }
        Ok(())
    }
}

/// A membership, until the member [leaves](Self::leave) the segment.
#[must_use = "a member that never leaves its segment is never freed"]
pub(crate) struct Membership<M: Member> {
    segment: Arc<Segment<M>>,
    member: Arc<M>,
}

impl<M: Member> Membership<M> {
    /// Removes the member from the segment. Process context.
    pub(super) fn leave(self, rtnl: &Rtnl) {
        self.segment.leave(&self.member, rtnl);
    }
}
