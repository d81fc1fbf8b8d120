// SPDX-License-Identifier: GPL-2.0

//! What `ethtool` shows.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use super::{bindings, device, Device};
use core::marker::PhantomData;
use kernel::{fmt::Write, prelude::*, str::NullTerminatedFormatter};

/// Statistics per queue, for `ethtool -S`. They are shown as
/// `tx_queue_0_NAME` and `rx_queue_0_NAME`.
#[vtable]
pub trait QueueStats: device::Operations {
    /// The names of the statistics of a transmit queue.
    const TX: &'static [&'static str];
    /// The names of the statistics of a receive queue.
    const RX: &'static [&'static str];

    /// Writes the statistics of a transmit queue, in the order of the names.
    fn tx_stats(dev: &Device<Self>, queue: u32, values: &mut [u64]);

    /// Writes the statistics of a receive queue, in the order of the names.
    fn rx_stats(dev: &Device<Self>, queue: u32, values: &mut [u64]);
}

const NAME_LEN: usize = bindings::ETH_GSTRING_LEN as usize;

/// The table of functions that the core calls, made of those of `T`.
pub(super) struct VTable<T: QueueStats>(PhantomData<T>);

impl<T: QueueStats> VTable<T> {
    /// How many statistics a device has. Depends on nothing that changes, as the
    /// core asks once for the size of its buffers and once for each filling.
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
        // SAFETY: The device is registered, so it has its data, until after this call.
        let count = Self::count(unsafe { Device::from_raw(dev) });
        // The core takes what is negative for an error.
        c_int::try_from(count).unwrap_or(-(bindings::EOPNOTSUPP as c_int))
    }

    /// # Safety
    ///
    /// Called by the core for a registered device. `data` has room for as many
    /// names as `get_sset_count_callback` said.
    unsafe extern "C" fn get_strings_callback(
        dev: *mut bindings::net_device,
        set: u32,
        data: *mut u8,
    ) {
        if set != bindings::ethtool_stringset_ETH_SS_STATS {
            return;
        }
        // SAFETY: The device is registered, so it has its data, until after this call.
        let dev = unsafe { Device::<T>::from_raw(dev) };
        let len = Self::count(dev).saturating_mul(NAME_LEN);
        // SAFETY: There is room for that many names.
        let room = unsafe { core::slice::from_raw_parts_mut(data, len) };
        let mut room = room.chunks_exact_mut(NAME_LEN);
        for (kind, queues, names) in [
            ("tx", dev.num_tx_queues(), T::TX),
            ("rx", dev.num_rx_queues(), T::RX),
        ] {
            for queue in 0..queues {
                for (name, room) in names.iter().zip(&mut room) {
                    room.fill(0);
                    // A name that is too long is cut, as `ethtool_sprintf()` cuts it.
                    if let Some(mut formatter) = NullTerminatedFormatter::new(room) {
                        let _ = write!(formatter, "{kind}_queue_{queue}_{name}");
                    }
                }
            }
        }
    }

    /// # Safety
    ///
    /// Called by the core for a registered device. `data` has room for as many
    /// numbers as `get_sset_count_callback` said.
    unsafe extern "C" fn get_ethtool_stats_callback(
        dev: *mut bindings::net_device,
        _stats: *mut bindings::ethtool_stats,
        data: *mut u64,
    ) {
        // SAFETY: The device is registered, so it has its data, until after this call.
        let dev = unsafe { Device::<T>::from_raw(dev) };
        // SAFETY: There is room for that many numbers.
        let data = unsafe { core::slice::from_raw_parts_mut(data, Self::count(dev)) };
        let tx_len = T::TX.len().saturating_mul(dev.num_tx_queues() as usize);
        let Some((tx, rx)) = data.split_at_mut_checked(tx_len) else {
            return;
        };
        for (queue, values) in (0..dev.num_tx_queues()).zip(tx.chunks_exact_mut(T::TX.len())) {
            T::tx_stats(dev, queue, values);
        }
        for (queue, values) in (0..dev.num_rx_queues()).zip(rx.chunks_exact_mut(T::RX.len())) {
            T::rx_stats(dev, queue, values);
        }
    }

    const VTABLE: bindings::ethtool_ops = {
        let mut ops: bindings::ethtool_ops = pin_init::zeroed();
        ops.get_link = Some(bindings::ethtool_op_get_link);
        ops.get_ts_info = Some(bindings::ethtool_op_get_ts_info);
        ops.get_sset_count = Some(Self::get_sset_count_callback);
        ops.get_strings = Some(Self::get_strings_callback);
        ops.get_ethtool_stats = Some(Self::get_ethtool_stats_callback);
        ops
    };

    pub(super) const fn build() -> &'static bindings::ethtool_ops {
        &Self::VTABLE
    }
}
