// SPDX-License-Identifier: GPL-2.0

//! The transmit side of one queue: subqueue, stages and TX ring.
//!
//! ```text
//!  ndo_start_xmit -> dispatch        add a packet to the subqueue; start, or stage it
//!  rollup, timer  -> rollup          start the staged packets of this CPU
//!  poll, begin    -> poll            start the other packets, take frames from the ring
//!  poll, end      -> complete        free their slots, start again, wake the queue
//!  1 Hz timer     -> watchdog_check  check whether the ring makes progress
//! ```
//!
//! *Start* moves packets from the subqueue into the ring until the ring is full (`oactive`). The
//! caller then rings the doorbell, which schedules the poll. The ancestor is the path from
//! `ifq_dispatch()` to `ifsq_ifstart_*()` in DragonFly's `sys/net/if.c`; its two locks, of the
//! subqueue and of the hardware, are one here, as the poll holds none while it forwards frames.
//!
//! All functions are called under the xmit lock.

use crate::{
    class::Class,
    line::{Line, Occupancy},
    packet::{Packet, Packets},
    ring::{Again, Ring},
    stage::{self, Armed, Decision, Flush, Stage},
    subqueue::{Enqueued, Limits, Subqueue},
};
use core::ops::DerefMut;

/// The settings of all queues of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The limits of stages.
    pub stage: stage::Settings,
    /// The limits of a subqueue.
    pub limits: Limits,
    /// The number of slots of a TX ring.
    pub slots: usize,
    /// The properties of the line.
    pub line: Line,
}

/// Whether packets are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The device is down.
    Down,
    /// The device is up, without a carrier.
    NoCarrier,
    /// Packets are accepted.
    Running,
}

/// The properties of a packet from the stack, and the context of the call.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The class of the packet.
    pub class: Class,
    /// The stack has announced more packets (`xmit_more`).
    pub more: bool,
    /// The poll would run on this CPU.
    pub is_local: bool,
    /// This CPU.
    pub cpu: u32,
    /// A qdisc holds packets while the queue is stopped.
    pub qdisc: bool,
}

/// Why packets are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxDrop {
    /// The new packet, as the device is down.
    Down,
    /// The new packet, as there is no carrier.
    NoCarrier,
    /// The new packet, as the subqueue is full.
    Full,
    /// The oldest norm packets, which a prio packet replaces.
    PrioEvict,
}

/// The flush to arm for a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// The rollup of this CPU.
    Rollup,
    /// The rollup of this CPU, after this time in nanoseconds.
    Timer(u64),
}

/// The actions after a packet was accepted or refused.
#[must_use = "packets may have come back"]
pub struct Dispatched<L: Packets> {
    /// The packets to drop, and why.
    pub refused: Option<(TxDrop, L)>,
    /// The doorbell is to be rung, for this reason.
    pub doorbell: Option<Flush>,
    /// The flush to arm.
    pub arm: Option<Arm>,
    /// The queue is to be stopped, until [`Completed::wake`] or [`Transmit::release`].
    pub stop: bool,
    /// Bytes that were moved into the ring.
    pub posted: usize,
}

/// The result of [`Transmit::poll`].
#[derive(Debug)]
pub struct Polled<L> {
    /// The frames to forward.
    pub frames: L,
    /// Bytes that were moved into the ring.
    pub posted: usize,
    /// Bytes that have left on a line, perhaps of these frames: byte queue limits may release them.
    pub left: usize,
}

/// The result of [`Transmit::complete`].
#[derive(Debug)]
#[must_use = "frames may have come back"]
pub struct Completed<L> {
    /// The frames to drop, as the carrier was lost or the device went down meanwhile.
    pub lost: L,
    /// When the next poll is to run.
    pub again: Again,
    /// The queue is to be woken.
    pub wake: bool,
    /// Bytes that were moved into the ring.
    pub posted: usize,
    /// Bytes of completed frames that had not [left](Polled::left) before.
    pub left: usize,
}

/// The result of [`Transmit::watchdog_check`].
#[derive(Debug, PartialEq, Eq)]
pub enum WatchdogCheck<L> {
    /// There is nothing to watch.
    Idle,
    /// The ring has work and has not expired.
    Busy,
    /// The ring has completed nothing for [`WATCHDOG_SECONDS`]: the frames that were in it.
    Expired(L),
}

/// A ring that has work and completes nothing for this time is reset (DragonFly drivers set
/// `if_timer` to it).
pub const WATCHDOG_SECONDS: u32 = 5;

/// The transmit side of one queue, without its lock.
#[derive(Debug)]
pub struct Transmit<L> {
    state: State,
    subqueue: Subqueue<L>,
    ring: Ring<L>,
    settings: Settings,
    /// The interlock: a forced start is scheduled, and no other start is needed.
    started: bool,
    /// The ring had no slot for a packet. The completion starts again.
    oactive: bool,
    /// The queue is stopped.
    stopped: bool,
    /// The CPU with the stage that the pending poll flushes, if any.
    covers: Option<u32>,
    /// Seconds until the ring is reset, 0 if it is not watched.
    watchdog: u32,
}

/// Returns a list of one packet.
#[cold]
fn only<L: Packets>(packet: L::Packet) -> L {
    let mut packets = L::default();
    packets.push_back(packet);
    packets
}

impl<L: Packets> Transmit<L> {
    /// Creates the transmit side of a device that is down.
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

    /// Returns the subqueue.
    pub fn subqueue(&self) -> &Subqueue<L> {
        &self.subqueue
    }

    /// Returns the ring.
    pub fn ring(&self) -> &Ring<L> {
        &self.ring
    }

