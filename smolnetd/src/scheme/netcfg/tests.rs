//! What is written is what is read back, and rubbish changes nothing.

use proptest::prelude::*;
use smoltcp::time::Instant;

use super::nodes::{Found, Place, find};
use crate::adapters::Adapters;
use crate::error::SocketError;
use crate::link::{Ipv6Config, LinkConfig, LinkKind};
use crate::stack::{Change, Limits, Stack};

/// A machine with one adapter, `eth0`.
struct Machine {
    stack: Stack,
    adapters: Adapters,
    now: Instant,
}

/// Everything that a write can change, as text.
const STATE: [&str; 4] = [
    "ifaces/eth0/addr/list",
    "route/list",
    "resolv/nameserver",
    "resolv/search",
];

impl Machine {
    fn new() -> Machine {
        let mut stack = Stack::new([7; 32], Limits::default(), Instant::ZERO);
        let config = LinkConfig {
            name: "eth0".into(),
            mac: [2, 0, 0, 0, 0, 1],
            mtu: 1500,
            up: true,
            kind: LinkKind::Ethernet,
        };
        stack.add_link(Instant::ZERO, config);
        Machine {
            stack,
            adapters: Adapters::default(),
            now: Instant::ZERO,
        }
    }

    fn at<T>(&self, path: &str, act: impl FnOnce(&'static super::Node, &Place<'_>) -> T) -> T {
        let links = ["lo", "eth0"].into_iter();
        let Some(Found::File { node, link }) = find(path, links) else {
            panic!("no file {path}");
        };
        let place = Place {
            stack: &self.stack,
            adapters: &self.adapters,
            link: link.and_then(|name| self.stack.link_by_name(name)),
            wakeups: 0,
            now: self.now,
        };
        act(node, &place)
    }

    fn read(&self, path: &str) -> String {
        self.at(path, |node, place| (node.read.unwrap())(place))
    }

    /// Writes one line and commits it.
    fn write(&mut self, path: &str, line: &str) -> Result<(), SocketError> {
        let edit = self.at(path, |node, place| (node.write.unwrap())(line, place))?;
        edit.apply(&mut self.stack, self.now)
    }

    fn state(&self) -> [String; 4] {
        STATE.map(|path| self.read(path))
    }
}

#[test]
fn what_is_written_is_what_is_read_back_in_both_families() {
    for (add, line, list, shown) in [
        (
            "ifaces/eth0/addr/add",
            "10.0.2.15/24",
            "ifaces/eth0/addr/list",
            "10.0.2.15/24\n",
        ),
        (
            "ifaces/eth0/addr/set",
            "10.0.2.15/24",
            "ifaces/eth0/addr/list",
            "10.0.2.15/24\n",
        ),
        (
            "ifaces/eth0/addr/add",
            "fd12::15/64",
            "ifaces/eth0/addr/list",
            "\nfd12::15/64 ",
        ),
        (
            "resolv/nameserver",
            "10.0.2.3",
            "resolv/nameserver",
            "10.0.2.3\n",
        ),
        (
            "resolv/nameserver",
            "fd12::3",
            "resolv/nameserver",
            "fd12::3\n",
        ),
        ("resolv/search", "lab.test", "resolv/search", "lab.test\n"),
        (
            "route/add",
            "10.9.0.0/16 via 10.0.2.2 dev eth0 metric 7",
            "route/list",
            "10.9.0.0/16 via 10.0.2.2 dev eth0 metric 7 proto static\n",
        ),
        (
            "route/add",
            "default via fe80::2 dev eth0",
            "route/list",
            "default via fe80::2 dev eth0 metric 0 proto static\n",
        ),
        (
            "route/add",
            "fd13::/48 dev eth0",
            "route/list",
            "fd13::/48 dev eth0 metric 0 proto static\n",
        ),
    ] {
        let mut machine = Machine::new();
        machine.write(add, line).unwrap();
        let text = machine.read(list);
        assert!(text.contains(shown), "{add} <- {line}: {text}");
    }
}

