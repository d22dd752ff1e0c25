//! How fast one core moves octets from one connection to another, with nothing between them: TCP alone, both ends of it.
//!
//! `cargo run --release -p smolnetd --example speed`

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

// The kernel's symbols, without which it does not link on Linux.
use redox_host as _;
use smolnetd::output::{Arrival, Output, Path};
use smolnetd::ports::LinkId;
use smolnetd::socket::Owner;
use smolnetd::socket::tcp::{Limits, Tcp};
use smoltcp::time::{Duration, Instant};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const ETH0: LinkId = LinkId(1);
const OCTETS: u64 = 4 << 30;

/// Nanoseconds that this process has had a processor for: who else works on the machine does not matter.
fn worked() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(address), port)
}

/// A wire that holds what fits and allocates nothing.
#[derive(Debug)]
struct Slots {
    slots: Vec<Vec<u8>>,
    lengths: Vec<usize>,
    mtu: u16,
}

impl Output for Slots {
    fn has_room(&self, _: LinkId) -> bool {
        self.lengths.len() < self.slots.len()
    }
    fn emit(&mut self, _: Instant, _: &Path, length: usize, fill: impl FnOnce(&mut [u8])) {
        fill(&mut self.slots[self.lengths.len()][..length]);
        self.lengths.push(length);
    }
    fn path(&self, local: SocketAddr, remote: SocketAddr) -> Option<Path> {
        Some(Path {
            link: ETH0,
            zone: ETH0,
            source: local.ip(),
            next_hop: remote.ip(),
            mtu: self.mtu,
            hop_limit: 64,
        })
    }
    fn is_local(&self, _: SocketAddr) -> bool {
        true
    }
    fn confirm(&mut self, _: Instant, _: &Path) {}
}

fn wire(slots: usize, mtu: u16) -> Slots {
    Slots {
        slots: vec![vec![0; usize::from(mtu)]; slots],
        lengths: Vec::new(),
        mtu,
    }
}

fn carry(now: Instant, wire: &mut Slots, to: &mut Tcp, back: &mut Slots) {
    let arrival = Arrival {
        link: ETH0,
        looped: true,
    };
    let lengths = core::mem::take(&mut wire.lengths);
    for (slot, length) in wire.slots.iter().zip(lengths) {
        to.ingress(now, arrival, &slot[..length], back);
    }
}

fn gigabits_a_second(mtu: u16, idle: u16) -> Option<f64> {
    let (mut a, mut b) = (
        Tcp::new([1; 32], Limits::default()),
        Tcp::new([2; 32], Limits::default()),
    );
    let (mut there, mut back) = (wire(64, mtu), wire(64, mtu));
    let mut now = Instant::from_secs(1000);
    let listener = b.open(Owner::ROOT).ok()?;
    b.bind(listener, at(SERVER, 80), false).ok()?;
    b.listen(listener, 1024).ok()?;
    let mut ends = None;
    for n in 0..=idle {
        let client = a.open(Owner::ROOT).ok()?;
        a.bind(client, at(CLIENT, 20_000 + n), false).ok()?;
        let path = there.path(at(CLIENT, 0), at(SERVER, 0))?;
        a.connect(now, client, at(SERVER, 80), path).ok()?;
        for _ in 0..3 {
            a.poll(now, &mut there);
            carry(now, &mut there, &mut b, &mut back);
            b.poll(now, &mut back);
            carry(now, &mut back, &mut a, &mut there);
        }
        ends = b.accept(listener).ok().map(|server| (client, server));
    }
    let (client, server) = ends?;
    let data = vec![7; 1 << 16];
    let mut buffer = vec![0; 1 << 16];
    let (start, mut total) = (worked()?, 0_u64);
    while total < OCTETS {
        now += Duration::from_micros(20);
        while a.send(now, client, &data).is_ok_and(|length| length > 0) {}
        a.poll(now, &mut there);
        carry(now, &mut there, &mut b, &mut back);
        while let Ok(length) = b.receive(now, server, &mut buffer, false) {
            total += length as u64;
        }
        b.poll(now, &mut back);
        carry(now, &mut back, &mut a, &mut there);
    }
    Some(total as f64 * 8.0 / (worked()? - start) as f64)
}

fn main() {
    for (mtu, idle) in [(1500, 0), (1500, 10_000), (9000, 0)] {
        match gigabits_a_second(mtu, idle) {
            Some(speed) => println!("mtu {mtu}, {idle} idle connections: {speed:.2} Gbit/s"),
            None => println!("mtu {mtu}, {idle} idle connections: no connection"),
        }
    }
}
