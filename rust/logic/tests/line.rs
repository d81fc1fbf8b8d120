// SPDX-License-Identifier: GPL-2.0

//! The line of a device: its queues share it, and frames that have left on it are not charged
//! to their senders any more.

mod common;

use common::{leave, Ledger, List, Pkt, World};
use spans_logic::{
    class::Class,
    config::Param,
    line::{Line, Occupancy},
    ring::{Again, Ring},
    transmit::{WatchdogCheck, WATCHDOG_SECONDS},
};
use std::{cell::RefCell, rc::Rc};

const SECOND: u64 = 1_000_000_000;

/// 100 Mbit/s: 80 ns a byte.
const RATE: Line = Line {
    rate_mbit: 100,
    delay: 0,
};

/// A ring that always has frames of one length.
struct Sender {
    ring: Ring<List>,
    len: usize,
    headers: usize,
    /// Delay of each poll, in nanoseconds.
    late: u64,
    poll: u64,
    /// Bytes on the line.
    sent: usize,
    /// The longest time between two frames.
    pause: u64,
    last: u64,
}

impl Sender {
    fn new(slots: usize, len: usize) -> Self {
        Self {
            ring: Ring::new(slots, RATE),
            len,
            headers: 0,
            late: 0,
            poll: 0,
            sent: 0,
            pause: 0,
            last: 0,
        }
    }

    fn poll(&mut self, now: u64, occupancy: &mut Occupancy, ledger: &Rc<RefCell<Ledger>>) {
        let wire_len = self.len + self.headers;
        while self.ring.free() > 0 {
            let mut frame = Pkt::new(ledger, 0, Class::Norm, self.len);
            frame.headers = self.headers;
            assert!(self.ring.post(frame, || now).is_ok());
        }
        let batch = self.ring.take(64, || now, || &mut *occupancy, leave);
        for frame in batch.frames.0 {
            assert!(frame.left && frame.time <= now);
            self.sent += wire_len;
            self.pause = self.pause.max(frame.time - self.last);
            self.last = frame.time;
            frame.end();
            assert_eq!(self.ring.complete(1, self.len), 0);
        }
        self.poll = match self.ring.again() {
            Again::At(at) => at + self.late,
            Again::AtOnce => now,
            Again::Never => panic!("the ring has frames"),
        };
    }
}

/// Runs senders on one line for `time`. Together they use all of its rate, and no more.
fn share(senders: &mut [Sender], time: u64) {
    let ledger = Rc::default();
    let mut occupancy = Occupancy::default();
    let mut now = 0;
    while now < time {
        for sender in senders.iter_mut() {
            if sender.poll <= now {
                sender.poll(now, &mut occupancy, &ledger);
            }
        }
        now = senders
            .iter()
            .map(|sender| sender.poll)
            .min()
            .unwrap()
            .max(now);
    }
    for sender in senders.iter_mut() {
        sender.ring.reset().end();
    }
    let sent: usize = senders.iter().map(|sender| sender.sent).sum();
    let line = time as usize / 80;
    let most: usize = senders
        .iter()
        .map(|sender| sender.len + sender.headers)
        .sum();
    assert!(sent <= line + most, "{sent} bytes on a line for {line}");
    assert!(sent * 100 >= line * 98, "{sent} bytes on a line for {line}");
}

fn assert_even(senders: &[Sender]) {
    let sent: Vec<_> = senders.iter().map(|sender| sender.sent).collect();
    let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
    assert!(least * 100 >= most * 95, "{sent:?}");
}

#[test]
fn queues_share_a_line_whatever_their_frames_and_slots() {
    for lengths in [
        [1500, 1500, 1500],
        [60, 60, 1500],
        [1000, 1500, 700],
        [60, 1500, 65_000],
    ] {
        // A turn is no longer than the ring, so the ring holds the longest frame in short ones.
        let mut senders: Vec<_> = [2048, 64, 16]
            .iter()
            .zip(lengths)
            .map(|(slots, len)| Sender::new(*slots, len))
            .collect();
        share(&mut senders, 5 * SECOND);
        assert_even(&senders);
        // In turn: no queue waits for more than one turn of each other queue, which is as long as
        // their longest frame.
        let longest = *lengths.iter().max().unwrap() as u64;
        for sender in &senders {
            assert!(
                sender.pause <= 80 * 4 * longest,
                "{}: {}",
                sender.len,
                sender.pause
            );
        }
    }
}

