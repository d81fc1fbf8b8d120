// SPDX-License-Identifier: GPL-2.0

//! The line of a device, and the frames of a TX ring that are on it.
//!
//! ```text
//!  waiting --turn--> sending --its time is over--> travelling --delay--> arrived
//! ```
//!
//! All queues of a device share one line, as those of a NIC do: [`Occupancy`] is the time until
//! which it is reserved. A queue has a *turn* when all frames that it was sending have left: it
//! reserves the line, behind the frames of other queues, for one frame, or for as many as take no
//! longer than the longest frame that another queue sends at that time (deficit round robin,
//! Shreedhar and Varghese, 1995, with a quantum that follows the traffic). So queues that have
//! frames share the line evenly, in bytes, regardless of the number and length of their frames.
//!
//! A turn begins when the line and the frame were ready for it, which may be before the poll ran: a
//! late timer leaves no gap on the line.
//!
//! A frame has *left* when its last bit is on the line. It is then completed for byte queue limits
//! and its socket, as by a NIC's completion interrupt and in `netem_enqueue()`
//! (`net/sched/sch_netem.c`). It keeps its slot until it has arrived, which bounds the number of
//! frames on a long line.

use crate::packet::{Packet, Packets};
use core::ops::DerefMut;

/// The properties of the line of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Rate in Mbit/s; 0: frames take no time.
    pub rate_mbit: u64,
    /// Delay in nanoseconds.
    pub delay: u64,
}

impl Line {
    /// Returns whether frames arrive as soon as they are posted.
    #[inline]
    pub const fn is_ideal(&self) -> bool {
        self.rate_mbit == 0 && self.delay == 0
    }

    /// Returns the time that `len` bytes occupy the line, in nanoseconds.
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

/// The time that the queues of a device have reserved on its line. Times are nanoseconds of one
/// monotonic clock.
#[derive(Debug, Default)]
pub struct Occupancy {
    /// When all reserved frames will have left.
    free_at: u64,
    /// The longest time that a reserved frame takes.
    longest: u64,
    /// When the frame with that time will have left.
    longest_until: u64,
}

impl Occupancy {
    /// Returns a line that is free from `now` on.
    pub fn free_from(now: u64) -> Self {
        Self {
            free_at: now,
            ..Self::default()
        }
    }

    /// Returns the time that a queue may add to the credit of its turn, which is to begin at `at`
    /// with a frame that takes `time`.
    fn quantum(&self, at: u64, time: u64) -> u64 {
        if at < self.longest_until && self.longest > time {
            self.longest
        } else {
            time
        }
    }

    /// Reserves the line for a frame that takes `time` and was posted at `posted`, in a turn that
    /// begins at `at`. Returns when the frame will have left.
    fn reserve(&mut self, at: u64, posted: u64, time: u64) -> u64 {
        self.free_at = at.max(posted).max(self.free_at).saturating_add(time);
        if at >= self.longest_until || time >= self.longest {
            self.longest = time;
            self.longest_until = self.free_at;
        }
        self.free_at
    }
}

/// The frames of one TX ring that are on the line, in order.
#[derive(Debug, Default)]
pub(crate) struct Journey<L> {
    /// Not on the line yet. Each stores the time at which it was posted.
    waiting: L,
    /// Frames with a reservation. Each stores the time at which it will have left.
    sending: L,
    /// Frames that have left. Each stores the time at which it arrives.
    travelling: L,
    /// Frames in all three lists.
    len: usize,
    /// Unused time of earlier turns.
    credit: u64,
    /// When the last frame of the previous turn will have left.
    sent_until: u64,
}

/// Takes the first frame, if its stored time has passed.
fn pop_due<L: Packets>(frames: &mut L, now: u64) -> Option<L::Packet> {
    if frames.front()?.time() > now {
        return None;
    }
    frames.pop_front()
}

impl<L: Packets> Journey<L> {
    /// Returns the number of frames.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of frames that have left.
    pub(crate) fn travelling(&self) -> usize {
        self.travelling.len()
    }

    /// Adds a frame.
    pub(crate) fn post(&mut self, mut frame: L::Packet, now: u64) {
        frame.set_time(now);
        self.waiting.push_back(frame);
        self.len = self.len.saturating_add(1);
    }

