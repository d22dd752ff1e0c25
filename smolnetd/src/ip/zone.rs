//! Addresses with their zones (RFC 4007): which link a link-local address means, and how far an address reaches.

use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::ports::LinkId;

/// An address, and the link it belongs to if it could be on any: RFC 4007 section 6. In a [`SocketAddr`] the zone is the
/// scope id, and 0 is none: the loopback link, which has that number, has no link-local addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZonedAddr {
    /// The address.
    pub address: IpAddr,
    /// The link, for addresses that mean nothing without one; none if it is not known.
    pub zone: Option<LinkId>,
}

impl ZonedAddr {
    /// `address` as it is understood on `link`.
    pub fn on(address: IpAddr, link: LinkId) -> ZonedAddr {
        let zone = needs_zone(address).then_some(link);
        ZonedAddr { address, zone }
    }

    /// The address of an end.
    pub fn of(end: SocketAddr) -> ZonedAddr {
        let zone = match end {
            SocketAddr::V6(end) if end.scope_id() != 0 => Some(LinkId(end.scope_id())),
            _ => None,
        };
        ZonedAddr {
            address: end.ip(),
            zone: zone.filter(|_| needs_zone(end.ip())),
        }
    }

    /// The address of an end with this port.
    pub fn with_port(self, port: u16) -> SocketAddr {
        match self.address {
            IpAddr::V4(_) => SocketAddr::new(self.address, port),
            IpAddr::V6(address) => {
                let scope = self.zone.map_or(0, |link| link.0);
                SocketAddr::V6(SocketAddrV6::new(address, port, 0, scope))
            }
        }
    }

    /// Does it need a zone that is not there?
    pub fn is_ambiguous(self) -> bool {
        self.zone.is_none() && needs_zone(self.address)
    }
}

impl From<IpAddr> for ZonedAddr {
    /// An address of which no zone is known.
    fn from(address: IpAddr) -> ZonedAddr {
        ZonedAddr {
            address,
            zone: None,
        }
    }
}

/// Does `address` mean another host, or other hosts, on each link?
pub fn needs_zone(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || multicast_scope(address) == Some(LINK_LOCAL)
        }
    }
}

/// RFC 4291 2.7, RFC 7346: scopes of multicast addresses.
const INTERFACE_LOCAL: u8 = 1;
const LINK_LOCAL: u8 = 2;

/// The scope of a multicast address; none for others.
fn multicast_scope(address: Ipv6Addr) -> Option<u8> {
    let [first, second, ..] = address.octets();
    (first == 0xff).then_some(second & 0xf)
}

/// Is it a multicast address that never leaves a host, or that RFC 4291 2.7 reserves?
pub fn stays_in_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => {
            multicast_scope(address).is_some_and(|scope| scope <= INTERFACE_LOCAL)
        }
    }
}

/// Is it an IPv4 address as IPv6 sockets write it (RFC 4291 2.5.5.2)? On a wire it has no place.
pub fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn rfc4007_only_what_could_be_on_any_link_has_a_zone() {
        let link = LinkId(3);
        for text in ["fe80::1", "febf::1", "ff02::1", "ff12::1"] {
            let zoned = ZonedAddr::on(address(text), link);
            assert_eq!(zoned.zone, Some(link), "{text}");
            assert_eq!(ZonedAddr::of(zoned.with_port(80)), zoned);
            assert!(ZonedAddr::from(address(text)).is_ambiguous());
        }
        for text in [
            "fd42::1",
            "2001:db8::1",
            "::1",
            "ff05::1",
            "ff01::1",
            "169.254.1.1",
        ] {
            let zoned = ZonedAddr::on(address(text), link);
            assert_eq!(zoned.zone, None, "{text}");
            assert!(!zoned.is_ambiguous());
        }
        let global = "[fd42::1%3]:80".parse().expect("an end");
        assert_eq!(
            ZonedAddr::of(global).zone,
            None,
            "RFC 4007 6: it needs none"
        );
    }

    #[test]
    fn rfc4291_some_addresses_stay_in_the_host() {
        assert!(stays_in_host(address("ff01::1")) && stays_in_host(address("ff00::1")));
        assert!(!stays_in_host(address("ff02::1")) && !stays_in_host(address("fd42::1")));
        assert!(is_mapped(address("::ffff:10.0.0.1")) && !is_mapped(address("::10.0.0.1")));
    }
}
