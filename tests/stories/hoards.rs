//! Peers that never read, and programs that never read: what they keep from others, and what they give back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use commands::OpenedFile;
use lab::network::Namespace;
use lab::peers::EchoServer;
use lab::{Stack, cpu_seconds, cpu_seconds_since};
use rustix::process::{Resource, getrlimit, setrlimit};
use syscall::flag::{F_GETFL, F_SETFL, O_NONBLOCK};

use crate::common::{SOON, exchange};
use crate::traffic::{ALL, LINUX, OURS, counter, on_tap};

const HELD: &str = "tcp.memory.held";
const EACH_WAY: usize = 1000;
/// More than we take of a program that writes to a peer that does not read, or of a peer that writes to such a program.
const MUCH: usize = 256 << 10;
const BUSY: usize = 64 << 20;

fn nonblocking(socket: &OpenedFile) {
    let flags = libredox::call::fcntl(socket.raw(), F_GETFL, 0).unwrap();
    libredox::call::fcntl(socket.raw(), F_SETFL, flags | O_NONBLOCK).unwrap();
}

/// This process holds the other ends of thousands of connections.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Offers each of `ends` up to `most` octets in all, until none takes any more, even after all that was on its way has
/// come.
fn fill<T>(
    echo: &OpenedFile,
    ends: &mut [T],
    most: usize,
    mut write: impl FnMut(&mut T, &[u8]) -> Option<usize>,
) {
    let octets = vec![7; 64 << 10];
    let mut offered: Vec<_> = ends.iter_mut().map(|end| (end, 0)).collect();
    let mut pauses = 0;
    while pauses < 2 {
        let mut taken = 0;
        for (end, sent) in &mut offered {
            let rest = octets.get(..most - *sent).unwrap_or(&octets);
            let count = write(end, rest).unwrap_or(0);
            *sent += count;
            taken += count;
        }
        if taken == 0 {
            exchange(echo, b"are you through?");
            pauses += 1;
        }
    }
}

/// Programs that write to Linux, where nobody reads.
fn peers_that_never_read(
    echo: &OpenedFile,
    namespace: &Namespace,
) -> (Vec<OpenedFile>, Vec<TcpStream>) {
    let listener = namespace.enter(|| TcpListener::bind((LINUX, 5001)).unwrap());
    let listener = listener.unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..EACH_WAY {
        ours.push(OpenedFile::connect((LINUX, 5001).into()).unwrap());
        theirs.push(listener.accept().unwrap().0);
    }
    ours.iter().for_each(nonblocking);
    fill(echo, &mut ours, usize::MAX, |end, octets| {
        end.write(octets).ok()
    });
    (ours, theirs)
}

/// Linux writes to programs that never read.
fn programs_that_never_read(
    echo: &OpenedFile,
    namespace: &Namespace,
) -> (Vec<OpenedFile>, Vec<TcpStream>) {
    let listener = OpenedFile::listen(5002).unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..EACH_WAY {
        let stream = namespace.enter(|| TcpStream::connect((OURS, 5002)).unwrap());
        theirs.push(stream.unwrap());
        ours.push(listener.dup("listen").unwrap());
    }
    for stream in &theirs {
        stream.set_nonblocking(true).unwrap();
    }
    fill(echo, &mut theirs, MUCH, |end, octets| {
        end.write(octets).ok()
    });
    (ours, theirs)
}

/// How fast octets went, in megabytes a second.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    by_the_clock: f64,
    /// In the time that smolnetd had a processor for. Who else works on the machine does not matter to that.
    by_work: f64,
}

impl Rate {
    fn best(self, other: Rate) -> Rate {
        Rate {
            by_the_clock: self.by_the_clock.max(other.by_the_clock),
            by_work: self.by_work.max(other.by_work),
        }
    }
}

