//! Senders with much to send, a bottleneck with a queue, weather, and a receiver for each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::receiver::{Answer, Receiver};
use super::*;

/// The network. Chances are per ten thousand packets.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    pub(super) seed: u64,
    /// Octets a millisecond.
    pub(super) rate: usize,
    /// One way, without queues.
    pub(super) delay: Duration,
    /// Octets.
    pub(super) queue: usize,
    pub(super) loss: u64,
    pub(super) late: u64,
    /// How much later that is.
    pub(super) lateness: Duration,
    pub(super) ack_loss: u64,
    /// Acknowledgements come in bunches, this far apart.
    pub(super) compression: Option<Duration>,
}

impl Weather {
    /// 10 Mbit/s, 20 ms there and back, a queue of one such round trip.
    pub(super) fn fair(seed: u64) -> Weather {
        Weather {
            seed: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            rate: 1250,
            delay: Duration::from_millis(10),
            queue: 25_000,
            loss: 0,
            late: 0,
            lateness: Duration::ZERO,
            ack_loss: 0,
            compression: None,
        }
    }

    fn roll(&mut self, chance: u64) -> bool {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 20) % 10_000 < chance
    }
}

/// What is under way.
#[derive(Debug)]
enum Thing {
    Data(Seq, usize),
    Ack(Answer),
}

/// One transfer.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) recovery: Recovery,
    pub(super) receiver: Receiver,
    /// The end of what is to be sent.
    end: Seq,
    pub(super) resent: usize,
    pub(super) timeouts: usize,
    pub(super) probes: usize,
    pub(super) finished: Option<Instant>,
    /// These segments of new data are lost, by number.
    pub(super) unlucky: Vec<usize>,
    segments: usize,
    start: Seq,
}

impl Flow {
    pub(super) fn arrived(&self) -> usize {
        usize::try_from(self.receiver.rcv_nxt.since(self.start)).expect("no more than was sent")
    }
}

pub(super) struct Network {
    pub(super) now: Instant,
    weather: Weather,
    pub(super) flows: Vec<Flow>,
    under_way: BinaryHeap<Reverse<(Instant, usize, usize)>>,
    things: Vec<Option<Thing>>,
    /// When the bottleneck has sent what is in its queue.
    busy_until: Instant,
}

impl Network {
    pub(super) fn new(weather: Weather) -> Network {
        Network {
            now: Instant::from_millis(1000),
            weather,
            flows: Vec::new(),
            under_way: BinaryHeap::new(),
            things: Vec::new(),
            busy_until: Instant::ZERO,
        }
    }

    /// One more that sends `length`.
    pub(super) fn with(mut self, length: usize, sack: bool) -> Network {
        let start = Seq(u32::MAX - 50_000);
        let mut recovery = Recovery::new(start, MSS);
        recovery.started(
            self.now,
            &Handshake {
                sack,
                repeated: false,
                round_trip: Some(self.weather.delay * 2),
            },
        );
        self.flows.push(Flow {
            recovery,
            receiver: Receiver::new(start, sack),
            end: start.plus(length),
            resent: 0,
            timeouts: 0,
            probes: 0,
            finished: None,
            unlucky: Vec::new(),
            segments: 0,
            start,
        });
        self
    }

    fn leaves(&mut self, at: Instant, flow: usize, thing: Thing) {
        self.under_way.push(Reverse((at, self.things.len(), flow)));
        self.things.push(Some(thing));
    }

    /// Through the bottleneck, if there is room.
    fn forward(&mut self, flow: usize, seq: Seq, length: usize, is_lost: bool) {
        let begins = self.busy_until.max(self.now);
        let queued = (begins - self.now).total_micros() as usize * self.weather.rate / 1000;
        let lost = self.weather.roll(self.weather.loss) || is_lost;
        if queued + length > self.weather.queue || lost {
            return;
        }
        let micros = (length * 1000).div_ceil(self.weather.rate) as u64;
        self.busy_until = begins + Duration::from_micros(micros);
        let mut at = self.busy_until + self.weather.delay;
        if self.weather.roll(self.weather.late) {
            at += self.weather.lateness;
        }
        self.leaves(at, flow, Thing::Data(seq, length));
    }

