// SPDX-License-Identifier: GPL-2.0

//! IPv4 neighbours: entries of `arp_tbl`.
//!
//! C header: [`include/net/neighbour.h`](srctree/include/net/neighbour.h)
//!
//! The kernel has one ARP table for all devices. A driver can replace the resolution of the
//! neighbours of its devices, and is notified of their state. It must not keep a [`Neighbour`]: the
//! reference would keep the device from being unregistered.
//!
//! # Locks
//!
//! Lock order: `arp_tbl.lock`, locks of the driver, lock of a neighbour.
//! [`Operations::neigh_update`] may be called with `arp_tbl.lock` held, and no callback with the
//! lock of a neighbour. A lock of the driver may therefore be held in [`Event::state`], but not in
//! [`Solicitation::request`], [`Solicitation::fail`] or any function of [`Neighbour`], nor when one
//! is dropped. Callers of [`Device::neighbour`],
//! [`Device::make_neighbour`] and [`Device::remove_neighbours`] must not hold `arp_tbl.lock`: they
//! would deadlock.

mod event;

use super::{
    bindings,
    clock::{jiffies, jiffies_to_msecs},
    device::{self, Device},
    inet::{from_be32, to_be32},
    relaxed_cell::RelaxedCell,
    rtnl::Rtnl,
    spinlock_bh::{local_bh_disable, LocalBhDisabled},
};
use core::{marker::PhantomData, net::Ipv4Addr, ptr::NonNull};
use kernel::{
    error::{from_err_ptr, from_result},
    prelude::*,
};

pub use event::{Event, State};

/// Callbacks for the neighbours of a device: `struct neigh_ops`, and those of `struct
/// net_device_ops` for neighbours.
#[vtable]
pub trait Operations: device::Operations {
    /// `ndo_neigh_construct`: permits a neighbour for this address, or fails with the error that
    /// its creator gets. Any context but hard interrupts.
    fn neigh_construct(dev: &Device<Self>, ip: Ipv4Addr) -> Result;

    /// `neigh_ops::solicit`: resolves the link address, or confirms it.
    fn solicit(dev: &Device<Self>, solicitation: &Solicitation<'_, Self>, bh: &LocalBhDisabled);

    /// `neigh_ops::output` in `NUD_STALE`: the first packet is sent to a link address that the
    /// kernel has and has not verified.
    fn neigh_output(dev: &Device<Self>, ip: Ipv4Addr, bh: &LocalBhDisabled);

    /// `NETEVENT_NEIGH_UPDATE`: the state has changed. `arp_tbl.lock` may be held.
    fn neigh_update(dev: &Device<Self>, event: &Event<'_>, bh: &LocalBhDisabled);
}

/// Neighbour settings of a device: `struct neigh_parms`, `ip ntable`.
pub struct Parameters {
    /// Number of solicitations before a neighbour fails: `mcast_solicit`, and `mcast_resolicit` for
    /// one that had a link address.
    pub probes: u32,
    /// Number of solicitations that are sent to the present link address before those by broadcast:
    /// `ucast_solicit`.
    pub unicast_probes: u32,
    /// Limit of the packets that wait for one link address, in bytes of `skb->truesize`:
    /// `unres_qlen_bytes`.
    pub queue_len_bytes: u32,
}

/// `NUD_VALID`.
const VALID: u32 = bindings::NUD_REACHABLE
    | bindings::NUD_STALE
    | bindings::NUD_DELAY
    | bindings::NUD_PROBE
    | bindings::NUD_PERMANENT
    | bindings::NUD_NOARP;

/// # Safety
///
/// `neighbour` must be valid and one of `arp_tbl`.
unsafe fn ip(neighbour: *const bindings::neighbour) -> Ipv4Addr {
    // SAFETY: The key of an entry of `arp_tbl` is an IPv4 address, which never changes.
    from_be32(unsafe {
        (&raw const (*neighbour).primary_key)
            .cast::<bindings::__be32>()
            .read_unaligned()
    })
}

/// A request to resolve a link address.
///
/// # Invariants
///
/// The neighbour is valid for `'a`, belongs to a device of `T` and has [`Table::OPS`]; its lock is
/// not held. `skb` is valid or null.
pub struct Solicitation<'a, T: Operations> {
    neighbour: *mut bindings::neighbour,
    skb: *mut bindings::sk_buff,
    _life: PhantomData<&'a Device<T>>,
}

impl<T: Operations> Solicitation<'_, T> {
    /// Returns the IPv4 address.
    pub fn ip(&self) -> Ipv4Addr {
        // SAFETY: By the type invariant the neighbour is valid and one of `arp_tbl`.
        unsafe { ip(self.neighbour) }
    }

