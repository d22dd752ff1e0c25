//! Anything a peer may say, near what makes sense and far from it: no panic, no lie, no standstill.

use proptest::prelude::*;

use super::*;
use crate::socket::tcp::IcmpError;
use crate::socket::{How, SocketOption};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Act {
    Says {
        flags: &'static str,
        seq: i32,
        ack: i32,
        length: usize,
        window: u16,
    },
    Syn {
        mss: Option<u16>,
        scale: Option<u8>,
        seq: i32,
    },
    Writes(usize),
    Reads(usize),
    Shuts,
    Waits(u64),
    Room(Option<usize>),
    TooBig {
        mtu: u16,
        seq: i32,
    },
    /// An acknowledgement with blocks.
    Has {
        ack: i32,
        blocks: [Option<(i32, i32)>; 3],
    },
    Sets(SocketOption),
}

fn option() -> impl Strategy<Value = SocketOption> {
    let time =
        || prop_oneof![Just(1_u64), 1..3_000_000_u64, any::<u64>()].prop_map(Duration::from_micros);
    let bytes = || prop_oneof![0..5000_usize, any::<usize>()];
    prop_oneof![
        bytes().prop_map(SocketOption::ReceiveBuffer),
        bytes().prop_map(SocketOption::SendBuffer),
        any::<bool>().prop_map(SocketOption::NoDelay),
        any::<bool>().prop_map(SocketOption::KeepAlive),
        time().prop_map(SocketOption::KeepAliveIdle),
        time().prop_map(SocketOption::KeepAliveInterval),
        (0..4_u32).prop_map(SocketOption::KeepAliveCount),
        proptest::option::of(time()).prop_map(SocketOption::UserTimeout),
        proptest::option::of(time()).prop_map(SocketOption::Linger),
    ]
}

