//! Segments: what came in, read once and checked; and those that we write ourselves, where they will be sent from.

use core::net::{IpAddr, SocketAddr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Instant;
use smoltcp::wire::{
    IpAddress, IpProtocol, IpRepr, Ipv4Packet, Ipv6Packet, TcpControl, TcpPacket, TcpRepr,
};

use super::FlowKey;
use super::sequence::Seq;
use crate::ip::ZonedAddr;
use crate::output::{Output, Path};
use crate::ports::LinkId;

/// Why a segment could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentError {
    /// Lengths that lie, a port 0, flags that exclude each other, options cut short.
    Malformed,
    /// The TCP checksum is wrong.
    Checksum,
}

/// A segment as it came in. Its checksum is right and its header and options are sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The connection it belongs to, seen from here: we are `local`.
    pub key: FlowKey,
    /// SEG.SEQ
    pub seq: Seq,
    /// SEG.ACK, when the ACK bit is set.
    pub ack: Option<Seq>,
    /// SYN, FIN, RST, or none of them (PSH does not matter here).
    pub control: TcpControl,
    /// SEG.WND as on the wire, not scaled.
    pub window: u16,
    /// Octets of data.
    pub data: usize,
    /// The Maximum Segment Size option.
    pub mss: Option<u16>,
    /// The Window Scale option, at most 14.
    pub window_scale: Option<u8>,
    /// The SACK-permitted option.
    pub sack_permitted: bool,
    /// The SACK option's blocks, left edge and right edge, as the peer wrote them (RFC 2018 section 3). A fourth, for
    /// which there is room without timestamps, is not looked at.
    pub sack: SackBlocks,
}

/// What a SACK option says: left edge and right edge of each block.
pub type SackBlocks = [Option<(Seq, Seq)>; 3];

impl Segment {
    /// Reads the segment in a whole IP packet whose IP header the stack has already checked: the segment, and its data.
    ///
    /// # Errors
    /// Why it must be dropped.
    pub fn parse(packet: &[u8]) -> Result<(Segment, &[u8]), SegmentError> {
        let malformed = |_| SegmentError::Malformed;
        match packet.first().map(|first| first >> 4) {
            Some(4) => {
                let ip = Ipv4Packet::new_checked(packet).map_err(malformed)?;
                let (source, destination) = (IpAddr::V4(ip.src_addr()), IpAddr::V4(ip.dst_addr()));
                Segment::parse_tcp(ip.next_header(), source, destination, ip.payload())
            }
            Some(6) => {
                let ip = Ipv6Packet::new_checked(packet).map_err(malformed)?;
                let (source, destination) = (IpAddr::V6(ip.src_addr()), IpAddr::V6(ip.dst_addr()));
                Segment::parse_tcp(ip.next_header(), source, destination, ip.payload())
            }
            _ => Err(SegmentError::Malformed),
        }
    }

    /// The segment as it is understood on the link that it came from: there a link-local address is somebody's.
    pub fn on(mut self, link: LinkId) -> Segment {
        let FlowKey { local, remote } = &mut self.key;
        for end in [local, remote] {
            *end = ZonedAddr::on(end.ip(), link).with_port(end.port());
        }
        self
    }

    fn parse_tcp(
        protocol: IpProtocol,
        source: IpAddr,
        destination: IpAddr,
        payload: &[u8],
    ) -> Result<(Segment, &[u8]), SegmentError> {
        if protocol != IpProtocol::Tcp {
            return Err(SegmentError::Malformed);
        }
        let tcp = TcpPacket::new_checked(payload).map_err(|_| SegmentError::Malformed)?;
        let (from, to) = (IpAddress::from(source), IpAddress::from(destination));
        // RFC 9293 3.1: the receiver MUST check it. Nobody behind this point does so again.
        if !tcp.verify_checksum(&from, &to) {
            return Err(SegmentError::Checksum);
        }
        let repr = TcpRepr::parse(&tcp, &from, &to, &ChecksumCapabilities::ignored())
            .map_err(|_| SegmentError::Malformed)?;
        let segment = Segment {
            key: FlowKey {
                local: SocketAddr::new(destination, repr.dst_port),
                remote: SocketAddr::new(source, repr.src_port),
            },
            seq: repr.seq_number.into(),
            ack: repr.ack_number.map(Seq::from),
            control: if repr.control == TcpControl::Psh {
                TcpControl::None
            } else {
                repr.control
            },
            window: repr.window_len,
            data: repr.payload.len(),
            mss: repr.max_seg_size,
            window_scale: repr.window_scale,
            sack_permitted: repr.sack_permitted,
            sack: repr
                .sack_ranges
                .map(|block| block.map(|(left, right)| (Seq(left), Seq(right)))),
        };
        Ok((segment, repr.payload))
    }

    /// SEG.LEN: octets of sequence space, SYN and FIN included.
    pub fn length(&self) -> usize {
        let control = match self.control {
            TcpControl::Syn | TcpControl::Fin => 1,
            TcpControl::None | TcpControl::Psh | TcpControl::Rst => 0,
        };
        self.data.saturating_add(control)
    }

