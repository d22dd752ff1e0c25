//! Stories of ping.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{EthernetFrame, Icmpv4Message, Icmpv4Packet, Ipv4Packet};

use super::wire::{A, B, End, Wire, at};
use crate::error::SocketError;
use crate::socket::{Readiness, SocketId, SocketKind};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An echo socket of A for that peer, as `/scheme/icmp/echo/<peer>` opens it.
fn echo(wire: &mut Wire, peer: IpAddr) -> SocketId {
    let id = wire.a.open(SocketKind::IcmpEcho);
    wire.a
        .stack
        .connect(wire.now, id, at(peer, 0))
        .expect("a way");
    id
}

/// What a ping program writes: the sequence number and 62 bytes.
fn request(sequence: u16) -> Vec<u8> {
    sequence
        .to_be_bytes()
        .into_iter()
        .chain((0..62).map(|byte| byte ^ 0x5a))
        .collect()
}

fn ping(wire: &mut Wire, peer: IpAddr) {
    let id = echo(wire, peer);
    assert!(!wire.a.stack.readiness(id).readable);
    for sequence in [1, 2, 0xfffe] {
        let sent = request(sequence);
        assert_eq!(wire.a.send(wire.now, id, &sent, None), Ok(64));
        wire.run_until("the reply", |wire| wire.a.heard_of(id));
        assert!(wire.a.stack.readiness(id).readable);
        let (data, received) = wire.a.receive(wire.now, id).unwrap();
        assert_eq!(data, sent, "the layout is the same both ways");
        assert_eq!(received.source, Some(at(peer, 0)));
    }
    assert_eq!(
        wire.a.receive(wire.now, id).unwrap_err(),
        SocketError::WouldBlock
    );
}

#[test]
fn the_echo_reply_that_was_received_and_never_delivered() {
    let mut wire = Wire::new();
    ping(&mut wire, B);
    assert_eq!(wire.a.counter("icmp.reply_delivered"), 3);
    assert_eq!(wire.b.counter("icmp.echo_answered"), 3);
}

#[test]
fn ping_of_127_0_0_1() {
    let mut wire = Wire::bare();
    ping(&mut wire, LOCALHOST);
    ping(&mut wire, IpAddr::V4(Ipv4Addr::new(127, 4, 5, 6)));
    assert_eq!(wire.a.counter("eth0.tx_frames"), 0);
}

#[test]
fn ping_of_the_own_address() {
    let mut wire = Wire::new();
    wire.listen();
    ping(&mut wire, A);
    assert_eq!(wire.taken(), [], "the wire sees nothing of it");
}

#[test]
fn two_pings_of_one_host_get_each_their_own_replies() {
    let mut wire = Wire::new();
    let [one, two] = [(); 2].map(|()| echo(&mut wire, B));
    assert_ne!(
        wire.a.stack.local(one),
        wire.a.stack.local(two),
        "identifiers are unique"
    );
    wire.a.send(wire.now, one, &request(1), None).unwrap();
    wire.a.send(wire.now, two, &request(2), None).unwrap();
    wire.run_for(Duration::from_millis(10));
    assert_eq!(wire.a.receive(wire.now, one).unwrap().0, request(1));
    assert_eq!(wire.a.receive(wire.now, two).unwrap().0, request(2));
    assert!(wire.a.receive(wire.now, one).is_err() && wire.a.receive(wire.now, two).is_err());
}

#[test]
fn a_thousand_pings_at_one_millisecond_lose_none() {
    let mut wire = Wire::new();
    let id = echo(&mut wire, B);
    for sequence in 0..1000 {
        wire.a.send(wire.now, id, &request(sequence), None).unwrap();
        wire.run_for(Duration::from_millis(1));
        assert_eq!(wire.a.receive(wire.now, id).unwrap().0, request(sequence));
    }
}

#[test]
fn a_ping_of_1472_bytes_fills_the_frame_and_a_longer_one_goes_in_pieces() {
    let mut wire = Wire::new();
    let id = echo(&mut wire, B);
    // The client's buffer begins with the sequence number: two bytes of the ICMP header.
    let data = vec![0x11; 1474];
    assert_eq!(wire.a.send(wire.now, id, &data, None), Ok(1474));
    wire.run_until("the reply", |wire| wire.a.stack.readiness(id).readable);
    assert_eq!(wire.a.receive(wire.now, id).unwrap().0, data);
    // The request and the reply are cut, by A and by B.
    let data = vec![0x22; 65_507 + 2];
    assert_eq!(wire.a.send(wire.now, id, &data, None), Ok(data.len()));
    wire.run_until("the reply", |wire| wire.a.stack.readiness(id).readable);
    assert_eq!(wire.a.receive(wire.now, id).unwrap().0, data);
    assert_eq!(
        (
            wire.a.counter("fragment.split"),
            wire.b.counter("fragment.split")
        ),
        (1, 1)
    );
    assert_eq!(
        wire.a.send(wire.now, id, &vec![0; 65_507 + 3], None),
        Err(SocketError::MessageTooLong)
    );
    assert_eq!(
        wire.a.send(wire.now, id, &[0], None),
        Err(SocketError::Invalid),
        "no sequence number"
    );
    assert_eq!(
        wire.a.send(wire.now, id, &[], None),
        Err(SocketError::Invalid)
    );
    assert_eq!(
        wire.a.send(wire.now, id, &[0, 9], None),
        Ok(2),
        "no data is data enough"
    );
}

