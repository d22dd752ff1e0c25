//! connect(2).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use libc::{ECONNREFUSED, EINPROGRESS, EISCONN, ENETUNREACH, EPIPE, IPPROTO_IPV6, IPV6_V6ONLY};

use crate::case::{Family, Outcome, World, cases, equal, fails, holds};
use crate::ends::{POLLIN, POLLOUT};
use crate::sys;

cases! {
    Both: a_connection_is_refused_where_nobody_listens
        a_connection_that_is_not_waited_for_stands_when_it_is_writable
        a_connection_that_is_not_waited_for_is_ready_for_both_when_it_fails
        the_call_after_a_failed_connection_says_why_and_the_next_that_it_is_over
        after_a_refusal_the_same_socket_can_connect
        after_a_refusal_that_was_not_waited_for_the_same_socket_can_connect
        who_is_connected_is_not_connected_again
        who_listens_does_not_connect
        who_is_bound_connects_from_there
        a_connection_can_be_ended_by_connecting_to_nobody
        a_port_that_is_bound_but_not_listened_at_refuses
        a_datagram_socket_changes_its_peer
        a_datagram_socket_has_an_address_when_it_is_connected_and_none_after
        a_connected_datagram_socket_hears_its_peer_only
        the_any_address_leads_to_this_machine;
    V4: nobody_connects_to_everybody;
    V6: a_listener_of_ipv6_is_called_over_ipv4
        with_v6only_a_listener_of_ipv6_is_not_called_over_ipv4
        a_socket_of_ipv6_calls_over_ipv4;
}

fn a_connection_is_refused_where_nobody_listens(world: &World) -> Outcome {
    let end = world.no_listener()?;
    let socket = world.tcp()?;
    fails("connect", socket.connect(end), ECONNREFUSED)?;
    // It was told already.
    equal("SO_ERROR", socket.take_error()?, 0)?;
    fails("getpeername", socket.peer(), libc::ENOTCONN)
}

fn a_connection_that_is_not_waited_for_stands_when_it_is_writable(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let socket = world.tcp()?;
    socket.set_nonblocking()?;
    fails("connect", socket.connect(end), EINPROGRESS)?;
    equal("ready for", socket.wait_for(POLLIN | POLLOUT)?, POLLOUT)?;
    equal("SO_ERROR", socket.take_error()?, 0)?;
    equal("getpeername", socket.peer()?, end)?;
    let (accepted, from) = listener.accept()?;
    equal("who called", from, socket.local()?)?;
    socket.say(b"hello")?;
    accepted.hears(b"hello")
}

fn a_connection_that_is_not_waited_for_is_ready_for_both_when_it_fails(world: &World) -> Outcome {
    let end = world.no_listener()?;
    let socket = world.tcp()?;
    socket.set_nonblocking()?;
    fails("connect", socket.connect(end), EINPROGRESS)?;
    socket.wait_for(POLLIN)?;
    socket.wait_for(POLLOUT)?;
    equal("select", sys::select(&socket, 0)?, (true, true))?;
    equal("SO_ERROR", socket.take_error()?, ECONNREFUSED)?;
    equal("SO_ERROR again", socket.take_error()?, 0)
}

fn the_call_after_a_failed_connection_says_why_and_the_next_that_it_is_over(
    world: &World,
) -> Outcome {
    let end = world.no_listener()?;
    let socket = world.tcp()?;
    socket.set_nonblocking()?;
    fails("connect", socket.connect(end), EINPROGRESS)?;
    socket.wait_for(POLLIN)?;
    let mut room = [0; 1];
    fails("recv", socket.receive(&mut room, 0), ECONNREFUSED)?;
    equal("recv again", socket.receive(&mut room, 0)?, 0)?;
    fails("send", socket.send(b"x", 0), EPIPE)
}

