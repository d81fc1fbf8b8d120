// SPDX-License-Identifier: GPL-2.0

//! Checks that the C compiler and bindgen agree about structures.
//!
//! bindgen takes the offsets of fields from clang. A kernel compiled by gcc may differ, and the
//! module would write to the wrong places. All fields that Rust uses by name are compared, and of
//! bit fields the bits that are written or read.

use super::{
    bindings::{self, *},
    device::priv_flags_fast,
    skbuff::headers,
};
use core::mem::offset_of;
use kernel::{alloc::flags::__GFP_ZERO, prelude::*};

/// Sizes and offsets on which both compilers must agree.
macro_rules! layout {
    ($($(#[$cfg:meta])? $entry:ident($type:ident $(, $field:ident $(. $more:ident)*)?),)*) => {
        [$($(#[$cfg])? (
            concat!(stringify!($type) $(, ".", stringify!($field) $(, ".", stringify!($more))*)?),
            layout!(@$entry $type $(, $field $(. $more)*)?),
        )),*]
    };
    (@size $type:ident) => { size_of::<$type>() };
    (@field $type:ident, $field:ident $(. $more:ident)*) => {
        offset_of!($type, $field $(. $more)*)
    };
    // The fields that a clone inherits, in the view of bindgen: see `headers` in skbuff.rs.
    (@headers $type:ident, $field:ident) => {
        offset_of!($type, __bindgen_anon_4) + offset_of!(sk_buff__bindgen_ty_4__bindgen_ty_2, $field)
    };
}

/// Same order as `spans_layout` in rust/helpers/layout.c.
const LAYOUT: &[(&str, usize)] = &layout![
    size(net_device),
    field(net_device, __bindgen_anon_1),
    field(net_device, priv_),
    field(net_device, features),
    field(net_device, wanted_features),
    field(net_device, hw_features),
    field(net_device, vlan_features),
    field(net_device, hw_enc_features),
    field(net_device, mpls_features),
    field(net_device, netdev_ops),
    field(net_device, header_ops),
    field(net_device, _tx),
    field(net_device, num_tx_queues),
    field(net_device, num_rx_queues),
    field(net_device, real_num_tx_queues),
    field(net_device, real_num_rx_queues),
    field(net_device, rx_handler),
    field(net_device, mtu),
    field(net_device, min_mtu),
    field(net_device, max_mtu),
    field(net_device, flags),
    field(net_device, type_),
    field(net_device, hard_header_len),
    field(net_device, min_header_len),
    field(net_device, addr_len),
    field(net_device, addr_assign_type),
    field(net_device, dev_addr),
    field(net_device, broadcast),
    field(net_device, tx_queue_len),
    field(net_device, reg_state),
    field(net_device, close_list),
    field(net_device, needs_free_netdev),
    field(net_device, priv_destructor),
    field(net_device, rtnl_link_ops),
    field(net_device, ethtool_ops),
    field(net_device, dev),
    field(net_device, sysfs_groups),
    field(net, user_ns),
    field(net_device, neigh_priv_len),
    size(neighbour),
    field(neighbour, tbl),
    field(neighbour, used),
    field(neighbour, confirmed),
    field(neighbour, lock),
    field(neighbour, refcnt),
    field(neighbour, nud_state),
    field(neighbour, type_),
    field(neighbour, dead),
    field(neighbour, flags),
    field(neighbour, ha),
    field(neighbour, output),
    field(neighbour, ops),
    field(neighbour, dev),
    field(neighbour, primary_key),
    size(neigh_ops),
    field(neigh_ops, family),
    field(neigh_ops, solicit),
    field(neigh_ops, error_report),
    field(neigh_ops, output),
    field(neigh_ops, connected_output),
    field(neigh_table, lock),
    field(neigh_table, entries),
    field(neigh_table, nht),
    field(neigh_hash_table, hash_shift),
    field(neigh_table, gc_thresh3),
    size(nf_hook_ops),
    field(nf_hook_ops, hook),
    field(nf_hook_ops, priv_),
    field(nf_hook_ops, pf),
    field(nf_hook_ops, hooknum),
    field(nf_hook_ops, priority),
    field(nf_hook_state, in_),
    size(pernet_operations),
    field(pernet_operations, init),
    field(pernet_operations, pre_exit),
    field(pernet_operations, id),
    field(pernet_operations, size),
    size(notifier_block),
    field(notifier_block, notifier_call),
    field(notifier_block, priority),
    field(netdev_notifier_info, dev),
    field(in_device, dev),
    field(in_device, arp_parms),
    field(in_device, ifa_list),
    field(in_ifaddr, ifa_dev),
    field(in_ifaddr, ifa_local),
    size(netdev_queue),
    field(netdev_queue, dev),
    #[cfg(CONFIG_BQL)]
    field(netdev_queue, dql),
    #[cfg(CONFIG_BQL)]
    field(dql, num_queued),
    #[cfg(CONFIG_BQL)]
    field(dql, num_completed),
    size(net_device_ops),
    field(net_device_ops, ndo_init),
    field(net_device_ops, ndo_open),
    field(net_device_ops, ndo_stop),
    field(net_device_ops, ndo_start_xmit),
    field(net_device_ops, ndo_set_mac_address),
    field(net_device_ops, ndo_set_rx_mode_async),
    field(net_device_ops, ndo_change_mtu),
    field(net_device_ops, ndo_change_carrier),
    field(net_device_ops, ndo_get_stats64),
    field(net_device_ops, ndo_get_port_parent_id),
    field(net_device_ops, ndo_neigh_construct),
    field(net_device_ops, ndo_get_phys_port_id),
    size(netdev_phys_item_id),
    field(netdev_phys_item_id, id),
    field(netdev_phys_item_id, id_len),
    size(header_ops),
    field(header_ops, create),
    field(header_ops, parse),
    field(header_ops, parse_protocol),
    field(header_ops, cache),
    field(header_ops, cache_update),
    field(hh_cache, hh_len),
    field(hh_cache, hh_data),
    size(hh_cache),
    field(netdev_hw_addr_list, list),
    field(netdev_hw_addr, list),
    field(netdev_hw_addr, addr),
    size(nla_policy),
    field(nla_policy, type_),
    field(nla_policy, len),
    size(ethtool_ops),
    field(ethtool_ops, get_link),
    field(ethtool_ops, get_link_ksettings),
    field(ethtool_link_ksettings, base),
    size(ethtool_link_settings),
    field(ethtool_link_settings, speed),
    field(ethtool_link_settings, duplex),
    field(ethtool_link_settings, port),
    field(ethtool_link_settings, autoneg),
    field(ethtool_ops, get_ts_info),
    field(ethtool_ops, get_sset_count),
    field(ethtool_ops, get_strings),
    field(ethtool_ops, get_ethtool_stats),
    field(ethtool_ops, supported_coalesce_params),
    field(ethtool_ops, get_coalesce),
    field(ethtool_ops, set_coalesce),
    field(ethtool_ops, get_ringparam),
    field(ethtool_ops, set_ringparam),
    field(ethtool_ops, get_channels),
    field(ethtool_ops, set_channels),
    field(ethtool_ops, reset),
    field(ethtool_ops, get_msglevel),
    field(ethtool_ops, set_msglevel),
    size(kernel_ethtool_coalesce),
    field(kernel_ethtool_coalesce, tx_aggr_max_bytes),
    field(kernel_ethtool_coalesce, tx_aggr_max_frames),
    field(kernel_ethtool_coalesce, tx_aggr_time_usecs),
    size(ethtool_ringparam),
    field(ethtool_ringparam, rx_max_pending),
    field(ethtool_ringparam, tx_max_pending),
    field(ethtool_ringparam, rx_pending),
    field(ethtool_ringparam, tx_pending),
    size(ethtool_channels),
    field(ethtool_channels, max_combined),
    field(ethtool_channels, combined_count),
    size(napi_struct),
    field(napi_struct, state),
    field(napi_struct, timer),
    field(napi_struct, defer_hard_irqs_count),
    field(napi_struct, gro),
    field(napi_struct, dev),
    field(napi_struct, gro_flush_timeout),
    field(napi_struct, defer_hard_irqs),
    size(sk_buff),
    field(sk_buff, __bindgen_anon_1.__bindgen_anon_1.next),
    field(
        sk_buff,
        __bindgen_anon_1.__bindgen_anon_1.__bindgen_anon_1.dev
    ),
    field(sk_buff, len),
    field(sk_buff, data_len),
    field(sk_buff, data),
    field(sk_buff, cb),
    field(sk_buff, sk),
    field(sk_buff, queue_mapping),
    field(sk_buff, head),
    field(sk_buff, users),
    headers(sk_buff, __pkt_type_offset),
    headers(sk_buff, priority),
    headers(sk_buff, protocol),
    headers(sk_buff, mac_header),
    headers(sk_buff, transport_header),
    headers(sk_buff, inner_transport_header),
    field(skb_shared_info, gso_size),
    field(skb_shared_info, gso_segs),
    field(skb_shared_info, gso_type),
    size(rtnl_link_ops),
    field(rtnl_link_ops, kind),
    field(rtnl_link_ops, priv_size),
    field(rtnl_link_ops, setup),
    field(rtnl_link_ops, newlink),
    field(rtnl_link_ops, maxtype),
    field(rtnl_link_ops, policy),
    field(rtnl_link_ops, get_size),
    field(rtnl_link_ops, fill_info),
    field(rtnl_link_ops, get_num_tx_queues),
    field(rtnl_link_ops, get_num_rx_queues),
    size(rtnl_newlink_params),
    field(rtnl_newlink_params, tb),
    field(rtnl_newlink_params, data),
    size(rtnl_link_stats64),
    size(netlink_ext_ack),
    field(netlink_ext_ack, _msg),
    size(nlattr),
    field(nlattr, nla_len),
    size(callback_head),
    size(__call_single_data),
    size(hrtimer),
    size(timer_list),
    size(device_attribute),
    field(device_attribute, attr),
    field(device_attribute, __bindgen_anon_1),
    field(device_attribute, __bindgen_anon_2),
    size(attribute),
    field(attribute, name),
    field(attribute, mode),
    size(file),
    field(file, __bindgen_anon_1),
    field(file, f_inode),
    size(path),
    field(path, dentry),
    field(inode, i_private),
    size(file_operations),
    field(file_operations, owner),
    field(file_operations, open),
    field(file_operations, read),
    field(file_operations, write),
    field(file_operations, llseek),
    field(file_operations, release),
    field(seq_file, file),
    size(attribute_group),
    field(attribute_group, name),
    field(attribute_group, __bindgen_anon_2),
];

/// Fails with `ENOEXEC` unless both functions write the same bits of a structure, or with `ENOMEM`.
///
/// # Safety
///
/// Both must write only to bits of the structure that they are given, which is zeroed.
unsafe fn same_bits<T>(what: &str, c: unsafe fn(*mut T), rust: unsafe fn(*mut T)) -> Result {
    let mut written = [c, rust].map(|write| {
        let mut room = KBox::<T>::new_uninit(GFP_KERNEL | __GFP_ZERO)?;
        // SAFETY: There is room for a `T`, all zeroes, which nothing else uses, as the safety
        // requirements of this function demand.
        unsafe { write(room.as_mut_ptr()) };
        Ok::<_, Error>(room)
    });
    let [Ok(c), Ok(rust)] = &mut written else {
        return Err(ENOMEM);
    };
    // SAFETY: Every byte of both was initialised.
    let (c, rust) = unsafe {
        let bytes = |room: *const T| core::slice::from_raw_parts(room.cast::<u8>(), size_of::<T>());
        (bytes(c.as_ptr()), bytes(rust.as_ptr()))
    };
    if c != rust {
        pr_err!(
            "layout: bits of {} differ between the C compiler and bindgen\n",
            what
        );
        return Err(ENOEXEC);
    }
    Ok(())
}

/// Compares the bit fields that Rust writes or reads, by setting all of their bits.
fn check_bits() -> Result {
    // SAFETY: Each closure sets the bits of one field of the zeroed structure that it is given.
    unsafe {
        same_bits::<sk_buff>(
            "sk_buff.pkt_type",
            |to| bindings::rust_helper_layout_pkt_type(to, c_uint::MAX),
            |to| (*headers(to)).set_pkt_type(u8::MAX),
        )?;
        same_bits::<sk_buff>(
            "sk_buff.ip_summed",
            |to| bindings::rust_helper_layout_ip_summed(to, c_uint::MAX),
            |to| (*headers(to)).set_ip_summed(u8::MAX),
        )?;
        same_bits::<sk_buff>(
            "sk_buff.encapsulation",
            |to| bindings::rust_helper_layout_encapsulation(to, c_uint::MAX),
            |to| (*headers(to)).set_encapsulation(u8::MAX),
        )?;
        same_bits::<net_device>(
            "net_device.priv_flags",
            |to| bindings::rust_helper_layout_priv_flags(to, c_ulong::MAX),
            |to| (*priv_flags_fast(to)).set_priv_flags(c_ulong::MAX),
        )
    }
}

/// Fails with `ENOEXEC` if the compilers disagree. Must be called before any other unsafe code of
/// `net` runs. Process context.
pub(super) fn check() -> Result {
    // SAFETY: A constant of rust/helpers/layout.c.
    let len = unsafe { bindings::spans_layout_len };
    if len != LAYOUT.len() {
        pr_err!("layout: {} entries in C, {} in Rust\n", len, LAYOUT.len());
        return Err(ENOEXEC);
    }
    for (index, (what, rust)) in LAYOUT.iter().enumerate() {
        // SAFETY: The array has `len` elements, of which this is one.
        let c = unsafe {
            *(&raw const bindings::spans_layout)
                .cast::<usize>()
                .add(index)
        };
        if c != *rust {
            pr_err!(
                "layout: {} is {} for the C compiler and {} for bindgen\n",
                what,
                c,
                rust
            );
            return Err(ENOEXEC);
        }
    }
    check_bits()
}
