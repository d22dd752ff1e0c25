//! Sockets of both families by their paths: within one machine, which has 127.0.0.1 and ::1 without any adapter's help,
//! and with Linux.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};

use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Namespace, Netdev, Peers, Slirp, Tap, TapSpec};
use lab::peers::EchoServer;
use lab::{Stack, StackSpec, StaticAddress, requires_tap};
use libredox::Fd;
use syscall::error::{
    EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, ECONNREFUSED, EINVAL, EISCONN, ENETUNREACH, ENODEV,
    ENOPROTOOPT,
};
use syscall::flag::{CallFlags, O_RDWR};

use crate::common::{SOON, configured, machine, run};
use crate::relibc::{Socket, echoes};

const SET_OPTION: u64 = 2;
const GET_OPTION: u64 = 3;
/// `SOL_SOCKET`, which may be left out, and `IPPROTO_IPV6`, with names of theirs.
const SOL_SOCKET: u64 = 1;
const REUSEADDR: u64 = 2;
const IPPROTO_IPV6: u64 = 41;
const V6ONLY: u64 = 26;
/// Joining, leaving, hops and loop of multicast: level and name of each, for either family.
const IPV4_GROUPS: [(u64, u64); 4] = [(0, 35), (0, 36), (0, 33), (0, 34)];
const IPV6_GROUPS: [(u64, u64); 4] = [(41, 20), (41, 21), (41, 18), (41, 19)];

fn open(path: &str) -> libredox::error::Result<Fd> {
    Fd::open(&format!("/scheme/{path}"), O_RDWR as i32, 0)
}

fn name(fd: &Fd) -> String {
    let mut buffer = [0; 256];
    let n = fd.fpath(&mut buffer).unwrap();
    String::from_utf8(buffer[..n].to_vec()).unwrap()
}

fn set(fd: &Fd, (level, name): (u64, u64), value: i32) -> libredox::error::Result<usize> {
    let metadata = [SET_OPTION, name, level];
    fd.call_wo(&value.to_ne_bytes(), CallFlags::empty(), &metadata)
}

fn get(fd: &Fd, (level, name): (u64, u64)) -> i32 {
    let (mut value, metadata) = ([0; 4], [GET_OPTION, name, level]);
    fd.call_ro(&mut value, CallFlags::empty(), &metadata)
        .unwrap();
    i32::from_ne_bytes(value)
}

#[test]
fn ping_of_the_loopback_in_all_its_spellings() {
    let stack = configured(machine());
    let here = stack.enter("ping");
    for (path, shown) in [
        ("icmp/echo/::1", "icmp/echo/::1"),
        ("icmp/echo/[::1]", "icmp/echo/::1"),
        ("icmp/echo/127.0.0.1", "icmp/echo/127.0.0.1"),
    ] {
        let socket = open(path).unwrap();
        assert_eq!(name(&socket), format!("/scheme/{shown}"));
        echoes(&socket, 1);
    }
    drop(here);
}

#[test]
fn a_listener_of_ipv6_is_reached_by_both_families() {
    let stack = configured(machine());
    let here = stack.enter("server");
    let server = Socket::new("tcp");
    server.replace("/[::]:7070").unwrap();
    assert_eq!(server.name(), "/scheme/tcp/[::]:0/[::]:7070");
    for (to, from, own) in [
        ("[::1]:7070", "[::1]", "[::1]:7070"),
        (
            "127.0.0.1:7070",
            "[::ffff:127.0.0.1]",
            "[::ffff:127.0.0.1]:7070",
        ),
        (
            "[::ffff:127.0.0.1]:7070",
            "[::ffff:127.0.0.1]",
            "[::ffff:127.0.0.1]:7070",
        ),
    ] {
        let client = Socket::new("tcp");
        client.replace(to).unwrap();
        let accepted = Fd::new(server.0.dup(b"listen").unwrap());
        client.0.write(b"hello").unwrap();
        let mut data = [0; 5];
        assert_eq!(accepted.read(&mut data).unwrap(), 5);
        let (theirs, ours) = (name(&accepted), client.name());
        assert!(
            theirs.starts_with(&format!("/scheme/tcp/{from}:")),
            "{theirs}"
        );
        assert!(theirs.ends_with(&format!("/{own}")), "{theirs}");
        assert!(ours.starts_with(&format!("/scheme/tcp/{to}/")), "{ours}");
        assert_eq!(client.replace(to).unwrap_err().errno(), EISCONN);
    }
    drop(here);
}

