//! The cookies by which a listener lives through floods of SYNs (RFC 4987 3.6).

use std::collections::HashSet;

use super::crowd::{crowd, crowded, each_crowded, gets_cookie, honest, spoofed};
use super::*;
use crate::flow::FlowKey;
use crate::flow::cookie::LIFETIME;
use crate::flow::half_open::Offer;
use crate::flow::sequence::Seq;

#[test]
fn options_survive_in_a_cookie() {
    each_crowded(|mut host, listener| {
        let mut peer = honest(&host, 40_000);
        gets_cookie(&mut host, &mut peer);
        let held = host.tcp.flow_count();
        peer.window = 100;
        host.hears(&peer.says(".", 1, 1, b""));
        assert_eq!(host.tcp.flow_count(), held + 1);
        let id = host.tcp.accept(listener).expect("a connection");
        assert_eq!(host.send(id, &[7; 12_000]), Ok(12_000));
        let sent = peer.hears(&mut host);
        // 1400 is a class, and 100 << 7 octets are allowed.
        assert!(sent.len() >= 8, "{sent:?}");
        assert_eq!(sent[0], ". 1(1400) ack 1 win 511");
    });
}

#[test]
fn data_comes_with_the_cookie_or_after_it_was_lost() {
    each_crowded(|mut host, listener| {
        let mut peers = [1, 2].map(|port| honest(&host, port));
        peers
            .iter_mut()
            .for_each(|peer| gets_cookie(&mut host, peer));
        let [with, lost] = peers;
        host.hears(&with.says("F.", 1, 1, b"GET /\r\n"));
        let id = host.tcp.accept(listener).expect("a connection");
        assert_eq!(host.read(id, 99), Ok(b"GET /\r\n".to_vec()));
        assert_eq!(host.read(id, 99), Ok(vec![]), "the end of the stream");
        // The bare ACK never came; the data has the same numbers.
        host.hears(&lost.says("P.", 1, 1, b"hello"));
        let id = host.tcp.accept(listener).expect("a connection");
        host.hears(&lost.says(".", 1, 1, b""));
        host.hears(&lost.says("P.", 6, 1, b", world"));
        assert_eq!(host.read(id, 99), Ok(b"hello, world".to_vec()));
    });
}

#[test]
fn a_cookie_is_good_for_half_a_minute_and_not_for_longer_than_a_minute() {
    for (age, good) in [(0, true), (31, true), (64, false), (3600, false)] {
        let (mut host, listener) = crowded(false, 8);
        let mut peer = honest(&host, 40_000);
        gets_cookie(&mut host, &mut peer);
        // The flood goes on: cookies are believed all the while.
        for _ in 0..age {
            host.now += seconds(1);
            let mut other = honest(&host, 50_000);
            let syn = other.says("S", 0, 0, b"");
            crowd(&mut host);
            host.hears(&syn);
            other.hears(&mut host);
        }
        host.net.sent.clear();
        host.hears(&peer.says(".", 1, 1, b""));
        assert_eq!(host.tcp.accept(listener).is_ok(), good, "after {age} s");
        let answer = if good { vec![] } else { vec!["R 1"] };
        assert_eq!(peer.hears(&mut host), answer, "after {age} s");
        assert_eq!(host.tcp.counters().cookies_refused, u64::from(!good));
    }
}

