// SPDX-License-Identifier: GPL-2.0

//! Shared by the tests: packets that record a drop which was not accounted for, and a model of
//! the driver around the state machines (`rust/spans`) without a kernel.
//!
//! [`World`] holds the pending polls, rollups and timers, and lets a test choose the next event.
//! After each event, [`World::check`] compares the state machines with plain lists of packet
//! numbers.

#![allow(dead_code, reason = "each test uses a part of this")]

use spans_logic::{
    class::Class,
    config::{Config, Param},
    line::Occupancy,
    packet::{Packet, Packets},
    ring::Again,
    stage::{Armed, Flush, Stage},
    transmit::{Arm, Arrival, Transmit, TxDrop, WatchdogCheck, WATCHDOG_SECONDS},
};
use std::{cell::RefCell, collections::VecDeque, rc::Rc};

pub(crate) const CPUS: usize = 3;
pub(crate) const QUEUES: usize = 2;
pub(crate) const HEADER: usize = 28;
pub(crate) const MTU: usize = 1500;
/// As in `rust/spans/queue.rs`.
pub(crate) const RETRY: u64 = 50_000;

/// The accounting of all packets.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Number of packets that were created and have not ended.
    pub(crate) live: usize,
    /// Packets that were dropped without [`Pkt::end`].
    pub(crate) silent: Vec<usize>,
    /// How often a packet was taken out of a list.
    pub(crate) taken: usize,
}

/// A packet.
#[derive(Debug)]
pub(crate) struct Pkt {
    pub(crate) id: usize,
    pub(crate) class: Class,
    pub(crate) len: usize,
    pub(crate) time: u64,
    /// Bytes that its frames have beyond `len`: the headers of its segments.
    pub(crate) headers: usize,
    /// It has left on a line, and its sender was released.
    pub(crate) left: bool,
    ended: bool,
    ledger: Rc<RefCell<Ledger>>,
}

impl Pkt {
    pub(crate) fn new(ledger: &Rc<RefCell<Ledger>>, id: usize, class: Class, len: usize) -> Self {
        ledger.borrow_mut().live += 1;
        Self {
            id,
            class,
            len,
            time: u64::MAX, // not set yet
            headers: 0,
            left: false,
            ended: false,
            ledger: ledger.clone(),
        }
    }

    /// Ends the packet, accounted for. Returns its number.
    pub(crate) fn end(mut self) -> usize {
        self.ended = true;
        self.ledger.borrow_mut().live -= 1;
        self.id
    }
}

impl Drop for Pkt {
    fn drop(&mut self) {
        if !self.ended {
            self.ledger.borrow_mut().silent.push(self.id);
        }
    }
}

impl Packet for Pkt {
    fn len(&self) -> usize {
        self.len
    }
    fn wire_len(&self) -> usize {
        self.len + self.headers
    }
    fn set_time(&mut self, time: u64) {
        self.time = time;
    }
    fn time(&self) -> u64 {
        self.time
    }
}

/// Packets in order.
#[derive(Debug, Default)]
pub(crate) struct List(pub(crate) VecDeque<Pkt>);

impl List {
    pub(crate) fn ids(&self) -> Vec<usize> {
        self.0.iter().map(|packet| packet.id).collect()
    }

    /// Ends all packets.
    pub(crate) fn end(self) -> Vec<usize> {
        self.0.into_iter().map(Pkt::end).collect()
    }
}

impl Packets for List {
    type Packet = Pkt;
    fn len(&self) -> usize {
        self.0.len()
    }
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    fn push_back(&mut self, packet: Pkt) {
        self.0.push_back(packet);
    }
    fn pop_front(&mut self) -> Option<Pkt> {
        let packet = self.0.pop_front()?;
        packet.ledger.borrow_mut().taken += 1;
        Some(packet)
    }
    fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }
    fn front(&self) -> Option<&Pkt> {
        self.0.front()
    }
}

/// How a packet ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Delivered,
    Refused(TxDrop),
    Purged,
    Expired,
}

