//! IPv6 with nobody configuring anything: QEMU's user network, and Linux as a host on the same link.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use commands::OpenedFile;
use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Namespace, Netdev, Peers, Slirp, Tap, TapSpec};
use lab::peers::{DnsAnswer, DnsServer, EchoServer, HttpServer, PAGE};
use lab::{Stack, StackSpec, requires_namespace, requires_tap};

use crate::common::{SOON, configured, ping, run};

const ANY: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

/// A user network whose host serves names and pages in both families.
struct Host {
    namespace: Namespace,
    names: DnsServer,
    web: HttpServer,
}

impl Host {
    fn new() -> Host {
        let namespace = Namespace::with_own_resolver().unwrap();
        let (web, socket, listener) = namespace
            .enter(|| {
                (
                    TcpListener::bind((ANY, 80)).unwrap(),
                    UdpSocket::bind((ANY, 53)).unwrap(),
                    TcpListener::bind((ANY, 53)).unwrap(),
                )
            })
            .unwrap();
        let both: [IpAddr; 2] = [Slirp::GATEWAY.into(), Slirp::GATEWAY6.into()];
        // The first of each leads nowhere: nobody has it.
        let dead: [IpAddr; 2] = ["10.0.2.99".parse().unwrap(), Slirp::GATEWAY.into()];
        let names = [
            ("host.lab", DnsAnswer::at(both)),
            ("six.lab", DnsAnswer::at([Slirp::GATEWAY6])),
            ("large.lab", DnsAnswer::Truncated(both.to_vec())),
            ("dead.lab", DnsAnswer::at(dead)),
        ];
        let names = DnsServer::start(socket, names).unwrap();
        Host {
            names: names.also_on(listener).unwrap(),
            web: HttpServer::start(web).unwrap(),
            namespace,
        }
    }

    fn stack(&self, slirp: Slirp) -> Stack {
        let nic = NicSpec::virtio(Netdev::Slirp(slirp.inside(&self.namespace)));
        configured(StackSpec::new(MachineSpec::new().nic(nic)))
    }
}

#[test]
fn the_user_network_gives_an_address_a_name_server_a_name_and_a_page() {
    if !requires_namespace() {
        return;
    }
    let host = Host::new();
    let stack = host.stack(Slirp::new());
    let address = stack.wait_for_ipv6("eth0", SOON).unwrap();
    assert!(address.starts_with("fd12::"), "{address}");
    let servers = |text: &str| text.contains("fd12::3");
    stack
        .wait_for("/scheme/netcfg/resolv/nameserver", SOON, servers)
        .unwrap();
    for line in [
        "ping6 -c 3 -i 0.01 fe80::2%eth0",
        "ping6 -c 3 -i 0.01 fd12::2",
        "ping6 -c 3 -i 0.01 six.lab",
        "ping -c 3 -i 0.01 six.lab",
        "ping6 -c 3 -i 0.01 ::1",
    ] {
        run(&stack, line);
    }
    for url in [
        "-6 http://host.lab/",
        "http://six.lab/",
        "http://[fd12::2]/",
        "-4 http://host.lab/",
    ] {
        assert_eq!(run(&stack, &format!("curl -s {url}")), PAGE, "{url}");
    }
    assert_eq!(host.web.requests(), 4);
}

#[test]
fn names_have_addresses_of_both_families_asked_of_either_and_over_tcp_when_there_are_many() {
    if !requires_namespace() {
        return;
    }
    let host = Host::new();
    let stack = host.stack(Slirp::new());
    stack.wait_for_ipv6("eth0", SOON).unwrap();
    // RFC 6724 2.1: a unique local address comes after IPv4.
    let both = "10.0.2.2\nfd12::2\n";
    let servers = "/scheme/netcfg/resolv/nameserver";
    for server in ["10.0.2.3", "fd12::3"] {
        let here = stack.enter("admin");
        commands::write_text(servers, &format!("{server}\n")).unwrap();
        drop(here);
        assert_eq!(run(&stack, "dns host.lab"), both, "asked {server}");
        assert_eq!(run(&stack, "dns -6 host.lab"), "fd12::2\n");
        assert_eq!(run(&stack, "dns -4 host.lab"), "10.0.2.2\n");
        let refused = stack.command("dns -4 six.lab").result.unwrap_err();
        assert!(refused.to_string().contains("no IPv4 address"), "{refused}");
    }
    let here = stack.enter("admin");
    commands::write_text("/scheme/netcfg/resolv/search", "lab\n").unwrap();
    drop(here);
    assert_eq!(run(&stack, "dns host"), both, "by the search list");
    let questions = host.names.questions();
    assert!(questions.contains(&"host.lab".into()), "{questions:?}");
}

