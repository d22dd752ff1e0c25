//! IGMP on the wire: version 3 (RFC 3376 section 4), version 2 (RFC 2236 section 2) and the queries of version 1.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{Ipv4Packet, checksum};

use super::report::encode;
use super::{ALL_HOSTS, Query, Received, Report};
use crate::link::ipv6::packet::bytes_at;

/// The protocol's number.
pub(super) const PROTOCOL: u8 = 2;

const QUERY: u8 = 0x11;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// RFC 2236 section 9
const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
/// RFC 3376 section 4.2.14
const IGMPV3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
/// RFC 2113 section 2.1
const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];
/// Bytes of an IPv4 header with that option.
const HEADER_LENGTH: u8 = 24;
/// RFC 2236 section 4: what a query of version 1, which does not say, allows, in tenths of a second.
const V1_RESPONSE: u8 = 100;

/// The message in an IPv4 packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'p> {
    destination: Ipv4Addr,
    router_alert: bool,
    message: &'p [u8],
}

impl<'p> Packet<'p> {
    /// Finds the message; `None` when there is none, the header is damaged, or it is a fragment.
    pub(super) fn find(packet: &'p [u8]) -> Option<Packet<'p>> {
        if packet.get(9) != Some(&PROTOCOL) {
            return None;
        }
        let header = Ipv4Packet::new_checked(packet).ok()?;
        let whole = !header.more_frags() && header.frag_offset() == 0;
        if !whole || !header.verify_checksum() {
            return None;
        }
        let options = packet.get(20..usize::from(header.header_len()))?;
        Some(Packet {
            destination: header.dst_addr(),
            router_alert: options.windows(2).any(|option| option == [0x94, 4]),
            message: header.payload(),
        })
    }
}

/// Reads a message; `None` when it is to be ignored.
pub(super) fn receive(packet: &Packet<'_>) -> Option<Received> {
    let message = packet.message;
    let group = Ipv4Addr::from(bytes_at::<4>(message, 4)?);
    if checksum::data(message) != 0xffff {
        return None;
    }
    match *message.first()? {
        QUERY => query(packet, group).map(Received::Query),
        REPORT_V2 if group.is_multicast() => Some(Received::Report(group.into())),
        REPORT_V2 => None,
        _ => Some(Received::Nothing),
    }
}

/// RFC 3376 sections 4.1 and 7.1
fn query(packet: &Packet<'_>, group: Ipv4Addr) -> Option<Query> {
    let code = *packet.message.get(1)?;
    let (older, tenths, needs_alert) = match (packet.message.len(), code) {
        (8, 0) => (true, V1_RESPONSE.into(), false),
        (8, code) => (true, code.into(), true),
        (12.., code) => (false, tenths(code), true),
        _ => return None,
    };
    let general = group.is_unspecified();
    // RFC 3376 section 9.1: a question to another group, or one that routers on the way did not have to look at, is a
    // forger's.
    let to_others = packet.destination.is_multicast() && packet.destination != ALL_HOSTS;
    if needs_alert && !packet.router_alert
        || general && to_others
        || !general && !group.is_multicast()
    {
        return None;
    }
    Some(Query {
        group: (!general).then_some(group.into()),
        within: Duration::from_millis(tenths.saturating_mul(100)),
        older,
    })
}

/// RFC 3376 section 4.1.1: Max Resp Code; from 128 on a floating point number.
fn tenths(code: u8) -> u64 {
    let (exponent, mantissa) = (code >> 4 & 7, code & 0x0f);
    match code >> 7 {
        0 => code.into(),
        _ => u64::from(mantissa | 0x10) << exponent.saturating_add(3),
    }
}

/// The IPv4 packet from `source`, and to whom it goes.
pub(super) fn emit(report: &Report, source: Ipv4Addr) -> Option<(Ipv4Addr, Vec<u8>)> {
    let old = |kind: u8, group: Ipv4Addr| {
        let [a, b, c, d] = group.octets();
        vec![kind, 0, 0, 0, a, b, c, d]
    };
    let (destination, mut message) = match report {
        Report::Current(records) => (IGMPV3_ROUTERS, encode(REPORT_V3, records)),
        Report::Member(IpAddr::V4(group)) => (*group, old(REPORT_V2, *group)),
        Report::Done(IpAddr::V4(group)) => (ALL_ROUTERS, old(LEAVE, *group)),
        Report::Member(IpAddr::V6(_)) | Report::Done(IpAddr::V6(_)) => return None,
    };
    fill_checksum(&mut message, 2);
    let mut packet = header(source, destination, message.len());
    packet.extend(message);
    Some((destination, packet))
}

/// RFC 3376 section 4: time to live 1, precedence of internetwork control, router alert.
fn header(source: Ipv4Addr, destination: Ipv4Addr, length: usize) -> Vec<u8> {
    let length = length.saturating_add(HEADER_LENGTH.into());
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    let mut header = vec![0x40 | HEADER_LENGTH >> 2, 0xc0];
    header.extend(length.to_be_bytes());
    // Not to be fragmented, and so in no need of an identification (RFC 6864 section 4.1).
    header.extend([0, 0, 0x40, 0, 1, PROTOCOL, 0, 0]);
    header.extend(source.octets());
    header.extend(destination.octets());
    header.extend(ROUTER_ALERT);
    fill_checksum(&mut header, 10);
    header
}

/// RFC 1071, over bytes in which the checksum is still zero.
fn fill_checksum(bytes: &mut [u8], place: usize) {
    let checksum = !checksum::data(bytes);
    if let Some(field) = bytes.get_mut(place..place.saturating_add(2)) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}
