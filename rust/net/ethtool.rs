// SPDX-License-Identifier: GPL-2.0

//! Statistics and settings of `ethtool`.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use super::{bindings, device, netlink::ExtAck, rtnl::Rtnl, Device};
use core::marker::PhantomData;
use kernel::{error::from_result, fmt::Write, prelude::*, str::NullTerminatedFormatter};

/// Statistics per queue: `ethtool -S`, as `tx_queue_0_NAME` and `rx_queue_0_NAME`.
#[vtable]
pub trait QueueStats: device::Operations {
    /// Names of the statistics of a TX queue.
    const TX: &'static [&'static str];
    /// Names of the statistics of an RX queue.
    const RX: &'static [&'static str];

    /// Writes the statistics of TX queue and RX queue number `queue`, in the order of the names.
    /// The slice of a queue that the device does not have is empty. Process context.
    fn stats(dev: &Device<Self>, queue: u32, tx: &mut [u64], rx: &mut [u64]);
}

/// Sizes of the rings of a device in slots: `ethtool -G`.
#[derive(Clone, Copy)]
pub struct RingParam {
    /// Size of a TX ring.
    pub tx: u32,
    /// Size of an RX ring.
    pub rx: u32,
    /// Maximum size of a ring.
    pub max: u32,
}

/// Aggregation of transmitted packets: `ethtool -C`.
#[derive(Clone, Copy)]
pub struct Coalesce {
    /// `tx-aggr-max-bytes`.
    pub tx_aggr_max_bytes: u32,
    /// `tx-aggr-max-frames`.
    pub tx_aggr_max_frames: u32,
    /// `tx-aggr-time-usecs`.
    pub tx_aggr_time_usecs: u32,
}

/// Settings of a device: `struct ethtool_ops`. All functions are called in process context with
/// RTNL held. A setter that fails must change nothing.
#[vtable]
pub trait Settings: device::Operations {
    /// `get_ringparam`: returns the sizes of the rings.
    fn ringparam(dev: &Device<Self>) -> RingParam;

    /// `set_ringparam`: sets the sizes of the rings. The core has checked that they do not exceed
    /// the maximum.
    fn set_ringparam(
        dev: &Device<Self>,
        tx: u32,
        rx: u32,
        rtnl: &Rtnl,
        extack: &ExtAck<'_>,
    ) -> Result;

    /// `get_coalesce`: returns the settings of aggregation.
    fn coalesce(dev: &Device<Self>) -> Coalesce;

    /// `set_coalesce`: changes the settings of aggregation.
    fn set_coalesce(
        dev: &Device<Self>,
        coalesce: Coalesce,
        rtnl: &Rtnl,
        extack: &ExtAck<'_>,
    ) -> Result;

    /// `get_link_ksettings`: returns the speed of the link in Mbit/s.
    fn speed(dev: &Device<Self>) -> u32;

    /// `set_channels`: sets the number of queue pairs in use, at least 1. If it exceeds the number
    /// of allocated TX or RX queues, all of those may be used.
    fn set_channels(dev: &Device<Self>, combined: u32, rtnl: &Rtnl) -> Result;

    /// `reset` with `ETH_RESET_DMA`: purges the rings.
    fn reset(dev: &Device<Self>, rtnl: &Rtnl) -> Result;
}

const NAME_LEN: usize = bindings::ETH_GSTRING_LEN as usize;

/// Builds the `struct ethtool_ops` of `T`.
pub(super) struct VTable<T: QueueStats + Settings>(PhantomData<T>);

impl<T: QueueStats + Settings> VTable<T> {
    /// Returns the number of statistics of a device. It is constant, as the core calls once for the
    /// size of its buffers and again to fill each.
    fn count(dev: &Device<T>) -> usize {
        const { assert!(!T::TX.is_empty() && !T::RX.is_empty()) };
        let tx = T::TX.len().saturating_mul(dev.num_tx_queues() as usize);
        let rx = T::RX.len().saturating_mul(dev.num_rx_queues() as usize);
        tx.saturating_add(rx)
    }

    /// # Safety
    ///
    /// Called by the core for a registered device.
    unsafe extern "C" fn get_sset_count_callback(
        dev: *mut bindings::net_device,
        set: c_int,
    ) -> c_int {
        if set != bindings::ethtool_stringset_ETH_SS_STATS as c_int {
            return -(bindings::EOPNOTSUPP as c_int);
        }
        // SAFETY: The device is registered, so it has its data until after this call.
        let count = Self::count(unsafe { Device::from_raw(dev) });
        // Negative numbers are errors for the core.
        c_int::try_from(count).unwrap_or(-(bindings::EOPNOTSUPP as c_int))
    }

