//! What needs somebody outside: the peer that was named, who listens at no port below 1024, and an address beside the
//! peer's that nobody has.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::time::Instant;

use libc::{
    EALREADY, ECONNREFUSED, EHOSTUNREACH, EINPROGRESS, SO_BROADCAST, SO_SNDTIMEO, SOL_SOCKET,
};

use crate::case::{Outcome, World, cases, equal, fails, holds, skip};
use crate::ends::{POLLIN, POLLOUT};
use crate::sys::{self, Socket};

cases! {
    V4: a_peer_refuses_a_connection
        a_peer_refuses_a_datagram
        a_connection_that_is_under_way_is_not_begun_again
        a_neighbour_that_is_not_there_is_no_host
        a_connect_has_a_timeout
        a_connect_that_waits_is_ended_by_shutdown
        this_machine_is_reached_at_its_own_address
        a_datagram_reaches_this_machine_at_its_own_address
        a_broadcast_goes_out_with_leave
        a_socket_of_the_loopback_reaches_nobody_outside;
}

/// Somebody beside the peer.
fn nobody(world: &World) -> Outcome<SocketAddr> {
    match world.outside()? {
        IpAddr::V4(peer) => {
            let [a, b, c, _] = peer.octets();
            Ok(SocketAddr::new(Ipv4Addr::new(a, b, c, 77).into(), 9))
        }
        IpAddr::V6(_) => skip("IPv4 only"),
    }
}

/// The machine's own address, as the peer sees it.
fn own(world: &World) -> Outcome<IpAddr> {
    let socket = world.udp()?;
    socket.connect(SocketAddr::new(world.outside()?, 9))?;
    Ok(socket.local()?.ip())
}

fn a_peer_refuses_a_connection(world: &World) -> Outcome {
    let end = SocketAddr::new(world.outside()?, 1);
    fails("connect", world.tcp()?.connect(end), ECONNREFUSED)?;
    let socket = world.tcp()?;
    socket.set_nonblocking()?;
    fails("connect", socket.connect(end), EINPROGRESS)?;
    socket.wait_for(POLLIN)?;
    socket.wait_for(POLLOUT)?;
    equal("select", sys::select(&socket, 0)?, (true, true))?;
    equal("SO_ERROR", socket.take_error()?, ECONNREFUSED)
}

fn a_peer_refuses_a_datagram(world: &World) -> Outcome {
    let socket = world.udp()?;
    socket.connect(SocketAddr::new(world.outside()?, 1))?;
    socket.send(b"x", 0)?;
    fails("recv", socket.receive(&mut [0; 1], 0), ECONNREFUSED)
}

fn under_way(world: &World) -> Outcome<(Socket, SocketAddr)> {
    let end = nobody(world)?;
    let socket = world.tcp()?;
    socket.set_nonblocking()?;
    fails("connect", socket.connect(end), EINPROGRESS)?;
    Ok((socket, end))
}

fn a_connection_that_is_under_way_is_not_begun_again(world: &World) -> Outcome {
    let (socket, end) = under_way(world)?;
    fails("connect again", socket.connect(end), EALREADY)?;
    fails("getpeername", socket.peer(), libc::ENOTCONN)?;
    equal("ready for", socket.ready(POLLIN | POLLOUT)?, 0)?;
    equal("SO_ERROR", socket.take_error()?, 0)
}

fn a_neighbour_that_is_not_there_is_no_host(world: &World) -> Outcome {
    let (socket, _) = under_way(world)?;
    socket.wait_for(POLLIN)?;
    socket.wait_for(POLLOUT)?;
    equal("select", sys::select(&socket, 0)?, (true, true))?;
    equal("SO_ERROR", socket.take_error()?, EHOSTUNREACH)
}

fn a_connect_has_a_timeout(world: &World) -> Outcome {
    let end = nobody(world)?;
    let socket = world.tcp()?;
    socket.set_timeout(SO_SNDTIMEO, 80)?;
    let begun = Instant::now();
    fails("connect", socket.connect(end), EINPROGRESS)?;
    let waited = begun.elapsed();
    holds("it waited", waited >= Duration::from_millis(70))?;
    holds("and not for long", waited < Duration::from_secs(2))
}

fn a_connect_that_waits_is_ended_by_shutdown(world: &World) -> Outcome {
    let end = nobody(world)?;
    let socket = world.tcp()?;
    let same = socket.duplicate()?;
    let connecting = std::thread::spawn(move || same.connect(end));
    std::thread::sleep(Duration::from_millis(60));
    let begun = Instant::now();
    let _ = socket.shutdown(libc::SHUT_RDWR);
    let ended = connecting.join();
    holds("it failed", ended.is_ok_and(|ended| ended.is_err()))?;
    holds("at once", begun.elapsed() < Duration::from_secs(1))
}

fn this_machine_is_reached_at_its_own_address(world: &World) -> Outcome {
    let own = own(world)?;
    let listener = world.tcp()?;
    listener.bind(SocketAddr::new(own, 0))?;
    listener.listen(1)?;
    let calling = world.tcp()?;
    calling.connect(listener.local()?)?;
    equal("our address", calling.local()?.ip(), own)?;
    let (accepted, _) = listener.accept()?;
    calling.say(b"hello, me")?;
    accepted.hears(b"hello, me")
}

fn a_datagram_reaches_this_machine_at_its_own_address(world: &World) -> Outcome {
    let own = own(world)?;
    let hearer = world.udp()?;
    hearer.bind(SocketAddr::new(world.family.any(), 0))?;
    let to = SocketAddr::new(own, hearer.local()?.port());
    world.udp()?.send_to(b"hello, me", to)?;
    let (_, from) = hearer.receive_from(&mut [0; 100], 0)?;
    equal("who sent it", from.map(|from| from.ip()), Some(own))
}

fn a_broadcast_goes_out_with_leave(world: &World) -> Outcome {
    let own = own(world)?;
    let socket = world.udp()?;
    socket.bind(SocketAddr::new(own, 0))?;
    let IpAddr::V4(address) = own else {
        return skip("IPv4 only");
    };
    let [a, b, c, _] = address.octets();
    let everybody = SocketAddr::new(Ipv4Addr::new(a, b, c, 255).into(), 9);
    fails("sendto", socket.send_to(b"x", everybody), libc::EACCES)?;
    socket.set_flag(SOL_SOCKET, SO_BROADCAST, 1)?;
    equal("sendto with leave", socket.send_to(b"x", everybody)?, 1)
}

fn a_socket_of_the_loopback_reaches_nobody_outside(world: &World) -> Outcome {
    let end = SocketAddr::new(world.outside()?, 1);
    let socket = world.tcp()?;
    socket.bind(world.here())?;
    fails("connect", socket.connect(end), libc::EINVAL)?;
    holds("it is not connected", socket.peer().is_err())
}
