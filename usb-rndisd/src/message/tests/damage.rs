//! Stories of streams in which something is damaged, or lies: what is damaged is lost and counted,
//! and nothing else.

use super::bench::*;
use crate::counters::Counter;
use crate::message::Transfer;
use crate::message::packet::{Header, Part};

const NOTHING: [Vec<u8>; 0] = [];

/// The header of a message of a 100-byte frame, changed by `lie`.
fn lying(lie: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header::of_frame(100, 0);
    lie(&mut header);
    message_with(header, &frame(66, 100))
}

/// Puts a bad message between two good ones, in a transfer of its own and in one transfer with them:
/// exactly the good ones arrive, and the bad one is counted once under `reason`.
fn costs_one_frame(bad: &[u8], reason: Counter) {
    let [before, after, later] = [frame(1, 60), frame(2, 300), frame(3, 60)];
    let mut bench = Bench::new();
    let transfer = [message(&before), bad.to_vec(), message(&after)].concat();
    let mut received = bench.transfer(&transfer);
    received.extend(bench.transfer(&message(&later)));
    assert_eq!(
        received,
        [before.clone(), after.clone(), later.clone()],
        "one transfer"
    );
    assert_eq!(bench.drops(), [(reason.name(), 1)], "one transfer");

    let mut bench = Bench::new();
    let mut received = Vec::new();
    for message in [&message(&before), bad, &message(&after), &message(&later)] {
        received.extend(bench.in_reads_of(64, message));
    }
    assert_eq!(received, [before, after, later], "64-byte reads");
    assert_eq!(bench.drops(), [(reason.name(), 1)], "64-byte reads");
}

#[test]
fn one_damaged_header_loses_exactly_one_frame() {
    for (damage, reason) in [
        (0, Counter::RxNoMessage),
        (3, Counter::RxNoMessage),
        (5, Counter::RxDataRange),
        (6, Counter::RxMessageLength),
        (8, Counter::RxDataRange),
        (11, Counter::RxDataRange),
        (13, Counter::RxDataRange),
        (15, Counter::RxDataRange),
    ] {
        let mut bench = Bench::new();
        let mut frames: Vec<_> = (1..8)
            .map(|number| frame(number, 256 + 99 * number as usize))
            .collect();
        frames.insert(4, neighbour_advertisement());
        let mut received = Vec::new();
        for (number, frame) in frames.iter().enumerate() {
            let mut message = message(frame);
            if number == 3 {
                message[damage] ^= 0x81;
                if damage == 5 {
                    message[damage] = 0;
                }
            }
            received.extend(bench.in_reads_of(64, &message));
        }
        frames.remove(3);
        assert_eq!(received, frames, "byte {damage}");
        assert_eq!(bench.drops(), [(reason.name(), 1)], "byte {damage}");
    }
}

#[test]
fn garbage_between_messages() {
    for garbage in [&[0xff][..], &[1], &[0xa5; 43], &[0xa5; 44], &[2; 1400]] {
        costs_one_frame(garbage, Counter::RxNoMessage);
    }
}

#[test]
fn a_message_of_another_channel_between_messages() {
    let halt = crate::message::Control::Halt { request_id: 1 }.encode();
    costs_one_frame(&halt, Counter::RxNoMessage);
}

#[test]
fn a_message_length_of_zero_or_less_than_a_header() {
    for length in [0, 1, 8, 43] {
        costs_one_frame(
            &lying(|header| header.message_length = length),
            Counter::RxMessageLength,
        );
    }
}

#[test]
fn a_message_length_beyond_the_largest_transfer() {
    for length in [2049, 0x8000_0000, u32::MAX] {
        costs_one_frame(
            &lying(|header| header.message_length = length),
            Counter::RxMessageLength,
        );
    }
}

#[test]
fn a_message_length_that_is_too_small_for_its_frame() {
    for length in [44, 143] {
        costs_one_frame(
            &lying(|header| header.message_length = length),
            Counter::RxDataRange,
        );
    }
}

/// The frame is whole, so it is handed up; what follows it is found within the length that is
/// claimed.
#[test]
fn a_message_length_that_is_too_large_swallows_nothing() {
    for length in [145, 147, 160, 200, 1000, 2048] {
        let mut bench = Bench::new();
        let mut lie = message(&frame(1, 100));
        lie[4..8].copy_from_slice(&u32::to_le_bytes(length));
        let frames: Vec<_> = (1..20).map(|number| frame(number, 100)).collect();
        let mut received = bench.in_reads_of(64, &lie);
        assert_eq!(received, frames[..1], "{length}: at once");
        for frame in &frames[1..] {
            received.extend(bench.in_reads_of(64, &message(frame)));
        }
        assert_eq!(received, frames, "{length}");
        assert_eq!(bench.drops(), [], "{length}");
    }
}

