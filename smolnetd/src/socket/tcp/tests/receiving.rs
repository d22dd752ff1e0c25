//! The receiving side, segment by segment: what overlaps, what is missing, what there is no room for, and the window that
//! says so.

use super::windows::offered;
use super::*;
use crate::flow::buffer::MAX_RANGES;
use crate::socket::SocketOption;

/// RFC 9293 3.10.7.4: of a segment that begins before RCV.NXT the new part is taken, and RFC 2883 4.1 names the rest.
#[test]
fn rfc9293_3_10_7_4_of_a_segment_that_is_half_old_the_new_half_is_taken() {
    each_family(|mut host| {
        let (id, mut peer) = offered(&mut host, None, true);
        host.hears(&peer.says(".", 1, 1, b"abcdef"));
        host.hears(&peer.says(".", 4, 1, b"XYZghi"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 10 win 65526 sack 4-7"]);
        assert_eq!(host.read(id, 99), Ok(b"abcdefghi".to_vec()));
    });
}

/// RFC 9293 3.10.7.4: what lies beyond the window is cut off, and comes again when there is room.
#[test]
fn rfc9293_3_10_7_4_what_lies_beyond_the_window_is_cut_off() {
    let mut host = Host::new();
    let id = host.socket();
    let small = SocketOption::ReceiveBuffer(2048);
    host.tcp.set_option(id, small).expect("option");
    host.connect_with(id, at(PEER, 80)).expect("connect");
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.says("S.", 0, 1, b""));
    peer.hears(&mut host);

    host.hears(&peer.says(".", 1, 1, &[1; 1400]));
    peer.hears(&mut host);
    host.hears(&peer.says(".", 1401, 1, &[2; 1400]));
    assert_eq!(peer.hears(&mut host), [". 1 ack 2049 win 0"]);
    host.hears(&peer.says(".", 2049, 1, &[3; 752]));
    assert_eq!(
        peer.hears(&mut host),
        [". 1 ack 2049 win 0"],
        "nothing fits: said again, so that the peer knows"
    );
    let data = host.read(id, 9999).expect("data");
    assert_eq!((data.len(), data[1399], data[1400]), (2048, 1, 2));
    assert_eq!(peer.hears(&mut host), [". 1 ack 2049 win 2048"]);
    host.hears(&peer.says(".", 2049, 1, &[2; 752]));
    assert_eq!(host.read(id, 9999), Ok(vec![2; 752]));
}

/// RFC 9293 3.10.7.4 leaves open which of two that overlap counts; what was reported (RFC 2018) must not become another.
#[test]
fn of_segments_that_overlap_what_came_first_stays() {
    each_family(|mut host| {
        let (id, mut peer) = offered(&mut host, None, true);
        host.hears(&peer.says(".", 5, 1, b"first"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 1 win 65535 sack 5-10"]);
        host.hears(&peer.says(".", 3, 1, b"SECONDSECOND"));
        assert_eq!(
            peer.hears(&mut host),
            [". 1 ack 1 win 65535 sack 5-10 sack 3-15"],
            "five of it were there"
        );
        host.hears(&peer.says(".", 1, 1, b"third"));
        assert_eq!(peer.hears(&mut host), [". 1 ack 15 win 65521 sack 3-6"]);
        assert_eq!(host.read(id, 99), Ok(b"thSEfirstECOND".to_vec()));
    });
}

/// RFC 2018 section 4: the last first, and each block in three acknowledgements at least if none is lost.
#[test]
fn rfc2018_4_of_many_holes_the_last_three_blocks_are_reported() {
    let mut host = Host::new();
    let (_, mut peer) = offered(&mut host, None, true);
    for hole in 0..5_u32 {
        host.hears(&peer.says(".", 101 + 100 * hole, 1, &[1; 50]));
    }
    assert_eq!(
        peer.hears(&mut host),
        [
            ". 1 ack 1 win 65535 sack 101-151",
            ". 1 ack 1 win 65535 sack 201-251 sack 101-151",
            ". 1 ack 1 win 65535 sack 301-351 sack 201-251 sack 101-151",
            ". 1 ack 1 win 65535 sack 401-451 sack 301-351 sack 201-251",
            ". 1 ack 1 win 65535 sack 501-551 sack 401-451 sack 301-351",
        ]
    );
    // What falls into an old block brings that to the front.
    host.hears(&peer.says(".", 151, 1, &[1; 10]));
    assert_eq!(
        peer.hears(&mut host),
        [". 1 ack 1 win 65535 sack 101-161 sack 501-551 sack 401-451"]
    );
}

/// The list of what came early is bounded; what fills a hole is taken all the same, and what was refused comes again.
#[test]
fn one_hole_too_many_is_refused_and_counted() {
    let mut host = Host::new();
    let (id, mut peer) = offered(&mut host, None, true);
    let holes = MAX_RANGES as u32;
    for hole in 0..holes {
        host.hears(&peer.says(".", 11 + 20 * hole, 1, &[1; 10]));
    }
    assert_eq!(host.tcp.counters().too_many_holes, 0);
    peer.hears(&mut host);
    let beyond = 11 + 20 * holes;
    host.hears(&peer.says(".", beyond, 1, &[1; 10]));
    assert_eq!(host.tcp.counters().too_many_holes, 1);
    let heard = peer.hears(&mut host);
    assert!(
        heard[0].contains(&format!("sack {}-", beyond - 20)),
        "{heard:?}"
    );
    for hole in 0..holes {
        host.hears(&peer.says(".", 1 + 20 * hole, 1, &[1; 10]));
    }
    host.hears(&peer.says(".", beyond - 10, 1, &[1; 20]));
    assert_eq!(host.read(id, 99_999), Ok(vec![1; beyond as usize + 9]));
}

/// RFC 9293 3.4: a hole and its blocks on both sides of the place where the numbers begin again.
#[test]
fn rfc9293_3_4_holes_lie_across_the_end_of_the_circle() {
    let mut host = Host::new();
    let remote = at(PEER, 80);
    let id = host.connect(remote);
    let mut peer = Peer::new(remote, host.tcp.local(id).expect("bound"));
    peer.start = u32::MAX - 1000;
    peer.hears(&mut host);
    host.hears(&peer.builds("S.", 0, 1, b"", |syn| syn.sack_permitted = true));
    peer.hears(&mut host);
    // 1001 is number 0.
    host.hears(&peer.says(".", 1101, 1, &[3; 100]));
    host.hears(&peer.says(".", 801, 1, &[1; 100]));
    assert_eq!(
        peer.hears(&mut host).pop().as_deref(),
        Some(". 1 ack 1 win 65535 sack 801-901 sack 1101-1201")
    );
    host.hears(&peer.says(".", 901, 1, &[2; 200]));
    assert_eq!(peer.hears(&mut host), [". 1 ack 1 win 65535 sack 801-1201"]);
    host.hears(&peer.says(".", 1, 1, &[0; 800]));
    assert_eq!(peer.hears(&mut host), [". 1 ack 1201 win 64335"]);
    let data = host.read(id, 9999).expect("data");
    let ends = [800, 900, 1100].map(|at| (data[at - 1], data[at]));
    assert_eq!((data.len(), ends), (1200, [(0, 1), (1, 2), (2, 3)]));
}

/// RFC 9293 3.8.6.2.2: a program that keeps up causes no segments of its own, one that lets the window close causes one.
#[test]
fn rfc9293_3_8_6_2_2_the_window_is_told_when_it_is_worth_a_segment() {
    let mut host = Host::new();
    let (id, mut peer) = offered(&mut host, None, true);
    let mut seq = 1;
    let mut says = |host: &mut Host, peer: &Peer, segments: u32| {
        for _ in 0..segments {
            host.hears(&peer.says(".", seq, 1, &[7; 1000]));
            seq += 1000;
        }
    };
    says(&mut host, &peer, 4);
    host.waits(millis(20));
    peer.hears(&mut host);
    host.read(id, 4000).expect("data");
    assert_eq!(
        peer.hears(&mut host),
        [""; 0],
        "61,535 are enough for a while"
    );
    says(&mut host, &peer, 40);
    host.waits(millis(20));
    peer.hears(&mut host);
    host.read(id, 1000).expect("data");
    assert_eq!(peer.hears(&mut host), [""; 0], "less than was there is");
    host.read(id, 39_000).expect("data");
    assert_eq!(peer.hears(&mut host), [". 1 ack 44001 win 65535"]);
}

/// What was read in a round trip, doubled: the window follows a peer that doubles what it sends, and one that is slow
/// leaves it as it was.
#[test]
fn a_window_grows_with_what_is_read_and_not_with_time() {
    let window_after = |each_round_trip: u32| {
        let mut host = Host::new();
        let remote = at(PEER, 80);
        let id = host.connect(remote);
        let mut peer = Peer::new(remote, host.tcp.local(id).expect("bound"));
        peer.hears(&mut host);
        host.waits(millis(50));
        host.hears(&peer.builds("S.", 0, 1, b"", |syn| syn.window_scale = Some(7)));
        let (mut seq, mut window) = (1, 0);
        for _ in 0..20 {
            let end = seq + each_round_trip.min(window << 7).max(1000);
            while seq < end {
                host.hears(&peer.says(".", seq, 1, &[7; 1000]));
                host.read(id, 9999).expect("data");
                seq += 1000;
            }
            host.waits(millis(100));
            let heard = peer.hears(&mut host).pop().expect("an acknowledgement");
            window = heard
                .rsplit(' ')
                .next()
                .and_then(|it| it.parse().ok())
                .expect("a window");
        }
        window << 7
    };
    // Two segments may be on their way to the program when the window is told.
    let near = |most: u32| most - 2500..=most;
    assert!(near(65_535).contains(&window_after(20_000)));
    assert!(near(2 * 200_000).contains(&window_after(200_000)));
    let most = window_after(u32::MAX);
    assert!(
        near(4 << 20).contains(&most),
        "the most that there may be: {most}"
    );
}

/// SO_RCVBUF on a connection that exists: what was promised is kept, and then there is less.
#[test]
fn a_smaller_receive_buffer_takes_nothing_back() {
    let mut host = Host::new();
    let (id, mut peer) = offered(&mut host, None, true);
    let small = SocketOption::ReceiveBuffer(4096);
    host.tcp.set_option(id, small).expect("option");
    for number in 0..44_u32 {
        host.hears(&peer.says(".", 1 + 1460 * number, 1, &[1; 1460]));
    }
    assert_eq!(
        host.tcp.unread(id),
        44 * 1460,
        "the window of the beginning"
    );
    host.waits(millis(20));
    assert_eq!(
        peer.hears(&mut host).pop().as_deref(),
        Some(". 1 ack 64241 win 1295")
    );
    host.read(id, 44 * 1460).expect("data");
    assert_eq!(peer.hears(&mut host), [". 1 ack 64241 win 4096"]);
}
