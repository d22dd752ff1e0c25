//! Floods of SYNs, and what a listener keeps of them (RFC 4987).

use proptest::prelude::*;
use smoltcp::wire::Ipv6Packet;

use super::*;
use crate::flow::Flow;
use crate::flow::cookie::LIFETIME;
use crate::flow::half_open::HalfOpen;

/// A host with room for few, whose listener at port 80 is told to make no more of them.
pub(super) fn crowded(v6: bool, backlog: usize) -> (Host, TcpId) {
    let limits = Limits {
        half_open_per_listener: 16,
        half_open: 24,
        ..Limits::default()
    };
    let mut host = if v6 { Host::of_ipv6() } else { Host::new() };
    host.tcp.limits = limits;
    let listener = host.listener(80, backlog);
    for number in 0..16 {
        let spoofed = Peer::new(spoofed(&host, number), SocketAddr::new(host.address, 80));
        host.hears(&spoofed.says("S", 0, 0, b""));
    }
    host.net.sent.clear();
    assert_eq!(host.tcp.counters().cookies_sent, 0);
    (host, listener)
}

/// Whatever the host had half open, there is room for nothing more.
pub(super) fn crowd(host: &mut Host) {
    host.poll();
    host.tcp.limits.half_open = 0;
    host.net.sent.clear();
}

pub(super) fn each_crowded(story: impl Fn(Host, TcpId)) {
    for v6 in [false, true] {
        let (host, listener) = crowded(v6, 8);
        story(host, listener);
    }
}

/// The sender that somebody pretends to be.
pub(super) fn spoofed(host: &Host, number: u32) -> SocketAddr {
    let address = match host.address {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::from_bits(0xc612_0000 + number)),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::from_bits(
            0x2001_0db8 << 96 | u128::from(number) << 64 | 1,
        )),
    };
    SocketAddr::new(address, 1024 + (number % 60_000) as u16)
}

pub(super) fn honest(host: &Host, port: u16) -> Peer {
    let ends = (host.peer, host.address);
    Peer::new(SocketAddr::new(ends.0, port), SocketAddr::new(ends.1, 80))
}

/// A SYN with all options, that the listener answers with a cookie.
pub(super) fn gets_cookie(host: &mut Host, peer: &mut Peer) {
    let before = host.tcp.counters().cookies_sent;
    let syn = peer.builds("S", 0, 0, b"", |syn| {
        syn.max_seg_size = Some(1400);
        syn.window_scale = Some(7);
        syn.sack_permitted = true;
    });
    host.hears(&syn);
    let mss = host.mss();
    assert_eq!(
        peer.hears(host),
        [format!("S. 0 ack 1 win 65535 mss {mss} ws 7 sack")]
    );
    assert_eq!(host.tcp.counters().cookies_sent, before + 1);
}

/// SYNs from a million different addresses.
struct Flood {
    packet: Vec<u8>,
    sent: u32,
}

impl Flood {
    fn new(host: &Host) -> Flood {
        let first = Peer::new(spoofed(host, 0), SocketAddr::new(host.address, 80));
        Flood {
            packet: first.says("S", 0, 0, b""),
            sent: 0,
        }
    }

    /// The next of them, written over the last, comes in.
    fn hits(&mut self, host: &mut Host) {
        self.sent += 1;
        let from = spoofed(host, self.sent);
        let header = match from.ip() {
            IpAddr::V4(address) => {
                let mut ip = Ipv4Packet::new_unchecked(&mut self.packet[..]);
                ip.set_src_addr(address);
                ip.fill_checksum();
                20
            }
            IpAddr::V6(address) => {
                Ipv6Packet::new_unchecked(&mut self.packet[..]).set_src_addr(address);
                40
            }
        };
        let mut tcp = TcpPacket::new_unchecked(&mut self.packet[header..]);
        tcp.set_src_port(from.port());
        tcp.fill_checksum(&from.ip().into(), &host.address.into());
        let arrival = Arrival {
            link: ETH0,
            looped: false,
        };
        host.tcp
            .ingress(host.now, arrival, &self.packet, &mut host.net);
    }
}