#[test]
fn what_is_shown_of_a_route_can_be_written_again() {
    let mut machine = Machine::new();
    for line in [
        "default via fe80::2 dev eth0 metric 5",
        "10.9.0.0/16 dev eth0",
    ] {
        machine.write("route/add", line).unwrap();
    }
    let shown = machine.read("route/list");
    let own = |line: &&str| line.ends_with("static");
    let lines: Vec<&str> = shown.lines().filter(own).collect();
    assert_eq!(lines.len(), 2, "{shown}");
    for line in &lines {
        machine.write("route/rm", line).unwrap();
    }
    assert!(!machine.read("route/list").contains("static"));
    for line in lines {
        machine.write("route/add", line).unwrap();
    }
    assert_eq!(machine.read("route/list"), shown);
}

#[test]
fn adding_and_removing_leaves_no_trace() {
    for (add, rm, line) in [
        (
            "ifaces/eth0/addr/add",
            "ifaces/eth0/addr/rm",
            "10.0.2.15/24",
        ),
        ("ifaces/eth0/addr/add", "ifaces/eth0/addr/rm", "fd12::15/64"),
        ("route/add", "route/rm", "fd13::/48 via fe80::1 dev eth0"),
        ("route/add", "route/rm", "10.9.0.0/16 dev eth0"),
    ] {
        let mut machine = Machine::new();
        let before = machine.state();
        machine.write(add, line).unwrap();
        assert_ne!(machine.state(), before, "{line}");
        machine.write(rm, line).unwrap();
        assert_eq!(machine.state(), before, "{line}");
        assert_eq!(
            machine.write(rm, line),
            Err(SocketError::NotFound),
            "{line}"
        );
    }
}

#[test]
fn addr_set_replaces_the_addresses_of_its_family_and_leaves_the_other() {
    let mut machine = Machine::new();
    machine
        .write("ifaces/eth0/addr/add", "fd12::15/64")
        .unwrap();
    machine
        .write("ifaces/eth0/addr/add", "10.0.2.15/24")
        .unwrap();
    machine
        .write("ifaces/eth0/addr/set", "10.9.0.2/24")
        .unwrap();
    let text = machine.read("ifaces/eth0/addr/list");
    assert!(text.starts_with("10.9.0.2/24\nfd12::15/64 "), "{text}");
    assert!(!text.contains("10.0.2.15"), "{text}");
}

#[test]
fn ipv4_comes_first_and_bare_whatever_the_order_of_adding() {
    let mut machine = Machine::new();
    let list = "ifaces/eth0/addr/list";
    assert_eq!(machine.read(list), "Not configured\n");
    machine
        .write("ifaces/eth0/addr/add", "fd12::15/64")
        .unwrap();
    let text = machine.read(list);
    assert!(
        text.starts_with(
            "Not configured\nfd12::15/64 tentative valid forever preferred forever static\n"
        ),
        "{text}"
    );
    machine
        .write("ifaces/eth0/addr/add", "10.0.2.15/24")
        .unwrap();
    let text = machine.read(list);
    assert!(text.starts_with("10.0.2.15/24\nfd12::15/64 "), "{text}");
}

#[test]
fn each_kind_of_file_is_told_of_its_own_changes() {
    let mut machine = Machine::new();
    let mut changes = Vec::new();
    let mut told = |machine: &mut Machine, list: &str| {
        changes.clear();
        machine.stack.take_changes(&mut changes);
        machine.at(list, |node, _| {
            changes.iter().any(|change| node.shows(*change))
        })
    };
    told(&mut machine, "stats");
    for (path, line, list) in [
        (
            "ifaces/eth0/addr/add",
            "fd12::15/64",
            "ifaces/eth0/addr/list",
        ),
        ("ifaces/eth0/addr/add", "10.0.2.15/24", "route/list"),
        ("route/add", "fd13::/48 dev eth0", "route/list"),
        ("resolv/nameserver", "fd12::3", "resolv/nameserver"),
        ("resolv/search", "lab.test", "resolv/search"),
    ] {
        machine.write(path, line).unwrap();
        assert!(told(&mut machine, list), "{path} <- {line}");
        assert!(!told(&mut machine, list), "once");
    }
    let link = machine.stack.link_by_name("eth0").unwrap().id();
    let shows = |list: &str, change| machine.at(list, |node, _| node.shows(change));
    assert!(shows("neigh/list", Change::Neighbours(link)));
    assert!(shows("sockets", Change::Sockets));
    assert!(shows("ifaces/eth0/link", Change::Link(link)));
}

