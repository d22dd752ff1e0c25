//! RFC 9293 state by state, and the segments that may not pass.

use super::*;
use crate::flow::State;
use crate::socket::How;
use crate::socket::tcp::TcpCounters;

/// A connection whose host has `sent` octets on their way.
fn with_flight(host: &mut Host, sent: usize) -> (TcpId, Peer) {
    let (id, mut peer) = connected(host);
    host.send(id, &vec![7; sent]).expect("send");
    peer.hears(host);
    (id, peer)
}

/// The counter that is not what it was, if there is one of those that name a reason.
fn reason(before: &TcpCounters, after: &TcpCounters) -> &'static str {
    let noise = ["segments_received", "segments_sent", "served", "challenges"];
    before
        .iter()
        .zip(after.iter())
        .find(|((name, before), (_, after))| before != after && !noise.contains(name))
        .map_or("", |((name, _), _)| name)
}

/// Flags, sequence number, acknowledgement, data; the counter, the answers.
type Case = (
    &'static str,
    u32,
    u32,
    &'static [u8],
    &'static str,
    &'static [&'static str],
);

/// RFC 9293 3.10.7.4 and RFC 5961: what is said, what it is counted as, and what is answered. Our next octet is 6 (five are
/// on their way), the peer's is 1, our window 65535.
#[test]
fn rfc9293_3_10_7_4_what_passes_and_what_does_not() {
    const ACK: &[&str] = &[". 6 ack 1 win 65535"];
    let table: [Case; 17] = [
        (".", 1, 1, b"", "", &[]),
        (".", 1, 6, b"", "", &[]),
        ("R", 1, 0, b"", "", &[]),
        ("R", 2, 0, b"", "rst_in_window", ACK),
        ("R", 65_535, 0, b"", "rst_in_window", ACK),
        ("R", 65_537, 0, b"", "rst_out_of_window", &[]),
        ("R", 0, 0, b"", "rst_out_of_window", &[]),
        ("S", 1, 0, b"", "syn_in_connection", ACK),
        ("S", 90_000, 0, b"", "syn_in_connection", ACK),
        ("S.", 0, 1, b"", "syn_in_connection", ACK),
        (".", 1, 7, b"", "ack_of_unsent", ACK),
        (".", 1, 0, b"", "ack_old", &[]),
        (".", 1, u32::MAX - 70_000, b"x", "ack_too_old", ACK),
        ("", 1, 0, b"x", "no_ack", &[]),
        (".", 65_537, 1, b"", "out_of_window", ACK),
        (".", 65_536, 1, b"x", "out_of_window", ACK),
        (".", 0, 1, b"x", "out_of_window", ACK),
    ];
    for (flags, seq, acks, data, counted, answered) in table {
        each_family(|mut host| {
            let (_, mut peer) = with_flight(&mut host, 5);
            let before = *host.tcp.counters();
            host.hears(&peer.says(flags, seq, acks, data));
            let case = format!("{flags} {seq} ack {acks}");
            assert_eq!(reason(&before, host.tcp.counters()), counted, "{case}");
            assert_eq!(peer.hears(&mut host), answered, "{case}");
        });
    }
}

/// RFC 9293 3.10.7.4, "special allowance should be made to accept valid ACKs" with a closed window.
#[test]
fn rfc9293_3_10_7_4_a_closed_window_still_takes_acknowledgements() {
    each_family(|mut host| {
        let (id, mut peer) = with_flight(&mut host, 5);
        for seq in (1..65_536_u32).step_by(1285) {
            host.hears(&peer.says(".", seq, 1, &[7; 1285]));
        }
        assert_eq!(host.tcp.unread(id), 65_535);
        peer.hears(&mut host);
        assert_eq!(host.tcp.unacknowledged(id), 5);
        host.hears(&peer.says("P.", 65_536, 6, b"no room for this"));
        assert_eq!(
            host.tcp.unacknowledged(id),
            0,
            "but for what it acknowledges"
        );
        assert_eq!(peer.hears(&mut host), [". 6 ack 65536 win 0"]);
    });
}

