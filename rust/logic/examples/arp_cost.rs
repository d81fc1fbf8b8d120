// SPDX-License-Identifier: GPL-2.0

//! Benchmark of the ARP table.
//!
//! Prints lines `arp NAME ENTRIES COST`: nanoseconds per operation in a table with a limit of
//! ENTRIES. `scripts/bench.sh` runs it where the clock counts instructions. Each operation is timed
//! for a batch of entries, in several rounds; the minimum counts, as interrupts disturb the others.

use spans_logic::{
    address::Address,
    arp::{
        config::Settings,
        event::{AddressInfo, Neighbour, RxOutcome, SenderType},
        packet::{Host, Operation, Packet},
        slots::Bucket,
        table::{Slot, Table, SPARE_SLOTS},
    },
};
use std::{collections::HashSet, hint::black_box, net::Ipv4Addr, time::Instant};

type Arp = Table<Vec<Slot>, Vec<Bucket>>;

const SIZES: [usize; 2] = [1_000, 100_000];
const ROUNDS: usize = 12;

/// Number of entries that are added, used and removed, beside the resident ones.
const BATCH: usize = 500;

/// Numbers of entries that are due in one tick.
const FEW: usize = 1;
const MORE: usize = 10;
const MANY: usize = 100;

/// Time between two ticks with due entries, in nanoseconds.
const STEP: u64 = 1_000;

/// A quarter of the lifetime, much longer than all other times.
const QUARTER: u64 = 1 << 40;
const RETRY: u64 = 16_000_000;
const HOLD: u64 = 20_000_000;

/// Timeout of the retry list for a [`random`] of 0, the shortest one.
const WAIT: u64 = RETRY / 16 * 13;

fn settings(entries: usize) -> Settings {
    Settings {
        lifetime: 4 * QUARTER,
        tick: QUARTER,
        retry: RETRY,
        tries: 2,
        hold: HOLD,
        limit: entries,
    }
}

/// A constant, so that entries requested together are retried together.
fn random() -> u32 {
    black_box(0)
}

/// Returns distinct addresses in no order, the same ones in each run.
fn addresses(count: usize) -> Vec<Ipv4Addr> {
    let mut seen = HashSet::new();
    let mut state = 1u64;
    std::iter::repeat_with(|| {
        // Knuth's MMIX generator; its lower bits are poor.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Ipv4Addr::from((10 << 24) | (state >> 40) as u32)
    })
    .filter(|ip| seen.insert(*ip))
    .take(count)
    .collect()
}

fn packets(ips: &[Ipv4Addr]) -> Vec<Packet> {
    let hardware = Address::new([2, 0, 0, 0, 0, 0, 0, 1]);
    let target = Host {
        ip: Ipv4Addr::new(192, 0, 2, 1),
        hardware,
    };
    ips.iter()
        .map(|&ip| Packet {
            operation: Operation::Request,
            sender: Host { ip, hardware },
            target,
        })
        .collect()
}

/// Returns the nanoseconds for an operation on all items.
fn time<T>(items: &[T], mut operation: impl FnMut(&T)) -> u64 {
    let begin = Instant::now();
    for item in items {
        operation(black_box(item));
    }
    begin.elapsed().as_nanos() as u64
}

/// The minimum cost of an operation.
#[derive(Default)]
struct Cost {
    name: String,
    operations: usize,
    with: Option<u64>,
    /// Cost of an empty loop and of reading the clock.
    without: Option<u64>,
}

impl Cost {
    /// Returns tenths of a nanosecond per operation.
    fn tenths(&self) -> u64 {
        let all = self.with.unwrap_or(0) - self.without.unwrap_or(0);
        all * 10 / self.operations as u64
    }
}

struct Rig {
    table: Table<Vec<Slot>, Vec<Bucket>>,
    now: u64,
    residents: Vec<Packet>,
    costs: Vec<Cost>,
}

impl Rig {
    fn new(entries: usize, residents: &[Ipv4Addr]) -> Self {
        let room = entries + SPARE_SLOTS;
        let slots = vec![Slot::default(); room];
        let buckets = vec![Bucket::default(); room];
        let mut table = Table::new(slots, buckets, 0x9e37_79b9, settings(entries));
        table.up();
        Self {
            table,
            now: 0,
            residents: packets(residents),
            costs: Vec::new(),
        }
    }

    /// Times an operation on the table for each item, with the clock of the table stopped.
    fn measure<T>(
        &mut self,
        name: &str,
        items: &[T],
        mut operation: impl FnMut(&mut Arp, &T, u64),
    ) {
        let (table, now) = (&mut self.table, self.now);
        let with = time(items, |item| operation(table, item, black_box(now)));
        let without = time(items, |_| {
            black_box(now);
        });
        let known = self.costs.iter().position(|cost| cost.name == name);
        let index = known.unwrap_or_else(|| {
            self.costs.push(Cost {
                name: name.into(),
                operations: items.len(),
                ..Cost::default()
            });
            self.costs.len() - 1
        });
        let cost = &mut self.costs[index];
        cost.with = cost.with.into_iter().chain([with]).min();
        cost.without = cost.without.into_iter().chain([without]).min();
    }

    fn process(&mut self, name: &str, packets: &[Packet]) {
        self.measure(name, packets, |table, packet, now| {
            black_box(process(table, packet, now));
        });
    }

    fn resolve(&mut self, name: &str, ips: &[Ipv4Addr]) {
        self.measure(name, ips, |table, ip, now| {
            black_box(table.resolve(*ip, now, random()));
        });
    }

