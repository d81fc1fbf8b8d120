/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM spans

#if !defined(_SPANS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _SPANS_TRACE_H

#include <linux/netdevice.h>
#include <linux/tracepoint.h>

/* An entry was removed from the ARP table of a device, for the reason why. */
TRACE_EVENT(spans_arp_remove,
	TP_PROTO(const struct net_device *dev, __be32 ip, const char *why),
	TP_ARGS(dev, ip, why),
	TP_STRUCT__entry(
		__string(dev, dev->name)
		__string(why, why)
		__field(__be32, ip)
	),
	TP_fast_assign(
		__assign_str(dev);
		__assign_str(why);
		__entry->ip = ip;
	),
	TP_printk("dev=%s ip=%pI4 why=%s", __get_str(dev), &__entry->ip, __get_str(why))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH spans
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