/// slirp passes questions on over UDP only; on a TAP there is a server that speaks TCP too.
#[test]
fn an_answer_that_does_not_fit_is_asked_for_over_tcp() {
    let Some((namespace, _tap, stack)) = with_linux() else {
        return;
    };
    let (socket, listener) = namespace
        .enter(|| {
            (
                UdpSocket::bind((ANY, 53)).unwrap(),
                TcpListener::bind((ANY, 53)).unwrap(),
            )
        })
        .unwrap();
    let many: Vec<IpAddr> = (1..=20)
        .map(|n| Ipv6Addr::new(0xfd10, 0, 0, 0, 0, 0, 1, n).into())
        .collect();
    let names = [("large.lab", DnsAnswer::Truncated(many))];
    let _names = DnsServer::start(socket, names)
        .unwrap()
        .also_on(listener)
        .unwrap();
    let here = stack.enter("admin");
    commands::write_text("/scheme/netcfg/ifaces/eth0/addr/add", "fd10::2/64\n").unwrap();
    stack.wait_for_ipv6("eth0", SOON).unwrap();
    commands::write_text("/scheme/netcfg/resolv/nameserver", "fd10::1\n").unwrap();
    drop(here);
    assert_eq!(run(&stack, "dns large.lab").lines().count(), 20);
}

#[test]
fn of_two_addresses_the_silent_one_holds_nobody_up() {
    if !requires_namespace() {
        return;
    }
    let host = Host::new();
    let stack = host.stack(Slirp::new().without_ipv6());
    let started = Instant::now();
    assert_eq!(run(&stack, "curl -s http://dead.lab/"), PAGE);
    let took = started.elapsed();
    // RFC 8305 5: a quarter of a second's head start. Address resolution of the dead one takes three.
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

#[test]
fn where_nobody_speaks_ipv6_nothing_waits_for_it() {
    if !requires_namespace() {
        return;
    }
    let host = Host::new();
    let stack = host.stack(Slirp::new().without_ipv6());
    let started = Instant::now();
    ping(&stack, "host.lab");
    assert_eq!(run(&stack, "curl -s http://host.lab/"), PAGE);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let refused = stack.command("curl -s -6 http://host.lab/").result;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("unreachable"), "{refused}");
    let routes = stack.read("/scheme/netcfg/route/list").unwrap();
    assert!(!routes.contains(" ra"), "{routes}");
    // Nobody is kept awake either: routers are solicited ever more seldom (RFC 7559), and neighbours grow stale.
    let smolnetd = stack.smolnetd().unwrap();
    let before = smolnetd.wakeups();
    std::thread::sleep(Duration::from_secs(2));
    let woke = smolnetd.wakeups() - before;
    assert!(woke <= 8, "{woke} times");
}

/// From the start of a machine to a page over IPv4: whether there is IPv6 makes no difference.
#[test]
fn without_ipv6_the_first_page_comes_as_soon_as_with_it() {
    if !requires_namespace() {
        return;
    }
    let host = Host::new();
    let first_page = |slirp: Slirp| {
        let started = Instant::now();
        let stack = host.stack(slirp);
        assert_eq!(run(&stack, "curl -s -4 http://host.lab/"), PAGE);
        started.elapsed()
    };
    // The better of two, for others use this machine too.
    let best = |slirp: fn() -> Slirp| first_page(slirp()).min(first_page(slirp()));
    let with = best(Slirp::new);
    let without = best(|| Slirp::new().without_ipv6());
    // A second is what duplicate address detection, or one solicitation in vain, would cost.
    assert!(
        without < with + Duration::from_millis(700),
        "{without:?}, {with:?}"
    );
}

/// Linux as a host on a TAP, at fd10::1 and fe80::1; our stack has only what it gives itself.
fn with_linux() -> Option<(Namespace, Tap, Stack)> {
    if !requires_tap() {
        return None;
    }
    let namespace = Namespace::new().unwrap().without_dad().unwrap();
    let spec = TapSpec {
        addresses: vec!["fd10::1/64".into(), "fe80::1/64".into()],
        ..TapSpec::default()
    };
    let tap = Tap::create(&namespace, &spec).unwrap();
    let nic = NicSpec::virtio(Netdev::Tap(tap.clone()));
    let spec = StackSpec::new(MachineSpec::new().nic(nic));
    let stack = Stack::start(spec.log_level(log::LevelFilter::Info)).unwrap();
    Some((namespace, tap, stack))
}

