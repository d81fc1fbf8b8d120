// SPDX-License-Identifier: GPL-2.0

//! Lock-free communication between CPUs, in every order that the memory model allows: the bits
//! of a rollup, the pending flag of a doorbell, the CSD to the owner CPU of a poll, the mask
//! that keeps a poll from being scheduled.
//!
//! The models are small and the number of preemptions is bounded, so that this takes seconds.
//! Each model also runs with mistakes, which must be found: a model that cannot fail proves
//! nothing.

use loom::{
    model::Builder,
    sync::{
        atomic::{fence, AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
        Arc, Mutex, MutexGuard,
    },
    thread,
};
use spans_logic::{
    class::Class,
    line::{Line, Occupancy},
    packet::{Packet, Packets},
    ring::Again,
    stage::{self, Armed, Stage},
    subqueue::Limits,
    transmit::{Arm, Arrival, Settings, Transmit},
};
use std::{cell::Cell, collections::VecDeque};

thread_local! {
    /// The failure in some order. (All threads of a model are one thread of the host, and loom
    /// cannot clean up after a panic.)
    static WRONG: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Records the failure `otherwise`, unless `right`.
fn expect(right: bool, otherwise: &'static str) {
    if !right {
        WRONG.set(Some(otherwise));
    }
}

/// Runs a model in every order. Returns the failure in one of them.
#[must_use]
fn explore(model: impl Fn() + Sync + Send + 'static) -> Option<&'static str> {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    WRONG.set(None);
    builder.check(model);
    WRONG.take()
}

// --- packets ---------------------------------------------------------------------

#[derive(Debug)]
struct Pkt;

impl Packet for Pkt {
    fn len(&self) -> usize {
        60
    }
    fn wire_len(&self) -> usize {
        60
    }
    fn set_time(&mut self, _: u64) {}
    fn time(&self) -> u64 {
        0
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
    fn front(&self) -> Option<&Pkt> {
        self.0.front()
    }
}

// --- NAPI ------------------------------------------------------------------------

const SCHED: u32 = 1;
const MISSED: u32 = 2;

/// A model of `struct napi_struct` and its functions in `net/core/dev.c`.
struct Napi {
    state: AtomicU32,
    /// It is on the poll list of a CPU.
    listed: AtomicBool,
}

impl Napi {
    fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            listed: AtomicBool::new(false),
        }
    }

    /// `napi_schedule_prep()`.
    fn schedule_prep(&self) -> bool {
        let mut old = self.state.load(Ordering::Relaxed);
        loop {
            let missed = if old & SCHED != 0 { MISSED } else { 0 };
            match self.cmpxchg(old, old | SCHED | missed) {
                Ok(()) => return old & SCHED == 0,
                Err(now) => old = now,
            }
        }
    }

    /// `napi_complete_done()`, without its schedule. Returns whether the caller has to schedule.
    fn complete_done(&self) -> bool {
        let mut old = self.state.load(Ordering::Relaxed);
        loop {
            expect(old & SCHED != 0, "completed twice");
            let again = if old & MISSED != 0 { SCHED } else { 0 };
            match self.cmpxchg(old, again) {
                Ok(()) => return again != 0,
                Err(now) => old = now,
            }
        }
    }

    fn cmpxchg(&self, old: u32, new: u32) -> Result<(), u32> {
        self.state
            .compare_exchange(old, new, Ordering::SeqCst, Ordering::Relaxed)
            .map(drop)
    }

    /// `__napi_schedule()`.
    fn list(&self) {
        expect(!self.listed.swap(true, Ordering::AcqRel), "on two lists");
    }

    fn schedule(&self) {
        if self.schedule_prep() {
            self.list();
        }
    }

    /// A softirq: runs `poll` if it is on the list. `poll` returns whether it has to be polled
    /// again at once.
    fn softirq(&self, poll: impl FnOnce() -> bool) -> bool {
        if !self.listed.swap(false, Ordering::AcqRel) {
            return false;
        }
        if poll() || self.complete_done() {
            self.list();
        }
        true
    }
}

// --- the queue ---------------------------------------------------------------------

/// Stages of two packets, and a ring with room for all packets.
const SETTINGS: Settings = Settings {
    stage: stage::Settings {
        count: 3,
        bytes: 1000,
        wait: 0,
    },
    limits: Limits {
        packets: 10,
        bytes: 10_000,
    },
    slots: 16,
    line: Line {
        rate_mbit: 0,
        delay: 0,
    },
};

/// The data that the xmit lock protects.
struct Tx {
    transmit: Transmit<List>,
    stages: [Stage; 2],
    delivered: usize,
}

struct Queue {
    tx: Mutex<Tx>,
    napi: Napi,
    tx_pending: AtomicBool,
}

/// A mistake in the model.
#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    None,
    /// The poll clears `tx_pending` after its work.
    PendingClearedLate,
    /// The doorbell schedules the poll before it sets `tx_pending`.
    PendingSetLate,
    /// The rollup is scheduled before its bit is set.
    BitLate,
    /// The rollup clears its bits after it has visited them.
    BitsTakenLate,
    /// The stage is not armed when its bit is set.
    NotArmed,
}

impl Queue {
    fn new() -> Self {
        let mut transmit = Transmit::new(SETTINGS);
        transmit.set_up(true, true);
        Self {
            tx: Mutex::new(Tx {
                transmit,
                stages: Default::default(),
                delivered: 0,
            }),
            napi: Napi::new(),
            tx_pending: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tx> {
        self.tx.lock().unwrap()
    }

    fn ring(&self, mistake: Mistake) {
        if mistake == Mistake::PendingSetLate {
            self.napi.schedule();
        }
        self.tx_pending.store(true, Ordering::Relaxed);
        if mistake != Mistake::PendingSetLate {
            self.napi.schedule();
        }
    }

    /// `start_xmit` on a CPU. `arm` arms its rollup.
    fn transmit(&self, cpu: usize, owner: usize, mistake: Mistake, arm: impl FnOnce()) {
        let tx = &mut *self.lock();
        let stage = &mut tx.stages[cpu];
        let Err(packet) = tx.transmit.join(stage, Pkt, Class::Norm, false) else {
            return;
        };
        let arrival = Arrival {
            class: Class::Norm,
            more: false,
            is_local: cpu == owner,
            cpu: cpu as u32,
            qdisc: false,
        };
        let todo = tx.transmit.dispatch(stage, packet, arrival, || 0);
        expect(todo.refused.is_none(), "refused");
        if todo.doorbell.is_some() {
            self.ring(mistake);
        }
        if let Some(how) = todo.arm {
            expect(how == Arm::Rollup, "no timer");
            if mistake == Mistake::NotArmed {
                stage.disarm();
            }
            arm();
        }
    }

    /// The poll. Returns whether it has to run again.
    fn poll(&self, mistake: Mistake) -> bool {
        if !self.tx_pending.load(Ordering::Relaxed) {
            return false;
        }
        if mistake != Mistake::PendingClearedLate {
            self.tx_pending.store(false, Ordering::Relaxed);
        }
        let frames = {
            let tx = &mut *self.lock();
            if let Some(cpu) = tx.transmit.covered() {
                tx.stages[cpu as usize].disarm();
            }
            let line = || Box::new(Occupancy::default());
            tx.transmit.poll(64, || 0, line, |_| ()).frames
        };
        let mut tx = self.lock();
        tx.delivered += frames.len();
        let back = List::default();
        let completed = tx.transmit.complete(frames.len(), 0, back, || 0);
        let more = completed.again != Again::Never;
        drop(tx);
        if mistake == Mistake::PendingClearedLate {
            self.tx_pending.store(false, Ordering::Relaxed);
        }
        if more {
            self.tx_pending.store(true, Ordering::Relaxed);
        }
        more
    }

    fn softirq(&self, mistake: Mistake) -> bool {
        self.napi.softirq(|| self.poll(mistake))
    }

    /// 4, 5, 8: all packets were delivered, and no stage is armed.
    fn expect_done(&self, sent: usize) {
        let tx = self.lock();
        expect(tx.delivered == sent, "packets are left");
        expect(tx.transmit.ring().used() == 0, "slots are in use");
        for stage in &tx.stages {
            expect(stage.count() == 0, "a stage is not empty");
            expect(stage.armed() == Armed::No, "a stage is armed");
        }
    }
}

// --- the rollup -----------------------------------------------------------------------

/// The rollup of a CPU.
struct Rollup {
    cpu: usize,
    bits: AtomicU64,
    napi: Napi,
}

impl Rollup {
    fn new(cpu: usize) -> Self {
        Self {
            cpu,
            bits: AtomicU64::new(0),
            napi: Napi::new(),
        }
    }

    fn arm(&self, index: usize, mistake: Mistake) {
        if mistake == Mistake::BitLate {
            self.napi.schedule();
        }
        let old = self.bits.fetch_add(1 << index, Ordering::Relaxed);
        expect(old & (1 << index) == 0, "the sum carries");
        if mistake != Mistake::BitLate {
            self.napi.schedule();
        }
    }

    fn softirq(&self, queues: &[Queue], mistake: Mistake) -> bool {
        self.napi.softirq(|| {
            let mut bits = if mistake == Mistake::BitsTakenLate {
                self.bits.load(Ordering::SeqCst)
            } else {
                self.bits.swap(0, Ordering::SeqCst)
            };
            while bits != 0 {
                let Some(queue) = queues.get(bits.trailing_zeros() as usize) else {
                    return false; // Only after a mistake.
                };
                bits &= bits - 1;
                let tx = &mut *queue.lock();
                let (doorbell, _) = tx.transmit.rollup(&mut tx.stages[self.cpu], || 0);
                if doorbell.is_some() {
                    queue.ring(Mistake::None);
                }
            }
            if mistake == Mistake::BitsTakenLate {
                self.bits.store(0, Ordering::SeqCst);
            }
            false
        })
    }
}

// --- the doorbell -------------------------------------------------------------------

/// CPU 1 sends on a queue that it owns. The poll has a thread of its own, or runs on that CPU.
struct Pair {
    queues: [Queue; 1],
    rollup: Rollup,
}

impl Pair {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            queues: [Queue::new()],
            rollup: Rollup::new(1),
        })
    }

    fn transmit(&self, mistake: Mistake) {
        self.queues[0].transmit(1, 1, mistake, || self.rollup.arm(0, mistake));
    }

    fn softirq(&self, mistake: Mistake) -> bool {
        self.queues[0].softirq(mistake)
    }

    fn finish(&self, mistake: Mistake) {
        while self.softirq(mistake) || self.rollup.softirq(&self.queues, mistake) {}
        let owned = self.queues[0].lock().transmit.started();
        expect(!owned, "still to be started");
        self.queues[0].expect_done(2);
    }
}

