// SPDX-License-Identifier: GPL-2.0

//! Memory for the entries of a table, allocated in pieces of one page on demand.

use kernel::{
    alloc::{flags::__GFP_NOWARN, Flags},
    prelude::*, //
};
use spans_logic::arp::{
    slots::Store,
    table::{Slot, State},
};

/// Number of slots in a piece of one page.
const PIECE: usize = 4096 / size_of::<Slot>();

/// Slots in whole pieces, which are freed with the device.
pub(super) struct Pieces(KVVec<KVec<Slot>>);

impl Pieces {
    /// Reserves room for at least `slots` slots, none of which exist yet. Process context.
    pub(super) fn new(slots: usize) -> Result<Self> {
        let count = slots.div_ceil(PIECE);
        Ok(Self(KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?))
    }

    /// Allocates all pieces, charged to the cgroup of the caller. Process context.
    pub(super) fn fill(&mut self) -> Result {
        while self.0.len() < self.0.capacity() {
            self.0
                .push(Self::piece(GFP_KERNEL_ACCOUNT)?, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(())
    }

    fn piece(flags: Flags) -> Result<KVec<Slot>> {
        let mut piece = KVec::with_capacity(PIECE, flags)?;
        for _ in 0..PIECE {
            piece.push(Slot::default(), flags)?;
        }
        Ok(piece)
    }
}

impl Store<State> for Pieces {
    fn get(&self, index: usize) -> Option<&Slot> {
        self.0.get(index / PIECE)?.get(index % PIECE)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.0.get_mut(index / PIECE)?.get_mut(index % PIECE)
    }

    fn count(&self) -> usize {
        self.0.len().saturating_mul(PIECE)
    }

    fn max_count(&self) -> usize {
        self.0.capacity().saturating_mul(PIECE)
    }

    /// The piece is charged to no cgroup, like the neighbours of the kernel: a packet of any host
    /// may be the cause. Only the slots that every device may have are allocated here.
    fn extend(&mut self) {
        if self.0.len() < self.0.capacity() {
            if let Ok(piece) = Self::piece(GFP_ATOMIC | __GFP_NOWARN) {
                let _ = self.0.push_within_capacity(piece);
            }
        }
    }

    fn take_from(&mut self, other: &mut Self) {
        if self.0.is_empty() {
            for piece in other.0.drain_all() {
                let _ = self.0.push_within_capacity(piece);
            }
        }
        // Filled: the unused pieces go back, to be freed without the table's lock.
        for (to, from) in self.0.iter_mut().zip(other.0.iter_mut()) {
            core::mem::swap(to, from);
        }
    }
}
