//! Stories of transfers to the device, read by a device.

use super::bench::*;
use crate::counters::Counter;
use crate::message::packet::Header;
use crate::message::{Packer, TransmitLimits};

/// What QEMU's usb-net agrees to.
const QEMU: TransmitLimits = TransmitLimits {
    max_transfer: 1580,
    max_packets: 1,
    alignment: 1,
    packet_size: 64,
};

/// A device that wants a lot at once, at multiples of 32.
const MANY: TransmitLimits = TransmitLimits {
    max_transfer: 1900,
    max_packets: 5,
    alignment: 32,
    packet_size: 512,
};

fn packer(limits: TransmitLimits) -> Packer<Vec<u8>> {
    Packer::new(vec![0xee; 2048], limits)
}

/// Whether there was room for `frame`.
fn pack(packer: &mut Packer<Vec<u8>>, frame: &[u8]) -> bool {
    let Some(slot) = packer.slot(frame.len()) else {
        return false;
    };
    slot.copy_from_slice(frame);
    packer.commit();
    true
}

/// MessageLength after MessageLength, as a device goes through a transfer that it takes for a stream
/// of bytes: the frames, and where their messages begin. Fails unless the last ends with the
/// transfer.
fn walk(transfer: &[u8]) -> (Vec<Vec<u8>>, Vec<usize>) {
    let (mut frames, mut starts) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < transfer.len() {
        let header = Header::read(&transfer[at..]).expect("a whole header");
        let start = at + 8 + header.data.offset as usize;
        frames.push(transfer[start..][..header.data.length as usize].to_vec());
        starts.push(at);
        at += header.message_length as usize;
    }
    assert_eq!(
        at,
        transfer.len(),
        "the last message ends with the transfer"
    );
    (frames, starts)
}

#[test]
fn one_frame_is_one_message_to_the_byte() {
    let mut packer = packer(QEMU);
    assert!(packer.is_empty());
    assert!(pack(&mut packer, &frame(1, 60)));
    assert_eq!(packer.finish(), message(&frame(1, 60)));
    assert_eq!(
        packer.finish()[..16],
        [1, 0, 0, 0, 104, 0, 0, 0, 36, 0, 0, 0, 60, 0, 0, 0]
    );
}

/// Two messages in one transfer leave QEMU's usb-net one message behind.
#[test]
fn where_one_packet_was_agreed_on_there_is_one() {
    for max_packets in [0, 1] {
        let mut packer = packer(TransmitLimits {
            max_packets,
            ..MANY
        });
        assert!(pack(&mut packer, &frame(1, 60)));
        assert!(!pack(&mut packer, &frame(2, 60)));
        assert_eq!(packer.packets(), 1);
        packer.clear();
        assert!(
            pack(&mut packer, &frame(2, 60)),
            "the next transfer has room again"
        );
    }
}

#[test]
fn several_packets_up_to_the_number_that_was_agreed_on() {
    let mut packer = packer(MANY);
    let frames: Vec<_> = (1..=5)
        .map(|number| frame(number, 50 + number as usize))
        .collect();
    for frame in &frames {
        assert!(pack(&mut packer, frame));
    }
    assert!(!pack(&mut packer, &frame(6, 50)));
    let transfer = packer.finish().to_vec();
    let (received, starts) = walk(&transfer);
    assert_eq!(received, frames);
    assert!(starts.iter().all(|start| start % 32 == 0), "{starts:?}");
    assert_eq!(
        Bench::new().transfer(&transfer),
        frames,
        "our own stream reads it too"
    );
    assert_eq!(packer.counters().get(Counter::TxFrames), 5);
    assert_eq!(packer.counters().get(Counter::TxBytes), 250 + 15);
    assert_eq!(packer.counters().get(Counter::TxTransfers), 1);
}

