//! What a hostile or broken server says.

use core::net::IpAddr;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use smoltcp::wire::IpCidr;

use super::*;
use crate::link::LinkCounters;
use crate::link::tests::{OTHER_MAC, cidr};

/// How a reply is made worse.
type Change = fn(FromServer) -> FromServer;

/// A client that waits for an offer.
fn selecting() -> (Bench, FromClient) {
    let mut bench = Bench::bare();
    bench.link.dhcp_enable(bench.now, true);
    bench.run(Duration::ZERO);
    let discover = bench.client_message();
    (bench, discover)
}

/// A client that was offered an address and has asked for it.
fn requesting() -> (Bench, FromClient) {
    let (mut bench, discover) = selecting();
    bench.serve(&FromServer::offer(&discover));
    let request = bench.client_message();
    (bench, request)
}

/// The lease that comes of an acknowledgement changed so.
fn leased(change: impl FnOnce(FromServer) -> FromServer) -> Option<Lease> {
    let (mut bench, request) = requesting();
    bench.serve(&change(FromServer::ack(&request)));
    bench.link.lease().cloned()
}

#[test]
fn offers_that_are_not_for_us_are_passed_over() {
    let cases: [(&str, Change); 6] = [
        ("another transaction", |reply| FromServer {
            xid: reply.xid ^ 1,
            ..reply
        }),
        ("another client", |reply| FromServer {
            chaddr: OTHER_MAC,
            ..reply
        }),
        ("an acknowledgement that nobody asked for", |reply| {
            FromServer { kind: 5, ..reply }
        }),
        ("a client's message", |reply| FromServer {
            kind: 1,
            ..reply
        }),
        ("no message type that there is", |reply| FromServer {
            kind: 0,
            ..reply
        }),
        ("a refusal of nothing", |reply| FromServer {
            kind: 6,
            ..reply
        }),
    ];
    for (case, change) in cases {
        let (mut bench, discover) = selecting();
        bench.serve(&change(FromServer::offer(&discover)));
        assert_eq!(bench.client_messages(), [], "{case}");
        assert_eq!(
            bench.link.counters().dhcp_rx_unexpected,
            1,
            "{case}: {:?}",
            bench.link.counters()
        );
    }
}

#[test]
fn offers_that_cannot_be_used_are_passed_over_and_the_next_good_one_is_taken() {
    let cases: [(&str, Change); 11] = [
        ("no address", |reply| FromServer {
            yiaddr: Ipv4Addr::UNSPECIFIED,
            ..reply
        }),
        ("the broadcast address", |reply| FromServer {
            yiaddr: Ipv4Addr::BROADCAST,
            ..reply
        }),
        ("a multicast address", |reply| FromServer {
            yiaddr: Ipv4Addr::new(224, 0, 0, 1),
            ..reply
        }),
        ("a loopback address", |reply| FromServer {
            yiaddr: Ipv4Addr::LOCALHOST,
            ..reply
        }),
        ("the network's own address", |reply| FromServer {
            yiaddr: Ipv4Addr::new(10, 0, 2, 0),
            ..reply
        }),
        ("the network's broadcast address", |reply| FromServer {
            yiaddr: Ipv4Addr::new(10, 0, 2, 255),
            ..reply
        }),
        ("no server", |reply| {
            reply.without(option::SERVER_IDENTIFIER)
        }),
        ("no server that there can be", |reply| {
            reply.with(option::SERVER_IDENTIFIER, &[0; 4])
        }),
        ("no lease time", |reply| reply.without(option::LEASE_TIME)),
        ("a lease of no time", |reply| {
            reply.with(option::LEASE_TIME, &[0; 4])
        }),
        ("a lease time cut short", |reply| {
            reply.with(option::LEASE_TIME, &[0, 1])
        }),
    ];
    for (case, change) in cases {
        let (mut bench, discover) = selecting();
        bench.serve(&change(FromServer::offer(&discover)));
        assert_eq!(bench.client_messages(), [], "{case}");
        assert_eq!(
            bench.link.counters().dhcp_rx_unusable,
            1,
            "{case}: {:?}",
            bench.link.counters()
        );
        bench.serve(&FromServer::offer(&discover));
        assert_eq!(
            bench.client_message().kind,
            DhcpMessageType::Request,
            "{case}"
        );
    }
}

