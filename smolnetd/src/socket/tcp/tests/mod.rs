//! Stories of TCP as packet traces: a host under test, peers that say exactly what they are told, a virtual clock.
//! Numbers such as A019 are those of the audit of another TCP, smoltcp's, in embassy-rs/xarxa, `audit/README.md`: what broke
//! it must not break this one.

mod attacks;
mod close;
mod connect;
mod cookies;
mod crowd;
mod data;
mod families;
mod flight;
mod fuzz;
mod keepalive;
mod listen;
mod loss;
mod memory;
mod model;
mod pair;
mod patience;
mod peer;
mod probes;
mod receiving;
mod recovery;
mod scale;
mod states;
mod timewait;
mod waking;
mod windows;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::{HashMap, VecDeque};

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{Ipv4Packet, TcpPacket};

use peer::Peer;

use super::{Ingress, Limits, Tcp, TcpId};
use crate::error::SocketError;
use crate::output::{Arrival, Output, Path};
use crate::ports::LinkId;
use crate::socket::{Owner, Readiness};

const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const HOST_V6: Ipv6Addr = Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 2, 15);
const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 2, 2);
const ETH0: LinkId = LinkId(1);
const LO: LinkId = LinkId(0);
const NOT_READY: Readiness = Readiness {
    readable: false,
    writable: false,
};
const READABLE: Readiness = Readiness {
    readable: true,
    writable: false,
};
const WRITABLE: Readiness = Readiness {
    readable: false,
    writable: true,
};

fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(address), port)
}

/// The network: keeps what leaves, has as much room as the test says.
#[derive(Debug)]
struct Net {
    sent: VecDeque<(Path, Vec<u8>)>,
    /// Packets that still fit, per link; none: as many as you like.
    room: HashMap<LinkId, usize>,
    own: Vec<IpAddr>,
    mtu: u16,
    confirmed: usize,
}

impl Output for Net {
    fn has_room(&self, link: LinkId) -> bool {
        self.room.get(&link).is_none_or(|&room| room > 0)
    }

    fn emit(&mut self, _: Instant, path: &Path, length: usize, fill: impl FnOnce(&mut [u8])) {
        if let Some(room) = self.room.get_mut(&path.link) {
            *room = room.checked_sub(1).expect("emitted without room");
        }
        assert!(
            length <= usize::from(path.mtu),
            "{length} bytes on a path of {}",
            path.mtu
        );
        assert!(
            self.sent.len() < 50_000,
            "a storm: {:?}",
            self.sent.iter().rev().take(4).collect::<Vec<_>>()
        );
        let mut packet = vec![0xa5; length];
        fill(&mut packet);
        self.sent.push_back((*path, packet));
    }

    fn path(&self, local: SocketAddr, remote: SocketAddr) -> Option<Path> {
        Some(self.way(local.ip(), remote.ip()))
    }

    fn is_local(&self, end: SocketAddr) -> bool {
        self.own.contains(&end.ip())
    }

    fn confirm(&mut self, _: Instant, _: &Path) {
        self.confirmed += 1;
    }
}

impl Net {
    fn way(&self, source: IpAddr, next_hop: IpAddr) -> Path {
        let link = if self.own.contains(&next_hop) {
            LO
        } else {
            ETH0
        };
        Path {
            link,
            zone: link,
            source,
            next_hop,
            mtu: self.mtu,
            hop_limit: 64,
        }
    }
}

/// The host under test.
#[derive(Debug)]
struct Host {
    tcp: Tcp,
    net: Net,
    now: Instant,
    /// Its address, and the peer's.
    address: IpAddr,
    peer: IpAddr,
}

impl Host {
    fn new() -> Host {
        Host::with(Limits::default())
    }

    fn with(limits: Limits) -> Host {
        let mut secret = [0; 32];
        secret
            .iter_mut()
            .zip(1..)
            .for_each(|(byte, value)| *byte = value);
        Host {
            tcp: Tcp::new(secret, limits),
            net: Net {
                sent: VecDeque::new(),
                room: HashMap::new(),
                own: vec![HOST.into(), Ipv4Addr::LOCALHOST.into()],
                mtu: 1500,
                confirmed: 0,
            },
            now: Instant::from_secs(1000),
            address: HOST.into(),
            peer: PEER.into(),
        }
    }

    /// The same host, and a peer, that speak IPv6.
    fn of_ipv6() -> Host {
        let mut host = Host::new();
        (host.address, host.peer) = (HOST_V6.into(), PEER_V6.into());
        host.net.own.push(host.address);
        host
    }

    fn of(v6: bool) -> Host {
        if v6 { Host::of_ipv6() } else { Host::new() }
    }

    /// The largest segment that its path carries.
    fn mss(&self) -> u16 {
        match self.address {
            IpAddr::V4(_) => 1460,
            IpAddr::V6(_) => 1440,
        }
    }

