// SPDX-License-Identifier: GPL-2.0

//! The transmit side of one queue: subqueue, stages, ring, and who starts what.
//!
//! ```text
//!  start_xmit      -> dispatch   a packet goes into the subqueue; start, or stage it
//!  rollup, timer   -> rollup     start what this CPU has staged
//!  poll, at first  -> poll       start what is left, take frames from the ring
//!  poll, at last   -> complete   free their slots, start again, wake the queue
//!  a second over   -> tick       is the ring getting anywhere?
//! ```
//!
//! *Start* moves packets from the subqueue into the ring until the ring is full
//! (`oactive`). Who did so rings the doorbell: the poll, the other side, comes. The
//! ancestor is the path from `ifq_dispatch()` to `ifsq_ifstart_*()` in DragonFly's
//! `sys/net/if.c`; its two locks, of the subqueue and of the hardware, are one here,
//! since the other side takes none while it carries frames.
//!
//! Everything here is called under the subqueue's lock.

use crate::{
    class::Class,
    line::{Line, Occupancy},
    packet::{Packet, Packets},
    ring::{Again, Ring},
    stage::{self, Armed, Decision, Flush, Stage},
    subqueue::{Enqueued, Limits, Subqueue},
};
use core::ops::DerefMut;

/// What the user sets, the same for all queues of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When stages are flushed.
    pub stage: stage::Settings,
    /// What a subqueue holds.
    pub limits: Limits,
    /// How many slots a ring has.
    pub slots: usize,
    /// What the line is like.
    pub line: Line,
}

/// Whether packets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The device is down.
    Down,
    /// It is up, but its line is cut.
    NoCarrier,
    /// Packets are taken.
    Running,
}

/// What is known of a packet that the stack hands over, and of where that happens.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its class.
    pub class: Class,
    /// The stack says that more is coming.
    pub more: bool,
    /// Its poll would run on this CPU.
    pub is_local: bool,
    /// This CPU.
    pub cpu: u32,
    /// A qdisc holds packets while the queue is stopped.
    pub qdisc: bool,
}

/// Why packets are to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxDrop {
    /// It is the packet that came, as the device is down.
    Down,
    /// It is the packet that came, as there is no carrier.
    NoCarrier,
    /// It is the packet that came, as the subqueue is full.
    Full,
    /// These are the oldest of norm, which a packet of prio takes the place of.
    PrioEvict,
}

/// How a stage is to be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// By the rollup of this CPU.
    Rollup,
    /// By the rollup of this CPU, after so many nanoseconds.
    Timer(u64),
}

/// What is to be done after a packet was taken, or refused.
#[must_use = "packets may have come back"]
pub struct Dispatched<L: Packets> {
    /// To be dropped, and why.
    pub refused: Option<(TxDrop, L)>,
    /// To be rung, and why.
    pub doorbell: Option<Flush>,
    /// To be armed.
    pub arm: Option<Arm>,
    /// The stack is to be told to send nothing more, until [`Completed::wake`] or
    /// [`Transmit::release`].
    pub stop: bool,
    /// Bytes that went into the ring.
    pub posted: usize,
}

/// What a poll has to do at first.
#[derive(Debug)]
pub struct Polled<L> {
    /// To be carried.
    pub frames: L,
    /// Bytes that went into the ring.
    pub posted: usize,
    /// Bytes, some of these perhaps, that left on a line: byte queue limits may let go of them.
    pub left: usize,
}

/// What is to be done after frames were completed.
#[derive(Debug)]
#[must_use = "frames may have come back"]
pub struct Completed<L> {
    /// To be dropped, as the line was cut meanwhile.
    pub lost: L,
    /// When the next poll is to come.
    pub again: Again,
    /// The stack may send again.
    pub wake: bool,
    /// Bytes that went into the ring.
    pub posted: usize,
    /// Bytes of frames that had not [left](Polled::left) before.
    pub left: usize,
}

/// What a second without news means.
#[derive(Debug, PartialEq, Eq)]
pub enum WatchdogCheck<L> {
    /// There is nothing to watch.
    Idle,
    /// The ring has work, and some seconds left.
    Busy,
    /// The ring has not moved for [`WATCHDOG_SECONDS`]: these were in it.
    Expired(L),
}

/// A ring that has work and completes nothing for so long is reset (DragonFly
/// drivers arm `if_timer` with it).
pub const WATCHDOG_SECONDS: u32 = 5;

