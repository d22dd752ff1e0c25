//! Socket options: the C library's numbers and structures (`setsockopt`), and what they are in the stack. The numbers
//! are those of relibc, which are Linux's.

use core::net::IpAddr;

use smoltcp::time::Duration;
use syscall::error::{EINVAL, ENODEV, ENOPROTOOPT, Error, Result};

use super::errno::errno;
use super::sockets::View;
use super::transfer::fill;
use crate::ports::LinkId;
use crate::socket::{OptionName, SocketOption};
use crate::stack::Stack;

const SOL_SOCKET: u64 = 1;
const IPPROTO_IP: u64 = 0;
const IPPROTO_TCP: u64 = 6;
const IPPROTO_IPV6: u64 = 41;

/// `SO_*`
mod so {
    pub(super) const REUSEADDR: u64 = 2;
    pub(super) const ERROR: u64 = 4;
    pub(super) const BROADCAST: u64 = 6;
    pub(super) const SNDBUF: u64 = 7;
    pub(super) const RCVBUF: u64 = 8;
    pub(super) const KEEPALIVE: u64 = 9;
    pub(super) const LINGER: u64 = 13;
}

/// `IP_*`
mod ip {
    pub(super) const MULTICAST_IF: u64 = 32;
    pub(super) const MULTICAST_TTL: u64 = 33;
    pub(super) const MULTICAST_LOOP: u64 = 34;
    pub(super) const ADD_MEMBERSHIP: u64 = 35;
    pub(super) const DROP_MEMBERSHIP: u64 = 36;
}

/// `IPV6_*`
mod ipv6 {
    pub(super) const UNICAST_HOPS: u64 = 16;
    pub(super) const MULTICAST_IF: u64 = 17;
    pub(super) const MULTICAST_HOPS: u64 = 18;
    pub(super) const MULTICAST_LOOP: u64 = 19;
    pub(super) const JOIN_GROUP: u64 = 20;
    pub(super) const LEAVE_GROUP: u64 = 21;
    pub(super) const V6ONLY: u64 = 26;
}

/// `TCP_NODELAY`
const TCP_NODELAY: u64 = 1;

/// What a client wants of a socket.
enum Wish {
    Set(SocketOption),
    Join(IpAddr, Option<LinkId>),
    Leave(IpAddr, Option<LinkId>),
}

/// Level and name of an option, of the second and third word of a call. The kernel hands over three words, of which those
/// that the caller left out are zero: the C library names options of `SOL_SOCKET` only, and says no level. Zero is
/// IPv4's level too: it is that for the names that `SOL_SOCKET` does not have here, which leaves out `IP_TTL` (the
/// setting `hop_limit`, or `IPV6_UNICAST_HOPS`).
pub(super) fn named_by(level: Option<u64>, name: u64) -> (u64, u64) {
    let level = match (level, name) {
        (None | Some(0), ip::MULTICAST_IF..=ip::DROP_MEMBERSHIP) => IPPROTO_IP,
        (None | Some(0), _) => SOL_SOCKET,
        (Some(level), _) => level,
    };
    (level, name)
}

impl View<'_> {
    pub(super) fn set_option(
        &mut self,
        number: usize,
        name: (u64, u64),
        value: &[u8],
    ) -> Result<usize> {
        let wish = read(self.stack, name, &Value(value))?;
        let (now, socket) = (self.now, self.ensure_socket(number)?);
        match wish {
            Wish::Set(option) => self.stack.set_option(socket, option),
            Wish::Join(group, link) => self.stack.join_group(now, socket, group, link),
            Wish::Leave(group, link) => self.stack.leave_group(now, socket, group, link),
        }
        .map_err(errno)?;
        Ok(0)
    }

    pub(super) fn get_option(
        &mut self,
        number: usize,
        name: (u64, u64),
        value: &mut [u8],
    ) -> Result<usize> {
        let socket = self.ensure_socket(number)?;
        if name == (SOL_SOCKET, so::ERROR) {
            let error = self.stack.take_error(socket).map_or(0, |e| errno(e).errno);
            return fill(value, &error.to_ne_bytes());
        }
        let option = self.stack.option(socket, named(name)?).map_err(errno)?;
        fill(value, &written(option))
    }
}

