//! What differs between the families, and that whoever writes packets of IPv6 by hand does no more harm than others.

use super::*;
use crate::socket::tcp::IcmpError;

fn end(text: &str) -> SocketAddr {
    text.parse().expect("an end")
}

/// A066: LAND, and SYNs to addresses that are everybody's, closed the listener or were answered.
#[test]
fn rfc1122_4_2_3_10_a_syn_that_nobody_can_have_sent_is_not_answered() {
    let mut host = Host::of_ipv6();
    let listener = host.listener(80, 8);
    let own = SocketAddr::new(host.address, 80);
    for (source, destination) in [
        (own, own),
        (SocketAddr::new(host.address, 81), own),
        (end("[ff02::1]:81"), own),
        (end("[::]:81"), own),
        (end("[fd42::99]:81"), end("[ff02::1]:80")),
        (end("[fd42::99]:81"), end("[ff05::2]:80")),
        (end("[fd42::99]:81"), end("[::]:80")),
        // Not an address of this host.
        (end("[fd42::99]:81"), end("[fd42::98]:80")),
    ] {
        let peer = Peer::new(source, destination);
        host.hears(&peer.says("S", 0, 0, b""));
        assert!(host.net.sent.is_empty(), "{source} to {destination}");
    }
    assert_eq!(host.tcp.counters().bad_address, 8);
    assert!(host.tcp.is_listening(listener));
    let mut peer = Peer::new(end("[fd42::99]:81"), own);
    host.hears(&peer.says("S", 0, 0, b""));
    assert_eq!(peer.hears(&mut host).len(), 1, "an honest one is");
}

/// A016: SYNs that nobody stands behind cost nothing that lasts.
#[test]
fn a_flood_of_syns_from_a_whole_prefix_does_not_block_a_listener() {
    let mut host = Host::of_ipv6();
    let listener = host.listener(80, 8);
    let own = SocketAddr::new(host.address, 80);
    for n in 0..5000_u32 {
        let address = Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n) << 40 | 1);
        let peer = Peer::new(SocketAddr::new(address.into(), 1024), own);
        host.hears(&peer.says("S", 0, 0, b""));
        host.net.sent.clear();
    }
    let most = Limits::default().half_open_per_listener;
    assert_eq!(host.tcp.flow_count(), most / 4, "one source's part");
    let mut peer = Peer::new(end("[fd42::99]:81"), own);
    host.hears(&peer.says("S", 0, 0, b""));
    peer.hears(&mut host);
    host.hears(&peer.says(".", 1, 1, b""));
    assert!(host.tcp.accept(listener).is_ok());
    host.waits(seconds(64));
    assert_eq!(host.tcp.flow_count(), 1);
}

/// RFC 8201 4: a flow whose path narrows goes on with smaller segments, at once, and never with less than 1280 bytes.
#[test]
fn rfc8201_4_a_flow_goes_on_with_what_the_path_carries() {
    let mut host = Host::of_ipv6();
    let (id, mut peer) = connected(&mut host);
    let path = |host: &mut Host, peer: &Peer, sequence: u32, mtu| {
        let (local, remote) = (peer.host, peer.end);
        let sequence = peer.host_start.wrapping_add(sequence);
        let too_big = IcmpError::PacketTooBig { mtu };
        let believed = host
            .tcp
            .icmp_error(host.now, local, remote, sequence, too_big);
        host.poll();
        believed
    };
    host.send(id, &[7; 2880]).expect("send");
    let sent = peer.hears(&mut host);
    assert_eq!(
        sent,
        [". 1(1440) ack 1 win 65535", "P. 1441(1440) ack 1 win 65535"]
    );
    assert!(
        !path(&mut host, &peer, 2881, 1400),
        "RFC 5927 4.1: never sent"
    );
    assert!(path(&mut host, &peer, 1, 1400));
    assert_eq!(
        peer.hears(&mut host),
        [
            ". 1(1340) ack 1 win 65535",
            ". 1341(1340) ack 1 win 65535",
            "P. 2681(200) ack 1 win 65535"
        ],
        "at once"
    );
    host.hears(&peer.says(".", 1, 2881, b""));
    host.send(id, &[7; 1500]).expect("send");
    assert_eq!(peer.hears(&mut host)[0], ". 2881(1340) ack 1 win 65535");
    assert!(path(&mut host, &peer, 2881, 1279));
    assert_eq!(
        peer.hears(&mut host),
        [""; 0],
        "not believed: IPv6 carries 1280 anywhere"
    );
    assert!(path(&mut host, &peer, 2881, 1280));
    let again = [
        ". 2881(1220) ack 1 win 65535",
        ". 4101(120) ack 1 win 65535",
    ];
    assert_eq!(peer.hears(&mut host), again);
}

