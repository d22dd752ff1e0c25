//! Duplicate address detection: RFC 4862 section 5.4, RFC 7527, RFC 7217.

use super::*;

/// An adapter on which IPv6 has just been turned on.
fn fresh(identifiers: InterfaceIdentifiers) -> Bench {
    let mut bench = Bench::bare();
    let config = Ipv6Config {
        identifiers,
        ..Ipv6Config::opaque([7; 16])
    };
    bench.link.enable_ipv6(bench.now, config);
    bench
}

fn opaque() -> InterfaceIdentifiers {
    InterfaceIdentifiers::StableOpaque { secret: [7; 16] }
}

/// The one address of IPv6 that the link has, or tries.
fn candidate(bench: &Bench) -> Ipv6Addr {
    let own: Vec<_> = bench
        .link
        .addresses()
        .iter()
        .map(LinkAddress::address)
        .collect();
    let [IpAddr::V6(address)] = own[..] else {
        panic!("{own:?}");
    };
    address
}

fn usable(address: &str) -> LinkEvent {
    let address = IpCidr::Ipv6(cidr6(address));
    LinkEvent::AddressUsable { address }
}

/// Lets time pass until the solicitation for the candidate is out.
fn run_until_asked(bench: &mut Bench) {
    bench.run(Duration::from_secs(1));
    let asked = bench.ndp();
    assert!(asked.len() == 1 && asked[0].is_detection(), "{asked:?}");
}

/// RFC 4862 sections 5.3 and 5.4: on a network that is silent, as QEMU's slirp is, one question and a second.
#[test]
fn a_link_local_address_is_usable_after_one_question_that_nobody_answers() {
    let mut bench = fresh(opaque());
    let address = candidate(&bench);
    assert!(address.is_unicast_link_local());
    assert_eq!(bench.own_state(address), Some(AddressState::Tentative));
    bench.run(Duration::from_secs(1));
    let destination = solicited_node(address);
    let question = Ndp::Ask {
        to: ethernet::multicast_address(destination.into()).unwrap(),
        source: Ipv6Addr::UNSPECIFIED,
        destination,
        target: address,
        mac: None,
        nonce: true,
    };
    assert_eq!(bench.ndp(), [question]);
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.ndp(), []);
    assert_eq!(bench.own_state(address), Some(AddressState::Preferred));
    assert_eq!(bench.events(), [usable(&format!("{address}/64"))]);
    assert_eq!(bench.link.link_local(), Some(address));
}

/// RFC 4862 section 5.4.2: not all hosts of a building speak in the moment in which the power comes back.
#[test]
fn the_first_question_comes_after_a_random_delay_of_at_most_a_second() {
    let mut delays = vec![];
    for seed in 0..30 {
        let config = Bench::bare().link.config.clone();
        let now = Instant::from_secs(1000);
        let mut bench = Bench::of(Link::new(LinkId(7), config, seed, now), 1000, now);
        bench.link.enable_ipv6(now, Ipv6Config::opaque([7; 16]));
        delays.push((bench.link.next_deadline().unwrap() - now).total_millis());
    }
    assert!(delays.iter().all(|delay| *delay < 1000), "{delays:?}");
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    assert!(most - least > 500, "{delays:?}");
}

/// RFC 4862 section 5.4.2: the groups are joined, and the switches told, before the question is asked.
#[test]
fn the_group_is_joined_before_the_question() {
    let mut bench = fresh(opaque());
    let group = solicited_node(candidate(&bench)).into();
    assert!(!bench.link.is_member(group));
    bench.run(Duration::from_secs(1));
    assert!(bench.link.is_member(group));
    let kinds: Vec<u8> = bench
        .ring
        .frames
        .iter()
        .filter_map(|frame| Icmpv6::find(&frame[14..]).map(|packet| packet.kind()))
        .collect();
    assert_eq!(
        kinds[..2],
        [143, 135],
        "MLDv2 report, then solicitation: {kinds:?}"
    );
}

/// RFC 4862 section 5.4: until then it is not ours.
#[test]
fn a_tentative_address_is_neither_used_nor_answered() {
    let mut bench = fresh(opaque());
    run_until_asked(&mut bench);
    let address = candidate(&bench);
    assert!(!bench.link.has_address(address.into()));
    assert!(bench.link.owns_address(address.into()));
    assert_eq!(bench.link.source_address(v6("fe80::2").into()), None);
    assert_eq!(bench.link.link_local(), None);
    assert_eq!(
        bench.transmit_v6(v6("fe80::2"), b"data"),
        Err(TransmitError::Unreachable)
    );
    // RFC 4862 section 5.4.3: who only asks where it is, is not heard.
    bench.asked_by(v6("fe80::2"), PEER_MAC, address);
    assert_eq!(bench.ndp(), []);
    // Nor is who says that it has it a neighbour.
    bench.router_is_at(address, PEER_MAC);
    assert_eq!(bench.link.neighbours(bench.now).count(), 0);
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.own_state(address), Some(AddressState::Preferred));
}

