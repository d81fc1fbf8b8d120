// SPDX-License-Identifier: GPL-2.0

//! The guarantees of DragonFly's subqueues, in order, and their weaknesses (W1 to W8).
//! `Documentation/invariants.rst` lists the tests of each, also those elsewhere.

mod common;

use common::{leave, End, List, Pkt, World, CPUS, QUEUES, RETRY};
use spans_logic::{
    class::Class,
    config::{Config, Param},
    cpus::{ring_count2, Mapping},
    ring::Again,
    stage::{self, Armed, Decision, Flush, Stage},
    subqueue::{Enqueued, Limits, Subqueue, PRIO_RUN},
    transmit::{TxDrop, WatchdogCheck, WATCHDOG_SECONDS},
};
use std::rc::Rc;

/// A CPU that does not own queue 0.
const ELSEWHERE: usize = 2;

/// Creates a world with a full ring of 16 slots and `waiting` packets in the subqueue.
fn full_ring(waiting: usize, qdisc: bool) -> World {
    let mut world = World::new(0);
    world.set_slots(16);
    world.queues[0].qdisc = qdisc;
    for _ in 0..16 + waiting {
        world.send(0, 0);
    }
    world.check();
    world
}

/// Creates a subqueue with these limits, and packets 0, 1, 2... of these classes and lengths.
fn subqueue(packets: usize, bytes: usize, classes: &[(Class, usize)]) -> Subqueue<List> {
    let ledger = Rc::default();
    let mut queue = Subqueue::new(Limits { packets, bytes });
    for (id, (class, len)) in classes.iter().enumerate() {
        let packet = Pkt::new(&ledger, id, *class, *len);
        assert!(matches!(queue.enqueue(packet, *class), Enqueued::Queued));
    }
    queue
}

/// Enqueues packet 100. Returns the evicted packets, or `None` if it is refused.
fn enqueue(queue: &mut Subqueue<List>, class: Class, len: usize) -> Option<Vec<usize>> {
    match queue.enqueue(Pkt::new(&Rc::default(), 100, class, len), class) {
        Enqueued::Queued => Some(Vec::new()),
        Enqueued::Evicted(victims) => Some(victims.end()),
        Enqueued::Full(packet) => {
            assert_eq!(packet.end(), 100);
            None
        }
    }
}

fn order(queue: &mut Subqueue<List>) -> Vec<usize> {
    std::iter::from_fn(|| queue.dequeue())
        .map(Pkt::end)
        .collect()
}

const P: (Class, usize) = (Class::Prio, 100);
const N: (Class, usize) = (Class::Norm, 100);

// --- the interlock -----------------------------------------------------------------

#[test]
fn inv_02_the_interlock_has_one_owner() {
    let mut world = full_ring(1, false);
    // W1: the caller of `schedule` owns it until the poll begins.
    assert!(world.kick(0));
    assert!(!world.kick(0));
    assert!(world.queues[0].tx.started());
    world.begin_poll(0, 64);
    assert!(!world.queues[0].tx.started());
    world.drain();
}

#[test]
fn inv_04_a_packet_behind_the_interlock_is_found() {
    let mut world = World::new(0);
    world.set(Param::DelayUsecs, 1);
    world.send(0, 0);
    assert!(world.kick(0));
    let doorbells = world.queues[0].doorbells.len();
    // The scheduled poll owns the interlock: no start, no doorbell.
    world.send(0, 0);
    assert_eq!(world.queues[0].doorbells.len(), doorbells);
    assert_eq!(world.queues[0].tx.subqueue().len(), 1);
    world.begin_poll(0, 64);
    assert_eq!(world.queues[0].tx.subqueue().len(), 0);
    // Not owned any more: the next packet is started.
    world.send(0, 0);
    assert_eq!(world.queues[0].doorbells.len(), doorbells + 1);
    world.drain();
}

#[test]
fn inv_05_what_is_owned_is_scheduled() {
    let mut world = full_ring(3, false);
    assert!(world.kick(0));
    assert!(world.queues[0].poll && world.queues[0].tx.started());
    // No event before the poll changes that.
    world.send(1, 0);
    world.rollup(1);
    world.set(Param::StageCount, 4);
    assert!(world.queues[0].poll && world.queues[0].tx.started());
    world.drain();
}

#[test]
fn inv_07_a_full_ring_is_left_to_completion() {
    let mut world = full_ring(1, false);
    assert!(world.queues[0].tx.oactive());
    let doorbells = world.queues[0].doorbells.len();
    world.set(Param::StageCount, 8);
    let taken = world.ledger.borrow().taken;
    world.poll(0, 0);
    for _ in 0..4 {
        world.send(ELSEWHERE, 0);
    }
    // W7: no start is tried in vain, which would take a packet out of the subqueue, and no
    // packet is staged.
    assert_eq!(world.ledger.borrow().taken, taken);
    assert_eq!(world.queues[0].doorbells.len(), doorbells + 1);
    assert_eq!(world.queues[0].stages[ELSEWHERE].count(), 0);
    assert_eq!(world.queues[0].tx.subqueue().len(), 5);
    world.poll(0, 2);
    // 25: two slots, two packets.
    assert_eq!(world.queues[0].tx.subqueue().len(), 3);
    world.drain();
}

