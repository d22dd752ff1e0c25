//! Bytes that are no message.

use proptest::prelude::*;

use super::mirror;
use crate::message::{Request, Response};
use crate::wire::{DecodeError, MAX_MESSAGE_LENGTH};

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (Request::decode(&bytes), Response::decode(&bytes));
    }

    /// Nearly a message: a small variant index in front, so that the fields behind it are reached.
    #[test]
    fn nearly_messages_are_read_as_bincode_reads_them(variant in 0_u32..12, bytes in prop::collection::vec(0_u8..4, 0..200)) {
        let mut message = variant.to_le_bytes().to_vec();
        message.extend(bytes);
        let theirs: Result<mirror::PcidClientResponse, _> = bincode::deserialize(&message);
        match Response::decode(&message) {
            Ok(ours) => prop_assert_eq!(theirs.unwrap(), mirror::PcidClientResponse::from(ours)),
            // bincode lets bytes stand behind a message; here they are an error.
            Err(DecodeError::TrailingBytes(_)) => prop_assert!(theirs.is_ok()),
            Err(error) => prop_assert!(theirs.is_err(), "{error} where bincode reads {theirs:?}"),
        }
    }
}

#[test]
fn a_sequence_longer_than_its_message_is_refused_before_anything_is_allocated() {
    // VendorCapabilities and AllFeatures, claiming more than any memory holds.
    for variant in [2_u32, 3] {
        for claimed in [u64::MAX, u64::MAX / 8, 1 << 40, 3] {
            let mut bytes = variant.to_le_bytes().to_vec();
            bytes.extend(claimed.to_le_bytes());
            bytes.extend([0; 8]);
            assert_eq!(
                Response::decode(&bytes),
                Err(DecodeError::SequenceLength { claimed, left: 8 })
            );
        }
    }
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    let whole = Response::Config(crate::types::SubdriverArguments::default()).encode();
    assert!(Response::decode(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(
            matches!(
                Response::decode(&whole[..length]),
                Err(DecodeError::Truncated { .. })
            ),
            "cut to {length}"
        );
    }
    let longer = [whole.as_slice(), &[0]].concat();
    assert_eq!(
        Response::decode(&longer),
        Err(DecodeError::TrailingBytes(1))
    );
}

#[test]
fn a_message_beyond_the_bound_is_refused() {
    let bytes = vec![0; MAX_MESSAGE_LENGTH + 1];
    assert_eq!(
        Response::decode(&bytes),
        Err(DecodeError::TooLong(MAX_MESSAGE_LENGTH + 1))
    );
}

#[test]
fn tags_that_are_neither_0_nor_1_are_refused() {
    let request = |bytes: &[u8]| Request::decode(bytes).unwrap_err();
    assert_eq!(
        request(&[6, 0, 0, 0, 1, 0, 0, 0, 2]),
        DecodeError::OptionTag(2)
    );
    assert_eq!(
        request(&[6, 0, 0, 0, 1, 0, 0, 0, 1, 0xff]),
        DecodeError::Bool(0xff)
    );
    assert_eq!(
        request(&[9, 0, 0, 0]),
        DecodeError::Variant {
            of: "PcidClientRequest",
            index: 9
        }
    );
    assert_eq!(
        request(&[5, 0, 0, 0, 2, 0, 0, 0]),
        DecodeError::Variant {
            of: "PciFeature",
            index: 2
        }
    );
}
