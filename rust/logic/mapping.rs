// SPDX-License-Identifier: GPL-2.0

//! Which CPU sends on which subqueue.
//!
//! The ancestors are `ifq_mapsubq_default()`, `ifq_mapsubq_mask()` and the later
//! `ifq_mapsubq_modulo()` of DragonFly (`sys/net/altq/altq_subr.c`).

/// A rule. The names are what the user reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// All CPUs send on subqueue 0.
    Default,
    /// The number of the CPU masked, for a power of two of subqueues; others are
    /// not used.
    Mask,
    /// The number of the CPU modulo the number of subqueues, whatever that is.
    Modulo,
}

const NAMES: [(&str, Mapping); 3] = [
    ("default", Mapping::Default),
    ("mask", Mapping::Mask),
    ("modulo", Mapping::Modulo),
];

impl Mapping {
    /// The rule with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find_map(|(known, mapping)| (*known == name).then_some(*mapping))
    }

    /// The name of the rule.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Mask => "mask",
            Self::Modulo => "modulo",
        }
    }

    /// The subqueue on which a CPU sends, of `queues`; 0 of none.
    pub const fn queue(self, cpu: usize, queues: usize) -> usize {
        match self {
            Self::Default => 0,
            Self::Mask => cpu & (ring_count2(0, queues, queues) - 1),
            Self::Modulo => match cpu.checked_rem(queues) {
                Some(queue) => queue,
                None => 0,
            },
        }
    }
}

/// How many rings there shall be, when `wanted` (0: as many as possible) are asked
/// for, the device has `max` and the machine `cpus`: a power of two, at least 1
/// (DragonFly `if_ring_count2()`).
pub const fn ring_count2(wanted: usize, max: usize, cpus: usize) -> usize {
    let mut count = if wanted == 0 || wanted > max {
        max
    } else {
        wanted
    };
    if count > cpus {
        count = cpus;
    }
    match count.checked_ilog2() {
        Some(log) => 1 << log,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_46_every_mapping_stays_below_the_number_of_queues() {
        for (name, mapping) in NAMES {
            assert_eq!(Mapping::from_name(name), Some(mapping));
            assert_eq!(mapping.name(), name);
            for queues in 1..70 {
                let mut used = vec![false; queues];
                for cpu in 0..200 {
                    used[mapping.queue(cpu, queues)] = true;
                }
                let wanted = match mapping {
                    Mapping::Default => 1,
                    Mapping::Mask => ring_count2(0, queues, 200),
                    // W6: none is idle, whatever their number.
                    Mapping::Modulo => queues,
                };
                assert_eq!(used.iter().filter(|used| **used).count(), wanted);
            }
        }
        assert_eq!(Mapping::from_name("Modulo"), None);
    }

    #[test]
    fn inv_47_ring_count2_is_a_power_of_two_within_all_bounds() {
        for wanted in 0..40 {
            for max in 1..40 {
                for cpus in 1..40 {
                    let count = ring_count2(wanted, max, cpus);
                    let bound = if wanted == 0 { max } else { wanted.min(max) }.min(cpus);
                    assert!(count.is_power_of_two() && count <= bound && 2 * count > bound);
                }
            }
        }
    }
}