#[test]
fn inv_07_a_rollup_tries_no_full_ring() {
    let mut world = World::new(16);
    world.set_slots(16);
    world.transmit(0, 0, Class::Norm, 60, true);
    world.rollup(0);
    for _ in 0..3 {
        world.send(ELSEWHERE, 0);
    }
    assert_eq!(world.queues[0].stages[ELSEWHERE].count(), 3);
    // A CPU with a full stage fills the ring.
    for _ in 0..16 {
        world.send(1, 0);
    }
    assert!(world.queues[0].tx.oactive());
    assert_eq!(world.queues[0].stages[ELSEWHERE].count(), 3);
    let taken = world.ledger.borrow().taken;
    assert!(world.rollup(ELSEWHERE));
    assert_eq!(world.ledger.borrow().taken, taken);
    world.drain();
}

// --- ifq_dispatch() ------------------------------------------------------------------

#[test]
fn inv_08_a_packet_is_started_or_covered_or_staged() {
    let mut world = World::new(4);
    // Started.
    world.send(ELSEWHERE, 0);
    assert_eq!(world.queues[0].tx.ring().used(), 1);
    // Staged.
    world.send(ELSEWHERE, 0);
    assert_eq!(world.queues[0].stages[ELSEWHERE].count(), 1);
    assert_eq!(world.queues[0].stages[ELSEWHERE].armed(), Armed::Rollup);
    // Covered.
    world.kick(0);
    world.send(ELSEWHERE, 0);
    assert_eq!(world.queues[0].stages[ELSEWHERE].count(), 0);
    assert!(world.queues[0].tx.started());
    world.drain();
}

#[test]
fn inv_09_a_full_queue_is_started_by_force() {
    let mut world = World::new(64);
    // Full by its bytes, below the limits of the stage.
    world.set(Param::QueueBytes, 1000);
    world.set(Param::StageBytes, 1 << 20);
    for _ in 0..50 {
        world.transmit(ELSEWHERE, 0, Class::Norm, 300, true);
        world.check();
    }
    assert!(world.queues[0].doorbells.contains(&Flush::Forced));
    world.drain();
    assert_eq!(world.queues[0].delivered().len(), 50);
}

#[test]
fn inv_09_what_cannot_be_taken_leaves_no_stage_behind() {
    // W5: a refused packet is not counted as staged.
    let mut world = full_ring(0, false);
    world.set(Param::StageCount, 8);
    world.set(Param::QueueLen, 1);
    world.poll(0, 0);
    for _ in 0..50 {
        world.send(1, 0);
        world.check();
        assert!(world.queues[0].stages[1].count() < 8);
    }
    assert!(world.queues[0].count(End::Refused(TxDrop::Full)) > 0);
    world.drain();
}

#[test]
fn inv_10_bytes_are_counted_once() {
    // `World::check` compares the sums.
    let mut world = World::new(4);
    world.set_slots(16);
    for len in 60..160 {
        world.transmit(len % CPUS, 0, Class::Norm, len, len % 5 == 0);
        world.check();
        if len % 7 == 0 {
            world.begin_poll(0, 5);
            world.end_poll(0, 2);
            world.check();
        }
    }
    world.drain();
}

#[test]
fn inv_11_a_start_is_put_off_only_below_both_bounds() {
    let settings = stage::Settings {
        count: 3,
        bytes: 1000,
        wait: 0,
    };
    let begun = |packets: &[usize]| {
        let mut stage = Stage::default();
        for len in packets {
            stage.add(&settings, *len, true, false);
        }
        stage
    };
    let mut stage = begun(&[]);
    assert_eq!(stage.add(&settings, 999, true, false), Decision::Arm);
    assert_eq!(stage.add(&settings, 0, true, false), Decision::Wait);
    assert_eq!(
        stage.add(&settings, 0, true, false),
        Decision::Start(Flush::Count)
    );
    let mut stage = begun(&[900]);
    assert_eq!(
        stage.add(&settings, 100, true, false),
        Decision::Start(Flush::Bytes)
    );
    // `xmit_more` ends.
    let mut stage = begun(&[60]);
    assert_eq!(
        stage.add(&settings, 60, false, false),
        Decision::Start(Flush::XmitEnd)
    );
    // A single packet of an idle device.
    let mut stage = begun(&[]);
    assert_eq!(
        stage.add(&settings, 60, false, true),
        Decision::Start(Flush::Idle)
    );
}

