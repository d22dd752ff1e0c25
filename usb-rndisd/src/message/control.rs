//! The messages of the control channel, both ways: what a host sends and a device reads, and what a
//! device answers and a host reads.

use super::bytes::{OFFSETS_FROM, part, put_u32, u32_at};
use crate::counters::Counter;

/// MessageType of each message.
pub mod message_type {
    /// REMOTE_NDIS_INITIALIZE_MSG
    pub const INITIALIZE: u32 = 0x2;
    /// REMOTE_NDIS_HALT_MSG
    pub const HALT: u32 = 0x3;
    /// REMOTE_NDIS_QUERY_MSG
    pub const QUERY: u32 = 0x4;
    /// REMOTE_NDIS_SET_MSG
    pub const SET: u32 = 0x5;
    /// REMOTE_NDIS_RESET_MSG
    pub const RESET: u32 = 0x6;
    /// REMOTE_NDIS_INDICATE_STATUS_MSG
    pub const INDICATE_STATUS: u32 = 0x7;
    /// REMOTE_NDIS_KEEPALIVE_MSG
    pub const KEEPALIVE: u32 = 0x8;
    /// The bit of an answer: _CMPLT
    pub const COMPLETE: u32 = 0x8000_0000;
    /// REMOTE_NDIS_INITIALIZE_CMPLT
    pub const INITIALIZE_COMPLETE: u32 = INITIALIZE | COMPLETE;
    /// REMOTE_NDIS_QUERY_CMPLT
    pub const QUERY_COMPLETE: u32 = QUERY | COMPLETE;
    /// REMOTE_NDIS_SET_CMPLT
    pub const SET_COMPLETE: u32 = SET | COMPLETE;
    /// REMOTE_NDIS_RESET_CMPLT
    pub const RESET_COMPLETE: u32 = RESET | COMPLETE;
    /// REMOTE_NDIS_KEEPALIVE_CMPLT
    pub const KEEPALIVE_COMPLETE: u32 = KEEPALIVE | COMPLETE;
}

/// Values of Status.
pub mod status {
    /// RNDIS_STATUS_SUCCESS
    pub const SUCCESS: u32 = 0;
    /// RNDIS_STATUS_FAILURE
    pub const FAILURE: u32 = 0xc000_0001;
    /// RNDIS_STATUS_NOT_SUPPORTED
    pub const NOT_SUPPORTED: u32 = 0xc000_00bb;
    /// RNDIS_STATUS_INVALID_DATA
    pub const INVALID_DATA: u32 = 0xc001_0015;
    /// RNDIS_STATUS_MEDIA_CONNECT
    pub const MEDIA_CONNECT: u32 = 0x4001_000b;
    /// RNDIS_STATUS_MEDIA_DISCONNECT
    pub const MEDIA_DISCONNECT: u32 = 0x4001_000c;
}

/// Object identifiers of a query or a set (NDIS).
pub mod oid {
    /// Largest payload of a frame, in bytes.
    pub const GEN_MAXIMUM_FRAME_SIZE: u32 = 0x0001_0106;
    /// Speed, in units of 100 bit/s.
    pub const GEN_LINK_SPEED: u32 = 0x0001_0107;
    /// Which frames the device hands to the host.
    pub const GEN_CURRENT_PACKET_FILTER: u32 = 0x0001_010e;
    /// 0 when the link is up.
    pub const GEN_MEDIA_CONNECT_STATUS: u32 = 0x0001_0114;
    /// What the network is made of.
    pub const GEN_PHYSICAL_MEDIUM: u32 = 0x0001_0202;
    /// The address that the device was made with.
    pub const PERMANENT_ADDRESS_802_3: u32 = 0x0101_0101;
    /// The address that it uses.
    pub const CURRENT_ADDRESS_802_3: u32 = 0x0101_0102;
    /// The group addresses whose frames it hands to the host.
    pub const MULTICAST_LIST_802_3: u32 = 0x0101_0103;
}

/// Bits of [`oid::GEN_CURRENT_PACKET_FILTER`] (NDIS_PACKET_TYPE).
pub mod filter {
    /// Frames to the device's address.
    pub const DIRECTED: u32 = 0x1;
    /// Frames to the groups of the multicast list.
    pub const MULTICAST: u32 = 0x2;
    /// Frames to all groups.
    pub const ALL_MULTICAST: u32 = 0x4;
    /// Frames to all stations.
    pub const BROADCAST: u32 = 0x8;
    /// All frames.
    pub const PROMISCUOUS: u32 = 0x20;
}

/// What REMOTE_NDIS_INITIALIZE_CMPLT says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InitializeComplete {
    /// RequestID of the command.
    pub request_id: u32,
    /// Status; see [`status`].
    pub status: u32,
    /// MajorVersion.
    pub major: u32,
    /// MinorVersion.
    pub minor: u32,
    /// DeviceFlags: 1 for a connectionless device.
    pub device_flags: u32,
    /// Medium: 0 for IEEE 802.3.
    pub medium: u32,
    /// MaxPacketsPerTransfer: messages that the device takes in one transfer.
    pub max_packets: u32,
    /// MaxTransferSize: bytes that it takes in one transfer.
    pub max_transfer: u32,
    /// PacketAlignmentFactor: messages in a transfer are aligned to 2 to this power.
    pub alignment_factor: u32,
}

