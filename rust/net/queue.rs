// SPDX-License-Identifier: GPL-2.0

//! Transmit queues.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)
//!
//! Each has a lock, the xmit lock, which the core takes for `ndo_start_xmit`. An
//! [`XmitCell`] is data that this lock guards, so that a driver needs no lock of
//! its own on the way of a packet.

use super::{
    bindings,
    device::{Operations, Setup},
    spinlock_bh::LocalBhDisabled, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    cpumask::Cpumask,
    error::{to_result, Result},
    ffi::c_uint,
    types::NotThreadSafe, //
};

// Without SMP a lock excludes others by switching preemption off: it does not keep a thread from
// taking it twice, and from its data being borrowed mutably twice. With CONFIG_DEBUG_SPINLOCK
// such a kernel reports that, and goes on all the same. This is enough for kernels that test,
// where a report is a failure, and is meant for them only.
#[cfg(not(any(CONFIG_SMP, CONFIG_DEBUG_SPINLOCK)))]
compile_error!("a spinlock of a kernel without SMP does not keep a thread from its own data");

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

impl<'a> TxQueue<'a> {
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

    /// Whether this CPU (or, where spinlocks sleep, this thread) holds the xmit lock.
    #[inline]
    pub(super) fn is_locked_here(&self) -> bool {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { bindings::rust_helper_netif_tx_owned(self.txq) }
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

    /// Lets the stack send again, and schedules the qdisc. Any context.
    #[inline]
    pub fn wake(&self) {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { bindings::netif_tx_wake_queue(self.txq) };
    }

    /// Takes the xmit lock. Like `__netif_tx_lock()`; not to be called in
    /// `start_xmit`, where the lock of the packet's queue is held.
    #[inline]
    pub fn lock(self, bh: &'a LocalBhDisabled) -> XmitGuard<'a> {
        // SAFETY: By the type invariant the queue is valid. Bottom halves are off, as they are
        // wherever else this lock is taken, and so the CPU is the same until the guard, which does
        // not outlive the evidence, is dropped.
        unsafe { bindings::rust_helper___netif_tx_lock(self.txq, bh.cpu().into()) };
        // INVARIANT: The lock was just taken.
        XmitGuard {
            txq: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// A transmit queue whose xmit lock is held by this thread.
///
/// # Invariants
///
/// While the value exists, the lock is held, and no other value of this type for
/// the queue exists.
pub struct XmitLocked<'a> {
    txq: TxQueue<'a>,
    _not_send: NotThreadSafe,
}

impl<'a> XmitLocked<'a> {
    /// # Safety
    ///
    /// The caller must hold the lock of `txq`, give no other such value for it to
    /// anybody, and keep it until the value is gone.
    #[inline]
    pub(super) unsafe fn assume(txq: TxQueue<'a>) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            txq,
            _not_send: NotThreadSafe,
        }
    }

    /// Whether the stack has another packet ready for this CPU to send. To be asked
    /// in `start_xmit`.
    #[inline]
    pub fn xmit_more(&self) -> bool {
        // SAFETY: No requirements: the answer is about this CPU, or about this task.
        unsafe { bindings::rust_helper_netdev_xmit_more() }
    }
}

/// Byte queue limits (BQL, `struct dql`): the bytes in a ring that the stack knows of.
///
/// They are announced only while a qdisc is there, which may come and go while they are
/// under way. `struct dql` alone says how many there are: C has a `BUG_ON()` for more
/// than that.
impl XmitLocked<'_> {
    /// The bytes that were announced and not completed.
    #[inline]
    fn outstanding(&self) -> usize {
        #[cfg(CONFIG_BQL)]
        // SAFETY: By the type invariant the queue is valid, and its lock is held, under which alone
        // both numbers change (dql_queued() and dql_completed()); they overflow together.
        unsafe {
            let dql = &raw const (*self.txq.txq).dql;
            (*dql).num_queued.wrapping_sub((*dql).num_completed) as usize
        }
        #[cfg(not(CONFIG_BQL))]
        0
    }

    /// `netdev_tx_sent_queue()`: so many bytes went into the ring. When they are enough, the
    /// queue is stopped for the stack, if it has a qdisc.
    #[inline]
    pub fn sent_queue(&self, bytes: usize, bh: &LocalBhDisabled) {
        if bytes > 0 && bytes <= bindings::SPANS_DQL_MAX_OBJECT as usize && !self.has_no_qdisc(bh) {
            // SAFETY: By the type invariant the queue is valid. Its lock is held.
            unsafe { bindings::rust_helper_netdev_tx_sent_queue(self.txq.txq, bytes as c_uint) };
        }
    }

    /// `netdev_tx_completed_queue()`: so many bytes left the ring. The stack may go on.
    #[inline]
    pub fn completed_queue(&self, bytes: usize) {
        let bytes = bytes.min(self.outstanding());
        if bytes > 0 {
            // SAFETY: By the type invariant the queue is valid. Its lock is held. No more is
            // completed than was announced, which C insists on.
            unsafe {
                // C does nothing with the number of packets.
                bindings::rust_helper_netdev_tx_completed_queue(self.txq.txq, 1, bytes as c_uint)
            };
        }
    }

    /// The ring was emptied. The stack may go on.
    pub fn complete_all(&self) {
        self.completed_queue(usize::MAX);
    }

    /// `netdev_tx_reset_queue()`: the ring is empty, and the device is down.
    pub fn reset_queue(&self) {
        // SAFETY: By the type invariant the queue is valid. Its lock is held.
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
/// The lock of `txq` is held by this thread, and taken for this value.
pub struct XmitGuard<'a> {
    txq: TxQueue<'a>,
    _not_send: NotThreadSafe,
}

impl XmitGuard<'_> {
    /// What says that the lock is held. (It is no part of the guard, which unlocks
    /// its own queue even if safe code swaps what two of them have given out.)
    #[inline]
    pub fn locked(&mut self) -> XmitLocked<'_> {
        // SAFETY: By the type invariant the lock is held. It is not released, nor is there another
        // such value, while the guard is borrowed.
        unsafe { XmitLocked::assume(self.txq) }
    }
}

impl Drop for XmitGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant the lock is held, by this thread, as the value cannot be
        // sent to another.
        unsafe { bindings::rust_helper___netif_tx_unlock(self.txq.txq) };
    }
}

