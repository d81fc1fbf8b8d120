// SPDX-License-Identifier: GPL-2.0

//! The rollup of a CPU: at the end of a softirq round, or when the time is over,
//! it starts what this CPU has staged in the subqueues of a device.
//!
//! It is a NAPI that receives nothing. One that is scheduled in a softirq is
//! polled in the same one, behind those that were there before; one that is
//! scheduled by a process, as soon as it turns bottom halves on again. That is what
//! DragonFly's netisr does when it has no more messages (`ifq_stage_sched()` as a
//! rollup, `sys/net/if.c`).
//!
//! If its CPU goes away, the core moves what is on its list of polls to another
//! one, as it does with timers, and the stages are flushed from there.

use super::{queue::Queue, Spans};
use crate::net::{
    napi::{Napi, Poll, PollContext},
    spinlock_bh::LocalBhDisabled,
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed},
};
use spans_logic::transmit::Arm;

const BITS: usize = u64::BITS as usize;

/// The rollup of one CPU for one device.
pub(crate) struct Rollup {
    cpu: u32,
    /// A bit for each subqueue: it has a stage of this CPU that is armed for us.
    armed: KVec<Atomic<u64>>,
}

impl Rollup {
    /// The rollup of `cpu` for a device with so many subqueues.
    pub(super) fn new(cpu: u32, queues: usize) -> Result<Self> {
        let words = queues.div_ceil(BITS);
        let mut armed = KVec::with_capacity(words, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..words {
            armed.push(Atomic::new(0), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self { cpu, armed })
    }

    /// Will flush the stage of this CPU in subqueue `queue`.
    ///
    /// To be called under that subqueue's lock, and only for a stage that was not
    /// armed before: its bit is not set then, which is why it can be added. Once it
    /// is visited by the poll, it is not armed any more.
    pub(super) fn arm(rollup: &Napi<Self>, queue: u16, how: Arm, bh: &LocalBhDisabled) {
        let queue = usize::from(queue);
        if let Some(word) = rollup.armed.get(queue / BITS) {
            // Before it is scheduled; pairs with the exchange in `poll`.
            word.add(1 << (queue % BITS), Relaxed);
        }
        match how {
            Arm::Rollup => {
                rollup.schedule();
            }
            Arm::Timer(after) => rollup.schedule_after(after, bh),
        }
    }

    /// Flushes at once what it was to flush later, as the settings have changed.
    pub(super) fn flush_now(rollup: &Napi<Self>) {
        if rollup.has_work() {
            rollup.schedule();
        }
    }

    /// Forgets all bits. The poll is not running any more, and no stage is armed.
    pub(super) fn clear(&self) {
        for word in self.armed.iter() {
            word.store(0, Relaxed);
        }
    }
}

impl Poll for Rollup {
    type Driver = Spans;

    fn poll(&self, context: &PollContext<'_, Self>) -> usize {
        let device = context.device();
        let port = device.data();
        for (index, word) in self.armed.iter().enumerate() {
            // Pairs with `arm`: what is staged is seen once the bit is.
            let mut bits = word.xchg(0, Full);
            while bits != 0 {
                let queue = index * BITS + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let queue = port.queues().get(queue);
                let txq = queue.and_then(|queue| device.tx_queue(queue.index()));
                if let (Some(queue), Some(txq)) = (queue, txq) {
                    Queue::flush(queue, &port, txq, self.cpu, context.bh());
                }
            }
        }
        // So `napi_defer_hard_irqs` does not defer it: it is the end of a round, not an interrupt,
        // and nobody waits longer for company than he was told.
        0
    }

    fn has_work(&self) -> bool {
        self.armed.iter().any(|word| word.load(Relaxed) != 0)
    }
}
