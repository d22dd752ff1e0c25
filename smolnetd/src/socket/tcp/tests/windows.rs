//! Windows of both sides: scaled, growing, silly, closed. SACK, and what it reports.

use super::*;
use crate::socket::SocketOption;

/// A connection with a peer that scales its windows, or knows SACK, or not.
fn offered(host: &mut Host, scale: Option<u8>, sack: bool) -> (TcpId, Peer) {
    let remote = SocketAddr::new(host.peer, 80);
    let id = host.connect(remote);
    let mut peer = Peer::new(remote, host.tcp.local(id).expect("bound"));
    peer.hears(host);
    let mss = host.mss();
    host.hears(&peer.builds("S.", 0, 1, b"", |syn| {
        syn.window_scale = scale;
        syn.sack_permitted = sack;
        syn.max_seg_size = Some(mss);
    }));
    peer.hears(host);
    host.changed();
    (id, peer)
}

/// RFC 2018 section 4: what came before its turn is reported, the latest first; and no longer when it is in order.
#[test]
fn rfc2018_4_holes_are_reported() {
    each_family(|mut host| {
        let (id, mut peer) = offered(&mut host, None, true);
        host.hears(&peer.says(".", 11, 1, b"cc"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 1 win 65535 sack 11-13"]);
        host.hears(&peer.says(".", 21, 1, b"ee"));
        assert_eq!(
            peer.hears(&mut host),
            [". 1 ack 1 win 65535 sack 21-23 sack 11-13"]
        );
        host.hears(&peer.says(".", 1, 1, &[b'a'; 10]));
        assert_eq!(peer.hears(&mut host), [". 1 ack 13 win 65523 sack 21-23"]);
        host.hears(&peer.says(".", 13, 1, &[b'd'; 8]));
        assert_eq!(peer.hears(&mut host), [". 1 ack 23 win 65513"]);
        assert_eq!(host.read(id, 99), Ok(b"aaaaaaaaaaccddddddddee".to_vec()));
    });
}

#[test]
fn a_peer_that_knows_no_sack_is_told_none() {
    each_family(|mut host| {
        let (_, mut peer) = offered(&mut host, Some(7), false);
        host.hears(&peer.says(".", 11, 1, b"cc"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 1 win 511"]);
    });
}

/// RFC 2883 section 4: what came twice is reported once, in the first block.
#[test]
fn rfc2883_4_what_came_twice_is_reported() {
    each_family(|mut host| {
        let (_, mut peer) = offered(&mut host, None, true);
        host.hears(&peer.says(".", 1, 1, b"once"));
        host.waits(millis(10));
        peer.hears(&mut host);
        host.hears(&peer.says(".", 1, 1, b"once"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 5 win 65531 sack 1-5"]);
        host.hears(&peer.says(".", 11, 1, b"later"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 5 win 65531 sack 11-16"]);
        host.hears(&peer.says(".", 11, 1, b"later"));
        assert_eq!(
            peer.hears(&mut host),
            [". 1 ack 5 win 65531 sack 11-16 sack 11-16"],
            "and the block that it is a part of"
        );
    });
}

/// Data goes on beside a hole, and the hole is still reported: on its own.
#[test]
fn rfc2018_3_blocks_do_not_travel_on_data() {
    each_family(|mut host| {
        let (id, mut peer) = offered(&mut host, None, true);
        host.tcp.send(host.now, id, b"data").expect("send");
        host.hears(&peer.says(".", 11, 1, b"cc"));
        assert_eq!(
            peer.hears(&mut host),
            [". 1 ack 1 win 65535 sack 11-13", "P. 1(4) ack 1 win 65535"]
        );
    });
}

/// RFC 6675: only what the peer's blocks do not have is sent again.
#[test]
fn rfc2018_5_what_the_peer_has_is_not_sent_again() {
    let mut host = Host::new();
    let (id, mut peer) = offered(&mut host, None, true);
    host.send(id, &[0; 14_600]).expect("send");
    assert_eq!(peer.hears(&mut host).len(), 10);
    // The second and the fifth were lost.
    let start = peer.start;
    let number = |offset: u32| peer.host_start.wrapping_add(offset);
    let _ = start;
    let has = |left: u32, right: u32| Some((number(left), number(right)));
    let blocks = [has(7301, 14_601), has(2921, 5841), None];
    for _ in 0..3 {
        host.hears(&peer.builds(".", 1, 1461, b"", |ack| ack.sack_ranges = blocks));
    }
    host.waits(millis(5));
    let mut again = peer.hears(&mut host);
    again.sort();
    again.dedup();
    assert_eq!(
        again,
        [
            ". 1461(1460) ack 1 win 65535",
            ". 5841(1460) ack 1 win 65535"
        ]
    );
    host.hears(&peer.says(".", 1, 14_601, b""));
    assert_eq!(host.tcp.unacknowledged(id), 0);
    assert_eq!(host.tcp.next_deadline(), None);
}

/// RFC 7323 2.3: the peer's windows count in its units, but for that of its SYN.
#[test]
fn rfc7323_2_3_a_scaled_window_is_used() {
    let mut host = Host::new();
    let (id, mut peer) = offered(&mut host, Some(7), true);
    peer.window = 10;
    host.hears(&peer.says(".", 1, 1, b""));
    host.send(id, &[0; 5000]).expect("send");
    host.waits(seconds(1));
    assert_eq!(
        peer.hears(&mut host)[0],
        ". 1(1280) ack 1 win 511",
        "ten times 128"
    );
}

/// RFC 9293 3.8.6.2.1: a window that is small, but open, is used when nothing else happens; not at once.
#[test]
fn rfc9293_3_8_6_2_1_a_silly_window_waits_for_the_override() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        peer.window = 100;
        host.hears(&peer.says(".", 1, 1, b""));
        host.send(id, &[0; 5000]).expect("send");
        host.waits(millis(99));
        assert_eq!(peer.hears(&mut host), [""; 0]);
        host.waits(millis(200));
        assert_eq!(peer.hears(&mut host), [". 1(100) ack 1 win 65535"]);
        peer.window = 32_000;
        host.hears(&peer.says(".", 1, 101, b""));
        assert_eq!(
            peer.hears(&mut host).len(),
            3,
            "full ones, and a rest that waits"
        );
    });
}

/// RFC 9293 3.8.6.1 (SHLD-29, SHLD-30): questions after a timeout, then ever further apart, for as long as they are answered.
#[test]
fn rfc9293_3_8_6_1_a_closed_window_is_asked_ever_more_rarely() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        peer.window = 0;
        host.hears(&peer.says(".", 1, 1, b""));
        host.send(id, b"patience").expect("send");
        let (mut asked, end) = (vec![host.now], host.now + seconds(1800));
        while let Some(due) = host.tcp.next_deadline().filter(|&due| due < end) {
            host.now = due;
            host.poll();
            if !peer.hears(&mut host).is_empty() {
                asked.push(host.now);
                host.hears(&peer.says(".", 1, 1, b""));
            }
        }
        let pauses: Vec<Duration> = asked.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert!(pauses.len() > 30, "{pauses:?}");
        assert_eq!(pauses.last(), Some(&seconds(60)), "{pauses:?}");
        assert_eq!(host.readiness(id), WRITABLE, "and nobody gives up");
        peer.window = 64_000;
        host.hears(&peer.says(".", 1, 1, b""));
        assert_eq!(peer.hears(&mut host), ["P. 1(8) ack 1 win 65535"]);
    });
}

/// Two ends whose windows have just opened, and whose news of it was lost, ask each other at the same moment. When such a
/// question was an octet, each end took the other's, neither knew, and each one's acknowledgements were old to the other.
#[test]
fn two_ends_that_ask_each_other_at_once_are_understood() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    peer.window = 0;
    host.hears(&peer.says(".", 1, 1, b""));
    host.send(id, b"ours").expect("send");
    host.waits(millis(1100));
    assert!(!peer.hears(&mut host).is_empty(), "asked");
    // The peer asks with an octet, and takes none itself.
    host.hears(&peer.says("P.", 1, 1, b"t"));
    peer.window = 64_000;
    host.hears(&peer.says(".", 2, 1, b""));
    let heard = peer.hears(&mut host);
    assert!(
        heard.contains(&"P. 1(4) ack 2 win 65534".into()),
        "{heard:?}"
    );
    assert_eq!(host.read(id, 9), Ok(b"t".to_vec()));
}

/// SO_RCVBUF means what it says, however fast it is read.
#[test]
fn a_receive_buffer_that_was_asked_for_stays_as_it_is() {
    let mut host = Host::new();
    let id = host.socket();
    host.tcp
        .set_option(id, SocketOption::ReceiveBuffer(10_000))
        .expect("option");
    host.connect_with(id, at(PEER, 80)).expect("connect");
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    assert_eq!(peer.hears(&mut host), ["S 0 win 10000 mss 1460 ws 0 sack"]);
    host.hears(&peer.says("S.", 0, 1, b""));
    for seq in (1..200_000_u32).step_by(1000) {
        host.hears(&peer.says(".", seq, 1, &[7; 1000]));
        host.read(id, 1000).expect("data");
        host.waits(millis(11));
        for line in peer.hears(&mut host) {
            let window = line.split("win ").nth(1).and_then(|rest| rest.parse().ok());
            assert!(window.is_some_and(|window: u32| window <= 10_000), "{line}");
        }
    }
}

/// Windows beyond 64 KiB, which grow with use: with 10 ms there and back, 64 KiB would be 6.5 MB in a second.
#[test]
fn windows_grow_with_use_until_the_way_is_filled() {
    let (time, held) = super::loss::one_way(30_000_000);
    assert!(time < seconds(1), "30 MB at 10 ms there and back: {time}");
    assert!(
        held < 20 << 20,
        "and memory stays within its bounds: {held}"
    );
}

/// RFC 9293 3.8.6: the right edge never moves left, whatever is read or not, and however windows are rounded.
#[test]
fn rfc9293_3_8_6_the_right_edge_never_moves_left() {
    let mut host = Host::new();
    let (id, mut peer) = offered(&mut host, Some(7), true);
    let (mut edge, mut seq) = (0, 1);
    let mut lengths = (1..1461_u32).cycle().step_by(367);
    while seq < 400_000 {
        let length = lengths.next().expect("a length");
        host.hears(&peer.says(".", seq, 1, &vec![7; length as usize]));
        seq += length;
        if length % 3 == 0 {
            host.read(id, 5000).expect("data");
        }
        host.waits(millis(11));
        for line in peer.hears(&mut host) {
            let mut words = line.split(' ').skip(3);
            let ack: u32 = words.next().and_then(|ack| ack.parse().ok()).expect("ack");
            let window: u32 = words.nth(1).and_then(|it| it.parse().ok()).expect("window");
            // What the shift cannot say may be missing, once (RFC 7323 2.4).
            let told = ack + (window << 7);
            assert!(told + 127 >= edge, "{line}: {told} after {edge}");
            edge = edge.max(told);
            if window == 0 {
                host.read(id, 100_000).expect("data");
            }
        }
    }
}
