// SPDX-License-Identifier: GPL-2.0

//! Random sequences of all events of a device, and all short sequences of the most frequent
//! ones, against plain lists; subqueue, stage and ring against simple models.

mod common;

use common::{leave, List, Pkt, World, CPUS, QUEUES};
use proptest::{collection::vec, prelude::*};
use spans_logic::{
    class::Class,
    config::Param,
    line::{Line, Occupancy},
    ring::{Again, Ring},
    stage::{self, Decision, Stage},
    subqueue::{Enqueued, Limits, Subqueue, PRIO_RUN},
};
use std::{cell::RefCell, collections::VecDeque, rc::Rc};

/// Returns the configuration for `cases` cases, or fewer if `PROPTEST_CASES` is smaller.
fn config(cases: u32) -> ProptestConfig {
    let bound = std::env::var("PROPTEST_CASES").ok();
    let bound = bound.and_then(|bound| bound.parse().ok());
    ProptestConfig {
        cases: bound.map_or(cases, |bound: u32| cases.min(bound)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// CPU, queue, class, length, more.
    Send(usize, usize, Class, usize, bool),
    BeginPoll(usize, usize),
    EndPoll(usize, usize),
    BeginRollup(usize),
    Visit(usize),
    Softirq,
    Pass(u64),
    Kick(usize),
    Set(Param, u32),
    Slots(u32),
    Qdisc(usize, bool),
    Home(usize, usize),
    Stall(usize, bool),
    WatchdogCheck(usize, usize),
    Carrier(bool),
    Reset,
    Up(bool),
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Prio), Just(Class::Norm), Just(Class::Norm)]
}

fn param() -> impl Strategy<Value = Op> {
    prop_oneof![
        (Just(Param::StageCount), 0..20u32),
        (Just(Param::StageBytes), 0..4000u32),
        (Just(Param::StageUsecs), 0..3u32),
        (Just(Param::QueueLen), 1..20u32),
        (Just(Param::QueueBytes), 0..20_000u32),
        (Just(Param::RateMbit), 0..3u32),
        (Just(Param::DelayUsecs), 0..50u32),
    ]
    .prop_map(|(param, value)| Op::Set(param, value))
}

fn send() -> impl Strategy<Value = Op> {
    (0..CPUS, 0..QUEUES, class(), 28..1528usize, any::<bool>())
        .prop_map(|(cpu, queue, class, len, more)| Op::Send(cpu, queue, class, len, more))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        40 => send(),
        6 => (0..QUEUES, 1..65usize).prop_map(|(queue, budget)| Op::BeginPoll(queue, budget)),
        6 => (0..QUEUES, 0..4usize).prop_map(|(queue, blocked)| Op::EndPoll(queue, blocked)),
        4 => (0..CPUS).prop_map(Op::BeginRollup),
        4 => (0..CPUS).prop_map(Op::Visit),
        2 => Just(Op::Softirq),
        2 => (0..200_000u64).prop_map(Op::Pass),
        1 => (0..QUEUES).prop_map(Op::Kick),
        2 => param(),
        1 => (4..7u32).prop_map(|log| Op::Slots(1 << log)),
        1 => (0..QUEUES, any::<bool>()).prop_map(|(queue, on)| Op::Qdisc(queue, on)),
        1 => (0..QUEUES, 0..CPUS).prop_map(|(queue, cpu)| Op::Home(queue, cpu)),
        1 => (0..QUEUES, any::<bool>()).prop_map(|(queue, on)| Op::Stall(queue, on)),
        1 => (0..QUEUES, 1..7usize).prop_map(|(queue, count)| Op::WatchdogCheck(queue, count)),
        1 => any::<bool>().prop_map(Op::Carrier),
        1 => Just(Op::Reset),
        1 => any::<bool>().prop_map(Op::Up),
    ]
}

