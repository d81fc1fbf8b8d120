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
mod pieces;

use self::pieces::Pieces;
use super::{
    fmt::{Ip, Link},
    segment::Member,
    Spans,
};
use crate::{
    net::{
        clock::ktime_get,
        inet::AddressType,
        log,
        neighbour::{self, Event, Parameters, Solicitation, State},
        netfilter::{self, ArpPacket},
        random::get_random_bytes,
        rtnl::Rtnl,
        spinlock_bh::{local_bh_disable, LocalBhDisabled, SpinLockBh},
        timer::{self, Timer},
        trace,
        word::RelaxedCell,
        Device,
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
use spans_logic::{
    address::Address,
    arp::{
        config::{Config, Param},
        event::{
            AddressInfo, Due, Neighbour, RemoveReason, Requester, Resolution, RxOutcome,
            SenderType, Update,
        },
        packet::{self, Packet},
        removal,
        slots::Bucket,
        table::{self, EntryInfo, Stats},
    },
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

    /// Processes a packet just before `arp_process()` does.
    fn process(this: &Timer<Self>, device: &Device<Spans>, packet: &Packet, bh: &LocalBhDisabled) {
        // The stack drops it, so the table does not learn from it.
        if packet.is_gratuitous() && device.drops_gratuitous_arp(bh) {
            return;
        }
        let port = device.data();
        let medium = port.medium();
        let sender = packet.sender.ip;
        let info = AddressInfo {
            sender: match device.inet_addr_type(sender, bh) {
                AddressType::Unicast => SenderType::Host,
                AddressType::Local if device.has_address(sender, bh) => SenderType::Own,
                // An address of another device of this host.
                AddressType::Local | AddressType::Other => SenderType::Invalid,
            },
            // The stack drops packets to the loopback network.
            for_us: !packet.target.ip.is_loopback()
                && device.inet_addr_type(packet.target.ip, bh) == AddressType::Local,
        };
        let outcome = this
            .shared
            .lock(bh)
            .table
            .process(packet, info, ktime_get());
        match outcome {
            RxOutcome::Duplicate { asked } => {
                log::warn_ratelimited(
                    device,
                    log::Class::Drv,
                    fmt!(
                        "duplicate address {}: {} also uses it",
                        Ip(sender),
                        Link(medium, packet.sender.hardware)
                    ),
                );
                if asked {
                    let to = packet.sender.hardware;
                    device.arp_reply(sender, medium.bytes(&to), sender, bh);
                }
            }
            RxOutcome::Changed { from } => {
                log::info_ratelimited(
                    device,
                    log::Class::Drv,
                    fmt!(
                        "{} moved from {} to {}",
                        Ip(sender),
                        Link(medium, from),
                        Link(medium, packet.sender.hardware)
                    ),
                );
                Self::sync(this, device, bh);
            }
            RxOutcome::New | RxOutcome::Resolved | RxOutcome::NoRoom => {
                Self::sync(this, device, bh)
            }
            RxOutcome::Ignored | RxOutcome::Confirmed | RxOutcome::Permanent => (),
        }
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

#[vtable]
impl netfilter::ArpIn for Spans {
    fn arp_in(dev: &Device<Self>, packet: &ArpPacket<'_>, bh: &LocalBhDisabled) {
        let port = dev.data();
        let medium = port.medium();
        let source = medium.source(packet.link_header());
        // Receive has dropped invalid packets already, unless the device has an upper device that
        // may want them.
        if let Ok(packet) = packet::validate(medium, packet.bytes(), source, port.address()) {
            Arp::process(port.arp(), dev, &packet, bh);
        }
    }
}

#[vtable]
impl neighbour::Operations for Spans {
    fn neigh_construct(dev: &Device<Self>, ip: Ipv4Addr) -> Result {
        let port = dev.data();
        let bh = local_bh_disable();
        Arp::make_room(port.arp(), dev, ip, &bh);
        let admitted = port.arp().shared.lock(&bh).table.admits(ip);
        if admitted {
            Ok(())
        } else {
            Err(crate::net::error::enobufs())
        }
    }

    fn solicit(dev: &Device<Self>, solicitation: &Solicitation<'_, Self>, bh: &LocalBhDisabled) {
        let port = dev.data();
        let arp = port.arp();
        let ip = solicitation.ip();
        Arp::make_room(arp, dev, ip, bh);
        let resolution = {
            let mut shared = arp.shared.lock(bh);
            // Under the lock, which `neigh_update` takes after each change to permanent: either this
            // sees the change, or `neigh_update` comes later and corrects the table.
            if solicitation.is_obsolete() {
                return;
            }
            shared.table.resolve(ip, ktime_get(), random())
        };
        match resolution {
            Resolution::Request => solicitation.request(bh),
            Resolution::NoRoom => solicitation.fail(bh),
            Resolution::Wait => return,
            Resolution::Verify(address) => {
                let address = port.medium().bytes(&address);
                dev.arp_request(ip, Some(address), bh);
            }
            Resolution::Known | Resolution::HeldDown => (),
        }
        // Another entry may have been evicted.
        Arp::sync(arp, dev, bh);
    }

    fn neigh_output(dev: &Device<Self>, ip: Ipv4Addr, bh: &LocalBhDisabled) {
        let port = dev.data();
        let arp = port.arp();
        let mut shared = arp.shared.lock(bh);
        let due = shared.table.used(ip, ktime_get(), random());
        if due.is_some() {
            Arp::rearm(arp, &mut shared);
        }
        drop(shared);
        match due {
            // By broadcast: the kernel's address may be another host's by now.
            Some(Due::Request(ip)) => dev.arp_request(ip, None, bh),
            Some(Due::Verify(ip, address)) => {
                dev.arp_request(ip, Some(port.medium().bytes(&address)), bh);
            }
            None => (),
        }
    }

    fn neigh_update(dev: &Device<Self>, event: &Event<'_>, bh: &LocalBhDisabled) {
        let port = dev.data();
        let arp = port.arp();
        let mut shared = arp.shared.lock(bh);
        // Read under the lock: the last state that the table gets is the current one.
        let Some(state) = event.state(bh) else {
            return;
        };
        let neighbour = match state {
            State::Permanent(address) => Neighbour::Permanent(Address::new(address)),
            State::Reachable(address) => Neighbour::Reachable(Address::new(address)),
            State::Stale(address) => Neighbour::Stale(Address::new(address)),
            State::Probing(address) => Neighbour::Probing(Address::new(address)),
            State::Failed => Neighbour::Failed,
            State::Unresolved => Neighbour::Unresolved,
            State::Dead => Neighbour::Dead,
        };
        shared.table.neighbour(event.ip(), neighbour, ktime_get());
        // The syncing context applies new updates and rearms the timer at the end.
        if shared.syncing {
            return;
        }
        // Locks of the neighbour code may be held: the timer applies the updates.
        if shared.table.has_updates() {
            Arp::soon(arp, &mut shared);
        } else {
            Arp::rearm(arp, &mut shared);
        }
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
