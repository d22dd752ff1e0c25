//! Stories of the stateless DHCPv6 client (RFC 8415 section 18.2.6), told through a host that hears a router: the
//! server is the test's own.

mod hostile;

use core::net::Ipv6Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpProtocol, Ipv6Packet, Ipv6Repr, UdpPacket, UdpRepr};

use crate::link::autoconf::Action;
use crate::link::autoconf::tests::advertisement::{Ra, router};
use crate::link::autoconf::tests::{Bench, MAC, OURS, solicitations};

/// OTHER_CONFIG of an advertisement.
const O: u8 = 0x40;
const M: u8 = 0x80;
const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, 1);
const DNS: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0, 0, 0, 0, 3);
const DUID: [u8; 10] = [0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// A message of the client, read by other hands than ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    xid: [u8; 3],
    options: Vec<(u16, Vec<u8>)>,
}

impl Request {
    fn option(&self, code: u16) -> Option<&[u8]> {
        let mut options = self.options.iter();
        options
            .find(|(other, _)| *other == code)
            .map(|(_, value)| value.as_slice())
    }
}

/// Reads a message and holds it against RFC 8415 sections 7 and 18.2.6.
fn read(packet: &[u8]) -> Option<Request> {
    let ip = Ipv6Packet::new_checked(packet).unwrap();
    if ip.next_header() != IpProtocol::Udp {
        return None;
    }
    assert_eq!(ip.src_addr(), OURS);
    assert_eq!(ip.dst_addr().to_string(), "ff02::1:2");
    let udp = UdpPacket::new_checked(ip.payload()).unwrap();
    assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    assert_eq!((udp.src_port(), udp.dst_port()), (546, 547));
    let [11, x0, x1, x2, ref rest @ ..] = *udp.payload() else {
        panic!("no Information-request: {:02x?}", udp.payload());
    };
    let mut options = Vec::new();
    let mut rest = rest;
    while let [c0, c1, l0, l1, ref after @ ..] = *rest {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        options.push((u16::from_be_bytes([c0, c1]), after[..length].to_vec()));
        rest = &after[length..];
    }
    assert_eq!(rest, []);
    Some(Request {
        xid: [x0, x1, x2],
        options,
    })
}

/// The client's messages among what was to be done.
fn requests(done: &[(Instant, Action)]) -> Vec<(Instant, Request)> {
    let sent = done.iter().filter_map(|(at, action)| match action {
        Action::Multicast(packet) => Some((*at, read(packet)?)),
        _ => None,
    });
    sent.collect()
}

/// A reply, option by option.
#[derive(Clone, Debug)]
struct Reply {
    kind: u8,
    xid: [u8; 3],
    source: Ipv6Addr,
    destination: Ipv6Addr,
    options: Vec<(u16, Vec<u8>)>,
}

impl Reply {
    /// As dnsmasq and slirp say it.
    fn to(request: &Request) -> Reply {
        let options = vec![
            (1, DUID.to_vec()),
            (2, vec![0, 3, 0, 1, 2, 2, 2, 2, 2, 2]),
            (23, DNS.octets().to_vec()),
            (24, b"\x03lab\x04test\0".to_vec()),
        ];
        Reply {
            kind: 7,
            xid: request.xid,
            source: SERVER,
            destination: OURS,
            options,
        }
    }

    /// With this option instead of the one it has.
    fn with(mut self, code: u16, value: &[u8]) -> Reply {
        self = self.without(code);
        self.options.push((code, value.to_vec()));
        self
    }

    fn without(mut self, code: u16) -> Reply {
        self.options.retain(|(other, _)| *other != code);
        self
    }

    fn message(&self) -> Vec<u8> {
        let mut message = vec![self.kind];
        message.extend(self.xid);
        for (code, value) in &self.options {
            message.extend(code.to_be_bytes());
            message.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            message.extend(value);
        }
        message
    }

    fn packet(&self) -> Vec<u8> {
        udp(self.source, self.destination, 546, &self.message())
    }
}

fn udp(source: Ipv6Addr, destination: Ipv6Addr, port: u16, message: &[u8]) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: 547,
        dst_port: port,
    };
    let ip = Ipv6Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Udp,
        payload_len: 8 + message.len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; 48 + message.len()];
    let mut packet = Ipv6Packet::new_unchecked(bytes.as_mut_slice());
    ip.emit(&mut packet);
    udp.emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &source.into(),
        &destination.into(),
        message.len(),
        |payload| payload.copy_from_slice(message),
        &ChecksumCapabilities::default(),
    );
    bytes
}

