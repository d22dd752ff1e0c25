//! Groups (RFC 1112, RFC 3493 5.2): joined on an adapter, left again, spoken to.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use libc::{EADDRINUSE, EADDRNOTAVAIL, EINVAL, IPPROTO_IP, IPPROTO_IPV6, SO_REUSEADDR, SOL_SOCKET};

use crate::case::{Family, Outcome, World, cases, equal, fails, holds, skip};
use crate::sys::Socket;

const IP_MULTICAST_IF: i32 = 32;
const IP_MULTICAST_LOOP: i32 = 34;
const IP_ADD_MEMBERSHIP: i32 = 35;
const IP_DROP_MEMBERSHIP: i32 = 36;
const IPV6_MULTICAST_LOOP: i32 = 19;
const IPV6_JOIN_GROUP: i32 = 20;
const IPV6_LEAVE_GROUP: i32 = 21;

cases! {
    Both: a_member_of_a_group_hears_what_is_said_to_it
        who_has_left_a_group_hears_it_no_more
        two_members_on_one_port_both_hear
        what_is_not_looped_is_not_heard_here
        a_group_is_joined_once_and_left_once
        an_address_that_is_no_group_is_not_joined;
}

/// The adapter on which groups are joined and spoken to: for IPv4 that of an address, which leads outside or is the
/// loopback's; for IPv6 the one that the routes say.
enum On {
    Address(Ipv4Addr),
    Any,
}

impl On {
    fn choose(world: &World) -> Outcome<On> {
        let outside = world.peer.filter(IpAddr::is_ipv4);
        let four = World {
            family: Family::V4,
            ..*world
        };
        let own = outside.map(|peer| -> Outcome<IpAddr> {
            let socket = four.udp()?;
            socket.connect(SocketAddr::new(peer, 9))?;
            Ok(socket.local()?.ip())
        });
        match (world.family, own.transpose()?) {
            (Family::V4, Some(IpAddr::V4(own))) => Ok(On::Address(own)),
            (Family::V4, _) => Ok(On::Address(Ipv4Addr::LOCALHOST)),
            (Family::V6, Some(_)) => Ok(On::Any),
            (Family::V6, None) => skip("nobody outside was named"),
        }
    }

    /// `struct ip_mreq` or `struct ipv6_mreq`.
    fn membership(&self, group: IpAddr) -> Vec<u8> {
        match (self, group) {
            (On::Address(own), IpAddr::V4(group)) => [group.octets(), own.octets()].concat(),
            (On::Any, IpAddr::V6(group)) => [&group.octets()[..], &[0; 4]].concat(),
            _ => Vec::new(),
        }
    }

    fn join(&self, socket: &Socket, group: IpAddr) -> crate::errno::Result<()> {
        let (level, option) = match self {
            On::Address(_) => (IPPROTO_IP, IP_ADD_MEMBERSHIP),
            On::Any => (IPPROTO_IPV6, IPV6_JOIN_GROUP),
        };
        socket.set(level, option, &self.membership(group))
    }

    fn leave(&self, socket: &Socket, group: IpAddr) -> crate::errno::Result<()> {
        let (level, option) = match self {
            On::Address(_) => (IPPROTO_IP, IP_DROP_MEMBERSHIP),
            On::Any => (IPPROTO_IPV6, IPV6_LEAVE_GROUP),
        };
        socket.set(level, option, &self.membership(group))
    }

    /// A socket that speaks to groups here.
    fn speaker(&self, world: &World) -> Outcome<Socket> {
        let socket = world.udp()?;
        if let On::Address(own) = self {
            socket.set(IPPROTO_IP, IP_MULTICAST_IF, &own.octets())?;
        }
        Ok(socket)
    }

    fn without_loop(&self, socket: &Socket) -> Outcome {
        let (level, option) = match self {
            On::Address(_) => (IPPROTO_IP, IP_MULTICAST_LOOP),
            On::Any => (IPPROTO_IPV6, IPV6_MULTICAST_LOOP),
        };
        Ok(socket.set_flag(level, option, 0)?)
    }
}

/// A socket that hears everything at its port.
fn hearer(world: &World, port: u16) -> Outcome<Socket> {
    let socket = world.udp()?;
    socket.set_flag(SOL_SOCKET, SO_REUSEADDR, 1)?;
    socket.bind(SocketAddr::new(world.family.any(), port))?;
    Ok(socket)
}

fn a_member_of_a_group_hears_what_is_said_to_it(world: &World) -> Outcome {
    let (on, group) = (On::choose(world)?, world.family.group());
    let member = hearer(world, 0)?;
    on.join(&member, group)?;
    let to = SocketAddr::new(group, member.local()?.port());
    on.speaker(world)?.send_to(b"to all", to)?;
    member.hears_one(b"to all")
}

fn who_has_left_a_group_hears_it_no_more(world: &World) -> Outcome {
    let (on, group) = (On::choose(world)?, world.family.group());
    let member = hearer(world, 0)?;
    on.join(&member, group)?;
    on.leave(&member, group)?;
    let to = SocketAddr::new(group, member.local()?.port());
    on.speaker(world)?.send_to(b"to all", to)?;
    member.hears_nothing()
}

fn two_members_on_one_port_both_hear(world: &World) -> Outcome {
    let (on, group) = (On::choose(world)?, world.family.group());
    let one = hearer(world, 0)?;
    let port = one.local()?.port();
    let two = hearer(world, port)?;
    on.join(&one, group)?;
    on.join(&two, group)?;
    let to = SocketAddr::new(group, port);
    on.speaker(world)?.send_to(b"to both", to)?;
    one.hears_one(b"to both")?;
    two.hears_one(b"to both")
}

fn what_is_not_looped_is_not_heard_here(world: &World) -> Outcome {
    let (on, group) = (On::choose(world)?, world.family.group());
    if let On::Address(Ipv4Addr::LOCALHOST) = on {
        return skip("nobody outside was named");
    }
    let member = hearer(world, 0)?;
    on.join(&member, group)?;
    let to = SocketAddr::new(group, member.local()?.port());
    let speaker = on.speaker(world)?;
    on.without_loop(&speaker)?;
    speaker.send_to(b"to others", to)?;
    member.hears_nothing()
}

fn a_group_is_joined_once_and_left_once(world: &World) -> Outcome {
    let (on, group) = (On::choose(world)?, world.family.group());
    let member = hearer(world, 0)?;
    let before = on.leave(&member, group);
    fails("leaving before", before, EADDRNOTAVAIL)?;
    on.join(&member, group)?;
    fails("joining again", on.join(&member, group), EADDRINUSE)?;
    on.leave(&member, group)?;
    let again = on.leave(&member, group);
    fails("leaving again", again, EADDRNOTAVAIL)
}

fn an_address_that_is_no_group_is_not_joined(world: &World) -> Outcome {
    let on = On::choose(world)?;
    let member = hearer(world, 0)?;
    let joined = on.join(&member, world.family.nobody());
    fails("joining", joined, EINVAL)?;
    equal("SO_ERROR", member.take_error()?, 0)?;
    holds("it has its port", member.local()?.port() != 0)
}
