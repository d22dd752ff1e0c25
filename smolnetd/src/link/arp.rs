//! ARP packets for Ethernet and IPv4 (RFC 826).

use core::net::Ipv4Addr;

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress};

/// Bytes of an ARP packet for Ethernet and IPv4.
pub(super) const LENGTH: usize = 28;

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arp {
    pub(super) operation: Operation,
    /// ar$sha
    pub(super) sender_mac: [u8; 6],
    /// ar$spa
    pub(super) sender: Ipv4Addr,
    /// ar$tha; of no meaning in a request.
    pub(super) target_mac: [u8; 6],
    /// ar$tpa
    pub(super) target: Ipv4Addr,
}

/// What an ARP packet asks or says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// ares_op$REQUEST
    Request,
    /// ares_op$REPLY
    Reply,
}

impl Arp {
    /// "Who has `target`?", asked by `sender`. With `sender` = 0.0.0.0 it is an ARP probe, with `sender` = `target` an
    /// ARP announcement (RFC 5227 section 1.1).
    pub(super) fn request(mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Arp {
        Arp {
            operation: Operation::Request,
            sender_mac: mac,
            sender,
            target_mac: [0; 6],
            target,
        }
    }

    /// "`mac` has it": the reply to this request.
    pub(super) fn reply(&self, mac: [u8; 6]) -> Arp {
        Arp {
            operation: Operation::Reply,
            sender_mac: mac,
            sender: self.target,
            target_mac: self.sender_mac,
            target: self.sender,
        }
    }

    /// Reads a packet; `None` when it is cut short, for other media, or an operation other than the two.
    pub(super) fn parse(packet: &[u8]) -> Option<Arp> {
        let packet = ArpPacket::new_checked(packet).ok()?;
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_hardware_addr,
            target_protocol_addr,
        } = ArpRepr::parse(&packet).ok()?
        else {
            return None;
        };
        let operation = match operation {
            ArpOperation::Request => Operation::Request,
            ArpOperation::Reply => Operation::Reply,
            ArpOperation::Unknown(_) => return None,
        };
        Some(Arp {
            operation,
            sender_mac: source_hardware_addr.0,
            sender: source_protocol_addr,
            target_mac: target_hardware_addr.0,
            target: target_protocol_addr,
        })
    }

    /// Writes the packet into `buffer`, of at least [`LENGTH`] bytes; does nothing when there are less.
    pub(super) fn emit(&self, buffer: &mut [u8]) {
        let Some(buffer) = buffer.get_mut(..LENGTH) else {
            return;
        };
        let representation = ArpRepr::EthernetIpv4 {
            operation: match self.operation {
                Operation::Request => ArpOperation::Request,
                Operation::Reply => ArpOperation::Reply,
            },
            source_hardware_addr: EthernetAddress(self.sender_mac),
            source_protocol_addr: self.sender,
            target_hardware_addr: EthernetAddress(self.target_mac),
            target_protocol_addr: self.target,
        };
        representation.emit(&mut ArpPacket::new_unchecked(buffer));
    }
}
