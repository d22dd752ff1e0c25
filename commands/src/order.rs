//! Which address of a name to try first: destination address selection, RFC 6724 section 6.
//!
//! The stack knows which address it would speak from to each; that is asked by opening a UDP socket to it, by which
//! nothing is sent. Whether a source is deprecated (rule 3) it does not say there, and it does not take one that is
//! while it has another (RFC 6724 section 5, rule 3). Rules 4 and 7 are for mobility and tunnels, of which there are none.

use core::cmp::Reverse;
use core::net::{IpAddr, Ipv6Addr};

use syscall::flag::O_RDWR;

use crate::address::Address;
use crate::fd::OpenedFile;

/// Any port will do; this one discards (RFC 863).
const PROBE_PORT: u16 = 9;

/// Sorts addresses as they should be tried. Those that cannot be reached come last.
pub(crate) fn sort(addresses: &mut Vec<Address>) {
    if addresses.len() < 2 {
        return;
    }
    let mut pairs: Vec<(Address, Option<IpAddr>)> = addresses
        .drain(..)
        .map(|address| {
            let source = source_to(&address);
            (address, source)
        })
        .collect();
    pairs.sort_by_cached_key(|(address, source)| rank(address.ip, *source));
    addresses.extend(pairs.into_iter().map(|(address, _)| address));
}

/// The address that the stack would speak from to `peer`; none when there is no way to it.
fn source_to(peer: &Address) -> Option<IpAddr> {
    let path = format!("/scheme/udp/{}", peer.with_port(PROBE_PORT));
    let name = OpenedFile::open(&path, O_RDWR).ok()?.fpath().ok()?;
    let (address, _port) = name.rsplit_once('/')?.1.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    address.parse::<Address>().ok().map(|address| address.ip)
}

/// Smaller is better. Sorting by it is stable, which is rule 10.
type Rank = (bool, bool, bool, Reverse<u8>, u8, Reverse<u32>);

fn rank(destination: IpAddr, source: Option<IpAddr>) -> Rank {
    let scope = scope(destination);
    let policy = policy(destination);
    let (other_scope, other_label, prefix) = match source {
        None => (true, true, 0),
        Some(source) => (
            self::scope(source) != scope,
            self::policy(source).label != policy.label,
            common_prefix(source, destination),
        ),
    };
    (
        // Rule 1: avoid unusable destinations.
        source.is_none(),
        // Rule 2: prefer matching scope.
        other_scope,
        // Rule 5: prefer matching label.
        other_label,
        // Rule 6: prefer higher precedence.
        Reverse(policy.precedence),
        // Rule 8: prefer smaller scope.
        scope,
        // Rule 9: use the longest matching prefix.
        Reverse(prefix),
    )
}

/// Section 3.1 and 3.2: the scope as multicast addresses number it.
fn scope(address: IpAddr) -> u8 {
    const LINK_LOCAL: u8 = 2;
    const SITE_LOCAL: u8 = 5;
    const GLOBAL: u8 = 14;
    match address {
        IpAddr::V4(v4) if v4.is_link_local() || v4.is_loopback() => LINK_LOCAL,
        IpAddr::V4(_) => GLOBAL,
        IpAddr::V6(v6) if v6.is_multicast() => v6.octets()[1] & 0xf,
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unicast_link_local() => LINK_LOCAL,
        IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfec0 => SITE_LOCAL,
        IpAddr::V6(_) => GLOBAL,
    }
}

#[derive(Clone, Copy)]
struct Policy {
    prefix: Ipv6Addr,
    length: u32,
    precedence: u8,
    label: u8,
}

const fn row(prefix: [u16; 8], length: u32, precedence: u8, label: u8) -> Policy {
    let [a, b, c, d, e, f, g, h] = prefix;
    Policy {
        prefix: Ipv6Addr::new(a, b, c, d, e, f, g, h),
        length,
        precedence,
        label,
    }
}

