// SPDX-License-Identifier: GPL-2.0

//! The callbacks of the stack: received ARP packets, and the kernel's neighbours.

use super::Arp;
use crate::{
    net::{
        clock::ktime_get,
        error::enobufs,
        inet::AddressType,
        log,
        neighbour::{self, Event, Solicitation, State},
        netfilter::{self, ArpPacket},
        spinlock_bh::{local_bh_disable, LocalBhDisabled},
        timer::Timer,
        Device,
    },
    spans::{
        fmt::{Ip, Link},
        segment::Member,
        Spans,
    },
};
use core::net::Ipv4Addr;
use kernel::prelude::*;
use spans_logic::{
    address::Address,
    arp::{
        event::{AddressInfo, Due, Neighbour, Resolution, RxOutcome, SenderType},
        packet::{self, Packet},
    },
};

impl Arp {
    /// Processes a packet just before `arp_process()` does.
    fn process(this: &Timer<Self>, device: &Device<Spans>, packet: &Packet, bh: &LocalBhDisabled) {
        // The stack drops it, so the table does not learn from it.
        if packet.is_gratuitous() && device.drops_gratuitous_arp(bh) {
            return;
        }
        let port = device.data();
        let medium = port.medium();
        let sender = packet.sender.ip;
        let info = AddressInfo {
            sender: match device.inet_addr_type(sender, bh) {
                AddressType::Unicast => SenderType::Host,
                AddressType::Local if device.has_address(sender, bh) => SenderType::Own,
                // An address of another device of this host.
                AddressType::Local | AddressType::Other => SenderType::Invalid,
            },
            // The stack drops packets to the loopback network.
            for_us: !packet.target.ip.is_loopback()
                && device.inet_addr_type(packet.target.ip, bh) == AddressType::Local,
        };
        let outcome = this
            .shared
            .lock(bh)
            .table
            .process(packet, info, ktime_get());
        match outcome {
            RxOutcome::Duplicate { asked } => {
                log::warn_ratelimited(
                    device,
                    log::Class::Drv,
                    fmt!(
                        "duplicate address {}: {} also uses it",
                        Ip(sender),
                        Link(medium, packet.sender.hardware)
                    ),
                );
                if asked {
                    let to = packet.sender.hardware;
                    device.arp_reply(sender, medium.bytes(&to), sender, bh);
                }
            }
            RxOutcome::Changed { from } => {
                log::info_ratelimited(
                    device,
                    log::Class::Drv,
                    fmt!(
                        "{} moved from {} to {}",
                        Ip(sender),
                        Link(medium, from),
                        Link(medium, packet.sender.hardware)
                    ),
                );
                Self::sync(this, device, bh);
            }
            RxOutcome::New | RxOutcome::Resolved | RxOutcome::NoRoom => {
                Self::sync(this, device, bh)
            }
            RxOutcome::Ignored | RxOutcome::Confirmed | RxOutcome::Permanent => (),
        }
    }
}

#[vtable]
impl netfilter::ArpIn for Spans {
    fn arp_in(dev: &Device<Self>, packet: &ArpPacket<'_>, bh: &LocalBhDisabled) {
        let port = dev.data();
        let medium = port.medium();
        let source = medium.source(packet.link_header());
        // Receive has dropped invalid packets already, unless the device has an upper device that
        // may want them.
        if let Ok(packet) = packet::validate(medium, packet.bytes(), source, port.address()) {
            Arp::process(port.arp(), dev, &packet, bh);
        }
    }
}

#[vtable]
impl neighbour::Operations for Spans {
    fn neigh_construct(dev: &Device<Self>, ip: Ipv4Addr) -> Result {
        let port = dev.data();
        let bh = local_bh_disable();
        Arp::make_room(port.arp(), dev, ip, &bh);
        let admitted = port.arp().shared.lock(&bh).table.admits(ip);
        if admitted {
            Ok(())
        } else {
            Err(enobufs())
        }
    }

    fn solicit(dev: &Device<Self>, solicitation: &Solicitation<'_, Self>, bh: &LocalBhDisabled) {
        let port = dev.data();
        let arp = port.arp();
        let ip = solicitation.ip();
        Arp::make_room(arp, dev, ip, bh);
        let resolution = {
            let mut shared = arp.shared.lock(bh);
            // Under the lock, which `neigh_update` takes after each change to permanent: either this
            // sees the change, or `neigh_update` comes later and corrects the table.
            if solicitation.is_obsolete() {
                return;
            }
            shared.table.resolve(ip, ktime_get(), super::random())
        };
        match resolution {
            Resolution::Request => solicitation.request(bh),
            Resolution::NoRoom => solicitation.fail(bh),
            Resolution::Wait => return,
            Resolution::Verify(address) => {
                let address = port.medium().bytes(&address);
                dev.arp_request(ip, Some(address), bh);
            }
            Resolution::Known | Resolution::HeldDown => (),
        }
        // Another entry may have been evicted.
        Arp::sync(arp, dev, bh);
    }

    fn neigh_output(dev: &Device<Self>, ip: Ipv4Addr, bh: &LocalBhDisabled) {
        let port = dev.data();
        let arp = port.arp();
        let mut shared = arp.shared.lock(bh);
        let due = shared.table.used(ip, ktime_get(), super::random());
        if due.is_some() {
            Arp::rearm(arp, &mut shared);
        }
        drop(shared);
        match due {
            // By broadcast: the kernel's address may be another host's by now.
            Some(Due::Request(ip)) => dev.arp_request(ip, None, bh),
            Some(Due::Verify(ip, address)) => {
                dev.arp_request(ip, Some(port.medium().bytes(&address)), bh);
            }
            None => (),
        }
    }

    fn neigh_update(dev: &Device<Self>, event: &Event<'_>, bh: &LocalBhDisabled) {
        let port = dev.data();
        let arp = port.arp();
        let mut shared = arp.shared.lock(bh);
        // Read under the lock: the last state that the table gets is the current one.
        let Some(state) = event.state(bh) else {
            return;
        };
        let neighbour = match state {
            State::Permanent(address) => Neighbour::Permanent(Address::new(address)),
            State::Reachable(address) => Neighbour::Reachable(Address::new(address)),
            State::Stale(address) => Neighbour::Stale(Address::new(address)),
            State::Probing(address) => Neighbour::Probing(Address::new(address)),
            State::Failed => Neighbour::Failed,
            State::Unresolved => Neighbour::Unresolved,
            State::Dead => Neighbour::Dead,
        };
        shared.table.neighbour(event.ip(), neighbour, ktime_get());
        // The syncing context applies new updates and rearms the timer at the end.
        if shared.syncing {
            return;
        }
        // Locks of the neighbour code may be held: the timer applies the updates.
        if shared.table.has_updates() {
            Arp::soon(arp, &mut shared);
        } else {
            Arp::rearm(arp, &mut shared);
        }
    }
}