    fn back(&mut self, flow: usize, answer: Answer) {
        if self.weather.roll(self.weather.ack_loss) {
            return;
        }
        let mut at = self.now + self.weather.delay;
        if let Some(step) = self.weather.compression {
            let step = step.total_micros() as i64;
            at = Instant::from_micros((at.total_micros() / step + 1) * step);
        }
        self.leaves(at, flow, Thing::Ack(answer));
    }

    /// Sends what flow `index` may send.
    fn serve(&mut self, index: usize) {
        let now = self.now;
        let flow = &mut self.flows[index];
        let mut out = Vec::new();
        while let Some(fired) = flow.recovery.expire(now) {
            flow.timeouts += usize::from(fired == Fired::Timeout);
            flow.probes += usize::from(fired == Fired::Probe);
        }
        while let Some((seq, length)) = flow.recovery.next_lost() {
            flow.recovery.sent(now, seq, length);
            flow.resent += length;
            out.push((seq, length, false));
        }
        loop {
            let nxt = flow.recovery.nxt();
            let left = usize::try_from(flow.end.since(nxt)).expect("no more than that");
            let length = left.min(MSS);
            if length == 0 || length > flow.recovery.allowance(now) {
                break;
            }
            flow.recovery.sent(now, nxt, length);
            out.push((nxt, length, flow.unlucky.contains(&flow.segments)));
            flow.segments += 1;
        }
        if let Some((seq, length)) = flow.recovery.next_probe() {
            flow.recovery.sent(now, seq, length);
            flow.resent += length;
            out.push((seq, length, false));
        }
        for (seq, length, is_lost) in out {
            self.forward(index, seq, length, is_lost);
        }
    }

    /// Goes on to what happens next. False if nothing will.
    fn step(&mut self) -> bool {
        let timers = self
            .flows
            .iter()
            .flat_map(|flow| [flow.recovery.deadline(), flow.receiver.deadline()]);
        let arrival = self.under_way.peek().map(|Reverse((at, ..))| *at);
        let Some(next) = timers.chain([arrival]).flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        while let Some(&Reverse((at, number, flow))) = self.under_way.peek()
            && at <= self.now
        {
            self.under_way.pop();
            match self.things[number].take().expect("once") {
                Thing::Data(seq, length) => {
                    if let Some(answer) = self.flows[flow].receiver.hears(self.now, seq, length) {
                        self.back(flow, answer);
                    }
                }
                Thing::Ack(answer) => self.hears(flow, &answer),
            }
        }
        for index in 0..self.flows.len() {
            let receiver = &mut self.flows[index].receiver;
            if receiver.deadline().is_some_and(|at| at <= self.now) {
                let answer = receiver.speaks();
                self.back(index, answer);
            }
            self.serve(index);
        }
        true
    }

    fn hears(&mut self, index: usize, answer: &Answer) {
        let flow = &mut self.flows[index];
        flow.recovery.acknowledged(
            self.now,
            &Acknowledgement {
                ack: answer.ack,
                blocks: &answer.blocks,
                bare: true,
            },
        );
        if flow.recovery.una() == flow.end && flow.finished.is_none() {
            flow.finished = Some(self.now);
        }
        self.serve(index);
    }

    /// Until everything has arrived. How long it took, in milliseconds.
    pub(super) fn runs(&mut self) -> u64 {
        let start = self.now;
        for index in 0..self.flows.len() {
            self.serve(index);
        }
        for _ in 0..5_000_000 {
            if self.flows.iter().all(|flow| flow.finished.is_some()) {
                for flow in &self.flows {
                    assert_eq!(flow.receiver.rcv_nxt, flow.end);
                    assert_eq!(flow.recovery.deadline(), None, "nothing to wait for");
                    assert_eq!(flow.recovery.held(), 0, "and nothing to remember");
                }
                return (self.now - start).total_millis();
            }
            assert!(self.step(), "it stands still: {:#?}", self.flows);
        }
        panic!("no end: {:#?}", self.flows);
    }

    /// For so long.
    pub(super) fn runs_for(&mut self, time: Duration) {
        let end = self.now + time;
        for index in 0..self.flows.len() {
            self.serve(index);
        }
        while self.now < end && self.step() {}
    }
}