/// 6: `tx_pending` is read without a lock. It may only say that the poll has work.
fn doorbell(mistake: Mistake) -> Option<&'static str> {
    explore(move || {
        let pair = Pair::new();
        let poll = {
            let pair = pair.clone();
            thread::spawn(move || {
                pair.softirq(mistake);
                pair.softirq(mistake);
            })
        };
        pair.transmit(mistake);
        pair.transmit(mistake);
        poll.join().unwrap();
        pair.finish(mistake);
    })
}

#[test]
fn inv_06_no_doorbell_is_lost() {
    assert_eq!(doorbell(Mistake::None), None);
}

#[test]
fn a_note_that_is_taken_late_is_found() {
    assert!(doorbell(Mistake::PendingClearedLate).is_some());
}

#[test]
fn a_note_that_is_left_late_is_found() {
    assert!(doorbell(Mistake::PendingSetLate).is_some());
}

/// 21: a start is scheduled while another one runs.
#[test]
fn inv_21_a_start_that_is_scheduled_by_force_is_not_lost() {
    let wrong = explore(|| {
        let pair = Pair::new();
        let user = {
            let pair = pair.clone();
            thread::spawn(move || {
                let queue = &pair.queues[0];
                let mut tx = queue.lock();
                tx.transmit.set(SETTINGS, false, || 0);
                if tx.transmit.schedule() {
                    queue.ring(Mistake::None);
                }
            })
        };
        let poll = {
            let pair = pair.clone();
            thread::spawn(move || pair.softirq(Mistake::None))
        };
        pair.transmit(Mistake::None);
        pair.transmit(Mistake::None);
        user.join().unwrap();
        poll.join().unwrap();
        pair.finish(Mistake::None);
    });
    assert_eq!(wrong, None);
}

