//! ICMP (RFC 792) and ICMPv6 (RFC 4443) as a host speaks them: echoes answered, errors sent with moderation and
//! understood when they come.

mod v4;
mod v6;

use core::net::{IpAddr, SocketAddr};

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpProtocol;

use crate::counters::counters;
use crate::error::SocketError;
use crate::ip::{self, Incoming, Parameter, ZonedAddr};
use crate::ports::LinkId;

/// Length in bytes of the header of every ICMP message here.
pub const ICMP_HEADER_LENGTH: usize = 8;

counters! {
    /// What ICMP saw, and why it dropped what it dropped.
    pub struct IcmpCounters {
        /// Echo requests answered.
        echo_answered,
        /// Echo replies that found the socket that asked.
        reply_delivered,
        /// Errors received that concern a socket or connection of ours.
        error_delivered,
        /// Errors sent.
        error_sent,
        /// Dropped: shorter than a header.
        bad_length,
        /// Dropped: checksum.
        bad_checksum,
        /// Dropped: echo request to a broadcast or multicast address (RFC 1122 3.2.2.6 and RFC 4443 4.2 leave it to
        /// us).
        echo_to_broadcast,
        /// Dropped: echo reply that nobody waits for.
        reply_unexpected,
        /// Dropped: the socket's queue was full.
        reply_queue_full,
        /// Dropped: the error does not quote enough of a packet to tell whose it was.
        error_bad_quote,
        /// Dropped: the error quotes a packet that none of our sockets has sent.
        error_unexpected,
        /// Not sent: an echo reply or error for which the link had no room, or to which no route led.
        answer_not_sent,
        /// Not sent: more errors than the rate allows (RFC 1812 4.3.2.8, RFC 4443 2.4 (f)).
        error_rate_limited,
        /// Redirects of IPv4 that say which router is the better one for a destination (RFC 1122 3.2.2.2).
        redirect_followed,
        /// Dropped: a redirect that does not come from the router in use, names none on our network, or quotes what is
        /// not ours (RFC 1122 3.2.2.2).
        redirect_refused,
        /// Dropped: source quench has no meaning left (RFC 6633), and what neighbours and routers of IPv6 say is for the
        /// link.
        ignored,
        /// Dropped: a type that this host does not know (RFC 1122 3.2.2, RFC 4443 2.4 (b)).
        unknown_type,
        /// Not sent: an error about an error, or about a packet whose sender cannot be told (RFC 4443 2.4 (e)).
        error_forbidden,
    }
}

/// Why a message was dropped: the counter it falls under.
pub type Reason = fn(&mut IcmpCounters) -> &mut u64;

/// An ICMP message that came in.
#[derive(Clone, Copy, Debug)]
pub enum Message<'p> {
    /// Somebody wants an echo: the identifier, sequence number and data, as they go back.
    EchoRequest(&'p [u8]),
    /// An answer to an echo request.
    EchoReply {
        /// Whose request it answers.
        identifier: u16,
        /// Sequence number (2 bytes, big-endian) and data.
        sequence_and_data: &'p [u8],
    },
    /// An error about a packet.
    Error(Quoted<'p>),
    /// A router of IPv4 knows a better one for where a packet went.
    Redirect {
        /// The better one.
        gateway: IpAddr,
        /// The packet's source: one of our addresses.
        source: IpAddr,
        /// Where it went.
        destination: IpAddr,
    },
}

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Destination unreachable: net, host, or the way there is forbidden.
    Unreachable(SocketError),
    /// Nobody listens: port or protocol unreachable.
    Refused,
    /// Fragmentation needed and DF set, or packet too big; the MTU of the next hop in bytes, 0 from old routers
    /// (RFC 1191 4).
    PacketTooBig {
        /// MTU of the next hop.
        mtu: u16,
    },
    /// Time to live exceeded in transit, or a parameter problem.
    Lost,
}

