// SPDX-License-Identifier: GPL-2.0

//! The transmit side in a world of its own: CPUs with stages, rollups, timers, a
//! poll and a line, as rust/spans arranges them around the state machine. Random
//! things happen to it, and what must always hold is compared with plain lists.

use proptest::prelude::*;
use spans_logic::{
    class::Class,
    config::{Config, Knob},
    packet::{Packet, Packets},
    stage::{Armed, Stage},
    subqueue::{Enqueued, Limits, Subqueue, PRIO_RUN},
    transmit::{Arm, Arrival, Refusal, Tick, Transmit, WATCHDOG_SECONDS},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const CPUS: usize = 3;
/// The CPU of the poll.
const HOME: usize = 0;
const HEADER: usize = 28;
const MTU: usize = 1500;

#[derive(Debug, PartialEq)]
struct Pkt {
    id: usize,
    len: usize,
    due: u64,
}

impl Packet for Pkt {
    fn len(&self) -> usize {
        self.len
    }
    fn set_due(&mut self, due: u64) {
        self.due = due;
    }
}

#[derive(Debug, Default)]
struct List(VecDeque<Pkt>);

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
        self.0.pop_front()
    }
    fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }
    fn first_due(&self) -> Option<u64> {
        self.0.front().map(|packet| packet.due)
    }
}

/// Everything around one queue.
struct World {
    queue: Transmit<List>,
    config: Config,
    stages: Vec<Stage>,
    now: u64,
    qdisc: bool,
    /// The poll is scheduled.
    poll: bool,
    /// The poll is scheduled for this time.
    line: Option<u64>,
    /// The rollups that are scheduled.
    rollups: BTreeSet<usize>,
    /// Those that have a timer, and when it fires.
    timers: BTreeMap<usize, u64>,
    /// What the poll carries at this moment.
    carrying: Option<(List, Option<u64>)>,
    /// The stack may not send.
    stopped: bool,
    next: usize,
    classes: Vec<Class>,
    doorbells: usize,
    kicks: usize,
    delivered: Vec<usize>,
    dropped: Vec<(Option<Refusal>, usize)>,
}

impl World {
    fn new(count: u32) -> Self {
        let mut config = Config::default();
        config.set(Knob::StageCount, count).unwrap();
        let mut queue = Transmit::new(config.settings(MTU, HEADER, CPUS));
        queue.set_up(true, true);
        Self {
            queue,
            config,
            stages: vec![Stage::default(); CPUS],
            now: 0,
            qdisc: false,
            poll: false,
            line: None,
            rollups: BTreeSet::new(),
            timers: BTreeMap::new(),
            carrying: None,
            stopped: false,
            next: 0,
            classes: Vec::new(),
            doorbells: 0,
            kicks: 0,
            delivered: Vec::new(),
            dropped: Vec::new(),
        }
    }

    fn ring(&mut self) {
        self.doorbells += 1;
        self.poll = true;
    }

    fn send(&mut self, cpu: usize, class: Class, len: usize, more: bool) {
        let packet = Pkt {
            id: self.next,
            len,
            due: u64::MAX, // anything, until somebody notes the time
        };
        self.next += 1;
        self.classes.push(class);
        let packet = match self.queue.join(&mut self.stages[cpu], packet, class, more) {
            Ok(()) => return,
            Err(packet) => packet,
        };
        let now = self.now;
        let arrival = Arrival {
            class,
            more,
            at_home: cpu == HOME,
            cpu: cpu as u32,
            qdisc: self.qdisc,
        };
        let todo = self
            .queue
            .dispatch(&mut self.stages[cpu], packet, arrival, || now);
        if let Some((why, packets)) = todo.refused {
            let dropped = packets.0.into_iter().map(|packet| (Some(why), packet.id));
            self.dropped.extend(dropped);
        }
        if todo.doorbell.is_some() {
            self.ring();
        }
        match todo.arm {
            Some(Arm::Rollup) => assert!(self.rollups.insert(cpu), "the bit was set already"),
            Some(Arm::Timer(after)) => {
                // One that was left by what has been flushed since may come earlier.
                let at = self.timers.entry(cpu).or_insert(u64::MAX);
                *at = (*at).min(self.now + after);
            }
            None => {}
        }
        if todo.stop {
            assert!(self.qdisc && !self.stopped);
            self.stopped = true;
        }
    }