#[test]
fn inv_12_the_last_of_a_stage_empties_it() {
    for cpu in 0..CPUS {
        let mut world = World::new(4);
        world.set(Param::StageUsecs, 100);
        for sent in 1..=3 {
            world.send(cpu, 0);
            assert_eq!(world.queues[0].stages[cpu].count(), sent);
            assert!(world.queues[0].doorbells.is_empty());
        }
        world.send(cpu, 0);
        assert_eq!(world.queues[0].stages[cpu].count(), 0);
        assert_eq!(world.queues[0].doorbells, [Flush::Count]);
        // The count restarts.
        world.send(cpu, 0);
        assert_eq!(world.queues[0].stages[cpu].count(), 1);
        world.drain();
    }
}

#[test]
fn inv_13_a_stage_is_dropped_when_another_will_start() {
    let mut world = World::new(4);
    world.send(1, 0);
    world.send(1, 0);
    assert_eq!(world.queues[0].stages[1].count(), 1);
    world.kick(0);
    let doorbells = world.queues[0].doorbells.len();
    world.send(1, 0);
    assert_eq!(world.queues[0].stages[1].count(), 0);
    // Its rollup has nothing to start.
    assert!(world.rollup(1));
    assert_eq!(world.queues[0].doorbells.len(), doorbells);
    world.drain();
}

#[test]
fn inv_14_where_a_poll_is_due_only_the_bound_rings() {
    let mut world = World::new(4);
    world.send(0, 0);
    assert_eq!(world.queues[0].stages[0].armed(), Armed::Poll);
    for _ in 0..3 {
        world.send(0, 0);
    }
    assert_eq!(world.queues[0].doorbells, [Flush::Idle]);
    world.send(0, 0);
    assert_eq!(world.queues[0].doorbells, [Flush::Idle, Flush::Count]);
    world.drain();
    // The poll starts the remaining packet without a doorbell.
    assert_eq!(world.queues[0].doorbells.len(), 2);
}

#[test]
fn inv_15_without_staging_each_packet_starts() {
    for count in [0, 1] {
        let mut world = World::new(count);
        for sent in 1..=10 {
            world.transmit(1, 0, Class::Norm, 60, true);
            assert_eq!(world.queues[0].doorbells.len(), sent);
            assert_eq!(world.queues[0].stages[1].armed(), Armed::No);
        }
        world.drain();
    }
}

// --- ifstart_try() --------------------------------------------------------------------

#[test]
fn inv_16_a_start_does_not_wait_for_the_other_side() {
    let mut world = World::new(0);
    world.send(0, 0);
    world.begin_poll(0, 64);
    // While the poll holds the first frame, the second gets a slot and a doorbell.
    world.send(1, 0);
    assert_eq!(world.queues[0].tx.ring().used(), 2);
    assert_eq!(world.queues[0].doorbells.len(), 2);
    world.end_poll(0, 0);
    world.drain();
}

#[test]
fn inv_17_nothing_is_started_unless_the_device_runs() {
    for carrier in [true, false] {
        let mut world = World::new(4);
        world.send(1, 0);
        world.send(1, 0);
        if carrier {
            world.set_up(false);
        } else {
            world.set_carrier(false);
        }
        world.rollup(1);
        world.poll(0, 64);
        world.send(1, 0);
        assert!(!world.kick(0));
        world.check();
        assert_eq!(world.queues[0].inside(), 0);
        let why = if carrier {
            TxDrop::Down
        } else {
            TxDrop::NoCarrier
        };
        assert_eq!(world.queues[0].count(End::Refused(why)), 1);
        world.drain();
        assert_eq!(world.queues[0].delivered(), []);
    }
}

#[test]
fn inv_18_after_a_start_all_is_started_or_left_to_completion() {
    for free in 0..4 {
        let mut world = World::new(8);
        world.set_slots(16);
        world.kick(0);
        for _ in 0..16 - free {
            world.send(0, 0);
        }
        world.poll(0, 0);
        for _ in 0..3 {
            world.send(ELSEWHERE, 0);
        }
        world.rollup(ELSEWHERE);
        let tx = &world.queues[0].tx;
        assert!(!tx.started());
        assert!(tx.subqueue().is_empty() || tx.oactive());
        world.check();
        world.drain();
    }
}

// --- schedule -------------------------------------------------------------------------

#[test]
fn inv_19_a_doorbell_covers_what_comes_until_its_poll() {
    let mut world = World::new(16);
    world.send(0, 0);
    assert_eq!(world.queues[0].stages[0].armed(), Armed::Poll);
    for _ in 0..5 {
        world.send(0, 0);
    }
    assert!(!world.cpus[0].rollup, "no rollup is needed");
    world.begin_poll(0, 64);
    assert_eq!(world.queues[0].stages[0].armed(), Armed::No);
    world.end_poll(0, 0);
    assert_eq!(world.queues[0].delivered().len(), 6);
    assert_eq!(world.queues[0].doorbells, [Flush::Idle]);
}

