/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The headers that bindgen reads for rust/net/bindings.rs.
 */
#ifndef _SPANS_BINDINGS_HELPER_H
#define _SPANS_BINDINGS_HELPER_H

/* netdevice.h uses hrtimers without saying so */
#include <linux/hrtimer_types.h>

#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/skbuff.h>
#include <net/rtnetlink.h>

#include <spans/helpers.h>

/* Macros that bindgen cannot evaluate. */
static const gfp_t SPANS_GFP_ATOMIC = GFP_ATOMIC;
static const gfp_t SPANS_GFP_KERNEL_ACCOUNT = GFP_KERNEL_ACCOUNT;

#endif