impl ErrorKind {
    /// What a socket says about it.
    pub fn socket_error(self) -> SocketError {
        match self {
            ErrorKind::Unreachable(error) => error,
            ErrorKind::Refused => SocketError::ConnectionRefused,
            ErrorKind::PacketTooBig { .. } => SocketError::MessageTooLong,
            ErrorKind::Lost => SocketError::HostUnreachable,
        }
    }
}

/// The packet that an error is about, as far as it quotes it.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'p> {
    /// What happened to it.
    pub kind: ErrorKind,
    /// Who sent it: one of our addresses, or the error is not for us.
    pub source: IpAddr,
    /// Where it went.
    pub destination: IpAddr,
    /// Protocol number.
    pub protocol: u8,
    /// How long it was in all, as its header says.
    pub length: u16,
    /// The first bytes behind its header: eight at the least.
    pub payload: &'p [u8],
}

impl Quoted<'_> {
    /// The quoted packet's two ends, if its protocol has ports in its first four bytes: (ours, theirs), as they are
    /// understood on the link that the news came from.
    pub fn endpoints(&self, link: LinkId) -> Option<(SocketAddr, SocketAddr)> {
        let [a, b, c, d] = *self.payload.first_chunk::<4>()?;
        let end = |address, port| ZonedAddr::on(address, link).with_port(port);
        Some((
            end(self.source, u16::from_be_bytes([a, b])),
            end(self.destination, u16::from_be_bytes([c, d])),
        ))
    }

    /// The sequence number of the quoted TCP segment.
    pub fn tcp_sequence(&self) -> Option<u32> {
        self.payload
            .get(4..)?
            .first_chunk()
            .map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// The identifier of the quoted echo request, if it was one.
    pub fn echo_identifier(&self) -> Option<u16> {
        let [kind, _, _, _, a, b, ..] = *self.payload.first_chunk::<8>()?;
        let request = match self.source {
            IpAddr::V4(_) => v4::ECHO_REQUEST,
            IpAddr::V6(_) => v6::ECHO_REQUEST,
        };
        (kind == request).then(|| u16::from_be_bytes([a, b]))
    }
}

/// Reads the message that a packet carries, of the packet's family.
///
/// # Errors
/// The counter under which it is dropped.
pub fn parse<'p>(packet: &Incoming<'p>) -> Result<Message<'p>, Reason> {
    match (packet.source, packet.destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            v6::parse(packet.payload, source, destination)
        }
        _ => v4::parse(packet.payload),
    }
}

/// Reads the packet that an error quotes, as far as it is there. None if whose it was cannot be told.
pub fn quoted(kind: ErrorKind, packet: &[u8]) -> Option<Quoted<'_>> {
    match packet.first()? >> 4 {
        4 => v4::quoted(kind, packet),
        6 => v6::quoted(kind, packet),
        _ => None,
    }
}

/// The protocol that carries ICMP to `address`.
pub fn protocol_for(address: IpAddr) -> IpProtocol {
    match address {
        IpAddr::V4(_) => IpProtocol::Icmp,
        IpAddr::V6(_) => IpProtocol::Icmpv6,
    }
}

/// One way of an echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// There.
    Request,
    /// And back.
    Reply,
}

/// Between whom a message of ours goes: (source, destination), of one family.
pub type Ends = (IpAddr, IpAddr);

/// Writes an echo request or reply whose identifier, sequence number and data are `rest`, filling `message`
/// (4 bytes longer than `rest`).
pub fn write_echo(message: &mut [u8], echo: Echo, rest: &[u8], ends: Ends) {
    let Some((header, body)) = message.split_at_mut_checked(4) else {
        return;
    };
    header.fill(0);
    for (to, from) in body.iter_mut().zip(rest) {
        *to = *from;
    }
    let kind = match (echo, ends.0) {
        (Echo::Request, IpAddr::V4(_)) => v4::ECHO_REQUEST,
        (Echo::Reply, IpAddr::V4(_)) => v4::ECHO_REPLY,
        (Echo::Request, IpAddr::V6(_)) => v6::ECHO_REQUEST,
        (Echo::Reply, IpAddr::V6(_)) => v6::ECHO_REPLY,
    };
    finish(message, (kind, 0), ends);
}

