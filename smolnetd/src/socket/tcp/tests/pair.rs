//! Both ends are ours: a host with itself, and two hosts.

use crate::flow::State;

use super::*;
use crate::socket::How;

/// Carries a host's packets to itself back to it, until there are none.
pub(super) fn loops(host: &mut Host) {
    while let Some(place) = host.net.sent.iter().position(|(path, _)| path.link == LO) {
        let (path, packet) = host.net.sent.remove(place).expect("a packet");
        let arrival = Arrival {
            link: path.link,
            looped: true,
        };
        if host.tcp.ingress(host.now, arrival, &packet, &mut host.net) == Ingress::NoFlow {
            host.tcp.refuse(host.now, arrival, &packet, &mut host.net);
        }
        host.poll();
    }
}

#[test]
fn a_host_connects_to_its_own_address() {
    let v6: IpAddr = core::net::Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 0, 1).into();
    for address in [HOST.into(), Ipv4Addr::LOCALHOST.into(), v6] {
        let mut host = Host::new();
        host.net.own.push(v6);
        let listener = host.socket();
        let any = if address.is_ipv6() {
            core::net::Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        host.tcp
            .bind(listener, SocketAddr::new(any, 80), false)
            .expect("bind");
        host.tcp.listen(listener, 1).expect("listen");
        let client = host.socket();
        let path = host.net.way(address, address);
        host.tcp
            .connect(host.now, client, SocketAddr::new(address, 80), path)
            .expect("connect");
        host.poll();
        loops(&mut host);
        assert_eq!(host.readiness(client), WRITABLE);
        let server = host.tcp.accept(listener).expect("accepted");
        assert_eq!(host.tcp.peer(server), host.tcp.local(client));
        assert_eq!(host.tcp.peer(client), host.tcp.local(server));

        let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let (mut sent, mut received) = (0, Vec::new());
        while received.len() < all.len() {
            match host.send(client, &all[sent..]) {
                Ok(length) => sent += length,
                Err(error) => assert_eq!(error, SocketError::WouldBlock),
            }
            loops(&mut host);
            match host.read(server, 10_000) {
                Ok(data) => received.extend(data),
                Err(error) => {
                    assert_eq!(error, SocketError::WouldBlock);
                    host.waits(millis(1));
                }
            }
            loops(&mut host);
        }
        assert!(received == all, "{address}: what arrived is what was sent");

        host.close(client);
        loops(&mut host);
        assert_eq!(host.read(server, 1), Ok(vec![]));
        host.close(server);
        loops(&mut host);
        assert_eq!(host.tcp.flow_count(), 1, "one TIME-WAIT");
        host.waits(seconds(61));
        assert_eq!(host.tcp.flow_count(), 0);
        assert!(host.net.sent.is_empty());
    }
}

#[test]
fn a_host_refuses_itself() {
    let mut host = Host::new();
    let client = host.connect(at(HOST, 81));
    loops(&mut host);
    assert_eq!(host.read(client, 1), Err(SocketError::ConnectionRefused));
}

#[test]
fn nobody_is_connected_with_his_own_port() {
    let mut host = Host::new();
    let id = host.socket();
    host.tcp.bind(id, at(HOST, 5000), false).expect("bind");
    assert_eq!(
        host.connect_with(id, at(HOST, 5000)),
        Err(SocketError::AddressInUse)
    );
}

#[test]
fn both_ends_of_a_loop_close_at_once() {
    let mut host = Host::new();
    let listener = host.listener(80, 1);
    let client = host.connect(at(HOST, 80));
    loops(&mut host);
    let server = host.tcp.accept(listener).expect("accepted");
    host.tcp
        .send(host.now, client, b"from the client")
        .expect("send");
    host.tcp
        .send(host.now, server, b"from the server")
        .expect("send");
    host.tcp
        .shutdown(host.now, client, How::Write)
        .expect("shutdown");
    host.tcp
        .shutdown(host.now, server, How::Write)
        .expect("shutdown");
    host.poll();
    loops(&mut host);
    assert_eq!(host.read(server, 99), Ok(b"from the client".to_vec()));
    assert_eq!(host.read(client, 99), Ok(b"from the server".to_vec()));
    host.waits(millis(50));
    loops(&mut host);
    for id in [client, server] {
        assert_eq!(host.read(id, 9), Ok(vec![]));
        assert_eq!(host.tcp.state(id), Some(State::TimeWait));
        host.close(id);
    }
    host.waits(seconds(61));
    assert_eq!(host.tcp.flow_count(), 0);
}

#[test]
fn both_ends_of_a_loop_open_at_once() {
    let mut host = Host::new();
    let (one, two) = (host.socket(), host.socket());
    host.tcp.bind(one, at(HOST, 5000), false).expect("bind");
    host.tcp.bind(two, at(HOST, 6000), false).expect("bind");
    let path = host.net.way(HOST.into(), HOST.into());
    host.tcp
        .connect(host.now, one, at(HOST, 6000), path)
        .expect("connect");
    host.tcp
        .connect(host.now, two, at(HOST, 5000), path)
        .expect("connect");
    host.poll();
    loops(&mut host);
    assert_eq!(host.tcp.state(one), Some(State::Established));
    assert_eq!(host.tcp.state(two), Some(State::Established));
    host.send(one, b"hello").expect("send");
    loops(&mut host);
    assert_eq!(host.read(two, 9), Ok(b"hello".to_vec()));
}

/// The loopback link carries packets of 64 KiB, and a window to begin with is no more than one of them.
#[test]
fn segments_as_large_as_the_window_flow_too() {
    let mut host = Host::new();
    host.net.mtu = 65_535;
    let listener = host.listener(80, 1);
    let client = host.connect(at(HOST, 80));
    loops(&mut host);
    let server = host.tcp.accept(listener).expect("accepted");
    let (start, mut sent, mut received) = (host.now, 0, 0);
    while received < 1_000_000 {
        if sent < 1_000_000 {
            sent += host.send(client, &vec![7; 1_000_000 - sent]).unwrap_or(0);
        }
        loops(&mut host);
        while let Ok(data) = host.read(server, 10_000) {
            received += data.len();
            loops(&mut host);
        }
        host.waits(millis(1));
        loops(&mut host);
        assert!(
            host.now < start + millis(50),
            "{sent} {received} {:#?}",
            host.tcp
        );
    }
}
