//! What ICMP says of datagrams (RFC 1122 4.1.3.3): it is told to a connected socket.

use libc::{ECONNREFUSED, MSG_DONTWAIT};

use crate::case::{Outcome, World, cases, equal, fails};
use crate::ends::POLLIN;
use crate::sys::{self, Socket};

cases! {
    Both: a_connected_socket_hears_that_its_datagram_was_refused
        a_refusal_is_told_by_the_next_send_as_well
        a_refusal_is_so_error_once
        a_refusal_is_ready_for_all
        after_a_refusal_a_socket_goes_on
        a_receive_that_waits_is_woken_by_a_refusal
        a_socket_without_a_peer_hears_no_refusals;
}

/// A socket whose datagram was refused.
fn refused(world: &World) -> Outcome<Socket> {
    let end = world.no_hearer()?;
    let (socket, _) = world.datagram()?;
    socket.connect(end)?;
    socket.send(b"x", 0)?;
    socket.wait_for(POLLIN)?;
    Ok(socket)
}

fn a_connected_socket_hears_that_its_datagram_was_refused(world: &World) -> Outcome {
    let socket = refused(world)?;
    let mut room = [0; 1];
    fails(
        "recv",
        socket.receive(&mut room, MSG_DONTWAIT),
        ECONNREFUSED,
    )?;
    fails(
        "recv again",
        socket.receive(&mut room, MSG_DONTWAIT),
        libc::EAGAIN,
    )
}

fn a_refusal_is_told_by_the_next_send_as_well(world: &World) -> Outcome {
    let socket = refused(world)?;
    fails("send", socket.send(b"x", 0), ECONNREFUSED)?;
    equal("send again", socket.send(b"x", 0)?, 1)
}

fn a_refusal_is_so_error_once(world: &World) -> Outcome {
    let socket = refused(world)?;
    equal("SO_ERROR", socket.take_error()?, ECONNREFUSED)?;
    equal("SO_ERROR again", socket.take_error()?, 0)?;
    socket.hears_nothing()
}

fn a_refusal_is_ready_for_all(world: &World) -> Outcome {
    let socket = refused(world)?;
    equal("select", sys::select(&socket, 0)?, (true, true))
}

fn after_a_refusal_a_socket_goes_on(world: &World) -> Outcome {
    let socket = refused(world)?;
    equal("SO_ERROR", socket.take_error()?, ECONNREFUSED)?;
    let (hearer, end) = world.datagram()?;
    socket.connect(end)?;
    socket.send(b"and on", 0)?;
    hearer.hears_one(b"and on")
}

fn a_receive_that_waits_is_woken_by_a_refusal(world: &World) -> Outcome {
    let end = world.no_hearer()?;
    let socket = world.udp()?;
    socket.connect(end)?;
    socket.send(b"x", 0)?;
    fails("recv", socket.receive(&mut [0; 1], 0), ECONNREFUSED)
}

fn a_socket_without_a_peer_hears_no_refusals(world: &World) -> Outcome {
    let end = world.no_hearer()?;
    let (socket, _) = world.datagram()?;
    socket.send_to(b"x", end)?;
    socket.hears_nothing()?;
    equal("SO_ERROR", socket.take_error()?, 0)?;
    equal("sendto again", socket.send_to(b"x", end)?, 1)
}