/// The bytes of an option, in the C library's layout and native byte order.
struct Value<'a>(&'a [u8]);

impl Value<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or(Error::new(EINVAL))
    }

    fn int(&self, at: usize) -> Result<i32> {
        self.bytes(at).map(i32::from_ne_bytes)
    }

    fn flag(&self) -> Result<bool> {
        self.small().map(|value| value != 0)
    }

    fn size(&self) -> Result<usize> {
        usize::try_from(self.int(0)?).map_err(|_| Error::new(EINVAL))
    }

    /// What of IPv4's multicast may be a byte as well as an int.
    fn small(&self) -> Result<i32> {
        match self.0 {
            [byte] => Ok(i32::from(*byte)),
            _ => self.int(0),
        }
    }

    /// A hop limit; -1 is the usual one.
    fn hops(&self, usual: u8) -> Result<u8> {
        match self.small()? {
            -1 => Ok(usual),
            hops => u8::try_from(hops).map_err(|_| Error::new(EINVAL)),
        }
    }

    /// The number of a link (what the scope id of an address is); 0 leaves it open.
    fn link(&self, at: usize) -> Result<Option<LinkId>> {
        let number = u32::from_ne_bytes(self.bytes(at)?);
        Ok((number != 0).then_some(LinkId(number)))
    }

    /// `struct in_addr`, or `struct ip_mreqn` from its second field on: a link by an address that it has, or by its
    /// number behind that.
    fn link_of_address(&self, at: usize, stack: &Stack) -> Result<Option<LinkId>> {
        if let Ok(Some(link)) = self.link(at.saturating_add(4)) {
            return Ok(Some(link));
        }
        let address = IpAddr::from(self.bytes::<4>(at)?);
        if address.is_unspecified() {
            return Ok(None);
        }
        let mut links = stack.links();
        let link = links.find(|link| link.has_address(address));
        let link = link.ok_or(Error::new(ENODEV))?;
        Ok(Some(link.id()))
    }
}

/// What a call of `setsockopt` wishes.
fn read(stack: &Stack, name: (u64, u64), value: &Value<'_>) -> Result<Wish> {
    let seconds = Duration::from_secs;
    Ok(Wish::Set(match name {
        (SOL_SOCKET, so::REUSEADDR) => SocketOption::ReuseAddress(value.flag()?),
        (SOL_SOCKET, so::BROADCAST) => SocketOption::Broadcast(value.flag()?),
        (SOL_SOCKET, so::SNDBUF) => SocketOption::SendBuffer(value.size()?),
        (SOL_SOCKET, so::RCVBUF) => SocketOption::ReceiveBuffer(value.size()?),
        (SOL_SOCKET, so::KEEPALIVE) => SocketOption::KeepAlive(value.flag()?),
        (SOL_SOCKET, so::LINGER) => {
            let time = u64::try_from(value.int(4)?).map_err(|_| Error::new(EINVAL))?;
            SocketOption::Linger(value.flag()?.then(|| seconds(time)))
        }
        (IPPROTO_TCP, TCP_NODELAY) => SocketOption::NoDelay(value.flag()?),
        (IPPROTO_IPV6, ipv6::UNICAST_HOPS) => SocketOption::TimeToLive(value.hops(64)?),
        (IPPROTO_IPV6, ipv6::V6ONLY) => SocketOption::V6Only(value.flag()?),
        (IPPROTO_IP, ip::MULTICAST_TTL) | (IPPROTO_IPV6, ipv6::MULTICAST_HOPS) => {
            SocketOption::MulticastHops(value.hops(1)?)
        }
        (IPPROTO_IP, ip::MULTICAST_LOOP) | (IPPROTO_IPV6, ipv6::MULTICAST_LOOP) => {
            SocketOption::MulticastLoop(value.flag()?)
        }
        (IPPROTO_IPV6, ipv6::MULTICAST_IF) => SocketOption::MulticastLink(value.link(0)?),
        (IPPROTO_IP, ip::MULTICAST_IF) => {
            // `struct in_addr` or, with the group in front of it, `struct ip_mreqn`.
            let at = if value.0.len() < 12 { 0 } else { 4 };
            SocketOption::MulticastLink(value.link_of_address(at, stack)?)
        }
        (IPPROTO_IP, ip::ADD_MEMBERSHIP) | (IPPROTO_IPV6, ipv6::JOIN_GROUP) => {
            let (group, link) = membership(stack, name.0, value)?;
            return Ok(Wish::Join(group, link));
        }
        (IPPROTO_IP, ip::DROP_MEMBERSHIP) | (IPPROTO_IPV6, ipv6::LEAVE_GROUP) => {
            let (group, link) = membership(stack, name.0, value)?;
            return Ok(Wish::Leave(group, link));
        }
        _ => return Err(Error::new(ENOPROTOOPT)),
    }))
}