/// CPU 0 sends on queues that CPU 1 owns, one packet after another on `sends`. Its rollup has a
/// thread of its own, as after CPU 0 went offline, and runs at the end.
fn rollup(sends: &'static [usize], mistake: Mistake) -> Option<&'static str> {
    explore(move || {
        let shared = Arc::new(([Queue::new(), Queue::new()], Rollup::new(0)));
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (queues, rollup) = &*shared;
                rollup.softirq(queues, mistake);
                rollup.softirq(queues, mistake);
            })
        };
        let (queues, rollup) = &*shared;
        for index in sends {
            queues[*index].transmit(0, 1, mistake, || rollup.arm(*index, mistake));
        }
        other.join().unwrap();
        while rollup.softirq(queues, mistake)
            || queues[0].softirq(Mistake::None)
            || queues[1].softirq(Mistake::None)
        {}
        expect(rollup.bits.load(Ordering::Relaxed) == 0, "bits are left");
        for (index, queue) in queues.iter().enumerate() {
            queue.expect_done(sends.iter().filter(|sent| **sent == index).count());
        }
    })
}

#[test]
fn inv_29_a_rollup_leaves_nothing_behind() {
    assert_eq!(rollup(&[0, 0, 0], Mistake::None), None);
}

#[test]
fn inv_29_a_rollup_of_two_queues_leaves_nothing_behind() {
    assert_eq!(rollup(&[0, 1, 1, 0], Mistake::None), None);
}

