//! Raw sockets: whole IPv4 packets of one protocol, for who may see and say anything.

use core::net::Ipv4Addr;
use std::collections::BTreeSet;

use smoltcp::wire::Ipv4Packet;

use super::SocketId;
use crate::error::SocketError;

/// Which raw socket gets which protocol.
#[derive(Debug, Default)]
pub(crate) struct RawTable {
    sockets: BTreeSet<(u8, SocketId)>,
}

impl RawTable {
    pub(crate) fn insert(&mut self, protocol: u8, id: SocketId) {
        self.sockets.insert((protocol, id));
    }

    pub(crate) fn remove(&mut self, protocol: u8, id: SocketId) {
        self.sockets.remove(&(protocol, id));
    }

    /// The sockets that get packets of `protocol`.
    pub(crate) fn listeners(&self, protocol: u8) -> impl Iterator<Item = SocketId> {
        self.sockets
            .range((protocol, SocketId(0))..=(protocol, SocketId(u64::MAX)))
            .map(|(_, id)| *id)
    }
}

/// A packet that a client wrote, as far as the way out needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Unspecified when the stack is to choose.
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
}

/// Checks a packet that a client wrote for a socket of `protocol`.
///
/// # Errors
/// `Invalid` when it is no whole IPv4 packet of that protocol.
pub(crate) fn check(packet: &[u8], protocol: u8) -> Result<Written, SocketError> {
    let header = Ipv4Packet::new_checked(packet).map_err(|_| SocketError::Invalid)?;
    let whole = usize::from(header.total_len()) == packet.len();
    if header.version() != 4
        || !whole
        || u8::from(header.next_header()) != protocol
        || header.hop_limit() == 0
    {
        return Err(SocketError::Invalid);
    }
    Ok(Written {
        source: header.src_addr(),
        destination: header.dst_addr(),
    })
}

/// Copies a checked packet to where it will be sent from, with `source`, and with the header checksum right.
pub(crate) fn write(to: &mut [u8], packet: &[u8], source: Ipv4Addr) {
    if to.len() != packet.len() {
        return;
    }
    to.copy_from_slice(packet);
    if let Ok(mut header) = Ipv4Packet::new_checked(to) {
        header.set_src_addr(source);
        header.fill_checksum();
    }
}
