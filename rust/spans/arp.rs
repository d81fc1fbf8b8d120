// SPDX-License-Identifier: GPL-2.0

//! SPANS ARP, between the table that decides and the kernel's neighbours.
//!
//! Events go into the [`Table`]: what the stack asks for, what comes in, what the
//! kernel says of its neighbours, and time. What the table wants to be done comes out:
//! requests to be sent, and news for the kernel. The table's lock is never held when
//! something is asked of the kernel's neighbours. So that news arrive in order, only
//! one thread at a time tells them; what others have to tell waits for it.
//!
//! What the user has set is told with RTNL, as the user sets it: a thread without might
//! undo what the user wants next.

mod events;
mod pieces;

use self::pieces::Pieces;
use super::{
    show::{Ip, Link},
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
    sync::aref::ARef,
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

/// What is done with the table at one time, and told in one go.
const BATCH: usize = 32;
const BATCHES: usize = 16;

const MS: u64 = 1_000_000;

/// So many hosts are looked at until one is found that was not used of late.
const CANDIDATES: usize = 16;

/// The timer never waits longer, in milliseconds.
const LONGEST: u64 = 60 * 60 * 1000;

/// When neighbours may be removed from the kernel's table again, of all devices.
static NEXT_REMOVAL: RelaxedCell<u64> = RelaxedCell::new(0);

/// The table decides when to give up, long before the kernel would, and verifies by unicast
/// itself: when the kernel asks, it asks everybody.
const PARAMETERS: Parameters = Parameters {
    probes: 1 << 20,
    unicast_probes: 0,
    queue_len_bytes: 64 << 10,
};

/// The table of a device, and the timer with which it grows old.
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
    /// Somebody is telling the kernel.
    syncing: bool,
    /// Whether there was a carrier when the kernel said so last.
    carrier: bool,
    /// When the timer fires.
    armed: Option<u64>,
    /// When neighbours that are to be removed are.
    removal: Option<u64>,
}

fn random() -> u32 {
    u32::from_ne_bytes(get_random_bytes())
}

/// Buckets for so many entries, and a store with room for them.
fn room(entries: usize) -> Result<(Pieces, KVVec<Bucket>)> {
    let count = entries.saturating_add(table::SPARE_SLOTS);
    let mut buckets = KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
    for _ in 0..count {
        buckets.push(Bucket::default(), GFP_KERNEL_ACCOUNT)?;
    }
    Ok((Pieces::new(count)?, buckets))
}

impl Arp {
    /// The table of a device that is being made.
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

    /// The device goes up.
    pub(super) fn open(this: &Timer<Self>, device: &Device<Spans>, bh: &LocalBhDisabled) {
        let mut shared = this.shared.lock(bh);
        shared.device = Some(device.into());
        shared.table.up();
        // The user may have set neighbours while it was down.
        Self::soon(this, &mut shared);
    }

    /// The device goes down. What the user has set stays.
    pub(super) fn close(this: &Timer<Self>, rtnl: &Rtnl) {
        let device = {
            let bh = local_bh_disable();
            let mut shared = this.shared.lock(&bh);
            shared.table.down();
            shared.device.take()
        };
        drop(device);
        // Does nothing without a device, and does not come again.
        this.cancel(rtnl);
        this.flush(false);
        let bh = local_bh_disable();
        let mut shared = this.shared.lock(&bh);
        shared.armed = None;
        shared.removal = None;
    }

    /// Forgets all but what the user has set, or that, too. The kernel does so by
    /// itself.
    fn flush(&self, all: bool) {
        self.in_batches(|table| table.flush_some(BATCH, all));
    }

    /// Notes whether there is a carrier. Answers whether the line was mended just now.
    fn update_carrier(&self, carrier: bool) -> bool {
        let bh = local_bh_disable();
        let mut shared = self.shared.lock(&bh);
        !core::mem::replace(&mut shared.carrier, carrier) && carrier
    }

    /// The line is mended: those that did not answer may be asked again, and those that are
    /// being asked are asked again when the timer runs, which [`tell`](Self::sync) has run.
    fn carrier_on(&self) {
        self.shared
            .lock(&local_bh_disable())
            .table
            .carrier_on(ktime_get());
        self.in_batches(|table| table.retry_failed(BATCH));
    }

    /// Does something with entries until there are no more, but not longer than for all that
    /// there can be: others may come meanwhile.
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

