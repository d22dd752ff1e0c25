//! Stories of TCP as packet traces: a host under test, peers that say exactly what they are told, a virtual clock.

mod attacks;
mod close;
mod connect;
mod data;
mod fuzz;
mod listen;
mod loss;
mod pair;
mod scale;

use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::{HashMap, VecDeque};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpProtocol, IpRepr, Ipv4Packet, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

use super::{Ingress, Limits, Tcp, TcpId};
use crate::error::SocketError;
use crate::output::{Arrival, Output, Path};
use crate::ports::LinkId;
use crate::socket::{Owner, Readiness};

pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub(super) const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
pub(super) const ETH0: LinkId = LinkId(1);
pub(super) const LO: LinkId = LinkId(0);
pub(super) const NOT_READY: Readiness = Readiness {
    readable: false,
    writable: false,
};
pub(super) const READABLE: Readiness = Readiness {
    readable: true,
    writable: false,
};
pub(super) const WRITABLE: Readiness = Readiness {
    readable: false,
    writable: true,
};

pub(super) fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(address), port)
}

/// The network: keeps what leaves, has as much room as the test says.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) sent: VecDeque<(Path, Vec<u8>)>,
    /// Packets that still fit, per link; none: as many as you like.
    pub(super) room: HashMap<LinkId, usize>,
    pub(super) own: Vec<IpAddr>,
    pub(super) mtu: u16,
    pub(super) confirmed: usize,
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

    fn path(&self, local: IpAddr, remote: IpAddr) -> Option<Path> {
        let link = if self.own.contains(&remote) { LO } else { ETH0 };
        Some(Path {
            link,
            source: local,
            next_hop: remote,
            mtu: self.mtu,
        })
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.own.contains(&address)
    }

    fn confirm(&mut self, _: Instant, _: &Path) {
        self.confirmed += 1;
    }
}

/// The host under test.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) tcp: Tcp,
    pub(super) net: Net,
    pub(super) now: Instant,
}

impl Host {
    pub(super) fn new() -> Host {
        Host::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Host {
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
        }
    }

    /// A packet comes in from the network.
    pub(super) fn hears(&mut self, packet: &[u8]) -> Ingress {
        let arrival = Arrival {
            link: ETH0,
            looped: false,
        };
        let ingress = self.tcp.ingress(self.now, arrival, packet, &mut self.net);
        if ingress == Ingress::NoFlow {
            self.tcp.refuse(self.now, packet, &mut self.net);
        }
        self.poll();
        ingress
    }

    pub(super) fn poll(&mut self) {
        self.tcp.poll(self.now, &mut self.net);
    }

    /// Time passes, and whatever becomes due on the way is done when it is due.
    pub(super) fn waits(&mut self, time: Duration) {
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

    pub(super) fn socket(&mut self) -> TcpId {
        self.tcp.open(Owner::ROOT).expect("a socket")
    }

    pub(super) fn listener(&mut self, port: u16, backlog: usize) -> TcpId {
        let id = self.socket();
        self.tcp
            .bind(id, at(Ipv4Addr::UNSPECIFIED, port), false)
            .expect("bind");
        self.tcp.listen(id, backlog).expect("listen");
        id
    }

    pub(super) fn connect(&mut self, remote: SocketAddr) -> TcpId {
        let id = self.socket();
        self.connect_with(id, remote).expect("connect");
        id
    }

    pub(super) fn connect_with(
        &mut self,
        id: TcpId,
        remote: SocketAddr,
    ) -> Result<(), SocketError> {
        let source = if remote.ip() == IpAddr::from(Ipv4Addr::LOCALHOST) {
            Ipv4Addr::LOCALHOST
        } else {
            HOST
        };
        let path = self.net.path(source.into(), remote.ip()).expect("path");
        self.tcp.connect(self.now, id, remote, path)?;
        self.poll();
        Ok(())
    }

    pub(super) fn send(&mut self, id: TcpId, data: &[u8]) -> Result<usize, SocketError> {
        let result = self.tcp.send(self.now, id, data);
        self.poll();
        result
    }

    /// Reads up to `length` bytes.
    pub(super) fn read(&mut self, id: TcpId, length: usize) -> Result<Vec<u8>, SocketError> {
        let mut buffer = vec![0; length];
        let length = self.tcp.receive(self.now, id, &mut buffer, false)?;
        buffer.truncate(length);
        self.poll();
        Ok(buffer)
    }

    pub(super) fn close(&mut self, id: TcpId) {
        self.tcp.close(self.now, id);
        self.poll();
    }

    pub(super) fn changed(&mut self) -> Vec<TcpId> {
        self.tcp.take_changed().collect()
    }

    pub(super) fn readiness(&self, id: TcpId) -> Readiness {
        self.tcp.readiness(id)
    }
}

/// The other end of one connection: writes segments and reads them, in sequence numbers relative to both starts.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) end: SocketAddr,
    pub(super) host: SocketAddr,
    /// Its initial sequence number.
    pub(super) start: u32,
    /// The host's, learned from its SYN.
    pub(super) host_start: u32,
    /// What its segments offer.
    pub(super) window: u16,
}

impl Peer {
    pub(super) fn new(end: SocketAddr, host: SocketAddr) -> Peer {
        Peer {
            end,
            host,
            start: 0x7fff_ff00,
            host_start: 0,
            window: 64_000,
        }
    }

    /// A segment: flags as tcpdump writes them (S F R P and . for ACK), numbers relative.
    pub(super) fn says(&self, flags: &str, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
        self.builds(flags, seq, ack, data, |_| ())
    }

