//! Two hosts, a cable between them and a clock that only the test moves. Every frame is logged; a test that fails
//! prints the log.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::VecDeque;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetFrame, IpCidr, PrettyPrinter};

use crate::error::SocketError;
use crate::link::{AddressOrigin, LinkConfig, LinkKind};
use crate::ports::{LinkId, Ports};
use crate::socket::{Owner, ReceiveFlags, Received, SocketId, SocketKind};
use crate::stack::{Change, Limits, Stack};

pub(super) const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub(super) const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
pub(super) const A6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 0, 1));
pub(super) const B6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 0, 2));
/// Their link-local addresses.
pub(super) const A_LOCAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
pub(super) const B_LOCAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2));
pub(super) const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(super) const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// The longest log that is kept, in lines.
const LOG_LINES: usize = 400;

/// The transmit ring of an adapter.
pub(super) struct Ring {
    frames: VecDeque<(LinkId, Vec<u8>)>,
    capacity: usize,
    was_full: bool,
}

impl Ports for Ring {
    fn has_room(&self, _: LinkId) -> bool {
        self.frames.len() < self.capacity
    }

    fn send<R>(
        &mut self,
        link: LinkId,
        length: usize,
        write: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R> {
        if !self.has_room(link) {
            self.was_full = true;
            return None;
        }
        // What the adapter's memory held before must not matter.
        let mut frame = vec![0xa5; length];
        let result = write(&mut frame);
        self.frames.push_back((link, frame));
        Some(result)
    }
}

/// One end of the cable.
pub(super) struct Host {
    pub(super) stack: Stack,
    pub(super) ring: Ring,
    pub(super) link: LinkId,
    pub(super) changes: Vec<Change>,
}

impl Host {
    pub(super) fn new(secret: u8, mac: [u8; 6], limits: Limits, now: Instant) -> Host {
        let mut stack = Stack::new([secret; 32], limits, now);
        let config = LinkConfig {
            name: "eth0".into(),
            mac,
            mtu: 1500,
            up: true,
            kind: LinkKind::Ethernet,
        };
        let link = stack.add_link(now, config);
        let ring = Ring {
            frames: VecDeque::new(),
            capacity: 256,
            was_full: false,
        };
        Host {
            stack,
            ring,
            link,
            changes: Vec::new(),
        }
    }

    /// Polls until nothing is left to do at this moment. True if there is something that programs may want to know.
    pub(super) fn settle(&mut self, now: Instant) -> bool {
        let mut polls = 0;
        while self.stack.poll(now, &mut self.ring) {
            polls += 1;
            assert!(
                polls < 1000,
                "the stack never comes to rest: {:?}",
                self.counters()
            );
        }
        let before = self.changes.len();
        self.stack.take_changes(&mut self.changes);
        self.changes.len() > before
    }

    pub(super) fn set_ring_capacity(&mut self, capacity: usize) {
        self.ring.capacity = capacity;
    }

    /// Sends from a socket; what leaves is on the cable at the next step.
    pub(super) fn send(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Result<usize, SocketError> {
        self.stack.send(now, id, data, to, &mut self.ring)
    }

    /// Everything that one call receives.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        id: SocketId,
    ) -> Result<(Vec<u8>, Received), SocketError> {
        let mut buffer = vec![0; 65536];
        let received = self
            .stack
            .receive(now, id, &mut buffer, ReceiveFlags::default())?;
        buffer.truncate(received.length);
        Ok((buffer, received))
    }

    pub(super) fn open(&mut self, kind: SocketKind) -> SocketId {
        self.stack.socket(kind, Owner::ROOT).expect("a socket")
    }

    /// Has the readiness of a socket been reported as changed since the last question?
    pub(super) fn heard_of(&mut self, id: SocketId) -> bool {
        let before = self.changes.len();
        self.changes.retain(|change| *change != Change::Socket(id));
        self.changes.len() < before
    }

    pub(super) fn counter(&self, name: &str) -> u64 {
        let stats = self.stack.stats();
        stats
            .iter()
            .find(|(own, _)| own == name)
            .unwrap_or_else(|| panic!("no counter {name}"))
            .1
    }

