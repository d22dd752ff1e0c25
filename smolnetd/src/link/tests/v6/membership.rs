//! Who listens to which group, whatever tells the routers.

use super::*;

fn group() -> IpAddr {
    "ff02::fb".parse().unwrap()
}

/// As often as it was joined, it has to be left.
#[test]
fn a_group_is_left_when_the_last_leaves() {
    let mut bench = Bench::dual();
    for _ in 0..3 {
        assert_eq!(bench.link.join(bench.now, group()), Ok(()));
    }
    for _ in 0..2 {
        assert!(bench.link.leave(bench.now, group()));
        assert!(bench.link.is_member(group()));
    }
    assert!(bench.link.leave(bench.now, group()));
    assert!(!bench.link.is_member(group()));
    assert!(
        !bench.link.leave(bench.now, group()),
        "nobody is left to leave"
    );
}

/// RFC 4291 section 2.8, RFC 1112 section 7.2
#[test]
fn all_nodes_and_all_hosts_are_joined_from_the_beginning() {
    let bench = Bench::bare();
    assert!(bench.link.is_member("ff02::1".parse().unwrap()));
    assert!(bench.link.is_member("224.0.0.1".parse().unwrap()));
    assert!(
        !bench.link.is_member("ff02::2".parse().unwrap()),
        "this is no router"
    );
}

/// RFC 2464 section 7: different groups share an Ethernet address; the packet says which is meant.
#[test]
fn multicast_packets_reach_the_stack_only_for_groups_that_were_joined() {
    let mut bench = Bench::dual();
    let IpAddr::V6(destination) = group() else {
        panic!()
    };
    let packet = icmpv6(v6("fe80::2"), destination, 1, &[128, 0, 0, 0, 0, 0, 0, 0]);
    let to = mac_of(destination);
    assert_eq!(bench.receive_v6(PEER_MAC, to, &packet), None);
    assert_eq!(bench.link.counters().rx_not_member, 1);
    bench.link.join(bench.now, group()).unwrap();
    assert_eq!(
        bench.receive_v6(PEER_MAC, to, &packet),
        Some(packet.clone())
    );
    let cousin = icmpv6(
        v6("fe80::2"),
        v6("ff05::fb"),
        1,
        &[128, 0, 0, 0, 0, 0, 0, 0],
    );
    assert_eq!(
        bench.receive_v6(PEER_MAC, to, &cousin),
        None,
        "the same Ethernet address"
    );
    let unicast = icmpv6(v6("fe80::2"), ours(), 64, &[128, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bench.receive_v6(PEER_MAC, to, &unicast), None);
    assert_eq!(bench.link.counters().rx_unicast_in_group_frame, 1);
    assert_eq!(
        bench.receive_v6(PEER_MAC, MAC, &unicast),
        Some(unicast.clone())
    );
}

/// RFC 4291 section 2.7.1: addresses that end alike share a solicited-node group.
#[test]
fn a_solicited_node_group_lasts_as_long_as_one_of_its_addresses() {
    let mut bench = Bench::dual();
    bench.add_v6("fd43::15/64");
    bench.run(Duration::from_secs(3));
    let shared = solicited_node(ours()).into();
    bench
        .link
        .remove_address(bench.now, IpCidr::Ipv6(cidr6("fd42::15/64")));
    assert!(bench.link.is_member(shared));
    bench
        .link
        .remove_address(bench.now, IpCidr::Ipv6(cidr6("fd43::15/64")));
    assert!(!bench.link.is_member(shared));
}

#[test]
fn there_is_a_bound_on_groups() {
    let mut bench = Bench::bare();
    let group = |n: u16| IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, n));
    let most = MAX_GROUPS as u16;
    for n in 0..most {
        assert_eq!(bench.link.join(bench.now, group(n)), Ok(()));
    }
    assert_eq!(
        bench.link.join(bench.now, group(most)),
        Err(GroupError::TooMany)
    );
    assert_eq!(bench.link.counters().groups_full, 1);
    bench.add_v6("fd42::15/64");
    bench.run(Duration::from_secs(2));
    let own = solicited_node(ours()).into();
    assert!(
        bench.link.is_member(own),
        "our own addresses have room beside"
    );
    let address = IpCidr::Ipv6(cidr6("fd42::15/64"));
    bench.link.remove_address(bench.now, address);
    bench.run(Duration::from_secs(2));
    assert_eq!(
        bench.link.join(bench.now, group(0)),
        Ok(()),
        "known ones may be joined again"
    );
    bench.link.leave(bench.now, group(1));
    assert_eq!(
        bench.link.join(bench.now, group(most)),
        Ok(()),
        "in the place of the one that was left"
    );
    let unicast = ours().into();
    assert_eq!(
        bench.link.join(bench.now, unicast),
        Err(GroupError::Invalid)
    );
}