#[test]
fn a_bit_that_is_late_is_found() {
    assert!(rollup(&[0, 0, 0], Mistake::BitLate).is_some());
}

#[test]
fn bits_that_are_taken_late_are_found() {
    assert!(rollup(&[0, 0, 0], Mistake::BitsTakenLate).is_some());
}

#[test]
fn a_stage_that_is_not_armed_is_found() {
    assert!(rollup(&[0, 0, 0, 0], Mistake::NotArmed).is_some());
}

// --- the owner CPU ---------------------------------------------------------------------------

const CPUS: usize = 3;

/// A poll with an owner CPU, as in `rust/net/napi.rs`.
struct Owned {
    state: Napi,
    owner: AtomicUsize,
    /// The target CPU of the CSD, plus 1; 0 if it is not in flight.
    csd: AtomicUsize,
    /// The CPU with the poll on its list, plus 1; 0 if on none.
    list: AtomicUsize,
    online: [bool; CPUS],
    polling: AtomicBool,
    /// Work for the poll.
    work: AtomicBool,
    seen: AtomicUsize,
    migrations: AtomicUsize,
}

impl Owned {
    fn new(online: [bool; CPUS]) -> Self {
        Self {
            state: Napi::new(),
            owner: AtomicUsize::new(1),
            csd: AtomicUsize::new(0),
            list: AtomicUsize::new(0),
            online,
            polling: AtomicBool::new(false),
            work: AtomicBool::new(false),
            seen: AtomicUsize::new(0),
            migrations: AtomicUsize::new(0),
        }
    }

    fn owner(&self) -> usize {
        self.owner.load(Ordering::Relaxed)
    }

    fn send_csd(&self) -> bool {
        let owner = self.owner();
        if !self.online[owner] {
            return false;
        }
        let old = self.csd.swap(owner + 1, Ordering::AcqRel);
        expect(old == 0, "two CSDs are in flight");
        true
    }

    fn put(&self, cpu: usize) {
        let old = self.list.swap(cpu + 1, Ordering::AcqRel);
        expect(old == 0, "on two lists");
    }

    fn schedule(&self, cpu: usize) {
        self.work.store(true, Ordering::Relaxed);
        if !self.state.schedule_prep() || self.owner() != cpu && self.send_csd() {
            return;
        }
        self.put(cpu);
    }

    /// The CSD arrives.
    fn interrupt(&self, cpu: usize) -> bool {
        let free = self
            .csd
            .compare_exchange(cpu + 1, 0, Ordering::AcqRel, Ordering::Relaxed);
        if free.is_err() {
            return false;
        }
        if self.owner() != cpu {
            self.migrations.fetch_add(1, Ordering::Relaxed);
            if self.send_csd() {
                return true;
            }
        }
        self.put(cpu);
        true
    }

