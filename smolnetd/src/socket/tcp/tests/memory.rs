//! The budget of memory: what happens when it is short, who bears it, and that everything is given back.

use super::pair::loops;
use super::*;
use crate::flow::memory::FLOOR;

/// A host whose connections may hold `bytes` of memory.
pub(super) fn with_memory(bytes: usize) -> Host {
    Host::with(Limits {
        memory: bytes,
        memory_per_user: bytes,
        ..Limits::default()
    })
}

/// Both ends of a connection of the host with itself.
fn connects_to_itself(host: &mut Host, listener: TcpId) -> (TcpId, TcpId) {
    let client = host.connect(at(HOST, 80));
    loops(host);
    (client, host.tcp.accept(listener).expect("accepted"))
}

/// The program at one end writes until nothing fits, the one at the other never reads.
fn fills(host: &mut Host, client: TcpId) -> usize {
    let mut written = 0;
    while let Ok(octets) = host.send(client, &[7; 20_000]) {
        written += octets;
        loops(host);
    }
    written
}

/// A program sends `octets` to one that reads each millisecond. How long that takes.
fn carries(host: &mut Host, (client, server): (TcpId, TcpId), octets: usize) -> Duration {
    let (start, mut sent, mut received) = (host.now, 0, 0);
    while received < octets {
        sent += host.send(client, &vec![3; octets - sent]).unwrap_or(0);
        loops(host);
        received += host.read(server, 65_536).map_or(0, |data| data.len());
        loops(host);
        host.waits(millis(1));
        loops(host);
        assert!(host.now < start + seconds(60), "{received} of {octets}");
    }
    host.now - start
}

/// Both ends of all of them close, and nothing is held any more.
fn all_close(host: &mut Host, pairs: impl Iterator<Item = (TcpId, TcpId)>) {
    for (client, server) in pairs {
        host.close(server);
        loops(host);
        host.close(client);
        loops(host);
    }
    assert_eq!(host.tcp.memory().held(), 0);
}

#[test]
fn a_thousand_that_never_read_cost_others_nothing_and_give_everything_back() {
    let mut host = Host::with(Limits {
        memory: 96 << 20,
        memory_per_user: 96 << 20,
        receive_buffer: 16 << 10,
        send_buffer: 32 << 10,
        ..Limits::default()
    });
    let listener = host.listener(80, 8);
    let pair = connects_to_itself(&mut host, listener);
    carries(&mut host, pair, 4 << 20);
    let alone = carries(&mut host, pair, 8 << 20);

    let hoards: Vec<_> = (0..1000)
        .map(|_| connects_to_itself(&mut host, listener))
        .collect();
    for (client, _) in &hoards {
        // What the peer has no room for stays in our buffer.
        assert!(fills(&mut host, *client) >= 48 << 10);
    }
    let held = host.tcp.memory().held();
    assert!((48_000_000..96 << 20).contains(&held), "{held}");
    let crowded = carries(&mut host, pair, 8 << 20);
    assert!(crowded * 4 <= alone * 5, "{crowded} instead of {alone}");

    all_close(&mut host, hoards.into_iter().chain([pair]));
}

#[test]
fn when_hoards_have_taken_everything_there_is_still_a_way_through() {
    let mut host = with_memory(4 << 20);
    let listener = host.listener(80, 8);
    let hoards: Vec<_> = (0..300)
        .map(|_| connects_to_itself(&mut host, listener))
        .collect();
    let mut wanted = 0;
    for (client, _) in &hoards {
        wanted += fills(&mut host, *client);
    }
    let (held, ends) = (host.tcp.memory().held(), 2 * hoards.len());
    // They would have held 300 × (64 + 64) KiB.
    assert!(held > 3 << 20, "{held} of {wanted}");
    assert!(held <= (4 << 20) + ends * 2 * FLOOR, "{held}");
    assert!(host.tcp.counters().writes_without_memory > 0);

    let pair = connects_to_itself(&mut host, listener);
    carries(&mut host, pair, 1 << 20);
    all_close(&mut host, hoards.into_iter().chain([pair]));
    let (client, _) = connects_to_itself(&mut host, listener);
    assert!(fills(&mut host, client) > 96 << 10, "as at the beginning");
}

#[test]
fn a_writer_without_memory_waits_and_is_woken_by_what_is_acknowledged() {
    let mut host = with_memory(100_000);
    let (id, mut peer) = connected(&mut host);
    // An eighth of what there is.
    assert_eq!(host.send(id, &[1; 50_000]), Ok(12_500));
    assert_eq!(host.send(id, b"x"), Err(SocketError::WouldBlock));
    assert_eq!(host.readiness(id), NOT_READY);
    assert_eq!(host.tcp.counters().writes_without_memory, 2);
    host.hears(&peer.says(".", 1, 11_681, b""));
    assert_eq!(host.changed(), [id]);
    host.hears(&peer.says(".", 1, 12_501, b""));
    assert_eq!(host.readiness(id), WRITABLE);
    assert_eq!(host.tcp.memory().held(), 0);
    assert!(
        host.send(id, &[1; 50_000])
            .is_ok_and(|octets| octets >= 11_000)
    );
    peer.hears(&mut host);
}

