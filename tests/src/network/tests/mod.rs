//! The networks, seen from a bare cable on the same hub.

mod ipv6;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::machine::{Machine, MachineSpec};
use crate::peers::{DnsAnswer, DnsServer};
use crate::{Program, pcap, requires_namespace, requires_tap};

const SOON: Duration = Duration::from_secs(5);
const OUR_MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 9];

/// A machine without a card: a hub with `netdev` on one port and a cable on the other.
fn hub(netdev: &Netdev) -> (Machine, Wire) {
    let wire = Wire::new().unwrap();
    let mut spec = MachineSpec::new();
    if let Some(namespace) = netdev.namespace() {
        spec = spec.inside(namespace);
    }
    for (index, netdev) in [netdev.clone(), Netdev::Wire(wire.clone())]
        .iter()
        .enumerate()
    {
        let (name, port) = (
            format!("port{index}"),
            format!("hubport,id=hub{index},hubid=0,netdev=port{index}"),
        );
        spec = spec
            .argument("-netdev")
            .argument(&netdev.argument(&name))
            .argument("-netdev")
            .argument(&port);
    }
    (Machine::start(&spec).unwrap(), wire)
}

/// RFC 826: who has `target`? Tell `sender`.
fn arp_request(sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = [
        &[0xff; 6][..],
        &OUR_MAC,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &OUR_MAC,
    ]
    .concat();
    frame.extend(sender.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

/// The Ethernet address that answers for `target`.
fn resolve(wire: &Wire, sender: Ipv4Addr, target: Ipv4Addr) -> [u8; 6] {
    wire.send(&arp_request(sender, target)).unwrap();
    let reply = wait_for(wire, |frame| {
        frame[12..14] == [8, 6] && frame[20..22] == [0, 2]
    });
    assert_eq!(reply[28..32], target.octets());
    reply[22..28].try_into().unwrap()
}

fn wait_for(wire: &Wire, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + SOON;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let frame = wire.receive(left).unwrap().expect("a frame in time");
        if frame.len() >= 42 && wanted(&frame) {
            return frame;
        }
    }
}

/// An IPv4 packet with a UDP datagram without checksum, in a frame.
fn udp_frame(
    to: [u8; 6],
    source: (Ipv4Addr, u16),
    target: (Ipv4Addr, u16),
    payload: &[u8],
) -> Vec<u8> {
    let length = payload.len() as u16;
    let mut ip = vec![0x45, 0];
    ip.extend((28 + length).to_be_bytes());
    ip.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    ip.extend(source.0.octets());
    ip.extend(target.0.octets());
    let sum: u32 = ip
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = [&to[..], &OUR_MAC, &[8, 0], &ip].concat();
    for field in [source.1, target.1, 8 + length, 0] {
        frame.extend(field.to_be_bytes());
    }
    frame.extend(payload);
    frame
}

#[test]
fn the_user_network_answers_for_its_gateway() {
    let (_machine, wire) = hub(&Netdev::Slirp(Slirp::new()));
    let mac = resolve(&wire, Slirp::FIRST_LEASE, Slirp::GATEWAY);
    assert_eq!(mac, [0x52, 0x55, 10, 0, 2, 2]);
}

#[test]
fn the_name_server_of_a_sealed_network_is_the_labs_own() {
    if !requires_namespace() {
        return;
    }
    let before = fs::read_to_string("/etc/resolv.conf").unwrap();
    let namespace = Namespace::with_own_resolver().unwrap();
    let socket = namespace
        .enter(|| UdpSocket::bind("127.0.0.1:53"))
        .unwrap()
        .unwrap();
    let address = DnsAnswer::at([Slirp::GATEWAY]);
    let names = DnsServer::start(socket, [("host.lab", address)]).unwrap();
    let (_machine, wire) = hub(&Netdev::Slirp(Slirp::new().inside(&namespace)));
    let mac = resolve(&wire, Slirp::FIRST_LEASE, Slirp::NAME_SERVER);
    let query =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04host\x03lab\x00\x00\x01\x00\x01";
    let ports = ((Slirp::FIRST_LEASE, 4000), (Slirp::NAME_SERVER, 53));
    wire.send(&udp_frame(mac, ports.0, ports.1, query)).unwrap();
    let reply = wait_for(&wire, |frame| frame[23] == 17 && frame[34..36] == [0, 53]);
    assert_eq!(reply[reply.len() - 4..], [10, 0, 2, 2]);
    assert_eq!(names.questions(), ["host.lab"]);
    assert_eq!(
        fs::read_to_string("/etc/resolv.conf").unwrap(),
        before,
        "the machine's own stays"
    );
}

#[test]
fn linux_is_the_peer_on_a_tap_with_and_without_header() {
    if !requires_tap() {
        return;
    }
    for vnet_hdr in [false, true] {
        let namespace = Namespace::new().unwrap().without_ipv6().unwrap();
        let tap = Tap::create(
            &namespace,
            &TapSpec {
                vnet_hdr,
                ..TapSpec::default()
            },
        )
        .unwrap();
        // A hub passes frames without the header; a TAP that has one is spoken to by a card only.
        let spec =
            MachineSpec::new().nic(crate::machine::NicSpec::virtio(Netdev::Tap(tap.clone())));
        let machine = Machine::start(&spec).unwrap();
        let offered = machine.qmp().execute(
            "qom-get",
            serde_json::json!({"path": "nic0", "property": "csum"}),
        );
        assert_eq!(offered.unwrap(), serde_json::json!(true));
        drop(machine);
        if !vnet_hdr {
            let (_machine, wire) = hub(&Netdev::Tap(tap));
            resolve(
                &wire,
                Ipv4Addr::new(10, 9, 0, 2),
                Ipv4Addr::new(10, 9, 0, 1),
            );
        }
    }
}

#[test]
fn dnsmasq_leases_addresses_on_a_tap() {
    if !requires_tap() {
        return;
    }
    let namespace = Namespace::new().unwrap().without_ipv6().unwrap();
    let tap = Tap::create(&namespace, &TapSpec::default()).unwrap();
    let range = [Ipv4Addr::new(10, 9, 0, 50), Ipv4Addr::new(10, 9, 0, 60)];
    let peers = Peers::inside(&namespace);
    let server = peers
        .dhcp_server(
            tap.name(),
            range,
            120,
            &["--dhcp-option=option:router,10.9.0.1"],
        )
        .unwrap();
    let (_machine, wire) = hub(&Netdev::Tap(tap));
    let mut discover = vec![1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0x80, 0];
    discover.resize(28, 0);
    discover.extend(OUR_MAC);
    discover.resize(236, 0);
    discover.extend([99, 130, 83, 99, 53, 1, 1, 255]);
    discover.resize(300, 0);
    let any = Ipv4Addr::UNSPECIFIED;
    wire.send(&udp_frame(
        [0xff; 6],
        (any, 68),
        (Ipv4Addr::BROADCAST, 67),
        &discover,
    ))
    .unwrap();
    let offer = wait_for(&wire, |frame| frame[23] == 17 && frame[36..38] == [0, 68]);
    let leased = Ipv4Addr::new(offer[58], offer[59], offer[60], offer[61]);
    assert!((range[0]..=range[1]).contains(&leased), "{leased}");
    server.wait_for_errors("DHCPOFFER", SOON).unwrap();
}

#[test]
fn a_namespace_has_a_loopback_of_its_own_and_goes_with_its_last_user() {
    if !requires_namespace() {
        return;
    }
    let namespace = Namespace::new().unwrap();
    let listener = namespace
        .enter(|| TcpListener::bind("127.0.0.1:1234"))
        .unwrap()
        .unwrap();
    assert!(
        TcpStream::connect("127.0.0.1:1234").is_err(),
        "nobody outside hears it"
    );
    let client = std::thread::scope(|scope| {
        let accepted = scope.spawn(|| listener.accept().unwrap());
        let peer = Peers::inside(&namespace);
        let mut nc = peer.nc("-N 127.0.0.1 1234").unwrap();
        nc.take_input().unwrap().write_all(b"hello\n").unwrap();
        let (mut stream, _) = accepted.join().unwrap();
        let heard = std::io::read_to_string(&mut stream).unwrap();
        drop(stream);
        assert!(nc.wait(SOON).unwrap().success());
        heard
    });
    assert_eq!(client, "hello\n");
    let holder = namespace.holder_id();
    drop((namespace, listener));
    assert!(!Path::new(&format!("/proc/{holder}")).exists());
}

#[test]
fn a_packet_file_tells_what_was_on_the_cable() {
    let wire = Wire::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wire.pcap");
    let spec = MachineSpec::new();
    let dump = format!("filter-dump,id=dump,netdev=port0,file={}", file.display());
    let slirp = Netdev::Slirp(Slirp::new()).argument("port0");
    let spec = spec
        .argument("-netdev")
        .argument(&slirp)
        .argument("-object")
        .argument(&dump);
    let cable = Netdev::Wire(wire.clone()).argument("port1");
    let mut spec = spec.argument("-netdev").argument(&cable);
    for port in 0..2 {
        let port = format!("hubport,id=hub{port},hubid=0,netdev=port{port}");
        spec = spec.argument("-netdev").argument(&port);
    }
    let machine = Machine::start(&spec).unwrap();
    resolve(&wire, Slirp::FIRST_LEASE, Slirp::GATEWAY);
    let frames = pcap::read(&file).unwrap();
    let request = arp_request(Slirp::FIRST_LEASE, Slirp::GATEWAY);
    assert!(
        frames.iter().any(|captured| captured.frame == request),
        "{frames:?}"
    );
    drop(machine);
}

#[test]
fn a_program_that_is_not_installed_is_named_with_its_package() {
    let error = Program::new("no-such-program", "no-such-package")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no-such-program") && error.contains("apt install no-such-package"),
        "{error}"
    );
}