/// An error that this host may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// No socket has that UDP port.
    PortUnreachable,
    /// Nobody speaks that protocol.
    ProtocolUnreachable,
    /// A field of an IPv6 header that cannot be used.
    Parameter(Parameter),
    /// Not all fragments came in time (RFC 792, RFC 4443 3.3).
    ReassemblyTimeExceeded,
}

impl Complaint {
    /// May this be said about `packet` at all (RFC 1122 3.2.2, RFC 4443 2.4 (e))? Not of an error or a redirect, with
    /// IPv4 of what is not the first fragment, nor to a sender that is nobody's, and of a packet `to_group` only what must be.
    pub fn is_allowed(self, packet: &Incoming<'_>, to_group: bool) -> bool {
        let first = packet.fragment.is_none_or(|fragment| fragment.offset == 0);
        // RFC 8200 4.5 has errors about later fragments too: about those that cannot be part of an error.
        let protocol = IpProtocol::from(packet.protocol);
        let first = first || !(packet.is_v4() || protocol == IpProtocol::Icmpv6);
        let kind = packet.payload.first().copied();
        let is_error = match protocol {
            IpProtocol::Icmp => kind.is_none_or(v4::is_error),
            IpProtocol::Icmpv6 => kind.is_none_or(v6::is_error),
            _ => false,
        };
        let to_all = matches!(self, Complaint::Parameter(parameter) if parameter.to_groups);
        let somebody = !packet.source.is_unspecified() && !packet.source.is_multicast();
        first && !is_error && somebody && (!to_group || to_all)
    }

    /// How long the error about `packet` is, IP header excluded.
    pub fn length(self, packet: &Incoming<'_>) -> usize {
        let longest = match packet.source {
            IpAddr::V4(_) => v4::LONGEST_ERROR,
            IpAddr::V6(_) => v6::LONGEST_ERROR,
        };
        let room = longest - ip::header_length(packet.source) - ICMP_HEADER_LENGTH;
        ICMP_HEADER_LENGTH + packet.packet.len().min(room)
    }

    /// Writes the error about `packet`; `message` has [`Complaint::length`] bytes and goes between `ends`.
    pub fn write(self, message: &mut [u8], packet: &Incoming<'_>, ends: Ends) {
        let Some((header, quote)) = message.split_at_mut_checked(ICMP_HEADER_LENGTH) else {
            return;
        };
        for (to, from) in quote.iter_mut().zip(packet.packet) {
            *to = *from;
        }
        let (kind, code, rest) = match packet.source {
            IpAddr::V4(_) => v4::complaint(self),
            IpAddr::V6(_) => v6::complaint(self, packet),
        };
        for (to, from) in header.iter_mut().zip([0; 4].into_iter().chain(rest)) {
            *to = from;
        }
        finish(message, (kind, code), ends);
    }
}

/// Type, code and checksum, when the rest is in place and the first four bytes are 0.
fn finish(message: &mut [u8], (kind, code): (u8, u8), ends: Ends) {
    if let [first, second, ..] = message {
        (*first, *second) = (kind, code);
    }
    match ends {
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            v6::fill_checksum(message, source, destination);
        }
        _ => v4::fill_checksum(message),
    }
}

/// A bucket of tokens: so many events in a burst, so many a second after it.
#[derive(Clone, Debug)]
pub struct RateLimit {
    burst: u32,
    interval: Duration,
    tokens: u32,
    refilled: Instant,
}

impl RateLimit {
    /// Full at the start: `burst` events at once, then one each `interval`.
    pub fn new(burst: u32, interval: Duration, now: Instant) -> RateLimit {
        RateLimit {
            burst,
            interval,
            tokens: burst,
            refilled: now,
        }
    }

    /// May one more happen now? If so, it is counted.
    pub fn allow(&mut self, now: Instant) -> bool {
        while self.tokens < self.burst && self.refilled + self.interval <= now {
            self.tokens += 1;
            self.refilled += self.interval;
        }
        if self.tokens == self.burst {
            self.refilled = now;
        }
        let allowed = self.tokens > 0;
        self.tokens -= u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests;
