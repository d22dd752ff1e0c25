//! Datagrams and their bounds.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::time::Instant;

use libc::{
    EACCES, EAGAIN, EDESTADDRREQ, EINVAL, EMSGSIZE, ENETUNREACH, IPPROTO_IPV6, IPV6_V6ONLY,
    MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, SHUT_RD, SHUT_WR, SO_RCVBUF, SO_RCVTIMEO, SOL_SOCKET,
};

use crate::case::{Family, Outcome, World, cases, equal, fails, holds, skip};
use crate::ends::POLLIN;

cases! {
    Both: a_datagram_comes_with_its_sender
        datagrams_keep_their_bounds_and_their_order
        a_datagram_without_content_is_one
        what_does_not_fit_of_a_datagram_is_lost
        a_truncated_datagram_says_how_long_it_was
        a_peek_leaves_a_datagram
        the_largest_datagram_passes
        a_datagram_that_is_too_large_is_refused_at_once
        a_datagram_without_a_peer_needs_an_address
        a_datagram_to_port_zero_is_refused
        a_socket_that_sends_has_a_port
        a_connected_socket_sends_to_others_too
        reads_and_writes_are_datagrams_too
        a_receive_that_may_not_wait_does_not
        a_receive_has_a_timeout
        the_next_datagram_s_length_is_told
        a_full_queue_keeps_the_oldest
        a_connected_socket_that_was_shut_down_reads_the_end
        a_connected_socket_whose_writing_was_ended_sends_nothing
        where_no_route_leads_sending_fails_at_once;
    V4: a_broadcast_needs_leave;
    V6: a_socket_of_ipv6_hears_and_speaks_ipv4
        with_v6only_a_socket_of_ipv6_hears_no_ipv4;
}

fn a_datagram_comes_with_its_sender(world: &World) -> Outcome {
    let ((one, one_end), (two, two_end)) = (world.datagram()?, world.datagram()?);
    equal("sendto", one.send_to(b"hello", two_end)?, 5)?;
    let mut room = [0; 100];
    let (length, from) = two.receive_from(&mut room, 0)?;
    equal("recvfrom", (length, from), (5, Some(one_end)))?;
    two.send_to(b"hello yourself", one_end)?;
    one.hears_one(b"hello yourself")
}

fn datagrams_keep_their_bounds_and_their_order(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    for length in [1, 100, 0, 1400, 9000] {
        one.send(&vec![b'x'; length], 0)?;
    }
    for length in [1, 100, 0, 1400, 9000] {
        two.hears_one(&vec![b'x'; length])?;
    }
    two.hears_nothing()
}

fn a_datagram_without_content_is_one(world: &World) -> Outcome {
    let ((one, one_end), (two, two_end)) = (world.datagram()?, world.datagram()?);
    equal("sendto", one.send_to(b"", two_end)?, 0)?;
    equal("poll", two.wait_for(POLLIN)?, POLLIN)?;
    let (length, from) = two.receive_from(&mut [0; 10], 0)?;
    equal("recvfrom", (length, from), (0, Some(one_end)))?;
    two.hears_nothing()
}

fn what_does_not_fit_of_a_datagram_is_lost(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    one.send(b"0123456789", 0)?;
    one.send(b"next", 0)?;
    let mut room = [0; 4];
    equal("recv", two.receive(&mut room, 0)?, 4)?;
    equal("what it took", room, *b"0123")?;
    two.hears_one(b"next")
}

fn a_truncated_datagram_says_how_long_it_was(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    let mut room = [0; 4];
    one.send(b"0123456789", 0)?;
    let message = two.receive_message(&mut [&mut room], 0)?;
    equal("recvmsg", (message.length, message.flags), (4, MSG_TRUNC))?;
    one.send(b"0123456789", 0)?;
    equal("with MSG_TRUNC", two.receive(&mut room, MSG_TRUNC)?, 10)?;
    one.send(b"0123", 0)?;
    let message = two.receive_message(&mut [&mut room], 0)?;
    equal("one that fits", (message.length, message.flags), (4, 0))
}

