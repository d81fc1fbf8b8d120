/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen for rust/net/bindings.rs. */
#ifndef _SPANS_BINDINGS_HELPER_H
#define _SPANS_BINDINGS_HELPER_H

/* netdevice.h uses hrtimers without including this. */
#include <linux/hrtimer_types.h>

#if !IS_ENABLED(CONFIG_NETFILTER_FAMILY_ARP)
#error "spans needs CONFIG_NETFILTER_FAMILY_ARP (selected by CONFIG_NF_TABLES_ARP)"
#endif

#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dynamic_queue_limits.h>
#include <linux/ethtool.h>
#include <linux/hrtimer.h>
#include <linux/if_arp.h>
#include <linux/inetdevice.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/netfilter_arp.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched/isolation.h>
#include <linux/seq_file.h>
#include <linux/skbuff.h>
#include <linux/smp.h>
#include <linux/sysfs.h>
#include <linux/timer.h>
#include <net/arp.h>
#include <net/gso.h>
#include <net/neighbour.h>
#include <net/net_namespace.h>
#include <net/netevent.h>
#include <net/route.h>
#include <net/rtnetlink.h>

#include <spans/helpers.h>

/* Macros that bindgen cannot evaluate. */
static const gfp_t SPANS_GFP_ATOMIC = GFP_ATOMIC;
static const gfp_t SPANS_GFP_KERNEL_ACCOUNT = GFP_KERNEL_ACCOUNT;
static const netdev_features_t SPANS_NETIF_F_GRO = NETIF_F_GRO;
static const netdev_features_t SPANS_NETIF_F_GRO_HW = NETIF_F_GRO_HW;
static const netdev_features_t SPANS_NETIF_F_RXCSUM = NETIF_F_RXCSUM;
static const netdev_features_t SPANS_NETIF_F_CSUM = NETIF_F_HW_CSUM | NETIF_F_SCTP_CRC;
static const netdev_features_t SPANS_NETIF_F_SG =
	NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HIGHDMA;
static const netdev_features_t SPANS_NETIF_F_GSO =
	NETIF_F_GSO_SOFTWARE | NETIF_F_GSO_ENCAP_ALL;
static const u32 SPANS_NETIF_MSG_DRV = NETIF_MSG_DRV;
static const u32 SPANS_NETIF_MSG_RX_ERR = NETIF_MSG_RX_ERR;
static const u32 SPANS_NETIF_MSG_TX_ERR = NETIF_MSG_TX_ERR;
static const u32 SPANS_SKB_GSO_TCP = SKB_GSO_TCPV4 | SKB_GSO_TCPV6;
static const u32 SPANS_SKB_GSO_UDP_L4 = SKB_GSO_UDP_L4;
static const u32 SPANS_NEIGH_UPDATE_F_OVERRIDE = NEIGH_UPDATE_F_OVERRIDE;
static const u32 SPANS_NEIGH_UPDATE_F_ADMIN = NEIGH_UPDATE_F_ADMIN;
static const u32 SPANS_NTF_EXT_VALIDATED = NTF_EXT_VALIDATED;
static const u32 SPANS_NTF_KEPT = NTF_EXT_LEARNED | NTF_MANAGED | NTF_EXT_VALIDATED;
static const unsigned int SPANS_DQL_MAX_OBJECT = DQL_MAX_OBJECT;
static const unsigned int SPANS_COALESCE_TX_AGGR = ETHTOOL_COALESCE_TX_AGGR;

#endif
