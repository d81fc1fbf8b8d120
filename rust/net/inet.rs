// SPDX-License-Identifier: GPL-2.0

//! IPv4 addresses of devices, and ARP.
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

/// `__be32`.
pub(super) fn to_be32(ip: Ipv4Addr) -> bindings::__be32 {
    u32::from_ne_bytes(ip.octets())
}

/// `__be32`.
pub(super) fn from_be32(ip: bindings::__be32) -> Ipv4Addr {
    ip.to_ne_bytes().into()
}

/// What an IPv4 address is to a host: `RTN_LOCAL` and its relatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressType {
    /// One of its own.
    Local,
    /// One of another host, or of nobody.
    Unicast,
    /// Broadcast, multicast, or none that anybody can have.
    Other,
}

impl<T: Operations> Device<T> {
    /// What an address is in the routing table of this device.
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

    /// Whether an address is one of this device.
    pub fn has_address(&self, ip: Ipv4Addr, _: &LocalBhDisabled) -> bool {
        let _rcu = rcu::read_lock();
        // SAFETY: The device is valid, and so are its namespace and its IPv4 part within a
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
        // C takes none for any.
        found != 0 && found == to_be32(ip)
    }

    /// Asks who has `ip`: everybody, or who has this link address. Nothing happens if
    /// that has the wrong length, or there is no memory.
    pub fn arp_request(&self, ip: Ipv4Addr, of: Option<&[u8]>, _: &LocalBhDisabled) {
        if of.is_some_and(|of| !self.is_lladdr(of)) {
            return;
        }
        let of = of.map_or(null(), <[u8]>::as_ptr);
        let ip = to_be32(ip);
        // SAFETY: The device is valid, and the address as long as it should be.
        unsafe {
            let from = bindings::inet_select_addr(
                self.as_raw(),
                ip,
                bindings::rt_scope_t_RT_SCOPE_LINK as i32,
            );
            self.arp_send(bindings::ARPOP_REQUEST, ip, from, of, null());
        }
    }

    /// Answers `to`, which has the link address `of`, that `ip` is here. Nothing happens if
    /// the link address has the wrong length, or there is no memory.
    pub fn arp_reply(&self, to: Ipv4Addr, of: &[u8], ip: Ipv4Addr, _: &LocalBhDisabled) {
        if self.is_lladdr(of) {
            // SAFETY: The address is as long as it should be.
            unsafe {
                self.arp_send(
                    bindings::ARPOP_REPLY,
                    to_be32(to),
                    to_be32(ip),
                    of.as_ptr(),
                    of.as_ptr(),
                );
            }
        }
    }

    /// Tells everybody that `ip` is here: gratuitous ARP, as
    /// `inetdev_send_gratuitous_arp()`.
    pub fn arp_announce(&self, ip: Ipv4Addr, _: &Rtnl) {
        let ip = to_be32(ip);
        // SAFETY: Null is for the broadcast address, and for none.
        unsafe { self.arp_send(bindings::ARPOP_REQUEST, ip, ip, null(), null()) };
    }

    /// # Safety
    ///
    /// Link addresses must be as long as the device's, or null.
    unsafe fn arp_send(
        &self,
        operation: u32,
        to: bindings::__be32,
        from: bindings::__be32,
        of: *const u8,
        target: *const u8,
    ) {
        // SAFETY: The device is valid. C takes the device's own address where there is null for
        // the source.
        unsafe {
            bindings::arp_send(
                operation as i32,
                bindings::ETH_P_ARP as i32,
                to,
                self.as_raw(),
                from,
                of,
                null(),
                target,
            );
        }
    }

    fn is_lladdr(&self, address: &[u8]) -> bool {
        // SAFETY: The device is valid, and the length never changes.
        address.len() == usize::from(unsafe { (*self.as_raw()).addr_len })
    }

    /// Does something with the IPv4 part of the device, if there is one.
    fn with_in_device<R>(
        &self,
        _: &Rtnl,
        f: impl FnOnce(*mut bindings::in_device) -> R,
    ) -> Option<R> {
        // SAFETY: The device is valid, and RTNL is held.
        let in_device = unsafe { bindings::rust_helper___in_dev_get_rtnl(self.as_raw()) };
        (!in_device.is_null()).then(|| f(in_device))
    }

    /// Whether it has any IPv4 address.
    pub fn has_addresses(&self, rtnl: &Rtnl) -> bool {
        // SAFETY: It is valid, and changes with RTNL held only.
        let has = |in_device: *mut bindings::in_device| unsafe { !(*in_device).ifa_list.is_null() };
        self.with_in_device(rtnl, has).unwrap_or(false)
    }

    /// How the kernel treats the neighbours of this device, until the user changes that.
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
                // SAFETY: It is valid as long as RTNL is held, and so are its parameters, which
                // have these.
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

    /// Whether new addresses are to be announced: `arp_notify`.
    pub fn arp_notify(&self, rtnl: &Rtnl) -> bool {
        // SAFETY: It is valid as long as RTNL is held.
        self.with_in_device(rtnl, |in_device| unsafe {
            bindings::rust_helper_IN_DEV_ARP_NOTIFY(in_device)
        })
        .unwrap_or(false)
    }

    /// Sets `arp_notify` of this device, which the user may change.
    pub fn set_arp_notify(&self, notify: bool, rtnl: &Rtnl) {
        // SAFETY: It is valid as long as RTNL is held.
        self.with_in_device(rtnl, |in_device| unsafe {
            bindings::rust_helper_IN_DEV_ARP_NOTIFY_set(in_device, notify.into());
        });
    }

    /// Whether the user wants gratuitous ARP to be dropped: `drop_gratuitous_arp`.
    pub fn drops_gratuitous_arp(&self, _: &LocalBhDisabled) -> bool {
        let _rcu = rcu::read_lock();
        // SAFETY: The device is valid, and so is its IPv4 part within a read-side section.
        unsafe {
            let in_device = bindings::rust_helper___in_dev_get_rcu(self.as_raw());
            !in_device.is_null() && bindings::rust_helper_IN_DEV_DROP_GRATUITOUS_ARP(in_device)
        }
    }

    /// Whether neighbours are forgotten with the carrier: `arp_evict_nocarrier`.
    pub fn arp_evict_nocarrier(&self, rtnl: &Rtnl) -> bool {
        // SAFETY: It is valid as long as RTNL is held.
        self.with_in_device(rtnl, |in_device| unsafe {
            bindings::rust_helper_IN_DEV_ARP_EVICT_NOCARRIER(in_device)
        })
        .unwrap_or(true)
    }
}