/// Without a flood nobody can talk a connection into being, not even with a true cookie.
#[test]
fn without_pressure_no_cookie_is_believed() {
    each_family(|mut host| {
        let listener = host.listener(80, 8);
        let mut peer = honest(&host, 40_000);
        let key = FlowKey {
            local: peer.host,
            remote: peer.end,
        };
        let path = host.net.way(host.address, host.peer);
        let options = host.tcp.sockets[&listener].options;
        let offer = Offer::of(&options, key, &path);
        let packet = peer.says("S", 0, 0, b"");
        let (segment, _) = crate::flow::segment::Segment::parse(&packet).expect("a segment");
        let syn = crate::flow::half_open::SynOptions::of(&segment);
        let irs = Seq(peer.start);
        let cookie = host.tcp.cookies.make(host.now, &key, irs, &syn, &offer);
        peer.host_start = cookie.0;
        host.hears(&peer.says(".", 1, 1, b""));
        assert_eq!(peer.hears(&mut host), ["R 1"]);
        assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
        assert_eq!(host.tcp.counters().cookies_refused, 0, "not even looked at");
        // The same, while there is some.
        host.tcp.limits.half_open = 0;
        host.hears(&honest(&host, 50_000).says("S", 0, 0, b""));
        host.hears(&peer.says(".", 1, 1, b""));
        assert!(host.tcp.accept(listener).is_ok());
    });
}

#[test]
fn pressure_is_forgotten_when_the_last_cookie_is() {
    let (mut host, listener) = crowded(false, 8);
    let mut peer = honest(&host, 40_000);
    gets_cookie(&mut host, &mut peer);
    host.waits(LIFETIME);
    host.hears(&peer.says(".", 1, 1, b""));
    assert_eq!(peer.hears(&mut host), ["R 1"]);
    assert_eq!(host.tcp.counters().cookies_refused, 0);
    assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
    assert_eq!(host.tcp.flow_count(), 0, "nor is anything else remembered");
}

#[test]
fn a_cookie_is_for_one_peer_and_one_handshake() {
    each_crowded(|mut host, listener| {
        let mut peer = honest(&host, 40_000);
        gets_cookie(&mut host, &mut peer);
        let other_port = Peer {
            end: SocketAddr::new(peer.end.ip(), 40_001),
            ..peer.clone()
        };
        let other_address = Peer {
            end: SocketAddr::new(spoofed(&host, 99).ip(), 40_000),
            ..peer.clone()
        };
        let other_syn = Peer {
            start: peer.start + 1,
            ..peer.clone()
        };
        for mut thief in [other_port, other_address, other_syn] {
            host.hears(&thief.says(".", 1, 1, b""));
            assert_eq!(thief.hears(&mut host), ["R 1"]);
        }
        let elsewhere = SocketAddr::new(host.address, 81);
        let second = host.socket();
        host.tcp.bind(second, elsewhere, false).expect("bind");
        host.tcp.listen(second, 8).expect("listen");
        host.tcp.limits.half_open = 0;
        host.hears(&Peer::new(peer.end, elsewhere).says("S", 0, 0, b""));
        let moved = Peer {
            host: elsewhere,
            ..peer.clone()
        };
        host.hears(&moved.says(".", 1, 1, b""));
        assert_eq!(host.tcp.counters().cookies_refused, 4);
        assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
        assert_eq!(host.tcp.accept(second), Err(SocketError::WouldBlock));
        host.hears(&peer.says(".", 1, 1, b""));
        assert!(host.tcp.accept(listener).is_ok(), "the one it was made for");
    });
}

/// One guess in 2^24 is right: of a hundred thousand, none.
#[test]
fn cookies_are_not_guessed() {
    let (mut host, listener) = crowded(false, 8);
    let mut peer = honest(&host, 40_000);
    gets_cookie(&mut host, &mut peer);
    let held = host.tcp.flow_count();
    for guess in 0..100_000_u32 {
        let forged = Peer {
            host_start: guess.wrapping_mul(0x9e37_79b9),
            end: spoofed(&host, 1 << 17),
            ..peer.clone()
        };
        host.hears(&forged.says(".", 1, 1, b""));
        host.net.sent.clear();
    }
    assert_eq!(host.tcp.counters().cookies_refused, 100_000);
    assert_eq!(host.tcp.flow_count(), held);
    assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
}

/// Numbers of different peers have nothing to do with each other, cookies or not (RFC 6528).
#[test]
fn cookies_lie_all_over_the_circle() {
    let (mut host, _) = crowded(false, 8);
    let upper: HashSet<u32> = (0..256)
        .map(|number| {
            let mut peer = honest(&host, 40_000 + number);
            gets_cookie(&mut host, &mut peer);
            peer.host_start >> 24
        })
        .collect();
    assert!(upper.len() > 128, "{} of 256", upper.len());
}

