//! The reference model of a connection is two queues: what one end wrote is what the other reads, in order, to the last
//! octet and then the end, whatever the network and others who speak in the ends' names do.

use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

use super::*;
use crate::flow::sequence::Seq;
use crate::socket::tcp::IcmpError;
use crate::socket::{How, SocketOption};

/// What the network does to packets, in per cent; and how the programs behave.
#[derive(Clone, Debug)]
struct Circumstances {
    seed: u64,
    loss: u64,
    double: u64,
    late: u64,
    split: u64,
    /// Somebody speaks in the name of one end.
    forge: u64,
    /// The path's MTU becomes another.
    narrow: u64,
    lengths: [usize; 2],
    write: usize,
    read: usize,
    send_buffer: Option<usize>,
    receive_buffer: Option<usize>,
    no_delay: bool,
    v6: bool,
}

fn circumstances() -> impl Strategy<Value = Circumstances> {
    let weather = (
        1..u64::MAX,
        0..15_u64,
        0..10_u64,
        0..25_u64,
        0..20_u64,
        0..10_u64,
        0..3_u64,
    );
    let length = || prop_oneof![Just(0_usize), 1..3000_usize, 1..120_000_usize];
    let chunk = || prop_oneof![1..10_usize, 100..3000_usize, Just(100_000)];
    let buffer = || proptest::option::of(2048..100_000_usize);
    let programs = (length(), length(), chunk(), chunk(), buffer(), buffer());
    (weather, programs, any::<bool>(), any::<bool>()).prop_map(
        |((seed, loss, double, late, split, forge, narrow), programs, no_delay, v6)| {
            let (one, two, write, read, send_buffer, receive_buffer) = programs;
            Circumstances {
                seed,
                loss,
                double,
                late,
                split,
                forge,
                narrow,
                lengths: [one, two],
                // One octet at a time takes too long for much.
                write: write.max(one.max(two) / 500),
                read: read.max(one.max(two) / 500),
                send_buffer,
                receive_buffer,
                no_delay,
                v6,
            }
        },
    )
}

