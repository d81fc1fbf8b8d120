// SPDX-License-Identifier: GPL-2.0

//! SPANS ARP: connects the table, which decides, with the kernel's neighbours.
//!
//! Events enter the [`Table`]: solicitations of the stack, received packets, state changes of the
//! kernel's neighbours, and time. The table returns requests to be sent and updates for the
//! neighbours. Its lock is never held while a neighbour is looked up or changed. For updates to
//! arrive in order, only one context at a time applies them, those of other contexts included.
//!
//! Permanent neighbours are restored under RTNL, under which the user sets them: without it, a
//! restore could undo a later change by the user.

mod events;
mod ops;
mod pieces;

use self::pieces::Pieces;
use super::Spans;
use crate::{
    net::{
        clock::ktime_get,
        neighbour::{self, Parameters},
        random::get_random_bytes,
        relaxed_cell::RelaxedCell,
        rtnl::Rtnl,
        spinlock_bh::{local_bh_disable, LocalBhDisabled, SpinLockBh},
        timer::{self, Timer},
        trace, Device,
    },
    new_spinlock_bh,
};
use core::net::Ipv4Addr;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{AtomicFlag, Full, Release},
    },
    time::Msecs, //
};
use spans_logic::arp::{
    config::{Config, Param},
    event::{Due, RemoveReason, Requester, Update},
    removal,
    slots::Bucket,
    table::{self, EntryInfo, Stats},
};

type Table = table::Table<Pieces, KVVec<Bucket>>;

/// Table operations under one lock; a run of the timer performs up to `BATCHES` times as many.
const BATCH: usize = 32;
const BATCHES: usize = 16;

const MS: u64 = 1_000_000;

/// Number of entries checked for one to evict.
const CANDIDATES: usize = 16;

/// The longest timeout, in milliseconds.
const LONGEST: u64 = 60 * 60 * 1000;

/// Neighbours of all devices are being removed, on some CPU.
static REMOVING: AtomicFlag = AtomicFlag::new(false);

/// Time, in nanoseconds, of the next removal of neighbours of all devices.
static NEXT_REMOVAL: RelaxedCell<u64> = RelaxedCell::new(0);

/// The table gives up long before the kernel would, and verifies by unicast itself: all requests of
/// the kernel are broadcast.
const PARAMETERS: Parameters = Parameters {
    probes: 1 << 20,
    unicast_probes: 0,
    queue_len_bytes: 64 << 10,
};

/// The ARP table of a device; its timer drives aging.
#[pin_data]
pub(super) struct Arp {
    #[pin]
    shared: SpinLockBh<Shared>,
}

struct Shared {
    table: Table,
    config: Config,
    /// The device, while it is up.
    device: Option<ARef<Device<Spans>>>,
    /// A context is applying updates.
    syncing: bool,
    /// The carrier state of the last notification.
    carrier: bool,
    /// Expiry of the timer, in nanoseconds.
    armed: Option<u64>,
    /// Time of this device's next removal of neighbours, in nanoseconds.
    removal: Option<u64>,
}

fn random() -> u32 {
    u32::from_ne_bytes(get_random_bytes())
}

/// Allocates buckets and a store for `entries` entries.
fn room(entries: usize) -> Result<(Pieces, KVVec<Bucket>)> {
    let count = entries.saturating_add(table::SPARE_SLOTS);
    let mut buckets = KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
    for _ in 0..count {
        buckets.push(Bucket::default(), GFP_KERNEL_ACCOUNT)?;
    }
    Ok((Pieces::new(count)?, buckets))
}

