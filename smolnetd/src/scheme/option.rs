//! Socket options: the C library's numbers and structures (`setsockopt`), and what they are in the stack.

mod info;
mod names;
#[cfg(test)]
mod tests;
mod value;

use core::net::IpAddr;

use smoltcp::time::Duration;
use syscall::error::{EINVAL, ENOPROTOOPT, Error, Result};

use self::names::{IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET, ip, ipv6, so, tcp};
use self::value::Value;
use super::errno::errno;
use super::handle::{SocketHandle, write_timeval};
use super::sockets::{Kind, View};
use super::transfer::fill;
use crate::ip::DEFAULT_TTL;
use crate::ports::LinkId;
use crate::socket::{OptionName, SocketOption};
use crate::stack::Stack;

const SOCK_STREAM: u64 = 1;
const SOCK_DGRAM: u64 = 2;
const IPPROTO_UDP: u64 = 17;

/// `TCP_CONGESTION`: RFC 9438's name for it.
const CONGESTION: &[u8] = b"cubic\0";

/// What a client wants of a socket.
enum Wish {
    Set(SocketOption),
    Join(IpAddr, Option<LinkId>),
    Leave(IpAddr, Option<LinkId>),
}

/// Set in a level that is meant as it stands, whatever else it says.
const MEANT: u64 = 1 << 32;

/// Level and name of an option, of the second and third word of a call. The kernel hands over three words, of which those
/// that the caller left out are zero: the C library names options of `SOL_SOCKET` only, and says no level. Zero is
/// IPv4's level too: it is that for the names that `SOL_SOCKET` does not have here. `IP_TOS` and `IP_TTL` are not among
/// them (1 and 2 are `SO_DEBUG` and `SO_REUSEADDR`): who means IPv4's level sets the 33rd bit in it.
pub(super) fn named_by(level: Option<u64>, name: u64) -> (u64, u64) {
    let level = match (level, name) {
        (None | Some(0), ip::MULTICAST_IF..=ip::DROP_MEMBERSHIP) => IPPROTO_IP,
        (None | Some(0), _) => SOL_SOCKET,
        (Some(level), _) => level & !MEANT,
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
        if let Some(known) = self.known(self.scheme.socket(number)?, name) {
            return fill(value, &known);
        }
        let socket = self.ensure_socket(number)?;
        if name == (SOL_SOCKET, so::ERROR) {
            let error = self.stack.take_error(socket).map_or(0, |e| errno(e).errno);
            return fill(value, &error.to_ne_bytes());
        }
        let option = self.stack.option(socket, named(name)?).map_err(errno)?;
        fill(value, &written(option))
    }

    /// What is known of a descriptor without asking its socket.
    fn known(&self, handle: &SocketHandle, (level, name): (u64, u64)) -> Option<Vec<u8>> {
        let is_tcp = self.scheme.kind == Kind::Tcp;
        let listens = || handle.socket.is_some_and(|s| self.stack.is_listening(s));
        let (stream, datagram) = ((SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP));
        let (kind, protocol) = if is_tcp { stream } else { datagram };
        if (level, name) == (IPPROTO_TCP, tcp::CONGESTION) && is_tcp {
            return Some(CONGESTION.to_vec());
        }
        let number = match name {
            _ if level != SOL_SOCKET => return None,
            so::RCVTIMEO => return Some(write_timeval(handle.read_timeout)),
            so::SNDTIMEO => return Some(write_timeval(handle.write_timeout)),
            so::TYPE => kind,
            so::PROTOCOL => protocol,
            so::ACCEPTCONN => u64::from(listens()),
            _ => return None,
        };
        Some(i32::try_from(number).unwrap_or(0).to_ne_bytes().to_vec())
    }
}

