//! Who waits, and for what: each change that ends a wait is told, or whoever waits does so for ever.

use super::*;
use crate::socket::{How, SocketOption};

/// A connection whose reader wants 1000 octets, and all of them (MSG_WAITALL), of which ten are there. Readable and
/// writable it is already: that is not what the reader waits for.
fn wants_more(host: &mut Host) -> (TcpId, Peer) {
    let (id, mut peer) = connected(host);
    host.hears(&peer.says(".", 1, 1, &[1; 10]));
    host.waits(millis(10));
    peer.hears(host);
    assert_eq!(host.changed(), [id]);
    assert!(host.tcp.awaits(id, 1000));
    (id, peer)
}

#[test]
fn who_wants_more_than_there_is_hears_of_the_end() {
    each_family(|mut host| {
        let (id, peer) = wants_more(&mut host);
        host.hears(&peer.says("F.", 11, 1, b""));
        assert!(!host.tcp.awaits(id, 1000));
        assert_eq!(host.changed(), [id]);
    });
}

#[test]
fn who_wants_more_than_there_is_hears_of_a_reset() {
    each_family(|mut host| {
        let (id, peer) = wants_more(&mut host);
        host.hears(&peer.says("R", 11, 0, b""));
        assert!(!host.tcp.awaits(id, 1000));
        assert_eq!(host.changed(), [id]);
    });
}

#[test]
fn who_wants_more_than_there_is_hears_that_nobody_reads_on() {
    let mut host = Host::new();
    let (id, _) = wants_more(&mut host);
    host.tcp.shutdown(host.now, id, How::Read).expect("ends");
    assert!(!host.tcp.awaits(id, 1000));
    assert_eq!(host.changed(), [id]);
}

#[test]
fn who_wants_more_than_there_is_hears_that_the_peer_is_silent() {
    let mut host = Host::new();
    let (id, _) = wants_more(&mut host);
    for option in [
        SocketOption::KeepAliveIdle(seconds(10)),
        SocketOption::KeepAliveCount(1),
        SocketOption::KeepAlive(true),
    ] {
        host.tcp.set_option(id, option).expect("option");
    }
    host.poll();
    assert_eq!(host.changed(), []);
    host.waits(seconds(100));
    assert!(!host.tcp.awaits(id, 1000));
    assert_eq!(host.changed(), [id]);
}

/// SO_SNDBUF: the room that it makes is room like any other.
#[test]
fn a_writer_is_woken_by_a_larger_send_buffer() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    while host.send(id, &[0; 4096]).is_ok() {}
    peer.hears(&mut host);
    assert_eq!(host.readiness(id), NOT_READY);
    assert_eq!(host.changed(), []);
    let larger = SocketOption::SendBuffer(1 << 20);
    host.tcp.set_option(id, larger).expect("option");
    host.poll();
    assert_eq!(host.readiness(id), WRITABLE);
    assert_eq!(host.changed(), [id]);
}

/// SO_RCVBUF: of a smaller buffer a reader cannot want as much, and what is there may be enough.
#[test]
fn who_wants_more_than_a_smaller_buffer_holds_gets_what_there_is() {
    let mut host = Host::new();
    let (id, peer) = connected(&mut host);
    for part in 0..2 {
        host.hears(&peer.says(".", 1 + part * 1400, 1, &[1; 1400]));
    }
    assert_eq!(host.changed(), [id]);
    assert!(host.tcp.awaits(id, 30_000));
    let smaller = SocketOption::ReceiveBuffer(4096);
    host.tcp.set_option(id, smaller).expect("option");
    assert!(!host.tcp.awaits(id, 30_000));
    assert_eq!(host.changed(), [id]);
}