/// Applies an event, if it can happen.
fn happen(world: &mut World, op: &Op) {
    match *op {
        Op::Send(cpu, queue, class, len, more) => {
            // A qdisc does not send on a queue that is stopped.
            if !(world.queues[queue].qdisc && world.queues[queue].stopped) {
                world.transmit(cpu, queue, class, len, more);
            }
        }
        Op::BeginPoll(queue, budget) => drop(world.begin_poll(queue, budget)),
        Op::EndPoll(queue, blocked) => drop(world.end_poll(queue, blocked)),
        Op::BeginRollup(cpu) => drop(world.begin_rollup(cpu)),
        Op::Visit(cpu) => drop(world.visit(cpu)),
        Op::Softirq => world.softirq(),
        Op::Pass(nanoseconds) => world.pass(nanoseconds),
        Op::Kick(queue) => drop(world.kick(queue)),
        Op::Set(param, value) => world.set(param, value),
        Op::Slots(slots) => world.set_slots(slots),
        Op::Qdisc(queue, qdisc) => {
            let queue = &mut world.queues[queue];
            // With packets inside, a queue that gets a qdisc might refuse a packet.
            if queue.inside() == 0 {
                queue.qdisc = qdisc;
            }
        }
        Op::Home(queue, cpu) => world.queues[queue].home = cpu,
        Op::Stall(queue, stalled) => {
            let hung = core::mem::replace(&mut world.queues[queue].stalled, stalled);
            if hung && !stalled {
                world.kick(queue);
            }
        }
        Op::WatchdogCheck(queue, count) => {
            for _ in 0..count {
                world.watchdog_check(queue);
                world.check();
            }
        }
        Op::Carrier(carrier) => world.set_carrier(carrier),
        Op::Reset => world.reset(),
        Op::Up(up) => world.set_up(up),
    }
}

fn with_qdisc(world: &mut World) {
    for queue in &mut world.queues {
        queue.qdisc = true;
    }
}