#[test]
fn inv_20_a_forced_schedule_is_idempotent() {
    let mut world = full_ring(4, true);
    let doorbells = world.queues[0].doorbells.len();
    for _ in 0..5 {
        world.kick(0);
    }
    assert_eq!(world.queues[0].doorbells.len(), doorbells + 1);
    world.drain();
}

#[test]
fn inv_21_what_is_scheduled_during_a_poll_is_another() {
    let mut world = full_ring(4, false);
    world.kick(0);
    world.begin_poll(0, 2);
    assert!(world.kick(0));
    world.end_poll(0, 0);
    assert!(world.queues[0].poll);
    world.drain();
}

#[test]
fn inv_23_a_poll_starts_before_it_carries_and_after() {
    let mut world = World::new(16);
    world.set_slots(16);
    world.send(1, 0);
    for _ in 0..20 {
        world.send(1, 0);
    }
    assert!(!world.queues[0].tx.subqueue().is_empty());
    world.begin_poll(0, 8);
    // Before: the staged packets. The ring is full, and the rest waits for slots.
    assert_eq!(world.queues[0].tx.ring().free(), 0);
    assert_eq!(world.queues[0].tx.subqueue().len(), 21 - 16);
    world.end_poll(0, 0);
    assert_eq!(world.queues[0].tx.subqueue().len(), 0);
    assert!(world.queues[0].poll, "there is more");
    world.drain();
}

#[test]
fn inv_24_no_poll_is_scheduled_without_work() {
    let mut world = World::new(16);
    assert!(!world.kick(0));
    world.send(0, 0);
    world.drain();
    assert!(!world.kick(0));
}

#[test]
fn inv_26_what_was_changed_starts_again() {
    // More slots.
    let mut world = full_ring(20, false);
    world.poll(0, 0);
    world.set_slots(64);
    assert!(world.queues[0].poll && world.queues[0].tx.started());
    world.drain();
    // The carrier returns.
    let mut world = full_ring(20, true);
    world.begin_poll(0, 4);
    world.set_carrier(false);
    world.end_poll(0, 2);
    world.check();
    world.set_carrier(true);
    assert!(world.queues[0].poll);
    world.drain();
    // A reset.
    let mut world = full_ring(20, false);
    while !world.watchdog_check(0) {}
    assert!(world.queues[0].poll && world.queues[0].tx.started());
    world.drain();
    assert_eq!(world.queues[0].count(End::Expired), 16);
    assert_eq!(world.queues[0].delivered().len(), 20);
}

// --- stages and rollup -------------------------------------------------------------------

#[test]
fn inv_27_a_stage_is_armed_once() {
    let settings = stage::Settings {
        count: 9,
        bytes: 1000,
        wait: 0,
    };
    let timed = stage::Settings {
        wait: 1,
        ..settings
    };
    type Way = fn(&mut Stage, &stage::Settings) -> bool;
    let ways: [(Way, Armed); 3] = [
        (|stage, _| stage.cover(), Armed::Poll),
        (|stage, _| stage.open_round(), Armed::Rollup),
        (
            |stage, settings| stage.add(settings, 60, true, false) != Decision::Wait,
            Armed::Rollup,
        ),
    ];
    for (first, armed) in ways {
        for (second, _) in ways {
            let mut stage = Stage::default();
            assert!(first(&mut stage, &settings));
            assert!(!second(&mut stage, &settings) && !second(&mut stage, &timed));
            assert_eq!(stage.armed(), armed);
            // Disarming clears the stage.
            assert_eq!(stage.disarm(), armed);
            assert_eq!((stage.count(), stage.armed()), (0, Armed::No));
            assert_eq!(
                stage.add(&timed, 999, false, false),
                Decision::ArmTimer,
                "as if it were new"
            );
        }
    }
    // A start by another CPU does not disarm it.
    let mut stage = Stage::default();
    stage.add(&settings, 60, true, false);
    stage.clear();
    assert_eq!((stage.count(), stage.armed()), (0, Armed::Rollup));
}

#[test]
fn inv_29_a_rollup_visits_all_its_stages() {
    let mut world = World::new(16);
    for queue in 0..QUEUES {
        for _ in 0..3 {
            world.send(ELSEWHERE, queue);
        }
        assert_eq!(world.queues[queue].stages[ELSEWHERE].count(), 2);
    }
    world.begin_rollup(ELSEWHERE);
    // A packet staged meanwhile, in a stage visited before, is for the next rollup.
    world.visit(ELSEWHERE);
    world.send(ELSEWHERE, 0);
    world.check();
    world.visit(ELSEWHERE);
    assert!(!world.visit(ELSEWHERE) && world.cpus[ELSEWHERE].rollup);
    assert_eq!(world.queues[0].stages[ELSEWHERE].count(), 1);
    assert_eq!(world.queues[1].stages[ELSEWHERE].armed(), Armed::No);
    for queue in 0..QUEUES {
        let wanted = [Flush::Idle, Flush::Rollup];
        assert_eq!(world.queues[queue].doorbells, wanted);
    }
    world.drain();
}

