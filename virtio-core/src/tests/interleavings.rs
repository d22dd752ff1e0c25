//! Random sequences of what driver and device can do, honest and not. After each step every descriptor and every
//! buffer is somewhere, and nowhere twice.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// The driver posts a chain of so many parts, the first of which are to be read.
    Post {
        parts: usize,
        readable: usize,
    },
    Publish,
    Take,
    Arm {
        after: u16,
    },
    Disarm,
    /// The device takes all there is and uses one of those that it has, writing part of its room.
    Use {
        which: usize,
        fill: u32,
    },
    /// The device writes what it likes into a used element or index.
    Lie {
        id: u32,
        length: u32,
        ahead: u16,
    },
    /// The device rewrites what is the driver's. Legal as far as the driver can tell, so it must change nothing.
    Scribble {
        byte: u8,
    },
}

fn steps(lies: bool) -> impl Strategy<Value = Vec<Step>> {
    let honest = prop_oneof![
        6 => (1..6usize, 0..6usize).prop_map(|(parts, readable)| Step::Post { parts, readable }),
        3 => Just(Step::Publish),
        4 => Just(Step::Take),
        1 => (1..20u16).prop_map(|after| Step::Arm { after }),
        1 => Just(Step::Disarm),
        6 => (0..16usize, 0..500u32).prop_map(|(which, fill)| Step::Use { which, fill }),
    ];
    let id = prop_oneof![0..20u32, any::<u32>()];
    let length = prop_oneof![0..300u32, any::<u32>()];
    let ahead = prop_oneof![0..20u16, any::<u16>()];
    let lie = prop_oneof![
        (id, length, ahead).prop_map(|(id, length, ahead)| Step::Lie { id, length, ahead }),
        any::<u8>().prop_map(|byte| Step::Scribble { byte }),
    ];
    let step = if lies {
        prop_oneof![12 => honest, 1 => lie].boxed()
    } else {
        honest.boxed()
    };
    proptest::collection::vec(step, 1..300)
}

/// What the device has taken from the available ring.
struct Taken {
    head: u16,
    room: u32,
    /// Pool indices of the buffers, from the driver's own notes.
    buffers: Vec<usize>,
}

/// Driver and device, and what the test knows of both.
struct World {
    line: Line,
    /// Buffer indices of the chains that are posted, in order, that the device has not taken.
    posted: Vec<Vec<usize>>,
    device: Vec<Taken>,
    /// Buffers and written lengths of chains that were honestly used and not taken back, in order.
    used: Vec<(Vec<usize>, u32)>,
    lied: bool,
    scribbled: bool,
}

impl World {
    fn new(offered: Features) -> Self {
        let line = Line::with_buffers(offered, 8, 20, 32);
        Self {
            line,
            posted: Vec::new(),
            device: Vec::new(),
            used: Vec::new(),
            lied: false,
            scribbled: false,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Post { parts, readable } => self.post(parts, readable),
            Step::Publish => _ = self.line.doorbell.publish(&mut self.line.queue),
            Step::Take => self.take(),
            Step::Arm { after } => self.arm(after),
            Step::Disarm => self.line.queue.disarm(),
            Step::Use { which, fill } => self.use_one(which, fill),
            Step::Lie { id, length, ahead } => {
                self.lied = true;
                self.line
                    .end
                    .write_used(self.line.end.used_index, id, length);
                self.line
                    .end
                    .set_used_index(self.line.end.used_index.wrapping_add(ahead));
            }
            Step::Scribble { byte } => {
                self.scribbled = true;
                self.line.end.scribble(byte);
            }
        }
    }

    fn post(&mut self, parts: usize, readable: usize) {
        let buffers: Vec<Buffer> = (0..parts).map_while(|_| self.line.pool.take()).collect();
        if buffers.len() < parts {
            return;
        }
        let indices = buffers.iter().map(Buffer::index).collect();
        let mut parts = buffers
            .into_iter()
            .enumerate()
            .map(|(at, buffer)| (at < readable, buffer));
        let (first_readable, first) = parts.next().expect("at least one");
        let first = if first_readable {
            Chain::readable(first, 0..32)
        } else {
            Chain::writable(first)
        };
        let chain = parts.fold(first, |chain, (readable, buffer)| match readable {
            true => chain.then_readable(buffer, 0..32),
            false => chain.then_writable(buffer),
        });
        match self.line.queue.post(chain) {
            Ok(()) => self.posted.push(indices),
            Err(refused) => {
                let broken = self.line.queue.fault().is_some();
                assert_eq!(
                    refused.error,
                    if broken {
                        PostError::Broken
                    } else {
                        PostError::Full
                    }
                );
            }
        }
    }

