//! RFC 6724 section 5: the address to speak from.

use core::cmp::Reverse;
use core::net::IpAddr;

use crate::policy::{common_prefix_length, policy};
use crate::scope::scope;

/// How far an address may be used (RFC 4862 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody knows yet that it is ours alone: not to be spoken from.
    Tentative,
    /// Ours.
    Preferred,
    /// Ours, but to be left: only when there is no other.
    Deprecated,
}

/// An address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The address.
    pub address: IpAddr,
    /// Length in bits of its network's prefix.
    pub prefix_length: u8,
    /// How far it may be used.
    pub state: State,
    /// Is it a temporary address (RFC 8981)?
    pub temporary: bool,
    /// The number of the adapter that has it.
    pub link: u32,
    /// The router that advertised its prefix, if one did.
    pub router: Option<IpAddr>,
}

/// The address to speak from to `destination` over the adapter `outgoing` and the router `next_hop` (as far as these
/// are known): the best of `candidates`, the first of equals; none if none can be spoken from. Addresses of the other
/// family are passed by.
///
/// RFC 6724 section 4 leaves to us which addresses are candidates: all of this host (RFC 1122's weak model), but for
/// destinations on one link those of that link only.
pub fn source(
    destination: IpAddr,
    outgoing: Option<u32>,
    next_hop: Option<IpAddr>,
    candidates: impl IntoIterator<Item = Candidate>,
) -> Option<Candidate> {
    let bound_to_link = destination.is_multicast() || scope(destination).needs_link();
    let usable = candidates.into_iter().filter(|candidate| {
        candidate.address.is_ipv4() == destination.is_ipv4()
            && candidate.state != State::Tentative
            && !(bound_to_link && outgoing.is_some_and(|link| link != candidate.link))
    });
    usable.min_by_key(|candidate| rank(candidate, destination, outgoing, next_hop))
}

/// The rules of section 5 in their order; less is better. Rule 4 (home addresses) is for mobile hosts.
fn rank(
    candidate: &Candidate,
    destination: IpAddr,
    outgoing: Option<u32>,
    next_hop: Option<IpAddr>,
) -> impl Ord + use<> {
    let (own, far) = (scope(candidate.address), scope(destination));
    let common = common_prefix_length(candidate.address, candidate.prefix_length, destination);
    (
        // Rule 1: prefer the same address.
        candidate.address != destination,
        // Rule 2: prefer appropriate scope: one that reaches the destination, and of those the smallest; failing
        // that, the largest.
        (
            own < far,
            if own < far {
                Err(Reverse(own))
            } else {
                Ok(own)
            },
        ),
        // Rule 3: avoid deprecated addresses.
        candidate.state == State::Deprecated,
        // Rule 5: prefer the outgoing interface.
        outgoing.is_some_and(|link| link != candidate.link),
        // Rule 5.5: prefer addresses in a prefix advertised by the next hop.
        next_hop.is_some_and(|next_hop| candidate.router != Some(next_hop)),
        // Rule 6: prefer the matching label.
        policy(candidate.address).label != policy(destination).label,
        // Rule 7: prefer temporary addresses.
        !candidate.temporary,
        // Rule 8: use the longest matching prefix.
        Reverse(common),
    )
}

#[cfg(test)]
mod tests;
