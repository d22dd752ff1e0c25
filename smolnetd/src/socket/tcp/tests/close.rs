//! How connections end.

use crate::flow::State;

use super::*;
use crate::socket::{How, SocketOption};

/// The story of close, which dropped what was written and sent no FIN.
#[test]
fn close_sends_what_was_written_and_then_fin() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.tcp.send(host.now, id, &[b'x'; 2000]).expect("send");
    host.close(id);
    assert_eq!(host.send(id, b"x"), Err(SocketError::BadSocket));
    let first = peer.hears(&mut host);
    assert_eq!(
        first,
        [". 1(1460) ack 1 win 65535", "F. 1461(540) ack 1 win 65535"]
    );
    host.hears(&peer.says(".", 1, 1461, b""));
    host.hears(&peer.says(".", 1, 2002, b""));
    assert_eq!(host.tcp.flow_count(), 1, "FIN-WAIT-2");
    host.hears(&peer.says("F.", 1, 2002, b""));
    assert_eq!(peer.hears(&mut host), [". 2002 ack 2 win 65534"]);
    assert_eq!(host.tcp.flow_count(), 1, "TIME-WAIT");
    host.waits(seconds(59));
    assert_eq!(host.tcp.flow_count(), 1);
    host.waits(seconds(2));
    assert_eq!(host.tcp.flow_count(), 0);
    assert_eq!(host.tcp.next_deadline(), None);
}

#[test]
fn a_lost_fin_is_sent_again_in_the_background() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.close(id);
        assert_eq!(peer.hears(&mut host), ["F. 1 ack 1 win 65535"]);
        host.waits(millis(300));
        assert_eq!(peer.hears(&mut host), ["F. 1 ack 1 win 65535"]);
        host.hears(&peer.says("F.", 1, 2, b""));
        assert_eq!(peer.hears(&mut host), [". 2 ack 2 win 65534"]);
    });
}

#[test]
fn half_close_reads_on() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.send(id, b"request").expect("send");
        host.tcp
            .shutdown(host.now, id, How::Write)
            .expect("shutdown");
        host.poll();
        assert_eq!(
            peer.hears(&mut host),
            ["P. 1(7) ack 1 win 65535", "F. 8 ack 1 win 65535"]
        );
        assert_eq!(host.send(id, b"more"), Err(SocketError::BrokenPipe));
        assert_eq!(host.readiness(id), WRITABLE, "a write would not block");
        assert_eq!(
            host.read(id, 9),
            Err(SocketError::WouldBlock),
            "a read after shutdown(Write) is a read"
        );
        host.hears(&peer.says(".", 1, 9, b""));
        host.waits(seconds(3600));
        assert_eq!(
            host.tcp.state(id),
            Some(State::FinWait2),
            "as long as the socket is held"
        );
        host.changed();
        host.hears(&peer.says("P.", 1, 9, b"answer"));
        assert_eq!(host.changed(), [id]);
        assert_eq!(host.read(id, 99), Ok(b"answer".to_vec()));
        host.hears(&peer.says("F.", 7, 9, b""));
        assert_eq!(host.changed(), [id]);
        assert_eq!(host.read(id, 9), Ok(vec![]));
        assert_eq!(host.read(id, 9), Ok(vec![]), "again and again");
    });
}

#[test]
fn the_peer_half_closes_and_is_answered() {
    each_family(|mut host| {
        let (_, id, mut peer) = accepted(&mut host, 80);
        host.hears(&peer.says("F.", 1, 1, b"request"));
        assert_eq!(host.tcp.state(id), Some(State::CloseWait));
        assert_eq!(host.read(id, 99), Ok(b"request".to_vec()));
        assert_eq!(host.read(id, 99), Ok(vec![]));
        assert_eq!(host.send(id, b"answer"), Ok(6));
        host.close(id);
        let lines = peer.hears(&mut host);
        assert_eq!(
            lines.last().map(String::as_str),
            Some("F. 7 ack 9 win 65527"),
            "{lines:?}"
        );
        host.hears(&peer.says(".", 9, 8, b""));
        assert_eq!(host.tcp.flow_count(), 1 - 1, "LAST-ACK leaves no TIME-WAIT");
    });
}

#[test]
fn both_ends_close_at_the_same_time() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.close(id);
        assert_eq!(peer.hears(&mut host), ["F. 1 ack 1 win 65535"]);
        host.hears(&peer.says("F.", 1, 1, b""));
        assert_eq!(peer.hears(&mut host), [". 2 ack 2 win 65534"], "CLOSING");
        host.hears(&peer.says(".", 2, 2, b""));
        assert_eq!(host.tcp.flow_count(), 1, "TIME-WAIT");
        host.waits(seconds(61));
        assert_eq!(host.tcp.flow_count(), 0);
    });
}

