// SPDX-License-Identifier: GPL-2.0

//! Neighbour events: `NETEVENT_NEIGH_UPDATE`.

use super::{ip, private};
use crate::net::{bindings, spinlock_bh::LocalBhDisabled};
use core::{marker::PhantomData, net::Ipv4Addr};

/// State of a neighbour: `neigh->nud_state`, with the link address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<const N: usize> {
    /// `NUD_PERMANENT` or `NUD_NOARP`.
    Permanent([u8; N]),
    /// `NUD_REACHABLE`.
    Reachable([u8; N]),
    /// `NUD_STALE`.
    Stale([u8; N]),
    /// `NUD_DELAY` or `NUD_PROBE`.
    Probing([u8; N]),
    /// `NUD_FAILED`.
    Failed,
    /// `NUD_NONE` or `NUD_INCOMPLETE`.
    Unresolved,
    /// Removed from the table: `neigh->dead`.
    Dead,
}

/// A change of a neighbour.
///
/// # Invariants
///
/// The pointer is valid for `'a`, is one of `arp_tbl` and of a device with room for [`Private`],
/// and its lock is not held by this thread.
pub struct Event<'a> {
    neighbour: *mut bindings::neighbour,
    _life: PhantomData<&'a ()>,
}

impl Event<'_> {
    /// # Safety
    ///
    /// `neighbour` must fulfil the invariants of the type.
    pub(in crate::net) unsafe fn from_raw(neighbour: *mut bindings::neighbour) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            neighbour,
            _life: PhantomData,
        }
    }

    /// Returns the IPv4 address.
    pub fn ip(&self) -> Ipv4Addr {
        // SAFETY: By the type invariant the neighbour is valid and one of `arp_tbl`.
        unsafe { ip(self.neighbour) }
    }

    /// Returns the present state, which may be newer than the event. Takes the lock of the
    /// neighbour.
    ///
    /// Link addresses that are shorter than `N` bytes are padded with zeroes. Returns `None` if
    /// they are longer, for broadcast, multicast and own addresses, if the driver has just
    /// [failed](Solicitation::fail) the neighbour, and if it was dead in an earlier call: then
    /// there may be another neighbour with its address. Calls for one neighbour must be serialised.
    pub fn state<const N: usize>(&self, _: &LocalBhDisabled) -> Option<State<N>> {
        const { assert!(N <= bindings::MAX_ADDR_LEN as usize) };
        let n = self.neighbour;
        // SAFETY: By the type invariant the neighbour is valid, its device lives as long, and this
        // thread does not hold its lock, which is taken with bottom halves off. `ha` has
        // MAX_ADDR_LEN bytes, and `N` is at most that.
        let (dead, nud, mut address) = unsafe {
            let lock = &raw mut (*n).lock;
            bindings::rust_helper_read_lock(lock);
            let (dead, nud) = ((*n).dead != 0, u32::from((*n).nud_state));
            let address = (&raw const (*n).ha).cast::<[u8; N]>().read();
            bindings::rust_helper_read_unlock(lock);
            (dead, nud, address)
        };
        // SAFETY: As above; `addr_len` never changes.
        let len = usize::from(unsafe { (*(*n).dev).addr_len });
        address.get_mut(len..)?.fill(0);
        // SAFETY: By the type invariant there is a private area, which is zero unless
        // `construct_callback` has filled it in.
        let private = unsafe { &*private(n) };
        // SAFETY: As above. The field never changes.
        if u32::from(unsafe { (*n).type_ }) != bindings::RTN_UNICAST {
            return None;
        }
        if dead && private.dead.read() {
            return None;
        }
        private.dead.write(dead);
        let is = |states: u32| nud & states != 0;
        Some(if dead {
            State::Dead
        } else if is(bindings::NUD_PERMANENT | bindings::NUD_NOARP) {
            State::Permanent(address)
        } else if is(bindings::NUD_REACHABLE) {
            State::Reachable(address)
        } else if is(bindings::NUD_STALE) {
            State::Stale(address)
        } else if is(bindings::NUD_DELAY | bindings::NUD_PROBE) {
            State::Probing(address)
        } else if is(bindings::NUD_FAILED) {
            if private.silent.read() {
                return None;
            }
            State::Failed
        } else {
            State::Unresolved
        })
    }
}