#[test]
fn a_queue_alone_has_all_of_the_line() {
    let mut sender = [Sender::new(16, 1500)];
    share(&mut sender, SECOND);
    assert_eq!(sender[0].pause, 80 * 1500);
}

#[test]
fn late_timers_leave_no_gap() {
    let mut senders = [Sender::new(64, 1500), Sender::new(64, 60)];
    for sender in &mut senders {
        sender.late = 200_000;
    }
    share(&mut senders[..1], SECOND);
    senders[0] = Sender::new(64, 1500);
    senders[0].late = 200_000;
    share(&mut senders, SECOND);
}

/// A queue that is polled late loses a part of its share, and not more.
#[test]
fn a_late_timer_starves_no_queue() {
    for lengths in [[1500, 1500], [60, 1500], [1500, 60], [1500, 9000]] {
        let mut senders = lengths.map(|len| Sender::new(256, len));
        senders[1].late = 200_000;
        share(&mut senders, SECOND);
        let sent = senders.each_ref().map(|sender| sender.sent);
        let all: usize = sent.iter().sum();
        assert!(
            sent.iter().all(|sent| sent * 4 >= all),
            "{lengths:?}: {sent:?}"
        );
    }
}

#[test]
fn each_segment_has_headers() {
    let mut senders = [Sender::new(16, 60_000), Sender::new(64, 1500)];
    senders[0].headers = 20_000;
    share(&mut senders, 5 * SECOND);
    assert_even(&senders);
}

/// A queue that starts late loses nothing, and an idle one reserves nothing.
#[test]
fn a_turn_is_not_saved_up() {
    let ledger = Rc::default();
    let mut occupancy = Occupancy::default();
    let mut busy = Sender::new(64, 1500);
    let mut now = 0;
    while now < SECOND {
        busy.poll(now, &mut occupancy, &ledger);
        now = busy.poll;
    }
    // After an idle second another queue waits for one frame.
    let mut ring: Ring<List> = Ring::new(16, RATE);
    assert!(ring
        .post(Pkt::new(&ledger, 0, Class::Norm, 1500), || now)
        .is_ok());
    ring.take(64, || now, || &mut occupancy, leave);
    let Again::At(leaves) = ring.again() else {
        panic!("the ring has a frame");
    };
    assert!(leaves <= now + 2 * 80 * 1500);
    ring.reset().end();
    busy.ring.reset().end();
}

/// Creates a world with this rate and delay of the line.
fn world(rate: u32, delay: u32) -> World {
    let mut world = World::new(0);
    world.set(Param::RateMbit, rate);
    world.set(Param::DelayUsecs, delay);
    world
}

fn left(world: &World) -> (usize, usize) {
    let queue = &world.queues[0];
    (queue.limited, queue.delivered().len())
}

#[test]
fn frames_that_travel_are_not_limited() {
    for rate in [0, 100] {
        let mut world = world(rate, 1_000_000);
        for _ in 0..10 {
            world.transmit(0, 0, Class::Norm, 1000, false);
        }
        world.softirq();
        let time = if rate == 0 { 0 } else { 10 * 80_000 };
        if time > 0 {
            assert_eq!(left(&world), (10_000, 0));
            world.pass(time / 2);
            world.softirq();
            assert!(left(&world).0 <= 5000);
            world.pass(time / 2);
            world.softirq();
            while world.queues[0].limited > 0 {
                let next = world.next_timer().unwrap();
                assert!(next <= SECOND / 2);
                world.pass(next.saturating_sub(world.now));
                world.softirq();
            }
        }
        assert_eq!(left(&world), (0, 0));
        // Their slots stay in use.
        assert_eq!(world.queues[0].tx.ring().used(), 10);
        world.settle();
        assert_eq!(left(&world), (0, 10));
        assert_eq!(world.now, SECOND + time);
        world.drain();
    }
}

#[test]
fn frames_that_travel_are_lost_with_the_carrier_once() {
    let mut world = world(0, 1_000_000);
    for _ in 0..5 {
        world.send(0, 0);
    }
    world.softirq();
    assert_eq!(left(&world), (0, 0));
    world.set_carrier(false);
    world.set_carrier(true);
    world.send(0, 0);
    world.drain();
    assert_eq!(world.queues[0].delivered().len(), 1);
}

