// SPDX-License-Identifier: GPL-2.0

//! IPv4 addresses of devices, and ARP packets.
//!
//! C header: [`include/linux/inetdevice.h`](srctree/include/linux/inetdevice.h)
//! C header: [`include/net/arp.h`](srctree/include/net/arp.h)

use super::{
    bindings,
    device::{Device, Operations},
    neighbour::Parameters,
    rtnl::Rtnl,
    spinlock_bh::LocalBhDisabled,
};
use core::{net::Ipv4Addr, ptr::null};
use kernel::{prelude::*, sync::rcu};

/// Converts to `__be32`.
pub(super) fn to_be32(ip: Ipv4Addr) -> bindings::__be32 {
    u32::from_ne_bytes(ip.octets())
}

/// Converts from `__be32`.
pub(super) fn from_be32(ip: bindings::__be32) -> Ipv4Addr {
    ip.to_ne_bytes().into()
}

/// Type of an IPv4 address in a routing table: `RTN_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressType {
    /// `RTN_LOCAL`: an address of this host.
    Local,
    /// `RTN_UNICAST`: a possible address of another host.
    Unicast,
    /// Any other type: broadcast, multicast or invalid.
    Other,
}

impl<T: Operations> Device<T> {
    /// Returns the type of an address in the routing table of this device:
    /// `inet_addr_type_dev_table()`.
    pub fn inet_addr_type(&self, ip: Ipv4Addr, _: &LocalBhDisabled) -> AddressType {
        let _rcu = rcu::read_lock();
        // SAFETY: The device is valid, and so is its namespace within a read-side section.
        let kind = unsafe {
            bindings::inet_addr_type_dev_table(
                bindings::rust_helper_dev_net(self.as_raw()),
                self.as_raw(),
                to_be32(ip),
            )
        };
        match kind {
            bindings::RTN_LOCAL => AddressType::Local,
            bindings::RTN_UNICAST => AddressType::Unicast,
            _ => AddressType::Other,
        }
    }

    /// Returns whether the device has this address: `inet_confirm_addr()`.
    pub fn has_address(&self, ip: Ipv4Addr, _: &LocalBhDisabled) -> bool {
        let _rcu = rcu::read_lock();
        // SAFETY: The device is valid, and so are its namespace and its `in_device` within a
        // read-side section.
        let found = unsafe {
            let in_device = bindings::rust_helper___in_dev_get_rcu(self.as_raw());
            if in_device.is_null() {
                return false;
            }
            bindings::inet_confirm_addr(
                bindings::rust_helper_dev_net(self.as_raw()),
                in_device,
                0,
                to_be32(ip),
                bindings::rt_scope_t_RT_SCOPE_HOST as i32,
            )
        };
        // 0.0.0.0 is a wildcard for C.
        found != 0 && found == to_be32(ip)
    }

    /// Sends an ARP request for `ip`: to the link address `lladdr`, or by broadcast. Does nothing
    /// if `lladdr` has the wrong length, with `IFF_NOARP`, or if memory is short.
    pub fn arp_request(&self, ip: Ipv4Addr, lladdr: Option<&[u8]>, _: &LocalBhDisabled) {
        if lladdr.is_some_and(|lladdr| !self.is_lladdr(lladdr)) {
            return;
        }
        let lladdr = lladdr.map_or(null(), <[u8]>::as_ptr);
        let ip = to_be32(ip);
        // SAFETY: The device is valid, and the link address has `addr_len` bytes or is null.
        unsafe {
            let from = bindings::inet_select_addr(
                self.as_raw(),
                ip,
                bindings::rt_scope_t_RT_SCOPE_LINK as i32,
            );
            self.arp_send(bindings::ARPOP_REQUEST, ip, from, lladdr, null());
        }
    }

    /// Sends an ARP reply for `ip`, an address of this host, to `to` at the link address `lladdr`.
    /// Does nothing if that has the wrong length, with `IFF_NOARP`, or if memory is short.
    pub fn arp_reply(&self, to: Ipv4Addr, lladdr: &[u8], ip: Ipv4Addr, _: &LocalBhDisabled) {
        if self.is_lladdr(lladdr) {
            // SAFETY: The link address has `addr_len` bytes.
            unsafe {
                self.arp_send(
                    bindings::ARPOP_REPLY,
                    to_be32(to),
                    to_be32(ip),
                    lladdr.as_ptr(),
                    lladdr.as_ptr(),
                );
            }
        }
    }

    /// Announces `ip` by a gratuitous ARP request: `inetdev_send_gratuitous_arp()`.
    pub fn arp_announce(&self, ip: Ipv4Addr, _: &Rtnl) {
        let ip = to_be32(ip);
        // SAFETY: Null stands for the broadcast address and for no target address.
        unsafe { self.arp_send(bindings::ARPOP_REQUEST, ip, ip, null(), null()) };
    }

