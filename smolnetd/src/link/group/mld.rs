//! Multicast listener discovery on the wire: MLDv2 (RFC 3810 section 5) and MLDv1 (RFC 2710 section 3). A question
//! about sources is taken as one about its group: who listens to all sources is the answer to both.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::Duration;

use super::report::encode;
use super::{Query, Received, Report};
use crate::link::ipv6::packet::{ALL_NODES, ALL_ROUTERS, Icmpv6, address_at, bytes_at};

const QUERY: u8 = 130;
const REPORT: u8 = 131;
const DONE: u8 = 132;
const REPORT_V2: u8 = 143;

/// RFC 3810 section 5.2.14: all routers that speak MLDv2.
const MLDV2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// RFC 3810 sections 5.1.14 and 5.2.13
pub(super) const HOP_LIMIT: u8 = 1;
/// RFC 3810 section 8.1: a query of exactly this length is of version 1.
const V1_LENGTH: usize = 24;
/// RFC 3810 section 8.1: one of version 2 has at least so many.
const V2_LENGTH: usize = 28;

/// Reads a message; `None` when it is to be ignored (RFC 3810 sections 5.1.14, 6.2 and 10.1: only a router on this
/// link can have sent it).
pub(super) fn receive(packet: &Icmpv6<'_>) -> Option<Received> {
    let on_link =
        packet.hop_limit == HOP_LIMIT && packet.router_alert && packet.has_good_checksum();
    let message = packet.message;
    if !on_link || packet.message.get(1) != Some(&0) {
        return None;
    }
    match packet.kind() {
        QUERY if packet.source.is_unicast_link_local() => query(packet).map(Received::Query),
        QUERY => None,
        REPORT => {
            let group = address_at(message, 8).filter(Ipv6Addr::is_multicast)?;
            Some(Received::Report(group.into()))
        }
        _ => Some(Received::Nothing),
    }
}

fn query(packet: &Icmpv6<'_>) -> Option<Query> {
    let message = packet.message;
    let older = match message.len() {
        V1_LENGTH => true,
        V2_LENGTH.. => false,
        _ => return None,
    };
    let group = address_at(message, 8)?;
    // RFC 3810 section 5.1.15: a question about all is for all.
    let general = group.is_unspecified();
    if !general && !group.is_multicast()
        || general && packet.destination.is_multicast() && packet.destination != ALL_NODES
    {
        return None;
    }
    let code = u16::from_be_bytes(bytes_at(message, 4)?);
    let delay = if older { code.into() } else { delay(code) };
    Some(Query {
        group: (!general).then_some(group.into()),
        within: Duration::from_millis(delay),
        older,
    })
}

/// RFC 3810 section 5.1.3: Maximum Response Code, in milliseconds; from 2^15 on a floating point number.
fn delay(code: u16) -> u64 {
    let (exponent, mantissa) = (code >> 12 & 7, code & 0xfff);
    match code >> 15 {
        0 => code.into(),
        _ => u64::from(mantissa | 0x1000) << exponent.saturating_add(3),
    }
}

/// The message, and to whom it goes.
pub(super) fn emit(report: &Report) -> Option<(Ipv6Addr, Vec<u8>)> {
    let old = |kind: u8, group: Ipv6Addr| {
        let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        message.extend(group.octets());
        message
    };
    match report {
        Report::Current(records) => Some((MLDV2_ROUTERS, encode(REPORT_V2, records))),
        Report::Member(IpAddr::V6(group)) => Some((*group, old(REPORT, *group))),
        Report::Done(IpAddr::V6(group)) => Some((ALL_ROUTERS, old(DONE, *group))),
        Report::Member(IpAddr::V4(_)) | Report::Done(IpAddr::V4(_)) => None,
    }
}