    /// A packet comes in from the network.
    fn hears(&mut self, packet: &[u8]) -> Ingress {
        let arrival = Arrival {
            link: ETH0,
            looped: false,
        };
        let ingress = self.tcp.ingress(self.now, arrival, packet, &mut self.net);
        if ingress == Ingress::NoFlow {
            self.tcp.refuse(self.now, arrival, packet, &mut self.net);
        }
        self.poll();
        ingress
    }

    fn poll(&mut self) {
        self.tcp.poll(self.now, &mut self.net);
    }

    /// Time passes, and whatever becomes due on the way is done when it is due.
    fn waits(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.tcp.next_deadline().filter(|&due| due <= end) {
            self.now = due.max(self.now);
            let before = self.now;
            self.poll();
            assert_eq!(
                self.tcp.counters().overdue,
                0,
                "nobody runs in circles: {:#?}",
                self.tcp
            );
            let again = self.tcp.next_deadline();
            assert!(
                again.is_none_or(|again| again > before),
                "due again at once: {again:?} at {before:?}"
            );
        }
        self.now = end;
        self.poll();
    }

    fn socket(&mut self) -> TcpId {
        self.tcp.open(Owner::ROOT).expect("a socket")
    }

    fn listener(&mut self, port: u16, backlog: usize) -> TcpId {
        let id = self.socket();
        let any = match self.address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // As servers do, so that what is left of connections does not keep them from starting again.
        let reuse = true;
        self.tcp
            .bind(id, SocketAddr::new(any, port), reuse)
            .expect("bind");
        self.tcp.listen(id, backlog).expect("listen");
        id
    }

    fn connect(&mut self, remote: SocketAddr) -> TcpId {
        let id = self.socket();
        self.connect_with(id, remote).expect("connect");
        id
    }

    fn connect_with(&mut self, id: TcpId, remote: SocketAddr) -> Result<(), SocketError> {
        let source = if remote.ip() == IpAddr::from(Ipv4Addr::LOCALHOST) {
            Ipv4Addr::LOCALHOST.into()
        } else {
            self.address
        };
        let path = self.net.way(source, remote.ip());
        self.tcp.connect(self.now, id, remote, path)?;
        self.poll();
        Ok(())
    }

    fn send(&mut self, id: TcpId, data: &[u8]) -> Result<usize, SocketError> {
        let result = self.tcp.send(self.now, id, data);
        self.poll();
        result
    }

    /// Reads up to `length` bytes.
    fn read(&mut self, id: TcpId, length: usize) -> Result<Vec<u8>, SocketError> {
        let mut buffer = vec![0; length];
        let length = self.tcp.receive(self.now, id, &mut buffer, false)?;
        buffer.truncate(length);
        self.poll();
        Ok(buffer)
    }

    fn close(&mut self, id: TcpId) {
        self.tcp.close(self.now, id);
        self.poll();
    }

    fn changed(&mut self) -> Vec<TcpId> {
        self.tcp.take_changed().collect()
    }

    fn readiness(&self, id: TcpId) -> Readiness {
        self.tcp.readiness(id)
    }
}

/// Tells a story once with each family.
fn each_family(story: impl Fn(Host)) {
    [false, true].map(Host::of).into_iter().for_each(story);
}

/// A connection that the host opened, established, with nothing said yet. The clock has moved past the first
/// challenge ACK that might be owed.
fn connected(host: &mut Host) -> (TcpId, Peer) {
    connected_with(host, 65_535)
}

/// The same, of a host whose receive buffer has `window` bytes.
fn connected_with(host: &mut Host, window: u16) -> (TcpId, Peer) {
    let (remote, mss) = (SocketAddr::new(host.peer, 80), host.mss());
    let id = host.connect(remote);
    let local = host.tcp.local(id).expect("local address");
    let mut peer = Peer::new(remote, local);
    assert_eq!(
        peer.hears(host),
        [format!("S 0 win {window} mss {mss} ws 7 sack")]
    );
    host.hears(&peer.says("S.", 0, 1, b""));
    assert_eq!(peer.hears(host), [format!(". 1 ack 1 win {window}")]);
    assert_eq!(host.changed(), [id]);
    (id, peer)
}

/// A connection that a listener of the host accepted.
fn accepted(host: &mut Host, port: u16) -> (TcpId, TcpId, Peer) {
    let listener = host.listener(port, 8);
    let ends = (
        SocketAddr::new(host.peer, 40_000),
        SocketAddr::new(host.address, port),
    );
    let mut peer = Peer::new(ends.0, ends.1);
    host.hears(&peer.says("S", 0, 0, b""));
    let mss = host.mss();
    assert_eq!(
        peer.hears(host),
        [format!("S. 0 ack 1 win 65535 mss {mss}")]
    );
    host.hears(&peer.says(".", 1, 1, b""));
    assert_eq!(host.changed(), [listener]);
    let id = host.tcp.accept(listener).expect("a connection");
    (listener, id, peer)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
