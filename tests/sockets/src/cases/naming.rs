//! bind(2), getsockname(2), getpeername(2): addresses and ports.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::{
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENOTCONN, IPPROTO_IPV6, IPV6_V6ONLY,
    SO_REUSEADDR, SOL_SOCKET,
};

use crate::case::{Family, Outcome, World, cases, equal, fails, holds, skip};
use crate::sys::{self, Address, Socket};

cases! {
    Both: a_socket_that_was_never_bound_is_nobody
        a_socket_that_is_not_connected_has_no_peer
        a_bound_socket_says_where_and_has_a_port
        a_bound_socket_cannot_be_bound_again
        an_address_that_is_not_here_cannot_be_bound
        a_port_that_is_listened_at_cannot_be_bound
        a_port_that_hears_datagrams_cannot_be_bound
        the_any_address_excludes_each_one
        tcp_and_udp_have_ports_of_their_own
        with_reuseaddr_a_listener_s_port_is_its_own
        with_reuseaddr_datagram_sockets_share_a_port
        a_port_of_a_connection_that_has_ended_is_free_with_reuseaddr_only
        an_address_that_is_too_short_is_refused
        a_name_is_cut_to_the_room_for_it
        both_ends_of_a_connection_know_each_other
        a_closed_port_can_be_bound_at_once
        a_port_below_1024_is_for_root_only;
    V4: an_ipv6_address_is_refused_by_a_socket_of_ipv4;
    V6: an_ipv4_address_is_refused_by_a_socket_of_ipv6
        any_address_of_ipv6_excludes_ipv4_s_too
        with_v6only_each_family_has_ports_of_its_own
        v6only_is_decided_before_binding
        a_link_local_address_needs_its_adapter;
}

fn a_socket_that_was_never_bound_is_nobody(world: &World) -> Outcome {
    let nobody = SocketAddr::new(world.family.any(), 0);
    equal("of TCP", world.tcp()?.local()?, nobody)?;
    equal("of UDP", world.udp()?.local()?, nobody)
}

fn a_socket_that_is_not_connected_has_no_peer(world: &World) -> Outcome {
    fails("of TCP", world.tcp()?.peer(), ENOTCONN)?;
    fails("of a listener", world.listener()?.0.peer(), ENOTCONN)?;
    fails("of UDP", world.datagram()?.0.peer(), ENOTCONN)
}

fn a_bound_socket_says_where_and_has_a_port(world: &World) -> Outcome {
    for socket in [world.tcp()?, world.udp()?] {
        socket.bind(world.here())?;
        let end = socket.local()?;
        equal("its address", end.ip(), world.family.localhost())?;
        holds("it has a port", end.port() >= 1024)?;
    }
    let socket = world.tcp()?;
    socket.bind(SocketAddr::new(world.family.any(), 0))?;
    equal("any", socket.local()?.ip(), world.family.any())
}

fn a_bound_socket_cannot_be_bound_again(world: &World) -> Outcome {
    for socket in [world.tcp()?, world.udp()?] {
        socket.bind(world.here())?;
        fails("bind", socket.bind(world.here()), EINVAL)?;
    }
    Ok(())
}

fn an_address_that_is_not_here_cannot_be_bound(world: &World) -> Outcome {
    let nobody = SocketAddr::new(world.family.nobody(), 0);
    for socket in [world.tcp()?, world.udp()?] {
        fails("bind", socket.bind(nobody), EADDRNOTAVAIL)?;
        socket.bind(world.here())?;
    }
    Ok(())
}

fn a_port_that_is_listened_at_cannot_be_bound(world: &World) -> Outcome {
    let (_listener, end) = world.listener()?;
    fails("bind", world.tcp()?.bind(end), EADDRINUSE)
}

fn a_port_that_hears_datagrams_cannot_be_bound(world: &World) -> Outcome {
    let (_hearer, end) = world.datagram()?;
    fails("bind", world.udp()?.bind(end), EADDRINUSE)
}

fn the_any_address_excludes_each_one(world: &World) -> Outcome {
    let (_listener, end) = world.listener()?;
    let any = SocketAddr::new(world.family.any(), end.port());
    fails("bind of TCP", world.tcp()?.bind(any), EADDRINUSE)?;
    let hearer = world.udp()?;
    hearer.bind(SocketAddr::new(world.family.any(), 0))?;
    let one = SocketAddr::new(world.family.localhost(), hearer.local()?.port());
    fails("bind of UDP", world.udp()?.bind(one), EADDRINUSE)
}

fn tcp_and_udp_have_ports_of_their_own(world: &World) -> Outcome {
    let (_listener, end) = world.listener()?;
    Ok(world.udp()?.bind(end)?)
}

fn with_reuseaddr_a_listener_s_port_is_its_own(world: &World) -> Outcome {
    let listener = world.tcp()?;
    listener.set_flag(SOL_SOCKET, SO_REUSEADDR, 1)?;
    listener.bind(world.here())?;
    listener.listen(1)?;
    let other = world.tcp()?;
    other.set_flag(SOL_SOCKET, SO_REUSEADDR, 1)?;
    fails("bind", other.bind(listener.local()?), EADDRINUSE)
}

fn with_reuseaddr_datagram_sockets_share_a_port(world: &World) -> Outcome {
    let (one, other, without) = (world.udp()?, world.udp()?, world.udp()?);
    for socket in [&one, &other] {
        socket.set_flag(SOL_SOCKET, SO_REUSEADDR, 1)?;
    }
    one.bind(world.here())?;
    let end = one.local()?;
    other.bind(end)?;
    fails("bind without it", without.bind(end), EADDRINUSE)
}