/// RFC 7217 6, RFC 4291 appendix A, RFC 8981
#[test]
fn how_an_adapter_makes_its_addresses_is_chosen_and_the_old_choice_brings_the_old_address_back() {
    let mut machine = Machine::new();
    let [identifier, temporary, list] = ["ipv6/identifier", "ipv6/temporary", "addr/list"]
        .map(|file| format!("ifaces/eth0/{file}"));
    assert_eq!(machine.read(&identifier), "", "before it has any");
    let refused = Err(SocketError::NotSupported);
    assert_eq!(machine.write(&identifier, "eui64"), refused);
    assert_eq!(machine.write(&temporary, "on"), refused);
    let link = machine.stack.link_by_name("eth0").unwrap().id();
    let config = Ipv6Config::opaque([9; 16]);
    machine
        .stack
        .enable_ipv6(machine.now, link, config)
        .unwrap();
    let stable = machine.read(&list);
    assert_eq!(machine.read(&identifier), "stable\n");
    machine.write(&identifier, "eui64").unwrap();
    assert_eq!(machine.read(&identifier), "eui64\n");
    let text = machine.read(&list);
    assert!(text.contains("fe80::ff:fe00:1/64 tentative "), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    machine.write(&identifier, "stable").unwrap();
    assert_eq!(machine.read(&list), stable);
    assert_eq!(machine.read(&temporary), "off\n");
    machine.write(&temporary, "on").unwrap();
    assert_eq!(machine.read(&temporary), "on\n");
}

const WRITABLE: [&str; 9] = [
    "ifaces/eth0/ipv6/identifier",
    "ifaces/eth0/ipv6/temporary",
    "ifaces/eth0/addr/set",
    "ifaces/eth0/addr/add",
    "ifaces/eth0/addr/rm",
    "route/add",
    "route/rm",
    "resolv/nameserver",
    "resolv/search",
];

#[test]
fn rubbish_is_invalid_wherever_it_is_written() {
    for line in [
        "x y",
        "10.0.2.15/33",
        "fd12::15/129",
        "fd12::15/+64",
        "fe80::1%",
        "300.0.0.1/24",
        "default via",
        "default via fe80::2 dev",
        "10.0.0.0/8 via fe80::1 dev eth0",
        "..",
        "\u{0}",
    ] {
        for path in WRITABLE {
            let mut machine = Machine::new();
            let before = machine.state();
            let refused = machine.write(path, line);
            assert_eq!(refused, Err(SocketError::Invalid), "{path} <- {line:?}");
            assert_eq!(machine.state(), before);
        }
    }
}

proptest! {
    /// Lines made of the words that mean something, which is how nonsense gets far.
    #[test]
    fn a_line_that_is_refused_changes_nothing(
        path in 0..WRITABLE.len(),
        words in proptest::collection::vec(
            prop_oneof![
                Just("default"), Just("via"), Just("dev"), Just("eth0"), Just("eth9"), Just("src"),
                Just("metric"), Just("expires"), Just("proto"), Just("static"), Just("ra"), Just("0"),
                Just("4294967296"), Just("10.0.2.15/24"), Just("fd12::15/64"), Just("fe80::2"),
                Just("fe80::2%eth0"), Just("::"), Just("0.0.0.0/0"), Just("ff02::1"), Just("10.0.2.2"),
            ],
            0..8,
        ),
    ) {
        let mut machine = Machine::new();
        let before = machine.state();
        let written = machine.write(WRITABLE[path], &words.join(" "));
        if written.is_err() {
            prop_assert_eq!(machine.state(), before);
        }
    }
}
