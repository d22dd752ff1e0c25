//! Interface identifiers: RFC 7217, or from the Ethernet address.

use core::hash::Hasher;
use core::net::Ipv6Addr;

use siphasher::sip::SipHasher24;
use smoltcp::wire::Ipv6Cidr;

use crate::link::ipv6::InterfaceIdentifiers;

/// Bits of an interface identifier on Ethernet (RFC 2464 section 4), and thus of the prefix before it.
pub(super) const PREFIX_LENGTH: u8 = 64;

/// Who makes interface identifiers for one adapter.
#[derive(Debug)]
pub(in crate::link) struct Identifiers {
    mode: InterfaceIdentifiers,
    mac: [u8; 6],
}

impl Identifiers {
    pub(in crate::link) fn new(mode: InterfaceIdentifiers, mac: [u8; 6]) -> Identifiers {
        Identifiers { mode, mac }
    }

    /// The address in a network; `None` when the prefix leaves no room of 64 bits (RFC 4862 section 5.5.3 (d)).
    pub(super) fn address(&self, prefix: Ipv6Cidr) -> Option<Ipv6Cidr> {
        self.with_identifier(prefix, |network| match self.mode {
            InterfaceIdentifiers::StableOpaque { secret } => self.opaque(network, 0, secret),
            InterfaceIdentifiers::Eui64 => eui64(self.mac),
        })
    }

    /// The address after `collisions` others were found taken; `None` when there is only one.
    pub(super) fn again(&self, prefix: Ipv6Cidr, collisions: u8) -> Option<Ipv6Cidr> {
        let InterfaceIdentifiers::StableOpaque { secret } = self.mode else {
            return None;
        };
        self.with_identifier(prefix, |network| self.opaque(network, collisions, secret))
    }

    fn with_identifier(
        &self,
        prefix: Ipv6Cidr,
        identifier: impl FnOnce(u64) -> u64,
    ) -> Option<Ipv6Cidr> {
        if prefix.prefix_len() != PREFIX_LENGTH {
            return None;
        }
        let network = prefix.address().to_bits() & !u128::from(u64::MAX);
        let identifier = identifier((network >> 64) as u64);
        let address = Ipv6Addr::from_bits(network | u128::from(identifier));
        Some(Ipv6Cidr::new(address, PREFIX_LENGTH))
    }

    /// RFC 7217 section 5: RID = F(Prefix, Net_Iface, Network_ID, DAD_Counter, secret_key), without the optional
    /// Network_ID, the adapter known by its Ethernet address, F SipHash-2-4. Reserved identifiers are passed over.
    fn opaque(&self, network: u64, collisions: u8, secret: [u8; 16]) -> u64 {
        let candidate = |attempt: u8| {
            let mut hasher = SipHasher24::new_with_key(&secret);
            hasher.write_u64(network);
            hasher.write(&self.mac);
            hasher.write_u8(collisions);
            hasher.write_u8(attempt);
            hasher.finish()
        };
        let mut candidates = (0..=u8::MAX).map(candidate);
        candidates
            .find(|candidate| !is_reserved(*candidate))
            .unwrap_or(1)
    }
}

/// RFC 4291 appendix A: the Ethernet address with ff:fe in the middle and its universal/local bit inverted.
fn eui64([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// RFC 5453 section 3: the subnet-router anycast address, IANA's Ethernet block, and reserved anycast addresses.
fn is_reserved(identifier: u64) -> bool {
    identifier == 0
        || (0x0200_5eff_fe00_0000..=0x0200_5eff_feff_ffff).contains(&identifier)
        || (0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff).contains(&identifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5453 section 3, and that RFC 7217 section 5 step 3 has such a number thrown away.
    #[test]
    fn reserved_identifiers_are_known() {
        for reserved in [
            0,
            0x0200_5eff_fe00_5213,
            0xfdff_ffff_ffff_ff80,
            0xfdff_ffff_ffff_ffff,
        ] {
            assert!(is_reserved(reserved), "{reserved:x}");
        }
        for free in [1, 0x0200_5eff_fd00_0000, 0xfdff_ffff_ffff_ff7f, u64::MAX] {
            assert!(!is_reserved(free), "{free:x}");
        }
    }

    /// RFC 4291 appendix A, its own example.
    #[test]
    fn an_identifier_from_an_ethernet_address() {
        assert_eq!(
            eui64([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]),
            0x3656_78ff_fe9a_bcde
        );
    }
}
