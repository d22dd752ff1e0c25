//! There is one place that knows routes. Whoever adds, replaces, removes or ends one, a connection that is made next
//! goes by it: that is what is asked here, not where the table is.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{Icmpv4Packet, IpProtocol};

use super::wire::{A, A6, B, B6, End, MAC_A, MAC_B, Wire, at, cidr};
use crate::error::SocketError;
use crate::ip::{Outgoing, v4};
use crate::link::{AddressOrigin, LinkConfig, LinkKind};
use crate::ports::LinkId;
use crate::route::{GATEWAY_RETRY, Origin, REDIRECT_LIFETIME, Route, RouteSpec, Selector};
use crate::socket::SocketKind;
use crate::stack::Stack;

/// A host with a second adapter, and where it sends what goes far away.
struct Host {
    wire: Wire,
    second: LinkId,
}

const FAR: &str = "2001:db8::1";
const FAR_V4: &str = "192.0.2.1";

impl Host {
    fn new() -> Host {
        let mut wire = Wire::dual();
        let config = LinkConfig {
            name: "eth1".into(),
            mac: [2, 0, 0, 0, 0, 3],
            mtu: 1500,
            up: true,
            kind: LinkKind::Ethernet,
        };
        let (now, stack) = (wire.now, &mut wire.a.stack);
        let second = stack.add_link(now, config);
        for (address, length) in [("fd43::1", 64), ("172.16.0.1", 16)] {
            let cidr = cidr(address.parse().unwrap(), length);
            stack
                .add_address(now, second, cidr, AddressOrigin::Static)
                .unwrap();
        }
        wire.run_for(Duration::from_secs(5));
        Host { wire, second }
    }

    fn stack(&mut self) -> &mut Stack {
        &mut self.wire.a.stack
    }

    fn route(&self, text: &str, origin: Origin, seconds: Option<u64>) -> Route {
        let spec: RouteSpec = text.parse().expect("a route");
        let link = match spec.device.as_deref() {
            Some("eth1") => self.second,
            _ => self.wire.a.link,
        };
        Route {
            expires: seconds.map(|seconds| self.wire.now + Duration::from_secs(seconds)),
            ..spec.into_route(link, origin, self.wire.now)
        }
    }

    fn add(&mut self, text: &str, origin: Origin, seconds: Option<u64>) {
        let route = self.route(text, origin, seconds);
        let now = self.wire.now;
        self.stack().add_route(now, route).expect("added");
    }

    /// From which of our addresses a connection to `to` would be made now.
    fn speaks_from(&mut self, to: &str) -> Result<IpAddr, SocketError> {
        let (now, stack) = (self.wire.now, &mut self.wire.a.stack);
        let id = stack
            .socket(SocketKind::Udp, crate::socket::Owner::ROOT)
            .expect("a socket");
        let connected = stack.connect(now, id, at(to.parse().unwrap(), 9));
        let own = connected.map(|()| stack.local(id).expect("bound").ip());
        stack.close(now, id);
        own
    }

