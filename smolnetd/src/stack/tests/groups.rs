//! Stories of sockets in multicast groups (RFC 1112, RFC 3493 5.2).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::time::Duration;
use smoltcp::wire::IpProtocol;

use super::wire::{A, A6, B, End, Wire, at, on_eth0};
use crate::error::SocketError;
use crate::ip::Incoming;
use crate::link::MAX_GROUPS;
use crate::ports::LinkId;
use crate::socket::{SocketId, SocketKind, SocketOption};
use crate::stack::LOOPBACK;

const PORT: u16 = 5353;
const DNS_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251));
const DNS_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb));
const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// A socket of B's that hears what is sent to `local`.
fn listener(wire: &mut Wire, local: IpAddr) -> SocketId {
    let (now, id) = (wire.now, wire.b.open(SocketKind::Udp));
    let reuse = SocketOption::ReuseAddress(true);
    wire.b.stack.set_option(id, reuse).unwrap();
    wire.b.stack.bind(now, id, on_eth0(local, PORT)).unwrap();
    id
}

/// What a socket of B's has got since the last question.
fn heard(wire: &mut Wire, id: SocketId) -> Vec<Vec<u8>> {
    wire.run_for(Duration::from_millis(10));
    let mut heard = Vec::new();
    while let Ok((data, _)) = wire.b.receive(wire.now, id) {
        heard.push(data);
    }
    heard
}

fn say(wire: &mut Wire, id: SocketId, group: IpAddr, word: &[u8]) {
    let to = on_eth0(group, PORT);
    assert_eq!(wire.a.send(wire.now, id, word, Some(to)), Ok(word.len()));
}

#[test]
fn a_socket_hears_a_group_from_joining_until_leaving() {
    for group in [DNS_V4, DNS_V6] {
        let mut wire = Wire::dual();
        let server = listener(&mut wire, ANY);
        let client = wire.a.open(SocketKind::Udp);
        let dropped = |wire: &Wire| {
            let names = ["ip.not_joined", "eth0.rx_not_member"];
            names.map(|name| wire.b.counter(name)).iter().sum::<u64>()
        };
        let before = dropped(&wire);
        say(&mut wire, client, group, b"too early");
        assert_eq!(heard(&mut wire, server), Vec::<Vec<u8>>::new());
        assert_eq!(dropped(&wire), before + 1);
        let now = wire.now;
        wire.b.stack.join_group(now, server, group, None).unwrap();
        say(&mut wire, client, group, b"now");
        assert_eq!(heard(&mut wire, server), [b"now"]);
        let now = wire.now;
        let again = wire.b.stack.join_group(now, server, group, None);
        assert_eq!(again, Err(SocketError::AddressInUse));
        wire.b.stack.leave_group(now, server, group, None).unwrap();
        say(&mut wire, client, group, b"too late");
        assert_eq!(heard(&mut wire, server), Vec::<Vec<u8>>::new());
        let again = wire.b.stack.leave_group(now, server, group, None);
        assert_eq!(again, Err(SocketError::AddressNotAvailable));
    }
}

/// RFC 3376 5.1, RFC 3810 6.1: routers and switches hear of it, of the end too.
#[test]
fn whoever_is_closed_leaves_and_the_network_is_told() {
    let mut wire = Wire::dual();
    let (first, second) = (listener(&mut wire, ANY), listener(&mut wire, ANY));
    let reports = |wire: &mut Wire| {
        let before = (
            wire.b.counter("eth0.mld_tx"),
            wire.b.counter("eth0.igmp_tx"),
        );
        wire.run_for(Duration::from_secs(5));
        (
            wire.b.counter("eth0.mld_tx") - before.0,
            wire.b.counter("eth0.igmp_tx") - before.1,
        )
    };
    assert_eq!(reports(&mut wire), (0, 0));
    for id in [first, second] {
        for group in [DNS_V4, DNS_V6] {
            let now = wire.now;
            wire.b.stack.join_group(now, id, group, None).unwrap();
        }
    }
    assert_eq!(reports(&mut wire), (2, 2), "each twice, whoever joins");
    let now = wire.now;
    wire.b.stack.close(now, first);
    assert_eq!(reports(&mut wire), (0, 0), "another is in it");
    let link = wire.b.link;
    assert!(wire.b.stack.network.is_member(link, DNS_V6));
    let now = wire.now;
    wire.b.stack.close(now, second);
    assert_eq!(reports(&mut wire), (2, 2));
    assert!(!wire.b.stack.network.is_member(link, DNS_V6));
}

