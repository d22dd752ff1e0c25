//! Stories of routes, links and addresses.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Ipv4Cidr, Ipv4Packet,
};

use super::wire::{A, B, End, MAC_A, MAC_B, Wire, at, cidr};
use crate::error::SocketError;
use crate::link::{AddressOrigin, LinkConfig, LinkKind};
use crate::ports::LinkId;
use crate::route::{Origin, Route, RouteSpec, Selector};
use crate::socket::SocketKind;
use crate::stack::{Change, LOOPBACK};

const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn route(text: &str, link: LinkId) -> Route {
    text.parse::<RouteSpec>()
        .expect("a route")
        .into_route(link, Origin::Static, Instant::ZERO)
}

/// Where A's last IP packet went: the Ethernet and the IP destination.
fn last_packet(wire: &mut Wire) -> Option<(EthernetAddress, Ipv4Addr, Ipv4Addr)> {
    wire.taken()
        .iter()
        .rev()
        .filter(|(end, _)| *end == End::A)
        .find_map(|(_, frame)| {
            let frame = EthernetFrame::new_checked(frame.as_slice()).ok()?;
            if frame.ethertype() != EthernetProtocol::Ipv4 {
                return None;
            }
            let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
            Some((frame.dst_addr(), ip.src_addr(), ip.dst_addr()))
        })
}

#[test]
fn the_two_route_tables() {
    let mut wire = Wire::new();
    wire.listen();
    let link = wire.a.link;
    let udp = wire.a.open(SocketKind::Udp);
    let echo = wire.a.open(SocketKind::IcmpEcho);
    let tcp = wire.a.open(SocketKind::Tcp);
    assert_eq!(
        wire.a.send(wire.now, udp, b"x", Some(at(FAR, 9))),
        Err(SocketError::NetworkUnreachable)
    );
    assert_eq!(
        wire.a.stack.connect(wire.now, echo, at(FAR, 0)),
        Err(SocketError::NetworkUnreachable)
    );
    assert_eq!(
        wire.a.stack.connect(wire.now, tcp, at(FAR, 80)),
        Err(SocketError::NetworkUnreachable)
    );

    // There is one table: what is written into it holds at once, and for everybody.
    wire.a
        .stack
        .add_route(wire.now, route("default via 10.0.0.2", link))
        .unwrap();
    wire.run_for(Duration::ZERO);
    assert!(wire.a.changes.contains(&Change::Routes));
    let gateway = (
        EthernetAddress(MAC_B),
        Ipv4Addr::new(10, 0, 0, 1),
        Ipv4Addr::new(192, 0, 2, 1),
    );
    wire.a.send(wire.now, udp, b"x", Some(at(FAR, 9))).unwrap();
    wire.run_for(Duration::from_millis(5));
    assert_eq!(last_packet(&mut wire), Some(gateway), "UDP");
    wire.a
        .send(wire.now, echo, b"xx", Some(at(FAR, 9)))
        .unwrap();
    wire.run_for(Duration::from_millis(5));
    assert_eq!(last_packet(&mut wire), Some(gateway), "echo");
    wire.a.stack.connect(wire.now, tcp, at(FAR, 80)).unwrap();
    wire.run_for(Duration::from_millis(5));
    assert_eq!(last_packet(&mut wire), Some(gateway), "TCP");
    let text: Vec<_> = wire
        .a
        .stack
        .routes()
        .iter()
        .map(|route| route.text("eth0", wire.now).to_string())
        .collect();
    assert_eq!(
        text[0],
        "default via 10.0.0.2 dev eth0 metric 0 proto static"
    );

    let all = Selector {
        destination: Some(Ipv4Cidr::new(0.into(), 0).into()),
        ..Selector::default()
    };
    assert_eq!(wire.a.stack.remove_route(wire.now, &all), 1);
    assert_eq!(
        wire.a.send(wire.now, udp, b"x", Some(at(FAR, 9))),
        Err(SocketError::NetworkUnreachable)
    );
}

