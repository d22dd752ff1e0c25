//! RFC 6724 section 6: in which order to try the addresses of a name.

use core::cmp::Reverse;
use core::net::IpAddr;

use crate::policy::{common_prefix_length, policy};
use crate::scope::scope;

/// The address that one would speak from to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The address.
    pub address: IpAddr,
    /// Length in bits of its network's prefix.
    pub prefix_length: u8,
    /// Is it to be left (RFC 4862 2)?
    pub deprecated: bool,
}

impl Source {
    /// A source of which nothing but the address is known: its network's prefix is taken for that of most networks,
    /// 64 bits and 24.
    pub fn new(address: IpAddr) -> Source {
        let prefix_length = if address.is_ipv4() { 24 } else { 64 };
        Source {
            address,
            prefix_length,
            deprecated: false,
        }
    }
}

/// An address that may be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The address.
    pub address: IpAddr,
    /// From where it would be spoken to; `None` when it cannot be.
    pub source: Option<Source>,
}

impl Destination {
    /// A destination of which is known from where it would be spoken to.
    pub fn new(address: IpAddr, source: Option<IpAddr>) -> Destination {
        Destination {
            address,
            source: source.map(Source::new),
        }
    }
}

/// Sorts destinations into the order in which to try them. Those that no rule tells apart keep theirs (rule 10).
pub fn order(destinations: &mut [Destination]) {
    destinations.sort_by_key(rank);
}

/// The key to sort by, for who keeps more than addresses: the rules of section 6 in their order; less is better. Rule 4 (home addresses) is for mobile hosts, and rule 7
/// (native transport) for those with tunnels of their own. Only IPv4 has its precedence, so that rule 9, which is for
/// addresses of one family, never compares two families.
pub fn rank(destination: &Destination) -> impl Ord + use<> {
    let address = destination.address;
    let source = destination.source;
    let common = source.map_or(0, |source| {
        common_prefix_length(source.address, source.prefix_length, address)
    });
    (
        // Rule 1: avoid unusable destinations.
        source.is_none(),
        // Rule 2: prefer matching scope.
        source.is_some_and(|source| scope(source.address) != scope(address)),
        // Rule 3: avoid deprecated addresses.
        source.is_some_and(|source| source.deprecated),
        // Rule 5: prefer matching label.
        source.is_some_and(|source| policy(source.address).label != policy(address).label),
        // Rule 6: prefer higher precedence.
        Reverse(policy(address).precedence),
        // Rule 8: prefer smaller scope.
        scope(address),
        // Rule 9: use the longest matching prefix.
        Reverse(common),
    )
}

#[cfg(test)]
mod tests;
