//! A long way between two cables: frames take their time, and segments of TCP are lost, by a seed. Kernels without netem
//! can do no such thing, and this one loses the same of each transfer again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Tap, Wire};
use crate::error::{Context, Result};
use crate::process::{Process, Program};
use crate::wait::{self, Stop};

/// Frames under way at most, in each direction: beyond, they are lost like others.
const MOST: usize = 10_000;

/// What the way is like.
#[derive(Clone, Copy, Debug)]
pub struct WeatherSpec {
    /// How long a frame takes, one way.
    pub delay: Duration,
    /// Of so many segments of TCP, one is lost.
    pub one_lost_of: u64,
    /// Which.
    pub seed: u64,
}

/// Carries frames between two cables until it is dropped.
#[derive(Debug)]
pub struct Weather {
    stop: Arc<Stop>,
    directions: Vec<JoinHandle<()>>,
}

impl Weather {
    /// Between the far ends of these cables.
    pub fn between(one: &Wire, other: &Wire, spec: WeatherSpec) -> Result<Self> {
        let stop = Arc::new(Stop::new().context("a way")?);
        let mut directions = Vec::new();
        for (number, (from, to)) in (1..).zip([(one, other), (other, one)]) {
            let direction = Direction {
                from: from.clone(),
                to: to.clone(),
                spec,
                dice: spec.seed.wrapping_mul(2).wrapping_add(number),
                under_way: VecDeque::new(),
            };
            let stop = stop.clone();
            directions.push(std::thread::spawn(move || direction.carry(&stop)));
        }
        Ok(Self { stop, directions })
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.stop.stop();
        for direction in self.directions.drain(..) {
            let _ = direction.join();
        }
    }
}

struct Direction {
    from: Wire,
    to: Wire,
    spec: WeatherSpec,
    dice: u64,
    under_way: VecDeque<(Instant, Vec<u8>)>,
}

impl Direction {
    fn carry(mut self, stop: &Stop) {
        while !stop.is_stopped() {
            let due = self.under_way.front().map(|&(at, _)| at);
            let wait = due.map(|at| at.saturating_duration_since(Instant::now()));
            if wait::readable(&[self.from.as_fd(), stop.as_fd()], wait).is_err() {
                return;
            }
            while let Ok(Some(frame)) = self.from.receive(Duration::ZERO) {
                if self.under_way.len() < MOST && !self.is_lost(&frame) {
                    let at = Instant::now() + self.spec.delay;
                    self.under_way.push_back((at, frame));
                }
            }
            let now = Instant::now();
            while let Some((_, frame)) = self.under_way.pop_front_if(|&mut (at, _)| at <= now) {
                // Nobody there yet, or any more: a frame like any other that is lost.
                let _ = self.to.send(&frame);
            }
        }
    }

    fn is_lost(&mut self, frame: &[u8]) -> bool {
        // Ethernet: IPv4, and its protocol is TCP.
        let is_tcp = frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&6);
        if !is_tcp {
            return false;
        }
        // Xorshift.
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 20).is_multiple_of(self.spec.one_lost_of.max(1))
    }
}

/// Ties a cable to a TAP, so that Linux is at the end of it, for as long as the process lives.
pub fn tie(wire: &Wire, tap: &Tap) -> Result<Process> {
    let mut program = Program::new("qemu-system-x86_64", "qemu-system-x86")?.args([
        "-machine",
        "none",
        "-nodefaults",
        "-display",
        "none",
    ]);
    for (id, netdev) in [
        ("tap", tap.argument("tap")),
        ("wire", wire.argument("wire")),
    ] {
        let port = format!("hubport,id={id}-port,hubid=1,netdev={id}");
        program = program.args(["-netdev", &netdev, "-netdev", &port]);
    }
    program.inside(tap.namespace()).start()
}