/// What a program sends to Linux, and Linux to a program: the best of some attempts, which end when it is enough.
fn rates(namespace: &Namespace, attempts: usize, enough: impl Fn([Rate; 2]) -> bool) -> [Rate; 2] {
    let linux = namespace.enter(|| TcpListener::bind((LINUX, 5003)).unwrap());
    let linux = linux.unwrap();
    let here = OpenedFile::listen(5004).unwrap();
    let mut best = [Rate::default(); 2];
    for _ in 0..attempts {
        let ours = OpenedFile::connect((LINUX, 5003).into()).unwrap();
        let theirs = linux.accept().unwrap().0;
        best[0] = best[0].best(carry(theirs, ours, true));
        let theirs = namespace.enter(|| TcpStream::connect((OURS, 5004)).unwrap());
        let ours = here.dup("listen").unwrap();
        best[1] = best[1].best(carry(theirs.unwrap(), ours, false));
        if enough(best) {
            break;
        }
    }
    best
}

/// Moves octets from one end to the other.
fn carry(mut theirs: TcpStream, ours: OpenedFile, out: bool) -> Rate {
    let (start, before) = (Instant::now(), cpu_seconds());
    let octets = vec![5; 64 << 10];
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = vec![5; 64 << 10];
            for _ in 0..BUSY / octets.len() {
                if out {
                    theirs.read_exact(&mut buffer).unwrap();
                } else {
                    theirs.write_all(&buffer).unwrap();
                }
            }
        });
        let mut buffer = vec![5; 64 << 10];
        let mut left = BUSY;
        while left > 0 {
            left -= if out {
                ours.write(&buffer[..buffer.len().min(left)]).unwrap()
            } else {
                ours.read(&mut buffer).unwrap()
            };
        }
    });
    let megabytes = BUSY as f64 / 1e6;
    Rate {
        by_the_clock: megabytes / start.elapsed().as_secs_f64(),
        by_work: megabytes / cpu_seconds_since(&before)["smolnetd"],
    }
}

/// Everything is given back as soon as Linux has said that it has gone; what it says may be lost on the way and is then
/// asked for again.
fn gives_everything_back(stack: &Stack, echo: &OpenedFile) {
    let start = Instant::now();
    while counter(stack, ALL, HELD) > 0 {
        assert!(start.elapsed() < SOON, "{}", counter(stack, ALL, HELD));
        exchange(echo, b"are you through?");
    }
}

#[test]
fn two_thousand_that_never_read_leave_others_their_throughput() {
    let Some((namespace, stack)) = on_tap() else {
        return;
    };
    allow_many_files();
    let here = stack.enter("programs");
    // What has been said there and back has come behind all that was on its way before.
    let listener = namespace.enter(|| TcpListener::bind((LINUX, 5000)).unwrap());
    let server = EchoServer::tcp(listener.unwrap()).unwrap();
    let echo = OpenedFile::connect(server.address()).unwrap();
    let alone = rates(&namespace, 3, |_| false);
    // It is four fifths and more; but others may have had the machine, and if each packet looked at all connections it
    // would be a tenth.
    let enough = |rates: [Rate; 2]| {
        let both = rates.iter().zip(alone);
        both.into_iter().all(|(crowded, alone)| {
            crowded.by_work >= 0.6 * alone.by_work
                && crowded.by_the_clock >= 0.3 * alone.by_the_clock
        })
    };
    let peers = peers_that_never_read(&echo, &namespace);
    let programs = programs_that_never_read(&echo, &namespace);
    let held = counter(&stack, ALL, HELD);
    let crowded = rates(&namespace, 10, enough);
    println!("alone {alone:.0?}, beside {held} bytes that nobody reads {crowded:.0?}");
    // Most of a window of 64 KiB of each peer that writes, and most of such a send buffer of each program.
    assert!(held > 2 * EACH_WAY as u64 * 40_000, "{held}");
    assert!(held < counter(&stack, ALL, "tcp.memory.most"));
    assert!(enough(crowded));
    drop((peers, programs));
    gives_everything_back(&stack, &echo);
    drop(here);
}
