//! Data, acknowledgements, windows, room and edges.

use super::*;
use crate::socket::SocketOption;

#[test]
fn an_acknowledgement_waits_ten_milliseconds_for_company() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.hears(&peer.says("P.", 1, 1, b"hello"));
        assert_eq!(peer.hears(&mut host), [""; 0]);
        host.waits(millis(9));
        assert_eq!(peer.hears(&mut host), [""; 0]);
        host.waits(millis(1));
        assert_eq!(peer.hears(&mut host), [". 1 ack 6 win 65530"]);
        assert_eq!(host.tcp.next_deadline(), None, "and then nothing is due");
        host.hears(&peer.says("P.", 6, 1, b"hello"));
        host.send(id, b"hi").expect("send");
        assert_eq!(
            peer.hears(&mut host),
            ["P. 1(2) ack 11 win 65525"],
            "the answer takes it along"
        );
    });
}

/// RFC 9293 3.8.6.3: at least for every second segment of full size.
#[test]
fn the_second_full_segment_is_acknowledged_at_once() {
    each_family(|mut host| {
        let (_, mut peer) = connected(&mut host);
        host.hears(&peer.says(".", 1, 1, &[0; 1460]));
        assert_eq!(peer.hears(&mut host), [""; 0]);
        host.hears(&peer.says(".", 1461, 1, &[0; 1460]));
        assert_eq!(peer.hears(&mut host), [". 1 ack 2921 win 62615"]);
    });
}

#[test]
fn what_comes_out_of_order_is_acknowledged_at_once_and_kept() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.hears(&peer.says(".", 6, 1, b"world"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 1 win 65535"]);
        assert_eq!(host.read(id, 9), Err(SocketError::WouldBlock));
        assert!(
            host.changed().is_empty(),
            "nobody is told of what cannot be read"
        );
        host.hears(&peer.says(".", 1, 1, b"hello"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 11 win 65525"]);
        assert_eq!(host.read(id, 99), Ok(b"helloworld".to_vec()));
    });
}

#[test]
fn every_edge_is_told_once_and_none_is_lost() {
    each_family(|mut host| {
        let (id, peer) = connected(&mut host);
        host.hears(&peer.says("P.", 1, 1, b"one"));
        host.hears(&peer.says("P.", 4, 1, b"two"));
        assert_eq!(host.changed(), [id], "each once");
        assert_eq!(host.changed(), []);
        host.hears(&peer.says("P.", 7, 1, b"three"));
        assert_eq!(host.changed(), [id], "more data, though there was some");
        assert_eq!(host.read(id, 99), Ok(b"onetwothree".to_vec()));
        assert_eq!(host.readiness(id), WRITABLE);
        host.hears(&peer.says("F.", 12, 1, b""));
        assert_eq!(host.changed(), [id], "the end is an edge");
        assert_eq!(host.readiness(id), Readiness::BOTH);
    });
}

#[test]
fn changes_that_nobody_took_are_still_there() {
    each_family(|mut host| {
        let (first, mut peer) = connected(&mut host);
        let (second, other) = connected(&mut host);
        peer.hears(&mut host);
        host.hears(&peer.says("P.", 1, 1, b"x"));
        host.hears(&other.says("P.", 1, 1, b"x"));
        assert_eq!(host.tcp.take_changed().next(), Some(first));
        assert_eq!(host.changed(), [second]);
    });
}

#[test]
fn a_peek_leaves_the_data_where_it_is() {
    each_family(|mut host| {
        let (id, peer) = connected(&mut host);
        host.hears(&peer.says("P.", 1, 1, b"look"));
        let mut buffer = [0; 3];
        assert_eq!(host.tcp.receive(host.now, id, &mut buffer, true), Ok(3));
        assert_eq!(&buffer, b"loo");
        assert_eq!(host.read(id, 9), Ok(b"look".to_vec()));
        assert_eq!(
            host.tcp.receive(host.now, id, &mut buffer, true),
            Err(SocketError::WouldBlock)
        );
    });
}

#[test]
fn a_writer_is_woken_when_there_is_room_worth_writing() {
    let mut host = Host::new();
    let id = host.socket();
    host.tcp
        .set_option(id, SocketOption::SendBuffer(8000))
        .expect("option");
    host.connect_with(id, at(PEER, 80)).expect("connect");
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.says("S.", 0, 1, b""));
    host.changed();
    assert_eq!(host.send(id, &[1; 9000]), Ok(8000), "as much as fits");
    assert_eq!(host.send(id, b"x"), Err(SocketError::WouldBlock));
    assert_eq!(host.readiness(id), NOT_READY);
    host.hears(&peer.says(".", 1, 1461, b""));
    assert_eq!(host.changed(), [], "not for one segment");
    host.hears(&peer.says(".", 1, 2921, b""));
    assert_eq!(host.changed(), [id]);
    assert_eq!(host.readiness(id), WRITABLE);
    assert_eq!(host.send(id, &[1; 9000]), Ok(2920));
}

