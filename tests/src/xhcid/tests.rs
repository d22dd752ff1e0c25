//! The files over scripted devices. `client` is a driver's end of them.

pub(super) mod client;
mod files;
mod forms;
mod modes;
mod unplug;

use std::sync::Arc;
use std::time::Duration;

use redox_host::{Entered, Host, HostConfig, ProcessSpec};

use super::scripted::{Rndis, RndisSpec, ScriptedBus};
use super::*;
use client::Client;

const SOON: Duration = Duration::from_secs(5);
const PORT: Port = Port(5);

/// An xhcid with one scripted adapter, in a process of the test.
struct Bench {
    client: Client,
    adapter: Rndis,
    bus: ScriptedBus,
    xhcid: Xhcid,
    _here: Entered,
    host: Arc<Host>,
}

fn host() -> Arc<Host> {
    let host = Arc::new(Host::new(HostConfig::default()).unwrap());
    host.set_log(|_pid, name, line| eprintln!("{name}: {}", String::from_utf8_lossy(line)));
    host
}

fn spec(endpoints: Endpoints) -> XhcidSpec {
    XhcidSpec::new("pci-0000-00-06.0").endpoints(endpoints)
}

fn bench_with(spec: XhcidSpec, adapter: RndisSpec) -> Bench {
    let host = host();
    let bus = ScriptedBus::new().unwrap();
    let adapter = Rndis::plug(&bus, PORT, adapter);
    let xhcid = Xhcid::spawn(&host, spec, bus.open(&host)).unwrap();
    assert!(xhcid.wait_for_port(PORT, true, SOON));
    let here = host.enter(ProcessSpec::new("driver"));
    Bench {
        client: Client::open(xhcid.scheme(), PORT).unwrap(),
        adapter,
        bus,
        xhcid,
        _here: here,
        host,
    }
}

/// The same, with its RNDIS configuration chosen.
fn bench(endpoints: Endpoints) -> Bench {
    let bench = bench_with(spec(endpoints), RndisSpec::new());
    bench.client.configure(2).unwrap();
    bench
}
