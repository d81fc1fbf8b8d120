// SPDX-License-Identifier: GPL-2.0
/*
 * Packet generator: sends k packets in one section with bottom halves off, as
 * a NAPI poll or a GSO segmenter does. (pktgen turns them on after each packet,
 * so that no stage holds more than one.) Runs at load, logs the duration, and
 * fails the load with EAGAIN.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/hex.h>
#include <linux/interrupt.h>
#include <linux/ip.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/net_namespace.h>

static char *dev = "";
module_param(dev, charp, 0);
MODULE_PARM_DESC(dev, "device to send on, in the network namespace of insmod");

static char *frame = "";
module_param(frame, charp, 0);
MODULE_PARM_DESC(frame, "frame in hexadecimal, including the link header");

static int header = ETH_HLEN;
module_param(header, int, 0);
MODULE_PARM_DESC(header, "length of the link header");

static int n = 100000;
module_param(n, int, 0);
MODULE_PARM_DESC(n, "number of packets");

static int k = 1;
module_param(k, int, 0);
MODULE_PARM_DESC(k, "packets per section with bottom halves off");

static uint priority;
module_param(priority, uint, 0);
MODULE_PARM_DESC(priority, "skb->priority");

static uint gap;
module_param(gap, uint, 0);
MODULE_PARM_DESC(gap, "busy wait after each packet in microseconds");

static ushort gso;
module_param(gso, ushort, 0);
MODULE_PARM_DESC(gso, "gso_size of an IPv4 TCP frame in bytes, with CHECKSUM_UNNECESSARY like after LRO; 0: no GSO");

static u8 data[2048];

/* Markers for scripts/profile.c: no-ops without it. */
static __always_inline void mark_begin(void)
{
#ifdef CONFIG_X86_64
	asm volatile("xchg %%bx, %%bx" ::: "memory");
#endif
}

static __always_inline void mark_end(void)
{
#ifdef CONFIG_X86_64
	asm volatile("xchg %%cx, %%cx" ::: "memory");
#endif
}

static int send(struct net_device *netdev, int len)
{
	struct sk_buff *skb;

	skb = alloc_skb(LL_MAX_HEADER + len, GFP_ATOMIC);
	if (!skb)
		return -ENOMEM;
	skb_reserve(skb, LL_MAX_HEADER);
	skb_put_data(skb, data, len);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, header);
	skb->dev = netdev;
	skb->protocol = htons(ETH_P_IP);
	skb->priority = priority;
	if (gso) {
		skb_set_transport_header(skb, header + sizeof(struct iphdr));
		skb_shinfo(skb)->gso_type = SKB_GSO_TCPV4;
		skb_shinfo(skb)->gso_size = gso;
		skb_shinfo(skb)->gso_segs = DIV_ROUND_UP(len - header - sizeof(struct iphdr) -
							 sizeof(struct tcphdr), gso);
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	}
	dev_queue_xmit(skb);
	return 0;
}

static int run(struct net_device *netdev, int len)
{
	int sent = 0, i, err = 0;
	unsigned int left;
	ktime_t began;
	bool late = false;
	s64 ns;

	mark_begin();
	began = ktime_get();
	while (sent < n && !err) {
		local_bh_disable();
		for (i = 0; i < k && sent < n && !err; i++, sent++) {
			err = send(netdev, len);
			for (left = gap; left; left -= min(left, 1000u))
				udelay(min(left, 1000u));
		}
		local_bh_enable();
		if (!(sent & 1023))
			cond_resched();
	}
	ns = ktime_to_ns(ktime_sub(ktime_get(), began));
	mark_end();
	/* late: work is left to ksoftirqd, which the duration does not include. */
#ifndef CONFIG_UML /* does not export irq_stat */
	preempt_disable();
	late = local_softirq_pending() &
	       (BIT(NET_RX_SOFTIRQ) | BIT(NET_TX_SOFTIRQ) | BIT(TASKLET_SOFTIRQ));
	preempt_enable();
#endif
	pr_info("%s n=%d k=%d late=%d ns=%lld\n", dev, sent, k, late, ns);
	return err;
}

static int __init spans_gen_init(void)
{
	int len = strlen(frame) / 2, err = -EINVAL;
	struct net_device *netdev;

	if (n < 1 || k < 1 || len < header || header < 0 || len > sizeof(data) ||
	    (gso && len <= header + sizeof(struct iphdr) + sizeof(struct tcphdr) + gso) ||
	    hex2bin(data, frame, len))
		return -EINVAL;
	netdev = dev_get_by_name(current->nsproxy->net_ns, dev);
	if (!netdev)
		return -ENODEV;
	if (netif_running(netdev))
		err = run(netdev, len);
	dev_put(netdev);
	/* An error unloads the module, so that it can be loaded for the next run. */
	return err ?: -EAGAIN;
}
module_init(spans_gen_init);

MODULE_DESCRIPTION("Packet generator for the tests of spans");
MODULE_LICENSE("GPL");
