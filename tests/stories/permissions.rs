//! What is for root only, and that one user's wealth is nobody else's poverty.

use lab::Stack;
use libredox::Fd;
use redox_host::{ExitStatus, ProcessSpec};
use syscall::error::{EACCES, EMFILE};
use syscall::flag::{O_RDONLY, O_RDWR, O_WRONLY};

use crate::common::{SOON, configured, machine};
use crate::relibc::Socket;

const USER: u32 = 1000;

/// Does it as a process of that user; a panic in it is one here.
fn as_process_of(stack: &Stack, uid: u32, main: impl FnOnce() + Send + 'static) {
    let spec = ProcessSpec::new("user").uid(uid).gid(uid);
    let process = stack.host().spawn(spec, move || {
        main();
        0
    });
    assert_eq!(process.wait(SOON), Some(ExitStatus::Exited(0)));
}

fn open(path: &str, flags: usize) -> Result<Fd, i32> {
    Fd::open(path, flags as i32, 0).map_err(|error| error.errno())
}

#[test]
fn ports_below_1024_are_for_root_only() {
    let stack = configured(machine());
    as_process_of(&stack, USER, || {
        for scheme in ["tcp", "udp"] {
            for end in ["0.0.0.0:80", "[::]:443", "127.0.0.1:1", "[::1]:1023"] {
                let refused = Socket::new(scheme).replace(&format!("/{end}"));
                assert_eq!(refused.unwrap_err().errno(), EACCES, "{scheme} {end}");
                let path = format!("/scheme/{scheme}//{end}");
                assert_eq!(open(&path, O_RDWR).err(), Some(EACCES), "{path}");
            }
            Socket::new(scheme).replace("/0.0.0.0:1024").unwrap();
        }
    });
    as_process_of(&stack, 0, || {
        for scheme in ["tcp", "udp"] {
            Socket::new(scheme).replace("/0.0.0.0:80").unwrap();
        }
    });
}

#[test]
fn raw_packets_are_for_root_only() {
    let stack = configured(machine());
    as_process_of(&stack, USER, || {
        for path in ["/scheme/ip/1", "/scheme/ip/11", "/scheme/ip/v6/3a"] {
            assert_eq!(open(path, O_RDWR).err(), Some(EACCES), "{path}");
        }
        open("/scheme/icmp/echo/10.0.2.2", O_RDWR).unwrap();
    });
    as_process_of(&stack, 0, || drop(open("/scheme/ip/1", O_RDWR).unwrap()));
}

#[test]
fn the_configuration_is_written_by_root_only_and_read_by_everybody() {
    let stack = configured(machine());
    as_process_of(&stack, USER, || {
        for node in [
            "route/add",
            "route/rm",
            "resolv/nameserver",
            "resolv/search",
            "ifaces/eth0/mac",
            "ifaces/eth0/addr/set",
            "ifaces/eth0/addr/add",
            "ifaces/eth0/addr/rm",
            "ifaces/eth0/ipv6/identifier",
            "ifaces/eth0/ipv6/temporary",
        ] {
            let path = format!("/scheme/netcfg/{node}");
            for flags in [O_WRONLY, O_RDWR] {
                assert_eq!(open(&path, flags).err(), Some(EACCES), "{path}");
            }
        }
        for node in ["route/list", "resolv/nameserver", "sockets", "stats"] {
            open(&format!("/scheme/netcfg/{node}"), O_RDONLY).unwrap();
        }
    });
}

/// A program that gives up being root may do less from then on; what it has it keeps.
#[test]
fn a_thread_that_becomes_a_user_is_one() {
    let stack = configured(machine());
    as_process_of(&stack, 0, || {
        let before = Socket::new("tcp");
        redox_host::as_user(USER, || {
            let refused = Socket::new("tcp").replace("/0.0.0.0:81");
            assert_eq!(refused.unwrap_err().errno(), EACCES);
            before.replace("/0.0.0.0:80").unwrap();
        });
        Socket::new("tcp").replace("/0.0.0.0:81").unwrap();
    });
}

#[test]
fn ten_thousand_sockets_of_one_user_keep_nobody_else_out() {
    let stack = configured(machine());
    let (told, held) = std::sync::mpsc::channel();
    let (over, until) = std::sync::mpsc::channel::<()>();
    let spec = ProcessSpec::new("greedy").uid(USER);
    let greedy = stack.host().spawn(spec, move || {
        let mut sockets = Vec::new();
        let refused = loop {
            match open("/scheme/udp", O_RDWR) {
                Ok(socket) => sockets.push(socket),
                Err(errno) => break errno,
            }
        };
        told.send((sockets.len(), refused)).unwrap();
        let _ = until.recv();
        0
    });
    let (count, refused) = held.recv_timeout(4 * SOON).unwrap();
    assert!(count >= 10_000, "{count}");
    assert_eq!(refused, EMFILE);
    for uid in [0, 1001] {
        as_process_of(&stack, uid, || {
            let sockets = (0..100).map(|_| Socket::new("udp"));
            let sockets: Vec<Socket> = sockets.collect();
            sockets[99].replace("10.0.2.2:53").unwrap();
        });
    }
    let stats = stack.read("/scheme/netcfg/stats").unwrap();
    assert!(stats.contains("socket.refused_to_user 1\n"), "{stats}");
    drop(over);
    assert_eq!(greedy.wait(SOON), Some(ExitStatus::Exited(0)));
    // All of it has been given back.
    as_process_of(&stack, USER, || drop(Socket::new("udp")));
}
