//! Losses, as the network sees their repair: the whole of TCP, a peer 100 ms away, segments counted from 0.

use crate::flow::State;
use crate::socket::tcp::IcmpError;

use super::*;

const RTT: Duration = Duration::from_millis(100);
const MSS: u32 = 1460;

/// A connection to a peer that reports what it has (RFC 2018), or does not.
fn far_away(host: &mut Host, sack: bool) -> (TcpId, Peer) {
    let remote = SocketAddr::new(host.peer, 80);
    let id = host.connect(remote);
    let mut peer = Peer::new(remote, host.tcp.local(id).expect("bound"));
    peer.hears(host);
    host.waits(RTT);
    host.hears(&peer.builds("S.", 0, 1, b"", |syn| syn.sack_permitted = sack));
    peer.hears(host);
    (id, peer)
}

/// Ten segments are on their way, and a round trip has passed.
fn ten_on_their_way(host: &mut Host, sack: bool) -> (TcpId, Peer) {
    let (id, mut peer) = far_away(host, sack);
    host.send(id, &[7; 10 * MSS as usize]).expect("send");
    assert_eq!(numbers(&peer.hears(host)), (0..10).collect::<Vec<_>>());
    host.waits(RTT);
    (id, peer)
}

/// Where segment `number` begins.
fn begin(number: u32) -> u32 {
    1 + number * MSS
}

/// Which segments these are.
fn numbers(lines: &[String]) -> Vec<u32> {
    let number = |line: &String| {
        let (seq, _) = line.split_once(' ')?.1.split_once('(')?;
        Some((seq.parse::<u32>().ok()? - 1) / MSS)
    };
    lines.iter().filter_map(number).collect()
}

/// The peer has everything before segment `ack`, and these ranges. Which segments leave?
fn told(host: &mut Host, peer: &mut Peer, ack: u32, blocks: &[(u32, u32)]) -> Vec<u32> {
    let start = peer.host_start;
    let packet = peer.builds(".", 1, begin(ack), b"", |tcp| {
        let edges = |&(left, right): &(u32, u32)| {
            (
                start.wrapping_add(begin(left)),
                start.wrapping_add(begin(right)),
            )
        };
        for (range, block) in tcp.sack_ranges.iter_mut().zip(blocks) {
            *range = Some(edges(block));
        }
    });
    host.hears(&packet);
    numbers(&peer.hears(host))
}

/// Until something leaves: how many milliseconds, and what.
fn next_to_leave(host: &mut Host, peer: &mut Peer) -> (u64, Vec<String>) {
    let start = host.now;
    while host.net.sent.is_empty() {
        let due = host.tcp.next_deadline().expect("a timer");
        host.waits(due - host.now);
    }
    ((host.now - start).total_millis(), peer.hears(host))
}

#[test]
fn rfc8985_6_2_a_hole_before_three_segments_is_filled_at_once() {
    let mut host = Host::new();
    let (_, mut peer) = ten_on_their_way(&mut host, true);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 2)]), []);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 3)]), []);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 4)]), [0]);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 10)]), [], "once");
    assert_eq!(told(&mut host, &mut peer, 10, &[]), []);
    assert_eq!(host.tcp.next_deadline(), None);
    assert_eq!(host.tcp.counters().losses, 1);
    assert_eq!(host.tcp.counters().retransmission_timeouts, 0);
}

/// RFC 6675 section 1: what NewReno fills at one hole a round trip.
#[test]
fn rfc6675_three_holes_of_a_window_are_filled_in_one_round_trip() {
    let mut host = Host::new();
    let (_, mut peer) = ten_on_their_way(&mut host, true);
    let mut again = Vec::new();
    for blocks in [
        &[(1, 2)][..],
        &[(1, 3)],
        &[(4, 5), (1, 3)],
        &[(4, 6), (1, 3)],
        &[(7, 8), (4, 6), (1, 3)],
        &[(7, 9), (4, 6), (1, 3)],
        &[(7, 10), (4, 6), (1, 3)],
    ] {
        again.extend(told(&mut host, &mut peer, 0, blocks));
    }
    assert_eq!(again, [0, 3, 6]);
    host.waits(RTT);
    assert_eq!(told(&mut host, &mut peer, 3, &[(7, 10), (4, 6)]), []);
    assert_eq!(told(&mut host, &mut peer, 6, &[(7, 10)]), []);
    assert_eq!(told(&mut host, &mut peer, 10, &[]), []);
    assert_eq!(host.tcp.next_deadline(), None);
    assert_eq!(host.tcp.counters().retransmission_timeouts, 0);
}

