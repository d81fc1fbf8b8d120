// SPDX-License-Identifier: GPL-2.0

//! IPv4 neighbours: hosts on the same link, in the kernel's ARP table.
//!
//! C header: [`include/net/neighbour.h`](srctree/include/net/neighbour.h)
//!
//! The kernel has one table of them for all devices. A driver can take over how those
//! of its devices are resolved, and be told how they are doing. What is never done
//! here is to keep a neighbour: a reference would keep the device from going.
//!
//! # Locks
//!
//! `arp_tbl.lock` is taken before a driver's own locks: [`Operations::neigh_update`]
//! may be called with it. The lock of a neighbour is taken after them: nothing of the
//! driver is called with that. So a driver's lock may be held for [`Event::state`], and
//! must not be for any function of [`Neighbour`], nor when one is dropped. Whoever may have
//! `arp_tbl.lock` waits for ever in [`Device::neighbour`], [`Device::make_neighbour`] and
//! [`Device::remove_neighbours`].

mod event;

use super::{
    bindings,
    clock::{jiffies, jiffies_to_msecs},
    device::{self, Device},
    inet::{from_be32, to_be32},
    rtnl::Rtnl,
    spinlock_bh::{local_bh_disable, LocalBhDisabled},
    word::RelaxedCell,
};
use core::{marker::PhantomData, net::Ipv4Addr, ptr::NonNull};
use kernel::{
    error::{from_err_ptr, from_result},
    prelude::*,
};

pub use event::{Event, State};

/// What a driver does for the neighbours of its devices: `struct neigh_ops`, and what
/// `struct net_device_ops` has for them.
#[vtable]
pub trait Operations: device::Operations {
    /// `ndo_neigh_construct`: may there be a neighbour with this address? Any context but
    /// hard interrupts. If this fails, whoever wanted it gets the error.
    fn neigh_construct(dev: &Device<Self>, ip: Ipv4Addr) -> Result;

    /// `neigh_ops::solicit`: its link address is needed, or should be confirmed.
    fn solicit(dev: &Device<Self>, solicitation: &Solicitation<'_, Self>, bh: &LocalBhDisabled);

    /// The first packet goes to a neighbour in `NUD_STALE`: the kernel has its link
    /// address, and has not asked for it.
    fn neigh_output(dev: &Device<Self>, ip: Ipv4Addr, bh: &LocalBhDisabled);

    /// `NETEVENT_NEIGH_UPDATE`. `arp_tbl.lock` may be held.
    fn neigh_update(dev: &Device<Self>, event: &Event<'_>, bh: &LocalBhDisabled);
}

/// `struct neigh_parms` of a device, which the user can change with `ip ntable`.
pub struct Parameters {
    /// How often the kernel solicits a neighbour before it gives up: without a link
    /// address, and again after it had one.
    pub probes: u32,
    /// How many of these go to the link address that a neighbour had, before everybody is
    /// asked: `ucast_solicit`.
    pub unicast_probes: u32,
    /// How many bytes of packets wait for one link address, with all that belongs to
    /// them.
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
    // SAFETY: The key of these is an IPv4 address, which never changes.
    from_be32(unsafe {
        (&raw const (*neighbour).primary_key)
            .cast::<bindings::__be32>()
            .read_unaligned()
    })
}

/// A question for a link address.
///
/// # Invariants
///
/// The neighbour is valid for `'a`, belongs to a device of `T` and has [`Table::OPS`];
/// its lock is not held. `skb` is valid or null.
pub struct Solicitation<'a, T: Operations> {
    neighbour: *mut bindings::neighbour,
    skb: *mut bindings::sk_buff,
    _life: PhantomData<&'a Device<T>>,
}

impl<T: Operations> Solicitation<'_, T> {
    /// The IPv4 address.
    pub fn ip(&self) -> Ipv4Addr {
        // SAFETY: By the type invariant.
        unsafe { ip(self.neighbour) }
    }

    /// Asks as the kernel would, in the name of whoever sends the packet that waits.
    pub fn request(&self, _: &LocalBhDisabled) {
        // SAFETY: By the type invariant the private area was filled in.
        let ops = unsafe { (*private(self.neighbour)).ops };
        // SAFETY: These are the kernel's own operations for it.
        if let Some(solicit) = unsafe { (*ops).solicit } {
            // SAFETY: Called as the kernel calls us.
            unsafe { solicit(self.neighbour, self.skb) };
        }
    }

