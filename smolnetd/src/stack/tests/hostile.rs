//! What a hostile wire brings: everything that is dropped is counted under its reason.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{Icmpv4Packet, IpAddress, Ipv4Packet, UdpPacket};

use super::icmp::edit_ip;
use super::wire::{A, B, End, Wire, at};
use crate::socket::SocketKind;

/// A lie: what it is, the counter it falls under, how it is told.
type Case<E> = (&'static str, &'static str, E);
type EditIp = fn(&mut Ipv4Packet<&mut [u8]>);
type EditUdp = fn(&mut UdpPacket<&mut [u8]>);

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// Where the IP header, and what follows it, begin in a frame.
const IP: usize = 14;
const TRANSPORT: usize = 34;

/// A datagram from B's port 7 to A's port 5000.
fn datagram() -> Vec<u8> {
    let mut wire = Wire::new();
    wire.listen();
    let id = wire.b.open(SocketKind::Udp);
    wire.b.stack.bind(wire.now, id, at(B, 7)).unwrap();
    wire.b
        .send(wire.now, id, b"a datagram", Some(at(A, 5000)))
        .unwrap();
    wire.run_for(Duration::from_millis(5));
    wire.taken()
        .into_iter()
        .rfind(|(end, _)| *end == End::B)
        .expect("it")
        .1
}

/// An echo request from B to A.
fn echo_request() -> Vec<u8> {
    let mut wire = Wire::new();
    wire.listen();
    let id = wire.b.open(SocketKind::IcmpEcho);
    wire.b
        .send(wire.now, id, b"\0\x01are you there?", Some(at(A, 0)))
        .unwrap();
    wire.run_for(Duration::from_millis(5));
    wire.taken()
        .into_iter()
        .rfind(|(end, _)| *end == End::B)
        .expect("it")
        .1
}

/// Sends a frame to A and says which counters moved, the link's frames and bytes apart.
fn counted(frame: Vec<u8>) -> Vec<(String, u64)> {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Udp);
    wire.a.stack.bind(wire.now, id, at(ANY, 5000)).unwrap();
    let before = wire.a.stack.stats();
    wire.inject(End::A, frame);
    wire.run_for(Duration::from_millis(5));
    let moved = wire
        .a
        .stack
        .stats()
        .into_iter()
        .zip(before)
        .filter(|(after, before)| after.1 != before.1);
    moved
        .map(|(after, before)| (after.0, after.1 - before.1))
        .filter(|(name, _)| !name.starts_with("eth0.rx_"))
        .collect()
}

fn assert_dropped(what: &str, frame: Vec<u8>, reason: &str) {
    let counters = counted(frame);
    assert!(
        counters.contains(&(reason.to_owned(), 1)),
        "{what}: {counters:?}"
    );
    let sent = [
        "ip.sent",
        "udp.delivered",
        "icmp.error_sent",
        "icmp.echo_answered",
    ];
    assert!(
        !counters
            .iter()
            .any(|(name, _)| sent.contains(&name.as_str())),
        "{what}: {counters:?}"
    );
}

#[test]
fn a_good_datagram_and_a_good_echo_are_the_measure_of_the_bad_ones() {
    let count = |frame, name: &str| counted(frame).contains(&(name.to_owned(), 1));
    assert!(count(datagram(), "udp.delivered"));
    assert!(count(echo_request(), "icmp.echo_answered"));
}

