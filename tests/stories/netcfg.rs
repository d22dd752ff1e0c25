//! `/scheme/netcfg` as a user sees it.

use std::cell::Cell;
use std::net::Ipv4Addr;

use commands::OpenedFile;
use lab::Stack;
use redox_host::ProcessSpec;
use syscall::error::{EACCES, EINVAL, EISDIR, EMFILE, ENETUNREACH, ENOENT};
use syscall::flag::{O_RDONLY, O_RDWR, O_WRONLY};

use crate::common::{SOON, configured, machine};

fn started() -> Stack {
    configured(machine())
}

fn errno<T>(result: Result<T, commands::Error>) -> Option<i32> {
    match result {
        Err(commands::Error::Call { errno, .. }) => Some(errno),
        _ => None,
    }
}

#[test]
fn the_netcfg_read_that_hung_the_shell_every_file_answers_at_once() {
    let stack = started();
    let here = stack.enter("shell");
    let mut directories = vec!["/scheme/netcfg".to_owned()];
    let mut files = 0;
    while let Some(directory) = directories.pop() {
        assert_eq!(
            errno(commands::read_text(&directory)),
            Some(EISDIR),
            "{directory}"
        );
        let listing = stack.command(&format!("ls {directory}")).out;
        let listing = String::from_utf8(listing).unwrap();
        assert!(!listing.is_empty(), "{directory}");
        for name in listing.lines() {
            let path = format!("{directory}/{}", name.trim_end_matches('/'));
            if name.ends_with('/') {
                directories.push(path);
            } else if !["set", "add", "rm"].contains(&name) {
                commands::read_text(&path).unwrap();
                files += 1;
            }
        }
    }
    assert_eq!(files, 20, "seven of each of two adapters, and six");
    drop(here);
}

#[test]
fn what_the_tools_of_redox_read_is_as_they_expect_it() {
    let stack = started();
    assert_eq!(
        stack.read("/scheme/netcfg/ifaces/eth0/mac").unwrap(),
        "52-54-00-12-34-56\n"
    );
    let addresses = stack.read("/scheme/netcfg/ifaces/eth0/addr/list").unwrap();
    assert!(addresses.starts_with("10.0.2.15/24\n"), "{addresses}");
    let servers = stack.read("/scheme/netcfg/resolv/nameserver").unwrap();
    assert!(servers.starts_with("10.0.2.3\n"), "{servers}");
    let routes = stack.read("/scheme/netcfg/route/list").unwrap();
    assert!(
        routes.contains("default via 10.0.2.2 dev eth0 src 10.0.2.15"),
        "{routes}"
    );
    let dns = stack.machine().run().file("root/etc/net/dns");
    assert_eq!(
        std::fs::read_to_string(dns).unwrap(),
        "10.0.2.3\n",
        "where the C library looks"
    );
}

#[test]
fn rubbish_is_refused_at_the_write_and_changes_nothing() {
    let stack = started();
    let paths = [
        ("ifaces/eth0/addr/set", "10.0.2.300/24"),
        ("ifaces/eth0/addr/set", "224.0.0.1/4"),
        ("ifaces/eth0/addr/add", "10.0.2.16"),
        ("route/add", "default via nowhere"),
        ("route/add", "default via 10.0.2.2 via 10.0.2.3"),
        ("route/rm", "x"),
        ("resolv/nameserver", "255.255.255.255"),
        ("resolv/nameserver", "9.9.9.9\nrubbish"),
        ("resolv/search", "lab.test\na..b"),
        ("resolv/search", "../etc"),
        ("route/add", ""),
        ("route/add", "\u{1F980}"),
    ];
    let state = || {
        let paths = [
            "ifaces/eth0/addr/list",
            "route/list",
            "resolv/nameserver",
            "resolv/search",
        ];
        // What routers say comes in meanwhile, and its lifetimes run.
        paths.map(|path| {
            let text = stack.read(&format!("/scheme/netcfg/{path}")).unwrap();
            let lines = text.lines().filter(|line| !line.contains(':'));
            lines.map(str::to_owned).collect::<Vec<_>>()
        })
    };
    let before = state();
    let here = stack.enter("vandal");
    for (path, text) in paths {
        let file = OpenedFile::open(&format!("/scheme/netcfg/{path}"), O_WRONLY).unwrap();
        assert_eq!(
            errno(file.write(text.as_bytes())),
            Some(EINVAL),
            "{path} <- {text:?}"
        );
        file.sync().unwrap();
    }
    drop(here);
    assert_eq!(state(), before);
}

