// SPDX-License-Identifier: GPL-2.0
#define CREATE_TRACE_POINTS
#include <spans/trace.h>

void rust_helper_trace_spans_arp_remove(const struct net_device *dev, __be32 ip, const char *why)
{
	trace_spans_arp_remove(dev, ip, why);
}
