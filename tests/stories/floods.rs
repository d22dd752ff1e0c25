//! Floods of SYNs from Linux, and many connections at once.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use commands::OpenedFile;
use lab::network::{ACK, Namespace, Overheard, RawSegment, RawSender, SYN};
use lab::{Stack, cpu_seconds};

use crate::common::SOON;
use crate::traffic::{ETH0, OURS, counter, on_tap};

const ALL: &str = "/scheme/netcfg/stats";
const PORT: u16 = 4001;

/// The sender that somebody pretends to be: of a network that has been set aside for tests (RFC 2544), where nobody is.
fn spoofed(number: u32) -> SocketAddrV4 {
    let address = Ipv4Addr::from_bits(0xc612_0000 + number % (1 << 17));
    SocketAddrV4::new(address, 1024 + (number >> 17) as u16)
}

fn server() -> SocketAddrV4 {
    SocketAddrV4::new(OURS, PORT)
}

/// SYNs from this number on.
fn syns(first: u32, count: u32) -> Vec<RawSegment> {
    (first..first + count)
        .map(|number| RawSegment::syn(spoofed(number), server(), number))
        .collect()
}

#[test]
fn ten_thousand_half_open_peers_are_accepted_when_they_answer() {
    const PEERS: u32 = 10_000;
    let Some((namespace, stack)) = on_tap() else {
        return;
    };
    let here = stack.enter("server");
    let listener = OpenedFile::listen(PORT).unwrap();
    let (sender, overheard) = (
        RawSender::inside(&namespace).unwrap(),
        Overheard::inside(&namespace).unwrap(),
    );
    let mut answers = Vec::new();
    for first in (0..PEERS).step_by(100) {
        sender.send(&syns(first, 100)).unwrap();
        // As many SYN-ACKs: no queue on the way has lost one.
        while answers.len() < (first + 100) as usize {
            let heard = overheard.next(SOON).unwrap().unwrap();
            if heard.from == server() && heard.flags == SYN | ACK {
                answers.push(heard.answer());
            }
        }
    }
    let cookies = counter(&stack, ALL, "tcp.cookies_sent");
    assert!(cookies >= u64::from(PEERS) - 1024, "{cookies}");
    for answer in &answers {
        sender.send(std::slice::from_ref(answer)).unwrap();
        let connection = listener.dup("listen").unwrap();
        drop(connection);
    }
    assert_eq!(counter(&stack, ALL, "tcp.passive_opens"), u64::from(PEERS));
    drop(here);
}

/// What everybody counted.
fn counters(stack: &Stack) -> BTreeMap<String, u64> {
    let text = stack.read(ALL).unwrap() + &stack.read(ETH0).unwrap();
    let number = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(number).collect()
}

/// Linux connects as fast as it can from some threads, and hears the end of each connection.
fn connect_for(namespace: &Namespace, time: Duration, threads: usize) -> u64 {
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(move || {
                    namespace
                        .enter(|| {
                            let mut done = 0;
                            while Instant::now() < end {
                                let mut stream = TcpStream::connect((OURS, PORT)).unwrap();
                                let mut rest = [0; 1];
                                assert_eq!(stream.read(&mut rest).unwrap(), 0);
                                done += 1;
                            }
                            done
                        })
                        .unwrap()
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum()
    })
}

#[test]
#[ignore = "measures"]
fn how_many_connections_a_second_are_accepted_from_linux() {
    let Some((namespace, stack)) = on_tap() else {
        return;
    };
    for threads in [1, 2, 4, 8, 16] {
        let (stopped, listens) = (AtomicBool::new(false), Barrier::new(2));
        std::thread::scope(|scope| {
            let acceptor = scope.spawn(|| {
                let _here = stack.enter("server");
                let listener = OpenedFile::listen(PORT).unwrap();
                listens.wait();
                while !stopped.load(Ordering::Relaxed) {
                    drop(listener.dup("listen").unwrap());
                }
            });
            listens.wait();
            let (before, cpu) = (counters(&stack), cpu_seconds());
            let started = Instant::now();
            let time = Duration::from_secs(3);
            let done = connect_for(&namespace, time, threads);
            let took = started.elapsed();
            stopped.store(true, Ordering::Relaxed);
            let last = || drop(TcpStream::connect((OURS, PORT)).unwrap());
            namespace.enter(last).unwrap();
            acceptor.join().unwrap();
            println!(
                "{threads} threads: {:.0} connections a second",
                done as f64 / took.as_secs_f64()
            );
            for (name, value) in cpu_seconds() {
                let spent = value - cpu.get(&name).unwrap_or(&0.0);
                if spent > 0.05 {
                    println!("    {name}: {:.1} µs", spent * 1e6 / done as f64);
                }
            }
            for (name, value) in counters(&stack) {
                let grown = value.saturating_sub(*before.get(&name).unwrap_or(&0));
                if grown > 0 {
                    println!("    {name} {:.2}", grown as f64 / done as f64);
                }
            }
        });
    }
}
