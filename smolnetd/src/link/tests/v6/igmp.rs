//! IGMP: RFC 3376, and RFC 2236 for older routers.

use smoltcp::wire::{Ipv4Packet, checksum};

use super::*;

const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// A message that left: where to, and its bytes without checksum.
fn sent(bench: &mut Bench) -> Vec<(Ipv4Addr, Vec<u8>)> {
    let frames: Vec<_> = bench.ring.frames.drain(..).collect();
    frames.iter().filter_map(|frame| decode(frame)).collect()
}

/// Checks what every message has: RFC 3376 section 4 (TTL 1, router alert, checksums).
fn decode(frame: &[u8]) -> Option<(Ipv4Addr, Vec<u8>)> {
    let ethernet = EthernetFrame::new_checked(frame).unwrap();
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
    if u8::from(ip.next_header()) != 2 {
        return None;
    }
    let to = ethernet::multicast_address(ip.dst_addr().into()).unwrap();
    assert_eq!(ethernet.dst_addr().0, to);
    assert!(ip.verify_checksum() && ip.hop_limit() == 1 && ip.src_addr() == OURS);
    assert_eq!(ethernet.payload()[20..24], [0x94, 4, 0, 0]);
    assert_eq!(checksum::data(ip.payload()), 0xffff);
    let mut message = ip.payload().to_vec();
    message[2..4].fill(0);
    Some((ip.dst_addr(), message))
}

fn report(kind: u8, group: Ipv4Addr) -> (Ipv4Addr, Vec<u8>) {
    let mut message = vec![0x22, 0, 0, 0, 0, 0, 0, 1, kind, 0, 0, 0];
    message.extend(group.octets());
    (Ipv4Addr::new(224, 0, 0, 22), message)
}

fn old(kind: u8, destination: Ipv4Addr, group: Ipv4Addr) -> (Ipv4Addr, Vec<u8>) {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(group.octets());
    (destination, message)
}

