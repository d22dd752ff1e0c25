//! Keep-alive, TCP_USER_TIMEOUT, SO_LINGER, and who is woken when.

use super::*;
use crate::flow::State;
use crate::socket::{OptionName, SocketOption};

fn set(host: &mut Host, id: TcpId, options: &[SocketOption]) {
    for &option in options {
        host.tcp.set_option(id, option).expect("option");
    }
    host.poll();
}

/// TCP_KEEPIDLE and TCP_KEEPINTVL in seconds, and TCP_KEEPCNT.
fn keep_alive(host: &mut Host, id: TcpId, (idle, interval, count): (u64, u64, u32)) {
    let options = [
        SocketOption::KeepAlive(true),
        SocketOption::KeepAliveIdle(seconds(idle)),
        SocketOption::KeepAliveInterval(seconds(interval)),
        SocketOption::KeepAliveCount(count),
    ];
    set(host, id, &options);
}

/// RFC 9293 3.8.4: TCP_KEEPIDLE, then TCP_KEEPINTVL, TCP_KEEPCNT times, and to the second.
#[test]
fn rfc9293_3_8_4_probes_come_when_they_were_asked_for() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        keep_alive(&mut host, id, (30, 5, 3));
        let start = host.now;
        let mut probed = Vec::new();
        while host.tcp.state(id) == Some(State::Established) {
            host.waits(seconds(1));
            let heard = peer.hears(&mut host);
            if heard == [". 0 ack 1 win 65535"] {
                probed.push((host.now - start).secs());
            }
        }
        assert_eq!(probed, [30, 35, 40]);
        assert_eq!((host.now - start).secs(), 45);
        assert_eq!(host.tcp.take_error(id), Some(SocketError::TimedOut));
        assert_eq!(host.tcp.counters().keep_alive_timeouts, 1);
    });
}

#[test]
fn a_peer_that_answers_is_left_alone_until_it_is_silent_again() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        keep_alive(&mut host, id, (10, 1, 2));
        for _ in 0..100 {
            host.waits(seconds(10));
            assert_eq!(peer.hears(&mut host), [". 0 ack 1 win 65535"]);
            host.hears(&peer.says(".", 1, 1, b""));
        }
        assert_eq!(host.tcp.state(id), Some(State::Established));
    });
}

/// RFC 9293 3.8.4 (MUST-25): only if it was asked for, and not before two hours unless that was.
#[test]
fn rfc9293_3_8_4_nobody_is_probed_unasked_or_within_two_hours() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    assert_eq!(
        host.tcp.next_deadline(),
        None,
        "an idle connection wakes nobody"
    );
    host.waits(seconds(3 * 86_400));
    assert_eq!(peer.hears(&mut host), [""; 0]);
    set(&mut host, id, &[SocketOption::KeepAlive(true)]);
    assert_eq!(
        peer.hears(&mut host).len(),
        1,
        "it has been silent long enough"
    );
    host.hears(&peer.says(".", 1, 1, b""));
    host.waits(seconds(7199));
    assert_eq!(peer.hears(&mut host), [""; 0]);
    host.waits(seconds(1));
    assert_eq!(peer.hears(&mut host).len(), 1);
}

#[test]
fn options_that_are_asked_for_are_told_and_bounded() {
    let mut host = Host::new();
    let id = host.socket();
    for (option, name) in [
        (SocketOption::KeepAliveCount(5), OptionName::KeepAliveCount),
        (
            SocketOption::UserTimeout(Some(seconds(9))),
            OptionName::UserTimeout,
        ),
        (
            SocketOption::KeepAliveIdle(seconds(7)),
            OptionName::KeepAliveIdle,
        ),
    ] {
        host.tcp.set_option(id, option).expect("option");
        assert_eq!(host.tcp.option(id, name), Ok(option));
    }
    for option in [
        SocketOption::KeepAliveCount(0),
        SocketOption::KeepAliveIdle(Duration::ZERO),
        SocketOption::KeepAliveInterval(Duration::ZERO),
    ] {
        let refused = host.tcp.set_option(id, option);
        assert_eq!(refused, Err(SocketError::Invalid), "{option:?}");
    }
    set(
        &mut host,
        id,
        &[SocketOption::UserTimeout(Some(Duration::ZERO))],
    );
    assert_eq!(
        host.tcp.option(id, OptionName::UserTimeout),
        Ok(SocketOption::UserTimeout(None)),
        "0 is the system's own"
    );
}

