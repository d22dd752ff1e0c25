//! How a link makes its own IPv6 addresses, as somebody chose it: `ifaces/<name>/ipv6`.

use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

use super::Stack;
use crate::error::SocketError;
use crate::link::{AddressOrigin, InterfaceIdentifiers, Ipv6Config, LinkAddress};
use crate::ports::LinkId;

/// Which interface identifiers a link makes its addresses with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierKind {
    /// RFC 7217: opaque, and the same in the same network.
    Stable,
    /// RFC 4291 appendix A: from the Ethernet address.
    Eui64,
}

/// What was chosen for one link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// With the identifiers that it was given at first.
    config: Ipv6Config,
    kind: IdentifierKind,
    temporary: bool,
}

impl Choice {
    pub(super) fn new(config: Ipv6Config) -> Choice {
        let kind = match config.identifiers {
            InterfaceIdentifiers::StableOpaque { secret: _ } => IdentifierKind::Stable,
            InterfaceIdentifiers::Eui64 => IdentifierKind::Eui64,
        };
        Choice {
            config,
            kind,
            temporary: false,
        }
    }

    fn config(&self) -> Ipv6Config {
        let identifiers = match self.kind {
            IdentifierKind::Stable => self.config.identifiers,
            IdentifierKind::Eui64 => InterfaceIdentifiers::Eui64,
        };
        Ipv6Config {
            identifiers,
            ..self.config
        }
    }
}

impl Stack {
    /// Which identifiers a link uses; none if it gives itself no addresses.
    pub fn identifier_kind(&self, id: LinkId) -> Option<IdentifierKind> {
        self.config.own_addresses.get(&id).map(|choice| choice.kind)
    }

    /// Has a link make its addresses with other identifiers: those that it gave itself go, with the connections that
    /// speak from them, and routers are asked anew.
    ///
    /// # Errors
    /// `NotSupported` for a link that gives itself no addresses, and for stable ones if it has no secret to make them of.
    pub fn set_identifier_kind(
        &mut self,
        now: Instant,
        id: LinkId,
        kind: IdentifierKind,
    ) -> Result<(), SocketError> {
        let choice = self.config.own_addresses.get_mut(&id);
        let choice = choice.ok_or(SocketError::NotSupported)?;
        if choice.kind == kind {
            return Ok(());
        }
        if choice.config.identifiers == InterfaceIdentifiers::Eui64 {
            return Err(SocketError::NotSupported);
        }
        choice.kind = kind;
        let config = choice.config();
        let link = self.network.links.get_mut(&id);
        let link = link.ok_or(SocketError::NoDevice)?;
        link.discover_routers(now, false);
        let made = |own: &&LinkAddress| {
            matches!(
                own.origin,
                AddressOrigin::LinkLocal | AddressOrigin::Slaac | AddressOrigin::Temporary
            )
        };
        let made: Vec<IpCidr> = link
            .addresses()
            .iter()
            .filter(made)
            .map(|own| own.cidr)
            .collect();
        for cidr in made {
            link.remove_address(now, cidr);
        }
        link.enable_ipv6(now, config);
        link.discover_routers(now, true);
        self.apply_events(now, id);
        self.addresses_changed(now, id);
        Ok(())
    }

    /// Does a link make temporary addresses (RFC 8981)? None if it gives itself no addresses.
    pub fn uses_temporary_addresses(&self, id: LinkId) -> Option<bool> {
        let choice = self.config.own_addresses.get(&id);
        choice.map(|choice| choice.temporary)
    }

    /// Has a link make temporary addresses, or no more.
    ///
    /// # Errors
    /// `NotSupported` for a link that gives itself no addresses.
    pub fn use_temporary_addresses(
        &mut self,
        now: Instant,
        id: LinkId,
        on: bool,
    ) -> Result<(), SocketError> {
        let choice = self.config.own_addresses.get_mut(&id);
        choice.ok_or(SocketError::NotSupported)?.temporary = on;
        let link = self.network.links.get_mut(&id);
        link.ok_or(SocketError::NoDevice)?
            .use_temporary_addresses(now, on);
        self.apply_events(now, id);
        Ok(())
    }
}
