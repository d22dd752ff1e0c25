//! Flows by their name, by their time, and by the room that they wait for.

use super::*;
use crate::flow::sequence::Seq;

const LINK: LinkId = LinkId(3);

fn flow(port: u16) -> Flow {
    let local = core::net::SocketAddr::from(([10, 0, 2, 15], port));
    let remote = core::net::SocketAddr::from(([10, 0, 2, 2], 80));
    let path = Path {
        link: LINK,
        zone: LINK,
        source: local.ip(),
        next_hop: remote.ip(),
        mtu: 1500,
        hop_limit: 64,
    };
    let (number, until) = (Seq(0), Instant::ZERO);
    let time_wait = TimeWait {
        mark: 0,
        snd_nxt: number,
        rcv_nxt: number,
        window: 0,
        until,
        owes_ack: false,
        quiet_until: None,
    };
    Flow::new(FlowKey { local, remote }, path, Phase::TimeWait(time_wait))
}

fn at(seconds: i64) -> Instant {
    Instant::from_secs(seconds)
}

#[test]
fn a_deadline_that_moves_on_wakes_nobody_early() {
    let mut flows = Flows::new(Keyed(1, 2));
    let id = flows.insert(flow(1)).expect("room");
    flows.schedule(id, Some(at(10)));
    for later in 11..20 {
        flows.schedule(id, Some(at(later)));
    }
    assert_eq!(flows.timers.len(), 1);
    flows.settle();
    assert_eq!(flows.next_deadline(), Some(at(19)));
    flows.expire(at(18));
    assert_eq!(flows.next_dirty(), None);
    flows.expire(at(19));
    assert_eq!(flows.next_dirty(), Some(id));
    assert_eq!(flows.next_deadline(), None);
}

#[test]
fn a_deadline_that_comes_nearer_counts() {
    let mut flows = Flows::new(Keyed(1, 2));
    let id = flows.insert(flow(1)).expect("room");
    flows.schedule(id, Some(at(100)));
    flows.schedule(id, Some(at(5)));
    assert_eq!(flows.next_deadline(), Some(at(5)));
    flows.schedule(id, None);
    flows.settle();
    assert_eq!(flows.next_deadline(), None);
    assert!(flows.timers.is_empty());
}

#[test]
fn a_timer_of_a_flow_that_has_gone_reaches_nobody_else() {
    let mut flows = Flows::new(Keyed(1, 2));
    let old = flows.insert(flow(1)).expect("room");
    flows.schedule(old, Some(at(5)));
    flows.mark_dirty(old);
    assert!(flows.remove(old).is_some());
    assert!(flows.remove(old).is_none());
    let new = flows.insert(flow(2)).expect("room");
    assert_eq!(new.index, old.index, "the same place");
    assert!(flows.get(old).is_none());
    flows.expire(at(6));
    assert_eq!(flows.next_dirty(), None);
    assert!(!flows.uses_port(1) && flows.uses_port(2));
}

#[test]
fn what_waits_for_room_is_served_when_there_is_some_and_once() {
    let mut flows = Flows::new(Keyed(1, 2));
    let ids: Vec<FlowId> = (1..4).filter_map(|port| flows.insert(flow(port))).collect();
    for &id in &ids {
        flows.block(id);
        flows.block(id);
    }
    assert_eq!(flows.next_dirty(), None);
    flows.unblock(LINK);
    let mut served = Vec::new();
    while let Some(id) = flows.next_dirty() {
        served.push(id);
    }
    assert_eq!(served, ids, "the longest waiting first");
    assert!(flows.blocked_links().is_empty());
}

#[test]
fn one_name_one_flow() {
    let mut flows = Flows::new(Keyed(1, 2));
    let first = flows.insert(flow(1)).expect("room");
    assert!(flows.insert(flow(1)).is_none());
    assert!(flows.detach(first));
    assert!(
        flows.get(first).is_some(),
        "what it received can still be read"
    );
    let second = flows.insert(flow(1)).expect("its name is free");
    flows.remove(first);
    assert!(flows.is_attached(second));
}

/// A device that takes nothing, and programs that try again and again: what has gone is not remembered, what waits is.
#[test]
fn a_link_that_never_has_room_remembers_only_who_waits() {
    let mut flows = Flows::new(Keyed(1, 2));
    let waiting: Vec<FlowId> = (1..4).filter_map(|port| flows.insert(flow(port))).collect();
    for &id in &waiting {
        flows.block(id);
    }
    for _ in 0..10_000 {
        let gone = flows.insert(flow(9)).expect("room");
        flows.block(gone);
        flows.remove(gone);
        // Routes that come and go.
        flows.release(waiting[1]);
        assert_eq!(flows.next_dirty(), Some(waiting[1]));
        flows.block(waiting[1]);
    }
    let remembered = flows.blocked.get(&LINK).map_or(0, VecDeque::len);
    assert!(remembered < 200, "{remembered}");
    flows.unblock(LINK);
    let mut served: Vec<FlowId> = core::iter::from_fn(|| flows.next_dirty()).collect();
    served.sort();
    assert_eq!(served, waiting);
}

/// Each part of a name counts for where a flow is found: whoever chooses one of them freely chooses no place with it.
#[test]
fn each_part_of_a_name_counts() {
    let end = |text: &str| -> core::net::SocketAddr { text.parse().expect("an end") };
    let keys = [
        ("10.0.2.15:80", "10.0.2.2:1024"),
        ("10.0.2.15:81", "10.0.2.2:1024"),
        ("10.0.2.15:80", "10.0.2.2:1025"),
        ("10.0.2.15:1024", "10.0.2.2:80"),
        ("10.0.2.14:80", "10.0.2.2:1024"),
        ("10.0.2.15:80", "10.0.3.2:1024"),
        ("10.0.2.2:80", "10.0.2.15:1024"),
        ("[fe80::1%1]:80", "[fe80::2%1]:1024"),
        ("[fe80::1%2]:80", "[fe80::2%1]:1024"),
        ("[fe80::1%1]:80", "[fe80::2%2]:1024"),
        ("[fe80::1%1]:80", "[fe80::2%1]:1025"),
        ("[fe80::2%1]:80", "[fe80::1%1]:1024"),
        ("[fe80:1::1%1]:80", "[fe80::2%1]:1024"),
        ("[fe80::1%1]:80", "[fe80:1::2%1]:1024"),
        ("[fe80::1%1]:80", "[fe80::1:2%1]:1024"),
    ];
    let keys = keys.map(|(local, remote)| FlowKey {
        local: end(local),
        remote: end(remote),
    });
    let places: BTreeSet<u64> = keys.map(|key| Keyed(1, 2).hash_one(key)).into();
    assert_eq!(places.len(), keys.len());
    let others: BTreeSet<u64> = keys.map(|key| Keyed(1, 3).hash_one(key)).into();
    assert!(
        places.is_disjoint(&others),
        "without the key no place is known"
    );
}