/// RFC 4862 section 5.4.4 and RFC 7217 section 6: the address is taken, so another is made, and another; three times.
#[test]
fn a_peer_that_has_whatever_we_try_is_given_way_to_three_times() {
    let mut bench = fresh(opaque());
    let mut tried = vec![];
    for _ in 0..4 {
        run_until_asked(&mut bench);
        let address = candidate(&bench);
        bench.told(Told {
            solicited: false,
            ..reply(address, OTHER_MAC)
        });
        let event = LinkEvent::AddressDuplicate {
            address: IpCidr::Ipv6(Ipv6Cidr::new(address, 64)),
            mac: OTHER_MAC,
        };
        assert_eq!(bench.events(), [event]);
        assert!(
            !bench.link.is_member(solicited_node(address).into()),
            "left"
        );
        tried.push(address);
    }
    let last = tried[3];
    assert_eq!(bench.own_state(last), Some(AddressState::Duplicate));
    assert!(!bench.link.owns_address(last.into()));
    tried.sort();
    tried.dedup();
    assert_eq!(tried.len(), 4, "each another: {tried:?}");
    bench.run(Duration::from_secs(100));
    assert_eq!(bench.ndp(), [], "it is given up");
    assert_eq!(bench.events(), []);
    assert_eq!(bench.link.next_deadline(), None);
    assert_eq!(bench.link.counters().dad_duplicates, 4);
}

/// RFC 7217 section 6: the second one is free.
#[test]
fn the_next_identifier_is_used_when_nobody_has_it() {
    let mut bench = fresh(opaque());
    run_until_asked(&mut bench);
    let first = candidate(&bench);
    bench.wanted_by(OTHER_MAC, first, Some([9; 6]));
    let second = candidate(&bench);
    assert_ne!(first, second);
    bench.run(Duration::from_secs(2));
    assert_eq!(bench.own_state(second), Some(AddressState::Preferred));
    assert_eq!(bench.link.link_local(), Some(second));
}

/// RFC 4862 section 5.4.3: two that want the same address at the same time get it neither.
#[test]
fn another_that_asks_for_our_tentative_address_makes_it_a_duplicate() {
    for nonce in [None, Some([9; 6])] {
        let mut bench = fresh(InterfaceIdentifiers::Eui64);
        run_until_asked(&mut bench);
        let address = candidate(&bench);
        bench.wanted_by(OTHER_MAC, address, nonce);
        assert_eq!(
            bench.own_state(address),
            Some(AddressState::Duplicate),
            "{nonce:?}"
        );
        bench.run(Duration::from_secs(10));
        assert_eq!(bench.link.link_local(), None);
        assert_eq!(bench.link.next_deadline(), None, "there is no other to try");
    }
}

/// RFC 7527 section 4.2: a switch that sends back what we said, from an address of its own.
#[test]
fn our_own_question_that_comes_back_is_no_conflict() {
    let mut bench = fresh(opaque());
    bench.run(Duration::from_secs(1));
    let address = candidate(&bench);
    let frames = bench.ring.frames.clone();
    for mut echo in frames {
        echo[6..12].copy_from_slice(&OTHER_MAC);
        bench.receive(&echo);
    }
    assert_eq!(bench.link.counters().ndp_rx_looped, 1);
    assert_eq!(bench.own_state(address), Some(AddressState::Tentative));
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.own_state(address), Some(AddressState::Preferred));
}

/// RFC 7527 section 4.1: the nonce is another at every try, so that nobody can pass a conflict off as our own echo.
#[test]
fn the_nonce_cannot_be_known_beforehand() {
    let nonces: std::collections::BTreeSet<Vec<u8>> = (0..20)
        .map(|seed| {
            let config = Bench::bare().link.config.clone();
            let now = Instant::from_secs(1000);
            let mut bench = Bench::of(Link::new(LinkId(7), config, seed, now), 1000, now);
            bench.link.enable_ipv6(now, Ipv6Config::opaque([7; 16]));
            bench.run(Duration::from_secs(1));
            let asked = |frame: &&Vec<u8>| {
                Icmpv6::find(&frame[14..]).is_some_and(|packet| packet.kind() == 135)
            };
            let frame = bench.ring.frames.iter().find(asked).unwrap();
            frame[frame.len() - 6..].to_vec()
        })
        .collect();
    assert_eq!(nonces.len(), 20);
}

