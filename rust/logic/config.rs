// SPDX-License-Identifier: GPL-2.0

//! The parameters of a device, without those of its ARP table.

use crate::{
    cpus::Mapping,
    line::Line,
    stage,
    subqueue::Limits,
    transmit::Settings, //
};
use core::ops::RangeInclusive;

/// A numeric parameter, named as its file in sysfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// Packets per doorbell; 0 and 1: nothing is staged.
    StageCount,
    /// Staged bytes that cause a flush; 0: nearly an MTU.
    StageBytes,
    /// Longest time in microseconds that a packet is staged; 0: until the softirq round ends.
    StageUsecs,
    /// Packets that a subqueue holds, in addition to the staged packets.
    QueueLen,
    /// Bytes that a subqueue holds; 0: derived from its limit of packets.
    QueueBytes,
    /// Rate of the line in Mbit/s; 0: frames take no time.
    RateMbit,
    /// Delay of the line in microseconds.
    DelayUsecs,
    /// Longest time of backpressure by a full RX ring without progress, in microseconds; 0: frames
    /// are dropped at once.
    TxWaitUsecs,
}

const SECOND: u32 = 1_000_000;

impl Param {
    /// Returns the range of valid values.
    pub const fn range(self) -> RangeInclusive<u32> {
        match self {
            Self::StageCount => 0..=256,
            Self::StageBytes => 0..=1 << 20,
            Self::StageUsecs | Self::DelayUsecs => 0..=SECOND,
            Self::QueueLen => 1..=65536,
            Self::QueueBytes => 0..=1 << 31,
            Self::RateMbit => 0..=1_000_000,
            // `receive::TURNS` times the maximum is less than the TX timeout.
            Self::TxWaitUsecs => 0..=SECOND / 2,
        }
    }
}

/// Valid numbers of slots of a ring, which must also be powers of two.
pub const RING_SLOTS: RangeInclusive<u32> = 16..=32768;

/// Returns whether a ring can have `slots` slots.
pub const fn is_ring_size(slots: u32) -> bool {
    slots.is_power_of_two() && slots >= *RING_SLOTS.start() && slots <= *RING_SLOTS.end()
}

/// The parameters of a device. The default is that of a new device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    stage_count: u32,
    stage_bytes: u32,
    stage_usecs: u32,
    queue_len: u32,
    queue_bytes: u32,
    rate_mbit: u32,
    delay_usecs: u32,
    tx_wait_usecs: u32,
    /// Selects the subqueue for a sending CPU.
    pub mapping: Mapping,
    tx_slots: u32,
    rx_slots: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // DragonFly's `net.link.stage_cntmax`, since it was raised from 4.
            stage_count: 16,
            stage_bytes: 0,
            stage_usecs: 0,
            queue_len: 256,
            queue_bytes: 0,
            rate_mbit: 0,
            delay_usecs: 0,
            tx_wait_usecs: 1000,
            mapping: Mapping::Modulo,
            tx_slots: 256,
            rx_slots: 1024,
        }
    }
}

/// The value is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

/// `max_protohdr` with IPv6 and TCP: a full frame is not much shorter than the MTU minus
/// this.
const MAX_PROTOHDR: usize = 60;

impl Config {
    /// Returns the value of a parameter.
    pub const fn get(&self, param: Param) -> u32 {
        match param {
            Param::StageCount => self.stage_count,
            Param::StageBytes => self.stage_bytes,
            Param::StageUsecs => self.stage_usecs,
            Param::QueueLen => self.queue_len,
            Param::QueueBytes => self.queue_bytes,
            Param::RateMbit => self.rate_mbit,
            Param::DelayUsecs => self.delay_usecs,
            Param::TxWaitUsecs => self.tx_wait_usecs,
        }
    }

    /// Sets a parameter. Changes nothing if `value` is out of range.
    pub fn set(&mut self, param: Param, value: u32) -> Result<(), OutOfRange> {
        if !param.range().contains(&value) {
            return Err(OutOfRange);
        }
        *match param {
            Param::StageCount => &mut self.stage_count,
            Param::StageBytes => &mut self.stage_bytes,
            Param::StageUsecs => &mut self.stage_usecs,
            Param::QueueLen => &mut self.queue_len,
            Param::QueueBytes => &mut self.queue_bytes,
            Param::RateMbit => &mut self.rate_mbit,
            Param::DelayUsecs => &mut self.delay_usecs,
            Param::TxWaitUsecs => &mut self.tx_wait_usecs,
        } = value;
        Ok(())
    }