fn a_peek_leaves_a_datagram(world: &World) -> Outcome {
    let ((one, one_end), (two, two_end)) = (world.datagram()?, world.datagram()?);
    one.send_to(b"first", two_end)?;
    one.send_to(b"second", two_end)?;
    let mut room = [0; 3];
    for _ in 0..2 {
        let seen = two.receive_from(&mut room, MSG_PEEK)?;
        equal("recvfrom", seen, (3, Some(one_end)))?;
    }
    two.hears_one(b"first")?;
    two.hears_one(b"second")
}

/// UDP's largest payload: what the 16 bits of a length leave (RFC 768, RFC 791; RFC 8200's length has no header in it).
fn largest(family: Family) -> usize {
    match family {
        Family::V4 => 65_507,
        Family::V6 => 65_527,
    }
}

fn the_largest_datagram_passes(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    let bytes = vec![3; largest(world.family)];
    equal("send", one.send(&bytes, 0)?, bytes.len())?;
    two.hears_one(&bytes)
}

fn a_datagram_that_is_too_large_is_refused_at_once(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    let bytes = vec![3; largest(world.family) + 1];
    fails("send", one.send(&bytes, 0), EMSGSIZE)?;
    let message = one.send_message(&[&bytes], None);
    fails("sendmsg", message, EMSGSIZE)?;
    two.hears_nothing()
}

fn a_datagram_without_a_peer_needs_an_address(world: &World) -> Outcome {
    let (one, _) = world.datagram()?;
    fails("send", one.send(b"x", 0), EDESTADDRREQ)?;
    fails("write", one.write(b"x"), EDESTADDRREQ)?;
    fails("sendmsg", one.send_message(&[b"x"], None), EDESTADDRREQ)
}

fn a_datagram_to_port_zero_is_refused(world: &World) -> Outcome {
    fails("sendto", world.udp()?.send_to(b"x", world.here()), EINVAL)
}

fn a_socket_that_sends_has_a_port(world: &World) -> Outcome {
    let (hearer, end) = world.datagram()?;
    let socket = world.udp()?;
    socket.send_to(b"x", end)?;
    let (_, from) = hearer.receive_from(&mut [0; 10], 0)?;
    let local = socket.local()?;
    equal("its address", local.ip(), world.family.any())?;
    equal("its port", Some(local.port()), from.map(|from| from.port()))
}

fn a_connected_socket_sends_to_others_too(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    let (third, third_end) = world.datagram()?;
    one.send_to(b"to a third", third_end)?;
    third.hears_one(b"to a third")?;
    one.send(b"to the peer", 0)?;
    two.hears_one(b"to the peer")?;
    equal("its peer", one.peer()?, two.local()?)
}

fn reads_and_writes_are_datagrams_too(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    equal("write", one.write(b"write")?, 5)?;
    equal("writev", one.write_parts(&[b"wri", b"tev"])?, 6)?;
    let mut room = [0; 100];
    equal("read", two.read(&mut room)?, 5)?;
    let (mut a, mut b) = ([0; 4], [0; 100]);
    equal("readv", two.read_parts(&mut [&mut a, &mut b])?, 6)?;
    equal("the parts", (&a, &b[..2]), (b"writ", &b"ev"[..]))
}

fn a_receive_that_may_not_wait_does_not(world: &World) -> Outcome {
    let (socket, _) = world.datagram()?;
    let mut room = [0; 1];
    fails("recv", socket.receive(&mut room, MSG_DONTWAIT), EAGAIN)?;
    socket.set_nonblocking()?;
    fails("recv of O_NONBLOCK", socket.receive(&mut room, 0), EAGAIN)?;
    let fresh = world.udp()?;
    fails(
        "of a fresh one",
        fresh.receive(&mut room, MSG_DONTWAIT),
        EAGAIN,
    )
}

fn a_receive_has_a_timeout(world: &World) -> Outcome {
    let (socket, _) = world.datagram()?;
    socket.set_timeout(SO_RCVTIMEO, 80)?;
    let begun = Instant::now();
    fails("recv", socket.receive(&mut [0; 1], 0), EAGAIN)?;
    holds("it waited", begun.elapsed() >= Duration::from_millis(70))
}

