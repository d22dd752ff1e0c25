//! Stories of ports: who gets which, who hears what, and that all of it comes back.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeSet;

use smoltcp::time::Duration;

use super::udp::bound;
use super::wire::{A, B, End, Wire, at};
use crate::error::SocketError;
use crate::quota::Share;
use crate::socket::{Owner, SocketKind, SocketOption};
use crate::stack::Limits;

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const USER: Owner = Owner { uid: 1000 };

#[test]
fn the_ephemeral_ports_that_were_never_freed() {
    let mut wire = Wire::new();
    let mut seen = BTreeSet::new();
    // More sockets than there are ports, one after the other.
    for round in 0..40_000 {
        let id = wire.a.open(SocketKind::Udp);
        wire.a
            .stack
            .connect(wire.now, id, at(B, 53))
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        seen.insert(wire.a.stack.local(id).unwrap().port());
        wire.a.stack.close(wire.now, id);
    }
    assert!(seen.len() > 10_000, "only {} different ports", seen.len());
    assert!(seen.iter().all(|port| *port >= 49152), "{seen:?}");
    assert_eq!(wire.a.stack.socket_count(), 0);
}

#[test]
fn all_ports_can_be_had_at_once_and_then_none_is_left() {
    let mut wire = Wire::new();
    let ids: Vec<_> = (0..16384)
        .map(|_| {
            let id = wire.a.open(SocketKind::Udp);
            wire.a.stack.bind(wire.now, id, at(ANY, 0)).expect("a port");
            id
        })
        .collect();
    let one_more = wire.a.open(SocketKind::Udp);
    assert_eq!(
        wire.a.stack.bind(wire.now, one_more, at(ANY, 0)),
        Err(SocketError::AddressNotAvailable)
    );
    let freed = wire.a.stack.local(ids[77]).unwrap();
    wire.a.stack.close(wire.now, ids[77]);
    wire.a
        .stack
        .bind(wire.now, one_more, at(ANY, 0))
        .expect("the port that was freed");
    assert_eq!(wire.a.stack.local(one_more), Some(freed));
}

#[test]
fn users_leave_each_other_and_root_ports_to_send_from() {
    let mut wire = Wire::new();
    let now = wire.now;
    let mut bind = |uid| {
        let id = wire.a.stack.socket(SocketKind::Udp, Owner { uid })?;
        wire.a.stack.bind(now, id, at(ANY, 0)).map(|()| id)
    };
    let all_of = |bind: &mut dyn FnMut() -> bool| (0..).take_while(|_| bind()).count();
    let one = all_of(&mut || bind(1000).is_ok());
    let two = all_of(&mut || bind(1001).is_ok());
    assert!(one >= 10_000 && two > 1000, "{one} {two}");
    let root = bind(0).expect("a port for root");
    wire.a.stack.close(now, root);
}

#[test]
fn ports_are_not_predictable_from_one_another() {
    let mut wire = Wire::new();
    let mut port = || {
        let id = wire.a.open(SocketKind::Udp);
        wire.a.stack.bind(wire.now, id, at(ANY, 0)).unwrap();
        i32::from(wire.a.stack.local(id).unwrap().port())
    };
    let ports: Vec<_> = (0..32).map(|_| port()).collect();
    let neighbours = ports
        .windows(2)
        .filter(|pair| (pair[1] - pair[0]).abs() <= 2)
        .count();
    assert!(neighbours < 3, "{ports:?}");
}

#[test]
fn who_listens_to_less_hears_it_first() {
    let mut wire = Wire::new();
    let (now, reuse) = (wire.now, SocketOption::ReuseAddress(true));
    let [wildcard, specific, connected] = [(); 3].map(|()| wire.b.open(SocketKind::Udp));
    for (id, local) in [(wildcard, ANY), (specific, B), (connected, B)] {
        wire.b.stack.set_option(id, reuse).unwrap();
        wire.b.stack.bind(now, id, at(local, 9)).unwrap();
    }
    wire.b.stack.connect(now, connected, at(A, 5000)).unwrap();
    let from = |wire: &mut Wire, port: u16| {
        let id = bound(wire, End::A, port);
        wire.a.send(wire.now, id, b"x", Some(at(B, 9))).unwrap();
        wire.run_for(Duration::from_millis(5));
        [wildcard, specific, connected].map(|id| wire.b.receive(wire.now, id).is_ok())
    };
    assert_eq!(from(&mut wire, 5000), [false, false, true]);
    assert_eq!(from(&mut wire, 5001), [false, true, false]);
    wire.b.stack.close(wire.now, specific);
    let id = bound(&mut wire, End::A, 5002);
    wire.a.send(wire.now, id, b"x", Some(at(B, 9))).unwrap();
    wire.run_for(Duration::from_millis(5));
    assert!(wire.b.receive(wire.now, wildcard).is_ok());
}

