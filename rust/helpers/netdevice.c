// SPDX-License-Identifier: GPL-2.0
#include <linux/netdevice.h>
#include <net/netdev_lock.h>
#include <net/rtnetlink.h>
#include <net/sch_generic.h>

struct net *rust_helper_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}

bool rust_helper_netif_running(const struct net_device *dev)
{
	return netif_running(dev);
}

bool rust_helper_netif_carrier_ok(const struct net_device *dev)
{
	return netif_carrier_ok(dev);
}

void rust_helper_dev_hold(struct net_device *dev)
{
	dev_hold(dev);
}

void rust_helper_dev_put(struct net_device *dev)
{
	dev_put(dev);
}

/* The macro defines the lock classes as statics. */
void rust_helper_netdev_lockdep_set_classes(struct net_device *dev)
{
	netdev_lockdep_set_classes(dev);
}

struct net *rust_helper_rtnl_newlink_link_net(struct rtnl_newlink_params *params)
{
	return rtnl_newlink_link_net(params);
}

void rust_helper_rtnl_net_lock(struct net *net)
{
	rtnl_net_lock(net);
}

void rust_helper_rtnl_net_unlock(struct net *net)
{
	rtnl_net_unlock(net);
}

int rust_helper_netif_set_xps_queue(struct net_device *dev, const struct cpumask *cpus, u16 queue)
{
	return netif_set_xps_queue(dev, cpus, queue);
}

void rust_helper_netif_tx_stop_queue(struct netdev_queue *txq)
{
	netif_tx_stop_queue(txq);
}

bool rust_helper_netif_tx_owned(struct netdev_queue *txq)
{
	return netif_tx_owned(txq, raw_smp_processor_id());
}

bool rust_helper_qdisc_txq_has_no_queue(const struct netdev_queue *txq)
{
	return qdisc_txq_has_no_queue(txq);
}

void rust_helper_netif_tx_start_all_queues(struct net_device *dev)
{
	netif_tx_start_all_queues(dev);
}

void rust_helper_netif_napi_add(struct net_device *dev, struct napi_struct *napi,
				int (*poll)(struct napi_struct *, int))
{
	netif_napi_add(dev, napi, poll);
}

void rust_helper___netif_napi_del(struct napi_struct *napi)
{
	__netif_napi_del(napi);
}

bool rust_helper_netdev_xmit_more(void)
{
	return netdev_xmit_more();
}

void rust_helper___netif_tx_lock(struct netdev_queue *txq, int cpu)
{
	__netif_tx_lock(txq, cpu);
}

void rust_helper___netif_tx_unlock(struct netdev_queue *txq)
{
	__netif_tx_unlock(txq);
}

void rust_helper_netdev_tx_sent_queue(struct netdev_queue *txq, unsigned int bytes)
{
	netdev_tx_sent_queue(txq, bytes);
}

void rust_helper_netdev_tx_completed_queue(struct netdev_queue *txq, unsigned int packets,
					   unsigned int bytes)
{
	netdev_tx_completed_queue(txq, packets, bytes);
}

void rust_helper_netdev_tx_reset_queue(struct netdev_queue *txq)
{
	netdev_tx_reset_queue(txq);
}
