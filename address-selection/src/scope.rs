//! Scopes: how far an address goes.

use core::net::IpAddr;

/// How far an address goes: RFC 4291 2.7's numbers, of which the higher goes farther.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(u8);

impl Scope {
    /// The machine itself: groups only.
    pub const INTERFACE_LOCAL: Scope = Scope(1);
    /// The link.
    pub const LINK_LOCAL: Scope = Scope(2);
    /// The site.
    pub const SITE_LOCAL: Scope = Scope(5);
    /// The world.
    pub const GLOBAL: Scope = Scope(14);

    /// Is it a scope within which an address means something on one link only?
    pub fn needs_link(self) -> bool {
        self <= Scope::LINK_LOCAL
    }
}

/// The scope of an address: that of a group stands in it; one host's is the link's, the (deprecated) site's or the
/// world's (RFC 6724 3.1). Unique local addresses are of global scope. The loopback address is link-local (3.4); so are
/// IPv4's 127/8 and 169.254/16 (3.2), while its private addresses are global.
pub fn scope(address: IpAddr) -> Scope {
    match address {
        IpAddr::V4(address) if address.is_loopback() || address.is_link_local() => {
            Scope::LINK_LOCAL
        }
        // RFC 5771 4: the local network control block.
        IpAddr::V4(address) if address.octets().starts_with(&[224, 0, 0]) => Scope::LINK_LOCAL,
        IpAddr::V4(_) => Scope::GLOBAL,
        IpAddr::V6(address) => {
            let [first, second, ..] = address.octets();
            match address.to_ipv4_mapped() {
                Some(mapped) => scope(mapped.into()),
                None if address.is_multicast() => Scope(second & 0xf),
                None if address.is_loopback() || address.is_unicast_link_local() => {
                    Scope::LINK_LOCAL
                }
                None if first == 0xfe && second >> 6 == 0b11 => Scope::SITE_LOCAL,
                None => Scope::GLOBAL,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6724_3_scopes_of_hosts_and_groups() {
        for (address, expected) in [
            ("2001:db8::1", Scope::GLOBAL),
            ("fd42::1", Scope::GLOBAL),
            ("fe80::1", Scope::LINK_LOCAL),
            ("febf::1", Scope::LINK_LOCAL),
            ("fec0::1", Scope::SITE_LOCAL),
            ("::1", Scope::LINK_LOCAL),
            ("ff01::1", Scope::INTERFACE_LOCAL),
            ("ff02::fb", Scope::LINK_LOCAL),
            ("ff05::2", Scope::SITE_LOCAL),
            ("ff3e::1", Scope::GLOBAL),
            ("10.0.0.1", Scope::GLOBAL),
            ("169.254.7.7", Scope::LINK_LOCAL),
            ("127.0.0.1", Scope::LINK_LOCAL),
            ("224.0.0.251", Scope::LINK_LOCAL),
            ("239.1.1.1", Scope::GLOBAL),
            ("::ffff:169.254.7.7", Scope::LINK_LOCAL),
        ] {
            assert_eq!(scope(address.parse().unwrap()), expected, "{address}");
        }
    }
}