/// RFC 896: small writes wait while something is on its way, unless asked not to.
#[test]
fn small_writes_wait_for_each_other_unless_told_not_to() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.send(id, b"a").expect("send");
        host.send(id, b"b").expect("send");
        host.send(id, b"c").expect("send");
        assert_eq!(peer.hears(&mut host), ["P. 1(1) ack 1 win 65535"]);
        host.hears(&peer.says(".", 1, 2, b""));
        assert_eq!(peer.hears(&mut host), ["P. 2(2) ack 1 win 65535"]);
        host.tcp
            .set_option(id, SocketOption::NoDelay(true))
            .expect("option");
        host.send(id, b"d").expect("send");
        assert_eq!(peer.hears(&mut host), ["P. 4(1) ack 1 win 65535"]);
    });
}

#[test]
fn a_full_link_holds_a_flow_back_until_there_is_room() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.tcp
        .set_option(id, SocketOption::NoDelay(true))
        .expect("option");
    host.net.room.insert(ETH0, 0);
    assert_eq!(host.send(id, &[1; 2000]), Ok(2000));
    assert_eq!(peer.hears(&mut host), [""; 0]);
    assert!(
        host.tcp.next_deadline().is_none_or(|at| at > host.now),
        "and nobody runs in circles meanwhile"
    );
    host.net.room.insert(ETH0, 1);
    host.tcp.room_again(ETH0);
    host.poll();
    assert_eq!(peer.hears(&mut host), [". 1(1460) ack 1 win 65535"]);
    host.net.room.insert(ETH0, 9);
    host.poll();
    assert_eq!(
        peer.hears(&mut host),
        ["P. 1461(540) ack 1 win 65535"],
        "even if nobody said that there is room"
    );
}

#[test]
fn an_answer_that_found_no_room_is_owed() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.net.room.insert(ETH0, 0);
        host.hears(&peer.says(".", 6, 1, b"world"));
        host.hears(&peer.says("S", 9000, 0, b""));
        assert_eq!(peer.hears(&mut host), [""; 0]);
        host.net.room.remove(&ETH0);
        host.tcp.room_again(ETH0);
        host.poll();
        assert_eq!(
            peer.hears(&mut host),
            [". 1 ack 1 win 65535"],
            "once, for both"
        );
        host.hears(&peer.says(".", 1, 1, b"hello"));
        assert_eq!(
            host.read(id, 99),
            Ok(b"helloworld".to_vec()),
            "what came was kept all the same"
        );
    });
}

#[test]
fn a_full_link_delays_handshakes_and_ends_too() {
    let mut host = Host::new();
    let listener = host.listener(80, 1);
    host.net.room.insert(ETH0, 0);
    let mut peer = Peer::new(at(PEER, 4), at(HOST, 80));
    host.hears(&peer.says("S", 0, 0, b""));
    assert_eq!(peer.hears(&mut host), [""; 0]);
    host.net.room.insert(ETH0, 1);
    host.tcp.room_again(ETH0);
    host.poll();
    assert_eq!(peer.hears(&mut host).len(), 1, "the SYN-ACK");
    host.hears(&peer.says(".", 1, 1, b""));
    let id = host.tcp.accept(listener).expect("a connection");
    host.tcp.abort(host.now, id);
    host.poll();
    assert_eq!(peer.hears(&mut host), [""; 0]);
    host.net.room.insert(ETH0, 1);
    host.poll();
    assert_eq!(peer.hears(&mut host), ["R. 1 ack 1"]);
    assert_eq!(host.tcp.flow_count(), 0);
}