/// `struct ip_mreq` and `struct ip_mreqn` of IPv4, `struct ipv6_mreq` of IPv6.
fn membership(stack: &Stack, level: u64, value: &Value<'_>) -> Result<(IpAddr, Option<LinkId>)> {
    if level == IPPROTO_IP {
        let group = value.bytes::<4>(0)?.into();
        Ok((group, value.link_of_address(4, stack)?))
    } else {
        let group = value.bytes::<16>(0)?.into();
        Ok((group, value.link(16)?))
    }
}

fn named(name: (u64, u64)) -> Result<OptionName> {
    Ok(match name {
        (SOL_SOCKET, so::REUSEADDR) => OptionName::ReuseAddress,
        (SOL_SOCKET, so::BROADCAST) => OptionName::Broadcast,
        (SOL_SOCKET, so::SNDBUF) => OptionName::SendBuffer,
        (SOL_SOCKET, so::RCVBUF) => OptionName::ReceiveBuffer,
        (SOL_SOCKET, so::KEEPALIVE) => OptionName::KeepAlive,
        (SOL_SOCKET, so::LINGER) => OptionName::Linger,
        (IPPROTO_TCP, TCP_NODELAY) => OptionName::NoDelay,
        (IPPROTO_IPV6, ipv6::UNICAST_HOPS) => OptionName::TimeToLive,
        (IPPROTO_IPV6, ipv6::V6ONLY) => OptionName::V6Only,
        (IPPROTO_IP, ip::MULTICAST_TTL) | (IPPROTO_IPV6, ipv6::MULTICAST_HOPS) => {
            OptionName::MulticastHops
        }
        (IPPROTO_IP, ip::MULTICAST_LOOP) | (IPPROTO_IPV6, ipv6::MULTICAST_LOOP) => {
            OptionName::MulticastLoop
        }
        (IPPROTO_IPV6, ipv6::MULTICAST_IF) => OptionName::MulticastLink,
        _ => return Err(Error::new(ENOPROTOOPT)),
    })
}

