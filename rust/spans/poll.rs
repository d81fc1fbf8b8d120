// SPDX-License-Identifier: GPL-2.0

//! The NAPI polls: of a queue pair, which forwards from its TX ring and then receives from its RX
//! ring, and of a rollup, which flushes stages.

use super::{
    counters::Counter,
    queue::Queue,
    receive::poll_rx,
    rollup::Rollup,
    segment::{Forwarded, Member},
    Spans,
};
use crate::net::{
    clock::ktime_get,
    napi::{Poll, PollContext},
};
use spans_logic::{ring::Again, segment::tx_budget};

/// Time after which a frame is offered again to a full RX ring, in nanoseconds.
const RETRY: u64 = 50_000;

/// Forwards frames from the TX ring. Returns whether more of them can be forwarded at once, and how
/// many frames a receiver's poll has received from within this one.
fn poll_tx(queue: &Queue, context: &PollContext<'_, Queue>) -> (bool, usize) {
    if !queue.take_tx_pending() {
        return (false, 0);
    }
    let device = context.device();
    let port = device.data();
    let bh = context.bh();
    let Some(txq) = device.tx_queue(queue.index()) else {
        return (false, 0);
    };
    let budget = if port.is_stalled(queue.index()) {
        0
    } else {
        tx_budget(port.segment().len(bh))
    };
    let tx_wait = port.tx_wait();
    let taken = queue.take_tx(
        txq,
        budget,
        tx_wait,
        || port.line().lock(bh),
        |skb| {
            // As `loopback_xmit()`: the timestamp is reported to the socket, before `orphan`.
            skb.tx_timestamp(device);
            skb.orphan();
        },
        bh,
    );
    let Some((frames, remaining)) = taken else {
        return (false, 0);
    };
    let count = frames.len();
    let Forwarded { bytes, back, ring } = port
        .segment()
        .forward(device, &port, queue, frames, remaining, bh);
    let blocked = !back.is_empty();
    let done = count.saturating_sub(back.len());
    if done > 0 {
        // Otherwise `napi_defer_hard_irqs` has no effect on a device that only transmits.
        context.worked();
    }
    let (again, watch) = queue.complete_tx(txq, (done, bytes), back, tx_wait, bh);
    if watch {
        port.watch();
    }
    // `poll_from` must be called without a lock.
    let received = ring.map_or(0, |ring| ring.poll_from(context));
    // Read again: a write that ended the stall meanwhile may have found nothing to restart.
    if again == Again::Never || port.is_stalled(queue.index()) {
        return (false, received);
    }
    queue.set_tx_pending();
    match again {
        _ if blocked => context.poll_again_after(RETRY),
        Again::At(at) => context.poll_again_after(at.saturating_sub(ktime_get())),
        _ => return (true, received),
    }
    (false, received)
}

impl Poll for Queue {
    type Driver = Spans;

    fn poll(&self, context: &PollContext<'_, Self>) -> usize {
        let (more, by_others) = poll_tx(self, context);
        let received = poll_rx(self, context);
        if more || received >= context.budget() {
            return context.budget();
        }
        // Frames that receivers' polls received count as work, but need no further poll.
        let most = context.budget().saturating_sub(1);
        received.saturating_add(by_others).min(most)
    }

    fn has_work(&self) -> bool {
        self.has_work()
    }

    fn migrated(&self) {
        self.count(Counter::TxMigrations, 1);
    }
}

impl Poll for Rollup {
    type Driver = Spans;

    fn poll(&self, context: &PollContext<'_, Self>) -> usize {
        let device = context.device();
        let port = device.data();
        self.take_armed(|index| {
            let queue = port.queues().get(index);
            let txq = queue.and_then(|queue| device.tx_queue(queue.index()));
            if let (Some(queue), Some(txq)) = (queue, txq) {
                if Queue::flush(queue, txq, self.cpu(), context.bh()) {
                    port.watch();
                }
            }
        });
        // Without work `napi_defer_hard_irqs` does not defer the rollup, which would hold packets
        // for longer than `stage_usecs`.
        0
    }

    fn has_work(&self) -> bool {
        self.has_work()
    }
}