#[test]
fn an_acknowledgement_from_a_server_that_was_not_chosen_is_passed_over() {
    let (mut bench, request) = requesting();
    bench.serve(&FromServer::ack(&request).with(option::SERVER_IDENTIFIER, &[10, 0, 2, 66]));
    assert_eq!(bench.link.lease(), None);
    bench.serve(&FromServer::ack(&request));
    assert!(bench.link.lease().is_some());
}

#[test]
fn a_mask_that_is_missing_or_none_is_that_of_the_class() {
    let prefix = |change: Change| leased(change).map(|lease| lease.address.prefix_len());
    assert_eq!(prefix(|reply| reply.without(option::SUBNET_MASK)), Some(8));
    assert_eq!(
        prefix(|reply| reply.with(option::SUBNET_MASK, &[0; 4])),
        Some(8)
    );
    assert_eq!(
        prefix(|reply| reply.with(option::SUBNET_MASK, &[255, 0, 255, 0])),
        Some(8)
    );
    assert_eq!(
        prefix(|reply| reply.with(option::SUBNET_MASK, &[255, 255])),
        Some(8)
    );
    assert_eq!(
        prefix(|reply| reply.with(option::SUBNET_MASK, &[255, 255, 255, 255])),
        Some(32)
    );
    let of = |address: [u8; 4]| {
        let change = move |reply: FromServer| {
            FromServer {
                yiaddr: address.into(),
                ..reply
            }
            .without(option::SUBNET_MASK)
        };
        leased(change).map(|lease| lease.address)
    };
    assert_eq!(of([172, 16, 5, 5]), Some(cidr([172, 16, 5, 5].into(), 16)));
    assert_eq!(
        of([192, 168, 5, 5]),
        Some(cidr([192, 168, 5, 5].into(), 24))
    );
}

#[test]
fn routers_and_name_servers_that_cannot_be_such_are_left_out() {
    let addresses = [
        [0, 0, 0, 0],
        [10, 0, 2, 2],
        [255; 4],
        [10, 0, 2, 2],
        [224, 0, 0, 1],
        [10, 0, 2, 15],
        [1, 1, 1, 1],
    ];
    let value: Vec<u8> = addresses.concat().into_iter().chain([9, 9]).collect();
    let lease = leased(|reply| {
        reply
            .with(option::ROUTER, &value)
            .with(option::DOMAIN_NAME_SERVER, &value)
    })
    .unwrap();
    assert_eq!(
        lease.routers,
        ["10.0.2.2", "1.1.1.1"].map(|address| address.parse::<IpAddr>().unwrap())
    );
    let dns =
        ["10.0.2.2", "10.0.2.15", "1.1.1.1"].map(|address| address.parse::<IpAddr>().unwrap());
    assert_eq!(lease.dns, dns);
    let many: Vec<u8> = (1..=60).flat_map(|number| [10, 0, 2, number]).collect();
    let lease = leased(|reply| reply.with(option::DOMAIN_NAME_SERVER, &many)).unwrap();
    assert_eq!(lease.dns.len(), 8, "there is a bound");
}

#[test]
fn a_tiny_mtu_is_ignored_and_a_large_one_is_the_adapters() {
    let mtu = |value: u16| {
        leased(|reply| reply.with(option::INTERFACE_MTU, &value.to_be_bytes()))
            .unwrap()
            .mtu
    };
    assert_eq!(mtu(68), None);
    assert_eq!(mtu(1400), Some(1400));
    assert_eq!(mtu(9000), Some(1500));
}

#[test]
fn a_domain_name_with_anything_in_it_is_left_out() {
    let domain = |value: &[u8]| {
        leased(|reply| reply.with(option::DOMAIN_NAME, value))
            .unwrap()
            .domain
    };
    assert_eq!(domain(b"example.org").as_deref(), Some("example.org"));
    assert_eq!(domain(b"example.org\0").as_deref(), Some("example.org"));
    assert_eq!(domain(b"a\nnameserver 6.6.6.6"), None);
    assert_eq!(domain(b"\x1b[2J"), None);
    assert_eq!(domain(b""), None);
}

