//! A sender's buffer, a network that loses and swaps, a receiver's buffer and its window: the stream comes out as it
//! went in, round the circle of sequence numbers.

use std::collections::VecDeque;

use smoltcp::time::Instant;

use super::super::{ReceiveBuffer, ReceiveWindow, SendBuffer};
use super::stream;
use crate::flow::sequence::Seq;

const MSS: usize = 1460;

/// What two ends have of a stream.
struct Pair {
    sender: SendBuffer,
    una: Seq,
    nxt: Seq,
    edge: Seq,
    written: u64,
    receiver: ReceiveBuffer,
    window: ReceiveWindow,
    shift: u8,
    rcv_nxt: Seq,
    read: u64,
    seed: u64,
}

impl Pair {
    fn new(first: Seq, capacity: usize, limit: usize) -> Pair {
        let shift = ReceiveWindow::shift_for(limit);
        let mut window = ReceiveWindow::new(capacity, limit);
        let offered = window.syn();
        window.start(Instant::ZERO, first, offered, Some(shift));
        Pair {
            sender: SendBuffer::new(200_000),
            una: first,
            nxt: first,
            edge: first.plus(usize::from(offered)),
            written: 0,
            receiver: ReceiveBuffer::new(),
            window,
            shift,
            rcv_nxt: first,
            read: 0,
            seed: 1,
        }
    }

    /// A number below `below`.
    fn random(&mut self, below: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.seed >> 33) % below
    }

    /// The program writes what there is room for, and everything that the window allows leaves.
    fn send(&mut self, on_the_way: &mut VecDeque<(Seq, Vec<u8>)>) {
        let length = self.random(60_000) as usize;
        self.written += self.sender.write(stream(self.written, length)) as u64;
        loop {
            let sent = self.nxt.since(self.una) as usize;
            let allowed = usize::try_from(self.edge.since(self.nxt)).unwrap_or(0);
            let mut segment = vec![0; MSS.min(allowed)];
            let length = self.sender.copy(sent, &mut segment);
            segment.truncate(length);
            if segment.is_empty() {
                break;
            }
            on_the_way.push_back((self.nxt, segment));
            self.nxt = self.nxt.plus(length);
        }
    }

    /// A segment comes and is acknowledged.
    fn receive(&mut self, seq: Seq, segment: &[u8]) {
        let window = self.window.promised(self.rcv_nxt);
        let inserted = self
            .receiver
            .insert(seq.since(self.rcv_nxt), segment, window);
        // More ranges than there may be: as if it had been lost.
        let in_order = inserted.map_or(0, |inserted| inserted.in_order);
        self.rcv_nxt = self.rcv_nxt.plus(in_order);
        self.acknowledge();
    }

    fn acknowledge(&mut self) {
        let field = self
            .window
            .advertise(self.rcv_nxt, self.receiver.unread(), MSS);
        self.sender
            .acknowledge(self.rcv_nxt.since(self.una) as usize);
        self.una = self.rcv_nxt;
        self.edge = self.rcv_nxt.plus(usize::from(field) << self.shift);
        self.nxt = self.nxt.latest(self.una);
    }

    /// The program reads, and its octets are the stream's.
    fn read(&mut self) {
        let mut octets = vec![0; self.random(60_000) as usize];
        let length = self.receiver.read(&mut octets);
        assert_eq!(
            octets[..length],
            *stream(self.read, length),
            "at octet {}",
            self.read
        );
        self.read += length as u64;
        if self
            .window
            .is_update_due(self.rcv_nxt, self.receiver.unread(), MSS)
        {
            self.acknowledge();
        }
    }
}

/// A tenth of the segments is lost, a fifth comes late, some come twice. What is missing is sent again when nothing
/// else comes.
#[test]
fn a_stream_comes_through_loss_and_disorder_round_the_circle() {
    for (capacity, limit) in [(4096, 4096), (65_535, 65_535), (300_000, 4 << 20)] {
        let mut pair = Pair::new(Seq(u32::MAX - 1_000_000), capacity, limit);
        while pair.read < 5_000_000 {
            let mut on_the_way = VecDeque::new();
            // What a timer would do (RFC 9293 3.8.1).
            pair.nxt = pair.una;
            pair.send(&mut on_the_way);
            while let Some((seq, segment)) = on_the_way.pop_front() {
                match pair.random(10) {
                    0 => continue,
                    1 | 2 => {
                        let place = pair.random(on_the_way.len() as u64 + 1);
                        on_the_way.insert(place as usize, (seq, segment));
                        continue;
                    }
                    3 => pair.receive(seq, &segment),
                    _ => (),
                }
                pair.receive(seq, &segment);
            }
            pair.read();
        }
        assert!(
            pair.rcv_nxt
                .before(Seq(u32::MAX - 1_000_000).plus(6_000_000))
        );
    }
}

/// More than 2^32 octets: no position and no number is the same as before.
#[test]
fn a_stream_is_longer_than_the_circle() {
    let mut pair = Pair::new(Seq(u32::MAX - 99), 1 << 20, 1 << 20);
    let (mut octets, mut came) = (vec![0; 65_000], 0_u64);
    while came < (1 << 32) + 1_000_000 {
        // The second half first, so that all of it goes through the list of ranges.
        let half = 32_500;
        for offset in [half, 0] {
            let piece = stream(came + offset as u64, half);
            pair.receive(Seq(u32::MAX - 99).plus(came as usize).plus(offset), piece);
        }
        assert_eq!(
            pair.receiver.read(&mut octets),
            octets.len(),
            "after {came}"
        );
        assert_eq!(octets, stream(came, octets.len()));
        came += octets.len() as u64;
    }
    assert_eq!(pair.receiver.held(), 0);
}
