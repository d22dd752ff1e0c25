//! The commands of a host, and how much patience each deserves.

use core::time::Duration;

use super::Options;
use super::adapter::VERSION;
use crate::message::Control;
use crate::message::control::oid;

/// Bytes of the buffer in a query for an address. ActiveSync devices want as many.
const ADDRESS_QUERY_BUFFER: usize = 48;

/// Something that a device can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    CurrentAddress,
    PermanentAddress,
    MaximumFrameSize,
    MediaConnectStatus,
    LinkSpeed,
    PhysicalMedium,
}

impl Item {
    fn oid(self) -> u32 {
        match self {
            Self::CurrentAddress => oid::CURRENT_ADDRESS_802_3,
            Self::PermanentAddress => oid::PERMANENT_ADDRESS_802_3,
            Self::MaximumFrameSize => oid::GEN_MAXIMUM_FRAME_SIZE,
            Self::MediaConnectStatus => oid::GEN_MEDIA_CONNECT_STATUS,
            Self::LinkSpeed => oid::GEN_LINK_SPEED,
            Self::PhysicalMedium => oid::GEN_PHYSICAL_MEDIUM,
        }
    }
}

/// A message that the device has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Initialize,
    Query(Item),
    SetPacketFilter,
    SetMulticastList,
    KeepAlive,
    Reset,
}

impl Command {
    /// What brings an adapter up, in this order: frames pass from the last one on.
    pub(super) const BRING_UP: [Self; 9] = [
        Self::Initialize,
        Self::Query(Item::CurrentAddress),
        Self::Query(Item::PermanentAddress),
        Self::Query(Item::MaximumFrameSize),
        Self::Query(Item::PhysicalMedium),
        Self::Query(Item::MediaConnectStatus),
        Self::Query(Item::LinkSpeed),
        Self::SetMulticastList,
        Self::SetPacketFilter,
    ];

    /// What a device has to be told again after a reset (RNDIS, REMOTE_NDIS_RESET_CMPLT).
    pub(super) const AFTER_RESET: [Self; 2] = [Self::SetMulticastList, Self::SetPacketFilter];

    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Initialize => "INITIALIZE",
            Self::Query(_) => "QUERY",
            Self::SetPacketFilter => "SET of the packet filter",
            Self::SetMulticastList => "SET of the multicast list",
            Self::KeepAlive => "KEEPALIVE",
            Self::Reset => "RESET",
        }
    }

    /// How often it is sent, and how long an answer may take each time.
    pub(super) fn patience(self) -> (u32, Duration) {
        match self {
            // The device may only just have been plugged in.
            Self::Initialize => (3, Duration::from_secs(5)),
            Self::SetPacketFilter | Self::KeepAlive | Self::Reset => (3, Duration::from_secs(2)),
            // Without these the adapter works too.
            Self::Query(_) | Self::SetMulticastList => (2, Duration::from_secs(1)),
        }
    }

    /// The message; `filter` has the bits of [`crate::message::control::filter`].
    pub(super) fn encode(self, request_id: u32, options: &Options, filter: u32) -> Vec<u8> {
        match self {
            Self::Initialize => Control::Initialize {
                request_id,
                major: VERSION.0,
                minor: VERSION.1,
                max_transfer: options.max_transfer,
            }
            .encode(),
            Self::Query(item) => {
                let buffer: &[u8] = match item {
                    Item::CurrentAddress | Item::PermanentAddress => &[0; ADDRESS_QUERY_BUFFER],
                    _ => &[],
                };
                let oid = item.oid();
                Control::Query {
                    request_id,
                    oid,
                    buffer,
                }
                .encode()
            }
            Self::SetPacketFilter => Control::Set {
                request_id,
                oid: oid::GEN_CURRENT_PACKET_FILTER,
                buffer: &filter.to_le_bytes(),
            }
            .encode(),
            Self::SetMulticastList => Control::Set {
                request_id,
                oid: oid::MULTICAST_LIST_802_3,
                buffer: options
                    .multicast
                    .iter()
                    .map(|mac| mac.0)
                    .collect::<Vec<_>>()
                    .as_flattened(),
            }
            .encode(),
            Self::KeepAlive => Control::KeepAlive { request_id }.encode(),
            Self::Reset => Control::Reset.encode(),
        }
    }
}