/// The transmit side of one queue, without its lock.
#[derive(Debug)]
pub struct Transmit<L> {
    state: State,
    subqueue: Subqueue<L>,
    ring: Ring<L>,
    settings: Settings,
    /// The interlock: a start is due that was scheduled by force, so nobody else
    /// needs to start.
    started: bool,
    /// The ring had no slot for a packet. Completion starts again.
    oactive: bool,
    /// The stack was told to send nothing more.
    stopped: bool,
    /// The CPU whose stage the pending poll flushes, if it does.
    covers: Option<u32>,
    /// Seconds that are left until the ring is reset, 0 if nobody counts.
    watchdog: u32,
}

/// One packet.
#[cold]
fn only<L: Packets>(packet: L::Packet) -> L {
    let mut packets = L::default();
    packets.push_back(packet);
    packets
}

impl<L: Packets> Transmit<L> {
    /// The transmit side of a device that is down.
    pub fn new(settings: Settings) -> Self {
        Self {
            state: State::Down,
            subqueue: Subqueue::new(settings.limits),
            ring: Ring::new(settings.slots, settings.line),
            settings,
            started: false,
            oactive: false,
            stopped: false,
            covers: None,
            watchdog: 0,
        }
    }

    /// The subqueue, to be looked at.
    pub fn subqueue(&self) -> &Subqueue<L> {
        &self.subqueue
    }

    /// The ring, to be looked at.
    pub fn ring(&self) -> &Ring<L> {
        &self.ring
    }

    /// Whether somebody owns the interlock.
    pub fn started(&self) -> bool {
        self.started
    }

    /// Whether the ring had no slot for a packet.
    pub fn oactive(&self) -> bool {
        self.oactive
    }

    /// Whether the stack was told to stop.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes a packet from the stack that only joins others, which are to be started
    /// later anyway, or gives it back to be [dispatched](Self::dispatch). `stage` is
    /// this CPU's.
    #[inline]
    pub fn join(
        &mut self,
        stage: &mut Stage,
        packet: L::Packet,
        class: Class,
        more: bool,
    ) -> Result<(), L::Packet> {
        let len = packet.len();
        if self.may_start()
            && self.subqueue.has_room(len)
            && stage.join(&self.settings.stage, len, more)
        {
            self.subqueue.push(packet, class);
            return Ok(());
        }
        Err(packet)
    }

    /// Takes a packet from the stack. `stage` is this CPU's.
    pub fn dispatch(
        &mut self,
        stage: &mut Stage,
        packet: L::Packet,
        arrival: Arrival,
        clock: impl Fn() -> u64,
    ) -> Dispatched<L> {
        let mut todo = Dispatched {
            refused: None,
            doorbell: None,
            arm: None,
            stop: false,
            posted: 0,
        };
        match self.state {
            State::Running => {}
            State::NoCarrier => {
                todo.refused = Some((TxDrop::NoCarrier, only(packet)));
                return todo;
            }
            State::Down => {
                todo.refused = Some((TxDrop::Down, only(packet)));
                return todo;
            }
        }

        let idle = self.ring.used() == 0 && self.subqueue.is_empty();
        let may_start = !self.started && !self.oactive;
        let mut flush = None;
        if self.subqueue.is_full() && may_start {
            // What is staged has a place in the ring: nothing need be lost.
            flush = Some(Flush::Forced);
            todo.posted = self.start(&clock);
        }
        let len = packet.len();
        match self.subqueue.enqueue(packet, arrival.class) {
            Enqueued::Queued => {}
            Enqueued::Evicted(victims) => todo.refused = Some((TxDrop::PrioEvict, victims)),
            Enqueued::Full(packet) => todo.refused = Some((TxDrop::Full, only(packet))),
        }
        if !may_start {
            // Whoever owns the interlock, or frees slots, finds the packet.
            stage.clear();
        } else {
            match stage.add(&self.settings.stage, len, arrival.more, idle) {
                Decision::Start(why) => flush = flush.or(Some(why)),
                Decision::Wait => {}
                Decision::Arm => todo.arm = Some(Arm::Rollup),
                Decision::ArmTimer => todo.arm = Some(Arm::Timer(self.settings.stage.wait)),
            }
            if let Some(why) = flush {
                todo.posted = todo.posted.saturating_add(self.start(clock));
                stage.clear();
                if todo.posted > 0 {
                    todo.doorbell = Some(why);
                    self.arm_watchdog();
                    if self.stages_until_the_round_ends() {
                        if arrival.is_local && self.covers.is_none() {
                            if stage.cover() {
                                self.covers = Some(arrival.cpu);
                            }
                        } else if stage.open_round() {
                            todo.arm = Some(Arm::Rollup);
                        }
                    }
                }
            }
        }
        if arrival.qdisc && !self.stopped && self.is_congested() {
            self.stopped = true;
            todo.stop = true;
        }
        todo
    }