#[test]
fn inv_30_a_rollup_leaves_others_business_alone() {
    // `World::visit` checks: no start with an owned interlock, a full ring or no carrier.
    let mut world = World::new(16);
    world.send(1, 0);
    world.send(1, 0);
    world.kick(0);
    world.rollup(1);
    assert_eq!(world.queues[0].tx.subqueue().len(), 1);
    world.drain();
}

#[test]
fn inv_31_company_is_waited_for_until_the_round_ends() {
    let mut world = World::new(16);
    world.transmit(ELSEWHERE, 0, Class::Norm, 60, true);
    assert!(world.queues[0].doorbells.is_empty());
    world.softirq();
    assert_eq!(world.queues[0].delivered().len(), 1);
    // W8: or for `stage_usecs`, in any context.
    world.set(Param::StageUsecs, 100);
    world.send(ELSEWHERE, 0);
    world.softirq();
    assert_eq!(world.queues[0].delivered().len(), 1);
    let began = world.now;
    world.settle();
    assert_eq!(world.queues[0].delivered().len(), 2);
    assert_eq!(world.now - began, 100_000);
    assert_eq!(world.queues[0].doorbells, [Flush::Rollup, Flush::Time]);
}

#[test]
fn inv_31_a_doorbell_does_not_end_the_time() {
    let mut world = World::new(16);
    world.set(Param::StageUsecs, 100);
    // A full frame does not wait. Its doorbell, local or remote, does not flush the next packet
    // at the end of the round.
    for cpu in [0, ELSEWHERE] {
        let began = world.now;
        let delivered = world.queues[0].delivered().len();
        world.transmit(cpu, 0, Class::Norm, 1500, false);
        assert_eq!(world.queues[0].doorbells.last(), Some(&Flush::Bytes));
        assert_eq!(world.queues[0].stages[cpu].armed(), Armed::No);
        world.poll(0, 64);
        world.send(cpu, 0);
        assert_eq!(world.queues[0].stages[cpu].armed(), Armed::Time);
        world.softirq();
        assert_eq!(world.queues[0].delivered().len(), delivered + 1);
        world.settle();
        assert_eq!(world.queues[0].delivered().len(), delivered + 2);
        assert_eq!(world.now - began, 100_000);
    }
    world.drain();
}

#[test]
fn inv_32_a_start_of_nothing_is_harmless() {
    let mut world = World::new(16);
    let mut stage = Stage::default();
    let tx = &mut world.queues[0].tx;
    for _ in 0..3 {
        assert_eq!(tx.rollup(&mut stage, || 0), (None, 0));
        let polled = tx.poll(64, || 0, || &mut world.line, leave);
        assert!(polled.frames.0.is_empty() && polled.posted == 0 && polled.left == 0);
        let completed = tx.complete(0, 0, List::default(), || 0);
        assert_eq!(completed.again, Again::Never);
        assert!(!completed.wake && completed.posted == 0 && completed.left == 0);
        assert!(!tx.started() && tx.covered().is_none());
        assert!(matches!(tx.watchdog_check(|| 0), WatchdogCheck::Idle));
    }
    world.send(0, 0);
    world.drain();
}

#[test]
fn inv_33_going_down_disarms_all_stages() {
    let mut world = World::new(16);
    for cpu in 0..CPUS {
        for queue in 0..QUEUES {
            world.send(cpu, queue);
            world.send(cpu, queue);
        }
    }
    let doorbells = world.queues[0].doorbells.len();
    world.set_up(false);
    world.check();
    assert_eq!(world.queues[0].doorbells.len(), doorbells, "no start");
    for queue in &world.queues {
        assert!(queue.stages.iter().all(|stage| stage.armed() == Armed::No));
    }
    // A stage that is armed after that is armed once: `World::arm` checks.
    world.set_up(true);
    for cpu in 0..CPUS {
        world.send(cpu, 0);
        world.send(cpu, 0);
    }
    world.drain();
}

// --- the queue ----------------------------------------------------------------------------

#[test]
fn inv_34_packets_never_exceed_their_limit() {
    let mut queue = subqueue(3, 1000, &[N, N, P]);
    assert_eq!(enqueue(&mut queue, Class::Norm, 100), None);
    // A prepended packet is not refused.
    let packet = queue.dequeue().unwrap();
    assert_eq!(enqueue(&mut queue, Class::Norm, 100), Some(vec![]));
    queue.prepend(packet);
    assert_eq!((queue.len(), queue.len_max()), (4, 4));
    order(&mut queue);
    // Bytes by one packet, as the limit is checked before it is added.
    let mut queue = subqueue(9, 150, &[N]);
    assert_eq!(enqueue(&mut queue, Class::Norm, 1500), Some(vec![]));
    assert_eq!(queue.bytes(), 1600);
    order(&mut queue);
}

