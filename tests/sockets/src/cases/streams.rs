//! Bytes over a connection, by every call.

use core::time::Duration;
use std::time::Instant;

use libc::{
    EAGAIN, EINVAL, ENOTCONN, EPIPE, MSG_DONTWAIT, MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL,
    SO_RCVTIMEO, SO_SNDTIMEO,
};

use crate::case::{Outcome, World, cases, equal, fails, holds};
use crate::ends::{POLLIN, POLLOUT};
use crate::sys;

cases! {
    Both: a_read_takes_what_is_there_and_leaves_the_rest
        a_peek_leaves_what_it_shows
        a_read_that_waits_for_all_does
        a_read_that_waits_for_all_ends_with_the_stream
        a_read_that_may_not_wait_does_not
        a_truncating_read_throws_away
        reads_and_writes_of_nothing_do_nothing
        parts_are_gathered_and_scattered
        messages_of_a_connection_carry_no_address
        a_write_that_names_an_address_goes_to_the_peer
        a_full_connection_takes_no_more_until_something_is_read
        what_is_unread_is_counted
        a_read_has_a_timeout
        a_write_has_a_timeout
        an_accept_has_a_timeout
        who_is_not_connected_reads_and_writes_nothing
        a_broken_pipe_sends_its_signal_unless_it_is_told_not_to
        there_is_no_urgent_data
        a_million_bytes_arrive_as_they_were_sent
        a_million_bytes_go_each_way_at_once;
}

fn a_read_takes_what_is_there_and_leaves_the_rest(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.say(b"0123456789")?;
    accepted.wait_for(POLLIN)?;
    let mut room = [0; 4];
    equal("read", accepted.read(&mut room)?, 4)?;
    equal("what it read", room, *b"0123")?;
    accepted.hears(b"456789")?;
    accepted.hears_nothing()
}

fn a_peek_leaves_what_it_shows(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.say(b"peek")?;
    let mut room = [0; 10];
    for _ in 0..2 {
        accepted.wait_for(POLLIN)?;
        equal("recv", accepted.receive(&mut room, MSG_PEEK)?, 4)?;
        equal("what it saw", &room[..4], b"peek")?;
    }
    accepted.hears(b"peek")
}

fn a_read_that_waits_for_all_does(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.say(b"first ")?;
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let said = called.say(b"second");
        (called, said)
    });
    let mut room = [0; 12];
    let length = accepted.receive(&mut room, MSG_WAITALL)?;
    equal("recv", &room[..length], b"first second")?;
    let (called, said) = writer.join().map_err(|_| wrong("the writer"))?;
    said?;
    called.say(b"third")?;
    let mut room = [0; 5];
    equal(
        "recv",
        accepted.receive(&mut room, MSG_WAITALL | MSG_PEEK)?,
        5,
    )?;
    accepted.hears(b"third")
}

fn a_read_that_waits_for_all_ends_with_the_stream(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.say(b"short")?;
    called.shutdown(libc::SHUT_WR)?;
    let mut room = [0; 100];
    equal("recv", accepted.receive(&mut room, MSG_WAITALL)?, 5)?;
    accepted.hears_the_end()
}

fn a_read_that_may_not_wait_does_not(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let mut room = [0; 10];
    let nothing = accepted.receive(&mut room, MSG_DONTWAIT);
    fails("recv", nothing, EAGAIN)?;
    let nothing = accepted.receive_message(&mut [&mut room], MSG_DONTWAIT);
    fails("recvmsg", nothing, EAGAIN)?;
    called.say(b"x")?;
    accepted.wait_for(POLLIN)?;
    equal("recv", accepted.receive(&mut room, MSG_DONTWAIT)?, 1)
}

/// tcp(7): "the bytes are discarded and only their number is returned".
fn a_truncating_read_throws_away(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.say(b"gone, here")?;
    accepted.wait_for(POLLIN)?;
    let mut room = [0; 6];
    equal("recv", accepted.receive(&mut room, MSG_TRUNC)?, 6)?;
    accepted.hears(b"here")
}

fn reads_and_writes_of_nothing_do_nothing(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    equal("send", called.send(b"", 0)?, 0)?;
    equal("write", called.write(b"")?, 0)?;
    holds("nothing arrived", !accepted.is_readable()?)?;
    called.say(b"x")?;
    accepted.wait_for(POLLIN)?;
    equal("recv", accepted.receive(&mut [], 0)?, 0)?;
    equal("read", accepted.read(&mut [])?, 0)?;
    accepted.hears(b"x")
}

fn parts_are_gathered_and_scattered(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    equal("writev", called.write_parts(&[b"one", b"", b" two"])?, 7)?;
    equal(
        "sendmsg",
        called.send_message(&[b" three", b" four"], None)?,
        11,
    )?;
    let (mut a, mut b, mut c) = ([0; 4], [0; 3], [0; 11]);
    accepted.wait_for(POLLIN)?;
    equal("readv", accepted.read_parts(&mut [&mut a, &mut b])?, 7)?;
    equal("the parts", (&a, &b), (b"one ", b"two"))?;
    let message = accepted.receive_message(&mut [&mut c], MSG_WAITALL)?;
    equal("recvmsg", message.length, 11)?;
    equal("the rest", &c, b" three four")
}

