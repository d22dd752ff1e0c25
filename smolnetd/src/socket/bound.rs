//! What sockets are bound to, and how they speak of addresses: a socket of IPv6 hears IPv4 too, unless it is told not
//! to (RFC 3493 3.7, 5.3).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::error::SocketError;
use crate::ip::ZonedAddr;

/// The local address that a socket is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bound {
    /// `::`: any address, of both families.
    Any,
    /// `0.0.0.0`: any IPv4 address.
    AnyV4,
    /// `::` with IPV6_V6ONLY: any IPv6 address.
    AnyV6,
    /// This one.
    One(ZonedAddr),
}

impl Bound {
    /// What an end is bound to: an unspecified address is any.
    pub fn of(end: SocketAddr, v6_only: bool) -> Bound {
        match end.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Bound::AnyV4,
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) if v6_only => Bound::AnyV6,
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Bound::Any,
            _ => Bound::One(ZonedAddr::of(end)),
        }
    }

    /// What hears packets for `address`, the most particular first.
    pub fn hearing(address: ZonedAddr) -> [Bound; 3] {
        let family = match address.address {
            IpAddr::V4(_) => Bound::AnyV4,
            IpAddr::V6(_) => Bound::AnyV6,
        };
        [Bound::One(address), family, Bound::Any]
    }

    /// Do packets for `address` reach it?
    pub fn hears(self, address: ZonedAddr) -> bool {
        Bound::hearing(address).contains(&self)
    }

    /// Is there a packet that would reach both?
    pub fn overlaps(self, other: Bound) -> bool {
        match (self, other) {
            (Bound::AnyV4, Bound::AnyV6) | (Bound::AnyV6, Bound::AnyV4) => false,
            (Bound::One(address), other) | (other, Bound::One(address)) => other.hears(address),
            _ => true,
        }
    }

    /// The address, if it is one.
    pub fn one(self) -> Option<ZonedAddr> {
        match self {
            Bound::One(address) => Some(address),
            Bound::Any | Bound::AnyV4 | Bound::AnyV6 => None,
        }
    }

    /// Is it the address of a group? Such is only heard at, nobody speaks from it.
    pub fn is_group(self) -> bool {
        self.one().is_some_and(|one| one.address.is_multicast())
    }

    /// The end that it is with this port.
    pub fn with_port(self, port: u16) -> SocketAddr {
        match self {
            Bound::One(address) => address.with_port(port),
            Bound::AnyV4 => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
            Bound::Any | Bound::AnyV6 => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port),
        }
    }
}

/// The family that a socket is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// It knows IPv4 addresses only.
    V4,
    /// It knows IPv6 addresses, and IPv4 ones as `::ffff:a.b.c.d` (RFC 4291 2.5.5.2).
    V6,
}

/// How a socket speaks of addresses. Inside the stack an IPv4 address is an IPv4 address, whoever uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The family, once the first address has decided it.
    pub family: Option<Family>,
    /// IPV6_V6ONLY
    pub v6_only: bool,
}

impl Naming {
    /// The naming of a socket that is given `end`: the first address decides the family.
    pub fn given(self, end: SocketAddr) -> Naming {
        let family = match end {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        };
        Naming {
            family: self.family.or(Some(family)),
            ..self
        }
    }

    /// An end as the stack knows it.
    ///
    /// # Errors
    /// `FamilyNotSupported` for IPv6 on a socket of IPv4; `NetworkUnreachable` for IPv4 with IPV6_V6ONLY.
    pub fn inward(self, end: SocketAddr) -> Result<SocketAddr, SocketError> {
        let zoned = ZonedAddr::of(end);
        let inner = ZonedAddr {
            address: zoned.address.to_canonical(),
            ..zoned
        };
        match self.given(end).family {
            Some(Family::V4) if end.is_ipv6() => Err(SocketError::FamilyNotSupported),
            Some(Family::V6) if self.v6_only && inner.address.is_ipv4() => {
                Err(SocketError::NetworkUnreachable)
            }
            _ => Ok(inner.with_port(end.port())),
        }
    }

    /// An end as the socket's owner knows it.
    pub fn outward(self, end: SocketAddr) -> SocketAddr {
        match (self.family, end.ip()) {
            (Some(Family::V6), IpAddr::V4(address)) => {
                SocketAddr::new(address.to_ipv6_mapped().into(), end.port())
            }
            _ => end,
        }
    }

    /// What a socket is bound to that was never told.
    pub fn wildcard(self) -> Bound {
        match self.family {
            Some(Family::V6) if self.v6_only => Bound::AnyV6,
            Some(Family::V6) => Bound::Any,
            Some(Family::V4) | None => Bound::AnyV4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> SocketAddr {
        text.parse().expect("an end")
    }

    fn bound(text: &str) -> Bound {
        Bound::of(end(text), false)
    }

    #[test]
    fn rfc3493_any_address_of_ipv6_is_any_address_of_ipv4_too() {
        let (any, four, six) = (Bound::Any, Bound::AnyV4, Bound::AnyV6);
        let (one4, one6) = (bound("10.0.0.1:0"), bound("[fd42::1]:0"));
        assert_eq!(bound("[::]:0"), any);
        assert_eq!(Bound::of(end("[::]:0"), true), six);
        for (a, b, overlap) in [
            (any, four, true),
            (any, six, true),
            (any, one4, true),
            (any, one6, true),
            (four, six, false),
            (four, one4, true),
            (four, one6, false),
            (six, one4, false),
            (six, one6, true),
            (one4, one6, false),
            (one6, one6, true),
        ] {
            assert_eq!(
                (a.overlaps(b), b.overlaps(a)),
                (overlap, overlap),
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn rfc4007_the_same_address_on_two_links_is_two() {
        assert!(!bound("[fe80::1%1]:0").overlaps(bound("[fe80::1%2]:0")));
        assert!(bound("[fe80::1%1]:0").hears(ZonedAddr::of(end("[fe80::1%1]:9"))));
    }

    #[test]
    fn rfc3493_a_socket_of_ipv6_writes_ipv4_addresses_its_own_way() {
        let six = Naming::default().given(end("[::]:80"));
        let mapped = end("[::ffff:10.0.0.2]:53");
        assert_eq!(six.inward(mapped), Ok(end("10.0.0.2:53")));
        assert_eq!(six.outward(end("10.0.0.2:53")), mapped);
        let only = Naming {
            v6_only: true,
            ..six
        };
        assert_eq!(only.inward(mapped), Err(SocketError::NetworkUnreachable));
        let four = Naming::default().given(end("0.0.0.0:80"));
        assert_eq!(
            four.inward(end("[fd42::1]:80")),
            Err(SocketError::FamilyNotSupported)
        );
        assert_eq!(four.outward(end("10.0.0.2:53")), end("10.0.0.2:53"));
        assert_eq!(
            (four.wildcard(), six.wildcard(), only.wildcard()),
            (Bound::AnyV4, Bound::Any, Bound::AnyV6)
        );
    }
}
