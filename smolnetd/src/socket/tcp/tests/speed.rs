//! How fast one core moves octets from one connection to another, with nothing between them: TCP alone.

use std::time::Instant as Clock;

use super::*;

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

fn gigabits_a_second(mtu: u16, idle: u16) -> f64 {
    let (mut a, mut b) = (Host::new().tcp, Host::new().tcp);
    let (mut there, mut back) = (wire(64, mtu), wire(64, mtu));
    let mut now = Instant::from_secs(1000);
    let listener = b.open(Owner::ROOT).expect("socket");
    b.bind(listener, at(HOST, 80), false).expect("bind");
    b.listen(listener, 1024).expect("listen");
    let mut ends = None;
    for n in 0..=idle {
        let client = a.open(Owner::ROOT).expect("socket");
        a.bind(client, at(PEER, 20_000 + n), false).expect("bind");
        let path = there.path(at(PEER, 0), at(HOST, 0)).expect("path");
        a.connect(now, client, at(HOST, 80), path).expect("connect");
        for _ in 0..3 {
            a.poll(now, &mut there);
            carry(now, &mut there, &mut b, &mut back);
            b.poll(now, &mut back);
            carry(now, &mut back, &mut a, &mut there);
        }
        ends = b.accept(listener).ok().map(|server| (client, server));
    }
    let (client, server) = ends.expect("a connection");
    let data = vec![7; 1 << 16];
    let mut buffer = vec![0; 1 << 16];
    let (start, mut total) = (Clock::now(), 0_u64);
    while total < 4 << 30 {
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
    total as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9
}

#[test]
#[ignore = "measures: cargo test --release -p smolnetd speed -- --ignored --nocapture"]
fn octets_from_one_end_to_the_other() {
    for (mtu, idle) in [(1500, 0), (1500, 10_000), (9000, 0)] {
        let speed = gigabits_a_second(mtu, idle);
        println!("mtu {mtu}, {idle} idle: {speed:.2} Gbit/s");
    }
}
