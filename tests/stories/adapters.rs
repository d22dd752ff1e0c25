//! Several adapters in one machine.

use std::net::{SocketAddr, TcpListener};

use commands::OpenedFile;
use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Namespace, Netdev, Slirp};
use lab::peers::EchoServer;
use lab::{Stack, StackSpec, requires_namespace};
use syscall::flag::O_RDWR;

use crate::common::{SOON, exchange, ping};

const ROUTES: &str = "/scheme/netcfg/route/list";
/// Behind both adapters, and on the network of neither.
const FAR: &str = "192.0.2.1";

/// A machine with two cards, each on a user network of its own (10.0.2.0/24 and 10.0.3.0/24), and a server that both
/// lead to.
fn two_cards() -> (EchoServer, SocketAddr, Stack) {
    let namespace = Namespace::new().unwrap();
    namespace.add_addresses("lo", &["192.0.2.1/32"]).unwrap();
    let listener = namespace.enter(|| TcpListener::bind((FAR, 7))).unwrap();
    let server = EchoServer::tcp(listener.unwrap()).unwrap();
    let card = |slirp: Slirp| NicSpec::virtio(Netdev::Slirp(slirp.inside(&namespace)));
    let machine = MachineSpec::new()
        .nic(card(Slirp::new().without_ipv6()))
        .nic(card(Slirp::new().without_ipv6().option("net=10.0.3.0/24")));
    let stack = Stack::start(StackSpec::new(machine)).unwrap();
    let both = |text: &str| text.matches("default via").count() == 2;
    stack.wait_for(ROUTES, SOON, both).unwrap();
    let address = server.address();
    (server, address, stack)
}

/// Connects; the address that is spoken from.
fn source(peer: SocketAddr) -> String {
    let connection = OpenedFile::connect(peer).unwrap();
    let path = connection.fpath().unwrap();
    let (_, local) = path.rsplit_once('/').unwrap();
    local.split(':').next().unwrap().to_owned()
}

#[test]
fn the_first_adapter_wins_and_when_it_goes_the_second_takes_over() {
    if !requires_namespace() {
        return;
    }
    let (_server, far, mut stack) = two_cards();
    let routes = stack.read(ROUTES).unwrap();
    let defaults: Vec<&str> = routes
        .lines()
        .filter(|line| line.starts_with("default via"))
        .collect();
    assert_eq!(
        defaults,
        [
            "default via 10.0.2.2 dev eth0 src 10.0.2.15 metric 0 proto dhcp",
            "default via 10.0.3.2 dev eth1 src 10.0.3.15 metric 100 proto dhcp",
        ]
    );
    let here = stack.enter("client");
    assert_eq!(source(far), "10.0.2.15");
    // A connection of the second adapter's own, which is none of the first's business.
    let second = OpenedFile::open("/scheme/tcp", O_RDWR).unwrap();
    let second = second.dup(&format!("{far}/10.0.3.15:0")).unwrap();
    exchange(&second, b"over the second");
    let driver = stack.drivers().first().unwrap().clone();
    driver.kill();
    driver.wait(SOON).unwrap();
    let down = |text: &str| text.starts_with("down");
    stack
        .wait_for("/scheme/netcfg/ifaces/eth0/link", SOON, down)
        .unwrap();
    assert_eq!(source(far), "10.0.3.15", "the second takes over");
    exchange(&second, b"still over the second");
    stack.start_driver(0).unwrap();
    let up = |text: &str| text.starts_with("up");
    stack
        .wait_for("/scheme/netcfg/ifaces/eth0/link", SOON, up)
        .unwrap();
    assert_eq!(
        source(far),
        "10.0.2.15",
        "the first is back, under its name"
    );
    exchange(&second, b"and untouched");
    drop(second);
    drop(here);
    ping(&stack, "10.0.2.2");
    ping(&stack, "10.0.3.2");
}