#[test]
fn a_header_that_lies_is_dropped_under_its_reason() {
    let cases: [Case<EditIp>; 9] = [
        ("header length 16", "ip.bad_length", |ip| {
            ip.set_header_len(16)
        }),
        ("header longer than the packet", "ip.bad_length", |ip| {
            ip.set_header_len(60)
        }),
        ("total length below the header's", "ip.bad_length", |ip| {
            ip.set_total_len(19)
        }),
        ("total length beyond the frame", "ip.bad_length", |ip| {
            ip.set_total_len(1400)
        }),
        ("time to live 0", "ip.bad_ttl", |ip| ip.set_hop_limit(0)),
        (
            "first fragment of odd length",
            "fragment.bad_length",
            |ip| ip.set_more_frags(true),
        ),
        ("last fragment alone", "fragment.received", |ip| {
            ip.set_frag_offset(1480)
        }),
        (
            "unknown protocol to everybody",
            "ip.unknown_protocol",
            |ip| {
                ip.set_next_header(89.into());
                ip.set_dst_addr(Ipv4Addr::BROADCAST);
            },
        ),
        ("another host", "ip.not_for_us", |ip| {
            ip.set_dst_addr(Ipv4Addr::new(10, 0, 0, 3))
        }),
    ];
    for (what, reason, edit) in cases {
        let mut frame = datagram();
        let length = frame.len();
        edit_checked(&mut frame[..length], edit);
        if what.contains("everybody") {
            frame[..6].fill(0xff);
        }
        assert_dropped(what, frame, reason);
    }
    let mut frame = datagram();
    frame[IP + 10] ^= 1;
    assert_dropped("checksum", frame, "ip.bad_checksum");
}

/// As `edit_ip`, but the header length may be a lie, over which no checksum can be computed.
fn edit_checked(frame: &mut [u8], edit: EditIp) {
    let mut ip = Ipv4Packet::new_unchecked(&mut frame[IP..]);
    edit(&mut ip);
    if usize::from(ip.header_len()) <= frame.len() - IP {
        Ipv4Packet::new_unchecked(&mut frame[IP..]).fill_checksum();
    }
}

#[test]
fn sources_that_cannot_be_are_dropped() {
    let cases = [
        ([127, 0, 0, 1], "ip.loopback_on_wire"),
        ([10, 0, 0, 1], "ip.own_source"),
        ([10, 0, 0, 255], "ip.bad_source"),
        ([255, 255, 255, 255], "ip.bad_source"),
        ([224, 0, 0, 1], "ip.bad_source"),
        ([240, 0, 0, 1], "ip.bad_source"),
        ([0, 1, 2, 3], "ip.bad_source"),
        ([0, 0, 0, 0], "ip.bad_source"),
    ];
    for (source, reason) in cases {
        for mut frame in [datagram(), echo_request()] {
            edit_ip(&mut frame, |ip| ip.set_src_addr(source.into()));
            assert_dropped(&format!("{source:?}"), frame, reason);
        }
    }
}

#[test]
fn destinations_that_are_nobodys_are_dropped() {
    let cases = [
        ([127, 0, 0, 1], "ip.loopback_on_wire"),
        ([0, 0, 0, 0], "ip.not_for_us"),
    ];
    for (destination, reason) in cases {
        let mut frame = echo_request();
        edit_ip(&mut frame, |ip| ip.set_dst_addr(destination.into()));
        assert_dropped(&format!("{destination:?}"), frame, reason);
    }
    let mut frame = echo_request();
    edit_ip(&mut frame, |ip| {
        ip.set_dst_addr(Ipv4Addr::new(224, 0, 0, 251))
    });
    frame[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 251]);
    let counters = counted(frame);
    // Whether the link already keeps it out is the link's business; the stack joins no group.
    assert!(
        !counters
            .iter()
            .any(|(name, _)| name == "icmp.echo_answered"),
        "{counters:?}"
    );
}

