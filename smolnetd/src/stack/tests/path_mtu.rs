//! Stories of paths that carry less than their link.

use core::net::IpAddr;

use smoltcp::time::Duration;
use smoltcp::wire::{IpProtocol, Ipv4Packet};

use super::dual::too_big;
use super::fragments::{bound, data};
use super::wire::{A, A6, B, B6, End, Wire, at};
use crate::ip::Incoming;
use crate::path_mtu::PATH_MTU_LIFETIME;
use crate::socket::{SocketId, SocketKind, SocketOption};

/// Where the IP header begins in a frame.
const IP: usize = 14;

/// The IP packets of that protocol that A has sent.
fn sent(wire: &mut Wire, protocol: IpProtocol) -> Vec<Vec<u8>> {
    let taken = wire.taken();
    let packets = taken
        .iter()
        .filter(|(end, _)| *end == End::A)
        .filter_map(|(_, frame)| {
            let packet = Incoming::parse(frame.get(IP..)?).ok()?;
            (packet.protocol == u8::from(protocol)).then(|| packet.packet.to_vec())
        });
    packets.collect()
}

/// A connection from A to B: (client, accepted).
fn stream(wire: &mut Wire, peer: IpAddr) -> (SocketId, SocketId) {
    let now = wire.now;
    let server = wire.b.open(SocketKind::Tcp);
    let reuse = SocketOption::ReuseAddress(true);
    wire.b.stack.set_option(server, reuse).unwrap();
    wire.b.stack.bind(now, server, at(peer, 80)).unwrap();
    wire.b.stack.listen(server, 1).unwrap();
    let client = wire.a.open(SocketKind::Tcp);
    wire.a.stack.connect(now, client, at(peer, 80)).unwrap();
    wire.run_for(Duration::from_millis(10));
    let accepted = wire.b.stack.accept(server).unwrap();
    wire.b.stack.close(now, server);
    (client, accepted)
}

/// The longest packet that A sends for `bytes` bytes, which all arrive.
fn longest(wire: &mut Wire, (client, accepted): (SocketId, SocketId), bytes: usize) -> usize {
    wire.listen();
    let data = data(bytes);
    assert_eq!(wire.a.send(wire.now, client, &data, None), Ok(bytes));
    wire.run_for(Duration::from_millis(100));
    assert!(wire.b.receive(wire.now, accepted).unwrap().0 == data);
    sent(wire, IpProtocol::Tcp)
        .iter()
        .map(Vec::len)
        .max()
        .expect("something was sent")
}

#[test]
fn rfc8201_4_datagrams_follow_the_path_mtu_and_try_again_later() {
    let mut wire = Wire::dual();
    let client = bound(&mut wire, End::A, A6, 5000);
    let server = bound(&mut wire, End::B, B6, 7);
    wire.a.stack.connect(wire.now, client, at(B6, 7)).unwrap();
    wire.a.send(wire.now, client, b"hello", None).unwrap();
    wire.run_for(Duration::from_millis(10));
    let say = |wire: &mut Wire| {
        wire.listen();
        wire.a.send(wire.now, client, &data(1400), None).unwrap();
        wire.run_for(Duration::from_millis(10));
        sent(wire, IpProtocol::Udp)
    };
    let large = say(&mut wire).remove(0);
    // Who quotes a packet from a port that nobody has knows nothing, and no router carries less than 1280 bytes.
    let mut forged = large.clone();
    forged[41] ^= 0x55;
    wire.inject(End::A, too_big(&forged, 1280));
    wire.inject(End::A, too_big(&large, 1279));
    wire.run_for(Duration::from_millis(10));
    let counted =
        ["lowered", "below_minimum"].map(|name| wire.a.counter(&format!("path_mtu.{name}")));
    assert_eq!(counted, [0, 1]);
    wire.inject(End::A, too_big(&large, 1300));
    wire.run_for(Duration::from_millis(10));
    let lengths: Vec<_> = say(&mut wire).iter().map(Vec::len).collect();
    assert_eq!(lengths, [1296, 208], "two fragments");
    for length in [5, 1400, 1400] {
        assert_eq!(wire.b.receive(wire.now, server).unwrap().0.len(), length);
    }
    // RFC 8201 5.3: ten minutes later the whole path may be there again.
    wire.run_for(PATH_MTU_LIFETIME);
    let lengths: Vec<_> = say(&mut wire).iter().map(Vec::len).collect();
    assert_eq!(lengths, [1448]);
}

#[test]
fn rfc1191_6_connections_to_one_destination_share_its_path_mtu_and_grow_again() {
    for peer in [B, B6] {
        let mut wire = Wire::dual();
        let flows = [stream(&mut wire, peer), stream(&mut wire, peer)];
        for flow in flows {
            assert_eq!(longest(&mut wire, flow, 5000), 1500);
        }
        // A router complains about a segment of the first that is on its way.
        wire.listen();
        wire.a
            .send(wire.now, flows[0].0, &data(5000), None)
            .unwrap();
        wire.a.settle(wire.now);
        wire.drain(End::A);
        let segment = sent(&mut wire, IpProtocol::Tcp).remove(0);
        wire.inject(End::A, too_big(&segment, 1300));
        wire.run_for(Duration::from_millis(500));
        assert!(wire.b.receive(wire.now, flows[0].1).unwrap().0 == data(5000));
        assert_eq!(wire.a.counter("path_mtu.lowered"), 1);
        for flow in flows.into_iter().chain([stream(&mut wire, peer)]) {
            assert_eq!(longest(&mut wire, flow, 5000), 1300, "{peer}");
        }
        wire.run_for(PATH_MTU_LIFETIME);
        assert_eq!(wire.a.counter("path_mtu.expired"), 1);
        for flow in flows {
            assert_eq!(
                longest(&mut wire, flow, 20_000),
                1500,
                "{peer}: RFC 1191 6.3"
            );
        }
        assert_eq!(wire.a.counter("fragment.sent"), 0, "TCP is never cut");
    }
}

#[test]
fn rfc1191_3_segments_must_not_be_cut_on_their_way_and_datagrams_may() {
    let mut wire = Wire::dual();
    let (client, _) = stream(&mut wire, B);
    let datagrams = bound(&mut wire, End::A, A, 5000);
    wire.listen();
    wire.a.send(wire.now, client, b"a segment", None).unwrap();
    wire.a
        .send(wire.now, datagrams, b"a datagram", Some(at(B, 9)))
        .unwrap();
    wire.run_for(Duration::from_millis(10));
    let taken = wire.taken();
    let flags = |protocol| {
        let packets = taken
            .iter()
            .filter(|(end, _)| *end == End::A)
            .filter_map(|(_, frame)| {
                let header = Ipv4Packet::new_checked(frame.get(IP..)?).ok()?;
                (header.version() == 4 && header.next_header() == protocol)
                    .then(|| header.dont_frag())
            });
        packets.collect::<Vec<_>>()
    };
    assert!(!flags(IpProtocol::Tcp).is_empty() && flags(IpProtocol::Tcp).iter().all(|flag| *flag));
    assert_eq!(flags(IpProtocol::Udp), [false]);
}