fn after_a_refusal_the_same_socket_can_connect(world: &World) -> Outcome {
    let (nobody, (listener, end)) = (world.no_listener()?, world.listener()?);
    let socket = world.tcp()?;
    fails("connect", socket.connect(nobody), ECONNREFUSED)?;
    socket.connect(end)?;
    let (accepted, _) = listener.accept()?;
    socket.say(b"the second time")?;
    accepted.hears(b"the second time")
}

fn after_a_refusal_that_was_not_waited_for_the_same_socket_can_connect(world: &World) -> Outcome {
    let (nobody, (listener, end)) = (world.no_listener()?, world.listener()?);
    let socket = world.tcp()?;
    socket.set_nonblocking()?;
    fails("connect", socket.connect(nobody), EINPROGRESS)?;
    socket.wait_for(POLLOUT)?;
    equal("SO_ERROR", socket.take_error()?, ECONNREFUSED)?;
    let again = match socket.connect(end) {
        // Linux tells by it that the attempt before has come to its end.
        Err(failed) if failed.errno == libc::ECONNABORTED => socket.connect(end),
        result => result,
    };
    fails("connect", again, EINPROGRESS)?;
    equal("ready for", socket.wait_for(POLLIN | POLLOUT)?, POLLOUT)?;
    let (accepted, _) = listener.accept()?;
    socket.say(b"the second time")?;
    accepted.hears(b"the second time")
}

fn who_is_connected_is_not_connected_again(world: &World) -> Outcome {
    let (_listener, end) = world.listener()?;
    let (called, accepted) = world.connection()?;
    for socket in [&called, &accepted] {
        fails("connect", socket.connect(end), EISCONN)?;
    }
    called.say(b"all is well")?;
    accepted.hears(b"all is well")
}

fn who_listens_does_not_connect(world: &World) -> Outcome {
    let (_listener, end) = world.listener()?;
    let (other, _) = world.listener()?;
    fails("connect", other.connect(end), EISCONN)
}

fn who_is_bound_connects_from_there(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let socket = world.tcp()?;
    socket.bind(world.here())?;
    let from = socket.local()?;
    socket.connect(end)?;
    equal("getsockname", socket.local()?, from)?;
    equal("who called", listener.accept()?.1, from)
}

fn a_connection_can_be_ended_by_connecting_to_nobody(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let socket = world.tcp()?;
    socket.connect(end)?;
    let (accepted, _) = listener.accept()?;
    socket.disconnect()?;
    fails("getpeername", socket.peer(), libc::ENOTCONN)?;
    let mut room = [0; 1];
    fails(
        "the other hears",
        accepted.receive(&mut room, 0),
        libc::ECONNRESET,
    )?;
    socket.connect(end)?;
    let (accepted, _) = listener.accept()?;
    socket.say(b"anew")?;
    accepted.hears(b"anew")
}

fn a_port_that_is_bound_but_not_listened_at_refuses(world: &World) -> Outcome {
    let bound = world.tcp()?;
    bound.bind(world.here())?;
    let called = world.tcp()?.connect(bound.local()?);
    fails("connect", called, ECONNREFUSED)
}

fn the_any_address_leads_to_this_machine(world: &World) -> Outcome {
    let (listener, end) = world.listener()?;
    let socket = world.tcp()?;
    socket.connect(SocketAddr::new(world.family.any(), end.port()))?;
    equal("its peer", socket.peer()?, end)?;
    let (accepted, _) = listener.accept()?;
    socket.say(b"x")?;
    accepted.hears(b"x")?;
    let (hearer, end) = world.datagram()?;
    let any = SocketAddr::new(world.family.any(), end.port());
    world.udp()?.send_to(b"y", any)?;
    hearer.hears_one(b"y")
}

fn nobody_connects_to_everybody(world: &World) -> Outcome {
    for address in [Ipv4Addr::new(224, 0, 0, 1), Ipv4Addr::BROADCAST] {
        let everybody = SocketAddr::new(address.into(), 7);
        fails("connect", world.tcp()?.connect(everybody), ENETUNREACH)?;
    }
    Ok(())
}

