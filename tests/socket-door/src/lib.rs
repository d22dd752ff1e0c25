//! What the preloaded library and the lab say to each other, apart from how.
//!
//! **The door** is a Unix socket (SOCK_SEQPACKET) of the lab, [`DOOR`] in the program's environment. A connection is one
//! question, a line of words, and its answer: `ok …` or `error ERRNO` in Linux's numbers, with a descriptor beside it
//! where one was asked for. Nothing is kept between questions, so that forks and threads need no care.
//!
//! **A socket** of the program is one end of a pair whose other end the lab holds: SOCK_STREAM for TCP, SOCK_SEQPACKET for
//! UDP and for ICMP's echo. The lab's end bears a [`Name`], which `getpeername` shows: a descriptor says itself that it is ours and which
//! socket it is, after every dup, fork, exec and passing on. On it go
//! - the bytes of a connection as they are;
//! - datagrams behind a [`Head`] of [`HEAD`] bytes: where to, or where from, or an error;
//! - from a listener, for each connection its caller's address in [`CALLER`] bytes with a descriptor beside it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

/// The variable that says where the door is.
pub const DOOR: &str = "REDOX_SOCKETS_DOOR";
/// Bytes before each datagram.
pub const HEAD: usize = 24;
/// Bytes of the caller's address: text, then zeros.
pub const CALLER: usize = 64;
/// The longest question and answer in bytes.
pub const LONGEST: usize = 4096;

const PREFIX: &str = "redox-socket";

/// Which socket a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its number at the lab.
    pub id: u64,
    /// TCP; UDP otherwise.
    pub stream: bool,
    /// AF_INET6; AF_INET otherwise.
    pub v6: bool,
    /// ICMP's echo instead of UDP.
    pub echo: bool,
}

impl Name {
    /// The abstract address of the lab's end, without the zero before it; `owner` makes it the machine's own.
    pub fn text(&self, owner: u64) -> String {
        let kind = match (self.stream, self.echo) {
            (true, _) => 't',
            (false, true) => 'e',
            (false, false) => 'u',
        };
        let family = if self.v6 { 6 } else { 4 };
        format!("{PREFIX} {owner:x} {kind}{family} {}", self.id)
    }

    /// Reads such an address; `None` for any other.
    pub fn parse(text: &[u8]) -> Option<Name> {
        let mut words = core::str::from_utf8(text).ok()?.split(' ');
        let (prefix, _owner, kind, id) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        let (stream, echo) = match kind.get(..1)? {
            "t" => (true, false),
            "u" => (false, false),
            "e" => (false, true),
            _ => return None,
        };
        let v6 = match kind.get(1..)? {
            "4" => false,
            "6" => true,
            _ => return None,
        };
        let id = id.parse().ok()?;
        let name = Name {
            id,
            stream,
            v6,
            echo,
        };
        (prefix == PREFIX).then_some(name)
    }
}

/// What stands before a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// To the peer that the socket is connected to.
    Peer,
    /// To there, or from there.
    Address(SocketAddr),
    /// No datagram: the next call fails with this error number.
    Error(i32),
}

impl Head {
    /// Family or kind, a zero, port (native), scope or error (native), address.
    pub fn encode(self) -> [u8; HEAD] {
        let (kind, port, word, address) = match self {
            Head::Peer => (0, 0, 0, [0; 16]),
            Head::Error(errno) => (255, 0, errno.cast_unsigned(), [0; 16]),
            Head::Address(SocketAddr::V4(end)) => {
                let [a, b, c, d] = end.ip().octets();
                let address = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                (4, end.port(), 0, address)
            }
            Head::Address(SocketAddr::V6(end)) => {
                (6, end.port(), end.scope_id(), end.ip().octets())
            }
        };
        let mut bytes = [0; HEAD];
        let fields = [kind, 0]
            .into_iter()
            .chain(port.to_ne_bytes())
            .chain(word.to_ne_bytes())
            .chain(address);
        bytes
            .iter_mut()
            .zip(fields)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    /// The head of a message; `None` if it is none.
    pub fn decode(bytes: &[u8]) -> Option<Head> {
        let (head, _) = bytes.split_first_chunk::<HEAD>()?;
        let [
            kind,
            _,
            p,
            q,
            word @ ..,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
        ] = head;
        let word = u32::from_ne_bytes(*word);
        let port = u16::from_ne_bytes([*p, *q]);
        let address: [u8; 16] = *head.last_chunk()?;
        let [a, b, c, d, ..] = address;
        Some(match kind {
            0 => Head::Peer,
            4 => Head::Address((Ipv4Addr::new(a, b, c, d), port).into()),
            6 => Head::Address(SocketAddrV6::new(address.into(), port, 0, word).into()),
            255 => Head::Error(word.cast_signed()),
            _ => return None,
        })
    }
}

/// An end as the schemes write it. A zone that is not a number is left out: the program knows adapters by numbers only.
pub fn end(text: &str) -> Option<SocketAddr> {
    if let Ok(end) = text.parse() {
        return Some(end);
    }
    let (address, rest) = text.split_once('%')?;
    let (_, port) = rest.split_once(']')?;
    format!("{address}]{port}").parse().ok()
}

/// An end for a socket of that family: on an AF_INET6 socket, IPv4's addresses are written as IPv6's (RFC 4291 2.5.5.2).
pub fn in_family(end: SocketAddr, v6: bool) -> SocketAddr {
    match (end.ip(), v6) {
        (IpAddr::V4(address), true) => SocketAddr::new(address.to_ipv6_mapped().into(), end.port()),
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_socket_it_is_and_nothing_else_does() {
        for (stream, echo) in [(true, false), (false, false), (false, true)] {
            for v6 in [false, true] {
                let name = Name {
                    id: 77,
                    stream,
                    v6,
                    echo,
                };
                assert_eq!(Name::parse(name.text(9).as_bytes()), Some(name));
            }
        }
        for other in [
            "",
            "redox-socket 9 t5 1",
            "redox-socket 9 t4",
            "x 9 t4 1",
            "redox-socket 9 t4 x",
        ] {
            assert_eq!(Name::parse(other.as_bytes()), None, "{other}");
        }
        assert_eq!(Name::parse(&[0xff; 30]), None);
    }

    #[test]
    fn a_head_comes_back_as_it_went() {
        for head in [
            Head::Peer,
            Head::Error(111),
            Head::Address("10.0.2.3:53".parse().unwrap()),
            Head::Address("[fe80::1%2]:53".parse().unwrap()),
        ] {
            assert_eq!(Head::decode(&head.encode()), Some(head));
        }
        assert_eq!(Head::decode(&[0; HEAD - 1]), None);
        assert_eq!(Head::decode(&[9; HEAD]), None);
    }

    #[test]
    fn the_ends_that_schemes_write_are_understood() {
        assert_eq!(end("10.0.2.2:80"), "10.0.2.2:80".parse().ok());
        assert_eq!(end("[fe80::1%2]:80"), "[fe80::1%2]:80".parse().ok());
        assert_eq!(end("[fe80::1%eth0]:80"), "[fe80::1]:80".parse().ok());
        assert_eq!(end("eth0"), None);
        let mapped = in_family("10.0.2.2:80".parse().unwrap(), true);
        assert_eq!(mapped, "[::ffff:10.0.2.2]:80".parse().unwrap());
    }
}