    fn rollup(&mut self, cpu: usize) {
        let now = self.now;
        let (doorbell, _) = self.queue.rollup(&mut self.stages[cpu], || now);
        if doorbell.is_some() {
            self.ring();
        }
    }

    /// The first half of a poll.
    fn poll(&mut self, budget: usize) {
        self.poll = false;
        self.line = None;
        if let Some(cpu) = self.queue.covered() {
            self.stages[cpu as usize].disarm();
        }
        let now = self.now;
        let (batch, _) = self.queue.poll(budget, || now);
        assert!(batch.frames.len() <= budget);
        self.carrying = Some((batch.frames, batch.due));
    }

    /// The second half: `blocked` of the frames find no room.
    fn complete(&mut self, blocked: usize) {
        let Some((mut frames, due)) = self.carrying.take() else {
            return;
        };
        let back = List(
            frames
                .0
                .split_off(frames.0.len() - blocked.min(frames.0.len())),
        );
        let blocked = !back.is_empty();
        let done = frames.0.len();
        self.delivered
            .extend(frames.0.into_iter().map(|packet| packet.id));
        let now = self.now;
        let completed = self.queue.complete(done, back, || now);
        if completed.wake {
            assert!(self.stopped);
            self.stopped = false;
        }
        if completed.more {
            match due {
                _ if blocked => self.line = Some(self.now + 50_000),
                Some(due) => self.line = Some(due),
                None => self.poll = true,
            }
        }
    }

    fn kick(&mut self) {
        if self.queue.schedule() {
            self.kicks += 1;
            self.ring();
        }
    }

    fn set(&mut self, knob: Knob, value: u32) {
        if self.config.set(knob, value).is_ok() {
            self.queue.set(self.config.settings(MTU, HEADER, CPUS));
            self.kick();
            // Who waits for the time does not any longer.
            self.rollups.extend(self.timers.keys());
        }
    }

    fn drop_all(&mut self, packets: List) {
        let dropped = packets.0.into_iter().map(|packet| (None, packet.id));
        self.dropped.extend(dropped);
    }

    /// Everything that is scheduled happens, as a softirq round has it.
    fn softirq(&mut self, budget: usize) {
        for _ in 0..100_000 {
            self.complete(0);
            if self.poll {
                self.poll(budget);
            } else if let Some(cpu) = self.rollups.pop_first() {
                self.rollup(cpu);
            } else {
                return;
            }
        }
        panic!("a softirq round does not end");
    }