/// A message of the control channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields have the names of RNDIS")]
pub enum Control<'a> {
    /// REMOTE_NDIS_INITIALIZE_MSG, to the device. `max_transfer` is in bytes.
    Initialize {
        request_id: u32,
        major: u32,
        minor: u32,
        max_transfer: u32,
    },
    /// REMOTE_NDIS_INITIALIZE_CMPLT, to the host.
    InitializeComplete(InitializeComplete),
    /// REMOTE_NDIS_HALT_MSG, to the device.
    Halt { request_id: u32 },
    /// REMOTE_NDIS_QUERY_MSG, to the device.
    Query {
        request_id: u32,
        oid: u32,
        buffer: &'a [u8],
    },
    /// REMOTE_NDIS_QUERY_CMPLT, to the host.
    QueryComplete {
        request_id: u32,
        status: u32,
        buffer: &'a [u8],
    },
    /// REMOTE_NDIS_SET_MSG, to the device.
    Set {
        request_id: u32,
        oid: u32,
        buffer: &'a [u8],
    },
    /// REMOTE_NDIS_SET_CMPLT, to the host.
    SetComplete { request_id: u32, status: u32 },
    /// REMOTE_NDIS_RESET_MSG, to the device.
    Reset,
    /// REMOTE_NDIS_RESET_CMPLT, to the host. `addressing_reset` is not 0 when the device has
    /// forgotten its packet filter and multicast list.
    ResetComplete { status: u32, addressing_reset: u32 },
    /// REMOTE_NDIS_INDICATE_STATUS_MSG, to the host.
    IndicateStatus { status: u32, buffer: &'a [u8] },
    /// REMOTE_NDIS_KEEPALIVE_MSG, both ways.
    KeepAlive { request_id: u32 },
    /// REMOTE_NDIS_KEEPALIVE_CMPLT, both ways.
    KeepAliveComplete { request_id: u32, status: u32 },
}

/// Why bytes are no message of the control channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// There is none: no byte, or one of zero (RNDIS over USB: what a device
    /// answers that has no response).
    Nothing,
    /// MessageType is none of this channel's.
    Type(u32),
    /// Fewer bytes than the message has, or MessageLength less than its own fields.
    Length,
    /// The buffer lies outside the message, in its fields, or beyond 2^32.
    BufferRange,
}

impl DecodeError {
    /// Under what it is counted.
    #[must_use]
    pub fn counter(self) -> Counter {
        match self {
            Self::Nothing => Counter::ControlNothing,
            Self::Type(_) => Counter::ControlType,
            Self::Length => Counter::ControlLength,
            Self::BufferRange => Counter::ControlBufferRange,
        }
    }
}