proptest! {
    #![proptest_config(config(1000))]

    /// 2, 4-9, 13, 14, 16-21, 23-27, 29, 30, 32, 34, 36, 39, 41, 43, 44, 50, 51.
    #[test]
    fn inv_44_whatever_happens_each_packet_ends_once(
        qdisc: bool,
        count in 0..20u32,
        ops in vec(op(), 1..150),
    ) {
        let mut world = World::new(count);
        if qdisc {
            with_qdisc(&mut world);
        }
        for op in &ops {
            happen(&mut world, op);
            world.check();
        }
        world.drain();
    }

    /// A packet that joins a stage without a dispatch ends as with one.
    #[test]
    fn inv_11_to_join_is_to_dispatch_and_wait(count in 0..20u32, ops in vec(op(), 1..100)) {
        let ends = [true, false].map(|joins| {
            let mut world = World::new(count);
            world.joins = joins;
            for op in ops.iter().filter(|op| !matches!(op, Op::Qdisc(..))) {
                happen(&mut world, op);
                world.check();
            }
            world.drain();
            world.queues.into_iter().map(|queue| (queue.ends, queue.doorbells)).collect::<Vec<_>>()
        });
        prop_assert_eq!(&ends[0], &ends[1]);
    }

    /// `join` decides as `add`, and leaves the same state.
    #[test]
    fn inv_11_a_packet_waits_only_below_all_bounds(
        count in 0..6usize,
        bytes in 0..3000usize,
        wait in 0..2u64,
        packets in vec((28..1528usize, any::<bool>(), 0..8u8), 1..40),
    ) {
        let settings = stage::Settings { count, bytes, wait };
        let mut stage = Stage::default();
        for (len, more, event) in packets {
            match event {
                0 => drop(stage.disarm()),
                1 => stage.clear(),
                2 => drop(stage.cover()),
                3 => drop(stage.open_round()),
                _ => {}
            }
            let mut twin = stage.clone();
            let joins = twin.join(&settings, len, more);
            let staged = stage.count();
            let decision = stage.add(&settings, len, more, event == 4);
            prop_assert_eq!(joins && decision == Decision::Wait, joins);
            if joins {
                prop_assert_eq!(format!("{stage:?}"), format!("{twin:?}"));
            }
            match decision {
                Decision::Start(_) => stage.clear(),
                // 27: armed once. 8: armed.
                Decision::Arm | Decision::ArmTimer => {
                    prop_assert_eq!(twin.armed(), stage::Armed::No);
                    prop_assert_eq!(decision == Decision::Arm, wait == 0);
                    prop_assert!(stage.armed() != stage::Armed::No);
                }
                Decision::Wait => prop_assert!(stage.armed() != stage::Armed::No),
            }
            if !matches!(decision, Decision::Start(_)) {
                prop_assert!(stage.count() == staged + 1 && stage.count() < count);
            }
        }
    }

    /// 11, 12, 19.
    #[test]
    fn inv_12_doorbells_are_as_many_as_the_rule_says(
        count in 0..65u32,
        k in 1..200usize,
        cpu in 0..CPUS,
        wait in 0..2u32,
        sections in 1..4,
    ) {
        let mut world = World::new(count);
        world.set(Param::StageBytes, 1 << 20);
        world.set(Param::StageUsecs, wait);
        let wanted = k.div_ceil(count.max(1) as usize);
        for _ in 0..sections {
            let before = world.queues[0].doorbells.len();
            for _ in 0..k {
                world.send(cpu, 0);
            }
            world.settle();
            let rung = world.queues[0].doorbells.len() - before;
            if count <= 1 || wait == 0 && cpu == world.queues[0].home {
                prop_assert_eq!(rung, wanted);
            } else if wait == 0 {
                // On other CPUs than the owner the poll does not cover the last packets.
                prop_assert!(rung == wanted || rung == wanted + 1);
            } else {
                // The poll of the others starts the last packets, too.
                prop_assert_eq!(rung, (k / count as usize).max(1));
            }
        }
        world.drain();
    }

    /// W8. A new `stage_usecs` applies at once.
    #[test]
    fn inv_31_no_packet_is_staged_longer_than_stage_usecs(
        count in 2..20u32,
        usecs in vec(0..50u32, 3),
        sends in vec((0..30_000u64, 0..CPUS, 0..QUEUES, class(), 28..1528usize, any::<bool>()), 1..80),
    ) {
        let mut world = World::new(count);
        // The latest time at which each packet may leave.
        let mut latest = Vec::new();
        let mut seen = [0; QUEUES];
        // Runs all events until `end`.
        let mut until = |world: &mut World, latest: &[u64], end: u64| loop {
            world.softirq();
            for (queue, seen) in world.queues.iter().zip(&mut seen) {
                for (id, _) in &queue.ends[*seen..] {
                    assert!(world.now <= latest[*id]);
                }
                *seen = queue.ends.len();
            }
            match world.next_timer() {
                Some(at) if at <= end => world.pass(at - world.now),
                _ => break,
            }
        };
        for (number, (pause, cpu, queue, class, len, more)) in sends.into_iter().enumerate() {
            let next = world.now + pause;
            until(&mut world, &latest, next);
            world.pass(next - world.now);
            if number % 20 == 0 {
                world.set(Param::StageUsecs, usecs[number / 20 % usecs.len()]);
                until(&mut world, &latest, next);
            }
            latest.push(world.now + u64::from(world.config.get(Param::StageUsecs)) * 1000);
            world.transmit(cpu, queue, class, len, more);
        }
        until(&mut world, &latest, u64::MAX);
        world.drain();
    }
}

/// The events of [`all_short_sequences`].
const STEPS: [Op; 9] = [
    Op::Send(0, 0, Class::Norm, 60, false),
    Op::Send(1, 0, Class::Norm, 60, false),
    Op::Send(1, 0, Class::Prio, 60, true),
    Op::BeginPoll(0, 1),
    Op::EndPoll(0, 0),
    Op::EndPoll(0, 1),
    Op::BeginRollup(1),
    Op::Visit(1),
    Op::Kick(0),
];

