//! Keep-alive (RFC 9293 3.8.4) beside other things; to the second, it is in `patience`.

use super::*;
use crate::socket::SocketOption;

/// A connection with keep-alive: ten seconds, then every three, four times.
fn kept_alive(host: &mut Host) -> (TcpId, Peer) {
    let (id, peer) = connected(host);
    for option in [
        SocketOption::KeepAliveIdle(seconds(10)),
        SocketOption::KeepAliveInterval(seconds(3)),
        SocketOption::KeepAliveCount(4),
        SocketOption::KeepAlive(true),
    ] {
        host.tcp.set_option(id, option).expect("option");
    }
    host.poll();
    (id, peer)
}

/// What leaves within `time`, with the seconds after which it does.
fn leaves(host: &mut Host, peer: &mut Peer, time: Duration) -> Vec<(u64, String)> {
    let (start, end) = (host.now, host.now + time);
    let mut left = Vec::new();
    while let Some(due) = host.tcp.next_deadline().filter(|&due| due <= end) {
        host.waits(due - host.now);
        let after = (host.now - start).secs();
        left.extend(peer.hears(host).into_iter().map(|line| (after, line)));
    }
    host.waits(end - host.now);
    left
}

/// RFC 9293 3.8.4: "keep-alive packets MUST only be sent when no sent data is outstanding".
#[test]
fn rfc9293_3_8_4_what_is_on_its_way_asks_by_itself() {
    let mut host = Host::new();
    let (id, mut peer) = kept_alive(&mut host);
    host.send(id, b"are you there?").expect("send");
    let left = leaves(&mut host, &mut peer, seconds(21));
    assert!(left.len() > 3);
    for (after, line) in left {
        assert_eq!(line, "P. 1(14) ack 1 win 65535", "after {after} s");
    }
}

#[test]
fn a_peer_that_restarted_says_so_when_it_is_asked() {
    let mut host = Host::new();
    let (id, mut peer) = kept_alive(&mut host);
    host.waits(seconds(11));
    assert_eq!(peer.hears(&mut host).len(), 1);
    host.hears(&peer.says("R", 1, 0, b""));
    assert_eq!(host.read(id, 1), Err(SocketError::ConnectionReset));
    assert_eq!(host.tcp.next_deadline(), None);
}

/// It counts from what was heard last, not from when somebody asks.
#[test]
fn keep_alive_may_be_asked_for_at_any_time_and_given_up() {
    let mut host = Host::new();
    let (id, mut peer) = kept_alive(&mut host);
    host.tcp
        .set_option(id, SocketOption::KeepAlive(false))
        .expect("option");
    host.poll();
    assert_eq!(leaves(&mut host, &mut peer, seconds(100)), []);
    host.tcp
        .set_option(id, SocketOption::KeepAlive(true))
        .expect("option");
    host.poll();
    host.waits(millis(1));
    assert_eq!(peer.hears(&mut host).len(), 1, "it is late already");
    host.hears(&peer.says(".", 1, 1, b""));
    let left = leaves(&mut host, &mut peer, seconds(12));
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0, 10);
}

/// RFC 9293 3.8.4: with no octet, or with one that is not new: both are answered and neither is taken.
#[test]
fn rfc9293_3_8_4_the_peer_s_own_probes_are_answered() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        for octets in [&b""[..], b"?"] {
            host.hears(&peer.says(".", 0, 1, octets));
            assert_eq!(peer.hears(&mut host), [". 1 ack 1 win 65535"]);
            host.waits(seconds(1));
        }
        assert_eq!(host.tcp.unread(id), 0);
    });
}
