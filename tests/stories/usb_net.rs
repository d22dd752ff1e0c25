//! QEMU's adapter on USB, from its descriptors to the stack, alone and beside others.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use commands::OpenedFile;
use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Netdev, Slirp};
use lab::peers::{EchoServer, HttpServer};
use lab::xhcid::{Detach, Endpoints};
use lab::{Stack, StackSpec};
use redox_host::Entered;

use crate::common::{SOON, configured, nic, ping, run};
use crate::traffic::both_ways;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The gateway of the second network.
const OTHER_GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);

fn adapter() -> NicSpec {
    NicSpec::rndis(Netdev::Slirp(Slirp::new()))
}

/// An adapter on a network of its own.
fn other_adapter() -> NicSpec {
    let network = Slirp::new().option("net=192.168.7.0/24");
    NicSpec::rndis(Netdev::Slirp(network))
}

fn machine() -> StackSpec {
    StackSpec::new(MachineSpec::new().nic(adapter()))
}

/// Waits until the adapter has an address of its network.
fn wait_for_address(stack: &Stack, name: &str, prefix: &str) {
    let path = format!("/scheme/netcfg/ifaces/{name}/addr/list");
    stack
        .wait_for(&path, SOON, |text| text.starts_with(prefix))
        .unwrap();
}

#[test]
fn an_adapter_on_usb_is_as_good_as_a_card() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let stack = configured(machine().xhcid(endpoints, Detach::Kills));
        ping(&stack, GATEWAY);
        run(&stack, "ping -c 2 -i 0.01 -s 1472 10.0.2.2");
        let names = run(&stack, "ls /scheme");
        let name = "network.usb-usb.pci-0000-00-03.0_xhci+5";
        assert!(names.contains(name), "{names}");
    }
}

#[test]
fn twenty_megabytes_arrive_whole_over_usb_both_ways() {
    let server = HttpServer::start(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).unwrap();
    let spec = StackSpec::new(MachineSpec::new().nic(adapter()).without_capture());
    let stack = configured(spec.log_level(log::LevelFilter::Info));
    let address = SocketAddr::from((GATEWAY, server.address().port()));
    both_ways(&stack, address, 20 << 20);
}

#[test]
fn an_xhcid_that_blocks_is_explained_in_one_line() {
    let spec = machine().xhcid(Endpoints::Blocking, Detach::Kills);
    let error = Stack::start(spec).unwrap_err().to_string();
    let (_, why) = error.split_once("it ended\n").unwrap();
    assert!(why.contains("block"), "{error}");
}

#[test]
fn an_adapter_that_is_plugged_in_later_is_found_without_a_restart() {
    let machine = MachineSpec::new().nic(adapter().unplugged());
    let stack = Stack::start(StackSpec::new(machine)).unwrap();
    ping(&stack, "127.0.0.1");
    stack.plug(0).unwrap();
    let route = |text: &str| text.contains("default via 10.0.2.2 dev eth0");
    let routes = "/scheme/netcfg/route/list";
    stack.wait_for(routes, SOON, route).unwrap();
    ping(&stack, GATEWAY);
}

/// A connection to an echo server of this machine, through the gateway of one of the networks.
struct Connection<'a> {
    file: OpenedFile,
    stack: &'a Stack,
    _server: EchoServer,
    _process: Entered,
}

impl<'a> Connection<'a> {
    fn open(stack: &'a Stack, gateway: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = EchoServer::tcp(listener).unwrap();
        let peer = SocketAddr::from((gateway, server.address().port()));
        let process = stack.enter("client");
        Self {
            file: OpenedFile::connect(peer).unwrap(),
            stack,
            _server: server,
            _process: process,
        }
    }

    fn exchange(&self, text: &[u8]) {
        self.file.write_all(text).unwrap();
        let mut answer = vec![0; text.len()];
        let mut got = 0;
        while got < text.len() {
            got += self.file.read(&mut answer[got..]).unwrap();
        }
        assert_eq!(answer, text, "{:?}", self.stack.machine().run().path());
    }
}

#[test]
fn of_two_adapters_one_is_pulled_out_the_others_connections_go_on_and_it_comes_back() {
    let machine = MachineSpec::new().nic(nic()).nic(other_adapter());
    let stack = configured(StackSpec::new(machine));
    wait_for_address(&stack, "eth0", "10.0.2.15/24");
    wait_for_address(&stack, "eth1", "192.168.7.15/24");
    let connection = Connection::open(&stack, GATEWAY);
    for round in 0..5 {
        ping(&stack, OTHER_GATEWAY);
        connection.exchange(format!("both there, round {round}").as_bytes());
        stack.unplug(1).unwrap();
        connection.exchange(format!("one gone, round {round}").as_bytes());
        stack.plug(1).unwrap();
        wait_for_address(&stack, "eth1", "192.168.7.15/24");
    }
    ping(&stack, OTHER_GATEWAY);
    drop(connection);
    let names = run(&stack, "ls /scheme/netcfg/ifaces");
    assert_eq!(names, "eth0/\neth1/\nlo/\n", "the same names");
}

#[test]
fn two_adapters_on_usb_carry_a_connection_each() {
    let machine = MachineSpec::new().nic(adapter()).nic(other_adapter());
    let stack = configured(StackSpec::new(machine));
    wait_for_address(&stack, "eth0", "10.0.2.15/24");
    wait_for_address(&stack, "eth1", "192.168.7.15/24");
    let second = Connection::open(&stack, OTHER_GATEWAY);
    second.exchange(b"over the second");
    stack.unplug(0).unwrap();
    second.exchange(b"and when the first is gone");
    drop(second);
    stack.plug(0).unwrap();
    wait_for_address(&stack, "eth0", "10.0.2.15/24");
    Connection::open(&stack, GATEWAY).exchange(b"over the first");
}

#[test]
fn an_idle_adapter_sleeps_where_its_xhcid_has_events() {
    let stack = configured(machine());
    ping(&stack, GATEWAY);
    let driver = stack.wait_for_adapter(0).unwrap();
    let xhcid = stack.xhcid().unwrap().process();
    let quiet = || (driver.wakeups(), xhcid.wakeups());
    let started = std::time::Instant::now();
    let (mut before, mut since) = (quiet(), started);
    while since.elapsed() < Duration::from_secs(3) {
        assert!(started.elapsed() < Duration::from_secs(60), "never idle");
        // Measuring, not waiting for anything: nothing may happen for longer than any of its timers but the one that
        // asks whether the device lives.
        std::thread::sleep(Duration::from_millis(100));
        if quiet() != before {
            (before, since) = (quiet(), std::time::Instant::now());
        }
    }
}
