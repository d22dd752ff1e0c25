//! IPv6 packets read byte by byte: extension headers in and out of order (RFC 8200 section 4).

use core::net::Ipv6Addr;

use proptest::collection::vec;
use proptest::prelude::*;
use smoltcp::wire::IpProtocol;

use super::*;

const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 0, 1);
const DESTINATION: Ipv6Addr = Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 0, 2);
const PAYLOAD: &[u8] = b"payload.";

/// Next Header values.
const HOP_BY_HOP: u8 = 0;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const NOTHING: u8 = 59;
const OPTIONS: u8 = 60;

fn header(protocol: u8) -> v6::Header {
    v6::Header {
        source: SOURCE,
        destination: DESTINATION,
        protocol: IpProtocol::from(protocol),
        traffic_class: 0,
        hop_limit: 3,
        flow_label: 0xf_edcb,
    }
}

/// A packet whose headers are `chain`: each with its number, and its bytes behind the first, which names the next.
fn packet(chain: &[(u8, &[u8])], protocol: u8) -> Vec<u8> {
    let mut behind = PAYLOAD.to_vec();
    let mut next = protocol;
    for (number, body) in chain.iter().rev() {
        behind = [&[next], *body, &behind].concat();
        next = *number;
    }
    let mut packet = vec![0xa5; v6::HEADER_LENGTH + behind.len()];
    header(next).write(&mut packet).copy_from_slice(&behind);
    packet
}

/// What becomes of it: the payload's protocol, or the counter and what the sender is told: code, pointer.
fn verdict(packet: &[u8]) -> Result<u8, (String, Option<(u8, u32)>)> {
    let name = |reason: Reason| {
        let mut counters = IpCounters::default();
        *reason(&mut counters) += 1;
        let counted = counters.iter().find(|(_, count)| *count == 1);
        counted.map_or("", |(name, _)| name).to_string()
    };
    let incoming = Incoming::parse(packet).map_err(|reason| (name(reason), None))?;
    match incoming.problem {
        None if incoming.payload == PAYLOAD => Ok(incoming.protocol),
        None => panic!("{incoming:?}"),
        Some(problem) => {
            let told = problem.parameter.map(|told| (told.code, told.pointer));
            Err((name(problem.reason), told))
        }
    }
}

#[test]
fn rfc8200_3_what_is_written_into_dirty_memory_is_read_back() {
    let mut packet = packet(&[], UDP);
    // The link pads short frames.
    packet.extend([0x77; 20]);
    let read = Incoming::parse(&packet).unwrap_or_else(|_| panic!("{packet:?}"));
    assert_eq!(
        (read.source, read.destination, read.protocol, read.hop_limit),
        (SOURCE.into(), DESTINATION.into(), UDP, 3)
    );
    assert_eq!((read.payload, read.packet.len()), (PAYLOAD, 48));
    assert_eq!(
        packet[..4],
        [0x60, 0x0f, 0xed, 0xcb],
        "version, class, flow label"
    );
    for length in [0, 39, 65_576] {
        let mut packet = vec![0xa5; length];
        assert!(header(UDP).write(&mut packet).is_empty());
        assert!(packet.iter().all(|byte| *byte == 0xa5), "{length}");
    }
}

#[test]
fn rfc8200_4_1_extension_headers_are_stepped_over() {
    // Router alert (RFC 2711) and padding, options that may be stepped over, a route that is at its end, an atomic
    // fragment.
    let hop_by_hop: &[u8] = &[0, 5, 2, 0, 0, 1, 0];
    let options: &[u8] = &[1, 0x1e, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let routing: &[u8] = &[0, 4, 0, 0, 0, 0, 0];
    let atomic: &[u8] = &[0xff, 0, 0, 1, 2, 3, 4];
    let chain = [
        (HOP_BY_HOP, hop_by_hop),
        (OPTIONS, options),
        (ROUTING, routing),
        (FRAGMENT, atomic),
        (OPTIONS, &[0, 1, 4, 0, 0, 0, 0]),
    ];
    let whole = packet(&chain, UDP);
    assert_eq!(verdict(&whole), Ok(UDP));
    let read = Incoming::parse(&whole).unwrap_or_else(|_| panic!("{whole:?}"));
    assert!(read.atomic && read.fragment.is_none(), "RFC 6946");
    assert_eq!(read.plain(), packet(&[], UDP), "without its headers");
    assert_eq!(read.next_header_at, 40 + 8 + 16 + 8 + 8);
    assert_eq!(verdict(&packet(&[], NOTHING)), Ok(NOTHING));
}

#[test]
fn rfc8200_4_what_cannot_be_stepped_over_is_dropped_under_its_reason() {
    let option = |kind: u8| [0, kind, 4, 0, 0, 0, 0];
    let bad = |told| Err(("bad_extension".into(), told));
    let unknown = |told| Err(("unknown_option".into(), told));
    let pad: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
    let route: &[u8] = &[0, 0, 1, 0, 0, 0, 0];
    let end: &[u8] = &[0, 0, 0, 0, 0, 0, 0];
    type Chain<'c> = Vec<(u8, &'c [u8])>;
    let options = [0x1e, 0x5e, 0x9e, 0xde, 0xc2].map(option);
    let [skip, discard, tell_all, tell, jumbo] = &options;
    let table: Vec<(Chain<'_>, Result<u8, _>)> = vec![
        (vec![(OPTIONS, skip)], Ok(UDP)),
        (vec![(OPTIONS, discard)], unknown(None)),
        (vec![(OPTIONS, tell_all)], unknown(Some((2, 42)))),
        (
            vec![(HOP_BY_HOP, pad), (OPTIONS, tell)],
            unknown(Some((2, 50))),
        ),
        // RFC 2675: not spoken here.
        (vec![(HOP_BY_HOP, jumbo)], unknown(Some((2, 42)))),
        // RFC 8200 4.1: only first.
        (vec![(OPTIONS, pad), (HOP_BY_HOP, pad)], bad(Some((1, 40)))),
        // RFC 5095.
        (
            vec![(ROUTING, route)],
            Err(("routing_header".into(), Some((0, 42)))),
        ),
        (vec![(ROUTING, end)], Ok(UDP)),
        (vec![(ROUTING, end), (ROUTING, end)], bad(None)),
        // An option, and a header, that are longer than what holds them.
        (vec![(OPTIONS, &[0, 0x1e, 5, 0, 0, 0, 0])], bad(None)),
        (vec![(OPTIONS, &[0, 1, 3, 0, 0, 0, 0x1e])], bad(None)),
        (vec![(OPTIONS, &[9, 1, 4, 0, 0, 0, 0])], bad(None)),
        // The first problem counts, whatever comes behind it.
        (vec![(OPTIONS, discard), (ROUTING, route)], unknown(None)),
        (vec![(OPTIONS, pad); 7], Ok(UDP)),
        (
            vec![(OPTIONS, pad); 8],
            Err(("many_extensions".into(), None)),
        ),
    ];
    for (chain, expected) in table {
        assert_eq!(verdict(&packet(&chain, UDP)), expected, "{chain:?}");
    }
    let groups = |option: &[u8]| {
        let packet = packet(&[(OPTIONS, option)], UDP);
        let read = Incoming::parse(&packet).unwrap_or_else(|_| panic!("{packet:?}"));
        read.problem
            .and_then(|problem| problem.parameter)
            .is_some_and(|told| told.to_groups)
    };
    assert!(groups(tell_all) && !groups(tell), "RFC 8200 4.2: 10 and 11");
}

