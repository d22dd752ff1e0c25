//! Stories of sockets that hear both families (RFC 3493 3.7, 5.3), and of the path MTU of either.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smoltcp::time::Duration;

use super::wire::{A, A6, B, B6, End, Wire, at, on_eth0};
use crate::error::SocketError;
use crate::socket::{OptionName, SocketId, SocketKind, SocketOption};

const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// An IPv4 end as a socket of IPv6 writes it.
fn mapped(address: IpAddr, port: u16) -> SocketAddr {
    match address {
        IpAddr::V4(address) => at(address.to_ipv6_mapped().into(), port),
        IpAddr::V6(_) => at(address, port),
    }
}

fn bound(
    wire: &mut Wire,
    kind: SocketKind,
    end: SocketAddr,
    v6_only: bool,
) -> Result<SocketId, SocketError> {
    let id = wire.a.open(kind);
    let only = SocketOption::V6Only(v6_only);
    wire.a.stack.set_option(id, only).expect("before bind");
    let result = wire.a.stack.bind(wire.now, id, end);
    let listening = result.and_then(|()| match kind {
        SocketKind::Tcp => wire.a.stack.listen(id, 4),
        _ => Ok(()),
    });
    if listening.is_err() {
        wire.a.stack.close(wire.now, id);
    }
    listening.map(|()| id)
}

/// A connection from A to a listener of B's on port 80 of `any`: both ends of it.
fn stream(wire: &mut Wire, any: IpAddr, to: SocketAddr) -> (SocketId, SocketId) {
    let (now, server) = (wire.now, wire.b.open(SocketKind::Tcp));
    wire.b.stack.bind(now, server, at(any, 80)).expect("bind");
    wire.b.stack.listen(server, 4).expect("listen");
    let client = wire.a.open(SocketKind::Tcp);
    wire.a.stack.connect(now, client, to).expect("connect");
    wire.run_until("the connection", |wire| {
        wire.b.stack.readiness(server).readable
    });
    (client, wire.b.stack.accept(server).expect("it"))
}

#[test]
fn a_socket_of_ipv6_hears_both_families_and_answers_them() {
    let mut wire = Wire::dual();
    let server = bound(&mut wire, SocketKind::Udp, at(ANY, 7), false).expect("bound");
    assert_eq!(wire.a.stack.local(server), Some(at(ANY, 7)));
    for (to, from) in [(A, B), (A6, B6)] {
        let client = wire.b.open(SocketKind::Udp);
        wire.b
            .stack
            .connect(wire.now, client, at(to, 7))
            .expect("a way");
        let port = wire.b.stack.local(client).expect("bound").port();
        wire.b.send(wire.now, client, b"hello", None).expect("sent");
        wire.run_until("the datagram", |wire| {
            wire.a.stack.readiness(server).readable
        });
        let (_, received) = wire.a.receive(wire.now, server).expect("it");
        let source = received.source.expect("somebody");
        assert_eq!(source, mapped(from, port));
        wire.a
            .send(wire.now, server, b"hello yourself", Some(source))
            .expect("sent");
        wire.run_until("the answer", |wire| wire.b.stack.readiness(client).readable);
        let (data, received) = wire.b.receive(wire.now, client).expect("it");
        assert_eq!(
            (data, received.source),
            (b"hello yourself".to_vec(), Some(at(to, 7)))
        );
    }
}

#[test]
fn a_listener_of_ipv6_accepts_both_families() {
    let mut wire = Wire::dual();
    let server = bound(&mut wire, SocketKind::Tcp, at(ANY, 80), false).expect("bound");
    for (to, from) in [(A, B), (A6, B6)] {
        let client = wire.b.open(SocketKind::Tcp);
        wire.b
            .stack
            .connect(wire.now, client, at(to, 80))
            .expect("connect");
        wire.run_until("the connection", |wire| {
            wire.a.stack.readiness(server).readable
        });
        let accepted = wire.a.stack.accept(server).expect("it");
        let port = wire.b.stack.local(client).expect("bound").port();
        assert_eq!(wire.a.stack.peer(accepted), Some(mapped(from, port)));
        assert_eq!(wire.a.stack.local(accepted), Some(mapped(to, 80)));
        assert_eq!(
            wire.b.stack.peer(client),
            Some(at(to, 80)),
            "as it was written"
        );
    }
}

#[test]
fn a_socket_of_ipv6_reaches_ipv4_by_mapped_addresses() {
    let mut wire = Wire::dual();
    let (client, accepted) = stream(&mut wire, ANY_V4, mapped(B, 80));
    assert_eq!(wire.b.stack.peer(accepted).map(|peer| peer.ip()), Some(A));
    assert_eq!(wire.a.stack.peer(client), Some(mapped(B, 80)));
    let local = wire.a.stack.local(client).expect("bound");
    assert_eq!(local.ip(), mapped(A, 0).ip());

    let only = wire.a.open(SocketKind::Udp);
    wire.a
        .stack
        .set_option(only, SocketOption::V6Only(true))
        .expect("set");
    let sent = wire.a.send(wire.now, only, b"x", Some(mapped(B, 9)));
    assert_eq!(sent, Err(SocketError::NetworkUnreachable));
    let four = wire.a.open(SocketKind::Udp);
    wire.a.stack.bind(wire.now, four, at(A, 0)).expect("bind");
    let sent = wire.a.send(wire.now, four, b"x", Some(at(B6, 9)));
    assert_eq!(sent, Err(SocketError::FamilyNotSupported));
}