/// RFC 9293 3.10.7.4, eighth: a FIN counts when what precedes it is there, though it came first.
#[test]
fn rfc9293_3_10_7_4_a_fin_out_of_order_is_remembered() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.hears(&peer.says("F.", 6, 1, b"world"));
        assert_eq!(host.tcp.state(id), Some(State::Established));
        assert_eq!(peer.hears(&mut host), [". 1 ack 1 win 65535"]);
        host.hears(&peer.says("F.", 200, 1, b"another end"));
        host.hears(&peer.says("P.", 1, 1, b"hello"));
        assert_eq!(host.tcp.state(id), Some(State::CloseWait));
        assert_eq!(
            peer.hears(&mut host).last().map(String::as_str),
            Some(". 1 ack 12 win 65524"),
            "the FIN with it"
        );
        assert_eq!(host.read(id, 99), Ok(b"helloworld".to_vec()));
        assert_eq!(host.read(id, 99), Ok(vec![]));
    });
}

/// RFC 6093 section 6: urgent data is data.
#[test]
fn rfc6093_6_urgent_data_is_delivered_in_line() {
    let mut host = Host::new();
    let (id, peer) = connected(&mut host);
    let mut packet = peer.says("P.", 1, 1, b"hurry!");
    let mut tcp = TcpPacket::new_unchecked(&mut packet[20..]);
    tcp.set_urg(true);
    tcp.set_urgent_at(3);
    tcp.fill_checksum(&PEER.into(), &HOST.into());
    host.hears(&packet);
    assert_eq!(host.read(id, 99), Ok(b"hurry!".to_vec()));
}

/// RFC 9293 3.10.7.3, sixth step: a SYN and ACK may bring data.
#[test]
fn rfc9293_3_10_7_3_data_with_the_peers_syn_is_not_lost() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 80));
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.says("S.", 0, 1, b"welcome"));
    assert_eq!(peer.hears(&mut host), [". 1 ack 8 win 65528"]);
    assert_eq!(host.read(id, 99), Ok(b"welcome".to_vec()));
}

/// What brings a connection into each state, and the peer's next number there.
fn in_state(host: &mut Host, state: State) -> (TcpId, Peer, u32, u32) {
    let (id, mut peer) = connected(host);
    let peer_ends_first = matches!(state, State::CloseWait | State::LastAck);
    if peer_ends_first {
        host.hears(&peer.says("F.", 1, 1, b""));
    }
    if !matches!(state, State::Established | State::CloseWait) {
        host.tcp
            .shutdown(host.now, id, How::Write)
            .expect("shutdown");
        host.poll();
    }
    match state {
        State::FinWait2 => drop(host.hears(&peer.says(".", 1, 2, b""))),
        State::Closing => drop(host.hears(&peer.says("F.", 1, 1, b""))),
        State::TimeWait => drop(host.hears(&peer.says("F.", 1, 2, b""))),
        _ => (),
    }
    peer.hears(host);
    host.changed();
    assert_eq!(host.tcp.state(id), Some(state), "the way to {state}");
    let seq = match state {
        State::Established | State::FinWait1 | State::FinWait2 => 1,
        _ => 2,
    };
    let ack = match state {
        State::FinWait2 | State::TimeWait => 2,
        _ => 1,
    };
    (id, peer, seq, ack)
}

