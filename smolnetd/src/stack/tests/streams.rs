//! Stories of long streams: whole, in order, and to their end, whatever the way is like.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::Duration;

use super::tcp::{connect, connected, listener};
use super::wire::{A, B, End, Wire};
use crate::error::SocketError;
use crate::socket::{How, SocketId};

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const MEGABYTE: usize = 1 << 20;

/// Bytes that no shift or repetition leaves the same.
fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|n| ((n + seed).wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// One direction of a transfer.
struct Flow {
    from: (End, SocketId),
    to: (End, SocketId),
    data: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    ended: bool,
}

impl Flow {
    fn new(from: (End, SocketId), to: (End, SocketId), data: Vec<u8>) -> Flow {
        Flow {
            from,
            to,
            data,
            sent: 0,
            received: Vec::new(),
            ended: false,
        }
    }

    /// Writes and reads what can be; a direction that is written to its end is shut down. True when all has arrived.
    fn go_on(&mut self, wire: &mut Wire) -> bool {
        let now = wire.now;
        let (end, id) = self.from;
        while self.sent < self.data.len() {
            let rest = &self.data[self.sent..];
            match wire
                .host(end)
                .send(now, id, &rest[..rest.len().min(10_000)], None)
            {
                Ok(length) => self.sent += length,
                Err(SocketError::WouldBlock) => break,
                Err(error) => panic!("after {} bytes: {error}", self.sent),
            }
            if self.sent == self.data.len() {
                wire.host(end)
                    .stack
                    .shutdown(now, id, How::Write)
                    .expect("a connection");
            }
        }
        let (end, id) = self.to;
        while !self.ended {
            match wire.host(end).receive(now, id) {
                Ok((data, _)) if data.is_empty() => self.ended = true,
                Ok((data, _)) => self.received.extend(data),
                Err(SocketError::WouldBlock) => break,
                Err(error) => panic!("after {} bytes: {error}", self.received.len()),
            }
        }
        self.ended
    }

    fn check(&self) {
        assert_eq!(self.received.len(), self.data.len());
        let wrong = self
            .received
            .iter()
            .zip(&self.data)
            .position(|(got, sent)| got != sent);
        assert_eq!(wrong, None, "the first wrong byte");
    }
}

/// Sends a megabyte each way at once, to the end.
fn both_ways(wire: &mut Wire, one: (End, SocketId), two: (End, SocketId), limit: Duration) {
    let mut there = Flow::new(one, two, pattern(MEGABYTE, 1));
    let mut back = Flow::new(two, one, pattern(MEGABYTE, 2));
    wire.run_until_within("the end of both streams", limit, |wire| {
        let there = there.go_on(wire);
        back.go_on(wire) && there
    });
    there.check();
    back.check();
}

#[test]
fn a_megabyte_both_ways() {
    let mut wire = Wire::new();
    let (client, server) = connected(&mut wire, End::B, B);
    both_ways(
        &mut wire,
        (End::A, client),
        (End::B, server),
        Duration::from_secs(10),
    );
    assert_eq!(
        wire.a.counter("eth0.tx_full"),
        0,
        "TCP asks for room before it sends"
    );
}

#[test]
fn a_megabyte_both_ways_through_a_cable_that_loses_every_fiftieth_frame() {
    let mut wire = Wire::new();
    wire.lose(50);
    let (client, server) = connected(&mut wire, End::B, B);
    both_ways(
        &mut wire,
        (End::A, client),
        (End::B, server),
        Duration::from_secs(600),
    );
}

#[test]
fn a_megabyte_both_ways_through_a_ring_of_four_slots() {
    let mut wire = Wire::new();
    wire.a.set_ring_capacity(4);
    wire.b.set_ring_capacity(4);
    let (client, server) = connected(&mut wire, End::B, B);
    both_ways(
        &mut wire,
        (End::A, client),
        (End::B, server),
        Duration::from_secs(10),
    );
}

#[test]
fn a_megabyte_both_ways_within_the_host() {
    for address in [LOCALHOST, A] {
        let mut wire = Wire::new();
        wire.listen();
        let (client, server) = connected(&mut wire, End::A, address);
        both_ways(
            &mut wire,
            (End::A, client),
            (End::A, server),
            Duration::from_secs(10),
        );
        assert_eq!(wire.taken(), [], "the wire sees nothing of it");
    }
}

#[test]
fn a_hundred_connections_at_once_share_the_wire() {
    let mut wire = Wire::new();
    let listening = listener(&mut wire, End::B, ANY, 80);
    let mut flows = Vec::new();
    for number in 0..100 {
        let client = connect(&mut wire, B, 80);
        wire.run_until("a connection", |wire| {
            wire.b.stack.readiness(listening).readable
        });
        let server = wire.b.stack.accept(listening).unwrap();
        flows.push(Flow::new(
            (End::A, client),
            (End::B, server),
            pattern(20_000, number),
        ));
    }
    wire.run_until_within("all of them", Duration::from_secs(20), |wire| {
        flows
            .iter_mut()
            .map(|flow| flow.go_on(wire))
            .filter(|ended| !ended)
            .count()
            == 0
    });
    flows.iter().for_each(Flow::check);
}
