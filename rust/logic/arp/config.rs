// SPDX-License-Identifier: GPL-2.0

//! What the user can set of the table of a device.

use crate::config::OutOfRange;
use core::ops::RangeInclusive;

/// A number that the user can set. The names are those of the files in sysfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// A tick of aging, in milliseconds.
    TickMs,
    /// Ticks that an entry is believed after it was heard of last.
    Ticks,
    /// Between two requests, in milliseconds.
    RetransMs,
    /// Requests before it is given up.
    Probes,
    /// How long nobody is asked who did not answer, in milliseconds.
    HoldMs,
    /// Entries.
    MaxEntries,
}

const DAY_MS: u32 = 24 * 60 * 60 * 1000;
const MS: u64 = 1_000_000;

impl Param {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::TickMs,
        Self::Ticks,
        Self::RetransMs,
        Self::Probes,
        Self::HoldMs,
        Self::MaxEntries,
    ];

    /// What it can be set to.
    pub const fn range(self) -> RangeInclusive<u32> {
        match self {
            Self::TickMs | Self::RetransMs => 10..=DAY_MS,
            Self::Ticks => 1..=10_000,
            Self::Probes => 1..=100,
            Self::HoldMs => 0..=DAY_MS,
            // Growing takes a moment for each, in which no packet is looked at.
            Self::MaxEntries => 1..=1 << 17,
        }
    }

    /// What a new device has.
    const fn default(self) -> u32 {
        match self {
            // FreeBSD `spans_cls.h`: SPANSARP_AGING, SPANSARP_MAXAGE, SPANSARP_RETRY.
            Self::TickMs => 60_000,
            Self::Ticks => 20,
            Self::RetransMs => 3_000,
            // Net/3 `if_ether.c`: arp_maxtries, arpt_down.
            Self::Probes => 5,
            Self::HoldMs => 20_000,
            // `gc_thresh3` of the kernel's table, where the user has not changed that.
            Self::MaxEntries => 1024,
        }
    }
}

/// All that can be set. By default as the user finds it on a new device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config([u32; Param::ALL.len()]);

impl Default for Config {
    fn default() -> Self {
        Self(Param::ALL.map(Param::default))
    }
}

impl Config {
    /// The value of a knob.
    pub fn get(&self, param: Param) -> u32 {
        self.0.get(param as usize).copied().unwrap_or(0)
    }

    /// Sets a knob. Out of range nothing is changed.
    pub fn set(&mut self, param: Param, value: u32) -> Result<(), OutOfRange> {
        if !param.range().contains(&value) {
            return Err(OutOfRange);
        }
        *self.0.get_mut(param as usize).ok_or(OutOfRange)? = value;
        Ok(())
    }

    /// What follows for the table.
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

/// What the table is to do, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long an entry is believed after it was heard of last.
    pub lifetime: u64,
    /// How long before its end a host that was sent to is asked whether it is still there, at
    /// most.
    pub tick: u64,
    /// Between two requests, on average.
    pub retry: u64,
    /// Requests before it is given up.
    pub tries: u8,
    /// How long nobody is asked who did not answer.
    pub hold: u64,
    /// Entries.
    pub limit: usize,
}

impl Settings {
    /// How long before its end an entry is looked at.
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
