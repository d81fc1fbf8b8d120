// SPDX-License-Identifier: GPL-2.0

//! Network devices.
//!
//! Safe abstractions over the C network stack. This is a staging module, written as if it were
//! `kernel::net`, until the kernel crate has such abstractions. It does not depend on the driver,
//! and is the only part of the module with `unsafe` code.
//!
//! A network driver must do the following:
//!
//! - Implement [`device::Operations`] for a type `T`: `struct net_device_ops`.
//! - Implement [`header_ops::Operations`], [`ethtool::QueueStats`], [`ethtool::Settings`],
//!   [`sysfs::Attributes`], [`neighbour::Operations`], [`netfilter::ArpIn`] and
//!   [`notifier::Events`] for it.
//! - Implement [`rtnl::LinkOperations`] for it: creation and configuration of its devices.
//! - Keep an [`rtnl::Registration<T>`] while it is loaded.
//!
//! The types that have C counterparts:
//!
//! | Rust | C |
//! |---|---|
//! | [`debugfs::Dir`], [`debugfs::File`] | `debugfs_create_dir()`, `debugfs_create_file_unsafe()` |
//! | [`device::Device`] | `struct net_device` |
//! | [`device::Operations`] | `struct net_device_ops` |
//! | [`header_ops::Operations`] | `struct header_ops` |
//! | [`ethtool::QueueStats`], [`ethtool::Settings`] | `struct ethtool_ops` |
//! | [`napi::Napi`], [`napi::Registration`] | `struct napi_struct`, from add and enable to disable and del |
//! | [`neighbour::Neighbour`], [`neighbour::Operations`] | `struct neighbour` of `arp_tbl`, `struct neigh_ops` |
//! | [`netfilter::ArpIn`] | `struct nf_hook_ops` of `NF_ARP_IN` |
//! | [`netlink::ExtAck`], [`netlink::LinkAttributes`] | `struct netlink_ext_ack`, `IFLA_*` |
//! | [`notifier::Events`] | `struct notifier_block` of three chains |
//! | [`percpu::DynamicPerCpu`], [`stats::Counters`] | `alloc_percpu()`, `this_cpu_add()` |
//! | [`queue::TxQueue`], [`queue::XmitLocked`] | `struct netdev_queue`, and its xmit lock |
//! | [`rcu::Rcu`] | a pointer under `rcu_assign_pointer()` and `call_rcu()` |
//! | [`rtnl::LinkOperations`], [`rtnl::Registration`] | `struct rtnl_link_ops` |
//! | [`skbuff::SkBuff`], [`skbuff::SkBuffList`] | `struct sk_buff`, linked by `next` |
//! | [`spinlock_bh::SpinLockBh`] | `spinlock_t` under `spin_lock_bh()` |
//! | [`sysfs::Attribute`], [`sysfs::Attributes`] | `struct device_attribute`, `struct attribute_group` |
//! | [`timer::Timer`] | `struct timer_list` |
//!
//! # Evidence of the context
//!
//! Where C documents the required context in a comment, these functions take a value that proves
//! it: [`spinlock_bh::LocalBhDisabled`] (bottom halves are off on this CPU), [`rtnl::Rtnl`] (the
//! RTNL mutex is held), [`queue::XmitLocked`] (the xmit lock of a queue is held). Callbacks are
//! given the evidence for their context.
//!
//! # Packets
//!
//! An [`skbuff::SkBuff`] is owned. It must be freed with a reason, put on a list, or passed to the
//! stack. A driver that drops one implicitly does not link.

mod bindings;
pub mod capability;
pub mod clock;
pub mod cpu;
pub mod debugfs;
pub mod device;
pub mod error;
pub mod ethtool;
pub mod header_ops;
pub mod inet;
mod layout;
pub mod log;
pub mod napi;
pub mod neighbour;
pub mod netfilter;
pub mod netlink;
pub mod notifier;
pub mod percpu;
pub mod queue;
pub mod random;
pub mod rcu;
pub mod relaxed_cell;
pub mod rtnl;
pub mod skbuff;
pub mod spinlock_bh;
pub mod stats;
pub mod sysfs;
pub mod timer;
pub mod trace;

pub use device::Device;
pub use skbuff::{DropReason, SkBuff, SkBuffList};