impl<'a> Control<'a> {
    /// Reads the message that `bytes` begin with. What stands behind it is not looked at: a host
    /// does not always know how much it was given.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        // No MessageType has 0 in its first byte.
        if matches!(bytes, [] | [0, ..]) {
            return Err(DecodeError::Nothing);
        }
        if bytes.len() < OFFSETS_FROM {
            return Err(DecodeError::Length);
        }
        let message_type = u32_at(bytes, 0);
        let fixed = fixed_length(message_type).ok_or(DecodeError::Type(message_type))?;
        let length = usize::try_from(u32_at(bytes, 4)).unwrap_or(usize::MAX);
        let message = bytes.get(..length).ok_or(DecodeError::Length)?;
        if message.len() < fixed {
            return Err(DecodeError::Length);
        }
        let field = |number: usize| u32_at(message, field_offset(number));
        let buffer = |length, offset| buffer(message, fixed, field(length), field(offset));
        Ok(match message_type {
            message_type::INITIALIZE => Self::Initialize {
                request_id: field(0),
                major: field(1),
                minor: field(2),
                max_transfer: field(3),
            },
            message_type::INITIALIZE_COMPLETE => Self::InitializeComplete(InitializeComplete {
                request_id: field(0),
                status: field(1),
                major: field(2),
                minor: field(3),
                device_flags: field(4),
                medium: field(5),
                max_packets: field(6),
                max_transfer: field(7),
                alignment_factor: field(8),
            }),
            message_type::HALT => Self::Halt {
                request_id: field(0),
            },
            message_type::QUERY => Self::Query {
                request_id: field(0),
                oid: field(1),
                buffer: buffer(2, 3)?,
            },
            message_type::QUERY_COMPLETE => Self::QueryComplete {
                request_id: field(0),
                status: field(1),
                buffer: buffer(2, 3)?,
            },
            message_type::SET => Self::Set {
                request_id: field(0),
                oid: field(1),
                buffer: buffer(2, 3)?,
            },
            message_type::SET_COMPLETE => Self::SetComplete {
                request_id: field(0),
                status: field(1),
            },
            message_type::RESET => Self::Reset,
            message_type::RESET_COMPLETE => Self::ResetComplete {
                status: field(0),
                addressing_reset: field(1),
            },
            message_type::INDICATE_STATUS => Self::IndicateStatus {
                status: field(0),
                buffer: buffer(1, 2)?,
            },
            message_type::KEEPALIVE => Self::KeepAlive {
                request_id: field(0),
            },
            message_type::KEEPALIVE_COMPLETE => Self::KeepAliveComplete {
                request_id: field(0),
                status: field(1),
            },
            other => return Err(DecodeError::Type(other)),
        })
    }

    /// The message as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Initialize {
                request_id,
                major,
                minor,
                max_transfer,
            } => fields(
                message_type::INITIALIZE,
                &[request_id, major, minor, max_transfer],
            ),
            Self::InitializeComplete(InitializeComplete {
                request_id,
                status,
                major,
                minor,
                device_flags,
                medium,
                max_packets,
                max_transfer,
                alignment_factor,
            }) => {
                let numbers = [
                    request_id,
                    status,
                    major,
                    minor,
                    device_flags,
                    medium,
                    max_packets,
                    max_transfer,
                    alignment_factor,
                ];
                fields(message_type::INITIALIZE_COMPLETE, &numbers)
            }
            Self::Halt { request_id } => fields(message_type::HALT, &[request_id]),
            Self::Query {
                request_id,
                oid,
                buffer,
            } => with_buffer(message_type::QUERY, &[request_id, oid], buffer),
            Self::QueryComplete {
                request_id,
                status,
                buffer,
            } => with_buffer(message_type::QUERY_COMPLETE, &[request_id, status], buffer),
            Self::Set {
                request_id,
                oid,
                buffer,
            } => with_buffer(message_type::SET, &[request_id, oid], buffer),
            Self::SetComplete { request_id, status } => {
                fields(message_type::SET_COMPLETE, &[request_id, status])
            }
            Self::Reset => fields(message_type::RESET, &[]),
            Self::ResetComplete {
                status,
                addressing_reset,
            } => fields(message_type::RESET_COMPLETE, &[status, addressing_reset]),
            Self::IndicateStatus { status, buffer } => {
                with_buffer(message_type::INDICATE_STATUS, &[status], buffer)
            }
            Self::KeepAlive { request_id } => fields(message_type::KEEPALIVE, &[request_id]),
            Self::KeepAliveComplete { request_id, status } => {
                fields(message_type::KEEPALIVE_COMPLETE, &[request_id, status])
            }
        }
    }
}

/// Bytes of a message without its buffer, the reserved fields at the end included.
fn fixed_length(message_type: u32) -> Option<usize> {
    Some(match message_type {
        message_type::INITIALIZE => 24,
        message_type::INITIALIZE_COMPLETE => 52,
        message_type::HALT | message_type::RESET | message_type::KEEPALIVE => 12,
        message_type::QUERY | message_type::SET => 28,
        message_type::QUERY_COMPLETE => 24,
        message_type::SET_COMPLETE
        | message_type::RESET_COMPLETE
        | message_type::KEEPALIVE_COMPLETE => 16,
        message_type::INDICATE_STATUS => 20,
        _ => return None,
    })
}

/// Where the field `number` behind MessageLength is.
fn field_offset(number: usize) -> usize {
    number.saturating_mul(4).saturating_add(OFFSETS_FROM)
}

/// The buffer of a message. An empty one has no place: its offset says nothing.
fn buffer(message: &[u8], fixed: usize, length: u32, offset: u32) -> Result<&[u8], DecodeError> {
    if length == 0 {
        return Ok(&[]);
    }
    part(offset, length, fixed, message.len())
        .and_then(|range| message.get(range))
        .ok_or(DecodeError::BufferRange)
}

/// A message of these numbers; the reserved fields behind them are 0.
fn fields(message_type: u32, numbers: &[u32]) -> Vec<u8> {
    let mut message = vec![0; fixed_length(message_type).unwrap_or(OFFSETS_FROM)];
    put_u32(&mut message, 0, message_type);
    for (number, &value) in numbers.iter().enumerate() {
        put_u32(&mut message, field_offset(number), value);
    }
    end(message)
}

/// A message of these numbers, then the length and offset of `buffer`, then `buffer`.
fn with_buffer(message_type: u32, numbers: &[u32], buffer: &[u8]) -> Vec<u8> {
    let mut message = fields(message_type, numbers);
    if !buffer.is_empty() {
        let offset = message.len().saturating_sub(OFFSETS_FROM);
        put_u32(
            &mut message,
            field_offset(numbers.len()),
            u32::try_from(buffer.len()).unwrap_or(u32::MAX),
        );
        put_u32(
            &mut message,
            field_offset(numbers.len().saturating_add(1)),
            u32::try_from(offset).unwrap_or(u32::MAX),
        );
        message.extend_from_slice(buffer);
    }
    end(message)
}

fn end(mut message: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    put_u32(&mut message, 4, length);
    message
}
