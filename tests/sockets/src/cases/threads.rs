//! One socket in the hands of many threads, and calls that wait while others end what they wait for.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};

use libc::{EINVAL, SHUT_RD, SHUT_RDWR};

use crate::case::{Fail, Outcome, World, cases, equal, fails, holds};
use crate::ends::{MOMENT, POLLIN, SOON};
use crate::sys::{self, Socket};

cases! {
    Both: a_read_that_waits_is_woken_by_what_arrives
        a_read_that_waits_is_woken_by_shutdown
        a_read_that_waits_is_woken_by_a_reset
        a_write_that_waits_is_woken_by_room
        a_write_that_waits_is_woken_by_shutdown
        a_write_that_waits_is_woken_by_a_reset
        an_accept_that_waits_is_woken_by_a_caller
        an_accept_that_waits_is_woken_by_shutdown
        a_receive_that_waits_is_woken_by_a_datagram
        a_receive_that_waits_is_woken_by_shutdown
        a_poll_that_waits_is_woken
        many_threads_accept_each_a_caller_of_its_own
        many_threads_send_whole_datagrams
        many_threads_read_each_byte_once
        many_connections_are_used_at_once;
}

/// Lets another thread come to its waiting call.
fn let_it_wait() {
    std::thread::sleep(Duration::from_millis(MOMENT.unsigned_abs().into()));
}

fn joined<T>(thread: JoinHandle<T>) -> Outcome<T> {
    thread
        .join()
        .map_err(|_| Fail::Wrong("a thread panicked".into()))
}

/// A thread that reads once from a duplicate of the socket.
fn reader(socket: &Socket) -> Outcome<JoinHandle<crate::errno::Result<Vec<u8>>>> {
    let socket = socket.duplicate()?;
    Ok(spawn(move || {
        let mut room = vec![0; 100];
        let length = socket.receive(&mut room, 0)?;
        room.truncate(length);
        Ok(room)
    }))
}

/// A thread that writes until that fails.
fn writer(socket: &Socket) -> Outcome<JoinHandle<crate::errno::Result<()>>> {
    let socket = socket.duplicate()?;
    Ok(spawn(move || {
        loop {
            socket.send(&[7; 100_000], 0)?;
        }
    }))
}

fn a_read_that_waits_is_woken_by_what_arrives(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let reading = reader(&called)?;
    let_it_wait();
    accepted.say(b"wake up")?;
    equal("recv", joined(reading)??, b"wake up".to_vec())
}

fn a_read_that_waits_is_woken_by_shutdown(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    let reading = reader(&called)?;
    let_it_wait();
    called.shutdown(SHUT_RD)?;
    equal("recv", joined(reading)??, Vec::new())
}

fn a_read_that_waits_is_woken_by_a_reset(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let reading = reader(&called)?;
    let_it_wait();
    accepted.set_linger(0)?;
    drop(accepted);
    fails("recv", joined(reading)?, libc::ECONNRESET)
}

fn a_write_that_waits_is_woken_by_room(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let filled = called.fill_up()?;
    let socket = called.duplicate()?;
    let writing = spawn(move || socket.say(&[9; 100_000]));
    let_it_wait();
    accepted.drain(filled + 100_000)?;
    joined(writing)?
}

fn a_write_that_waits_is_woken_by_shutdown(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    let writing = writer(&called)?;
    let_it_wait();
    called.shutdown(SHUT_RDWR)?;
    fails("send", joined(writing)?, libc::EPIPE)
}

fn a_write_that_waits_is_woken_by_a_reset(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let writing = writer(&called)?;
    let_it_wait();
    accepted.set_linger(0)?;
    drop(accepted);
    fails("send", joined(writing)?, libc::ECONNRESET)
}

fn an_accept_that_waits_is_woken_by_a_caller(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let accepting = spawn(move || listener.accept().map(|(_, from)| from));
    let_it_wait();
    let calling = world.tcp()?;
    calling.connect(end)?;
    equal("who called", joined(accepting)??, calling.local()?)
}

fn an_accept_that_waits_is_woken_by_shutdown(world: &World) -> Outcome {
    let (listener, _) = world.listener()?;
    let same = listener.duplicate()?;
    let accepting = spawn(move || same.accept());
    let_it_wait();
    listener.shutdown(SHUT_RDWR)?;
    fails("accept", joined(accepting)?, EINVAL)
}

