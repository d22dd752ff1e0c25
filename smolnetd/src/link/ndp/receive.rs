//! What others say about addresses: theirs, and ours.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::Instant;

use super::wire::{Advertisement, Message, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION};
use crate::counters::count;
use crate::link::address::{Conflict, Standing};
use crate::link::handle::is_station;
use crate::link::ipv6::packet::Icmpv6;
use crate::link::neighbour::{Claim, Heard};
use crate::link::{Link, LinkEvent};
use crate::ports::Ports;

/// What belongs to multicast listener discovery: RFC 2710 section 3, RFC 3810 section 5.
const MULTICAST_LISTENER: [u8; 4] = [130, 131, 132, 143];
/// What belongs to neighbour discovery: RFC 4861 section 4.
const NEIGHBOUR_DISCOVERY: core::ops::RangeInclusive<u8> = 133..=137;

impl Link {
    /// An ICMPv6 message from the station `from`; false when it is none of the link's.
    pub(in crate::link) fn receive_icmpv6(
        &mut self,
        now: Instant,
        from: [u8; 6],
        packet: &Icmpv6<'_>,
        ports: &mut impl Ports,
    ) -> bool {
        let kind = packet.kind();
        if MULTICAST_LISTENER.contains(&kind) {
            self.receive_mld(now, packet);
            return true;
        }
        if !NEIGHBOUR_DISCOVERY.contains(&kind) {
            return false;
        }
        count(&mut self.counters.ndp_rx);
        if !matches!(kind, NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT) {
            count(&mut self.counters.ndp_rx_router_messages);
            return true;
        }
        let to = IpAddr::V6(packet.destination);
        if !self.is_member(to) && !self.has_address(to) {
            count(&mut self.counters.ndp_rx_not_for_us);
            return true;
        }
        match Message::parse(packet) {
            Err(reason) => count(reason(&mut self.counters)),
            Ok(message) if self.is_impostor(&message) => {
                count(&mut self.counters.ndp_rx_bad_sender)
            }
            Ok(Message::Solicitation { target, mac, nonce }) => {
                let asked = Asked { target, mac, nonce };
                self.receive_solicitation(now, from, packet.source, asked, ports);
            }
            Ok(Message::Advertisement(advertisement)) => {
                self.receive_advertisement(now, from, advertisement, ports);
            }
        }
        true
    }

    /// Does a message give a link-layer address that cannot be another station's?
    fn is_impostor(&self, message: &Message<'_>) -> bool {
        let (Message::Solicitation { mac, .. } | Message::Advertisement(Advertisement { mac, .. })) =
            message;
        mac.is_some_and(|mac| !is_station(mac) || mac == self.config.mac)
    }

    /// RFC 4861 section 7.2.3, RFC 4862 section 5.4.3.
    fn receive_solicitation(
        &mut self,
        now: Instant,
        from: [u8; 6],
        source: Ipv6Addr,
        asked: Asked<'_>,
        ports: &mut impl Ports,
    ) {
        let Asked { target, mac, nonce } = asked;
        let nameless = source.is_unspecified();
        match self.addresses.standing(target) {
            Standing::Tentative if nameless && self.addresses.is_own_nonce(target, nonce) => {
                count(&mut self.counters.ndp_rx_looped);
            }
            Standing::Tentative if nameless => self.duplicate(now, target, from),
            Standing::Tentative | Standing::Foreign => count(&mut self.counters.ndp_rx_not_for_us),
            Standing::Assigned if self.has_address(source.into()) => {
                self.contested(now, source, mac.unwrap_or(from), ports);
            }
            Standing::Assigned => {
                count(&mut self.counters.ndp_rx_solicitations_for_us);
                if let Some(mac) = mac.filter(|_| !nameless) {
                    self.hear(now, source, Some(mac), Claim::Solicitation, ports);
                }
                // Who asks without saying where it is, is where its frame came from.
                self.answer(
                    target,
                    (!nameless).then_some((source, mac.unwrap_or(from))),
                    ports,
                );
            }
        }
    }

    /// RFC 4861 section 7.2.5, RFC 4862 section 5.4.4.
    fn receive_advertisement(
        &mut self,
        now: Instant,
        from: [u8; 6],
        advertisement: Advertisement,
        ports: &mut impl Ports,
    ) {
        let Advertisement { target, mac, flags } = advertisement;
        match self.addresses.standing(target) {
            Standing::Tentative => self.duplicate(now, target, mac.unwrap_or(from)),
            Standing::Assigned => self.contested(now, target, mac.unwrap_or(from), ports),
            Standing::Foreign => {
                count(&mut self.counters.ndp_rx_advertisements);
                self.hear(now, target, mac, Claim::Advertisement(flags), ports);
            }
        }
    }

    /// Takes in what `address` says of itself.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        address: Ipv6Addr,
        mac: Option<[u8; 6]>,
        claim: Claim,
        ports: &mut impl Ports,
    ) {
        let router = address;
        let address = IpAddr::V6(address);
        if self.owns_address(address) {
            count(&mut self.counters.ndp_rx_bad_sender);
            return;
        }
        if !self.is_near(address) && !self.neighbours.contains(address) {
            count(&mut self.counters.neighbour_not_learned);
            return;
        }
        let Heard {
            resolved,
            router_answers,
            router_lost,
        } = self
            .neighbours
            .hear(now, address, mac, claim, &mut self.counters);
        if resolved {
            self.resolved(now, address, ports);
        } else if router_answers {
            self.push_event(now, LinkEvent::NeighbourResolved(address));
        }
        if router_lost {
            self.push_event(now, LinkEvent::RouterLost(address));
            self.autoconf.router_resigned(now, router);
        }
        if router_answers {
            self.autoconf.router_reachable(router);
        }
    }

    /// Can `address` be on this link, as far as the addresses here say? Link-local ones always are.
    fn is_near(&self, address: IpAddr) -> bool {
        let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        link_local || self.addresses.is_on_link(address)
    }

    /// Another station claims an address that is ours for sure. RFC 4862 section 5.4.4 leaves it there; the
    /// neighbours are told again where it is, once in a while, as with ARP.
    fn contested(&mut self, now: Instant, address: Ipv6Addr, mac: [u8; 6], ports: &mut impl Ports) {
        count(&mut self.counters.ndp_conflicts);
        let own = IpAddr::V6(address);
        if self.addresses.conflict(now, own) == Some(Conflict::Defend) {
            self.push_event(now, LinkEvent::AddressConflict { address: own, mac });
            self.answer(address, None, ports);
        }
    }

    /// RFC 4862 section 5.4.5: another station, `mac`, has or wants the address that we are about to take.
    fn duplicate(&mut self, now: Instant, address: Ipv6Addr, mac: [u8; 6]) {
        count(&mut self.counters.dad_duplicates);
        if let Some(own) = self.addresses.duplicate(now, address) {
            self.sync_groups(now);
            let event = LinkEvent::AddressDuplicate {
                address: own.cidr,
                mac,
            };
            self.push_event(now, event);
            self.autoconfigured_failed(now, own.cidr, own.origin);
        }
    }
}

/// A neighbour solicitation.
struct Asked<'p> {
    target: Ipv6Addr,
    mac: Option<[u8; 6]>,
    nonce: Option<&'p [u8]>,
}
