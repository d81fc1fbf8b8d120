// SPDX-License-Identifier: GPL-2.0

//! Work on packets in softirq context.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)
//!
//! A [`Napi<T>`] is a `struct napi_struct` together with what its poll works on.
//! Anybody may [`schedule`](Napi::schedule) it at any time; it is polled only
//! while a [`Registration`] of it exists, on one CPU at a time.
//!
//! Each may have a home, the CPU on which it is polled (unless it has a thread of its
//! own, or a socket polls it busily); one without is polled on the CPU on which it is
//! scheduled. To schedule it elsewhere takes a message to its home. As only one can set
//! `NAPI_STATE_SCHED`, there is one message at most under way. Where it arrives, the home
//! is looked at again, and a poll that finds itself elsewhere moves: DragonFly chases the
//! owner of a subqueue that way (`ifsq_ifstart_ipifunc()`).
//!
//! To schedule is what an interrupt does for a NIC. When the core wants to poll by its
//! own timer for a while (`napi_defer_hard_irqs`), a NIC leaves its interrupt masked;
//! here `masked` makes who schedules do nothing. Who schedules has noted what for;
//! a poll that unmasks looks for such notes then. So one of the two sees what the
//! other has written, with a full barrier on either side between writing and reading.

mod context;
mod registration;

pub use context::PollContext;
pub use registration::Registration;

use super::{
    bindings,
    clock::ktime_get,
    device::{Device, Operations},
    spinlock_bh::{LocalBhDisabled, SpinLockBh},
    word::RelaxedCell,
};
use crate::new_spinlock_bh;
use core::{cell::Cell, mem::offset_of, ops::Deref};
use kernel::{
    cpu::CpuId,
    prelude::*,
    sync::{atomic::AtomicFlag, barrier::smp_mb},
    types::Opaque, //
};

/// What is polled.
pub trait Poll: Sized + Send + Sync + 'static {
    /// The driver whose devices this belongs to.
    type Driver: Operations;

    /// Works on packets, receiving at most `context.budget()`, and answers how
    /// many were received; with the whole budget for an answer it is polled again
    /// soon.
    ///
    /// Softirq context, or a thread of its own with bottom halves off.
    fn poll(&self, context: &PollContext<'_, Self>) -> usize;

    /// Whether the poll has something to do. To say yes for nothing costs a poll; to say
    /// no though somebody has noted work before scheduling may leave that lying.
    fn has_work(&self) -> bool;

    /// It was about to be polled on a CPU that is not its home, and moves if that is
    /// online. Softirq context, or a hard interrupt.
    fn migrated(&self) {}
}

/// Where something that was scheduled will be polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduled {
    /// Where it was scheduled before, by the timer of the core if that defers it, or
    /// nowhere if it is not registered.
    Already,
    /// On this CPU.
    Local,
    /// On another CPU, which was sent a message.
    Remote,
}

/// About a timer.
#[derive(Default)]
struct Timing {
    /// Whether it may be queued.
    allowed: bool,
    /// When it fires, if it is queued.
    at: u64,
}

/// `call_single_data_t`, which is to lie in one cache line.
#[repr(C, align(32))]
struct Csd(Opaque<bindings::call_single_data_t>);

impl Csd {
    /// What has another CPU call `function` with `info`.
    fn new(function: unsafe extern "C" fn(*mut c_void), info: *mut c_void) -> impl PinInit<Self> {
        // C has it aligned to its size, which bindgen does not see.
        const { assert!(align_of::<Self>() == size_of::<bindings::call_single_data_t>()) };
        let init = move |slot: *mut Self| {
            // SAFETY: `slot` is valid for writes, and transparent but for its alignment.
            unsafe { bindings::rust_helper_INIT_CSD(slot.cast(), Some(function), info) };
            Ok(())
        };
        // SAFETY: All of it was initialised.
        unsafe { pin_init::pin_init_from_closure(init) }
    }
}