fn messages_of_a_connection_carry_no_address(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.say(b"ab")?;
    accepted.wait_for(POLLIN)?;
    let mut room = [0; 1];
    let (length, from) = accepted.receive_from(&mut room, 0)?;
    equal("recvfrom", length, 1)?;
    equal("recvfrom names somebody", from.is_some(), false)?;
    let message = accepted.receive_message(&mut [&mut room], 0)?;
    equal("recvmsg", (message.length, message.flags), (1, 0))?;
    equal("recvmsg names somebody", message.from.is_some(), false)
}

fn a_write_that_names_an_address_goes_to_the_peer(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let (_stranger, elsewhere) = world.listener()?;
    equal("sendto", called.send_to(b"to you", elsewhere)?, 6)?;
    accepted.hears(b"to you")
}

fn a_full_connection_takes_no_more_until_something_is_read(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.set_nonblocking()?;
    let filled = called.fill_up()?;
    holds("it took something", filled > 1000)?;
    fails("send", called.send(b"x", 0), EAGAIN)?;
    equal("it can be written", called.ready(POLLOUT)?, 0)?;
    accepted.drain(filled)?;
    equal("it can be written then", called.wait_for(POLLOUT)?, POLLOUT)?;
    called.say(b"more")?;
    accepted.hears(b"more")
}

fn what_is_unread_is_counted(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    equal("before", accepted.unread()?, 0)?;
    called.say(b"0123456789")?;
    accepted.wait_for(POLLIN)?;
    equal("with ten bytes", accepted.unread()?, 10)?;
    accepted.hears(b"0123")?;
    equal("after four were read", accepted.unread()?, 6)
}

fn a_read_has_a_timeout(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.set_timeout(SO_RCVTIMEO, 80)?;
    let begun = Instant::now();
    let mut room = [0; 1];
    fails("recv", called.receive(&mut room, 0), EAGAIN)?;
    let waited = begun.elapsed();
    holds("it waited", waited >= Duration::from_millis(70))?;
    called.set_timeout(SO_RCVTIMEO, 0)?;
    accepted.say(b"x")?;
    called.hears(b"x")
}

fn a_write_has_a_timeout(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let filled = called.fill_up()?;
    called.set_timeout(SO_SNDTIMEO, 80)?;
    let begun = Instant::now();
    // More than what may have become free meanwhile: a part of it, or nothing.
    let mut more = 0;
    loop {
        match called.send(&[7; 200_000], 0) {
            Ok(sent) => more += sent,
            failed => break fails("send", failed, EAGAIN)?,
        }
    }
    holds("it waited", begun.elapsed() >= Duration::from_millis(70))?;
    accepted.drain(filled + more)?;
    called.say(b"x")?;
    accepted.hears(b"x")
}

fn an_accept_has_a_timeout(world: &World) -> Outcome {
    let (listener, _) = world.listener()?;
    listener.set_timeout(SO_RCVTIMEO, 80)?;
    let begun = Instant::now();
    fails("accept", listener.accept(), EAGAIN)?;
    holds("it waited", begun.elapsed() >= Duration::from_millis(70))
}

fn who_is_not_connected_reads_and_writes_nothing(world: &World) -> Outcome {
    let mut room = [0; 1];
    for socket in [world.tcp()?, world.listener()?.0] {
        fails("recv", socket.receive(&mut room, 0), ENOTCONN)?;
        fails("read", socket.read(&mut room), ENOTCONN)?;
        fails("send", socket.send(b"x", 0), EPIPE)?;
    }
    Ok(())
}

fn a_broken_pipe_sends_its_signal_unless_it_is_told_not_to(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    called.shutdown(libc::SHUT_WR)?;
    sys::count_pipes();
    let before = sys::pipes();
    fails("send with MSG_NOSIGNAL", called.send(b"x", 0), EPIPE)?;
    equal("signals", sys::pipes() - before, 0)?;
    fails("send", called.send_with_signal(b"x"), EPIPE)?;
    fails("write", called.write(b"x"), EPIPE)?;
    equal("signals", sys::pipes() - before, 2)
}

fn there_is_no_urgent_data(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    let mut room = [0; 1];
    fails("recv", called.receive(&mut room, MSG_OOB), EINVAL)
}

/// Bytes by which a mistake shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn a_million_bytes_arrive_as_they_were_sent(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let bytes = pattern(1_000_000);
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || {
        called.say(&sent)?;
        called.shutdown(libc::SHUT_WR)?;
        Ok::<_, crate::case::Fail>(called)
    });
    accepted.hears(&bytes)?;
    accepted.hears_the_end()?;
    writer.join().map_err(|_| wrong("the writer"))?.map(drop)
}

fn a_million_bytes_go_each_way_at_once(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let (called2, accepted2) = (called.duplicate()?, accepted.duplicate()?);
    let bytes = pattern(1_000_000);
    let (one, two) = (bytes.clone(), bytes.clone());
    let writers = [
        std::thread::spawn(move || called2.say(&one)),
        std::thread::spawn(move || accepted2.say(&two)),
    ];
    let expected = bytes.clone();
    let reader = std::thread::spawn(move || called.hears(&expected));
    accepted.hears(&bytes)?;
    reader.join().map_err(|_| wrong("the reader"))??;
    for writer in writers {
        writer.join().map_err(|_| wrong("a writer"))??;
    }
    Ok(())
}

fn wrong(what: &str) -> crate::case::Fail {
    crate::case::Fail::Wrong(format!("{what} panicked"))
}
