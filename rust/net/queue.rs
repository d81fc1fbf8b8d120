// SPDX-License-Identifier: GPL-2.0

//! TX queues and their xmit locks.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)
//!
//! The core takes the xmit lock of a queue for `ndo_start_xmit`. An [`XmitCell`] is data under that
//! lock, so that a driver needs no lock of its own in the transmit path.

use super::{
    bindings,
    device::{Operations, Setup},
    spinlock_bh::LocalBhDisabled, //
};
use core::{
    cell::{Cell, UnsafeCell},
    marker::PhantomData,
    ops::{Deref, DerefMut}, //
};
use kernel::{
    ffi::c_uint,
    types::NotThreadSafe, //
};

/// A TX queue of a device: `struct netdev_queue`.
///
/// # Invariants
///
/// `txq` points to element `index` of the `_tx` array of a device that lives for `'a`; the array
/// lives as long as its device.
#[derive(Clone, Copy)]
pub struct TxQueue<'a> {
    txq: *mut bindings::netdev_queue,
    index: u16,
    _device: PhantomData<&'a ()>,
}

impl<'a> TxQueue<'a> {
    /// # Safety
    ///
    /// `txq` must be queue number `index` of a device that lives for the lifetime of the value.
    pub(super) unsafe fn from_raw(txq: *mut bindings::netdev_queue, index: u16) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            txq,
            index,
            _device: PhantomData,
        }
    }

    /// Returns the index of the queue in its device.
    #[inline]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Returns whether the queue has no qdisc ("noqueue"), so that no packets are held while it is
    /// stopped. May change at any time.
    #[inline]
    pub fn has_no_qdisc(&self, _: &LocalBhDisabled) -> bool {
        // SAFETY: By the type invariant the queue is valid. It always has a qdisc, and one that is
        // replaced is freed after an RCU grace period, which cannot end while bottom halves are
        // off.
        unsafe { bindings::rust_helper_qdisc_txq_has_no_queue(self.txq) }
    }

    /// Returns whether this CPU (this thread, on PREEMPT_RT) holds the xmit lock:
    /// `netif_tx_owned()`.
    #[inline]
    pub(super) fn is_locked_here(&self) -> bool {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { bindings::rust_helper_netif_tx_owned(self.txq) }
    }

    /// Stops the core from sending on this queue until [`wake`]: `netif_tx_stop_queue()`. Any
    /// context. A lock must exclude concurrent calls of `wake`.
    ///
    /// [`wake`]: Self::wake
    #[inline]
    pub fn stop(&self) {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { bindings::rust_helper_netif_tx_stop_queue(self.txq) };
    }

    /// Lets the core send again and schedules the qdisc: `netif_tx_wake_queue()`. Any context.
    #[inline]
    pub fn wake(&self) {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { bindings::netif_tx_wake_queue(self.txq) };
    }

    /// Takes the xmit lock: `__netif_tx_lock()`. Must not be called in `start_xmit`, where the lock
    /// of the packet's queue is held.
    #[inline]
    pub fn lock(self, bh: &'a LocalBhDisabled) -> XmitGuard<'a> {
        // SAFETY: By the type invariant the queue is valid. Bottom halves are off, as in all
        // contexts that take this lock, so the CPU stays the same until the guard is dropped, which
        // does not outlive the evidence.
        unsafe { bindings::rust_helper___netif_tx_lock(self.txq, bh.cpu().into()) };
        // INVARIANT: The lock was just taken.
        XmitGuard {
            txq: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// Evidence that this thread holds the xmit lock of a TX queue.
///
/// # Invariants
///
/// While the value exists, this thread holds the lock. An outer function of this thread may have
/// another such value: a driver that sends a packet under the lock of a queue is called for this
/// queue if a filter of another queue's qdisc has set `queue_mapping` to it.
pub struct XmitLocked<'a> {
    txq: TxQueue<'a>,
    _not_send: NotThreadSafe,
}

impl<'a> XmitLocked<'a> {
    /// # Safety
    ///
    /// The caller must hold the lock of `txq` until the value is gone.
    #[inline]
    pub(super) unsafe fn assume(txq: TxQueue<'a>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            txq,
            _not_send: NotThreadSafe,
        }
    }

    /// Returns whether the core has another packet for this CPU to send. For `start_xmit`.
    #[inline]
    pub fn xmit_more(&self) -> bool {
        // SAFETY: No requirements: the result is about this CPU, or about this task.
        unsafe { bindings::rust_helper_netdev_xmit_more() }
    }
}

/// Byte queue limits (BQL, `struct dql`): the number of bytes in a ring that the core accounts for.
///
/// Bytes are announced only while there is a qdisc, which may change while they are in the ring.
/// Only `struct dql` has their number, and completing more is a `BUG_ON()` in C.
impl XmitLocked<'_> {
    /// Returns the number of bytes that were announced and not completed.
    #[inline]
    fn outstanding(&self) -> usize {
        #[cfg(CONFIG_BQL)]
        // SAFETY: By the type invariant the queue is valid and its lock is held, under which alone
        // both numbers change (dql_queued() and dql_completed()); they wrap around together.
        unsafe {
            let dql = &raw const (*self.txq.txq).dql;
            (*dql).num_queued.wrapping_sub((*dql).num_completed) as usize
        }
        #[cfg(not(CONFIG_BQL))]
        0
    }

    /// `netdev_tx_sent_queue()`: announces bytes that were put into the ring, if the queue has a
    /// qdisc. At the limit the queue is stopped.
    #[inline]
    pub fn sent_queue(&self, bytes: usize, bh: &LocalBhDisabled) {
        if bytes > 0 && bytes <= bindings::SPANS_DQL_MAX_OBJECT as usize && !self.has_no_qdisc(bh) {
            // SAFETY: By the type invariant the queue is valid and its lock is held.
            unsafe { bindings::rust_helper_netdev_tx_sent_queue(self.txq.txq, bytes as c_uint) };
        }
    }

    /// `netdev_tx_completed_queue()`: completes bytes that left the ring; may wake the queue.
    #[inline]
    pub fn completed_queue(&self, bytes: usize) {
        let bytes = bytes.min(self.outstanding());
        if bytes > 0 {
            // SAFETY: By the type invariant the queue is valid and its lock is held. No more is
            // completed than was announced, as C requires.
            unsafe {
                // C does not use the number of packets.
                bindings::rust_helper_netdev_tx_completed_queue(self.txq.txq, 1, bytes as c_uint)
            };
        }
    }

    /// Completes all announced bytes, after the ring was purged; may wake the queue.
    pub fn complete_all(&self) {
        self.completed_queue(usize::MAX);
    }

    /// `netdev_tx_reset_queue()`: resets the limits. The ring is empty, and the device is down.
    pub fn reset_queue(&self) {
        // SAFETY: By the type invariant the queue is valid and its lock is held.
        unsafe { bindings::rust_helper_netdev_tx_reset_queue(self.txq.txq) };
    }
}

