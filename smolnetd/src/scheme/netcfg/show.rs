//! What the files of `netcfg` show.

use core::fmt::Write as _;
use core::net::SocketAddr;

use netscheme::frame::Mac;
use smoltcp::time::Instant;

use super::nodes::Place;
use crate::ip::ZonedAddr;
use crate::link::{AddressOrigin, AddressState, Link, LinkAddress};
use crate::scheme::path;
use crate::socket::SocketKind;
use crate::stack::{IdentifierKind, SocketInfo};

/// One line per item.
fn lines<T: core::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items.fold(String::new(), |mut text, item| {
        let _ = writeln!(text, "{item}");
        text
    })
}

pub(super) fn mac(place: &Place<'_>) -> String {
    place
        .link
        .map_or(String::new(), |link| format!("{}\n", Mac(link.mac())))
}

pub(super) fn mtu(place: &Place<'_>) -> String {
    place
        .link
        .map_or(String::new(), |link| format!("{}\n", link.mtu()))
}

pub(super) fn link_state(place: &Place<'_>) -> String {
    let up = place.link.is_some_and(Link::is_up);
    let speed = place
        .link
        .and_then(|link| place.adapters.speed_mbps(link.id()));
    let word = if up { "up" } else { "down" };
    match speed {
        Some(speed) => format!("{word} {speed}\n"),
        None => format!("{word}\n"),
    }
}

/// First IPv4's, `a.b.c.d/len` a line each, or "Not configured": that is what Redox's tools read. Then IPv6's, with
/// state, lifetimes in seconds and origin: `fd12::15/64 preferred valid 86400 preferred 14400 slaac`.
pub(super) fn addresses(place: &Place<'_>) -> String {
    let all = place.link.map(Link::addresses).unwrap_or_default();
    let (v4, v6): (Vec<&LinkAddress>, Vec<&LinkAddress>) =
        all.iter().partition(|own| own.address().is_ipv4());
    let mut text = lines(v4.iter().map(|own| own.cidr));
    if text.is_empty() {
        text.push_str("Not configured\n");
    }
    text.push_str(&lines(v6.iter().map(|own| address_line(own, place.now))));
    text
}

fn address_line(own: &LinkAddress, now: Instant) -> String {
    let LinkAddress {
        cidr,
        origin,
        state,
        preferred_until,
        valid_until,
    } = own;
    let state = match state {
        AddressState::Tentative => "tentative",
        AddressState::Preferred => "preferred",
        AddressState::Deprecated => "deprecated",
        AddressState::Duplicate => "duplicate",
    };
    let origin = match origin {
        AddressOrigin::Static => "static",
        AddressOrigin::Dhcp => "dhcp",
        AddressOrigin::LinkLocal => "link-local",
        AddressOrigin::Slaac => "slaac",
        AddressOrigin::Temporary => "temporary",
    };
    let [valid, preferred] = [valid_until, preferred_until].map(|until| match until {
        None => "forever".to_owned(),
        Some(until) if *until <= now => "0".to_owned(),
        Some(until) => (*until - now).secs().to_string(),
    });
    format!("{cidr} {state} valid {valid} preferred {preferred} {origin}")
}

/// `stable` or `eui64`; nothing for an adapter that gives itself no addresses.
pub(super) fn identifier(place: &Place<'_>) -> String {
    let kind = place
        .link
        .and_then(|link| place.stack.identifier_kind(link.id()));
    match kind {
        None => String::new(),
        Some(IdentifierKind::Stable) => "stable\n".into(),
        Some(IdentifierKind::Eui64) => "eui64\n".into(),
    }
}

/// `on` or `off`; nothing for an adapter that gives itself no addresses.
pub(super) fn temporary(place: &Place<'_>) -> String {
    let used = place
        .link
        .and_then(|link| place.stack.uses_temporary_addresses(link.id()));
    match used {
        None => String::new(),
        Some(true) => "on\n".into(),
        Some(false) => "off\n".into(),
    }
}

pub(super) fn link_stats(place: &Place<'_>) -> String {
    let Some(link) = place.link else {
        return String::new();
    };
    let counters = link.counters().iter();
    let own = counters
        .chain(link.autoconf_counters().iter())
        .map(|(name, value)| (name.to_owned(), value));
    let driver = place.adapters.stats(link.id());
    let driver = driver
        .into_iter()
        .map(|(name, value)| (format!("driver.{name}"), value));
    lines(
        own.chain(driver)
            .map(|(name, value)| format!("{name} {value}")),
    )
}

pub(super) fn neighbours(place: &Place<'_>) -> String {
    lines(place.stack.links().flat_map(|link| {
        link.neighbours(place.now).map(move |neighbour| {
            let mac = neighbour.mac.map_or("-".into(), |mac| Mac(mac).to_string());
            let state = format!("{:?}", neighbour.state).to_ascii_lowercase();
            format!(
                "{} dev {} lladdr {mac} {state}",
                neighbour.address,
                link.name()
            )
        })
    }))
}

pub(super) fn resolvers(place: &Place<'_>) -> String {
    let resolvers = place.stack.resolvers().into_iter();
    lines(resolvers.map(|resolver| {
        let end = resolver.with_port(0);
        path::address_text(end, zone_name(end, place))
    }))
}

pub(super) fn routes(place: &Place<'_>) -> String {
    lines(place.stack.routes().iter().map(|route| {
        let link = place.stack.link(route.link).map_or("?", Link::name);
        route.text(link, place.now).to_string()
    }))
}

pub(super) fn stats(place: &Place<'_>) -> String {
    let own = [("daemon.wakeups".to_owned(), place.wakeups)];
    let all = own.into_iter().chain(place.stack.stats());
    lines(all.map(|(name, value)| format!("{name} {value}")))
}

/// `tcp established 10.0.2.15:49152 10.0.2.2:80 rxq 0 txq 0 uid 1000`, `-` for an end that there is not yet.
pub(super) fn sockets(place: &Place<'_>) -> String {
    lines(place.stack.socket_list().map(|socket| {
        let SocketInfo {
            kind,
            local,
            peer,
            state,
            receive_queue,
            send_queue,
            uid,
        } = socket;
        let [local, peer] = [local, peer].map(|end| end_text(end, place));
        format!(
            "{} {state} {local} {peer} rxq {receive_queue} txq {send_queue} uid {uid}",
            protocol(kind)
        )
    }))
}

fn end_text(end: Option<SocketAddr>, place: &Place<'_>) -> String {
    let Some(end) = end else { return "-".into() };
    path::end_text(end, zone_name(end, place))
}

fn zone_name<'p>(end: SocketAddr, place: &'p Place<'_>) -> Option<&'p str> {
    let zone = ZonedAddr::of(end).zone;
    zone.and_then(|zone| place.stack.link(zone)).map(Link::name)
}

fn protocol(kind: SocketKind) -> String {
    match kind {
        SocketKind::Tcp => "tcp".into(),
        SocketKind::Udp => "udp".into(),
        SocketKind::IcmpEcho => "icmp/echo".into(),
        SocketKind::IcmpUdpErrors => "icmp/udp".into(),
        SocketKind::Raw(protocol) => format!("ip/{protocol}"),
        SocketKind::RawV6(protocol) => format!("ip/v6/{protocol}"),
    }
}

pub(super) fn search(place: &Place<'_>) -> String {
    lines(place.stack.search_domains().iter())
}