#[test]
fn renewal_times_out_of_order_are_replaced_by_the_usual_ones() {
    let times: [(u32, u32); 7] = [
        (0, 0),
        (0, 3000),
        (1, 3000),
        (3600, 3600),
        (9999, 9999),
        (3000, 2000),
        (u32::MAX, u32::MAX),
    ];
    for (t1, t2) in times {
        let (mut bench, request) = requesting();
        let reply = FromServer::ack(&request)
            .with(option::RENEWAL_TIME, &t1.to_be_bytes())
            .with(option::REBINDING_TIME, &t2.to_be_bytes());
        bench.serve(&reply);
        // The announcements of the new address; from there on, peace.
        bench.run(Duration::from_secs(4));
        bench.sent();
        bench.run(Duration::from_secs(1690));
        assert_eq!(bench.sent(), [], "{t1} {t2}: too early");
        bench.run(Duration::from_secs(107));
        assert!(
            !bench.sent().is_empty(),
            "{t1} {t2}: a renewal at half time"
        );
    }
    let (mut bench, request) = requesting();
    bench.serve(&FromServer::ack(&request).with(option::RENEWAL_TIME, &600_u32.to_be_bytes()));
    bench.run(Duration::from_secs(585));
    bench.sent();
    bench.run(Duration::from_secs(16));
    assert!(!bench.sent().is_empty(), "the server's own time is taken");
}

#[test]
fn options_in_the_fields_of_others_and_in_parts_are_found() {
    let (mut bench, request) = requesting();
    let reply = FromServer::ack(&request)
        .without(option::ROUTER)
        .without(option::DOMAIN_NAME_SERVER)
        .with(option::OVERLOAD, &[3]);
    let mut message = reply.message();
    // RFC 2131 section 4.1: file is read before sname; RFC 3396: parts are put together.
    message[108..116].copy_from_slice(&[option::ROUTER, 2, 10, 0, option::END, 0, 0, 0]);
    message[44..53].copy_from_slice(&[0, option::ROUTER, 2, 2, 9, option::END, 0, 0, 0]);
    bench.serve_bytes(&message);
    assert_eq!(
        bench.link.lease().unwrap().routers,
        [IpAddr::from([10, 0, 2, 9])]
    );
    // Without the overload these fields are a file's and a server's name.
    let (mut bench, request) = requesting();
    let mut message = FromServer::ack(&request).without(option::ROUTER).message();
    message[108..115].copy_from_slice(&[option::ROUTER, 4, 10, 0, 2, 9, option::END]);
    bench.serve_bytes(&message);
    assert_eq!(bench.link.lease().unwrap().routers, Vec::<IpAddr>::new());
}

#[test]
fn replies_damaged_on_the_way() {
    let damages: [fn(&mut Vec<u8>); 6] = [
        |bytes| bytes[10] ^= 1,
        |bytes| bytes[26] ^= 1,
        |bytes| bytes[100] ^= 1,
        // From another port than the server's, with the checksum made good.
        |bytes| bytes[21] ^= 1,
        |bytes| bytes[28] = 1,
        |bytes| bytes[264] ^= 1,
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let (mut bench, discover) = selecting();
        let mut bytes = packet(&FromServer::offer(&discover).message(), OURS);
        damage(&mut bytes);
        if number > 2 {
            let mut udp = UdpPacket::new_unchecked(&mut bytes[20..]);
            udp.fill_checksum(&PEER.into(), &OURS.into());
        }
        bench.receive(&frame(MAC, PEER_MAC, EthernetProtocol::Ipv4, &bytes));
        assert_eq!(bench.client_messages(), [], "damage {number}");
        assert_eq!(
            bench.link.counters().dhcp_rx_malformed,
            1,
            "damage {number}: {:?}",
            bench.link.counters()
        );
    }
}

