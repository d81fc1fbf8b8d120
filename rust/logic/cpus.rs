// SPDX-License-Identifier: GPL-2.0

//! The CPUs of a queue: those that send on it, by a [`Mapping`], and its owner, which polls it,
//! by a list of [`Run`]s.
//!
//! The ancestors of the mappings are `ifq_mapsubq_default()`, `ifq_mapsubq_mask()` and
//! the later `ifq_mapsubq_modulo()` of DragonFly (`sys/net/altq/altq_subr.c`).

use core::{
    fmt,
    iter::{repeat, repeat_n},
    str::FromStr, //
};

/// Maps the sending CPU to a subqueue. The user reads and writes the names in `NAMES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// All CPUs send on subqueue 0.
    Default,
    /// The CPU number masked by a power of two of subqueues; the remaining subqueues are
    /// unused.
    Mask,
    /// The CPU number modulo the number of subqueues, which need not be a power of two.
    Modulo,
}

const NAMES: [(&str, Mapping); 3] = [
    ("default", Mapping::Default),
    ("mask", Mapping::Mask),
    ("modulo", Mapping::Modulo),
];

impl Mapping {
    /// Returns the mapping with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find_map(|(known, mapping)| (*known == name).then_some(*mapping))
    }

    /// Returns the name of the mapping.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Mask => "mask",
            Self::Modulo => "modulo",
        }
    }

    /// Returns the subqueue on which `cpu` sends, of `queues`; 0 if there are none.
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

/// Returns the number of rings if `wanted` (0: as many as possible) are requested, the device
/// has `max` and the machine `cpus` CPUs: a power of two, at least 1 (DragonFly
/// `if_ring_count2()`).
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

/// An element of a CPU list in the user's syntax: `7`, `0-3` (each of them) or `7*16` (CPU 7 for
/// 16 queues).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// The first and the last CPU, which is not below the first.
    Each(u32, u32),
    /// A CPU, and for how many queues: at least one.
    Same(u32, u32),
}

/// The text is no element of a CPU list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl FromStr for Run {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let number = |text: &str| match text.as_bytes().first() {
            Some(b'0'..=b'9') => text.parse::<u32>().map_err(|_| Malformed),
            _ => Err(Malformed),
        };
        if let Some((cpu, count)) = text.split_once('*') {
            return match (number(cpu)?, number(count)?) {
                (_, 0) => Err(Malformed),
                (cpu, count) => Ok(Self::Same(cpu, count)),
            };
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (number(first)?, number(last)?) {
            (first, last) if first <= last => Ok(Self::Each(first, last)),
            _ => Err(Malformed),
        }
    }
}

/// The user's syntax, not longer than the parsed text.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Each(first, last) if first == last => write!(f, "{first}"),
            Self::Each(first, last) => write!(f, "{first}-{last}"),
            Self::Same(cpu, count) => write!(f, "{cpu}*{count}"),
        }
    }
}

impl Run {
    /// Returns each CPU of the element once.
    pub fn cpus(self) -> impl Iterator<Item = u32> {
        match self {
            Self::Each(first, last) => first..=last,
            Self::Same(cpu, _) => cpu..=cpu,
        }
    }

    /// Returns the owners of consecutive queues.
    fn owners(self) -> impl Iterator<Item = u32> + Clone {
        let count = match self {
            Self::Each(..) => 1,
            Self::Same(_, count) => count as usize,
        };
        let (first, last) = match self {
            Self::Each(first, last) => (first, last),
            Self::Same(cpu, _) => (cpu, cpu),
        };
        (first..=last).flat_map(move |cpu| repeat_n(cpu, count))
    }

    /// Appends `cpu` if it is the next number. Returns whether it was appended.
    fn extend(&mut self, cpu: u32) -> bool {
        match self {
            Self::Each(_, last) if last.checked_add(1) == Some(cpu) => {
                *last = cpu;
                true
            }
            _ => false,
        }
    }
}

/// Parses a CPU list. Its elements are separated by commas or blanks.
pub fn parse(text: &str) -> impl Iterator<Item = Result<Run, Malformed>> + '_ {
    text.split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|part| !part.is_empty())
        .map(Run::from_str)
}

/// Returns the owner of each queue: the CPUs of the list, in turn. With an empty list a queue has
/// no owner: it is polled on the CPU on which its doorbell rings.
pub fn owners(list: &[Run]) -> impl Iterator<Item = Option<u32>> + '_ {
    list.iter()
        .flat_map(|run| run.owners())
        .cycle()
        .map(Some)
        .chain(repeat(None))
}

