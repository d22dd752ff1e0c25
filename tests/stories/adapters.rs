//! QEMU's adapter on USB, from its descriptors to the stack, alone and beside others.

use std::net::{Ipv4Addr, TcpListener};

use commands::OpenedFile;
use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Netdev, Slirp};
use lab::peers::EchoServer;
use lab::xhcid::{Detach, Endpoints};
use lab::{Stack, StackSpec};

use crate::common::{SOON, configured, nic, ping, run};

const ROUTES: &str = "/scheme/netcfg/route/list";

fn adapter() -> NicSpec {
    NicSpec::rndis(Netdev::Slirp(Slirp::new()))
}

fn machine() -> StackSpec {
    StackSpec::new(MachineSpec::new().nic(adapter()))
}

fn log(stack: &Stack) -> String {
    std::fs::read_to_string(stack.machine().run().log_path()).unwrap()
}

#[test]
fn an_adapter_on_usb_is_as_good_as_a_card() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let stack = configured(machine().xhcid(endpoints, Detach::Kills));
        ping(&stack, "10.0.2.2");
        run(&stack, "ping -c 2 -i 0.01 -s 1472 10.0.2.2");
        let names = run(&stack, "ls /scheme");
        assert!(
            names.contains("network.usb-usb.pci-00-00-03.0_xhci+5"),
            "{names}"
        );
    }
}

#[test]
fn an_xhcid_that_blocks_is_explained_in_one_line() {
    let spec = machine().xhcid(Endpoints::Blocking, Detach::Kills);
    let error = Stack::start(spec).unwrap_err().to_string();
    assert!(
        error.contains("did not start") && error.contains("block"),
        "{error}"
    );
}