/// As every resolver of mDNS does: who is bound to the group's address hears nothing else.
#[test]
fn a_socket_bound_to_a_group_hears_that_alone_and_speaks_from_its_host() {
    for (group, host, own) in [(DNS_V4, B, A), (DNS_V6, super::wire::B6, A6)] {
        let mut wire = Wire::dual();
        let server = listener(&mut wire, group);
        let now = wire.now;
        wire.b.stack.join_group(now, server, group, None).unwrap();
        let client = wire.a.open(SocketKind::Udp);
        wire.a.stack.bind(now, client, at(own, 4000)).unwrap();
        say(&mut wire, client, host, b"to you");
        say(&mut wire, client, group, b"to all");
        assert_eq!(heard(&mut wire, server), [b"to all"]);
        let now = wire.now;
        let answer = wire.b.send(now, server, b"here", Some(at(own, 4000)));
        assert_eq!(answer, Ok(4));
        wire.run_for(Duration::from_millis(10));
        let (data, received) = wire.a.receive(wire.now, client).unwrap();
        assert_eq!(
            (data, received.source),
            (b"here".to_vec(), Some(at(host, PORT)))
        );
        // Connecting keeps what it hears.
        let now = wire.now;
        wire.b.stack.connect(now, server, at(own, 4000)).unwrap();
        assert_eq!(wire.b.stack.local(server), Some(on_eth0(group, PORT)));
    }
}

/// RFC 1112 6.1, RFC 3493 5.2: not beyond the link unless it is asked for, and members in the host hear it.
#[test]
fn rfc3493_5_2_the_hop_limit_of_groups_is_one_and_they_loop_back() {
    for group in [DNS_V4, DNS_V6] {
        let mut wire = Wire::dual();
        let member = listener(&mut wire, ANY);
        let now = wire.now;
        wire.b.stack.join_group(now, member, group, None).unwrap();
        let hops = |wire: &mut Wire, word: &[u8]| {
            wire.listen();
            let (now, to) = (wire.now, on_eth0(group, PORT));
            wire.b.send(now, member, word, Some(to)).unwrap();
            let looped = heard(wire, member).len();
            let sent: Vec<_> = wire
                .taken()
                .iter()
                .filter(|(end, _)| *end == End::B)
                .filter_map(|(_, frame)| {
                    let packet = Incoming::parse(frame.get(14..)?).ok()?;
                    (packet.protocol == u8::from(IpProtocol::Udp)).then_some(packet.hop_limit)
                })
                .collect();
            (sent, looped)
        };
        assert_eq!(hops(&mut wire, b"usual"), (vec![1], 1));
        let set = |wire: &mut Wire, option| wire.b.stack.set_option(member, option).unwrap();
        set(&mut wire, SocketOption::TimeToLive(9));
        set(&mut wire, SocketOption::MulticastHops(5));
        set(&mut wire, SocketOption::MulticastLoop(false));
        assert_eq!(hops(&mut wire, b"farther"), (vec![5], 0));
        set(&mut wire, SocketOption::MulticastHops(0));
        set(&mut wire, SocketOption::MulticastLoop(true));
        assert_eq!(hops(&mut wire, b"not out of here"), (vec![], 1));
    }
}

