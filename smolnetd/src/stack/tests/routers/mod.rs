//! Stories of a host that looks after its IPv6 itself, among routers that are the test's own: what they announce, and
//! what a packet then does.

mod loss;
mod parameters;

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv6Packet};

use super::tcp::{connect, connected, listener};
use super::wire::{End, Host, Wire, at};
use crate::error::SocketError;
use crate::ip::ZonedAddr;
use crate::link::advertisement::{Ra, icmp, prefix, router};
use crate::link::{AddressState, Ipv6Config};
use crate::route::Origin;
use crate::socket::{SocketId, SocketKind, SocketOption};

const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
/// Beyond the routers.
const FAR: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// The Ethernet address of router `number`.
fn mac(number: u16) -> [u8; 6] {
    let [high, low] = number.to_be_bytes();
    [2, 0x66, 0, 0, high, low]
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn frame(to: [u8; 6], from: u16, packet: &[u8]) -> Vec<u8> {
    [&to[..], &mac(from), &[0x86, 0xdd], packet].concat()
}

/// A cable with two hosts that look after themselves, and routers.
struct Network {
    wire: Wire,
    /// Those that answer when they are asked for.
    answering: Vec<u16>,
    /// Of the packets that A has sent beyond the routers: to which station, and from where.
    sent: Vec<([u8; 6], Ipv6Addr)>,
    /// How often A has solicited routers.
    solicitations: usize,
    /// How long routers take to answer, at most.
    pace: Duration,
}

impl Network {
    fn new() -> Network {
        let mut wire = Wire::bare();
        for end in [End::A, End::B] {
            let now = wire.now;
            let host = wire.host(end);
            let config = Ipv6Config::opaque([7; 16]);
            let enabled = host.stack.enable_ipv6(now, host.link, config);
            assert_eq!(enabled, Ok(()));
        }
        wire.listen();
        Network {
            wire,
            answering: vec![1, 2],
            sent: Vec::new(),
            solicitations: 0,
            pace: Duration::from_millis(5),
        }
    }

    /// With one router and one prefix, all addresses in use.
    fn settled() -> Network {
        let mut network = Network::new();
        network.run(Duration::from_millis(200));
        network.announce(Ra::from(1).usual(1, 86_400, 14_400));
        network.run(seconds(5));
        network
    }

    /// A router says this to all.
    fn announce(&mut self, ra: Ra) {
        let number = ra.source.segments()[7];
        let frame = frame(ALL_NODES_MAC, number, &ra.packet());
        self.wire.inject(End::A, frame.clone());
        self.wire.inject(End::B, frame);
    }

    /// Lets time pass; routers answer.
    fn run(&mut self, time: Duration) {
        let end = self.wire.now + time;
        while self.wire.now < end {
            self.wire.run_for(self.pace);
            for (from, sent) in self.wire.taken() {
                self.look_at(from, &sent);
            }
        }
    }

    fn look_at(&mut self, from: End, sent: &[u8]) {
        let sent = EthernetFrame::new_checked(sent).expect("a frame");
        if sent.ethertype() != EthernetProtocol::Ipv6 {
            return;
        }
        let ip = Ipv6Packet::new_checked(sent.payload()).expect("a packet");
        if from == End::A && IpAddr::V6(ip.dst_addr()) == FAR {
            self.sent.push((sent.dst_addr().0, ip.src_addr()));
        }
        match (ip.next_header(), ip.payload().first()) {
            (IpProtocol::Icmpv6, Some(133)) if from == End::A => self.solicitations += 1,
            (IpProtocol::Icmpv6, Some(135)) => self.answer(from, sent.src_addr().0, &ip),
            _ => {}
        }
    }

    /// RFC 4861 section 7.2.4, as a router does.
    fn answer(&mut self, to: End, to_mac: [u8; 6], solicitation: &Ipv6Packet<&[u8]>) {
        let target: [u8; 16] = solicitation.payload()[8..24].try_into().expect("a target");
        let target = Ipv6Addr::from(target);
        let asked = |number: &&u16| router(**number) == target;
        let Some(number) = self.answering.iter().find(asked).copied() else {
            return;
        };
        let mut message = vec![136, 0, 0, 0, 0xe0, 0, 0, 0];
        message.extend(target.octets());
        message.extend([2, 1]);
        message.extend(mac(number));
        let answer = icmp(target, solicitation.src_addr(), 255, &message);
        self.wire.inject(to, frame(to_mac, number, &answer));
    }

    /// A sends a datagram beyond the routers, once a second, for so long; the stations that they went to.
    fn traffic(&mut self, from: SocketId, seconds_long: u64) -> Vec<[u8; 6]> {
        self.sent.clear();
        for _ in 0..seconds_long {
            let now = self.wire.now;
            // What cannot be sent shows in what was.
            let _ = self.wire.a.send(now, from, b"x", Some(at(FAR, 9)));
            self.run(seconds(1));
        }
        self.sent.iter().map(|(station, _)| *station).collect()
    }

    fn udp(&mut self) -> SocketId {
        self.wire.a.open(SocketKind::Udp)
    }
}

/// The addresses of a host that are not link-local, with their states.
fn addresses(host: &Host) -> Vec<(Ipv6Addr, AddressState)> {
    let link = host.stack.link(host.link).expect("its link");
    let addresses = link.addresses().iter();
    addresses
        .filter_map(|own| match own.address() {
            IpAddr::V6(address) if !address.is_unicast_link_local() => Some((address, own.state)),
            _ => None,
        })
        .collect()
}

/// The one that is to be used for new things.
fn preferred(host: &Host) -> IpAddr {
    let addresses = addresses(host);
    let preferred: Vec<_> = addresses
        .iter()
        .filter(|(_, state)| *state == AddressState::Preferred)
        .collect();
    assert_eq!(preferred.len(), 1, "{addresses:?}");
    preferred[0].0.into()
}

fn in_prefix(address: IpAddr, number: u16) -> bool {
    matches!(address, IpAddr::V6(address) if address.segments()[..4] == prefix(number).segments()[..4])
}

/// Destination, gateway and origin of the routes of A that routers brought.
fn routes(network: &Network) -> Vec<(String, Option<IpAddr>, Origin)> {
    let routes = network.wire.a.stack.routes().iter();
    routes
        .filter(|route| route.origin != Origin::Connected)
        .map(|route| (route.destination.to_string(), route.gateway, route.origin))
        .collect()
}

#[test]
fn a_host_on_a_network_with_a_router_configures_itself() {
    let mut network = Network::new();
    network.run(Duration::from_millis(200));
    assert_eq!(network.solicitations, 1, "RFC 4861 section 6.3.7");
    let mut ra = Ra::from(1)
        .usual(1, 86_400, 14_400)
        .mtu(1400)
        .rdnss(600, &[router(1), "fd12::3".parse().unwrap()])
        .dnssl(600, b"\x03lab\x04test\0");
    ra.cur_hop_limit = 33;
    network.announce(ra);
    network.run(seconds(3));
    assert!(in_prefix(preferred(&network.wire.a), 1));
    assert_eq!(
        routes(&network),
        [
            (
                "::/0".into(),
                Some(router(1).into()),
                Origin::RouterAdvertisement
            ),
            ("fd12:1::/64".into(), None, Origin::Prefix),
        ]
    );
    let stack = &network.wire.a.stack;
    let link = network.wire.a.link;
    let servers = [
        ZonedAddr::on(router(1).into(), link),
        ZonedAddr::on("fd12::3".parse().unwrap(), link),
    ];
    assert_eq!(stack.resolvers(), servers, "a link-local one has its zone");
    assert_eq!(stack.search_domains(), ["lab.test"]);
    let link = stack.link(link).expect("the link");
    assert_eq!((link.ipv6_mtu(), link.hop_limit()), (1400, 33));
    assert_eq!(link.mtu(), 1500, "IPv4 has nothing to do with it");

    let udp = network.udp();
    assert_eq!(network.traffic(udp, 1), [mac(1)]);
    assert!(in_prefix(network.sent[0].1.into(), 1));
    network.run(seconds(60));
    assert_eq!(network.solicitations, 1, "RFC 7559 section 2.1: found");
}

/// RFC 4191 section 3.1, and good-bye by lifetime 0.
#[test]
fn rfc4191_traffic_goes_by_the_preferred_router_and_by_the_other_when_it_leaves() {
    let mut network = Network::settled();
    network.announce(Ra::from(2).flags(0x08));
    network.run(seconds(1));
    let udp = network.udp();
    assert_eq!(network.traffic(udp, 2), [mac(2), mac(2)]);
    let mut goodbye = Ra::from(2);
    goodbye.lifetime = 0;
    network.announce(goodbye);
    network.run(Duration::from_millis(50));
    assert_eq!(network.traffic(udp, 2), [mac(1), mac(1)]);
}

/// RFC 4191 section 2.3: the more specific route counts first.
#[test]
fn rfc4191_a_more_specific_route_leads_by_another_router() {
    let mut network = Network::settled();
    let mut ra = Ra::from(2);
    ra.lifetime = 0;
    network.announce(ra.route("2001:db8::".parse().unwrap(), 32, 0, 600));
    network.run(seconds(1));
    let udp = network.udp();
    assert_eq!(network.traffic(udp, 1), [mac(2)]);
}

/// RFC 4862 section 5.5.4: what is open goes on from the old address, what is new speaks from the new one, until the
/// old one dies.
#[test]
fn rfc4862_5_5_4_a_network_is_renumbered_under_a_connection() {
    let mut network = Network::settled();
    let old = preferred(&network.wire.b);
    listener(&mut network.wire, End::B, ANY, 80);
    let client = connect(&mut network.wire, old, 80);
    network.run(seconds(2));
    let local = network.wire.a.stack.local(client).expect("an end");
    assert!(in_prefix(local.ip(), 1) && network.wire.a.stack.readiness(client).writable);

    network.announce(Ra::from(1).usual(1, 7200, 0).usual(2, 86_400, 14_400));
    network.run(seconds(5));
    let new = preferred(&network.wire.b);
    assert!(in_prefix(new, 2));
    let next = connect(&mut network.wire, new, 80);
    network.run(seconds(1));
    let from = network.wire.a.stack.local(next).expect("an end");
    assert!(in_prefix(from.ip(), 2), "{from}");
    let now = network.wire.now;
    assert_eq!(network.wire.a.send(now, client, b"still", None), Ok(5));
    assert_eq!(addresses(&network.wire.a).len(), 2);

    // Two hours later; the old prefix has not been said again.
    network.pace = Duration::from_millis(250);
    for _ in 0..120 {
        network.announce(Ra::from(1).usual(2, 86_400, 14_400));
        network.run(seconds(60));
    }
    network.run(seconds(10));
    assert_eq!(addresses(&network.wire.a).len(), 1);
    let now = network.wire.now;
    let ended = network.wire.a.send(now, client, b"?", None);
    assert_eq!(ended, Err(SocketError::ConnectionAborted));
    assert_eq!(network.wire.a.send(now, next, b"fine", None), Ok(4));
}

/// What a link was told goes with it.
#[test]
fn an_adapter_that_is_unplugged_takes_its_routes_and_name_servers_along() {
    let mut network = Network::settled();
    let server = "fd12::3".parse().unwrap();
    network.announce(Ra::from(1).rdnss(600, &[server]).dnssl(600, b"\x03lab\0"));
    network.run(seconds(1));
    let stack = &mut network.wire.a.stack;
    assert_eq!(
        (stack.resolvers().len(), stack.search_domains().len()),
        (1, 1)
    );
    stack.remove_link(network.wire.now, network.wire.a.link);
    assert_eq!(
        (stack.resolvers().len(), stack.search_domains().len()),
        (0, 0)
    );
    assert_eq!(routes(&network), []);
}

/// RFC 8415 section 7.2: whoever holds the port of DHCPv6 clients is the client.
#[test]
fn a_program_on_the_port_of_dhcpv6_is_the_client() {
    let asked = |network: &Network| network.wire.a.counter("eth0.dhcpv6_tx");
    let mut network = Network::settled();
    let udp = network.udp();
    let now = network.wire.now;
    network.wire.a.stack.bind(now, udp, at(ANY, 546)).unwrap();
    network.announce(Ra::from(1).flags(0x40));
    network.run(seconds(5));
    assert_eq!(asked(&network), 0);
    let now = network.wire.now;
    network.wire.a.stack.close(now, udp);
    network.run(seconds(1));
    assert_eq!(asked(&network), 1);
}

#[test]
fn the_loopback_link_does_not_look_for_routers() {
    let mut network = Network::new();
    let now = network.wire.now;
    let config = Ipv6Config::opaque([7; 16]);
    let stack = &mut network.wire.a.stack;
    let refused = stack.enable_ipv6(now, crate::stack::LOOPBACK, config);
    assert_eq!(refused, Err(SocketError::NotSupported));
}