    /// # Safety
    ///
    /// Called by the core for a registered device. `data` has room for as many names as
    /// `get_sset_count_callback` returned.
    unsafe extern "C" fn get_strings_callback(
        dev: *mut bindings::net_device,
        set: u32,
        data: *mut u8,
    ) {
        if set != bindings::ethtool_stringset_ETH_SS_STATS {
            return;
        }
        // SAFETY: The device is registered, so it has its data until after this call.
        let dev = unsafe { Device::<T>::from_raw(dev) };
        let len = Self::count(dev).saturating_mul(NAME_LEN);
        // SAFETY: There is room for `len` bytes of names, which nothing else uses during the call.
        let room = unsafe { core::slice::from_raw_parts_mut(data, len) };
        let mut room = room.chunks_exact_mut(NAME_LEN);
        for (kind, queues, names) in [
            ("tx", dev.num_tx_queues(), T::TX),
            ("rx", dev.num_rx_queues(), T::RX),
        ] {
            for queue in 0..queues {
                for (name, room) in names.iter().zip(&mut room) {
                    room.fill(0);
                    // A name that is too long is truncated, as by `ethtool_sprintf()`.
                    if let Some(mut formatter) = NullTerminatedFormatter::new(room) {
                        let _ = write!(formatter, "{kind}_queue_{queue}_{name}");
                    }
                }
            }
        }
    }