/// RFC 1122 4.2.2.13, RFC 2525 2.17.
#[test]
fn close_with_data_unread_resets() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.hears(&peer.says("P.", 1, 1, b"never read"));
        host.close(id);
        let lines = peer.hears(&mut host);
        assert_eq!(
            lines.last().map(String::as_str),
            Some("R. 1 ack 11"),
            "{lines:?}"
        );
        assert_eq!(host.tcp.counters().closed_unread, 1);
        assert_eq!(host.tcp.flow_count(), 0);
    });
}

/// RFC 1122 4.2.2.13, the other half.
#[test]
fn data_after_close_resets() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.close(id);
        peer.hears(&mut host);
        host.hears(&peer.says(".", 1, 2, b""));
        host.hears(&peer.says("P.", 1, 2, b"too late"));
        assert_eq!(peer.hears(&mut host), ["R. 2 ack 1"]);
        assert_eq!(host.tcp.counters().data_after_close, 1);
        assert_eq!(host.tcp.flow_count(), 0);
    });
}

#[test]
fn linger_zero_resets() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.tcp
            .set_option(id, SocketOption::Linger(Some(Duration::ZERO)))
            .expect("option");
        host.send(id, b"unimportant").expect("send");
        host.close(id);
        assert_eq!(
            peer.hears(&mut host).last().map(String::as_str),
            Some("R. 12 ack 1")
        );
        assert_eq!(host.tcp.flow_count(), 0);
    });
}

#[test]
fn a_peer_that_never_closes_is_left_after_a_minute() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.close(id);
        peer.hears(&mut host);
        host.hears(&peer.says(".", 1, 2, b""));
        host.waits(seconds(59));
        assert_eq!(host.tcp.flow_count(), 1, "FIN-WAIT-2");
        host.waits(seconds(2));
        assert_eq!(host.tcp.flow_count(), 0);
        assert_eq!(host.tcp.counters().orphan_timeouts, 1);
        assert_eq!(peer.hears(&mut host), ["R. 2 ack 1"], "and is told");
    });
}

/// RFC 1122 4.2.2.17 lets a connection with a zero window live as long as it is answered; a closed one, not for ever.
#[test]
fn a_zero_window_for_ever_does_not_hold_a_closed_connection() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        peer.window = 0;
        host.hears(&peer.says(".", 1, 1, b""));
        host.send(id, b"nobody takes this").expect("send");
        for _ in 0..60 {
            host.waits(seconds(30));
            if !peer.hears(&mut host).is_empty() {
                host.hears(&peer.says(".", 1, 1, b""));
            }
        }
        assert_eq!(
            host.tcp.state(id),
            Some(State::Established),
            "half an hour later"
        );
        host.close(id);
        host.waits(seconds(30));
        host.hears(&peer.says(".", 1, 1, b""));
        host.waits(seconds(31));
        assert_eq!(host.tcp.flow_count(), 0);
    });
}

#[test]
fn a_peer_that_has_gone_is_given_up() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.send(id, b"hello?").expect("send");
        host.waits(seconds(890));
        assert_eq!(host.readiness(id), WRITABLE);
        host.changed();
        host.waits(seconds(20));
        assert_eq!(host.changed(), [id]);
        assert_eq!(host.read(id, 9), Err(SocketError::TimedOut));
        assert!(peer.hears(&mut host).len() > 15);
        assert_eq!(host.tcp.flow_count(), 0);
        assert_eq!(host.tcp.next_deadline(), None);
    });
}

#[test]
fn a_reset_tells_its_name_after_the_data() {
    each_family(|mut host| {
        let (id, peer) = connected(&mut host);
        host.hears(&peer.says("P.", 1, 1, b"last words"));
        host.hears(&peer.says("R.", 11, 1, b""));
        host.changed();
        assert_eq!(host.readiness(id), Readiness::BOTH);
        assert_eq!(host.read(id, 99), Ok(b"last words".to_vec()));
        assert_eq!(host.send(id, b"x"), Err(SocketError::ConnectionReset));
        assert_eq!(host.send(id, b"x"), Err(SocketError::BrokenPipe));
        assert_eq!(host.read(id, 99), Ok(vec![]));
    });
}

/// A019: the end of TIME-WAIT wiped what was received.
#[test]
fn what_was_received_outlives_time_wait() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.tcp
            .shutdown(host.now, id, How::Write)
            .expect("shutdown");
        host.poll();
        host.hears(&peer.says("F.", 1, 2, b"read me later"));
        assert_eq!(host.tcp.state(id), Some(State::TimeWait));
        host.waits(seconds(600));
        assert_eq!(host.tcp.flow_count(), 0);
        assert_eq!(host.read(id, 4), Ok(b"read".to_vec()));
        assert_eq!(host.read(id, 99), Ok(b" me later".to_vec()));
        assert_eq!(host.read(id, 99), Ok(vec![]));
        peer.hears(&mut host);
        host.close(id);
        assert_eq!(peer.hears(&mut host), [""; 0]);
    });
}

