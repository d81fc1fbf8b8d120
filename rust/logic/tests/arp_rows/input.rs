// SPDX-License-Identifier: GPL-2.0

//! ARP input: validation, learning and the wire format.

use super::*;

// --- ARP input: validation -------------------------------------------------------------

const PEER: (Ipv4Addr, Address) = (IT, ITS);

#[test]
fn input_hardware_type_and_protocol_must_fit() {
    let good = packet(Operation::Request, PEER).to_bytes(SPANS);
    assert!(validate(SPANS, &good, ITS, OWN).is_ok());
    for at in 0..4 {
        for bit in 0..8 {
            let mut bytes = good;
            bytes[at] ^= 1 << bit;
            assert_eq!(validate(SPANS, &bytes, ITS, OWN), Err(Invalid::Malformed));
        }
    }
}

#[test]
fn input_of_a_broadcast_sender_is_refused() {
    let bytes = packet(Operation::Reply, (IT, SPANS.broadcast)).to_bytes(SPANS);
    assert_eq!(
        validate(SPANS, &bytes, SPANS.broadcast, OWN),
        Err(Invalid::BroadcastSender)
    );
}

#[test]
fn input_of_ourselves_is_refused() {
    let bytes = packet(Operation::Request, (ip(1), OWN)).to_bytes(SPANS);
    assert_eq!(validate(SPANS, &bytes, OWN, OWN), Err(Invalid::OwnSender));
}

/// The packet fails all checks at first; they are satisfied one after another.
#[test]
fn input_is_judged_in_the_order_of_the_ancestor() {
    let mut it = packet(Operation::Reply, (IT, SPANS.broadcast));
    let mut bytes = it.to_bytes(SPANS);
    bytes[0] = 0;
    assert_eq!(validate(SPANS, &bytes, ITS, OWN), Err(Invalid::Malformed));
    assert_eq!(
        validate(SPANS, &it.to_bytes(SPANS), ITS, SPANS.broadcast),
        Err(Invalid::BroadcastSender)
    );
    it.sender.hardware = OWN;
    assert_eq!(
        validate(SPANS, &it.to_bytes(SPANS), ITS, OWN),
        Err(Invalid::OwnSender)
    );
    // The ancestor does not check the frame's source (B7).
    it.sender.hardware = OTHER;
    assert_eq!(
        validate(SPANS, &it.to_bytes(SPANS), ITS, OWN),
        Err(Invalid::ForeignSender)
    );
    it.sender.hardware = ITS;
    assert_eq!(validate(SPANS, &it.to_bytes(SPANS), ITS, OWN), Ok(it));
}

#[test]
fn input_while_down_teaches_nothing() {
    let mut rig = Rig::new();
    rig.permanent(ip(3), hw(3));
    rig.table.down();
    assert_eq!(rig.process(IT, ITS, true), RxOutcome::Ignored);
    assert!(rig.is_none(IT));
    let us = AddressInfo {
        sender: SenderType::Own,
        for_us: true,
    };
    assert_eq!(
        rig.hear_from(Operation::Request, ip(1), ITS, us),
        RxOutcome::Ignored
    );
    assert_eq!(rig.table.stats().duplicates, 0);
}

/// The ancestor makes the device the target, so that a request is replied to; here the caller
/// replies.
#[test]
fn input_from_our_own_ip_is_a_duplicate() {
    let mut rig = Rig::new();
    for for_us in [false, true] {
        let ends = AddressInfo {
            sender: SenderType::Own,
            for_us,
        };
        assert_eq!(
            rig.hear_from(Operation::Request, ip(1), ITS, ends),
            RxOutcome::Duplicate { asked: true }
        );
        assert_eq!(
            rig.hear_from(Operation::Reply, ip(1), ITS, ends),
            RxOutcome::Duplicate { asked: false }
        );
    }
    assert!(rig.is_none(ip(1)));
    assert_eq!(rig.table.stats().duplicates, 4);
    // Not even if it has an entry by mistake.
    rig.permanent(ip(1), OTHER);
    rig.hear_from(
        Operation::Request,
        ip(1),
        ITS,
        AddressInfo {
            sender: SenderType::Own,
            for_us: true,
        },
    );
    assert_eq!(rig.table.lookup(ip(1)), Some(OTHER));
}

#[test]
fn input_from_no_host_teaches_nothing() {
    let mut rig = Rig::new();
    let ends = AddressInfo {
        sender: SenderType::Invalid,
        for_us: true,
    };
    for ip in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST] {
        assert_eq!(
            rig.hear_from(Operation::Request, ip, ITS, ends),
            RxOutcome::Ignored
        );
        assert!(rig.is_none(ip));
    }
}

// --- ARP input: learning ---------------------------------------------------------------

/// Requests and replies are learned from alike, as in the ancestor. The ancestor sends no
/// notification; here the kernel may have a neighbour of that address, which is updated.
#[test]
fn input_none_for_us_is_learned() {
    let mut rig = Rig::new();
    assert_eq!(rig.process(IT, ITS, true), RxOutcome::New);
    assert_eq!(rig.state(IT), Some(State::Valid));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert!(rig.entry(IT).unwrap().unsolicited);
    assert_eq!(rig.next_update(), [(IT, Update::Learned(ITS))]);
    assert_eq!(rig.table.stats().learned, 1);
    assert_eq!(rig.table.stats().requests, 0);
}

