// SPDX-License-Identifier: GPL-2.0

//! Transmit queues.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use crate::bindings;
use core::marker::PhantomData;

/// A transmit queue of a device: `struct netdev_queue`.
///
/// # Invariants
///
/// `txq` points to an element of the `_tx` array of a device that lives for
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
    pub fn index(&self) -> usize {
        self.index.into()
    }

    /// Whether nobody holds packets while this queue is stopped, because it has
    /// no qdisc ("noqueue"). Any context; the answer may be out of date at once.
    #[inline]
    pub fn has_no_qdisc(&self) -> bool {
        // SAFETY: By the type invariant the queue is valid, and a registered device always has
        // some qdisc on each.
        unsafe { bindings::rust_helper_qdisc_txq_has_no_queue(self.txq) }
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
