//! ICMP (RFC 792) as a host speaks it: echoes answered, errors sent with moderation and understood when they come.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Ipv4Packet};

use crate::counters::counters;
use crate::error::SocketError;
use crate::ip::{HEADER_LENGTH, Incoming};

/// Length in bytes of the header of every ICMP message here.
pub const ICMP_HEADER_LENGTH: usize = 8;

/// No error message is longer than this, IP header included (RFC 1812 4.3.2.3).
const LONGEST_ERROR: usize = 576;

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
        /// Dropped: echo request to a broadcast or multicast address (RFC 1122 3.2.2.6 leaves it to us).
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
        /// Not sent: more errors than the rate allows (RFC 1812 4.3.2.8).
        error_rate_limited,
        /// Dropped: redirects are not followed, and source quench has no meaning left (RFC 6633).
        ignored,
        /// Dropped: a type that this host does not know (RFC 1122 3.2.2).
        unknown_type,
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
}

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Destination unreachable: net, host, or the way there is forbidden.
    Unreachable(SocketError),
    /// Nobody listens: port or protocol unreachable.
    Refused,
    /// Fragmentation needed and DF set; the MTU of the next hop in bytes, 0 from old routers (RFC 1191 4).
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
    pub source: Ipv4Addr,
    /// Where it went.
    pub destination: Ipv4Addr,
    /// Protocol number.
    pub protocol: u8,
    /// The first bytes behind its header: eight at the least.
    pub payload: &'p [u8],
}

impl Quoted<'_> {
    /// The quoted packet's two ends, if its protocol has ports in its first four bytes: (ours, theirs).
    pub fn endpoints(&self) -> Option<(SocketAddr, SocketAddr)> {
        let [a, b, c, d] = *self.payload.first_chunk::<4>()?;
        Some((
            SocketAddr::new(IpAddr::V4(self.source), u16::from_be_bytes([a, b])),
            SocketAddr::new(IpAddr::V4(self.destination), u16::from_be_bytes([c, d])),
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
        (kind == u8::from(Icmpv4Message::EchoRequest)).then(|| u16::from_be_bytes([a, b]))
    }
}

/// Reads a message.
///
/// # Errors
/// The counter under which it is dropped.
pub fn parse(payload: &[u8]) -> Result<Message<'_>, Reason> {
    let message = Icmpv4Packet::new_checked(payload)
        .map_err(|_| -> Reason { |counters| &mut counters.bad_length })?;
    if !message.verify_checksum() {
        return Err(|counters| &mut counters.bad_checksum);
    }
    let code = message.msg_code();
    match message.msg_type() {
        Icmpv4Message::EchoRequest => payload
            .get(4..)
            .map(Message::EchoRequest)
            .ok_or(|counters| &mut counters.bad_length),
        Icmpv4Message::EchoReply => payload
            .get(6..)
            .map(|rest| Message::EchoReply {
                identifier: message.echo_ident(),
                sequence_and_data: rest,
            })
            .ok_or(|counters| &mut counters.bad_length),
        Icmpv4Message::DstUnreachable => quoted(unreachable(code, payload), message.data()),
        Icmpv4Message::TimeExceeded | Icmpv4Message::ParamProblem => {
            quoted(ErrorKind::Lost, message.data())
        }
        Icmpv4Message::Redirect | Icmpv4Message::Unknown(SOURCE_QUENCH) => {
            Err(|counters| &mut counters.ignored)
        }
        _ => Err(|counters| &mut counters.unknown_type),
    }
}

/// RFC 792's type for source quench.
const SOURCE_QUENCH: u8 = 4;

/// What the codes of "destination unreachable" mean to a transport (RFC 1122 3.2.2.1, 4.2.3.9).
fn unreachable(code: u8, message: &[u8]) -> ErrorKind {
    match Icmpv4DstUnreachable::from(code) {
        Icmpv4DstUnreachable::PortUnreachable | Icmpv4DstUnreachable::ProtoUnreachable => {
            ErrorKind::Refused
        }
        Icmpv4DstUnreachable::FragRequired => {
            let mtu = message
                .get(6..8)
                .and_then(|bytes| bytes.first_chunk())
                .map_or(0, |bytes| u16::from_be_bytes(*bytes));
            ErrorKind::PacketTooBig { mtu }
        }
        Icmpv4DstUnreachable::NetUnreachable
        | Icmpv4DstUnreachable::DstNetUnknown
        | Icmpv4DstUnreachable::NetUnreachToS => {
            ErrorKind::Unreachable(SocketError::NetworkUnreachable)
        }
        _ => ErrorKind::Unreachable(SocketError::HostUnreachable),
    }
}

/// Reads the quoted packet: its header, and 8 bytes behind it (RFC 792 promises no more).
fn quoted(kind: ErrorKind, quote: &[u8]) -> Result<Message<'_>, Reason> {
    const BAD: Reason = |counters| &mut counters.error_bad_quote;
    if quote.len() < HEADER_LENGTH {
        return Err(BAD);
    }
    let header = Ipv4Packet::new_unchecked(quote);
    let header_length = usize::from(header.header_len());
    let payload = quote
        .get(header_length..)
        .filter(|payload| payload.len() >= ICMP_HEADER_LENGTH)
        .ok_or(BAD)?;
    if header.version() != 4 || header_length < HEADER_LENGTH || header.frag_offset() != 0 {
        return Err(BAD);
    }
    Ok(Message::Error(Quoted {
        kind,
        source: header.src_addr(),
        destination: header.dst_addr(),
        protocol: header.next_header().into(),
        payload,
    }))
}

/// Writes an echo request or reply whose identifier, sequence number and data are `rest`, filling `message`
/// (4 bytes longer than `rest`).
pub fn write_echo(message: &mut [u8], kind: Icmpv4Message, rest: &[u8]) {
    let Some((_, body)) = message.split_at_mut_checked(4) else {
        return;
    };
    for (to, from) in body.iter_mut().zip(rest) {
        *to = *from;
    }
    finish(message, kind, 0);
}

/// An error that this host may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// No socket has that UDP port.
    PortUnreachable,
    /// Nobody speaks that protocol.
    ProtocolUnreachable,
}

impl Complaint {
    /// How long the error about `packet` is, IP header excluded.
    pub fn length(self, packet: &Incoming<'_>) -> usize {
        ICMP_HEADER_LENGTH
            + packet
                .packet
                .len()
                .min(LONGEST_ERROR - HEADER_LENGTH - ICMP_HEADER_LENGTH)
    }

    /// Writes the error about `packet`; `message` has [`Complaint::length`] bytes.
    pub fn write(self, message: &mut [u8], packet: &Incoming<'_>) {
        let Some((header, quote)) = message.split_at_mut_checked(ICMP_HEADER_LENGTH) else {
            return;
        };
        header.fill(0);
        for (to, from) in quote.iter_mut().zip(packet.packet) {
            *to = *from;
        }
        let code = match self {
            Complaint::PortUnreachable => Icmpv4DstUnreachable::PortUnreachable,
            Complaint::ProtocolUnreachable => Icmpv4DstUnreachable::ProtoUnreachable,
        };
        finish(message, Icmpv4Message::DstUnreachable, code.into());
    }
}

/// Type, code and checksum, when the rest is in place.
fn finish(message: &mut [u8], kind: Icmpv4Message, code: u8) {
    let Ok(mut packet) = Icmpv4Packet::new_checked(message) else {
        return;
    };
    packet.set_msg_type(kind);
    packet.set_msg_code(code);
    packet.fill_checksum();
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