/// Something that is polled, with the `struct napi_struct` for it.
///
/// # Invariants
///
/// `napi.state` has `NAPI_STATE_SCHED` set from the beginning, and loses it only
/// between `napi_enable()` and `napi_disable()`: scheduling it at other times
/// does nothing.
///
/// `csd` is under way only while `NAPI_STATE_SCHED` is set, and `timer` is
/// queued only while `timing` allows it, so that neither is when the value goes.
#[repr(C)]
#[pin_data]
pub struct Napi<T> {
    #[pin]
    napi: Opaque<bindings::napi_struct>,
    /// Has the home CPU put `napi` on its list.
    #[pin]
    csd: Csd,
    /// Schedules `napi`.
    #[pin]
    timer: Opaque<bindings::hrtimer>,
    #[pin]
    timing: SpinLockBh<Timing>,
    /// A CPU, or [`NO_CPU`](Self::NO_CPU).
    cpu: RelaxedCell<u32>,
    /// The core will have it polled, and nobody else is to. Set only by who owns
    /// `NAPI_STATE_SCHED`.
    masked: RelaxedCell<bool>,
    /// Whether there is a [`Registration`] of it.
    registered: AtomicFlag,
    #[pin]
    data: T,
}

// SAFETY: `napi` may be used by any thread under its own rules.
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
    /// The number of no CPU.
    const NO_CPU: u32 = u32::MAX;

    /// Creates an initialiser, for something that is polled on the CPU `home`, or else on the
    /// CPU on which it is scheduled.
    pub fn new(home: Option<CpuId>, data: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            napi <- Opaque::ffi_init(|slot: *mut bindings::napi_struct| {
                // INVARIANT: The bit is set.
                // SAFETY: `slot` is valid for writes; zeroes are a valid `napi_struct` that is in
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
            cpu: RelaxedCell::new(home.map_or(Self::NO_CPU, u32::from)),
            masked: RelaxedCell::new(false),
            registered: AtomicFlag::new(false),
            data <- data,
        })
    }

    /// Whether it is polled on this CPU if it is scheduled there.
    #[inline]
    pub fn is_local(&self, cpu: u32) -> bool {
        let home = self.cpu.read();
        home == cpu || home == Self::NO_CPU
    }

    /// Has it polled on another CPU from now on, or on the CPU on which it is scheduled: so it
    /// is, too, if its home is offline, or on PREEMPT_RT.
    pub fn set_cpu(&self, home: Option<CpuId>) {
        self.cpu.write(home.map_or(Self::NO_CPU, u32::from));
    }

    /// Has it polled soon, at home, or when the core wants to if that defers it. Any
    /// context.
    ///
    /// Whatever the caller did before is seen by the poll: scheduling what is
    /// being polled at the moment has it polled once more. (If it is deferred, what
    /// [`Poll::has_work`] tells.)
    #[inline]
    pub fn schedule(&self) -> Scheduled {
        if self.is_masked() {
            return Scheduled::Already;
        }
        self.schedule_now()
    }

    /// Has it polled soon, at home, if no poll is due: none is scheduled or under way (by a doorbell,
    /// by its thread, by a socket that polls busily), and the timer of the core that schedules
    /// one where the user defers interrupts, or that such a socket has left
    /// (`busy_poll_stop()`, `net/core/dev.c`), is not queued and not about to do that
    /// (`napi_watchdog()`). Answers whether it has. Any context.
    ///
    /// For a caller that knows of work that has waited for much longer than it takes to schedule
    /// a poll, and that none has fetched: a doorbell was lost.
    pub fn schedule_if_missed(&self) -> bool {
        if self.state() & (1 << bindings::NAPI_STATE_SCHED) != 0 {
            return false;
        }
        // The timer is seen as it was before the bit was cleared.
        smp_mb();
        // SAFETY: By the type invariant this is enabled or was, so it has been registered, which
        // has set the timer up; that stays so.
        let deferred = unsafe { bindings::hrtimer_active(&raw const (*self.napi.get()).timer) };
        !deferred && self.schedule_now() != Scheduled::Already
    }

    /// As [`schedule`](Self::schedule), whether it is masked or not.
    #[inline]
    fn schedule_now(&self) -> Scheduled {
        // SAFETY: By the type invariant this is a valid `napi_struct`; if it is not enabled, the
        // answer is no.
        if !unsafe { bindings::napi_schedule_prep(self.napi.get()) } {
            return Scheduled::Already;
        }
        if self.is_elsewhere() && self.send_csd() {
            return Scheduled::Remote;
        }
        // SAFETY: `napi_schedule_prep` has let us.
        unsafe { bindings::__napi_schedule(self.napi.get()) };
        Scheduled::Local
    }

    /// Whether the core will have it polled, and sees what the caller has done before.
    #[inline]
    fn is_masked(&self) -> bool {
        // Most often it is not, and then there is nothing to be ordered.
        self.masked.read() && {
            // Pairs with the one in `unmask`.
            smp_mb();
            self.masked.read()
        }
    }

    /// Whether its home is another CPU. On PREEMPT_RT it is none: an idle CPU that is
    /// sent a message there warns about softirqs raised by it
    /// (`do_softirq_post_smp_call_flush()`). A thread is where it is.
    #[inline]
    fn is_elsewhere(&self) -> bool {
        !cfg!(CONFIG_PREEMPT_RT) && !self.is_local(CpuId::current().as_u32()) && !self.has_thread()
    }

    /// Has it polled now, if that is to be on this CPU and nobody has scheduled it
    /// before; otherwise as [`schedule`](Self::schedule). Answers how many packets it
    /// received, which count for the budget of the caller: the poll of another, which
    /// has nothing locked.
    ///
    /// For a poll that gives work to another this spares a round of the softirq, as a
    /// backlog of the core does for a device that has no NAPI. It goes only one deep:
    /// what is polled by a poll has others scheduled.
    #[inline]
    pub fn poll_from<O: Poll>(&self, context: &PollContext<'_, O>) -> usize {
        if context.nested || self.has_thread() || self.is_masked() {
            self.schedule();
            return 0;
        }
        // SAFETY: As in `schedule`.
        if !unsafe { bindings::napi_schedule_prep(self.napi.get()) } {
            return 0;
        }
        if self.is_elsewhere() && self.send_csd() {
            return 0;
        }
        let budget = context.budget;
        // SAFETY: We own `NAPI_STATE_SCHED`, which only what is enabled gives away, so it is
        // registered, and on no list: this is what the core does for a socket that polls busily
        // (`busy_poll_stop()`). Bottom halves are off, as `context` is that of a poll.
        let received = unsafe { self.poll(budget, true) };
        if received >= budget {
            // SAFETY: With its budget used up, the poll has left us the bit.
            unsafe { bindings::__napi_schedule(self.napi.get()) };
        }
        received
    }

    /// Whether it has a thread of its own.
    #[inline]
    fn has_thread(&self) -> bool {
        self.state() & (1 << bindings::NAPI_STATE_THREADED) != 0
    }

    /// Its `NAPI_STATE_*` at this moment.
    #[inline]
    fn state(&self) -> usize {
        // SAFETY: The field is valid, and written atomically.
        unsafe { (&raw const (*self.napi.get()).state).read_volatile() }
    }

    /// Has the home CPU put it on its list. To be called only by whoever has set
    /// `NAPI_STATE_SCHED`, which it gives away with that. Says no if that CPU is
    /// offline, or there is no home by now.
    #[cold]
    fn send_csd(&self) -> bool {
        // No home is no CPU, which C finds offline.
        let home = self.cpu.read() as c_int;
        // SAFETY: The message is initialised. It is not under way, as the caller owns the bit, and
        // by the type invariant and because bits are given back by polls only, which the end of
        // the registration waits for, the value lives until it arrives.
        unsafe { bindings::smp_call_function_single_async(home, self.csd.0.get()) == 0 }
    }

    /// Has it polled at home, on the CPU that calls, or later at home after that,
    /// when so many nanoseconds are over. Does nothing if that is due earlier anyway.
    ///
    /// If the core defers it then, it is polled when the core wants to: what a line
    /// delays is as late as what a NIC with a masked interrupt has received.
    pub fn schedule_after(&self, nanoseconds: u64, bh: &LocalBhDisabled) {
        let at = ktime_get().saturating_add(nanoseconds);
        let mut timing = self.timing.lock(bh);
        // SAFETY: The timer is initialised.
        let queued = unsafe { bindings::rust_helper_hrtimer_is_queued(self.timer.get()) };
        if timing.allowed && !(queued && timing.at <= at) {
            timing.at = at;
            // INVARIANT: It is allowed, and stays so while the lock is held.
            // SAFETY: The timer is initialised, and by the type invariant the value lives until it
            // has fired or was cancelled.
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
    /// Called by the core on the CPU that a message was sent to, in a hard
    /// interrupt, with a pointer to the `Napi<T>` that sent it and whose
    /// `NAPI_STATE_SCHED` is set.
    unsafe extern "C" fn csd_callback(info: *mut c_void) {
        // SAFETY: Nobody unregisters it before it was polled.
        let this = unsafe { &*info.cast::<Self>() };
        if this.is_elsewhere() {
            this.data.migrated();
            if this.send_csd() {
                return;
            }
        }
        // SAFETY: The bit is set and was given to the message.
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
    /// Called by the core for the `napi` of a `Napi<T>` that a [`Registration`]
    /// keeps alive, with bottom halves off.
    unsafe extern "C" fn poll_callback(napi: *mut bindings::napi_struct, budget: c_int) -> c_int {
        // SAFETY: `napi` is the first field of a `repr(C)` structure, which the registration keeps
        // alive until no poll is running.
        let this = unsafe { &*napi.cast::<Self>() };
        // With a thread of its own, or for a socket, it is polled wherever they are.
        if this.is_elsewhere()
            // SAFETY: No requirements.
            && unsafe { bindings::rust_helper_in_serving_softirq() }
        {
            this.data.migrated();
            // What is scheduled stays so: whoever polls less than its budget has it off the list
            // and may put it elsewhere.
            if this.send_csd() {
                return 0;
            }
        }
        // SAFETY: The core has scheduled what is registered, and polls with bottom halves off.
        // (Netpoll, which would poll with interrupts off instead, leaves devices alone that
        // `Setup::prepare` made.)
        unsafe { this.poll(budget.try_into().unwrap_or(0), false) as c_int }
    }

    /// Polls it, and completes that if the budget was not used up. `nested`: by the
    /// poll of another.
    ///
    /// # Safety
    ///
    /// The caller must own `NAPI_STATE_SCHED`, which it gives away unless the answer
    /// is the whole budget, there must be a [`Registration`], and bottom halves must
    /// be off.
    #[inline]
    unsafe fn poll(&self, budget: usize, nested: bool) -> usize {
        let napi = self.napi.get();
        let context = PollContext {
            napi: self,
            // SAFETY: `Registration::new` added it to a device of `T::Driver`, on which it has a
            // reference.
            device: unsafe { Device::from_raw((*napi).dev) },
            budget,
            nested,
            worked: Cell::new(false),
            // SAFETY: The caller promises it.
            bh: unsafe { LocalBhDisabled::assume() },
        };
        let received = self.data.poll(&context).min(budget);
        if received < budget {
            let work = received.max(context.worked.get().into());
            // SAFETY: This is the poll of `napi`.
            unsafe { self.complete(work) };
        }
        received
    }

    /// Completes a poll that has done so much work.
    ///
    /// # Safety
    ///
    /// The caller must own `NAPI_STATE_SCHED`, which it gives away, and bottom halves must
    /// be off.
    #[inline]
    unsafe fn complete(&self, work: usize) {
        let napi = self.napi.get();
        // SAFETY: The fields are valid. The count belongs to the owner of the bit; the user may
        // change the others, atomically.
        let deferred = unsafe {
            (&raw const (*napi).gro_flush_timeout).read_volatile() > 0
                && ((*napi).defer_hard_irqs_count > 0
                    || work > 0 && (&raw const (*napi).defer_hard_irqs).read_volatile() > 0)
        };
        // Now that the bit is ours: once the core has answered, another poll may have come and
        // gone, and nobody would take it back. If the core, whose rule this is, decides otherwise
        // as the user has changed something, nothing is lost: what is not masked may be polled too
        // often, and what is masked is unmasked by the yes that the core says then.
        if deferred {
            self.masked.write(true);
        }
        // SAFETY: The caller promises that this is the poll of `napi`. No means that the core has
        // it polled again: it was scheduled meanwhile, a socket is polling it, or there is a timer.
        let done = unsafe { bindings::napi_complete_done(napi, work as c_int) };
        if done && self.masked.read() {
            self.unmask();
        }
    }

    /// From now on it is polled when it is scheduled; so it is if somebody would have
    /// scheduled it before.
    #[cold]
    fn unmask(&self) {
        self.masked.write(false);
        // Pairs with the one in `is_masked`: who has seen the old value has his note seen here.
        smp_mb();
        if self.data.has_work() {
            self.schedule();
        }
    }
}