/// The frames that a poll forwards, without the lock.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) frames: List,
}

/// Releases the sender of a packet that has left, which happens once.
pub(crate) fn leave(packet: &mut Pkt) {
    assert!(!packet.left, "a packet leaves twice");
    packet.left = true;
}

/// One queue and its surroundings.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) tx: Transmit<List>,
    /// One for each CPU.
    pub(crate) stages: Vec<Stage>,
    /// The owner CPU.
    pub(crate) home: usize,
    /// The poll is scheduled.
    pub(crate) poll: bool,
    /// `tx_pending`: the poll has work on the transmit side.
    pub(crate) rung: bool,
    /// When the timer of the poll fires.
    pub(crate) line: Option<u64>,
    pub(crate) carried: Option<Carried>,
    /// The ring hangs (debugfs `stall`).
    pub(crate) stalled: bool,
    pub(crate) qdisc: bool,
    /// The stack holds packets back.
    pub(crate) stopped: bool,
    pub(crate) doorbells: Vec<Flush>,

    // The model's own accounting, compared with `tx`.
    /// Packets accepted and not ended, in order of arrival: of prio, of norm.
    inside: [VecDeque<usize>; 2],
    pub(crate) given: usize,
    /// The packets that ended, in that order.
    pub(crate) ends: Vec<(usize, End)>,
    /// Bytes that were accepted, that were reported as posted to the ring, and that left the
    /// subqueue otherwise.
    bytes_in: usize,
    bytes_posted: usize,
    bytes_ended: usize,
    /// Bytes in the ring that are charged to byte queue limits.
    pub(crate) limited: usize,
    /// `limited` was reset while a poll held frames.
    forgotten: bool,
    /// Seconds without a completion while frames wait in the ring, and while the ring is in use
    /// or a start is scheduled.
    hung: u32,
    quiet: u32,
}

fn bytes_of<'a>(packets: impl Iterator<Item = &'a Pkt>) -> usize {
    packets.map(|packet| packet.len).sum()
}

fn number(class: Class) -> usize {
    match class {
        Class::Prio => 0,
        Class::Norm => 1,
    }
}

/// Returns the earlier one of a pending timer and `at`.
fn earlier(timer: Option<u64>, at: u64) -> Option<u64> {
    Some(timer.map_or(at, |timer| timer.min(at)))
}

impl Queue {
    /// Returns the number of packets inside.
    pub(crate) fn inside(&self) -> usize {
        self.inside.iter().map(VecDeque::len).sum()
    }

    /// Accounts for bytes that were posted to the ring.
    fn posted(&mut self, bytes: usize) {
        self.bytes_posted += bytes;
        self.limited += bytes;
    }

    /// Accounts for bytes that left.
    fn left(&mut self, bytes: usize) {
        assert!(self.limited >= bytes || self.forgotten, "bytes leave twice");
        self.limited = self.limited.saturating_sub(bytes);
    }

    /// Accounts for a reset of the ring; frames that a poll holds stay.
    fn forget(&mut self) {
        self.limited = 0;
        self.forgotten |= self.carried.is_some();
    }

    fn ended(&mut self, id: usize, end: End) {
        self.ends.push((id, end));
    }

    /// Returns the numbers of the delivered packets.
    pub(crate) fn delivered(&self) -> Vec<usize> {
        let delivered = self.ends.iter().filter(|(_, end)| *end == End::Delivered);
        delivered.map(|(id, _)| *id).collect()
    }

    /// Returns the number of packets that ended like `wanted`.
    pub(crate) fn count(&self, wanted: End) -> usize {
        self.ends.iter().filter(|(_, end)| *end == wanted).count()
    }
}

/// The pending work of a CPU for the device.
#[derive(Debug, Default)]
pub(crate) struct Cpu {
    /// The bits of its rollup.
    pub(crate) bits: u64,
    /// Its rollup is scheduled.
    pub(crate) rollup: bool,
    /// When the timer of its rollup fires.
    pub(crate) timer: Option<u64>,
    /// The bits that its running rollup has yet to visit.
    pub(crate) visiting: u64,
}

