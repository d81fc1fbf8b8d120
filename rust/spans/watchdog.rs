// SPDX-License-Identifier: GPL-2.0

//! Does every ring that has work get anywhere?
//!
//! The core's own watchdog looks at queues that are stopped only, and stops with
//! the qdisc. This one looks at rings, each second while one has work, as
//! DragonFly's (`ifsq_watchdog()`, `sys/net/if.c`): a transmit ring that hangs is reset. And at
//! receive rings, as IRIX drivers in case an interrupt was lost: one that stands is polled.
//!
//! The watchdog of an idle device is not armed. Whether one looks is noted under the lock of
//! each ring (`logic::watchdog`), where doorbells find it. While the callback runs, the timer is
//! not pending any more (`expire_timers()`, `kernel/time/timer.c`): a doorbell behind the last
//! look at its ring arms it again.

use super::{
    queue::{Queue, TxLook},
    receive::RxLook,
    Spans,
};
use crate::{
    net::{
        clock::jiffies_to_msecs,
        log,
        napi::Napi,
        rtnl::Rtnl,
        spinlock_bh::{local_bh_disable, LocalBhDisabled, SpinLockBh},
        timer::{self, Timer},
        Device,
    },
    new_spinlock_bh,
};
use kernel::{
    prelude::*,
    sync::aref::ARef,
    time::Msecs, //
};

/// Between two looks.
pub(super) const PERIOD: Msecs = 1000;

/// Looks after the rings of a device.
#[pin_data]
pub(super) struct Watchdog {
    /// The device, while it is up.
    #[pin]
    device: SpinLockBh<Option<ARef<Device<Spans>>>>,
}

impl Watchdog {
    /// That of a device that is being made.
    pub(super) fn new() -> impl PinInit<Timer<Self>> {
        Timer::new(pin_init!(Self {
            device <- new_spinlock_bh!(None, c"spans_watchdog"),
        }))
    }

    /// The device goes up, and its rings may get work.
    pub(super) fn open(&self, device: &Device<Spans>, bh: &LocalBhDisabled) {
        *self.device.lock(bh) = Some(device.into());
    }

    /// The device is down, and its rings get no work any more.
    pub(super) fn close(this: &Timer<Self>, rtnl: &Rtnl) {
        let device = this.device.lock(&local_bh_disable()).take();
        // Does nothing without a device, and does not come again.
        this.cancel(rtnl);
        drop(device);
    }
}

impl timer::Callback for Watchdog {
    fn expired(this: &Timer<Self>, bh: &LocalBhDisabled) -> Option<Msecs> {
        let device = this.device.lock(bh).clone()?;
        let mut work = false;
        for queue in device.data().queues() {
            work |= look_tx(&device, queue, bh);
            work |= look_rx(&device, queue, bh);
        }
        work.then_some(PERIOD)
    }
}

/// Resets a transmit ring that hangs. Answers whether the ring has work.
fn look_tx(device: &Device<Spans>, queue: &Napi<Queue>, bh: &LocalBhDisabled) -> bool {
    let port = device.data();
    let Some(txq) = device.tx_queue(queue.index()) else {
        return false;
    };
    match queue.watchdog_check(txq, bh) {
        TxLook::Idle => return false,
        TxLook::Busy => {}
        TxLook::Reset { frames, age } => {
            log::warn_ratelimited(
                device,
                log::Class::TxErr,
                fmt!(
                    "transmit queue {} timed out {} ms: ring reset, {frames} frames dropped",
                    queue.index(),
                    jiffies_to_msecs(age)
                ),
            );
            // A reset ends whatever made the ring hang, and only then it can go on.
            if port.is_stalled(queue.index()) {
                port.unstall();
            }
            Queue::restart(queue, &port, txq, bh);
        }
    }
    true
}

/// Has a receive ring polled that would not be otherwise. Answers whether the ring has frames.
fn look_rx(device: &Device<Spans>, queue: &Napi<Queue>, bh: &LocalBhDisabled) -> bool {
    match Queue::look_rx(queue, bh) {
        RxLook::Idle => return false,
        RxLook::Busy => {}
        RxLook::MissedIrq(frames) => log::warn_ratelimited(
            device,
            log::Class::RxErr,
            fmt!(
                "receive queue {} missed an interrupt: {frames} frames polled",
                queue.index()
            ),
        ),
    }
    true
}
