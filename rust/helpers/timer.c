// SPDX-License-Identifier: GPL-2.0
#include <linux/hrtimer.h>
#include <linux/timer.h>

/* The macro defines the lock class as a static. */
void rust_helper_timer_setup(struct timer_list *timer, void (*function)(struct timer_list *))
{
	timer_setup(timer, function, 0);
}

bool rust_helper_timer_pending(const struct timer_list *timer)
{
	return timer_pending(timer);
}

unsigned int rust_helper_jiffies_to_msecs(unsigned long j)
{
	return jiffies_to_msecs(j);
}

bool rust_helper_hrtimer_is_queued(struct hrtimer *timer)
{
	return hrtimer_is_queued(timer);
}
