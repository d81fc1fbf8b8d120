// SPDX-License-Identifier: GPL-2.0

//! A stage: the packets that one CPU has put into a subqueue since it last had it
//! started.
//!
//! A staged packet is in the subqueue already; what is put off is the start and
//! its doorbell. The ancestor is DragonFly's `ifsubq_stage` (`sys/net/if.c`). Its
//! flags are [`Armed`] here: `QUED` is a flush armed for what is staged, `SCHED` a
//! start that is coming anyway.
//!
//! The guarantee: **a stage that is not empty has a flush armed on its CPU.** As
//! [`Stage::add`] answers with [`Decision::Wait`] only for a stage that is armed
//! then, and nothing but the flush itself disarms it, no packet is forgotten.
//!
//! There is one stage for each subqueue and CPU, under the subqueue's lock. (The
//! ancestor's are private to their CPU. Here the lock is held anyway when one is
//! touched, and a CPU that goes away can have its stages flushed by another.)

/// When a stage is flushed, the same for all of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// With so many packets. 0 and 1: nothing is staged.
    pub count: usize,
    /// With so many bytes, link headers included.
    pub bytes: usize,
    /// With the time after which the stage is flushed at the latest, in
    /// nanoseconds. 0: at the end of the softirq round, and an idle device sends at
    /// once.
    pub wait: u64,
}

/// By whom a stage will be flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Armed {
    /// By nobody: it is empty.
    #[default]
    No,
    /// By the rollup of its CPU, behind the polls that are due there (`QUED`).
    Rollup,
    /// By the timer of its CPU's rollup (`QUED`).
    Time,
    /// By the poll of its subqueue, which is due on its CPU (`QUED | SCHED`).
    Poll,
}

/// Why a subqueue is started and its doorbell rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// The device was idle: a lone packet does not wait for company.
    Idle,
    /// So many packets were staged, or none may be.
    Count,
    /// So many bytes were staged.
    Bytes,
    /// The time is over.
    Time,
    /// The softirq round ends.
    Rollup,
    /// The stack had said that more would come, and now that it was all.
    XmitEnd,
    /// Somebody insists: the queue is full, or something was changed.
    Forced,
}

/// What to do with the subqueue after a packet was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Start it now.
    Start(Flush),
    /// Wait for more, as a flush is armed.
    Wait,
    /// Wait for more, and have the CPU's rollup flush it.
    Arm,
    /// Wait for more, and have the CPU's rollup flush it when the time is over.
    ArmTimer,
}

/// One CPU's stage of one subqueue. By default it is empty.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    count: usize,
    bytes: usize,
    /// The stack has said that more is coming (`xmit_more`).
    expecting: bool,
    armed: Armed,
}

impl Stage {
    /// How many packets are staged.
    pub fn count(&self) -> usize {
        self.count
    }

    /// By whom it will be flushed.
    pub fn armed(&self) -> Armed {
        self.armed
    }

    /// Decides about the start of a subqueue to which this CPU just added a packet
    /// of `len` bytes. `more`: the stack says that more is coming. `idle`: neither
    /// the ring nor the subqueue held anything before.
    #[inline]
    pub fn add(&mut self, settings: &Settings, len: usize, more: bool, idle: bool) -> Decision {
        if settings.count <= 1 {
            return Decision::Start(Flush::Count);
        }
        if idle && !more && settings.wait == 0 && self.armed == Armed::No {
            return Decision::Start(Flush::Idle);
        }
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(len);
        let ended = self.expecting && !more;
        self.expecting = more;
        if self.count >= settings.count {
            return Decision::Start(Flush::Count);
        }
        if self.bytes >= settings.bytes {
            return Decision::Start(Flush::Bytes);
        }
        if ended {
            return Decision::Start(Flush::XmitEnd);
        }
        match (self.armed, settings.wait) {
            (Armed::No, 0) => {
                self.armed = Armed::Rollup;
                Decision::Arm
            }
            (Armed::No, _) => {
                self.armed = Armed::Time;
                Decision::ArmTimer
            }
            _ => Decision::Wait,
        }
    }

    /// Adds a packet of `len` bytes to others, if a flush is armed and the packet does
    /// not end the wait: what [`add`](Self::add) answers with [`Decision::Wait`] most
    /// of the time, and nothing else.
    #[inline]
    pub fn join(&mut self, settings: &Settings, len: usize, more: bool) -> bool {
        let count = self.count.wrapping_add(1);
        let bytes = self.bytes.wrapping_add(len);
        let joins = self.armed != Armed::No
            && count < settings.count
            && bytes < settings.bytes
            && self.expecting == more;
        if joins {
            self.count = count;
            self.bytes = bytes;
        }
        joins
    }

    /// Its packets were started, or somebody else will start them. What is armed
    /// stays so, and will find nothing to do.
    #[inline]
    pub fn clear(&mut self) {
        self.count = 0;
        self.bytes = 0;
        self.expecting = false;
    }

    /// The poll of the subqueue was just scheduled on this CPU: until it begins, it
    /// is the flush of what comes now. Answers whether it shall be told so.
    #[inline]
    pub fn cover(&mut self) -> bool {
        let covers = self.armed == Armed::No;
        if covers {
            self.armed = Armed::Poll;
        }
        covers
    }

    /// The poll of the subqueue was just scheduled on another CPU, which may be done
    /// before the next packet comes here: what comes until the end of the softirq
    /// round waits for that all the same. Answers whether the rollup of this CPU is
    /// to be scheduled.
    #[inline]
    pub fn open_round(&mut self) -> bool {
        let opens = self.armed == Armed::No;
        if opens {
            self.armed = Armed::Rollup;
        }
        opens
    }

    /// The flush that was armed begins.
    #[inline]
    pub fn disarm(&mut self) -> Armed {
        self.clear();
        core::mem::take(&mut self.armed)
    }
}