#[test]
fn rfc8200_4_5_a_fragment_says_what_it_takes_to_put_it_together() {
    let pad: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
    let part: &[u8] = &[0, 0, 0x29, 0xde, 0xad, 0xbe, 0xef];
    let packet = packet(&[(HOP_BY_HOP, pad), (FRAGMENT, part)], UDP);
    let read = Incoming::parse(&packet).unwrap_or_else(|_| panic!("{packet:?}"));
    let fragment = Fragment {
        identification: 0xdead_beef,
        offset: 0x28,
        more: true,
        unfragmentable: 48,
        next_header_at: 40,
    };
    assert_eq!((read.fragment, read.protocol), (Some(fragment), UDP));
    assert_eq!(read.payload, PAYLOAD);
    assert_eq!(packet[fragment.next_header_at], FRAGMENT);
}

#[test]
fn an_ipv4_fragment_says_the_same() {
    let mut packet = vec![0; 28];
    let outgoing = v4::Header {
        source: [10, 0, 0, 1].into(),
        destination: [10, 0, 0, 2].into(),
        protocol: IpProtocol::Udp,
        traffic_class: 0,
        ttl: 64,
        identification: 7,
    };
    outgoing.write(&mut packet);
    let mut header = smoltcp::wire::Ipv4Packet::new_unchecked(&mut packet);
    header.set_frag_offset(1480);
    header.fill_checksum();
    let read = Incoming::parse(&packet).unwrap_or_else(|_| panic!("{packet:?}"));
    let fragment = read.fragment.expect("a fragment");
    assert_eq!(
        (fragment.identification, fragment.offset, fragment.more),
        (7, 1480, false)
    );
}

#[test]
fn what_is_quoted_can_be_told_though_its_end_is_missing() {
    let pad: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
    let first: &[u8] = &[0, 0, 1, 0, 0, 0, 9];
    let later: &[u8] = &[0, 0, 9, 0, 0, 0, 9];
    let whole = packet(&[(OPTIONS, pad), (FRAGMENT, first), (OPTIONS, pad)], UDP);
    let quote = v6::quoted(&whole[..whole.len() - 4]).expect("enough of it");
    assert_eq!(
        (quote.source, quote.protocol, quote.length),
        (SOURCE, UDP, 72)
    );
    assert_eq!(quote.payload, b"payl");
    for cut in 0..64 {
        assert!(v6::quoted(&whole[..cut]).is_none(), "{cut}");
    }
    assert!(v6::quoted(&packet(&[(FRAGMENT, later)], UDP)).is_none());
}

proptest! {
    /// RFC 8200 4: whatever the bytes, the walk ends inside the packet.
    #[test]
    fn no_bytes_lead_out_of_the_packet(first in any::<u8>(), body in vec(prop_oneof![any::<u8>(), 0_u8..4, 43_u8..45, 60_u8..61], 0..300)) {
        let mut packet = vec![0; v6::HEADER_LENGTH + body.len()];
        header(first).write(&mut packet).copy_from_slice(&body);
        if let Ok(read) = Incoming::parse(&packet) {
            prop_assert!(read.payload.len() <= body.len());
            prop_assert!(read.next_header_at < packet.len());
            prop_assert!(read.plain().len() <= packet.len());
            if let Some(told) = read.problem.and_then(|problem| problem.parameter) {
                prop_assert!((told.pointer as usize) < packet.len());
            }
        }
        let _ = v6::quoted(&packet);
    }
}
