//! getsockopt(2) and setsockopt(2), level by level.

use libc::{
    EINVAL, ENOPROTOOPT, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SO_BROADCAST, SO_KEEPALIVE,
    SO_RCVBUF, SO_RCVTIMEO, SO_REUSEADDR, SO_SNDBUF, SO_SNDTIMEO, SOL_SOCKET, TCP_NODELAY,
};

use crate::case::{Family, Outcome, World, cases, equal, fails, holds};
use crate::sys::Socket;

// Linux's numbers, which relibc has taken over.
const TCP_KEEPIDLE: i32 = 4;
const TCP_KEEPINTVL: i32 = 5;
const TCP_KEEPCNT: i32 = 6;
const TCP_MAXSEG: i32 = 2;
const TCP_INFO: i32 = 11;
const TCP_USER_TIMEOUT: i32 = 18;
const SO_REUSEPORT: i32 = 15;
const IP_TOS: i32 = 1;
const IP_TTL: i32 = 2;
const IP_MULTICAST_TTL: i32 = 33;
const IP_MULTICAST_LOOP: i32 = 34;
const IPV6_UNICAST_HOPS: i32 = 16;
const IPV6_MULTICAST_HOPS: i32 = 18;
const IPV6_MULTICAST_LOOP: i32 = 19;
const IPV6_V6ONLY: i32 = 26;
const IPV6_TCLASS: i32 = 67;
/// RFC 9293 3.3.2's ESTABLISHED, as TCP_INFO numbers it.
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;

cases! {
    Both: reuseaddr_is_off_and_what_it_was_set_to
        reuseport_is_off_and_what_it_was_set_to
        reuseport_of_tcp_is_what_it_was_set_to
        broadcast_is_off_and_what_it_was_set_to
        keepalive_is_off_and_what_it_was_set_to
        no_delay_is_off_and_what_it_was_set_to
        keepalive_has_its_times
        a_keepalive_without_a_time_is_refused
        a_user_timeout_is_what_it_was_set_to
        buffers_have_a_size_that_can_be_set
        timeouts_are_what_they_were_set_to
        a_timeout_that_is_none_is_refused
        the_maximum_segment_size_is_told
        tcp_info_tells_the_state
        an_error_that_did_not_happen_is_none
        an_option_that_nobody_knows_is_refused
        an_option_of_tcp_is_none_of_udp
        a_value_that_is_too_short_is_refused
        an_option_is_cut_to_the_room_for_it;
    V4: the_ttl_is_64_and_what_it_was_set_to
        a_ttl_of_zero_is_refused
        the_type_of_service_is_what_it_was_set_to
        multicast_goes_one_hop_and_loops
        an_option_of_ipv6_is_none_of_ipv4;
    V6: the_hop_limit_is_64_and_what_it_was_set_to
        the_traffic_class_is_what_it_was_set_to
        v6only_is_off_and_what_it_was_set_to
        multicast_of_ipv6_goes_one_hop_and_loops;
}

/// A flag that is off at first, and on and off when it was set so.
fn is_a_flag(socket: &Socket, level: i32, option: i32) -> Outcome {
    equal("at first", socket.flag(level, option)?, 0)?;
    socket.set_flag(level, option, 1)?;
    holds("it is on", socket.flag(level, option)? != 0)?;
    socket.set_flag(level, option, 0)?;
    equal("off again", socket.flag(level, option)?, 0)
}

/// A number that is this at first, and then that.
fn is_a_number(socket: &Socket, (level, option): (i32, i32), first: i32, then: i32) -> Outcome {
    equal("at first", socket.flag(level, option)?, first)?;
    socket.set_flag(level, option, then)?;
    equal("then", socket.flag(level, option)?, then)
}

fn reuseaddr_is_off_and_what_it_was_set_to(world: &World) -> Outcome {
    is_a_flag(&world.tcp()?, SOL_SOCKET, SO_REUSEADDR)?;
    is_a_flag(&world.udp()?, SOL_SOCKET, SO_REUSEADDR)
}

fn reuseport_is_off_and_what_it_was_set_to(world: &World) -> Outcome {
    is_a_flag(&world.udp()?, SOL_SOCKET, SO_REUSEPORT)
}

fn reuseport_of_tcp_is_what_it_was_set_to(world: &World) -> Outcome {
    is_a_flag(&world.tcp()?, SOL_SOCKET, SO_REUSEPORT)
}

fn broadcast_is_off_and_what_it_was_set_to(world: &World) -> Outcome {
    is_a_flag(&world.udp()?, SOL_SOCKET, SO_BROADCAST)
}