#[test]
fn the_longest_prefix_wins_over_two_links() {
    let mut wire = Wire::new();
    let now = wire.now;
    let config = LinkConfig {
        name: "eth1".into(),
        mac: [2, 0, 0, 0, 0, 3],
        mtu: 1000,
        up: true,
        kind: LinkKind::Ethernet,
    };
    let stack = &mut wire.a.stack;
    let second = stack.add_link(now, config);
    let own = IpAddr::V4(Ipv4Addr::new(172, 16, 0, 1));
    stack
        .add_address(now, second, cidr(own, 16), AddressOrigin::Static)
        .unwrap();
    stack
        .add_route(now, route("default via 10.0.0.2", wire.a.link))
        .unwrap();
    stack
        .add_route(now, route("192.0.2.0/24 via 172.16.0.9", second))
        .unwrap();
    let local = |wire: &mut Wire, to: IpAddr| {
        let id = wire.a.open(SocketKind::Udp);
        wire.a
            .stack
            .connect(wire.now, id, at(to, 9))
            .map(|()| wire.a.stack.local(id).unwrap().ip())
    };
    assert_eq!(local(&mut wire, FAR), Ok(own));
    assert_eq!(
        local(&mut wire, IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1))),
        Ok(A)
    );
    assert_eq!(local(&mut wire, own), Ok(own), "to ourselves");
    // What is bound to the other address speaks from it all the same.
    let id = wire.a.open(SocketKind::Udp);
    wire.a.stack.bind(wire.now, id, at(A, 0)).unwrap();
    wire.a.stack.connect(wire.now, id, at(FAR, 9)).unwrap();
    assert_eq!(wire.a.stack.local(id).unwrap().ip(), A);
    // The link's own MTU: 980 bytes behind the IP header are no multiple of eight.
    assert_eq!(wire.a.send(wire.now, id, &[0; 980], None), Ok(980));
    assert_eq!(wire.a.counter("fragment.sent"), 2);
    // A link that is down is passed by; when it has gone, so have its routes and addresses.
    wire.a.stack.set_link_up(wire.now, second, false);
    assert_eq!(local(&mut wire, FAR), Ok(A));
    wire.a.stack.set_link_up(wire.now, second, true);
    assert_eq!(local(&mut wire, FAR), Ok(own));
    wire.a.stack.remove_link(wire.now, second);
    assert_eq!(local(&mut wire, FAR), Ok(A));
    assert_eq!(
        wire.a
            .stack
            .routes()
            .iter()
            .filter(|route| route.link == second)
            .count(),
        0
    );
    let to_gone = route("10.9.0.0/16 via 172.16.0.9", second);
    assert_eq!(
        wire.a.stack.add_route(wire.now, to_gone),
        Err(SocketError::NoDevice)
    );
}

#[test]
fn the_hosts_arp_request_that_nobody_answered() {
    let mut wire = Wire::new();
    wire.listen();
    let question = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(MAC_B),
        source_protocol_addr: Ipv4Addr::new(10, 0, 0, 2),
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: Ipv4Addr::new(10, 0, 0, 1),
    };
    let mut frame = vec![0; 14 + question.buffer_len()];
    let header = EthernetRepr {
        src_addr: EthernetAddress(MAC_B),
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Arp,
    };
    header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    question.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
    wire.inject(End::A, frame);
    wire.run_for(Duration::from_millis(1));
    let taken = wire.taken();
    let [(End::A, answer)] = taken.as_slice() else {
        panic!("{taken:?}")
    };
    let answer = EthernetFrame::new_checked(answer.as_slice()).unwrap();
    assert_eq!(
        (answer.dst_addr(), answer.ethertype()),
        (EthernetAddress(MAC_B), EthernetProtocol::Arp)
    );
    let expected = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(MAC_A),
        source_protocol_addr: Ipv4Addr::new(10, 0, 0, 1),
        target_hardware_addr: EthernetAddress(MAC_B),
        target_protocol_addr: Ipv4Addr::new(10, 0, 0, 2),
    };
    assert_eq!(
        ArpRepr::parse(&ArpPacket::new_checked(answer.payload()).unwrap()),
        Ok(expected)
    );
}

#[test]
fn a_host_with_nothing_to_do_has_no_deadline() {
    let mut wire = Wire::new();
    let server = wire.b.open(SocketKind::Udp);
    wire.b.stack.bind(wire.now, server, at(ANY, 7)).unwrap();
    let client = wire.a.open(SocketKind::Udp);
    wire.a.send(wire.now, client, b"x", Some(at(B, 7))).unwrap();
    wire.run_for(Duration::from_secs(120));
    assert_eq!(
        (wire.a.stack.next_deadline(), wire.b.stack.next_deadline()),
        (None, None)
    );
}

#[test]
fn the_loopback_link_is_always_there() {
    let mut wire = Wire::bare();
    let stack = &mut wire.a.stack;
    stack.remove_link(wire.now, LOOPBACK);
    let lo = stack.link_by_name("lo").expect("lo");
    assert_eq!(
        (lo.id(), lo.kind(), lo.is_up()),
        (LOOPBACK, LinkKind::Loopback, true)
    );
    assert_eq!(
        stack.enable_dhcp(wire.now, LOOPBACK, true),
        Err(SocketError::NotSupported)
    );
    let names: Vec<_> = stack.links().map(|link| link.name()).collect();
    assert_eq!(names, ["lo", "eth0"]);
}

