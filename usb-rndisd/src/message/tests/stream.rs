//! Stories of streams in which nothing is damaged: however they are cut, their frames are the same.

use super::bench::*;
use crate::counters::Counter;
use crate::message::packet::{Header, Part};
use crate::message::{ReceiveLimits, Stream, Transfer};

/// What a recorded stream of QEMU's usb-net looks like: a message per transfer, of every length that
/// matters, with a neighbour advertisement among them.
fn recorded() -> Vec<Vec<u8>> {
    let mut frames: Vec<_> = [42, 60, 84, 148, 1492, 1514, 14, 20]
        .iter()
        .zip(1..)
        .map(|(&length, number)| frame(number, length))
        .collect();
    frames.insert(4, neighbour_advertisement());
    frames
}

fn bytes(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().flat_map(|frame| message(frame)).collect()
}

#[test]
fn the_neighbour_advertisement_in_64_byte_reads() {
    let frames = recorded();
    let mut bench = Bench::new();
    let received: Vec<_> = frames
        .iter()
        .flat_map(|frame| bench.in_reads_of(64, &message(frame)))
        .collect();
    assert_eq!(received, frames);
    assert!(received.contains(&neighbour_advertisement()));
    assert_eq!(bench.drops(), []);
    assert_eq!(bench.count(Counter::RxFrames), 9);
    assert_eq!(bench.count(Counter::RxGarbageBytes), 0);
}

/// QEMU sends nothing behind a message that is a multiple of the packet size: MessageLength is all
/// there is.
#[test]
fn no_zero_length_packet_at_a_multiple_of_64() {
    let mut bench = Bench::new();
    for number in 1..20 {
        let sent = frame(number, 64 * number as usize - 44);
        assert_eq!(message(&sent).len() % 64, 0);
        assert_eq!(bench.in_reads_of(64, &message(&sent)), [sent], "{number}");
    }
    assert_eq!(bench.drops(), []);
}

#[test]
fn a_zero_length_packet_and_an_empty_transfer_change_nothing() {
    let mut bench = Bench::new();
    let sent = frame(1, 84);
    assert_eq!(
        bench.in_reads_of(64, &message(&sent)),
        std::slice::from_ref(&sent)
    );
    assert_eq!(bench.transfer(&[]), Vec::<Vec<u8>>::new());
    assert_eq!(bench.transfer(&[]), Vec::<Vec<u8>>::new());
    assert_eq!(bench.transfer(&message(&sent)), [sent]);
    assert_eq!(bench.drops(), []);
}

#[test]
fn a_recorded_stream_cut_at_every_offset() {
    let frames = recorded();
    let bytes = bytes(&frames);
    for cut in 0..=bytes.len().min(LIMITS.max_transfer) {
        let mut bench = Bench::new();
        let mut received = bench.read(&bytes[..cut], Transfer::GoesOn);
        for rest in bytes[cut..].chunks(LIMITS.max_transfer) {
            received.extend(bench.read(rest, Transfer::GoesOn));
        }
        assert_eq!(received, frames, "cut at {cut}");
        assert_eq!(bench.drops(), [], "cut at {cut}");
    }
}

#[test]
fn a_recorded_stream_in_random_pieces() {
    let frames = recorded();
    let bytes = bytes(&frames);
    for seed in 1..400 {
        let mut random = Random(seed);
        let largest = 1 + random.below(300);
        let mut bench = Bench::new();
        let mut received = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((1 + random.below(largest)).min(rest.len()));
            let transfer = [Transfer::GoesOn, Transfer::Ended][random.below(2)];
            received.extend(bench.read(piece, transfer));
            rest = behind;
        }
        assert_eq!(
            received, frames,
            "seed {seed}, pieces of up to {largest} bytes"
        );
        assert_eq!(bench.drops(), [], "seed {seed}");
    }
}

#[test]
fn several_messages_in_one_transfer() {
    let mut bench = Bench::new();
    let frames: Vec<_> = (1..=10).map(|number| frame(number, 100)).collect();
    assert_eq!(bench.transfer(&bytes(&frames)), frames);
    assert_eq!(bench.count(Counter::RxPacketsOverAgreed), 0);
}

#[test]
fn a_message_over_several_transfers() {
    let mut bench = Bench::new();
    let sent = frame(1, 1000);
    let message = message(&sent);
    assert_eq!(bench.transfer(&message[..300]), Vec::<Vec<u8>>::new());
    assert_eq!(bench.transfer(&message[300..333]), Vec::<Vec<u8>>::new());
    assert_eq!(bench.transfer(&message[333..]), [sent]);
    assert_eq!(bench.drops(), []);
}

