//! IPv6 on one adapter: its link-local address and what routers say of the link.

pub(super) mod packet;

use core::net::Ipv6Addr;

use smoltcp::time::Instant;
use smoltcp::wire::{EthernetProtocol, IpCidr, Ipv6Cidr};

use self::packet::destination;
use super::address::{Autoconfigured, Identifiers};
use super::ethernet::multicast_address;
use super::{AddressOrigin, Link, LinkKind};
use crate::ports::Ports;

/// RFC 8200 section 5: every link carries that much.
pub const MIN_IPV6_MTU: u16 = 1280;
/// RFC 1700's recommended value, as for IPv4.
const DEFAULT_HOP_LIMIT: u8 = 64;
/// RFC 4862 section 5.1: DupAddrDetectTransmits
const DAD_TRANSMITS: u8 = 1;

/// fe80::/64, RFC 4291 section 2.5.6.
const LINK_LOCAL: Ipv6Cidr = Ipv6Cidr::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64);

/// How an adapter makes the interface identifiers of the addresses that it gives itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InterfaceIdentifiers {
    /// RFC 7217: another one in every network, always the same there, and nobody learns anything from it.
    StableOpaque {
        /// What only this host knows; it should survive a restart, so that the addresses do.
        secret: [u8; 16],
    },
    /// RFC 4291 appendix A: from the Ethernet address.
    Eui64,
}

impl core::fmt::Debug for InterfaceIdentifiers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            InterfaceIdentifiers::StableOpaque { secret: _ } => "StableOpaque(..)",
            InterfaceIdentifiers::Eui64 => "Eui64",
        })
    }
}

/// How an adapter gives itself IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Config {
    /// How their interface identifiers are made.
    pub identifiers: InterfaceIdentifiers,
    /// DupAddrDetectTransmits (RFC 4862 section 5.1): how often others are asked before an address is used; 0 uses it
    /// unasked.
    pub dad_transmits: u8,
}

impl Ipv6Config {
    /// Stable opaque identifiers, and the defaults of the RFCs.
    pub fn opaque(secret: [u8; 16]) -> Ipv6Config {
        Ipv6Config {
            identifiers: InterfaceIdentifiers::StableOpaque { secret },
            dad_transmits: DAD_TRANSMITS,
        }
    }
}

/// What routers say of the link.
#[derive(Debug)]
pub(super) struct Ipv6 {
    /// At most the adapter's own.
    mtu: u16,
    hop_limit: u8,
}

impl Ipv6 {
    pub(super) fn new(mtu: u16) -> Ipv6 {
        Ipv6 {
            mtu,
            hop_limit: DEFAULT_HOP_LIMIT,
        }
    }
}

impl Link {
    /// Has an Ethernet adapter give itself IPv6 addresses, beginning with its link-local one (RFC 4862 section 5.3).
    /// Duplicate address detection begins as soon as there is a carrier; nothing of IPv4 waits for it. On the loopback
    /// link nothing happens.
    pub fn enable_ipv6(&mut self, now: Instant, config: Ipv6Config) {
        if self.config.kind != LinkKind::Ethernet {
            return;
        }
        let identifiers = Identifiers::new(config.identifiers, self.config.mac);
        self.addresses
            .set_identifiers(identifiers, config.dad_transmits);
        // A link that has as many addresses as it may has been given them by hand: it does without.
        let _ = self
            .addresses
            .generate(now, LINK_LOCAL, AddressOrigin::LinkLocal);
    }

    /// The link-local address, once it may be used.
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        let usable = self.addresses().iter().filter(|own| own.state.is_usable());
        usable.map(|own| own.cidr).find_map(|cidr| match cidr {
            IpCidr::Ipv6(cidr) if cidr.address().is_unicast_link_local() => Some(cidr.address()),
            _ => None,
        })
    }

    /// Makes these the addresses that routers gave the prefixes of: new ones are checked for duplicates, known ones get
    /// the lifetimes, others go.
    pub fn sync_autoconfigured(&mut self, now: Instant, wanted: &[Autoconfigured]) {
        if self.config.kind == LinkKind::Ethernet {
            self.addresses.sync_autoconfigured(now, wanted);
            self.sync_groups(now);
        }
    }

    /// The largest IPv6 packet in bytes.
    pub fn ipv6_mtu(&self) -> u16 {
        self.ipv6.mtu
    }

    /// A router says what the largest packet is (RFC 4861 section 6.3.4): no more than the adapter carries, nor less
    /// than IPv6 needs. `None`: nobody says any more.
    pub fn set_ipv6_mtu(&mut self, mtu: Option<u16>) {
        let most = self.config.mtu;
        self.ipv6.mtu = mtu.map_or(most, |mtu| mtu.max(MIN_IPV6_MTU).min(most));
    }

    /// The hop limit of what leaves.
    pub fn hop_limit(&self) -> u8 {
        self.ipv6.hop_limit
    }

    /// A router says what hop limit to use (RFC 4861 section 6.3.4); 0 says nothing.
    pub fn set_hop_limit(&mut self, hop_limit: u8) {
        if hop_limit != 0 {
            self.ipv6.hop_limit = hop_limit;
        }
    }

    /// Sends a packet to the multicast group in its header. False when it was dropped.
    pub fn send_multicast(&mut self, packet: &[u8], ports: &mut impl Ports) -> bool {
        destination(packet)
            .and_then(|group| multicast_address(group.into()))
            .is_some_and(|mac| self.send_control(mac, EthernetProtocol::Ipv6, packet, ports))
    }
}