/// An option as `getsockopt` gives it.
fn written(option: SocketOption) -> Vec<u8> {
    let int = |number: usize| i32::try_from(number).unwrap_or(i32::MAX).to_ne_bytes();
    match option {
        SocketOption::ReuseAddress(on)
        | SocketOption::Broadcast(on)
        | SocketOption::NoDelay(on)
        | SocketOption::KeepAlive(on)
        | SocketOption::V6Only(on)
        | SocketOption::MulticastLoop(on) => int(on.into()).to_vec(),
        SocketOption::SendBuffer(bytes) | SocketOption::ReceiveBuffer(bytes) => int(bytes).to_vec(),
        SocketOption::KeepAliveIdle(time) | SocketOption::KeepAliveInterval(time) => {
            int(usize::try_from(time.secs()).unwrap_or(usize::MAX)).to_vec()
        }
        SocketOption::KeepAliveCount(count) => {
            int(usize::try_from(count).unwrap_or(usize::MAX)).to_vec()
        }
        SocketOption::UserTimeout(time) => {
            let millis = time.map_or(0, |time| time.total_millis());
            int(usize::try_from(millis).unwrap_or(usize::MAX)).to_vec()
        }
        SocketOption::Linger(time) => {
            let seconds = time.map_or(0, |time| time.secs());
            let seconds = int(usize::try_from(seconds).unwrap_or(usize::MAX));
            [int(time.is_some().into()), seconds].concat()
        }
        SocketOption::TimeToLive(hops) | SocketOption::MulticastHops(hops) => {
            int(hops.into()).to_vec()
        }
        SocketOption::MulticastLink(link) => link.map_or(0, |link| link.0).to_ne_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smoltcp::time::Instant;

    use super::*;
    use crate::socket::{Owner, SocketKind};
    use crate::stack::Limits;

    /// Every option that can be set, with a value.
    const SETTABLE: [((u64, u64), &[u8]); 10] = [
        ((SOL_SOCKET, so::REUSEADDR), &[1, 0, 0, 0]),
        ((SOL_SOCKET, so::BROADCAST), &[1, 0, 0, 0]),
        ((SOL_SOCKET, so::RCVBUF), &[0, 0, 2, 0]),
        ((IPPROTO_IPV6, ipv6::UNICAST_HOPS), &[9, 0, 0, 0]),
        ((IPPROTO_IPV6, ipv6::V6ONLY), &[1, 0, 0, 0]),
        ((IPPROTO_IP, ip::MULTICAST_TTL), &[9, 0, 0, 0]),
        ((IPPROTO_IPV6, ipv6::MULTICAST_HOPS), &[9, 0, 0, 0]),
        ((IPPROTO_IP, ip::MULTICAST_LOOP), &[0, 0, 0, 0]),
        ((IPPROTO_IPV6, ipv6::MULTICAST_LOOP), &[0, 0, 0, 0]),
        ((IPPROTO_IPV6, ipv6::MULTICAST_IF), &[3, 0, 0, 0]),
    ];

    fn stack() -> Stack {
        Stack::new([7; 32], Limits::default(), Instant::ZERO)
    }

    #[test]
    fn what_is_set_is_what_is_got() {
        let mut stack = stack();
        let id = stack.socket(SocketKind::Udp, Owner::ROOT).unwrap();
        for (name, value) in SETTABLE {
            let Ok(Wish::Set(option)) = read(&stack, name, &Value(value)) else {
                panic!("{name:?}")
            };
            stack.set_option(id, option).unwrap();
            let got = stack.option(id, named(name).unwrap()).unwrap();
            assert_eq!(written(got), value, "{name:?}");
        }
    }

    #[test]
    fn a_group_comes_with_an_address_a_number_or_neither() {
        let stack = stack();
        let wish = |name, value: &[u8]| match read(&stack, name, &Value(value)) {
            Ok(Wish::Join(group, link)) => Ok((group, link.map(|link| link.0))),
            Ok(_) => panic!("{name:?}"),
            Err(error) => Err(error.errno),
        };
        let join = (IPPROTO_IP, ip::ADD_MEMBERSHIP);
        let group: IpAddr = [239, 1, 2, 3].into();
        let request = |rest: &[u8]| [&[239, 1, 2, 3], rest].concat();
        assert_eq!(wish(join, &request(&[0; 4])), Ok((group, None)));
        assert_eq!(wish(join, &request(&[127, 0, 0, 1])), Ok((group, Some(0))));
        assert_eq!(wish(join, &request(&[10, 9, 9, 9])), Err(ENODEV));
        let numbered = [&request(&[0; 4])[..], &7_u32.to_ne_bytes()].concat();
        assert_eq!(wish(join, &numbered), Ok((group, Some(7))));
        assert_eq!(wish(join, &request(&[0; 3])), Err(EINVAL));
        let join = (IPPROTO_IPV6, ipv6::JOIN_GROUP);
        assert_eq!(wish(join, &[0; 19]), Err(EINVAL));
    }

    proptest! {
        #[test]
        fn any_option_with_any_bytes_has_an_answer(
            level in prop_oneof![Just(0), Just(1), Just(6), Just(41), any::<u64>()],
            name in prop_oneof![0_u64..50, any::<u64>()],
            value in proptest::collection::vec(any::<u8>(), 0..24),
        ) {
            let stack = stack();
            let _ = read(&stack, (level, name), &Value(&value));
            let _ = named((level, name));
        }
    }
}