/// A small generator of its own.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % most
    }

    fn roll(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A packet in parts, to be put together in another way.
fn rebuilt(packet: &[u8], change: impl Fn(&mut TcpRepr<'_>)) -> Vec<u8> {
    let ip = crate::ip::Incoming::parse(packet).expect("an IP packet");
    let (source, destination) = (ip.source.into(), ip.destination.into());
    let ignored = ChecksumCapabilities::ignored();
    let tcp = TcpPacket::new_checked(ip.payload).expect("a segment");
    let mut repr = TcpRepr::parse(&tcp, &source, &destination, &ignored).expect("a segment");
    change(&mut repr);
    let ip = IpRepr::new(source, destination, IpProtocol::Tcp, repr.buffer_len(), 64);
    let mut packet = vec![0; ip.buffer_len()];
    ip.emit(&mut packet[..], &ChecksumCapabilities::default());
    let mut segment = TcpPacket::new_unchecked(&mut packet[ip.header_len()..]);
    repr.emit(
        &mut segment,
        &source,
        &destination,
        &ChecksumCapabilities::default(),
    );
    packet
}

/// The same octets in two segments.
fn split(packet: &[u8], dice: &mut Dice) -> Vec<Vec<u8>> {
    let ip = crate::ip::Incoming::parse(packet).expect("an IP packet");
    let tcp = TcpPacket::new_checked(ip.payload).expect("a segment");
    let length = tcp.payload().len();
    if length < 2 {
        return vec![packet.to_vec()];
    }
    let at = 1 + dice.below(length as u64 - 1) as usize;
    let first = rebuilt(packet, |repr| {
        repr.payload = &repr.payload[..at];
        repr.control = TcpControl::None;
    });
    let second = rebuilt(packet, |repr| {
        repr.payload = &repr.payload[at..];
        repr.seq_number = TcpSeqNumber((repr.seq_number.0 as u32).wrapping_add(at as u32) as i32);
    });
    vec![first, second]
}

struct World {
    hosts: [Host; 2],
    ids: [TcpId; 2],
    flying: Vec<(Instant, usize, Vec<u8>)>,
    dice: Dice,
    circumstances: Circumstances,
    /// What the path between them carries.
    mtu: u16,
}

impl World {
    /// Two hosts with a connection between them, made while the weather was good.
    fn new(circumstances: Circumstances) -> World {
        let (mut a, mut b) = (Host::of(circumstances.v6), Host::of(circumstances.v6));
        (b.address, b.peer) = (a.peer, a.address);
        for host in [&mut a, &mut b] {
            host.net.own = vec![host.address];
        }
        let (listener, client) = (b.socket(), a.socket());
        let end = SocketAddr::new(b.address, 80);
        b.tcp.bind(listener, end, false).expect("bind");
        let options = [
            circumstances.send_buffer.map(SocketOption::SendBuffer),
            circumstances
                .receive_buffer
                .map(SocketOption::ReceiveBuffer),
            Some(SocketOption::NoDelay(circumstances.no_delay)),
        ];
        for option in options.into_iter().flatten() {
            a.tcp.set_option(client, option).expect("option");
            b.tcp.set_option(listener, option).expect("option");
        }
        b.tcp.listen(listener, 1).expect("listen");
        a.connect_with(client, end).expect("connect");
        for _ in 0..3 {
            while let Some((_, packet)) = a.net.sent.pop_front() {
                b.hears(&packet);
            }
            while let Some((_, packet)) = b.net.sent.pop_front() {
                a.hears(&packet);
            }
        }
        let server = b.tcp.accept(listener).expect("a connection");
        World {
            hosts: [a, b],
            ids: [client, server],
            flying: Vec::new(),
            dice: Dice(circumstances.seed),
            circumstances,
            mtu: 1500,
        }
    }

    fn send_off(&mut self, from: usize, packet: Vec<u8>) {
        let host = &mut self.hosts[from];
        if packet.len() > usize::from(self.mtu) {
            let ip = crate::ip::Incoming::parse(&packet).expect("an IP packet");
            let tcp = TcpPacket::new_checked(ip.payload).expect("a segment");
            let ends = (
                SocketAddr::new(ip.source, tcp.src_port()),
                SocketAddr::new(ip.destination, tcp.dst_port()),
            );
            let error = IcmpError::PacketTooBig { mtu: self.mtu };
            let seq = tcp.seq_number().0 as u32;
            host.tcp.icmp_error(host.now, ends.0, ends.1, seq, error);
            return;
        }
        let copies = 1 + u64::from(self.dice.roll(self.circumstances.double));
        for _ in 0..copies {
            if self.dice.roll(self.circumstances.loss) {
                continue;
            }
            let late = if self.dice.roll(self.circumstances.late) {
                self.dice.below(20)
            } else {
                0
            };
            let pieces = if self.dice.roll(self.circumstances.split) {
                split(&packet, &mut self.dice)
            } else {
                vec![packet.clone()]
            };
            for piece in pieces {
                let at = host.now + millis(5 + late);
                self.flying.push((at, 1 - from, piece));
            }
        }
    }

    /// Somebody who knows the sequence numbers, but must not be believed (RFC 5961, RFC 9293 3.10.7.4).
    fn forgery(&mut self, to: usize) -> Option<Vec<u8>> {
        let (host, id) = (&self.hosts[to], self.ids[to]);
        let connection = host.tcp.connection(id).filter(|it| !it.is_over())?;
        let mut peer = Peer::new(host.tcp.peer(id)?, host.tcp.local(id)?);
        (peer.start, peer.host_start) = (0, 0);
        let number = |seq: Seq, more: u64| seq.0.wrapping_add(more as u32);
        let (next, max) = (connection.rcv_nxt(), connection.snd_nxt());
        let far = 1 + self.dice.below(50_000);
        let ack = number(connection.snd_una(), 0);
        Some(match self.dice.below(6) {
            0 => peer.says("R", number(next, far), 0, b""),
            1 => peer.says("S", number(next, far), 0, b""),
            2 => peer.says("P.", number(next, 0), number(max, far + 1), b"forged"),
            3 => peer.says("P.", number(next, 0), ack.wrapping_sub(1 << 30), b"forged"),
            4 => peer.says("P", number(next, 0), 0, b"forged"),
            _ => peer.says("F.", number(next, 5 << 20), ack, b"forged"),
        })
    }

    /// Goes on to whatever happens next. False when nothing will.
    fn step(&mut self) -> bool {
        for from in 0..2 {
            while let Some((_, packet)) = self.hosts[from].net.sent.pop_front() {
                self.send_off(from, packet);
            }
        }
        let arrival = self.flying.iter().map(|&(at, ..)| at).min();
        let dues = self
            .hosts
            .iter()
            .filter_map(|host| host.tcp.next_deadline());
        let Some(now) = dues.chain(arrival).min() else {
            return false;
        };
        for host in &mut self.hosts {
            host.now = host.now.max(now);
            host.poll();
            assert_eq!(host.tcp.counters().overdue, 0, "nobody runs in circles");
        }
        let now = self.hosts[0].now;
        let landing = self.flying.extract_if(.., |&mut (at, ..)| at <= now);
        for (_, to, packet) in landing.collect::<Vec<_>>() {
            self.hosts[to].hears(&packet);
        }
        for to in 0..2 {
            if self.dice.roll(self.circumstances.forge)
                && let Some(packet) = self.forgery(to)
            {
                self.hosts[to].hears(&packet);
            }
        }
        if self.dice.roll(self.circumstances.narrow) {
            self.mtu = 1280 + self.dice.below(221) as u16;
        }
        true
    }
}

/// One end: what it writes, and what it has read.
struct Program {
    writes: Vec<u8>,
    written: usize,
    read: Vec<u8>,
    at_end: bool,
}

impl Program {
    fn goes_on(&mut self, host: &mut Host, id: TcpId, (write, read): (usize, usize)) {
        while self.written < self.writes.len() {
            let end = self.writes.len().min(self.written + write);
            match host.send(id, &self.writes[self.written..end]) {
                Ok(more) => self.written += more,
                Err(SocketError::WouldBlock) => break,
                Err(error) => panic!("{error}: {:#?}", host.tcp),
            }
            if self.written == self.writes.len() {
                host.tcp
                    .shutdown(host.now, id, How::Write)
                    .expect("shutdown");
                host.poll();
            }
        }
        while !self.at_end {
            match host.read(id, read) {
                Ok(more) if more.is_empty() => self.at_end = true,
                Ok(more) => self.read.extend(more),
                Err(SocketError::WouldBlock) => break,
                Err(error) => panic!("{error}: {:#?}", host.tcp),
            }
        }
    }
}

fn octets(length: usize, salt: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n * 31 + n / 251 + salt) as u8)
        .collect()
}