fn keepalive_is_off_and_what_it_was_set_to(world: &World) -> Outcome {
    is_a_flag(&world.tcp()?, SOL_SOCKET, SO_KEEPALIVE)?;
    let (called, _accepted) = world.connection()?;
    is_a_flag(&called, SOL_SOCKET, SO_KEEPALIVE)
}

fn no_delay_is_off_and_what_it_was_set_to(world: &World) -> Outcome {
    is_a_flag(&world.tcp()?, IPPROTO_TCP, TCP_NODELAY)?;
    let (called, _accepted) = world.connection()?;
    is_a_flag(&called, IPPROTO_TCP, TCP_NODELAY)
}

fn keepalive_has_its_times(world: &World) -> Outcome {
    let socket = world.tcp()?;
    is_a_number(&socket, (IPPROTO_TCP, TCP_KEEPIDLE), 7200, 60)?;
    is_a_number(&socket, (IPPROTO_TCP, TCP_KEEPINTVL), 75, 10)?;
    is_a_number(&socket, (IPPROTO_TCP, TCP_KEEPCNT), 9, 3)
}

fn a_keepalive_without_a_time_is_refused(world: &World) -> Outcome {
    let socket = world.tcp()?;
    for option in [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT] {
        for value in [0, -1, 40_000] {
            let set = socket.set_flag(IPPROTO_TCP, option, value);
            fails("setsockopt", set, EINVAL)?;
        }
    }
    Ok(())
}

fn a_user_timeout_is_what_it_was_set_to(world: &World) -> Outcome {
    let option = (IPPROTO_TCP, TCP_USER_TIMEOUT);
    is_a_number(&world.tcp()?, option, 0, 30_000)
}

/// Linux counts its own needs too: twice what was asked for.
fn buffers_have_a_size_that_can_be_set(world: &World) -> Outcome {
    for socket in [world.tcp()?, world.udp()?] {
        for option in [SO_RCVBUF, SO_SNDBUF] {
            let at_first = socket.flag(SOL_SOCKET, option)?;
            holds("it has a size", at_first >= 4096)?;
            socket.set_flag(SOL_SOCKET, option, 100_000)?;
            let then = socket.flag(SOL_SOCKET, option)?;
            let within = (100_000..=200_000).contains(&then);
            holds("it is what was asked for", within)?;
            socket.set_flag(SOL_SOCKET, option, 1)?;
            let least = socket.flag(SOL_SOCKET, option)?;
            holds("there is a least", least > 1 && least < then)?;
        }
    }
    Ok(())
}

fn timeouts_are_what_they_were_set_to(world: &World) -> Outcome {
    for socket in [world.tcp()?, world.udp()?] {
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            equal("at first", socket.get(SOL_SOCKET, option, 16)?, vec![0; 16])?;
            socket.set_timeout(option, 1_500)?;
            let value = socket.get(SOL_SOCKET, option, 16)?;
            equal("seconds", value.first().copied(), Some(1))?;
        }
    }
    Ok(())
}

fn a_timeout_that_is_none_is_refused(world: &World) -> Outcome {
    let socket = world.tcp()?;
    let short = socket.set(SOL_SOCKET, SO_RCVTIMEO, &[0; 4]);
    fails("setsockopt", short, EINVAL)?;
    let value = [0_i64.to_ne_bytes(), 2_000_000_i64.to_ne_bytes()].concat();
    let many = socket.set(SOL_SOCKET, SO_RCVTIMEO, &value);
    fails("setsockopt", many, libc::EDOM)
}

fn the_maximum_segment_size_is_told(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    let size = called.flag(IPPROTO_TCP, TCP_MAXSEG)?;
    holds("it is one", (500..=65_535).contains(&size))
}

fn tcp_info_tells_the_state(world: &World) -> Outcome {
    let (called, _accepted) = world.connection()?;
    let state = called.get(IPPROTO_TCP, TCP_INFO, 1)?;
    equal("of a connection", state, vec![ESTABLISHED])?;
    let state = world.listener()?.0.get(IPPROTO_TCP, TCP_INFO, 1)?;
    equal("of a listener", state, vec![LISTEN])
}

fn an_error_that_did_not_happen_is_none(world: &World) -> Outcome {
    equal("of TCP", world.tcp()?.take_error()?, 0)?;
    equal("of UDP", world.udp()?.take_error()?, 0)?;
    equal("of a connection", world.connection()?.0.take_error()?, 0)
}

fn an_option_that_nobody_knows_is_refused(world: &World) -> Outcome {
    for level in [SOL_SOCKET, IPPROTO_TCP, ip(world)] {
        let socket = world.tcp()?;
        fails("setsockopt", socket.set_flag(level, 9999, 1), ENOPROTOOPT)?;
        fails("getsockopt", socket.get(level, 9999, 4), ENOPROTOOPT)?;
    }
    Ok(())
}

