// SPDX-License-Identifier: GPL-2.0

//! `ip link add type spans`.

use super::{
    port::Port,
    segment::Segment,
    Spans, //
};
use crate::net::{
    device::{Device, LinkLayer, Setup},
    error::eaddrnotavail,
    netlink::{ExtAck, LinkAttributes},
    percpu,
    random::get_random_bytes,
    rtnl::{self, Link, Rtnl},
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use spans_logic::{
    address::Address,
    medium::{self, Medium},
};

/// Packets that a qdisc holds for a new device, as for Ethernet.
const TX_QUEUE_LEN: u32 = 1000;

fn link_layer(medium: &'static Medium) -> LinkLayer {
    LinkLayer {
        hardware_type: medium.hardware_type,
        broadcast: medium.broadcast.as_bytes(),
        header_len: medium.header_len,
        mtu: medium.mtu,
        mtu_range: medium.mtu_range.clone(),
    }
}

#[vtable]
impl rtnl::LinkOperations for Spans {
    const KIND: &'static CStr = c"spans";

    fn num_queues() -> u32 {
        percpu::possible_cpus().count() as u32
    }

    fn setup(dev: &mut Setup<'_, Self>) {
        dev.set_link_layer(&link_layer(&medium::SPANS));
        dev.set_random_address(Address::from_random(get_random_bytes()).as_bytes());
        dev.set_tx_queue_len(TX_QUEUE_LEN);
    }

    fn validate(attributes: &LinkAttributes<'_>, extack: &ExtAck<'_>) -> Result {
        if let Some(bytes) = attributes.address() {
            let Some(address) = Address::from_slice(bytes) else {
                return extack.fail(EINVAL, c"spans: address must be 8 bytes long");
            };
            if !address.is_station() {
                return extack.fail(
                    eaddrnotavail(),
                    c"spans: address must be neither broadcast nor all zeroes",
                );
            }
        }
        if let Some(bytes) = attributes.broadcast() {
            if bytes != Address::BROADCAST.as_bytes() {
                return extack.fail(EINVAL, c"spans: broadcast must be ff:ff:ff:ff:ff:ff:ff:ff");
            }
        }
        Ok(())
    }

    fn new_link(
        dev: &mut Setup<'_, Self>,
        link: Link<'_, Self>,
        extack: &ExtAck<'_>,
    ) -> Result<Arc<Port>> {
        let segment = match link {
            Link::None => Segment::new()?,
            Link::Own(member) => member.data().segment().clone(),
            Link::Missing => return extack.fail(ENODEV, c"spans: link does not exist"),
            Link::Foreign => return extack.fail(EINVAL, c"spans: link is not a spans device"),
        };
        Port::new(segment, dev)
    }

    /// One transmit queue for each CPU; with fewer queues than CPUs, they are
    /// shared in turn.
    ///
    /// Without GRO, as veth: what a sender has left whole need not be merged again,
    /// and for the rest it costs more than it saves.
    fn registered(dev: &Device<Self>, rtnl: &Rtnl) -> Result {
        dev.disable_gro(rtnl);
        Port::map_cpus(dev, rtnl)
    }
}
