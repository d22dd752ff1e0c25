//! A window that is taken back (RFC 9293 3.8.6), and Nagle's waiting (3.7.4).

use crate::flow::State;

use super::*;

/// RFC 9293 3.8.6: a peer should not shrink its window, and the sender must bear it.
#[test]
fn rfc9293_3_8_6_a_window_that_is_taken_back_is_borne() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.send(id, &[7; 5840]).expect("send");
    assert_eq!(peer.hears(&mut host).len(), 4);
    // It takes the first and has no room for the others.
    peer.window = 0;
    host.hears(&peer.says(".", 1, 1461, b""));
    for _ in 0..20 {
        host.waits(seconds(30));
        if !peer.hears(&mut host).is_empty() {
            host.hears(&peer.says(".", 1, 1461, b""));
        }
    }
    assert_eq!(host.tcp.state(id), Some(State::Established));
    peer.window = 64_000;
    host.hears(&peer.says(".", 1, 1461, b""));
    let mut ack = 1461;
    for _ in 0..10 {
        host.waits(seconds(61));
        for line in peer.hears(&mut host) {
            ack = ack.max(super::data::end_of(&line).unwrap_or(0));
        }
        host.hears(&peer.says(".", 1, ack, b""));
    }
    assert_eq!(ack, 5841);
    assert_eq!(host.tcp.unacknowledged(id), 0);
}

/// RFC 9293 3.7.4: full segments leave, what is over waits for the acknowledgement.
#[test]
fn rfc9293_3_7_4_only_the_odd_end_waits() {
    each_family(|mut host| {
        let (id, mut peer) = connected(&mut host);
        let mss = u32::from(host.mss());
        host.send(id, &vec![7; 2 * mss as usize]).expect("send");
        host.send(id, b"odd").expect("send");
        assert_eq!(peer.hears(&mut host).len(), 2);
        host.hears(&peer.says(".", 1, 1 + mss, b""));
        assert_eq!(peer.hears(&mut host), [""; 0], "one is still on its way");
        host.hears(&peer.says(".", 1, 1 + 2 * mss, b""));
        let end = format!("P. {}(3) ack 1 win 65535", 1 + 2 * mss);
        assert_eq!(peer.hears(&mut host), [end]);
    });
}

/// Nothing will follow that would be worth waiting for.
#[test]
fn rfc9293_3_7_4_the_last_words_do_not_wait() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.send(id, b"one").expect("send");
    host.tcp.send(host.now, id, b"two").expect("send");
    host.close(id);
    assert_eq!(
        peer.hears(&mut host),
        ["P. 1(3) ack 1 win 65535", "F. 4(3) ack 1 win 65535"]
    );
}