#[test]
fn a_link_shared_by_two_is_shared() {
    each_family(|mut host| {
        let (first, mut one) = connected(&mut host);
        let (second, mut two) = connected(&mut host);
        // The peers acknowledge what comes, until the congestion window is no matter.
        for (id, peer) in [(first, &mut one), (second, &mut two)] {
            for _ in 0..100 {
                let _ = host.send(id, &[0; 60_000]);
                if let Some(end) = peer
                    .hears(&mut host)
                    .iter()
                    .filter_map(|line| end_of(line))
                    .max()
                {
                    host.hears(&peer.says(".", 1, end, b""));
                }
            }
        }
        host.net.room.insert(ETH0, 0);
        host.waits(seconds(2));
        one.hears(&mut host);
        two.hears(&mut host);
        host.net.room.insert(ETH0, 64);
        host.tcp.room_again(ETH0);
        host.poll();
        let (one, two) = (one.hears(&mut host).len(), two.hears(&mut host).len());
        assert!(one > 0 && two > 0, "{one} and {two} of 64");
    });
}

/// "P. 10(5) ack …" ends at 15.
pub(super) fn end_of(line: &str) -> Option<u32> {
    let (start, rest) = line.split_whitespace().nth(1)?.split_once('(')?;
    Some(start.parse::<u32>().ok()? + rest.trim_end_matches(')').parse::<u32>().ok()?)
}

#[test]
fn a_closed_window_is_probed_and_found_open_again() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        peer.window = 0;
        host.hears(&peer.says(".", 1, 1, b""));
        host.send(id, b"patience").expect("send");
        host.waits(seconds(8));
        let probes = peer.hears(&mut host);
        assert!(
            probes.len() >= 2 && probes.iter().all(|probe| probe == ". 0 ack 1 win 65535"),
            "{probes:?}"
        );
        peer.window = 64_000;
        host.hears(&peer.says(".", 1, 1, b""));
        assert_eq!(peer.hears(&mut host), ["P. 1(8) ack 1 win 65535"]);
    });
}

/// A089: windows of one byte were offered (RFC 9293 3.8.6.2.2: silly windows).
#[test]
fn the_window_opens_by_a_segment_or_not_at_all() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        let mut seq = 1;
        while seq < 65_536 {
            let length = 1000.min(65_536 - seq);
            host.hears(&peer.says(".", seq, 1, &vec![7; length as usize]));
            seq += length;
        }
        host.waits(millis(20));
        assert_eq!(
            peer.hears(&mut host).last().map(String::as_str),
            Some(". 1 ack 65536 win 0")
        );
        host.read(id, 1).expect("data");
        host.waits(millis(20));
        for line in peer.hears(&mut host) {
            assert!(line.ends_with("win 0"), "{line}");
        }
        host.hears(&peer.says(".", 65_536, 1, b"x"));
        assert_eq!(
            peer.hears(&mut host),
            [". 1 ack 65536 win 0"],
            "a probe, answered and not taken"
        );
        host.read(id, 2999).expect("data");
        assert_eq!(peer.hears(&mut host), [". 1 ack 65536 win 3000"]);
        host.read(id, 65_535).expect("data");
        assert_eq!(peer.hears(&mut host), [". 1 ack 65536 win 65535"]);
    });
}

/// A002: with buffers from 65536 bytes on, and a peer that scales, one far segment and then what precedes
/// it made it panic.
#[test]
fn rfc7323_2_a_buffer_larger_than_the_window_field_can_be_filled() {
    let mut host = Host::new();
    let id = host.socket();
    host.tcp
        .set_option(id, SocketOption::ReceiveBuffer(1 << 20))
        .expect("option");
    host.connect_with(id, at(PEER, 80)).expect("connect");
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    assert_eq!(
        peer.hears(&mut host),
        ["S 0 win 65535 mss 1460 ws 5 sack"],
        "what was asked for needs no more"
    );
    host.hears(&peer.builds("S.", 0, 1, b"", |syn| syn.window_scale = Some(7)));
    host.hears(&peer.says(".", 65_000, 1, &[1; 536]));
    let first: u32 = 1 << 20;
    for seq in (1..first).step_by(1024) {
        host.hears(&peer.says(".", seq, 1, &[1; 1024]));
    }
    assert_eq!(host.tcp.unread(id), 1 << 20, "to the last octet");
    assert_eq!(
        peer.hears(&mut host).last().map(String::as_str),
        Some(". 1 ack 1048577 win 0")
    );
    assert_eq!(host.read(id, 2 << 20).map(|data| data.len()), Ok(1 << 20));
    assert_eq!(
        peer.hears(&mut host),
        [". 1 ack 1048577 win 32768"],
        "1 MiB in units of 32"
    );
}

