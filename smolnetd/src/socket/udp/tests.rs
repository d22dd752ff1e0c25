//! Which socket gets what, without any network.

use super::*;

fn table() -> UdpTable {
    UdpTable::new(Secret::new([9; 32]))
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn binding(port: u16, local: Option<&str>, peer: Option<&str>) -> Binding {
    Binding {
        port,
        local: local.map(|text| text.parse().expect("an address")),
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
        table.insert(binding, SocketId(number));
    }
    let mut found = Vec::new();
    for number in [4, 3, 2, 1] {
        let id = table
            .find(at("10.0.0.1:7"), at("10.0.0.2:9"))
            .expect("one of them");
        assert_eq!(id, SocketId(number));
        table.remove(bindings[number as usize - 1], id);
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
    let address = |text: &str| Some(text.parse().expect("an address"));
    table.insert(binding(7, Some("10.0.0.1"), None), SocketId(1));
    assert!(table.is_taken(address("10.0.0.1"), 7, |_| false));
    assert!(table.is_taken(None, 7, |_| false));
    assert!(!table.is_taken(address("10.0.0.2"), 7, |_| false));
    assert!(
        !table.is_taken(None, 7, |id| id == SocketId(1)),
        "who shares is no hindrance"
    );
    assert!(!table.is_taken(None, 6, |_| false));
    assert!(!table.is_taken(None, 8, |_| false));
}

#[test]
fn the_same_peer_gets_another_port_each_time() {
    let mut table = table();
    let peer = Some(at("10.0.0.2:53"));
    let ports: BTreeSet<_> = (0..1000)
        .filter_map(|_| table.ephemeral(None, peer))
        .collect();
    assert_eq!(ports.len(), 1000);
    assert!(ports.iter().all(|port| *port >= 49152));
}

#[test]
fn a_datagram_is_written_with_its_checksum() {
    let (from, to) = (at("10.0.0.1:5000"), at("10.0.0.2:7"));
    for length in [0, 1, 2, 1472] {
        let data = vec![0x5a; length];
        let mut datagram = vec![0xa5; length + UDP_HEADER_LENGTH];
        write(&mut datagram, from, to, &data);
        let (source, destination) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
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