    /// The counters that are not zero.
    pub(super) fn counters(&self) -> Vec<(String, u64)> {
        self.stack
            .stats()
            .into_iter()
            .filter(|(_, value)| *value > 0)
            .collect()
    }
}

/// Which end of the cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    A,
    B,
}

struct Flying {
    arrives: Instant,
    to: End,
    frame: Vec<u8>,
}

/// What the cable does to a frame: `false` loses it.
type Weather = Box<dyn FnMut(&[u8]) -> bool>;

/// The cable with its two hosts.
pub(super) struct Wire {
    pub(super) now: Instant,
    pub(super) a: Host,
    pub(super) b: Host,
    flying: VecDeque<Flying>,
    latency: Duration,
    weather: Weather,
    log: VecDeque<String>,
    /// Frames that each end has put on the cable, while somebody listens.
    tap: Option<Vec<(End, Vec<u8>)>>,
}

impl Wire {
    /// Two hosts with neither addresses nor routes.
    pub(super) fn bare() -> Wire {
        Wire::with_limits(Limits::default())
    }

    pub(super) fn with_limits(limits: Limits) -> Wire {
        let now = Instant::from_secs(1000);
        Wire {
            now,
            a: Host::new(1, MAC_A, limits, now),
            b: Host::new(2, MAC_B, limits, now),
            flying: VecDeque::new(),
            latency: Duration::from_micros(100),
            weather: Box::new(|_| true),
            log: VecDeque::new(),
            tap: None,
        }
    }

    /// Two hosts, 10.0.0.1/24 and 10.0.0.2/24.
    pub(super) fn new() -> Wire {
        let mut wire = Wire::bare();
        wire.configure(End::A, A);
        wire.configure(End::B, B);
        wire.run_for(Duration::from_secs(10));
        wire
    }

    /// The same two hosts, fd42::1/64 and fd42::2/64 too, and with link-local addresses.
    pub(super) fn dual() -> Wire {
        let mut wire = Wire::bare();
        for (end, addresses) in [(End::A, [A, A6, A_LOCAL]), (End::B, [B, B6, B_LOCAL])] {
            addresses
                .into_iter()
                .for_each(|address| wire.configure(end, address));
        }
        wire.run_for(Duration::from_secs(10));
        wire
    }

    pub(super) fn configure(&mut self, end: End, address: IpAddr) {
        let prefix_length = if address.is_ipv4() { 24 } else { 64 };
        let now = self.now;
        let host = self.host(end);
        let link = host.link;
        host.stack
            .add_address(
                now,
                link,
                cidr(address, prefix_length),
                AddressOrigin::Static,
            )
            .expect("an address");
    }

    pub(super) fn host(&mut self, end: End) -> &mut Host {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    /// From now on frames for which this is false are lost.
    pub(super) fn weather(&mut self, weather: impl FnMut(&[u8]) -> bool + 'static) {
        self.weather = Box::new(weather);
    }

    /// Loses one frame in `one_in`, always the same ones in every run.
    pub(super) fn lose(&mut self, one_in: u64) {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        self.weather(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            !state.is_multiple_of(one_in)
        });
    }

    /// From now on frames are kept for [`Wire::taken`].
    pub(super) fn listen(&mut self) {
        self.tap = Some(Vec::new());
    }

