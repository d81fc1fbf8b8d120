// SPDX-License-Identifier: GPL-2.0

//! The state of a device: queues, settings, ARP table, address filter and segment.

use super::{
    arp::Arp,
    counters::Counter,
    filter::AddressFilter,
    queue::{FollowUp, Queue},
    rollup::Rollup,
    segment::{Member, Segment},
    watchdog::{self, Watchdog},
    Spans, //
};
use crate::{
    net::{
        clock::ktime_get,
        device::Setup,
        napi::Napi,
        queue::{TxQueue, XmitLocked},
        random::get_random_bytes,
        rcu::{Rcu, RcuBox},
        relaxed_cell::RelaxedCell,
        rtnl::Rtnl,
        spinlock_bh::{local_bh_disable, LocalBhDisabled, SpinLockBh},
        timer::Timer,
        Device, DropReason,
    },
    new_spinlock_bh,
};
use kernel::{
    cpu::{nr_cpu_ids, CpuId},
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use spans_logic::{
    address::Address,
    config::{Config, Param},
    cpus::{self, Run},
    filter::Filter,
    line::Occupancy,
    medium::Medium,
    transmit::Settings, //
};

/// The private data of a device, and its member of a segment.
///
/// It outlives the device while an RCU reader of the segment's table may hold it. Its rings are
/// closed then.
#[pin_data]
pub(crate) struct Port {
    id: [u8; 8],
    segment: Arc<Segment<Port>>,
    queues: KVec<Arc<Napi<Queue>>>,
    /// One for each of `nr_cpu_ids` CPU numbers.
    rollups: KVec<Arc<Napi<Rollup>>>,
    /// Number of queues that receive.
    rx_queues: RelaxedCell<usize>,
    /// The link address, for readers that do not hold RTNL.
    address: RelaxedCell<u64>,
    /// The other addresses that the device accepts.
    filter: Rcu<AddressFilter>,
    /// `tx_wait_usecs`, in nanoseconds.
    tx_wait: RelaxedCell<u64>,
    /// The TX ring that debugfs `stall` makes hang, or -1.
    stalled: RelaxedCell<i32>,
    /// The user has forced the carrier off. Kept while the device is down.
    forced_off: RelaxedCell<bool>,
    /// The time that the queues have reserved on the line. Unused without a rate.
    #[pin]
    line: SpinLockBh<Occupancy>,
    #[pin]
    config: Mutex<Config>,
    #[pin]
    owners: Mutex<KVec<Run>>,
    #[pin]
    arp: Timer<Arp>,
    #[pin]
    watchdog: Timer<Watchdog>,
}

impl Port {
    /// The value of [`stalled`](Self::stalled) if no ring is to hang.
    pub(super) const NO_RING: i32 = -1;

    /// Creates the port of a device that is being created, with closed rings, on `segment`.
    /// `owners` are the owner CPUs of its queues.
    pub(super) fn new(
        segment: Arc<Segment<Port>>,
        dev: &Setup<'_, Spans>,
        owners: KVec<Run>,
    ) -> Result<Arc<Self>> {
        let tx = dev.num_tx_queues();
        let rx = dev.num_rx_queues();
        let cpus = nr_cpu_ids() as usize;
        let config = Config::default();
        let header_len = segment.medium().header_len();
        let settings = config.settings(dev.mtu() as usize, header_len, cpus);
        let tx_wait = Self::wait_of(&config);

        let count = tx.max(rx);
        let mut queues = KVec::with_capacity(count as usize, GFP_KERNEL_ACCOUNT)?;
        for (index, owner) in (0..count as u16).zip(cpus::owners(&owners)) {
            let owner = owner.and_then(CpuId::from_u32);
            let queue = Queue::new(index, cpus, settings, config.rx_slots() as usize, dev)?;
            queues.push(
                Arc::pin_init(Napi::new(owner, queue), GFP_KERNEL_ACCOUNT)?,
                GFP_KERNEL_ACCOUNT,
            )?;
        }
        let mut rollups = KVec::with_capacity(cpus, GFP_KERNEL_ACCOUNT)?;
        for cpu in 0..nr_cpu_ids() {
            let owner = CpuId::from_u32(cpu).ok_or(EINVAL)?;
            let rollup = Rollup::new(cpu, tx as usize)?;
            rollups.push(
                Arc::pin_init(Napi::new(Some(owner), Ok(rollup)), GFP_KERNEL_ACCOUNT)?,
                GFP_KERNEL_ACCOUNT,
            )?;
        }
        Arc::pin_init(
            try_pin_init!(Self {
                id: get_random_bytes(),
                segment,
                queues,
                rollups,
                rx_queues: RelaxedCell::new(rx as usize),
                address: RelaxedCell::new(0),
                filter: Rcu::new(RcuBox::new(Filter::default(), GFP_KERNEL_ACCOUNT)?),
                tx_wait: RelaxedCell::new(tx_wait),
                stalled: RelaxedCell::new(Self::NO_RING),
                forced_off: RelaxedCell::new(false),
                line <- new_spinlock_bh!(Occupancy::default(), c"spans_line"),
                config <- new_mutex!(config, "spans_config"),
                owners <- new_mutex!(owners, "spans_owners"),
                arp <- Arp::new()?,
                watchdog <- Watchdog::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Returns the `phys_port_id`. Random, so that it discloses nothing about the devices of
    /// other users.
    pub(super) fn id(&self) -> [u8; 8] {
        self.id
    }

    pub(super) fn segment(&self) -> &Arc<Segment<Port>> {
        &self.segment
    }

    #[inline]
    pub(super) fn medium(&self) -> &'static Medium {
        self.segment.medium()
    }

    /// Returns the queue pairs: a queue number means the same pair for TX and RX.
    pub(super) fn queues(&self) -> &[Arc<Napi<Queue>>] {
        &self.queues
    }

    pub(super) fn rollups(&self) -> &[Arc<Napi<Rollup>>] {
        &self.rollups
    }

    #[inline]
    pub(super) fn rollup(&self, cpu: u32) -> Option<&Arc<Napi<Rollup>>> {
        self.rollups.get(cpu as usize)
    }

    pub(super) fn arp(&self) -> &Timer<Arp> {
        &self.arp
    }

    pub(super) fn watchdog(&self) -> &Timer<Watchdog> {
        &self.watchdog
    }

    pub(super) fn set_address(&self, address: Address) {
        self.address.write(u64::from_ne_bytes(*address.as_bytes()));
    }

    pub(super) fn set_filter(&self, filter: RcuBox<AddressFilter>, rtnl: &Rtnl) {
        self.filter.replace(filter, rtnl);
    }

    pub(super) fn line(&self) -> &SpinLockBh<Occupancy> {
        &self.line
    }

    /// Releases the reserved time: the frames that had reserved it were dropped.
    fn clear_line(&self, bh: &LocalBhDisabled) {
        *self.line.lock(bh) = Occupancy::default();
    }

    /// Returns a copy of the settings. Process context.
    pub(super) fn config(&self) -> Config {
        self.config.lock().clone()
    }

    /// Applies `change`, unless it fails, to the settings and to all queues. Queued packets stay,
    /// in order. Process context.
    pub(super) fn configure(
        dev: &Device<Spans>,
        _: &Rtnl,
        change: impl FnOnce(&mut Config) -> Result,
    ) -> Result {
        let port = dev.data();
        let mut config = port.config.lock();
        let mut changed = config.clone();
        change(&mut changed)?;
        let rate_changed = changed.get(Param::RateMbit) != config.get(Param::RateMbit);
        *config = changed;
        let config = config.clone();
        let settings = port.settings(dev, &config);
        port.tx_wait.write(Self::wait_of(&config));
        let bh = local_bh_disable();
        if rate_changed {
            // Before any queue has the new rate. The poll of a queue with the old one may reserve
            // one more turn with it.
            *port.line.lock(&bh) = Occupancy::free_from(ktime_get());
        }
        for queue in port.queues() {
            if let Some(txq) = dev.tx_queue(queue.index()) {
                if Queue::set(queue, txq, settings, &bh) {
                    port.watch();
                }
            }
            queue.set_rx_slots(config.rx_slots() as usize, &bh);
        }
        for rollup in port.rollups() {
            Rollup::flush_now(rollup);
        }
        Ok(())
    }

    fn wait_of(config: &Config) -> u64 {
        u64::from(config.get(Param::TxWaitUsecs)).saturating_mul(1000)
    }

    /// Returns the longest time of backpressure without progress, in nanoseconds.
    pub(super) fn tx_wait(&self) -> u64 {
        self.tx_wait.read()
    }

    fn settings(&self, dev: &Device<Spans>, config: &Config) -> Settings {
        config.settings(
            dev.mtu() as usize,
            self.medium().header_len(),
            self.rollups.len(),
        )
    }

    /// Returns the owner CPUs of the queues, as a list of runs.
    pub(super) fn owners(&self) -> &Mutex<KVec<Run>> {
        &self.owners
    }

    pub(super) fn set_owners(&self, owners: KVec<Run>) {
        let mut list = self.owners.lock();
        *list = owners;
        for (queue, owner) in self.queues.iter().zip(cpus::owners(&list)) {
            queue.set_cpu(owner.and_then(CpuId::from_u32));
        }
    }

    /// Sets the number of RX queues that frames are forwarded to.
    pub(super) fn set_rx_queues(&self, count: u32) {
        self.rx_queues.write(count as usize);
    }

    /// Returns whether frames are forwarded to this RX queue.
    pub(super) fn receives_on(&self, index: u16) -> bool {
        usize::from(index) < self.rx_queues.read()
    }

    /// Makes a TX ring hang, or none ([`NO_RING`](Self::NO_RING)).
    pub(super) fn set_stalled(&self, ring: i32) {
        self.stalled.write(ring);
    }

    /// Ends a [stall](Self::set_stalled).
    pub(super) fn unstall(&self) {
        self.set_stalled(Self::NO_RING);
    }

    /// Returns the TX ring that hangs, or [`NO_RING`](Self::NO_RING).
    pub(super) fn stalled(&self) -> i32 {
        self.stalled.read()
    }

    #[inline]
    pub(super) fn is_stalled(&self, ring: u16) -> bool {
        self.stalled() == i32::from(ring)
    }

    pub(super) fn is_forced_off(&self) -> bool {
        self.forced_off.read()
    }

    pub(super) fn set_forced_off(&self, forced_off: bool) {
        self.forced_off.write(forced_off);
    }

    /// Opens all queues. They accept packets while there is a carrier.
    pub(super) fn open(&self, dev: &Device<Spans>, bh: &LocalBhDisabled) {
        for queue in self.queues.iter() {
            queue.open(dev.tx_queue(queue.index()), dev.carrier_ok(), bh);
        }
    }

    /// Arms the watchdog and the rollup of this CPU for a packet in the subqueue of `txq`.
    pub(super) fn follow_up(&self, txq: &XmitLocked<'_>, todo: FollowUp, bh: &LocalBhDisabled) {
        if todo.watch {
            self.watch();
        }
        if let Some(how) = todo.arm {
            if let Some(rollup) = self.rollup(bh.cpu().as_u32()) {
                Rollup::arm(rollup, txq.index(), how, bh);
            }
        }
    }

    /// Schedules a start of the packets of a queue by its poll.
    pub(super) fn restart(&self, queue: &Napi<Queue>, txq: TxQueue<'_>, bh: &LocalBhDisabled) {
        if Queue::restart(queue, txq, bh) {
            self.watch();
        }
    }

    fn tx_queues<'a>(
        &'a self,
        dev: &'a Device<Spans>,
    ) -> impl Iterator<Item = (&'a Arc<Napi<Queue>>, TxQueue<'a>)> {
        self.queues
            .iter()
            .filter_map(|queue| Some((queue, dev.tx_queue(queue.index())?)))
    }

    /// Accepts packets and frames: the device has a carrier.
    pub(super) fn carrier_on(&self, dev: &Device<Spans>, bh: &LocalBhDisabled) {
        for queue in self.queues.iter() {
            queue.set_carrier(dev.tx_queue(queue.index()), true, bh);
        }
        for (queue, txq) in self.tx_queues(dev) {
            self.restart(queue, txq, bh);
        }
    }

    /// Drops packets of the stack, frames of the segment and all packets queued for transmission:
    /// the device has no carrier.
    ///
    /// All subqueues refuse packets before the first one is purged, so that no packet accepted
    /// before remains on any of them (DragonFly's `ifq_purge_all()` holds all locks for that).
    /// [`close`](Self::close) has the same order.
    pub(super) fn carrier_off(&self, dev: &Device<Spans>, bh: &LocalBhDisabled) {
        for queue in self.queues.iter() {
            queue.set_carrier(dev.tx_queue(queue.index()), false, bh);
        }
        for (queue, txq) in self.tx_queues(dev) {
            queue.purge(txq, Counter::TxDropNoCarrier, DropReason::DEV_READY, bh);
        }
        self.clear_line(bh);
    }

    /// Purges all rings and subqueues of a device that is up, ends a `stall`, and restarts the
    /// queues. Frames that a poll is forwarding meanwhile arrive.
    pub(super) fn reset(&self, dev: &Device<Spans>, bh: &LocalBhDisabled) {
        for (queue, txq) in self.tx_queues(dev) {
            queue.purge(txq, Counter::TxDropPurge, DropReason::QUEUE_PURGE, bh);
        }
        self.clear_line(bh);
        for queue in self.queues.iter() {
            queue.purge_rx(bh);
        }
        self.unstall();
        for (queue, txq) in self.tx_queues(dev) {
            self.restart(queue, txq, bh);
        }
    }

    /// Refuses packets from now on, and drops all queued ones. No poll is running.
    pub(super) fn close(&self, dev: &Device<Spans>, bh: &LocalBhDisabled) {
        for (queue, txq) in self.tx_queues(dev) {
            queue.quiesce(txq, bh);
        }
        for (queue, txq) in self.tx_queues(dev) {
            queue.purge(txq, Counter::TxDropPurge, DropReason::QUEUE_PURGE, bh);
            queue.disarm(txq, bh);
        }
        self.clear_line(bh);
        for queue in self.queues.iter() {
            queue.close(bh);
        }
        for rollup in self.rollups.iter() {
            rollup.clear();
        }
        self.unstall();
    }
}

impl Member for Port {
    fn address(&self) -> Address {
        Address::new(self.address.read().to_ne_bytes())
    }

    #[inline]
    fn filter<'a>(&'a self, bh: &'a LocalBhDisabled) -> &'a AddressFilter {
        self.filter.read(bh)
    }

    #[inline]
    fn rx_queue(&self, index: u16) -> Option<&Napi<Queue>> {
        let mut index = usize::from(index);
        let count = self.rx_queues.read();
        // Usually all members have the same number of queues, and no division is needed.
        if index >= count {
            index = index.checked_rem(count)?;
        }
        Some(self.queues.get(index)?)
    }

    #[cold]
    fn watch(&self) {
        self.watchdog.arm(watchdog::PERIOD);
    }
}
