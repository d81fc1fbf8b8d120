// SPDX-License-Identifier: GPL-2.0

//! The parameters of a device's ARP table.

use crate::config::OutOfRange;
use core::ops::RangeInclusive;

/// A parameter that the user can set, named as its file in sysfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// Length of an aging tick, in milliseconds.
    TickMs,
    /// Lifetime of an entry after its last confirmation, in ticks.
    Ticks,
    /// Mean time between two requests, in milliseconds.
    RetransMs,
    /// Requests without a reply after which an entry fails.
    Probes,
    /// Time for which a failed entry is held down, in milliseconds.
    HoldMs,
    /// Largest number of entries.
    MaxEntries,
}

const DAY_MS: u32 = 24 * 60 * 60 * 1000;
const MS: u64 = 1_000_000;

impl Param {
    /// All parameters, in the order of their discriminants.
    pub const ALL: [Self; 6] = [
        Self::TickMs,
        Self::Ticks,
        Self::RetransMs,
        Self::Probes,
        Self::HoldMs,
        Self::MaxEntries,
    ];

    /// Returns the range of valid values.
    pub const fn range(self) -> RangeInclusive<u32> {
        match self {
            Self::TickMs | Self::RetransMs => 10..=DAY_MS,
            Self::Ticks => 1..=10_000,
            Self::Probes => 1..=100,
            Self::HoldMs => 0..=DAY_MS,
            // Growing rehashes all entries with the table's lock held.
            Self::MaxEntries => 1..=1 << 17,
        }
    }

    /// Returns the value on a new device.
    const fn default(self) -> u32 {
        match self {
            // FreeBSD `spans_cls.h`: SPANSARP_AGING, SPANSARP_MAXAGE, SPANSARP_RETRY.
            Self::TickMs => 60_000,
            Self::Ticks => 20,
            Self::RetransMs => 3_000,
            // Net/3 `if_ether.c`: arp_maxtries, arpt_down.
            Self::Probes => 5,
            Self::HoldMs => 20_000,
            // `gc_thresh3` of the kernel's table by default.
            Self::MaxEntries => 1024,
        }
    }
}

/// The values of all parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config([u32; Param::ALL.len()]);

impl Default for Config {
    fn default() -> Self {
        Self(Param::ALL.map(Param::default))
    }
}

impl Config {
    /// Returns the value of a parameter.
    pub fn get(&self, param: Param) -> u32 {
        self.0.get(param as usize).copied().unwrap_or(0)
    }

    /// Sets a parameter; on error nothing is changed.
    pub fn set(&mut self, param: Param, value: u32) -> Result<(), OutOfRange> {
        if !param.range().contains(&value) {
            return Err(OutOfRange);
        }
        *self.0.get_mut(param as usize).ok_or(OutOfRange)? = value;
        Ok(())
    }

    /// Returns the values in the table's units.
    pub fn settings(&self) -> Settings {
        let ns = |param| u64::from(self.get(param)) * MS;
        let tick = ns(Param::TickMs);
        Settings {
            lifetime: tick.saturating_mul(self.get(Param::Ticks).into()),
            tick,
            retry: ns(Param::RetransMs),
            tries: self.get(Param::Probes) as u8,
            hold: ns(Param::HoldMs),
            limit: self.get(Param::MaxEntries) as usize,
        }
    }
}

/// The settings of a table. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Lifetime of an entry after its last confirmation.
    pub lifetime: u64,
    /// Longest time before the end of its lifetime at which an entry with traffic is verified.
    pub tick: u64,
    /// Mean time between two requests.
    pub retry: u64,
    /// Requests without a reply after which an entry fails.
    pub tries: u8,
    /// Time for which a failed entry is held down.
    pub hold: u64,
    /// Largest number of entries.
    pub limit: usize,
}

impl Settings {
    /// Returns the time before the end of its lifetime at which a valid entry becomes expiring.
    pub(super) fn lead(&self) -> u64 {
        self.tick.min(self.lifetime / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knobs_keep_their_ranges() {
        for param in Param::ALL {
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
    fn defaults_are_the_ancestors() {
        let settings = Config::default().settings();
        assert_eq!(settings.lifetime, 20 * 60 * 1_000_000_000);
        assert_eq!(settings.retry, 3 * 1_000_000_000);
        assert_eq!((settings.tries, settings.hold), (5, 20 * 1_000_000_000));
        assert_eq!((settings.tick, settings.limit), (60 * 1_000_000_000, 1024));
    }
}