#[test]
fn datagrams_of_ipv6_come_with_their_senders_name() {
    let stack = configured(machine());
    let here = stack.enter("server");
    let server = Socket::new("udp");
    server.replace("/[::1]:7070").unwrap();
    let client = open("udp/[::1]:7070/[::1]:7071").unwrap();
    assert_eq!(name(&client), "/scheme/udp/[::1]:7070/[::1]:7071");
    client.write(b"who am I?").unwrap();
    let (payload, from) = server.receive_from(100);
    assert_eq!(
        (payload, from),
        (b"who am I?".to_vec(), "/scheme/udp/[::1]:7071".into())
    );
    let nobody = open("udp/[::1]:7072").unwrap();
    nobody.write(b"anybody?").unwrap();
    let error = nobody.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.errno(), ECONNREFUSED);
    drop(here);
}

#[test]
fn options_that_are_set_first_hold_when_the_socket_is_bound() {
    let stack = configured(machine());
    let here = stack.enter("server");
    let bound = |path: &str, v6_only: bool| {
        let socket = Socket::new("tcp");
        if v6_only {
            set(&socket.0, (IPPROTO_IPV6, V6ONLY), 1).unwrap();
        }
        socket.replace(path).map(|()| socket)
    };
    let errno = |path: &str, v6_only| bound(path, v6_only).err().map(|error| error.errno());
    let any = bound("/[::]:7070", false).unwrap();
    assert_eq!(get(&any.0, (IPPROTO_IPV6, V6ONLY)), 0);
    assert_eq!(errno("/0.0.0.0:7070", false), Some(EADDRINUSE));
    assert_eq!(errno("/[::]:7070", true), Some(EADDRINUSE));
    drop(any);
    let six = bound("/[::]:7070", true).unwrap();
    assert_eq!(get(&six.0, (IPPROTO_IPV6, V6ONLY)), 1);
    let late = set(&six.0, (IPPROTO_IPV6, V6ONLY), 0).unwrap_err();
    assert_eq!(late.errno(), EINVAL);
    let four = bound("/0.0.0.0:7070", false).unwrap();
    drop((six, four));

    let socket = Socket::new("tcp");
    set(&socket.0, (SOL_SOCKET, REUSEADDR), 1).unwrap();
    socket.replace("/0.0.0.0:7071").unwrap();
    assert_eq!(get(&socket.0, (SOL_SOCKET, REUSEADDR)), 1);
    // Bound, and so listening; then connected from there.
    let client = Socket::new("tcp");
    set(&client.0, (SOL_SOCKET, REUSEADDR), 1).unwrap();
    client.replace("/127.0.0.1:7072").unwrap();
    client.replace("127.0.0.1:7071").unwrap();
    assert_eq!(client.name(), "/scheme/tcp/127.0.0.1:7071/127.0.0.1:7072");
    assert_eq!(get(&client.0, (SOL_SOCKET, REUSEADDR)), 1);
    let unknown = set(&socket.0, (IPPROTO_IPV6, REUSEADDR), 1).unwrap_err();
    assert_eq!(unknown.errno(), ENOPROTOOPT);
    drop(here);
}

/// `ip_mreq` and `ipv6_mreq`, and the group that they name; a datagram of the host's own comes back to its members.
#[test]
fn a_socket_joins_and_leaves_groups_as_the_c_library_asks() {
    let stack = configured(machine());
    stack.wait_for_ipv6("eth0", SOON).unwrap();
    let here = stack.enter("client");
    let set = |fd: &Fd, (level, name): (u64, u64), value: &[u8]| {
        let metadata = [SET_OPTION, name, level];
        fd.call_wo(value, CallFlags::empty(), &metadata)
            .map_err(|error| error.errno())
    };
    let any = [0; 4];
    let v4 = [&[239, 1, 2, 3][..], &any].concat();
    let v6 = [
        &Ipv6Addr::new(0xff05, 0, 0, 0, 0, 1, 2, 3).octets()[..],
        &any,
    ]
    .concat();
    for (local, group, [join, leave, hops, loops], request) in [
        ("0.0.0.0:4001", "239.1.2.3:4001", IPV4_GROUPS, &v4),
        ("[::]:4002", "[ff05::1:2:3]:4002", IPV6_GROUPS, &v6),
    ] {
        let member = open(&format!("udp//{local}")).unwrap();
        let speaker = open(&format!("udp/{group}")).unwrap();
        assert_eq!(get(&speaker, hops), 1, "{group}");
        assert_eq!(set(&member, join, &request[..3]), Err(EINVAL));
        assert_eq!(set(&member, join, request), Ok(0), "{group}");
        assert_eq!(set(&member, join, request), Err(EADDRINUSE));
        speaker.write(b"to all").unwrap();
        let mut buffer = [0; 100];
        assert_eq!(member.read(&mut buffer).unwrap(), 6, "{group}");
        assert_eq!(set(&speaker, loops, &0_i32.to_ne_bytes()), Ok(0));
        assert_eq!(set(&speaker, hops, &7_i32.to_ne_bytes()), Ok(0));
        assert_eq!((get(&speaker, loops), get(&speaker, hops)), (0, 7));
        assert_eq!(set(&member, leave, request), Ok(0), "{group}");
        assert_eq!(set(&member, leave, request), Err(EADDRNOTAVAIL));
    }
    drop(here);
}