#[test]
fn rfc6582_3_2_without_sack_it_is_a_hole_a_round_trip() {
    let mut host = Host::new();
    let (_, mut peer) = ten_on_their_way(&mut host, false);
    let again: Vec<u32> = (0..7)
        .flat_map(|_| told(&mut host, &mut peer, 0, &[]))
        .collect();
    assert_eq!(again, [0]);
    for (ack, hole) in [(2, 2), (4, 4)] {
        host.waits(RTT);
        assert_eq!(told(&mut host, &mut peer, ack, &[]), [hole]);
    }
    host.waits(RTT);
    assert_eq!(told(&mut host, &mut peer, 10, &[]), []);
    assert_eq!(host.tcp.counters().retransmission_timeouts, 0);
}

#[test]
fn rfc2018_2_blocks_that_nobody_agreed_upon_mean_nothing() {
    let mut host = Host::new();
    let (_, mut peer) = ten_on_their_way(&mut host, false);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 9)]), []);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 10)]), []);
}

/// RFC 2018 section 8: what was SACKed is kept until it is acknowledged, for the peer may think again.
#[test]
fn rfc2018_8_a_peer_that_reneges_gets_everything_again() {
    let mut host = Host::new();
    let (_, mut peer) = ten_on_their_way(&mut host, true);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 10)]), [0]);
    host.waits(RTT);
    assert_eq!(
        told(&mut host, &mut peer, 1, &[]),
        [],
        "and 1 to 9 are gone"
    );
    let (_, lines) = next_to_leave(&mut host, &mut peer);
    let mut again = numbers(&lines);
    for ack in 2..=10 {
        host.waits(RTT);
        again.extend(told(&mut host, &mut peer, ack, &[]));
    }
    again.dedup();
    assert_eq!(again, (1..10).collect::<Vec<_>>());
    assert_eq!(host.tcp.next_deadline(), None);
}

#[test]
fn rfc8985_7_3_the_lost_end_is_found_by_a_probe() {
    each_family(|mut host| {
        let (id, mut peer) = far_away(&mut host, true);
        let mss = usize::from(host.mss());
        host.send(id, &vec![7; 2 * mss]).expect("send");
        let sent = peer.hears(&mut host);
        let (wait, lines) = next_to_leave(&mut host, &mut peer);
        assert_eq!(wait, 202, "two round trips and a little");
        assert_eq!(lines, sent[1..], "the last one");
        host.hears(&peer.says(".", 1, 1 + 2 * u32::from(host.mss()), b""));
        assert_eq!(host.tcp.next_deadline(), None);
    });
}

/// RFC 8985 7.3: and if there is something new, that.
#[test]
fn rfc8985_7_3_the_probe_is_of_new_data_if_there_is_any() {
    let mut host = Host::new();
    let (id, mut peer) = far_away(&mut host, true);
    host.send(id, &[7; 11 * MSS as usize]).expect("send");
    assert_eq!(peer.hears(&mut host).len(), 10);
    let (wait, lines) = next_to_leave(&mut host, &mut peer);
    assert_eq!((wait, numbers(&lines)), (202, vec![10]));
}

#[test]
fn rfc8985_7_3_a_lost_fin_is_sent_again_before_the_timer() {
    let mut host = Host::new();
    let (id, mut peer) = far_away(&mut host, true);
    host.send(id, b"last words").expect("send");
    host.close(id);
    assert_eq!(peer.hears(&mut host).len(), 2);
    let (wait, lines) = next_to_leave(&mut host, &mut peer);
    assert!(wait <= 300, "{wait}");
    assert_eq!(lines, ["F. 1(10) ack 1 win 65535"]);
}

/// RFC 6298 5.4 to 5.6. No SACK, so no probe before.
#[test]
fn rfc6298_5_a_peer_that_says_nothing_is_asked_ever_less_often() {
    let mut host = Host::new();
    let (id, mut peer) = far_away(&mut host, false);
    host.send(id, &[7; 5000]).expect("send");
    peer.hears(&mut host);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let (wait, lines) = next_to_leave(&mut host, &mut peer);
        assert_eq!(lines, [". 1(1460) ack 1 win 65535"], "one segment");
        waits.push(wait);
    }
    // The round trip of the handshake and twice as much (RFC 6298 2.2), then doubled, up to a minute.
    assert_eq!(
        waits,
        [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 60_000]
    );
    host.hears(&peer.says(".", 1, 1461, b""));
    assert_eq!(numbers(&peer.hears(&mut host)), [1, 2], "slow start");
}

/// RFC 5681 section 2: neither data nor another window is a sign of a loss.
#[test]
fn rfc5681_2_what_says_something_is_no_duplicate() {
    let mut host = Host::new();
    let (_, mut peer) = ten_on_their_way(&mut host, false);
    for seq in 0..5 {
        host.hears(&peer.says(".", 1 + seq, 1, b"x"));
    }
    for window in 0..5 {
        peer.window = 50_000 + window;
        host.hears(&peer.says(".", 6, 1, b""));
    }
    assert_eq!(numbers(&peer.hears(&mut host)), []);
    assert_eq!(host.tcp.counters().losses, 0);
}

