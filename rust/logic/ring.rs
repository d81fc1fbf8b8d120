// SPDX-License-Identifier: GPL-2.0

//! A transmit ring: slots for the frames that are the other side's business.
//!
//! A slot is in use from the moment a frame is posted until the other side has
//! completed it. The other side is what hardware would be: it takes frames when
//! the doorbell rings, some at a time, and completes them together. If the line
//! has a rate or a delay, a frame is taken only when its time has come.
//!
//! Everything here is called under the subqueue's lock.

use crate::packet::{Packet, Packets};

/// What the line behind a ring is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Bits per second, in millions. 0: frames take no time.
    pub rate_mbit: u64,
    /// How long a frame travels, in nanoseconds.
    pub delay: u64,
}

impl Line {
    /// Whether frames arrive as soon as they are posted.
    #[inline]
    pub const fn is_ideal(&self) -> bool {
        self.rate_mbit == 0 && self.delay == 0
    }

    /// How long a frame of `len` bytes occupies the line, in nanoseconds.
    const fn time(&self, len: usize) -> u64 {
        match (len as u64)
            .saturating_mul(8 * 1000)
            .checked_div(self.rate_mbit)
        {
            Some(time) => time,
            None => 0,
        }
    }
}

/// Frames that the other side took at one time.
#[derive(Debug)]
pub struct Batch<L> {
    /// The frames.
    pub frames: L,
    /// When the next one is due, if one is waiting that is not yet: nanoseconds of
    /// the clock that was asked.
    pub due: Option<u64>,
}

/// A ring.
#[derive(Debug)]
pub struct Ring<L> {
    /// Posted, not taken yet.
    posted: L,
    /// The first so many of `posted` are due at once and bear no time.
    plain: usize,
    /// Taken, not completed yet.
    in_flight: usize,
    slots: usize,
    line: Line,
    /// When the line will have sent all that bear a time.
    busy_until: u64,
    used_max: usize,
}

impl<L: Packets> Ring<L> {
    /// An empty ring.
    pub fn new(slots: usize, line: Line) -> Self {
        Self {
            posted: L::default(),
            plain: 0,
            in_flight: 0,
            slots,
            line,
            busy_until: 0,
            used_max: 0,
        }
    }

    /// How many slots are in use. May be more than there are, after there were
    /// made fewer.
    #[inline]
    pub fn used(&self) -> usize {
        self.posted.len().saturating_add(self.in_flight)
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

    /// The most slots that were ever in use.
    pub fn used_max(&self) -> usize {
        self.used_max
    }

    /// Sets the number of slots. Frames that are there stay.
    pub fn set_slots(&mut self, slots: usize) {
        self.slots = slots;
    }

    /// Sets what the line is like, for frames that are posted from now on.
    pub fn set_line(&mut self, line: Line) {
        self.line = line;
    }

    /// Whether frames posted now bear a time. They do behind others that do, as
    /// they leave after them.
    #[inline]
    fn times(&self) -> bool {
        !self.line.is_ideal() || self.plain < self.posted.len()
    }

    /// Whether [`post_all`](Self::post_all) takes so many frames.
    #[inline]
    pub fn takes_at_once(&self, frames: usize) -> bool {
        frames <= self.free() && !self.times()
    }

    /// Posts all `frames`. Legal only if [`takes_at_once`](Self::takes_at_once) says
    /// so.
    #[inline]
    pub fn post_all(&mut self, mut frames: L) {
        self.plain = self.plain.saturating_add(frames.len());
        self.posted.append(&mut frames);
        self.note_used();
    }

    /// Posts a frame, or gives it back if all slots are in use. The clock is asked
    /// only if the time matters; its answers must not go back.
    pub fn post(&mut self, mut frame: L::Packet, clock: impl Fn() -> u64) -> Result<(), L::Packet> {
        if self.free() == 0 {
            return Err(frame);
        }
        if self.times() {
            let now = clock();
            let begin = if now > self.busy_until {
                now
            } else {
                self.busy_until
            };
            self.busy_until = begin.saturating_add(self.line.time(frame.len()));
            frame.set_due(self.busy_until.saturating_add(self.line.delay));
        } else {
            self.plain = self.plain.saturating_add(1);
        }
        self.posted.push_back(frame);
        self.note_used();
        Ok(())
    }

    fn note_used(&mut self) {
        let used = self.used();
        if used > self.used_max {
            self.used_max = used;
        }
    }

    /// Takes at most `budget` frames that are due. Their slots stay in use until
    /// [`complete`](Self::complete).
    pub fn take(&mut self, budget: usize, clock: impl Fn() -> u64) -> Batch<L> {
        if self.plain == self.posted.len() && self.plain <= budget {
            let frames = self.posted.take();
            self.in_flight = self.in_flight.saturating_add(frames.len());
            self.plain = 0;
            return Batch { frames, due: None };
        }
        let mut frames = L::default();
        let mut due = None;
        let mut now = None;
        while frames.len() < budget {
            if self.plain == 0 {
                let Some(first_due) = self.posted.first_due() else {
                    break;
                };
                let now = *now.get_or_insert_with(&clock);
                if first_due > now {
                    due = Some(first_due);
                    break;
                }
            }
            let Some(frame) = self.posted.pop_front() else {
                break;
            };
            self.plain = self.plain.saturating_sub(1);
            frames.push_back(frame);
        }
        self.in_flight = self.in_flight.saturating_add(frames.len());
        Batch { frames, due }
    }

    /// So many of the frames that were taken have arrived or ended: their slots are
    /// free.
    #[inline]
    pub fn complete(&mut self, frames: usize) {
        self.in_flight = self.in_flight.saturating_sub(frames);
    }

    /// Takes back frames that were taken and could not be delivered. They are the
    /// first again.
    pub fn take_back(&mut self, mut frames: L) {
        let count = frames.len();
        self.in_flight = self.in_flight.saturating_sub(count);
        self.plain = self.plain.saturating_add(count);
        frames.append(&mut self.posted);
        self.posted = frames;
    }

    /// Whether frames wait to be taken.
    #[inline]
    pub fn has_posted(&self) -> bool {
        !self.posted.is_empty()
    }

    /// Takes all that was posted and not taken yet, to be dropped.
    pub fn reset(&mut self) -> L {
        self.plain = 0;
        self.busy_until = 0;
        self.posted.take()
    }
}
