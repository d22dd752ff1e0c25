//! What was written comes out, at any offset, until it is acknowledged.

use proptest::prelude::*;

use super::super::SendBuffer;
use super::super::chunks::CHUNK;
use super::stream;

/// What can be done to a buffer.
#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Copy(usize, usize),
    Acknowledge(usize),
    Limit(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![0..40_usize, 0..3 * CHUNK, Just(CHUNK), 0..40_000_usize];
    prop_oneof![
        4 => length().prop_map(Step::Write),
        3 => (length(), length()).prop_map(|(offset, length)| Step::Copy(offset, length)),
        3 => length().prop_map(Step::Acknowledge),
        1 => length().prop_map(Step::Limit),
    ]
}

/// What a buffer with `length` octets may hold: its octets, a chunk before and one behind them that are not full, and
/// the list of the chunks, which is as long as it was at its longest until the buffer is empty.
fn fair(length: usize) -> usize {
    if length == 0 {
        0
    } else {
        length + length / 50 + 2 * CHUNK + 1024
    }
}

proptest! {
    #[test]
    fn what_was_written_comes_out_until_it_is_acknowledged(
        limit in 0..60_000_usize,
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let (mut una, mut written, mut limit) = (0_u64, 0_u64, limit);
        let mut buffer = SendBuffer::new(limit);
        for step in steps {
            let length = (written - una) as usize;
            match step {
                Step::Write(octets) => {
                    let taken = buffer.write(stream(written, octets));
                    prop_assert_eq!(taken, octets.min(limit.saturating_sub(length)));
                    written += taken as u64;
                }
                Step::Copy(offset, octets) => {
                    let mut segment = vec![0xEE; octets];
                    let copied = buffer.copy(offset, &mut segment);
                    prop_assert_eq!(copied, octets.min(length.saturating_sub(offset)));
                    prop_assert_eq!(&segment[..copied], stream(una + offset as u64, copied));
                    prop_assert!(segment[copied..].iter().all(|octet| *octet == 0xEE));
                }
                Step::Acknowledge(octets) => {
                    buffer.acknowledge(octets);
                    una += octets.min(length) as u64;
                }
                Step::Limit(octets) => {
                    buffer.set_limit(octets);
                    limit = octets;
                }
            }
            let length = (written - una) as usize;
            prop_assert_eq!(buffer.len(), length);
            prop_assert_eq!(buffer.is_empty(), length == 0);
            prop_assert_eq!((buffer.limit(), buffer.room()), (limit, limit.saturating_sub(length)));
            prop_assert!(buffer.held() <= fair(length), "{} for {length}", buffer.held());
        }
    }
}

#[test]
fn at_each_boundary_of_a_chunk_nothing_is_lost() {
    for written in [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
        for gone in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
            let mut buffer = SendBuffer::new(4 * CHUNK);
            assert_eq!(buffer.write(stream(0, written)), written);
            buffer.acknowledge(gone);
            let left = written.saturating_sub(gone);
            let mut segment = vec![0; written];
            assert_eq!(buffer.copy(0, &mut segment), left);
            assert_eq!(
                segment[..left],
                *stream(gone as u64, left),
                "{gone} of {written}"
            );
        }
    }
}

#[test]
fn a_buffer_holds_nothing_before_the_first_octet_and_after_the_last() {
    let mut buffer = SendBuffer::new(1 << 20);
    assert_eq!(buffer.held(), 0);
    while buffer.room() > 0 {
        buffer.write(stream(0, 60_000));
    }
    assert!(buffer.held() >= 1 << 20);
    buffer.acknowledge(buffer.len() - 1);
    assert!(buffer.held() <= CHUNK + 16_384, "{}", buffer.held());
    buffer.acknowledge(1);
    assert_eq!(buffer.held(), 0);

    buffer.write(&[1; 100]);
    buffer.clear();
    assert_eq!((buffer.len(), buffer.held()), (0, 0));
}

/// Thousands of connections ask a short question and wait.
#[test]
fn a_line_costs_a_line() {
    let mut buffer = SendBuffer::new(1 << 20);
    buffer.write(b"GET / HTTP/1.1\r\n\r\n");
    assert!(buffer.held() <= 512, "{}", buffer.held());
}

#[test]
fn a_limit_below_what_is_there_takes_nothing_more_and_loses_nothing() {
    let mut buffer = SendBuffer::new(1000);
    assert_eq!(buffer.write(&[7; 2000]), 1000);
    buffer.set_limit(10);
    assert_eq!(
        (buffer.len(), buffer.room(), buffer.write(&[8])),
        (1000, 0, 0)
    );
    buffer.acknowledge(995);
    assert_eq!(buffer.write(&[8; 100]), 5);
    let mut octets = [0; 20];
    assert_eq!(buffer.copy(0, &mut octets), 10);
    assert_eq!(octets[..10], [7, 7, 7, 7, 7, 8, 8, 8, 8, 8]);
}

#[test]
fn no_number_is_too_large() {
    let mut buffer = SendBuffer::new(usize::MAX);
    buffer.write(b"octets");
    let mut segment = [0; 8];
    assert_eq!(buffer.copy(usize::MAX, &mut segment), 0);
    assert_eq!(buffer.copy(4, &mut segment), 2);
    buffer.acknowledge(usize::MAX);
    assert!(buffer.is_empty());
}