fn packet(destination: Ipv4Addr, alert: bool, mut message: Vec<u8>) -> Vec<u8> {
    let checksum = !checksum::data(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let options: &[u8] = if alert { &[0x94, 4, 0, 0] } else { &[] };
    let header = 20 + options.len();
    let mut packet = vec![
        0x40 | (header / 4) as u8,
        0xc0,
        0,
        (header + message.len()) as u8,
    ];
    packet.extend([0, 0, 0, 0, 1, 2, 0, 0]);
    packet.extend(PEER.octets());
    packet.extend(destination.octets());
    packet.extend(options);
    let checksum = !checksum::data(&packet);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(message);
    packet
}

fn query_message(length: usize, code: u8, group: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![0x11, code, 0, 0];
    message.extend(group.octets());
    message.resize(length, 0);
    message
}

fn hear(bench: &mut Bench, destination: Ipv4Addr, alert: bool, message: Vec<u8>) {
    let to = ethernet::multicast_address(destination.into()).unwrap_or(MAC);
    let packet = packet(destination, alert, message);
    let left = bench.receive(&frame(to, PEER_MAC, EthernetProtocol::Ipv4, &packet));
    assert_eq!(left, None, "IGMP is nobody else's business");
}

/// A general query of so many bytes.
fn ask(bench: &mut Bench, length: usize, code: u8) {
    let message = query_message(length, code, Ipv4Addr::UNSPECIFIED);
    hear(bench, ALL_HOSTS, true, message);
}

/// An adapter that joined the group long ago.
fn joined() -> Bench {
    let mut bench = Bench::new();
    bench.link.join(bench.now, GROUP.into()).unwrap();
    bench.run(Duration::from_secs(5));
    bench.ring.frames.clear();
    bench
}

/// RFC 3376 section 5.1
#[test]
fn joining_and_leaving_are_told_twice_each() {
    let mut bench = Bench::new();
    bench.link.join(bench.now, GROUP.into()).unwrap();
    bench.run(Duration::ZERO);
    assert_eq!(sent(&mut bench), [report(4, GROUP)]);
    bench.run(Duration::from_secs(1));
    assert_eq!(sent(&mut bench), [report(4, GROUP)]);
    bench.link.leave(bench.now, GROUP.into());
    bench.run(Duration::from_secs(2));
    assert_eq!(sent(&mut bench), vec![report(3, GROUP); 2]);
    assert_eq!(bench.link.next_deadline(), None);
}

/// RFC 3376 section 5.2
#[test]
fn queries_are_answered_with_what_is_joined() {
    let mut bench = joined();
    ask(&mut bench, 12, 100);
    bench.run(Duration::from_secs(10));
    assert_eq!(sent(&mut bench), [report(2, GROUP)]);
    hear(&mut bench, GROUP, true, query_message(12, 10, GROUP));
    bench.run(Duration::from_secs(1));
    assert_eq!(sent(&mut bench), [report(2, GROUP)]);
}

/// RFC 3376 section 6: 224.0.0.1 is joined always, and never told.
#[test]
fn who_joined_nothing_says_nothing() {
    let mut bench = Bench::new();
    bench.link.join(bench.now, ALL_HOSTS.into()).unwrap();
    ask(&mut bench, 12, 10);
    bench.run(Duration::from_secs(10));
    assert_eq!(sent(&mut bench), []);
}

/// RFC 3376 section 7.2.1 and RFC 2236 section 3: a router of version 2, until it has been silent for long.
#[test]
fn a_router_of_version_2_is_answered_in_version_2() {
    let mut bench = joined();
    ask(&mut bench, 8, 100);
    bench.run(Duration::from_secs(10));
    assert_eq!(sent(&mut bench), [old(0x16, GROUP, GROUP)]);
    bench.link.leave(bench.now, GROUP.into());
    bench.run(Duration::from_secs(20));
    let all_routers = Ipv4Addr::new(224, 0, 0, 2);
    assert_eq!(sent(&mut bench), [old(0x17, all_routers, GROUP)]);
    bench.run(Duration::from_secs(260));
    bench.link.join(bench.now, GROUP.into()).unwrap();
    bench.run(Duration::ZERO);
    assert_eq!(sent(&mut bench), [report(4, GROUP)]);
}

/// RFC 2236 section 3: another host's report is enough for a router of version 2.
#[test]
fn among_routers_of_version_2_another_hosts_report_is_ours() {
    let mut bench = joined();
    ask(&mut bench, 8, 100);
    hear(&mut bench, GROUP, true, old(0x16, GROUP, GROUP).1);
    bench.run(Duration::from_secs(20));
    assert_eq!(sent(&mut bench), []);
}

/// RFC 3376 section 9.1 and 4.1: what is not to be answered.
#[test]
fn queries_that_a_forger_sent_are_ignored() {
    let general = || query_message(12, 10, Ipv4Addr::UNSPECIFIED);
    let cases = [
        ("no router alert", ALL_HOSTS, false, general()),
        (
            "version 2 without router alert",
            ALL_HOSTS,
            false,
            query_message(8, 10, Ipv4Addr::UNSPECIFIED),
        ),
        ("a general one to another group", GROUP, true, general()),
        (
            "about one station",
            ALL_HOSTS,
            true,
            query_message(12, 10, PEER),
        ),
        (
            "10 bytes",
            ALL_HOSTS,
            true,
            query_message(10, 10, Ipv4Addr::UNSPECIFIED),
        ),
        (
            "7 bytes",
            ALL_HOSTS,
            true,
            query_message(7, 10, Ipv4Addr::UNSPECIFIED),
        ),
    ];
    for (case, destination, alert, message) in cases {
        let mut bench = joined();
        hear(&mut bench, destination, alert, message);
        bench.run(Duration::from_secs(20));
        assert_eq!(sent(&mut bench), [], "{case}");
        assert_eq!(bench.link.counters().igmp_rx_ignored, 1, "{case}");
    }
    let mut bench = joined();
    let mut damaged = packet(ALL_HOSTS, true, general());
    damaged[26] ^= 1;
    let to = ethernet::multicast_address(ALL_HOSTS.into()).unwrap();
    bench.receive(&frame(to, PEER_MAC, EthernetProtocol::Ipv4, &damaged));
    assert_eq!(bench.link.counters().igmp_rx_ignored, 1);
}
