// SPDX-License-Identifier: GPL-2.0

//! A transmit ring: slots for the frames that are the other side's business.
//!
//! A slot is in use from the moment a frame is posted until the other side has
//! completed it. The other side is what hardware would be: it takes frames when
//! the doorbell rings, some at a time, and completes them together. If the line
//! has a rate or a delay, a frame is taken only when it has [arrived](crate::line).
//!
//! Everything here is called under the subqueue's lock.

use crate::{
    line::{Journey, Line, Occupancy},
    packet::Packets, //
};
use core::ops::DerefMut;

/// Frames that the other side took at one time.
#[derive(Debug)]
pub struct Batch<L> {
    /// The frames.
    pub frames: L,
    /// The bytes of the frames that have left since the last time: the sender is done with them.
    pub left: usize,
}

/// When the other side is to take frames again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// When the doorbell rings.
    Never,
    /// At once.
    AtOnce,
    /// At this time, in nanoseconds of the clock that was asked.
    At(u64),
}

/// A ring.
#[derive(Debug)]
pub struct Ring<L> {
    /// Ready to be taken.
    ready: L,
    /// On their way over the line, behind those.
    journey: Journey<L>,
    /// Taken, not completed yet.
    in_flight: usize,
    /// The frames that are ready or in flight came over the line, as all frames behind them do:
    /// their bytes have left before. Otherwise none of them did.
    travelled: bool,
    slots: usize,
    line: Line,
    used_max: usize,
}

impl<L: Packets> Ring<L> {
    /// An empty ring.
    pub fn new(slots: usize, line: Line) -> Self {
        Self {
            ready: L::default(),
            journey: Journey::default(),
            in_flight: 0,
            travelled: false,
            slots,
            line,
            used_max: 0,
        }
    }

    /// How many slots are in use. May be more than there are, after there were
    /// made fewer.
    #[inline]
    pub fn used(&self) -> usize {
        let posted = self.ready.len().saturating_add(self.journey.len());
        posted.saturating_add(self.in_flight)
    }

    /// How many slots are free.
    #[inline]
    pub fn free(&self) -> usize {
        self.slots.saturating_sub(self.used())
    }

    /// How many slots there are.
    #[inline]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Whether a quarter of the slots is free, beside those of frames that travel: these free
    /// theirs when they arrive, whatever the sender does.
    #[inline]
    pub fn has_room(&self) -> bool {
        let slots = self.slots.saturating_sub(self.journey.travelling());
        self.free() >= slots / 4
    }

    /// The most slots that were ever in use.
    pub fn used_max(&self) -> usize {
        self.used_max
    }

    /// Sets the number of slots. Frames that are there stay.
    pub fn set_slots(&mut self, slots: usize) {
        self.slots = slots;
    }

    /// Sets what the line is like, for frames that have not left yet. With another rate the
    /// [`Occupancy`] is to be a new one, too.
    pub fn set_line(&mut self, line: Line, clock: impl Fn() -> u64) {
        if line.rate_mbit != self.line.rate_mbit && self.journey.len() > 0 {
            self.journey.put_back(clock());
        }
        self.line = line;
    }

    /// Whether frames posted now go over the line. They do behind others that do, as
    /// they arrive after them.
    #[inline]
    fn has_line(&self) -> bool {
        !self.line.is_ideal() || self.journey.len() > 0 || self.travelled
    }

    /// Whether [`post_all`](Self::post_all) takes so many frames.
    #[inline]
    pub fn takes_at_once(&self, frames: usize) -> bool {
        frames <= self.free() && !self.has_line()
    }

    /// Posts all `frames`. Legal only if [`takes_at_once`](Self::takes_at_once) says
    /// so.
    #[inline]
    pub fn post_all(&mut self, mut frames: L) {
        self.ready.append(&mut frames);
        self.note_used();
    }

    /// Posts a frame, or gives it back if all slots are in use. The clock is asked
    /// only if the time matters; its answers must not go back.
    pub fn post(&mut self, frame: L::Packet, clock: impl Fn() -> u64) -> Result<(), L::Packet> {
        if self.free() == 0 {
            return Err(frame);
        }
        if self.has_line() {
            self.journey.post(frame, clock());
        } else {
            self.ready.push_back(frame);
        }
        self.note_used();
        Ok(())
    }