    /// # Safety
    ///
    /// Called by the core for a registered device. `data` has room for as many numbers as
    /// `get_sset_count_callback` returned.
    unsafe extern "C" fn get_ethtool_stats_callback(
        dev: *mut bindings::net_device,
        _stats: *mut bindings::ethtool_stats,
        data: *mut u64,
    ) {
        // SAFETY: The device is registered, so it has its data until after this call.
        let dev = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: There is room for that many numbers, which nothing else uses during the call.
        let data = unsafe { core::slice::from_raw_parts_mut(data, Self::count(dev)) };
        let tx_len = T::TX.len().saturating_mul(dev.num_tx_queues() as usize);
        let Some((tx, rx)) = data.split_at_mut_checked(tx_len) else {
            return;
        };
        let mut tx = tx.chunks_exact_mut(T::TX.len());
        let mut rx = rx.chunks_exact_mut(T::RX.len());
        for queue in 0..dev.num_tx_queues().max(dev.num_rx_queues()) {
            let (tx, rx) = (tx.next(), rx.next());
            T::stats(dev, queue, tx.unwrap_or_default(), rx.unwrap_or_default());
        }
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held. `ring` is to be written.
    unsafe extern "C" fn get_ringparam_callback(
        dev: *mut bindings::net_device,
        ring: *mut bindings::ethtool_ringparam,
        _kernel_ring: *mut bindings::kernel_ethtool_ringparam,
        _extack: *mut bindings::netlink_ext_ack,
    ) {
        // SAFETY: The device is registered, so it has its data until after this call.
        let param = T::ringparam(unsafe { Device::from_raw(dev) });
        // SAFETY: `ring` is valid and exclusive to this function during the call.
        let ring = unsafe { &mut *ring };
        ring.tx_pending = param.tx;
        ring.rx_pending = param.rx;
        ring.tx_max_pending = param.max;
        ring.rx_max_pending = param.max;
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held.
    unsafe extern "C" fn set_ringparam_callback(
        dev: *mut bindings::net_device,
        ring: *mut bindings::ethtool_ringparam,
        _kernel_ring: *mut bindings::kernel_ethtool_ringparam,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let dev = unsafe { Device::from_raw(dev) };
        // SAFETY: `ring` is valid and exclusive to this function during the call.
        let ring = unsafe { &*ring };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: `extack` is null, or valid and exclusive to this function during the call.
        let extack = unsafe { ExtAck::from_raw(extack) };
        from_result(|| {
            T::set_ringparam(dev, ring.tx_pending, ring.rx_pending, &rtnl, &extack)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held. `kernel_coalesce` is to be
    /// written.
    unsafe extern "C" fn get_coalesce_callback(
        dev: *mut bindings::net_device,
        _coalesce: *mut bindings::ethtool_coalesce,
        kernel_coalesce: *mut bindings::kernel_ethtool_coalesce,
        _extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let coalesce = T::coalesce(unsafe { Device::from_raw(dev) });
        // SAFETY: `kernel_coalesce` is valid and exclusive to this function during the call.
        let to = unsafe { &mut *kernel_coalesce };
        to.tx_aggr_max_bytes = coalesce.tx_aggr_max_bytes;
        to.tx_aggr_max_frames = coalesce.tx_aggr_max_frames;
        to.tx_aggr_time_usecs = coalesce.tx_aggr_time_usecs;
        0
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held.
    unsafe extern "C" fn set_coalesce_callback(
        dev: *mut bindings::net_device,
        _coalesce: *mut bindings::ethtool_coalesce,
        kernel_coalesce: *mut bindings::kernel_ethtool_coalesce,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let dev = unsafe { Device::from_raw(dev) };
        // SAFETY: `kernel_coalesce` is valid and does not change during the call.
        let from = unsafe { &*kernel_coalesce };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        // SAFETY: `extack` is null, or valid and exclusive to this function during the call.
        let extack = unsafe { ExtAck::from_raw(extack) };
        let coalesce = Coalesce {
            tx_aggr_max_bytes: from.tx_aggr_max_bytes,
            tx_aggr_max_frames: from.tx_aggr_max_frames,
            tx_aggr_time_usecs: from.tx_aggr_time_usecs,
        };
        from_result(|| {
            T::set_coalesce(dev, coalesce, &rtnl, &extack)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held. `channels` is to be written.
    unsafe extern "C" fn get_channels_callback(
        dev: *mut bindings::net_device,
        channels: *mut bindings::ethtool_channels,
    ) {
        // SAFETY: The device is registered, so it has its data until after this call.
        let dev = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: `channels` is valid and exclusive to this function during the call.
        let channels = unsafe { &mut *channels };
        channels.max_combined = dev.num_tx_queues().max(dev.num_rx_queues());
        channels.combined_count = dev.real_num_tx_queues().max(dev.real_num_rx_queues());
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held.
    unsafe extern "C" fn set_channels_callback(
        dev: *mut bindings::net_device,
        channels: *mut bindings::ethtool_channels,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let dev = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: `channels` is valid and exclusive to this function during the call.
        let combined = unsafe { (*channels).combined_count };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        from_result(|| {
            T::set_channels(dev, combined, &rtnl)?;
            Ok(0)
        })
    }

    /// Leaves components that are shared with other devices alone; their flags stay set.
    ///
    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held. `flags` has the components to
    /// reset, and on return those that were not reset.
    unsafe extern "C" fn reset_callback(dev: *mut bindings::net_device, flags: *mut u32) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let dev = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: `flags` is valid and exclusive to this function during the call.
        let flags = unsafe { &mut *flags };
        // SAFETY: RTNL is held during the call.
        let rtnl = unsafe { Rtnl::assume() };
        from_result(|| {
            // Only requested components may be reset. The rings are the only one.
            let dedicated = bindings::ethtool_reset_flags_ETH_RESET_DEDICATED;
            let rings = bindings::ethtool_reset_flags_ETH_RESET_DMA;
            if *flags & rings != 0 {
                T::reset(dev, &rtnl)?;
                let all = *flags & dedicated == dedicated;
                *flags &= if all { !dedicated } else { !rings };
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held. `settings` is zeroed.
    unsafe extern "C" fn get_link_ksettings_callback(
        dev: *mut bindings::net_device,
        settings: *mut bindings::ethtool_link_ksettings,
    ) -> c_int {
        // SAFETY: The device is registered, so it has its data until after this call.
        let speed = T::speed(unsafe { Device::from_raw(dev) });
        // SAFETY: `settings` is valid and exclusive to this function during the call.
        let base = unsafe { &mut (*settings).base };
        base.speed = speed;
        base.duplex = bindings::DUPLEX_FULL as u8;
        base.port = bindings::PORT_OTHER as u8;
        base.autoneg = bindings::AUTONEG_DISABLE as u8;
        0
    }

    /// # Safety
    ///
    /// Called by the core for a registered device.
    unsafe extern "C" fn get_msglevel_callback(dev: *mut bindings::net_device) -> u32 {
        // SAFETY: The device is registered, so it has its data until after this call.
        unsafe { Device::<T>::from_raw(dev) }.msg_enable().read()
    }

    /// Accepts undefined bits, like other drivers.
    ///
    /// # Safety
    ///
    /// Called by the core for a registered device, with RTNL held.
    unsafe extern "C" fn set_msglevel_callback(dev: *mut bindings::net_device, level: u32) {
        // SAFETY: The device is registered, so it has its data until after this call.
        unsafe { Device::<T>::from_raw(dev) }
            .msg_enable()
            .write(level);
    }

    const VTABLE: bindings::ethtool_ops = {
        let mut ops: bindings::ethtool_ops = pin_init::zeroed();
        ops.get_link = Some(bindings::ethtool_op_get_link);
        ops.get_link_ksettings = Some(Self::get_link_ksettings_callback);
        ops.get_ts_info = Some(bindings::ethtool_op_get_ts_info);
        ops.get_sset_count = Some(Self::get_sset_count_callback);
        ops.get_strings = Some(Self::get_strings_callback);
        ops.get_ethtool_stats = Some(Self::get_ethtool_stats_callback);
        ops.supported_coalesce_params = bindings::SPANS_COALESCE_TX_AGGR;
        ops.get_coalesce = Some(Self::get_coalesce_callback);
        ops.set_coalesce = Some(Self::set_coalesce_callback);
        ops.get_ringparam = Some(Self::get_ringparam_callback);
        ops.set_ringparam = Some(Self::set_ringparam_callback);
        ops.get_channels = Some(Self::get_channels_callback);
        ops.set_channels = Some(Self::set_channels_callback);
        ops.reset = Some(Self::reset_callback);
        ops.get_msglevel = Some(Self::get_msglevel_callback);
        ops.set_msglevel = Some(Self::set_msglevel_callback);
        ops
    };

    pub(super) const fn build() -> &'static bindings::ethtool_ops {
        &Self::VTABLE
    }
}
