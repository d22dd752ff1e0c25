//! QEMU's user network as the other end.

use std::net::{TcpListener, UdpSocket};

use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Namespace, Netdev, Slirp};
use lab::peers::{DnsAnswer, DnsServer, HttpServer, PAGE};
use lab::{Stack, StackSpec, requires_namespace};

use crate::common::{SOON, run};

#[test]
fn a_lease_a_name_a_ping_and_a_page() {
    if !requires_namespace() {
        return;
    }
    let namespace = Namespace::with_own_resolver().unwrap();
    let (web, names) = namespace
        .enter(|| {
            (
                TcpListener::bind("127.0.0.1:80").unwrap(),
                UdpSocket::bind("127.0.0.1:53").unwrap(),
            )
        })
        .unwrap();
    let web = HttpServer::start(web).unwrap();
    let address = DnsAnswer::at([Slirp::GATEWAY]);
    let names = DnsServer::start(names, [("host.lab", address)]).unwrap();
    let nic = NicSpec::virtio(Netdev::Slirp(Slirp::new().inside(&namespace)));
    let stack = Stack::start(StackSpec::new(MachineSpec::new().nic(nic))).unwrap();
    stack
        .wait_for("/scheme/netcfg/ifaces/eth0/addr/list", SOON, |text| {
            text.starts_with("10.0.2.15/24")
        })
        .unwrap();
    for line in ["ping -c 3 127.0.0.1", "ping -c 3 10.0.2.2", "dns host.lab"] {
        println!("{}", run(&stack, line));
    }
    let page = stack.command("curl http://host.lab/");
    page.result.unwrap();
    assert_eq!(String::from_utf8_lossy(&page.out), PAGE);
    assert_eq!((web.requests(), names.questions().is_empty()), (1, false));
}
