//! What a SYN costs a whole host, in memory and in time, beside an ordinary segment:
//! `cargo test --release -p smolnetd --test syns -- --include-ignored --nocapture`.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests, which the linter does not take for tests"
)]

mod host;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant as Clock;

use host::resident;
use redox_host as _;
use smolnetd::link::{AddressOrigin, LinkConfig, LinkKind};
use smolnetd::ports::{LinkId, Ports};
use smolnetd::route::{Origin, RouteSpec};
use smolnetd::socket::{Owner, ReceiveFlags, SocketId, SocketKind};
use smolnetd::stack::{Limits, Stack};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpCidr, IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ITS_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PORT: u16 = 80;
const BATCH: u32 = 64;

/// An adapter that sends at once, and remembers the last frame.
#[derive(Default)]
struct Sink {
    frame: Vec<u8>,
    sent: u64,
}

impl Ports for Sink {
    fn has_room(&self, _: LinkId) -> bool {
        true
    }

    fn send<R>(
        &mut self,
        _: LinkId,
        length: usize,
        write: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R> {
        self.frame.resize(length, 0);
        self.sent += 1;
        Some(write(&mut self.frame))
    }
}

/// A host with a listener, and a gateway that it knows.
struct Host {
    stack: Stack,
    link: LinkId,
    sink: Sink,
    now: Instant,
    listener: SocketId,
}

impl Host {
    fn new() -> Host {
        let now = Instant::from_secs(1000);
        let mut stack = Stack::new([7; 32], Limits::default(), now);
        let config = LinkConfig {
            name: "eth0".into(),
            mac: OUR_MAC,
            mtu: 1500,
            up: true,
            kind: LinkKind::Ethernet,
        };
        let link = stack.add_link(now, config);
        let address = IpCidr::new(OURS.into(), 24);
        stack
            .add_address(now, link, address, AddressOrigin::Static)
            .expect("an address");
        let route: RouteSpec = format!("default via {GATEWAY}").parse().expect("a route");
        stack
            .add_route(now, route.into_route(link, Origin::Static, now))
            .expect("a route");
        let listener = stack
            .socket(SocketKind::Tcp, Owner::ROOT)
            .expect("a socket");
        stack
            .bind(now, listener, (OURS, PORT).into())
            .expect("bind");
        stack.listen(listener, 1024).expect("listen");
        let mut host = Host {
            stack,
            link,
            sink: Sink::default(),
            now,
            listener,
        };
        host.wait(Duration::from_secs(10));
        // RFC 826: who asks for us is known.
        let mut frame = [&OUR_MAC[..], &ITS_MAC, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
        frame.extend(ITS_MAC);
        frame.extend(GATEWAY.octets());
        frame.extend([0; 6]);
        frame.extend(OURS.octets());
        host.hears(&frame);
        host.sink.sent = 0;
        host
    }

    fn hears(&mut self, frame: &[u8]) {
        self.stack
            .handle_frame(self.now, self.link, frame, &mut self.sink);
    }

    fn poll(&mut self) {
        host::poll(&mut self.stack, self.now, &mut self.sink);
    }

    fn wait(&mut self, time: Duration) {
        host::wait(&mut self.stack, &mut self.now, time, &mut self.sink);
    }

    /// A batch of frames, as the adapter hands them over.
    fn hear_all(&mut self, frames: &[Vec<u8>]) {
        self.now += Duration::from_micros(50);
        frames.iter().for_each(|frame| self.hears(frame));
        self.poll();
    }

    fn counter(&self, wanted: &str) -> u64 {
        let stats = self.stack.stats();
        let found = stats.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| *value).expect("a counter")
    }

    /// The connection that the segment `last` completes.
    fn connection(&mut self, from: SocketAddr) -> (SocketId, TcpRepr<'static>) {
        self.hears(&syn(from));
        self.poll();
        let answer = TcpPacket::new_unchecked(&self.sink.frame[34..]);
        let mut repr = plain(from);
        repr.seq_number = TcpSeqNumber(1);
        repr.ack_number = Some(answer.seq_number() + 1);
        self.hears(&frame(from, &repr));
        self.poll();
        let id = self.stack.accept(self.listener).expect("a connection");
        (id, repr)
    }
}

fn plain(from: SocketAddr) -> TcpRepr<'static> {
    TcpRepr {
        src_port: from.port(),
        dst_port: PORT,
        control: TcpControl::None,
        seq_number: TcpSeqNumber(0),
        ack_number: None,
        window_len: 64_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    }
}

fn frame(from: SocketAddr, tcp: &TcpRepr<'_>) -> Vec<u8> {
    let (source, destination) = (from.ip().into(), IpAddr::from(OURS).into());
    let ip = IpRepr::new(source, destination, IpProtocol::Tcp, tcp.buffer_len(), 64);
    let mut packet = vec![0; ip.buffer_len()];
    let checksums = ChecksumCapabilities::default();
    ip.emit(&mut packet[..], &checksums);
    let mut segment = TcpPacket::new_unchecked(&mut packet[ip.header_len()..]);
    tcp.emit(&mut segment, &source, &destination, &checksums);
    [&OUR_MAC[..], &ITS_MAC, &[8, 0], &packet].concat()
}