/// A segment that comes again when the connection has ended must not begin another.
#[test]
fn a_cookie_opens_one_connection() {
    for ends_with in ["R", "F."] {
        each_crowded(|mut host, listener| {
            let mut peer = honest(&host, 40_000);
            gets_cookie(&mut host, &mut peer);
            let request = peer.says("P.", 1, 1, b"pay");
            host.hears(&request);
            host.hears(&request);
            let id = host.tcp.accept(listener).expect("a connection");
            assert_eq!(host.read(id, 99), Ok(b"pay".to_vec()));
            host.hears(&peer.says(ends_with, 4, 1, b""));
            host.close(id);
            host.hears(&peer.says(".", 5, 2, b""));
            peer.hears(&mut host);
            for _ in 0..LIFETIME.secs() {
                host.hears(&request);
                assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
                crowd(&mut host);
                host.hears(&honest(&host, 50_000).says("S", 0, 0, b""));
                host.waits(seconds(1));
            }
            let refused = host.tcp.counters().cookies_refused;
            host.hears(&request);
            assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
            let now = host.tcp.counters().cookies_refused;
            assert_eq!(now, refused + 1, "then it is too old");
        });
    }
}

#[test]
fn a_full_accept_queue_sends_no_cookies_and_resets_nobody() {
    for v6 in [false, true] {
        let (mut host, listener) = crowded(v6, 1);
        let mut peers = [1, 2, 3].map(|port| honest(&host, port));
        let [first, second, late] = &mut peers;
        gets_cookie(&mut host, first);
        gets_cookie(&mut host, second);
        host.hears(&first.says(".", 1, 1, b""));
        host.hears(&second.says(".", 1, 1, b""));
        host.hears(&second.says("P.", 1, 1, b"hello"));
        host.hears(&second.says("P.", 6, 1, b", world"));
        host.hears(&late.says("S", 0, 0, b""));
        for peer in [first, &mut *second, late] {
            assert_eq!(peer.hears(&mut host), [""; 0]);
        }
        assert_eq!(host.tcp.counters().accept_queue_full, 4);
        host.tcp.accept(listener).expect("the first");
        host.hears(&second.says("P.", 1, 1, b"hello"));
        let id = host.tcp.accept(listener).expect("when it spoke again");
        host.hears(&second.says("P.", 6, 1, b", world"));
        assert_eq!(host.read(id, 99), Ok(b"hello, world".to_vec()));
    }
}

#[test]
fn a_full_link_drops_the_cookie_and_the_peer_asks_again() {
    let (mut host, listener) = crowded(false, 8);
    let mut peer = honest(&host, 40_000);
    host.net.room.insert(ETH0, 0);
    host.hears(&peer.says("S", 0, 0, b""));
    assert_eq!(host.tcp.counters().cookies_unsent, 1);
    host.net.room.clear();
    gets_cookie(&mut host, &mut peer);
    host.hears(&peer.says(".", 1, 1, b""));
    assert!(host.tcp.accept(listener).is_ok());
}

/// RFC 1122 4.2.3.10 holds for what claims to bring a cookie as well.
#[test]
fn a_cookie_from_an_address_that_nobody_has_is_nothing() {
    let (mut host, listener) = crowded(false, 8);
    let mut peer = honest(&host, 40_000);
    gets_cookie(&mut host, &mut peer);
    let before = host.tcp.counters().bad_address;
    for address in [HOST, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST] {
        let forged = Peer {
            end: at(address, 40_000),
            ..peer.clone()
        };
        host.hears(&forged.says(".", 1, 1, b""));
    }
    assert!(host.net.sent.is_empty());
    assert_eq!(host.tcp.counters().bad_address, before + 3);
    assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
}
