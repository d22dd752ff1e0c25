//! Segments as somebody writes them, from addresses that are nobody's: what no socket of Linux sends by itself.

use core::num::NonZeroU32;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, MMsgHdr, Protocol, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags,
    SocketType, addr::SocketAddrArg, ipproto, recv, sendmmsg, socket_with, sockopt,
};

use super::Namespace;
use crate::checksum::checksum;
use crate::error::{Context, Result};
use crate::wait;

/// Flags of a TCP header (RFC 9293 3.1).
pub const SYN: u8 = 0x02;
/// The same: the connection is reset.
pub const RST: u8 = 0x04;
/// The same: the acknowledgement number counts.
pub const ACK: u8 = 0x10;

/// ETH_P_IP in the byte order of the network, as packet(7) wants it.
const ETH_P_IP: u32 = 0x0800_u16.to_be() as u32;

/// How many packets Linux keeps for a [`Listener`](Overheard), in bytes.
const KEPT: usize = 32 << 20;

/// A TCP segment without data, over IPv4, with the options of a SYN of Linux if it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawSegment {
    /// Whom it says that it is from.
    pub from: SocketAddrV4,
    /// Where it goes.
    pub to: SocketAddrV4,
    /// [`SYN`], [`RST`], [`ACK`].
    pub flags: u8,
    /// The sequence number.
    pub seq: u32,
    /// The acknowledgement number.
    pub ack: u32,
}

impl RawSegment {
    /// A SYN.
    pub fn syn(from: SocketAddrV4, to: SocketAddrV4, seq: u32) -> Self {
        let (flags, ack) = (SYN, 0);
        Self {
            from,
            to,
            flags,
            seq,
            ack,
        }
    }

    /// The last segment of the handshake that this SYN-ACK is part of, seen from its receiver.
    pub fn answer(&self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            flags: ACK,
            seq: self.ack,
            ack: self.seq.wrapping_add(1),
        }
    }

    /// The packet, but for the checksum of its IP header, which Linux fills in.
    pub fn packet(&self) -> Vec<u8> {
        // MSS 1460, SACK permitted, no operation, window scale 7: what Linux sends, without timestamps.
        let options: &[u8] = match self.flags & SYN {
            0 => &[],
            _ => &[2, 4, 5, 180, 4, 2, 1, 3, 3, 7, 1, 1],
        };
        let header = 20 + options.len();
        let length = (20 + header) as u16;
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        packet.extend(self.from.ip().octets());
        packet.extend(self.to.ip().octets());
        packet.extend(self.from.port().to_be_bytes());
        packet.extend(self.to.port().to_be_bytes());
        packet.extend(self.seq.to_be_bytes());
        packet.extend(self.ack.to_be_bytes());
        packet.extend([(header as u8 / 4) << 4, self.flags, 0xfa, 0xf0, 0, 0, 0, 0]);
        packet.extend(options);
        // The addresses, the protocol and the length are the pseudo header (RFC 9293 3.1).
        let [a, b] = (header as u16).to_be_bytes();
        let checksum = checksum(&[&packet[12..], &[0, 6, a, b]].concat());
        packet[36..38].copy_from_slice(&checksum.to_be_bytes());
        packet
    }

    /// The segment in an IPv4 packet; `None` if there is none.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let header = usize::from(packet.first()? & 0xf) * 4;
        let (ip, tcp) = packet.split_at_checked(header)?;
        if packet.first()? >> 4 != 4 || *ip.get(9)? != 6 {
            return None;
        }
        let address = |at: usize| -> Option<Ipv4Addr> {
            let octets: [u8; 4] = ip.get(at..at + 4)?.try_into().ok()?;
            Some(octets.into())
        };
        let short = |at: usize| -> Option<u16> {
            Some(u16::from_be_bytes(tcp.get(at..at + 2)?.try_into().ok()?))
        };
        let long = |at: usize| -> Option<u32> {
            Some(u32::from_be_bytes(tcp.get(at..at + 4)?.try_into().ok()?))
        };
        Some(Self {
            from: SocketAddrV4::new(address(12)?, short(0)?),
            to: SocketAddrV4::new(address(16)?, short(2)?),
            flags: *tcp.get(13)?,
            seq: long(4)?,
            ack: long(8)?,
        })
    }
}

/// Sends what it is given (raw(7)).
#[derive(Debug)]
pub struct RawSender(OwnedFd);

impl RawSender {
    /// One in that network. Needs root.
    pub fn inside(namespace: &Namespace) -> Result<Self> {
        let socket = namespace.enter(|| {
            let (family, kind) = (AddressFamily::INET, SocketType::RAW);
            socket_with(family, kind, SocketFlags::CLOEXEC, Some(ipproto::RAW))
        })?;
        let socket = socket.context("a raw socket")?;
        sockopt::set_socket_broadcast(&socket, true).context("a raw socket")?;
        Ok(Self(socket))
    }

    /// Sends them as fast as Linux takes them. What the network has no room for is lost, as always.
    pub fn send(&self, segments: &[RawSegment]) -> Result<()> {
        let packets: Vec<Vec<u8>> = segments.iter().map(RawSegment::packet).collect();
        let parts: Vec<_> = packets
            .iter()
            .map(|packet| [rustix::io::IoSlice::new(packet)])
            .collect();
        let addresses: Vec<_> = segments.iter().map(|segment| segment.to.as_any()).collect();
        let mut controls: Vec<_> = segments
            .iter()
            .map(|_| SendAncillaryBuffer::default())
            .collect();
        let mut messages: Vec<MMsgHdr<'_>> = parts
            .iter()
            .zip(&addresses)
            .zip(&mut controls)
            .map(|((part, address), control)| MMsgHdr::new_with_addr(address, part, control))
            .collect();
        let mut sent = 0;
        while let Some(rest) = messages.get_mut(sent..).filter(|rest| !rest.is_empty()) {
            match sendmmsg(&self.0, rest, SendFlags::empty()) {
                Ok(count) => sent += count,
                Err(rustix::io::Errno::NOBUFS) => sent += 1,
                Err(error) => return Err(error).context("sending on a raw socket"),
            }
        }
        Ok(())
    }
}

/// Hears every IPv4 packet that comes into a network, whomever it is for (packet(7)).
#[derive(Debug)]
pub struct Overheard(OwnedFd);

impl Overheard {
    /// From now on, in that network. Needs root.
    pub fn inside(namespace: &Namespace) -> Result<Self> {
        let protocol = NonZeroU32::new(ETH_P_IP).map(Protocol::from_raw);
        let socket = namespace.enter(|| {
            let (family, kind) = (AddressFamily::PACKET, SocketType::DGRAM);
            socket_with(family, kind, SocketFlags::CLOEXEC, protocol)
        })?;
        let socket = socket.context("a packet socket")?;
        sockopt::set_socket_recv_buffer_size_force(&socket, KEPT).context("a packet socket")?;
        Ok(Self(socket))
    }

    /// The next segment that comes in; `None` when there is none within `timeout`.
    pub fn next(&self, timeout: Duration) -> Result<Option<RawSegment>> {
        let mut packet = [0; 128];
        while wait::readable(&[self.0.as_fd()], Some(timeout))? == [true] {
            let (length, _) = recv(&self.0, &mut packet, RecvFlags::empty())
                .context("receiving on a packet socket")?;
            if let Some(segment) = RawSegment::read(&packet[..length.min(packet.len())]) {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }
}