    /// The frames since the last call.
    pub(super) fn taken(&mut self) -> Vec<(End, Vec<u8>)> {
        self.tap.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// Puts a frame on the cable that no host has sent.
    pub(super) fn inject(&mut self, to: End, frame: Vec<u8>) {
        self.note(
            match to {
                End::A => "? > A",
                End::B => "? > B",
            },
            &frame,
        );
        self.fly(Flying {
            arrives: self.now,
            to,
            frame,
        });
    }

    /// Frames that arrive earlier stand before those that arrive later, whoever sent them first.
    fn fly(&mut self, flying: Flying) {
        let place = self
            .flying
            .partition_point(|other| other.arrives <= flying.arrives);
        self.flying.insert(place, flying);
    }

    fn note(&mut self, way: &str, frame: &[u8]) {
        if self.log.len() >= LOG_LINES {
            self.log.pop_front();
        }
        let text = PrettyPrinter::<EthernetFrame<&[u8]>>::new("", &frame)
            .to_string()
            .replace('\n', " | ");
        self.log.push_back(format!(
            "{:>14} {way} {text}",
            self.now.total_micros() - 1_000_000_000
        ));
    }

    /// Lets both hosts do what is due, and puts on the cable what they send.
    fn poll_hosts(&mut self) -> bool {
        let mut news = false;
        for end in [End::A, End::B] {
            let now = self.now;
            let host = self.host(end);
            news |= host.settle(now);
            self.drain(end);
        }
        news
    }

    pub(super) fn drain(&mut self, end: End) {
        let (way, to) = match end {
            End::A => ("A > B", End::B),
            End::B => ("B > A", End::A),
        };
        loop {
            let host = self.host(end);
            let frames = core::mem::take(&mut host.ring.frames);
            for (_, frame) in frames {
                if let Some(tap) = &mut self.tap {
                    tap.push((end, frame.clone()));
                }
                if (self.weather)(&frame) {
                    self.note(way, &frame);
                    self.fly(Flying {
                        arrives: self.now + self.latency,
                        to,
                        frame,
                    });
                } else {
                    self.note("LOST ", &frame);
                }
            }
            // As the driver does: the ring was full and is empty now, so it says so, once.
            let now = self.now;
            let host = self.host(end);
            if !core::mem::take(&mut host.ring.was_full) && host.ring.frames.is_empty() {
                return;
            }
            let link = host.link;
            host.stack.room_again(link);
            host.settle(now);
        }
    }

    /// When something happens next.
    fn next_event(&self) -> Option<Instant> {
        let flying = self.flying.front().map(|flying| flying.arrives);
        [
            flying,
            self.a.stack.next_deadline(),
            self.b.stack.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Moves the clock to the next event, unless that is after `until`, and lets it happen. False when there was none.
    fn step(&mut self, until: Instant) -> bool {
        self.poll_hosts();
        let Some(next) = self.next_event().filter(|next| *next <= until) else {
            return false;
        };
        self.now = self.now.max(next);
        let now = self.now;
        while self
            .flying
            .front()
            .is_some_and(|flying| flying.arrives <= now)
        {
            let Some(Flying { to, frame, .. }) = self.flying.pop_front() else {
                break;
            };
            let host = self.host(to);
            let link = host.link;
            host.stack.handle_frame(now, link, &frame, &mut host.ring);
        }
        self.poll_hosts();
        true
    }

    /// Lets time pass.
    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps = 0;
        while self.step(until) {
            steps += 1;
            assert!(steps < 100_000, "time stands still at {}", self.now);
        }
        self.now = until;
    }

    /// Lets time pass until `done`, at most a second.
    pub(super) fn run_until(&mut self, what: &str, done: impl FnMut(&mut Wire) -> bool) {
        self.run_until_within(what, Duration::from_secs(1), done);
    }

    /// Lets time pass until `done`.
    pub(super) fn run_until_within(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&mut Wire) -> bool,
    ) {
        let until = self.now + limit;
        self.poll_hosts();
        while !done(self) {
            // Programs have their turn before time goes on.
            if !self.poll_hosts() {
                assert!(self.step(until), "{what} did not happen within {limit}");
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the wire, microseconds since the start");
            self.log.iter().for_each(|line| eprintln!("{line}"));
            eprintln!("--- A at {}: {:?}", self.now, self.a.counters());
            eprintln!("--- B: {:?}", self.b.counters());
        }
    }
}

pub(super) fn cidr(address: IpAddr, prefix_length: u8) -> IpCidr {
    IpCidr::new(address.into(), prefix_length)
}

/// An end on the one adapter that a host has.
pub(super) fn on_eth0(address: IpAddr, port: u16) -> SocketAddr {
    crate::ip::ZonedAddr::on(address, LinkId(1)).with_port(port)
}

pub(super) fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}
