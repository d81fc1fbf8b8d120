// SPDX-License-Identifier: GPL-2.0
#include <linux/percpu.h>

void __percpu *rust_helper___alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp)
{
	return __alloc_percpu_gfp(size, align, gfp);
}

void *rust_helper_per_cpu_ptr(void __percpu *ptr, unsigned int cpu)
{
	return per_cpu_ptr(ptr, cpu);
}

/* Any context: one instruction, or with interrupts off where there is none. */
void rust_helper_this_cpu_add_u64(u64 __percpu *ptr, u64 value)
{
	this_cpu_add(*ptr, value);
}

unsigned int rust_helper_cpumask_next_possible(int cpu)
{
	return cpumask_next(cpu, cpu_possible_mask);
}
