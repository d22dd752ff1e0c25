//! poll(2), select(2) and epoll(7): what is ready, and when it becomes so.

use libc::{EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT, SHUT_WR};

use crate::case::{Outcome, World, cases, equal, holds};
use crate::ends::{MOMENT, POLLHUP, POLLIN, POLLOUT, SOON};
use crate::sys::{self, Queue};

cases! {
    Both: a_fresh_tcp_socket_has_hung_up
        a_fresh_datagram_socket_can_be_written
        a_listener_cannot_be_written
        a_listener_is_readable_when_somebody_has_called
        a_connection_can_be_written_and_is_readable_when_something_came
        a_connection_whose_peer_has_ended_is_readable
        a_connection_that_has_ended_both_ways_has_hung_up
        a_connection_that_was_reset_has_hung_up
        a_datagram_makes_readable_and_taking_it_ends_that
        select_says_what_poll_says
        poll_waits_as_long_as_it_is_told
        poll_looks_at_many
        a_level_is_told_again_and_again
        an_edge_is_told_once
        an_edge_comes_with_each_arrival
        an_edge_comes_when_there_is_room_again
        an_edge_comes_with_the_end
        an_edge_comes_with_a_caller
        an_edge_comes_with_a_datagram
        an_edge_comes_with_a_connection_that_stands
        an_edge_comes_with_a_connection_that_failed
        one_shot_is_one
        what_was_ready_before_it_was_watched_is_told
        a_closed_socket_is_watched_no_more;
}

fn a_fresh_tcp_socket_has_hung_up(world: &World) -> Outcome {
    let socket = world.tcp()?;
    equal(
        "ready for",
        socket.ready(POLLIN | POLLOUT)?,
        POLLOUT | POLLHUP,
    )
}

fn a_fresh_datagram_socket_can_be_written(world: &World) -> Outcome {
    let socket = world.udp()?;
    equal("ready for", socket.ready(POLLIN | POLLOUT)?, POLLOUT)
}

fn a_listener_is_readable_when_somebody_has_called(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    equal("before", listener.ready(POLLIN)?, 0)?;
    let calling = world.tcp()?;
    calling.connect(end)?;
    equal("with a caller", listener.wait_for(POLLIN)?, POLLIN)?;
    listener.accept()?;
    equal("after accept", listener.ready(POLLIN)?, 0)
}

fn a_connection_can_be_written_and_is_readable_when_something_came(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let both = POLLIN | POLLOUT;
    equal("before", called.ready(both)?, POLLOUT)?;
    accepted.say(b"x")?;
    called.wait_for(POLLIN)?;
    equal("with a byte", called.ready(both)?, both)?;
    called.hears(b"x")?;
    equal("after it was read", called.ready(both)?, POLLOUT)
}

fn a_connection_whose_peer_has_ended_is_readable(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    accepted.shutdown(SHUT_WR)?;
    let both = POLLIN | POLLOUT;
    equal("ready for", called.wait_for(POLLIN)?, POLLIN)?;
    equal("it can be written", called.ready(both)?, both)
}

fn a_connection_that_has_ended_both_ways_has_hung_up(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    accepted.shutdown(SHUT_WR)?;
    called.hears_the_end()?;
    called.shutdown(SHUT_WR)?;
    accepted.hears_the_end()?;
    let ready = called.wait_for(POLLHUP)?;
    holds("it has hung up", ready & POLLHUP != 0)
}

fn a_connection_that_was_reset_has_hung_up(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    accepted.set_linger(0)?;
    drop(accepted);
    let ready = called.wait_for(POLLIN)?;
    equal("ready for", ready & (POLLIN | POLLHUP), POLLIN | POLLHUP)
}

fn a_datagram_makes_readable_and_taking_it_ends_that(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    equal("before", two.ready(POLLIN)?, 0)?;
    one.send(b"x", 0)?;
    equal("with one", two.wait_for(POLLIN)?, POLLIN)?;
    two.hears_one(b"x")?;
    equal("after it was taken", two.ready(POLLIN)?, 0)
}

fn select_says_what_poll_says(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    equal("before", sys::select(&called, 0)?, (false, true))?;
    accepted.say(b"x")?;
    called.wait_for(POLLIN)?;
    equal("with a byte", sys::select(&called, 1000)?, (true, true))?;
    called.hears(b"x")?;
    equal("after it was read", sys::select(&called, 0)?, (false, true))
}

fn a_listener_cannot_be_written(world: &World) -> Outcome {
    let (listener, _) = world.listener()?;
    equal("ready for", listener.ready(POLLIN | POLLOUT)?, 0)
}

fn poll_waits_as_long_as_it_is_told(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    let begun = std::time::Instant::now();
    equal("poll", sys::poll(&[(called.fd(), POLLIN)], 80)?, vec![0])?;
    holds("it waited", begun.elapsed().as_millis() >= 75)
}

fn poll_looks_at_many(world: &World) -> Outcome {
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(world.connection()?);
    }
    let chosen = [3, 7, 19];
    for (at, (_, accepted)) in connections.iter().enumerate() {
        if chosen.contains(&at) {
            accepted.say(b"x")?;
        }
    }
    for (at, (called, _)) in connections.iter().enumerate() {
        if chosen.contains(&at) {
            called.wait_for(POLLIN)?;
        }
    }
    let wanted: Vec<_> = connections
        .iter()
        .map(|(called, _)| (called.fd(), POLLIN))
        .collect();
    let ready = sys::poll(&wanted, SOON)?;
    let ready: Vec<usize> = (0..ready.len())
        .filter(|at| ready.get(*at) == Some(&POLLIN))
        .collect();
    equal("ready", ready, chosen.to_vec())
}

