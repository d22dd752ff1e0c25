//! Ethernet II: which frames are ours to read, and which group address stands for which IP address.

use core::net::IpAddr;

use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol};

use super::LinkCounters;
use crate::counters::count;

/// Bytes of an Ethernet header.
pub(super) const HEADER_LENGTH: usize = 14;

/// A frame that is ours to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received<'f> {
    /// Was it sent to a broadcast or multicast address?
    pub(super) to_group: bool,
    /// The station that it came from.
    pub(super) source: [u8; 6],
    pub(super) ethertype: EthernetProtocol,
    /// What stands behind the header; padding may follow the packet.
    pub(super) payload: &'f [u8],
}

/// Looks at the header of a frame that reached the adapter with address `mac`; what is not ours is counted.
pub(super) fn receive<'f>(
    frame: &'f [u8],
    mac: [u8; 6],
    counters: &mut LinkCounters,
) -> Option<Received<'f>> {
    let Ok(frame) = EthernetFrame::new_checked(frame) else {
        count(&mut counters.rx_runt);
        return None;
    };
    let to_group = frame.dst_addr().is_multicast();
    if !to_group && frame.dst_addr().0 != mac {
        count(&mut counters.rx_other_host);
        return None;
    }
    // IEEE 802.3 section 3.2.3: a source address is an individual address.
    if frame.src_addr().is_multicast() {
        count(&mut counters.rx_group_source);
        return None;
    }
    if frame.src_addr().0 == mac {
        count(&mut counters.rx_own_source);
        return None;
    }
    Some(Received {
        to_group,
        source: frame.src_addr().0,
        ethertype: frame.ethertype(),
        payload: frame.payload(),
    })
}

/// Writes the header into `buffer` and gives back what stands behind it.
pub(super) fn write_header(
    buffer: &mut [u8],
    destination: [u8; 6],
    source: [u8; 6],
    ethertype: EthernetProtocol,
) -> Option<&mut [u8]> {
    let mut frame = EthernetFrame::new_checked(&mut *buffer).ok()?;
    frame.set_dst_addr(EthernetAddress(destination));
    frame.set_src_addr(EthernetAddress(source));
    frame.set_ethertype(ethertype);
    buffer.get_mut(HEADER_LENGTH..)
}

/// The Ethernet address of an IP multicast group; `None` for what is not multicast.
pub(super) fn multicast_address(address: IpAddr) -> Option<[u8; 6]> {
    match address {
        // RFC 1112 section 6.4: the low-order 23 bits of the group.
        IpAddr::V4(address) if address.is_multicast() => {
            let [_, b, c, d] = address.octets();
            Some([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        // RFC 2464 section 7: the last four bytes of the group.
        IpAddr::V6(address) if address.is_multicast() => {
            let [.., a, b, c, d] = address.octets();
            Some([0x33, 0x33, a, b, c, d])
        }
        _ => None,
    }
}

/// The EtherType of `address`'s family.
pub(super) fn ethertype_of(address: IpAddr) -> EthernetProtocol {
    match address {
        IpAddr::V4(_) => EthernetProtocol::Ipv4,
        IpAddr::V6(_) => EthernetProtocol::Ipv6,
    }
}