#[test]
fn as_many_bytes_as_were_agreed_on_and_no_more() {
    let mut packer = packer(MANY);
    assert!(pack(&mut packer, &frame(1, 1000)));
    assert!(
        packer.slot(1900 - 1056 - 44 + 1).is_none(),
        "behind the padding to 1056"
    );
    assert!(pack(&mut packer, &frame(2, 1900 - 1056 - 44)));
    let transfer = packer.finish();
    assert_eq!(transfer.len(), 1900);
    assert_eq!(walk(transfer).1, [0, 1056]);
}

#[test]
fn a_frame_that_never_fits_is_refused() {
    let mut packer = packer(QEMU);
    assert_eq!(packer.capacity(), 1536);
    assert!(packer.slot(1537).is_none());
    assert!(packer.slot(usize::MAX).is_none());
    assert!(packer.is_empty());
    assert!(pack(&mut packer, &frame(1, 1536)));
    assert_eq!(packer.finish().len(), 1580);
    let small = TransmitLimits {
        max_transfer: 40,
        ..QEMU
    };
    let mut packer = Packer::new(vec![0; 2048], small);
    assert_eq!(packer.capacity(), 0);
    assert!(packer.slot(0).is_none());
}

/// USB 2.0, 5.8.3: a transfer ends with a packet that is shorter than the others. The byte that
/// makes it so belongs to the last message: QEMU would take any other for the next one's first.
#[test]
fn one_pad_byte_instead_of_a_zero_length_packet() {
    let mut packer = packer(QEMU);
    for packets in 2..=24 {
        let sent = frame(packets, 64 * packets as usize - 44);
        packer.clear();
        assert!(pack(&mut packer, &sent));
        let transfer = packer.finish();
        assert_eq!(transfer.len(), 64 * packets as usize + 1);
        assert_eq!(transfer.last(), Some(&0));
        assert_eq!(walk(transfer).0, [sent]);
    }
    assert_eq!(packer.counters().get(Counter::TxPaddingBytes), 23);
}

/// A transfer of MaxTransferSize fills what the device has asked its controller for.
#[test]
fn no_pad_byte_beyond_the_largest_transfer() {
    let mut packer = packer(TransmitLimits {
        max_transfer: 1536,
        ..QEMU
    });
    assert!(pack(&mut packer, &frame(1, 1536 - 44)));
    assert_eq!(packer.finish().len(), 1536);
}

#[test]
fn nothing_of_the_frames_before_is_in_the_padding() {
    let mut packer = packer(MANY);
    for length in [1800, 47, 61] {
        packer.clear();
        assert!(pack(&mut packer, &vec![0xee; length]));
    }
    assert!(pack(&mut packer, &[0xdd; 512 - 128 - 44]));
    let transfer = packer.finish();
    assert_eq!(transfer.len(), 513);
    assert_eq!(transfer[44 + 61..128], [0; 23]);
    assert_eq!(transfer[512], 0);
}

#[test]
fn a_slot_that_was_not_committed_is_not_sent() {
    let mut packer = packer(MANY);
    assert!(pack(&mut packer, &frame(1, 60)));
    assert!(packer.slot(200).is_some());
    assert!(packer.slot(100).is_some());
    assert_eq!(packer.finish(), message(&frame(1, 60)));
    packer.commit();
    assert_eq!(packer.packets(), 1, "what was finished takes nothing more");
}

#[test]
fn an_empty_transfer_is_empty() {
    let mut packer = packer(QEMU);
    assert!(packer.finish().is_empty());
    assert_eq!(packer.counters().get(Counter::TxTransfers), 0);
}

#[test]
fn a_short_buffer_is_a_limit_too() {
    let mut buffer = [0; 200];
    let mut packer = Packer::new(&mut buffer[..], MANY);
    assert_eq!(packer.capacity(), 156);
    assert!(packer.slot(157).is_none());
    packer.slot(156).unwrap().fill(1);
    packer.commit();
    assert_eq!(packer.finish().len(), 200);
}