fn told(flags: u8) -> Ra {
    Ra::from(1).flags(flags)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A host whose router has said that there is a server, and its question.
fn asking() -> (Bench, Request) {
    let mut bench = Bench::new();
    bench.run(seconds(1));
    let mut done: Vec<_> = bench
        .hear(&told(O))
        .into_iter()
        .map(|action| (bench.now, action))
        .collect();
    done.extend(bench.run(Duration::from_millis(100)));
    let mut requests = requests(&done);
    assert_eq!(requests.len(), 1, "{requests:#?}");
    (bench, requests.remove(0).1)
}

/// RFC 8415 section 18.2.6, RFC 4861 section 4.2.
#[test]
fn rfc8415_18_2_6_a_router_with_the_flag_o_or_m_makes_a_host_ask() {
    for (flags, asks) in [(0, false), (O, true), (M, true), (M | O, true)] {
        let mut bench = Bench::new();
        bench.hear(&told(flags));
        let done = bench.run(Duration::from_millis(100));
        assert_eq!(requests(&done).len(), usize::from(asks), "flags {flags:#x}");
    }
}

/// RFC 8415 sections 18.2.6, 21.2, 21.7, 21.9 and 11.4.
#[test]
fn rfc8415_18_2_6_an_information_request_says_who_asks_and_for_what() {
    let (mut bench, request) = asking();
    assert_eq!(request.option(1), Some(DUID.as_slice()), "{request:?}");
    let wanted = [0, 23, 0, 24, 0, 32, 0, 83];
    assert_eq!(request.option(6), Some(wanted.as_slice()), "{request:?}");
    assert_eq!(request.option(8), Some([0, 0].as_slice()), "{request:?}");
    assert_eq!(request.options.len(), 3);
    let again = requests(&bench.run(seconds(2)));
    let [(_, again)] = again.as_slice() else {
        panic!("{again:#?}");
    };
    assert_eq!(again.xid, request.xid, "RFC 8415 section 16.1");
    let elapsed = again.option(8).unwrap();
    let elapsed = u16::from_be_bytes([elapsed[0], elapsed[1]]);
    assert!((90..=110).contains(&elapsed), "{elapsed} hundredths");
}

/// RFC 8415 sections 7.6 and 15: a second, doubled up to an hour, and never an end.
#[test]
fn rfc8415_15_a_server_that_does_not_answer_is_asked_ever_more_seldom() {
    let (mut bench, _) = asking();
    let sent = requests(&bench.run(seconds(86_400)));
    let at: Vec<i64> = sent.iter().map(|(at, _)| at.total_millis()).collect();
    let gaps: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for pair in gaps.windows(2) {
        let longest = (3_240_000..=3_960_000).contains(&pair[1]);
        let doubled = (pair[0] * 19 / 10 - 1..=pair[0] * 21 / 10 + 1).contains(&pair[1]);
        assert!(longest || doubled, "{gaps:?}");
    }
    assert!((29..45).contains(&sent.len()), "{gaps:?}");
    let elapsed = sent.last().unwrap().1.option(8).unwrap().to_vec();
    assert_eq!(elapsed, [0xff, 0xff], "RFC 8415 section 21.9");
}

/// RFC 8415 section 18.2.10.4, RFC 3646.
#[test]
fn rfc3646_a_reply_brings_name_servers_and_domains() {
    let (mut bench, request) = asking();
    assert!(bench.host.receive(bench.now, &Reply::to(&request).packet()));
    assert_eq!(bench.actions(), [Action::Resolvers]);
    assert_eq!(bench.host.resolvers(), [DNS]);
    assert_eq!(bench.host.search(), ["lab.test"]);
    assert_eq!(bench.counter("dhcpv6_replies"), 1);
    let done = bench.run(seconds(3600));
    assert_eq!(requests(&done), []);
}

/// RFC 8106 section 5.3.1: what routers say comes first.
#[test]
fn rfc8106_5_3_1_name_servers_of_routers_come_before_those_of_dhcpv6() {
    let (mut bench, request) = asking();
    bench.host.receive(bench.now, &Reply::to(&request).packet());
    bench.hear(&told(O).rdnss(600, &[router(9), DNS]));
    assert_eq!(bench.host.resolvers(), [router(9), DNS]);
}

/// RFC 8415 section 21.23: after a day, or as the option says, but not within ten minutes.
#[test]
fn rfc8415_21_23_the_answer_is_refreshed() {
    let refreshed = |option: Option<u32>| {
        let (mut bench, request) = asking();
        let mut reply = Reply::to(&request);
        if let Some(seconds) = option {
            reply = reply.with(32, &seconds.to_be_bytes());
        }
        bench.host.receive(bench.now, &reply.packet());
        let answered = bench.now;
        let sent = requests(&bench.run(seconds(200_000)));
        let (at, again) = sent.first()?;
        assert_ne!(again.xid, request.xid, "a new exchange");
        assert_eq!(bench.host.resolvers(), [DNS], "kept meanwhile");
        Some((*at - answered).secs())
    };
    assert_eq!(refreshed(None), Some(86_400));
    assert_eq!(refreshed(Some(3600)), Some(3600));
    assert_eq!(refreshed(Some(0)), Some(600));
    assert_eq!(refreshed(Some(u32::MAX)), None);
}

/// RFC 8415 section 21.25: a server may have us ask less often, within bounds.
#[test]
fn rfc8415_21_25_a_server_sets_the_longest_wait() {
    for (asked, longest) in [(60_u32, 66), (59, 3960), (86_401, 3960)] {
        let (mut bench, request) = asking();
        let refused = Reply::to(&request)
            .with(13, &[0, 1])
            .with(83, &asked.to_be_bytes());
        bench.host.receive(bench.now, &refused.packet());
        assert_eq!(bench.counter("dhcpv6_rx_failure"), 1);
        let sent = requests(&bench.run(seconds(86_400)));
        let last: Vec<_> = sent.iter().rev().take(2).map(|(at, _)| *at).collect();
        let gap = (last[0] - last[1]).secs();
        assert!(gap <= longest && gap * 11 / 9 >= longest, "{asked}: {gap}");
    }
}

#[test]
fn without_an_address_of_its_own_a_host_does_not_ask() {
    let mut bench = Bench::new();
    bench.host.set_link_local(bench.now, None);
    bench.hear(&told(O));
    assert_eq!(requests(&bench.run(seconds(10))), []);
    bench.host.set_link_local(bench.now, Some(OURS));
    let done = bench.run(Duration::from_millis(100));
    assert_eq!(requests(&done).len(), 1);
}

#[test]
fn while_a_program_holds_the_port_the_client_is_silent_and_takes_nothing() {
    let (mut bench, request) = asking();
    bench.host.allow_dhcpv6(bench.now, false);
    let reply = Reply::to(&request).packet();
    assert!(
        !bench.host.receive(bench.now, &reply),
        "it is the program's"
    );
    assert_eq!(requests(&bench.run(seconds(100))), []);
    bench.host.allow_dhcpv6(bench.now, true);
    assert_eq!(requests(&bench.run(Duration::from_millis(100))).len(), 1);
}

/// A carrier that returns: what is known stays, and it is asked again as soon as a router says so.
#[test]
fn rfc8415_18_2_12_when_the_carrier_returns_it_is_asked_again() {
    let (mut bench, request) = asking();
    bench.host.receive(bench.now, &Reply::to(&request).packet());
    bench.host.set_carrier(bench.now, false);
    assert_eq!(requests(&bench.run(seconds(10))), []);
    bench.host.set_carrier(bench.now, true);
    let done = bench.run(seconds(1));
    assert_eq!((requests(&done).len(), solicitations(&done).len()), (0, 1));
    assert_eq!(bench.host.resolvers(), [DNS]);
    bench.hear(&told(O));
    let done = bench.run(Duration::from_millis(100));
    assert_eq!(requests(&done).len(), 1);
}

/// On another network: what its server says stays, what the former one's said goes.
#[test]
fn on_another_network_only_what_was_said_there_is_kept() {
    let home = || told(O).usual(1, 86_400, 14_400);
    let elsewhere = || Ra::from(2).flags(O).usual(7, 86_400, 14_400);
    for answers in [false, true] {
        let (mut bench, request) = asking();
        bench.hear(&home());
        bench.host.receive(bench.now, &Reply::to(&request).packet());
        for carrier in [false, true] {
            bench.host.set_carrier(bench.now, carrier);
            bench.run(seconds(1));
        }
        bench.hear(&elsewhere());
        let done = bench.run(Duration::from_millis(100));
        let [(_, again)] = &requests(&done)[..] else {
            panic!("{done:?}");
        };
        let other = Reply::to(again).with(23, &router(9).octets());
        if answers {
            bench.host.receive(bench.now, &other.packet());
        }
        bench.run(seconds(5));
        let expected = if answers { vec![router(9)] } else { vec![] };
        assert_eq!(bench.host.resolvers(), expected);
        assert_eq!(bench.counter("network_changed"), 1);
    }
}

#[test]
fn the_clients_identifier_is_made_of_its_ethernet_address() {
    assert_eq!(super::wire::duid(MAC), DUID);
}