#[test]
fn a_reply_cut_short_anywhere_is_no_lease_by_chance() {
    let (mut bench, discover) = selecting();
    let whole = FromServer::offer(&discover).message();
    for length in 0..whole.len() - 1 {
        bench.serve_bytes(&whole[..length]);
    }
    let LinkCounters {
        dhcp_rx_malformed,
        dhcp_rx_unexpected,
        dhcp_rx_unusable,
        ..
    } = *bench.link.counters();
    assert_eq!(
        dhcp_rx_malformed, 240,
        "shorter than the fixed part and the cookie"
    );
    assert!(dhcp_rx_unexpected >= 3, "no message type");
    assert!(dhcp_rx_unusable > 0, "no lease time yet");
    assert_eq!(
        dhcp_rx_malformed + dhcp_rx_unexpected + dhcp_rx_unusable,
        whole.len() as u64 - 1
    );
    assert_eq!(bench.client_messages(), []);
}

#[test]
fn datagrams_for_other_ports_are_the_stacks() {
    let (mut bench, discover) = selecting();
    let mut bytes = packet(&FromServer::offer(&discover).message(), OURS);
    bytes[23] = 69;
    assert_eq!(
        bench.receive(&frame(MAC, PEER_MAC, EthernetProtocol::Ipv4, &bytes)),
        Some(bytes.clone())
    );
    // A later fragment has no ports: what stands there is data.
    bytes[23] = 68;
    bytes[6] = 0x20;
    assert_eq!(
        bench.receive(&frame(MAC, PEER_MAC, EthernetProtocol::Ipv4, &bytes)),
        Some(bytes)
    );
}

/// Options that make some sense, some of them, in any order.
fn options() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let codes = prop_oneof![
        Just(option::SUBNET_MASK),
        Just(option::ROUTER),
        Just(option::DOMAIN_NAME_SERVER),
        Just(option::DOMAIN_NAME),
        Just(option::INTERFACE_MTU),
        Just(option::LEASE_TIME),
        Just(option::OVERLOAD),
        Just(option::SERVER_IDENTIFIER),
        Just(option::RENEWAL_TIME),
        Just(option::REBINDING_TIME),
        any::<u8>(),
    ];
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        any::<u32>().prop_map(|number| number.to_be_bytes().to_vec()),
        (10..100_000_u32).prop_map(|number| number.to_be_bytes().to_vec()),
    ];
    proptest::collection::vec((codes, value), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2131),
        ..ProptestConfig::default()
    })]

    /// Whatever a server says, nothing panics, and what is taken makes sense.
    #[test]
    fn any_server_leaves_a_lease_that_makes_sense_or_none(
        replies in proptest::collection::vec(
            (2..7_u8, any::<u32>(), options(), proptest::collection::vec((0..400_usize, any::<u8>()), 0..4),
             0..2_000_u64, any::<bool>()),
            1..12,
        ),
    ) {
        let (mut bench, mut last) = selecting();
        for (kind, yiaddr, options, damage, seconds, good) in replies {
            let base = FromServer { kind, ..FromServer::new(kind, last.xid, 600) };
            let mut reply = if good { base } else { FromServer { yiaddr: yiaddr.into(), ..base } };
            reply = options.into_iter().fold(reply, |reply, (code, value)| reply.with(code, &value));
            let mut message = reply.message();
            for (place, value) in damage {
                if let Some(byte) = message.get_mut(place) {
                    *byte = value;
                }
            }
            bench.serve_bytes(&message);
            if let Some(lease) = bench.link.lease() {
                let address = IpAddr::from(lease.address.address());
                prop_assert!(address.is_ipv4() && !address.is_loopback() && !address.is_multicast());
                prop_assert!(!address.is_unspecified() && bench.link.has_address(address));
                prop_assert!((1..=32).contains(&lease.address.prefix_len()));
                prop_assert!(matches!(lease.address, IpCidr::Ipv4(own) if own.broadcast() != Some(own.address())));
                prop_assert!(lease.duration.is_none_or(|time| time >= Duration::from_secs(10)));
                prop_assert!(lease.mtu.is_none_or(|mtu| (576..=1500).contains(&mtu)));
                prop_assert!(lease.routers.iter().chain(&lease.dns).all(|address| !address.is_unspecified()));
            } else {
                prop_assert_eq!(bench.link.addresses(), []);
            }
            bench.run(Duration::from_secs(seconds));
            if let Some(message) = bench.client_messages().pop() {
                last = message;
            }
        }
    }
}
