//! Sockets of both families by their paths, within one machine: it has 127.0.0.1 and ::1 without any adapter's help.

use libredox::Fd;
use syscall::error::{
    EADDRINUSE, EAFNOSUPPORT, ECONNREFUSED, EINVAL, EISCONN, ENETUNREACH, ENODEV, ENOPROTOOPT,
};
use syscall::flag::{CallFlags, O_RDWR};

use crate::common::{configured, machine};
use crate::relibc::{Socket, echoes};

const SET_OPTION: u64 = 2;
const GET_OPTION: u64 = 3;
/// `SOL_SOCKET`, which may be left out, and `IPPROTO_IPV6`, with names of theirs.
const SOL_SOCKET: u64 = 1;
const REUSEADDR: u64 = 2;
const IPPROTO_IPV6: u64 = 41;
const V6ONLY: u64 = 26;

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
    let unknown = set(&socket.0, (IPPROTO_IPV6, REUSEADDR), 1).unwrap_err();
    assert_eq!(unknown.errno(), ENOPROTOOPT);
    drop(here);
}

#[test]
fn paths_that_lead_nowhere_say_why() {
    let stack = configured(machine());
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
