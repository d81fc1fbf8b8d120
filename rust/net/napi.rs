// SPDX-License-Identifier: GPL-2.0

//! NAPI: polls in softirq context.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)
//!
//! A [`Napi<T>`] is a `struct napi_struct` together with the data that its poll works on. It may be
//! [scheduled](Napi::schedule) in any context at any time; it is polled only while a
//! [`Registration`] of it exists, on one CPU at a time.
//!
//! An instance may have an owner CPU, on which it is polled (unless it has a thread or is busy
//! polled); an instance without one is polled on the CPU that schedules it. On another CPU,
//! scheduling sends a CSD to the owner CPU. Only one context can set `NAPI_STATE_SCHED`, so at most
//! one CSD is in flight. The CSD tests the owner CPU again on arrival, and a poll on another CPU
//! than the owner migrates: so DragonFly follows the owner of a subqueue
//! (`ifsq_ifstart_ipifunc()`).
//!
//! Scheduling corresponds to the interrupt of a NIC. When the core polls by its own timer for a
//! while (`napi_defer_hard_irqs`), a NIC leaves its interrupt masked; here `masked` turns
//! scheduling into a no-op. A caller records its work before it schedules, and a poll that unmasks
//! then checks for recorded work ([`Poll::has_work`]). Both sides write first and read afterwards,
//! with a full barrier between, so that at least one of them sees what the other has written.

mod context;
mod registration;

pub use context::PollContext;
pub use registration::Registration;

use super::{
    bindings,
    clock::ktime_get,
    device::{Device, Operations},
    relaxed_cell::RelaxedCell,
    spinlock_bh::{LocalBhDisabled, SpinLockBh},
};
use crate::new_spinlock_bh;
use core::{cell::Cell, mem::offset_of, ops::Deref};
use kernel::{
    cpu::CpuId,
    prelude::*,
    sync::{atomic::AtomicFlag, barrier::smp_mb},
    types::Opaque, //
};

/// The data and the function of a NAPI poll.
pub trait Poll: Sized + Send + Sync + 'static {
    /// The driver of the devices that instances are added to.
    type Driver: Operations;

    /// Polls: receives at most `context.budget()` packets and returns their number. After a return
    /// of the whole budget it is called again soon.
    ///
    /// Softirq context, or a NAPI thread with bottom halves off.
    fn poll(&self, context: &PollContext<'_, Self>) -> usize;

    /// Returns whether the poll has work. A wrong `true` costs one poll; a wrong `false` after work
    /// was recorded and scheduled may leave that work unpolled. Any context.
    fn has_work(&self) -> bool;

    /// Called when a poll is about to run on a CPU other than its owner, and moves there unless the
    /// owner is offline. Softirq or hard interrupt context.
    fn migrated(&self) {}
}

/// Where a scheduled instance will be polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduled {
    /// It was scheduled before, is deferred to the timer of the core, or is not registered (and
    /// will not be polled).
    Already,
    /// On the calling CPU.
    Local,
    /// On the owner CPU, to which a CSD was sent.
    Remote,
}

/// State of `Napi::timer`.
#[derive(Default)]
struct Timing {
    /// Whether the timer may be started.
    allowed: bool,
    /// Expiry in nanoseconds of `ktime_get()`, if the timer is queued.
    at: u64,
}

/// `call_single_data_t`, aligned so that it lies in one cache line.
#[repr(C, align(32))]
struct Csd(Opaque<bindings::call_single_data_t>);

impl Csd {
    /// Creates an initialiser of a CSD that calls `function(info)` on another CPU.
    fn new(function: unsafe extern "C" fn(*mut c_void), info: *mut c_void) -> impl PinInit<Self> {
        // In C the type is aligned to its size, which bindgen does not reproduce.
        const { assert!(align_of::<Self>() == size_of::<bindings::call_single_data_t>()) };
        let init = move |slot: *mut Self| {
            // SAFETY: `slot` is valid for writes, and has the layout of the C type.
            unsafe { bindings::rust_helper_INIT_CSD(slot.cast(), Some(function), info) };
            Ok(())
        };
        // SAFETY: The closure has initialised all of `slot`.
        unsafe { pin_init::pin_init_from_closure(init) }
    }
}