fn an_option_of_tcp_is_none_of_udp(world: &World) -> Outcome {
    let socket = world.udp()?;
    let set = socket.set_flag(IPPROTO_TCP, TCP_NODELAY, 1);
    fails("setsockopt", set, ENOPROTOOPT)
}

fn a_value_that_is_too_short_is_refused(world: &World) -> Outcome {
    let socket = world.tcp()?;
    let set = socket.set(SOL_SOCKET, SO_REUSEADDR, &[1]);
    fails("SO_REUSEADDR", set, EINVAL)?;
    let set = socket.set(IPPROTO_TCP, TCP_NODELAY, &[]);
    fails("TCP_NODELAY", set, EINVAL)
}

fn an_option_is_cut_to_the_room_for_it(world: &World) -> Outcome {
    let value = world.tcp()?.get(SOL_SOCKET, libc::SO_TYPE, 2)?;
    let expected = libc::SOCK_STREAM.to_ne_bytes();
    equal("with room for 2", Some(value.as_slice()), expected.get(..2))
}

fn the_ttl_is_64_and_what_it_was_set_to(world: &World) -> Outcome {
    for socket in [world.tcp()?, world.udp()?] {
        is_a_number(&socket, (IPPROTO_IP, IP_TTL), 64, 9)?;
        // -1 is the usual one.
        socket.set_flag(IPPROTO_IP, IP_TTL, -1)?;
        equal("the usual", socket.flag(IPPROTO_IP, IP_TTL)?, 64)?;
        equal("SO_REUSEADDR", socket.flag(SOL_SOCKET, SO_REUSEADDR)?, 0)?;
    }
    Ok(())
}

fn a_ttl_of_zero_is_refused(world: &World) -> Outcome {
    for value in [0, 256, -2] {
        let set = world.udp()?.set_flag(IPPROTO_IP, IP_TTL, value);
        fails("IP_TTL", set, EINVAL)?;
    }
    Ok(())
}

fn the_type_of_service_is_what_it_was_set_to(world: &World) -> Outcome {
    for socket in [world.tcp()?, world.udp()?] {
        is_a_number(&socket, (IPPROTO_IP, IP_TOS), 0, 0x10)?;
    }
    Ok(())
}

fn multicast_goes_one_hop_and_loops(world: &World) -> Outcome {
    let socket = world.udp()?;
    is_a_number(&socket, (IPPROTO_IP, IP_MULTICAST_TTL), 1, 7)?;
    is_a_number(&socket, (IPPROTO_IP, IP_MULTICAST_LOOP), 1, 0)
}

fn an_option_of_ipv6_is_none_of_ipv4(world: &World) -> Outcome {
    let socket = world.udp()?;
    let set = socket.set_flag(IPPROTO_IPV6, IPV6_V6ONLY, 1);
    fails("setsockopt", set, ENOPROTOOPT)
}

fn the_hop_limit_is_64_and_what_it_was_set_to(world: &World) -> Outcome {
    for socket in [world.tcp()?, world.udp()?] {
        is_a_number(&socket, (IPPROTO_IPV6, IPV6_UNICAST_HOPS), 64, 9)?;
        socket.set_flag(IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1)?;
        let usual = socket.flag(IPPROTO_IPV6, IPV6_UNICAST_HOPS)?;
        equal("the usual", usual, 64)?;
        let much = socket.set_flag(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256);
        fails("256", much, EINVAL)?;
    }
    Ok(())
}

fn the_traffic_class_is_what_it_was_set_to(world: &World) -> Outcome {
    for socket in [world.tcp()?, world.udp()?] {
        is_a_number(&socket, (IPPROTO_IPV6, IPV6_TCLASS), 0, 0x20)?;
    }
    Ok(())
}

fn v6only_is_off_and_what_it_was_set_to(world: &World) -> Outcome {
    is_a_flag(&world.tcp()?, IPPROTO_IPV6, IPV6_V6ONLY)?;
    is_a_flag(&world.udp()?, IPPROTO_IPV6, IPV6_V6ONLY)
}

fn multicast_of_ipv6_goes_one_hop_and_loops(world: &World) -> Outcome {
    let socket = world.udp()?;
    is_a_number(&socket, (IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 1, 7)?;
    is_a_number(&socket, (IPPROTO_IPV6, IPV6_MULTICAST_LOOP), 1, 0)
}

fn ip(world: &World) -> i32 {
    match world.family {
        Family::V4 => IPPROTO_IP,
        Family::V6 => IPPROTO_IPV6,
    }
}