/// Section 2.1: the default policy table, long prefixes first.
const POLICIES: [Policy; 9] = [
    row([0, 0, 0, 0, 0, 0, 0, 1], 128, 50, 0),
    row([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, 35, 4),
    row([0; 8], 96, 1, 3),
    row([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, 5, 5),
    row([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, 30, 2),
    row([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16, 1, 12),
    row([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, 1, 11),
    row([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, 3, 13),
    row([0; 8], 0, 40, 1),
];

fn policy(address: IpAddr) -> Policy {
    let address = mapped(address);
    let [.., everything] = POLICIES;
    let matches = |row: &&Policy| common_bits(row.prefix, address) >= row.length;
    *POLICIES.iter().find(matches).unwrap_or(&everything)
}

/// Section 2.1: IPv4 addresses are looked up as IPv4-mapped ones.
fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn common_bits(a: Ipv6Addr, b: Ipv6Addr) -> u32 {
    (a.to_bits() ^ b.to_bits()).leading_zeros()
}

/// Section 2.2: of IPv6 addresses no more than the network part counts, for which 64 bits stand. IPv4 servers of one
/// name are left in the order in which their name server put them, which is how it spreads the load.
fn common_prefix(source: IpAddr, destination: IpAddr) -> u32 {
    match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => common_bits(source, destination).min(64),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sorts pairs of a destination and its source, "-" for none; the destinations.
    fn sorted(pairs: &[(&str, &str)]) -> Vec<String> {
        let mut pairs: Vec<(IpAddr, Option<IpAddr>)> = pairs
            .iter()
            .map(|(to, from)| (to.parse().unwrap(), from.parse().ok()))
            .collect();
        pairs.sort_by_cached_key(|(to, from)| rank(*to, *from));
        pairs.iter().map(|(to, _)| to.to_string()).collect()
    }

    /// RFC 6724 section 10.2
    #[test]
    fn the_examples_of_the_rfc_come_out_as_it_says() {
        let ours = [
            [
                ("2001:db8:1::1", "2001:db8:1::2"),
                ("198.51.100.121", "169.254.13.78"),
            ],
            [
                ("198.51.100.121", "198.51.100.117"),
                ("2001:db8:1::1", "fe80::1"),
            ],
            [("2001:db8:1::1", "2001:db8:1::2"), ("10.1.2.3", "10.1.2.4")],
            [("fe80::1", "fe80::2"), ("2001:db8:1::1", "2001:db8:1::2")],
            [
                ("2002:c633:6401::1", "2002:c633:6401::2"),
                ("2001:db8:1::1", "fe80::2"),
            ],
            [
                ("2001:db8:1::1", "2001:db8:1::2"),
                ("2002:c633:6401::1", "2002:c633:6401::2"),
            ],
        ];
        for [first, second] in ours {
            let expected = [first.0, second.0];
            assert_eq!(sorted(&[first, second]), expected);
            assert_eq!(sorted(&[second, first]), expected);
        }
    }

    /// Rule 1
    #[test]
    fn without_ipv6_an_ipv4_address_comes_first() {
        let pairs = [("2001:db8::1", "-"), ("192.0.2.1", "10.0.2.15")];
        assert_eq!(sorted(&pairs), ["192.0.2.1", "2001:db8::1"]);
    }

    /// Section 2.1: precedence of fc00::/7 is 3, of IPv4 35.
    #[test]
    fn a_unique_local_address_comes_after_ipv4_and_loopback_before_all() {
        let pairs = [
            ("fd12::2", "fd12::1"),
            ("10.0.2.2", "10.0.2.15"),
            ("::1", "::1"),
        ];
        assert_eq!(sorted(&pairs), ["::1", "10.0.2.2", "fd12::2"]);
    }

    /// Rule 9, and rule 10.
    #[test]
    fn the_nearer_prefix_comes_first_and_equals_keep_their_order() {
        let source = "2001:db8:1::9";
        let pairs = [
            ("2001:db8:ff::1", source),
            ("2001:db8:1::b", source),
            ("2001:db8:1::a", source),
        ];
        let expected = ["2001:db8:1::b", "2001:db8:1::a", "2001:db8:ff::1"];
        assert_eq!(sorted(&pairs), expected);
        let v4 = [("192.0.2.9", "192.0.2.8"), ("192.0.2.1", "192.0.2.8")];
        assert_eq!(sorted(&v4), ["192.0.2.9", "192.0.2.1"]);
    }
}
