//! The other end: says exactly what it is told, and tells what it hears.

use core::fmt::Write;
use core::net::SocketAddr;
use std::collections::VecDeque;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

use super::Host;

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
        let ip = crate::ip::Incoming::parse(packet)
            .unwrap_or_else(|_| panic!("an IP packet: {packet:?}"));
        let (source, destination) = (ip.source, ip.destination);
        let tcp = TcpPacket::new_checked(ip.payload).expect("a TCP segment");
        assert!(
            tcp.verify_checksum(&source.into(), &destination.into()),
            "TCP checksum"
        );
        let ends = (
            SocketAddr::new(source, tcp.src_port()),
            SocketAddr::new(destination, tcp.dst_port()),
        );
        if (self.host, self.end) != ends {
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
        for (left, right) in tcp.sack_ranges.into_iter().flatten() {
            let relative = |seq: u32| seq.wrapping_sub(self.start) as i32;
            let _ = write!(line, " sack {}-{}", relative(left), relative(right));
        }
        Some(line)
    }
}
