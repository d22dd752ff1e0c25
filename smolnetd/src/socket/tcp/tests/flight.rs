//! How much is on its way: congestion control as the network sees it.

use super::data::end_of;
use super::*;

/// A075: the first flight was one segment. RFC 6928 allows ten; RFC 5681 then doubles.
#[test]
fn the_first_flight_is_ten_segments() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.send(id, &[0; 60_000]).expect("send");
    let first = peer.hears(&mut host);
    assert_eq!(first.len(), 10, "{first:?}");
    assert_eq!(end_of(&first[9]), Some(14_601));
    host.hears(&peer.says(".", 1, 2921, b""));
    assert_eq!(
        peer.hears(&mut host).len(),
        4,
        "two for what was acknowledged, two for what the window grew"
    );
    host.hears(&peer.says(".", 1, 14_601, b""));
    let more = peer.hears(&mut host);
    assert_eq!(
        more.last().and_then(|line| end_of(line)),
        Some(14_601 + 20 * 1460),
        "by one for each that was acknowledged: {more:?}"
    );
}

/// RFC 5681 3.2 and RFC 6582: two holes in one window, and the timer is not needed.
#[test]
fn two_losses_in_a_window_are_repaired_without_the_timer() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.send(id, &[0; 14_600]).expect("send");
    assert_eq!(peer.hears(&mut host).len(), 10);
    // The first and the fifth are lost: eight acknowledgements of nothing, the first sent again, then up to the fifth.
    for _ in 0..8 {
        host.hears(&peer.says(".", 1, 1, b""));
    }
    assert_eq!(peer.hears(&mut host), [". 1(1460) ack 1 win 65535"]);
    host.hears(&peer.says(".", 1, 5841, b""));
    assert_eq!(peer.hears(&mut host), [". 5841(1460) ack 1 win 65535"]);
    host.hears(&peer.says(".", 1, 14_601, b""));
    assert_eq!(peer.hears(&mut host), [""; 0]);
    assert_eq!(host.tcp.next_deadline(), None);
    // RFC 9438 4.6: seven tenths of the window are left.
    host.send(id, &[0; 60_000]).expect("send");
    assert_eq!(peer.hears(&mut host).len(), 7);
}

/// RFC 5681 3.1: after a timeout, one segment, and not the whole window again.
#[test]
fn a_timeout_sends_one_segment_again() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.send(id, &[0; 14_600]).expect("send");
    peer.hears(&mut host);
    host.waits(millis(300));
    assert_eq!(peer.hears(&mut host), [". 1(1460) ack 1 win 65535"]);
    host.hears(&peer.says(".", 1, 1461, b""));
    assert_eq!(peer.hears(&mut host).len(), 2);
}

/// RFC 5681 4.1.
#[test]
fn after_a_pause_the_first_flight_is_ten_segments_again() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        let takes_all = |host: &mut Host, peer: &mut Peer| {
            while let Some(end) = peer
                .hears(host)
                .iter()
                .filter_map(|line| end_of(line))
                .max()
            {
                host.hears(&peer.says(".", 1, end, b""));
            }
        };
        for _ in 0..30 {
            let _ = host.send(id, &[0; 60_000]);
            takes_all(&mut host, &mut peer);
        }
        host.waits(millis(100));
        host.send(id, &[0; 45_000]).expect("send");
        let burst = peer.hears(&mut host);
        assert!(burst.len() >= 30, "the window had grown: {}", burst.len());
        let end = burst
            .iter()
            .filter_map(|line| end_of(line))
            .max()
            .expect("data");
        host.hears(&peer.says(".", 1, end, b""));
        takes_all(&mut host, &mut peer);
        host.waits(seconds(10));
        host.send(id, &[0; 60_000]).expect("send");
        assert_eq!(peer.hears(&mut host).len(), 10);
    });
}

/// RFC 9293 3.7.4: the FIN behind a segment as long as the congestion window leaves with it, and not a second later.
#[test]
fn a_full_segment_and_the_end_fit_into_a_window_of_one_segment() {
    let mut host = Host::new();
    let remote = SocketAddr::new(host.peer, 80);
    let id = host.connect(remote);
    let mut peer = Peer::new(remote, host.tcp.local(id).expect("bound"));
    // RFC 5681 3.1: a SYN that was lost leaves a window of one segment.
    host.waits(seconds(1));
    assert_eq!(peer.hears(&mut host).len(), 2);
    host.hears(&peer.says("S.", 0, 1, b""));
    peer.hears(&mut host);
    host.tcp.send(host.now, id, &[7; 1460]).expect("send");
    host.close(id);
    assert_eq!(peer.hears(&mut host), ["F. 1(1460) ack 1 win 65535"]);
}

/// RFC 791: a link may carry no more than 68 bytes. Neither the first segment nor one that is sent again is longer.
#[test]
fn rfc791_no_path_is_too_narrow() {
    let mut host = Host::new();
    host.net.mtu = 68;
    let remote = SocketAddr::new(host.peer, 80);
    let id = host.connect(remote);
    let mut peer = Peer::new(remote, host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.says("S.", 0, 1, b""));
    host.send(id, &[7; 200]).expect("send");
    host.close(id);
    host.waits(seconds(1));
    let mut got = 1;
    for _ in 0..50 {
        for line in peer.hears(&mut host) {
            if let Some(end) = end_of(&line).filter(|_| !line.starts_with('S')) {
                got = got.max(end);
            }
        }
        host.hears(&peer.says(".", 1, got, b""));
        host.waits(seconds(1));
    }
    assert!(got >= 201, "{got}");
    assert_eq!(host.tcp.unacknowledged(id), 0);
}
