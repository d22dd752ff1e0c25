//! What the stories share.

use std::time::Duration;

use commands::OpenedFile;
use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Netdev, Slirp};
use lab::{Stack, StackSpec};

/// How long what must happen may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// QEMU's card on its user network.
pub(crate) fn nic() -> NicSpec {
    NicSpec::virtio(Netdev::Slirp(Slirp::new()))
}

/// One such card.
pub(crate) fn machine() -> StackSpec {
    StackSpec::new(MachineSpec::new().nic(nic()))
}

/// The daemons on that machine, once the lease is there with its routes.
pub(crate) fn configured(spec: StackSpec) -> Stack {
    let stack = Stack::start(spec).unwrap();
    let lease = |text: &str| text.lines().any(is_leased_default);
    stack
        .wait_for("/scheme/netcfg/route/list", SOON, lease)
        .unwrap();
    stack
}

/// Is this line of the route table the default route of a DHCP lease?
pub(crate) fn is_leased_default(line: &str) -> bool {
    line.starts_with("default via ") && line.ends_with(" dhcp")
}

/// Runs a command that must succeed; its output.
pub(crate) fn run(stack: &Stack, line: &str) -> String {
    let done = stack.command(line);
    let text = String::from_utf8_lossy(&done.out).into_owned();
    assert!(done.result.is_ok(), "{line}: {:?}\n{text}", done.result);
    text
}

/// Says something to an echo server, which must say it back.
pub(crate) fn exchange(connection: &OpenedFile, text: &[u8]) {
    connection.write_all(text).unwrap();
    let mut answer = vec![0; text.len()];
    let mut got = 0;
    while got < text.len() {
        got += connection.read(&mut answer[got..]).unwrap();
    }
    assert_eq!(answer, text);
}

/// A few quick pings that must all be answered.
pub(crate) fn ping(stack: &Stack, host: impl std::fmt::Display) {
    run(stack, &format!("ping -c 3 -i 0.01 {host}"));
}
