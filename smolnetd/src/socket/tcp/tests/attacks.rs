//! What a hostile or broken peer sends into a connection, and that it does no harm. Each of these broke a TCP once: numbers
//! such as A015 are those of an audit, as in all stories here.

use crate::flow::State;

use super::*;
use crate::socket::How;

/// A015: an acknowledgement of what was never sent emptied the send buffer.
#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        peer.window = 1000;
        host.hears(&peer.says(".", 1, 1, b""));
        host.send(id, &[b'x'; 5000]).expect("send");
        host.waits(millis(1100));
        assert_eq!(
            peer.hears(&mut host).first().map(String::as_str),
            Some(". 1(1000) ack 1 win 65535"),
            "RFC 9293 3.8.6.2.1: into a silly window when nothing else comes"
        );
        host.hears(&peer.says(".", 1, 5001, b""));
        assert_eq!(
            peer.hears(&mut host),
            [". 1001 ack 1 win 65535"],
            "challenged"
        );
        assert_eq!(host.tcp.counters().ack_of_unsent, 1);
        peer.window = 64_000;
        host.hears(&peer.says(".", 1, 1001, b""));
        let rest: u32 = peer
            .hears(&mut host)
            .iter()
            .filter_map(|line| super::data::end_of(line))
            .max()
            .expect("data");
        assert!(rest > 1001, "the rest was still there: {rest}");
    });
}

/// A082: a RST that only lies in the window closed the connection (RFC 5961 3.2).
#[test]
fn a_rst_must_be_exact() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.hears(&peer.says("P.", 1, 1, b"abc"));
        peer.hears(&mut host);
        host.hears(&peer.says("R", 5, 0, b""));
        assert_eq!(
            peer.hears(&mut host),
            [". 1 ack 4 win 65532"],
            "a challenge ACK"
        );
        host.hears(&peer.says("R", 3, 0, b""));
        host.hears(&peer.says("R", 100_000, 0, b""));
        assert_eq!(peer.hears(&mut host), [""; 0]);
        assert_eq!(host.tcp.counters().rst_in_window, 1);
        assert_eq!(host.tcp.counters().rst_out_of_window, 2);
        assert_eq!(host.tcp.state(id), Some(State::Established));
        host.hears(&peer.says("R", 4, 0, b""));
        assert_eq!(
            host.tcp.state(id),
            Some(State::Closed),
            "the exact one, though data is unacknowledged"
        );
    });
}

/// A079: a SYN in a connection got no challenge ACK (RFC 5961 4.2).
#[test]
fn a_peer_that_restarted_finds_out() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.hears(&peer.says("S", 77_000, 0, b""));
        assert_eq!(peer.hears(&mut host), [". 1 ack 1 win 65535"]);
        host.hears(&peer.says("R", 1, 0, b""));
        assert_eq!(
            host.read(id, 1),
            Err(SocketError::ConnectionReset),
            "its RST to that is exact"
        );
    });
}

#[test]
fn challenge_acks_are_few() {
    each_family(|mut host| {
        let (_, mut peer) = connected(&mut host);
        for n in 0..1000 {
            host.hears(&peer.says("S", 77_000 + n, 0, b""));
        }
        assert_eq!(peer.hears(&mut host).len(), 1);
        host.waits(seconds(5));
        for n in 0..1000 {
            host.hears(&peer.says("R", 2 + n, 0, b""));
        }
        assert_eq!(peer.hears(&mut host).len(), 1);
        assert_eq!(host.tcp.counters().challenges_suppressed, 1998);
    });
}

/// A003: the FIN of a segment that was cut at the window's edge was taken: bytes lost, a clean end reported.
#[test]
fn a_fin_beyond_the_window_is_not_the_end() {
    each_family(|mut host| {
        let (id, peer) = connected(&mut host);
        let mut seq = 1;
        while seq < 65_000 {
            host.hears(&peer.says(".", seq, 1, &[7; 1000]));
            seq += 1000;
        }
        assert_eq!(seq, 65_001);
        host.hears(&peer.says("F.", seq, 1, &[8; 1000]));
        assert_eq!(host.tcp.state(id), Some(State::Established));
        assert_eq!(host.read(id, 70_000).map(|data| data.len()), Ok(65_535));
        assert_eq!(
            host.read(id, 9),
            Err(SocketError::WouldBlock),
            "there is more to come"
        );
        host.waits(millis(20));
        host.hears(&peer.says("F.", 65_536, 1, &[8; 465]));
        assert_eq!(host.read(id, 999).map(|data| data.len()), Ok(465));
        assert_eq!(host.read(id, 9), Ok(vec![]));
    });
}

#[test]
fn a_fin_that_just_fits_is_the_end() {
    each_family(|mut host| {
        let (id, peer) = connected(&mut host);
        for seq in (1..65_000).step_by(1000) {
            host.hears(&peer.says(".", seq, 1, &[7; 1000]));
        }
        host.hears(&peer.says("F.", 65_001, 1, &[8; 535]));
        assert_eq!(host.tcp.state(id), Some(State::CloseWait));
        assert_eq!(host.read(id, 70_000).map(|data| data.len()), Ok(65_535));
        assert_eq!(host.read(id, 9), Ok(vec![]));
    });
}