/// RFC 4862 section 5.4: by hand or not, an address is checked; by hand, it is asked for at once.
#[test]
fn an_address_by_hand_is_checked_and_asked_for_at_once() {
    let mut bench = Bench::bare();
    bench.add_v6("fd42::15/64");
    assert_eq!(bench.own_state(ours()), Some(AddressState::Tentative));
    bench.run(Duration::ZERO);
    assert!(bench.ndp()[0].is_detection());
    bench.run(Duration::from_millis(999));
    assert!(!bench.link.has_address(ours().into()));
    bench.run(Duration::from_millis(1));
    assert!(bench.link.has_address(ours().into()));
    assert_eq!(bench.events(), [usable("fd42::15/64")]);
}

/// RFC 4862 section 5.4.5: an address by hand that is taken is not replaced by another.
#[test]
fn an_address_by_hand_that_is_taken_is_reported_and_not_used() {
    let mut bench = Bench::bare();
    bench.add_v6("fd42::15/64");
    bench.run(Duration::ZERO);
    bench.told(Told {
        solicited: false,
        ..reply(ours(), OTHER_MAC)
    });
    assert_eq!(bench.own_state(ours()), Some(AddressState::Duplicate));
    bench.run(Duration::from_secs(10));
    assert!(!bench.link.has_address(ours().into()));
    let event = LinkEvent::AddressDuplicate {
        address: IpCidr::Ipv6(cidr6("fd42::15/64")),
        mac: OTHER_MAC,
    };
    assert_eq!(bench.events(), [event]);
    // The other one has gone, and somebody configures ours again.
    bench.add_v6("fd42::15/64");
    assert_eq!(bench.own_state(ours()), Some(AddressState::Tentative));
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.events(), [usable("fd42::15/64")]);
}

/// RFC 4862 section 5.1: DupAddrDetectTransmits.
#[test]
fn as_often_as_configured_others_are_asked() {
    for (dad_transmits, seconds) in [(0, 0), (1, 1), (3, 3)] {
        let mut bench = Bench::bare();
        let config = Ipv6Config {
            dad_transmits,
            ..Ipv6Config::opaque([7; 16])
        };
        bench.link.enable_ipv6(bench.now, config);
        bench.run(Duration::from_secs(1 + seconds));
        let asked = bench.ndp();
        assert_eq!(asked.len(), dad_transmits.into(), "{asked:?}");
        assert!(bench.link.link_local().is_some(), "{dad_transmits}");
    }
}

/// An address is not taken because there was no room to ask: the question waits, or is asked again.
#[test]
fn a_question_that_finds_no_room_does_not_count() {
    let mut bench = Bench::dual();
    bench.ring.room = 0;
    for number in 0..40 {
        bench.asked_by(v6(&format!("fd42::1:{number}")), OTHER_MAC, ours());
    }
    bench.add_v6("fd42::16/64");
    bench.run(Duration::from_secs(5));
    assert_eq!(
        bench.own_state(v6("fd42::16")),
        Some(AddressState::Tentative)
    );
    assert_eq!(
        bench.link.counters().dad_tx_solicitations,
        2,
        "those of long ago"
    );
    bench.ring.room = 1000;
    bench.link.poll(bench.now, &mut bench.ring);
    bench.run(Duration::from_secs(1));
    let asked = bench.ndp();
    assert!(asked.iter().any(Ndp::is_detection), "{asked:?}");
    bench.run(Duration::from_secs(1));
    assert_eq!(
        bench.own_state(v6("fd42::16")),
        Some(AddressState::Preferred)
    );
}

/// RFC 4862 section 5.3 and 5.4: when the cable comes back it may be another network.
#[test]
fn every_address_is_checked_again_when_the_carrier_comes_back() {
    let mut bench = Bench::dual();
    let link_local = bench.own_link_local();
    bench.link.set_up(bench.now, false);
    bench.run(Duration::from_secs(5));
    assert_eq!(bench.ndp(), [], "nothing is said without a carrier");
    assert!(bench.link.has_address(ours().into()), "nor doubted");
    bench.link.set_up(bench.now, true);
    assert!(!bench.link.has_address(ours().into()));
    assert!(
        bench.link.owns_address(ours().into()),
        "what speaks from it is kept"
    );
    bench.run(Duration::from_secs(1));
    let asked = bench.ndp();
    assert_eq!(asked.len(), 2, "for both: {asked:?}");
    assert!(asked.iter().all(Ndp::is_detection), "{asked:?}");
    // Meanwhile somebody took one of them.
    bench.wanted_by(OTHER_MAC, ours(), None);
    bench.run(Duration::from_secs(2));
    assert_eq!(bench.own_state(ours()), Some(AddressState::Duplicate));
    assert_eq!(
        bench.link.link_local(),
        Some(link_local),
        "the same as before"
    );
    bench.link.set_up(bench.now, false);
    bench.link.set_up(bench.now, true);
    bench.run(Duration::from_secs(3));
    assert!(
        bench.link.has_address(ours().into()),
        "and a third network gives it back"
    );
}