    /// The sequence number after its last octet.
    pub fn end(&self) -> Seq {
        self.seq.plus(self.length())
    }
}

/// A segment of our own making: all of it but its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// The connection: we are `local`.
    pub key: FlowKey,
    /// SEG.SEQ
    pub seq: Seq,
    /// SEG.ACK; none leaves the ACK bit clear.
    pub ack: Option<Seq>,
    /// SYN, FIN, RST or none.
    pub control: TcpControl,
    /// PSH: what was written ends here (RFC 9293 3.9.1.2).
    pub push: bool,
    /// SEG.WND as it goes on the wire.
    pub window: u16,
    /// Options of a SYN: Maximum Segment Size.
    pub mss: Option<u16>,
    /// Options of a SYN: Window Scale.
    pub window_scale: Option<u8>,
    /// Options of a SYN: SACK permitted.
    pub sack_permitted: bool,
    /// The SACK option of an acknowledgement.
    pub sack: SackBlocks,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
}

/// RFC 1122 3.2.1.7: what packets of ours start with unless a socket says otherwise.
pub const DEFAULT_HOP_LIMIT: u8 = 64;

impl Control {
    /// An acknowledgement: <SEQ=seq><ACK=ack><CTL=ACK>.
    pub fn ack(key: FlowKey, seq: Seq, ack: Seq, window: u16) -> Control {
        Control {
            key,
            seq,
            ack: Some(ack),
            control: TcpControl::None,
            push: false,
            window,
            mss: None,
            window_scale: None,
            sack_permitted: false,
            sack: [None; 3],
            hop_limit: DEFAULT_HOP_LIMIT,
        }
    }

    /// RFC 9293 3.10.7.1: what a segment that nobody waits for is answered with; none if it is a RST itself.
    pub fn refusal(segment: &Segment) -> Option<Control> {
        if segment.control == TcpControl::Rst {
            return None;
        }
        let (seq, ack) = match segment.ack {
            Some(ack) => (ack, None),
            None => (Seq(0), Some(segment.end())),
        };
        Some(Control {
            ack,
            control: TcpControl::Rst,
            ..Control::ack(segment.key, seq, Seq(0), 0)
        })
    }

    /// Length of the IP packet in bytes, if no data follows.
    pub fn length(&self) -> usize {
        let tcp = self.tcp_repr();
        self.ip_repr(tcp.header_len()).buffer_len()
    }

    /// Writes the IP packet into `buffer`, which is [`Control::length`] bytes long.
    pub fn write(&self, buffer: &mut [u8]) {
        self.write_with(buffer, 0, |_| ());
    }

    /// Sends it; false, with nothing done, when the link has no room.
    pub fn send(&self, now: Instant, path: &Path, out: &mut impl Output) -> bool {
        self.send_with(now, path, out, 0, |_| ())
    }

    /// Sends it with `octets` of data, which `fill` writes where they will be sent from; false, with nothing done, when
    /// the link has no room.
    pub fn send_with(
        &self,
        now: Instant,
        path: &Path,
        out: &mut impl Output,
        octets: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> bool {
        if !out.has_room(path.link) {
            return false;
        }
        let length = self.length().saturating_add(octets);
        out.emit(now, path, length, |buffer| {
            self.write_with(buffer, octets, fill);
        });
        true
    }

    fn write_with(&self, buffer: &mut [u8], octets: usize, fill: impl FnOnce(&mut [u8])) {
        let tcp = self.tcp_repr();
        let ip = self.ip_repr(tcp.header_len().saturating_add(octets));
        if buffer.len() < ip.buffer_len() {
            return;
        }
        ip.emit(&mut *buffer, &ChecksumCapabilities::default());
        let Some(segment) = buffer.get_mut(ip.header_len()..ip.buffer_len()) else {
            return;
        };
        let (from, to) = (ip.src_addr(), ip.dst_addr());
        let mut packet = TcpPacket::new_unchecked(segment);
        // The checksum is for when the data is there.
        tcp.emit(&mut packet, &from, &to, &ChecksumCapabilities::ignored());
        packet.set_psh(self.push);
        fill(packet.payload_mut());
        packet.fill_checksum(&from, &to);
    }

    fn tcp_repr(&self) -> TcpRepr<'static> {
        TcpRepr {
            src_port: self.key.local.port(),
            dst_port: self.key.remote.port(),
            control: self.control,
            seq_number: self.seq.into(),
            ack_number: self.ack.map(Into::into),
            window_len: self.window,
            window_scale: self.window_scale,
            max_seg_size: self.mss,
            sack_permitted: self.sack_permitted,
            sack_ranges: self
                .sack
                .map(|block| block.map(|(left, right)| (left.0, right.0))),
            timestamp: None,
            payload: &[],
        }
    }

    fn ip_repr(&self, length: usize) -> IpRepr {
        let (source, destination) = (self.key.local.ip().into(), self.key.remote.ip().into());
        IpRepr::new(source, destination, IpProtocol::Tcp, length, self.hop_limit)
    }
}
