//! What a line written to `netcfg` will do once it is committed.

use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

use crate::error::SocketError;
use crate::ip::ZonedAddr;
use crate::link::AddressOrigin;
use crate::ports::LinkId;
use crate::route::{Origin, RouteSpec, Selector};
use crate::stack::{IdentifierKind, Stack};

/// One accepted line.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// This address instead of all that the adapter has; its DHCP client ends.
    SetAddress(LinkId, IpCidr),
    AddAddress(LinkId, IpCidr),
    RemoveAddress(LinkId, IpCidr),
    /// How the adapter makes its own addresses.
    Identifier(LinkId, IdentifierKind),
    /// Whether it makes temporary ones.
    Temporary(LinkId, bool),
    AddRoute(RouteSpec, Option<LinkId>),
    RemoveRoute(Selector),
    /// These name servers instead of all others.
    Resolvers(Vec<ZonedAddr>),
    /// These domains instead of all others.
    Search(Vec<String>),
}

impl Edit {
    /// Puts `self` behind `edits`. Name servers, or domains, written together are one list.
    pub(super) fn append_to(self, edits: &mut Vec<Edit>) {
        match (edits.last_mut(), self) {
            (Some(Edit::Resolvers(servers)), Edit::Resolvers(more)) => servers.extend(more),
            (Some(Edit::Search(domains)), Edit::Search(more)) => domains.extend(more),
            (_, edit) => edits.push(edit),
        }
    }

    pub(super) fn apply(self, stack: &mut Stack, now: Instant) -> Result<(), SocketError> {
        match self {
            Edit::SetAddress(link, cidr) => stack.set_address(now, link, cidr),
            Edit::AddAddress(link, cidr) => {
                stack.add_address(now, link, cidr, AddressOrigin::Static)
            }
            Edit::RemoveAddress(link, cidr) => stack.remove_address(now, link, cidr),
            Edit::Identifier(link, kind) => stack.set_identifier_kind(now, link, kind),
            Edit::Temporary(link, on) => stack.use_temporary_addresses(now, link, on),
            Edit::AddRoute(spec, link) => {
                let link = match (link, spec.gateway) {
                    (Some(link), _) => link,
                    // The gateway must be on a network of ours already.
                    (None, Some(gateway)) => stack
                        .routes()
                        .link_to(gateway)
                        .ok_or(SocketError::NetworkUnreachable)?,
                    (None, None) => return Err(SocketError::Invalid),
                };
                stack.add_route(now, spec.into_route(link, Origin::Static, now))
            }
            Edit::RemoveRoute(selector) => match stack.remove_route(now, &selector) {
                0 => Err(SocketError::NotFound),
                _ => Ok(()),
            },
            Edit::Resolvers(servers) => {
                stack.set_resolvers(servers);
                Ok(())
            }
            Edit::Search(domains) => {
                stack.set_search_domains(domains);
                Ok(())
            }
        }
    }
}