/// A TCP dropped the data of a segment whose acknowledgement was older than what had been acknowledged since.
#[test]
fn reordered_data_with_an_old_acknowledgement_is_not_lost() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.send(id, b"12345").expect("send");
        host.hears(&peer.says(".", 6, 6, b"world"));
        host.hears(&peer.says(".", 1, 1, b"hello"));
        assert_eq!(host.read(id, 99), Ok(b"helloworld".to_vec()));
        peer.hears(&mut host);
        host.send(id, b"6").expect("send");
        assert_eq!(
            peer.hears(&mut host),
            ["P. 6(1) ack 11 win 65525"],
            "and nothing is sent twice"
        );
    });
}

/// A TCP took the window from any segment, however old (RFC 9293 3.10.7.4: SND.WL1, SND.WL2).
#[test]
fn a_window_from_the_past_is_not_believed() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        peer.window = 30_000;
        host.hears(&peer.says(".", 4, 1, b"new"));
        peer.window = 0;
        host.hears(&peer.says(".", 1, 1, b"old"));
        peer.hears(&mut host);
        host.send(id, b"data").expect("send");
        assert_eq!(
            peer.hears(&mut host),
            ["P. 1(4) ack 7 win 65529"],
            "not a probe"
        );
    });
}

#[test]
fn an_acknowledgement_from_long_ago_is_challenged() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.hears(&peer.says("P.", 1, 1_u32.wrapping_sub(70_000), b"forged"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 1 win 65535"]);
        assert_eq!(host.tcp.counters().ack_too_old, 1);
        assert_eq!(
            host.read(id, 9),
            Err(SocketError::WouldBlock),
            "RFC 5961 section 5: its data is not taken"
        );
    });
}

#[test]
fn a_segment_without_ack_is_nothing() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.hears(&peer.says("P", 1, 0, b"forged"));
        host.hears(&peer.says("F", 1, 0, b""));
        assert_eq!(host.tcp.counters().no_ack, 2);
        assert_eq!(peer.hears(&mut host), [""; 0]);
        assert_eq!(host.read(id, 9), Err(SocketError::WouldBlock));
    });
}

/// A TCP counted the FIN as sent when it was only wanted: its acknowledgement, too early, ended the connection.
#[test]
fn a_fin_that_was_not_sent_cannot_be_acknowledged() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        peer.window = 3;
        host.hears(&peer.says(".", 1, 1, b""));
        host.send(id, b"abcdef").expect("send");
        host.tcp
            .shutdown(host.now, id, How::Write)
            .expect("shutdown");
        host.waits(seconds(1));
        peer.hears(&mut host);
        host.hears(&peer.says(".", 1, 8, b""));
        assert_eq!(host.tcp.state(id), Some(State::FinWait1));
        peer.window = 64_000;
        host.hears(&peer.says(".", 1, 4, b""));
        assert_eq!(
            peer.hears(&mut host).last().map(String::as_str),
            Some("F. 4(3) ack 1 win 65535")
        );
    });
}

#[test]
fn a_tiny_segment_size_is_not_taken_at_its_word() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 80));
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.builds("S.", 0, 1, b"", |syn| syn.max_seg_size = Some(1)));
    peer.hears(&mut host);
    host.send(id, &[0; 480]).expect("send");
    let sent = peer.hears(&mut host);
    assert!(!sent.is_empty() && sent.len() <= 10, "{sent:?}");
}

#[test]
fn flags_that_exclude_each_other_are_malformed() {
    let mut host = Host::new();
    host.listener(80, 1);
    let peer = Peer::new(at(PEER, 4), at(HOST, 80));
    for flags in [0x03_u8, 0x06, 0x05, 0x07] {
        let mut packet = peer.says("S", 0, 0, b"");
        let header = 20;
        packet[header + 13] = flags;
        let (source, destination) = (PEER.into(), HOST.into());
        TcpPacket::new_unchecked(&mut packet[header..]).fill_checksum(&source, &destination);
        host.hears(&packet);
    }
    assert_eq!(host.tcp.counters().malformed, 4);
    assert!(host.net.sent.is_empty());
    assert_eq!(host.tcp.flow_count(), 0);
}

/// Found by fuzzing: a TCP went on probing a zero window after all was acknowledged, FIN included, and sent the same
/// segment as fast as it was asked.
#[test]
fn a_zero_window_in_the_last_acknowledgement_starts_no_storm() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        host.tcp.send(host.now, id, b"xy").expect("send");
        host.tcp
            .shutdown(host.now, id, How::Write)
            .expect("shutdown");
        host.poll();
        assert_eq!(peer.hears(&mut host), ["F. 1(2) ack 1 win 65535"]);
        peer.window = 0;
        host.hears(&peer.says(".", 1, 2, b""));
        host.hears(&peer.says(".", 1, 4, b""));
        assert_eq!(host.tcp.state(id), Some(State::FinWait2));
        host.waits(seconds(600));
        assert_eq!(peer.hears(&mut host), [""; 0]);
        assert_eq!(host.tcp.next_deadline(), None);
    });
}
