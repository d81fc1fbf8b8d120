// SPDX-License-Identifier: GPL-2.0

//! Timers of jiffies.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)

use super::{bindings, clock::jiffies, rtnl::Rtnl, spinlock_bh::LocalBhDisabled};
use core::{convert::Infallible, mem::offset_of, ops::Deref};
use kernel::{
    prelude::*,
    time::{msecs_to_jiffies, Msecs},
    types::Opaque,
};

/// What a timer is for.
pub trait Callback: Sized + Send + Sync + 'static {
    /// The time is over. Answers after how many milliseconds it is to be called
    /// again, if it is. Softirq context; while it runs, [`Timer::arm`] may arm the
    /// timer again.
    fn expired(this: &Timer<Self>, bh: &LocalBhDisabled) -> Option<Msecs>;
}

/// A timer, together with what it is for. Dropping it waits for its callback, and
/// must not happen in a hard interrupt.
///
/// # Invariants
///
/// The timer is queued only while the value exists.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub struct Timer<T: Callback> {
    #[pin]
    timer: Opaque<bindings::timer_list>,
    #[pin]
    callback: T,
}

// SAFETY: The timer may be used by any thread under its own rules.
unsafe impl<T: Callback> Send for Timer<T> {}
// SAFETY: As above.
unsafe impl<T: Callback> Sync for Timer<T> {}

impl<T: Callback> Deref for Timer<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.callback
    }
}

impl<T: Callback> Timer<T> {
    /// Creates an initialiser of a timer that is not armed.
    pub fn new<E: From<Infallible>>(callback: impl PinInit<T, E>) -> impl PinInit<Self, E> {
        try_pin_init!(Self {
            timer <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid for writes.
                unsafe { bindings::rust_helper_timer_setup(slot, Some(Self::timer_callback)) };
            }),
            callback <- callback,
        }? E)
    }

    /// Has the callback called after so many milliseconds, unless it is due anyway.
    /// Any context.
    #[inline]
    pub fn arm(&self, after: Msecs) {
        // SAFETY: The timer is initialised.
        if !unsafe { bindings::rust_helper_timer_pending(self.timer.get()) } {
            self.mod_timer(after);
        }
    }

    /// Has the callback called after so many milliseconds, and not before, even if it
    /// was due. Any context.
    pub fn mod_timer(&self, after: Msecs) {
        let at = jiffies().wrapping_add(msecs_to_jiffies(after));
        // SAFETY: The timer is initialised, and `drop` waits for it.
        unsafe { bindings::mod_timer(self.timer.get(), at) };
    }

    /// Waits until the callback is not at work, and has it not called any more. It nobody
    /// else may arm the timer meanwhile. No lock that it takes may be held.
    pub fn cancel(&self, _: &Rtnl) {
        // SAFETY: The timer is initialised; who has an `Rtnl` is in process context.
        unsafe { bindings::timer_delete_sync(self.timer.get()) };
    }

    /// # Safety
    ///
    /// Called by the core for the `timer` of a `Timer<T>`.
    unsafe extern "C" fn timer_callback(timer: *mut bindings::timer_list) {
        // SAFETY: It is that field of a `Timer<T>`, which lives until `drop` has seen this return.
        let this = unsafe { &*timer.byte_sub(offset_of!(Self, timer)).cast::<Self>() };
        // SAFETY: Timers expire in softirq context.
        let bh = unsafe { LocalBhDisabled::assume() };
        if let Some(again) = T::expired(this, &bh) {
            this.arm(again);
        }
    }
}

#[pinned_drop]
impl<T: Callback> PinnedDrop for Timer<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The timer is initialised. Nobody arms it any more, as nobody has a reference.
        unsafe { bindings::timer_shutdown_sync(self.timer.get()) };
    }
}
