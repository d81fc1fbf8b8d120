// SPDX-License-Identifier: GPL-2.0

//! The rollup of a CPU: at the end of a softirq round, or after `stage_usecs`, it flushes the
//! stages of this CPU in the subqueues of a device.
//!
//! It is a NAPI instance that receives nothing. If it is scheduled in a softirq, it is polled in
//! the same one, behind the polls scheduled before; if by a process, as soon as bottom halves
//! are enabled again. DragonFly's netisr does the same when it has no more messages
//! (`ifq_stage_sched()` as a rollup, `sys/net/if.c`).
//!
//! If the CPU goes offline, the core moves its poll list and timers to another CPU, which then
//! flushes the stages.

use crate::net::{napi::Napi, spinlock_bh::LocalBhDisabled};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed},
};
use spans_logic::transmit::Arm;

const BITS: usize = u64::BITS as usize;

pub(crate) struct Rollup {
    cpu: u32,
    /// A bit for each subqueue: its stage of this CPU is armed for this rollup.
    armed: KVec<Atomic<u64>>,
}

impl Rollup {
    /// Creates the rollup of `cpu` for a device with `queues` subqueues.
    pub(super) fn new(cpu: u32, queues: usize) -> Result<Self> {
        let words = queues.div_ceil(BITS);
        let mut armed = KVec::with_capacity(words, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..words {
            armed.push(Atomic::new(0), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self { cpu, armed })
    }

    /// Schedules a flush of this CPU's stage in subqueue `queue`.
    ///
    /// Called under that subqueue's lock, and only for a stage that was not armed before: its bit
    /// is clear then, so that it can be added. The poll clears the bit, then disarms the stage.
    pub(super) fn arm(rollup: &Napi<Self>, queue: u16, how: Arm, bh: &LocalBhDisabled) {
        let queue = usize::from(queue);
        if let Some(word) = rollup.armed.get(queue / BITS) {
            // Before the rollup is scheduled; pairs with the exchange in `take_armed`.
            word.add(1 << (queue % BITS), Relaxed);
        }
        match how {
            Arm::Rollup => {
                rollup.schedule();
            }
            Arm::Timer(after) => rollup.schedule_after(after, bh),
        }
    }

    /// Flushes armed stages at once, as the settings have changed.
    pub(super) fn flush_now(rollup: &Napi<Self>) {
        if rollup.has_work() {
            rollup.schedule();
        }
    }

    /// Clears all bits. The poll is not running, and no stage is armed.
    pub(super) fn clear(&self) {
        for word in self.armed.iter() {
            word.store(0, Relaxed);
        }
    }

    pub(super) fn cpu(&self) -> u32 {
        self.cpu
    }

    pub(super) fn has_work(&self) -> bool {
        self.armed.iter().any(|word| word.load(Relaxed) != 0)
    }

    /// Clears the bits, and calls `flush` with the number of each subqueue whose stage is armed.
    pub(super) fn take_armed(&self, mut flush: impl FnMut(usize)) {
        for (index, word) in self.armed.iter().enumerate() {
            // Pairs with `arm`: if the bit is seen, so are the staged packets.
            let mut bits = word.xchg(0, Full);
            while bits != 0 {
                flush(index * BITS + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }
}
