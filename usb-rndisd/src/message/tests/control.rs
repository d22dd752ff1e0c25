//! Stories of the control channel's messages: what one side writes the other reads, and what neither
//! should write is refused.

use proptest::prelude::*;

use crate::message::control::{InitializeComplete, message_type, status};
use crate::message::{Control, DecodeError};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x57];

fn every_message() -> Vec<Control<'static>> {
    vec![
        Control::Initialize {
            request_id: 1,
            major: 1,
            minor: 0,
            max_transfer: 0x4000,
        },
        Control::InitializeComplete(InitializeComplete {
            request_id: 2,
            status: status::SUCCESS,
            major: 1,
            minor: 0,
            device_flags: 1,
            medium: 0,
            max_packets: 1,
            max_transfer: 1580,
            alignment_factor: 3,
        }),
        Control::Halt { request_id: 3 },
        Control::Query {
            request_id: 4,
            oid: 5,
            buffer: &[0; 48],
        },
        Control::QueryComplete {
            request_id: 6,
            status: status::NOT_SUPPORTED,
            buffer: &MAC,
        },
        Control::Set {
            request_id: 7,
            oid: 8,
            buffer: &[15, 0, 0, 0],
        },
        Control::SetComplete {
            request_id: 9,
            status: status::FAILURE,
        },
        Control::Reset,
        Control::ResetComplete {
            status: status::SUCCESS,
            addressing_reset: 1,
        },
        Control::IndicateStatus {
            status: status::MEDIA_CONNECT,
            buffer: &[1, 2],
        },
        Control::KeepAlive { request_id: 10 },
        Control::KeepAliveComplete {
            request_id: 11,
            status: status::INVALID_DATA,
        },
    ]
}

#[test]
fn every_message_reads_as_it_was_written() {
    for message in every_message() {
        let bytes = message.encode();
        assert_eq!(Control::decode(&bytes), Ok(message));
        assert_eq!(
            bytes[4..8],
            u32::to_le_bytes(bytes.len() as u32),
            "MessageLength"
        );
        let behind = [&bytes[..], &[0xee; 900]].concat();
        assert_eq!(
            Control::decode(&behind),
            Ok(message),
            "stale bytes behind it"
        );
    }
}

#[test]
fn every_message_cut_short_is_refused() {
    for message in every_message() {
        let bytes = message.encode();
        for length in 1..bytes.len() {
            assert_eq!(
                Control::decode(&bytes[..length]),
                Err(DecodeError::Length),
                "{message:?}"
            );
        }
    }
}

#[test]
fn a_message_length_shorter_than_the_fields_or_longer_than_what_came() {
    for message in every_message() {
        let bytes = message.encode();
        for length in [0, 8, 11, bytes.len() as u32 + 1, 0x8000_0000, u32::MAX] {
            let mut lie = bytes.clone();
            lie[4..8].copy_from_slice(&length.to_le_bytes());
            assert_eq!(
                Control::decode(&lie),
                Err(DecodeError::Length),
                "{message:?}: {length}"
            );
        }
    }
}

/// QEMU's usb-net stalls a query without a buffer whose offset is not 0.
#[test]
fn an_empty_buffer_has_the_offset_0() {
    let query = Control::Query {
        request_id: 0x11,
        oid: 0x0001_0107,
        buffer: &[],
    };
    let mut expected = vec![4, 0, 0, 0, 28, 0, 0, 0, 0x11, 0, 0, 0, 7, 1, 1, 0];
    expected.extend([0; 12]);
    assert_eq!(query.encode(), expected);
}

#[test]
fn a_set_to_the_byte() {
    let set = Control::Set {
        request_id: 3,
        oid: 0x0001_010e,
        buffer: &[13, 0, 0, 0],
    };
    let mut expected = vec![5, 0, 0, 0, 32, 0, 0, 0, 3, 0, 0, 0, 0x0e, 1, 1, 0];
    expected.extend([4, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0]);
    assert_eq!(set.encode(), expected);
}

#[test]
fn an_empty_response_queue() {
    assert_eq!(Control::decode(&[]), Err(DecodeError::Nothing));
    assert_eq!(
        Control::decode(&[0]),
        Err(DecodeError::Nothing),
        "as RNDIS over USB says"
    );
    assert_eq!(Control::decode(&[0; 1025]), Err(DecodeError::Nothing));
    let mut stale = every_message()[1].encode();
    stale[0] = 0;
    assert_eq!(
        Control::decode(&stale),
        Err(DecodeError::Nothing),
        "only one byte is new"
    );
}

#[test]
fn a_message_of_no_known_type() {
    for kind in [
        0x1,
        0x9,
        0x8000_0001,
        0x8000_0003,
        0x8000_0007,
        0x8000_0009,
        0xff,
        u32::MAX,
    ] {
        let mut bytes = vec![0; 60];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4] = 60;
        assert_eq!(Control::decode(&bytes), Err(DecodeError::Type(kind)));
    }
}

#[test]
fn an_information_buffer_outside_the_reply() {
    let reply = Control::QueryComplete {
        request_id: 1,
        status: status::SUCCESS,
        buffer: &MAC,
    }
    .encode();
    for (length, offset) in [
        (7, 16),
        (6, 17),
        (6, 0),
        (6, 15),
        (u32::MAX, 16),
        (u32::MAX - 15, 16),
        (6, u32::MAX),
        (6, u32::MAX - 7),
        (16, u32::MAX - 15),
        (1, 22),
    ] {
        let mut lie = reply.clone();
        lie[16..20].copy_from_slice(&u32::to_le_bytes(length));
        lie[20..24].copy_from_slice(&u32::to_le_bytes(offset));
        assert_eq!(
            Control::decode(&lie),
            Err(DecodeError::BufferRange),
            "{length} bytes at {offset:#x}"
        );
    }
}

#[test]
fn the_buffer_is_where_its_offset_says() {
    let mut reply = Control::QueryComplete {
        request_id: 1,
        status: status::SUCCESS,
        buffer: &[0, 0, 0, 0, 9, 8, 7],
    }
    .encode();
    reply[16] = 3;
    reply[20] = 20;
    let expected = Control::QueryComplete {
        request_id: 1,
        status: status::SUCCESS,
        buffer: &[9, 8, 7],
    };
    assert_eq!(Control::decode(&reply), Ok(expected));
}

proptest! {
    #[test]
    fn any_bytes_read_or_are_refused_and_what_was_read_can_be_written(
        kind in 0_u32..12,
        complete: bool,
        length in 0_u32..80,
        mut bytes in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        if bytes.len() >= 8 {
            let kind = if complete { kind | message_type::COMPLETE } else { kind };
            bytes[..4].copy_from_slice(&kind.to_le_bytes());
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
        }
        if let Ok(message) = Control::decode(&bytes) {
            let written = message.encode();
            prop_assert_eq!(Control::decode(&written), Ok(message));
        }
    }
}