/// The story of the listener that one spoofed SYN held for ever (A016), a million times over.
#[test]
fn a_million_spoofed_syns_take_no_more_than_the_first_thousand() {
    let mut host = Host::new();
    let listener = host.listener(80, 4);
    let mut flood = Flood::new(&host);
    let (most, mut served) = (host.tcp.limits.half_open_per_listener, 0);
    for number in 1..=1_000_000 {
        flood.hits(&mut host);
        host.now += Duration::from_micros(10);
        if number % 1000 == 0 {
            host.poll();
            host.net.sent.clear();
            assert!(host.tcp.flow_count() <= most + served, "after {number}");
        }
        if number % 100_000 == 0 {
            let mut peer = honest(&host, number as u16);
            gets_cookie(&mut host, &mut peer);
            host.hears(&peer.says("P.", 1, 1, b"hello"));
            let id = host.tcp.accept(listener).expect("an honest peer");
            assert_eq!(host.read(id, 99), Ok(b"hello".to_vec()));
            host.close(id);
            host.hears(&peer.says("F.", 6, 2, b""));
            served += 1;
        }
    }
    let counters = host.tcp.counters();
    assert_eq!(counters.cookies_sent, 1_000_010 - most as u64);
    assert_eq!(
        (counters.cookies_accepted, counters.cookies_refused),
        (10, 0)
    );
    host.waits(seconds(64));
    assert_eq!(host.tcp.counters().half_open_timeouts, most as u64);
    assert_eq!(host.tcp.flow_count(), 0, "the flood leaves nothing behind");
    assert_eq!(host.tcp.next_deadline(), None);
}

/// What a flood takes is this, times the bounds.
#[test]
fn a_half_open_connection_is_small() {
    assert!(size_of::<HalfOpen>() <= 64, "{}", size_of::<HalfOpen>());
    assert!(size_of::<Flow>() <= 240, "{}", size_of::<Flow>());
}

#[test]
fn ten_thousand_half_open_peers_are_all_accepted_in_the_order_in_which_they_finish() {
    const COUNT: u32 = 10_000;
    let mut host = Host::with(Limits {
        backlog: 10_000,
        send_buffer: 1,
        receive_buffer: 1,
        ..Limits::default()
    });
    let listener = host.listener(80, 10_000);
    let mut peers: Vec<Peer> = (0..COUNT)
        .map(|number| Peer::new(spoofed(&host, number), at(HOST, 80)))
        .collect();
    for peer in &mut peers {
        host.hears(&peer.says("S", 0, 0, b""));
        assert_eq!(peer.hears(&mut host).len(), 1);
    }
    let remembered = host.tcp.limits.half_open_per_listener;
    assert_eq!(host.tcp.flow_count(), remembered);
    // Those that were remembered and those that were not, all mixed up.
    let order = (0..COUNT).map(|number| number * 7919 % COUNT);
    let order: Vec<&Peer> = order.map(|number| &peers[number as usize]).collect();
    for peer in &order {
        host.hears(&peer.says(".", 1, 1, b""));
    }
    for peer in &order {
        let id = host.tcp.accept(listener).expect("one each");
        assert_eq!(host.tcp.peer(id), Some(peer.end));
        host.hears(&peer.says("R", 1, 0, b""));
        host.close(id);
    }
    assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
    let accepted = u64::from(COUNT) - remembered as u64;
    assert_eq!(host.tcp.counters().cookies_accepted, accepted);
    host.waits(LIFETIME);
    assert_eq!(host.tcp.flow_count(), 0);
}

/// Whoever sends many SYNs gets a quarter of the records at most, and cookies then.
#[test]
fn one_source_does_not_take_the_records_of_all() {
    each_family(|mut host| {
        host.tcp.limits.half_open_per_listener = 16;
        host.listener(80, 8);
        for port in 1..=100 {
            host.hears(&honest(&host, port).says("S", 0, 0, b""));
        }
        assert_eq!(host.tcp.flow_count(), 4);
        assert_eq!(host.tcp.counters().cookies_sent, 96);
        let other = Peer::new(spoofed(&host, 7), SocketAddr::new(host.address, 80));
        host.hears(&other.says("S", 0, 0, b""));
        assert_eq!(host.tcp.flow_count(), 5, "another is remembered");
        host.waits(seconds(64));
        assert_eq!(host.tcp.flow_count(), 0);
        host.hears(&honest(&host, 1).says("S", 0, 0, b""));
        assert_eq!(host.tcp.flow_count(), 1, "and what was taken is given back");
    });
}

/// The same for an IPv6 network as a whole: its addresses cost nothing.
#[test]
fn an_ipv6_network_is_one_source() {
    let mut host = Host::of_ipv6();
    host.tcp.limits.half_open_per_listener = 16;
    host.listener(80, 8);
    for number in 0..100_u128 {
        let address = Ipv6Addr::from_bits(0x2001_0db8 << 96 | number);
        let peer = Peer::new((address, 9).into(), (HOST_V6, 80).into());
        host.hears(&peer.says("S", 0, 0, b""));
    }
    assert_eq!(host.tcp.flow_count(), 4);
}

