//! Messages read and written byte by byte, and the rate of errors.

use super::*;

fn checked(mut message: Vec<u8>) -> Vec<u8> {
    Icmpv4Packet::new_unchecked(&mut message).fill_checksum();
    message
}

#[test]
fn an_echo_request_goes_back_as_it_came() {
    let request = checked(vec![8, 0, 0, 0, 0x12, 0x34, 0, 7, b'd', b'a', b't']);
    let Ok(Message::EchoRequest(rest)) = parse(&request) else {
        panic!("{:?}", parse(&request).err())
    };
    let mut reply = vec![0xa5; rest.len() + 4];
    write_echo(&mut reply, Icmpv4Message::EchoReply, rest);
    let Ok(Message::EchoReply {
        identifier,
        sequence_and_data,
    }) = parse(&reply)
    else {
        panic!("{reply:?}")
    };
    assert_eq!((identifier, sequence_and_data), (0x1234, &request[6..]));
}

#[test]
fn every_code_of_unreachable_has_its_meaning() {
    let mut quote = vec![0; 28];
    quote[0] = 0x45;
    let kind = |code: u8| {
        let message = checked([&[3, code, 0, 0, 0, 0, 5, 0xdc][..], &quote].concat());
        match parse(&message) {
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
    let Ok(Message::Error(quoted)) = parse(&message) else {
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
    let Ok(Message::Error(quoted)) = parse(&message) else {
        panic!("no error")
    };
    let ends = (
        "10.0.0.1:5000".parse().unwrap(),
        "10.0.0.2:9".parse().unwrap(),
    );
    assert_eq!(
        (quoted.protocol, quoted.endpoints(), quoted.tcp_sequence()),
        (17, Some(ends), Some(0xdead_beef))
    );
    assert_eq!(quoted.echo_identifier(), None);
}

#[test]
fn an_error_quotes_no_more_than_576_bytes_in_all() {
    for length in [28, 100, 1500] {
        let packet = vec![0x45; length];
        let incoming = Incoming {
            source: Ipv4Addr::LOCALHOST,
            destination: Ipv4Addr::LOCALHOST,
            protocol: 17,
            packet: &packet,
            payload: &packet[20..],
        };
        let mut message = vec![0xa5; Complaint::PortUnreachable.length(&incoming)];
        Complaint::PortUnreachable.write(&mut message, &incoming);
        assert_eq!(message.len() + HEADER_LENGTH, (length + 28).min(576));
        assert_eq!(message[..2], [3, 3]);
        assert_eq!(message[4..8], [0; 4], "unused bytes are zero");
        assert!(Icmpv4Packet::new_unchecked(&message).verify_checksum());
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