#[test]
fn a_message_of_no_particular_alignment() {
    let mut bench = Bench::new();
    let frames: Vec<_> = (0..40)
        .map(|number| frame(number, 60 + number as usize))
        .collect();
    let transfer: Vec<_> = frames
        .iter()
        .take(12)
        .flat_map(|frame| message(frame))
        .collect();
    assert_eq!(bench.transfer(&transfer), frames[..12]);
    assert_eq!(bench.drops(), []);
}

/// CVE-2026-80814: an offset that, added to the eight bytes before it, wraps to a small number.
#[test]
fn cve_2026_80814_a_data_offset_that_wraps_at_2_to_the_32() {
    for offset in [
        u32::MAX,
        u32::MAX - 7,
        u32::MAX - 8,
        0xffff_ff00,
        0x8000_0000,
    ] {
        costs_one_frame(
            &lying(|header| header.data.offset = offset),
            Counter::RxDataRange,
        );
    }
}

/// CVE-2023-54110: offset and length are both below the message's length, or their sum wraps to
/// below it, and the end is not.
#[test]
fn cve_2023_54110_a_data_range_whose_sum_wraps_or_ends_behind_the_message() {
    for (offset, length) in [
        (36, u32::MAX),
        (36, u32::MAX - 36 + 1),
        (36, 0xffff_fff0),
        (100, 0xffff_ffa0),
        (37, 100),
        (36, 101),
        (135, 135),
        (u32::MAX, u32::MAX),
    ] {
        costs_one_frame(
            &lying(|header| header.data = Part { offset, length }),
            Counter::RxDataRange,
        );
    }
}

#[test]
fn a_data_range_before_the_end_of_the_header() {
    for offset in [0, 1, 8, 35] {
        costs_one_frame(
            &lying(|header| header.data.offset = offset),
            Counter::RxDataRange,
        );
    }
}

#[test]
fn a_frame_shorter_than_an_ethernet_header() {
    for length in [0, 1, 13] {
        costs_one_frame(&message(&frame(66, 20)[..length]), Counter::RxRunt);
    }
}

#[test]
fn a_frame_longer_than_the_largest() {
    costs_one_frame(&message(&frame(66, 1519)), Counter::RxTooLong);
    let mut bench = Bench::new();
    let largest = frame(1, 1518);
    assert_eq!(bench.transfer(&message(&largest)), [largest]);
}

#[test]
fn out_of_band_data_and_packet_information_out_of_range() {
    for (offset, length) in [
        (0, 1),
        (35, 10),
        (36, 101),
        (136, 1),
        (36, u32::MAX),
        (u32::MAX, 1),
        (u32::MAX - 7, 44),
        (u32::MAX - 7, 8),
    ] {
        let part = Part { offset, length };
        costs_one_frame(
            &lying(|header| header.out_of_band = part),
            Counter::RxOutOfBandRange,
        );
        costs_one_frame(
            &lying(|header| header.packet_info = part),
            Counter::RxPacketInfoRange,
        );
    }
}

#[test]
fn an_empty_part_may_be_anywhere() {
    let mut bench = Bench::new();
    let part = Part {
        offset: 0xdead_beef,
        length: 0,
    };
    let message = lying(|header| (header.out_of_band, header.packet_info) = (part, part));
    assert_eq!(bench.transfer(&message), [frame(66, 100)]);
}

#[test]
fn a_transfer_that_ends_in_the_middle_of_a_message() {
    let [before, cut, after] = [frame(1, 60), frame(2, 1000), frame(3, 300)];
    for length in 1..1044 {
        let mut bench = Bench::new();
        let mut received = bench.transfer(&message(&before));
        received.extend(bench.transfer(&message(&cut)[..length]));
        received.extend(bench.transfer(&message(&after)));
        received.extend(bench.transfer(&message(&before)));
        assert_eq!(
            received,
            [before.clone(), after.clone(), before.clone()],
            "{length} bytes"
        );
        let dropped: u64 = bench.drops().iter().map(|(_, number)| number).sum();
        assert_eq!(dropped, 1, "{length} bytes: {:?}", bench.drops());
        if length >= 44 {
            assert_eq!(bench.count(Counter::RxCut), 1, "{length} bytes");
        }
    }
}

/// The header that a transfer's end had cut off, and the pieces of the next, together made a message
/// that nobody had sent, before the next one's header was whole.
#[test]
fn the_header_cut_off_and_the_next_message_byte_by_byte() {
    let [cut, after] = [frame(1, 14), frame(2, 14)];
    for length in 1..58 {
        let mut bench = Bench::new();
        let mut received = bench.in_reads_of(1, &message(&cut)[..length]);
        received.extend(bench.read(&[], Transfer::Ended));
        received.extend(bench.in_reads_of(1, &message(&after)));
        assert_eq!(received.concat(), after, "{length} bytes");
    }
}