fn the_next_datagram_s_length_is_told(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    equal("before", two.unread()?, 0)?;
    one.send(b"12345", 0)?;
    one.send(b"123", 0)?;
    two.wait_for(POLLIN)?;
    equal("the first", two.unread()?, 5)?;
    two.hears_one(b"12345")?;
    two.wait_for(POLLIN)?;
    equal("the second", two.unread()?, 3)
}

fn a_full_queue_keeps_the_oldest(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    two.set_flag(SOL_SOCKET, SO_RCVBUF, 10_000)?;
    let sent = 3000;
    for number in 0_u32..sent {
        let mut datagram = [0; 1000];
        datagram
            .iter_mut()
            .zip(number.to_ne_bytes())
            .for_each(|(to, from)| *to = from);
        one.send(&datagram, 0)?;
    }
    // Those that wait in front of the queue have their turn first.
    two.wait_for(POLLIN)?;
    let (mut kept, mut least) = (0, 0);
    let mut room = [0; 1000];
    while two.is_readable()? {
        two.receive(&mut room, 0)?;
        let [a, b, c, d, ..] = room;
        let number = u32::from_ne_bytes([a, b, c, d]);
        holds("the first is the oldest", kept > 0 || number == 0)?;
        holds("the next is younger", number >= least)?;
        least = number + 1;
        kept += 1;
    }
    holds("some were kept", kept > 1)?;
    holds("not all were kept", kept < sent)
}

fn a_connected_socket_that_was_shut_down_reads_the_end(world: &World) -> Outcome {
    let (one, _two) = world.datagram_pair()?;
    one.shutdown(SHUT_RD)?;
    one.hears_the_end()
}

fn a_connected_socket_whose_writing_was_ended_sends_nothing(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    one.shutdown(SHUT_WR)?;
    fails("send", one.send(b"x", 0), libc::EPIPE)?;
    two.send(b"still heard", 0)?;
    one.hears_one(b"still heard")
}

fn where_no_route_leads_sending_fails_at_once(world: &World) -> Outcome {
    let nobody = SocketAddr::new(world.family.nobody(), 9);
    match world.udp()?.send_to(b"x", nobody) {
        Ok(_) => skip("routes lead everywhere here"),
        failed => {
            fails("sendto", failed, ENETUNREACH)?;
            fails("connect of UDP", world.udp()?.connect(nobody), ENETUNREACH)?;
            fails("connect of TCP", world.tcp()?.connect(nobody), ENETUNREACH)
        }
    }
}

fn a_broadcast_needs_leave(world: &World) -> Outcome {
    let socket = world.udp()?;
    let everybody = SocketAddr::new(Ipv4Addr::BROADCAST.into(), 9);
    match socket.send_to(b"x", everybody) {
        Err(failed) if failed.errno == ENETUNREACH => skip("there is nobody outside"),
        sent => {
            fails("sendto", sent, EACCES)?;
            fails("connect", socket.connect(everybody), EACCES)
        }
    }
}

fn a_socket_of_ipv6_hears_and_speaks_ipv4(world: &World) -> Outcome {
    let six = world.udp()?;
    six.bind(SocketAddr::new(world.family.any(), 0))?;
    let port = six.local()?.port();
    let (four, four_end) = v4(world).datagram()?;
    four.send_to(
        b"over IPv4",
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
    )?;
    let (_, from) = six.receive_from(&mut [0; 100], 0)?;
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    let expected = SocketAddr::new(mapped.into(), four_end.port());
    equal("who sent it", from, Some(expected))?;
    six.send_to(b"back", expected)?;
    four.hears_one(b"back")
}

fn with_v6only_a_socket_of_ipv6_hears_no_ipv4(world: &World) -> Outcome {
    let six = world.udp()?;
    six.set_flag(IPPROTO_IPV6, IPV6_V6ONLY, 1)?;
    six.bind(SocketAddr::new(world.family.any(), 0))?;
    let port = six.local()?.port();
    let (four, _) = v4(world).datagram()?;
    four.send_to(
        b"over IPv4",
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
    )?;
    six.hears_nothing()
}

fn v4(world: &World) -> World {
    World {
        family: Family::V4,
        ..*world
    }
}