#[test]
fn one_users_hoard_is_no_other_users_loss() {
    let mut host = Host::with(Limits {
        memory: 4 << 20,
        memory_per_user: 2 << 20,
        ..Limits::default()
    });
    let mut writes = |uid: u32| {
        let id = host.tcp.open(Owner { uid }).expect("a socket");
        host.connect_with(id, at(PEER, 80)).expect("connect");
        let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
        peer.hears(&mut host);
        peer.window = 0;
        host.hears(&peer.says("S.", 0, 1, b""));
        host.send(id, &[1; 64 << 10]).expect("something fits")
    };
    assert_eq!(writes(1), 64 << 10);
    let hoards: usize = (0..50).map(|_| writes(1)).sum();
    assert!(hoards <= (2 << 20) + 50 * FLOOR, "{hoards}");
    assert!(writes(1) <= 16 << 10);
    assert_eq!(writes(2), 64 << 10);
}

/// What was promised cannot be kept without memory; but nothing ever comes to a standstill.
#[test]
fn without_any_memory_a_connection_goes_on_with_the_least() {
    let mut host = with_memory(0);
    let (id, mut peer) = connected(&mut host);
    // Early is refused only by those who hold much already.
    host.hears(&peer.says(".", 20_001, 1, &[4; 1460]));
    host.hears(&peer.says(".", 24_001, 1, &[4; 1460]));
    host.hears(&peer.says(".", 28_001, 1, &[4; 1460]));
    assert!(host.tcp.counters().early_without_memory > 0);
    // Next comes first: what was early is forgotten for it.
    host.hears(&peer.says(".", 1, 1, &[1; 1460]));
    assert_eq!(host.tcp.counters().forgotten_without_memory, 1);
    for number in 1..6 {
        host.hears(&peer.says(".", 1 + number * 1460, 1, &[1; 1460]));
    }
    assert_eq!(host.tcp.unread(id), 6 * 1460);
    peer.hears(&mut host);
    host.hears(&peer.says(".", 8761, 1, &[2; 1460]));
    assert_eq!(host.tcp.counters().dropped_without_memory, 1);
    assert_eq!(
        peer.hears(&mut host),
        [". 1 ack 8761 win 56775"],
        "nothing is taken back"
    );

    assert_eq!(host.read(id, 99_999).map(|data| data.len()), Ok(8760));
    host.hears(&peer.says("P.", 8761, 1, &[2; 1460]));
    assert_eq!(host.read(id, 99_999), Ok(vec![2; 1460]));
    assert_eq!(host.tcp.memory().held(), 0);
}

/// A window that was promised in better times is used up and not renewed beyond what there is memory for.
#[test]
fn when_memory_gets_short_windows_end_where_they_were_promised() {
    let mut host = Host::with(Limits {
        memory: 400_000,
        memory_per_user: 400_000,
        send_buffer: 400_000,
        ..Limits::default()
    });
    let (id, mut peer) = connected(&mut host);
    let hoards: Vec<_> = (0..40)
        .map(|_| {
            let (id, _) = connected_to_nobody(&mut host);
            let _ = host.send(id, &[1; 400_000]);
            id
        })
        .collect();
    let most = 8192;
    let mut seq = 1;
    let mut edge = 65_536;
    for _ in 0..100 {
        host.hears(&peer.says(".", seq, 1, &[1; 1460]));
        seq += 1460;
        assert_eq!(host.read(id, 9999).map(|data| data.len()), Ok(1460));
        host.waits(millis(20));
        let heard = peer.hears(&mut host).pop().expect("an acknowledgement");
        let window = window_of(&heard);
        assert!(seq + window >= edge, "taken back: {heard}");
        edge = seq + window;
        assert!(
            seq < 57_000 || (most - 1460..=most).contains(&window),
            "{heard}"
        );
    }
    for id in hoards {
        host.tcp.abort(host.now, id);
    }
    host.poll();
    host.hears(&peer.says(".", seq, 1, &[1; 1460]));
    host.hears(&peer.says(".", seq + 1460, 1, &[1; 1460]));
    assert_eq!(host.read(id, 9999).map(|data| data.len()), Ok(2920));
    host.waits(millis(20));
    let heard = peer.hears(&mut host).pop().expect("an acknowledgement");
    assert!(window_of(&heard) > 40_000, "{heard}");
}

/// The window that a line tells.
fn window_of(heard: &str) -> u32 {
    let window = heard.rsplit(' ').next();
    window
        .and_then(|window| window.parse().ok())
        .expect("a window")
}

/// A connection to a peer that takes nothing.
fn connected_to_nobody(host: &mut Host) -> (TcpId, Peer) {
    let id = host.connect(at(PEER, 81));
    let mut peer = Peer::new(at(PEER, 81), host.tcp.local(id).expect("bound"));
    peer.hears(host);
    peer.window = 0;
    host.hears(&peer.says("S.", 0, 1, b""));
    host.changed();
    peer.hears(host);
    (id, peer)
}

/// Who closes with something to deliver when nothing is left lets go of it at once.
#[test]
fn without_any_memory_a_closed_socket_delivers_nothing_more() {
    let mut host = with_memory(0);
    let (id, mut peer) = connected_to_nobody(&mut host);
    assert_eq!(host.send(id, &[1; 50_000]), Ok(FLOOR));
    peer.hears(&mut host);
    host.close(id);
    assert_eq!(host.tcp.counters().orphans_without_memory, 1);
    let heard = peer.hears(&mut host);
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with("R. "), "{heard:?}");
    assert_eq!((host.tcp.memory().held(), host.tcp.flow_count()), (0, 0));
}