/// A device and its driver.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) queues: Vec<Queue>,
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) config: Config,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) line: Occupancy,
    pub(crate) now: u64,
    pub(crate) up: bool,
    pub(crate) carrier: bool,
    /// Packets may join an armed stage without a dispatch.
    pub(crate) joins: bool,
    /// The class and the length of each packet.
    packets: Vec<(Class, usize)>,
}

impl World {
    /// Creates a device that is up, with `stage_count` set to `count`.
    pub(crate) fn new(count: u32) -> Self {
        let mut config = Config::default();
        config.set(Param::StageCount, count).unwrap();
        let settings = config.settings(MTU, HEADER, CPUS);
        let queue = |index| Queue {
            tx: Transmit::new(settings),
            stages: vec![Stage::default(); CPUS],
            home: index,
            poll: false,
            rung: false,
            line: None,
            carried: None,
            stalled: false,
            qdisc: false,
            stopped: false,
            doorbells: Vec::new(),
            inside: Default::default(),
            given: 0,
            ends: Vec::new(),
            bytes_in: 0,
            bytes_posted: 0,
            bytes_ended: 0,
            limited: 0,
            forgotten: false,
            hung: 0,
            quiet: 0,
        };
        let mut world = Self {
            queues: (0..QUEUES).map(queue).collect(),
            cpus: (0..CPUS).map(|_| Cpu::default()).collect(),
            config,
            ledger: Rc::default(),
            line: Occupancy::default(),
            now: 0,
            up: false,
            carrier: true,
            joins: true,
            packets: Vec::new(),
        };
        world.set_up(true);
        world
    }

    pub(crate) fn running(&self) -> bool {
        self.up && self.carrier
    }

    fn ring(&mut self, queue: usize, why: Flush) {
        let queue = &mut self.queues[queue];
        queue.doorbells.push(why);
        queue.rung = true;
        queue.poll = true;
    }

    /// Sends a small packet of norm, without `xmit_more`.
    pub(crate) fn send(&mut self, cpu: usize, queue: usize) -> usize {
        self.transmit(cpu, queue, Class::Norm, 60, false)
    }

