//! What routers say.

use smoltcp::time::{Duration, Instant};

use super::prefixes::network;
use super::routers::DEFAULT;
use super::wire::{
    self, Advertisement, Kind, Message, PrefixInformation, RouteInformation, option,
};
use super::{Action, Autoconf, Parameters, Until, names};
use crate::counters::count;
use crate::link::MIN_IPV6_MTU;

impl Autoconf {
    /// An IPv6 packet came in. True when it is a message of a router or of a DHCPv6 server; it is for nobody else
    /// then. What is to be done follows from [`Autoconf::poll`], due at once.
    pub(in crate::link) fn receive(&mut self, now: Instant, packet: &[u8]) -> bool {
        if !self.enabled {
            return false;
        }
        if let Some(kind) = wire::kind(packet) {
            self.receive_discovery(now, kind, packet);
            return true;
        }
        let received = self.dhcpv6.receive(now, packet, &mut self.counters);
        if let Some(changed) = received {
            self.news.resolvers |= changed;
        }
        received.is_some()
    }

    fn receive_discovery(&mut self, now: Instant, kind: Kind, packet: &[u8]) {
        count(match kind {
            Kind::Advertisement => &mut self.counters.ra_rx,
            Kind::Redirect => &mut self.counters.redirect_rx,
        });
        match wire::parse(kind, packet) {
            Ok(Message::Advertisement(advertisement)) => {
                count(&mut self.counters.ra_rx_valid);
                self.receive_advertisement(now, &advertisement);
            }
            Ok(Message::Redirect(redirect)) => self.push(Action::Redirect(redirect)),
            Err(reason) => count(reason(&mut self.counters)),
        }
    }

    /// RFC 4861 section 6.3.4.
    fn receive_advertisement(&mut self, now: Instant, advertisement: &Advertisement<'_>) {
        self.expire(now);
        let known = self.is_known(advertisement);
        self.attachment.heard(now, known);
        let before = self.parameters;
        self.take_parameters(advertisement);
        self.take_router(now, advertisement);
        for (kind, value) in advertisement.options {
            let taken = self.take_option(now, advertisement, kind, value);
            if taken.is_none() {
                count(&mut self.counters.option_bad_length);
            }
        }
        self.news.parameters |= self.parameters != before;
        self.update_temporary(now);
        if advertisement.other {
            self.dhcpv6.start(now, &mut self.random);
        }
        if self.routers.has_usable_default() {
            self.solicitor.stop();
        } else {
            self.solicit_without_router(now);
        }
    }

    /// Is it from a router that we know, and does it say a prefix that we know, if it says any?
    fn is_known(&self, advertisement: &Advertisement<'_>) -> bool {
        let mut prefixes = advertisement
            .options
            .filter(|(kind, _)| *kind == option::PREFIX_INFORMATION)
            .filter_map(|(_, value)| PrefixInformation::read(value))
            .peekable();
        self.routers.contains(advertisement.router)
            && (prefixes.peek().is_none() || prefixes.any(|prefix| self.prefixes.contains(&prefix)))
    }

    /// 0 says nothing.
    fn take_parameters(&mut self, advertisement: &Advertisement<'_>) {
        let Parameters {
            mtu: _,
            hop_limit,
            reachable_time,
            retransmit,
        } = &mut self.parameters;
        if advertisement.hop_limit != 0 {
            *hop_limit = advertisement.hop_limit;
        }
        if advertisement.reachable_time != 0 {
            *reachable_time = Duration::from_millis(advertisement.reachable_time.into());
        }
        if advertisement.retransmit != 0 {
            *retransmit = Duration::from_millis(advertisement.retransmit.into());
        }
    }

    /// The Default Router List: RFC 4861 section 6.3.4, RFC 4191 section 3.1.
    fn take_router(&mut self, now: Instant, advertisement: &Advertisement<'_>) {
        self.routers.heard(now, advertisement.router);
        self.news.routes |= self.routers.set(
            now,
            advertisement.router,
            DEFAULT,
            advertisement.preference,
            Until::after(now, advertisement.lifetime.into()),
            &mut self.counters,
        );
    }