    /// Deletes entries as the user does.
    fn remove(&mut self, name: &str, ips: &[Ipv4Addr]) {
        self.measure(name, ips, |table, ip, now| {
            table.neighbour(*ip, black_box(Neighbour::Failed), now);
        });
    }

    fn next_update(&mut self, name: &str, ips: &[Ipv4Addr]) {
        self.measure(name, ips, |table, _, _| {
            black_box(table.next_update());
        });
        assert!(!self.table.has_updates());
    }

    /// Times ticks, in each of which `each` entries are due.
    fn tick(&mut self, name: &str, each: usize) {
        let times: Vec<u64> = (0..BATCH / each)
            .map(|tick| self.now + tick as u64 * STEP)
            .collect();
        self.measure(&format!("{name}-{each}"), &times, |table, now, _| {
            let out = |due| {
                black_box(due);
            };
            black_box(table.tick(*now, black_box(usize::MAX), random, out));
        });
    }

    fn refresh_residents(&mut self) {
        for packet in &self.residents {
            process(&mut self.table, packet, self.now);
        }
        while self.table.next_update().is_some() {}
    }

    fn single(&mut self, residents: &[Ipv4Addr], strangers: &[Ipv4Addr], never: &[Ipv4Addr]) {
        let replies = packets(strangers);
        self.refresh_residents();

        self.resolve("insert-resolve", strangers);
        self.process("answer", &replies);
        self.next_update("tell-valid", strangers);
        // Sample of the oldest and the newest entries.
        let all = [strangers, residents].concat();
        let some: Vec<Ipv4Addr> = all.chunks_exact(all.len() / BATCH).map(|c| c[0]).collect();
        self.measure("lookup-hit", &some, |table, ip, _| {
            black_box(table.lookup(*ip));
        });
        self.measure("lookup-miss", never, |table, ip, _| {
            black_box(table.lookup(*ip));
        });
        self.process("refresh", &replies);
        self.resolve("resolve-known", strangers);
        self.next_update("tell-valid", strangers);
        self.table.pause_updates();
        self.remove("remove", strangers);
        assert_eq!(self.table.len(), residents.len());

        self.process("insert-process", &replies);
        self.next_update("tell-valid", strangers);
        self.process("refresh-unasked", &replies);
        self.remove("remove-unasked", strangers);
        assert_eq!(self.table.len(), residents.len());

        self.measure("tick-0", strangers, |table, _, now| {
            black_box(table.tick(now, black_box(usize::MAX), random, |due| {
                black_box(due);
            }));
        });
        self.measure("tell-nothing", strangers, |table, _, _| {
            black_box(table.next_update());
        });
        self.measure("next-timeout", strangers, |table, _, _| {
            black_box(table.next_timeout());
        });
    }

    /// Times the actions of aging, with `each` entries due in a tick.
    fn due(&mut self, each: usize, strangers: &[Ipv4Addr]) {
        let replies = packets(strangers);
        let begin = self.now;
        for (ips, packets) in strangers.chunks(each).zip(replies.chunks(each)) {
            self.now += STEP;
            for (ip, packet) in ips.iter().zip(packets) {
                self.table.resolve(*ip, self.now, random());
                process(&mut self.table, packet, self.now);
            }
        }
        // The resident entries are confirmed later, so none of them is due.
        self.now = begin + STEP + 2 * QUARTER;
        self.refresh_residents();
        self.now = begin + STEP + 3 * QUARTER;
        self.tick("look", each);
        self.now = begin + STEP + 4 * QUARTER;
        self.tick("expire", each);
        assert_eq!(self.table.len(), self.residents.len());
        self.next_update("tell-gone", strangers);

        let begin = self.now + BATCH as u64 * STEP;
        for (group, ips) in strangers.chunks(each).enumerate() {
            for ip in ips {
                let now = begin + group as u64 * STEP;
                self.table.resolve(*ip, now, random());
            }
        }
        self.now = begin + WAIT;
        self.tick("retry", each);
        self.now += WAIT;
        self.tick("give-up", each);
        self.next_update("tell-failed", strangers);
        self.now += HOLD;
        self.tick("forget", each);
        assert_eq!(self.table.len(), self.residents.len());
        self.next_update("tell-gone", strangers);
        self.now += BATCH as u64 * STEP;
    }
}

fn process(table: &mut Arp, packet: &Packet, now: u64) -> RxOutcome {
    let ends = AddressInfo {
        sender: SenderType::Host,
        for_us: true,
    };
    table.process(packet, black_box(ends), now)
}

fn main() {
    for entries in SIZES {
        let ips = addresses(entries + BATCH);
        let (ips, never) = ips.split_at(entries);
        let (strangers, residents) = ips.split_at(BATCH);
        let mut rig = Rig::new(entries, residents);
        for _ in 0..ROUNDS {
            rig.single(residents, strangers, never);
            for each in [FEW, MORE, MANY] {
                rig.due(each, strangers);
            }
        }
        let print = |name: &str, tenths: u64| {
            println!("arp {name} {entries} {}.{}", tenths / 10, tenths % 10);
        };
        for cost in &rig.costs {
            print(&cost.name, cost.tenths());
        }
        // The fixed cost of a tick, and the cost per entry.
        for name in ["look", "expire", "retry", "give-up", "forget"] {
            let of = |each: usize| {
                let name = format!("{name}-{each}");
                let cost = rig.costs.iter().find(|cost| cost.name == name);
                cost.map_or(0, Cost::tenths)
            };
            let each = (of(MANY) - of(FEW)) / (MANY - FEW) as u64;
            print(&format!("{name}-tick"), of(FEW) - each);
            print(&format!("{name}-each"), each);
        }
    }
}
