// SPDX-License-Identifier: GPL-2.0

//! The watchdog of the rings of a device.
//!
//! The core's watchdog (`dev_watchdog()`) checks stopped queues only, and needs a qdisc. This
//! one checks the rings once a second while one has work, as DragonFly's does
//! (`ifsq_watchdog()`, `sys/net/if.c`): it resets a TX ring that hangs. It also schedules the poll
//! of an RX ring that makes no progress, as IRIX drivers do in case an interrupt was lost.
//!
//! It is not armed while the device is idle. Each ring has a flag, under its lock, whether it is
//! watched (`logic::watchdog`); the first doorbell of an unwatched ring arms the timer. While the
//! callback runs, the timer is not pending any more (`expire_timers()`, `kernel/time/timer.c`), so
//! that a doorbell after the last check of its ring arms it again.

use super::{
    queue::{Queue, RxCheck, TxCheck},
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

/// Time between two checks.
pub(super) const PERIOD: Msecs = 1000;

#[pin_data]
pub(super) struct Watchdog {
    /// The device, while it is up.
    #[pin]
    device: SpinLockBh<Option<ARef<Device<Spans>>>>,
}

impl Watchdog {
    pub(super) fn new() -> impl PinInit<Timer<Self>> {
        Timer::new(pin_init!(Self {
            device <- new_spinlock_bh!(None, c"spans_watchdog"),
        }))
    }

    /// Lets the watchdog check `device`, which goes up.
    pub(super) fn open(&self, device: &Device<Spans>, bh: &LocalBhDisabled) {
        *self.device.lock(bh) = Some(device.into());
    }

    /// Cancels the watchdog: the device is down, and its rings get no work.
    pub(super) fn close(this: &Timer<Self>, rtnl: &Rtnl) {
        let device = this.device.lock(&local_bh_disable()).take();
        // Without a device the callback does nothing and does not rearm the timer.
        this.cancel(rtnl);
        drop(device);
    }
}

impl timer::Callback for Watchdog {
    fn expired(this: &Timer<Self>, bh: &LocalBhDisabled) -> Option<Msecs> {
        let device = this.device.lock(bh).clone()?;
        let mut work = false;
        for queue in device.data().queues() {
            work |= check_tx(&device, queue, bh);
            work |= check_rx(&device, queue, bh);
        }
        work.then_some(PERIOD)
    }
}

/// Resets a TX ring that hangs. Returns whether the ring has work.
fn check_tx(device: &Device<Spans>, queue: &Napi<Queue>, bh: &LocalBhDisabled) -> bool {
    let port = device.data();
    let Some(txq) = device.tx_queue(queue.index()) else {
        return false;
    };
    match queue.check_tx(txq, bh) {
        TxCheck::Idle => return false,
        TxCheck::Busy => {}
        TxCheck::Reset { frames, age } => {
            log::warn_ratelimited(
                device,
                log::Class::TxErr,
                fmt!(
                    "transmit queue {} timed out {} ms: ring reset, {frames} frames dropped",
                    queue.index(),
                    jiffies_to_msecs(age)
                ),
            );
            // The reset also ends a `stall`; otherwise the restart would have no effect.
            if port.is_stalled(queue.index()) {
                port.unstall();
            }
            port.restart(queue, txq, bh);
        }
    }
    true
}

/// Schedules the poll of an RX ring that missed it. Returns whether the ring has frames.
fn check_rx(device: &Device<Spans>, queue: &Napi<Queue>, bh: &LocalBhDisabled) -> bool {
    match Queue::check_rx(queue, bh) {
        RxCheck::Idle => return false,
        RxCheck::Busy => {}
        RxCheck::MissedIrq(frames) => log::warn_ratelimited(
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