#[test]
fn rfc3042_two_duplicates_send_two_new_segments() {
    let mut host = Host::new();
    let (id, mut peer) = ten_on_their_way(&mut host, false);
    host.send(id, &[7; 5 * MSS as usize]).expect("send");
    assert_eq!(told(&mut host, &mut peer, 0, &[]), [10]);
    assert_eq!(told(&mut host, &mut peer, 0, &[]), [11]);
    assert_eq!(
        told(&mut host, &mut peer, 0, &[])[0],
        0,
        "and the third the lost one"
    );
}

/// RFC 2883: it was late, not lost. The window is what it was.
#[test]
fn rfc2883_what_was_sent_again_in_vain_costs_nothing_in_the_end() {
    let mut host = Host::new();
    let (id, mut peer) = ten_on_their_way(&mut host, true);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 10)]), [0]);
    assert_eq!(told(&mut host, &mut peer, 10, &[]), []);
    // The second copy arrives.
    host.waits(RTT);
    assert_eq!(told(&mut host, &mut peer, 10, &[(0, 1)]), []);
    host.send(id, &[7; 30 * MSS as usize]).expect("send");
    assert!(peer.hears(&mut host).len() >= 10);
}

/// RFC 1191 6.4 with RFC 2018: only what has not arrived, in the size that fits.
#[test]
fn rfc1191_6_4_what_was_too_big_goes_again_and_what_has_arrived_does_not() {
    let mut host = Host::new();
    let (id, mut peer) = far_away(&mut host, true);
    host.send(id, &[7; 4 * MSS as usize]).expect("send");
    assert_eq!(peer.hears(&mut host).len(), 4);
    host.waits(RTT);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 2)]), []);
    let una = peer.host_start.wrapping_add(1);
    let too_big = IcmpError::PacketTooBig { mtu: 1280 };
    host.tcp
        .icmp_error(host.now, peer.host, peer.end, una, too_big);
    host.poll();
    assert_eq!(
        peer.hears(&mut host),
        [
            ". 1(1240) ack 1 win 65535",
            ". 1241(220) ack 1 win 65535",
            ". 2921(1240) ack 1 win 65535",
            ". 4161(1240) ack 1 win 65535",
            "P. 5401(440) ack 1 win 65535",
        ]
    );
    host.hears(&peer.says(".", 1, 1 + 4 * MSS, b""));
    host.send(id, &[7; 20_000]).expect("send");
    let lines = peer.hears(&mut host);
    assert_eq!(
        lines.len(),
        11,
        "14600 octets: the window is what it was: {lines:?}"
    );
}

/// RFC 6298 5.7 and RFC 5681 3.1: a lost SYN means care.
#[test]
fn rfc6298_5_7_after_a_lost_syn_one_segment_and_three_seconds() {
    let mut host = Host::new();
    let remote = SocketAddr::new(host.peer, 80);
    let id = host.connect(remote);
    let mut peer = Peer::new(remote, host.tcp.local(id).expect("bound"));
    assert_eq!(peer.hears(&mut host).len(), 1);
    let (wait, lines) = next_to_leave(&mut host, &mut peer);
    assert_eq!((wait, lines.len()), (1000, 1));
    host.hears(&peer.says("S.", 0, 1, b""));
    host.send(id, &[7; 5000]).expect("send");
    assert_eq!(numbers(&peer.hears(&mut host)), [0]);
    let (wait, lines) = next_to_leave(&mut host, &mut peer);
    assert_eq!((wait, numbers(&lines)), (3000, vec![0]));
}

/// Lost once and lost again: what was sent after it has arrived, it has not.
#[test]
fn rfc8985_6_2_a_segment_that_is_lost_twice_needs_no_timer() {
    let mut host = Host::new();
    let (id, mut peer) = ten_on_their_way(&mut host, true);
    host.send(id, &[7; 20 * MSS as usize]).expect("send");
    assert_eq!(numbers(&peer.hears(&mut host)), []);
    assert_eq!(told(&mut host, &mut peer, 0, &[(1, 4)])[0], 0);
    host.waits(millis(1));
    let newer = told(&mut host, &mut peer, 0, &[(1, 10)]);
    assert_eq!(newer[0], 10);
    host.waits(RTT);
    let left = told(&mut host, &mut peer, 0, &[(10, 11), (1, 10)]);
    assert_eq!(left[0], 0);
    assert_eq!(host.tcp.state(id), Some(State::Established));
    assert_eq!(host.tcp.counters().retransmission_timeouts, 0);
}