    /// `None` when the option's length is not one that its kind has. Others are for others, or for nobody.
    fn take_option(
        &mut self,
        now: Instant,
        advertisement: &Advertisement<'_>,
        kind: u8,
        value: &[u8],
    ) -> Option<()> {
        match kind {
            option::SOURCE_LINK_ADDRESS => {
                let mac = wire::link_address(value)?;
                let address = advertisement.router;
                self.push(Action::Neighbour { address, mac });
            }
            option::PREFIX_INFORMATION => {
                let prefix = PrefixInformation::read(value)?;
                let changed = self.prefixes.learn(now, &prefix, &mut self.counters);
                self.news.routes |= changed.routes;
                self.news.addresses |= changed.addresses;
            }
            option::MTU => self.take_mtu(wire::mtu(value)?),
            option::ROUTE_INFORMATION => {
                self.take_route(now, advertisement, RouteInformation::read(value)?);
            }
            option::RDNSS => self.take_servers(now, advertisement, value)?,
            option::DNSSL => self.take_domains(now, advertisement, value)?,
            _ => {}
        }
        Some(())
    }

    /// RFC 4861 section 6.3.4: an MTU that a link may have, and that the adapter can send.
    fn take_mtu(&mut self, mtu: u32) {
        match u16::try_from(mtu) {
            Ok(wanted) if (MIN_IPV6_MTU..=self.mtu).contains(&wanted) => {
                self.parameters.mtu = Some(wanted)
            }
            _ => count(&mut self.counters.option_unusable),
        }
    }

    /// RFC 4191 section 3.1: routes by way of the router, the default route among them.
    fn take_route(
        &mut self,
        now: Instant,
        advertisement: &Advertisement<'_>,
        route: RouteInformation,
    ) {
        let usable = network(route.prefix, route.length).filter(|prefix| {
            let address = prefix.address();
            !(address.is_multicast() || address.is_loopback() || wire::is_link_local(address))
        });
        // RFC 4191 section 2.3: with the reserved preference, the option is to be ignored.
        let (Some(destination), Some(preference)) = (usable, route.preference) else {
            count(&mut self.counters.option_unusable);
            return;
        };
        self.news.routes |= self.routers.set(
            now,
            advertisement.router,
            destination,
            preference,
            Until::after(now, route.lifetime),
            &mut self.counters,
        );
    }

    /// RFC 8106 section 5.1.
    fn take_servers(
        &mut self,
        now: Instant,
        advertisement: &Advertisement<'_>,
        value: &[u8],
    ) -> Option<()> {
        let (lifetime, addresses) = wire::dns(value)?;
        let (addresses, rest) = addresses.as_chunks::<16>();
        if addresses.is_empty() || !rest.is_empty() {
            return None;
        }
        for address in addresses {
            let address = (*address).into();
            if !crate::route::is_host(core::net::IpAddr::V6(address)) {
                count(&mut self.counters.option_unusable);
                continue;
            }
            let (routers, router) = (&self.routers, advertisement.router);
            let proven = |router| routers.is_proven(router);
            let counters = &mut self.counters;
            self.news.resolvers |= self
                .servers
                .learn(now, router, address, lifetime, proven, counters);
        }
        Some(())
    }

    /// RFC 8106 section 5.2.
    fn take_domains(
        &mut self,
        now: Instant,
        advertisement: &Advertisement<'_>,
        value: &[u8],
    ) -> Option<()> {
        let (lifetime, names) = wire::dns(value)?;
        let Some(names) = names::decode(names) else {
            count(&mut self.counters.option_unusable);
            return Some(());
        };
        for name in names {
            let (routers, router) = (&self.routers, advertisement.router);
            let proven = |router| routers.is_proven(router);
            let counters = &mut self.counters;
            self.news.resolvers |= self
                .domains
                .learn(now, router, name, lifetime, proven, counters);
        }
        Some(())
    }
}
