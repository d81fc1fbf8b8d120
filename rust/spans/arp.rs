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
        word::Word,
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
        config::{Config, Knob},
        event::{Due, End, Ends, Heard, Neighbour, News, Resolution, Sender, Wish},
        packet::{self, Packet},
        removal,
        slots::Bucket,
        table::{self, Totals, View},
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
static NEXT_REMOVAL: Word<u64> = Word::new(0);

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
    telling: bool,
    /// Whether there was a carrier when the kernel said so last.
    carrier: bool,
    /// When the timer fires.
    armed: Option<u64>,
    /// When neighbours that are to be removed are.
    removal: Option<u64>,
}

fn dice() -> u32 {
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
        let limits = Knob::Limit.range();
        config
            .set(Knob::Limit, most.max(*limits.start()).min(*limits.end()))
            .map_err(|_| EINVAL)?;
        let settings = config.settings();
        let (slots, buckets) = room(settings.limit)?;
        let shared = Shared {
            table: Table::new(slots, buckets, dice(), settings),
            config,
            device: None,
            telling: false,
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
        this.forget(false);
        let bh = local_bh_disable();
        let mut shared = this.shared.lock(&bh);
        shared.armed = None;
        shared.removal = None;
    }

    /// Forgets all but what the user has set, or that, too. The kernel does so by
    /// itself.
    fn forget(&self, all: bool) {
        self.in_batches(|table| table.drop_some(BATCH, all));
    }

    /// Notes whether there is a carrier. Answers whether the line was mended just now.
    fn is_mended(&self, carrier: bool) -> bool {
        let bh = local_bh_disable();
        let mut shared = self.shared.lock(&bh);
        !core::mem::replace(&mut shared.carrier, carrier) && carrier
    }

    /// The line is mended: those that did not answer may be asked again, and those that are
    /// being asked are asked again when the timer runs, which [`tell`](Self::tell) has run.
    fn mend(&self) {
        self.shared
            .lock(&local_bh_disable())
            .table
            .mend(ktime_get());
        self.in_batches(|table| table.forgive(BATCH));
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
    pub(super) fn get(&self, knob: Knob) -> u32 {
        self.shared.lock(&local_bh_disable()).config.get(knob)
    }

    /// Sets something.
    pub(super) fn set(this: &Timer<Self>, knob: Knob, value: u32, _: &Rtnl) -> Result {
        let (mut config, max_len) = {
            let bh = local_bh_disable();
            let shared = this.shared.lock(&bh);
            (shared.config.clone(), shared.table.max_len())
        };
        config.set(knob, value).map_err(|_| EINVAL)?;
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
    pub(super) fn totals(&self) -> (usize, Totals) {
        let bh = local_bh_disable();
        let shared = self.shared.lock(&bh);
        (shared.table.len(), shared.table.totals())
    }

    /// Shows the entries of some slots. Answers whether there are more slots.
    pub(super) fn views(&self, first: usize, slots: usize, views: &mut KVec<View>) -> bool {
        let bh = local_bh_disable();
        let shared = self.shared.lock(&bh);
        for view in shared.table.views(first, slots, ktime_get()) {
            // There is room for all of them.
            let _ = views.push_within_capacity(view);
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
    fn hear(this: &Timer<Self>, device: &Device<Spans>, packet: &Packet, bh: &LocalBhDisabled) {
        // What the stack drops unseen teaches nothing.
        if packet.is_gratuitous() && device.drops_gratuitous_arp(bh) {
            return;
        }
        let port = device.data();
        let medium = port.medium();
        let sender = packet.sender.ip;
        let ends = Ends {
            sender: match device.inet_addr_type(sender, bh) {
                AddressType::Unicast => Sender::Host,
                AddressType::Local if device.has_address(sender, bh) => Sender::Us,
                // One of another device of this host is nobody's business here.
                AddressType::Local | AddressType::Other => Sender::Nobody,
            },
            // The stack drops packets to the loopback network.
            for_us: !packet.target.ip.is_loopback()
                && device.inet_addr_type(packet.target.ip, bh) == AddressType::Local,
        };
        let heard = this.shared.lock(bh).table.hear(packet, ends, ktime_get());
        match heard {
            Heard::Duplicate { asked } => {
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
            Heard::Changed { from } => {
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
                Self::tell(this, device, bh);
            }
            Heard::New | Heard::Answer | Heard::NoRoom => Self::tell(this, device, bh),
            Heard::Nothing | Heard::Same | Heard::Permanent => (),
        }
    }

    /// Tells the kernel what is new, unless somebody is about it.
    fn tell(this: &Timer<Self>, device: &Device<Spans>, bh: &LocalBhDisabled) {
        if core::mem::replace(&mut this.shared.lock(bh).telling, true) {
            return;
        }
        for _ in 0..BATCH * BATCHES {
            let (ip, news) = {
                let mut shared = this.shared.lock(bh);
                match shared.table.tell() {
                    Some((ip, news)) => {
                        if matches!(news, News::Gone(_)) {
                            let removal = ktime_get().saturating_add(removal::PAUSE);
                            shared.removal.get_or_insert(removal);
                        }
                        (ip, news)
                    }
                    None => {
                        shared.telling = false;
                        Self::rearm(this, &mut shared);
                        return;
                    }
                }
            };
            match news {
                News::Valid(address) => {
                    if let Some(neighbour) = device.neighbour(ip, bh) {
                        neighbour.reachable(device.data().medium().bytes(&address), bh);
                    }
                }
                News::Learned(address) => {
                    if let Some(neighbour) = device.neighbour(ip, bh) {
                        neighbour.stale(device.data().medium().bytes(&address), bh);
                    }
                }
                News::Failed => {
                    if let Some(neighbour) = device.neighbour(ip, bh) {
                        neighbour.failed(bh);
                    }
                }
                News::Gone(end) => {
                    trace::spans_arp_gone(device, ip, why(end));
                    if let Some(neighbour) = device.neighbour(ip, bh) {
                        neighbour.remove(bh);
                    }
                }
            }
        }
        let mut shared = this.shared.lock(bh);
        shared.table.pause();
        shared.telling = false;
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
                more = shared.table.tick(ktime_get(), BATCH, dice, |due| {
                    if let Some(room) = room.next() {
                        *room = Some(due);
                    }
                });
            }
            for due in dues.into_iter().flatten() {
                match due {
                    Due::Ask(ip) => {
                        if let Some(neighbour) = device.neighbour(ip, bh) {
                            neighbour.ask(bh);
                        }
                    }
                    Due::Verify(ip, address) => {
                        let address = device.data().medium().bytes(&address);
                        device.arp_request(ip, Some(address), bh);
                    }
                }
            }
        }
        Self::tell(this, &device, bh);
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
        if let Ok(packet) = packet::judge(medium, packet.bytes(), source, port.address()) {
            Arp::hear(port.arp(), dev, &packet, bh);
        }
    }
}

#[vtable]
impl neighbour::Operations for Spans {
    fn may_have_neighbour(dev: &Device<Self>, ip: Ipv4Addr) -> Result {
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
        let resolution = arp.shared.lock(bh).table.resolve(ip, ktime_get(), dice());
        match resolution {
            Resolution::Ask => solicitation.ask(bh),
            Resolution::NoRoom => solicitation.fail(bh),
            Resolution::Wait => return,
            Resolution::Ending(address) => {
                let address = port.medium().bytes(&address);
                dev.arp_request(ip, Some(address), bh);
            }
            Resolution::Known | Resolution::Held => (),
        }
        // Somebody may have had to make room.
        Arp::tell(arp, dev, bh);
    }

    fn neighbour_used(dev: &Device<Self>, ip: Ipv4Addr, bh: &LocalBhDisabled) {
        let port = dev.data();
        let arp = port.arp();
        let mut shared = arp.shared.lock(bh);
        let due = shared.table.used(ip, ktime_get(), dice());
        if due.is_some() {
            Arp::rearm(arp, &mut shared);
        }
        drop(shared);
        match due {
            // Of everybody: the address that the kernel has may be another host's.
            Some(Due::Ask(ip)) => dev.arp_request(ip, None, bh),
            Some(Due::Verify(ip, address)) => {
                dev.arp_request(ip, Some(port.medium().bytes(&address)), bh);
            }
            None => (),
        }
    }

    fn neighbour_changed(dev: &Device<Self>, event: &Event<'_>, bh: &LocalBhDisabled) {
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
        if shared.telling {
            return;
        }
        // The kernel's locks may be held: not now.
        if shared.table.has_news() {
            Arp::soon(arp, &mut shared);
        } else {
            Arp::rearm(arp, &mut shared);
        }
    }
}

/// Why an entry is gone, for those who trace.
fn why(end: End) -> &'static CStr {
    match end {
        End::Expired => c"expired",
        End::Forgiven => c"forgiven",
        End::Evicted(Wish::Stranger) => c"evicted for a stranger",
        End::Evicted(Wish::Packet) => c"evicted for a packet",
        End::Evicted(Wish::User) => c"evicted for the user",
    }
}