    /// `start_xmit`.
    pub(crate) fn transmit(
        &mut self,
        cpu: usize,
        index: usize,
        class: Class,
        len: usize,
        more: bool,
    ) -> usize {
        let id = self.packets.len();
        self.packets.push((class, len));
        let packet = Pkt::new(&self.ledger, id, class, len);
        let running = self.running();
        let limits = self.config.settings(MTU, HEADER, CPUS).limits;
        let now = self.now;
        let queue = &mut self.queues[index];
        queue.given += 1;
        queue.inside[number(class)].push_back(id);
        queue.bytes_in += len;
        let queued = queue.tx.subqueue().len();
        let packet = if self.joins {
            match queue.tx.join(&mut queue.stages[cpu], packet, class, more) {
                Ok(()) => {
                    // 34: and the next packet has room, too.
                    assert!(running && !queue.tx.subqueue().is_full());
                    return id;
                }
                Err(packet) => packet,
            }
        } else {
            packet
        };
        let arrival = Arrival {
            class,
            more,
            is_local: cpu == queue.home,
            cpu: cpu as u32,
            qdisc: queue.qdisc,
        };
        let may_start = running && !queue.tx.started() && !queue.tx.oactive();
        let todo = queue
            .tx
            .dispatch(&mut queue.stages[cpu], packet, arrival, || now);
        queue.posted(todo.posted);
        // A doorbell has a reason.
        assert_eq!(todo.doorbell.is_some(), todo.posted > 0);
        assert!(todo.doorbell.is_none() || may_start && queue.tx.ring().has_posted());
        let mut accepted = true;
        match todo.refused {
            None => assert!(running),
            Some((TxDrop::PrioEvict, victims)) => {
                // 36: the oldest of norm. The packets before them are in the ring by now.
                assert!(class == Class::Prio && running);
                let norm = &mut queue.inside[number(Class::Norm)];
                let first = victims.0.front().unwrap().id;
                let place = norm.iter().position(|id| *id == first).unwrap();
                assert!(place <= queue.tx.ring().used() + 1);
                for victim in victims.0 {
                    assert_eq!(norm.remove(place), Some(victim.id));
                    queue.bytes_ended += victim.len;
                    queue
                        .ends
                        .push((victim.end(), End::Refused(TxDrop::PrioEvict)));
                }
            }
            Some((why, packets)) => {
                accepted = false;
                assert_eq!(packets.ids(), [id]);
                queue.bytes_ended += len;
                assert_eq!(queue.inside[number(class)].pop_back(), Some(id));
                match why {
                    TxDrop::Down => assert!(!self.up),
                    TxDrop::NoCarrier => assert!(self.up && !self.carrier),
                    // 9: only if the queued packets could not be started either.
                    _ => assert!(
                        running
                            && queue.tx.subqueue().is_full()
                            && !(may_start && queue.tx.ring().free() > 0)
                    ),
                }
                // With a qdisc no packet is lost.
                assert!(why != TxDrop::Full || !queue.qdisc);
                for id in packets.end() {
                    queue.ended(id, End::Refused(why));
                }
            }
        }
        // 34.
        if accepted {
            assert!(queue.tx.subqueue().len() <= limits.packets.max(queued));
        }
        if todo.stop {
            assert!(queue.qdisc && !queue.stopped && running);
            queue.stopped = true;
        }
        if let Some(why) = todo.doorbell {
            self.ring(index, why);
        }
        self.arm(cpu, index, todo.arm);
        id
    }

    fn arm(&mut self, cpu: usize, queue: usize, how: Option<Arm>) {
        let Some(how) = how else {
            return;
        };
        let cpu = &mut self.cpus[cpu];
        assert_eq!(cpu.bits & (1 << queue), 0, "the bit is set already");
        cpu.bits += 1 << queue;
        match how {
            Arm::Rollup => cpu.rollup = true,
            Arm::Timer(after) => cpu.timer = earlier(cpu.timer, self.now + after),
        }
    }

    /// Begins the rollup of a CPU. Returns whether it was scheduled.
    pub(crate) fn begin_rollup(&mut self, cpu: usize) -> bool {
        let cpu = &mut self.cpus[cpu];
        let begins = cpu.rollup && cpu.visiting == 0;
        if begins {
            cpu.rollup = false;
            cpu.visiting = core::mem::take(&mut cpu.bits);
        }
        begins
    }

    /// Has the running rollup of a CPU visit one subqueue. Returns whether there was one.
    pub(crate) fn visit(&mut self, cpu: usize) -> bool {
        let bits = &mut self.cpus[cpu].visiting;
        if *bits == 0 {
            return false;
        }
        let index = bits.trailing_zeros() as usize;
        *bits &= *bits - 1;
        let now = self.now;
        let running = self.running();
        let queue = &mut self.queues[index];
        let idle = !running || queue.tx.started() || queue.tx.oactive();
        let (doorbell, posted) = queue.tx.rollup(&mut queue.stages[cpu], || now);
        // 29: no flags are left. 30: no start if the interlock or the ring is in use.
        assert_eq!(queue.stages[cpu].armed(), Armed::No);
        assert_eq!(queue.stages[cpu].count(), 0);
        assert!(!(idle && doorbell.is_some()));
        assert_eq!(doorbell.is_some(), posted > 0);
        queue.posted(posted);
        if let Some(why) = doorbell {
            self.ring(index, why);
        }
        true
    }

    /// Runs a scheduled rollup to its end.
    pub(crate) fn rollup(&mut self, cpu: usize) -> bool {
        let begins = self.begin_rollup(cpu);
        while self.visit(cpu) {}
        begins
    }

