//! Stories of DHCP as the whole host lives them. The server is a program on B with a UDP socket, as they are.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};

use super::wire::{A, B, End, MAC_A, Wire, at, cidr};
use crate::error::SocketError;
use crate::socket::{SocketId, SocketKind, SocketOption};
use crate::stack::Change;

const EVERYBODY: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const OFFERED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 15);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
const NAME_SERVER: [u8; 4] = [10, 0, 0, 3];

fn message<'a>(
    kind: DhcpMessageType,
    transaction_id: u32,
    options: &'a [DhcpOption<'a>],
) -> DhcpRepr<'a> {
    DhcpRepr {
        message_type: kind,
        transaction_id,
        secs: 0,
        client_hardware_address: EthernetAddress(MAC_A),
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: Ipv4Addr::UNSPECIFIED,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: options,
    }
}

fn bytes(repr: &DhcpRepr<'_>) -> Vec<u8> {
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes))
        .expect("a message that fits");
    bytes
}

/// The server's word: `kind`, about [`OFFERED`].
fn reply(kind: DhcpMessageType, transaction_id: u32, lease: u32) -> Vec<u8> {
    let options = [DhcpOption {
        kind: 6,
        data: &NAME_SERVER,
    }];
    let refused = kind == DhcpMessageType::Nak;
    let repr = message(kind, transaction_id, if refused { &[] } else { &options });
    bytes(&DhcpRepr {
        your_ip: if refused {
            Ipv4Addr::UNSPECIFIED
        } else {
            OFFERED
        },
        router: (!refused).then_some(ROUTER),
        subnet_mask: (!refused).then_some(Ipv4Addr::new(255, 255, 255, 0)),
        lease_duration: (!refused).then_some(lease),
        server_identifier: Some(SERVER),
        ..repr
    })
}

/// A DHCP server on B.
struct Server {
    socket: SocketId,
    lease: u32,
    heard: Vec<DhcpMessageType>,
}

impl Server {
    fn start(wire: &mut Wire, lease: u32) -> Server {
        wire.configure(End::B, B);
        let socket = wire.b.open(SocketKind::Udp);
        wire.b.stack.bind(wire.now, socket, at(ANY, 67)).unwrap();
        let leave = SocketOption::Broadcast(true);
        wire.b.stack.set_option(socket, leave).unwrap();
        Server {
            socket,
            lease,
            heard: Vec::new(),
        }
    }

    /// Answers what has come.
    fn serve(&mut self, wire: &mut Wire) {
        while let Ok((data, received)) = wire.b.receive(wire.now, self.socket) {
            let packet = DhcpPacket::new_checked(data.as_slice()).expect("a DHCP packet");
            let request = DhcpRepr::parse(&packet).expect("a DHCP message");
            self.heard.push(request.message_type);
            let kind = match request.message_type {
                DhcpMessageType::Discover => DhcpMessageType::Offer,
                DhcpMessageType::Request => DhcpMessageType::Ack,
                _ => continue,
            };
            let client = received.source.expect("a source").ip();
            let to = if client.is_unspecified() {
                EVERYBODY
            } else {
                client
            };
            let reply = reply(kind, request.transaction_id, self.lease);
            wire.b
                .send(wire.now, self.socket, &reply, Some(at(to, 68)))
                .expect("a reply that leaves");
        }
    }

    /// Lets the client and the server talk until A has an address.
    fn until_bound(&mut self, wire: &mut Wire) {
        wire.run_until_within("a lease", Duration::from_secs(30), |wire| {
            self.serve(wire);
            wire.a
                .stack
                .link(wire.a.link)
                .is_some_and(|link| link.lease().is_some())
        });
    }

    fn run_for(&mut self, wire: &mut Wire, time: Duration) {
        let end = wire.now + time;
        while wire.now < end {
            self.serve(wire);
            wire.run_for(Duration::from_secs(1).min(end - wire.now));
        }
    }
}

fn leased(wire: &mut Wire, lease: u32) -> Server {
    let mut server = Server::start(wire, lease);
    wire.a
        .stack
        .enable_dhcp(wire.now, wire.a.link, true)
        .unwrap();
    server.until_bound(wire);
    server
}

fn routes(wire: &Wire) -> Vec<String> {
    let stack = &wire.a.stack;
    let name = |link| stack.link(link).expect("a route's link is there").name();
    stack
        .routes()
        .iter()
        .map(|route| route.text(name(route.link), wire.now).to_string())
        .collect()
}

fn name_servers(stack: &crate::stack::Stack) -> Vec<IpAddr> {
    let resolvers = stack.resolvers().into_iter();
    resolvers.map(|resolver| resolver.address).collect()
}