fn a_datagram_socket_changes_its_peer(world: &World) -> Outcome {
    let ((one, one_end), (two, two_end)) = (world.datagram()?, world.datagram()?);
    let socket = world.udp()?;
    socket.connect(one_end)?;
    equal("the first", socket.peer()?, one_end)?;
    socket.send(b"to the first", 0)?;
    socket.connect(two_end)?;
    equal("the second", socket.peer()?, two_end)?;
    socket.send(b"to the second", 0)?;
    one.hears_one(b"to the first")?;
    two.hears_one(b"to the second")
}

fn a_datagram_socket_has_an_address_when_it_is_connected_and_none_after(world: &World) -> Outcome {
    let (_hearer, end) = world.datagram()?;
    let socket = world.udp()?;
    socket.connect(end)?;
    let local = socket.local()?;
    equal("its address", local.ip(), world.family.localhost())?;
    holds("it has a port", local.port() != 0)?;
    socket.disconnect()?;
    fails("getpeername", socket.peer(), libc::ENOTCONN)?;
    let nobody = SocketAddr::new(world.family.any(), 0);
    equal("its address then", socket.local()?, nobody)
}

fn a_connected_datagram_socket_hears_its_peer_only(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    let (stranger, _) = world.datagram()?;
    let here = one.local()?;
    // One that is refused, for nobody hears it, is told to who sent it.
    let _ = stranger.send_to(b"from a stranger", here);
    two.send(b"from the peer", 0)?;
    one.hears_one(b"from the peer")?;
    one.disconnect()?;
    one.bind(here).or_else(|failed| match failed.errno {
        libc::EINVAL => Ok(()),
        _ => Err(failed),
    })?;
    stranger.send_to(b"from a stranger", here).or_else(|_| {
        // The error of the one before.
        stranger.send_to(b"from a stranger", here)
    })?;
    one.hears_one(b"from a stranger")
}

fn a_listener_of_ipv6_is_called_over_ipv4(world: &World) -> Outcome {
    let listener = world.tcp()?;
    listener.bind(SocketAddr::new(world.family.any(), 0))?;
    listener.listen(1)?;
    let port = listener.local()?.port();
    let calling = v4(world).tcp()?;
    calling.connect(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))?;
    let (accepted, from) = listener.accept()?;
    let mapped: IpAddr = Ipv4Addr::LOCALHOST.to_ipv6_mapped().into();
    equal("who called", from.ip(), mapped)?;
    equal("where", accepted.local()?.ip(), mapped)?;
    calling.say(b"x")?;
    accepted.hears(b"x")
}

fn with_v6only_a_listener_of_ipv6_is_not_called_over_ipv4(world: &World) -> Outcome {
    let listener = world.tcp()?;
    listener.set_flag(IPPROTO_IPV6, IPV6_V6ONLY, 1)?;
    listener.bind(SocketAddr::new(world.family.any(), 0))?;
    listener.listen(1)?;
    let end = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listener.local()?.port());
    fails("connect", v4(world).tcp()?.connect(end), ECONNREFUSED)?;
    let mapped = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), end.port());
    let only = world.tcp()?;
    only.set_flag(IPPROTO_IPV6, IPV6_V6ONLY, 1)?;
    fails("connect of a V6ONLY one", only.connect(mapped), ENETUNREACH)
}

fn a_socket_of_ipv6_calls_over_ipv4(world: &World) -> Outcome {
    let (listener, end) = v4(world).listener()?;
    let mapped = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), end.port());
    let calling = world.tcp()?;
    calling.connect(mapped)?;
    equal("its peer", calling.peer()?, mapped)?;
    equal(
        "who called",
        listener.accept()?.1.ip(),
        Ipv4Addr::LOCALHOST.into(),
    )
}

fn v4(world: &World) -> World {
    World {
        family: Family::V4,
        ..*world
    }
}