impl Arp {
    /// Creates the table of a new device, with `gc_thresh3` as its limit.
    pub(super) fn new() -> Result<impl PinInit<Timer<Self>>> {
        let mut config = Config::default();
        let most = neighbour::gc_thresh3();
        let limits = Param::MaxEntries.range();
        config
            .set(
                Param::MaxEntries,
                most.max(*limits.start()).min(*limits.end()),
            )
            .map_err(|_| EINVAL)?;
        let settings = config.settings();
        let (slots, buckets) = room(settings.limit)?;
        let shared = Shared {
            table: Table::new(slots, buckets, random(), settings),
            config,
            device: None,
            syncing: false,
            carrier: false,
            armed: None,
            removal: None,
        };
        Ok(Timer::new(pin_init!(Self {
            shared <- new_spinlock_bh!(shared, c"spans_arp"),
        })))
    }

    /// Starts requests and learning, when the device goes up.
    pub(super) fn open(this: &Timer<Self>, device: &Device<Spans>, bh: &LocalBhDisabled) {
        let mut shared = this.shared.lock(bh);
        shared.device = Some(device.into());
        shared.table.up();
        // The user may have set neighbours while the device was down.
        Self::soon(this, &mut shared);
    }

    /// Stops the table when the device goes down. Permanent entries stay.
    pub(super) fn close(this: &Timer<Self>, rtnl: &Rtnl) {
        let device = {
            let bh = local_bh_disable();
            let mut shared = this.shared.lock(&bh);
            shared.table.down();
            shared.device.take()
        };
        drop(device);
        // Without a device the timer does nothing and is not rearmed.
        this.cancel(rtnl);
        this.flush(false);
        let bh = local_bh_disable();
        let mut shared = this.shared.lock(&bh);
        shared.armed = None;
        shared.removal = None;
    }

    /// Removes all entries, permanent ones only with `all`. The kernel removes its neighbours
    /// itself.
    fn flush(&self, all: bool) {
        self.in_batches(|table| table.flush_some(BATCH, all));
    }

    /// Records the carrier state. Returns whether the carrier has come on.
    fn update_carrier(&self, carrier: bool) -> bool {
        let bh = local_bh_disable();
        let mut shared = self.shared.lock(&bh);
        !core::mem::replace(&mut shared.carrier, carrier) && carrier
    }

    /// Handles a carrier that has come on: failed entries may be requested again, and incomplete
    /// ones are due when the timer runs, which [`sync`](Self::sync) rearms.
    fn carrier_on(&self) {
        self.shared
            .lock(&local_bh_disable())
            .table
            .carrier_on(ktime_get());
        self.in_batches(|table| table.retry_failed(BATCH));
    }

    /// Calls `step` until it returns `false`, at most as often as the capacity requires: entries
    /// may be added meanwhile.
    fn in_batches(&self, step: impl Fn(&mut Table) -> bool) {
        let batches = self.shared.lock(&local_bh_disable()).table.capacity() / BATCH;
        for _ in 0..=batches {
            let bh = local_bh_disable();
            let more = step(&mut self.shared.lock(&bh).table);
            if !more {
                return;
            }
        }
    }

    pub(super) fn get(&self, param: Param) -> u32 {
        self.shared.lock(&local_bh_disable()).config.get(param)
    }

    /// Sets a parameter, and grows the table for a higher limit. Process context.
    pub(super) fn set(this: &Timer<Self>, param: Param, value: u32, _: &Rtnl) -> Result {
        let (mut config, max_len) = {
            let bh = local_bh_disable();
            let shared = this.shared.lock(&bh);
            (shared.config.clone(), shared.table.max_len())
        };
        config.set(param, value).map_err(|_| EINVAL)?;
        let settings = config.settings();
        // RTNL is held: no other call sets a parameter meanwhile.
        let more = settings.limit.saturating_add(table::SPARE_SLOTS) > max_len;
        let room = if more {
            let (mut slots, buckets) = room(settings.limit)?;
            slots.fill()?;
            Some((slots, buckets))
        } else {
            None
        };

        let bh = local_bh_disable();
        let mut shared = this.shared.lock(&bh);
        let old = room.map(|(slots, buckets)| shared.table.grow(slots, buckets));
        shared.config = config;
        shared.table.set(settings);
        Self::rearm(this, &mut shared);
        drop(shared);
        drop(bh);
        // Freeing a large allocation may sleep.
        drop(old);
        Ok(())
    }

