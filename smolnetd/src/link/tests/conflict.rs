//! Addresses, announced and claimed twice (RFC 5227).

use super::*;

const PROBE: Sent = Sent::Ask {
    to: BROADCAST,
    sender: Ipv4Addr::UNSPECIFIED,
    target: OURS,
};
const ANNOUNCEMENT: Sent = Sent::Ask {
    to: BROADCAST,
    sender: OURS,
    target: OURS,
};

fn with_new_address() -> Bench {
    let mut bench = Bench::bare();
    bench
        .link
        .add_address(bench.now, cidr(OURS, 24), AddressOrigin::Static)
        .unwrap();
    bench.run(Duration::ZERO);
    assert_eq!(bench.sent(), [PROBE]);
    bench
}

#[test]
fn a_new_address_is_probed_and_announced_twice_and_then_there_is_peace() {
    let mut bench = with_new_address();
    bench.run(Duration::from_millis(900));
    assert_eq!(bench.sent(), []);
    bench.run(Duration::from_millis(200));
    assert_eq!(bench.sent(), [ANNOUNCEMENT]);
    bench.run(Duration::from_secs(2));
    assert_eq!(bench.sent(), [ANNOUNCEMENT]);
    assert_eq!(bench.link.next_deadline(), None);
}

#[test]
fn an_address_that_answers_the_probe_is_reported_and_not_announced() {
    let mut bench = with_new_address();
    let reply = Arp {
        operation: Operation::Reply,
        sender_mac: OTHER_MAC,
        sender: OURS,
        target_mac: MAC,
        target: Ipv4Addr::UNSPECIFIED,
    };
    bench.receive_arp(reply, MAC);
    assert_eq!(
        bench.events(),
        [LinkEvent::AddressConflict {
            address: OURS.into(),
            mac: OTHER_MAC
        }]
    );
    bench.run(Duration::from_secs(30));
    assert_eq!(bench.sent(), []);
    assert!(
        bench.link.has_address(OURS.into()),
        "configured by hand: his decision"
    );
}

#[test]
fn two_stations_that_probe_for_the_same_address_notice_each_other() {
    let mut bench = with_new_address();
    bench.request_from(Ipv4Addr::UNSPECIFIED, OTHER_MAC, OURS);
    assert_eq!(
        bench.events(),
        [LinkEvent::AddressConflict {
            address: OURS.into(),
            mac: OTHER_MAC
        }]
    );
}

#[test]
fn an_address_of_ours_is_defended_once_in_ten_seconds_however_often_it_is_claimed() {
    let mut bench = Bench::new();
    let mut defended = vec![];
    for second in 0..25 {
        bench.request_from(OURS, OTHER_MAC, PEER);
        bench.request_from(OURS, OTHER_MAC, OURS);
        defended.extend(bench.sent().into_iter().map(|sent| (second, sent)));
        bench.run(Duration::from_secs(1));
    }
    assert_eq!(
        defended,
        [(0, ANNOUNCEMENT), (10, ANNOUNCEMENT), (20, ANNOUNCEMENT)]
    );
    assert!(bench.link.has_address(OURS.into()));
    assert_eq!(bench.events().len(), 3);
    assert_eq!(bench.link.counters().arp_conflicts, 50);
}

#[test]
fn addresses_are_announced_anew_when_the_carrier_is_back() {
    let mut bench = Bench::new();
    bench.link.set_up(bench.now, false);
    bench.run(Duration::from_secs(60));
    assert_eq!(bench.sent(), []);
    bench.link.set_up(bench.now, true);
    bench.run(Duration::from_secs(5));
    assert_eq!(bench.sent(), [PROBE, ANNOUNCEMENT, ANNOUNCEMENT]);
}

#[test]
fn addresses_that_no_host_has_are_refused() {
    let mut bench = Bench::bare();
    for (address, length) in [
        ([0, 0, 0, 0], 0),
        ([0, 1, 2, 3], 8),
        ([10, 0, 2, 0], 24),
        ([10, 0, 2, 255], 24),
        ([10, 0, 2, 15], 0),
        ([127, 0, 0, 1], 8),
        ([224, 0, 0, 1], 24),
        ([240, 0, 0, 1], 24),
        ([255, 255, 255, 255], 32),
    ] {
        let result = bench.link.add_address(
            bench.now,
            cidr(address.into(), length),
            AddressOrigin::Static,
        );
        assert_eq!(result, Err(AddressError::Invalid), "{address:?}/{length}");
    }
    for (address, length) in [
        ([10, 0, 2, 0], 31),
        ([10, 0, 2, 255], 32),
        ([10, 0, 2, 0], 16),
        ([10, 0, 2, 15], 24),
    ] {
        let result = bench.link.add_address(
            bench.now,
            cidr(address.into(), length),
            AddressOrigin::Static,
        );
        assert_eq!(result, Ok(()), "{address:?}/{length}");
    }
}

#[test]
fn an_adapter_has_so_many_addresses_and_no_more() {
    let mut bench = Bench::bare();
    for number in 1..=64 {
        let address = cidr(Ipv4Addr::new(10, 0, 2, number), 24);
        assert_eq!(
            bench
                .link
                .add_address(bench.now, address, AddressOrigin::Static),
            Ok(())
        );
    }
    let one_more = bench.link.add_address(
        bench.now,
        cidr(Ipv4Addr::new(10, 0, 3, 1), 24),
        AddressOrigin::Static,
    );
    assert_eq!(one_more, Err(AddressError::TooMany));
    let again = bench.link.add_address(
        bench.now,
        cidr(Ipv4Addr::new(10, 0, 2, 9), 16),
        AddressOrigin::Static,
    );
    assert_eq!(again, Ok(()), "another prefix for one that is there");
    assert!(
        bench
            .link
            .remove_address(bench.now, cidr(Ipv4Addr::new(10, 0, 2, 9), 24))
    );
    assert!(
        !bench
            .link
            .remove_address(bench.now, cidr(Ipv4Addr::new(10, 0, 2, 9), 24))
    );
}

#[test]
fn the_address_to_speak_from_is_the_one_closest_to_the_peer() {
    let mut bench = Bench::bare();
    for (address, length) in [
        ([10, 9, 9, 9], 8),
        ([10, 0, 2, 15], 24),
        ([10, 0, 2, 16], 24),
    ] {
        bench
            .link
            .add_address(
                bench.now,
                cidr(address.into(), length),
                AddressOrigin::Static,
            )
            .unwrap();
    }
    let source = |peer: [u8; 4]| {
        bench
            .link
            .source_address(IpAddr::from(peer))
            .unwrap()
            .to_string()
    };
    assert_eq!(source([10, 0, 2, 2]), "10.0.2.15");
    assert_eq!(source([10, 77, 0, 1]), "10.9.9.9");
    assert_eq!(source([1, 1, 1, 1]), "10.9.9.9");
}