/// Data under the xmit lock of one transmit queue.
///
/// # Invariants
///
/// `value` is accessed only through the one [`XmitLocked`] of the queue at `txq`.
/// The address alone counts: if the queue is gone and another one is there, it is
/// the lock of that one which guards the data.
pub struct XmitCell<T> {
    txq: *const bindings::netdev_queue,
    value: UnsafeCell<T>,
}

// SAFETY: The value is `Send`, and so may be dropped anywhere.
unsafe impl<T: Send> Send for XmitCell<T> {}
// SAFETY: By the type invariant a lock guards the value, so that one thread at a time has it.
unsafe impl<T: Send> Sync for XmitCell<T> {}

impl<T> XmitCell<T> {
    /// Data of transmit queue number `index` of a device that is being made.
    /// Nobody gets at it if the device has no such queue.
    pub fn new<D: Operations>(dev: &Setup<'_, D>, index: u16, value: T) -> Self {
        Self {
            txq: dev.tx_queue_address(index),
            value: UnsafeCell::new(value),
        }
    }

    /// The data, if it belongs to the queue whose lock is held, and what says so, to
    /// be used meanwhile.
    #[inline]
    pub fn get_mut<'a, 'b>(
        &'a self,
        locked: &'a mut XmitLocked<'b>,
    ) -> Option<(&'a mut T, &'a XmitLocked<'b>)> {
        if !core::ptr::eq(self.txq, locked.txq.txq) {
            return None;
        }
        // SAFETY: By the type invariants the lock that guards the value is held, and whoever else
        // got a reference through `locked` has given it back, as it is borrowed mutably.
        let value = unsafe { &mut *self.value.get() };
        Some((value, locked))
    }
}
