//! Addresses and prefixes, for both families.

use core::net::IpAddr;

use smoltcp::wire::{IpAddress, IpCidr, Ipv4Cidr, Ipv6Cidr};

/// Can `address` be that of one host?
pub(crate) fn is_host(address: IpAddr) -> bool {
    let limited_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || limited_broadcast)
}

/// Does `cidr` lie in the part of the address space that is no matter of routing: groups, this host itself, and the
/// link?
pub(super) fn is_scope_of_its_own(cidr: &IpCidr) -> bool {
    cidr.prefix_len() > 0
        && match IpAddr::from(cidr.address()) {
            IpAddr::V4(address) => address.is_multicast() || address.is_loopback(),
            IpAddr::V6(address) => {
                address.is_multicast() || address.is_loopback() || address.is_unicast_link_local()
            }
        }
}

/// `cidr` without host bits.
pub(super) fn network(cidr: IpCidr) -> IpCidr {
    match cidr {
        IpCidr::Ipv4(cidr) => IpCidr::Ipv4(cidr.network()),
        IpCidr::Ipv6(cidr) => {
            let address = cidr.address().to_bits() & ipv6_mask(cidr.prefix_len());
            IpCidr::Ipv6(Ipv6Cidr::new(address.into(), cidr.prefix_len()))
        }
    }
}

/// The first `length` bits of `address`.
pub(super) fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(length.into()))
                .unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & ipv6_mask(length)).into()),
    }
}

fn ipv6_mask(length: u8) -> u128 {
    u128::MAX
        .checked_shl(128_u32.saturating_sub(length.into()))
        .unwrap_or(0)
}

/// The prefix length of a single host.
pub(super) fn full_length(cidr: &IpCidr) -> u8 {
    match cidr {
        IpCidr::Ipv4(_) => 32,
        IpCidr::Ipv6(_) => 128,
    }
}

pub(super) fn host(address: IpAddr) -> IpCidr {
    match IpAddress::from(address) {
        IpAddress::Ipv4(address) => IpCidr::Ipv4(Ipv4Cidr::new(address, 32)),
        IpAddress::Ipv6(address) => IpCidr::Ipv6(Ipv6Cidr::new(address, 128)),
    }
}

pub(super) fn default_network(family_of: IpAddr) -> IpCidr {
    match family_of {
        IpAddr::V4(_) => IpCidr::Ipv4(Ipv4Cidr::new(0.into(), 0)),
        IpAddr::V6(_) => IpCidr::Ipv6(Ipv6Cidr::new(0.into(), 0)),
    }
}