    /// Whether packets are taken, and nobody else sees to their start.
    #[inline]
    fn may_start(&self) -> bool {
        self.state == State::Running && !self.started && !self.oactive
    }

    /// Whether packets wait for others at all, and for the end of the softirq round
    /// only.
    #[inline]
    fn stages_until_the_round_ends(&self) -> bool {
        self.settings.stage.count > 1 && self.settings.stage.wait == 0
    }

    /// Whether the next packet might not find a place.
    #[inline]
    fn is_congested(&self) -> bool {
        self.oactive || self.ring.free() == 0 || self.subqueue.is_full()
    }

    /// Moves packets from the subqueue into the ring, and answers how many bytes
    /// that were. Nobody else starts meanwhile: the lock is held.
    #[inline]
    fn start(&mut self, clock: impl Fn() -> u64) -> usize {
        let bytes = self.subqueue.bytes();
        if self.ring.takes_at_once(self.subqueue.len()) && self.subqueue.may_take_all() {
            self.ring.post_all(self.subqueue.take_all());
            return bytes;
        }
        self.start_one_by_one(clock);
        bytes.saturating_sub(self.subqueue.bytes())
    }

    fn start_one_by_one(&mut self, clock: impl Fn() -> u64) {
        while let Some(packet) = self.subqueue.dequeue() {
            if let Err(packet) = self.ring.post(packet, &clock) {
                self.subqueue.prepend(packet);
                self.oactive = true;
                break;
            }
        }
    }

    /// The doorbell is about to ring.
    #[inline]
    fn arm_watchdog(&mut self) {
        if self.watchdog == 0 {
            self.watchdog = WATCHDOG_SECONDS;
        }
    }

    /// The rollup of a CPU, or its timer, starts what this CPU has staged. Answers
    /// why a doorbell is to be rung, if it is, and how many bytes went into the
    /// ring.
    pub fn rollup(&mut self, stage: &mut Stage, clock: impl Fn() -> u64) -> (Option<Flush>, usize) {
        let staged = stage.count() > 0;
        let why = match stage.disarm() {
            Armed::Time => Flush::Time,
            _ => Flush::Rollup,
        };
        if !staged || self.state != State::Running || self.started || self.oactive {
            return (None, 0);
        }
        let posted = self.start(clock);
        if posted == 0 {
            return (None, 0);
        }
        self.arm_watchdog();
        (Some(why), posted)
    }

    /// The CPU whose stage the poll that begins now has to flush. To be asked once
    /// at its beginning; that stage is to be [disarmed](Stage::disarm).
    #[inline]
    pub fn covered(&mut self) -> Option<u32> {
        self.covers.take()
    }

    /// The poll begins: what is queued is started, and frames are taken, at most
    /// `budget`.
    ///
    /// If the line has a rate, `occupancy` gives access to the time that all queues of the
    /// device have reserved on it. `left` is called for each frame that has left on a line by
    /// now, and still travels or is among those that are taken: its owner may be released.
    #[inline]
    pub fn poll<G: DerefMut<Target = Occupancy>>(
        &mut self,
        budget: usize,
        clock: impl Fn() -> u64,
        occupancy: impl FnOnce() -> G,
        left: impl FnMut(&mut L::Packet),
    ) -> Polled<L> {
        // Before the start, so that one that is scheduled from now on is another.
        self.started = false;
        let posted = self.restart(&clock);
        let budget = if self.state == State::Running {
            budget
        } else {
            0
        };
        let batch = self.ring.take(budget, clock, occupancy, left);
        Polled {
            frames: batch.frames,
            posted,
            left: batch.left,
        }
    }

    /// Starts what is queued, if that is possible, without a doorbell: the poll is
    /// at work.
    #[inline]
    fn restart(&mut self, clock: impl Fn() -> u64) -> usize {
        if self.subqueue.is_empty() || self.state != State::Running {
            return 0;
        }
        if self.oactive && self.ring.free() == 0 {
            return 0;
        }
        self.oactive = false;
        let posted = self.start(clock);
        if posted > 0 {
            self.arm_watchdog();
        }
        posted
    }

