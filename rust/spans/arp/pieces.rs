// SPDX-License-Identifier: GPL-2.0

//! Memory for the entries of a table, which comes in pieces of a page when they are needed.

use kernel::{
    alloc::flags::__GFP_NOWARN,
    prelude::*, //
};
use spans_logic::arp::{
    slots::Store,
    table::{Slot, State},
};

/// How many slots are in a piece: what fits into a page.
const PIECE: usize = 4096 / size_of::<Slot>();

/// Slots, in whole pieces. None goes before the device does.
pub(super) struct Pieces(KVVec<KVec<Slot>>);

impl Pieces {
    /// Room for so many slots and some more, of which there are none yet. Process context.
    pub(super) fn new(slots: usize) -> Result<Self> {
        let count = slots.div_ceil(PIECE);
        Ok(Self(KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?))
    }

    /// Another piece. It is charged to no cgroup, as the kernel's neighbours are not: a packet of
    /// any host may be the reason.
    fn piece() -> Result<KVec<Slot>> {
        let mut piece = KVec::with_capacity(PIECE, GFP_ATOMIC | __GFP_NOWARN)?;
        for _ in 0..PIECE {
            piece.push(Slot::default(), GFP_ATOMIC)?;
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

    fn extend(&mut self) {
        if self.0.len() < self.0.capacity() {
            if let Ok(piece) = Self::piece() {
                let _ = self.0.push_within_capacity(piece);
            }
        }
    }

    fn take_from(&mut self, other: &mut Self) {
        for piece in other.0.drain_all() {
            let _ = self.0.push_within_capacity(piece);
        }
    }
}