    /// Nobody is asked: packets that wait are dropped, and whoever sent them is told. The
    /// driver is not told of it.
    pub fn fail(&self, _: &LocalBhDisabled) {
        // SAFETY: By the type invariant the private area was filled in. Who calls us is its timer,
        // which has a reference, or in an RCU read-side section, behind which neighbours are freed.
        unsafe {
            (*private(self.neighbour)).silent.write(true);
            fail(self.neighbour);
            (*private(self.neighbour)).silent.write(false);
        }
    }
}

/// # Safety
///
/// The caller must have a reference or be in an RCU read-side section, and not have its lock.
unsafe fn fail(neighbour: *mut bindings::neighbour) {
    // SAFETY: The caller promises it. It has no effect on what the user has set, nor on one that
    // is dead. READ_ONCE().
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

/// Its address tells that an area behind a neighbour is one of ours. (That of a table of
/// operations does not: there may be several copies of a constant.)
static MARK: u8 = 0;

/// What a neighbour of ours has behind it.
#[repr(C)]
struct Private {
    /// Where [`MARK`] is.
    mark: *const u8,
    /// What the kernel would have used.
    ops: *const bindings::neigh_ops,
    /// To be removed from the kernel's table.
    removed: RelaxedCell<bool>,
    /// The driver knows how it is.
    silent: RelaxedCell<bool>,
    /// The driver knows that it is dead.
    dead: RelaxedCell<bool>,
}

/// How much room neighbours of ours need behind them.
pub(super) const PRIVATE_LEN: u16 = size_of::<Private>() as u16;

/// # Safety
///
/// `neighbour` must be one of a device with `neigh_priv_len` of [`PRIVATE_LEN`].
unsafe fn private(neighbour: *const bindings::neighbour) -> *mut Private {
    // SAFETY: The caller promises it. The area is aligned to 8 bytes.
    unsafe { bindings::rust_helper_neighbour_priv(neighbour).cast() }
}

/// How many neighbours the kernel has at most, of all devices together: `gc_thresh3`, which the
/// machine's user may change.
pub fn gc_thresh3() -> u32 {
    // SAFETY: The table is valid. READ_ONCE().
    let most = unsafe { (&raw const bindings::arp_tbl.gc_thresh3).read_volatile() };
    most.unsigned_abs()
}

/// The functions that the core calls.
pub(super) struct Table<T: Operations>(PhantomData<T>);

impl<T: Operations> Table<T> {
    const OPS: bindings::neigh_ops = {
        let mut ops: bindings::neigh_ops = pin_init::zeroed();
        ops.family = bindings::AF_INET as c_int;
        ops.solicit = Some(Self::solicit_callback);
        ops.error_report = Some(Self::error_report_callback);
        ops.output = Some(Self::output_callback);
        // Notes when the neighbour was used last; neigh_connected_output() does not.
        ops.connected_output = Some(bindings::neigh_resolve_output);
        ops
    };

    const fn ops() -> &'static bindings::neigh_ops {
        &Self::OPS
    }

    /// # Safety
    ///
    /// Called by the core for a new neighbour of `dev` that nobody else knows.
    pub(super) unsafe extern "C" fn construct_callback(
        dev: *mut bindings::net_device,
        n: *mut bindings::neighbour,
    ) -> c_int {
        // SAFETY: The core gives us `n`.
        let (table, kind, nud) =
            unsafe { ((*n).tbl, u32::from((*n).type_), u32::from((*n).nud_state)) };
        // Not IPv6, broadcast and multicast, and not our own address.
        if table != &raw mut bindings::arp_tbl || kind != bindings::RTN_UNICAST || nud & VALID != 0
        {
            return 0;
        }
        // SAFETY: The device is registered, so it has its data, until after this call.
        let device = unsafe { Device::<T>::from_raw(dev) };
        from_result(|| {
            // SAFETY: It is one of `arp_tbl`.
            T::neigh_construct(device, unsafe { ip(n) })?;
            // SAFETY: The device has told the core how much room we need.
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
    /// Called by the core for a neighbour with our operations, with bottom halves off
    /// and without its lock.
    unsafe extern "C" fn solicit_callback(
        neighbour: *mut bindings::neighbour,
        skb: *mut bindings::sk_buff,
    ) {
        // SAFETY: Its device was set up for `T`, and goes after an RCU grace period, as the
        // neighbour does.
        let device = unsafe { Device::<T>::from_raw((*neighbour).dev) };
        // SAFETY: The core has them off, in the timer and in `__neigh_event_send()`.
        let bh = unsafe { LocalBhDisabled::assume() };
        // INVARIANT: The core calls the operations that the neighbour has.
        let solicitation = Solicitation {
            neighbour,
            skb,
            _life: PhantomData,
        };
        T::solicit(device, &solicitation, &bh);
    }

    /// # Safety
    ///
    /// Called by the core for a neighbour with our operations. It gives away `skb`.
    unsafe extern "C" fn error_report_callback(
        neighbour: *mut bindings::neighbour,
        skb: *mut bindings::sk_buff,
    ) {
        // SAFETY: A neighbour with our operations has a private area, and in it those of the
        // kernel, of which each has this function.
        unsafe {
            let ops = (*private(neighbour)).ops;
            if let Some(error_report) = (*ops).error_report {
                error_report(neighbour, skb);
            }
        }
    }

    /// # Safety
    ///
    /// Called by the core for a neighbour with our operations, in an RCU read-side section.
    /// It gives away `skb`.
    unsafe extern "C" fn output_callback(
        neighbour: *mut bindings::neighbour,
        skb: *mut bindings::sk_buff,
    ) -> c_int {
        // SAFETY: The neighbour is valid. READ_ONCE().
        let nud = unsafe { (&raw const (*neighbour).nud_state).read_volatile() };
        if u32::from(nud) == bindings::NUD_STALE {
            // SAFETY: Its device was set up for `T`, and goes after an RCU grace period, as the
            // neighbour does, which is one of `arp_tbl`.
            let (device, ip) = unsafe { (Device::<T>::from_raw((*neighbour).dev), ip(neighbour)) };
            // A process that sends has them on here.
            T::neigh_output(device, ip, &local_bh_disable());
        }
        // SAFETY: What the kernel's own operations do.
        unsafe { bindings::neigh_resolve_output(neighbour, skb) }
    }

    /// # Safety
    ///
    /// Called by the core with `arp_tbl.lock` and the neighbour's.
    unsafe extern "C" fn release_callback(neighbour: *mut bindings::neighbour) -> c_int {
        // SAFETY: The neighbour is valid, and locked.
        unsafe {
            // Neighbours of any device come here. An area of this length is zero, or its driver's,
            // for which nothing of ours has an address.
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
            // Who has a reference may be about to use it.
            let references = &raw const (*neighbour).refcnt.refs.counter;
            (references.read_volatile() == 1).into()
        }
    }
}

/// A neighbour of a device of `T`, with a reference to it. To be dropped soon.
///
/// # Invariants
///
/// The pointer is valid, one of `arp_tbl` and of a device of `T`, which has room for
/// [`Private`]. The value owns a reference.
pub struct Neighbour<T: Operations> {
    neighbour: NonNull<bindings::neighbour>,
    _driver: PhantomData<T>,
}

impl<T: Operations> Device<T> {
    /// The neighbour with this address, if there is one.
    pub fn neighbour(&self, ip: Ipv4Addr, _: &LocalBhDisabled) -> Option<Neighbour<T>> {
        let key = to_be32(ip);
        // SAFETY: The device is valid, and the key is one of this table.
        let found = unsafe {
            bindings::neigh_lookup(
                &raw mut bindings::arp_tbl,
                (&raw const key).cast(),
                self.as_raw(),
            )
        };
        // INVARIANT: It comes with a reference, and is one of this device.
        Some(Neighbour {
            neighbour: NonNull::new(found)?,
            _driver: PhantomData,
        })
    }

    /// The neighbour with this address, which is made if there is none.
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
        // INVARIANT: It comes with a reference, and is one of this device.
        Ok(Neighbour {
            neighbour: NonNull::new(made).ok_or(ENOMEM)?,
            _driver: PhantomData,
        })
    }

    /// Removes those from the kernel's table that are to be [removed](Neighbour::remove),
    /// of all devices of `T`. Takes time for each neighbour of any device. Not to be called
    /// from [`Operations::neigh_update`].
    pub fn remove_neighbours(_: &LocalBhDisabled) {
        // SAFETY: The lock is initialised. A thread that holds it waits for ever.
        unsafe {
            let lock = &raw mut bindings::arp_tbl.lock;
            bindings::rust_helper_spin_lock(lock);
            bindings::__neigh_for_each_release(
                &raw mut bindings::arp_tbl,
                Some(Table::<T>::release_callback),
            );
            bindings::rust_helper_spin_unlock(lock);
        }
    }
}

impl<T: Operations> Neighbour<T> {
    fn as_raw(&self) -> *mut bindings::neighbour {
        self.neighbour.as_ptr()
    }

    /// Whether it is the driver's business.
    fn is_ours(&self) -> bool {
        // SAFETY: By the type invariant it has a private area, which is zero if it is not ours, and
        // filled in before it is known to others if it is.
        !unsafe { (*private(self.as_raw())).ops }.is_null()
    }

    /// Marks it as to be removed, or not.
    fn set_removed(&self, removed: bool) {
        if self.is_ours() {
            // SAFETY: One with our operations has our private area.
            unsafe { (*private(self.as_raw())).removed.write(removed) };
        }
    }

    fn update(&self, address: &[u8], nud: u32, flags: u32) {
        let n = self.as_raw();
        // SAFETY: By the type invariant; the device's address length never changes.
        if address.len() != usize::from(unsafe { (*(*n).dev).addr_len }) {
            return;
        }
        self.set_removed(false);
        // SAFETY: By the type invariant there is a reference, and the address is long enough.
        unsafe { bindings::neigh_update(n, address.as_ptr(), nud as u8, flags, 0) };
    }

    /// It has this link address: packets that wait are sent. What the user has set is
    /// left alone.
    pub fn reachable(&self, address: &[u8], _: &LocalBhDisabled) {
        let flags = bindings::SPANS_NEIGH_UPDATE_F_OVERRIDE;
        self.update(address, bindings::NUD_REACHABLE, flags);
    }

    /// It has this link address, and the driver is to know when the first packet is sent there.
    /// What the user has set is left alone.
    pub fn stale(&self, address: &[u8], _: &LocalBhDisabled) {
        let flags = bindings::SPANS_NEIGH_UPDATE_F_OVERRIDE;
        self.update(address, bindings::NUD_STALE, flags);
    }

    /// It has this link address for good. As all that the user may do to neighbours, with
    /// RTNL.
    pub fn permanent(&self, address: &[u8], _: &Rtnl) {
        let flags = bindings::SPANS_NEIGH_UPDATE_F_OVERRIDE | bindings::SPANS_NEIGH_UPDATE_F_ADMIN;
        self.update(address, bindings::NUD_PERMANENT, flags);
    }

    /// It does not answer: packets that wait are dropped, and who sent them is told.
    /// What the user has set is left alone.
    pub fn failed(&self, _: &LocalBhDisabled) {
        self.set_removed(false);
        // SAFETY: By the type invariant there is a reference.
        unsafe { fail(self.as_raw()) };
    }

    /// Nothing is known of it any more. It is removed from the kernel's table by
    /// [`Device::remove_neighbours`], unless it is needed again before. One that the user
    /// wants to be there stays as it is: `extern_learn`, `managed`, `extern_valid`.
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

    /// Asks for its link address, as the kernel would: everybody, if it has none.
    pub fn request(&self, bh: &LocalBhDisabled) {
        if self.is_ours() {
            // INVARIANT: It has our operations, and this reference keeps it.
            Solicitation::<T> {
                neighbour: self.as_raw(),
                skb: core::ptr::null_mut(),
                _life: PhantomData,
            }
            .request(bh);
        }
    }

    /// How many milliseconds ago a packet was sent to it last, or TCP confirmed that it is there,
    /// as far as the kernel notes it: not while it has a link header of the neighbour and does
    /// not doubt that, which is for `reachable_time` at most without an answer.
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