    fn use_one(&mut self, which: usize, fill: u32) {
        // An honest device cannot work with what it has spoilt itself.
        while !self.scribbled
            && let Some(chain) = self.line.end.pop()
        {
            let room = chain
                .parts
                .iter()
                .filter(|part| part.writable)
                .map(|part| part.length)
                .sum();
            let buffers = self.posted.remove(0);
            assert_eq!(
                chain.parts.len(),
                buffers.len(),
                "the device sees the chain that was posted"
            );
            self.device.push(Taken {
                head: chain.head,
                room,
                buffers,
            });
        }
        if self.device.is_empty() {
            return;
        }
        let taken = self.device.remove(which % self.device.len());
        let written = fill.min(taken.room);
        self.line.end.push(taken.head, written);
        self.used.push((taken.buffers, written));
    }

    fn take(&mut self) {
        match self.line.queue.take() {
            Ok(Some(used)) => {
                let indices: Vec<usize> =
                    used.chain.parts().map(|part| part.buffer.index()).collect();
                let room: usize = used
                    .chain
                    .parts()
                    .filter(|part| part.writable)
                    .map(|part| part.range.len())
                    .sum();
                assert!(
                    used.written as usize <= room,
                    "never more than there is room for"
                );
                if !self.lied {
                    assert_eq!(
                        (indices, used.written),
                        self.used.remove(0),
                        "in the order of use"
                    );
                }
            }
            Ok(None) => assert!(
                self.lied || self.used.is_empty(),
                "{:?} was missed",
                self.used.len()
            ),
            Err(fault) => assert!(self.lied, "an honest device was called a liar: {fault}"),
        }
    }

    fn arm(&mut self, after: u16) {
        let more = self.line.queue.arm_after(after);
        if !self.lied {
            let outstanding = self.used.len() + self.device.len() + self.posted_and_published();
            let wanted = usize::from(after).min(outstanding).max(1);
            assert_eq!(
                more,
                self.used.len() >= wanted,
                "{} used, {wanted} wanted",
                self.used.len()
            );
        }
    }

    fn posted_and_published(&self) -> usize {
        let stats = self.line.queue.stats();
        self.posted.len() - (stats.posted - stats.published) as usize
    }

    fn check(&self) {
        let (line, queue) = (&self.line, &self.line.queue);
        assert_eq!(
            u32::from(queue.free()) + u32::from(queue.posted()) + u32::from(queue.in_flight()),
            8,
            "{queue:?}"
        );
        // The test holds no buffer between the steps: what is not free is posted.
        assert_eq!(
            line.pool.free() + line.pool.posted(),
            line.pool.count(),
            "{:?}",
            line.pool
        );
        if !self.lied {
            let known = self
                .posted
                .iter()
                .chain(self.device.iter().map(|taken| &taken.buffers));
            let mut known: Vec<usize> = known
                .chain(self.used.iter().map(|(used, _)| used))
                .flatten()
                .copied()
                .collect();
            assert_eq!(known.len(), line.pool.posted());
            known.sort_unstable();
            known.dedup();
            assert_eq!(known.len(), line.pool.posted(), "a buffer is in two places");
        }
        line.bench.assert_no_offence();
    }

    /// Whatever has happened: after a reset everything is back.
    fn end(mut self) {
        assert!(self.line.pool.canaries_are_whole());
        assert!(self.scribbled || self.line.queue.canaries_are_whole());
        assert!(self.line.queue.reclaim().is_none());
        let posted = self.line.pool.posted();
        drop(self.line.device.reset().expect("it resets"));
        let back = self.line.queue.reclaim().expect("reset");
        assert_eq!(
            back.iter()
                .map(|chain| chain.parts().count())
                .sum::<usize>(),
            posted
        );
        drop(back);
        assert_eq!((self.line.pool.free(), self.line.pool.posted()), (20, 0));
        assert_eq!(
            (self.line.queue.free(), self.line.queue.in_flight()),
            (8, 0)
        );
        drop((self.line.queue, self.line.pool));
        assert!(
            self.line.bench.memory.allocated().is_empty(),
            "nothing leaks"
        );
    }
}

fn run(offered: Features, steps: &[Step]) {
    let mut world = World::new(offered);
    for step in steps {
        world.step(step);
        world.check();
    }
    world.end();
}

fn offers() -> impl Strategy<Value = Features> {
    let bits = Features::EVENT_IDX | Features::INDIRECT_DESC | Features::ORDER_PLATFORM;
    any::<u64>().prop_map(move |random| Features(random) & bits | Features::VERSION_1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_honest_device_in_any_order(offered in offers(), steps in steps(false)) {
        run(offered, &steps);
    }

    #[test]
    fn a_device_that_sometimes_lies_in_any_order(offered in offers(), steps in steps(true)) {
        run(offered, &steps);
    }
}
