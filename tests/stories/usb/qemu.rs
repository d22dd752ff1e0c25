//! The same driver over QEMU's usb-net, with the whole stack above it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Instant;

use commands::OpenedFile;
use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Netdev, Slirp};
use lab::peers::HttpServer;
use lab::xhcid::{Detach, Endpoints};
use lab::{Stack, StackSpec};
use redox_host::ProcessSpec;
use syscall::flag::O_RDWR;

use crate::common::{SOON, configured, run};
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

/// What must not grow: files and mappings of those who stay, and what the machine holds for all.
fn held(stack: &Stack) -> [u64; 9] {
    let usage = stack.host().usage();
    let (xhcid, smolnetd) = (stack.xhcid().unwrap().process(), stack.smolnetd().unwrap());
    [
        smolnetd.open_fds() as u64,
        smolnetd.mappings() as u64,
        xhcid.open_fds() as u64,
        xhcid.mappings() as u64,
        usage.processes as u64,
        usage.sockets as u64,
        usage.subscriptions as u64,
        usage.ram_free,
        usage.anonymous_free,
    ]
}

/// One takes 90 ms, of which QEMU's own deletion of a device is 50.
#[test]
fn four_hundred_times_pulled_out_under_traffic_and_plugged_in_again() {
    const CYCLES: usize = 400;
    let spec = quiet(MachineSpec::new().nic(adapter()));
    let stack = configured(spec.xhcid(Endpoints::Events, Detach::Fails));
    let with_adapter = stack.smolnetd().unwrap().open_fds();
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
        until(|| stack.smolnetd().unwrap().open_fds() < with_adapter);
        pinging.kill();
        assert!(pinging.wait(SOON).is_some());
        if cycle == 20 {
            // What is kept for the next time is there.
            before = Some(held(&stack));
        }
        if let Some(before) = before {
            // A daemon may still be on its way back to sleep.
            let started = Instant::now();
            while held(&stack) != before && started.elapsed() < SOON {
                std::thread::yield_now();
            }
            assert_eq!(held(&stack), before, "cycle {cycle}");
        }
        stack.plug(0).unwrap();
        let route = |text: &str| text.contains("default via");
        stack
            .wait_for("/scheme/netcfg/route/list", SOON, route)
            .unwrap();
        run(&stack, "ping -c 1 10.0.2.2");
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