/// What Linux sends, without timestamps.
fn syn(from: SocketAddr) -> Vec<u8> {
    let syn = TcpRepr {
        control: TcpControl::Syn,
        max_seg_size: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        ..plain(from)
    };
    frame(from, &syn)
}

fn spoofed(number: u32) -> SocketAddr {
    let address = Ipv4Addr::from_bits(0xc612_0000 + number % (1 << 17));
    (address, 1024 + (number >> 17) as u16).into()
}

fn syns(first: u32, count: u32) -> Vec<Vec<u8>> {
    let numbers = first..first + count;
    numbers.map(|number| syn(spoofed(number))).collect()
}

#[test]
fn a_hundred_thousand_syns_take_no_memory_once_the_records_are_full() {
    let mut host = Host::new();
    let flood = |host: &mut Host, first: u32, count: u32| {
        for first in (first..first + count).step_by(BATCH as usize) {
            host.hear_all(&syns(first, BATCH));
        }
    };
    flood(&mut host, 0, 12_800);
    let before = resident();
    flood(&mut host, 12_800, 128_000);
    let after = resident();
    println!("{before} bytes, {after} bytes");
    assert!(
        after <= before + (1024 << 10),
        "{before} bytes, {after} bytes"
    );
    assert_eq!(host.counter("tcp.cookies_sent"), 140_800 - 1024);
    assert_eq!(host.counter("tcp.cookies_unsent"), 0);
}

/// What was reached by a quarter of the rounds, which nobody disturbed.
fn undisturbed(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 4]
}

/// Nanoseconds for each of the frames that `make` makes for a batch.
fn cost(
    host: &mut Host,
    mut make: impl FnMut(u32) -> Vec<Vec<u8>>,
    mut after: impl FnMut(&mut Host),
) -> f64 {
    let costs = (0..2000).map(|round| {
        let frames = make(round * BATCH);
        let started = Clock::now();
        host.hear_all(&frames);
        after(host);
        started.elapsed().as_nanos() as f64 / frames.len() as f64
    });
    undisturbed(costs.collect())
}

#[test]
#[ignore = "measures"]
fn what_a_syn_costs() {
    let mut host = Host::new();
    let from = (GATEWAY, 40_000).into();
    let (id, repr) = host.connection(from);
    let mut buffer = vec![0; 1 << 17];
    let mut read = |host: &mut Host| {
        let flags = ReceiveFlags::default();
        let read = host.stack.receive(host.now, id, &mut buffer, flags);
        assert!(read.is_ok(), "{read:?}");
        host.poll();
    };
    let payload = [7; 1460];
    let mut next = repr.seq_number;
    let mut data = |length: usize| {
        let payload = &payload[..length];
        let segments = (0..BATCH / 2).map(|_| {
            let segment = TcpRepr {
                seq_number: next,
                payload,
                ..repr
            };
            next += length;
            frame(from, &segment)
        });
        segments.collect::<Vec<_>>()
    };
    let large = cost(&mut host, |_| data(1460), &mut read);
    let small = cost(&mut host, |_| data(100), &mut read);

    let nothing = |_: &mut Host| ();
    let cookie = cost(&mut host, |first| syns(first, BATCH), nothing);
    assert!(host.counter("tcp.cookies_sent") > 100_000);
    let guess = |first: u32| {
        let guesses = (first..first + BATCH).map(|number| {
            let mut repr = plain(spoofed(number));
            repr.ack_number = Some(TcpSeqNumber(number as i32));
            frame(spoofed(number), &repr)
        });
        guesses.collect()
    };
    let refused = cost(&mut host, guess, nothing);
    assert!(host.counter("tcp.cookies_refused") > 100_000);

    let mut host = Host::new();
    let connections = (0..20_000).map(|number| {
        let started = Clock::now();
        host.now += Duration::from_micros(50);
        let from = spoofed(1 << 20 | number);
        let (id, mut repr) = host.connection(from);
        host.stack.close(host.now, id);
        host.poll();
        repr.control = TcpControl::Fin;
        repr.ack_number = repr.ack_number.map(|ack| ack + 1);
        host.hear_all(&[frame(from, &repr)]);
        started.elapsed().as_nanos() as f64
    });
    let connection = undisturbed(connections.collect());

    let mut fresh: Vec<Host> = (0..20).map(|_| Host::new()).collect();
    let mut remembered: Vec<f64> = Vec::new();
    for host in &mut fresh {
        for first in (0..1024).step_by(BATCH as usize) {
            let frames = syns(first, BATCH);
            let started = Clock::now();
            host.hear_all(&frames);
            remembered.push(started.elapsed().as_nanos() as f64 / f64::from(BATCH));
        }
    }
    let remembered = undisturbed(remembered);
    println!("a segment with 1460 octets, read and acknowledged: {large:.0} ns");
    println!("a segment with 100 octets, read and acknowledged: {small:.0} ns");
    println!("a SYN that is remembered: {remembered:.0} ns");
    println!("a SYN that gets a cookie: {cookie:.0} ns");
    println!("a connection, from its SYN to TIME-WAIT, accepted and closed: {connection:.0} ns");
    println!("an ACK that is no cookie, and gets a RST: {refused:.0} ns");
}
