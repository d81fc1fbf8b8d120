// SPDX-License-Identifier: GPL-2.0

//! A stage: the packets of one CPU in a subqueue for which no doorbell has been rung yet.
//!
//! A staged packet is already in the subqueue; its start and the doorbell are postponed. The
//! ancestor is DragonFly's `ifsubq_stage` (`sys/net/if.c`). Its flags are [`Armed`] here: `QUED` is
//! an armed flush of the staged packets, `SCHED` a start that is scheduled anyway.
//!
//! The guarantee: **a stage that is not empty has a flush armed on its CPU.** As [`Stage::add`]
//! returns [`Decision::Wait`] only for an armed stage, and only the flush disarms it, no packet is
//! left in a stage.
//!
//! There is one stage for each subqueue and CPU, under the xmit lock. (The ancestor's stages are
//! private to their CPU. Here the lock is held anyway, and after CPU hotplug another CPU can flush
//! the stages.)

/// The limits at which a stage is flushed, the same for all stages of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Packets. 0 and 1: nothing is staged.
    pub count: usize,
    /// Bytes, link headers included.
    pub bytes: usize,
    /// The longest time that a packet is staged, in nanoseconds. 0: until the end of the softirq
    /// round, and a packet of an idle device is not staged.
    pub wait: u64,
}

/// The flush that is armed for a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Armed {
    /// None: the stage is empty.
    #[default]
    No,
    /// The rollup of its CPU, behind the polls that are scheduled there (`QUED`).
    Rollup,
    /// The timer of its CPU's rollup (`QUED`).
    Time,
    /// The poll of its queue, which is scheduled on its CPU (`QUED | SCHED`).
    Poll,
}

/// Why a subqueue is started and its doorbell rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// The device was idle: a single packet is not staged.
    Idle,
    /// The limit of packets is reached, or nothing may be staged.
    Count,
    /// The limit of bytes is reached.
    Bytes,
    /// The timer of the rollup has expired.
    Time,
    /// The softirq round ends.
    Rollup,
    /// The stack had announced more packets (`xmit_more`), and this is the last one.
    XmitEnd,
    /// The start is forced: the queue is full, or settings were changed.
    Forced,
}

/// The action after a packet was added to a subqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Start the subqueue now.
    Start(Flush),
    /// Stage the packet; a flush is armed.
    Wait,
    /// Stage the packet, and have the CPU's rollup flush the stage.
    Arm,
    /// Stage the packet, and have the timer of the CPU's rollup flush the stage.
    ArmTimer,
}

/// The stage of one CPU in one subqueue. Empty by default.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    count: usize,
    bytes: usize,
    /// The stack has announced more packets (`xmit_more`).
    expecting: bool,
    armed: Armed,
}

impl Stage {
    /// Returns the number of staged packets.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the flush that is armed.
    pub fn armed(&self) -> Armed {
        self.armed
    }

    /// Decides about the start of a subqueue to which this CPU just added a packet of `len` bytes.
    /// `more`: the stack has announced more packets. `idle`: the ring and the subqueue were empty
    /// before.
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

    /// Adds a packet of `len` bytes if a flush is armed and the packet does not cause one: the
    /// usual case in which [`add`](Self::add) returns [`Decision::Wait`]. Returns whether the
    /// packet was added.
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

    /// Empties the stage, as its packets were started or another start is scheduled for them. An
    /// armed flush stays armed, and will find nothing to do.
    #[inline]
    pub fn clear(&mut self) {
        self.count = 0;
        self.bytes = 0;
        self.expecting = false;
    }

    /// Makes the poll of the queue, which was just scheduled on this CPU, the flush of packets that
    /// are added before it begins. Returns whether that poll has to disarm the stage.
    #[inline]
    pub fn cover(&mut self) -> bool {
        let covers = self.armed == Armed::No;
        if covers {
            self.armed = Armed::Poll;
        }
        covers
    }

    /// Arms the rollup, as the poll of the queue was just scheduled on another CPU and may be done
    /// before the next packet is added here: packets are staged nevertheless until the end of the
    /// softirq round. Returns whether the caller has to schedule the rollup of this CPU.
    #[inline]
    pub fn open_round(&mut self) -> bool {
        let opens = self.armed == Armed::No;
        if opens {
            self.armed = Armed::Rollup;
        }
        opens
    }

    /// Disarms and empties the stage, as a flush begins. Returns the flush that was armed.
    #[inline]
    pub fn disarm(&mut self) -> Armed {
        self.clear();
        core::mem::take(&mut self.armed)
    }
}
