// SPDX-License-Identifier: GPL-2.0

//! Memory for the entries of a table, in pieces of one page: allocated on demand up to the limit of
//! a new device, and at once for a higher one.

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
pub(super) struct Pieces {
    used: KVVec<KVec<Slot>>,
    /// Pieces for [`extend`](Store::extend), allocated in advance.
    reserve: KVVec<KVec<Slot>>,
}

impl Pieces {
    /// Reserves room for at least `slots` slots, none of which exist yet. Process context.
    pub(super) fn new(slots: usize) -> Result<Self> {
        let count = slots.div_ceil(PIECE);
        Ok(Self {
            used: KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?,
            reserve: KVVec::new(),
        })
    }

    /// Allocates all pieces, charged to the cgroup of the caller. Process context.
    pub(super) fn fill(&mut self) -> Result {
        while self.used.len() + self.reserve.len() < self.used.capacity() {
            self.reserve
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
        self.used.get(index / PIECE)?.get(index % PIECE)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.used.get_mut(index / PIECE)?.get_mut(index % PIECE)
    }

    fn count(&self) -> usize {
        self.used.len().saturating_mul(PIECE)
    }

    fn max_count(&self) -> usize {
        self.used.capacity().saturating_mul(PIECE)
    }

    /// Without a reserve the piece is charged to no cgroup, like the neighbours of the kernel: a
    /// packet of any host may be the cause. There are as many as a new device may have.
    fn extend(&mut self) {
        if self.used.len() < self.used.capacity() {
            let reserved = self.reserve.pop();
            if let Some(piece) = reserved.or_else(|| Self::piece(GFP_ATOMIC | __GFP_NOWARN).ok()) {
                let _ = self.used.push_within_capacity(piece);
            }
        }
    }

    fn take_from(&mut self, other: &mut Self) {
        for piece in other.used.drain_all() {
            let _ = self.used.push_within_capacity(piece);
        }
    }
}