    /// Returns the number of slots of a TX ring.
    pub const fn tx_slots(&self) -> u32 {
        self.tx_slots
    }

    /// Returns the number of slots of an RX ring.
    pub const fn rx_slots(&self) -> u32 {
        self.rx_slots
    }

    /// Sets the ring sizes. Changes nothing if either is invalid.
    pub fn set_slots(&mut self, tx: u32, rx: u32) -> Result<(), OutOfRange> {
        if !is_ring_size(tx) || !is_ring_size(rx) {
            return Err(OutOfRange);
        }
        self.tx_slots = tx;
        self.rx_slots = rx;
        Ok(())
    }

    /// Returns the settings of the queues of a device with this MTU and a link header of `header`
    /// bytes, on a machine with `cpus` CPUs. The limit of a subqueue includes a full stage for each
    /// CPU, so that staging alone never fills a queue.
    pub fn settings(&self, mtu: usize, header: usize, cpus: usize) -> Settings {
        let count = self.stage_count as usize;
        let frame = mtu.saturating_add(header);
        Settings {
            stage: stage::Settings {
                count,
                bytes: match self.stage_bytes {
                    0 => mtu.saturating_sub(MAX_PROTOHDR),
                    bytes => bytes as usize,
                },
                wait: u64::from(self.stage_usecs) * 1000,
            },
            limits: Limits::new(
                self.queue_len as usize,
                self.queue_bytes as usize,
                cpus,
                count,
                frame,
            ),
            slots: self.tx_slots as usize,
            line: Line {
                rate_mbit: u64::from(self.rate_mbit),
                delay: u64::from(self.delay_usecs) * 1000,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: [Param; 8] = [
        Param::StageCount,
        Param::StageBytes,
        Param::StageUsecs,
        Param::QueueLen,
        Param::QueueBytes,
        Param::RateMbit,
        Param::DelayUsecs,
        Param::TxWaitUsecs,
    ];

    #[test]
    fn knobs_keep_their_ranges() {
        for param in PARAMS {
            let mut config = Config::default();
            assert!(param.range().contains(&config.get(param)));
            for value in [*param.range().start(), *param.range().end()] {
                assert_eq!(config.set(param, value), Ok(()));
                assert_eq!(config.get(param), value);
            }
            let before = config.clone();
            assert_eq!(config.set(param, param.range().end() + 1), Err(OutOfRange));
            assert_eq!(config, before);
        }
    }

    #[test]
    fn a_new_device_has_the_documented_settings() {
        let config = Config::default();
        let values = PARAMS.map(|param| config.get(param));
        assert_eq!(values, [16, 0, 0, 256, 0, 0, 0, 1000]);
        assert_eq!((config.tx_slots(), config.rx_slots()), (256, 1024));
        assert_eq!(config.mapping, Mapping::Modulo);
        // A cluster for each packet, or a frame if that is longer.
        let limits = |mtu| config.settings(mtu, 28, 1).limits;
        assert_eq!(limits(1500).packets, 272);
        assert_eq!(limits(1500).bytes, 272 * 2048);
        assert_eq!(limits(2021).bytes, 272 * 2049);
    }

    #[test]
    fn rings_are_powers_of_two() {
        let mut config = Config::default();
        let before = config.clone();
        for bad in [0, 8, 17, 48, 65536, u32::MAX] {
            assert_eq!(config.set_slots(bad, 256), Err(OutOfRange));
            assert_eq!(config.set_slots(256, bad), Err(OutOfRange));
        }
        assert_eq!(config, before);
        assert_eq!(config.set_slots(16, 32768), Ok(()));
    }

    #[test]
    fn inv_45_staging_by_itself_never_fills_a_queue() {
        let mut config = Config::default();
        let before = config.settings(1500, 14, 4).limits.packets;
        assert_eq!(before, 256 + 4 * 16);
        // W4: the limit follows `stage_count`.
        config.set(Param::StageCount, 64).unwrap();
        assert_eq!(config.settings(1500, 14, 4).limits.packets, 256 + 4 * 64);
    }

    #[test]
    fn a_full_frame_does_not_wait() {
        let settings = Config::default().settings(1500, 14, 1);
        assert_eq!(settings.stage.bytes, 1440);
        assert_eq!(
            Config::default().settings(9180, 28, 1).limits.bytes,
            272 * 9208
        );
    }
}