/// RFC 5482: what has left is to be acknowledged within the time that the user gives it.
#[test]
fn rfc5482_a_users_timeout_ends_what_is_not_acknowledged() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        set(
            &mut host,
            id,
            &[SocketOption::UserTimeout(Some(seconds(20)))],
        );
        host.waits(seconds(1000));
        assert_eq!(
            host.tcp.state(id),
            Some(State::Established),
            "nothing was sent"
        );
        host.send(id, b"hello?").expect("send");
        host.waits(seconds(19));
        // That the peer is there does not help: it has not acknowledged.
        host.hears(&peer.says("P.", 1, 1, b"what?"));
        assert_eq!(host.tcp.state(id), Some(State::Established));
        host.waits(seconds(1));
        assert_eq!(host.tcp.state(id), Some(State::Closed));
        assert_eq!(host.read(id, 9), Ok(b"what?".to_vec()));
        assert_eq!(host.read(id, 9), Err(SocketError::TimedOut));
        let said = peer.hears(&mut host);
        assert_eq!(said.last().map(String::as_str), Some("R. 7 ack 6"));
    });
}

/// RFC 9293 3.8.6.1: while the window was closed nothing had left that could be acknowledged, however long that took.
#[test]
fn rfc5482_a_users_timeout_begins_when_the_window_opens() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        let patience = SocketOption::UserTimeout(Some(seconds(20)));
        set(&mut host, id, &[patience]);
        peer.window = 0;
        host.hears(&peer.says(".", 1, 1, b""));
        host.send(id, b"when you are ready").expect("send");
        for _ in 0..100 {
            host.waits(seconds(1));
            if !peer.hears(&mut host).is_empty() {
                host.hears(&peer.says(".", 1, 1, b""));
            }
        }
        assert_eq!(host.tcp.state(id), Some(State::Established));
        peer.window = 1000;
        host.hears(&peer.says(".", 1, 1, b""));
        assert_eq!(peer.hears(&mut host), ["P. 1(18) ack 1 win 65535"]);
        host.waits(millis(50));
        assert_eq!(host.tcp.state(id), Some(State::Established));
        host.hears(&peer.says(".", 1, 19, b""));
        host.send(id, b"more").expect("send");
        host.waits(seconds(20));
        assert_eq!(host.tcp.state(id), Some(State::Closed));
    });
}

/// SO_LINGER with a time: the close goes on in the background, and what has not arrived by then is given up.
#[test]
fn a_close_that_lingers_gives_up_when_its_time_has_passed() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        set(&mut host, id, &[SocketOption::Linger(Some(seconds(5)))]);
        host.send(id, b"take it or leave it").expect("send");
        host.close(id);
        host.waits(millis(4900));
        let before = peer.hears(&mut host);
        assert!(
            before.iter().all(|line| !line.starts_with('R')),
            "{before:?}"
        );
        host.waits(millis(200));
        assert_eq!(peer.hears(&mut host), ["R. 21 ack 1"]);
        assert_eq!(host.tcp.counters().linger_timeouts, 1);
        assert_eq!(host.tcp.flow_count(), 0);
    });
}

#[test]
fn a_close_that_lingers_and_is_acknowledged_is_like_any_other() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        set(&mut host, id, &[SocketOption::Linger(Some(seconds(5)))]);
        host.send(id, b"take it").expect("send");
        host.close(id);
        host.hears(&peer.says(".", 1, 9, b""));
        host.waits(seconds(30));
        host.hears(&peer.says("F.", 1, 9, b""));
        let said = peer.hears(&mut host);
        assert!(said.iter().all(|line| !line.starts_with('R')), "{said:?}");
        assert_eq!(host.tcp.counters().linger_timeouts, 0);
    });
}

/// Deadlines are exact: from one to the next, nobody is woken.
#[test]
fn nothing_wakes_between_one_retransmission_and_the_next() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.send(id, b"x").expect("send");
    peer.hears(&mut host);
    let served = host.tcp.counters().served;
    let mut wakes = 0;
    let end = host.now + seconds(300);
    while let Some(due) = host.tcp.next_deadline().filter(|&due| due <= end) {
        host.now = due;
        host.poll();
        wakes += 1;
    }
    let sent = peer.hears(&mut host).len() as u64;
    assert_eq!(wakes, sent, "one segment each time");
    assert_eq!(host.tcp.counters().served - served, sent);
}