#[test]
fn time_wait_answers_a_fin_that_comes_again() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.close(id);
        host.hears(&peer.says("F.", 1, 2, b""));
        peer.hears(&mut host);
        host.waits(seconds(40));
        host.hears(&peer.says("F.", 1, 2, b""));
        assert_eq!(peer.hears(&mut host), [". 2 ack 2 win 65534"]);
        host.waits(seconds(40));
        assert_eq!(host.tcp.flow_count(), 1, "the time started again");
        host.hears(&peer.says("R", 2, 0, b""));
        assert_eq!(host.tcp.flow_count(), 1, "RFC 1337: no assassination");
        host.waits(seconds(21));
        assert_eq!(host.tcp.flow_count(), 0);
    });
}

/// RFC 1122 4.2.2.13.
#[test]
fn a_new_syn_reopens_a_connection_in_time_wait() {
    each_family(|mut host| {
        let (listener, id, mut peer) = accepted(&mut host, 80);
        host.close(id);
        host.hears(&peer.says("F.", 1, 2, b""));
        peer.hears(&mut host);
        let old_start = peer.host_start;
        host.hears(&peer.says("S", 1, 0, b""));
        assert_eq!(
            peer.hears(&mut host),
            [". 2 ack 2 win 65534"],
            "not beyond what was received"
        );
        let mss = host.mss();
        let mut next = Peer {
            start: peer.start.wrapping_add(5000),
            ..peer.clone()
        };
        host.hears(&next.says("S", 0, 0, b""));
        assert_eq!(
            next.hears(&mut host),
            [format!("S. 0 ack 1 win 65535 mss {mss}")]
        );
        assert!(
            (next.host_start.wrapping_sub(old_start) as i32) > 2,
            "its numbers are beyond the old ones"
        );
        host.hears(&next.says(".", 1, 1, b""));
        assert!(host.tcp.accept(listener).is_ok());
    });
}

#[test]
fn orphans_and_time_waits_are_bounded() {
    let mut host = Host::with(Limits {
        orphans: 4,
        time_wait: 4,
        ..Limits::default()
    });
    for _ in 0..10 {
        let (id, _) = connected(&mut host);
        host.close(id);
        host.changed();
    }
    assert_eq!(host.tcp.flow_count(), 4);
    assert_eq!(host.tcp.counters().orphans_evicted, 6);
    host.net.sent.clear();
    for _ in 0..10 {
        let (id, peer) = connected(&mut host);
        host.close(id);
        host.hears(&peer.says("F.", 1, 2, b""));
        host.changed();
        host.net.sent.clear();
    }
    assert_eq!(host.tcp.counters().time_wait_evicted, 6);
    assert!(host.tcp.flow_count() <= 8);
}

#[test]
fn shutdown_of_reading_ends_reading() {
    each_family(|mut host| {
        let (id, peer) = connected(&mut host);
        host.hears(&peer.says("P.", 1, 1, b"abc"));
        host.changed();
        host.tcp
            .shutdown(host.now, id, How::Read)
            .expect("shutdown");
        assert_eq!(host.read(id, 9), Ok(b"abc".to_vec()));
        assert_eq!(host.read(id, 9), Ok(vec![]));
        assert_eq!(host.readiness(id), Readiness::BOTH);
    });
}

#[test]
fn disconnect_leaves_a_socket_as_new() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.tcp.disconnect(host.now, id).expect("disconnect");
    host.poll();
    assert_eq!(peer.hears(&mut host), ["R. 1 ack 1"]);
    assert_eq!(host.tcp.local(id), None);
    assert_eq!(host.tcp.peer(id), None);
    assert_eq!(host.connect_with(id, at(PEER, 80)), Ok(()));
}

#[test]
fn closing_an_attempt_says_nothing_more() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 80));
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    assert_eq!(peer.hears(&mut host).len(), 1);
    host.close(id);
    assert_eq!(peer.hears(&mut host), [""; 0]);
    assert_eq!(host.tcp.flow_count(), 0);
    host.hears(&peer.says("S.", 0, 1, b""));
    assert_eq!(peer.hears(&mut host), ["R 1"], "a late answer is refused");
}

#[test]
fn keep_alive_finds_out_that_nobody_is_there() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        for option in [
            SocketOption::KeepAlive(true),
            SocketOption::KeepAliveIdle(seconds(60)),
            SocketOption::KeepAliveInterval(seconds(60)),
        ] {
            host.tcp.set_option(id, option).expect("option");
        }
        host.waits(seconds(61));
        assert_eq!(peer.hears(&mut host), [". 0 ack 1 win 65535"], "no octet");
        host.hears(&peer.says(".", 1, 1, b""));
        host.waits(seconds(590));
        assert_eq!(host.tcp.state(id), Some(State::Established));
        host.waits(seconds(20));
        assert_eq!(host.read(id, 1), Err(SocketError::TimedOut));
    });
}