#[test]
fn a_lease_brings_address_routes_and_name_servers() {
    let mut wire = Wire::bare();
    leased(&mut wire, 3600);
    let link = wire.a.link;
    assert!(wire.a.stack.link(link).unwrap().has_address(OFFERED.into()));
    assert_eq!(
        routes(&wire),
        [
            "default via 10.0.0.254 dev eth0 src 10.0.0.15 metric 0 proto dhcp",
            "127.0.0.0/8 dev lo src 127.0.0.1 metric 0 proto connected",
            "10.0.0.0/24 dev eth0 src 10.0.0.15 metric 0 proto connected",
        ]
    );
    assert_eq!(name_servers(&wire.a.stack), [IpAddr::from(NAME_SERVER)]);
    wire.run_for(Duration::ZERO);
    for change in [Change::Addresses(link), Change::Routes, Change::Resolvers] {
        assert!(
            wire.a.changes.contains(&change),
            "{change:?} in {:?}",
            wire.a.changes
        );
    }
    // And it is an address to speak from.
    let id = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, id, at(B, 9)).unwrap();
    assert_eq!(wire.a.stack.local(id).unwrap().ip(), IpAddr::V4(OFFERED));
}

#[test]
fn a_lease_that_is_renewed_disturbs_nobody() {
    let mut wire = Wire::bare();
    let mut server = leased(&mut wire, 600);
    let id = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, id, at(B, 9)).unwrap();
    let before = routes(&wire);
    wire.a.changes.clear();
    server.heard.clear();
    server.run_for(&mut wire, Duration::from_secs(1300));
    assert!(server.heard.len() >= 3, "{:?}", server.heard);
    assert!(
        server
            .heard
            .iter()
            .all(|kind| *kind == DhcpMessageType::Request),
        "{:?}",
        server.heard
    );
    assert_eq!(routes(&wire), before);
    assert_eq!(wire.a.stack.local(id).unwrap().ip(), IpAddr::V4(OFFERED));
    assert!(
        !wire.a.changes.contains(&Change::Resolvers),
        "{:?}",
        wire.a.changes
    );
}

#[test]
fn a_lease_that_ends_takes_everything_with_it() {
    let mut wire = Wire::bare();
    leased(&mut wire, 120);
    let id = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, id, at(B, 9)).unwrap();
    // The server has gone.
    wire.run_for(Duration::from_secs(130));
    assert_eq!(wire.a.stack.link(wire.a.link).unwrap().addresses(), []);
    assert_eq!(
        routes(&wire),
        ["127.0.0.0/8 dev lo src 127.0.0.1 metric 0 proto connected"]
    );
    assert_eq!(name_servers(&wire.a.stack), [] as [IpAddr; 0]);
    assert_eq!(
        wire.a.send(wire.now, id, b"x", None),
        Err(SocketError::AddressNotAvailable)
    );
}

#[test]
fn name_servers_configured_by_hand_come_before_those_of_the_lease() {
    let mut wire = Wire::bare();
    wire.a.stack.set_resolvers(vec![B.into()]);
    leased(&mut wire, 3600);
    assert_eq!(name_servers(&wire.a.stack), [B]);
    wire.a.stack.set_resolvers(Vec::new());
    assert_eq!(name_servers(&wire.a.stack), [IpAddr::from(NAME_SERVER)]);
}

#[test]
fn fallback_name_servers_serve_until_somebody_names_others() {
    let mut wire = Wire::bare();
    wire.a.stack.set_fallback_resolvers(vec![B.into()]);
    assert_eq!(name_servers(&wire.a.stack), [B]);
    leased(&mut wire, 120);
    assert_eq!(name_servers(&wire.a.stack), [IpAddr::from(NAME_SERVER)]);
    wire.run_for(Duration::from_secs(130));
    assert_eq!(name_servers(&wire.a.stack), [B]);
}

#[test]
fn the_client_yields_while_a_socket_holds_port_68_and_then_starts_anew() {
    let mut wire = Wire::bare();
    let mut server = Server::start(&mut wire, 3600);
    let (now, link) = (wire.now, wire.a.link);
    let socket = wire.a.open(SocketKind::Udp);
    wire.a.stack.bind(now, socket, at(ANY, 68)).unwrap();
    wire.a.stack.enable_dhcp(now, link, true).unwrap();
    server.run_for(&mut wire, Duration::from_secs(60));
    assert_eq!(server.heard, [], "there is one client at a time");
    wire.a.stack.close(wire.now, socket);
    server.until_bound(&mut wire);
    assert!(wire.a.stack.link(link).unwrap().dhcp_enabled());
}