/// An adapter that starts without a carrier says nothing and asks when it comes.
#[test]
fn without_a_carrier_an_address_waits() {
    let mut bench = Bench::bare();
    bench.link.set_up(bench.now, false);
    bench
        .link
        .enable_ipv6(bench.now, Ipv6Config::opaque([7; 16]));
    assert_eq!(bench.link.next_deadline(), None);
    bench.link.set_up(bench.now, true);
    bench.run(Duration::from_secs(2));
    assert!(bench.link.link_local().is_some());
}

/// RFC 7217 section 5: stable for the same secret, adapter and prefix; another one otherwise.
#[test]
fn an_opaque_identifier_depends_on_secret_adapter_and_prefix_alone() {
    let address = |secret: u8, mac: u8, prefix: &str, seed: u64| {
        let mut config = Bench::bare().link.config.clone();
        config.mac[5] = mac;
        let now = Instant::from_secs(1000);
        let mut bench = Bench::of(Link::new(LinkId(7), config, seed, now), 1000, now);
        bench
            .link
            .enable_ipv6(now, Ipv6Config::opaque([secret; 16]));
        let wanted = Autoconfigured {
            identity: Identity::Stable {
                prefix: cidr6(prefix),
            },
            preferred_until: None,
            valid_until: None,
        };
        bench.link.sync_autoconfigured(now, &[wanted]);
        bench.link.addresses()[1].address()
    };
    let one = address(1, 1, "fd42::/64", 1);
    assert_eq!(
        one,
        address(1, 1, "fd42::/64", 2),
        "the same after a restart"
    );
    let others = [
        address(2, 1, "fd42::/64", 1),
        address(1, 2, "fd42::/64", 1),
        address(1, 1, "fd43::/64", 1),
    ];
    let identifier = |address: IpAddr| match address {
        IpAddr::V6(address) => address.to_bits() as u64,
        IpAddr::V4(_) => 0,
    };
    for other in others {
        assert_ne!(identifier(one), identifier(other), "{one} {other}");
    }
}

/// RFC 4291 appendix A, by choice.
#[test]
fn an_identifier_from_the_ethernet_address() {
    let bench = fresh(InterfaceIdentifiers::Eui64);
    assert_eq!(candidate(&bench), v6("fe80::5054:ff:fe12:3456"));
}

/// On a network without IPv6 the first IPv4 packet leaves as early as ever.
#[test]
fn ipv4_does_not_wait_for_ipv6() {
    let mut bench = fresh(opaque());
    let address = cidr(OURS, 24);
    bench
        .link
        .add_address(bench.now, address, AddressOrigin::Static)
        .unwrap();
    assert!(bench.link.has_address(OURS.into()));
    bench.transmit(PEER, b"data").unwrap();
    bench.reply_from(PEER, PEER_MAC);
    assert_eq!(bench.data().last(), Some(&(PEER_MAC, b"data".to_vec())));
    assert_eq!(
        bench.link.counters().dad_tx_solicitations,
        0,
        "in the same instant"
    );
}

/// RFC 4291 section 2.5.3: nobody can have the loopback address but this host.
#[test]
fn the_loopback_address_is_usable_at_once() {
    let now = Instant::from_secs(1);
    let config = LinkConfig {
        name: "lo".into(),
        mac: [0; 6],
        mtu: u16::MAX,
        up: true,
        kind: LinkKind::Loopback,
    };
    let mut link = Link::new(LinkId(0), config, 1, now);
    let address = IpCidr::Ipv6(cidr6("::1/128"));
    link.add_address(now, address, AddressOrigin::Static)
        .unwrap();
    link.enable_ipv6(now, Ipv6Config::opaque([7; 16]));
    assert!(link.has_address(address.address().into()));
    assert_eq!(link.addresses().len(), 1, "no link-local one");
    assert_eq!(link.next_deadline(), None);
}
