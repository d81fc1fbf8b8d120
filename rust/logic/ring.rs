// SPDX-License-Identifier: GPL-2.0

//! The slots of a TX ring.
//!
//! A slot is in use from the time at which a frame is posted until the poll has completed the
//! frame. The poll takes the place of hardware: it takes frames when the doorbell rings, a limited
//! number at a time, and completes them together. If the line has a rate or a delay, the poll takes
//! a frame only when it has [arrived](crate::line).
//!
//! All functions are called under the xmit lock.

use crate::{
    line::{Journey, Line, Occupancy},
    packet::Packets, //
};
use core::ops::DerefMut;

/// The frames that a poll takes at one time.
#[derive(Debug)]
pub struct Batch<L> {
    /// The frames.
    pub frames: L,
    /// The bytes that have left since the last call, for byte queue limits.
    pub left: usize,
}

/// When the poll is to take frames again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// When the doorbell rings.
    Never,
    /// At once.
    AtOnce,
    /// At this time, in nanoseconds of the caller's clock.
    At(u64),
}

/// A TX ring.
#[derive(Debug)]
pub struct Ring<L> {
    /// Ready to be taken.
    ready: L,
    /// On the line, behind the ready frames.
    journey: Journey<L>,
    /// Taken, not completed yet.
    in_flight: usize,
    /// The frames that are ready or in flight came over the line, as will all frames behind them:
    /// their bytes have been reported as left. If false, none of them came over the line.
    travelled: bool,
    slots: usize,
    line: Line,
    used_max: usize,
}

impl<L: Packets> Ring<L> {
    /// Creates an empty ring.
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

    /// Returns the number of slots in use. It may exceed [`slots`](Self::slots) after that was
    /// reduced.
    #[inline]
    pub fn used(&self) -> usize {
        let posted = self.ready.len().saturating_add(self.journey.len());
        posted.saturating_add(self.in_flight)
    }

    /// Returns the number of free slots.
    #[inline]
    pub fn free(&self) -> usize {
        self.slots.saturating_sub(self.used())
    }

    /// Returns the number of slots.
    #[inline]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Returns whether a quarter of the slots is free, without those of travelling frames, which
    /// become free when the frames arrive, whatever the sender does.
    #[inline]
    pub fn has_room(&self) -> bool {
        let slots = self.slots.saturating_sub(self.journey.travelling());
        self.free() >= slots / 4
    }

    /// Returns the highest number of slots that were ever in use.
    pub fn used_max(&self) -> usize {
        self.used_max
    }

    /// Sets the number of slots. Frames in the ring stay.
    pub fn set_slots(&mut self, slots: usize) {
        self.slots = slots;
    }

    /// Sets the line, for frames that have not left yet. If the rate changes, the caller also
    /// replaces the [`Occupancy`].
    pub fn set_line(&mut self, line: Line, clock: impl Fn() -> u64) {
        if line.rate_mbit != self.line.rate_mbit && self.journey.len() > 0 {
            self.journey.put_back(clock());
        }
        self.line = line;
    }

    /// Returns whether frames posted now go over the line. They do if earlier frames do, so that
    /// they arrive after them.
    #[inline]
    fn has_line(&self) -> bool {
        !self.line.is_ideal() || self.journey.len() > 0 || self.travelled
    }

    /// Returns whether [`post_all`](Self::post_all) accepts `frames` frames.
    #[inline]
    pub fn takes_at_once(&self, frames: usize) -> bool {
        frames <= self.free() && !self.has_line()
    }

    /// Posts all `frames`. Allowed only if [`takes_at_once`](Self::takes_at_once) returns true for
    /// them.
    #[inline]
    pub fn post_all(&mut self, mut frames: L) {
        self.ready.append(&mut frames);
        self.note_used();
    }

    /// Posts a frame, or returns it if all slots are in use. `clock` is read only if the frame goes
    /// over the line, and must be monotonic.
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

    /// Takes at most `budget` ready frames. Their slots stay in use until
    /// [`complete`](Self::complete). A budget of 0 stalls the ring.
    ///
    /// `occupancy` locks the line and is called only if the line has a rate; `left` is called for
    /// each frame that has left by now.
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
            // All frames that came over the line are completed: the waiting ones need not use it.
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

    /// Completes frames that were forwarded or dropped, and frees their slots. Returns those of
    /// their `bytes` that were not reported as left before.
    #[inline]
    pub fn complete(&mut self, frames: usize, bytes: usize) -> usize {
        let bytes = if self.travelled { 0 } else { bytes };
        self.in_flight = self.in_flight.saturating_sub(frames);
        self.clear_travelled_if_empty();
        bytes
    }

    /// Lets later frames bypass the line, once no frame that came over it is left.
    #[inline]
    fn clear_travelled_if_empty(&mut self) {
        if self.in_flight == 0 && self.ready.is_empty() {
            self.travelled = false;
        }
    }

    /// Requeues frames that were taken and could not be delivered, in front of all others.
    pub fn take_back(&mut self, mut frames: L) {
        self.in_flight = self.in_flight.saturating_sub(frames.len());
        frames.append(&mut self.ready);
        self.ready = frames;
        self.clear_travelled_if_empty();
    }

    /// Returns whether there are posted frames that have not been taken.
    #[inline]
    pub fn has_posted(&self) -> bool {
        !self.ready.is_empty() || self.journey.len() > 0
    }

    /// Returns when frames are to be taken again.
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

    /// Takes all frames that are posted and not taken yet, for the caller to drop.
    pub fn reset(&mut self) -> L {
        let mut frames = self.ready.take();
        frames.append(&mut self.journey.take());
        self.clear_travelled_if_empty();
        frames
    }
}