    /// Returns whether the neighbour must not be resolved any more: since the core decided to
    /// solicit, the user has set its link address (`NUD_PERMANENT`, `NUD_NOARP`), or it has left
    /// the table, so that there may be another neighbour with its address. A lock of the driver may
    /// be held.
    pub fn is_obsolete(&self) -> bool {
        let n = self.neighbour;
        // SAFETY: By the type invariant the neighbour is valid. READ_ONCE().
        let (dead, state) = unsafe {
            (
                (&raw const (*n).dead).read_volatile(),
                (&raw const (*n).nud_state).read_volatile(),
            )
        };
        dead != 0 || u32::from(state) & (bindings::NUD_PERMANENT | bindings::NUD_NOARP) != 0
    }

    /// Sends a request: `arp_solicit()`, with the source address of the waiting packet.
    pub fn request(&self, _: &LocalBhDisabled) {
        // SAFETY: By the type invariant the private area was filled in.
        let ops = unsafe { (*private(self.neighbour)).ops };
        // SAFETY: `ops` are the kernel's own operations for this neighbour, which are static.
        if let Some(solicit) = unsafe { (*ops).solicit } {
            // SAFETY: Bottom halves are off; the neighbour is valid and not locked.
            unsafe { solicit(self.neighbour, self.skb) };
        }
    }

    /// Fails the neighbour without a request: waiting packets are dropped, and their senders get an
    /// error. The driver is not notified.
    pub fn fail(&self, _: &LocalBhDisabled) {
        // SAFETY: By the type invariant the private area was filled in and the lock is not held.
        // The caller is the timer of the neighbour, which holds a reference, or is in an RCU
        // read-side section, after which neighbours are freed.
        unsafe {
            (*private(self.neighbour)).silent.write(true);
            fail(self.neighbour);
            (*private(self.neighbour)).silent.write(false);
        }
    }
}

/// # Safety
///
/// The caller must have a reference or be in an RCU read-side section, and must not hold the lock
/// of the neighbour.
unsafe fn fail(neighbour: *mut bindings::neighbour) {
    // SAFETY: By the safety requirements of this function. Has no effect on a state that the user
    // has set, nor on a dead neighbour. READ_ONCE().
    unsafe {
        let flags = (&raw const (*neighbour).flags).read_volatile();
        if flags & bindings::SPANS_NTF_EXT_VALIDATED != 0 {
            return;
        }
        bindings::neigh_update(
            neighbour,
            core::ptr::null(),
            bindings::NUD_FAILED as u8,
            bindings::SPANS_NEIGH_UPDATE_F_OVERRIDE,
            0,
        );
    }
}

/// Its address marks a private area as one of this module. (The address of `OPS` would not do:
/// there may be several copies of a constant.)
static MARK: u8 = 0;

/// The private area of a neighbour: `neighbour_priv()`.
#[repr(C)]
struct Private {
    /// The address of [`MARK`].
    mark: *const u8,
    /// The operations that the kernel would have used.
    ops: *const bindings::neigh_ops,
    /// To be removed from the kernel's table.
    removed: RelaxedCell<bool>,
    /// Failed by the driver: no event.
    silent: RelaxedCell<bool>,
    /// The driver was notified of the death.
    dead: RelaxedCell<bool>,
}

/// Size of the private area in bytes: `dev->neigh_priv_len`.
pub(super) const PRIVATE_LEN: u16 = size_of::<Private>() as u16;

/// # Safety
///
/// `neighbour` must be one of a device with `neigh_priv_len` of [`PRIVATE_LEN`].
unsafe fn private(neighbour: *const bindings::neighbour) -> *mut Private {
    // SAFETY: By the safety requirements of this function. C aligns the area to 8 bytes.
    unsafe { bindings::rust_helper_neighbour_priv(neighbour).cast() }
}

/// The largest number of neighbours, and of buckets, that [`Device::remove_neighbours`] visits.
/// `gc_thresh3` does not limit them: the user of any namespace may create permanent neighbours, and
/// the hash table never shrinks.
const MAX_WALK: u64 = 1 << 16;

/// Returns the maximum number of entries of the ARP table of all devices: `gc_thresh3`. The
/// administrator may change it at any time.
pub fn gc_thresh3() -> u32 {
    // SAFETY: The table is valid. READ_ONCE().
    let most = unsafe { (&raw const bindings::arp_tbl.gc_thresh3).read_volatile() };
    most.unsigned_abs()
}

