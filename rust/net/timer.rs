// SPDX-License-Identifier: GPL-2.0

//! Timers in jiffies.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)

use super::{bindings, clock::jiffies, rtnl::Rtnl, spinlock_bh::LocalBhDisabled};
use core::{convert::Infallible, mem::offset_of, ops::Deref};
use kernel::{
    prelude::*,
    time::{msecs_to_jiffies, Msecs},
    types::Opaque,
};

/// The callback of a timer.
pub trait Callback: Sized + Send + Sync + 'static {
    /// Called on expiry. Returns after how many milliseconds to call again, or `None`. Softirq
    /// context; [`Timer::arm`] may arm the timer again meanwhile.
    fn expired(this: &Timer<Self>, bh: &LocalBhDisabled) -> Option<Msecs>;
}

/// A timer and the data of its callback: `struct timer_list`. Dropping it waits for the callback,
/// and must not happen in hard interrupt context.
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

// SAFETY: The C functions for timers may be called by any thread; `T` is `Send`.
unsafe impl<T: Callback> Send for Timer<T> {}
// SAFETY: As above; `T` is `Sync`.
unsafe impl<T: Callback> Sync for Timer<T> {}

impl<T: Callback> Deref for Timer<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.callback
    }
}

impl<T: Callback> Timer<T> {
    /// Creates an initialiser of a timer that is not armed: `timer_setup()`.
    pub fn new<E: From<Infallible>>(callback: impl PinInit<T, E>) -> impl PinInit<Self, E> {
        try_pin_init!(Self {
            timer <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid for writes.
                unsafe { bindings::rust_helper_timer_setup(slot, Some(Self::timer_callback)) };
            }),
            callback <- callback,
        }? E)
    }

    /// Arms the timer to expire in so many milliseconds, unless it is pending. Any context.
    #[inline]
    pub fn arm(&self, after: Msecs) {
        // SAFETY: The timer is initialised.
        if !unsafe { bindings::rust_helper_timer_pending(self.timer.get()) } {
            self.mod_timer(after);
        }
    }

    /// Arms the timer to expire in so many milliseconds, even if pending: `mod_timer()`. Any
    /// context.
    pub fn mod_timer(&self, after: Msecs) {
        let at = jiffies().wrapping_add(msecs_to_jiffies(after));
        // SAFETY: The timer is initialised, and `drop` waits for it.
        unsafe { bindings::mod_timer(self.timer.get(), at) };
    }

    /// Cancels the timer and waits for the callback: `timer_delete_sync()`. The timer must not be
    /// armed meanwhile, and no lock that the callback takes may be held. Process context.
    pub fn cancel(&self, _: &Rtnl) {
        // SAFETY: The timer is initialised; a thread with an `Rtnl` is in process context.
        unsafe { bindings::timer_delete_sync(self.timer.get()) };
    }

    /// # Safety
    ///
    /// Called by the core for the `timer` of a `Timer<T>`.
    unsafe extern "C" fn timer_callback(timer: *mut bindings::timer_list) {
        // SAFETY: It is that field of a `Timer<T>`, whose `drop` waits for this function to return.
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
        // SAFETY: The timer is initialised. It is not armed any more, as no reference to it exists.
        unsafe { bindings::timer_shutdown_sync(self.timer.get()) };
    }
}
