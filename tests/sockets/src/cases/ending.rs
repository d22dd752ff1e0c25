//! shutdown(2), close(2), resets.

use libc::{
    ECONNRESET, EINVAL, ENOTCONN, EPIPE, SHUT_RD, SHUT_RDWR, SHUT_WR, SO_LINGER, SOL_SOCKET,
};

use crate::case::{Outcome, World, cases, equal, fails, holds};
use crate::ends::{POLLERR, POLLHUP, POLLIN, POLLOUT};
use crate::sys::Socket;

cases! {
    Both: half_a_connection_can_be_ended_and_the_other_half_goes_on
        after_the_end_nothing_is_sent
        a_direction_can_be_ended_twice
        a_socket_whose_reading_was_ended_reads_the_end
        what_was_received_before_reading_was_ended_is_read
        both_directions_end_at_once
        who_is_not_connected_has_nothing_to_end
        there_are_three_ways_to_end
        what_was_written_before_a_close_arrives
        a_close_with_linger_of_zero_resets
        a_close_with_linger_waits_until_all_has_arrived
        a_close_with_something_unread_resets
        a_reset_is_told_once_and_then_it_is_over
        a_reset_is_so_error_once
        writing_to_who_has_closed_comes_to_a_broken_pipe
        both_close_at_once
        linger_is_what_it_was_set_to;
}

fn half_a_connection_can_be_ended_and_the_other_half_goes_on(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.say(b"a question")?;
    called.shutdown(SHUT_WR)?;
    accepted.hears(b"a question")?;
    accepted.hears_the_end()?;
    accepted.say(b"an answer")?;
    called.hears(b"an answer")?;
    drop(accepted);
    called.hears_the_end()
}

fn after_the_end_nothing_is_sent(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    called.shutdown(SHUT_WR)?;
    fails("send", called.send(b"x", 0), EPIPE)?;
    fails("sendmsg", called.send_message(&[b"x"], None), EPIPE)
}

fn a_direction_can_be_ended_twice(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.shutdown(SHUT_WR)?;
    called.shutdown(SHUT_WR)?;
    called.shutdown(SHUT_RD)?;
    accepted.hears_the_end()
}

fn a_socket_whose_reading_was_ended_reads_the_end(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.shutdown(SHUT_RD)?;
    called.hears_the_end()?;
    holds("it is readable", called.ready(POLLIN)? & POLLIN != 0)?;
    // The other direction goes on.
    called.say(b"still here")?;
    accepted.hears(b"still here")
}

fn what_was_received_before_reading_was_ended_is_read(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    accepted.say(b"in time")?;
    called.wait_for(POLLIN)?;
    called.shutdown(SHUT_RD)?;
    called.hears(b"in time")?;
    called.hears_the_end()
}

fn both_directions_end_at_once(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.shutdown(SHUT_RDWR)?;
    called.hears_the_end()?;
    fails("send", called.send(b"x", 0), EPIPE)?;
    accepted.hears_the_end()
}

fn who_is_not_connected_has_nothing_to_end(world: &World) -> Outcome {
    fails("of TCP", world.tcp()?.shutdown(SHUT_WR), ENOTCONN)?;
    fails("of UDP", world.udp()?.shutdown(SHUT_WR), ENOTCONN)
}

fn there_are_three_ways_to_end(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    for how in [3, -1] {
        fails("shutdown", called.shutdown(how), EINVAL)?;
    }
    Ok(())
}

fn what_was_written_before_a_close_arrives(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let bytes = vec![5; 400_000];
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || {
        let said = called.say(&sent);
        drop(called);
        said
    });
    accepted.hears(&bytes)?;
    accepted.hears_the_end()?;
    writer
        .join()
        .map_err(|_| crate::case::Fail::Wrong("the writer panicked".into()))?
}

fn reset(world: &World) -> Outcome<Socket> {
    let (called, accepted) = world.connection()?;
    accepted.set_linger(0)?;
    drop(accepted);
    called.wait_for(POLLIN)?;
    Ok(called)
}

fn a_close_with_linger_of_zero_resets(world: &World) -> Outcome {
    let mut room = [0; 1];
    fails("recv", reset(world)?.receive(&mut room, 0), ECONNRESET)
}

fn a_close_with_linger_waits_until_all_has_arrived(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.set_linger(5)?;
    called.say(b"the last")?;
    drop(called);
    accepted.hears(b"the last")?;
    accepted.hears_the_end()
}

/// RFC 1122 4.2.2.13: "its TCP SHOULD send a RST to show that data was lost".
fn a_close_with_something_unread_resets(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    called.say(b"nobody reads this")?;
    accepted.wait_for(POLLIN)?;
    drop(accepted);
    called.wait_for(POLLIN)?;
    let mut room = [0; 1];
    fails("recv", called.receive(&mut room, 0), ECONNRESET)
}

fn a_reset_is_told_once_and_then_it_is_over(world: &World) -> Outcome {
    let called = reset(world)?;
    let mut room = [0; 1];
    fails("recv", called.receive(&mut room, 0), ECONNRESET)?;
    called.hears_the_end()?;
    fails("send", called.send(b"x", 0), EPIPE)
}

fn a_reset_is_so_error_once(world: &World) -> Outcome {
    let called = reset(world)?;
    let wanted = POLLIN | POLLOUT;
    let ready = called.ready(wanted)?;
    equal("ready for", ready & wanted, wanted)?;
    holds("it has hung up", ready & (POLLERR | POLLHUP) != 0)?;
    equal("SO_ERROR", called.take_error()?, ECONNRESET)?;
    equal("SO_ERROR again", called.take_error()?, 0)
}

fn writing_to_who_has_closed_comes_to_a_broken_pipe(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    drop(accepted);
    called.hears_the_end()?;
    // The first is answered by a reset.
    for _ in 0..200 {
        match called.send(b"x", 0) {
            Ok(_) => std::thread::sleep(core::time::Duration::from_millis(10)),
            Err(failed) if failed.errno == ECONNRESET => {}
            failed => return fails("send", failed, EPIPE),
        }
    }
    holds("it was told", false)
}

fn both_close_at_once(world: &World) -> Outcome {
    for _ in 0..20 {
        let (called, accepted) = world.connection()?;
        called.say(b"bye")?;
        accepted.say(b"bye")?;
        called.hears(b"bye")?;
        accepted.hears(b"bye")?;
        called.shutdown(SHUT_WR)?;
        accepted.shutdown(SHUT_WR)?;
        called.hears_the_end()?;
        accepted.hears_the_end()?;
    }
    Ok(())
}

fn linger_is_what_it_was_set_to(world: &World) -> Outcome {
    let socket = world.tcp()?;
    let linger = |on: i32, seconds: i32| [on.to_ne_bytes(), seconds.to_ne_bytes()].concat();
    equal(
        "at first",
        socket.get(SOL_SOCKET, SO_LINGER, 8)?,
        linger(0, 0),
    )?;
    socket.set_linger(7)?;
    equal("set", socket.get(SOL_SOCKET, SO_LINGER, 8)?, linger(1, 7))?;
    fails(
        "too short",
        socket.set(SOL_SOCKET, SO_LINGER, &[1, 0]),
        EINVAL,
    )
}
