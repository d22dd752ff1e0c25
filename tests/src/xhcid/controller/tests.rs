//! QEMU's controller and its usb-net.

mod bus;
mod driver;
mod files;
mod speed;

use std::sync::Arc;
use std::time::Duration;

use redox_host::{Entered, Host, HostConfig, ProcessSpec};
use syscall::flag::EventFlags;

use crate::machine::{Machine, MachineSpec, NicSpec};
use crate::network::{Netdev, Slirp};
use crate::xhcid::bus::Port;
use crate::xhcid::tests::client::Client;
use crate::xhcid::{Detach, Endpoints, Xhcid, XhcidSpec, controller};

const SOON: Duration = Duration::from_secs(10);
const READ: EventFlags = EventFlags::EVENT_READ;
const WRITE: EventFlags = EventFlags::EVENT_WRITE;
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
const ADDRESS: [u8; 4] = [10, 0, 2, 15];
const GATEWAY: [u8; 4] = [10, 0, 2, 2];

struct Bench {
    client: Client,
    port: Port,
    xhcid: Xhcid,
    _here: Entered,
    host: Arc<Host>,
    machine: Machine,
}

fn nic() -> NicSpec {
    NicSpec::rndis(Netdev::Slirp(Slirp::new())).mac(MAC)
}

fn host(machine: &Machine) -> Arc<Host> {
    let config = HostConfig {
        ram: Some(machine.ram().clone()),
        ..HostConfig::default()
    };
    let host = Arc::new(Host::new(config).unwrap());
    let run = machine.run().clone();
    host.set_log(move |_pid, name, line| run.log(name, line));
    let vectors = machine.msi_eventfds().unwrap();
    host.irq().provide_msi_vectors(vectors);
    host
}

fn start(machine: MachineSpec, endpoints: Endpoints) -> (Machine, Arc<Host>, Xhcid) {
    let machine = Machine::start(&machine).unwrap();
    let host = host(&machine);
    let spec = XhcidSpec::new("pci-0000-00-03.0")
        .endpoints(endpoints)
        .detach(Detach::Fails);
    let bus = controller::of(&machine, &host).unwrap();
    let xhcid = Xhcid::spawn(&host, spec, bus).unwrap();
    (machine, host, xhcid)
}

fn bench_on(machine: MachineSpec, endpoints: Endpoints) -> Bench {
    let (machine, host, xhcid) = start(machine, endpoints);
    let port = Port(machine.usb_port(0).unwrap());
    assert!(xhcid.wait_for_port(port, true, SOON));
    let here = host.enter(ProcessSpec::new("driver"));
    Bench {
        client: Client::open(xhcid.scheme(), port).unwrap(),
        port,
        xhcid,
        _here: here,
        host,
        machine,
    }
}

fn bench(endpoints: Endpoints) -> Bench {
    bench_on(MachineSpec::new().nic(nic()), endpoints)
}