/// Runs all sequences of `length` events, after `before` packets were sent.
fn all_short_sequences(length: u32, before: usize, qdisc: bool) {
    let steps = STEPS.len();
    for sequence in 0..steps.pow(length) {
        let mut world = World::new(2);
        if qdisc {
            with_qdisc(&mut world);
        }
        for _ in 0..before {
            world.send(1, 0);
        }
        let mut rest = sequence;
        for _ in 0..length {
            happen(&mut world, &STEPS[rest % steps]);
            world.check();
            rest /= steps;
        }
        world.drain();
    }
}

#[test]
fn inv_04_no_lost_wakeup_in_any_short_sequence() {
    all_short_sequences(4, 0, false);
    all_short_sequences(3, 2, true);
}

#[test]
fn inv_25_a_full_ring_is_refilled_in_any_short_sequence() {
    // A ring of 256 slots, with one or none free.
    all_short_sequences(2, 255, false);
    all_short_sequences(2, 258, true);
}

/// A simple and slow model of a subqueue, of numbers.
#[derive(Default)]
struct NaiveSubqueue {
    prepended: Option<(usize, usize)>,
    /// In order of arrival.
    waiting: Vec<(usize, Class, usize)>,
    run: u32,
}

impl NaiveSubqueue {
    fn of(&self, class: Class) -> Option<usize> {
        self.waiting.iter().position(|(_, of, _)| *of == class)
    }

    fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.prepended.is_some())
    }

    fn bytes(&self) -> usize {
        let prepended = self.prepended.map_or(0, |(_, len)| len);
        prepended + self.waiting.iter().map(|(_, _, len)| len).sum::<usize>()
    }

    fn is_full(&self, limits: Limits) -> bool {
        self.len() >= limits.packets || self.bytes() >= limits.bytes
    }

    /// Removes and returns the packets evicted for a new one, or returns `None` if it is refused.
    fn victims(&mut self, class: Class, len: usize, limits: Limits) -> Option<Vec<usize>> {
        if !self.is_full(limits) {
            return Some(Vec::new());
        }
        let prio: Vec<_> = self.waiting.iter().filter(|p| p.1 == Class::Prio).collect();
        let half = prio.len() >= limits.packets / 2
            || prio.iter().map(|p| p.2).sum::<usize>() >= limits.bytes / 2;
        if class == Class::Norm || half {
            return None;
        }
        let mut victims = Vec::new();
        let mut room = 0;
        while let Some(place) = self.of(Class::Norm) {
            let (id, _, bytes) = self.waiting.remove(place);
            victims.push(id);
            room += bytes;
            if room >= len {
                break;
            }
        }
        (!victims.is_empty()).then_some(victims)
    }

    fn dequeue(&mut self) -> Option<(usize, usize)> {
        if self.prepended.is_some() {
            return self.prepended.take();
        }
        let (prio, norm) = (self.of(Class::Prio), self.of(Class::Norm));
        let place = match (prio, norm) {
            (Some(prio), Some(_)) if self.run < PRIO_RUN => {
                self.run += 1;
                prio
            }
            // The run restarts with each packet of prio while norm is empty.
            (Some(prio), None) => {
                self.run = 1;
                prio
            }
            (_, Some(norm)) => {
                self.run = 0;
                norm
            }
            (None, None) => {
                self.run = 0;
                return None;
            }
        };
        let (id, _, len) = self.waiting.remove(place);
        Some((id, len))
    }
}

#[derive(Clone, Debug)]
enum Change {
    Enqueue(Class, usize),
    Dequeue(usize),
    PutBack,
    Limits(usize, usize),
    TakeAll,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        20 => (class(), 28..1528usize).prop_map(|(class, len)| Change::Enqueue(class, len)),
        4 => (1..4usize).prop_map(Change::Dequeue),
        1 => (10..40usize).prop_map(Change::Dequeue),
        2 => Just(Change::PutBack),
        1 => (1..60usize, 1..40_000usize).prop_map(|(packets, bytes)| Change::Limits(packets, bytes)),
        1 => Just(Change::TakeAll),
    ]
}

