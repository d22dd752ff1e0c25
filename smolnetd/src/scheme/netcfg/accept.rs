//! What is written to the files of `netcfg`: one line understood, or refused. Nothing changes here.

use core::net::IpAddr;

use smoltcp::wire::IpCidr;

use super::edit::Edit;
use super::nodes::Place;
use crate::error::SocketError;
use crate::link::{Link, LinkKind};
use crate::ports::LinkId;
use crate::route::RouteSpec;
use crate::scheme::path;
use crate::stack::{IdentifierKind, is_domain};

fn link_id(place: &Place<'_>) -> Result<LinkId, SocketError> {
    place.link.map(Link::id).ok_or(SocketError::NotFound)
}

/// `a.b.c.d/len`: an address that one machine can have.
fn parse_address(line: &str, place: &Place<'_>) -> Result<(LinkId, IpCidr), SocketError> {
    let cidr: IpCidr = line.parse().map_err(|()| SocketError::Invalid)?;
    let link = place.link.ok_or(SocketError::NotFound)?;
    if link.kind() == LinkKind::Loopback {
        return Err(SocketError::NotSupported);
    }
    match crate::link::is_assignable(cidr) {
        true => Ok((link.id(), cidr)),
        false => Err(SocketError::Invalid),
    }
}

pub(super) fn set_address(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let (link, cidr) = parse_address(line, place)?;
    Ok(Edit::SetAddress(link, cidr))
}

pub(super) fn add_address(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let (link, cidr) = parse_address(line, place)?;
    Ok(Edit::AddAddress(link, cidr))
}

pub(super) fn remove_address(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let cidr: IpCidr = line.parse().map_err(|()| SocketError::Invalid)?;
    Ok(Edit::RemoveAddress(link_id(place)?, cidr))
}

pub(super) fn set_resolver(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let server = path::parse_address(line, &|zone| place.stack.zone(zone))?;
    let addr = server.address;
    let broadcast = matches!(addr, IpAddr::V4(addr) if addr.is_broadcast());
    let unusable = addr.is_unspecified() || addr.is_multicast() || broadcast;
    match unusable || server.is_ambiguous() {
        true => Err(SocketError::Invalid),
        false => Ok(Edit::Resolvers(vec![server])),
    }
}

pub(super) fn set_identifier(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let kind = match line {
        "stable" => IdentifierKind::Stable,
        "eui64" => IdentifierKind::Eui64,
        _ => return Err(SocketError::Invalid),
    };
    Ok(Edit::Identifier(link_id(place)?, kind))
}

pub(super) fn set_temporary(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let on = match line {
        "on" => true,
        "off" => false,
        _ => return Err(SocketError::Invalid),
    };
    Ok(Edit::Temporary(link_id(place)?, on))
}

/// One domain of the search list.
pub(super) fn set_search(line: &str, _place: &Place<'_>) -> Result<Edit, SocketError> {
    let domain = line.strip_suffix('.').unwrap_or(line);
    match is_domain(domain) {
        true => Ok(Edit::Search(vec![domain.to_owned()])),
        false => Err(SocketError::Invalid),
    }
}

/// The adapter that a route's text names, if it names one.
fn device(spec: &RouteSpec, place: &Place<'_>) -> Result<Option<LinkId>, SocketError> {
    match &spec.device {
        None => Ok(None),
        Some(name) => match place.stack.link_by_name(name) {
            Some(link) => Ok(Some(link.id())),
            None => Err(SocketError::NoDevice),
        },
    }
}

pub(super) fn add_route(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let spec: RouteSpec = line.parse().map_err(|_| SocketError::Invalid)?;
    let link = device(&spec, place)?;
    Ok(Edit::AddRoute(spec, link))
}

pub(super) fn remove_route(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let spec = RouteSpec::parse_removal(line).map_err(|_| SocketError::Invalid)?;
    let link = device(&spec, place)?;
    Ok(Edit::RemoveRoute(spec.selector(link)))
}
