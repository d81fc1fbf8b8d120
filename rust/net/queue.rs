// SPDX-License-Identifier: GPL-2.0

//! Transmit queues.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{bindings, spinlock_bh::LocalBhDisabled};
use core::marker::PhantomData;
use kernel::{
    cpumask::Cpumask,
    error::{to_result, Result}, //
};

/// A transmit queue of a device: `struct netdev_queue`.
///
/// # Invariants
///
/// `txq` points to element `index` of the `_tx` array of a device that lives for
/// `'a`; the array lives as long as its device.
#[derive(Clone, Copy)]
pub struct TxQueue<'a> {
    txq: *mut bindings::netdev_queue,
    index: u16,
    _device: PhantomData<&'a ()>,
}

impl TxQueue<'_> {
    /// # Safety
    ///
    /// `txq` must be queue number `index` of a device that lives for the
    /// lifetime of the value.
    pub(super) unsafe fn from_raw(txq: *mut bindings::netdev_queue, index: u16) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            txq,
            index,
            _device: PhantomData,
        }
    }

    /// Which queue of its device this is.
    #[inline]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Whether nobody holds packets while this queue is stopped, because it has
    /// no qdisc ("noqueue"). The answer may be out of date at once.
    #[inline]
    pub fn has_no_qdisc(&self, _: &LocalBhDisabled) -> bool {
        // SAFETY: By the type invariant the queue is valid. Each has some qdisc from the beginning
        // to its end, and one that is replaced is freed after an RCU grace period, which bottom
        // halves being off keeps from ending.
        unsafe { bindings::rust_helper_qdisc_txq_has_no_queue(self.txq) }
    }

    /// Has packets that are sent on one of `cpus` go to this queue, unless the
    /// user says otherwise in `queues/tx-N/xps_cpus`. CPUs that are offline are
    /// left out. A kernel without XPS spreads packets by their flow instead.
    /// Process context.
    pub fn set_xps_cpus(&self, cpus: &Cpumask) -> Result {
        // SAFETY: By the type invariant this is queue number `index` of `dev`. The mask is copied.
        // CAST: Both bindings mean one C type.
        to_result(unsafe {
            bindings::rust_helper_netif_set_xps_queue(
                (*self.txq).dev,
                cpus.as_raw().cast(),
                self.index,
            )
        })
    }

    /// Tells the stack to send nothing more on this queue until [`wake`] is
    /// called. Any context; who may race with `wake` must hold a lock.
    ///
    /// [`wake`]: Self::wake
    #[inline]
    pub fn stop(&self) {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { bindings::rust_helper_netif_tx_stop_queue(self.txq) };
    }

    /// Whether [`stop`](Self::stop) was called since the queue was last woken.
    #[inline]
    pub fn is_stopped(&self) -> bool {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { bindings::rust_helper_netif_tx_queue_stopped(self.txq) }
    }

    /// Lets the stack send again, and schedules the qdisc. Any context.
    #[inline]
    pub fn wake(&self) {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { bindings::netif_tx_wake_queue(self.txq) };
    }
}