/// The state of a frame in a ring, with the time at which it was posted, leaves or arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready,
    Waiting(u64),
    Sending(u64),
    Travelling(u64),
}

#[derive(Clone, Debug)]
enum Step {
    Post(usize),
    PostAll(usize),
    Take(usize),
    Complete(usize),
    TakeBack,
    Pass(u64),
    Line(u64, u64),
    Slots(usize),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (28..1528usize).prop_map(Step::Post),
        4 => (0..9usize).prop_map(Step::PostAll),
        5 => (0..9usize).prop_map(Step::Take),
        3 => (0..9usize).prop_map(Step::Complete),
        2 => Just(Step::TakeBack),
        3 => (0..20_000_000u64).prop_map(Step::Pass),
        1 => (0..9u64, 0..5_000_000u64).prop_map(|(rate, delay)| Step::Line(rate, delay)),
        1 => Just(Step::Line(0, 0)),
        1 => (1..30usize).prop_map(Step::Slots),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(config(300))]

    /// 34-39, 41, 42.
    #[test]
    fn inv_41_a_subqueue_is_as_a_naive_one(
        packets in 1..60usize,
        bytes in 1..40_000usize,
        changes in vec(change(), 1..250),
    ) {
        let ledger = Rc::new(RefCell::default());
        let mut limits = Limits { packets, bytes };
        let mut queue: Subqueue<List> = Subqueue::new(limits);
        let mut naive = NaiveSubqueue::default();
        let mut longest = 0;
        for (id, change) in changes.into_iter().enumerate() {
            match change {
                Change::Enqueue(class, len) => {
                    let was = queue.bytes();
                    let room = queue.has_room(len);
                    let packet = Pkt::new(&ledger, id, class, len);
                    let victims = match queue.enqueue(packet, class) {
                        Enqueued::Queued => Some(Vec::new()),
                        Enqueued::Evicted(victims) => Some(victims.end()),
                        Enqueued::Full(packet) => {
                            prop_assert_eq!(packet.end(), id);
                            None
                        }
                    };
                    prop_assert_eq!(&victims, &naive.victims(class, len, limits));
                    if victims.is_some() {
                        naive.waiting.push((id, class, len));
                        // 34: at most one packet beyond the bytes, and no more growth, but for a
                        // prio packet longer than all of norm.
                        prop_assert!(queue.bytes() < limits.bytes + len || queue.bytes() <= was
                            || naive.of(Class::Norm).is_none());
                    }
                    prop_assert!(!room || victims == Some(Vec::new()) && !queue.is_full());
                }
                Change::Dequeue(count) => {
                    for _ in 0..count {
                        let packet = queue.dequeue().map(|packet| (packet.len, packet.end()));
                        let naive = naive.dequeue().map(|(id, len)| (len, id));
                        prop_assert_eq!(packet, naive);
                    }
                }
                Change::PutBack => {
                    if let Some(packet) = queue.dequeue() {
                        prop_assert_eq!(naive.dequeue(), Some((packet.id, packet.len)));
                        naive.prepended = Some((packet.id, packet.len));
                        queue.prepend(packet);
                    }
                }
                Change::Limits(packets, bytes) => {
                    limits = Limits { packets, bytes };
                    queue.set_limits(limits);
                }
                Change::TakeAll => {
                    let mut ids: Vec<_> = naive.prepended.take().map(|(id, _)| id).into_iter().collect();
                    for wanted in [Class::Prio, Class::Norm] {
                        let of_class = naive.waiting.iter().filter(|(_, class, _)| *class == wanted);
                        ids.extend(of_class.map(|(id, ..)| id));
                    }
                    naive = NaiveSubqueue::default();
                    prop_assert_eq!(queue.take_all().end(), ids);
                }
            }
            longest = longest.max(queue.len());
            prop_assert_eq!(queue.len(), naive.len());
            prop_assert_eq!(queue.bytes(), naive.bytes());
            prop_assert_eq!(queue.is_full(), naive.is_full(limits));
            prop_assert_eq!(queue.is_empty(), naive.len() == 0);
            prop_assert!(queue.len_max() >= longest && queue.len_max() <= longest + 1);
        }
        let left = queue.take_all().end();
        prop_assert_eq!(left.len(), naive.len());
        prop_assert_eq!(ledger.borrow().live, 0);
        prop_assert!(ledger.borrow().silent.is_empty());
    }

    /// Slots, backpressure and the line.
    #[test]
    fn a_ring_is_as_a_naive_one(slots in 1..30usize, steps in vec(step(), 1..200)) {
        let ledger = Rc::new(RefCell::default());
        let mut ring: Ring<List> = Ring::new(slots, Line::default());
        let mut occupancy = Occupancy::default();
        // The model: numbers, lengths and places, in order.
        let mut posted: VecDeque<(usize, usize, Place)> = VecDeque::new();
        let mut flying: VecDeque<Pkt> = VecDeque::new();
        let (mut slots, mut line) = (slots, Line::default());
        let (mut now, mut free_at, mut next) = (0, 0, 0);
        // Frames behind one that came over the line go over it, too.
        let mut travelled = false;
        for step in steps {
            let over = |(_, _, place): &(usize, usize, Place)| *place != Place::Ready;
            let on_line = posted.iter().any(over);
            let timed = line != Line::default() || on_line || travelled;
            let used = posted.len() + flying.len();
            match step {
                Step::Post(len) => {
                    let packet = Pkt::new(&ledger, next, Class::Norm, len);
                    match ring.post(packet, || now) {
                        Ok(()) if timed => posted.push_back((next, len, Place::Waiting(now))),
                        Ok(()) => posted.push_back((next, len, Place::Ready)),
                        Err(packet) => {
                            prop_assert!(used >= slots);
                            packet.end();
                        }
                    }
                    next += 1;
                }
                Step::PostAll(count) => {
                    let fits = used + count <= slots || count == 0;
                    prop_assert_eq!(ring.takes_at_once(count), fits && !timed);
                    if ring.takes_at_once(count) {
                        let ids = next..next + count;
                        next += count;
                        posted.extend(ids.clone().map(|id| (id, 60, Place::Ready)));
                        let packets = ids.map(|id| Pkt::new(&ledger, id, Class::Norm, 60));
                        ring.post_all(List(packets.collect()));
                    }
                }
                Step::Take(budget) => {
                    let waits = |(.., place): &(usize, usize, Place)| {
                        matches!(place, Place::Ready | Place::Waiting(_))
                    };
                    if line == Line::default() && !travelled && posted.iter().all(waits) {
                        posted.iter_mut().for_each(|(.., place)| *place = Place::Ready);
                    }
                    let batch = ring.take(budget, || now, || &mut occupancy, leave);
                    let mut left = 0;
                    let mut gone = 0;
                    loop {
                        for (_, len, place) in &mut posted {
                            match *place {
                                Place::Sending(at) if at <= now && gone < budget => {
                                    *place = Place::Travelling(at + line.delay);
                                    left += *len;
                                    gone += 1;
                                }
                                _ => {}
                            }
                        }
                        let sends = |(.., place): &(usize, usize, Place)| matches!(place, Place::Sending(_));
                        if gone == budget || posted.iter().any(sends) {
                            break;
                        }
                        let mut waiting = posted.iter_mut().filter_map(|(_, len, place)| match *place {
                            Place::Waiting(at) => Some((*len, at, place)),
                            _ => None,
                        });
                        let Some((len, at, place)) = waiting.next() else {
                            break;
                        };
                        *place = Place::Sending(match (len as u64 * 8000).checked_div(line.rate_mbit) {
                            None => at,
                            Some(time) => {
                                free_at = free_at.max(at) + time;
                                free_at
                            }
                        });
                    }
                    prop_assert_eq!(batch.left, left);
                    // A batch has frames that came over the line, or that did not, never both.
                    let mut ready = posted.iter().filter(|(.., place)| *place == Place::Ready).count();
                    if travelled || ready == 0 && flying.is_empty() {
                        let arrived = posted.iter().skip(ready)
                            .take_while(|(.., place)| matches!(*place, Place::Travelling(at) if at <= now))
                            .take(budget.saturating_sub(ready)).count();
                        travelled |= arrived > 0;
                        ready += arrived;
                    }
                    // Frames that are not taken stay ready.
                    posted.iter_mut().take(ready).for_each(|(.., place)| *place = Place::Ready);
                    let taken: Vec<_> = posted.drain(..ready.min(budget)).map(|(id, ..)| id).collect();
                    prop_assert_eq!(batch.frames.ids(), &taken[..]);
                    flying.extend(batch.frames.0);
                    prop_assert!(flying.iter().all(|packet| packet.left == travelled));
                }
                Step::Complete(count) => {
                    let count = count.min(flying.len());
                    let bytes = flying.iter().take(count).map(|packet| packet.len).sum();
                    let left = ring.complete(count, bytes);
                    prop_assert_eq!(left, if travelled { 0 } else { bytes });
                    for packet in flying.drain(..count) {
                        packet.end();
                    }
                }
                Step::TakeBack => {
                    for packet in flying.iter().rev() {
                        posted.push_front((packet.id, packet.len, Place::Ready));
                    }
                    ring.take_back(List(core::mem::take(&mut flying)));
                }
                Step::Pass(time) => now += time,
                Step::Line(rate_mbit, delay) => {
                    if rate_mbit != line.rate_mbit {
                        for (.., place) in &mut posted {
                            if matches!(*place, Place::Sending(at) if at > now) {
                                *place = Place::Waiting(now);
                            }
                        }
                        occupancy = Occupancy::free_from(now);
                        free_at = now;
                    }
                    line = Line { rate_mbit, delay };
                    ring.set_line(line, || now);
                }
                Step::Slots(count) => {
                    slots = count;
                    ring.set_slots(count);
                }
                Step::Reset => {
                    let ids: Vec<_> = posted.drain(..).map(|(id, ..)| id).collect();
                    prop_assert_eq!(ring.reset().end(), ids);
                    occupancy = Occupancy::default();
                    free_at = 0;
                }
            }
            let ready = posted.iter().filter(|(.., place)| *place == Place::Ready).count();
            travelled &= ready + flying.len() > 0;
            prop_assert_eq!(ring.used(), posted.len() + flying.len());
            prop_assert_eq!(ring.free(), slots.saturating_sub(ring.used()));
            prop_assert_eq!(ring.slots(), slots);
            prop_assert_eq!(ring.has_posted(), !posted.is_empty());
            prop_assert!(ring.used_max() >= ring.used());
            // In order: the first frame of each state has the earliest time.
            let first = |time: fn(&Place) -> Option<u64>| posted.iter().find_map(|(.., place)| time(place));
            let waits = first(|place| if let Place::Waiting(at) = place { Some(*at) } else { None });
            let leaves = first(|place| if let Place::Sending(at) = place { Some(*at) } else { None });
            let arrives = first(|place| if let Place::Travelling(at) = place { Some(*at) } else { None });
            let turn = waits.filter(|_| leaves.is_none()).map(|_| 0);
            let again = if ready > 0 { Some(0) } else { [turn, leaves, arrives].into_iter().flatten().min() };
            prop_assert_eq!(ring.again(), match again {
                None => Again::Never,
                Some(0) => Again::AtOnce,
                Some(at) => Again::At(at),
            });
        }
        ring.reset().end();
        for packet in flying {
            packet.end();
        }
        prop_assert!(ledger.borrow().silent.is_empty());
        prop_assert_eq!(ledger.borrow().live, 0);
    }
}