    /// Sends an ARP packet: `arp_send()`.
    ///
    /// # Safety
    ///
    /// Link addresses must have `addr_len` bytes, or be null.
    unsafe fn arp_send(
        &self,
        operation: u32,
        to: bindings::__be32,
        from: bindings::__be32,
        lladdr: *const u8,
        target: *const u8,
    ) {
        // SAFETY: The device is valid. For a null source C takes the device's own address.
        unsafe {
            bindings::arp_send(
                operation as i32,
                bindings::ETH_P_ARP as i32,
                to,
                self.as_raw(),
                from,
                lladdr,
                null(),
                target,
            );
        }
    }

    fn is_lladdr(&self, address: &[u8]) -> bool {
        // SAFETY: The device is valid, and `addr_len` never changes.
        address.len() == usize::from(unsafe { (*self.as_raw()).addr_len })
    }

    /// Calls `f` with the `struct in_device` of the device, if there is one.
    fn with_in_device<R>(
        &self,
        _: &Rtnl,
        f: impl FnOnce(*mut bindings::in_device) -> R,
    ) -> Option<R> {
        // SAFETY: The device is valid, and RTNL is held.
        let in_device = unsafe { bindings::rust_helper___in_dev_get_rtnl(self.as_raw()) };
        (!in_device.is_null()).then(|| f(in_device))
    }

    /// Returns whether the device has an IPv4 address.
    pub fn has_addresses(&self, rtnl: &Rtnl) -> bool {
        // SAFETY: The `in_device` is valid, and its list changes only under RTNL.
        let has = |in_device: *mut bindings::in_device| unsafe { !(*in_device).ifa_list.is_null() };
        self.with_in_device(rtnl, has).unwrap_or(false)
    }

    /// Sets the neighbour parameters of this device, which the user may change.
    pub fn set_arp_parameters(&self, parameters: &Parameters, rtnl: &Rtnl) {
        let parameters = [
            (bindings::NEIGH_VAR_MCAST_PROBES, parameters.probes),
            (bindings::NEIGH_VAR_MCAST_REPROBES, parameters.probes),
            (bindings::NEIGH_VAR_UCAST_PROBES, parameters.unicast_probes),
            (
                bindings::NEIGH_VAR_QUEUE_LEN_BYTES,
                parameters.queue_len_bytes,
            ),
        ];
        self.with_in_device(rtnl, |in_device| {
            for (which, value) in parameters {
                // SAFETY: The `in_device` is valid while RTNL is held, and so are its `arp_parms`,
                // which have each of these variables.
                unsafe {
                    bindings::rust_helper_neigh_var_set(
                        (*in_device).arp_parms,
                        which as c_int,
                        value as c_int,
                    );
                }
            }
        });
    }

    /// Returns whether new addresses are to be announced: `arp_notify`.
    pub fn arp_notify(&self, rtnl: &Rtnl) -> bool {
        // SAFETY: The `in_device` is valid while RTNL is held.
        self.with_in_device(rtnl, |in_device| unsafe {
            bindings::rust_helper_IN_DEV_ARP_NOTIFY(in_device)
        })
        .unwrap_or(false)
    }

    /// Sets `arp_notify` of this device, which the user may change.
    pub fn set_arp_notify(&self, notify: bool, rtnl: &Rtnl) {
        // SAFETY: The `in_device` is valid while RTNL is held.
        self.with_in_device(rtnl, |in_device| unsafe {
            bindings::rust_helper_IN_DEV_ARP_NOTIFY_set(in_device, notify.into());
        });
    }

    /// Returns whether gratuitous ARP is to be dropped: `drop_gratuitous_arp`.
    pub fn drops_gratuitous_arp(&self, _: &LocalBhDisabled) -> bool {
        let _rcu = rcu::read_lock();
        // SAFETY: The device is valid, and so is its `in_device` within a read-side section.
        unsafe {
            let in_device = bindings::rust_helper___in_dev_get_rcu(self.as_raw());
            !in_device.is_null() && bindings::rust_helper_IN_DEV_DROP_GRATUITOUS_ARP(in_device)
        }
    }

    /// Returns whether the loss of the carrier flushes neighbours: `arp_evict_nocarrier`.
    pub fn arp_evict_nocarrier(&self, rtnl: &Rtnl) -> bool {
        // SAFETY: The `in_device` is valid while RTNL is held.
        self.with_in_device(rtnl, |in_device| unsafe {
            bindings::rust_helper_IN_DEV_ARP_EVICT_NOCARRIER(in_device)
        })
        .unwrap_or(true)
    }
}
