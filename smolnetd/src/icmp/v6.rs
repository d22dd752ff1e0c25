//! ICMPv6 (RFC 4443): the messages' form and what they mean.

use core::net::Ipv6Addr;

use smoltcp::wire::Icmpv6Packet;

use super::{Complaint, ErrorKind, ICMP_HEADER_LENGTH, Message, Quoted, Reason};
use crate::error::SocketError;
use crate::ip::{Incoming, UNRECOGNIZED_NEXT_HEADER, v6};

/// No error message is longer than this, IP header included (RFC 4443 2.4 (c)).
pub(super) const LONGEST_ERROR: usize = v6::MIN_MTU as usize;

/// RFC 4443's types.
const DESTINATION_UNREACHABLE: u8 = 1;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
pub(super) const ECHO_REQUEST: u8 = 128;
pub(super) const ECHO_REPLY: u8 = 129;
/// RFC 4861's redirect, and what else neighbours, routers and listeners say (RFC 2710, RFC 3810, RFC 4861).
const REDIRECT: u8 = 137;
const FIRST_OF_LINK: u8 = 130;
const LISTENER_REPORT_V2: u8 = 143;

/// RFC 4443 3.1: the code of "port unreachable".
const PORT_UNREACHABLE: u8 = 4;

/// Is it a type about which no error is sent (RFC 4443 2.4 (e.1), (e.2))?
pub(super) fn is_error(kind: u8) -> bool {
    kind < 128 || kind == REDIRECT
}

pub(super) fn parse(
    payload: &[u8],
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Result<Message<'_>, Reason> {
    let Some((&[kind, code, _, _, rest @ ..], body)) =
        payload.split_first_chunk::<ICMP_HEADER_LENGTH>()
    else {
        return Err(|counters| &mut counters.bad_length);
    };
    if !Icmpv6Packet::new_unchecked(payload).verify_checksum(&source, &destination) {
        return Err(|counters| &mut counters.bad_checksum);
    }
    let kind = match kind {
        ECHO_REQUEST => {
            return Ok(Message::EchoRequest(payload.get(4..).unwrap_or_default()));
        }
        ECHO_REPLY => {
            let [a, b, ..] = rest;
            return Ok(Message::EchoReply {
                identifier: u16::from_be_bytes([a, b]),
                sequence_and_data: payload.get(6..).unwrap_or_default(),
            });
        }
        DESTINATION_UNREACHABLE => unreachable(code),
        PACKET_TOO_BIG => ErrorKind::PacketTooBig {
            // Links of more than 65535 bytes are of no use without jumbograms. 0 would mean that none was named.
            mtu: u16::try_from(u32::from_be_bytes(rest))
                .unwrap_or(u16::MAX)
                .max(1),
        },
        PARAMETER_PROBLEM if code == UNRECOGNIZED_NEXT_HEADER => ErrorKind::Refused,
        TIME_EXCEEDED | PARAMETER_PROBLEM => ErrorKind::Lost,
        FIRST_OF_LINK..=REDIRECT | LISTENER_REPORT_V2 => {
            return Err(|counters| &mut counters.ignored);
        }
        // RFC 4443 2.4 (a) has unknown errors passed to the process concerned; none of ours could make use of them.
        _ => return Err(|counters| &mut counters.unknown_type),
    };
    quoted(kind, body)
        .map(Message::Error)
        .ok_or(|counters| &mut counters.error_bad_quote)
}

/// What the codes of "destination unreachable" mean to a transport (RFC 4443 3.1).
fn unreachable(code: u8) -> ErrorKind {
    match code {
        // No route; beyond the scope of the source address.
        0 | 2 => ErrorKind::Unreachable(SocketError::NetworkUnreachable),
        PORT_UNREACHABLE => ErrorKind::Refused,
        // Forbidden, address unreachable, ingress or egress policy, reject route.
        _ => ErrorKind::Unreachable(SocketError::HostUnreachable),
    }
}

/// Reads the quoted packet: its headers, and 8 bytes behind them.
pub(super) fn quoted(kind: ErrorKind, quote: &[u8]) -> Option<Quoted<'_>> {
    let quote = v6::quoted(quote).filter(|quote| quote.payload.len() >= ICMP_HEADER_LENGTH)?;
    Some(Quoted {
        kind,
        source: quote.source.into(),
        destination: quote.destination.into(),
        protocol: quote.protocol,
        length: quote.length,
        payload: quote.payload,
    })
}

/// Type, code and the second word of the header of an error about `packet`.
pub(super) fn complaint(complaint: Complaint, packet: &Incoming<'_>) -> (u8, u8, [u8; 4]) {
    match complaint {
        Complaint::PortUnreachable => (DESTINATION_UNREACHABLE, PORT_UNREACHABLE, [0; 4]),
        // RFC 4443 3.4: the pointer is to the field that names it.
        Complaint::ProtocolUnreachable => {
            let pointer = u32::try_from(packet.next_header_at).unwrap_or(u32::MAX);
            (
                PARAMETER_PROBLEM,
                UNRECOGNIZED_NEXT_HEADER,
                pointer.to_be_bytes(),
            )
        }
        Complaint::Parameter(parameter) => (
            PARAMETER_PROBLEM,
            parameter.code,
            parameter.pointer.to_be_bytes(),
        ),
        Complaint::ReassemblyTimeExceeded => (TIME_EXCEEDED, 1, [0; 4]),
    }
}

pub(super) fn fill_checksum(message: &mut [u8], source: Ipv6Addr, destination: Ipv6Addr) {
    if message.len() >= 4 {
        Icmpv6Packet::new_unchecked(message).fill_checksum(&source, &destination);
    }
}