#[test]
fn paths_that_lead_nowhere_say_why() {
    // A router of IPv6 would be a way to anywhere.
    let slirp = Slirp::new().without_ipv6();
    let nic = NicSpec::virtio(Netdev::Slirp(slirp));
    let stack = configured(StackSpec::new(MachineSpec::new().nic(nic)));
    let here = stack.enter("client");
    for (path, errno) in [
        ("tcp/[fe80::1%eth7]:80", ENODEV),
        ("tcp/[fe80::1]:80", EINVAL),
        ("tcp/[::1]80", EINVAL),
        ("tcp/[2001:db8::1]:80", ENETUNREACH),
        ("udp/[2001:db8::1]:80", ENETUNREACH),
        ("udp/[::1]:80/127.0.0.1:0", EAFNOSUPPORT),
        ("icmp/echo/fe80::1%eth7", ENODEV),
        ("icmp/echo/fe80::1", EINVAL),
    ] {
        let error = open(path).err().map(|error| error.errno());
        assert_eq!(error, Some(errno), "{path}");
    }
    drop(here);
}

/// The stack at 10.9.0.2 and fd42::2, and Linux at 10.9.0.1 and fd42::1 on a TAP; `None` where there can be no TAP.
fn with_linux() -> Option<(Namespace, Stack)> {
    if !requires_tap() {
        return None;
    }
    let namespace = Namespace::new().unwrap();
    let tap = Tap::create(&namespace, &TapSpec::default()).unwrap();
    namespace.ip("addr add fd42::1/64 dev tap0 nodad").unwrap();
    let address = StaticAddress {
        address: "10.9.0.2".into(),
        prefix_length: 24,
        gateway: None,
        name_server: None,
    };
    let machine = MachineSpec::new().nic(NicSpec::virtio(Netdev::Tap(tap)));
    let stack = Stack::start(StackSpec::new(machine).address(address)).unwrap();
    run(
        &stack,
        "write /scheme/netcfg/ifaces/eth0/addr/add fd42::2/64",
    );
    // Until it is known that nobody else has it (RFC 4862 5.4).
    stack
        .wait_for("/scheme/netcfg/ifaces/eth0/addr/list", SOON, |text| {
            text.contains("fd42::2/64 preferred")
        })
        .unwrap();
    Some((namespace, stack))
}

#[test]
fn linux_and_we_ping_each_other_over_ipv6() {
    let Some((namespace, stack)) = with_linux() else {
        return;
    };
    let here = stack.enter("ping");
    let socket = open("icmp/echo/fd42::1").unwrap();
    (0..10).for_each(|sequence| echoes(&socket, sequence));
    // In fragments both ways.
    let packet = vec![0x5a; 8000];
    assert_eq!(socket.write(&packet).unwrap(), 8000);
    let mut reply = vec![0; 10_000];
    assert_eq!(socket.read(&mut reply).unwrap(), 8000);
    assert_eq!(reply[..8000], packet);
    let peers = Peers::inside(&namespace);
    for size in [56, 1452, 8000] {
        let mut ping = peers
            .ping(&format!("-6 -q -s {size} -i 0.01 -c 10 fd42::2"))
            .unwrap();
        assert!(ping.wait(SOON).unwrap().success(), "{size}");
    }
    // Nobody there: Linux says so (RFC 4443 3.1).
    let closed = open("udp/[fd42::1]:9").unwrap();
    closed.write(b"anybody?").unwrap();
    let error = closed.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.errno(), ECONNREFUSED);
    drop(here);
}