#[test]
fn inv_35_norm_is_refused_by_a_full_queue() {
    for (packets, bytes) in [(2, 1000), (9, 200)] {
        let mut queue = subqueue(packets, bytes, &[N, N]);
        assert!(queue.is_full());
        assert_eq!(enqueue(&mut queue, Class::Norm, 60), None);
        assert_eq!(order(&mut queue), [0, 1]);
    }
}

#[test]
fn inv_36_prio_evicts_the_head_of_norm() {
    let mut queue = subqueue(4, 1000, &[P, N, N, N]);
    assert_eq!(enqueue(&mut queue, Class::Prio, 100), Some(vec![1]));
    // Prio has its half now.
    assert_eq!(enqueue(&mut queue, Class::Prio, 100), None);
    assert_eq!(order(&mut queue), [0, 100, 2, 3]);
    // Half of the bytes.
    let mut queue = subqueue(9, 400, &[P, P, N, N]);
    assert_eq!(enqueue(&mut queue, Class::Prio, 100), None);
    order(&mut queue);
    // A long packet evicts several short ones.
    let mut queue = subqueue(9, 400, &[P, N, N, N]);
    assert_eq!(enqueue(&mut queue, Class::Prio, 101), Some(vec![1, 2]));
    order(&mut queue);
}

#[test]
fn inv_36_prio_never_evicts_prio() {
    let mut queue = subqueue(8, 1000, &[P; 8]);
    assert_eq!(enqueue(&mut queue, Class::Prio, 100), None);
    assert_eq!(order(&mut queue).len(), 8);
}

#[test]
fn inv_36_evicted_packets_are_counted() {
    // W2.
    let mut world = full_ring(0, false);
    world.set(Param::QueueLen, 4);
    world.poll(0, 0);
    for class in [Class::Norm, Class::Prio] {
        for _ in 0..6 {
            world.transmit(1, 0, class, 60, false);
        }
    }
    assert_eq!(world.queues[0].count(End::Refused(TxDrop::PrioEvict)), 2);
    assert_eq!(world.queues[0].count(End::Refused(TxDrop::Full)), 2 + 4);
    world.drain();
}

#[test]
fn inv_37_prio_may_fill_an_empty_queue() {
    let mut queue = subqueue(8, 1000, &[P; 7]);
    assert_eq!(enqueue(&mut queue, Class::Prio, 100), Some(vec![]));
    assert_eq!(order(&mut queue).len(), 8);
}

#[test]
fn inv_38_prepended_then_prio_then_norm() {
    let mut queue = subqueue(9, 1000, &[N, N, P, P]);
    assert_eq!(queue.dequeue().map(Pkt::end), Some(2));
    let packet = queue.dequeue().unwrap();
    queue.prepend(packet);
    assert_eq!(enqueue(&mut queue, Class::Prio, 60), Some(vec![]));
    assert_eq!(order(&mut queue), [3, 100, 0, 1]);
    assert_eq!(
        subqueue(9, 1000, &[N, P, N, P]).take_all().end(),
        [1, 3, 0, 2]
    );
}

#[test]
fn inv_38_norm_is_not_starved() {
    // W3.
    let run = PRIO_RUN as usize;
    let mut packets = vec![P; 3 * run];
    packets.insert(0, N);
    packets.insert(0, N);
    let mut queue = subqueue(100, 100_000, &packets);
    let order = order(&mut queue);
    assert_eq!(order.iter().position(|id| *id == 0), Some(run));
    assert_eq!(order.iter().position(|id| *id == 1), Some(2 * run + 1));
    // Of prio packets that left before norm had one, only the last counts.
    let mut queue = subqueue(100, 100_000, &vec![P; 3 * run]);
    for _ in 0..run {
        queue.dequeue().map(Pkt::end);
    }
    assert_eq!(enqueue(&mut queue, Class::Norm, 60), Some(vec![]));
    let left: Vec<_> = std::iter::from_fn(|| queue.dequeue())
        .map(Pkt::end)
        .collect();
    assert_eq!(left.iter().position(|id| *id == 100), Some(run - 1));
}

#[test]
fn inv_38_norm_is_not_starved_where_all_fit_into_the_ring() {
    let mut world = World::new(256);
    world.set(Param::StageUsecs, 1000);
    world.set(Param::StageBytes, 1 << 20);
    let norm = world.send(0, 0);
    for _ in 0..100 {
        world.transmit(0, 0, Class::Prio, 60, false);
    }
    world.settle();
    let delivered = world.queues[0].delivered();
    assert_eq!(
        delivered.iter().position(|id| *id == norm),
        Some(PRIO_RUN as usize)
    );
    world.drain();
}

#[test]
fn with_a_qdisc_lower_limits_lose_nothing() {
    let mut world = World::new(256);
    world.queues[0].qdisc = true;
    world.set(Param::StageUsecs, 1000);
    world.set(Param::StageBytes, 1 << 20);
    for _ in 0..200 {
        world.send(0, 0);
    }
    world.set(Param::QueueLen, 1);
    world.set(Param::StageCount, 0);
    assert!(world.queues[0].stopped);
    world.settle();
    assert!(!world.queues[0].stopped);
    world.drain();
}