    /// Begins a scheduled poll, which holds frames until [`end_poll`](Self::end_poll).
    pub(crate) fn begin_poll(&mut self, index: usize, budget: usize) -> bool {
        let now = self.now;
        let queue = &mut self.queues[index];
        if !queue.poll || queue.carried.is_some() || !self.up {
            return false;
        }
        queue.poll = false;
        if !queue.rung {
            return true;
        }
        queue.rung = false;
        let budget = if queue.stalled { 0 } else { budget };
        if let Some(cpu) = queue.tx.covered() {
            let stage = &mut queue.stages[cpu as usize];
            assert_eq!(stage.armed(), Armed::Poll);
            stage.disarm();
        }
        assert!(queue.tx.covered().is_none());
        let polled = queue.tx.poll(budget, || now, || &mut self.line, leave);
        queue.posted(polled.posted);
        queue.left(polled.left);
        // 21: another start may be scheduled from now on.
        assert!(!queue.tx.started());
        assert!(polled.frames.len() <= budget);
        // 39: they are the oldest of their classes.
        let mut first = [0; 2];
        for packet in &polled.frames.0 {
            let class = number(packet.class);
            assert_eq!(queue.inside[class][first[class]], packet.id);
            first[class] += 1;
        }
        queue.carried = Some(Carried {
            frames: polled.frames,
        });
        true
    }

    /// Ends a poll. The last `blocked` frames found no room.
    pub(crate) fn end_poll(&mut self, index: usize, blocked: usize) -> bool {
        let now = self.now;
        let running = self.running();
        let queue = &mut self.queues[index];
        let Some(Carried { mut frames }) = queue.carried.take() else {
            return false;
        };
        let done = frames.len() - blocked.min(frames.len());
        let back = List(frames.0.split_off(done));
        let blocked = !back.is_empty();
        let bytes = bytes_of(frames.0.iter());
        let kept = bytes_of(frames.0.iter().filter(|packet| !packet.left));
        for packet in frames.0 {
            let class = number(packet.class);
            assert_eq!(queue.inside[class].pop_front(), Some(packet.id));
            queue.ended(packet.end(), End::Delivered);
        }
        let completed = queue.tx.complete(done, bytes, back, || now);
        assert_eq!(completed.left, kept);
        queue.left(completed.left);
        queue.forgotten &= completed.again != Again::Never;
        queue.posted(completed.posted);
        // Without a carrier no poll would fetch them again.
        assert!(completed.lost.is_empty() || !running);
        assert!(running || !blocked || !completed.lost.is_empty());
        for packet in completed.lost.0 {
            let class = number(packet.class);
            queue.inside[class].retain(|id| *id != packet.id);
            queue.ended(packet.end(), End::Purged);
        }
        if done > 0 {
            (queue.hung, queue.quiet) = (0, 0);
        }
        if completed.wake {
            assert!(queue.stopped && running);
            queue.stopped = false;
        }
        if queue.stalled || completed.again == Again::Never {
            return true;
        }
        queue.rung = true;
        match completed.again {
            _ if blocked => queue.line = earlier(queue.line, now + RETRY),
            Again::At(at) => queue.line = earlier(queue.line, at.max(now)),
            _ => queue.poll = true,
        }
        true
    }

    /// Runs a scheduled poll to its end.
    pub(crate) fn poll(&mut self, queue: usize, budget: usize) -> bool {
        let begins = self.begin_poll(queue, budget);
        self.end_poll(queue, 0);
        begins
    }

    /// Schedules a start of the queued packets by the poll. Returns whether it did.
    pub(crate) fn kick(&mut self, index: usize) -> bool {
        let queue = &mut self.queues[index];
        let owned = queue.tx.started();
        let schedule = queue.tx.schedule();
        // 2: `schedule` does not take an interlock that is owned.
        assert!(!(schedule && (owned || !self.running())));
        if schedule {
            assert!(self.queues[index].tx.started());
            self.ring(index, Flush::Forced);
        }
        schedule
    }

