//! Which socket gets what, without any network.

use super::*;

fn table() -> UdpTable {
    UdpTable::new(Secret::new([9; 32]))
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn bound(local: Option<&str>) -> Bound {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    local.map_or(Bound::AnyV4, |text| Bound::One(address(text).into()))
}

fn binding(port: u16, local: Option<&str>, peer: Option<&str>) -> Binding {
    Binding {
        port,
        local: bound(local),
        peer: peer.map(at),
    }
}

#[test]
fn of_the_sockets_that_fit_the_one_that_asks_for_the_most_is_found() {
    let mut table = table();
    let bindings = [
        binding(7, None, None),
        binding(7, Some("10.0.0.1"), None),
        binding(7, None, Some("10.0.0.2:9")),
        binding(7, Some("10.0.0.1"), Some("10.0.0.2:9")),
        binding(8, None, None),
    ];
    for (number, binding) in (1..).zip(bindings) {
        table.insert(binding, SocketId(number), Owner::ROOT);
    }
    let mut found = Vec::new();
    for number in [4, 3, 2, 1] {
        let id = table
            .find(at("10.0.0.1:7"), at("10.0.0.2:9"))
            .expect("one of them");
        assert_eq!(id, SocketId(number));
        table.remove(bindings[number as usize - 1], id, Owner::ROOT);
        found.push(id);
    }
    assert_eq!(table.find(at("10.0.0.1:7"), at("10.0.0.2:9")), None);
    assert_eq!(
        table.find(at("10.0.0.1:8"), at("10.0.0.2:9")),
        Some(SocketId(5))
    );
}

#[test]
fn a_port_can_be_held_once_per_address_or_once_for_all() {
    let mut table = table();
    table.insert(binding(7, Some("10.0.0.1"), None), SocketId(1), Owner::ROOT);
    assert!(table.is_taken(bound(Some("10.0.0.1")), 7, |_| false));
    assert!(table.is_taken(bound(None), 7, |_| false));
    assert!(!table.is_taken(bound(Some("10.0.0.2")), 7, |_| false));
    assert!(
        !table.is_taken(bound(None), 7, |id| id == SocketId(1)),
        "who shares is no hindrance"
    );
    assert!(!table.is_taken(bound(None), 6, |_| false));
    assert!(!table.is_taken(bound(None), 8, |_| false));
}

#[test]
fn the_same_peer_gets_another_port_each_time() {
    let mut table = table();
    let peer = Some(at("10.0.0.2:53"));
    let ports: BTreeSet<_> = (0..1000)
        .filter_map(|_| table.ephemeral(Bound::AnyV4, peer))
        .collect();
    assert_eq!(ports.len(), 1000);
    assert!(ports.iter().all(|port| *port >= 49152));
}

#[test]
fn a_datagram_is_written_with_its_checksum() {
    let ends = [
        (at("10.0.0.1:5000"), at("10.0.0.2:7")),
        (at("[fd42::1]:5000"), at("[fd42::2]:7")),
    ];
    for ((from, to), length) in ends
        .into_iter()
        .flat_map(|ends| [0, 1, 2, 1472].map(|n| (ends, n)))
    {
        let data = vec![0x5a; length];
        let mut datagram = vec![0xa5; length + UDP_HEADER_LENGTH];
        write(&mut datagram, from, to, &data);
        let (source, destination) = (from.ip(), to.ip());
        let parsed = Incoming::parse(&datagram, source, destination);
        let parsed = parsed.unwrap_or_else(|_| panic!("{datagram:?}"));
        assert_eq!(
            (parsed.source_port, parsed.destination_port, parsed.data),
            (5000, 7, data.as_slice())
        );
        assert_ne!(datagram[6..8], [0, 0], "a checksum of zero would mean none");
        datagram[0] ^= 1;
        assert!(Incoming::parse(&datagram, source, destination).is_err());
    }
}

#[test]
fn rfc8200_8_1_over_ipv6_a_datagram_without_a_checksum_is_dropped() {
    for (from, to, taken) in [
        (at("10.0.0.1:5000"), at("10.0.0.2:7"), true),
        (at("[fd42::1]:5000"), at("[fd42::2]:7"), false),
    ] {
        let mut datagram = vec![0; UDP_HEADER_LENGTH];
        write(&mut datagram, from, to, b"");
        datagram[6..8].fill(0);
        let parsed = Incoming::parse(&datagram, from.ip(), to.ip());
        assert_eq!(parsed.is_ok(), taken, "{from}");
    }
}

#[test]
fn rfc3493_a_socket_of_both_families_is_found_by_both_but_after_their_own() {
    let mut table = table();
    let any = Binding {
        local: Bound::Any,
        ..binding(7, None, None)
    };
    table.insert(any, SocketId(1), Owner::ROOT);
    let four = (at("10.0.0.1:7"), at("10.0.0.2:9"));
    let six = (at("[fd42::1]:7"), at("[fd42::2]:9"));
    assert_eq!(table.find(four.0, four.1), Some(SocketId(1)));
    assert_eq!(table.find(six.0, six.1), Some(SocketId(1)));
    assert!(table.is_taken(Bound::AnyV4, 7, |_| false));
    table.insert(binding(7, None, None), SocketId(2), Owner::ROOT);
    assert_eq!(table.find(four.0, four.1), Some(SocketId(2)));
    assert_eq!(table.find(six.0, six.1), Some(SocketId(1)));
}