    /// Runs the poll list of a CPU.
    fn softirq(&self, cpu: usize) -> bool {
        let free = self
            .list
            .compare_exchange(cpu + 1, 0, Ordering::AcqRel, Ordering::Relaxed);
        if free.is_err() {
            return false;
        }
        if self.owner() != cpu {
            self.migrations.fetch_add(1, Ordering::Relaxed);
            if self.send_csd() {
                return true;
            }
        }
        // 3: one at a time.
        expect(!self.polling.swap(true, Ordering::Relaxed), "polled twice");
        if self.work.swap(false, Ordering::Relaxed) {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
        self.polling.store(false, Ordering::Relaxed);
        if self.state.complete_done() {
            self.put(cpu);
        }
        true
    }

    fn expect_done(&self) {
        expect(
            self.csd.load(Ordering::Relaxed) == 0,
            "the CSD is in flight",
        );
        expect(self.list.load(Ordering::Relaxed) == 0, "on a list");
        expect(self.state.state.load(Ordering::Relaxed) == 0, "scheduled");
        expect(!self.work.load(Ordering::Relaxed), "work was not seen");
        let seen = self.seen.load(Ordering::Relaxed);
        expect((1..=2).contains(&seen), "polled too often");
    }
}

fn migrate(online: [bool; CPUS]) -> Option<&'static str> {
    explore(move || {
        let napi = Arc::new(Owned::new(online));
        let cpu1 = {
            let napi = napi.clone();
            thread::spawn(move || {
                napi.interrupt(1);
                napi.softirq(1);
            })
        };
        let cpu2 = {
            let napi = napi.clone();
            thread::spawn(move || {
                napi.owner.store(2, Ordering::Relaxed);
                napi.interrupt(2);
                napi.softirq(2);
            })
        };
        napi.schedule(0);
        napi.softirq(0);
        napi.schedule(0);
        cpu1.join().unwrap();
        cpu2.join().unwrap();
        // 22: it is polled, whichever CPU was the owner meanwhile.
        let mut rounds = 0;
        while rounds < 10 && (0..CPUS).any(|cpu| napi.interrupt(cpu) || napi.softirq(cpu)) {
            rounds += 1;
        }
        expect(rounds < 10, "migrated for ever");
        napi.expect_done();
    })
}

#[test]
fn inv_22_a_home_that_changes_is_chased() {
    assert_eq!(migrate([true; CPUS]), None);
}

#[test]
fn inv_22_a_home_that_is_offline_is_no_home() {
    assert_eq!(migrate([true, true, false]), None);
}

/// 20: at most one CSD is in flight, whichever CPU schedules.
#[test]
fn inv_20_one_message_at_most_is_under_way() {
    let wrong = explore(|| {
        let napi = Arc::new(Owned::new([true; CPUS]));
        let others: Vec<_> = [0, 2]
            .into_iter()
            .map(|cpu| {
                let napi = napi.clone();
                thread::spawn(move || napi.schedule(cpu))
            })
            .collect();
        napi.interrupt(1);
        napi.softirq(1);
        for other in others {
            other.join().unwrap();
        }
        while napi.interrupt(1) || napi.softirq(1) {}
        napi.expect_done();
        expect(napi.migrations.load(Ordering::Relaxed) == 0, "migrated");
    });
    assert_eq!(wrong, None);
}

// --- the mask ---------------------------------------------------------------------------

/// A mistake in the handling of the mask.
#[derive(Clone, Copy, PartialEq)]
enum MaskMistake {
    None,
    /// The poll does not check for work after it unmasks.
    NoLook,
    /// The poll checks for work before it unmasks.
    LookFirst,
    /// The doorbell reads the mask just once, without a barrier.
    NoBarrier,
    /// The mask is set after the poll has cleared `SCHED`.
    SetLate,
}

/// A poll with a masked interrupt (`napi_defer_hard_irqs`), as in `rust/net/napi.rs`.
struct Masked {
    state: Napi,
    masked: AtomicBool,
    /// Number of polls that the core still defers.
    deferred: AtomicUsize,
    /// The core's timer is queued.
    timer: AtomicBool,
    rx_pending: AtomicBool,
    frames: Mutex<usize>,
}