    /// Applies `config`.
    fn apply(&mut self) {
        let settings = self.config.settings(MTU, HEADER, CPUS);
        for index in 0..QUEUES {
            let queue = &mut self.queues[index];
            let (queued, used) = (queue.tx.subqueue().len(), queue.tx.ring().used());
            let now = self.now;
            if queue.tx.set(settings, queue.qdisc, || now) {
                assert!(queue.qdisc && !queue.stopped);
                queue.stopped = true;
            }
            // No packet is lost.
            assert_eq!(queued, queue.tx.subqueue().len());
            assert_eq!(used, queue.tx.ring().used());
            self.kick(index);
        }
        // Stages that wait for the timer are flushed.
        for cpu in &mut self.cpus {
            cpu.rollup |= cpu.bits != 0;
        }
    }

    /// Sets a parameter.
    pub(crate) fn set(&mut self, param: Param, value: u32) {
        if param == Param::RateMbit && value != self.config.get(param) {
            self.line = Occupancy::free_from(self.now);
        }
        self.config.set(param, value).unwrap();
        self.apply();
    }

    pub(crate) fn set_slots(&mut self, slots: u32) {
        self.config.set_slots(slots, 1024).unwrap();
        self.apply();
    }

    fn purge(&mut self, index: usize) {
        let queue = &mut self.queues[index];
        queue.bytes_ended += queue.tx.subqueue().bytes();
        queue.forget();
        let packets = queue.tx.purge();
        // 43: only the frames that a poll holds are left, and each class is in order.
        let carried = queue.carried.as_ref();
        let carried = carried.map_or(Vec::new(), |carried| carried.frames.ids());
        let mut left: [VecDeque<usize>; 2] = Default::default();
        for id in carried {
            left[number(self.packets[id].0)].push_back(id);
        }
        for packet in &packets.0 {
            left[number(packet.class)].push_back(packet.id);
        }
        assert_eq!(left, queue.inside);
        for packet in packets.0 {
            let class = number(packet.class);
            queue.inside[class].retain(|id| *id != packet.id);
            queue.ended(packet.end(), End::Purged);
        }
        assert!(queue.tx.subqueue().is_empty() && queue.tx.subqueue().bytes() == 0);
    }

    /// Turns the carrier on or off.
    pub(crate) fn set_carrier(&mut self, carrier: bool) {
        if self.carrier == carrier {
            return;
        }
        self.carrier = carrier;
        for queue in &mut self.queues {
            queue.tx.set_carrier(carrier);
        }
        for index in 0..QUEUES {
            if carrier {
                self.kick(index);
            } else {
                self.purge(index);
            }
        }
    }

    /// `ethtool --reset`: drops all queued packets and ends a stall.
    pub(crate) fn reset(&mut self) {
        if !self.up {
            return;
        }
        for index in 0..QUEUES {
            self.purge(index);
        }
        for index in 0..QUEUES {
            self.queues[index].stalled = false;
            self.kick(index);
        }
    }

    /// Opens or stops the device.
    pub(crate) fn set_up(&mut self, up: bool) {
        if self.up == up {
            return;
        }
        if up {
            for queue in &mut self.queues {
                queue.tx.set_up(true, self.carrier);
                queue.stopped = false;
            }
            self.up = true;
            return;
        }
        // `ndo_stop` waits for polls and rollups.
        for index in 0..QUEUES {
            self.end_poll(index, 0);
            let queue = &mut self.queues[index];
            (queue.poll, queue.line) = (false, None);
        }
        for cpu in 0..CPUS {
            while self.visit(cpu) {}
            let cpu = &mut self.cpus[cpu];
            (cpu.rollup, cpu.timer) = (false, None);
        }
        for queue in &mut self.queues {
            queue.tx.set_up(false, false);
        }
        self.up = false;
        for index in 0..QUEUES {
            self.purge(index);
            let queue = &mut self.queues[index];
            queue.tx.down();
            for stage in &mut queue.stages {
                stage.disarm();
            }
            queue.stopped = false;
            assert_eq!(queue.inside(), 0);
        }
        for cpu in &mut self.cpus {
            cpu.bits = 0;
        }
    }