/// What one of a few peers, or the program, does.
#[derive(Clone, Debug)]
enum Act {
    Syn(usize),
    /// The last ACK of its handshake, and octets that are its own.
    Acks(usize, usize),
    Guesses(usize, u32),
    Resets(usize, u32),
    Ends(usize),
    Accepts,
    Closes,
    ListensAnew(usize),
    Waits(u64),
    Room(Option<usize>),
}

const PEERS: usize = 6;

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..PEERS).prop_map(Act::Syn),
        6 => (0..PEERS, 0..9_usize).prop_map(|(peer, length)| Act::Acks(peer, length)),
        2 => (0..PEERS, any::<u32>()).prop_map(|(peer, ack)| Act::Guesses(peer, ack)),
        1 => (0..PEERS, 0..3_u32).prop_map(|(peer, seq)| Act::Resets(peer, seq)),
        1 => (0..PEERS).prop_map(Act::Ends),
        3 => Just(Act::Accepts),
        2 => Just(Act::Closes),
        1 => (0..4_usize).prop_map(Act::ListensAnew),
        2 => (0..40_000_u64).prop_map(Act::Waits),
        1 => proptest::option::of(0..3_usize).prop_map(Act::Room),
    ]
}

/// A listener with few records and a short queue, and who comes to it.
struct Door {
    host: Host,
    listener: TcpId,
    peers: Vec<Peer>,
    accepted: Vec<TcpId>,
}

impl Door {
    fn new(v6: bool) -> Door {
        let mut host = Host::of(v6);
        host.tcp.limits.half_open_per_listener = 2;
        host.tcp.limits.half_open = 3;
        let listener = host.listener(80, 2);
        let own = SocketAddr::new(host.address, 80);
        let peers = (0..PEERS).map(|number| Peer::new(spoofed(&host, number as u32), own));
        Door {
            peers: peers.collect(),
            host,
            listener,
            accepted: Vec::new(),
        }
    }

    fn says(&mut self, peer: usize, flags: &str, (seq, ack): (u32, u32), data: &[u8]) {
        let segment = self.peers[peer].says(flags, seq, ack, data);
        self.host.hears(&segment);
    }

    fn happens(&mut self, act: &Act) {
        match *act {
            Act::Syn(peer) => self.says(peer, "S", (0, 0), b""),
            Act::Acks(peer, length) => self.says(peer, "P.", (1, 1), &vec![peer as u8; length]),
            Act::Guesses(peer, ack) => self.says(peer, ".", (1, ack), b""),
            Act::Resets(peer, seq) => self.says(peer, "R", (seq, 0), b""),
            Act::Ends(peer) => self.says(peer, "F.", (1, 1), b""),
            Act::Accepts => self.accepts(),
            Act::Closes if self.accepted.is_empty() => (),
            Act::Closes => {
                let id = self.accepted.remove(0);
                self.host.close(id);
            }
            Act::ListensAnew(backlog) => {
                self.host.close(self.listener);
                self.listener = self.host.listener(80, backlog);
            }
            Act::Waits(time) => self.host.waits(millis(time)),
            Act::Room(room) => {
                match room {
                    Some(room) => self.host.net.room.insert(ETH0, room),
                    None => self.host.net.room.remove(&ETH0),
                };
                self.host.tcp.room_again(ETH0);
                self.host.poll();
            }
        }
        for peer in &mut self.peers {
            peer.hears(&mut self.host);
        }
        assert!(self.host.tcp.half_open.len() <= 2, "after {act:?}");
        assert_eq!(self.host.tcp.counters().overdue, 0, "after {act:?}");
    }

    /// What is read of a connection is what its own peer said.
    fn accepts(&mut self) {
        let Ok(id) = self.host.tcp.accept(self.listener) else {
            return;
        };
        let end = self.host.tcp.peer(id);
        let peer = self.peers.iter().position(|peer| Some(peer.end) == end);
        if let Ok(data) = self.host.read(id, 99) {
            let own = |&octet: &u8| Some(usize::from(octet)) == peer;
            assert!(data.iter().all(own), "{data:?} from {end:?}");
        }
        self.accepted.push(id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bounds hold at every moment, nobody hears what another said, and everything is given back.
    #[test]
    fn anything_may_happen_at_a_crowded_door(acts in proptest::collection::vec(act(), 1..80), v6 in any::<bool>()) {
        let mut door = Door::new(v6);
        for act in &acts {
            door.happens(act);
        }
        let Door { mut host, listener, accepted, .. } = door;
        host.net.room.clear();
        host.close(listener);
        accepted.into_iter().for_each(|id| host.close(id));
        host.waits(seconds(3600));
        prop_assert_eq!(host.tcp.flow_count(), 0);
        prop_assert_eq!(host.tcp.next_deadline(), None);
        prop_assert!(host.tcp.half_open.is_empty());
    }
}
