//! Sockets as most cases begin with them.

use core::net::SocketAddr;

use libc::{F_GETFL, F_SETFL, MSG_DONTWAIT, O_NONBLOCK, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};

use crate::case::{Outcome, World, equal, holds};
use crate::sys::{self, Socket};

/// How long something may take that must happen, in milliseconds.
pub(crate) const SOON: i32 = 6000;
/// How long nothing is waited for, in milliseconds.
pub(crate) const MOMENT: i32 = 60;

/// How long it must be quiet for nothing to be under way any more, in milliseconds.
const QUIET: i32 = 200;

pub(crate) const POLLIN: i16 = libc::POLLIN;
pub(crate) const POLLOUT: i16 = libc::POLLOUT;
pub(crate) const POLLERR: i16 = libc::POLLERR;
pub(crate) const POLLHUP: i16 = libc::POLLHUP;

impl World {
    pub(crate) fn tcp(&self) -> Outcome<Socket> {
        Ok(Socket::new(self.family.domain(), SOCK_STREAM, 0)?)
    }

    pub(crate) fn udp(&self) -> Outcome<Socket> {
        Ok(Socket::new(self.family.domain(), SOCK_DGRAM, 0)?)
    }

    /// A listener on some port of this machine.
    pub(crate) fn listener(&self) -> Outcome<(Socket, SocketAddr)> {
        let socket = self.tcp()?;
        socket.bind(self.here())?;
        socket.listen(16)?;
        let end = socket.local()?;
        Ok((socket, end))
    }

    /// A connection with itself: who called, and who accepted.
    pub(crate) fn connection(&self) -> Outcome<(Socket, Socket)> {
        let (listener, end) = self.listener()?;
        let calling = self.tcp()?;
        calling.connect(end)?;
        let (accepted, _) = listener.accept()?;
        Ok((calling, accepted))
    }

    /// A datagram socket on some port of this machine.
    pub(crate) fn datagram(&self) -> Outcome<(Socket, SocketAddr)> {
        let socket = self.udp()?;
        socket.bind(self.here())?;
        let end = socket.local()?;
        Ok((socket, end))
    }

    /// Two that are connected to each other.
    pub(crate) fn datagram_pair(&self) -> Outcome<(Socket, Socket)> {
        let (one, one_end) = self.datagram()?;
        let (two, two_end) = self.datagram()?;
        one.connect(two_end)?;
        two.connect(one_end)?;
        Ok((one, two))
    }

    /// A port of this machine at which nobody listens, nor hears datagrams: TCPMUX has none any more (RFC 7805).
    pub(crate) fn nobody_here(&self) -> SocketAddr {
        SocketAddr::new(self.family.localhost(), 1)
    }
}

impl Socket {
    pub(crate) fn flag(&self, level: i32, option: i32) -> Outcome<i32> {
        let value = self.get(level, option, 4)?;
        match value.as_slice() {
            [a, b, c, d] => Ok(i32::from_ne_bytes([*a, *b, *c, *d])),
            // What of IPv4's multicast is a byte.
            [byte] => Ok((*byte).into()),
            other => Err(crate::case::Fail::Wrong(format!(
                "an option has {} bytes",
                other.len()
            ))),
        }
    }

    pub(crate) fn set_flag(&self, level: i32, option: i32, value: i32) -> crate::errno::Result<()> {
        self.set(level, option, &value.to_ne_bytes())
    }

    /// SO_ERROR, once.
    pub(crate) fn take_error(&self) -> Outcome<i32> {
        self.flag(SOL_SOCKET, libc::SO_ERROR)
    }

    pub(crate) fn set_nonblocking(&self) -> Outcome {
        let flags = self.control(F_GETFL, 0)?;
        self.control(F_SETFL, flags | O_NONBLOCK)?;
        Ok(())
    }

    pub(crate) fn is_nonblocking(&self) -> Outcome<bool> {
        Ok(self.control(F_GETFL, 0)? & O_NONBLOCK != 0)
    }