/// RNDIS, REMOTE_NDIS_PACKET_MSG: MessageLength counts the padding too.
#[test]
fn padding_to_128_bytes_between_messages() {
    let mut bench = Bench::new();
    let frames: Vec<_> = (1..=5)
        .map(|number| frame(number, 50 + 13 * number as usize))
        .collect();
    let mut transfer = Vec::new();
    for frame in &frames {
        let length = message(frame).len();
        transfer.extend(padded(frame, length.next_multiple_of(128) - length));
    }
    assert_eq!(bench.in_reads_of(64, &transfer), frames);
    assert_eq!(bench.drops(), []);
    let padding = transfer.len() - bytes(&frames).len();
    assert_eq!(bench.count(Counter::RxPaddingBytes), padding as u64);
}

#[test]
fn the_pad_byte_that_no_length_counts() {
    let mut bench = Bench::new();
    for number in 1..4 {
        let sent = frame(number, 84);
        let mut transfer = message(&sent);
        transfer.push(0);
        assert_eq!(bench.in_reads_of(64, &transfer), [sent]);
    }
    assert_eq!(bench.drops(), []);
    assert_eq!(bench.count(Counter::RxPaddingBytes), 3);
}

#[test]
fn the_frame_is_where_data_offset_says() {
    let mut bench = Bench::new();
    let sent = frame(1, 60);
    let info = [7; 24];
    let header = Header {
        message_length: 44 + 24 + 60,
        data: Part {
            offset: 36 + 24,
            length: 60,
        },
        packet_info: Part {
            offset: 36,
            length: 24,
        },
        ..Header::of_frame(60, 0)
    };
    let behind = [&info[..], &sent].concat();
    assert_eq!(bench.transfer(&message_with(header, &behind)), [sent]);
    assert_eq!(bench.drops(), []);
}

/// A payload may look like a message: as long as nothing is damaged nobody looks.
#[test]
fn the_message_within_a_message() {
    for ended in [Transfer::GoesOn, Transfer::Ended] {
        let mut bench = Bench::new();
        let mut sent = frame(1, 20);
        sent.extend(message(&frame(66, 60)));
        sent.extend(frame(2, 200));
        assert_eq!(bench.read(&message(&sent), ended), [sent.clone()]);
        assert_eq!(bench.in_reads_of(64, &message(&sent)), [sent]);
        assert_eq!(bench.drops(), []);
    }
}

#[test]
fn a_frame_waits_until_it_is_taken_and_so_does_the_next_read() {
    let mut bench = Bench::new();
    let [first, second] = [frame(1, 60), frame(2, 70)];
    let transfer = [message(&first), message(&second)].concat();
    bench.stream.room()[..transfer.len()].copy_from_slice(&transfer);
    bench.stream.filled(transfer.len(), Transfer::Ended);
    assert!(bench.stream.is_ready());
    assert!(bench.stream.room().is_empty());
    assert_eq!(bench.stream.next_frame(), Some(&first[..]));
    assert!(bench.stream.room().is_empty());
    assert_eq!(bench.stream.next_frame(), Some(&second[..]));
    assert_eq!(bench.stream.next_frame(), None);
    assert_eq!(bench.stream.room().len(), 2 * LIMITS.max_transfer);
}

#[test]
fn a_long_life_in_a_small_buffer() {
    let mut bench = Bench::new();
    let mut random = Random(7);
    for number in 0..20_000 {
        let sent = frame(number, 14 + random.below(1500));
        let size = 1 + random.below(2048);
        assert_eq!(bench.in_reads_of(size, &message(&sent)), [sent], "{number}");
    }
    assert_eq!(bench.drops(), []);
    assert_eq!(bench.count(Counter::RxFrames), 20_000);
}

#[test]
fn more_packets_than_agreed_are_taken_and_counted() {
    let limits = ReceiveLimits {
        max_packets: 2,
        ..LIMITS
    };
    let mut bench = Bench {
        stream: Stream::new(limits),
    };
    let frames: Vec<_> = (1..=5).map(|number| frame(number, 60)).collect();
    assert_eq!(bench.transfer(&bytes(&frames)), frames);
    assert_eq!(bench.count(Counter::RxPacketsOverAgreed), 3);
    assert_eq!(bench.transfer(&bytes(&frames[..2])), frames[..2]);
    assert_eq!(
        bench.count(Counter::RxPacketsOverAgreed),
        3,
        "each transfer anew"
    );
}

#[test]
fn a_reset_forgets_what_was_not_taken_and_counts_it() {
    let mut bench = Bench::new();
    let sent = frame(1, 100);
    let transfer = [
        message(&sent),
        message(&sent),
        message(&sent)[..70].to_vec(),
    ]
    .concat();
    bench.stream.room()[..transfer.len()].copy_from_slice(&transfer);
    bench.stream.filled(transfer.len(), Transfer::GoesOn);
    assert!(bench.stream.is_ready());
    bench.stream.restart();
    assert_eq!(
        bench.count(Counter::RxLostInReset),
        3,
        "two frames and a part of one"
    );
    assert!(!bench.stream.is_ready());
    assert_eq!(bench.transfer(&message(&sent)), [sent]);
    bench.stream.restart();
    assert_eq!(bench.count(Counter::RxLostInReset), 3, "nothing was there");
    assert_eq!(bench.count(Counter::RxFrames), 1);
}