/// A NAPI instance and the data that it polls: `struct napi_struct`.
///
/// # Invariants
///
/// `napi.state` has `NAPI_STATE_SCHED` set initially, and loses it only between `napi_enable()` and
/// `napi_disable()`: scheduling at other times does nothing.
///
/// `csd` is in flight only while `NAPI_STATE_SCHED` is set, and `timer` is queued only while
/// `timing` allows it, so that neither is when the value is dropped.
#[repr(C)]
#[pin_data]
pub struct Napi<T> {
    #[pin]
    napi: Opaque<bindings::napi_struct>,
    /// Schedules `napi` on the owner CPU.
    #[pin]
    csd: Csd,
    /// Schedules `napi` later, for `schedule_after`.
    #[pin]
    timer: Opaque<bindings::hrtimer>,
    #[pin]
    timing: SpinLockBh<Timing>,
    /// The owner CPU, or [`NO_CPU`](Self::NO_CPU).
    cpu: RelaxedCell<u32>,
    /// The timer of the core will poll; `schedule` does nothing. Set only by the owner of
    /// `NAPI_STATE_SCHED`.
    masked: RelaxedCell<bool>,
    /// Whether a [`Registration`] of this instance exists.
    registered: AtomicFlag,
    #[pin]
    data: T,
}

// SAFETY: The C functions for `napi`, `csd` and `timer` may be called by any thread.
unsafe impl<T: Send> Send for Napi<T> {}
// SAFETY: As above.
unsafe impl<T: Sync> Sync for Napi<T> {}

impl<T> Deref for Napi<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: Poll> Napi<T> {
    /// The value of `cpu` without an owner CPU.
    const NO_CPU: u32 = u32::MAX;

