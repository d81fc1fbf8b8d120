// SPDX-License-Identifier: GPL-2.0

//! Structures as C sees them and as Rust sees them.
//!
//! bindgen asks clang where the fields of a structure are. A kernel compiled by
//! gcc could think otherwise, and the module would write where it must not.

use crate::bindings::{self, *};
use core::mem::offset_of;
use kernel::prelude::*;

/// A size or an offset that both compilers must agree on.
macro_rules! layout {
    ($($entry:ident($type:ident $(, $field:ident $(. $more:ident)*)?),)*) => {
        [$((
            concat!(stringify!($type) $(, ".", stringify!($field) $(, ".", stringify!($more))*)?),
            layout!(@$entry $type $(, $field $(. $more)*)?),
        )),*]
    };
    (@size $type:ident) => { size_of::<$type>() };
    (@field $type:ident, $field:ident $(. $more:ident)*) => {
        offset_of!($type, $field $(. $more)*)
    };
}

/// In the order of rust/helpers/layout.c.
const LAYOUT: &[(&str, usize)] = &layout![
    size(net_device),
    field(net_device, netdev_ops),
    field(net_device, header_ops),
    field(net_device, _tx),
    field(net_device, num_tx_queues),
    field(net_device, mtu),
    field(net_device, dev_addr),
    field(net_device, broadcast),
    field(net_device, priv_destructor),
    field(net_device, rtnl_link_ops),
    size(netdev_queue),
    size(net_device_ops),
    field(net_device_ops, ndo_start_xmit),
    size(header_ops),
    size(ethtool_ops),
    size(napi_struct),
    field(napi_struct, state),
    field(napi_struct, gro),
    field(napi_struct, dev),
    size(sk_buff),
    field(sk_buff, __bindgen_anon_1.__bindgen_anon_1.next),
    field(sk_buff, len),
    field(sk_buff, data),
    field(sk_buff, __bindgen_anon_4),
    size(rtnl_link_ops),
    field(rtnl_link_ops, kind),
    field(rtnl_link_ops, newlink),
    size(rtnl_newlink_params),
    size(rtnl_link_stats64),
    size(netlink_ext_ack),
    size(callback_head),
];

/// Refuses with `ENOEXEC` when the compilers disagree. To be called first of all.
pub fn check() -> Result {
    // SAFETY: A constant of our own helpers.
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
    Ok(())
}