/// Builds the `struct neigh_ops` of `T`.
pub(super) struct Table<T: Operations>(PhantomData<T>);

impl<T: Operations> Table<T> {
    const OPS: bindings::neigh_ops = {
        let mut ops: bindings::neigh_ops = pin_init::zeroed();
        ops.family = bindings::AF_INET as c_int;
        ops.solicit = Some(Self::solicit_callback);
        ops.error_report = Some(Self::error_report_callback);
        ops.output = Some(Self::output_callback);
        // Updates `neigh->used`, which neigh_connected_output() does not.
        ops.connected_output = Some(bindings::neigh_resolve_output);
        ops
    };

    const fn ops() -> &'static bindings::neigh_ops {
        &Self::OPS
    }

    /// # Safety
    ///
    /// Called by the core for a new neighbour of `dev` that is in no table yet.
    pub(super) unsafe extern "C" fn construct_callback(
        dev: *mut bindings::net_device,
        n: *mut bindings::neighbour,
    ) -> c_int {
        // SAFETY: `n` is valid and used by nothing else during the call.
        let (table, kind, nud) =
            unsafe { ((*n).tbl, u32::from((*n).type_), u32::from((*n).nud_state)) };
        // Not for IPv6, broadcast, multicast, or the host's own addresses.
        if table != &raw mut bindings::arp_tbl || kind != bindings::RTN_UNICAST || nud & VALID != 0
        {
            return 0;
        }
        // SAFETY: The device is registered, so it has its data until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        from_result(|| {
            // SAFETY: It is one of `arp_tbl`.
            T::neigh_construct(device, unsafe { ip(n) })?;
            // SAFETY: `dev->neigh_priv_len` has made the core allocate the private area.
            unsafe {
                private(n).write(Private {
                    mark: &raw const MARK,
                    ops: (*n).ops,
                    removed: RelaxedCell::new(false),
                    silent: RelaxedCell::new(false),
                    dead: RelaxedCell::new(false),
                });
                (*n).ops = Self::ops();
                (*n).output = Self::ops().output;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a neighbour with [`Self::OPS`], with bottom halves off and without
    /// its lock.
    unsafe extern "C" fn solicit_callback(
        neighbour: *mut bindings::neighbour,
        skb: *mut bindings::sk_buff,
    ) {
        // SAFETY: The device was set up for `T`. It is freed after an RCU grace period, like the
        // neighbour, which the caller has a reference to or an RCU read-side section for.
        let device = unsafe { Device::<T>::from_raw((*neighbour).dev) };
        // SAFETY: The core has them off, in the timer and in `__neigh_event_send()`.
        let bh = unsafe { LocalBhDisabled::assume() };
        // INVARIANT: The core calls the operations of the neighbour, so it has these.
        let solicitation = Solicitation {
            neighbour,
            skb,
            _life: PhantomData,
        };
        T::solicit(device, &solicitation, &bh);
    }

    /// # Safety
    ///
    /// Called by the core for a neighbour with [`Self::OPS`]. The core passes `skb`.
    unsafe extern "C" fn error_report_callback(
        neighbour: *mut bindings::neighbour,
        skb: *mut bindings::sk_buff,
    ) {
        // SAFETY: A neighbour with these operations has a private area, and in it the operations of
        // the kernel, of which each has this function.
        unsafe {
            let ops = (*private(neighbour)).ops;
            if let Some(error_report) = (*ops).error_report {
                error_report(neighbour, skb);
            }
        }
    }

    /// # Safety
    ///
    /// Called by the core for a neighbour with [`Self::OPS`], in an RCU read-side section. The core
    /// passes `skb`.
    unsafe extern "C" fn output_callback(
        neighbour: *mut bindings::neighbour,
        skb: *mut bindings::sk_buff,
    ) -> c_int {
        // SAFETY: The neighbour is valid. READ_ONCE().
        let nud = unsafe { (&raw const (*neighbour).nud_state).read_volatile() };
        if u32::from(nud) == bindings::NUD_STALE {
            // SAFETY: The device was set up for `T`, and is freed after an RCU grace period, like
            // the neighbour, which is one of `arp_tbl`.
            let (device, ip) = unsafe { (Device::<T>::from_raw((*neighbour).dev), ip(neighbour)) };
            // Bottom halves are on in a process that sends.
            T::neigh_output(device, ip, &local_bh_disable());
        }
        // SAFETY: Called as the kernel's own operations call it.
        unsafe { bindings::neigh_resolve_output(neighbour, skb) }
    }

    /// # Safety
    ///
    /// Called by the core with `arp_tbl.lock` and the lock of the neighbour held.
    unsafe extern "C" fn release_callback(neighbour: *mut bindings::neighbour) -> c_int {
        // SAFETY: The neighbour is valid and locked, and so is its device valid.
        unsafe {
            // Called for neighbours of any device. A private area of this length is zero or belongs
            // to another driver, which has no pointer to `MARK`.
            if (*(*neighbour).dev).neigh_priv_len != PRIVATE_LEN
                || !core::ptr::eq(
                    (&raw const (*private(neighbour)).mark).read_volatile(),
                    &MARK,
                )
                || !(*private(neighbour)).removed.read()
                || u32::from((*neighbour).nud_state) != bindings::NUD_FAILED
            {
                return 0;
            }
            // The holder of another reference may be about to use the neighbour.
            let references = &raw const (*neighbour).refcnt.refs.counter;
            (references.read_volatile() == 1).into()
        }
    }
}

/// A reference to a neighbour of a device of `T`: `struct neighbour`. To be dropped soon.
///
/// # Invariants
///
/// The pointer is valid, one of `arp_tbl` and of a device of `T`, which has room for [`Private`].
/// The value owns a reference.
pub struct Neighbour<T: Operations> {
    neighbour: NonNull<bindings::neighbour>,
    _driver: PhantomData<T>,
}

impl<T: Operations> Device<T> {
    /// Returns the neighbour with this address, if there is one: `neigh_lookup()`.
    pub fn neighbour(&self, ip: Ipv4Addr, _: &LocalBhDisabled) -> Option<Neighbour<T>> {
        let key = to_be32(ip);
        // SAFETY: The device is valid, and the key is an IPv4 address, as in `arp_tbl`.
        let found = unsafe {
            bindings::neigh_lookup(
                &raw mut bindings::arp_tbl,
                (&raw const key).cast(),
                self.as_raw(),
            )
        };
        // INVARIANT: The lookup returns a reference, to a neighbour of this device.
        Some(Neighbour {
            neighbour: NonNull::new(found)?,
            _driver: PhantomData,
        })
    }

    /// Returns the neighbour with this address, creating it if there is none: `__neigh_create()`.
    /// Fails with the error of [`Operations::neigh_construct`], or `ENOBUFS` when the table is
    /// full.
    pub fn make_neighbour(&self, ip: Ipv4Addr, bh: &LocalBhDisabled) -> Result<Neighbour<T>> {
        if let Some(neighbour) = self.neighbour(ip, bh) {
            return Ok(neighbour);
        }
        let key = to_be32(ip);
        // SAFETY: As above.
        let made = from_err_ptr(unsafe {
            bindings::__neigh_create(
                &raw mut bindings::arp_tbl,
                (&raw const key).cast(),
                self.as_raw(),
                true,
            )
        })?;
        // INVARIANT: The function returns a reference, to a neighbour of this device.
        Ok(Neighbour {
            neighbour: NonNull::new(made).ok_or(ENOMEM)?,
            _driver: PhantomData,
        })
    }

    /// Removes the neighbours that are marked by [`Neighbour::remove`] from the ARP table, of all
    /// devices of `T`. Visits each bucket and neighbour of the table with `arp_tbl.lock` held. If
    /// there are more than [`MAX_WALK`], does nothing and returns false: the garbage collection of
    /// the kernel may remove the marked neighbours, which have failed. Must not be called from
    /// [`Operations::neigh_update`].
    pub fn remove_neighbours(_: &LocalBhDisabled) -> bool {
        // SAFETY: The lock is initialised, and taken with bottom halves off as by all its users. A
        // thread that holds it already deadlocks. The core requires it for this function, and
        // replaces the hash table only with it held.
        unsafe {
            let table = &raw mut bindings::arp_tbl;
            let lock = &raw mut (*table).lock;
            bindings::rust_helper_spin_lock(lock);
            let buckets = 1u64 << (*(*table).nht).hash_shift;
            let entries = (&raw const (*table).entries.counter).read_volatile();
            let short = buckets.max(u64::from(entries.unsigned_abs())) <= MAX_WALK;
            if short {
                bindings::__neigh_for_each_release(table, Some(Table::<T>::release_callback));
            }
            bindings::rust_helper_spin_unlock(lock);
            short
        }
    }
}

impl<T: Operations> Neighbour<T> {
    fn as_raw(&self) -> *mut bindings::neighbour {
        self.neighbour.as_ptr()
    }

    /// Returns whether the neighbour was permitted by [`Operations::neigh_construct`].
    fn is_ours(&self) -> bool {
        // SAFETY: By the type invariant it has a private area, which is zero unless
        // `construct_callback` has filled it in, before the neighbour was in a table.
        !unsafe { (*private(self.as_raw())).ops }.is_null()
    }

    /// Marks the neighbour for [`Device::remove_neighbours`], or clears the mark.
    fn set_removed(&self, removed: bool) {
        if self.is_ours() {
            // SAFETY: As in `is_ours`; this area was filled in.
            unsafe { (*private(self.as_raw())).removed.write(removed) };
        }
    }

    fn update(&self, address: &[u8], nud: u32, flags: u32) {
        let n = self.as_raw();
        // SAFETY: By the type invariant both are valid. `addr_len` never changes.
        if address.len() != usize::from(unsafe { (*(*n).dev).addr_len }) {
            return;
        }
        self.set_removed(false);
        // SAFETY: By the type invariant there is a reference, and the address has `addr_len` bytes.
        unsafe { bindings::neigh_update(n, address.as_ptr(), nud as u8, flags, 0) };
    }

    /// Sets the link address in `NUD_REACHABLE` and sends the waiting packets. Has no effect on a
    /// state that the user has set.
    pub fn reachable(&self, address: &[u8], _: &LocalBhDisabled) {
        let flags = bindings::SPANS_NEIGH_UPDATE_F_OVERRIDE;
        self.update(address, bindings::NUD_REACHABLE, flags);
    }

    /// Sets the link address in `NUD_STALE`, which calls [`Operations::neigh_output`] for the next
    /// packet. Has no effect on a state that the user has set.
    pub fn stale(&self, address: &[u8], _: &LocalBhDisabled) {
        let flags = bindings::SPANS_NEIGH_UPDATE_F_OVERRIDE;
        self.update(address, bindings::NUD_STALE, flags);
    }

    /// Sets the link address in `NUD_PERMANENT`. Under RTNL, like changes by the user.
    pub fn permanent(&self, address: &[u8], _: &Rtnl) {
        let flags = bindings::SPANS_NEIGH_UPDATE_F_OVERRIDE | bindings::SPANS_NEIGH_UPDATE_F_ADMIN;
        self.update(address, bindings::NUD_PERMANENT, flags);
    }

    /// Sets `NUD_FAILED`: waiting packets are dropped, and their senders get an error. Has no
    /// effect on a state that the user has set.
    pub fn failed(&self, _: &LocalBhDisabled) {
        self.set_removed(false);
        // SAFETY: By the type invariant there is a reference.
        unsafe { fail(self.as_raw()) };
    }

    /// Sets `NUD_FAILED` and marks the neighbour for removal by [`Device::remove_neighbours`],
    /// unless it is used before. Has no effect on an entry that the user keeps: `extern_learn`,
    /// `managed`, `extern_valid`.
    pub fn remove(&self, _: &LocalBhDisabled) {
        // SAFETY: By the type invariant it is valid. READ_ONCE().
        let flags = unsafe { (&raw const (*self.as_raw()).flags).read_volatile() };
        if flags & bindings::SPANS_NTF_KEPT != 0 {
            return;
        }
        // SAFETY: By the type invariant there is a reference.
        unsafe { fail(self.as_raw()) };
        self.set_removed(true);
    }

    /// Sends a request like the kernel: by broadcast, if there is no link address.
    pub fn request(&self, bh: &LocalBhDisabled) {
        if self.is_ours() {
            // INVARIANT: It has `Table::OPS`, is not locked by this thread, and this reference
            // keeps it.
            Solicitation::<T> {
                neighbour: self.as_raw(),
                skb: core::ptr::null_mut(),
                _life: PhantomData,
            }
            .request(bh);
        }
    }

    /// Returns the milliseconds since a packet was last sent to the neighbour or TCP confirmed it,
    /// as far as the kernel records that: not while packets use a cached link header in
    /// `NUD_CONNECTED`, which lasts for at most `reachable_time` without a reply.
    pub fn unused_for(&self) -> u32 {
        // SAFETY: By the type invariant it is valid. READ_ONCE().
        let (used, confirmed) = unsafe {
            let n = self.as_raw();
            (
                (&raw const (*n).used).read_volatile(),
                (&raw const (*n).confirmed).read_volatile(),
            )
        };
        let now = jiffies();
        let ago = now.wrapping_sub(used).min(now.wrapping_sub(confirmed));
        jiffies_to_msecs(ago)
    }
}

impl<T: Operations> Drop for Neighbour<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant there is a reference, which is not used again.
        unsafe { bindings::rust_helper_neigh_release(self.as_raw()) };
    }
}