    /// Returns the number of entries, and the counters.
    pub(super) fn stats(&self) -> (usize, Stats) {
        let bh = local_bh_disable();
        let shared = self.shared.lock(&bh);
        (shared.table.len(), shared.table.stats())
    }

    /// Appends the entries of a range of slots to `entries`, which has the capacity. Returns
    /// whether there are more slots.
    pub(super) fn entries(
        &self,
        first: usize,
        slots: usize,
        entries: &mut KVec<EntryInfo>,
    ) -> bool {
        let bh = local_bh_disable();
        let shared = self.shared.lock(&bh);
        for entry in shared.table.entries(first, slots, ktime_get()) {
            // `entries` has the capacity.
            let _ = entries.push_within_capacity(entry);
        }
        first.saturating_add(slots) < shared.table.capacity()
    }

    /// Arms the timer for the next timeout, unless it is armed for an earlier time.
    fn rearm(this: &Timer<Self>, shared: &mut Shared) {
        if shared.device.is_none() {
            return;
        }
        let next = match (shared.table.next_timeout(), shared.removal) {
            (Some(timeout), Some(removal)) => timeout.min(removal),
            (Some(next), None) | (None, Some(next)) => next,
            (None, None) => return,
        };
        if shared.armed.is_some_and(|armed| armed <= next) {
            return;
        }
        shared.armed = Some(next);
        let wait = next.saturating_sub(ktime_get());
        // `LONGEST` is far below the range of jiffies; the timer is rearmed when it fires.
        this.mod_timer(wait.div_ceil(MS).min(LONGEST) as Msecs);
    }

    /// Applies pending updates to the kernel's neighbours, unless another context is doing so.
    fn sync(this: &Timer<Self>, device: &Device<Spans>, bh: &LocalBhDisabled) {
        if core::mem::replace(&mut this.shared.lock(bh).syncing, true) {
            return;
        }
        for _ in 0..BATCH * BATCHES {
            let (ip, update) = {
                let mut shared = this.shared.lock(bh);
                match shared.table.next_update() {
                    Some((ip, update)) => {
                        if matches!(update, Update::Removed(_)) {
                            let removal = ktime_get().saturating_add(removal::PAUSE);
                            shared.removal.get_or_insert(removal);
                        }
                        (ip, update)
                    }
                    None => {
                        shared.syncing = false;
                        Self::rearm(this, &mut shared);
                        return;
                    }
                }
            };
            match update {
                Update::Valid(address) => {
                    if let Some(neighbour) = device.neighbour(ip, bh) {
                        neighbour.reachable(device.data().medium().bytes(&address), bh);
                    }
                }
                Update::Learned(address) => {
                    if let Some(neighbour) = device.neighbour(ip, bh) {
                        neighbour.stale(device.data().medium().bytes(&address), bh);
                    }
                }
                Update::Failed => {
                    if let Some(neighbour) = device.neighbour(ip, bh) {
                        neighbour.failed(bh);
                    }
                }
                Update::Removed(end) => {
                    trace::spans_arp_remove(device, ip, reason_name(end));
                    if let Some(neighbour) = device.neighbour(ip, bh) {
                        neighbour.remove(bh);
                    }
                }
            }
        }
        let mut shared = this.shared.lock(bh);
        shared.table.pause_updates();
        shared.syncing = false;
        Self::soon(this, &mut shared);
    }