#[test]
fn configuration_that_makes_no_sense_changes_nothing() {
    let mut wire = Wire::new();
    let (now, link) = (wire.now, wire.a.link);
    let nowhere = LinkId(99);
    let stack = &mut wire.a.stack;
    let before: Vec<_> = stack.routes().iter().cloned().collect();
    for address in [
        [0, 0, 0, 0],
        [255, 255, 255, 255],
        [224, 0, 0, 1],
        [10, 9, 9, 255],
    ] {
        let address = cidr(IpAddr::from(address), 24);
        assert_eq!(
            stack.add_address(now, link, address, AddressOrigin::Static),
            Err(SocketError::Invalid)
        );
        assert_eq!(
            stack.set_address(now, link, address),
            Err(SocketError::Invalid)
        );
    }
    assert_eq!(
        stack.add_address(now, nowhere, cidr(A, 24), AddressOrigin::Static),
        Err(SocketError::NoDevice)
    );
    assert_eq!(
        stack.set_address(now, nowhere, cidr(A, 24)),
        Err(SocketError::NoDevice)
    );
    assert_eq!(
        stack.remove_address(now, link, cidr(B, 24)),
        Err(SocketError::NotFound)
    );
    assert_eq!(
        stack.remove_address(now, nowhere, cidr(B, 24)),
        Err(SocketError::NoDevice)
    );
    assert_eq!(
        stack.enable_dhcp(now, nowhere, true),
        Err(SocketError::NoDevice)
    );
    assert_eq!(
        stack.add_route(now, route("default via 255.255.255.255", link)),
        Err(SocketError::Invalid)
    );
    assert_eq!(
        stack.remove_route(
            now,
            &Selector {
                link: Some(nowhere),
                ..Selector::default()
            }
        ),
        0
    );
    stack.set_link_up(now, nowhere, true);
    stack.remove_link(now, nowhere);
    stack.room_again(nowhere);
    assert_eq!(stack.routes().iter().cloned().collect::<Vec<_>>(), before);
    assert!(stack.link(link).unwrap().has_address(A));
}

#[test]
fn addresses_come_in_any_number_up_to_a_bound() {
    let mut wire = Wire::bare();
    let (now, link) = (wire.now, wire.a.link);
    let stack = &mut wire.a.stack;
    let added = (1..=1000_u16)
        .take_while(|n| {
            let [a, b] = n.to_be_bytes();
            let address = cidr(IpAddr::V4(Ipv4Addr::new(10, a, b, 1)), 24);
            stack
                .add_address(now, link, address, AddressOrigin::Static)
                .is_ok()
        })
        .count();
    assert!((4..1000).contains(&added), "{added}");
    assert_eq!(
        stack
            .routes()
            .iter()
            .filter(|route| route.origin == Origin::Connected)
            .count(),
        added + 1
    );
}

#[test]
fn a_socket_that_waits_for_room_on_a_link_that_goes_finds_out() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Udp);
    wire.a.send(wire.now, id, b"x", Some(at(B, 9))).unwrap();
    wire.run_for(Duration::from_millis(5));
    wire.a.set_ring_capacity(0);
    assert_eq!(
        wire.a.send(wire.now, id, b"x", Some(at(B, 9))),
        Err(SocketError::WouldBlock)
    );
    assert!(!wire.a.stack.readiness(id).writable);
    wire.a.stack.remove_link(wire.now, wire.a.link);
    assert!(wire.a.stack.readiness(id).writable);
    let mut changes = Vec::new();
    wire.a.stack.take_changes(&mut changes);
    assert!(changes.contains(&Change::Socket(id)), "{changes:?}");
    assert_eq!(
        wire.a.send(wire.now, id, b"x", Some(at(B, 9))),
        Err(SocketError::NetworkUnreachable)
    );
}

#[test]
fn frames_from_a_link_that_has_gone_are_counted() {
    let mut wire = Wire::new();
    let link = wire.a.link;
    wire.a.stack.remove_link(wire.now, link);
    wire.a
        .stack
        .handle_frame(wire.now, link, &[0; 60], &mut wire.a.ring);
    assert_eq!(wire.a.counter("ip.unknown_link"), 1);
    let config = LinkConfig {
        name: "eth0".into(),
        mac: MAC_A,
        mtu: 1500,
        up: true,
        kind: LinkKind::Ethernet,
    };
    assert_ne!(
        wire.a.stack.add_link(wire.now, config),
        link,
        "a number is never used again"
    );
}