#[test]
fn a_commit_that_cannot_be_done_answers_at_fsync() {
    let stack = started();
    let here = stack.enter("admin");
    let file = OpenedFile::open("/scheme/netcfg/route/add", O_WRONLY).unwrap();
    file.write_all(b"10.9.0.0/16 via 192.168.77.1\n").unwrap();
    assert_eq!(errno(file.sync()), Some(ENETUNREACH));
    let file = OpenedFile::open("/scheme/netcfg/route/rm", O_WRONLY).unwrap();
    file.write_all(b"10.77.0.0/16\n").unwrap();
    assert_eq!(errno(file.sync()), Some(ENOENT));
    drop(here);
}

#[test]
fn what_is_written_is_what_is_read_back_and_what_a_connection_uses() {
    let stack = started();
    let here = stack.enter("admin");
    commands::write_text("/scheme/netcfg/resolv/nameserver", "9.9.9.9\n1.1.1.1\n").unwrap();
    commands::write_text("/scheme/netcfg/resolv/search", "lab.test\nexample\n").unwrap();
    commands::write_text("/scheme/netcfg/route/add", "10.9.0.0/16 via 10.0.2.2\n").unwrap();
    commands::write_text("/scheme/netcfg/ifaces/eth0/addr/add", "10.0.2.77/24\n").unwrap();
    assert_eq!(
        stack.read("/scheme/netcfg/resolv/nameserver").unwrap(),
        "9.9.9.9\n1.1.1.1\n"
    );
    assert_eq!(
        stack.read("/scheme/netcfg/resolv/search").unwrap(),
        "lab.test\nexample\n"
    );
    let dns = stack.machine().run().file("root/etc/net/dns");
    assert_eq!(
        std::fs::read_to_string(dns).unwrap(),
        "9.9.9.9\n",
        "the C library understands no more than one"
    );
    let routes = stack.read("/scheme/netcfg/route/list").unwrap();
    assert!(
        routes.contains("10.9.0.0/16 via 10.0.2.2 dev eth0"),
        "{routes}"
    );
    let addresses = stack.read("/scheme/netcfg/ifaces/eth0/addr/list").unwrap();
    assert!(addresses.contains("10.0.2.77/24"), "{addresses}");
    commands::write_text("/scheme/netcfg/route/rm", "10.9.0.0/16\n").unwrap();
    let routes = stack.read("/scheme/netcfg/route/list").unwrap();
    assert!(!routes.contains("10.9.0.0"), "{routes}");
    drop(here);
}

#[test]
fn only_root_writes() {
    let stack = started();
    let user = stack
        .host()
        .spawn(ProcessSpec::new("user").uid(1000).gid(1000), || {
            let opened = OpenedFile::open("/scheme/netcfg/route/add", O_WRONLY);
            let read = OpenedFile::open("/scheme/netcfg/route/list", O_RDONLY)
                .and_then(|f| f.read_to_end());
            match (errno(opened), read) {
                (Some(EACCES), Ok(text)) if !text.is_empty() => 0,
                other => panic!("{other:?}"),
            }
        });
    let status = user.wait(SOON);
    assert_eq!(
        status,
        Some(redox_host::ExitStatus::Exited(0)),
        "{status:?}"
    );
}

/// Has `change` happen when somebody has read the file to its end, and waits until it says `news`: who waits reads again
/// only when the file says that it changed.
fn hears(stack: &Stack, path: &str, news: &str, change: impl FnOnce()) {
    let change = Cell::new(Some(change));
    let wanted = |text: &str| match change.take() {
        Some(change) => {
            assert!(!text.contains(news), "{path}: {text}");
            change();
            false
        }
        None => text.contains(news),
    };
    let path = format!("/scheme/netcfg/{path}");
    stack.wait_for(&path, SOON, wanted).unwrap();
}

