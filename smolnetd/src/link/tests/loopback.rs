//! The loopback link.

use super::*;

fn loopback() -> Bench {
    let config = LinkConfig {
        name: "lo".into(),
        mac: [0; 6],
        mtu: 65535,
        up: true,
        kind: LinkKind::Loopback,
    };
    let now = Instant::from_secs(1);
    let mut bench = Bench::of(Link::new(LinkId(0), config, 1, now), 0, now);
    bench
        .link
        .add_address(now, cidr(Ipv4Addr::LOCALHOST, 8), AddressOrigin::Static)
        .unwrap();
    bench
}

#[test]
fn what_is_sent_comes_back_in_order_and_asks_nobody() {
    let mut bench = loopback();
    bench.transmit(Ipv4Addr::LOCALHOST, b"one").unwrap();
    bench.transmit(Ipv4Addr::LOCALHOST, b"three").unwrap();
    assert_eq!(bench.link.take_looped().as_deref(), Some(b"one".as_slice()));
    let second = bench.link.take_looped().unwrap();
    assert_eq!(second, b"three");
    bench.link.recycle(second);
    bench.transmit(Ipv4Addr::LOCALHOST, b"x").unwrap();
    assert_eq!(
        bench.link.take_looped().as_deref(),
        Some(b"x".as_slice()),
        "a buffer used again shows nothing old"
    );
    assert_eq!(bench.link.take_looped(), None);
    assert_eq!(bench.link.next_deadline(), None);
}

#[test]
fn a_buffer_used_again_does_not_tell_what_it_held() {
    let mut bench = loopback();
    bench.transmit(Ipv4Addr::LOCALHOST, b"secret").unwrap();
    let packet = bench.link.take_looped().unwrap();
    bench.link.recycle(packet);
    let lazy = |_: &mut [u8]| ();
    bench
        .link
        .transmit(bench.now, PEER.into(), 4, lazy, &mut bench.ring)
        .unwrap();
    assert_eq!(bench.link.take_looped(), Some(vec![0; 4]));
}

#[test]
fn a_queue_that_nobody_empties_refuses_and_takes_again_when_there_is_room() {
    let mut bench = loopback();
    let mut taken = 0;
    while bench.link.has_room(&bench.ring) {
        bench.transmit(Ipv4Addr::LOCALHOST, &[0; 60_000]).unwrap();
        taken += 1;
    }
    assert!((1..1024).contains(&taken), "bounded by bytes: {taken}");
    assert_eq!(
        bench.transmit(Ipv4Addr::LOCALHOST, b"x"),
        Err(TransmitError::Full)
    );
    bench.link.take_looped().unwrap();
    assert_eq!(bench.transmit(Ipv4Addr::LOCALHOST, b"x"), Ok(()));
}

#[test]
fn addresses_of_other_kinds_and_dhcp_have_no_place_here() {
    let mut bench = loopback();
    let result = bench
        .link
        .add_address(bench.now, cidr(OURS, 24), AddressOrigin::Static);
    assert_eq!(result, Err(AddressError::Invalid));
    bench.link.dhcp_enable(bench.now, true);
    assert!(!bench.link.dhcp_enabled());
    assert_eq!(bench.link.next_deadline(), None);
}
