//! Messages read and written byte by byte, and the rate of errors.

use core::net::{Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet};

use super::*;

const V4: (IpAddr, IpAddr) = (
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
);
const FROM: Ipv6Addr = Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 0, 1);
const TO: Ipv6Addr = Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 0, 2);
const V6: (IpAddr, IpAddr) = (IpAddr::V6(FROM), IpAddr::V6(TO));

/// A packet between these ends that carries `payload`, all that there is of it being `packet`.
fn incoming<'p>(ends: (IpAddr, IpAddr), packet: &'p [u8], payload: &'p [u8]) -> Incoming<'p> {
    Incoming {
        source: ends.0,
        destination: ends.1,
        protocol: 17,
        hop_limit: 64,
        packet,
        payload,
        fragment: None,
        atomic: false,
        next_header_at: 6,
        problem: None,
    }
}

fn parse_v4(message: &[u8]) -> Result<Message<'_>, Reason> {
    parse(&incoming(V4, message, message))
}

fn parse_v6(message: &[u8]) -> Result<Message<'_>, Reason> {
    parse(&incoming(V6, message, message))
}

fn checked_v6(mut message: Vec<u8>) -> Vec<u8> {
    Icmpv6Packet::new_unchecked(&mut message).fill_checksum(&FROM, &TO);
    message
}

/// A UDP datagram of IPv6 as an error quotes it.
fn quote_v6() -> Vec<u8> {
    let ends = [FROM.octets(), TO.octets()].concat();
    let ports = [0x13, 0x88, 0, 9, 0xde, 0xad, 0xbe, 0xef];
    [&[0x60, 0, 0, 0, 5, 0, 17, 64][..], &ends, &ports].concat()
}

fn checked(mut message: Vec<u8>) -> Vec<u8> {
    Icmpv4Packet::new_unchecked(&mut message).fill_checksum();
    message
}

#[test]
fn an_echo_request_goes_back_as_it_came() {
    let request = checked(vec![8, 0, 0, 0, 0x12, 0x34, 0, 7, b'd', b'a', b't']);
    let request_v6 = checked_v6(vec![128, 0, 0, 0, 0x12, 0x34, 0, 7, b'd', b'a', b't']);
    for (ends, request) in [(V4, request), (V6, request_v6)] {
        let Ok(Message::EchoRequest(rest)) = parse(&incoming(ends, &request, &request)) else {
            panic!("{request:?}")
        };
        let mut reply = vec![0xa5; rest.len() + 4];
        write_echo(&mut reply, Echo::Reply, rest, (ends.1, ends.0));
        let Ok(Message::EchoReply {
            identifier,
            sequence_and_data,
        }) = parse(&incoming((ends.1, ends.0), &reply, &reply))
        else {
            panic!("{reply:?}")
        };
        assert_eq!((identifier, sequence_and_data), (0x1234, &request[6..]));
    }
}

#[test]
fn every_code_of_unreachable_has_its_meaning() {
    let mut quote = vec![0; 28];
    quote[0] = 0x45;
    let kind = |code: u8| {
        let message = checked([&[3, code, 0, 0, 0, 0, 5, 0xdc][..], &quote].concat());
        match parse_v4(&message) {
            Ok(Message::Error(quoted)) => quoted.kind.socket_error(),
            other => panic!("{:?}", other.is_ok()),
        }
    };
    let errors: Vec<_> = (0..16).map(kind).collect();
    use SocketError::{
        ConnectionRefused as R, HostUnreachable as H, MessageTooLong as M, NetworkUnreachable as N,
    };
    assert_eq!(errors, [N, H, R, R, M, H, N, H, H, H, H, N, H, H, H, H]);
}

#[test]
fn fragmentation_needed_names_the_mtu() {
    let mut quote = vec![0; 28];
    quote[0] = 0x45;
    let message = checked([&[3, 4, 0, 0, 0, 0, 5, 0x14][..], &quote].concat());
    let Ok(Message::Error(quoted)) = parse_v4(&message) else {
        panic!("no error")
    };
    assert_eq!(quoted.kind, ErrorKind::PacketTooBig { mtu: 1300 });
}