#[test]
fn whoever_watches_a_file_hears_of_its_change() {
    let stack = started();
    for (path, news, written, line) in [
        (
            "ifaces/eth0/addr/list",
            "10.0.2.77/24",
            "ifaces/eth0/addr/add",
            "10.0.2.77/24",
        ),
        (
            "ifaces/eth0/addr/list",
            "10.0.2.78/24",
            "ifaces/eth0/addr/set",
            "10.0.2.78/24",
        ),
        (
            "ifaces/eth0/ipv6/identifier",
            "eui64",
            "ifaces/eth0/ipv6/identifier",
            "eui64",
        ),
        (
            "ifaces/eth0/ipv6/temporary",
            "on",
            "ifaces/eth0/ipv6/temporary",
            "on",
        ),
        (
            "route/list",
            "10.44.0.0/16",
            "route/add",
            "10.44.0.0/16 via 10.0.2.2",
        ),
        ("route/list", "fd44::/64", "route/add", "fd44::/64 dev eth0"),
        (
            "resolv/nameserver",
            "9.9.9.9",
            "resolv/nameserver",
            "9.9.9.9",
        ),
        ("resolv/search", "lab.test", "resolv/search", "lab.test"),
    ] {
        hears(&stack, path, news, || {
            commands::write_text(&format!("/scheme/netcfg/{written}"), line).unwrap();
        });
    }
    hears(&stack, "neigh/list", "10.0.2.99 dev eth0", || {
        let echo = OpenedFile::open("/scheme/icmp/echo/10.0.2.99", O_RDWR).unwrap();
        echo.write(b"\0\x01anybody?").unwrap();
    });
    let mut listener = None;
    hears(&stack, "sockets", "tcp listen 0.0.0.0:4000", || {
        listener = Some(OpenedFile::listen(4000).unwrap());
    });
    hears(&stack, "ifaces/eth0/link", "down", || {
        stack.machine().qmp().set_link("net0", false).unwrap();
    });
}

#[test]
fn every_socket_is_listed_with_its_ends_its_state_its_queues_and_its_owner() {
    let stack = started();
    let list = || stack.read("/scheme/netcfg/sockets").unwrap();
    assert_eq!(list(), "", "a fresh machine has none");
    let here = stack.enter("admin");
    let listener = OpenedFile::listen(80).unwrap();
    let client = OpenedFile::connect((Ipv4Addr::LOCALHOST, 80).into()).unwrap();
    let server = listener.dup("listen").unwrap();
    client.write_all(b"hello").unwrap();
    server.read(&mut [0; 2]).unwrap();
    let user = stack.host().spawn(ProcessSpec::new("user").uid(1000), || {
        let socket = OpenedFile::open("/scheme/udp/10.0.2.2:53/0.0.0.0:4000", O_RDWR).unwrap();
        let text = commands::read_text("/scheme/netcfg/sockets").unwrap();
        assert!(
            text.contains("udp connected 10.0.2.15:4000 10.0.2.2:53 rxq 0 txq 0 uid 1000"),
            "{text}"
        );
        drop(socket);
        0
    });
    assert_eq!(user.wait(SOON), Some(redox_host::ExitStatus::Exited(0)));
    let text = list();
    assert!(
        text.contains("tcp listen 0.0.0.0:80 - rxq 0 txq 0 uid 0\n"),
        "{text}"
    );
    let accepted = |line: &str| line.starts_with("tcp established 127.0.0.1:80 127.0.0.1:");
    let line = text.lines().find(|line| accepted(line)).unwrap();
    assert!(line.ends_with(" rxq 3 txq 0 uid 0"), "{line}");
    drop((listener, client, server));
    drop(here);
}

#[test]
fn a_user_who_opens_all_files_that_there_are_does_not_lock_root_out() {
    let stack = started();
    let (tell, told) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let user = ProcessSpec::new("user").uid(1000);
    let user = stack.host().spawn(user, move || {
        let mut held = Vec::new();
        let refused = loop {
            match OpenedFile::open("/scheme/netcfg/stats", O_RDONLY) {
                Ok(file) => held.push(file),
                Err(error) => break errno::<()>(Err(error)),
            }
        };
        tell.send((refused, held.len())).unwrap();
        // Holds them until root has had its turn.
        let _ = released.recv();
        0
    });
    let (refused, count) = told.recv_timeout(SOON).unwrap();
    assert_eq!(refused, Some(EMFILE), "after {count} files");
    assert!(stack.read("/scheme/netcfg/stats").is_ok());
    drop(release);
    assert_eq!(user.wait(SOON), Some(redox_host::ExitStatus::Exited(0)));
}