fn a_receive_that_waits_is_woken_by_a_datagram(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    let reading = reader(&two)?;
    let_it_wait();
    one.send(b"wake up", 0)?;
    equal("recv", joined(reading)??, b"wake up".to_vec())
}

fn a_receive_that_waits_is_woken_by_shutdown(world: &World) -> Outcome {
    let (_one, two) = world.datagram_pair()?;
    let reading = reader(&two)?;
    let_it_wait();
    two.shutdown(SHUT_RD)?;
    equal("recv", joined(reading)??, Vec::new())
}

fn a_poll_that_waits_is_woken(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let fd = called.fd();
    let polling = spawn(move || sys::poll(&[(fd, POLLIN)], SOON));
    let_it_wait();
    accepted.say(b"x")?;
    equal("poll", joined(polling)??, vec![POLLIN])
}

fn many_threads_accept_each_a_caller_of_its_own(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let listener = Arc::new(listener);
    let accepting: Vec<_> = (0..8)
        .map(|_| {
            let listener = Arc::clone(&listener);
            spawn(move || listener.accept().map(|(_, from)| from))
        })
        .collect();
    let mut callers = Vec::new();
    for _ in 0..8 {
        let calling = world.tcp()?;
        calling.connect(end)?;
        callers.push(calling);
    }
    let mut accepted = Vec::new();
    for thread in accepting {
        accepted.push(joined(thread)??);
    }
    let mut called = Vec::new();
    for calling in &callers {
        called.push(calling.local()?);
    }
    accepted.sort();
    called.sort();
    equal("who was accepted", accepted, called)
}

fn many_threads_send_whole_datagrams(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    let one = Arc::new(one);
    let senders: Vec<_> = (0..4_u8)
        .map(|number| {
            let one = Arc::clone(&one);
            spawn(move || {
                for _ in 0..10 {
                    one.send(&[number; 300], 0)?;
                }
                Ok::<_, crate::errno::Failed>(())
            })
        })
        .collect();
    let mut counts = [0; 4];
    for _ in 0..40 {
        let mut room = [0; 400];
        let length = two.receive(&mut room, 0)?;
        let [first, ..] = room;
        let datagram = room.get(..length).unwrap_or_default();
        holds(
            "it is whole",
            length == 300 && datagram.iter().all(|&b| b == first),
        )?;
        if let Some(count) = counts.get_mut(usize::from(first)) {
            *count += 1;
        }
    }
    equal("of each", counts, [10; 4])?;
    for sender in senders {
        joined(sender)??;
    }
    Ok(())
}

fn many_threads_read_each_byte_once(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let accepted = Arc::new(accepted);
    let sum = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (accepted, sum) = (Arc::clone(&accepted), Arc::clone(&sum));
            spawn(move || {
                let mut room = [0; 1000];
                loop {
                    match accepted.receive(&mut room, 0)? {
                        0 => return Ok::<_, crate::errno::Failed>(()),
                        n => sum.fetch_add(n, Ordering::SeqCst),
                    };
                }
            })
        })
        .collect();
    called.say(&vec![1; 300_000])?;
    drop(called);
    for thread in readers {
        joined(thread)??;
    }
    equal("bytes", sum.load(Ordering::SeqCst), 300_000)
}

fn many_connections_are_used_at_once(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let serving = spawn(move || -> Outcome {
        let mut threads = Vec::new();
        for _ in 0..30 {
            let (accepted, _) = listener.accept()?;
            threads.push(spawn(move || -> Outcome {
                let mut room = [0; 4096];
                loop {
                    match accepted.receive(&mut room, 0)? {
                        0 => return Ok(()),
                        n => accepted.say(room.get(..n).unwrap_or_default())?,
                    }
                }
            }));
        }
        threads.into_iter().try_for_each(|thread| joined(thread)?)
    });
    let world = *world;
    let callers: Vec<_> = (0..30_u8)
        .map(|number| {
            spawn(move || -> Outcome {
                let calling = world.tcp()?;
                calling.connect(end)?;
                for _ in 0..5 {
                    calling.say(&[number; 3000])?;
                    calling.hears(&[number; 3000])?;
                }
                Ok(())
            })
        })
        .collect();
    for thread in callers {
        joined(thread)??;
    }
    joined(serving)?
}
