//! The address to speak from, when neither the socket nor the route says it (RFC 6724 section 5).

use core::net::IpAddr;

use address_selection::{Candidate, State};

use crate::link::{AddressOrigin, AddressState, LinkAddress};
use crate::ports::LinkId;

/// Of the addresses of `link`, the one to speak from to `destination`, which leaves over `next_hop`: the adapter's own
/// are the candidates (RFC 6724 4).
pub fn source_on(
    link: LinkId,
    addresses: &[LinkAddress],
    destination: IpAddr,
    next_hop: IpAddr,
) -> Option<IpAddr> {
    let candidates = addresses
        .iter()
        .filter_map(|own| candidate(link, own, next_hop));
    address_selection::source(destination, Some(link.0), Some(next_hop), candidates)
        .map(|chosen| chosen.address)
}

fn candidate(link: LinkId, own: &LinkAddress, next_hop: IpAddr) -> Option<Candidate> {
    let state = match own.state {
        AddressState::Tentative => State::Tentative,
        AddressState::Preferred => State::Preferred,
        AddressState::Deprecated => State::Deprecated,
        AddressState::Duplicate => return None,
    };
    // Which router advertised the prefix, an address does not say. But IPv4's router is in the network of the address
    // that it knows the way back to (RFC 1122 3.3.4.3): rule 5.5 before there was one.
    let beside = next_hop.is_ipv4() && own.cidr.contains_addr(&next_hop.into());
    Some(Candidate {
        address: own.address(),
        prefix_length: own.cidr.prefix_len(),
        state,
        temporary: own.origin == AddressOrigin::Temporary,
        link: link.0,
        router: beside.then_some(next_hop),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETH0: LinkId = LinkId(1);

    fn own(text: &str) -> LinkAddress {
        let (address, length) = text.split_once('/').expect("address/length");
        let address: IpAddr = address.parse().expect("an address");
        let cidr = smoltcp::wire::IpCidr::new(address.into(), length.parse().expect("a length"));
        LinkAddress::new(cidr, AddressOrigin::Static)
    }

    fn chosen(addresses: &[LinkAddress], destination: &str, next_hop: &str) -> Option<String> {
        let parse = |text: &str| text.parse().expect("an address");
        source_on(ETH0, addresses, parse(destination), parse(next_hop)).map(|own| own.to_string())
    }

    #[test]
    fn rfc1122_3_3_4_3_ipv4_speaks_from_the_network_of_the_next_hop() {
        let both = [own("192.168.1.5/24"), own("10.0.2.15/24")];
        assert_eq!(
            chosen(&both, "200.0.0.1", "10.0.2.2").as_deref(),
            Some("10.0.2.15")
        );
        assert_eq!(
            chosen(&both, "200.0.0.1", "192.168.1.1").as_deref(),
            Some("192.168.1.5")
        );
        assert_eq!(
            chosen(&both, "10.0.2.7", "10.0.2.7").as_deref(),
            Some("10.0.2.15")
        );
        // A router outside all networks, as some clouds have it: what has most in common.
        assert_eq!(
            chosen(&both, "192.168.9.9", "172.16.0.1").as_deref(),
            Some("192.168.1.5")
        );
    }

    #[test]
    fn rfc6724_5_rule_3_and_7_states_and_origins_count() {
        let old = LinkAddress {
            state: AddressState::Deprecated,
            ..own("fd12::1/64")
        };
        let new = own("fd13::1/64");
        let temporary = LinkAddress {
            origin: AddressOrigin::Temporary,
            ..own("fd13::d00d/64")
        };
        let tentative = LinkAddress {
            state: AddressState::Tentative,
            ..own("fd12::2/64")
        };
        let duplicate = LinkAddress {
            state: AddressState::Duplicate,
            ..own("fd12::3/64")
        };
        let all = [own("fe80::1/64"), old, tentative, duplicate, new, temporary];
        assert_eq!(
            chosen(&all[..5], "fd12::9", "fe80::2").as_deref(),
            Some("fd13::1")
        );
        assert_eq!(
            chosen(&all, "fd12::9", "fe80::2").as_deref(),
            Some("fd13::d00d")
        );
        assert_eq!(
            chosen(&all[..4], "fd12::9", "fe80::2").as_deref(),
            Some("fd12::1")
        );
        assert_eq!(
            chosen(&all, "fe80::2", "fe80::2").as_deref(),
            Some("fe80::1")
        );
        assert_eq!(chosen(&all[2..4], "fd12::9", "fe80::2"), None);
    }
}