    /// Creates an initialiser of an instance that is polled on the CPU `owner`, or for `None` on
    /// the CPU that schedules it.
    pub fn new(owner: Option<CpuId>, data: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            napi <- Opaque::ffi_init(|slot: *mut bindings::napi_struct| {
                // INVARIANT: The bit is set.
                // SAFETY: `slot` is valid for writes; zeroes are a valid `napi_struct` that is on
                // no list.
                unsafe {
                    slot.write(pin_init::zeroed());
                    (*slot).state = 1 << bindings::NAPI_STATE_SCHED | 1 << bindings::NAPI_STATE_NPSVC;
                }
            }),
            csd <- Csd::new(Self::csd_callback, this.as_ptr().cast()),
            timer <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid for writes.
                unsafe {
                    bindings::hrtimer_setup(
                        slot,
                        Some(Self::timer_callback),
                        bindings::CLOCK_MONOTONIC as c_int,
                        bindings::hrtimer_mode_HRTIMER_MODE_REL_PINNED_SOFT,
                    )
                };
            }),
            timing <- new_spinlock_bh!(Timing::default(), c"spans_napi_timer"),
            cpu: RelaxedCell::new(owner.map_or(Self::NO_CPU, u32::from)),
            masked: RelaxedCell::new(false),
            registered: AtomicFlag::new(false),
            data <- data,
        })
    }

    /// Returns whether the instance would be polled on `cpu` if that CPU scheduled it.
    #[inline]
    pub fn is_local(&self, cpu: u32) -> bool {
        let owner = self.cpu.read();
        owner == cpu || owner == Self::NO_CPU
    }

    /// Sets the owner CPU, or none. The instance is also polled on the CPU that schedules it while
    /// the owner is offline, and always on PREEMPT_RT. Any context.
    pub fn set_cpu(&self, owner: Option<CpuId>) {
        self.cpu.write(owner.map_or(Self::NO_CPU, u32::from));
    }

    /// Schedules a poll on the owner CPU, or leaves it to the timer of the core if that defers
    /// polls: `napi_schedule()`. Any context.
    ///
    /// The poll sees all writes of the caller before the call: an instance that is being polled is
    /// polled once more. (A deferred one if [`Poll::has_work`] returns true.)
    #[inline]
    pub fn schedule(&self) -> Scheduled {
        if self.is_masked() {
            return Scheduled::Already;
        }
        self.schedule_now()
    }

    /// Schedules a poll on the owner CPU unless one is due, and returns whether it did.
    ///
    /// A poll is due if `NAPI_STATE_SCHED` is set (by a doorbell, the NAPI thread or a busy polling
    /// socket), or if the timer of the core is queued or running (`napi_watchdog()`), which polls
    /// where the user defers interrupts or where such a socket left it (`busy_poll_stop()`,
    /// `net/core/dev.c`).
    ///
    /// For a caller with work that no poll has taken for much longer than scheduling takes: a
    /// doorbell was lost.
    pub fn schedule_if_missed(&self, _: &LocalBhDisabled) -> bool {
        if self.state() & (1 << bindings::NAPI_STATE_SCHED) != 0 {
            return false;
        }
        // The state of the timer is read after the bit was seen to be clear.
        smp_mb();
        // SAFETY: `NAPI_STATE_SCHED` was clear within this section with bottom halves off, so by
        // the type invariant `napi` was enabled then, and therefore added, which has set up the
        // timer. The end of its registration sets the bit and waits for a grace period, which this
        // section delays: the timer is not set up anew before this function returns.
        let deferred = unsafe { bindings::hrtimer_active(&raw const (*self.napi.get()).timer) };
        !deferred && self.schedule_now() != Scheduled::Already
    }

    /// Schedules like [`schedule`](Self::schedule), but also while masked.
    #[inline]
    fn schedule_now(&self) -> Scheduled {
        // SAFETY: By the type invariant this is a valid `napi_struct`; while it is not enabled, the
        // function returns false.
        if !unsafe { bindings::napi_schedule_prep(self.napi.get()) } {
            return Scheduled::Already;
        }
        if self.is_elsewhere() && self.send_csd() {
            return Scheduled::Remote;
        }
        // SAFETY: `napi_schedule_prep()` has returned true.
        unsafe { bindings::__napi_schedule(self.napi.get()) };
        Scheduled::Local
    }

    /// Returns whether the core will poll, and then see all writes of the caller before the call.
    #[inline]
    fn is_masked(&self) -> bool {
        // Fast path: not masked, and no ordering is needed.
        self.masked.read() && {
            // Pairs with the barrier in `unmask`.
            smp_mb();
            self.masked.read()
        }
    }

    /// Returns whether another CPU is the owner. Never on PREEMPT_RT, where an idle CPU that gets a
    /// CSD warns about the softirq that it raises (`do_softirq_post_smp_call_flush()`), nor for an
    /// instance with a thread, which is not bound to the owner.
    #[inline]
    fn is_elsewhere(&self) -> bool {
        !cfg!(CONFIG_PREEMPT_RT) && !self.is_local(CpuId::current().as_u32()) && !self.has_thread()
    }

    /// Polls now, if the poll is to run on this CPU and is not scheduled yet; otherwise schedules
    /// like [`schedule`](Self::schedule). Returns the number of packets received, which count
    /// towards the budget of the calling poll, `context`. That poll must hold no lock.
    ///
    /// Saves a softirq round for a poll that gives work to another, like `process_backlog()` for a
    /// device without NAPI. Nesting is limited to one level: a nested poll schedules instead.
    #[inline]
    pub fn poll_from<O: Poll>(&self, context: &PollContext<'_, O>) -> usize {
        if context.nested || self.has_thread() || self.is_masked() {
            self.schedule();
            return 0;
        }
        // SAFETY: As in `schedule_now`.
        if !unsafe { bindings::napi_schedule_prep(self.napi.get()) } {
            return 0;
        }
        if self.is_elsewhere() && self.send_csd() {
            return 0;
        }
        let budget = context.budget;
        // SAFETY: This function owns `NAPI_STATE_SCHED`, which by the type invariant only an
        // enabled instance loses, so there is a `Registration`, and the instance is on no list:
        // `busy_poll_stop()` polls in the same state. Bottom halves are off, as `context` is that
        // of a poll.
        let received = unsafe { self.poll(budget, true) };
        if received >= budget {
            // SAFETY: The poll has used up its budget, so this function still owns
            // `NAPI_STATE_SCHED`.
            unsafe { bindings::__napi_schedule(self.napi.get()) };
        }
        received
    }

    /// Returns whether the instance is polled by a thread: `NAPI_STATE_THREADED`.
    #[inline]
    fn has_thread(&self) -> bool {
        self.state() & (1 << bindings::NAPI_STATE_THREADED) != 0
    }

    /// Returns the present `NAPI_STATE_*` bits.
    #[inline]
    fn state(&self) -> usize {
        // SAFETY: The field is valid, and written atomically.
        unsafe { (&raw const (*self.napi.get()).state).read_volatile() }
    }

    /// Schedules on the owner CPU by a CSD. The caller must own `NAPI_STATE_SCHED`, which passes to
    /// the CSD. Returns false, and leaves the bit to the caller, if that CPU is offline or there is
    /// no owner any more.
    #[cold]
    fn send_csd(&self) -> bool {
        // `NO_CPU` is -1 here, which C rejects like an offline CPU.
        let owner = self.cpu.read() as c_int;
        // SAFETY: The CSD is initialised. It is not in flight, as the caller owns the bit. The
        // value lives until the CSD has run: by the type invariant the instance is registered, the
        // bit is cleared by polls only, and the end of the registration waits for that.
        unsafe { bindings::smp_call_function_single_async(owner, self.csd.0.get()) == 0 }
    }

    /// Schedules a poll on the owner CPU in so many nanoseconds, by a timer on the calling CPU.
    /// Does nothing if the timer expires earlier anyway. Any context with bottom halves off.
    ///
    /// If the core defers polls at that time, the poll runs when the core wants: the frames of a
    /// line wait as long as those of a NIC with a masked interrupt.
    pub fn schedule_after(&self, nanoseconds: u64, bh: &LocalBhDisabled) {
        let at = ktime_get().saturating_add(nanoseconds);
        let mut timing = self.timing.lock(bh);
        // SAFETY: The timer is initialised.
        let queued = unsafe { bindings::rust_helper_hrtimer_is_queued(self.timer.get()) };
        if timing.allowed && !(queued && timing.at <= at) {
            timing.at = at;
            // INVARIANT: The timer is allowed, and stays so while the lock is held.
            // SAFETY: The timer is initialised, and by the type invariant the value lives until the
            // timer has fired or was cancelled.
            unsafe {
                bindings::hrtimer_start_range_ns(
                    self.timer.get(),
                    nanoseconds.min(i64::MAX as u64) as i64,
                    0,
                    bindings::hrtimer_mode_HRTIMER_MODE_REL_PINNED_SOFT,
                )
            };
        }
    }

    /// # Safety
    ///
    /// Called by the core on the CPU that the CSD was sent to, in hard interrupt context, with a
    /// pointer to the `Napi<T>` that sent it, whose `NAPI_STATE_SCHED` is set.
    unsafe extern "C" fn csd_callback(info: *mut c_void) {
        // SAFETY: The end of the registration waits until `NAPI_STATE_SCHED` is cleared by a poll,
        // so the value lives at least until then.
        let this = unsafe { &*info.cast::<Self>() };
        if this.is_elsewhere() {
            this.data.migrated();
            if this.send_csd() {
                return;
            }
        }
        // SAFETY: The bit is set and belongs to the CSD.
        unsafe { bindings::__napi_schedule(this.napi.get()) };
    }

    /// # Safety
    ///
    /// Called by the core for the `timer` of a `Napi<T>`.
    unsafe extern "C" fn timer_callback(
        timer: *mut bindings::hrtimer,
    ) -> bindings::hrtimer_restart {
        // SAFETY: The timer is that field of a `Napi<T>`, which by the type invariant lives until
        // the timer was cancelled, which waits for this function.
        let this = unsafe { &*timer.byte_sub(offset_of!(Self, timer)).cast::<Self>() };
        this.schedule();
        bindings::hrtimer_restart_HRTIMER_NORESTART
    }

    /// # Safety
    ///
    /// Called by the core for the `napi` of a `Napi<T>` that a [`Registration`] keeps alive, with
    /// bottom halves off.
    unsafe extern "C" fn poll_callback(napi: *mut bindings::napi_struct, budget: c_int) -> c_int {
        // SAFETY: `napi` is the first field of a `repr(C)` structure, which the registration keeps
        // alive until no poll is running.
        let this = unsafe { &*napi.cast::<Self>() };
        // A NAPI thread or a busy polling socket polls on its own CPU.
        if this.is_elsewhere()
            // SAFETY: No requirements.
            && unsafe { bindings::rust_helper_in_serving_softirq() }
        {
            this.data.migrated();
            // `NAPI_STATE_SCHED` stays set: a poll that returns less than its budget is already off
            // the poll list and may be put on that of another CPU.
            if this.send_csd() {
                return 0;
            }
        }
        // SAFETY: The core owns `NAPI_STATE_SCHED` of a registered instance, and polls with bottom
        // halves off. (Netpoll, which would poll with interrupts off instead, does not use devices
        // that `Setup::prepare` has set up.)
        unsafe { this.poll(budget.try_into().unwrap_or(0), false) as c_int }
    }

    /// Polls, and completes the poll unless it has used up the budget. `nested`: called by the poll
    /// of another instance. Returns the number of packets received.
    ///
    /// # Safety
    ///
    /// The caller must own `NAPI_STATE_SCHED`, which it gives away unless the whole budget is
    /// returned, there must be a [`Registration`], and bottom halves must be off.
    #[inline]
    unsafe fn poll(&self, budget: usize, nested: bool) -> usize {
        let napi = self.napi.get();
        let context = PollContext {
            napi: self,
            // SAFETY: `Registration::new` added the instance to a device of `T::Driver`, to which
            // it holds a reference.
            device: unsafe { Device::from_raw((*napi).dev) },
            budget,
            nested,
            worked: Cell::new(false),
            // SAFETY: By the safety requirements of this function.
            bh: unsafe { LocalBhDisabled::assume() },
        };
        let received = self.data.poll(&context).min(budget);
        if received < budget {
            let work = received.max(context.worked.get().into());
            // SAFETY: The caller owns `NAPI_STATE_SCHED` of `napi` and has bottom halves off.
            unsafe { self.complete(work) };
        }
        received
    }

    /// Completes a poll that has done `work` units of work: `napi_complete_done()`.
    ///
    /// # Safety
    ///
    /// The caller must own `NAPI_STATE_SCHED`, which it gives away, and bottom halves must be off.
    #[inline]
    unsafe fn complete(&self, work: usize) {
        let napi = self.napi.get();
        // SAFETY: The fields are valid. The count belongs to the owner of `NAPI_STATE_SCHED`; the
        // user may change the others concurrently: READ_ONCE().
        let deferred = unsafe {
            (&raw const (*napi).gro_flush_timeout).read_volatile() > 0
                && ((*napi).defer_hard_irqs_count > 0
                    || work > 0 && (&raw const (*napi).defer_hard_irqs).read_volatile() > 0)
        };
        // Set while this poll owns `NAPI_STATE_SCHED`: after completion another poll may have
        // started and ended, and nothing would clear the flag. `deferred` predicts the rule of
        // `napi_complete_done()`. After a concurrent change by the user it may be wrong, which is
        // harmless: without the flag there are more polls than needed, and with it the completion
        // returns true and `unmask` clears it.
        if deferred {
            self.masked.write(true);
        }
        // SAFETY: By the safety requirements of this function this is the poll of `napi`. False
        // means that the core polls again: it was scheduled meanwhile, is busy polled, or the timer
        // was started.
        let done = unsafe { bindings::napi_complete_done(napi, work as c_int) };
        if done && self.masked.read() {
            self.unmask();
        }
    }

    /// Makes scheduling effective again, and schedules a poll for work that was recorded while it
    /// was not.
    #[cold]
    fn unmask(&self) {
        self.masked.write(false);
        // Pairs with the barrier in `is_masked`: the work of a caller that has read the old value
        // is seen by `has_work`.
        smp_mb();
        if self.data.has_work() {
            self.schedule();
        }
    }
}