#[test]
fn datagrams_that_lie_are_dropped() {
    let cases: [Case<EditUdp>; 4] = [
        ("length below the header's", "udp.bad_length", |udp| {
            udp.set_len(7)
        }),
        ("length beyond the packet", "udp.bad_length", |udp| {
            udp.set_len(1000)
        }),
        ("port 0", "udp.bad_port", |udp| {
            udp.set_dst_port(0);
            udp.fill_checksum(&IpAddress::from(B), &IpAddress::from(A));
        }),
        ("checksum", "udp.bad_checksum", |udp| {
            udp.set_checksum(0x1234)
        }),
    ];
    for (what, reason, edit) in cases {
        let mut frame = datagram();
        edit(&mut UdpPacket::new_unchecked(&mut frame[TRANSPORT..]));
        assert_dropped(what, frame, reason);
    }
    let mut frame = datagram();
    frame.truncate(TRANSPORT + 7);
    edit_ip(&mut frame, |ip| ip.set_total_len(27));
    assert_dropped("a header cut short", frame, "udp.bad_length");
    let mut frame = datagram();
    UdpPacket::new_unchecked(&mut frame[TRANSPORT..]).set_checksum(0);
    assert!(
        counted(frame).contains(&("udp.delivered".into(), 1)),
        "without a checksum it is good (RFC 768)"
    );
}

/// An ICMP message from B to A.
fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut frame = echo_request();
    frame.truncate(TRANSPORT);
    frame.extend([kind, code, 0, 0]);
    frame.extend(rest);
    let length = frame.len();
    if length >= TRANSPORT + 8 {
        Icmpv4Packet::new_unchecked(&mut frame[TRANSPORT..]).fill_checksum();
    }
    edit_ip(&mut frame, |ip| ip.set_total_len((length - IP) as u16));
    frame
}

#[test]
fn icmp_messages_that_lie_or_concern_nobody_are_dropped() {
    // A datagram that A might have sent, as an error would quote it.
    let quote = |edit: &dyn Fn(&mut Ipv4Packet<&mut [u8]>)| {
        let mut frame = datagram();
        edit_ip(&mut frame, |ip| {
            ip.set_src_addr(Ipv4Addr::new(10, 0, 0, 1));
            ip.set_dst_addr(Ipv4Addr::new(10, 0, 0, 2));
            edit(ip);
        });
        [&[0; 4], &frame[IP..]].concat()
    };
    let good = quote(&|_| ());
    let with_first_byte = |byte| {
        let mut quote = good.clone();
        quote[4] = byte;
        quote
    };
    let mut bad_checksum = icmp(8, 0, &[0; 8]);
    bad_checksum[TRANSPORT + 2] ^= 1;
    assert_dropped("checksum", bad_checksum, "icmp.bad_checksum");
    assert_dropped("cut short", icmp(8, 0, &[0; 3]), "icmp.bad_length");
    assert_dropped("source quench", icmp(4, 0, &good), "icmp.ignored");
    assert_dropped("redirect", icmp(5, 1, &good), "icmp.redirect_refused");
    assert_dropped("timestamp", icmp(13, 0, &[0; 16]), "icmp.unknown_type");
    assert_dropped("no quote", icmp(3, 3, &[0; 4]), "icmp.error_bad_quote");
    assert_dropped(
        "half a header",
        icmp(3, 3, &good[..20]),
        "icmp.error_bad_quote",
    );
    assert_dropped(
        "7 bytes behind the header",
        icmp(3, 3, &good[..4 + 20 + 7]),
        "icmp.error_bad_quote",
    );
    assert_dropped(
        "a long header",
        icmp(3, 3, &with_first_byte(0x4f)),
        "icmp.error_bad_quote",
    );
    assert_dropped(
        "a short header",
        icmp(3, 3, &with_first_byte(0x42)),
        "icmp.error_bad_quote",
    );
    assert_dropped(
        "a later fragment",
        icmp(3, 3, &quote(&|ip| ip.set_frag_offset(8))),
        "icmp.error_bad_quote",
    );
    let others = quote(&|ip| ip.set_src_addr(Ipv4Addr::new(10, 0, 0, 3)));
    assert_dropped(
        "another's datagram",
        icmp(3, 3, &others),
        "icmp.error_unexpected",
    );
    assert_dropped(
        "a connection that does not exist",
        icmp(3, 3, &good),
        "icmp.error_unexpected",
    );
    assert_dropped(
        "a reply to nobody",
        icmp(0, 0, &[0; 8]),
        "icmp.reply_unexpected",
    );
}
