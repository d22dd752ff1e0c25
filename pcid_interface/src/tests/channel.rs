//! The exchange of a request and its response, over a channel that does what channels may do, and
//! what they may not.

use crate::error::Error;
use crate::function::{ByteChannel, exchange};
use crate::message::{Request, Response};
use crate::types::Feature;
use crate::wire::MAX_MESSAGE_LENGTH;

type Result<T> = libredox::error::Result<T>;

/// Takes what is written and gives what it was told to, at most `piece` bytes at a time.
struct Scripted {
    written: Vec<u8>,
    answer: Vec<u8>,
    piece: usize,
    takes: usize,
}

fn answering(answer: Vec<u8>) -> Scripted {
    Scripted {
        written: Vec::new(),
        answer,
        piece: usize::MAX,
        takes: usize::MAX,
    }
}

impl ByteChannel for Scripted {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len().min(self.takes))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let count = bytes.len().min(self.answer.len()).min(self.piece);
        bytes[..count].copy_from_slice(&self.answer[..count]);
        self.answer.drain(..count);
        Ok(count)
    }
}

const ASKED: Request = Request::ReadConfig(0x10);

#[test]
fn a_request_is_one_write_and_its_answer_may_come_in_pieces() {
    for piece in [1, 3, 7, 100] {
        let mut channel = answering(Response::ReadConfig(7).encode_with_length());
        channel.piece = piece;
        let (asked, came) = exchange(&mut channel, ASKED).unwrap();
        assert_eq!((asked, came), (ASKED, Response::ReadConfig(7)));
        assert_eq!(channel.written, ASKED.encode());
        assert_eq!(
            channel.answer,
            [],
            "an answer is read to its end and no further"
        );
    }
}

#[test]
fn the_next_answer_stays_for_the_next_request() {
    let next = Response::WriteConfig.encode_with_length();
    let mut channel =
        answering([Response::ReadConfig(7).encode_with_length(), next.clone()].concat());
    exchange(&mut channel, ASKED).unwrap();
    assert_eq!(channel.answer, next);
}

#[test]
fn an_answer_that_ends_early_says_where() {
    let whole = Response::ReadConfig(7).encode_with_length();
    for length in 0..whole.len() {
        let error = exchange(&mut answering(whole[..length].to_vec()), ASKED).unwrap_err();
        let (expected_wanted, expected_came) = if length < 8 {
            (8, length)
        } else {
            (8, length - 8)
        };
        assert!(
            matches!(error, Error::Ended { asked: ASKED, wanted, came } if (wanted, came) == (expected_wanted, expected_came)),
            "after {length}: {error}"
        );
    }
}

#[test]
fn an_answer_of_any_claimed_length_is_bounded() {
    for claimed in [MAX_MESSAGE_LENGTH as u64 + 1, u64::from(u32::MAX), u64::MAX] {
        let error = exchange(&mut answering(claimed.to_le_bytes().to_vec()), ASKED).unwrap_err();
        assert!(
            matches!(error, Error::Length { length, .. } if length == claimed),
            "{error}"
        );
    }
}

#[test]
fn a_request_of_which_only_a_part_is_taken_is_an_error() {
    let mut channel = answering(Response::ReadConfig(7).encode_with_length());
    channel.takes = 3;
    let error = exchange(&mut channel, ASKED).unwrap_err();
    assert!(
        matches!(
            error,
            Error::ShortWrite {
                asked: ASKED,
                written: 3
            }
        ),
        "{error}"
    );
}

#[test]
fn errors_say_what_was_asked_and_what_came() {
    let asked = Request::EnableFeature(Feature::MsiX);
    let came = Box::new(Response::ReadConfig(7));
    let unexpected = Error::Unexpected { asked, came }.to_string();
    assert_eq!(
        unexpected,
        "EnableFeature(MsiX): the answer is to something else: ReadConfig(7)"
    );
    let nonsense = exchange(
        &mut answering([4, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0].to_vec()),
        ASKED,
    )
    .unwrap_err();
    assert_eq!(
        nonsense.to_string(),
        "ReadConfig(16): the answer makes no sense: PcidClientResponse has no variant 99"
    );
}