#[test]
fn rfc3493_5_3_v6only_leaves_ipv4_to_others() {
    let mut wire = Wire::dual();
    let six = bound(&mut wire, SocketKind::Udp, at(ANY, 7), true).expect("bound");
    let four = bound(&mut wire, SocketKind::Udp, at(ANY_V4, 7), false).expect("both have room");
    for (to, hears, not) in [(A, four, six), (A6, six, four)] {
        let client = wire.b.open(SocketKind::Udp);
        wire.b
            .send(wire.now, client, b"hello", Some(at(to, 7)))
            .expect("sent");
        wire.run_until("the datagram", |wire| {
            wire.a.stack.readiness(hears).readable
        });
        assert!(!wire.a.stack.readiness(not).readable);
        wire.a.receive(wire.now, hears).expect("it");
    }
    assert_eq!(
        wire.a.stack.option(six, OptionName::V6Only),
        Ok(SocketOption::V6Only(true))
    );
    assert_eq!(
        wire.a.stack.set_option(six, SocketOption::V6Only(false)),
        Err(SocketError::Invalid),
        "not once it is bound"
    );
    let refused = bound(&mut wire, SocketKind::Udp, mapped(A, 9), true).err();
    assert_eq!(refused, Some(SocketError::Invalid));
}

#[test]
fn who_wants_what_another_has_is_told_so() {
    let one = mapped(A, 80);
    let any = at(ANY, 80);
    let any4 = at(ANY_V4, 80);
    // The first, the second, each with V6ONLY or not: can both be?
    let table = [
        ((any, false), (any, false), false),
        ((any, false), (any4, false), false),
        ((any4, false), (any, false), false),
        ((any, false), (at(A, 80), false), false),
        ((any, false), (at(A6, 80), false), false),
        ((any, true), (any4, false), true),
        ((any4, false), (any, true), true),
        ((any, true), (any, false), false),
        ((any, true), (at(A6, 80), true), false),
        ((any4, false), (at(A6, 80), false), true),
        ((one, false), (at(A, 80), false), false),
        ((one, false), (any, true), true),
        ((at(A, 80), false), (at(A6, 80), false), true),
    ];
    for kind in [SocketKind::Udp, SocketKind::Tcp] {
        for ((first, first_only), (second, second_only), both) in table {
            let mut wire = Wire::dual();
            bound(&mut wire, kind, first, first_only).expect("the first has room");
            let result = bound(&mut wire, kind, second, second_only).map(|_| ());
            let expected = if both {
                Ok(())
            } else {
                Err(SocketError::AddressInUse)
            };
            assert_eq!(result, expected, "{kind:?} {first} {second}");
        }
    }
}

/// The path carries less than both ends think: whoever sends more hears of it, and the stream goes on.
#[test]
fn rfc8201_a_stream_over_a_path_that_narrows() {
    for (to, mtu) in [(B6, 1280_usize), (B, 1280)] {
        let mut wire = Wire::dual();
        let any = if to.is_ipv6() { ANY } else { ANY_V4 };
        let (client, accepted) = stream(&mut wire, any, on_eth0(to, 80));
        // From here on a router has a narrower link behind it.
        wire.weather(move |frame| frame.len() <= 14 + mtu);
        wire.listen();
        let all: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut sent, mut read) = (0, Vec::new());
        let (mut told, mut big) = (0, 0);
        for _ in 0..200_000 {
            if let Ok(count) = wire.a.send(wire.now, client, &all[sent..], None) {
                sent += count;
            }
            wire.run_for(Duration::from_micros(500));
            for (end, frame) in wire.taken() {
                if end == End::A && frame.len() > 14 + mtu {
                    big += 1;
                    wire.inject(End::A, too_big(&frame[14..], mtu));
                    told += 1;
                }
            }
            while let Ok((data, _)) = wire.b.receive(wire.now, accepted) {
                read.extend(data);
            }
            if read.len() == all.len() {
                break;
            }
        }
        assert!(read == all, "{to}: {} of {}", read.len(), all.len());
        assert!(told > 0 && big < 40, "{to}: {big} segments were too big");
        assert!(
            wire.now.secs() < 1020,
            "{to}: no timer was waited for: {}",
            wire.now
        );
    }
}

/// What a router says about a packet that its next link does not carry (RFC 4443 3.2, RFC 1191 4).
pub(super) fn too_big(packet: &[u8], mtu: usize) -> Vec<u8> {
    use crate::ip::{Outgoing, v4, v6};
    use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet, IpProtocol};
    let v6 = packet[0] >> 4 == 6;
    let mtu = (mtu as u32).to_be_bytes();
    let head = if v6 { [2, 0, 0, 0] } else { [3, 4, 0, 0] };
    let mut message = [&head[..], &mtu, &packet[..100]].concat();
    let (header, ethertype) = match (B, A, B6, A6) {
        (_, _, IpAddr::V6(source), IpAddr::V6(destination)) if v6 => {
            Icmpv6Packet::new_unchecked(&mut message).fill_checksum(&source, &destination);
            let header = v6::Header {
                source,
                destination,
                protocol: IpProtocol::Icmpv6,
                traffic_class: 0,
                hop_limit: 64,
                flow_label: 0,
            };
            (Outgoing::V6(header), [0x86, 0xdd])
        }
        (IpAddr::V4(source), IpAddr::V4(destination), ..) => {
            Icmpv4Packet::new_unchecked(&mut message).fill_checksum();
            let header = v4::Header {
                source,
                destination,
                protocol: IpProtocol::Icmp,
                traffic_class: 0,
                ttl: 64,
                identification: 0,
            };
            (Outgoing::V4(header), [8, 0])
        }
        _ => panic!("{packet:?}"),
    };
    let mut whole = vec![0; header.length() + message.len()];
    header.write(&mut whole).copy_from_slice(&message);
    let (to, from) = (super::wire::MAC_A, super::wire::MAC_B);
    [&to[..], &from, &ethertype, &whole].concat()
}
