//! The addresses that an adapter makes for the prefixes of routers, and lifetimes (RFC 4862 sections 5.5.3 and 5.5.4).

use smoltcp::time::Instant;
use smoltcp::wire::{IpCidr, Ipv6Cidr};

use super::{
    AddressError, AddressOrigin, AddressState, Addresses, Due, Identifiers, LinkAddress,
    is_assignable,
};

/// An address that router discovery wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autoconfigured {
    /// Which one.
    pub identity: Identity,
    /// When it is deprecated; `None`: never.
    pub preferred_until: Option<Instant>,
    /// When it goes; `None`: never.
    pub valid_until: Option<Instant>,
}

/// Which address router discovery wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The one that the adapter makes for this prefix of 64 bits; also when the first that it made was taken.
    Stable {
        /// The prefix.
        prefix: Ipv6Cidr,
    },
    /// This one (RFC 8981). It is not replaced when it is taken.
    Temporary {
        /// The address, with its prefix.
        address: Ipv6Cidr,
    },
}

impl Addresses {
    pub(in crate::link) fn set_identifiers(&mut self, identifiers: Identifiers, dad_transmits: u8) {
        self.identifiers = Some(identifiers);
        self.dad_transmits = dad_transmits;
    }

    /// Makes an address for a prefix, unless there is one of that origin.
    pub(in crate::link) fn generate(
        &mut self,
        now: Instant,
        prefix: Ipv6Cidr,
        origin: AddressOrigin,
    ) -> Result<(), AddressError> {
        if self
            .list
            .iter()
            .any(|own| own.origin == origin && is_in(own, prefix))
        {
            return Ok(());
        }
        let identifiers = self.identifiers.as_ref().ok_or(AddressError::Invalid)?;
        let address = identifiers.address(prefix).ok_or(AddressError::Invalid)?;
        self.add_unless_there(now, address, origin)
    }

    /// An address that somebody configured by hand is his, even when we would have made the same one.
    fn add_unless_there(
        &mut self,
        now: Instant,
        address: Ipv6Cidr,
        origin: AddressOrigin,
    ) -> Result<(), AddressError> {
        let cidr = IpCidr::Ipv6(address);
        if !is_assignable(cidr) {
            return Err(AddressError::Invalid);
        }
        if self
            .list
            .iter()
            .any(|own| own.cidr.address() == cidr.address())
        {
            return Ok(());
        }
        self.push(now, LinkAddress::new(cidr, origin))
    }

    pub(in crate::link) fn sync_autoconfigured(&mut self, now: Instant, wanted: &[Autoconfigured]) {
        let unwanted: Vec<_> = self
            .list
            .iter()
            .filter(|own| matches!(own.origin, AddressOrigin::Slaac | AddressOrigin::Temporary))
            .filter(|own| !wanted.iter().any(|wanted| wanted.identity.is(own)))
            .map(LinkAddress::address)
            .collect();
        for address in unwanted {
            self.remove(address);
        }
        for wanted in wanted {
            // What finds no place, or is no address, is left out: it comes again with the next advertisement.
            let _ = match wanted.identity {
                Identity::Stable { prefix } => self.generate(now, prefix, AddressOrigin::Slaac),
                Identity::Temporary { address } => {
                    self.add_unless_there(now, address, AddressOrigin::Temporary)
                }
            };
            for own in self.list.iter_mut().filter(|own| wanted.identity.is(own)) {
                own.preferred_until = wanted.preferred_until;
                own.valid_until = wanted.valid_until;
                // That a lifetime is over is told when it is noticed; that one began anew needs no telling.
                if own.state == AddressState::Deprecated {
                    own.state = own.state_at(now);
                }
            }
        }
    }

    /// RFC 4862 section 5.5.4
    pub(super) fn poll_lifetimes(&mut self, now: Instant) -> Option<Due> {
        let over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        let expired = self
            .list
            .iter()
            .find(|own| over(own.valid_until))
            .map(|own| own.cidr);
        if let Some(cidr) = expired {
            self.remove(cidr.address().into());
            return Some(Due::Expired(cidr));
        }
        let mut preferred = self
            .list
            .iter_mut()
            .filter(|own| own.state == AddressState::Preferred);
        let own = preferred.find(|own| over(own.preferred_until))?;
        own.state = AddressState::Deprecated;
        Some(Due::Deprecated(own.cidr))
    }
}

impl Identity {
    fn is(&self, own: &LinkAddress) -> bool {
        match self {
            Identity::Stable { prefix } => {
                own.origin == AddressOrigin::Slaac && is_in(own, *prefix)
            }
            Identity::Temporary { address } => {
                own.origin == AddressOrigin::Temporary && own.cidr == IpCidr::Ipv6(*address)
            }
        }
    }
}

fn is_in(own: &LinkAddress, prefix: Ipv6Cidr) -> bool {
    match own.cidr {
        IpCidr::Ipv6(cidr) => prefix.contains_addr(&cidr.address()),
        IpCidr::Ipv4(_) => false,
    }
}
