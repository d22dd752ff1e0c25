//! The networks' IPv6: who advertises what, and who hands on.

use std::net::{Ipv6Addr, TcpStream};

use super::*;

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const OUR_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfe00, 9);
const ROUTER_ADVERTISEMENT: u8 = 134;
/// Where an advertisement's options begin in its frame: Ethernet, IPv6, and RFC 4861 4.2.
const OPTIONS: usize = 14 + 40 + 16;

/// RFC 4861 4.1, without options.
fn router_solicitation() -> Vec<u8> {
    let mut message = vec![133, 0, 0, 0, 0, 0, 0, 0];
    // RFC 8200 8.1: the pseudo-header's sum, then the message's.
    let mut summed = [OUR_LINK_LOCAL.octets(), ALL_ROUTERS.octets()].concat();
    summed.extend([0, 0, 0, message.len() as u8, 0, 0, 0, 58]);
    summed.extend(&message);
    let sum: u32 = summed
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = [&[0x33, 0x33, 0, 0, 0, 2][..], &OUR_MAC, &[0x86, 0xdd]].concat();
    frame.extend([0x60, 0, 0, 0, 0, message.len() as u8, 58, 255]);
    frame.extend(OUR_LINK_LOCAL.octets());
    frame.extend(ALL_ROUTERS.octets());
    frame.extend(message);
    frame
}

fn is_advertisement(frame: &[u8]) -> bool {
    frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame.get(54) == Some(&ROUTER_ADVERTISEMENT)
}

fn router_lifetime(advertisement: &[u8]) -> u16 {
    u16::from_be_bytes([advertisement[60], advertisement[61]])
}

/// RFC 4861 4.6: type, length in units of 8 bytes, body.
fn option(advertisement: &[u8], kind: u8) -> Option<&[u8]> {
    let mut rest = &advertisement[OPTIONS..];
    while let [this, length, ..] = *rest {
        let (option, further) = rest.split_at_checked(usize::from(length) * 8)?;
        if this == kind {
            return Some(&option[2..]);
        }
        rest = further;
    }
    None
}

const PREFIX_INFORMATION: u8 = 3;
const RDNSS: u8 = 25;

#[test]
fn the_user_network_advertises_its_prefix_and_the_labs_name_server() {
    if !requires_namespace() {
        return;
    }
    let namespace = Namespace::with_own_resolver().unwrap();
    let (_machine, wire) = hub(&Netdev::Slirp(Slirp::new().inside(&namespace)));
    wire.send(&router_solicitation()).unwrap();
    let advertisement = wait_for(&wire, is_advertisement);
    let prefix = option(&advertisement, PREFIX_INFORMATION).unwrap();
    assert_eq!(prefix[0], 64);
    assert_eq!(prefix[14..22], Slirp::GATEWAY6.octets()[..8]);
    let servers = option(&advertisement, RDNSS).unwrap();
    assert_eq!(servers[6..], Slirp::NAME_SERVER6.octets());
    assert_eq!(advertisement[22..38], Slirp::ROUTER6.octets());
}

#[test]
fn a_user_network_without_ipv6_says_nothing_of_it() {
    let (_machine, wire) = hub(&Netdev::Slirp(Slirp::new().without_ipv6()));
    wire.send(&router_solicitation()).unwrap();
    // The answer to what was sent later comes first, for there is no other.
    wire.send(&arp_request(Slirp::FIRST_LEASE, Slirp::GATEWAY))
        .unwrap();
    let first = wait_for(&wire, |_| true);
    assert_eq!(first[12..14], [8, 6], "{first:02x?}");
}