#[test]
fn a_ping_of_a_host_that_does_not_exist_ends_with_an_error() {
    let mut wire = Wire::new();
    let id = echo(&mut wire, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 77)));
    wire.a.send(wire.now, id, &request(1), None).unwrap();
    wire.run_until_within("the news", Duration::from_secs(10), |wire| {
        wire.a.heard_of(id)
    });
    assert_eq!(wire.a.stack.readiness(id), Readiness::BOTH);
    assert_eq!(
        wire.a.receive(wire.now, id).unwrap_err(),
        SocketError::HostUnreachable
    );
}

#[test]
fn replies_from_others_and_for_nobody_are_counted() {
    let mut wire = Wire::new();
    let id = echo(&mut wire, B);
    wire.listen();
    wire.a.send(wire.now, id, &request(1), None).unwrap();
    wire.run_for(Duration::from_millis(10));
    wire.a.receive(wire.now, id).unwrap();
    let (_, reply) = wire
        .taken()
        .into_iter()
        .rfind(|(from, _)| *from == End::B)
        .expect("a reply");

    // The same reply, from an address that was never asked.
    let mut forged = reply.clone();
    edit_ip(&mut forged, |ip| {
        ip.set_src_addr(Ipv4Addr::new(10, 0, 0, 66))
    });
    wire.inject(End::A, forged);
    wire.run_for(Duration::from_millis(1));
    assert_eq!(wire.a.counter("icmp.reply_unexpected"), 1);
    // The right one, after the socket has gone.
    wire.a.stack.close(wire.now, id);
    wire.inject(End::A, reply);
    wire.run_for(Duration::from_millis(1));
    assert_eq!(wire.a.counter("icmp.reply_unexpected"), 2);
}

#[test]
fn a_ping_to_everybody_is_not_answered() {
    let mut wire = Wire::new();
    for address in [[10, 0, 0, 255], [255, 255, 255, 255], [224, 0, 0, 1]] {
        let id = echo(&mut wire, IpAddr::from(address));
        wire.a.send(wire.now, id, &request(1), None).unwrap();
    }
    wire.run_for(Duration::from_millis(10));
    assert_eq!(wire.b.counter("icmp.echo_to_broadcast"), 3);
    assert_eq!(wire.b.counter("icmp.echo_answered"), 0);
}

#[test]
fn a_slow_reader_loses_replies_under_a_counter() {
    let mut wire = Wire::new();
    let id = echo(&mut wire, B);
    let data = vec![0; 1400];
    for _ in 0..300 {
        wire.a.send(wire.now, id, &data, None).unwrap();
        wire.run_for(Duration::from_millis(1));
    }
    let mut read = 0;
    while wire.a.receive(wire.now, id).is_ok() {
        read += 1;
    }
    assert_eq!(read + wire.a.counter("icmp.reply_queue_full"), 300);
    assert!((100..300).contains(&read), "{read}");
}

#[test]
fn an_unknown_protocol_is_answered_and_an_answer_to_it_is_not() {
    let mut wire = Wire::new();
    let raw = wire.a.open(SocketKind::Raw(89));
    let mut packet = vec![0; 28];
    let mut header = Ipv4Packet::new_unchecked(&mut packet);
    header.set_version(4);
    header.set_header_len(20);
    header.set_total_len(28);
    header.set_hop_limit(64);
    header.set_next_header(89.into());
    header.set_dst_addr(Ipv4Addr::new(10, 0, 0, 2));
    wire.listen();
    assert_eq!(wire.a.send(wire.now, raw, &packet, None), Ok(28));
    wire.run_for(Duration::from_millis(10));
    assert_eq!(wire.b.counter("ip.unknown_protocol"), 1);
    let (_, complaint) = wire
        .taken()
        .into_iter()
        .rfind(|(from, _)| *from == End::B)
        .expect("a complaint");
    let frame = EthernetFrame::new_checked(&complaint).unwrap();
    let ip = Ipv4Packet::new_checked(frame.payload()).unwrap();
    let icmp = Icmpv4Packet::new_checked(ip.payload()).unwrap();
    assert_eq!(
        (icmp.msg_type(), icmp.msg_code()),
        (Icmpv4Message::DstUnreachable, 2)
    );
    assert_eq!(
        wire.a.counter("icmp.error_unexpected"),
        1,
        "nobody waits for it, and nobody answers it"
    );
    assert_eq!(wire.a.counter("icmp.error_sent"), 0);
}

/// Changes the IP header of a frame and puts its checksum right.
pub(super) fn edit_ip(frame: &mut [u8], edit: impl FnOnce(&mut Ipv4Packet<&mut [u8]>)) {
    let mut ip = Ipv4Packet::new_unchecked(&mut frame[14..]);
    edit(&mut ip);
    ip.fill_checksum();
}