#[test]
fn a_quote_tells_whose_packet_it_was() {
    let mut quote = vec![0; 20];
    quote[0] = 0x45;
    quote[9] = 17;
    quote[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    quote.extend([0x13, 0x88, 0, 9, 0xde, 0xad, 0xbe, 0xef]);
    let message = checked([&[3, 3, 0, 0, 0, 0, 0, 0][..], &quote].concat());
    let Ok(Message::Error(quoted)) = parse_v4(&message) else {
        panic!("no error")
    };
    let ends = (
        "10.0.0.1:5000".parse().unwrap(),
        "10.0.0.2:9".parse().unwrap(),
    );
    assert_eq!(
        (
            quoted.protocol,
            quoted.endpoints(LinkId(1)),
            quoted.tcp_sequence()
        ),
        (17, Some(ends), Some(0xdead_beef))
    );
    assert_eq!(quoted.echo_identifier(), None);
}

#[test]
fn rfc4443_3_1_every_code_of_unreachable_has_its_meaning() {
    use SocketError::{ConnectionRefused as R, HostUnreachable as H, NetworkUnreachable as N};
    let error = |kind: u8, code: u8| {
        let message = checked_v6([&[kind, code, 0, 0, 0, 0, 5, 0][..], &quote_v6()].concat());
        match parse_v6(&message) {
            Ok(Message::Error(quoted)) => quoted.kind,
            other => panic!("{other:?}"),
        }
    };
    let errors: Vec<_> = (0..8).map(|code| error(1, code).socket_error()).collect();
    assert_eq!(errors, [N, H, N, H, R, H, H, H]);
    assert_eq!(error(2, 0), ErrorKind::PacketTooBig { mtu: 1280 });
    assert_eq!(error(3, 0), ErrorKind::Lost);
    assert_eq!(
        error(4, 1),
        ErrorKind::Refused,
        "a protocol that it does not speak"
    );
    assert_eq!(error(4, 0), ErrorKind::Lost);
}

#[test]
fn rfc4443_2_4_what_is_not_for_sockets_is_counted() {
    let reason = |message: Vec<u8>| {
        let mut counters = IcmpCounters::default();
        match parse_v6(&message) {
            Err(reason) => *reason(&mut counters) += 1,
            Ok(message) => panic!("{message:?}"),
        }
        let counted = counters.iter().find(|(_, count)| *count == 1);
        counted.map_or("", |(name, _)| name)
    };
    for kind in (130..=137).chain([143]) {
        assert_eq!(
            reason(checked_v6(vec![kind, 0, 0, 0, 0, 0, 0, 0])),
            "ignored"
        );
    }
    for kind in [0, 5, 127, 138, 200, 255] {
        assert_eq!(
            reason(checked_v6(vec![kind, 0, 0, 0, 0, 0, 0, 0])),
            "unknown_type"
        );
    }
    assert_eq!(reason(vec![128, 0, 0, 0, 0, 0, 0]), "bad_length");
    assert_eq!(reason(vec![128, 0, 0, 0, 0, 0, 0, 0]), "bad_checksum");
    let short = [&[1, 4, 0, 0, 0, 0, 0, 0], &quote_v6()[..47]].concat();
    assert_eq!(reason(checked_v6(short)), "error_bad_quote");
}

#[test]
fn a_quote_of_ipv6_tells_whose_packet_it_was() {
    let message = checked_v6([&[1, 4, 0, 0, 0, 0, 0, 0][..], &quote_v6()].concat());
    let Ok(Message::Error(quoted)) = parse_v6(&message) else {
        panic!("no error")
    };
    let ends = (
        "[fd42::1]:5000".parse().unwrap(),
        "[fd42::2]:9".parse().unwrap(),
    );
    assert_eq!(quoted.endpoints(LinkId(1)), Some(ends));
    assert_eq!((quoted.protocol, quoted.length), (17, 1320));
}

#[test]
fn an_error_quotes_no_more_than_it_may() {
    // RFC 1812 4.3.2.3, RFC 4443 2.4 (c).
    for (ends, header, longest, start) in [(V4, 20, 576, [3, 3]), (V6, 40, 1280, [1, 4])] {
        for length in [header + 8, 100, 1500] {
            let packet = vec![0x45; length];
            let incoming = incoming(ends, &packet, &packet[header..]);
            let mut message = vec![0xa5; Complaint::PortUnreachable.length(&incoming)];
            Complaint::PortUnreachable.write(&mut message, &incoming, ends);
            assert_eq!(message.len() + header, (length + header + 8).min(longest));
            assert_eq!(message[..2], start);
            assert_eq!(message[4..8], [0; 4], "unused bytes are zero");
            assert!(match ends {
                V4 => Icmpv4Packet::new_unchecked(&message).verify_checksum(),
                _ => Icmpv6Packet::new_unchecked(&message).verify_checksum(&FROM, &TO),
            });
        }
    }
}

#[test]
fn rfc4443_3_4_a_parameter_problem_points_at_the_field() {
    let packet = [0x60; 60];
    let incoming = incoming(V6, &packet, &packet[48..]);
    let parameter = Parameter {
        code: 2,
        pointer: 42,
        to_groups: false,
    };
    for (complaint, start) in [
        (Complaint::Parameter(parameter), [4, 2, 0, 0, 0, 42]),
        (Complaint::ProtocolUnreachable, [4, 1, 0, 0, 0, 6]),
        (Complaint::ReassemblyTimeExceeded, [3, 1, 0, 0, 0, 0]),
    ] {
        let mut message = vec![0xa5; complaint.length(&incoming)];
        complaint.write(&mut message, &incoming, V6);
        assert_eq!([&message[..2], &message[4..8]].concat(), start);
    }
}

#[test]
fn rfc4443_2_4_e_no_error_is_sent_about_an_error_nor_to_nobody() {
    let parameter = |to_groups| {
        Complaint::Parameter(Parameter {
            code: 2,
            pointer: 42,
            to_groups,
        })
    };
    let about = |protocol, first: u8| {
        let payload = vec![first; 8];
        move |complaint: Complaint, to_group: bool, source: IpAddr| {
            let packet = Incoming {
                protocol,
                ..incoming((source, V6.1), &payload, &payload)
            };
            complaint.is_allowed(&packet, to_group)
        }
    };
    let (udp, unreachable, redirect, echo) =
        (about(17, 1), about(58, 1), about(58, 137), about(58, 128));
    assert!(udp(Complaint::PortUnreachable, false, V6.0));
    assert!(echo(parameter(false), false, V6.0));
    assert!(!unreachable(parameter(false), false, V6.0), "(e.1)");
    assert!(!redirect(parameter(false), false, V6.0), "(e.2)");
    assert!(!udp(Complaint::PortUnreachable, true, V6.0), "(e.3)");
    assert!(!udp(parameter(false), true, V6.0), "(e.3)");
    assert!(udp(parameter(true), true, V6.0), "(e.3), the exception");
    for nobody in ["::", "ff02::1"] {
        let nobody = nobody.parse().expect("an address");
        assert!(!udp(Complaint::PortUnreachable, false, nobody), "(e.6)");
    }
}

#[test]
fn a_rate_limit_lets_a_burst_pass_and_then_so_many_a_second() {
    let start = Instant::from_secs(5);
    let mut limit = RateLimit::new(3, Duration::from_millis(10), start);
    let mut allowed = |millis: u64| limit.allow(start + Duration::from_millis(millis));
    let burst = [0, 0, 0, 0, 9, 10, 10, 25].map(&mut allowed);
    assert_eq!(burst, [true, true, true, false, false, true, false, true]);
    // An hour of peace is not saved up for more than one burst.
    let later = [3_600_000; 4].map(&mut allowed);
    assert_eq!(later, [true, true, true, false]);
}
