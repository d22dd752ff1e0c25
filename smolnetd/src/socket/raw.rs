//! Raw sockets: whole IP packets of one family and protocol, for who may see and say anything.

use core::net::IpAddr;
use std::collections::BTreeSet;

use smoltcp::wire::{Icmpv6Packet, IpProtocol, Ipv4Packet, Ipv6Packet};

use super::SocketId;
use super::bound::Family;
use crate::error::SocketError;
use crate::ip::{Incoming, v6};

/// The packets that a raw socket gets.
pub(crate) type Kind = (Family, u8);

/// Which raw socket gets which protocol.
#[derive(Debug, Default)]
pub(crate) struct RawTable {
    sockets: BTreeSet<(Kind, SocketId)>,
}

impl RawTable {
    pub(crate) fn insert(&mut self, kind: Kind, id: SocketId) {
        self.sockets.insert((kind, id));
    }

    pub(crate) fn remove(&mut self, kind: Kind, id: SocketId) {
        self.sockets.remove(&(kind, id));
    }

    /// The sockets that get packets of `kind`.
    pub(crate) fn listeners(&self, kind: Kind) -> impl Iterator<Item = SocketId> {
        self.sockets
            .range((kind, SocketId(0))..=(kind, SocketId(u64::MAX)))
            .map(|(_, id)| *id)
    }
}

/// A packet that a client wrote, as far as the way out needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Unspecified when the stack is to choose.
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

/// Checks a packet that a client wrote for a socket of `family` and `protocol`.
///
/// # Errors
/// `Invalid` when it is no whole IP packet of these. Of a fragment nobody knows more than its first header.
pub(crate) fn check(packet: &[u8], family: Family, protocol: u8) -> Result<Written, SocketError> {
    let named = match family {
        Family::V4 => check_v4(packet),
        Family::V6 => check_v6(packet),
    };
    match named {
        Some((named, written)) if named == protocol => Ok(written),
        _ => Err(SocketError::Invalid),
    }
}

/// The protocol in the header, and where the packet goes. The checksum is ours to write.
fn check_v4(packet: &[u8]) -> Option<(u8, Written)> {
    let header = Ipv4Packet::new_checked(packet).ok()?;
    let whole = usize::from(header.total_len()) == packet.len();
    let written = Written {
        source: header.src_addr().into(),
        destination: header.dst_addr().into(),
    };
    (header.version() == 4 && whole && header.hop_limit() != 0)
        .then_some((header.next_header().into(), written))
}

fn check_v6(packet: &[u8]) -> Option<(u8, Written)> {
    let written = Incoming::parse(packet)
        .ok()
        .filter(|written| !written.is_v4() && written.packet.len() == packet.len())?;
    let ends = Written {
        source: written.source,
        destination: written.destination,
    };
    (written.problem.is_none() && written.hop_limit != 0).then_some((written.protocol, ends))
}

/// Copies a checked packet to where it will be sent from, with `source`, and with the checksums right that are the
/// stack's to write: IPv4's own, and ICMPv6's (RFC 3542 3.1).
pub(crate) fn write(to: &mut [u8], packet: &[u8], source: IpAddr) {
    if to.len() != packet.len() {
        return;
    }
    to.copy_from_slice(packet);
    match source {
        IpAddr::V4(source) => {
            if let Ok(mut header) = Ipv4Packet::new_checked(to) {
                header.set_src_addr(source);
                header.fill_checksum();
            }
        }
        IpAddr::V6(source) => {
            let Ok(mut header) = Ipv6Packet::new_checked(&mut *to) else {
                return;
            };
            header.set_src_addr(source);
            let (destination, protocol) = (header.dst_addr(), header.next_header());
            let Some(message) = to.get_mut(v6::HEADER_LENGTH..) else {
                return;
            };
            if protocol == IpProtocol::Icmpv6 && message.len() >= 4 {
                Icmpv6Packet::new_unchecked(message).fill_checksum(&source, &destination);
            }
        }
    }
}
