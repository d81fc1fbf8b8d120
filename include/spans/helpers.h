/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions of rust/helpers for rust/net. C has no state and no logic; all
 * functions are called from Rust, and none calls back.
 */
#ifndef _SPANS_HELPERS_H
#define _SPANS_HELPERS_H

#include <linux/sched/isolation.h>
#include <linux/smp.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>

struct cpumask;
struct dentry;
struct file_operations;
struct hrtimer;
struct in_device;
struct napi_struct;
struct neigh_parms;
struct neighbour;
struct net;
struct net_device;
struct netdev_queue;
struct rtnl_newlink_params;
struct sk_buff;
struct timer_list;

/* bottom_half.c */
void rust_helper_local_bh_disable(void);
void rust_helper_local_bh_enable(void);

/* debugfs.c */
struct dentry *rust_helper_debugfs_create_dir(const char *name, struct dentry *parent);
struct dentry *rust_helper_debugfs_create_file_unsafe(const char *name, umode_t mode,
						      struct dentry *parent, void *data,
						      const struct file_operations *fops);
void rust_helper_debugfs_remove(struct dentry *dentry);
int rust_helper_debugfs_file_get(struct dentry *dentry);
void rust_helper_debugfs_file_put(struct dentry *dentry);

/* layout.c */
extern const size_t spans_layout[];
extern const size_t spans_layout_len;
void rust_helper_layout_pkt_type(struct sk_buff *skb, unsigned int bits);
void rust_helper_layout_ip_summed(struct sk_buff *skb, unsigned int bits);
void rust_helper_layout_encapsulation(struct sk_buff *skb, unsigned int bits);
void rust_helper_layout_priv_flags(struct net_device *dev, unsigned long bits);

/* neighbour.c */
void *rust_helper_neighbour_priv(const struct neighbour *n);
void rust_helper_neigh_release(struct neighbour *n);
void rust_helper_neigh_var_set(struct neigh_parms *p, int index, int val);
void rust_helper_read_lock(rwlock_t *lock);
void rust_helper_read_unlock(rwlock_t *lock);
void rust_helper_spin_lock(spinlock_t *lock);
void rust_helper_spin_unlock(spinlock_t *lock);
struct in_device *rust_helper___in_dev_get_rtnl(const struct net_device *dev);
struct in_device *rust_helper___in_dev_get_rcu(const struct net_device *dev);
bool rust_helper_IN_DEV_ARP_NOTIFY(const struct in_device *in_dev);
void rust_helper_IN_DEV_ARP_NOTIFY_set(struct in_device *in_dev, int value);
bool rust_helper_IN_DEV_ARP_EVICT_NOCARRIER(const struct in_device *in_dev);
bool rust_helper_IN_DEV_DROP_GRATUITOUS_ARP(const struct in_device *in_dev);

/* net_namespace.c */
void *rust_helper_net_generic(const struct net *net, unsigned int id);

/* netdevice.c */
struct net *rust_helper_dev_net(const struct net_device *dev);
bool rust_helper_netif_running(const struct net_device *dev);
bool rust_helper_netif_carrier_ok(const struct net_device *dev);
void rust_helper_dev_hold(struct net_device *dev);
void rust_helper_dev_put(struct net_device *dev);
void rust_helper_netdev_lockdep_set_classes(struct net_device *dev);
struct net *rust_helper_rtnl_newlink_link_net(struct rtnl_newlink_params *params);
void rust_helper_rtnl_net_lock(struct net *net);
void rust_helper_rtnl_net_unlock(struct net *net);
int rust_helper_netif_set_xps_queue(struct net_device *dev, const struct cpumask *cpus, u16 queue);
void rust_helper_netif_tx_stop_queue(struct netdev_queue *txq);
bool rust_helper_netif_tx_owned(struct netdev_queue *txq);
bool rust_helper_qdisc_txq_has_no_queue(const struct netdev_queue *txq);
void rust_helper_netif_tx_start_all_queues(struct net_device *dev);
void rust_helper_netif_napi_add(struct net_device *dev, struct napi_struct *napi,
				int (*poll)(struct napi_struct *, int));
void rust_helper___netif_napi_del(struct napi_struct *napi);
bool rust_helper_netdev_xmit_more(void);
void rust_helper___netif_tx_lock(struct netdev_queue *txq, int cpu);
void rust_helper___netif_tx_unlock(struct netdev_queue *txq);
void rust_helper_netdev_tx_sent_queue(struct netdev_queue *txq, unsigned int bytes);
void rust_helper_netdev_tx_completed_queue(struct netdev_queue *txq, unsigned int packets,
					   unsigned int bytes);
void rust_helper_netdev_tx_reset_queue(struct netdev_queue *txq);

/* interrupt.c */
bool rust_helper_in_serving_softirq(void);

/* percpu.c */
void __percpu *rust_helper___alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp);
void *rust_helper_per_cpu_ptr(void __percpu *ptr, unsigned int cpu);
void rust_helper_this_cpu_add_u64(u64 __percpu *ptr, u64 value);
unsigned int rust_helper_cpumask_next_possible(int cpu);

/* signal.c */
int rust_helper_restart_syscall(void);

/* smp.c */
void rust_helper_INIT_CSD(call_single_data_t *csd, smp_call_func_t func, void *info);
bool rust_helper_cpu_possible(unsigned int cpu);
bool rust_helper_housekeeping_cpu(int cpu, enum hk_type type);

/* timer.c */
void rust_helper_timer_setup(struct timer_list *timer, void (*function)(struct timer_list *));
bool rust_helper_timer_pending(const struct timer_list *timer);
unsigned int rust_helper_jiffies_to_msecs(unsigned long j);
bool rust_helper_hrtimer_is_queued(struct hrtimer *timer);

/* trace.c */
void rust_helper_trace_spans_arp_remove(const struct net_device *dev, __be32 ip, const char *why);

/* skbuff.c */
bool rust_helper_skb_shared(const struct sk_buff *skb);
bool rust_helper_skb_is_gso(const struct sk_buff *skb);
struct skb_shared_info *rust_helper_skb_shinfo(const struct sk_buff *skb);
void rust_helper_skb_orphan(struct sk_buff *skb);
void rust_helper_dev_consume_skb_any(struct sk_buff *skb);
unsigned int rust_helper_skb_headroom(const struct sk_buff *skb);
bool rust_helper_skb_mac_header_was_set(const struct sk_buff *skb);
unsigned char *rust_helper_skb_mac_header(const struct sk_buff *skb);
unsigned char *rust_helper_skb_tail_pointer(const struct sk_buff *skb);
void *rust_helper___skb_push(struct sk_buff *skb, unsigned int len);
void *rust_helper_skb_pull_rcsum(struct sk_buff *skb, unsigned int len);
void rust_helper_skb_mark_napi_id(struct sk_buff *skb, const struct napi_struct *napi);
void rust_helper_skb_prepare_for_gro(struct sk_buff *skb);
int rust_helper_skb_unclone(struct sk_buff *skb, gfp_t gfp);
int rust_helper_skb_cow_head(struct sk_buff *skb, unsigned int headroom);
int rust_helper_skb_orphan_frags_rx(struct sk_buff *skb, gfp_t gfp);
void rust_helper_skb_tx_timestamp(struct sk_buff *skb);

#endif