/// What a call of `setsockopt` wishes.
fn read(stack: &Stack, name: (u64, u64), value: &Value<'_>) -> Result<Wish> {
    let seconds = |number: u32| Duration::from_secs(number.into());
    Ok(Wish::Set(match name {
        (SOL_SOCKET, so::REUSEADDR) => SocketOption::ReuseAddress(value.flag()?),
        (SOL_SOCKET, so::BROADCAST) => SocketOption::Broadcast(value.flag()?),
        (SOL_SOCKET, so::SNDBUF) => SocketOption::SendBuffer(value.size()?),
        (SOL_SOCKET, so::RCVBUF) => SocketOption::ReceiveBuffer(value.size()?),
        (SOL_SOCKET, so::REUSEPORT) => SocketOption::ReusePort(value.flag()?),
        (SOL_SOCKET, so::KEEPALIVE) => SocketOption::KeepAlive(value.flag()?),
        (SOL_SOCKET, so::LINGER) => {
            let time = u32::try_from(value.int(4)?).map_err(|_| Error::new(EINVAL))?;
            SocketOption::Linger(value.flag()?.then(|| seconds(time)))
        }
        (IPPROTO_TCP, tcp::NODELAY) => SocketOption::NoDelay(value.flag()?),
        (IPPROTO_TCP, tcp::KEEPIDLE) => {
            SocketOption::KeepAliveIdle(seconds(value.within(1..=32_767)?))
        }
        (IPPROTO_TCP, tcp::KEEPINTVL) => {
            SocketOption::KeepAliveInterval(seconds(value.within(1..=32_767)?))
        }
        (IPPROTO_TCP, tcp::KEEPCNT) => SocketOption::KeepAliveCount(value.within(1..=127)?),
        (IPPROTO_TCP, tcp::USER_TIMEOUT) => {
            let millis = value.within(0..=i32::MAX)?;
            let time = Duration::from_millis(millis.into());
            SocketOption::UserTimeout((millis > 0).then_some(time))
        }
        (IPPROTO_IP, ip::TTL) | (IPPROTO_IPV6, ipv6::UNICAST_HOPS) => {
            SocketOption::TimeToLive(value.hops(DEFAULT_TTL)?)
        }
        (IPPROTO_IP, ip::TOS) | (IPPROTO_IPV6, ipv6::TCLASS) => {
            SocketOption::TrafficClass(value.hops(0)?)
        }
        (IPPROTO_IPV6, ipv6::V6ONLY) => SocketOption::V6Only(value.flag()?),
        (IPPROTO_IP, ip::MULTICAST_TTL) | (IPPROTO_IPV6, ipv6::MULTICAST_HOPS) => {
            SocketOption::MulticastHops(value.hops(1)?)
        }
        (IPPROTO_IP, ip::MULTICAST_LOOP) | (IPPROTO_IPV6, ipv6::MULTICAST_LOOP) => {
            SocketOption::MulticastLoop(value.small()? != 0)
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
        (SOL_SOCKET, so::REUSEPORT) => OptionName::ReusePort,
        (IPPROTO_TCP, tcp::NODELAY) => OptionName::NoDelay,
        (IPPROTO_TCP, tcp::KEEPIDLE) => OptionName::KeepAliveIdle,
        (IPPROTO_TCP, tcp::KEEPINTVL) => OptionName::KeepAliveInterval,
        (IPPROTO_TCP, tcp::KEEPCNT) => OptionName::KeepAliveCount,
        (IPPROTO_TCP, tcp::USER_TIMEOUT) => OptionName::UserTimeout,
        (IPPROTO_TCP, tcp::MAXSEG) => OptionName::MaximumSegment,
        (IPPROTO_TCP, tcp::INFO) => OptionName::Info,
        (IPPROTO_IP, ip::TTL) | (IPPROTO_IPV6, ipv6::UNICAST_HOPS) => OptionName::TimeToLive,
        (IPPROTO_IP, ip::TOS) | (IPPROTO_IPV6, ipv6::TCLASS) => OptionName::TrafficClass,
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
    let number = |number: u64| i32::try_from(number).unwrap_or(i32::MAX).to_ne_bytes();
    let int = |size: usize| number(size as u64);
    match option {
        SocketOption::ReuseAddress(on)
        | SocketOption::ReusePort(on)
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
            let seconds = number(time.map_or(0, |time| time.secs()));
            [int(time.is_some().into()), seconds].concat()
        }
        SocketOption::TimeToLive(byte)
        | SocketOption::TrafficClass(byte)
        | SocketOption::MulticastHops(byte) => int(byte.into()).to_vec(),
        SocketOption::MaximumSegment(octets) => int(octets).to_vec(),
        SocketOption::Info(info) => info::written(&info),
        SocketOption::MulticastLink(link) => link.map_or(0, |link| link.0).to_ne_bytes().to_vec(),
    }
}