fn near() -> impl Strategy<Value = i32> {
    prop_oneof![
        4 => Just(0),
        3 => -3..4_i32,
        2 => -3000..3000_i32,
        1 => -70_000..70_000_i32,
        1 => any::<i32>(),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let flags = prop_oneof![6 => Just("."), 3 => Just("P."), 2 => Just("F."), 1 => Just("R."), 1 => Just("R"), 1 => Just("S."), 1 => Just("")];
    let length =
        prop_oneof![3 => Just(0_usize), 3 => 1..10_usize, 2 => 1000..1460_usize, 1 => Just(20_000)];
    let window = prop_oneof![2 => Just(64_000_u16), 1 => 0..3_u16, 1 => any::<u16>()];
    prop_oneof![
        8 => (flags, near(), near(), length, window)
            .prop_map(|(flags, seq, ack, length, window)| Act::Says { flags, seq, ack, length, window }),
        1 => (any::<Option<u16>>(), any::<Option<u8>>(), near()).prop_map(|(mss, scale, seq)| Act::Syn { mss, scale, seq }),
        3 => (0..5000_usize).prop_map(Act::Writes),
        3 => prop_oneof![1..100_usize, Just(70_000)].prop_map(Act::Reads),
        1 => Just(Act::Shuts),
        2 => (0..5000_u64).prop_map(Act::Waits),
        1 => proptest::option::of(0..3_usize).prop_map(Act::Room),
        1 => (prop_oneof![0..1600_u16, any::<u16>()], near()).prop_map(|(mtu, seq)| Act::TooBig { mtu, seq }),
        2 => (near(), any::<[Option<()>; 3]>(), any::<[u8; 6]>()).prop_map(|(ack, some, edges)| {
            // In octets before what was sent last, and in some cases far away.
            let far = |edge: u8| if edge & 7 == 7 { 1 << 16 } else { 97 };
            let edge = |at: usize| -(i32::from(edges[at]) * far(edges[at]));
            let block = |at: usize| some[at].map(|()| (edge(2 * at), edge(2 * at + 1)));
            Act::Has { ack, blocks: [block(0), block(1), block(2)] }
        }),
        1 => option().prop_map(Act::Sets),
    ]
}

/// What the peer knows from the host's segments: where the host is, so that "near" means near.
#[derive(Default)]
struct Heard {
    /// The peer has said where it starts.
    started: bool,
    sent: u32,
    acked: u32,
    most: u32,
}

fn listen_to(peer: &mut Peer, host: &mut Host, heard: &mut Heard) {
    for line in peer
        .hears(host)
        .into_iter()
        .filter(|line| !line.starts_with('R'))
    {
        let mut words = line.split_whitespace().skip(1);
        let place = words.next().expect("a sequence number");
        let (start, length) = match place.split_once('(') {
            Some((start, rest)) => (start, rest.trim_end_matches(')')),
            None => (place, "0"),
        };
        let start: i32 = start.parse().expect("a number");
        let control = u32::from(line.starts_with('F') || line.starts_with('S'));
        heard.sent = (start as u32)
            .wrapping_add(length.parse().expect("a length"))
            .wrapping_add(control);
        if let Some(ack) = line
            .split("ack ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
        {
            let ack = ack.parse::<i32>().expect("a number") as u32;
            let forward = ack.wrapping_sub(heard.acked) as i32 >= 0 || !heard.started;
            assert!(forward, "acknowledgements go back: {line}");
            heard.acked = ack;
        }
        // What was said first may be lost and said again; it may not be different in length of the stream.
        heard.most = heard.most.max(heard.sent);
    }
}

fn happens(
    host: &mut Host,
    peer: &mut Peer,
    heard: &mut Heard,
    id: TcpId,
    act: &Act,
    written: &mut u32,
) {
    match *act {
        Act::Says {
            flags,
            seq,
            ack,
            length,
            window,
        } => {
            peer.window = window;
            let seq = heard.acked.wrapping_add(seq as u32);
            let ack = heard.sent.wrapping_add(ack as u32);
            let packet = peer.says(flags, seq, ack, &vec![b'?'; length]);
            host.hears(&packet);
        }
        Act::Syn { mss, scale, seq } => {
            let seq = heard.acked.wrapping_add(seq as u32).wrapping_sub(1);
            let packet = peer.builds("S", seq, 0, b"", |syn| {
                syn.max_seg_size = mss;
                syn.window_scale = scale;
            });
            host.hears(&packet);
        }
        Act::Writes(length) => {
            if let Ok(length) = host.send(id, &vec![b'!'; length]) {
                *written += length as u32;
            }
        }
        Act::Reads(length) => {
            let _ = host.read(id, length);
        }
        Act::Shuts => {
            let _ = host.tcp.shutdown(host.now, id, How::Write);
            host.poll();
        }
        Act::Waits(time) => host.waits(millis(time)),
        Act::Room(room) => {
            match room {
                Some(room) => host.net.room.insert(ETH0, room),
                None => host.net.room.remove(&ETH0),
            };
            host.tcp.room_again(ETH0);
            host.poll();
        }
        Act::Has { .. } => (),
        Act::Sets(option) => {
            let _ = host.tcp.set_option(id, option);
            host.poll();
        }
        Act::TooBig { mtu, seq } => {
            let seq = peer
                .host_start
                .wrapping_add(heard.sent)
                .wrapping_add(seq as u32);
            let too_big = IcmpError::PacketTooBig { mtu };
            host.tcp
                .icmp_error(host.now, peer.host, peer.end, seq.wrapping_sub(1), too_big);
            host.poll();
        }
    }
    if let Act::Has { ack, blocks } = *act {
        let at = |offset: i32| heard.sent.wrapping_add(offset as u32);
        let number = |offset| peer.host_start.wrapping_add(at(offset));
        let packet = peer.builds(".", heard.acked, at(ack), b"", |says| {
            says.sack_ranges =
                blocks.map(|block| block.map(|(left, right)| (number(left), number(right))));
        });
        host.hears(&packet);
    }
    listen_to(peer, host, heard);
    let counters = host.tcp.counters();
    assert_eq!(counters.overdue, 0, "nobody runs in circles");
    assert!(
        heard.most <= *written + 2,
        "more was sent than was written after {act:?}"
    );
}

/// Who could wait for something: a reader, a writer, and readers that want so many octets and all of them.
fn waits_for(host: &Host, id: TcpId) -> Vec<(&'static str, bool)> {
    let Readiness { readable, writable } = host.readiness(id);
    let all = |octets| host.tcp.awaits(id, octets);
    vec![
        ("a reader", !readable),
        ("a writer", !writable),
        ("of 50 octets", all(50)),
        ("of 5000 octets", all(5000)),
        ("of more than the buffer", all(1 << 20)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A connection survives anything or ends for a reason; either way the socket can be closed and nothing is left.
    #[test]
    fn anything_may_be_said_in_a_connection(acts in proptest::collection::vec(act(), 1..60), scale in any::<Option<u8>>(), sack in any::<bool>(), v6 in any::<bool>()) {
        let mut host = Host::of(v6);
        let remote = SocketAddr::new(host.peer, 80);
        let id = host.connect(remote);
        let mut peer = Peer::new(remote, host.tcp.local(id).expect("bound"));
        let (mut heard, mut written) = (Heard::default(), 0);
        listen_to(&mut peer, &mut host, &mut heard);
        host.hears(&peer.builds("S.", 0, 1, b"", |syn| {
            syn.window_scale = scale;
            syn.sack_permitted = sack;
        }));
        listen_to(&mut peer, &mut host, &mut heard);
        heard.started = true;
        for act in &acts {
            host.changed();
            let before = waits_for(&host, id);
            happens(&mut host, &mut peer, &mut heard, id, act, &mut written);
            let after = waits_for(&host, id);
            let ended = before.iter().zip(&after).find(|((_, waited), (_, waits))| *waited && !waits);
            if let Some(((who, _), _)) = ended {
                prop_assert_eq!(host.changed(), [id], "{} waits for ever after {:?}", who, act);
            }
        }
        host.net.room.clear();
        host.close(id);
        host.waits(seconds(3600));
        prop_assert_eq!(host.tcp.flow_count(), 0);
        prop_assert_eq!(host.tcp.next_deadline(), None);
    }

    /// The same before there is a connection: an attempt, and a listener.
    #[test]
    fn anything_may_be_said_before_a_connection(acts in proptest::collection::vec(act(), 1..30), active in any::<bool>(), v6 in any::<bool>()) {
        let mut host = Host::of(v6);
        let (local, remote) = (SocketAddr::new(host.address, 80), SocketAddr::new(host.peer, 80));
        let (id, mut peer) = if active {
            let id = host.connect(remote);
            (id, Peer::new(remote, host.tcp.local(id).expect("bound")))
        } else {
            (host.listener(80, 2), Peer::new(remote, local))
        };
        let (mut heard, mut written) = (Heard::default(), 0);
        listen_to(&mut peer, &mut host, &mut heard);
        for act in &acts {
            heard.most = 0;
            happens(&mut host, &mut peer, &mut heard, id, act, &mut written);
        }
        host.net.room.clear();
        host.close(id);
        host.waits(seconds(3600));
        prop_assert_eq!(host.tcp.flow_count(), 0);
        prop_assert_eq!(host.tcp.next_deadline(), None);
    }

    /// Bytes that are no packets at all.
    #[test]
    fn any_bytes_may_come_in(mut bytes in proptest::collection::vec(any::<u8>(), 0..100), like_ip in proptest::option::of(prop_oneof![Just(0x45), Just(0x60)])) {
        let mut host = Host::new();
        host.listener(80, 2);
        if let (Some(version), Some(first)) = (like_ip, bytes.first_mut()) {
            *first = version;
        }
        let arrival = Arrival { link: ETH0, looped: false };
        host.tcp.ingress(host.now, arrival, &bytes, &mut host.net);
        host.tcp.refuse(host.now, arrival, &bytes, &mut host.net);
        prop_assert!(host.net.sent.is_empty());
    }

    /// A forger who knows everything but the exact sequence numbers cannot end a connection, nor put a byte in it that
    /// the peer did not send, nor make the host forget what it has to send.
    #[test]
    fn a_forger_off_the_path_does_no_harm(
        forged in proptest::collection::vec(
            (prop_oneof![Just("."), Just("F."), Just("R."), Just("R"), Just("S"), Just("S.")], 1_000_000..u32::MAX - 1_000_000, any::<u32>(), 0..20_usize),
            1..40,
        ),
        v6 in any::<bool>(),
    ) {
        let mut host = Host::of(v6);
        let (id, mut peer) = connected(&mut host);
        host.send(id, b"what the host says").expect("send");
        for (flags, seq, ack, length) in forged {
            host.hears(&peer.says(flags, seq, ack, &vec![b'!'; length]));
        }
        peer.hears(&mut host);
        host.hears(&peer.says("P.", 1, 1, b"what the peer says"));
        prop_assert_eq!(host.read(id, 99), Ok(b"what the peer says".to_vec()));
        host.waits(seconds(1));
        let again = peer.hears(&mut host);
        prop_assert!(again.iter().any(|line| line.starts_with("P. 1(18) ack 19 ")), "{:?}", again);
        host.hears(&peer.says(".", 19, 19, b""));
        prop_assert_eq!(host.readiness(id), WRITABLE);
    }
}