    /// Returns whether the interlock is held.
    pub fn started(&self) -> bool {
        self.started
    }

    /// Returns whether the ring had no slot for a packet.
    pub fn oactive(&self) -> bool {
        self.oactive
    }

    /// Returns whether the queue is stopped.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Adds a packet from the stack that only joins an armed stage, or returns it for
    /// [`dispatch`](Self::dispatch). `stage` is this CPU's.
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

    /// Adds a packet from the stack, or refuses it. `stage` is this CPU's.
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
            // Staged packets have room in the ring: no packet need be dropped.
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
            // The scheduled start or the next completion finds the packet.
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

    /// Returns whether packets are accepted, and no other start is due for them.
    #[inline]
    fn may_start(&self) -> bool {
        self.state == State::Running && !self.started && !self.oactive
    }

    /// Returns whether packets are staged at all, and only until the softirq round ends.
    #[inline]
    fn stages_until_the_round_ends(&self) -> bool {
        self.settings.stage.count > 1 && self.settings.stage.wait == 0
    }

    /// Returns whether the next packet might have no room.
    #[inline]
    fn is_congested(&self) -> bool {
        self.oactive || self.ring.free() == 0 || self.subqueue.is_full()
    }

    /// Moves packets from the subqueue into the ring. Returns their number of bytes. The lock
    /// excludes other starts.
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

    /// Called before the doorbell rings.
    #[inline]
    fn arm_watchdog(&mut self) {
        if self.watchdog == 0 {
            self.watchdog = WATCHDOG_SECONDS;
        }
    }

    /// Starts the staged packets of this CPU, for its rollup or the rollup's timer. Returns why the
    /// doorbell is to be rung, if it is, and how many bytes were moved into the ring.
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

    /// Returns the CPU with the stage that the beginning poll has to flush. Called once, when the
    /// poll begins; the caller [disarms](Stage::disarm) that stage.
    #[inline]
    pub fn covered(&mut self) -> Option<u32> {
        self.covers.take()
    }

    /// Begins a poll: starts the queued packets and takes at most `budget` frames.
    ///
    /// If the line has a rate, `occupancy` locks the time that all queues of the device have
    /// reserved on it. `left` is called for each frame that has left on a line by now, and still
    /// travels or is among the taken frames: its socket may be released.
    #[inline]
    pub fn poll<G: DerefMut<Target = Occupancy>>(
        &mut self,
        budget: usize,
        clock: impl Fn() -> u64,
        occupancy: impl FnOnce() -> G,
        left: impl FnMut(&mut L::Packet),
    ) -> Polled<L> {
        // Before the start, so that a start that is scheduled from now on has another poll.
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

    /// Starts the queued packets, if possible. No doorbell is needed, as the poll runs.
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

    /// Completes `frames` frames of `bytes` bytes, and requeues those in `back`, which could not be
    /// delivered yet. If the carrier was lost meanwhile, no poll would take them: they are returned
    /// as lost, like those that [`purge`](Self::purge) found.
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
            // It makes progress; or the requeued frames are in a ring that is not watched yet.
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

    /// Returns whether a stopped queue is to be woken: when a quarter of the ring
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

    /// Has the poll start the queued packets. Returns whether the caller has to ring the doorbell,
    /// which is so only if no start is scheduled yet.
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

    /// Checks the ring, once a second. It does not expire while its frames wait for their time on
    /// the line, which other queues may have reserved for long.
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

    /// Applies settings. Queued packets are neither lost nor reordered. Returns whether the queue
    /// is to be stopped, so that a `qdisc` keeps the packets that would be dropped here; the caller
    /// calls [`schedule`](Self::schedule) afterwards.
    pub fn set(&mut self, settings: Settings, qdisc: bool, clock: impl Fn() -> u64) -> bool {
        self.subqueue.set_limits(settings.limits);
        self.ring.set_slots(settings.slots);
        self.ring.set_line(settings.line, clock);
        self.settings = settings;
        let stop = qdisc && self.state == State::Running && !self.stopped && self.is_congested();
        self.stopped |= stop;
        stop
    }

    /// Called when no qdisc is left that could hold packets back. Returns whether a stopped queue
    /// is to be woken: packets without room are dropped and counted here.
    pub fn release(&mut self) -> bool {
        core::mem::take(&mut self.stopped)
    }

    /// Sets whether the device is up and has a carrier. When it goes down, the caller then
    /// [purges](Self::purge) the packets.
    pub fn set_up(&mut self, up: bool, carrier: bool) {
        self.state = match (up, carrier) {
            (false, _) => State::Down,
            (true, false) => State::NoCarrier,
            (true, true) => State::Running,
        };
    }

    /// Sets the carrier, without effect on a device that is down. When it is lost, the caller then
    /// [purges](Self::purge) the packets.
    pub fn set_carrier(&mut self, carrier: bool) {
        if self.state != State::Down {
            self.set_up(true, carrier);
        }
    }

    /// Takes all packets, in order, for the caller to drop. Frames that the poll forwards at that
    /// time are completed by the poll. Armed flushes stay armed.
    pub fn purge(&mut self) -> L {
        let mut packets = self.ring.reset();
        packets.append(&mut self.subqueue.take_all());
        self.oactive = false;
        self.watchdog = 0;
        packets
    }

    /// Resets a device that is down: no poll runs, and none that was scheduled before will. The
    /// caller also [disarms](Stage::disarm) all stages.
    pub fn down(&mut self) {
        self.started = false;
        self.stopped = false;
        self.covers = None;
    }
}
