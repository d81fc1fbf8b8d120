// SPDX-License-Identifier: GPL-2.0
#include <linux/inetdevice.h>
#include <linux/spinlock.h>
#include <net/neighbour.h>

void *rust_helper_neighbour_priv(const struct neighbour *n)
{
	return neighbour_priv(n);
}

void rust_helper_neigh_release(struct neighbour *n)
{
	neigh_release(n);
}

void rust_helper_neigh_var_set(struct neigh_parms *p, int index, int val)
{
	neigh_var_set(p, index, val);
}

void rust_helper_read_lock(rwlock_t *lock)
{
	read_lock(lock);
}

void rust_helper_read_unlock(rwlock_t *lock)
{
	read_unlock(lock);
}

void rust_helper_spin_lock(spinlock_t *lock)
{
	spin_lock(lock);
}

void rust_helper_spin_unlock(spinlock_t *lock)
{
	spin_unlock(lock);
}

struct in_device *rust_helper___in_dev_get_rtnl(const struct net_device *dev)
{
	return __in_dev_get_rtnl(dev);
}

struct in_device *rust_helper___in_dev_get_rcu(const struct net_device *dev)
{
	return __in_dev_get_rcu(dev);
}

bool rust_helper_IN_DEV_ARP_NOTIFY(const struct in_device *in_dev)
{
	return IN_DEV_ARP_NOTIFY(in_dev);
}

void rust_helper_IN_DEV_ARP_NOTIFY_set(struct in_device *in_dev, int value)
{
	IN_DEV_CONF_SET(in_dev, ARP_NOTIFY, value);
}

bool rust_helper_IN_DEV_ARP_EVICT_NOCARRIER(const struct in_device *in_dev)
{
	return IN_DEV_ARP_EVICT_NOCARRIER(in_dev);
}

bool rust_helper_IN_DEV_DROP_GRATUITOUS_ARP(const struct in_device *in_dev)
{
	return IN_DEV_ORCONF(in_dev, DROP_GRATUITOUS_ARP);
}