    /// The same as the adapter's name.
    fn choice(&mut self, to: &str) -> &'static str {
        match self.speaks_from(to) {
            Ok(own) if own == A || own == A6 => "eth0",
            Ok(own) if own == ip("fd43::1") || own == ip("172.16.0.1") => "eth1",
            Ok(other) => panic!("from {other}"),
            Err(SocketError::NetworkUnreachable) => "nowhere",
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn through_each_origin_what_is_added_replaced_expired_and_removed_is_what_a_connect_chooses() {
    for origin in Origin::ALL {
        let mut host = Host::new();
        assert_eq!(host.choice(FAR), "nowhere", "{origin}");
        host.add("2001:db8::/32 via fd42::2 dev eth0 metric 7", origin, None);
        assert_eq!(host.choice(FAR), "eth0", "{origin}");
        host.add(
            "2001:db8::/32 via fd43::2 dev eth1 metric 5",
            origin,
            Some(30),
        );
        assert_eq!(host.choice(FAR), "eth1", "{origin}: a better one");
        host.add(
            "2001:db8::/32 via fd43::2 dev eth1 metric 9",
            origin,
            Some(30),
        );
        assert_eq!(
            host.choice(FAR),
            "eth0",
            "{origin}: replaced by a worse one"
        );
        host.add(
            "2001:db8::/48 via fd43::2 dev eth1 metric 9",
            origin,
            Some(60),
        );
        assert_eq!(host.choice(FAR), "eth1", "{origin}: a longer prefix");
        host.wire.run_for(Duration::from_secs(61));
        assert_eq!(host.choice(FAR), "eth0", "{origin}: expired");
        let now = host.wire.now;
        let all = Selector {
            origin: Some(origin),
            destination: Some("2001:db8::/32".parse().unwrap()),
            ..Selector::default()
        };
        assert_eq!(host.stack().remove_route(now, &all), 1, "{origin}");
        assert_eq!(host.choice(FAR), "nowhere", "{origin}: removed");
    }
}

#[test]
fn a_link_that_goes_down_or_away_is_not_chosen() {
    let mut host = Host::new();
    host.add("2001:db8::/32 via fd43::2 dev eth1", Origin::Static, None);
    host.add("::/0 via fd42::2 dev eth0", Origin::Static, None);
    assert_eq!(host.choice(FAR), "eth1");
    let (now, second) = (host.wire.now, host.second);
    host.stack().set_link_up(now, second, false);
    assert_eq!(host.choice(FAR), "eth0");
    host.stack().set_link_up(now, second, true);
    host.wire.run_for(Duration::from_secs(5));
    assert_eq!(host.choice(FAR), "eth1");
    host.stack().remove_link(now, second);
    assert_eq!(host.choice(FAR), "eth0");
}

#[test]
fn an_address_that_goes_takes_its_network_with_it() {
    let mut host = Host::new();
    assert_eq!(host.choice("fd43::9"), "eth1");
    let (now, second) = (host.wire.now, host.second);
    host.stack()
        .remove_address(now, second, cidr(ip("fd43::1"), 64))
        .unwrap();
    assert_eq!(host.choice("fd43::9"), "nowhere");
}

#[test]
fn rfc1122_3_3_1_4_a_dead_gateway_is_left_for_a_living_one_and_tried_again_later() {
    let mut host = Host::new();
    // 10.0.0.77 does not exist; B is a gateway that does.
    host.add("default via 10.0.0.77 dev eth0", Origin::Static, None);
    host.add(
        "default via 10.0.0.2 dev eth0 metric 9",
        Origin::Static,
        None,
    );
    let gateway = |host: &Host| {
        let far = ip(FAR_V4);
        host.wire
            .a
            .stack
            .routes()
            .lookup(far)
            .and_then(|route| route.gateway)
    };
    assert_eq!(gateway(&host), Some(ip("10.0.0.77")));
    let id = host.wire.a.open(SocketKind::Udp);
    host.wire
        .a
        .send(host.wire.now, id, b"anybody?", Some(at(ip(FAR_V4), 9)))
        .unwrap();
    host.wire.run_for(Duration::from_secs(10));
    assert_eq!(gateway(&host), Some(ip("10.0.0.2")));
    host.wire.run_for(GATEWAY_RETRY);
    assert_eq!(gateway(&host), Some(ip("10.0.0.77")), "maybe it is back");
}

#[test]
fn a_connection_follows_the_route_while_it_runs() {
    let mut host = Host::new();
    host.add("192.0.2.0/24 via 10.0.0.2 dev eth0", Origin::Static, None);
    let id = host.wire.a.open(SocketKind::Tcp);
    host.wire
        .a
        .stack
        .connect(host.wire.now, id, at(ip(FAR_V4), 80))
        .unwrap();
    host.wire.listen();
    // The SYN is sent again after a second; by then the way is another.
    host.wire.run_for(Duration::from_millis(10));
    let to = |host: &mut Host| {
        let taken = host.wire.taken();
        let syns = taken
            .iter()
            .filter(|(end, frame)| *end == End::A && frame.get(23) == Some(&6));
        syns.map(|(_, frame)| [frame[4], frame[5]])
            .collect::<Vec<_>>()
    };
    assert_eq!(to(&mut host), [[0, 2]]);
    let (link, own) = (host.wire.a.link, Ipv4Addr::new(10, 0, 0, 9));
    let now = host.wire.now;
    // A neighbour whose Ethernet address is known: B has a second address.
    host.wire
        .b
        .stack
        .add_address(now, link, cidr(own.into(), 24), AddressOrigin::Static)
        .unwrap();
    host.wire.run_for(Duration::from_millis(10));
    host.add(
        "192.0.2.1 via 10.0.0.9 dev eth0",
        Origin::Redirect,
        Some(600),
    );
    let next_hop = |host: &Host| {
        host.wire
            .a
            .stack
            .routes()
            .lookup(ip(FAR_V4))
            .map(|route| route.next_hop(ip(FAR_V4)))
    };
    assert_eq!(next_hop(&host), Some(own.into()));
    host.wire.run_for(Duration::from_secs(2));
    let asked: u64 = host.wire.a.counter("eth0.arp_tx_requests");
    assert!(asked >= 2, "the new next hop was asked for: {asked}");
    assert_eq!(host.speaks_from(&B6.to_string()), Ok(A6));
}

/// A redirect of IPv4 from B: packets from `source` to FAR_V4 had better go to `gateway`.
fn redirect(source: IpAddr, gateway: [u8; 4]) -> Vec<u8> {
    let (IpAddr::V4(us), IpAddr::V4(router), IpAddr::V4(source)) = (A, B, source) else {
        panic!("addresses of IPv4")
    };
    let write = |source, destination, protocol, payload: &[u8]| {
        let header = Outgoing::V4(v4::Header {
            source,
            destination,
            protocol,
            traffic_class: 0,
            ttl: 64,
            identification: 1,
        });
        let mut packet = vec![0; header.length() + payload.len()];
        header.write(&mut packet).copy_from_slice(payload);
        packet
    };
    let quote = write(source, FAR_V4.parse().unwrap(), IpProtocol::Udp, &[0; 8]);
    let mut message = [&[5, 1, 0, 0][..], &gateway, &quote].concat();
    Icmpv4Packet::new_unchecked(&mut message).fill_checksum();
    let packet = write(router, us, IpProtocol::Icmp, &message);
    [&MAC_A[..], &MAC_B, &[8, 0], &packet].concat()
}

#[test]
fn rfc1122_3_2_2_2_the_router_in_use_may_name_a_better_one() {
    let mut host = Host::new();
    let first_hop = |host: &Host| {
        let route = host.wire.a.stack.routes().lookup(ip(FAR_V4));
        route.and_then(|route| route.gateway)
    };
    let say = |host: &mut Host, source, gateway| {
        host.wire.inject(End::A, redirect(source, gateway));
        host.wire.run_for(Duration::from_millis(1));
        first_hop(host)
    };
    host.add("default via 10.0.0.77 dev eth0", Origin::Static, None);
    let other = Some(ip("10.0.0.77"));
    assert_eq!(say(&mut host, A, [10, 0, 0, 9]), other, "B is not asked");
    host.add("192.0.2.0/24 via 10.0.0.2 dev eth0", Origin::Static, None);
    assert_eq!(say(&mut host, A, [10, 9, 9, 9]), Some(B), "no neighbour");
    assert_eq!(say(&mut host, B, [10, 0, 0, 9]), Some(B), "not our packet");
    assert_eq!(host.wire.a.counter("icmp.redirect_refused"), 3);
    assert_eq!(say(&mut host, A, [10, 0, 0, 9]), Some(ip("10.0.0.9")));
    assert_eq!(host.wire.a.counter("icmp.redirect_followed"), 1);
    host.wire.run_for(REDIRECT_LIFETIME);
    assert_eq!(first_hop(&host), Some(B));
}
