// SPDX-License-Identifier: GPL-2.0

//! The `rtnl_link_ops`: `ip link add type spans`.

use super::{
    cpus,
    port::Port,
    segment::Segment,
    Spans, //
};
use crate::net::{
    cpu::possible_cpus,
    device::{Device, LinkLayer, Setup},
    error::eaddrnotavail,
    netlink::{ExtAck, LinkAttributes, LinkInfo, Policy},
    random::get_random_bytes,
    rtnl::{self, Link, Rtnl},
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use spans_logic::medium::{Medium, Mismatch, MEDIA};

/// The `tx_queue_len` of a new device, in packets, as of Ethernet.
const TX_QUEUE_LEN: u32 = 1000;

/// `IFLA_SPANS_MEDIUM`.
const MEDIUM: u16 = 1;

/// The MTUs of all media; `new_link` narrows the range.
const MTU_RANGE: core::ops::RangeInclusive<u32> = 68..=65535;

fn link_layer(medium: &'static Medium) -> LinkLayer {
    LinkLayer {
        hardware_type: medium.hardware_type,
        broadcast: medium.bytes(&medium.broadcast),
        header_len: medium.header_len() as u8,
    }
}

#[vtable]
impl rtnl::LinkOperations for Spans {
    const KIND: &'static CStr = c"spans";
    const INFO: &'static [Policy] = &[Policy::NONE, Policy::string(15)];

    fn num_queues() -> u32 {
        possible_cpus().count() as u32
    }

    fn setup(dev: &mut Setup<'_, Self>) {
        dev.set_mtu_range(&MTU_RANGE);
        dev.set_tx_queue_len(TX_QUEUE_LEN);
        dev.set_features();
        dev.carrier_off();
    }

    fn new_link(
        dev: &mut Setup<'_, Self>,
        attributes: &LinkAttributes<'_>,
        link: Link<'_, Self>,
        extack: &ExtAck<'_>,
    ) -> Result<Arc<Port>> {
        let segment = match link {
            Link::None => None,
            Link::Own(member) => Some(member.data().segment().clone()),
            Link::Missing => return extack.fail(ENODEV, c"spans: link does not exist"),
            Link::Foreign => return extack.fail(EINVAL, c"spans: link is not a spans device"),
        };
        let medium = Medium::choose(
            attributes.info_string(MEDIUM.into()),
            attributes.address(),
            segment.as_ref().map(|segment| segment.medium()),
        )
        .or_else(|mismatch| extack.fail(EINVAL, message(mismatch)))?;
        dev.set_link_layer(&link_layer(medium));

        match attributes.address() {
            Some(bytes) => {
                if !medium
                    .address(bytes)
                    .is_some_and(|address| medium.is_valid_unicast(address))
                {
                    return extack.fail(
                        eaddrnotavail(),
                        c"spans: address must be that of one station",
                    );
                }
            }
            None => {
                let address = medium.random_address(get_random_bytes());
                dev.set_random_address(medium.bytes(&address));
            }
        }
        if let Some(bytes) = attributes.broadcast() {
            if bytes != medium.bytes(&medium.broadcast) {
                return extack.fail(EINVAL, c"spans: broadcast must be that of the medium");
            }
        }
        dev.set_mtu_range(&medium.mtu_range);
        match attributes.mtu() {
            Some(mtu) if !medium.mtu_range.contains(&mtu) => {
                return extack.fail(EINVAL, c"spans: mtu must be one of the medium");
            }
            Some(_) => (),
            None => dev.set_mtu(medium.mtu),
        }
        let segment = match segment {
            Some(segment) => segment,
            None => Segment::new(medium)?,
        };
        Port::new(segment, dev, cpus::first_owners()?)
    }

    fn fill_info(dev: &Device<Self>, info: &mut LinkInfo<'_>) -> Result {
        info.put_string(MEDIUM, dev.data().medium().name)
    }

    /// Sets XPS, and turns GRO off, as veth does: frames of a sender with GSO need no merging, and
    /// for other frames it costs more than it saves.
    fn registered(dev: &Device<Self>, rtnl: &Rtnl) -> Result {
        dev.disable_gro(rtnl);
        cpus::map_cpus(dev, rtnl)
    }
}

/// Returns the extack message for `mismatch`. The names are those of [`MEDIA`].
fn message(mismatch: Mismatch) -> &'static CStr {
    const { assert!(MEDIA.len() == 4) };
    match mismatch {
        Mismatch::Name => c"spans: medium must be spans, ethernet, ax25 or arcnet",
        Mismatch::Length => c"spans: address must be 1, 6, 7 or 8 bytes long",
        Mismatch::Address => c"spans: address is not one of this medium",
        Mismatch::Segment => c"spans: link is on a segment of another medium",
    }
}
