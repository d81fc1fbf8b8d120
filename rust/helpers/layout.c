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
	FIELD(net_device, priv_flags_fast),
	FIELD(net_device, netdev_ops),
	FIELD(net_device, header_ops),
	FIELD(net_device, _tx),
	FIELD(net_device, num_tx_queues),
	FIELD(net_device, num_rx_queues),
	FIELD(net_device, mtu),
	FIELD(net_device, min_mtu),
	FIELD(net_device, max_mtu),
	FIELD(net_device, flags),
	FIELD(net_device, type),
	FIELD(net_device, hard_header_len),
	FIELD(net_device, min_header_len),
	FIELD(net_device, addr_len),
	FIELD(net_device, addr_assign_type),
	FIELD(net_device, dev_addr),
	FIELD(net_device, broadcast),
	FIELD(net_device, tx_queue_len),
	FIELD(net_device, reg_state),
	FIELD(net_device, needs_free_netdev),
	FIELD(net_device, priv_destructor),
	FIELD(net_device, rtnl_link_ops),
	FIELD(net_device, ethtool_ops),
	SIZE(netdev_queue),
	FIELD(netdev_queue, dev),
	SIZE(net_device_ops),
	FIELD(net_device_ops, ndo_init),
	FIELD(net_device_ops, ndo_open),
	FIELD(net_device_ops, ndo_stop),
	FIELD(net_device_ops, ndo_start_xmit),
	FIELD(net_device_ops, ndo_set_mac_address),
	FIELD(net_device_ops, ndo_get_stats64),
	FIELD(net_device_ops, ndo_get_port_parent_id),
	SIZE(netdev_phys_item_id),
	FIELD(netdev_phys_item_id, id),
	FIELD(netdev_phys_item_id, id_len),
	SIZE(header_ops),
	FIELD(header_ops, create),
	FIELD(header_ops, parse),
	FIELD(header_ops, parse_protocol),
	SIZE(ethtool_ops),
	FIELD(ethtool_ops, get_link),
	FIELD(ethtool_ops, get_ts_info),
	FIELD(ethtool_ops, get_sset_count),
	FIELD(ethtool_ops, get_strings),
	FIELD(ethtool_ops, get_ethtool_stats),
	SIZE(napi_struct),
	FIELD(napi_struct, state),
	FIELD(napi_struct, gro),
	FIELD(napi_struct, dev),
	SIZE(sk_buff),
	FIELD(sk_buff, next),
	FIELD(sk_buff, dev),
	FIELD(sk_buff, len),
	FIELD(sk_buff, data_len),
	FIELD(sk_buff, data),
	FIELD(sk_buff, __pkt_type_offset),
	FIELD(sk_buff, priority),
	FIELD(sk_buff, protocol),
	SIZE(rtnl_link_ops),
	FIELD(rtnl_link_ops, kind),
	FIELD(rtnl_link_ops, priv_size),
	FIELD(rtnl_link_ops, setup),
	FIELD(rtnl_link_ops, validate),
	FIELD(rtnl_link_ops, newlink),
	FIELD(rtnl_link_ops, get_num_tx_queues),
	FIELD(rtnl_link_ops, get_num_rx_queues),
	SIZE(rtnl_newlink_params),
	FIELD(rtnl_newlink_params, tb),
	SIZE(rtnl_link_stats64),
	SIZE(netlink_ext_ack),
	FIELD(netlink_ext_ack, _msg),
	SIZE(nlattr),
	FIELD(nlattr, nla_len),
	SIZE(callback_head),
};

const size_t spans_layout_len = ARRAY_SIZE(spans_layout);