    pub(super) fn builds(
        &self,
        flags: &str,
        seq: u32,
        ack: u32,
        data: &[u8],
        change: impl FnOnce(&mut TcpRepr<'_>),
    ) -> Vec<u8> {
        let control = match flags.trim_end_matches('.') {
            "S" => TcpControl::Syn,
            "F" => TcpControl::Fin,
            "R" => TcpControl::Rst,
            "P" => TcpControl::Psh,
            "" => TcpControl::None,
            other => panic!("flags {other}"),
        };
        let acks = flags
            .ends_with('.')
            .then(|| TcpSeqNumber(self.host_start.wrapping_add(ack) as i32));
        let mut tcp = TcpRepr {
            src_port: self.end.port(),
            dst_port: self.host.port(),
            control,
            seq_number: TcpSeqNumber(self.start.wrapping_add(seq) as i32),
            ack_number: acks,
            window_len: self.window,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: data,
        };
        if control == TcpControl::Syn {
            tcp.max_seg_size = Some(1460);
        }
        change(&mut tcp);
        let (source, destination) = (self.end.ip().into(), self.host.ip().into());
        let ip = IpRepr::new(source, destination, IpProtocol::Tcp, tcp.buffer_len(), 64);
        let mut packet = vec![0; ip.buffer_len()];
        ip.emit(&mut packet[..], &ChecksumCapabilities::default());
        let mut segment = TcpPacket::new_unchecked(&mut packet[ip.header_len()..]);
        tcp.emit(
            &mut segment,
            &source,
            &destination,
            &ChecksumCapabilities::default(),
        );
        packet
    }

    /// What the host sent to this peer since it was asked last, one line each.
    pub(super) fn hears(&mut self, host: &mut Host) -> Vec<String> {
        let mut lines = Vec::new();
        let mut others = VecDeque::new();
        while let Some((path, packet)) = host.net.sent.pop_front() {
            match self.reads(&packet) {
                Some(line) => lines.push(line),
                None => others.push_back((path, packet)),
            }
        }
        host.net.sent = others;
        lines
    }

    fn reads(&mut self, packet: &[u8]) -> Option<String> {
        let ip = Ipv4Packet::new_checked(packet).expect("an IPv4 packet");
        assert!(ip.verify_checksum(), "IP checksum");
        let (source, destination) = (ip.src_addr(), ip.dst_addr());
        let tcp = TcpPacket::new_checked(ip.payload()).expect("a TCP segment");
        assert!(
            tcp.verify_checksum(&source.into(), &destination.into()),
            "TCP checksum"
        );
        if self.host != at(source, tcp.src_port()) || self.end != at(destination, tcp.dst_port()) {
            return None;
        }
        let tcp = TcpRepr::parse(
            &tcp,
            &source.into(),
            &destination.into(),
            &ChecksumCapabilities::default(),
        );
        let tcp = tcp.expect("a sound segment");
        let seq = tcp.seq_number.0 as u32;
        if tcp.control == TcpControl::Syn {
            self.host_start = seq;
        }
        let flag = match tcp.control {
            TcpControl::Syn => "S",
            TcpControl::Fin => "F",
            TcpControl::Rst => "R",
            TcpControl::Psh => "P",
            TcpControl::None => "",
        };
        let mut line = format!("{flag}{}", if tcp.ack_number.is_some() { "." } else { "" });
        let _ = write!(line, " {}", seq.wrapping_sub(self.host_start) as i32);
        if !tcp.payload.is_empty() {
            let _ = write!(line, "({})", tcp.payload.len());
        }
        if let Some(ack) = tcp.ack_number {
            let _ = write!(
                line,
                " ack {}",
                (ack.0 as u32).wrapping_sub(self.start) as i32
            );
        }
        if tcp.control != TcpControl::Rst {
            let _ = write!(line, " win {}", tcp.window_len);
        }
        if let Some(mss) = tcp.max_seg_size {
            let _ = write!(line, " mss {mss}");
        }
        if let Some(scale) = tcp.window_scale {
            let _ = write!(line, " ws {scale}");
        }
        if tcp.sack_permitted {
            line.push_str(" sack");
        }
        Some(line)
    }
}

/// A connection that the host opened, established, with nothing said yet. The clock has moved past the first
/// challenge ACK that might be owed.
pub(super) fn connected(host: &mut Host) -> (TcpId, Peer) {
    connected_with(host, 65_535)
}

/// The same, of a host whose receive buffer has `window` bytes.
pub(super) fn connected_with(host: &mut Host, window: u16) -> (TcpId, Peer) {
    let remote = at(PEER, 80);
    let id = host.connect(remote);
    let local = host.tcp.local(id).expect("local address");
    let mut peer = Peer::new(remote, local);
    assert_eq!(
        peer.hears(host),
        [format!("S 0 win {window} mss 1460 ws 0 sack")]
    );
    host.hears(&peer.says("S.", 0, 1, b""));
    assert_eq!(peer.hears(host), [format!(". 1 ack 1 win {window}")]);
    assert_eq!(host.changed(), [id]);
    (id, peer)
}

/// A connection that a listener of the host accepted.
pub(super) fn accepted(host: &mut Host, port: u16) -> (TcpId, TcpId, Peer) {
    let listener = host.listener(port, 8);
    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, port));
    host.hears(&peer.says("S", 0, 0, b""));
    assert_eq!(peer.hears(host), ["S. 0 ack 1 win 65535 mss 1460"]);
    host.hears(&peer.says(".", 1, 1, b""));
    assert_eq!(host.changed(), [listener]);
    let id = host.tcp.accept(listener).expect("a connection");
    (listener, id, peer)
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