    fn note_used(&mut self) {
        let used = self.used();
        if used > self.used_max {
            self.used_max = used;
        }
    }

    /// Takes at most `budget` frames that are ready. Their slots stay in use until
    /// [`complete`](Self::complete). With a budget of 0 the ring stands still.
    ///
    /// `occupancy` is asked for only if the line has a rate; `left` is called for each frame
    /// that has left by now.
    #[inline]
    pub fn take<G: DerefMut<Target = Occupancy>>(
        &mut self,
        budget: usize,
        clock: impl Fn() -> u64,
        occupancy: impl FnOnce() -> G,
        left: impl FnMut(&mut L::Packet),
    ) -> Batch<L> {
        let batch = if self.journey.len() == 0 && self.ready.len() <= budget {
            Batch {
                frames: self.ready.take(),
                left: 0,
            }
        } else {
            self.take_some(budget, clock, occupancy, left)
        };
        self.in_flight = self.in_flight.saturating_add(batch.frames.len());
        batch
    }

    #[inline(never)]
    fn take_some<G: DerefMut<Target = Occupancy>>(
        &mut self,
        budget: usize,
        clock: impl Fn() -> u64,
        occupancy: impl FnOnce() -> G,
        left: impl FnMut(&mut L::Packet),
    ) -> Batch<L> {
        let mut bytes = 0;
        if self.line.is_ideal() && !self.travelled {
            // Behind frames that came over the line, which are gone, these need not.
            self.ready.append(&mut self.journey.take_waiting());
        }
        if self.journey.len() > 0 && budget > 0 {
            let now = clock();
            bytes = self
                .journey
                .advance(&self.line, now, budget, occupancy, left);
            if self.travelled || self.ready.is_empty() && self.in_flight == 0 {
                let room = budget.saturating_sub(self.ready.len());
                let mut arrived = self.journey.arrived(now, room);
                self.travelled |= !arrived.is_empty();
                self.ready.append(&mut arrived);
            }
        }
        let frames = if self.ready.len() <= budget {
            self.ready.take()
        } else {
            let mut frames = L::default();
            while frames.len() < budget {
                let Some(frame) = self.ready.pop_front() else {
                    break;
                };
                frames.push_back(frame);
            }
            frames
        };
        Batch {
            frames,
            left: bytes,
        }
    }

    /// So many of the frames that were taken have arrived or ended: their slots are
    /// free. Of their `bytes`, answers those that did not leave before.
    #[inline]
    pub fn complete(&mut self, frames: usize, bytes: usize) -> usize {
        let bytes = if self.travelled { 0 } else { bytes };
        self.in_flight = self.in_flight.saturating_sub(frames);
        self.look_whether_empty();
        bytes
    }

    /// Behind the last frame that came over the line others need not.
    #[inline]
    fn look_whether_empty(&mut self) {
        if self.in_flight == 0 && self.ready.is_empty() {
            self.travelled = false;
        }
    }

    /// Takes back frames that were taken and could not be delivered. They are the
    /// first again.
    pub fn take_back(&mut self, mut frames: L) {
        self.in_flight = self.in_flight.saturating_sub(frames.len());
        frames.append(&mut self.ready);
        self.ready = frames;
        self.look_whether_empty();
    }

    /// Whether frames wait to be taken.
    #[inline]
    pub fn has_posted(&self) -> bool {
        !self.ready.is_empty() || self.journey.len() > 0
    }

    /// When frames are to be taken again.
    #[inline]
    pub fn again(&self) -> Again {
        if !self.ready.is_empty() {
            return Again::AtOnce;
        }
        match self.journey.next() {
            None => Again::Never,
            Some(0) => Again::AtOnce,
            Some(at) => Again::At(at),
        }
    }

    /// Takes all that was posted and not taken yet, to be dropped.
    pub fn reset(&mut self) -> L {
        let mut frames = self.ready.take();
        frames.append(&mut self.journey.take());
        self.look_whether_empty();
        frames
    }
}