fn a_level_is_told_again_and_again(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let queue = Queue::new()?;
    queue.add(&called, EPOLLIN)?;
    equal("before", queue.wait(0)?, None)?;
    accepted.say(b"xy")?;
    equal("the first time", queue.wait(SOON)?, Some(EPOLLIN))?;
    called.hears(b"x")?;
    equal("with one left", queue.wait(0)?, Some(EPOLLIN))?;
    called.hears(b"y")?;
    equal("with none left", queue.wait(MOMENT)?, None)
}

fn an_edge_is_told_once(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let queue = Queue::new()?;
    queue.add(&called, EPOLLIN | EPOLLET)?;
    accepted.say(b"x")?;
    equal("the edge", queue.wait(SOON)?, Some(EPOLLIN))?;
    equal("no other", queue.wait(MOMENT)?, None)?;
    called.hears(b"x")?;
    equal("nor then", queue.wait(MOMENT)?, None)
}

fn an_edge_comes_with_each_arrival(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let queue = Queue::new()?;
    queue.add(&called, EPOLLIN | EPOLLET)?;
    for _ in 0..3 {
        accepted.say(b"x")?;
        equal("an edge", queue.wait(SOON)?, Some(EPOLLIN))?;
    }
    called.hears(b"xxx")
}

fn an_edge_comes_when_there_is_room_again(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let queue = Queue::new()?;
    queue.add(&called, EPOLLOUT | EPOLLET)?;
    equal("at first", queue.wait(SOON)?, Some(EPOLLOUT))?;
    let mut filled = called.fill_up()?;
    while queue.wait(MOMENT)?.is_some() {
        filled += called.fill_up()?;
    }
    accepted.drain(filled)?;
    equal("then", queue.wait(SOON)?, Some(EPOLLOUT))
}

fn an_edge_comes_with_the_end(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let queue = Queue::new()?;
    queue.add(&called, EPOLLIN | EPOLLET)?;
    equal("before", queue.wait(MOMENT)?, None)?;
    accepted.shutdown(SHUT_WR)?;
    equal("the edge", queue.wait(SOON)?, Some(EPOLLIN))?;
    called.hears_the_end()
}

fn an_edge_comes_with_a_caller(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let queue = Queue::new()?;
    queue.add(&listener, EPOLLIN | EPOLLET)?;
    for _ in 0..3 {
        let calling = world.tcp()?;
        calling.connect(end)?;
        equal("the edge", queue.wait(SOON)?, Some(EPOLLIN))?;
        listener.accept()?;
        equal("no other", queue.wait(MOMENT)?, None)?;
    }
    Ok(())
}

fn an_edge_comes_with_a_datagram(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    let queue = Queue::new()?;
    queue.add(&two, EPOLLIN | EPOLLET)?;
    for _ in 0..3 {
        one.send(b"x", 0)?;
        equal("the edge", queue.wait(SOON)?, Some(EPOLLIN))?;
        equal("no other", queue.wait(MOMENT)?, None)?;
    }
    Ok(())
}

fn an_edge_comes_with_a_connection_that_stands(world: &World) -> Outcome {
    let (_listener, end) = world.listener()?;
    let socket = world.tcp()?;
    socket.set_nonblocking()?;
    let _ = socket.connect(end);
    let queue = Queue::new()?;
    queue.add(&socket, EPOLLIN | EPOLLOUT | EPOLLET)?;
    equal("the edge", queue.wait(SOON)?, Some(EPOLLOUT))
}

fn an_edge_comes_with_a_connection_that_failed(world: &World) -> Outcome {
    let end = world.nobody_here();
    let socket = world.tcp()?;
    socket.set_nonblocking()?;
    let queue = Queue::new()?;
    let _ = socket.connect(end);
    queue.add(&socket, EPOLLIN | EPOLLOUT | EPOLLET)?;
    let mut told = 0;
    let both = EPOLLIN | EPOLLOUT;
    while told & both != both {
        match queue.wait(SOON)? {
            Some(more) => told |= more,
            None => break,
        }
    }
    equal("the edges", told & both, both)?;
    holds("it failed", told & (EPOLLERR | EPOLLHUP) != 0)?;
    equal("SO_ERROR", socket.take_error()?, libc::ECONNREFUSED)
}

fn one_shot_is_one(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let queue = Queue::new()?;
    queue.add(&called, EPOLLIN | EPOLLONESHOT)?;
    accepted.say(b"x")?;
    equal("the shot", queue.wait(SOON)?, Some(EPOLLIN))?;
    equal("no other", queue.wait(MOMENT)?, None)?;
    queue.modify(&called, EPOLLIN | EPOLLONESHOT)?;
    equal("armed again", queue.wait(SOON)?, Some(EPOLLIN))
}

fn what_was_ready_before_it_was_watched_is_told(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    accepted.say(b"x")?;
    called.wait_for(POLLIN)?;
    let queue = Queue::new()?;
    queue.add(&called, EPOLLIN | EPOLLOUT | EPOLLET)?;
    equal("told", queue.wait(SOON)?, Some(EPOLLIN | EPOLLOUT))
}

fn a_closed_socket_is_watched_no_more(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let queue = Queue::new()?;
    queue.add(&called, EPOLLIN)?;
    accepted.say(b"x")?;
    equal("told", queue.wait(SOON)?, Some(EPOLLIN))?;
    drop(called);
    equal("then", queue.wait(MOMENT)?, None)
}
