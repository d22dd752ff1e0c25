//! Linux routers on a LAN: who advertises what, who goes away, and what a connection notices of it.

use std::net::{IpAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use commands::OpenedFile;
use lab::machine::{MachineSpec, NicSpec};
use lab::network::{LAN_DEVICE, Lan, Namespace, Netdev, Peers, WAN_DEVICE};
use lab::peers::{EchoServer, HttpServer};
use lab::{Stack, StackSpec, requires_tap};
use syscall::flag::O_RDWR;

use crate::common::{SOON, exchange, ping, run};

const ROUTES: &str = "/scheme/netcfg/route/list";
const ADDRESSES: &str = "/scheme/netcfg/ifaces/eth0/addr/list";
/// What is far away.
const WORLD: [&str; 2] = ["2001:db8:ffff::1", "198.51.100.1"];
/// Neighbour unreachability takes its time: DELAY_FIRST_PROBE_TIME and three probes (RFC 4861 section 10).
const LONG: Duration = Duration::from_secs(30);

fn namespace() -> Namespace {
    Namespace::new().unwrap().without_dad().unwrap()
}

/// A prefix as radvd advertises it, with its lifetimes in seconds.
fn prefix(network: &str, valid: u32, preferred: u32) -> String {
    format!("prefix {network} {{ AdvValidLifetime {valid}; AdvPreferredLifetime {preferred}; }};")
}

fn advertisement(preference: &str, rest: &str) -> String {
    format!(
        "interface {LAN_DEVICE} {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; \
         AdvDefaultLifetime 1800; AdvDefaultPreference {preference}; {rest} }};"
    )
}

/// A LAN with routers 10.9.0.1/fd10::1 and 10.9.0.2/fd10::2, each with a cable of its own into the world. Nothing is
/// translated: the world sends what is for the LAN by the second router.
struct Lab {
    lan: Lan,
    routers: [Namespace; 2],
    world: Namespace,
}

impl Lab {
    fn new() -> Option<Lab> {
        if !requires_tap() {
            return None;
        }
        let (lan, world) = (Lan::new().unwrap(), namespace());
        let [six, four] = WORLD;
        let own = [format!("{six}/128"), format!("{four}/32")];
        world
            .add_addresses("lo", &own.each_ref().map(String::as_str))
            .unwrap();
        let routers = [1, 2].map(|number| {
            let router = namespace().forwarding().unwrap();
            let (v4, v6) = (format!("10.9.0.{number}/24"), format!("fd10::{number}/64"));
            let port = format!("router{number}");
            lan.plug(&port, &router, &[&v4, &v6]).unwrap();
            router.cable(WAN_DEVICE, &world, &port).unwrap();
            let network = |last: u8| {
                [
                    format!("192.0.{number}.{last}/24"),
                    format!("2001:db8:{number}::{last}/64"),
                ]
            };
            let (here, there) = (network(1), network(9));
            router
                .add_addresses(WAN_DEVICE, &here.each_ref().map(String::as_str))
                .unwrap();
            world
                .add_addresses(&port, &there.each_ref().map(String::as_str))
                .unwrap();
            for (family, network, gateway) in [
                ("", WORLD[1], format!("192.0.{number}.9")),
                ("-6 ", WORLD[0], format!("2001:db8:{number}::9")),
            ] {
                router
                    .ip(&format!("{family}route add {network} via {gateway}"))
                    .unwrap();
            }
            router
        });
        for route in [
            "route add 10.9.0.0/24 via 192.0.2.1",
            "-6 route add fd00::/8 via 2001:db8:2::1",
        ] {
            world.ip(route).unwrap();
        }
        Some(Lab {
            lan,
            routers,
            world,
        })
    }

    fn stack(&self) -> Stack {
        let nic = NicSpec::virtio(Netdev::Tap(self.lan.tap().clone()));
        let machine = MachineSpec::new().nic(nic).without_capture();
        let spec = StackSpec::new(machine).log_level(log::LevelFilter::Info);
        Stack::start(spec).unwrap()
    }

    fn peers(&self, router: usize) -> Peers {
        Peers::inside(&self.routers[router])
    }

    fn echo(&self) -> EchoServer {
        let bind = || TcpListener::bind(("::", 7)).unwrap();
        EchoServer::tcp(self.world.enter(bind).unwrap()).unwrap()
    }
}

fn connect(peer: &str) -> OpenedFile {
    let socket = OpenedFile::open("/scheme/tcp", O_RDWR).unwrap();
    socket.dup(peer).unwrap()
}

/// The address that a connection speaks from.
fn source(connection: &OpenedFile) -> IpAddr {
    let path = connection.fpath().unwrap();
    let (_, local) = path.rsplit_once('/').unwrap();
    let (address, _) = local.rsplit_once(':').unwrap();
    let address = address.trim_start_matches('[').trim_end_matches(']');
    address.parse().unwrap()
}

/// The default routes that routers advertised, best first.
fn learned(routes: &str) -> Vec<&str> {
    routes
        .lines()
        .filter(|line| line.starts_with("default via fe80:") && line.ends_with(" ra"))
        .collect()
}

fn wait_for_routers(stack: &Stack, count: usize) -> String {
    let there = |text: &str| learned(text).len() == count;
    stack.wait_for(ROUTES, SOON, there).unwrap()
}

/// RFC 4191 3.1 and 3.2
#[test]
fn of_two_routers_the_preferred_one_is_used_and_when_it_resigns_a_download_goes_on_over_the_other()
{
    let Some(lab) = Lab::new() else { return };
    let both = prefix("fd10::/64", 86_400, 14_400);
    let first = lab.peers(0).radvd(&advertisement("high", &both)).unwrap();
    let _second = lab.peers(1).radvd(&advertisement("low", &both)).unwrap();
    let stack = lab.stack();
    let address = stack.wait_for_ipv6("eth0", SOON).unwrap();
    assert!(address.starts_with("fd10::"), "{address}");
    let routes = wait_for_routers(&stack, 2);
    let metrics: Vec<&str> = learned(&routes)
        .iter()
        .map(|line| line.split(' ').nth(6).unwrap())
        .collect();
    assert_eq!(metrics, ["10", "30"], "{routes}");
    ping(&stack, WORLD[0]);
    let bind = || TcpListener::bind(("::", 80)).unwrap();
    let _web = HttpServer::start(lab.world.enter(bind).unwrap()).unwrap();
    download_while(&stack, WORLD[0], || {
        first.stop().unwrap();
        wait_for_routers(&stack, 1);
        // What would still go over the first is lost from here on.
        lab.lan.set_plugged("router1", false).unwrap();
    });
    ping(&stack, WORLD[0]);
}

/// RFC 4861 7.3.3: a router that says nothing is noticed by those who send through it.
#[test]
fn a_router_that_crashes_is_passed_by_and_the_connection_goes_on_over_the_other() {
    let Some(lab) = Lab::new() else { return };
    let both = prefix("fd10::/64", 86_400, 14_400);
    // RFC 4861 6.3.4: how long a neighbour that answered is trusted is for routers to say; half a minute otherwise.
    let quick = format!("AdvReachableTime 2000; {both}");
    let first = lab.peers(0).radvd(&advertisement("high", &quick)).unwrap();
    let _second = lab.peers(1).radvd(&advertisement("low", &quick)).unwrap();
    let stack = lab.stack();
    stack.wait_for_ipv6("eth0", SOON).unwrap();
    wait_for_routers(&stack, 2);
    let _echo = lab.echo();
    let here = stack.enter("client");
    let connection = connect(&format!("[{}]:7", WORLD[0]));
    exchange(&connection, b"over the first");
    lab.lan.set_plugged("router1", false).unwrap();
    drop(first);
    // Retransmitted until the way over the second is found.
    let started = std::time::Instant::now();
    exchange(&connection, b"over the second");
    let took = started.elapsed();
    assert!(took < LONG, "{took:?}");
    drop((connection, here));
}

/// RFC 4862 5.5.4
#[test]
fn the_network_is_renumbered_new_connections_use_the_new_prefix_and_the_old_one_goes_on() {
    let Some(lab) = Lab::new() else { return };
    let old = prefix("fd10::/64", 86_400, 14_400);
    let radvd = lab.peers(1).radvd(&advertisement("medium", &old)).unwrap();
    let stack = lab.stack();
    stack.wait_for_ipv6("eth0", SOON).unwrap();
    wait_for_routers(&stack, 1);
    let _echo = lab.echo();
    let here = stack.enter("client");
    let peer = format!("[{}]:7", WORLD[0]);
    let first = connect(&peer);
    exchange(&first, b"from the old address");
    lab.routers[1]
        .add_addresses(LAN_DEVICE, &["fd20::2/64"])
        .unwrap();
    let both = [
        prefix("fd10::/64", 7200, 0),
        prefix("fd20::/64", 86_400, 14_400),
    ]
    .concat();
    radvd.reload(&advertisement("medium", &both)).unwrap();
    let renumbered = |text: &str| {
        let state = |prefix: &str, word: &str| {
            text.lines()
                .any(|line| line.starts_with(prefix) && line.split(' ').nth(1) == Some(word))
        };
        state("fd10:", "deprecated") && state("fd20:", "preferred")
    };
    stack.wait_for(ADDRESSES, LONG, renumbered).unwrap();
    let second = connect(&peer);
    let [from, to] = [&first, &second].map(|connection| source(connection).to_string());
    assert!(
        from.starts_with("fd10:") && to.starts_with("fd20:"),
        "{from}, {to}"
    );
    exchange(&second, b"from the new address");
    exchange(&first, b"still from the old address");
    drop((first, second, here));
}

#[test]
fn the_default_route_is_changed_by_hand_while_a_download_runs_in_both_families() {
    let Some(lab) = Lab::new() else { return };
    let both = prefix("fd10::/64", 86_400, 14_400);
    let _radvd = lab.peers(0).radvd(&advertisement("medium", &both)).unwrap();
    let options = ["--port=0", "--dhcp-range=10.9.0.50,10.9.0.60,120s"];
    let _dhcp = lab.peers(0).dnsmasq(LAN_DEVICE, &options).unwrap();
    let stack = lab.stack();
    stack.wait_for_ipv6("eth0", SOON).unwrap();
    stack.wait_for_ipv4("eth0", SOON).unwrap();
    wait_for_routers(&stack, 1);
    let bind = || TcpListener::bind(("::", 80)).unwrap();
    let _web = HttpServer::start(lab.world.enter(bind).unwrap()).unwrap();
    let (v6, v4) = (WORLD[0], WORLD[1]);
    for (server, route) in [
        (v6, "default via fd10::2 dev eth0"),
        (v4, "default via 10.9.0.2 dev eth0"),
    ] {
        download_while(&stack, server, || {
            let here = stack.enter("admin");
            if server == v4 {
                commands::write_text("/scheme/netcfg/route/rm", "default via 10.9.0.1 dev eth0\n")
                    .unwrap();
            }
            commands::write_text("/scheme/netcfg/route/add", &format!("{route}\n")).unwrap();
            drop(here);
            if server == v4 {
                // What would still go over the first is lost from here on.
                lab.lan.set_plugged("router1", false).unwrap();
            }
        });
    }
}

#[test]
fn a_linux_router_translates_and_the_world_is_reached_in_both_families() {
    let Some(lab) = Lab::new() else { return };
    lab.routers[1].masquerade(WAN_DEVICE).unwrap();
    let both = prefix("fd10::/64", 86_400, 14_400);
    let _radvd = lab.peers(1).radvd(&advertisement("medium", &both)).unwrap();
    let options = ["--port=0", "--dhcp-range=10.9.0.50,10.9.0.60,120s"];
    let _dhcp = lab.peers(1).dnsmasq(LAN_DEVICE, &options).unwrap();
    let stack = lab.stack();
    stack.wait_for_ipv6("eth0", SOON).unwrap();
    stack.wait_for_ipv4("eth0", SOON).unwrap();
    let listener = lab.world.enter(|| TcpListener::bind(("::", 7)).unwrap());
    let listener = listener.unwrap();
    let here = stack.enter("client");
    for (peer, seen_as) in [
        (format!("[{}]:7", WORLD[0]), "2001:db8:2::1"),
        (format!("{}:7", WORLD[1]), "192.0.2.1"),
    ] {
        let connection = connect(&peer);
        let (mut stream, from) = listener.accept().unwrap();
        assert_eq!(from.ip().to_canonical().to_string(), seen_as);
        connection.write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        std::io::Read::read_exact(&mut stream, &mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }
    drop(here);
    ping(&stack, WORLD[0]);
    ping(&stack, WORLD[1]);
}

/// Two name servers that dnsmasq names by default: its own link-local address, and by DHCPv6 what it is told.
#[test]
fn dnsmasq_alone_gives_addresses_routes_and_names_in_both_families() {
    let Some(lab) = Lab::new() else { return };
    let options = [
        "--enable-ra",
        "--dhcp-range=10.9.0.50,10.9.0.60,120s",
        "--dhcp-range=fd10::,ra-stateless",
        "--dhcp-option=option6:domain-search,lab.test",
        "--address=/www.lab.test/10.9.0.1",
        "--address=/www.lab.test/fd10::1",
    ];
    let _dnsmasq = lab.peers(0).dnsmasq(LAN_DEVICE, &options).unwrap();
    let stack = lab.stack();
    let address = stack.wait_for_ipv6("eth0", SOON).unwrap();
    assert!(address.starts_with("fd10::"), "{address}");
    let servers = "/scheme/netcfg/resolv/nameserver";
    let named = |text: &str| text.contains("fe80::") && text.contains("%eth0");
    stack.wait_for(servers, SOON, named).unwrap();
    // dnsmasq asks for three seconds whether an address is free before it leases it.
    stack.wait_for_ipv4("eth0", LONG).unwrap();
    let search = |text: &str| text.contains("lab.test");
    stack
        .wait_for("/scheme/netcfg/resolv/search", SOON, search)
        .unwrap();
    assert_eq!(run(&stack, "dns www.lab.test"), "10.9.0.1\nfd10::1\n");
    // Only over IPv6: the server's address on the link.
    let text = stack.read(servers).unwrap();
    let local = text
        .lines()
        .find(|line| line.starts_with("fe80::"))
        .unwrap();
    let here = stack.enter("admin");
    commands::write_text(servers, &format!("{local}\n")).unwrap();
    drop(here);
    assert_eq!(
        run(&stack, "dns www"),
        "10.9.0.1\nfd10::1\n",
        "asked {local}"
    );
    ping(&stack, "www");
    run(&stack, "ping6 -c 3 -i 0.01 www");
}

/// Downloads 64 MB, and does something when a quarter of it is there.
fn download_while(stack: &Stack, server: &str, meanwhile: impl FnOnce()) {
    const LENGTH: u64 = 64 << 20;
    let received = AtomicU64::new(0);
    let (quarter, reached) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let received = &received;
        let download = scope.spawn(move || {
            let _here = stack.enter("download");
            let peer = match server.contains(':') {
                true => format!("[{server}]:80"),
                false => format!("{server}:80"),
            };
            let connection = connect(&peer);
            let request = format!("GET /bytes/{LENGTH} HTTP/1.1\r\nConnection: close\r\n\r\n");
            connection.write_all(request.as_bytes()).unwrap();
            let mut buffer = vec![0; 64 << 10];
            loop {
                let n = connection.read(&mut buffer).unwrap();
                if n == 0 {
                    return;
                }
                let so_far = received.fetch_add(n as u64, Ordering::Relaxed) + n as u64;
                if so_far >= LENGTH / 4 {
                    // Only the first is waited for.
                    let _ = quarter.send(());
                }
            }
        });
        reached.recv_timeout(LONG).unwrap();
        meanwhile();
        let then = received.load(Ordering::Relaxed);
        download.join().unwrap();
        let all = received.load(Ordering::Relaxed);
        assert!(then < LENGTH, "it was over too early to tell");
        assert!(all > LENGTH, "{all} bytes with the head");
    });
}