#[test]
fn a_port_is_given_once_unless_both_agree() {
    let mut wire = Wire::new();
    let now = wire.now;
    let stack = &mut wire.a.stack;
    let [one, two, three] = [(); 3].map(|()| stack.socket(SocketKind::Udp, Owner::ROOT).unwrap());
    stack.bind(now, one, at(ANY, 9)).unwrap();
    assert_eq!(
        stack.bind(now, two, at(A, 9)),
        Err(SocketError::AddressInUse)
    );
    stack
        .set_option(two, SocketOption::ReuseAddress(true))
        .unwrap();
    assert_eq!(
        stack.bind(now, two, at(ANY, 9)),
        Err(SocketError::AddressInUse),
        "the first did not agree"
    );
    stack
        .set_option(one, SocketOption::ReuseAddress(true))
        .unwrap();
    stack.bind(now, two, at(ANY, 9)).unwrap();
    assert_eq!(
        stack.bind(now, two, at(ANY, 10)),
        Err(SocketError::Invalid),
        "it has one already"
    );
    assert_eq!(
        stack.bind(now, three, at(B, 9)),
        Err(SocketError::AddressNotAvailable),
        "that is B's"
    );
}

#[test]
fn low_ports_and_raw_sockets_are_for_root() {
    let mut wire = Wire::new();
    let stack = &mut wire.a.stack;
    let id = stack.socket(SocketKind::Udp, USER).unwrap();
    assert_eq!(
        stack.bind(wire.now, id, at(ANY, 68)),
        Err(SocketError::AccessDenied)
    );
    stack.bind(wire.now, id, at(ANY, 1024)).unwrap();
    assert_eq!(
        stack.socket(SocketKind::Raw(89), USER),
        Err(SocketError::AccessDenied)
    );
    let id = stack.socket(SocketKind::Tcp, USER).unwrap();
    assert_eq!(
        stack.bind(wire.now, id, at(ANY, 80)),
        Err(SocketError::AccessDenied)
    );
}

#[test]
fn disconnected_it_hears_everybody_again() {
    let mut wire = Wire::new();
    let id = bound(&mut wire, End::B, 7);
    wire.b.stack.connect(wire.now, id, at(A, 1)).unwrap();
    let other = bound(&mut wire, End::A, 5000);
    wire.a
        .send(wire.now, other, b"not from port 1", Some(at(B, 7)))
        .unwrap();
    wire.run_for(Duration::from_millis(5));
    assert!(!wire.b.stack.readiness(id).readable);
    wire.b.stack.disconnect(wire.now, id).unwrap();
    assert_eq!(
        (wire.b.stack.peer(id), wire.b.stack.local(id)),
        (None, Some(at(ANY, 7)))
    );
    wire.a.receive(wire.now, other).unwrap_err();
    wire.a
        .send(wire.now, other, b"now", Some(at(B, 7)))
        .unwrap();
    wire.run_until("the datagram", |wire| wire.b.stack.readiness(id).readable);
}

#[test]
fn closing_a_socket_gives_everything_back() {
    let mut wire = Wire::with_limits(Limits {
        inbox_bytes: share(10_000, 10_000, 0),
        ..Limits::default()
    });
    wire.configure(End::A, A);
    wire.configure(End::B, B);
    wire.run_for(Duration::from_secs(10));
    let client = wire.a.open(SocketKind::Udp);
    // Who waits for ARP waits in a shorter queue.
    wire.a
        .send(wire.now, client, b"who has B?", Some(at(B, 8)))
        .unwrap();
    wire.run_for(Duration::from_millis(10));
    for round in 0..20 {
        let server = bound(&mut wire, End::B, 7);
        for _ in 0..20 {
            wire.a
                .send(wire.now, client, &[7; 1000], Some(at(B, 7)))
                .unwrap();
        }
        wire.run_for(Duration::from_millis(5));
        let mut got = 0;
        // Half of it is read, half of it is closed over.
        while got < 4 && wire.b.receive(wire.now, server).is_ok() {
            got += 1;
        }
        assert_eq!(got, 4, "round {round}: {:?}", wire.b.counters());
        wire.b.stack.close(wire.now, server);
    }
    assert_eq!(wire.b.counter("udp.memory_full"), 20 * 11, "9 of 20 fit");
}