    /// Time passes until nothing is left to happen.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            self.softirq(64);
            let next = self.timers.values().chain(self.line.iter()).min().copied();
            let Some(next) = next else { return };
            self.now = self.now.max(next);
            if self.line.is_some_and(|at| at <= self.now) {
                self.poll = true;
            }
            let fired: Vec<usize> = self
                .timers
                .iter()
                .filter(|(_, at)| **at <= self.now)
                .map(|(cpu, _)| *cpu)
                .collect();
            for cpu in fired {
                self.timers.remove(&cpu);
                self.rollups.insert(cpu);
            }
        }
        panic!("it never ends");
    }

    fn inside(&self) -> usize {
        let carried = self.carrying.as_ref().map_or(0, |(frames, _)| frames.len());
        self.queue.subqueue().len() + self.queue.ring().used() - carried + carried
    }

    /// What always holds.
    fn check(&self) {
        // 44, 41: each packet is in one place.
        assert_eq!(
            self.next,
            self.inside() + self.delivered.len() + self.dropped.len()
        );
        let mut ends = BTreeSet::new();
        for id in self
            .delivered
            .iter()
            .chain(self.dropped.iter().map(|(_, id)| id))
        {
            assert!(ends.insert(id), "packet {id} ended twice");
        }
        // 39: no packet overtakes one of its class.
        for class in [Class::Prio, Class::Norm] {
            let ids = self
                .delivered
                .iter()
                .filter(|id| self.classes[**id] == class);
            assert!(ids.is_sorted());
        }
        for (cpu, stage) in self.stages.iter().enumerate() {
            let armed = match stage.armed() {
                Armed::No => false,
                Armed::Rollup => self.rollups.contains(&cpu),
                Armed::Time => self.timers.contains_key(&cpu) || self.rollups.contains(&cpu),
                Armed::Poll => self.poll,
            };
            // 8, 19: the guarantee.
            assert!(
                armed || stage.armed() == Armed::No,
                "CPU {cpu} is armed by nobody"
            );
            assert!(armed || stage.count() == 0, "CPU {cpu} is forgotten");
        }
        // 20: what was scheduled by force is on its way.
        assert!(!self.queue.started() || self.poll);
        assert_eq!(self.queue.stopped(), self.stopped);
    }

    /// 4, 7: nothing is left lying on a device that runs.
    fn check_settled(&mut self) {
        self.settle();
        self.check();
        assert_eq!(self.inside(), 0);
        assert!(!self.stopped);
        assert_eq!(self.queue.ring().used(), 0);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Send(usize, bool, usize, bool),
    Qdisc(bool),
    Poll(usize),
    Complete(usize),
    Rollup,
    Softirq(usize),
    Time(u64),
    Set(Knob, u32),
    Slots(u32),
    Carrier,
    Tick(u32),
    DownUp,
}

fn op() -> impl Strategy<Value = Op> {
    let knob = prop_oneof![
        (Just(Knob::StageCount), 0..40u32),
        (Just(Knob::StageBytes), 0..4000u32),
        (Just(Knob::StageUsecs), 0..3u32),
        (Just(Knob::QueueLen), 1..30u32),
        (Just(Knob::QueueBytes), 0..20_000u32),
        (Just(Knob::RateMbit), 0..3u32),
        (Just(Knob::DelayUsecs), 0..50u32),
    ];
    prop_oneof![
        20 => (0..CPUS, any::<bool>(), 28..1528usize, any::<bool>())
            .prop_map(|(cpu, prio, len, more)| Op::Send(cpu, prio, len, more)),
        1 => any::<bool>().prop_map(Op::Qdisc),
        3 => (1..65usize).prop_map(Op::Poll),
        3 => (0..4usize).prop_map(Op::Complete),
        2 => Just(Op::Rollup),
        2 => (1..65usize).prop_map(Op::Softirq),
        1 => (0..2_000_000u64).prop_map(Op::Time),
        1 => knob.prop_map(|(knob, value)| Op::Set(knob, value)),
        1 => (4..8u32).prop_map(|log| Op::Slots(1 << log)),
        1 => Just(Op::Carrier),
        1 => (1..7u32).prop_map(Op::Tick),
        1 => Just(Op::DownUp),
    ]
}

