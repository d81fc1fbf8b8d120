// SPDX-License-Identifier: GPL-2.0
#include <linux/cpumask.h>
#include <linux/sched/isolation.h>
#include <linux/smp.h>

void rust_helper_INIT_CSD(call_single_data_t *csd, smp_call_func_t func, void *info)
{
	INIT_CSD(csd, func, info);
}

bool rust_helper_cpu_possible(unsigned int cpu)
{
	return cpu_possible(cpu);
}

bool rust_helper_housekeeping_cpu(int cpu, enum hk_type type)
{
	return housekeeping_cpu(cpu, type);
}