impl Masked {
    fn new(deferred: usize) -> Self {
        Self {
            state: Napi::new(),
            masked: AtomicBool::new(false),
            deferred: AtomicUsize::new(deferred),
            timer: AtomicBool::new(false),
            rx_pending: AtomicBool::new(false),
            frames: Mutex::new(0),
        }
    }

    fn enqueue_rx(&self, mistake: MaskMistake) {
        let mut frames = self.frames.lock().unwrap();
        *frames += 1;
        self.rx_pending.store(true, Ordering::Relaxed);
        drop(frames);
        self.schedule(mistake);
    }

    fn schedule(&self, mistake: MaskMistake) {
        if self.masked.load(Ordering::Relaxed) {
            if mistake == MaskMistake::NoBarrier {
                return;
            }
            fence(Ordering::SeqCst);
            if self.masked.load(Ordering::Relaxed) {
                return;
            }
        }
        self.state.schedule();
    }

    /// `napi_watchdog()`.
    fn timer(&self) -> bool {
        let fires = self
            .timer
            .compare_exchange(true, false, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok();
        if fires && self.state.state.fetch_or(SCHED, Ordering::SeqCst) & SCHED == 0 {
            self.state.list();
        }
        fires
    }

    fn softirq(&self, mistake: MaskMistake) -> bool {
        if !self.state.listed.swap(false, Ordering::AcqRel) {
            return false;
        }
        if self.rx_pending.load(Ordering::Relaxed) {
            let mut frames = self.frames.lock().unwrap();
            *frames = 0;
            self.rx_pending.store(false, Ordering::Relaxed);
        }
        let left = self.deferred.load(Ordering::Relaxed);
        let deferred = left > 0;
        self.deferred
            .store(left.saturating_sub(1), Ordering::Relaxed);
        if deferred && mistake != MaskMistake::SetLate {
            self.masked.store(true, Ordering::Relaxed);
        }
        if self.state.complete_done() {
            self.state.list();
            return true;
        }
        if deferred {
            self.timer.store(true, Ordering::SeqCst);
            if mistake == MaskMistake::SetLate {
                self.masked.store(true, Ordering::Relaxed);
            }
        } else if self.masked.load(Ordering::Relaxed) {
            let before = self.rx_pending.load(Ordering::Relaxed);
            self.masked.store(false, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let work = match mistake {
                MaskMistake::NoLook => false,
                MaskMistake::LookFirst => before,
                _ => self.rx_pending.load(Ordering::Relaxed),
            };
            if work {
                self.schedule(mistake);
            }
        }
        true
    }
}

/// CPU 1 polls, deferred by the core; CPU 0 rings the doorbell.
fn mask(mistake: MaskMistake) -> Option<&'static str> {
    explore(move || {
        let napi = Arc::new(Masked::new(1));
        napi.state.schedule();
        let poll = {
            let napi = napi.clone();
            thread::spawn(move || {
                napi.softirq(mistake);
                napi.timer();
                napi.softirq(mistake);
            })
        };
        let other = {
            let napi = napi.clone();
            thread::spawn(move || {
                // A poll on another CPU, if it is on the list by then.
                napi.softirq(mistake);
            })
        };
        napi.enqueue_rx(mistake);
        poll.join().unwrap();
        other.join().unwrap();
        while napi.softirq(mistake) || napi.timer() {}
        expect(*napi.frames.lock().unwrap() == 0, "a frame is left");
        expect(!napi.masked.load(Ordering::Relaxed), "masked for ever");
        expect(napi.state.state.load(Ordering::Relaxed) == 0, "scheduled");
    })
}

#[test]
fn what_comes_while_masked_is_not_forgotten() {
    assert_eq!(mask(MaskMistake::None), None);
}

#[test]
fn unmasking_without_a_look_is_found() {
    assert!(mask(MaskMistake::NoLook).is_some());
}

#[test]
fn a_look_before_unmasking_is_found() {
    assert!(mask(MaskMistake::LookFirst).is_some());
}

#[test]
fn a_mask_that_is_seen_without_a_barrier_is_found() {
    assert!(mask(MaskMistake::NoBarrier).is_some());
}

#[test]
fn a_mask_that_is_set_late_is_found() {
    assert!(mask(MaskMistake::SetLate).is_some());
}