/// Runs a connection to its end and compares.
fn compare(circumstances: Circumstances) {
    let chunks = (circumstances.write, circumstances.read);
    let mut programs = [0, 1].map(|side| Program {
        writes: octets(circumstances.lengths[side], side),
        written: 0,
        read: Vec::new(),
        at_end: false,
    });
    let mut world = World::new(circumstances);
    for (side, program) in programs.iter_mut().enumerate() {
        if program.writes.is_empty() {
            let (host, id) = (&mut world.hosts[side], world.ids[side]);
            host.tcp
                .shutdown(host.now, id, How::Write)
                .expect("shutdown");
            host.poll();
        }
    }
    for round in 0.. {
        for (side, program) in programs.iter_mut().enumerate() {
            program.goes_on(&mut world.hosts[side], world.ids[side], chunks);
        }
        let [one, two] = &programs;
        if one.at_end && two.at_end {
            break;
        }
        let goes_on = world.step();
        let hosts = &world.hosts;
        assert!(
            goes_on,
            "a standstill: {:#?}",
            hosts.each_ref().map(|host| &host.tcp)
        );
        assert!(
            round < 300_000,
            "no end: {:#?}",
            hosts.each_ref().map(|host| &host.tcp)
        );
        for (reads, writes) in [(one, two), (two, one)] {
            assert!(reads.read.len() <= writes.written, "octets out of nothing");
        }
    }
    let [one, two] = &programs;
    for (reads, writes) in [(one, two), (two, one)] {
        assert!(
            reads.read == writes.writes,
            "what was read is what was written"
        );
    }
    for (host, id) in world.hosts.iter_mut().zip(world.ids) {
        host.close(id);
    }
    while world.step() {}
    for host in &world.hosts {
        assert_eq!(host.tcp.flow_count(), 0, "nothing is left");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_one_end_wrote_is_what_the_other_reads(circumstances in circumstances()) {
        compare(circumstances);
    }
}
