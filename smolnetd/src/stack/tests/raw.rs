//! Stories of raw sockets.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::Duration;
use smoltcp::wire::Ipv4Packet;

use super::wire::{A, B, Wire, at};
use crate::error::SocketError;
use crate::socket::SocketKind;

const OSPF: u8 = 89;

fn packet(source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 20];
    packet.extend(payload);
    let length = packet.len() as u16;
    let mut header = Ipv4Packet::new_unchecked(&mut packet);
    header.set_version(4);
    header.set_header_len(20);
    header.set_total_len(length);
    header.set_hop_limit(3);
    header.set_next_header(OSPF.into());
    header.set_src_addr(source.into());
    header.set_dst_addr(destination.into());
    packet
}

#[test]
fn a_whole_packet_goes_out_and_a_whole_packet_comes_in() {
    let mut wire = Wire::new();
    let [one, two] = [(); 2].map(|()| wire.b.open(SocketKind::Raw(OSPF)));
    let only_from_c = wire.b.open(SocketKind::Raw(OSPF));
    wire.b
        .stack
        .connect(wire.now, only_from_c, at(IpAddr::from([10, 0, 0, 3]), 0))
        .unwrap();
    let sender = wire.a.open(SocketKind::Raw(OSPF));
    let written = packet([0; 4], [10, 0, 0, 2], b"hello");
    assert_eq!(wire.a.send(wire.now, sender, &written, None), Ok(25));
    wire.run_until("the packet", |wire| wire.b.heard_of(one));
    for id in [one, two] {
        let (data, received) = wire.b.receive(wire.now, id).unwrap();
        let ip = Ipv4Packet::new_checked(data.as_slice()).unwrap();
        assert!(ip.verify_checksum());
        assert_eq!(
            (IpAddr::V4(ip.src_addr()), ip.hop_limit(), ip.payload()),
            (A, 3, &b"hello"[..])
        );
        assert_eq!(received.source, Some(at(A, 0)));
    }
    assert!(wire.b.receive(wire.now, only_from_c).is_err());
    assert_eq!(
        wire.b.counter("icmp.error_sent"),
        0,
        "somebody knows the protocol"
    );
    assert_eq!(wire.b.counter("ip.raw_delivered"), 2);
}

#[test]
fn what_is_no_packet_of_that_protocol_is_refused() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Raw(OSPF));
    let good = packet([10, 0, 0, 1], [10, 0, 0, 2], b"hello");
    let mut refuse = |packet: &[u8], error| {
        assert_eq!(
            wire.a.send(wire.now, id, packet, None),
            Err(error),
            "{packet:?}"
        );
    };
    for length in 0..good.len() {
        refuse(&good[..length], SocketError::Invalid);
    }
    let mut edited = |edit: &dyn Fn(&mut Ipv4Packet<&mut Vec<u8>>), error| {
        let mut packet = good.clone();
        edit(&mut Ipv4Packet::new_unchecked(&mut packet));
        refuse(&packet, error);
    };
    edited(&|ip| ip.set_version(6), SocketError::Invalid);
    edited(&|ip| ip.set_header_len(16), SocketError::Invalid);
    edited(&|ip| ip.set_header_len(60), SocketError::Invalid);
    edited(&|ip| ip.set_total_len(24), SocketError::Invalid);
    edited(&|ip| ip.set_hop_limit(0), SocketError::Invalid);
    edited(&|ip| ip.set_next_header(17.into()), SocketError::Invalid);
    edited(
        &|ip| ip.set_src_addr(Ipv4Addr::new(10, 0, 0, 9)),
        SocketError::AddressNotAvailable,
    );
    edited(
        &|ip| ip.set_dst_addr(Ipv4Addr::new(192, 0, 2, 9)),
        SocketError::NetworkUnreachable,
    );
    let mut long = packet([0; 4], [10, 0, 0, 2], &[0; 1481]);
    Ipv4Packet::new_unchecked(&mut long).set_dont_frag(true);
    refuse(&long, SocketError::MessageTooLong);
    assert_eq!(wire.a.send(wire.now, id, &good, None), Ok(25));
}

#[test]
fn one_that_nobody_reads_fills_up_and_is_counted() {
    let mut wire = Wire::new();
    wire.b.open(SocketKind::Raw(OSPF));
    let sender = wire.a.open(SocketKind::Raw(OSPF));
    let big = packet([0; 4], [10, 0, 0, 2], &[0; 1480]);
    for _ in 0..300 {
        wire.a.send(wire.now, sender, &big, Some(at(B, 0))).unwrap();
        wire.run_for(Duration::from_millis(1));
    }
    let (delivered, full) = (
        wire.b.counter("ip.raw_delivered"),
        wire.b.counter("ip.raw_queue_full"),
    );
    assert_eq!(delivered + full, 300);
    assert!(full > 0 && delivered > 100, "{delivered} {full}");
}