/// RFC 9293 3.10.7.4, second: the exact RST ends every connection, and only where something is lost by it says so.
#[test]
fn rfc9293_3_10_7_4_a_reset_in_every_state() {
    let reset = Err(SocketError::ConnectionReset);
    for (state, told) in [
        (State::Established, reset.clone()),
        (State::FinWait1, reset.clone()),
        (State::FinWait2, reset.clone()),
        (State::CloseWait, reset.clone()),
        (State::Closing, Ok(vec![])),
        (State::LastAck, Ok(vec![])),
    ] {
        each_family(|mut host| {
            let (id, mut peer, seq, _) = in_state(&mut host, state);
            host.hears(&peer.says("R", seq + 1, 0, b""));
            assert_eq!(host.tcp.state(id), Some(state), "{state}: not quite exact");
            peer.hears(&mut host);
            host.hears(&peer.says("R", seq, 0, b""));
            assert_eq!(host.tcp.state(id), Some(State::Closed), "{state}");
            assert_eq!(host.read(id, 9), told, "{state}");
            assert_eq!(host.tcp.flow_count(), 0, "{state}");
            assert_eq!(
                peer.hears(&mut host),
                [""; 0],
                "{state}: nobody answers a RST"
            );
        });
    }
}

/// RFC 9293 3.10.4 to 3.10.5: what a program that closes, or gives up, sends from each state.
#[test]
fn rfc9293_3_10_5_an_abort_in_every_state() {
    for (state, said) in [
        (State::Established, "R. 1 ack 1"),
        (State::FinWait1, "R. 2 ack 1"),
        (State::FinWait2, "R. 2 ack 1"),
        (State::CloseWait, "R. 1 ack 2"),
        (State::Closing, "R. 2 ack 2"),
        (State::LastAck, "R. 2 ack 2"),
    ] {
        each_family(|mut host| {
            let (id, mut peer, ..) = in_state(&mut host, state);
            host.tcp.abort(host.now, id);
            host.poll();
            assert_eq!(peer.hears(&mut host), [said], "{state}");
            assert_eq!(host.tcp.flow_count(), 0, "{state}");
        });
    }
}

/// RFC 5961 4.2: a SYN is challenged in every synchronized state, and changes nothing.
#[test]
fn rfc5961_4_2_a_syn_in_every_state() {
    for state in [
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
    ] {
        each_family(|mut host| {
            let (id, mut peer, seq, _) = in_state(&mut host, state);
            host.hears(&peer.says("S", seq, 0, b""));
            let answer = peer.hears(&mut host);
            let challenged = answer.len() == 1 && answer[0].starts_with(". ");
            assert!(challenged, "{state}: {answer:?}");
            assert_eq!(host.tcp.state(id), Some(state));
        });
    }
}

/// RFC 9293 3.10.7.4, seventh: data after a FIN is nobody's.
#[test]
fn rfc9293_3_10_7_4_text_behind_a_fin_is_ignored() {
    for state in [State::CloseWait, State::Closing, State::LastAck] {
        each_family(|mut host| {
            let (id, mut peer, seq, ack) = in_state(&mut host, state);
            host.hears(&peer.says("P.", seq, ack, b"afterthought"));
            assert_eq!(host.tcp.unread(id), 0, "{state}");
            assert_eq!(host.tcp.state(id), Some(state));
            peer.hears(&mut host);
        });
    }
}

/// Every way to the end, told once: RFC 9293 figure 5.
#[test]
fn rfc9293_3_6_every_order_of_closing_comes_to_an_end() {
    for state in [
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ] {
        each_family(|mut host| {
            let (id, mut peer, seq, _) = in_state(&mut host, state);
            host.close(id);
            peer.hears(&mut host);
            // The peer acknowledges all, and ends if it has not.
            host.hears(&peer.says(".", seq, 2, b""));
            if seq == 1 {
                host.hears(&peer.says("F.", 1, 2, b""));
            }
            host.waits(seconds(61));
            assert_eq!(host.tcp.flow_count(), 0, "{state}");
            assert_eq!(host.tcp.next_deadline(), None, "{state}");
            let resets = peer.hears(&mut host);
            let quiet = resets.iter().all(|line| !line.starts_with('R'));
            assert!(quiet, "{state}: {resets:?}");
        });
    }
}