    /// Evicts an idle entry for a packet to `ip` if there is no other room. The neighbour code,
    /// which knows when packets were sent, is called without the table's lock.
    fn make_room(this: &Timer<Self>, device: &Device<Spans>, ip: Ipv4Addr, bh: &LocalBhDisabled) {
        let mut hosts = [None; CANDIDATES];
        {
            let shared = this.shared.lock(bh);
            if !shared.table.needs_eviction(ip) {
                return;
            }
            let used = shared.table.least_recently_used(CANDIDATES);
            for (to, from) in hosts.iter_mut().zip(used) {
                *to = Some(from);
            }
        }
        for host in hosts.into_iter().flatten() {
            let neighbour = device.neighbour(host, bh);
            let idle = neighbour.is_none_or(|it| it.unused_for() >= table::IDLE_MS);
            let mut shared = this.shared.lock(bh);
            if !idle {
                shared.table.in_use(host);
            } else if shared.table.evict(host) {
                // Locks of the neighbour code may be held: the timer applies the update.
                Self::soon(this, &mut shared);
                return;
            }
        }
    }

    /// Removes the marked neighbours of all devices, or postpones that by at least
    /// [`removal::PAUSE`]: before `NEXT_REMOVAL`, or while another CPU removes them.
    fn remove_neighbours(&self, bh: &LocalBhDisabled) {
        let claimed = !REMOVING.xchg(true, Full);
        let now = ktime_get();
        let next = NEXT_REMOVAL.read();
        if claimed && now >= next {
            let removed = Device::<Spans>::remove_neighbours(bh);
            let end = ktime_get();
            let pause = removal::pause(end.saturating_sub(now), removed);
            NEXT_REMOVAL.write(end.saturating_add(pause));
            if !removed {
                let next = end.saturating_add(pause);
                self.shared.lock(bh).removal.get_or_insert(next);
            }
        } else {
            let next = next.max(now.saturating_add(removal::PAUSE));
            self.shared.lock(bh).removal.get_or_insert(next);
        }
        if claimed {
            // Pairs with the exchange: the next CPU sees the new time.
            REMOVING.store(false, Release);
        }
    }

    /// Has the timer fire at once to continue the work.
    fn soon(this: &Timer<Self>, shared: &mut Shared) {
        if shared.device.is_some() {
            shared.armed = Some(0);
            this.mod_timer(0);
        }
    }
}

impl timer::Callback for Arp {
    fn expired(this: &Timer<Self>, bh: &LocalBhDisabled) -> Option<Msecs> {
        let (device, removal) = {
            let mut shared = this.shared.lock(bh);
            shared.armed = None;
            let now = ktime_get();
            let removal = shared.removal.take_if(|at| *at <= now).is_some();
            // Without a device: it is going down.
            let device = shared.device.clone()?;
            (device, removal)
        };
        let mut more = true;
        for _ in 0..BATCHES {
            if !more {
                break;
            }
            let mut dues = [const { None }; BATCH];
            {
                let mut shared = this.shared.lock(bh);
                let mut room = dues.iter_mut();
                more = shared.table.tick(ktime_get(), BATCH, random, |due| {
                    if let Some(room) = room.next() {
                        *room = Some(due);
                    }
                });
            }
            for due in dues.into_iter().flatten() {
                match due {
                    Due::Request(ip) => {
                        if let Some(neighbour) = device.neighbour(ip, bh) {
                            neighbour.request(bh);
                        }
                    }
                    Due::Verify(ip, address) => {
                        let address = device.data().medium().bytes(&address);
                        device.arp_request(ip, Some(address), bh);
                    }
                }
            }
        }
        Self::sync(this, &device, bh);
        if removal {
            this.remove_neighbours(bh);
        }
        let mut shared = this.shared.lock(bh);
        if more {
            Self::soon(this, &mut shared);
        } else {
            Self::rearm(this, &mut shared);
        }
        None
    }
}

/// Returns the removal reason for the tracepoint.
fn reason_name(end: RemoveReason) -> &'static CStr {
    match end {
        RemoveReason::Expired => c"expired",
        RemoveReason::RetryAllowed => c"retry allowed",
        RemoveReason::Evicted(Requester::Unsolicited) => c"evicted for an unsolicited sender",
        RemoveReason::Evicted(Requester::Packet) => c"evicted for a packet",
        RemoveReason::Evicted(Requester::User) => c"evicted for the user",
    }
}