/// The address that the adapter gave itself on the link, once it may be used.
fn link_local(stack: &Stack) -> Ipv6Addr {
    let list = "/scheme/netcfg/ifaces/eth0/addr/list";
    let own = |line: &str| line.starts_with("fe80::") && line.contains(" preferred ");
    let usable = |text: &str| text.lines().any(own);
    let text = stack.wait_for(list, SOON, usable).unwrap();
    let line = text.lines().find(|line| own(line)).unwrap();
    line.split('/').next().unwrap().parse().unwrap()
}

fn index_of(namespace: &Namespace, device: &str) -> u32 {
    let shown = Peers::inside(namespace)
        .program(&format!("ip -o link show dev {device}"), "iproute2")
        .unwrap()
        .run(SOON)
        .unwrap();
    let shown = String::from_utf8(shown).unwrap();
    shown.split(':').next().unwrap().parse().unwrap()
}

#[test]
fn linux_and_we_ping_each_other_on_the_link_and_beyond() {
    let Some((namespace, tap, stack)) = with_linux() else {
        return;
    };
    let own = link_local(&stack);
    let here = stack.enter("admin");
    commands::write_text("/scheme/netcfg/ifaces/eth0/addr/add", "fd10::2/64\n").unwrap();
    stack.wait_for_ipv6("eth0", SOON).unwrap();
    drop(here);
    ping(&stack, "fe80::1%eth0");
    ping(&stack, "fd10::1");
    let peers = Peers::inside(&namespace);
    for target in [format!("{own}%{}", tap.name()), "fd10::2".into()] {
        let mut pings = peers
            .ping(&format!("-6 -q -c 20 -i 0.01 {target}"))
            .unwrap();
        assert!(pings.wait(SOON).unwrap().success(), "{target}");
    }
    // The largest that fits a frame, and one that does not.
    run(&stack, "ping -c 3 -i 0.01 -s 1452 fd10::1");
    run(&stack, "ping -c 3 -i 0.01 -s 4000 fd10::1");
    let mut pings = peers.ping("-6 -q -c 3 -i 0.01 -s 4000 fd10::2").unwrap();
    assert!(pings.wait(SOON).unwrap().success(), "fragments of Linux");
    let unscoped = stack.command("ping -c 1 fe80::1").result;
    assert!(unscoped.is_err(), "which link?");
}

fn exchange_over(stream: &mut TcpStream, connection: &OpenedFile) {
    stream.write_all(b"from Linux").unwrap();
    let mut buffer = [0; 64];
    assert_eq!(connection.read(&mut buffer).unwrap(), 10);
    connection.write_all(b"to Linux").unwrap();
    assert_eq!(stream.read(&mut buffer).unwrap(), 8);
}

#[test]
fn tcp_both_ways_on_the_link_with_a_zone_and_beyond() {
    let Some((namespace, tap, stack)) = with_linux() else {
        return;
    };
    let own = link_local(&stack);
    let here = stack.enter("program");
    commands::write_text("/scheme/netcfg/ifaces/eth0/addr/add", "fd10::2/64\n").unwrap();
    stack.wait_for_ipv6("eth0", SOON).unwrap();
    let index = index_of(&namespace, tap.name());
    // Out.
    let bind = || TcpListener::bind((ANY, 7)).unwrap();
    let server = EchoServer::tcp(namespace.enter(bind).unwrap()).unwrap();
    for peer in ["[fe80::1%eth0]:7", "[fd10::1]:7"] {
        let connection = OpenedFile::open("/scheme/tcp", syscall::flag::O_RDWR).unwrap();
        let connection = connection.dup(peer).unwrap();
        connection.write_all(b"hello").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(connection.read(&mut buffer).unwrap(), 5, "{peer}");
        let path = connection.fpath().unwrap();
        assert!(path.starts_with(&format!("/scheme/tcp/{peer}/")), "{path}");
    }
    drop(server);
    // In, to a listener that hears both families.
    let listener = OpenedFile::listen_at("[::]:4001").unwrap();
    let global = SocketAddr::from(("fd10::2".parse::<Ipv6Addr>().unwrap(), 4001));
    let local = SocketAddr::V6(SocketAddrV6::new(own, 4001, 0, index));
    for target in [local, global] {
        let client = namespace.enter(|| TcpStream::connect(target)).unwrap();
        let mut client = client.unwrap();
        let connection = listener.dup("listen").unwrap();
        exchange_over(&mut client, &connection);
    }
    drop((listener, here));
}