fn share(all: usize, of_user: usize, for_root: usize) -> Share {
    Share {
        all,
        of_user,
        for_root,
    }
}

#[test]
fn one_user_cannot_have_all_sockets() {
    let mut wire = Wire::with_limits(Limits {
        sockets: share(100, 10, 30),
        ..Limits::default()
    });
    let now = wire.now;
    let stack = &mut wire.a.stack;
    let ids: Vec<_> = (0..10)
        .map(|_| stack.socket(SocketKind::Udp, USER).unwrap())
        .collect();
    assert_eq!(
        stack.socket(SocketKind::IcmpEcho, USER),
        Err(SocketError::TooManyOfUser)
    );
    // Nor can all users together keep root out.
    let mut others = 0;
    while let Ok(_socket) = stack.socket(
        SocketKind::Tcp,
        Owner {
            uid: 1001 + others / 10,
        },
    ) {
        others += 1;
    }
    assert_eq!(others, 60);
    let another = stack.socket(SocketKind::Udp, Owner { uid: 2000 });
    assert_eq!(another, Err(SocketError::TooMany));
    for _ in 0..30 {
        stack.socket(SocketKind::Udp, Owner::ROOT).expect("root's");
    }
    let one_more = stack.socket(SocketKind::Udp, Owner::ROOT);
    assert_eq!(one_more, Err(SocketError::TooMany));
    stack.close(now, ids[0]);
    stack
        .socket(SocketKind::Udp, USER)
        .expect("one was given back");
    assert_eq!(wire.a.counter("socket.refused_to_user"), 1);
    assert_eq!(wire.a.counter("socket.refused_in_all"), 3);
}

#[test]
fn ten_thousand_sockets_of_one_user_are_nobody_else_s_trouble() {
    let mut wire = Wire::new();
    let stack = &mut wire.a.stack;
    for _ in 0..10_000 {
        stack.socket(SocketKind::Udp, USER).expect("a user's");
    }
    let others = [Owner::ROOT, Owner { uid: 1001 }];
    for owner in others.iter().cycle().take(2000) {
        stack.socket(SocketKind::Tcp, *owner).expect("another's");
    }
    assert_eq!(wire.a.counter("socket.refused_to_user"), 0);
}

#[test]
fn one_user_cannot_have_all_memory_of_queues() {
    let mut wire = Wire::with_limits(Limits {
        inbox_bytes: share(100_000, 20_000, 10_000),
        ..Limits::default()
    });
    wire.configure(End::A, A);
    wire.configure(End::B, B);
    wire.run_for(Duration::from_secs(10));
    let client = wire.a.open(SocketKind::Udp);
    let mut opened = |port: u16, owner: Owner| {
        let id = wire.b.stack.socket(SocketKind::Udp, owner).unwrap();
        wire.b.stack.bind(wire.now, id, at(ANY, port)).unwrap();
        id
    };
    // Two sockets of one user hold no more than one would.
    let greedy = [opened(5000, USER), opened(5001, USER)];
    let modest = [opened(5002, Owner { uid: 1001 }), opened(5003, Owner::ROOT)];
    wire.a
        .send(wire.now, client, b"who has B?", Some(at(B, 5002)))
        .unwrap();
    wire.run_for(Duration::from_millis(10));
    for port in [5000, 5001, 5002, 5003] {
        for _ in 0..18 {
            wire.a
                .send(wire.now, client, &[7; 1000], Some(at(B, port)))
                .unwrap();
        }
        wire.run_for(Duration::from_millis(5));
    }
    assert_eq!(wire.b.counter("udp.user_memory_full"), 18, "18 of 36 fit");
    assert_eq!(wire.b.counter("udp.memory_full"), 0);
    for id in modest {
        assert!(wire.b.stack.readiness(id).readable);
    }
    for id in greedy {
        wire.b.stack.close(wire.now, id);
    }
    let again = wire.b.stack.socket(SocketKind::Udp, USER).unwrap();
    wire.b.stack.bind(wire.now, again, at(ANY, 5000)).unwrap();
    wire.a
        .send(wire.now, client, &[7; 1000], Some(at(B, 5000)))
        .unwrap();
    wire.run_until("what was given back", |wire| {
        wire.b.stack.readiness(again).readable
    });
}