/// The server closes first, and keeps the port in TIME-WAIT (RFC 9293 3.3.2).
fn a_port_of_a_connection_that_has_ended_is_free_with_reuseaddr_only(world: &World) -> Outcome {
    let listener = world.tcp()?;
    listener.set_flag(SOL_SOCKET, SO_REUSEADDR, 1)?;
    listener.bind(world.here())?;
    listener.listen(1)?;
    let end = listener.local()?;
    let calling = world.tcp()?;
    calling.connect(end)?;
    let (accepted, _) = listener.accept()?;
    drop((listener, accepted));
    calling.hears_the_end()?;
    drop(calling);
    fails("bind without it", world.tcp()?.bind(end), EADDRINUSE)?;
    let again = world.tcp()?;
    again.set_flag(SOL_SOCKET, SO_REUSEADDR, 1)?;
    again.bind(end)?;
    Ok(again.listen(1)?)
}

fn an_address_that_is_too_short_is_refused(world: &World) -> Outcome {
    let (_listener, end) = world.listener()?;
    let short = Address::of(end).cut(7);
    fails("bind", world.tcp()?.bind_to(&short), EINVAL)?;
    fails("connect", world.tcp()?.connect_to(&short), EINVAL)
}

fn a_name_is_cut_to_the_room_for_it(world: &World) -> Outcome {
    let (listener, _) = world.listener()?;
    let whole = listener.length_of_name(100)?;
    let expected = if world.family == Family::V4 { 16 } else { 28 };
    equal("the length", whole, expected)?;
    equal("with room for 4", listener.length_of_name(4)?, expected)
}

fn both_ends_of_a_connection_know_each_other(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    equal("their end", called.peer()?, accepted.local()?)?;
    equal("our end", called.local()?, accepted.peer()?)?;
    equal(
        "the address",
        called.local()?.ip(),
        world.family.localhost(),
    )
}

fn a_closed_port_can_be_bound_at_once(world: &World) -> Outcome {
    let end = world.no_listener()?;
    for _ in 0..5 {
        let socket = world.tcp()?;
        socket.bind(end)?;
        socket.listen(1)?;
    }
    let end = world.no_hearer()?;
    for _ in 0..5 {
        world.udp()?.bind(end)?;
    }
    Ok(())
}

fn a_port_below_1024_is_for_root_only(world: &World) -> Outcome {
    let end = SocketAddr::new(world.family.localhost(), 1023);
    let is_refused = |socket: Outcome<Socket>| {
        let bound = socket.ok().map(|socket| socket.bind(end));
        bound.is_some_and(|bound| bound.is_err_and(|failed| failed.errno == EACCES))
    };
    let both = || is_refused(world.tcp()) && is_refused(world.udp());
    if std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .is_ok_and(|first| first.trim() != "1024")
    {
        return skip("the ports are for everybody here");
    }
    if !sys::is_root() {
        return holds("a user is refused", both());
    }
    world.tcp()?.bind(end)?;
    world.udp()?.bind(end)?;
    let refused = sys::in_child(|| sys::become_user(65_534).is_ok() && both());
    holds("a user is refused", refused?)
}

fn an_ipv6_address_is_refused_by_a_socket_of_ipv4(world: &World) -> Outcome {
    let end = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 7);
    for socket in [world.tcp()?, world.udp()?] {
        fails("bind", socket.bind(end), EAFNOSUPPORT)?;
        fails("connect", socket.connect(end), EAFNOSUPPORT)?;
    }
    fails("sendto", world.udp()?.send_to(b"x", end), EAFNOSUPPORT)
}

fn an_ipv4_address_is_refused_by_a_socket_of_ipv6(world: &World) -> Outcome {
    let end = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 7);
    for socket in [world.tcp()?, world.udp()?] {
        fails("bind", socket.bind(end), EINVAL)?;
    }
    fails("connect", world.tcp()?.connect(end), EINVAL)
}

fn any_address_of_ipv6_excludes_ipv4_s_too(world: &World) -> Outcome {
    let (any, any4) = (world.tcp()?, v4(world).tcp()?);
    any.bind(SocketAddr::new(world.family.any(), 0))?;
    any.listen(1)?;
    let end = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), any.local()?.port());
    fails("bind", any4.bind(end), EADDRINUSE)
}

fn with_v6only_each_family_has_ports_of_its_own(world: &World) -> Outcome {
    let (any, any4) = (world.tcp()?, v4(world).tcp()?);
    any.set_flag(IPPROTO_IPV6, IPV6_V6ONLY, 1)?;
    any.bind(SocketAddr::new(world.family.any(), 0))?;
    any.listen(1)?;
    let end = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), any.local()?.port());
    any4.bind(end)?;
    Ok(any4.listen(1)?)
}

fn v6only_is_decided_before_binding(world: &World) -> Outcome {
    let (listener, _) = world.listener()?;
    let late = listener.set_flag(IPPROTO_IPV6, IPV6_V6ONLY, 1);
    fails("IPV6_V6ONLY", late, EINVAL)
}

fn a_link_local_address_needs_its_adapter(world: &World) -> Outcome {
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);
    let without = SocketAddr::from(SocketAddrV6::new(address, 7, 0, 0));
    fails("bind", world.tcp()?.bind(without), EINVAL)?;
    fails("connect", world.tcp()?.connect(without), EINVAL)
}

fn v4(world: &World) -> World {
    World {
        family: Family::V4,
        ..*world
    }
}
