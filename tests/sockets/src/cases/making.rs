//! socket(2), and what a descriptor is.

use libc::{
    EAFNOSUPPORT, ENOTSOCK, EPROTONOSUPPORT, ESOCKTNOSUPPORT, F_GETFD, FD_CLOEXEC, IPPROTO_TCP,
    IPPROTO_UDP, SO_TYPE, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_SEQPACKET,
    SOCK_STREAM, SOL_SOCKET,
};

use crate::case::{Outcome, World, cases, equal, fails, holds, skip};
use crate::sys::{self, Socket};

cases! {
    Both: a_socket_is_of_the_type_that_it_was_made_of
        a_protocol_may_be_named_as_well
        a_type_and_a_protocol_that_do_not_belong_together_are_refused
        a_type_that_the_family_does_not_have_is_refused
        a_socket_can_be_made_not_to_wait_and_to_end_with_a_program
        fcntl_and_ioctl_say_whether_a_socket_waits
        a_duplicate_is_the_same_socket
        a_socket_lives_until_its_last_descriptor_is_closed;
    V4: a_family_that_nobody_knows_is_refused
        a_raw_socket_is_for_root_only
        what_is_no_socket_is_told_so
        a_forked_child_has_its_parent_s_sockets;
}

fn a_socket_is_of_the_type_that_it_was_made_of(world: &World) -> Outcome {
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        let socket = Socket::new(world.family.domain(), kind, 0)?;
        equal("SO_TYPE", socket.flag(SOL_SOCKET, SO_TYPE)?, kind)?;
        let domain = socket.flag(SOL_SOCKET, libc::SO_DOMAIN)?;
        equal("SO_DOMAIN", domain, world.family.domain())?;
    }
    Ok(())
}

fn a_protocol_may_be_named_as_well(world: &World) -> Outcome {
    for (kind, protocol) in [(SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)] {
        let socket = Socket::new(world.family.domain(), kind, protocol)?;
        let named = socket.flag(SOL_SOCKET, libc::SO_PROTOCOL)?;
        equal("SO_PROTOCOL", named, protocol)?;
    }
    Ok(())
}

fn a_type_and_a_protocol_that_do_not_belong_together_are_refused(world: &World) -> Outcome {
    let domain = world.family.domain();
    for (kind, protocol) in [(SOCK_STREAM, IPPROTO_UDP), (SOCK_DGRAM, IPPROTO_TCP)] {
        let made = Socket::new(domain, kind, protocol);
        fails("socket", made, EPROTONOSUPPORT)?;
    }
    Ok(())
}

fn a_type_that_the_family_does_not_have_is_refused(world: &World) -> Outcome {
    let made = Socket::new(world.family.domain(), SOCK_SEQPACKET, 0);
    fails("socket", made, ESOCKTNOSUPPORT)
}

fn a_family_that_nobody_knows_is_refused(_: &World) -> Outcome {
    fails("socket", Socket::new(200, SOCK_STREAM, 0), EAFNOSUPPORT)
}

fn a_socket_can_be_made_not_to_wait_and_to_end_with_a_program(world: &World) -> Outcome {
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        let domain = world.family.domain();
        let plain = Socket::new(domain, kind, 0)?;
        holds("it waits", !plain.is_nonblocking()?)?;
        equal("FD_CLOEXEC", plain.control(F_GETFD, 0)? & FD_CLOEXEC, 0)?;
        let other = Socket::new(domain, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)?;
        holds("it does not wait", other.is_nonblocking()?)?;
        let flags = other.control(F_GETFD, 0)?;
        equal("FD_CLOEXEC", flags & FD_CLOEXEC, FD_CLOEXEC)?;
    }
    Ok(())
}

fn fcntl_and_ioctl_say_whether_a_socket_waits(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    called.set_nonblocking()?;
    let mut room = [0; 1];
    let nothing = called.receive(&mut room, 0);
    fails("recv after O_NONBLOCK", nothing, libc::EAGAIN)?;
    called.set_nonblocking_by_ioctl(false)?;
    holds("FIONBIO 0 lets it wait", !called.is_nonblocking()?)?;
    called.set_nonblocking_by_ioctl(true)?;
    holds("FIONBIO 1 does not", called.is_nonblocking()?)
}

fn a_duplicate_is_the_same_socket(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let same = called.duplicate()?;
    equal("its peer", same.peer()?, accepted.local()?)?;
    same.set_nonblocking()?;
    holds("the flags are one's", called.is_nonblocking()?)?;
    accepted.say(b"one and other")?;
    accepted.wait_for(crate::ends::POLLIN)?;
    called.wait_for(crate::ends::POLLIN)?;
    called.hears(b"one and")?;
    same.hears(b" other")
}

fn a_socket_lives_until_its_last_descriptor_is_closed(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let same = called.duplicate()?;
    drop(called);
    same.say(b"still here")?;
    accepted.hears(b"still here")?;
    holds("nothing has ended", !accepted.is_readable()?)?;
    drop(same);
    accepted.hears_the_end()
}

fn a_raw_socket_is_for_root_only(_: &World) -> Outcome {
    let make = || Socket::new(libc::AF_INET, SOCK_RAW, libc::IPPROTO_ICMP);
    if !sys::is_root() {
        return fails("socket", make(), libc::EPERM);
    }
    make()?;
    let refused = sys::in_child(|| {
        let is_refused = |failed: crate::errno::Failed| failed.errno == libc::EPERM;
        sys::become_user(65_534).is_ok() && make().is_err_and(is_refused)
    })?;
    holds("a user is refused", refused)
}

fn what_is_no_socket_is_told_so(world: &World) -> Outcome {
    let (read, write) = sys::pipe()?;
    fails("getsockname of a pipe", read.local(), ENOTSOCK)?;
    fails("connect of a pipe", read.connect(world.here()), ENOTSOCK)?;
    fails("listen of a pipe", read.listen(1), ENOTSOCK)?;
    fails("send on a pipe", write.send(b"x", 0), ENOTSOCK)?;
    fails("accept of a pipe", read.accept(), ENOTSOCK)?;
    let closed = world.tcp()?;
    let number = closed.fd();
    drop(closed);
    let gone = sys::poll(&[(number, crate::ends::POLLIN)], 0)?;
    equal("a closed one", gone, vec![libc::POLLNVAL])
}

fn a_forked_child_has_its_parent_s_sockets(world: &World) -> Outcome {
    let (called, accepted) = world.connection()?;
    let peer = accepted.peer()?;
    let went_well = sys::in_child(|| {
        let told = accepted.peer().is_ok_and(|end| end == peer);
        // And one of its own.
        let own = world
            .connection()
            .is_ok_and(|(mine, other)| mine.say(b"x").is_ok() && other.hears(b"x").is_ok());
        told && own && accepted.say(b"from the child").is_ok()
    });
    match went_well {
        Err(failed) => skip(&failed.to_string()),
        Ok(went_well) => {
            holds("the child", went_well)?;
            called.hears(b"from the child")?;
            // The child has closed its own.
            accepted.say(b" and from the parent")?;
            called.hears(b" and from the parent")
        }
    }
}
