// SPDX-License-Identifier: GPL-2.0

//! The CPUs of the machine, and their purposes.
//!
//! C headers: [`include/linux/cpumask.h`](srctree/include/linux/cpumask.h),
//! [`include/linux/sched/isolation.h`](srctree/include/linux/sched/isolation.h)

use super::bindings;
use kernel::{cpu::CpuId, sync::rcu};

/// All CPUs that there can be.
pub fn possible_cpus() -> impl Iterator<Item = CpuId> {
    let mut cpu = -1;
    core::iter::from_fn(move || {
        // SAFETY: Any number of at least -1 and below `nr_cpu_ids` may be given.
        let next = unsafe { bindings::rust_helper_cpumask_next_possible(cpu) };
        cpu = next.try_into().ok()?;
        CpuId::from_i32(cpu)
    })
    // C warns of a number behind the last one.
    .fuse()
}

/// Whether there can be this CPU.
pub fn is_possible(cpu: CpuId) -> bool {
    // SAFETY: The number is that of a CPU.
    unsafe { bindings::rust_helper_cpu_possible(cpu.as_u32()) }
}

/// Whether a CPU does work that may be done on any CPU: it is in no isolated partition of
/// cpusets nor in `isolcpus=`, and not in `nohz_full=`. A kernel without
/// `CONFIG_CPU_ISOLATION` has no other CPUs. Partitions may change at once.
pub fn is_housekeeping(cpu: CpuId) -> bool {
    // `housekeeping_update()` frees the mask of before after a grace period.
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