#[test]
fn input_none_an_unsolicited_reply_teaches_nothing() {
    let mut rig = Rig::new();
    let ends = AddressInfo {
        sender: SenderType::Host,
        for_us: true,
    };
    let outcome = rig.hear_from(Operation::Reply, IT, ITS, ends);
    assert_eq!(outcome, RxOutcome::Ignored);
    assert!(rig.is_none(IT));
    assert_eq!(rig.table.stats().learned, 0);
}

#[test]
fn input_none_for_others_teaches_nothing() {
    let mut rig = Rig::new();
    let ends = AddressInfo {
        sender: SenderType::Host,
        for_us: false,
    };
    let outcome = rig.hear_from(Operation::Request, IT, ITS, ends);
    assert_eq!(outcome, RxOutcome::Ignored);
    assert!(rig.is_none(IT));
}

#[test]
fn input_incomplete_is_the_answer() {
    // For any target, as the sender has an entry.
    for for_us in [false, true] {
        let mut rig = Rig::new();
        rig.incomplete(IT);
        rig.now += SECOND;
        assert_eq!(rig.process(IT, ITS, for_us), RxOutcome::Resolved);
        assert_eq!(rig.state(IT), Some(State::Valid));
        assert_eq!(rig.entry(IT).unwrap().age, 0);
        assert!(rig.entry(IT).unwrap().locked);
        assert_eq!(rig.next_update(), [(IT, Update::Valid(ITS))]);
        assert!(!rig.entry(IT).unwrap().locked);
        // Not retried any more.
        assert_eq!(rig.pass(10 * MINUTE), []);
        assert_eq!(rig.table.stats().resolved, 1);
    }
}

#[test]
fn input_valid_refreshes_without_a_word() {
    for for_us in [false, true] {
        let mut rig = Rig::new();
        rig.valid(IT, ITS);
        rig.pass(19 * MINUTE);
        assert_eq!(rig.process(IT, ITS, for_us), RxOutcome::Confirmed);
        assert_eq!(rig.state(IT), Some(State::Valid));
        assert_eq!(rig.next_update(), []);
        rig.pass(20 * MINUTE - 1);
        assert_eq!(rig.table.lookup(IT), Some(ITS));
    }
}

/// The ancestor replaces the address without a notification (B8).
#[test]
fn input_valid_with_another_address_is_told() {
    let mut rig = Rig::new();
    rig.valid(IT, ITS);
    rig.now += MINUTE;
    assert_eq!(
        rig.process(IT, OTHER, false),
        RxOutcome::Changed { from: ITS }
    );
    assert_eq!(rig.entry(IT).unwrap().age, 0);
    assert_eq!(rig.next_update(), [(IT, Update::Valid(OTHER))]);
    assert_eq!(rig.table.stats().changed, 1);
}

#[test]
fn input_permanent_is_ignored() {
    let mut rig = Rig::new();
    rig.permanent(IT, ITS);
    assert_eq!(rig.process(IT, OTHER, true), RxOutcome::Permanent);
    assert_eq!(rig.process(IT, ITS, true), RxOutcome::Permanent);
    assert_eq!(rig.state(IT), Some(State::Permanent));
    assert_eq!(rig.table.lookup(IT), Some(ITS));
    assert_eq!(rig.next_update(), []);
}

/// The ancestor has no such state. Any packet proves that the host is there.
#[test]
fn input_failed_is_the_answer() {
    let mut rig = Rig::new();
    rig.failed(IT);
    assert_eq!(rig.process(IT, ITS, false), RxOutcome::Resolved);
    assert_eq!(rig.next_update(), [(IT, Update::Valid(ITS))]);
    assert_eq!(rig.resolve(IT), Resolution::Known);
}

/// A removed entry is unknown, even if the update is pending.
#[test]
fn input_gone_is_learned_only_for_us() {
    let mut rig = Rig::new();
    rig.gone(IT, ITS);
    assert_eq!(rig.process(IT, OTHER, false), RxOutcome::Ignored);
    assert_eq!(rig.process(IT, OTHER, true), RxOutcome::New);
    assert_eq!(rig.next_update(), [(IT, Update::Learned(OTHER))]);
    assert_eq!(rig.table.len(), 1);
}

// --- ARP input: the wire -----------------------------------------------------------------

#[test]
fn packet_is_the_ancestors_to_the_byte() {
    // With the link header of 28 bytes: `ARP_PACKET_LEN`.
    assert_eq!(len(SPANS) + SPANS.header_len(), 60);
    assert_eq!(
        packet(Operation::Request, PEER).to_bytes(SPANS),
        [
            0x40, 0x40, 8, 0, 8, 4, 0, 1, //
            2, 0, 0, 0, 0, 0, 0, 2, 10, 0, 0, 2, //
            2, 0, 0, 0, 0, 0, 0, 1, 10, 0, 0, 1, //
        ]
    );
}
