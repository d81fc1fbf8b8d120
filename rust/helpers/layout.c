// SPDX-License-Identifier: GPL-2.0
/*
 * What the C compiler makes of the structures that Rust reads and writes
 * itself. bindgen asks clang, the kernel may be compiled by gcc: the module
 * compares when it is loaded (rust/net/layout.rs, same order).
 */
#include <linux/ethtool.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/rtnetlink.h>

#define SIZE(type) sizeof(struct type)
#define FIELD(type, field) offsetof(struct type, field)

const size_t spans_layout[] = {
	SIZE(net_device),
	FIELD(net_device, netdev_ops),
	FIELD(net_device, header_ops),
	FIELD(net_device, _tx),
	FIELD(net_device, num_tx_queues),
	FIELD(net_device, mtu),
	FIELD(net_device, dev_addr),
	FIELD(net_device, broadcast),
	FIELD(net_device, priv_destructor),
	FIELD(net_device, rtnl_link_ops),
	SIZE(netdev_queue),
	SIZE(net_device_ops),
	FIELD(net_device_ops, ndo_start_xmit),
	SIZE(header_ops),
	SIZE(ethtool_ops),
	SIZE(napi_struct),
	FIELD(napi_struct, state),
	FIELD(napi_struct, gro),
	FIELD(napi_struct, dev),
	SIZE(sk_buff),
	FIELD(sk_buff, next),
	FIELD(sk_buff, len),
	FIELD(sk_buff, data),
	FIELD(sk_buff, headers),
	SIZE(rtnl_link_ops),
	FIELD(rtnl_link_ops, kind),
	FIELD(rtnl_link_ops, newlink),
	SIZE(rtnl_newlink_params),
	SIZE(rtnl_link_stats64),
	SIZE(netlink_ext_ack),
	SIZE(callback_head),
};

const size_t spans_layout_len = ARRAY_SIZE(spans_layout);