    /// Runs the watchdog's check, one second after the last. Returns whether it reset the ring.
    pub(crate) fn watchdog_check(&mut self, index: usize) -> bool {
        if !self.up {
            return false;
        }
        let queue = &mut self.queues[index];
        queue.hung += 1;
        queue.quiet += 1;
        if !queue.qdisc && queue.tx.release() {
            assert!(queue.stopped);
            queue.stopped = false;
        }
        let now = self.now;
        if matches!(queue.tx.ring().again(), Again::At(at) if at > now) {
            queue.hung = 0;
        }
        let WatchdogCheck::Expired(packets) = queue.tx.watchdog_check(|| now) else {
            // 51: a ring that hangs is found.
            assert!(queue.hung <= WATCHDOG_SECONDS);
            return false;
        };
        queue.forget();
        // 51: and no other ring is reset.
        assert!(packets.is_empty() || queue.quiet >= WATCHDOG_SECONDS);
        assert!(self.carrier, "a ring without a carrier does not hang");
        (queue.hung, queue.quiet) = (0, 0);
        for packet in packets.0 {
            let class = number(packet.class);
            let carried = queue.carried.iter().flat_map(|carried| &carried.frames.0);
            let carried = carried.filter(|p| p.class == packet.class).count();
            assert_eq!(queue.inside[class].remove(carried), Some(packet.id));
            queue.ended(packet.end(), End::Expired);
        }
        queue.stalled = false;
        self.kick(index);
        true
    }

    /// Advances the clock, and fires timers.
    pub(crate) fn pass(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
        for queue in &mut self.queues {
            if queue.line.is_some_and(|at| at <= self.now) {
                queue.line = None;
                queue.poll = true;
            }
        }
        for cpu in &mut self.cpus {
            if cpu.timer.is_some_and(|at| at <= self.now) {
                cpu.timer = None;
                cpu.rollup = true;
            }
        }
    }

    /// Runs everything that is scheduled, as a softirq round: polls first, then the rollups.
    pub(crate) fn softirq(&mut self) {
        for _ in 0..10_000 {
            let mut busy = false;
            for queue in 0..QUEUES {
                busy |= self.end_poll(queue, 0);
                busy |= self.poll(queue, 64);
            }
            for cpu in 0..CPUS {
                while self.visit(cpu) {
                    busy = true;
                }
            }
            if !busy {
                busy = (0..CPUS).any(|cpu| self.rollup(cpu));
            }
            if !busy {
                return;
            }
        }
        panic!("a softirq round does not end");
    }

