//! The same driver over QEMU's usb-net, with the whole stack above it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Instant;

use commands::OpenedFile;
use lab::StackSpec;
use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Netdev, Slirp};
use lab::peers::HttpServer;
use lab::xhcid::{Detach, Endpoints};
use redox_host::ProcessSpec;
use syscall::flag::O_RDWR;

use crate::common::{SOON, configured, ping};
use crate::traffic::{ETH0, both_ways, counter};

fn adapter() -> NicSpec {
    NicSpec::rndis(Netdev::Slirp(Slirp::new()))
}

fn quiet(machine: MachineSpec) -> StackSpec {
    StackSpec::new(machine.without_capture()).log_level(log::LevelFilter::Info)
}

#[test]
fn twenty_megabytes_arrive_whole_both_ways_by_the_timer() {
    let spec = quiet(MachineSpec::new().nic(adapter()));
    let stack = configured(spec.xhcid(Endpoints::NonBlocking, Detach::Kills));
    let mtu = stack.read("/scheme/netcfg/ifaces/eth0/mtu").unwrap();
    assert_eq!(mtu, "1500\n", "QEMU says 1514, and means the frame");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = HttpServer::start(listener).unwrap();
    let address = SocketAddr::from((Slirp::GATEWAY, server.address().port()));
    both_ways(&stack, address, 20 << 20);
}

#[test]
fn a_hundred_times_pulled_out_under_traffic_and_plugged_in_again() {
    const CYCLES: usize = 100;
    let spec = quiet(MachineSpec::new().nic(adapter()));
    let stack = configured(spec.xhcid(Endpoints::Events, Detach::Fails));
    let smolnetd = stack.smolnetd().unwrap();
    let held = || {
        let usage = stack.host().usage();
        let files = (
            smolnetd.open_fds(),
            stack.xhcid().unwrap().process().open_fds(),
        );
        (
            files,
            usage.processes,
            usage.sockets,
            usage.subscriptions,
            (usage.ram_free, usage.anonymous_free),
        )
    };
    let with_adapter = smolnetd.open_fds();
    let mut before = None;
    for cycle in 0..CYCLES {
        let pinging = stack.host().spawn(ProcessSpec::new("ping"), || {
            let socket = OpenedFile::open("/scheme/icmp/echo/10.0.2.2", O_RDWR).unwrap();
            while socket.write(&[0; 64]).is_ok() {}
            0
        });
        let sent = || counter(&stack, ETH0, "driver.tx_frames");
        let start = sent();
        until(|| sent() > start + 10);
        stack.unplug(0).unwrap();
        // The driver's last word woke smolnetd up.
        until(|| smolnetd.open_fds() < with_adapter);
        pinging.kill();
        assert!(pinging.wait(SOON).is_some());
        match cycle {
            20 => before = Some(held()),
            _ if cycle > 20 => assert_eq!(Some(held()), before, "cycle {cycle}"),
            _ => {}
        }
        stack.plug(0).unwrap();
        stack
            .wait_for("/scheme/netcfg/route/list", SOON, |text| {
                text.contains("default via")
            })
            .unwrap();
        ping(&stack, Slirp::GATEWAY);
    }
}

/// Looks until it is so; for what tells nobody.
#[track_caller]
fn until(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < SOON, "it never is");
        std::thread::yield_now();
    }
}
