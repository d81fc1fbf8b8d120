// SPDX-License-Identifier: GPL-2.0
#include <linux/sched/signal.h>

int rust_helper_restart_syscall(void)
{
	return restart_syscall();
}