    /// What the user has set.
    pub(super) fn get(&self, param: Param) -> u32 {
        self.shared.lock(&local_bh_disable()).config.get(param)
    }

    /// Sets something.
    pub(super) fn set(this: &Timer<Self>, param: Param, value: u32, _: &Rtnl) -> Result {
        let (mut config, max_len) = {
            let bh = local_bh_disable();
            let shared = this.shared.lock(&bh);
            (shared.config.clone(), shared.table.max_len())
        };
        config.set(param, value).map_err(|_| EINVAL)?;
        let settings = config.settings();
        // Others set nothing meanwhile, as RTNL is held.
        let more = settings.limit.saturating_add(table::SPARE_SLOTS) > max_len;
        let room = if more {
            Some(room(settings.limit)?)
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
        // Memory of this size may have to sleep when it is freed.
        drop(old);
        Ok(())
    }

    /// How many entries there are, and what has happened.
    pub(super) fn stats(&self) -> (usize, Stats) {
        let bh = local_bh_disable();
        let shared = self.shared.lock(&bh);
        (shared.table.len(), shared.table.stats())
    }

    /// Shows the entries of some slots. Answers whether there are more slots.
    pub(super) fn entries(
        &self,
        first: usize,
        slots: usize,
        entries: &mut KVec<EntryInfo>,
    ) -> bool {
        let bh = local_bh_disable();
        let shared = self.shared.lock(&bh);
        for entry in shared.table.entries(first, slots, ktime_get()) {
            // There is room for all of them.
            let _ = entries.push_within_capacity(entry);
        }
        first.saturating_add(slots) < shared.table.capacity()
    }

    /// Has the timer fire when the table next wants it to.
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
        // Looked at now and then in between, far below what fits into jiffies.
        this.mod_timer(wait.div_ceil(MS).min(LONGEST) as Msecs);
    }

    /// The kernel's ARP is about to look at a packet.
    fn process(this: &Timer<Self>, device: &Device<Spans>, packet: &Packet, bh: &LocalBhDisabled) {
        // What the stack drops unseen teaches nothing.
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
                // One of another device of this host is nobody's business here.
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
                        "duplicate address {}: {} has it, too",
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

    /// Tells the kernel what is new, unless somebody is about it.
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

    /// Has a host that was not used of late make room for a packet to `ip`, if there is no other
    /// room. The kernel knows when packets were sent, so it is asked without the table's lock.
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
                // The neighbour's locks may be held: not now.
                Self::soon(this, &mut shared);
                return;
            }
        }
    }

    /// Removes neighbours from the kernel's table, unless that was just done.
    fn remove_neighbours(&self, bh: &LocalBhDisabled) {
        let now = ktime_get();
        let next = NEXT_REMOVAL.read();
        if now < next {
            self.shared.lock(bh).removal.get_or_insert(next);
        } else {
            // Others are not to begin meanwhile.
            NEXT_REMOVAL.write(now.saturating_add(removal::PAUSE));
            Device::<Spans>::remove_neighbours(bh);
            let end = ktime_get();
            let pause = removal::pause(end.saturating_sub(now));
            NEXT_REMOVAL.write(end.saturating_add(pause));
        }
    }

    /// Has the timer go on with what is left.
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
            // Without, it is going down.
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
        // What is not to be believed was dropped when it was received, unless the device belongs
        // to another one, which might want it.
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
        let resolution = arp.shared.lock(bh).table.resolve(ip, ktime_get(), random());
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
        // Somebody may have had to make room.
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
            // Of everybody: the address that the kernel has may be another host's.
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
        // With the lock: what is put into the table last is how the neighbour is.
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
        // Whoever tells goes on with what is new, and sets the timer in the end.
        if shared.syncing {
            return;
        }
        // The kernel's locks may be held: not now.
        if shared.table.has_updates() {
            Arp::soon(arp, &mut shared);
        } else {
            Arp::rearm(arp, &mut shared);
        }
    }
}

/// Why an entry is gone, for those who trace.
fn reason_name(end: RemoveReason) -> &'static CStr {
    match end {
        RemoveReason::Expired => c"expired",
        RemoveReason::RetryAllowed => c"retry allowed",
        RemoveReason::Evicted(Requester::Unsolicited) => c"evicted for an unsolicited sender",
        RemoveReason::Evicted(Requester::Packet) => c"evicted for a packet",
        RemoveReason::Evicted(Requester::User) => c"evicted for the user",
    }
}