/// Most elements in the list of a new device. With CPU numbers of four digits its text is less
/// than a page long.
const MOST_RUNS: usize = 400;

/// Returns the owners for a new device, as runs of `cpus`, which are in order.
///
/// An owner polls on behalf of every CPU that sends on its queue, and a sender can select any
/// queue (`skbedit queue_mapping`). So an isolated CPU is no owner, and the list is empty unless
/// the creator of the device `is_privileged`: has `CAP_NET_ADMIN` in the initial user namespace.
pub fn first_owners(
    is_privileged: bool,
    cpus: impl Iterator<Item = u32>,
    is_housekeeping: impl Fn(u32) -> bool,
) -> impl Iterator<Item = Run> {
    let mut cpus = cpus.filter(move |cpu| is_privileged && is_housekeeping(*cpu));
    let mut next = cpus.next();
    core::iter::from_fn(move || {
        let first = next?;
        let mut run = Run::Each(first, first);
        loop {
            next = cpus.next();
            match next {
                Some(cpu) if run.extend(cpu) => {}
                _ => return Some(run),
            }
        }
    })
    .take(MOST_RUNS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*, prop_oneof};

    fn runs(text: &str) -> Vec<Run> {
        parse(text).collect::<Result<_, _>>().unwrap()
    }

    fn written(list: &[Run]) -> String {
        let runs: Vec<_> = list.iter().map(Run::to_string).collect();
        runs.join(",")
    }

    fn of_queues(text: &str, queues: usize) -> Vec<Option<u32>> {
        owners(&runs(text)).take(queues).collect()
    }

    #[test]
    fn queues_take_the_cpus_of_a_list_in_turn() {
        let some = |cpus: &[u32]| cpus.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(of_queues("3", 3), some(&[3, 3, 3]));
        assert_eq!(of_queues("1 0", 5), some(&[1, 0, 1, 0, 1]));
        assert_eq!(of_queues("0-2,7", 6), some(&[0, 1, 2, 7, 0, 1]));
        assert_eq!(of_queues("0*2\t5*1,2-3", 7), some(&[0, 0, 5, 2, 3, 0, 0]));
        assert_eq!(of_queues("9*4294967295", 2), some(&[9, 9]));
        assert_eq!(of_queues("0-4294967295", 2), some(&[0, 1]));
        assert_eq!(of_queues(" , ", 3), vec![None; 3]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "x",
            "-1",
            "0-",
            "1-0",
            "0*0",
            "0*",
            "*2",
            "0*x",
            "0-0*2",
            "0*1-2",
            "+1",
            "0x1",
            "0-4294967296",
            "0*4294967296",
            "0;0",
            "-",
            "*",
            "0--1",
            "0**2",
        ] {
            assert_eq!(parse(text).next(), Some(Err(Malformed)), "{text}");
            assert!(parse(&format!("0,{text}")).any(|run| run.is_err()));
        }
    }

    #[test]
    fn only_the_machine_gives_a_device_owners_and_only_housekeeping_cpus() {
        let first = |is_privileged, isolated: &[u32]| {
            let list: Vec<_> =
                first_owners(is_privileged, 0..8, |cpu| !isolated.contains(&cpu)).collect();
            written(&list)
        };
        assert_eq!(first(true, &[]), "0-7");
        assert_eq!(first(true, &[1]), "0,2-7");
        assert_eq!(first(true, &[0, 3, 5, 7]), "1-2,4,6");
        assert_eq!(first(true, &[0, 1, 2, 3, 4, 5, 6, 7]), "");
        assert_eq!(first(false, &[]), "");
    }

    #[test]
    fn the_first_list_is_less_than_a_page() {
        let list: Vec<_> = first_owners(true, 1000..8192, |cpu| cpu % 3 != 0).collect();
        assert!((3000..4094).contains(&written(&list).len()));
        let list: Vec<_> = first_owners(true, 0..8192, |_| true).collect();
        assert_eq!(written(&list), "0-8191");
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read_and_is_no_longer(
            list in vec(
                prop_oneof![
                    (any::<u32>(), any::<u32>()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
                    (any::<u32>(), 1..=u32::MAX).prop_map(|(cpu, count)| format!("{cpu}*{count}")),
                    (0..100_u32).prop_map(|cpu| format!("{cpu:02}")),
                ],
                0..20,
            ),
            blank in "[ ,\t\n]{1,3}",
        ) {
            let text = list.join(&blank);
            let list = runs(&text);
            prop_assert!(written(&list).len() <= text.len());
            prop_assert_eq!(runs(&written(&list)), list);
        }
    }

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
                    // W6: every queue is used, whatever their number.
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