    /// Advances the frames to `now` and calls `left` for each that has left by then, at most
    /// `most`. `occupancy` locks the line: it is called only if the line has a rate, and its guard
    /// is dropped before `left` is called. Returns the number of bytes that have left.
    pub(crate) fn advance<G: DerefMut<Target = Occupancy>>(
        &mut self,
        line: &Line,
        now: u64,
        most: usize,
        occupancy: impl FnOnce() -> G,
        mut left: impl FnMut(&mut L::Packet),
    ) -> usize {
        let mut gone = L::default();
        let mut lock = Some(occupancy);
        let mut guard = None;
        loop {
            while gone.len() < most {
                let Some(frame) = pop_due(&mut self.sending, now) else {
                    break;
                };
                gone.push_back(frame);
            }
            if gone.len() >= most || !self.sending.is_empty() {
                break;
            }
            if line.rate_mbit == 0 {
                let Some(frame) = self.waiting.pop_front() else {
                    break;
                };
                // Without a rate a frame leaves when it is posted.
                self.sending.push_back(frame);
                continue;
            }
            if self.waiting.is_empty() {
                break;
            }
            if guard.is_none() {
                guard = lock.take().map(|lock| lock());
            }
            if let Some(occupancy) = &mut guard {
                self.turn(line, occupancy);
            }
        }
        drop(guard);
        let mut bytes = 0usize;
        while let Some(mut frame) = gone.pop_front() {
            bytes = bytes.saturating_add(frame.len());
            left(&mut frame);
            let sent = frame.time();
            frame.set_time(sent.saturating_add(line.delay));
            self.travelling.push_back(frame);
        }
        bytes
    }

    /// Reserves the line for at least one frame.
    fn turn(&mut self, line: &Line, occupancy: &mut Occupancy) {
        let mut begin = None;
        while let Some(frame) = self.waiting.front() {
            let time = line.time(frame.wire_len());
            let posted = frame.time();
            let at = *begin.get_or_insert_with(|| {
                let at = posted.max(self.sent_until);
                let quantum = occupancy.quantum(at, time);
                self.credit = self.credit.saturating_add(quantum);
                at
            });
            if time > self.credit {
                return;
            }
            self.credit = self.credit.saturating_sub(time);
            let Some(mut frame) = self.waiting.pop_front() else {
                return;
            };
            self.sent_until = occupancy.reserve(at, posted, time);
            frame.set_time(self.sent_until);
            self.sending.push_back(frame);
        }
        // A queue without frames saves no credit.
        self.credit = 0;
    }

    /// Moves the frames that have not left by `now` back to the waiting ones, as the rate changes:
    /// the time reserved for them is that of the old rate, which may be much longer.
    pub(crate) fn put_back(&mut self, now: u64) {
        let mut sending = self.sending.take();
        while let Some(frame) = pop_due(&mut sending, now) {
            self.sending.push_back(frame);
        }
        let mut waiting = L::default();
        while let Some(mut frame) = sending.pop_front() {
            frame.set_time(now);
            waiting.push_back(frame);
        }
        waiting.append(&mut self.waiting);
        self.waiting = waiting;
        self.credit = 0;
        self.sent_until = 0;
    }

    /// Takes all frames if none has a reservation or has left; otherwise none.
    pub(crate) fn take_waiting(&mut self) -> L {
        if self.waiting.len() < self.len {
            return L::default();
        }
        self.take()
    }

    /// Takes the frames that have arrived by `now`, at most `most`.
    pub(crate) fn arrived(&mut self, now: u64, most: usize) -> L {
        let mut frames = L::default();
        while frames.len() < most {
            let Some(frame) = pop_due(&mut self.travelling, now) else {
                break;
            };
            frames.push_back(frame);
        }
        self.len = self.len.saturating_sub(frames.len());
        frames
    }

    /// Returns the time of the next change, 0 for at once; `None` without frames.
    pub(crate) fn next(&self) -> Option<u64> {
        if self.sending.is_empty() && !self.waiting.is_empty() {
            return Some(0);
        }
        let leaves = self.sending.front().map(Packet::time);
        let arrives = self.travelling.front().map(Packet::time);
        match (leaves, arrives) {
            (Some(leaves), Some(arrives)) if arrives < leaves => Some(arrives),
            (Some(leaves), _) => Some(leaves),
            (None, arrives) => arrives,
        }
    }

    /// Takes all frames, in order.
    pub(crate) fn take(&mut self) -> L {
        let mut frames = self.travelling.take();
        frames.append(&mut self.sending);
        frames.append(&mut self.waiting);
        self.len = 0;
        self.credit = 0;
        self.sent_until = 0;
        frames
    }
}