#[test]
fn a_queue_that_was_stopped_goes_on_without_its_qdisc() {
    let mut world = full_ring(44, true);
    assert!(world.queues[0].stopped);
    world.queues[0].qdisc = false;
    world.watchdog_check(0);
    assert!(!world.queues[0].stopped);
    world.drain();
}

#[test]
fn inv_38_norm_is_not_starved_by_a_slow_ring() {
    // One slot after another becomes free, while prio never ends.
    let mut world = full_ring(0, false);
    world.send(0, 0);
    let norm = world.send(0, 0);
    let run = PRIO_RUN as usize;
    for _ in 0..2 * run {
        world.transmit(0, 0, Class::Prio, 60, false);
    }
    let mut waited = 0;
    while !world.queues[0].delivered().contains(&norm) {
        world.transmit(0, 0, Class::Prio, 60, false);
        world.poll(0, 1);
        waited += 1;
        assert!(waited <= 16 + 2 * (run + 1), "{waited}");
    }
    world.drain();
}

#[test]
fn inv_39_order_within_a_class_survives_what_comes_back() {
    let mut world = full_ring(8, false);
    for blocked in [3, 1, 4] {
        world.begin_poll(0, 5);
        world.end_poll(0, blocked);
        world.pass(RETRY);
        world.send(0, 0);
    }
    // `World::end_poll` compares the order.
    world.drain();
}

#[test]
fn inv_42_one_packet_is_put_back_at_a_time() {
    let mut world = full_ring(3, false);
    for _ in 0..6 {
        // Each start finds no slot and puts one back.
        world.poll(0, 1);
        world.send(1, 0);
        world.check();
    }
    world.drain();
    assert!(world.queues[0].delivered().is_sorted());
}

#[test]
fn inv_43_purge_leaves_nothing_and_cuts_at_once() {
    let mut world = World::new(4);
    world.set_slots(16);
    for cpu in 0..CPUS {
        for queue in 0..QUEUES {
            for _ in 0..25 {
                world.send(cpu, queue);
            }
        }
    }
    world.begin_poll(0, 3);
    // As in rust/spans: first all queues refuse packets, then they are purged.
    world.set_carrier(false);
    assert_eq!(world.queues[0].inside(), 3, "held by the poll");
    assert_eq!(world.queues[1].inside(), 0);
    world.end_poll(0, 0);
    assert_eq!(world.queues[0].delivered().len(), 3);
    world.check();
    world.drain();
    assert_eq!(world.queues[1].count(End::Purged), 75);
}

// --- setup --------------------------------------------------------------------------------

#[test]
fn inv_45_staging_by_itself_fills_no_queue() {
    for count in [2, 16, 256] {
        let mut world = World::new(count);
        world.set(Param::QueueLen, 1);
        world.set(Param::StageUsecs, 1000);
        world.set(Param::StageBytes, 1 << 20);
        world.set_slots(1024);
        for cpu in 0..CPUS {
            for _ in 1..count {
                world.send(cpu, 0);
            }
            assert_eq!(
                world.queues[0].tx.subqueue().len_max(),
                (cpu + 1) * (count as usize - 1)
            );
        }
        assert!(world.queues[0].ends.is_empty() && world.queues[0].doorbells.is_empty());
        world.drain();
    }
}

#[test]
fn inv_45_limits_follow_the_stages() {
    // W4.
    let mut config = Config::default();
    let packets = |config: &Config| config.settings(1500, 28, 4).limits.packets;
    config.set(Param::QueueLen, 10).unwrap();
    for count in [0, 1, 16, 256] {
        config.set(Param::StageCount, count).unwrap();
        assert_eq!(packets(&config), 10 + 4 * count as usize);
    }
}

#[test]
fn inv_46_a_mapping_depends_on_the_cpu_alone() {
    // 40: a flow keeps its order as long as it stays on one CPU.
    for queues in 1..9 {
        for cpu in 0..64 {
            assert_eq!(Mapping::Default.queue(cpu, queues), 0);
            assert_eq!(Mapping::Modulo.queue(cpu, queues), cpu % queues);
            let mask = (1 << queues.ilog2()) - 1;
            assert_eq!(Mapping::Mask.queue(cpu, queues), cpu & mask);
        }
    }
    assert_eq!(Mapping::Modulo.queue(3, 0), 0);
}

#[test]
fn inv_47_ring_count2_as_the_ancestor_has_it() {
    assert_eq!(ring_count2(0, 8, 6), 4);
    assert_eq!(ring_count2(3, 8, 6), 2);
    assert_eq!(ring_count2(100, 8, 16), 8);
    assert_eq!(ring_count2(1, 8, 16), 1);
    assert_eq!(ring_count2(0, 0, 0), 1);
}

