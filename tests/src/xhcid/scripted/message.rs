//! RNDIS messages, byte by byte ([MS-RNDIS] 2.2), for scripts. Everything here is in order; a story that needs it
//! otherwise changes the bytes. Little-endian throughout, offsets count from the RequestID or, in packets, from the
//! eighth byte.

/// REMOTE_NDIS_PACKET_MSG.
pub const PACKET: u32 = 1;
/// REMOTE_NDIS_INITIALIZE_MSG; an answer has [`COMPLETE`] added.
pub const INITIALIZE: u32 = 2;
/// REMOTE_NDIS_HALT_MSG, which has no answer.
pub const HALT: u32 = 3;
/// REMOTE_NDIS_QUERY_MSG.
pub const QUERY: u32 = 4;
/// REMOTE_NDIS_SET_MSG.
pub const SET: u32 = 5;
/// REMOTE_NDIS_RESET_MSG.
pub const RESET: u32 = 6;
/// REMOTE_NDIS_INDICATE_STATUS_MSG.
pub const INDICATE_STATUS: u32 = 7;
/// REMOTE_NDIS_KEEPALIVE_MSG.
pub const KEEPALIVE: u32 = 8;
/// What an answer's type has added.
pub const COMPLETE: u32 = 0x8000_0000;

/// RNDIS_STATUS_SUCCESS.
pub const SUCCESS: u32 = 0;
/// RNDIS_STATUS_NOT_SUPPORTED.
pub const NOT_SUPPORTED: u32 = 0xc000_00bb;
/// RNDIS_STATUS_MEDIA_CONNECT.
pub const MEDIA_CONNECT: u32 = 0x4001_000b;
/// RNDIS_STATUS_MEDIA_DISCONNECT.
pub const MEDIA_DISCONNECT: u32 = 0x4001_000c;

/// Bytes of a packet message before its frame.
pub const PACKET_HEADER: usize = 44;

/// A message of this type with these words and then these bytes.
pub fn message(kind: u32, words: &[u32], tail: &[u8]) -> Vec<u8> {
    let length = 8 + 4 * words.len() + tail.len();
    let head = [kind, length as u32];
    let words = head.iter().chain(words).flat_map(|word| word.to_le_bytes());
    words.chain(tail.iter().copied()).collect()
}

/// A frame in a packet message, followed by zeroes up to a multiple of `alignment` bytes, which are part of it.
pub fn packet(frame: &[u8], alignment: usize) -> Vec<u8> {
    let mut tail = frame.to_vec();
    let length = (PACKET_HEADER + frame.len()).next_multiple_of(alignment.max(1));
    tail.resize(length - PACKET_HEADER, 0);
    // DataOffset, DataLength; no out-of-band data, no per-packet information, and two reserved words.
    message(
        PACKET,
        &[36, frame.len() as u32, 0, 0, 0, 0, 0, 0, 0],
        &tail,
    )
}

/// The answer to INITIALIZE: version 1.0, connectionless, 802.3. `alignment` is the exponent of a power of two.
pub fn initialize_complete(id: u32, packets: u32, transfer_size: u32, alignment: u32) -> Vec<u8> {
    let words = [
        id,
        SUCCESS,
        1,
        0,
        1,
        0,
        packets,
        transfer_size,
        alignment,
        0,
        0,
    ];
    message(INITIALIZE | COMPLETE, &words, &[])
}

/// The answer to QUERY.
pub fn query_complete(id: u32, status: u32, information: &[u8]) -> Vec<u8> {
    let offset = if information.is_empty() { 0 } else { 16 };
    let words = [id, status, information.len() as u32, offset];
    message(QUERY | COMPLETE, &words, information)
}

/// The answer to SET.
pub fn set_complete(id: u32, status: u32) -> Vec<u8> {
    message(SET | COMPLETE, &[id, status], &[])
}

/// The answer to RESET; `addressing` says that the packet filter is to be set again.
pub fn reset_complete(status: u32, addressing: bool) -> Vec<u8> {
    message(RESET | COMPLETE, &[status, addressing.into()], &[])
}

/// The device asks whether the host is there.
pub fn keepalive(id: u32) -> Vec<u8> {
    message(KEEPALIVE, &[id], &[])
}

/// The answer to KEEPALIVE.
pub fn keepalive_complete(id: u32, status: u32) -> Vec<u8> {
    message(KEEPALIVE | COMPLETE, &[id, status], &[])
}

/// Something changed.
pub fn indicate_status(status: u32) -> Vec<u8> {
    message(INDICATE_STATUS, &[status, 0, 0], &[])
}

/// The word at a byte offset of a message; zero beyond its end.
pub fn word(bytes: &[u8], offset: usize) -> u32 {
    let at = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    at.map_or(0, |word| u32::from_le_bytes(*word))
}

/// The frames in a transfer from the host.
pub fn frames(mut transfer: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while word(transfer, 0) == PACKET {
        let length = word(transfer, 4) as usize;
        let start = (word(transfer, 8) as usize).saturating_add(8);
        let end = start.saturating_add(word(transfer, 12) as usize);
        let Some((message, rest)) = transfer.split_at_checked(length) else {
            break;
        };
        let Some(frame) = message.get(start..end) else {
            break;
        };
        frames.push(frame.to_vec());
        transfer = rest;
    }
    frames
}