#[test]
fn a_full_line_stops_no_queue_for_long() {
    // A ring of 16 slots, with 12 frames on the line.
    let mut world = world(100, 12 * 80);
    world.set_slots(16);
    world.queues[0].qdisc = true;
    let mut sent = 0;
    let mut delivered = 0;
    while world.now < SECOND {
        while !world.queues[0].stopped {
            world.transmit(0, 0, Class::Norm, 1000, false);
            sent += 1;
        }
        world.softirq();
        let next = world.next_timer().unwrap();
        world.pass(next.saturating_sub(world.now));
        delivered = world.queues[0].delivered().len();
    }
    // 12,500 in a second.
    assert!(
        sent >= 12_400 && delivered >= 12_400,
        "{delivered} of {sent}"
    );
    world.drain();
}

/// Frames that have reserved time at a low rate leave at a higher one as soon as it is set.
#[test]
fn another_rate_is_for_frames_that_wait_for_their_time() {
    for (rate, each) in [(0, 0), (1000, 3_000_000)] {
        // Three seconds a frame, of each queue in turn.
        let mut world = world(1, 0);
        for _ in 0..3 {
            for queue in 0..2 {
                world.transmit(0, queue, Class::Norm, 375_000, false);
            }
        }
        world.softirq();
        // The first one has left, though no poll has seen it.
        world.pass(3 * SECOND);
        world.set(Param::RateMbit, rate);
        let end = 3 * SECOND + 5 * each;
        world.softirq();
        while let Some(next) = world.next_timer().filter(|next| *next <= end) {
            world.pass(next.saturating_sub(world.now));
            world.softirq();
        }
        let delivered = [0, 1].map(|queue| world.queues[queue].delivered().len());
        assert_eq!((world.now, delivered), (end, [3, 3]), "{rate} Mbit/s");
        world.drain();
    }
}

/// The ring is never empty.
#[test]
fn frames_leave_a_line_that_is_none_any_more() {
    let ledger = Rc::default();
    let line = Line {
        rate_mbit: 100,
        delay: 1000,
    };
    let mut ring: Ring<List> = Ring::new(64, line);
    let mut occupancy = Occupancy::default();
    // Bytes charged to byte queue limits.
    let mut limited = 0;
    let mut delivered = Vec::new();
    let mut at_once = Vec::new();
    for round in 0..30 {
        let now = round as u64 * 100_000;
        if round == 20 {
            ring.set_line(Line::default(), || now);
            occupancy = Occupancy::free_from(now);
        }
        let batch = ring.take(8, || now, || &mut occupancy, leave);
        limited -= batch.left;
        // More frames are posted while a poll holds these.
        at_once.push(ring.takes_at_once(1));
        for id in [2 * round, 2 * round + 1] {
            let frame = Pkt::new(&ledger, id, Class::Norm, 1000);
            assert!(ring.post(frame, || now).is_ok());
            limited += 1000;
        }
        let frames = batch.frames.0.len();
        delivered.extend(batch.frames.end());
        limited -= ring.complete(frames, 1000 * frames);
        assert!(ring.has_posted());
        assert!(limited <= 1000 * ring.used());
    }
    assert!(at_once[..20].iter().all(|at_once| !at_once));
    assert!(at_once[25..].iter().all(|at_once| *at_once), "{at_once:?}");
    assert_eq!(limited, 2000);
    delivered.extend(ring.reset().end());
    assert!(delivered.into_iter().eq(0..60));
}

#[test]
fn waiting_for_a_turn_is_no_hang() {
    // Three seconds a frame, of each queue in turn.
    let mut world = world(1, 0);
    for _ in 0..3 {
        for queue in 0..2 {
            world.transmit(0, queue, Class::Norm, 375_000, false);
        }
    }
    world.softirq();
    for second in 0..18 {
        for queue in 0..2 {
            let now = world.now;
            let check = world.queues[queue].tx.watchdog_check(|| now);
            assert!(
                matches!(check, WatchdogCheck::Busy | WatchdogCheck::Idle),
                "after {second} seconds"
            );
        }
        world.pass(SECOND);
        world.softirq();
    }
    world.drain();
    assert_eq!(
        world.queues[0].delivered().len() + world.queues[1].delivered().len(),
        6
    );
    assert_eq!(world.now, 18 * SECOND);

    // A ring that hangs times out, whatever the line.
    world.queues[0].stalled = true;
    world.send(0, 0);
    world.softirq();
    for _ in 0..WATCHDOG_SECONDS {
        world.pass(SECOND);
        world.softirq();
        world.watchdog_check(0);
    }
    assert!(world.queues[0].tx.ring().used() == 0);
    world.drain();
}