/// RFC 8201 5.2: the path MTU is the destination's; a flow that was narrowed for another's sake sends again what it lost.
#[test]
fn a_flow_that_heard_of_it_second_sends_again_too() {
    let mut host = Host::of_ipv6();
    let (id, mut peer) = connected(&mut host);
    host.send(id, &[7; 2880]).expect("send");
    assert_eq!(peer.hears(&mut host).len(), 2);
    host.net.mtu = 1400;
    host.tcp.reroute(host.now, &host.net);
    host.poll();
    assert_eq!(peer.hears(&mut host), [""; 0], "it may have arrived");
    for (told, sent) in [(1500, 0), (1400, 3), (1400, 0)] {
        let una = peer.host_start.wrapping_add(1);
        let too_big = IcmpError::PacketTooBig { mtu: told };
        host.tcp
            .icmp_error(host.now, peer.host, peer.end, una, too_big);
        host.poll();
        assert_eq!(peer.hears(&mut host).len(), sent, "{told}");
    }
}

/// A router died, and its routes give way to another's: nobody waits for a timer that has been backing off meanwhile.
#[test]
fn what_was_lost_on_a_dead_way_is_tried_on_the_new_one_at_once() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.send(id, b"lost").expect("send");
        host.waits(seconds(20));
        assert!(peer.hears(&mut host).len() > 3, "again and again");
        host.net.own.push(host.peer);
        host.tcp.reroute(host.now, &host.net);
        host.poll();
        let sent = peer.hears(&mut host);
        assert_eq!(sent, ["P. 1(4) ack 1 win 65535"]);
        host.tcp.reroute(host.now, &host.net);
        host.poll();
        assert_eq!(peer.hears(&mut host), [""; 0], "the same way");
        host.hears(&peer.says(".", 1, 5, b""));
        host.waits(seconds(60));
        assert_eq!(peer.hears(&mut host), [""; 0]);
    });
}

/// RFC 4007 6: the same two link-local addresses and ports on two links are two connections.
#[test]
fn rfc4007_6_what_looks_the_same_on_two_links_is_not() {
    let mut host = Host::of_ipv6();
    let own: IpAddr = "fe80::1".parse().expect("an address");
    host.net.own.push(own);
    let listener = host.listener(80, 8);
    let mut peer = Peer::new(end("[fe80::2]:1024"), SocketAddr::new(own, 80));
    for link in [LinkId(1), LinkId(2)] {
        let arrival = Arrival {
            link,
            looped: false,
        };
        let hears = |host: &mut Host, packet: &[u8]| {
            assert_eq!(
                host.tcp.ingress(host.now, arrival, packet, &mut host.net),
                Ingress::Consumed
            );
            host.poll();
        };
        hears(&mut host, &peer.says("S", 0, 0, b""));
        assert_eq!(peer.hears(&mut host), ["S. 0 ack 1 win 65535 mss 1440"]);
        hears(&mut host, &peer.says(".", 1, 1, b""));
        let accepted = host.tcp.accept(listener).expect("a connection");
        let theirs = host.tcp.peer(accepted);
        assert_eq!(theirs, Some(end(&format!("[fe80::2%{}]:1024", link.0))));
    }
    assert_eq!(host.tcp.flow_count(), 2);
}