#[test]
fn linux_and_we_connect_to_each_other_over_both_families() {
    let Some((namespace, stack)) = with_linux() else {
        return;
    };
    let here = stack.enter("both");
    for linux in ["10.9.0.1", "[fd42::1]"] {
        let listener = namespace.enter(|| TcpListener::bind(format!("{linux}:0")).unwrap());
        let listener = listener.unwrap();
        let port = listener.local_addr().unwrap().port();
        let _echo = EchoServer::tcp(listener).unwrap();
        let client = Socket::new("tcp");
        client.replace(&format!("{linux}:{port}")).unwrap();
        client.0.write(b"hello").unwrap();
        let mut data = [0; 5];
        assert_eq!(client.0.read(&mut data).unwrap(), 5);
        assert_eq!(&data, b"hello");
    }
    let server = Socket::new("tcp");
    server.replace("/[::]:7070").unwrap();
    for (ours, linux) in [
        ("10.9.0.2", "[::ffff:10.9.0.1]"),
        ("[fd42::2]", "[fd42::1]"),
    ] {
        let mut client = namespace
            .enter(|| TcpStream::connect(format!("{ours}:7070")).unwrap())
            .unwrap();
        let accepted = Fd::new(server.0.dup(b"listen").unwrap());
        let name = name(&accepted);
        assert!(name.starts_with(&format!("/scheme/tcp/{linux}:")), "{name}");
        client.write_all(b"hello").unwrap();
        let mut data = [0; 5];
        assert_eq!(accepted.read(&mut data).unwrap(), 5);
        accepted.write(&data).unwrap();
        client.read_exact(&mut data).unwrap();
        assert_eq!(&data, b"hello");
    }
    drop(here);
}

/// Multicast with Linux, and the reports that tell routers of it.
#[test]
fn linux_and_we_hear_each_other_in_groups_of_both_families() {
    let Some((namespace, stack)) = with_linux() else {
        return;
    };
    namespace.ip("route add 224.0.0.0/4 dev tap0").unwrap();
    let here = stack.enter("groups");
    let none = [0; 4];
    let (v4, v6) = (
        Ipv4Addr::new(239, 1, 2, 3),
        Ipv6Addr::new(0xff05, 0, 0, 0, 0, 1, 2, 3),
    );
    for (group, ours, linux, join, request) in [
        (
            "239.1.2.3:4001",
            "0.0.0.0:4001",
            "10.9.0.1:0",
            IPV4_GROUPS[0],
            [&v4.octets()[..], &none].concat(),
        ),
        (
            "[ff05::1:2:3]:4001",
            "[::]:4001",
            "[fd42::1]:0",
            IPV6_GROUPS[0],
            [&v6.octets()[..], &none].concat(),
        ),
    ] {
        let member = open(&format!("udp//{ours}")).unwrap();
        let metadata = [SET_OPTION, join.1, join.0];
        member
            .call_wo(&request, CallFlags::empty(), &metadata)
            .unwrap();
        let peer = namespace
            .enter(|| {
                let peer = UdpSocket::bind(ours).unwrap();
                match group.starts_with('[') {
                    true => peer.join_multicast_v6(&v6, 0).unwrap(),
                    false => peer
                        .join_multicast_v4(&v4, &Ipv4Addr::new(10, 9, 0, 1))
                        .unwrap(),
                }
                peer.set_read_timeout(Some(SOON)).unwrap();
                UdpSocket::bind(linux)
                    .unwrap()
                    .send_to(b"from linux", group)
                    .unwrap();
                peer
            })
            .unwrap();
        let mut data = [0; 100];
        let length = member.read(&mut data).unwrap();
        assert_eq!(&data[..length], b"from linux", "{group}");
        let speaker = open(&format!("udp/{group}")).unwrap();
        speaker.write(b"from us").unwrap();
        // Linux hears its own word first.
        loop {
            let length = peer.recv(&mut data).unwrap();
            if &data[..length] == b"from us" {
                break;
            }
        }
    }
    let stats = stack.read("/scheme/netcfg/ifaces/eth0/stats").unwrap();
    for counter in ["igmp_tx", "mld_tx"] {
        let line = stats.lines().find(|line| line.starts_with(counter));
        assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{stats}");
    }
    drop(here);
}