#[test]
fn stale_bytes_behind_a_short_transfer_are_not_looked_at() {
    let mut bench = Bench::new();
    let stale = message(&frame(66, 700));
    let fresh = message(&frame(1, 60));
    for _ in 0..10 {
        let room = bench.stream.room();
        room[..stale.len()].copy_from_slice(&stale);
        assert_eq!(bench.transfer(&fresh), [frame(1, 60)]);
    }
    assert_eq!(bench.transfer(&stale[..10]), NOTHING);
    assert_eq!(
        bench.transfer(&fresh),
        [frame(1, 60)],
        "only ten bytes of the long one came"
    );
}

/// The stream starts in the middle of a message: a driver that was restarted, or lost a read.
#[test]
fn the_parser_that_lost_its_place() {
    let [half, next, last] = [frame(1, 900), frame(2, 200), frame(3, 77)];
    for start in 1..944 {
        let mut bench = Bench::new();
        let mut received = bench.in_reads_of(64, &message(&half)[start..]);
        received.extend(bench.in_reads_of(64, &message(&next)));
        received.extend(bench.in_reads_of(64, &message(&last)));
        assert_eq!(received, [next.clone(), last.clone()], "from {start}");
    }
}

/// Nothing tells where the transfers end, and the damaged message is among others.
#[test]
fn the_place_is_found_without_any_boundary() {
    for size in [1, 7, 64, 2048] {
        let mut bench = Bench::new();
        let frames: Vec<_> = (1..10)
            .map(|number| frame(number, 80 * number as usize))
            .collect();
        let mut bytes: Vec<_> = frames.iter().flat_map(|frame| message(frame)).collect();
        bytes[message(&frames[0]).len()] ^= 0x40;
        let received: Vec<_> = bytes
            .chunks(size)
            .flat_map(|read| bench.read(read, Transfer::GoesOn))
            .collect();
        assert_eq!(
            received,
            [&frames[..1], &frames[2..]].concat(),
            "reads of {size}"
        );
        assert_eq!(
            bench.drops(),
            [("rx_drop_no_message", 1)],
            "reads of {size}"
        );
        assert_eq!(bench.count(Counter::RxGarbageBytes), 44 + 160);
    }
}

/// After damage, payload that looks like a message of its own is not one when something else than a
/// message stands behind it.
#[test]
fn a_likeness_in_the_payload_is_passed_over() {
    let mut bench = Bench::new();
    let mut carrier = frame(1, 20);
    carrier.extend(message(&frame(66, 60)));
    carrier.extend(frame(2, 100));
    let mut damaged = message(&carrier);
    damaged[0] = 9;
    let mut received = bench.transfer(&damaged);
    received.extend(bench.transfer(&message(&frame(3, 60))));
    assert_eq!(received, [frame(3, 60)]);
}

/// A search that stands at what claims to be the beginning of a long message does not wait for it
/// longer than until the next transfer.
#[test]
fn the_long_message_that_was_none_holds_nobody_up() {
    let mut bench = Bench::new();
    assert_eq!(bench.transfer(&[0xff]), NOTHING);
    let claim = &message(&frame(66, 1400))[..44];
    assert_eq!(bench.transfer(claim), NOTHING);
    assert_eq!(bench.transfer(&message(&frame(1, 60))), [frame(1, 60)]);
    assert_eq!(bench.drops(), [("rx_drop_no_message", 1)]);
}

/// Megabytes of headers that all claim long messages: each byte is looked at a bounded number of
/// times, however it comes.
#[test]
fn a_flood_of_headers_takes_no_more_work_than_its_bytes() {
    let header = message(&frame(66, 1400))[..44].to_vec();
    let overlapping: Vec<u8> = [1_u32, 2000, 40, 60]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    for pattern in [header, overlapping] {
        let flood: Vec<u8> = pattern.iter().copied().cycle().take(2048).collect();
        let mut bench = Bench::new();
        for _ in 0..1000 {
            bench.read(&flood[1..], Transfer::GoesOn);
        }
        for byte in flood.iter().cycle().take(1 << 16) {
            bench.read(&[*byte], Transfer::GoesOn);
        }
        let (bytes, reads) = (1000 * 2047 + (1 << 16), 1000 + (1 << 16));
        let looks = bench.stream.looks();
        assert!(
            looks < 3 * bytes + 6 * reads,
            "{looks} looks at {bytes} bytes"
        );
        bench.transfer(&[]);
        assert_eq!(
            bench.transfer(&message(&frame(1, 60))).last(),
            Some(&frame(1, 60))
        );
    }
}
