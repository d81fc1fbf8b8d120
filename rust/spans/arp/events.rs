// SPDX-License-Identifier: GPL-2.0

//! Notifier events of a device and its addresses, and their effect on its ARP table.

use super::{Arp, PARAMETERS};
use crate::{
    net::{inet::AddressType, log, notifier, rtnl::Rtnl, spinlock_bh::local_bh_disable, Device},
    spans::{fmt::Ip, Spans},
};
use core::net::Ipv4Addr;
use kernel::prelude::*;

#[vtable]
impl notifier::Events for Spans {
    /// Net/3 announces each address that is set (`in_ifinit()`, `arpwhohas()`); the kernel does
    /// with `arp_notify`, which the user may clear.
    fn register(dev: &Device<Self>, rtnl: &Rtnl) {
        dev.set_arp_notify(true, rtnl);
        dev.set_arp_parameters(&PARAMETERS, rtnl);
    }

    /// The device leaves its namespace, where the addresses had their meaning.
    fn unregister(dev: &Device<Self>, _: &Rtnl) {
        dev.data().arp().flush(true);
    }

    fn up(dev: &Device<Self>, rtnl: &Rtnl) {
        restore(dev, rtnl);
        dev.data().segment().link_states().report(rtnl);
    }

    /// Reports the carrier of the other members: this device's flags say that it is down.
    fn down(dev: &Device<Self>, rtnl: &Rtnl) {
        dev.data().segment().link_states().report(rtnl);
    }

    /// The next packet to each host sends a request, which announces the new address.
    fn change_addr(dev: &Device<Self>, rtnl: &Rtnl) {
        dev.data().arp().flush(false);
        restore(dev, rtnl);
    }

    fn change(dev: &Device<Self>, rtnl: &Rtnl) {
        let port = dev.data();
        if !dev.does_arp() {
            port.arp().flush(false);
        } else if !dev.carrier_ok() {
            port.arp().update_carrier(false);
            if dev.arp_evict_nocarrier(rtnl) {
                port.arp().flush(false);
            }
        } else if port.arp().update_carrier(true) {
            // Requests sent without a carrier could not be replied to.
            port.arp().carrier_on();
            Arp::sync(port.arp(), dev, &local_bh_disable());
        }
        restore(dev, rtnl);
    }

    fn address_added(dev: &Device<Self>, ip: Ipv4Addr, rtnl: &Rtnl) {
        if dev.is_running() && dev.arp_notify(rtnl) {
            dev.arp_announce(ip, rtnl);
        }
    }

    /// Without an address there is no ARP: the ancestor, too, clears its table when an interface
    /// loses IP.
    fn address_removed(dev: &Device<Self>, rtnl: &Rtnl) {
        if !dev.has_addresses(rtnl) {
            dev.data().arp().flush(false);
        }
        restore(dev, rtnl);
    }
}

/// Restores permanent neighbours that the kernel has deleted. If one cannot be created, the rest
/// waits for the next event.
fn restore(dev: &Device<Spans>, rtnl: &Rtnl) {
    // The kernel keeps no neighbours for a device that is down.
    if !dev.is_running() {
        return;
    }
    let port = dev.data();
    let arp = port.arp();
    let capacity = arp.shared.lock(&local_bh_disable()).table.capacity();
    for _ in 0..capacity {
        // Bottom halves are enabled between entries: there may be many.
        let bh = local_bh_disable();
        let Some((ip, address)) = arp.shared.lock(&bh).table.next_unrestored() else {
            return;
        };
        if dev.inet_addr_type(ip, &bh) != AddressType::Unicast {
            // E.g. the address is local by now: the kernel would have no neighbour that the user
            // could delete.
            arp.shared.lock(&bh).table.not_restored(ip);
            continue;
        }
        match dev.make_neighbour(ip, &bh) {
            Ok(neighbour) => neighbour.permanent(port.medium().bytes(&address), rtnl),
            Err(error) => {
                log::warn_ratelimited(
                    dev,
                    log::Class::Drv,
                    fmt!("cannot restore neighbour {}: {error:?}", Ip(ip)),
                );
                return;
            }
        }
        arp.shared.lock(&bh).table.restored(ip);
    }
}