#[test]
fn what_is_no_group_and_what_is_too_many() {
    let mut wire = Wire::dual();
    let (now, id) = (wire.now, wire.b.open(SocketKind::Udp));
    let stack = &mut wire.b.stack;
    assert_eq!(
        stack.join_group(now, id, B, None),
        Err(SocketError::Invalid)
    );
    let nowhere = Some(LinkId(77));
    let unknown = stack.join_group(now, id, DNS_V6, nowhere);
    assert_eq!(unknown, Err(SocketError::NoDevice));
    let scopeless = stack.bind(now, id, at(DNS_V6, PORT));
    assert_eq!(scopeless, Err(SocketError::Invalid));
    let tcp = stack
        .socket(SocketKind::Tcp, crate::socket::Owner::ROOT)
        .unwrap();
    let joined = stack.join_group(now, tcp, DNS_V4, None);
    assert_eq!(joined, Err(SocketError::NotSupported));
    let bound = stack.bind(now, tcp, at(DNS_V4, 80));
    assert_eq!(bound, Err(SocketError::AddressNotAvailable));
    // One socket is in so many groups, and all together in as many as the link takes.
    let group = |number: u16| IpAddr::V6(Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, number));
    let mut joined = 0;
    for socket in 0..u16::MAX {
        let id = stack
            .socket(SocketKind::Udp, crate::socket::Owner::ROOT)
            .unwrap();
        let mut own = (0..100).take_while(|number| {
            stack
                .join_group(now, id, group(socket * 100 + number), None)
                .is_ok()
        });
        let own = own.by_ref().count();
        joined += own;
        if own < crate::socket::group::MAX_GROUPS {
            break;
        }
    }
    assert_eq!(joined, MAX_GROUPS);
    let refused = wire.b.stack.join_group(now, id, group(60_000), None);
    assert_eq!(refused, Err(SocketError::NoBuffers));
    assert_eq!(wire.b.counter("eth0.groups_full"), 2);
}

/// RFC 3493 5.2: IPV6_MULTICAST_IF.
#[test]
fn the_link_for_groups_can_be_chosen_and_a_zone_must_agree() {
    let mut wire = Wire::dual();
    let (now, client, eth0) = (wire.now, wire.a.open(SocketKind::Udp), wire.a.link);
    let choose = |wire: &mut Wire, link| {
        let option = SocketOption::MulticastLink(Some(link));
        wire.a.stack.set_option(client, option).unwrap();
    };
    choose(&mut wire, LOOPBACK);
    let to = on_eth0(DNS_V6, PORT);
    let other = wire.a.send(now, client, b"where?", Some(to));
    assert_eq!(other, Err(SocketError::Invalid));
    choose(&mut wire, eth0);
    let server = listener(&mut wire, ANY);
    wire.b.stack.join_group(now, server, DNS_V6, None).unwrap();
    // Without a zone, the choice says which link.
    let sent = wire.a.send(now, client, b"there", Some(at(DNS_V6, PORT)));
    assert_eq!(sent, Ok(5));
    assert_eq!(heard(&mut wire, server), [b"there"]);
    choose(&mut wire, LinkId(77));
    let gone = wire.a.send(now, client, b"gone", Some(at(DNS_V6, PORT)));
    assert_eq!(gone, Err(SocketError::NetworkDown));
}

#[test]
fn a_word_that_has_to_wait_for_room_is_heard_once() {
    let mut wire = Wire::dual();
    let member = listener(&mut wire, ANY);
    let (now, to) = (wire.now, Some(on_eth0(DNS_V6, PORT)));
    wire.b.stack.join_group(now, member, DNS_V6, None).unwrap();
    wire.run_for(Duration::from_secs(5));
    wire.b.set_ring_capacity(0);
    let now = wire.now;
    let full = wire.b.send(now, member, b"all", to);
    assert_eq!(full, Err(SocketError::WouldBlock));
    assert_eq!(heard(&mut wire, member), Vec::<Vec<u8>>::new());
    wire.b.set_ring_capacity(256);
    let now = wire.now;
    assert_eq!(wire.b.send(now, member, b"all", to), Ok(3));
    assert_eq!(heard(&mut wire, member), [b"all"]);
}