#[test]
fn progress_confirms_the_next_hop() {
    each_family(|mut host| {
        let (id, peer) = connected(&mut host);
        let before = host.net.confirmed;
        host.send(id, b"x").expect("send");
        host.hears(&peer.says(".", 1, 1, b""));
        assert_eq!(host.net.confirmed, before, "nothing new");
        host.hears(&peer.says(".", 1, 2, b""));
        assert_eq!(host.net.confirmed, before + 1);
    });
}

#[test]
fn routes_change_and_flows_follow() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.net.room.insert(ETH0, 0);
    host.send(id, b"x").expect("send");
    host.net.own.push(PEER.into());
    host.tcp.reroute(host.now, &host.net);
    host.poll();
    assert_eq!(
        host.net.sent.front().map(|(path, _)| path.link),
        Some(LO),
        "what waited for the old link does not"
    );
    assert_eq!(peer.hears(&mut host).len(), 1);
}

/// A router died. By the time that another was found, the retransmission timer stood at a minute.
#[test]
fn what_was_lost_on_a_way_that_died_is_sent_again_at_once_on_the_new_one() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.send(id, b"x").expect("send");
    host.poll();
    host.waits(Duration::from_secs(40));
    host.net.sent.clear();
    host.net.own.push(PEER.into());
    host.tcp.reroute(host.now, &host.net);
    host.poll();
    let first = host.net.sent.front().map(|(path, _)| path.link);
    assert_eq!(first, Some(LO), "nothing on the new way");
    // A way that works is not suspected: what is on it arrives.
    let heard = peer.hears(&mut host);
    assert_eq!(heard.len(), 1, "{heard:?}");
    host.hears(&peer.says(".", 1, 2, b""));
    host.send(id, b"y").expect("send");
    assert_eq!(peer.hears(&mut host).len(), 1);
    host.net.own.clear();
    host.tcp.reroute(host.now, &host.net);
    host.poll();
    assert_eq!(peer.hears(&mut host), [""; 0]);
}

#[test]
fn a_damaged_segment_is_dropped_and_counted() {
    each_family(|mut host| {
        let (id, peer) = connected(&mut host);
        let whole = peer.says("P.", 1, 1, b"data");
        let mut damaged = whole.clone();
        *damaged.last_mut().expect("a byte") ^= 1;
        host.hears(&damaged);
        assert_eq!(host.tcp.counters().bad_checksum, 1);
        for length in 0..44 {
            host.hears(&whole[..length]);
        }
        assert_eq!(host.tcp.counters().malformed, 44, "cut short");
        assert_eq!(host.read(id, 9), Err(SocketError::WouldBlock));
        host.hears(&whole);
        assert_eq!(host.read(id, 9), Ok(b"data".to_vec()));
    });
}

#[test]
fn a_link_that_never_has_room_holds_nothing_for_ever() {
    let mut host = Host::new();
    let (closed, _) = connected(&mut host);
    let (_, waiting) = connected(&mut host);
    let listener = host.listener(80, 1);
    host.net.room.insert(ETH0, 0);
    host.hears(&Peer::new(at(PEER, 4), at(HOST, 80)).says("S", 0, 0, b""));
    host.send(closed, b"x").expect("send");
    host.close(closed);
    let attempt = host.socket();
    host.connect_with(attempt, at(OTHER, 80)).expect("connect");
    host.hears(&waiting.says("F.", 1, 1, b""));
    assert_eq!(host.tcp.flow_count(), 4);
    host.waits(seconds(200));
    assert_eq!(
        host.tcp.flow_count(),
        1,
        "half open, closed and connecting: given up"
    );
    assert_eq!(host.tcp.take_error(attempt), Some(SocketError::TimedOut));
    assert_eq!(host.readiness(listener), NOT_READY);
}
