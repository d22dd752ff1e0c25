//! `/scheme/netcfg` as a user sees it.

use commands::OpenedFile;
use lab::Stack;
use redox_host::ProcessSpec;
use syscall::error::{EACCES, EINVAL, EISDIR, ENETUNREACH, ENOENT};
use syscall::flag::{O_RDONLY, O_WRONLY};

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
    assert_eq!(files, 14, "five of each of two adapters, and four");
    drop(here);
}

#[test]
fn what_the_tools_of_redox_read_is_as_they_expect_it() {
    let stack = started();
    assert_eq!(
        stack.read("/scheme/netcfg/ifaces/eth0/mac").unwrap(),
        "52-54-00-12-34-56\n"
    );
    assert_eq!(
        stack.read("/scheme/netcfg/ifaces/eth0/addr/list").unwrap(),
        "10.0.2.15/24\n"
    );
    assert_eq!(
        stack.read("/scheme/netcfg/resolv/nameserver").unwrap(),
        "10.0.2.3\n"
    );
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
        ("route/add", ""),
        ("route/add", "\u{1F980}"),
    ];
    let state = || {
        ["ifaces/eth0/addr/list", "route/list", "resolv/nameserver"]
            .map(|path| stack.read(&format!("/scheme/netcfg/{path}")).unwrap())
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
    commands::write_text("/scheme/netcfg/route/add", "10.9.0.0/16 via 10.0.2.2\n").unwrap();
    commands::write_text("/scheme/netcfg/ifaces/eth0/addr/add", "10.0.2.77/24\n").unwrap();
    assert_eq!(
        stack.read("/scheme/netcfg/resolv/nameserver").unwrap(),
        "9.9.9.9\n1.1.1.1\n"
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

#[test]
fn whoever_watches_a_file_hears_of_a_change() {
    let stack = started();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            stack.wait_for("/scheme/netcfg/route/list", SOON, |text| {
                text.contains("10.44.0.0/16")
            })
        });
        let _here = stack.enter("admin");
        commands::write_text("/scheme/netcfg/route/add", "10.44.0.0/16 via 10.0.2.2\n").unwrap();
        watcher.join().unwrap().unwrap();
    });
}