    /// The poll has carried `frames` frames of so many `bytes` away, and brings back those that
    /// it could not deliver yet. If the line was cut meanwhile, nobody would come for
    /// them: they are lost like those that [`purge`](Self::purge) found.
    #[inline]
    pub fn complete(
        &mut self,
        frames: usize,
        bytes: usize,
        back: L,
        clock: impl Fn() -> u64,
    ) -> Completed<L> {
        let left = self.ring.complete(frames, bytes);
        let mut lost = L::default();
        if self.state != State::Running {
            self.ring.complete(back.len(), 0);
            lost = back;
        } else if !back.is_empty() {
            self.ring.take_back(back);
        }
        let posted = self.restart(clock);
        if self.ring.used() == 0 || self.state != State::Running {
            self.watchdog = 0;
        } else if frames > 0 || self.watchdog == 0 {
            // It moves; or what came back is in a ring that nobody watches yet.
            self.watchdog = WATCHDOG_SECONDS;
        }
        Completed {
            lost,
            again: if self.state == State::Running {
                self.ring.again()
            } else {
                Again::Never
            },
            wake: self.try_wake(),
            posted,
            left,
        }
    }

    /// Whether a queue that was stopped may go on: when a quarter of the ring
    /// [is free](Ring::has_room), so that it does not stop again at once.
    #[inline]
    fn try_wake(&mut self) -> bool {
        let wake = self.stopped
            && self.state == State::Running
            && !self.is_congested()
            && self.ring.has_room();
        if wake {
            self.stopped = false;
        }
        wake
    }

    /// Has the poll start what is queued. Answers whether it is to be scheduled,
    /// which is so only if nobody has done that before.
    pub fn schedule(&mut self) -> bool {
        let schedule = self.state == State::Running
            && !self.started
            && (!self.subqueue.is_empty() || self.ring.has_posted() || self.stopped);
        if schedule {
            self.started = true;
            self.arm_watchdog();
        }
        schedule
    }

    /// Another second has passed. A ring whose frames wait for their time on the line, which
    /// those of other queues may take for long, does not hang.
    pub fn watchdog_check(&mut self, clock: impl Fn() -> u64) -> WatchdogCheck<L> {
        match self.watchdog {
            0 => WatchdogCheck::Idle,
            _ if matches!(self.ring.again(), Again::At(at) if at > clock()) => {
                self.watchdog = WATCHDOG_SECONDS;
                WatchdogCheck::Busy
            }
            1 => {
                self.watchdog = 0;
                self.oactive = false;
                WatchdogCheck::Expired(self.ring.reset())
            }
            _ => {
                self.watchdog -= 1;
                WatchdogCheck::Busy
            }
        }
    }

    /// Sets what the user wants. Nothing that is queued is lost or changes places.
    /// Answers whether the stack is to be told to send nothing more, as what a `qdisc`
    /// holds back need not be dropped here; [`schedule`](Self::schedule) is to be asked
    /// afterwards.
    pub fn set(&mut self, settings: Settings, qdisc: bool, clock: impl Fn() -> u64) -> bool {
        self.subqueue.set_limits(settings.limits);
        self.ring.set_slots(settings.slots);
        self.ring.set_line(settings.line, clock);
        self.settings = settings;
        let stop = qdisc && self.state == State::Running && !self.stopped && self.is_congested();
        self.stopped |= stop;
        stop
    }

    /// There is no qdisc any more that could hold packets back. Answers whether the
    /// stack, if it was told to stop, is to be told to go on: what does not fit is
    /// dropped and counted here.
    pub fn release(&mut self) -> bool {
        core::mem::take(&mut self.stopped)
    }

    /// The device goes up, or down: then [`purge`](Self::purge) ends the packets that
    /// are there.
    pub fn set_up(&mut self, up: bool, carrier: bool) {
        self.state = match (up, carrier) {
            (false, _) => State::Down,
            (true, false) => State::NoCarrier,
            (true, true) => State::Running,
        };
    }

    /// The line is cut, after which [`purge`](Self::purge) ends the packets that are
    /// there, or mended. On a device that is down that changes nothing.
    pub fn set_carrier(&mut self, carrier: bool) {
        if self.state != State::Down {
            self.set_up(true, carrier);
        }
    }

    /// Takes all packets, in order, to be dropped. The poll may be carrying others
    /// at this moment, and will complete them. What is armed stays so.
    pub fn purge(&mut self) -> L {
        let mut packets = self.ring.reset();
        packets.append(&mut self.subqueue.take_all());
        self.oactive = false;
        self.watchdog = 0;
        packets
    }

    /// The device is down, no poll is running, and none will that was scheduled
    /// before. All stages are to be [disarmed](Stage::disarm), too.
    pub fn down(&mut self) {
        self.started = false;
        self.stopped = false;
        self.covers = None;
    }
}
