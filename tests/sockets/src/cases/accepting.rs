//! listen(2), accept(2).

use core::net::SocketAddr;

use libc::{
    EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, EOPNOTSUPP, SO_ACCEPTCONN, SO_KEEPALIVE, SOL_SOCKET,
};

use crate::case::{Outcome, World, cases, equal, fails, holds};

cases! {
    Both: callers_are_accepted_in_the_order_in_which_they_called
        what_was_said_before_a_connection_was_accepted_is_there
        a_listener_that_does_not_wait_has_nobody_to_accept
        who_does_not_listen_does_not_accept
        who_is_connected_does_not_listen
        datagram_sockets_neither_listen_nor_accept
        who_listens_without_an_address_is_given_a_port
        listening_again_changes_nothing
        a_listener_says_that_it_is_one
        what_was_set_on_a_listener_holds_for_its_connections
        an_accepted_connection_waits_though_its_listener_does_not
        a_caller_who_has_gone_is_accepted_and_found_gone
        callers_that_were_never_accepted_are_reset_with_their_listener
        a_listener_that_was_shut_down_is_none;
}
#[cfg(feature = "linux")]
pub(super) mod with_flags {
    use super::*;

    cases! {
        Both: accept4_sets_the_flags_that_it_is_given;
    }

    fn accept4_sets_the_flags_that_it_is_given(world: &World) -> Outcome {
        let (listener, end) = world.listener()?;
        let calling = world.tcp()?;
        calling.connect(end)?;
        let accepted = listener.accept_with(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)?;
        holds("it does not wait", accepted.is_nonblocking()?)?;
        let flags = accepted.control(libc::F_GETFD, 0)?;
        equal("FD_CLOEXEC", flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC)?;
        equal("its peer", accepted.peer()?, calling.local()?)
    }
}

fn callers_are_accepted_in_the_order_in_which_they_called(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let mut callers = Vec::new();
    for _ in 0..10 {
        let calling = world.tcp()?;
        calling.connect(end)?;
        callers.push(calling);
    }
    for calling in &callers {
        let (accepted, from) = listener.accept()?;
        equal("who called", from, calling.local()?)?;
        equal("getpeername", accepted.peer()?, from)?;
        equal("getsockname", accepted.local()?, end)?;
    }
    Ok(())
}

fn what_was_said_before_a_connection_was_accepted_is_there(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let calling = world.tcp()?;
    calling.connect(end)?;
    calling.say(b"early")?;
    calling.shutdown(libc::SHUT_WR)?;
    let (accepted, _) = listener.accept()?;
    accepted.hears(b"early")?;
    accepted.hears_the_end()
}

fn a_listener_that_does_not_wait_has_nobody_to_accept(world: &World) -> Outcome {
    let (listener, _) = world.listener()?;
    listener.set_nonblocking()?;
    fails("accept", listener.accept(), EAGAIN)
}

fn who_does_not_listen_does_not_accept(world: &World) -> Outcome {
    fails("of a fresh socket", world.tcp()?.accept(), EINVAL)?;
    let (called, _accepted) = world.connection()?;
    fails("of a connection", called.accept(), EINVAL)
}

fn who_is_connected_does_not_listen(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    fails("listen", called.listen(1), EINVAL)
}

fn datagram_sockets_neither_listen_nor_accept(world: &World) -> Outcome {
    let (socket, _) = world.datagram()?;
    fails("listen", socket.listen(1), EOPNOTSUPP)?;
    fails("accept", socket.accept(), EOPNOTSUPP)
}

fn who_listens_without_an_address_is_given_a_port(world: &World) -> Outcome {
    let listener = world.tcp()?;
    listener.listen(1)?;
    let port = listener.local()?.port();
    holds("it has a port", port != 0)?;
    let calling = world.tcp()?;
    calling.connect(SocketAddr::new(world.family.localhost(), port))?;
    equal("who called", listener.accept()?.1, calling.local()?)
}

fn listening_again_changes_nothing(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let calling = world.tcp()?;
    calling.connect(end)?;
    listener.listen(3)?;
    equal("who called", listener.accept()?.1, calling.local()?)
}

fn a_listener_says_that_it_is_one(world: &World) -> Outcome {
    let (listener, _) = world.listener()?;
    equal(
        "SO_ACCEPTCONN",
        listener.flag(SOL_SOCKET, SO_ACCEPTCONN)?,
        1,
    )?;
    let (called, _accepted) = world.connection()?;
    equal("of another", called.flag(SOL_SOCKET, SO_ACCEPTCONN)?, 0)
}

fn what_was_set_on_a_listener_holds_for_its_connections(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    listener.set_flag(SOL_SOCKET, SO_KEEPALIVE, 1)?;
    listener.set_flag(libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    let calling = world.tcp()?;
    calling.connect(end)?;
    let (accepted, _) = listener.accept()?;
    equal("SO_KEEPALIVE", accepted.flag(SOL_SOCKET, SO_KEEPALIVE)?, 1)?;
    let no_delay = accepted.flag(libc::IPPROTO_TCP, libc::TCP_NODELAY)?;
    equal("TCP_NODELAY", no_delay, 1)?;
    equal("of the caller", calling.flag(SOL_SOCKET, SO_KEEPALIVE)?, 0)
}

fn an_accepted_connection_waits_though_its_listener_does_not(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    listener.set_nonblocking()?;
    let calling = world.tcp()?;
    calling.connect(end)?;
    listener.wait_for(crate::ends::POLLIN)?;
    let (accepted, _) = listener.accept()?;
    holds("it waits", !accepted.is_nonblocking()?)
}

fn a_caller_who_has_gone_is_accepted_and_found_gone(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let calling = world.tcp()?;
    calling.connect(end)?;
    let from = calling.local()?;
    drop(calling);
    let (accepted, told) = listener.accept()?;
    equal("who called", told, from)?;
    accepted.hears_the_end()
}

fn callers_that_were_never_accepted_are_reset_with_their_listener(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let calling = world.tcp()?;
    calling.connect(end)?;
    drop(listener);
    let mut room = [0; 1];
    fails("recv", calling.receive(&mut room, 0), ECONNRESET)
}

fn a_listener_that_was_shut_down_is_none(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    listener.shutdown(libc::SHUT_RD)?;
    fails("accept", listener.accept(), EINVAL)?;
    fails("connect", world.tcp()?.connect(end), ECONNREFUSED)
}
