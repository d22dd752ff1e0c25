//! ICMP for IPv4 (RFC 792): the messages' form and what they mean.

use core::net::IpAddr;

use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Ipv4Packet};

use super::{Complaint, ErrorKind, ICMP_HEADER_LENGTH, Message, Quoted, Reason};
use crate::error::SocketError;
use crate::ip::v4::HEADER_LENGTH;

/// No error message is longer than this, IP header included (RFC 1812 4.3.2.3).
pub(super) const LONGEST_ERROR: usize = 576;

/// RFC 792's types.
pub(super) const ECHO_REPLY: u8 = 0;
pub(super) const ECHO_REQUEST: u8 = 8;
const DESTINATION_UNREACHABLE: u8 = 3;
const SOURCE_QUENCH: u8 = 4;
const REDIRECT: u8 = 5;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// Is it a type about which no error is sent (RFC 1122 3.2.2)?
pub(super) fn is_error(kind: u8) -> bool {
    matches!(
        kind,
        DESTINATION_UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
    )
}

pub(super) fn parse(payload: &[u8]) -> Result<Message<'_>, Reason> {
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
        Icmpv4Message::DstUnreachable => error(unreachable(code, payload), message.data()),
        Icmpv4Message::TimeExceeded | Icmpv4Message::ParamProblem => {
            error(ErrorKind::Lost, message.data())
        }
        Icmpv4Message::Redirect => redirect(payload),
        Icmpv4Message::Unknown(SOURCE_QUENCH) => Err(|counters| &mut counters.ignored),
        _ => Err(|counters| &mut counters.unknown_type),
    }
}

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

/// RFC 1122 3.2.2.2: all codes are taken for redirects of one host.
fn redirect(message: &[u8]) -> Result<Message<'_>, Reason> {
    let read = || {
        let (header, quote) = message.split_first_chunk::<ICMP_HEADER_LENGTH>()?;
        let [_, _, _, _, gateway @ ..] = *header;
        let quoted = quoted(ErrorKind::Lost, quote)?;
        Some(Message::Redirect {
            gateway: IpAddr::from(gateway),
            source: quoted.source,
            destination: quoted.destination,
        })
    };
    read().ok_or(|counters| &mut counters.error_bad_quote)
}

fn error(kind: ErrorKind, quote: &[u8]) -> Result<Message<'_>, Reason> {
    quoted(kind, quote)
        .map(Message::Error)
        .ok_or(|counters| &mut counters.error_bad_quote)
}

/// Reads the quoted packet: its header, and 8 bytes behind it (RFC 792 promises no more).
pub(super) fn quoted(kind: ErrorKind, quote: &[u8]) -> Option<Quoted<'_>> {
    if quote.len() < HEADER_LENGTH {
        return None;
    }
    let header = Ipv4Packet::new_unchecked(quote);
    let header_length = usize::from(header.header_len());
    let payload = quote
        .get(header_length..)
        .filter(|payload| payload.len() >= ICMP_HEADER_LENGTH)?;
    if header.version() != 4 || header_length < HEADER_LENGTH || header.frag_offset() != 0 {
        return None;
    }
    Some(Quoted {
        kind,
        source: header.src_addr().into(),
        destination: header.dst_addr().into(),
        protocol: header.next_header().into(),
        length: header.total_len(),
        payload,
    })
}

/// Type, code and the second word of the header of an error.
pub(super) fn complaint(complaint: Complaint) -> (u8, u8, [u8; 4]) {
    let unreachable = |code: Icmpv4DstUnreachable| (DESTINATION_UNREACHABLE, code.into(), [0; 4]);
    match complaint {
        Complaint::PortUnreachable => unreachable(Icmpv4DstUnreachable::PortUnreachable),
        Complaint::ProtocolUnreachable => unreachable(Icmpv4DstUnreachable::ProtoUnreachable),
        Complaint::ReassemblyTimeExceeded => (TIME_EXCEEDED, 1, [0; 4]),
        Complaint::Parameter(parameter) => {
            let [.., pointer] = parameter.pointer.to_be_bytes();
            (PARAMETER_PROBLEM, 0, [pointer, 0, 0, 0])
        }
    }
}

pub(super) fn fill_checksum(message: &mut [u8]) {
    if let Ok(mut packet) = Icmpv4Packet::new_checked(message) {
        packet.fill_checksum();
    }
}
