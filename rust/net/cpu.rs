// SPDX-License-Identifier: GPL-2.0

//! CPUs and CPU isolation.
//!
//! C headers: [`include/linux/cpumask.h`](srctree/include/linux/cpumask.h),
//! [`include/linux/sched/isolation.h`](srctree/include/linux/sched/isolation.h)

use super::bindings;
use kernel::{cpu::CpuId, sync::rcu};

/// Returns all possible CPUs: `for_each_possible_cpu()`. Any context.
pub fn possible_cpus() -> impl Iterator<Item = CpuId> {
    let mut cpu = -1;
    core::iter::from_fn(move || {
        // SAFETY: The number is at least -1 and less than `nr_cpu_ids`.
        let next = unsafe { bindings::rust_helper_cpumask_next_possible(cpu) };
        cpu = next.try_into().ok()?;
        CpuId::from_i32(cpu)
    })
    // C warns about a number behind the last one.
    .fuse()
}

/// Returns whether this CPU is possible: `cpu_possible()`. Any context.
pub fn is_possible(cpu: CpuId) -> bool {
    // SAFETY: The number is that of a CPU.
    unsafe { bindings::rust_helper_cpu_possible(cpu.as_u32()) }
}

/// Returns whether a CPU is a housekeeping CPU: in no isolated partition of cpusets, not in
/// `isolcpus=` and not in `nohz_full=`. True for all CPUs without `CONFIG_CPU_ISOLATION`.
/// Partitions may change at any time. Any context.
pub fn is_housekeeping(cpu: CpuId) -> bool {
    // `housekeeping_update()` frees the old mask after a grace period.
    let _rcu = rcu::read_lock();
    [
        bindings::hk_type_HK_TYPE_DOMAIN,
        bindings::hk_type_HK_TYPE_MANAGED_IRQ,
        bindings::hk_type_HK_TYPE_KERNEL_NOISE,
    ]
    .into_iter()
    // SAFETY: The number is that of a CPU, and this is an RCU read-side critical section.
    .all(|of| unsafe { bindings::rust_helper_housekeeping_cpu(cpu.into(), of) })
}