impl<'a> Deref for XmitLocked<'a> {
    type Target = TxQueue<'a>;

    #[inline]
    fn deref(&self) -> &TxQueue<'a> {
        &self.txq
    }
}

/// Releases the xmit lock when it is dropped.
///
/// # Invariants
///
/// The lock of `txq` is held by this thread, and was taken for this value.
pub struct XmitGuard<'a> {
    txq: TxQueue<'a>,
    _not_send: NotThreadSafe,
}

impl XmitGuard<'_> {
    /// Returns the evidence that the lock is held. (It is not a field of the guard, which unlocks
    /// its own queue even if safe code swaps the evidence of two guards.)
    #[inline]
    pub fn locked(&mut self) -> XmitLocked<'_> {
        // SAFETY: By the type invariant the lock is held. It is not released while the guard is
        // borrowed.
        unsafe { XmitLocked::assume(self.txq) }
    }
}

impl Drop for XmitGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant the lock is held by this thread, as the value cannot be
        // sent to another.
        unsafe { bindings::rust_helper___netif_tx_unlock(self.txq.txq) };
    }
}

/// Data under the xmit lock of one TX queue.
///
/// # Invariants
///
/// `borrowed` and `value` are accessed only under the lock of the queue at `txq`, `value` only by
/// the one [`XmitRef`] for which `borrowed` is set. Only the address counts: if the queue is freed
/// and there is another one, the lock of that one protects the data.
pub struct XmitCell<T> {
    txq: *const bindings::netdev_queue,
    borrowed: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: The value is `Send`, so it may be dropped by any thread.
unsafe impl<T: Send> Send for XmitCell<T> {}
// SAFETY: By the type invariant a lock protects all fields that change: one thread at a time
// accesses them.
unsafe impl<T: Send> Sync for XmitCell<T> {}

impl<T> XmitCell<T> {
    /// Creates data of TX queue number `index` of a device before its registration. It is
    /// inaccessible if the device has no such queue.
    pub fn new<D: Operations>(dev: &Setup<'_, D>, index: u16, value: T) -> Self {
        Self {
            txq: dev.tx_queue_address(index),
            borrowed: Cell::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Returns the data if it belongs to the queue whose lock is held, with the evidence. Returns
    /// `None` for another queue, and while an outer function of this thread borrows the data.
    #[inline]
    pub fn get_mut<'a, 'b>(
        &'a self,
        locked: &'a mut XmitLocked<'b>,
    ) -> Option<(XmitRef<'a, T>, &'a XmitLocked<'b>)> {
        // The lock is held, which protects `borrowed` as well.
        if !core::ptr::eq(self.txq, locked.txq.txq) || self.borrowed.replace(true) {
            return None;
        }
        // INVARIANT: `borrowed` was just set, and the lock is held while `locked` is borrowed.
        let data = XmitRef {
            cell: self,
            _not_send: NotThreadSafe,
        };
        Some((data, locked))
    }
}

/// The data of an [`XmitCell`], borrowed.
///
/// # Invariants
///
/// This thread holds the lock of `cell`, whose `borrowed` was set for this value alone.
pub struct XmitRef<'a, T> {
    cell: &'a XmitCell<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for XmitRef<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: By the type invariants only this value accesses the data.
        unsafe { &*self.cell.value.get() }
    }
}

impl<T> DerefMut for XmitRef<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariants only this value accesses the data; it is borrowed mutably.
        unsafe { &mut *self.cell.value.get() }
    }
}

impl<T> Drop for XmitRef<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.cell.borrowed.set(false);
    }
}