#[test]
fn inv_49_a_queue_always_holds_something() {
    let limits = Limits::new(0, 0, 0, 0, 0);
    assert!(limits.packets >= 1);
    let mut config = Config::default();
    assert!(config.set(Param::QueueLen, 0).is_err());
    config.set(Param::QueueLen, 1).unwrap();
    config.set(Param::StageCount, 0).unwrap();
    let limits = config.settings(0, 0, 0).limits;
    assert!(limits.packets >= 1 && limits.bytes >= 1);
    let limits = Limits::new(usize::MAX, 0, 2, 2, usize::MAX);
    assert_eq!((limits.packets, limits.bytes), (usize::MAX, usize::MAX));
}

// --- watchdog --------------------------------------------------------------------------------

#[test]
fn inv_50_an_empty_ring_is_not_watched() {
    let mut world = World::new(0);
    for _ in 0..20 {
        world.send(0, 0);
        world.softirq();
        for _ in 0..3 {
            assert!(!world.watchdog_check(0));
        }
    }
    // Nor a ring without a carrier, also if frames came back.
    world.send(0, 0);
    world.send(0, 0);
    world.begin_poll(0, 2);
    world.set_carrier(false);
    world.end_poll(0, 1);
    // 43: frames that come back are not kept for a later carrier.
    assert_eq!(world.queues[0].count(End::Purged), 1);
    assert_eq!(world.queues[0].tx.ring().used(), 0);
    for _ in 0..2 * WATCHDOG_SECONDS {
        assert!(!world.watchdog_check(0));
        world.check();
    }
    world.drain();
}

#[test]
fn inv_51_a_ring_that_hangs_is_reset_after_five_seconds() {
    let mut world = full_ring(44, true);
    world.queues[0].stalled = true;
    assert!(world.queues[0].stopped);
    for _ in 1..5 {
        world.softirq();
        assert!(!world.watchdog_check(0));
    }
    assert!(world.watchdog_check(0));
    world.drain();
    assert_eq!(world.queues[0].count(End::Expired), 16);
}

#[test]
fn inv_51_a_ring_that_is_slow_does_not_hang() {
    let mut world = full_ring(10, false);
    for _ in 0..4 {
        for _ in 1..WATCHDOG_SECONDS {
            assert!(!world.watchdog_check(0));
        }
        world.poll(0, 1);
    }
    assert_eq!(world.queues[0].delivered().len(), 4);
    world.drain();
}

#[test]
fn inv_51_frames_that_come_back_are_watched() {
    let mut world = World::new(0);
    world.send(0, 0);
    world.begin_poll(0, 1);
    // The poll holds all frames: there is nothing to reset.
    while !world.watchdog_check(0) {}
    world.end_poll(0, 1);
    for _ in 1..WATCHDOG_SECONDS {
        assert!(!world.watchdog_check(0));
    }
    assert!(world.watchdog_check(0));
    assert_eq!(world.queues[0].count(End::Expired), 1);
    world.drain();
}

// --- with a qdisc ------------------------------------------------------------------------------

#[test]
fn a_queue_that_is_stopped_goes_on_with_a_quarter_free() {
    let mut world = full_ring(0, true);
    assert!(world.queues[0].stopped);
    for sent in 1..=4 {
        assert!(world.queues[0].stopped, "{sent}");
        world.poll(0, 1);
    }
    assert!(!world.queues[0].stopped);
    world.drain();
}

#[test]
fn without_a_qdisc_nothing_stops() {
    let mut world = full_ring(0, false);
    for _ in 0..1000 {
        world.send(0, 0);
    }
    assert!(!world.queues[0].stopped);
    assert!(world.queues[0].count(End::Refused(TxDrop::Full)) > 0);
    world.drain();
}

// --- the line ------------------------------------------------------------------------------------

#[test]
fn a_line_has_a_rate_and_a_delay() {
    let mut world = World::new(0);
    world.set(Param::RateMbit, 8); // a byte in a microsecond
    world.set(Param::DelayUsecs, 500);
    for _ in 0..3 {
        world.transmit(0, 0, Class::Norm, 1000, false);
    }
    let mut arrivals = Vec::new();
    world.softirq();
    while let Some(at) = world.next_timer() {
        world.pass(at - world.now);
        let before = world.queues[0].delivered().len();
        world.softirq();
        if world.queues[0].delivered().len() > before {
            arrivals.push(world.now);
        }
    }
    assert_eq!(arrivals, [1_500_000, 2_500_000, 3_500_000]);
    world.drain();
}

#[test]
fn a_new_time_counts_at_once() {
    let mut world = World::new(16);
    world.set(Param::StageUsecs, 1_000_000);
    world.send(1, 0);
    world.softirq();
    assert_eq!(world.queues[0].delivered().len(), 0);
    world.set(Param::StageUsecs, 0);
    world.softirq();
    world.send(1, 0);
    world.softirq();
    assert_eq!((world.queues[0].delivered().len(), world.now), (2, 0));
    world.drain();
}