#[test]
fn an_address_configured_by_hand_ends_dhcp_and_without_it_dhcp_comes_back() {
    let mut wire = Wire::bare();
    let mut server = leased(&mut wire, 120);
    let link = wire.a.link;
    wire.a
        .stack
        .set_address(wire.now, link, cidr(A, 24))
        .unwrap();
    assert!(!wire.a.stack.link(link).unwrap().dhcp_enabled());
    let addresses: Vec<_> = wire
        .a
        .stack
        .link(link)
        .unwrap()
        .addresses()
        .iter()
        .map(|own| own.cidr)
        .collect();
    assert_eq!(addresses, [cidr(A, 24)]);
    server.heard.clear();
    server.run_for(&mut wire, Duration::from_secs(300));
    assert_eq!(server.heard, []);
    wire.a
        .stack
        .remove_address(wire.now, link, cidr(A, 24))
        .unwrap();
    server.until_bound(&mut wire);
}

/// What a client outside the stack does, from its own socket: no address, broadcasts, and a server that may answer to
/// the address on offer.
#[test]
fn a_client_program_gets_a_lease_through_its_socket() {
    let mut wire = Wire::bare();
    let mut server = Server::start(&mut wire, 3600);
    let link = wire.a.link;
    wire.a.stack.enable_dhcp(wire.now, link, true).unwrap();
    let client = wire.a.open(SocketKind::Udp);
    wire.a.stack.bind(wire.now, client, at(ANY, 68)).unwrap();
    wire.a
        .stack
        .connect(wire.now, client, at(EVERYBODY, 67))
        .unwrap();
    assert_eq!(
        wire.a.stack.local(client),
        Some(at(ANY, 68)),
        "there is no address to speak from yet"
    );

    let discover = bytes(&message(DhcpMessageType::Discover, 0x1234, &[]));
    wire.a
        .send(wire.now, client, &discover, None)
        .expect("it goes out without an address");
    wire.run_until("the offer", |wire| {
        server.serve(wire);
        wire.a.stack.readiness(client).readable
    });
    let (data, received) = wire.a.receive(wire.now, client).unwrap();
    assert_eq!(received.source, Some(at(B, 67)));
    let offer = DhcpRepr::parse(&DhcpPacket::new_checked(data.as_slice()).unwrap())
        .unwrap()
        .your_ip;
    assert_eq!(offer, OFFERED);

    // The next reply comes to the address on offer, which is not ours yet.
    wire.listen();
    wire.b
        .send(
            wire.now,
            server.socket,
            &reply(DhcpMessageType::Ack, 0x1234, 3600),
            Some(at(EVERYBODY, 68)),
        )
        .unwrap();
    wire.weather(|_| false);
    wire.run_for(Duration::from_millis(1));
    wire.weather(|_| true);
    let (_, mut frame) = wire.taken().pop().expect("the ACK");
    frame[..6].copy_from_slice(&MAC_A);
    super::icmp::edit_ip(&mut frame, |ip| ip.set_dst_addr(OFFERED));
    // The UDP checksum covers the address: none is allowed in IPv4.
    frame[14 + 20 + 6..14 + 20 + 8].fill(0);
    wire.inject(End::A, frame.clone());
    wire.run_until("the ACK", |wire| wire.a.stack.readiness(client).readable);
    wire.a.receive(wire.now, client).unwrap();

    // It configures the address before it asks for it, and hears the broadcast answer all the same.
    wire.a
        .stack
        .set_address(wire.now, link, cidr(OFFERED.into(), 24))
        .unwrap();
    let request = bytes(&message(DhcpMessageType::Request, 0x1234, &[]));
    wire.a.send(wire.now, client, &request, None).unwrap();
    wire.run_for(Duration::from_millis(1));
    wire.b.receive(wire.now, server.socket).unwrap();
    wire.b
        .send(
            wire.now,
            server.socket,
            &reply(DhcpMessageType::Ack, 0x1234, 3600),
            Some(at(EVERYBODY, 68)),
        )
        .unwrap();
    wire.run_until("the broadcast ACK", |wire| {
        wire.a.stack.readiness(client).readable
    });
    wire.a.receive(wire.now, client).unwrap();

    wire.a
        .stack
        .set_address(wire.now, link, cidr(OFFERED.into(), 24))
        .unwrap();
    wire.a.stack.close(wire.now, client);
    server.heard.clear();
    server.run_for(&mut wire, Duration::from_secs(60));
    assert_eq!(server.heard, [], "what the program has set stands");
    // With an address of its own the host takes nothing that is for others, and nothing without a client.
    let before = wire.a.counter("ip.not_for_us");
    super::icmp::edit_ip(&mut frame, |ip| {
        ip.set_dst_addr(Ipv4Addr::new(10, 0, 0, 16))
    });
    wire.inject(End::A, frame);
    wire.run_for(Duration::from_millis(1));
    assert_eq!(wire.a.counter("ip.not_for_us"), before + 1);
}