fn happen(world: &mut World, op: Op) {
    match op {
        Op::Send(cpu, prio, len, more) => {
            // A qdisc does not send on a queue that is stopped.
            if !(world.stopped && world.qdisc) {
                let class = if prio { Class::Prio } else { Class::Norm };
                let full = world.dropped.len();
                world.send(cpu, class, len, more);
                if world.qdisc {
                    assert!(world.dropped[full..]
                        .iter()
                        .all(|(why, _)| *why != Some(Refusal::Full)));
                }
            }
        }
        // With packets waiting, one that comes may find no room.
        Op::Qdisc(qdisc) => {
            if world.inside() == 0 {
                world.qdisc = qdisc;
            }
        }
        Op::Poll(budget) => {
            if world.poll && world.carrying.is_none() {
                world.poll(budget);
            }
        }
        Op::Complete(blocked) => world.complete(blocked),
        Op::Rollup => {
            if let Some(cpu) = world.rollups.pop_first() {
                world.rollup(cpu);
            }
        }
        Op::Softirq(budget) => world.softirq(budget),
        Op::Time(ns) => {
            world.now += ns;
            if world.line.is_some_and(|at| at <= world.now) {
                world.line = None;
                world.poll = true;
            }
        }
        // Limits that shrink under a qdisc may refuse what it has been let send.
        Op::Set(Knob::QueueLen | Knob::QueueBytes | Knob::StageCount, _) if world.qdisc => {}
        Op::Set(knob, value) => world.set(knob, value),
        Op::Slots(slots) => {
            world.config.set_slots(slots, 1024).unwrap();
            world.queue.set(world.config.settings(MTU, HEADER, CPUS));
            world.kick();
        }
        Op::Carrier => {
            world.queue.set_carrier(false);
            let packets = world.queue.purge();
            world.drop_all(packets);
            world.check();
            world.queue.set_carrier(true);
            world.kick();
        }
        Op::Tick(count) => {
            for _ in 0..count {
                if let Tick::Expired(packets) = world.queue.tick() {
                    world.drop_all(packets);
                    world.kick();
                }
            }
        }
        Op::DownUp => {
            // No poll is running by then.
            world.complete(0);
            world.queue.set_up(false, false);
            let packets = world.queue.purge();
            world.drop_all(packets);
            world.queue.down();
            for stage in &mut world.stages {
                stage.disarm();
            }
            world.poll = false;
            world.line = None;
            world.rollups.clear();
            world.timers.clear();
            world.stopped = false;
            assert_eq!(world.inside(), 0);
            world.queue.set_up(true, true);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// 2, 4-8, 13, 14, 17-21, 24, 26, 30, 32, 39, 41, 43, 44, 50.
    #[test]
    fn inv_08_whatever_happens_no_packet_is_lost_or_forgotten(
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut world = World::new(16);
        for op in ops {
            happen(&mut world, op);
            world.check();
        }
        world.check_settled();
    }

    #[test]
    fn inv_12_doorbells_are_as_many_as_the_rule_says(
        count in 0..65u32,
        k in 1..200usize,
        cpu in 0..CPUS,
    ) {
        let mut world = World::new(count);
        world.set(Knob::StageBytes, 1 << 20);
        for _ in 0..3 {
            let before = world.doorbells;
            for _ in 0..k {
                world.send(cpu, Class::Norm, 60, false);
            }
            let count = count.max(1) as usize;
            // One CPU sends, and nobody else runs on it meanwhile: elsewhere the poll may.
            world.settle();
            let rung = world.doorbells - before;
            let wanted = k.div_ceil(count);
            if cpu == HOME || count == 1 {
                prop_assert_eq!(rung, wanted);
            } else {
                prop_assert!(rung == wanted || rung == wanted + 1);
            }
        }
        world.check_settled();
    }

    #[test]
    fn inv_34_a_full_queue_keeps_its_limits(
        packets in 1..20usize,
        bytes in 1..5000usize,
        ops in proptest::collection::vec((0..3u8, 28..1528usize), 1..200),
    ) {
        let limits = Limits { packets, bytes };
        let mut queue: Subqueue<List> = Subqueue::new(limits);
        let (mut prio, mut norm) = (VecDeque::new(), VecDeque::new());
        let mut longest = 0;
        for (id, (op, len)) in ops.into_iter().enumerate() {
            if op == 2 {
                // 38, but for the starvation of norm.
                if let Some(packet) = queue.dequeue() {
                    let of_prio = prio.front() == Some(&packet.id);
                    prop_assert!(of_prio || norm.front() == Some(&packet.id));
                    if of_prio { prio.pop_front() } else { norm.pop_front() };
                } else {
                    prop_assert!(prio.is_empty() && norm.is_empty());
                }
                continue;
            }
            longest = longest.max(len);
            let class = if op == 0 { Class::Prio } else { Class::Norm };
            let was_full = queue.is_full();
            match queue.enqueue(Pkt { id, len, due: 0 }, class) {
                Enqueued::Queued => prop_assert!(!was_full),
                Enqueued::Evicted(victims) => {
                    // 36: the oldest of norm, and never one of prio.
                    prop_assert!(was_full && class == Class::Prio && !victims.is_empty());
                    for victim in victims.0 {
                        prop_assert_eq!(norm.pop_front(), Some(victim.id));
                    }
                }
                Enqueued::Full(packet) => {
                    prop_assert!(was_full && packet.id == id);
                    // 35, 36: only if prio has its half, or there is no norm.
                    prop_assert!(class == Class::Norm || norm.is_empty()
                        || prio.len() >= packets / 2 || bytes / 2 <= longest * packets);
                    continue;
                }
            }
            if op == 0 { prio.push_back(id) } else { norm.push_back(id) };
            prop_assert!(queue.len() <= packets);
            prop_assert!(queue.bytes() < bytes + longest * 2);
            prop_assert_eq!(queue.len(), prio.len() + norm.len());
        }
    }
}

#[test]
fn inv_38_prio_first_and_norm_not_starved() {
    let limits = Limits {
        packets: 1000,
        bytes: usize::MAX,
    };
    let mut queue: Subqueue<List> = Subqueue::new(limits);
    for id in 0..200 {
        let class = if id < 100 { Class::Norm } else { Class::Prio };
        let packet = Pkt { id, len: 1, due: 0 };
        assert!(matches!(queue.enqueue(packet, class), Enqueued::Queued));
    }
    let order: Vec<usize> = std::iter::from_fn(|| queue.dequeue())
        .map(|packet| packet.id)
        .collect();
    let run = PRIO_RUN as usize;
    assert!(order[..run].iter().all(|id| *id >= 100));
    assert_eq!(order[run], 0, "W3: norm waits no longer than that");
    assert!(order[run + 1..2 * run + 1].iter().all(|id| *id >= 100));
    assert_eq!(order.len(), 200);
}

#[test]
fn inv_42_what_is_put_back_leaves_first() {
    let mut queue: Subqueue<List> = Subqueue::new(Limits {
        packets: 2,
        bytes: usize::MAX,
    });
    for id in 0..2 {
        let packet = Pkt { id, len: 1, due: 0 };
        assert!(matches!(
            queue.enqueue(packet, Class::Norm),
            Enqueued::Queued
        ));
    }
    let packet = queue.dequeue().unwrap();
    queue.prepend(packet);
    // 36, 38: even before prio, and prio takes the place of norm, not of it.
    let packet = Pkt {
        id: 2,
        len: 1,
        due: 0,
    };
    assert!(matches!(
        queue.enqueue(packet, Class::Prio),
        Enqueued::Evicted(_)
    ));
    let order: Vec<usize> = std::iter::from_fn(|| queue.dequeue())
        .map(|packet| packet.id)
        .collect();
    assert_eq!(order, [0, 2]);
}

#[test]
fn inv_07_a_full_ring_is_left_to_completion() {
    let mut world = World::new(0);
    for _ in 0..300 {
        world.send(0, Class::Norm, 60, false);
    }
    assert!(world.queue.oactive());
    assert_eq!(world.queue.ring().used(), 256);
    // W7: nobody tries in vain.
    let before = world.doorbells;
    world.send(0, Class::Norm, 60, false);
    assert_eq!(world.doorbells, before);
    world.check_settled();
}

#[test]
fn inv_16_a_start_does_not_wait_for_the_other_side() {
    let mut world = World::new(0);
    world.send(0, Class::Norm, 60, false);
    world.poll(64);
    // While the first is carried, the second gets a slot and a doorbell.
    world.send(1, Class::Norm, 60, false);
    assert_eq!(world.queue.ring().used(), 2);
    assert_eq!(world.doorbells, 2);
    world.complete(0);
    world.check_settled();
}

#[test]
fn inv_31_company_is_waited_for_until_the_round_ends() {
    let mut world = World::new(16);
    world.send(1, Class::Norm, 60, true);
    assert_eq!(world.doorbells, 0);
    world.softirq(64);
    assert_eq!((world.doorbells, world.delivered.len()), (1, 1));
    // W8: or as long as the user says, whatever the context.
    world.set(Knob::StageUsecs, 100);
    world.send(1, Class::Norm, 60, false);
    world.softirq(64);
    assert_eq!(world.delivered.len(), 1);
    let began = world.now;
    world.settle();
    assert_eq!(world.delivered.len(), 2);
    assert_eq!(world.now - began, 100_000);
}

#[test]
fn a_new_time_counts_at_once() {
    let mut world = World::new(16);
    world.set(Knob::StageUsecs, 1_000_000);
    world.send(1, Class::Norm, 60, false);
    world.softirq(64);
    assert_eq!(world.delivered.len(), 0);
    world.set(Knob::StageUsecs, 0);
    world.softirq(64);
    assert_eq!(world.delivered.len(), 1);
    world.send(1, Class::Norm, 60, false);
    world.softirq(64);
    assert_eq!((world.delivered.len(), world.now), (2, 0));
    world.check_settled();
}

#[test]
fn inv_50_what_comes_back_is_watched() {
    let mut world = World::new(0);
    world.send(0, Class::Norm, 60, false);
    world.poll(64);
    // All is in flight: there is nothing to reset.
    for _ in 0..WATCHDOG_SECONDS {
        if let Tick::Expired(packets) = world.queue.tick() {
            assert!(packets.is_empty());
        }
    }
    world.complete(1);
    assert!(matches!(world.queue.tick(), Tick::Busy));
    // A line that is cut does not hang.
    world.poll(64);
    world.queue.set_carrier(false);
    let packets = world.queue.purge();
    world.drop_all(packets);
    world.complete(1);
    assert!(matches!(world.queue.tick(), Tick::Idle));
    world.queue.set_carrier(true);
    world.kick();
    world.check_settled();
}

#[test]
fn inv_51_a_ring_that_hangs_is_reset_after_five_seconds() {
    let mut world = World::new(0);
    for _ in 0..300 {
        world.send(0, Class::Norm, 60, false);
    }
    for _ in 1..WATCHDOG_SECONDS {
        assert!(matches!(world.queue.tick(), Tick::Busy));
    }
    let Tick::Expired(packets) = world.queue.tick() else {
        panic!("it was not found");
    };
    assert_eq!(packets.len(), 256);
    world.drop_all(packets);
    world.kick();
    world.check_settled();
    assert_eq!(world.delivered.len(), 300 - 256);
    // 50: off when there is nothing to watch.
    assert!(matches!(world.queue.tick(), Tick::Idle));
}

#[test]
fn a_line_has_a_rate_and_a_delay() {
    let mut world = World::new(0);
    world.set(Knob::RateMbit, 8); // a byte in a microsecond
    world.set(Knob::DelayUsecs, 500);
    for _ in 0..3 {
        world.send(0, Class::Norm, 1000, false);
    }
    world.softirq(64);
    assert_eq!(world.delivered.len(), 0);
    let mut arrivals = Vec::new();
    while let Some(at) = world.line {
        world.now = at;
        world.poll = true;
        let before = world.delivered.len();
        world.softirq(64);
        if world.delivered.len() > before {
            arrivals.push(world.now);
        }
    }
    assert_eq!(arrivals, [1_500_000, 2_500_000, 3_500_000]);
    world.check_settled();
}
