//! The way to a machine behind a router, both of which are Linux in namespaces.

use lab::Stack;
use lab::network::Namespace;
use lab::requires_tap;
use libredox::Fd;
use redox_host::{ExitStatus, ProcessSpec};
use syscall::error::{EAGAIN, EINVAL};
use syscall::flag::{O_NONBLOCK, O_RDWR};

use crate::common::{SOON, run};
use crate::traffic::{LINUX, on_tap_of};

const FAR: &str = "10.77.0.2";
const FAR_V6: &str = "fd42:77::2";
const ROUTER_V6: &str = "fd42:9::1";

/// The stack, the router beside it, and a machine behind that; `None` where there can be no TAP.
fn behind_a_router() -> Option<(Stack, Namespace, Namespace)> {
    if !requires_tap() {
        return None;
    }
    let (router, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let stack = on_tap_of(&router, Some(LINUX));
    let id = far.holder_id();
    router
        .ip(&format!("link add near type veth peer name far netns {id}"))
        .unwrap();
    for (namespace, commands) in [
        (
            &router,
            [
                "addr add 10.77.0.1/24 dev near",
                "addr add fd42:77::1/64 dev near nodad",
                "addr add fd42:9::1/64 dev tap0 nodad",
                "link set near up",
            ]
            .as_slice(),
        ),
        (
            &far,
            [
                "addr add 10.77.0.2/24 dev far",
                "addr add fd42:77::2/64 dev far nodad",
                "link set far up",
                "route add default via 10.77.0.1",
                "-6 route add default via fd42:77::1",
            ]
            .as_slice(),
        ),
    ] {
        for command in commands {
            namespace.ip(command).unwrap();
        }
    }
    router.sysctl("ipv4/ip_forward", "1").unwrap();
    router.sysctl("ipv6/conf/all/forwarding", "1").unwrap();
    write(&stack, "ifaces/eth0/addr/add", "fd42:9::2/64\n");
    let usable = |text: &str| text.contains("fd42:9::2/64 preferred");
    let addresses = "/scheme/netcfg/ifaces/eth0/addr/list";
    stack.wait_for(addresses, SOON, usable).unwrap();
    write(&stack, "route/add", "default via fd42:9::1\n");
    Some((stack, router, far))
}

fn write(stack: &Stack, node: &str, line: &str) {
    let here = stack.enter("ifconfig");
    commands::write_text(&format!("/scheme/netcfg/{node}"), line).unwrap();
    drop(here);
}

/// The lines of the hops: who answered, and how often.
fn hops(text: &str) -> Vec<(String, usize)> {
    let hop = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let who = words.next().unwrap().to_owned();
        (who, line.matches(" ms").count())
    };
    text.lines().skip(1).map(hop).collect()
}

#[test]
fn the_routers_on_the_way_are_told_one_after_the_other() {
    let Some((stack, _router, _far)) = behind_a_router() else {
        return;
    };
    for (router, far) in [(&*LINUX.to_string(), FAR), (ROUTER_V6, FAR_V6)] {
        let told = run(&stack, &format!("traceroute -q 2 -w 5 {far}"));
        let expected = [router, far].map(|who| (who.to_owned(), 2));
        assert_eq!(hops(&told), expected, "{told}");
    }
    // As a user, for whom it is made as well.
    let user = ProcessSpec::new("user").uid(1000).gid(1000);
    let process = stack.host().spawn(user, || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = commands::Terminal {
            out: &mut out,
            err: &mut err,
            input: 0,
            seed: 7,
        };
        let arguments = ["-q", "1", "-w", "5", FAR].map(str::to_owned);
        commands::run("traceroute", &arguments, &mut terminal).unwrap();
        assert_eq!(hops(&String::from_utf8(out).unwrap()).len(), 2);
        0
    });
    assert_eq!(process.wait(SOON), Some(ExitStatus::Exited(0)));
}

#[test]
fn a_way_that_ends_says_where_and_one_without_answers_shows_it() {
    let Some((stack, router, far)) = behind_a_router() else {
        return;
    };
    router.ip("route add unreachable 10.88.0.0/24").unwrap();
    let told = run(&stack, "traceroute -q 1 -w 5 10.88.0.1");
    assert!(
        told.contains("10.9.0.1") && told.contains("no host"),
        "{told}"
    );
    // A machine that says nothing.
    far.ip("addr del 10.77.0.2/24 dev far").unwrap();
    let silent = stack.command(&format!("traceroute -q 1 -w 0.1 -m 3 {FAR}"));
    let text = String::from_utf8_lossy(&silent.out).into_owned();
    assert!(text.ends_with(" 2  *\n 3  *\n"), "{text}");
    let error = silent.result.unwrap_err().to_string();
    assert!(error.contains("was not reached in 3 hops"), "{error}");
}

/// Who wants to hear of errors names the destination and a port, which must be its own.
#[test]
fn errors_about_the_datagrams_of_others_are_nobody_s_business() {
    let Some((stack, _router, _far)) = behind_a_router() else {
        return;
    };
    let here = stack.enter("owner");
    let open = |path: &str, flags: usize| Fd::open(path, flags as i32, 0);
    let nothing = open("/scheme/icmp/udp/10.77.0.2", O_RDWR);
    assert_eq!(nothing.err().map(|error| error.errno()), Some(EINVAL));
    let datagrams = open("/scheme/udp//0.0.0.0:4000", O_RDWR).unwrap();
    let watcher = |of: &str, flags| open(&format!("/scheme/icmp/udp/{of}:4000"), flags).unwrap();
    let own = watcher(FAR, O_RDWR);
    let elsewhere = watcher("10.77.0.9", O_RDWR | O_NONBLOCK);
    let stranger = redox_host::as_user(1000, || watcher(FAR, O_RDWR | O_NONBLOCK));
    let once = datagrams.dup(format!("{FAR}:9").as_bytes()).unwrap();
    Fd::new(once).write(b"anybody there?").unwrap();
    let mut message = [0; 100];
    let length = own.read(&mut message).unwrap();
    // RFC 792: destination unreachable, port unreachable; the datagram's headers follow.
    assert_eq!((&message[..2], length), (&[3, 3][..], 8 + 20 + 8 + 14));
    for other in [elsewhere, stranger] {
        assert_eq!(other.read(&mut message).unwrap_err().errno(), EAGAIN);
    }
    drop(here);
}