    /// SO_RCVTIMEO or SO_SNDTIMEO, in milliseconds.
    pub(crate) fn set_timeout(&self, option: i32, milliseconds: i64) -> Outcome {
        let seconds = milliseconds / 1000;
        let micros = milliseconds % 1000 * 1000;
        let value = [seconds.to_ne_bytes(), micros.to_ne_bytes()].concat();
        Ok(self.set(SOL_SOCKET, option, &value)?)
    }

    /// SO_LINGER
    pub(crate) fn set_linger(&self, seconds: i32) -> Outcome {
        let value = [1_i32.to_ne_bytes(), seconds.to_ne_bytes()].concat();
        Ok(self.set(SOL_SOCKET, libc::SO_LINGER, &value)?)
    }

    /// What is true of it now or becomes true soon.
    pub(crate) fn wait_for(&self, events: i16) -> Outcome<i16> {
        let ready = sys::poll(&[(self.fd(), events)], SOON)?;
        Ok(ready.first().copied().unwrap_or(0))
    }

    /// What is true of it, given a moment.
    pub(crate) fn ready(&self, events: i16) -> Outcome<i16> {
        let ready = sys::poll(&[(self.fd(), events)], MOMENT)?;
        Ok(ready.first().copied().unwrap_or(0))
    }

    pub(crate) fn is_readable(&self) -> Outcome<bool> {
        Ok(self.ready(POLLIN)? & POLLIN != 0)
    }

    /// All of it must be received, and nothing else be there.
    pub(crate) fn hears(&self, expected: &[u8]) -> Outcome {
        let mut room = vec![0; expected.len()];
        let mut filled = 0;
        while filled < room.len() {
            match self.receive(room.get_mut(filled..).unwrap_or_default(), 0)? {
                0 => break,
                n => filled += n,
            }
        }
        room.truncate(filled);
        holds("what arrived is what was sent", room == expected)
    }

    /// One datagram, which must be that.
    pub(crate) fn hears_one(&self, expected: &[u8]) -> Outcome {
        let mut room = vec![0; expected.len() + 100];
        let length = self.receive(&mut room, 0)?;
        room.truncate(length);
        equal("the datagram", room.as_slice(), expected)
    }

    /// Nothing must be there to be received.
    pub(crate) fn hears_nothing(&self) -> Outcome {
        let _ = self.ready(POLLIN)?;
        let mut room = [0; 100];
        let result = self.receive(&mut room, MSG_DONTWAIT);
        crate::case::fails("receiving", result, libc::EAGAIN)
    }

    /// The other end must have ended.
    pub(crate) fn hears_the_end(&self) -> Outcome {
        let mut room = [0; 1];
        equal("a read at the end", self.receive(&mut room, 0)?, 0)
    }

    /// Writes all of it.
    pub(crate) fn say(&self, mut bytes: &[u8]) -> Outcome {
        while !bytes.is_empty() {
            let sent = self.send(bytes, 0)?;
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes until not a byte more is taken; how much was.
    pub(crate) fn fill_up(&self) -> Outcome<usize> {
        let block = vec![7; 64 << 10];
        let (mut filled, mut size) = (0, block.len());
        while filled < 64 << 20 {
            match self.send(block.get(..size).unwrap_or_default(), MSG_DONTWAIT) {
                Ok(sent) => filled += sent,
                Err(failed) if failed.errno != libc::EAGAIN => return Err(failed.into()),
                // What is under way may make room once more, on a busy machine after a while.
                Err(_) if sys::poll(&[(self.fd(), POLLOUT)], QUIET)? != [0] => {}
                Err(_) if size == 1 => return Ok(filled),
                // Byte by byte would be slow where a call is.
                Err(_) => size /= 2,
            }
        }
        Err(crate::case::Fail::Wrong("a buffer has no end".into()))
    }

    /// Reads that much and throws it away.
    pub(crate) fn drain(&self, mut bytes: usize) -> Outcome {
        let mut room = vec![0; 64 << 10];
        while bytes > 0 {
            let wanted = bytes.min(room.len());
            match self.receive(room.get_mut(..wanted).unwrap_or_default(), 0)? {
                0 => return holds("there is more to read", false),
                n => bytes -= n,
            }
        }
        Ok(())
    }
}
