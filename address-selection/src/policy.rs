//! The policy table: what an address's prefix says of how far it goes, and with what it goes together.

use core::net::{IpAddr, Ipv6Addr};

/// What the table says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which destinations to try first: those with the highest.
    pub precedence: u8,
    /// Source and destination of the same label go together.
    pub label: u8,
}

/// RFC 6724 section 2.1: prefix, its length, precedence, label.
const TABLE: [(Ipv6Addr, u8, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 50, 0),
    // IPv4, as mapped addresses.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 35, 4),
    // IPv4-compatible addresses, deprecated (RFC 4291 2.5.5.1).
    (Ipv6Addr::UNSPECIFIED, 96, 1, 3),
    // Teredo (RFC 4380).
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5, 5),
    // 6to4 (RFC 3056).
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 30, 2),
    // The former 6bone (RFC 3701).
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 1, 12),
    // Site-local, deprecated (RFC 3879).
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 1, 11),
    // Unique local addresses (RFC 4193).
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 3, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 40, 1),
];

/// What the table says of `address`: the entry with the longest prefix that matches.
pub fn policy(address: IpAddr) -> Policy {
    let bits = mapped(address);
    let matching = TABLE
        .into_iter()
        .filter(|(prefix, length, _, _)| common_bits(prefix.to_bits(), bits) >= u32::from(*length));
    let entry = matching.max_by_key(|(_, length, _, _)| *length);
    // The last entry matches everything.
    entry.map_or(
        Policy {
            precedence: 40,
            label: 1,
        },
        |(_, _, precedence, label)| Policy { precedence, label },
    )
}

/// RFC 6724 section 2.2: how many bits the two have in common, as far as the source's prefix reaches: what follows it
/// numbers hosts and says nothing of where they are. Addresses of different families have none in common.
pub fn common_prefix_length(source: IpAddr, source_prefix_length: u8, destination: IpAddr) -> u8 {
    let (common, width) = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => (
            (source.to_bits() ^ destination.to_bits()).leading_zeros(),
            32,
        ),
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            (common_bits(source.to_bits(), destination.to_bits()), 128)
        }
        _ => (0, 0),
    };
    let common = common.min(width).min(source_prefix_length.into());
    u8::try_from(common).unwrap_or(u8::MAX)
}

fn common_bits(a: u128, b: u128) -> u32 {
    (a ^ b).leading_zeros()
}

/// Section 3.2: an IPv4 address is what its mapped form is.
fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6724_2_1_the_default_policy_table() {
        for (address, precedence, label) in [
            ("::1", 50, 0),
            ("::2", 1, 3),
            ("2001:db8::1", 40, 1),
            ("fe80::1", 40, 1),
            ("ff02::1", 40, 1),
            ("10.0.0.1", 35, 4),
            ("127.0.0.1", 35, 4),
            ("::ffff:10.0.0.1", 35, 4),
            ("2002:c633:6401::1", 30, 2),
            ("2001:0:53aa::1", 5, 5),
            ("fd42::1", 3, 13),
            ("fc00::1", 3, 13),
            ("fec0::1", 1, 11),
            ("3ffe::1", 1, 12),
        ] {
            let expected = Policy { precedence, label };
            assert_eq!(policy(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn rfc6724_2_2_bits_behind_the_sources_prefix_do_not_count() {
        let common = |source: &str, length, destination: &str| {
            common_prefix_length(
                source.parse().unwrap(),
                length,
                destination.parse().unwrap(),
            )
        };
        assert_eq!(common("2001:db8:1::1", 64, "2001:db8:1::1"), 64);
        assert_eq!(common("2001:db8:1::1", 128, "2001:db8:1::3"), 126);
        assert_eq!(common("2001:db8::1", 64, "2001:db9::1"), 31);
        assert_eq!(common("10.0.2.15", 24, "10.0.2.14"), 24);
        assert_eq!(common("10.0.2.15", 24, "10.0.3.1"), 23);
        assert_eq!(
            common("10.0.2.15", 24, "::ffff:10.0.2.15"),
            0,
            "two families"
        );
        assert_eq!(
            common("10.0.2.15", 255, "10.0.2.15"),
            32,
            "a prefix that cannot be"
        );
    }
}