    /// Returns when the next timer fires.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        let lines = self.queues.iter().filter_map(|queue| queue.line);
        let timers = self.cpus.iter().filter_map(|cpu| cpu.timer);
        lines.chain(timers).min()
    }

    /// Advances the clock until no work and no timer is left.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.softirq();
            match self.next_timer() {
                Some(next) => self.pass(next.saturating_sub(self.now)),
                None => return,
            }
        }
        panic!("timers never end");
    }

    /// 4, 5, 7, 18: no packet stays queued on a device that is up and has a carrier.
    pub(crate) fn drain(&mut self) {
        self.set_up(true);
        self.set_carrier(true);
        for index in 0..QUEUES {
            if core::mem::take(&mut self.queues[index].stalled) {
                self.kick(index);
            }
        }
        self.settle();
        self.check();
        for queue in &self.queues {
            assert_eq!(queue.inside(), 0);
            assert_eq!(queue.tx.ring().used(), 0);
            assert!(!queue.stopped && !queue.tx.oactive() && !queue.tx.started());
            assert_eq!(queue.given, queue.ends.len());
            let mut ids: Vec<_> = queue.ends.iter().map(|(id, _)| *id).collect();
            ids.sort_unstable();
            assert!(ids.windows(2).all(|ids| ids[0] < ids[1]), "ended twice");
            assert!(queue.stages.iter().all(|stage| stage.armed() == Armed::No));
        }
        assert_eq!(self.ledger.borrow().live, 0);
        // 50: off without work.
        for queue in &mut self.queues {
            assert!(matches!(
                queue.tx.watchdog_check(|| self.now),
                WatchdogCheck::Idle
            ));
            assert_eq!(queue.limited, 0);
        }
    }

    /// Returns whether the stage of a CPU is armed, and its flush pending.
    fn flush_is_pending(&self, cpu: usize, index: usize) -> bool {
        let bit = 1 << index;
        let queue = &self.queues[index];
        let cpu_ = &self.cpus[cpu];
        let pending = match queue.stages[cpu].armed() {
            Armed::No => return false,
            Armed::Rollup => cpu_.bits & bit != 0 && cpu_.rollup,
            Armed::Time => cpu_.bits & bit != 0 && (cpu_.rollup || cpu_.timer.is_some()),
            Armed::Poll => return queue.poll && queue.rung,
        };
        pending || cpu_.visiting & bit != 0
    }

    /// Checks the invariants that hold after each event.
    pub(crate) fn check(&mut self) {
        let running = self.running();
        let mut live = 0;
        for index in 0..QUEUES {
            let queue = &self.queues[index];
            let tx = &queue.tx;
            let carried = queue.carried.as_ref();
            let carried = carried.map_or(0, |carried| carried.frames.len());
            // 41, 44: each packet is in one place, each slot has one frame.
            assert_eq!(queue.given, queue.inside() + queue.ends.len());
            assert_eq!(queue.inside(), tx.subqueue().len() + tx.ring().used());
            assert!(tx.ring().used() >= carried);
            assert_eq!(tx.ring().used() > carried, tx.ring().has_posted());
            assert!(tx.ring().used() + tx.ring().free() >= tx.ring().slots());
            // 10: bytes are counted once.
            assert_eq!(
                queue.bytes_in,
                queue.bytes_posted + queue.bytes_ended + tx.subqueue().bytes()
            );
            // 8: staged packets have a pending flush.
            let mut armed = false;
            let mut polls = 0;
            for (cpu, stage) in queue.stages.iter().enumerate() {
                let pending = self.flush_is_pending(cpu, index);
                assert_eq!(pending, stage.armed() != Armed::No, "no flush is pending");
                assert!(pending || stage.count() == 0, "no flush is pending");
                // 12: and below its bounds.
                armed |= pending;
                polls += usize::from(stage.armed() == Armed::Poll);
            }
            assert!(polls <= 1);
            // 5, 20: a forced start has a scheduled poll.
            assert!(!tx.started() || queue.poll && queue.rung);
            let poll = queue.poll && queue.rung;
            let comes = poll
                || queue.carried.is_some()
                || queue.line.is_some() && queue.rung
                || queue.stalled;
            if running {
                // 8: covered by the interlock, by completion, or by a stage.
                assert!(
                    tx.subqueue().is_empty() || comes || armed,
                    "no start is due"
                );
                assert!(!tx.ring().has_posted() || comes, "a doorbell is missing");
                assert!(
                    !tx.stopped() || comes || armed,
                    "a stopped queue without a pending poll"
                );
            }
            // 7, 25: a full ring has frames that will free slots.
            assert!(!tx.oactive() || tx.ring().used() > 0);
            assert_eq!(tx.stopped(), queue.stopped);
            live += queue.inside();
        }
        for queue in &mut self.queues {
            if !queue.tx.ring().has_posted() || !running {
                queue.hung = 0;
            }
            if queue.tx.ring().used() == 0 && !queue.tx.started() || !running {
                queue.quiet = 0;
            }
        }
        let ledger = self.ledger.borrow();
        assert!(ledger.silent.is_empty(), "packets dropped and not counted");
        assert_eq!(ledger.live, live);
    }
}
