//! A connection in the midst of a network that has gone mad: it does not notice, and memory stays within its bounds.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::Duration;

use super::tcp::connected;
use super::wire::{A6, B6, End, MAC_A, Wire, cidr};
use crate::link::advertisement::{Ra, icmp};
use crate::link::{AddressOrigin, Ipv6Config, MAX_NEIGHBOURS};
use crate::socket::SocketId;

/// What A sends between two handfuls of the others' frames.
const WORD: [u8; 1000] = [7; 1000];
/// Frames between two of those.
const HANDFUL: u32 = 500;

/// A connection from A to B, over IPv6, and how much went through it.
struct Talk {
    wire: Wire,
    client: SocketId,
    server: SocketId,
    sent: usize,
    received: usize,
}

impl Talk {
    fn new(mut wire: Wire) -> Talk {
        let (client, server) = connected(&mut wire, End::B, B6);
        Talk {
            wire,
            client,
            server,
            sent: 0,
            received: 0,
        }
    }

    /// `count` frames arrive at A, and the conversation goes on among them.
    fn among(&mut self, count: u32, frame: impl Fn(u32) -> Vec<u8>) {
        for number in 0..count {
            let (now, link) = (self.wire.now, self.wire.a.link);
            let frame = frame(number);
            let host = &mut self.wire.a;
            host.stack.handle_frame(now, link, &frame, &mut host.ring);
            if number % HANDFUL == 0 {
                self.go_on();
            }
        }
        self.wire.run_for(Duration::from_secs(1));
        self.go_on();
        assert_eq!(self.received, self.sent);
        let sent = self.wire.a.counter("tcp.segments_sent");
        assert!(sent > u64::from(count / HANDFUL), "{sent}");
        for lost in ["tcp.retransmit_timeouts", "eth0.neighbour_failed"] {
            assert_eq!(self.wire.a.counter(lost), 0, "{lost}");
        }
    }

    fn go_on(&mut self) {
        let now = self.wire.now;
        let sent = self.wire.a.send(now, self.client, &WORD, None);
        self.sent += sent.expect("the connection is there");
        self.wire.run_for(Duration::from_millis(3));
        let now = self.wire.now;
        while let Ok((data, _)) = self.wire.b.receive(now, self.server) {
            self.received += data.len();
        }
        let bound = self.neighbours() <= MAX_NEIGHBOURS;
        assert!(bound, "{} neighbours", self.neighbours());
    }

    fn neighbours(&self) -> usize {
        let link = self.wire.a.stack.link(self.wire.a.link).expect("eth0");
        link.neighbours(self.wire.now).count()
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(address) => address,
        IpAddr::V4(_) => panic!("{address}"),
    }
}

/// The station that speaks as the neighbour of that number.
fn mac(number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_be_bytes();
    [2, 0x77, a, b, c, d]
}

/// A neighbour of that number in A's network: never A or B.
fn neighbour(number: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(v6(A6).to_bits() | 1 << 63 | u128::from(number) << 16)
}

fn ipv6(from: u32, packet: &[u8]) -> Vec<u8> {
    [&MAC_A[..], &mac(from), &[0x86, 0xdd], packet].concat()
}

/// RFC 4861 section 7.2.3: it asks for A, and tells where it is.
fn solicitation(number: u32) -> Vec<u8> {
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(v6(A6).octets());
    message.extend([1, 1]);
    message.extend(mac(number));
    ipv6(number, &icmp(neighbour(number), v6(A6), 255, &message))
}

/// RFC 4861 section 7.2.6: it announces itself, unasked and overriding.
fn advertisement(number: u32) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(neighbour(number).octets());
    message.extend([2, 1]);
    message.extend(mac(number));
    ipv6(number, &icmp(neighbour(number), v6(A6), 255, &message))
}

/// RFC 826: a request for A's address in 172.16.0.0/12 from anybody there.
fn arp(number: u32) -> Vec<u8> {
    let [_, b, c, d] = (number + 0x10_00_02).to_be_bytes();
    let mut frame = [&MAC_A[..], &mac(number), &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    frame.extend(mac(number));
    frame.extend([172, b, c, d]);
    frame.extend([0; 6]);
    frame.extend([172, 16, 0, 1]);
    frame
}

#[test]
fn a_hundred_thousand_neighbours_announce_themselves_and_a_connection_does_not_notice() {
    let mut talk = Talk::new(Wire::dual());
    let (now, host) = (talk.wire.now, &mut talk.wire.a);
    let other = cidr(IpAddr::from([172, 16, 0, 1]), 12);
    host.stack
        .add_address(now, host.link, other, AddressOrigin::Static)
        .expect("an address");
    talk.wire.run_for(Duration::from_secs(5));
    talk.among(100_000, solicitation);
    talk.among(100_000, advertisement);
    talk.among(100_000, arp);
    let counters = |name: &str| talk.wire.a.counter(name);
    assert!(counters("eth0.ndp_rx_solicitations_for_us") >= 100_000);
    assert!(counters("eth0.ndp_rx_advertisements") >= 100_000);
    assert!(counters("eth0.arp_rx") >= 100_000);
    assert!(talk.neighbours() > 2, "some of them are remembered");
}

#[test]
fn ten_thousand_routers_announce_themselves_and_a_connection_does_not_notice() {
    let mut wire = Wire::dual();
    let (now, host) = (wire.now, &mut wire.a);
    let enabled = host
        .stack
        .enable_ipv6(now, host.link, Ipv6Config::opaque([7; 16]));
    assert_eq!(enabled, Ok(()));
    wire.run_for(Duration::from_secs(5));
    let mut talk = Talk::new(wire);
    talk.among(10_000, |number| {
        let router = u16::try_from(number + 1).expect("few enough");
        let ra = Ra::from(router)
            .option(1, &mac(number))
            .usual(router, 86_400, 14_400)
            .rdnss(600, &[neighbour(number)]);
        ipv6(number, &ra.packet())
    });
    let stack = &talk.wire.a.stack;
    let link = stack.link(talk.wire.a.link).expect("eth0");
    assert!(link.addresses().len() <= crate::link::MAX_ADDRESSES);
    let (routes, resolvers) = (stack.routes().iter().count(), stack.resolvers().len());
    assert!((17..64).contains(&routes), "{routes}");
    assert!((1..=8).contains(&resolvers), "{resolvers}");
    assert!(talk.wire.a.counter("eth0.ra_rx") >= 10_000);
}
