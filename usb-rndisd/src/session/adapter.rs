//! What is known about the adapter, and what was agreed on with it.

use netscheme::frame::{DEFAULT_MTU, ETHERNET_HEADER, LinkState, Mac, VLAN_TAG};

use super::Options;
use super::error::SessionError;
use crate::counters::{Counter, Counters};
use crate::message::control::InitializeComplete;
use crate::message::packet::HEADER_LENGTH;
use crate::message::{ReceiveLimits, TransmitLimits};

/// The version of RNDIS that this driver speaks: MajorVersion, MinorVersion.
pub(super) const VERSION: (u32, u32) = (1, 0);
/// Medium of an Ethernet adapter: RNDIS_MEDIUM_802_3.
const MEDIUM_802_3: u32 = 0;
/// The largest PacketAlignmentFactor.
const MAX_ALIGNMENT_FACTOR: u32 = 7;
/// The least MTU with which IPv4 works (RFC 791, 3.2).
const MIN_MTU: u16 = 68;
/// The longest frame of Ethernet with a VLAN tag, in bytes (IEEE 802.3, 3.2.7).
const ETHERNET_FRAME: u16 = 1518;
/// GEN_LINK_SPEED counts in units of 100 bit/s.
const SPEED_UNITS_PER_MBPS: u32 = 10_000;

/// Where the adapter's address is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacSource {
    /// The one that the device uses.
    Current,
    /// The one that it was made with.
    Permanent,
    /// It has none that a station can own: this one is the host's own making.
    Local,
}

/// An adapter that was brought up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// Its address.
    pub mac: Mac,
    /// Where that is from.
    pub mac_source: MacSource,
    /// The largest payload of a frame, in bytes.
    pub mtu: u16,
    /// The state of its link. An adapter that cannot tell has one that is up.
    pub link: LinkState,
    /// What the host takes.
    pub receive: ReceiveLimits,
    /// What the device takes.
    pub transmit: TransmitLimits,
    /// What the network is made of (NDIS_PHYSICAL_MEDIUM), if the device says so.
    pub physical_medium: Option<u32>,
}

impl Adapter {
    /// An adapter of which nothing was heard yet.
    pub(super) fn new(options: &Options) -> Self {
        let max_transfer = usize::try_from(options.max_transfer).unwrap_or(usize::MAX);
        Self {
            mac: options.local_mac,
            mac_source: MacSource::Local,
            mtu: DEFAULT_MTU,
            link: LinkState::UP,
            receive: ReceiveLimits {
                max_transfer,
                max_frame: longest_frame(DEFAULT_MTU),
                max_packets: 1,
            },
            transmit: TransmitLimits {
                max_transfer,
                max_packets: 1,
                alignment: 1,
                packet_size: options.packet_size.into(),
            },
            physical_medium: None,
        }
    }

    /// REMOTE_NDIS_INITIALIZE_CMPLT: version, medium and sizes.
    pub(super) fn agree(&mut self, reply: &InitializeComplete) -> Result<(), SessionError> {
        // A device of a later minor version speaks this one too.
        if reply.major != VERSION.0 {
            return Err(SessionError::Version {
                major: reply.major,
                minor: reply.minor,
            });
        }
        if reply.medium != MEDIUM_802_3 {
            return Err(SessionError::NotEthernet {
                medium: reply.medium,
            });
        }
        // What the device takes, but no more than this host ever sends.
        let max_transfer = usize::try_from(reply.max_transfer).unwrap_or(usize::MAX);
        self.transmit.max_transfer = max_transfer.min(self.transmit.max_transfer);
        let largest = self.largest_mtu();
        if largest < MIN_MTU {
            return Err(SessionError::TransferTooSmall {
                max_transfer: reply.max_transfer,
            });
        }
        self.mtu = self.mtu.min(largest);
        self.receive.max_packets = reply.max_packets.max(1);
        // An alignment that no device can mean concerns nobody where each message has a transfer of
        // its own.
        (self.transmit.max_packets, self.transmit.alignment) =
            if reply.alignment_factor <= MAX_ALIGNMENT_FACTOR {
                (reply.max_packets.max(1), 1 << reply.alignment_factor)
            } else {
                (1, 1)
            };
        Ok(())
    }

    /// 802_3_CURRENT_ADDRESS or 802_3_PERMANENT_ADDRESS.
    pub(super) fn set_mac(&mut self, buffer: &[u8], source: MacSource, counters: &mut Counters) {
        match <[u8; 6]>::try_from(buffer).map(Mac) {
            Ok(mac) if mac.is_unicast() => {
                self.mac = mac;
                self.mac_source = source;
            }
            Ok(_) => counters.count(Counter::ControlBadAddress),
            // No address is what a device without one says.
            Err(_) if buffer.is_empty() => {}
            Err(_) => counters.count(Counter::ControlBufferLength),
        }
    }

    /// GEN_MAXIMUM_FRAME_SIZE, in bytes without the Ethernet header.
    pub(super) fn set_mtu(&mut self, bytes: u32, counters: &mut Counters) {
        let mtu = u16::try_from(bytes).unwrap_or(u16::MAX);
        if mtu < MIN_MTU {
            counters.count(Counter::ControlBadMtu);
            return;
        }
        // GEN_MAXIMUM_FRAME_SIZE does not count the header by its definition, but does with some devices, QEMU's
        // among them; with an MTU just above Ethernet's, the network would drop what fills it.
        let counts_header = (DEFAULT_MTU.saturating_add(1)..=ETHERNET_FRAME).contains(&mtu);
        let mtu = if counts_header { DEFAULT_MTU } else { mtu };
        self.mtu = mtu.min(self.largest_mtu());
        // Others on the network may know nothing of a smaller one.
        self.receive.max_frame = longest_frame(self.mtu.max(DEFAULT_MTU));
    }

    /// The largest MTU that fits into a transfer to the device, and into one from it.
    fn largest_mtu(&self) -> u16 {
        let transfer = self.transmit.max_transfer.min(self.receive.max_transfer);
        let payload = transfer.saturating_sub(HEADER_LENGTH.saturating_add(ETHERNET_HEADER));
        u16::try_from(payload).unwrap_or(u16::MAX)
    }
}

/// The longest frame of a network with this MTU, in bytes from the destination address on, with a
/// VLAN tag.
fn longest_frame(mtu: u16) -> usize {
    usize::from(mtu)
        .saturating_add(ETHERNET_HEADER)
        .saturating_add(VLAN_TAG)
}

/// A GEN_LINK_SPEED, in units of 100 bit/s, as Mbit/s; `None` when it says nothing.
pub(super) fn speed_mbps(units: u32) -> Option<u32> {
    Some(units / SPEED_UNITS_PER_MBPS).filter(|&mbps| mbps > 0)
}