#[test]
fn radvd_advertises_on_the_lan_and_says_when_it_stops() {
    if !requires_tap() {
        return;
    }
    let lan = Lan::new().unwrap();
    let router = Namespace::new().unwrap().without_dad().unwrap();
    let router = router.forwarding().unwrap();
    lan.plug("first", &router, &["fd10::1/64"]).unwrap();
    let (_machine, wire) = hub(&Netdev::Tap(lan.tap().clone()));
    let configuration = format!(
        "interface {LAN_DEVICE} {{ AdvSendAdvert on; AdvDefaultPreference high; prefix fd10::/64 {{}}; }};"
    );
    let radvd = Peers::inside(&router).radvd(&configuration).unwrap();
    wire.send(&router_solicitation()).unwrap();
    let advertisement = wait_for(&wire, is_advertisement);
    assert_eq!(
        option(&advertisement, PREFIX_INFORMATION).unwrap()[14..16],
        [0xfd, 0x10]
    );
    assert_ne!(router_lifetime(&advertisement), 0);
    radvd.stop().unwrap();
    let last = |frame: &[u8]| is_advertisement(frame) && router_lifetime(frame) == 0;
    wait_for(&wire, last);
}

#[test]
fn dnsmasq_advertises_leases_and_knows_names_in_both_families() {
    if !requires_tap() {
        return;
    }
    let namespace = Namespace::new().unwrap().without_dad().unwrap();
    let spec = TapSpec {
        addresses: vec!["10.9.0.1/24".into(), "fd10::1/64".into()],
        ..TapSpec::default()
    };
    let tap = Tap::create(&namespace, &spec).unwrap();
    let (_machine, wire) = hub(&Netdev::Tap(tap.clone()));
    let options = [
        "--enable-ra",
        "--dhcp-range=10.9.0.50,10.9.0.60,120s",
        "--dhcp-range=fd10::,ra-stateless,ra-names",
        "--address=/www.lab.test/10.9.0.1",
        "--address=/www.lab.test/fd10::1",
    ];
    let peers = Peers::inside(&namespace);
    let _server = peers.dnsmasq(tap.name(), &options).unwrap();
    wire.send(&router_solicitation()).unwrap();
    let advertisement = wait_for(&wire, is_advertisement);
    assert_eq!(
        advertisement[59] & 0x40,
        0x40,
        "the O flag: DHCPv6 knows more"
    );
    // Its link-local address, unless it is told another: a name server that has a zone.
    let servers = option(&advertisement, RDNSS).unwrap();
    assert_eq!(servers[6..8], [0xfe, 0x80]);
}

#[test]
fn a_router_takes_a_machine_of_the_lan_to_the_world_in_both_families() {
    if !requires_tap() {
        return;
    }
    let lan = Lan::new().unwrap();
    let new = || Namespace::new().unwrap().without_dad().unwrap();
    let (router, world, machine) = (new().forwarding().unwrap(), new(), new());
    lan.plug("router", &router, &["10.9.0.1/24", "fd10::1/64"])
        .unwrap();
    lan.plug("machine", &machine, &["10.9.0.7/24", "fd10::7/64"])
        .unwrap();
    router.cable(WAN_DEVICE, &world, "router").unwrap();
    router
        .add_addresses(WAN_DEVICE, &["192.0.2.1/24", "2001:db8::1/64"])
        .unwrap();
    world
        .add_addresses("router", &["192.0.2.9/24", "2001:db8::9/64"])
        .unwrap();
    router.masquerade(WAN_DEVICE).unwrap();
    machine.ip("route add default via 10.9.0.1").unwrap();
    machine.ip("-6 route add default via fd10::1").unwrap();
    for (server, seen_as) in [("192.0.2.9", "192.0.2.1"), ("2001:db8::9", "2001:db8::1")] {
        let server: std::net::IpAddr = server.parse().unwrap();
        let listener = world.enter(|| TcpListener::bind((server, 7))).unwrap();
        let listener = listener.unwrap();
        let client = machine.enter(|| TcpStream::connect((server, 7))).unwrap();
        let (_connection, from) = listener.accept().unwrap();
        assert_eq!(from.ip().to_string(), seen_as);
        drop(client.unwrap());
    }
}
