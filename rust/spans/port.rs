// SPDX-License-Identifier: GPL-2.0

//! What the driver keeps about a device: its place on a segment, its queues, and
//! what the user has set.

use super::{
    arp::Arp,
    counters::Counter,
    queue::Queue,
    rollup::Rollup,
    segment::Segment,
    watchdog::{self, Watchdog},
    Spans, //
};
use crate::{
    net::{
        clock::ktime_get,
        device::Setup,
        napi::Napi,
        queue::TxQueue,
        random::get_random_bytes,
        rcu::{Rcu, RcuBox},
        rtnl::Rtnl,
        spinlock_bh::{local_bh_disable, LocalBhDisabled, SpinLockBh},
        timer::Timer,
        word::RelaxedCell,
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

/// What a device hears beside its own address and broadcast.
pub(super) type AddressFilter = Filter<KVec<Address>>;

/// A port of a segment, and the data of a device.
///
/// It outlives its device for as long as somebody on the segment might still
/// have it in sight. By then its rings are closed.
#[pin_data]
pub(crate) struct Port {
    id: [u8; 8],
    segment: Arc<Segment>,
    queues: KVec<Arc<Napi<Queue>>>,
    /// One for each number a CPU can have.
    rollups: KVec<Arc<Napi<Rollup>>>,
    /// How many of the queues receive.
    rx_queues: RelaxedCell<usize>,
    /// The link address, for the receive side, which does not hold RTNL.
    address: RelaxedCell<u64>,
    /// What the receive side hears beside that.
    filter: Rcu<AddressFilter>,
    /// How long frames wait for a receive ring that is full and does not move, in
    /// nanoseconds.
    tx_wait: RelaxedCell<u64>,
    /// The transmit ring that hangs, or -1.
    stalled: RelaxedCell<i32>,
    /// The user has cut the line. It stays so while the device is down.
    forced_off: RelaxedCell<bool>,
    /// The time that the queues have reserved on the line, if that has a rate. Not touched
    /// otherwise.
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
    /// The number of no ring.
    pub(super) const NO_RING: i32 = -1;

    /// A port of `segment`, closed, for a device that is being made, whose queues have
    /// `owners`.
    pub(super) fn new(
        segment: Arc<Segment>,
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
            let home = owner.and_then(CpuId::from_u32);
            let queue = Queue::new(index, cpus, settings, config.rx_slots() as usize, dev)?;
            queues.push(
                Arc::pin_init(Napi::new(home, queue), GFP_KERNEL_ACCOUNT)?,
                GFP_KERNEL_ACCOUNT,
            )?;
        }
        let mut rollups = KVec::with_capacity(cpus, GFP_KERNEL_ACCOUNT)?;
        for cpu in 0..nr_cpu_ids() {
            let home = CpuId::from_u32(cpu).ok_or(EINVAL)?;
            let rollup = Rollup::new(cpu, tx as usize)?;
            rollups.push(
                Arc::pin_init(Napi::new(Some(home), Ok(rollup)), GFP_KERNEL_ACCOUNT)?,
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

    /// What tells this port from others. Random, so that it says nothing about the
    /// devices of other users.
    pub(super) fn id(&self) -> [u8; 8] {
        self.id
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// What the segment carries.
    #[inline]
    pub(super) fn medium(&self) -> &'static Medium {
        self.segment.medium()
    }

    /// One for each transmit queue and each receive queue: a queue number means
    /// the same pair of rings in both directions.
    pub(super) fn queues(&self) -> &[Arc<Napi<Queue>>] {
        &self.queues
    }

    pub(super) fn rollups(&self) -> &[Arc<Napi<Rollup>>] {
        &self.rollups
    }

    /// The rollup of a CPU.
    #[inline]
    pub(super) fn rollup(&self, cpu: u32) -> Option<&Arc<Napi<Rollup>>> {
        self.rollups.get(cpu as usize)
    }

    /// The queue that receives what a sender's queue number `index` sent. What
    /// comes from one queue stays in order.
    #[inline]
    pub(super) fn rx_queue(&self, index: u16) -> Option<&Napi<Queue>> {
        let mut index = usize::from(index);
        let count = self.rx_queues.read();
        // Usually all have the same number of queues, and nothing is divided.
        if index >= count {
            index = index.checked_rem(count)?;
        }
        Some(self.queues.get(index)?)
    }

    /// Who is who on the segment.
    pub(super) fn arp(&self) -> &Timer<Arp> {
        &self.arp
    }

    /// What looks after the rings.
    pub(super) fn watchdog(&self) -> &Timer<Watchdog> {
        &self.watchdog
    }

    /// Has the watchdog look at the rings, of which one has got work.
    #[cold]
    pub(super) fn watch(&self) {
        self.watchdog.arm(watchdog::PERIOD);
    }

    pub(super) fn address(&self) -> Address {
        Address::new(self.address.read().to_ne_bytes())
    }

    pub(super) fn set_address(&self, address: Address) {
        self.address.write(u64::from_ne_bytes(*address.as_bytes()));
    }

    #[inline]
    pub(super) fn filter<'a>(&'a self, bh: &'a LocalBhDisabled) -> &'a AddressFilter {
        self.filter.read(bh)
    }

    pub(super) fn set_filter(&self, filter: RcuBox<AddressFilter>, rtnl: &Rtnl) {
        self.filter.replace(filter, rtnl);
    }

    /// The time that the queues have reserved on the line.
    pub(super) fn line(&self) -> &SpinLockBh<Occupancy> {
        &self.line
    }

    /// Gives back the time that frames had reserved which are gone.
    fn clear_line(&self, bh: &LocalBhDisabled) {
        *self.line.lock(bh) = Occupancy::default();
    }

    /// What the user has set. Process context.
    pub(super) fn config(&self) -> Config {
        self.config.lock().clone()
    }

    /// Sets what `change` changes, if it does not fail, on all queues. What is
    /// queued stays, in order. Process context.
    pub(super) fn configure(
        dev: &Device<Spans>,
        _: &Rtnl,
        change: impl FnOnce(&mut Config) -> Result,
    ) -> Result {
        let port = dev.data();
        let mut config = port.config.lock();
        let mut changed = config.clone();
        change(&mut changed)?;
        let another_rate = changed.get(Param::RateMbit) != config.get(Param::RateMbit);
        *config = changed;
        let config = config.clone();
        let settings = port.settings(dev, &config);
        port.tx_wait.write(Self::wait_of(&config));
        let bh = local_bh_disable();
        if another_rate {
            // Before any queue has the new rate. A poll of one that has the old one may reserve
            // one more turn with it.
            *port.line.lock(&bh) = Occupancy::free_from(ktime_get());
        }
        for queue in port.queues() {
            if let Some(txq) = dev.tx_queue(queue.index()) {
                Queue::set(queue, &port, txq, settings, &bh);
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

    /// How long a frame waits for a receive ring that is full and does not move, in
    /// nanoseconds.
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

    /// The owners of the queues, as a list.
    pub(super) fn owners(&self) -> &Mutex<KVec<Run>> {
        &self.owners
    }

    /// Gives the queues other owners.
    pub(super) fn set_owners(&self, owners: KVec<Run>) {
        let mut list = self.owners.lock();
        *list = owners;
        for (queue, owner) in self.queues.iter().zip(cpus::owners(&list)) {
            queue.set_cpu(owner.and_then(CpuId::from_u32));
        }
    }

    /// Has packets arrive on so many receive queues.
    pub(super) fn set_rx_queues(&self, count: u32) {
        self.rx_queues.write(count as usize);
    }

    /// Whether packets arrive on this receive queue.
    pub(super) fn receives_on(&self, index: u16) -> bool {
        usize::from(index) < self.rx_queues.read()
    }

    /// Has a transmit ring hang, or none.
    pub(super) fn set_stalled(&self, ring: i32) {
        self.stalled.write(ring);
    }

    /// Has no ring hang.
    pub(super) fn unstall(&self) {
        self.set_stalled(Self::NO_RING);
    }

    /// The transmit ring that hangs, or [`NO_RING`](Self::NO_RING).
    pub(super) fn stalled(&self) -> i32 {
        self.stalled.read()
    }

    #[inline]
    pub(super) fn is_stalled(&self, ring: u16) -> bool {
        self.stalled() == i32::from(ring)
    }

    /// Whether the user has cut the line.
    pub(super) fn is_forced_off(&self) -> bool {
        self.forced_off.read()
    }

    /// Cuts the line, or mends it.
    pub(super) fn set_forced_off(&self, forced_off: bool) {
        self.forced_off.write(forced_off);
    }

    /// From now on packets are taken, if there is a carrier.
    pub(super) fn open(&self, dev: &Device<Spans>, bh: &LocalBhDisabled) {
        for queue in self.queues.iter() {
            queue.open(dev.tx_queue(queue.index()), dev.carrier_ok(), bh);
        }
    }

    /// The queues that transmit.
    fn tx_queues<'a>(
        &'a self,
        dev: &'a Device<Spans>,
    ) -> impl Iterator<Item = (&'a Arc<Napi<Queue>>, TxQueue<'a>)> {
        self.queues
            .iter()
            .filter_map(|queue| Some((queue, dev.tx_queue(queue.index())?)))
    }

    /// There is a carrier.
    pub(super) fn carrier_on(&self, dev: &Device<Spans>, bh: &LocalBhDisabled) {
        for queue in self.queues.iter() {
            queue.set_carrier(dev.tx_queue(queue.index()), true, bh);
        }
        for (queue, txq) in self.tx_queues(dev) {
            Queue::restart(queue, self, txq, bh);
        }
    }

    /// There is no carrier: nothing is taken from now on, from the stack or from the
    /// segment, and what waits to be sent is dropped.
    ///
    /// First nobody puts anything into any subqueue, then all of them are emptied:
    /// what was taken before is dropped, on whichever it was (DragonFly's
    /// `ifq_purge_all()` holds all locks for that). So it is when the device goes
    /// down.
    pub(super) fn carrier_off(&self, dev: &Device<Spans>, bh: &LocalBhDisabled) {
        for queue in self.queues.iter() {
            queue.set_carrier(dev.tx_queue(queue.index()), false, bh);
        }
        for (queue, txq) in self.tx_queues(dev) {
            queue.purge(txq, Counter::TxDropNoCarrier, DropReason::DEV_READY, bh);
        }
        self.clear_line(bh);
    }

    /// Empties all rings and subqueues of a device that is up, and has them go on,
    /// whatever made one hang. What polls are carrying meanwhile arrives.
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
            Queue::restart(queue, self, txq, bh);
        }
    }

    /// From now on packets are refused. Those that wait are dropped. No poll is
    /// running any more.
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
