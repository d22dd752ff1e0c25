//! The stream of received frames. The input says how its own bytes are used: as a stream that is in
//! order and only cut into pieces, as one in which one message is damaged, or as nothing that any
//! device should send.

#![no_main]

mod input;

use input::Input;
use libfuzzer_sys::fuzz_target;
use redox_host as _;
use usb_rndisd::message::packet::{HEADER_LENGTH, Header};
use usb_rndisd::message::{Packer, ReceiveLimits, Stream, Transfer, TransmitLimits};

const LIMITS: ReceiveLimits = ReceiveLimits {
    max_transfer: 2048,
    max_frame: 1518,
    max_packets: 4,
};

/// A frame of 14 bytes or more.
fn frame(input: &mut Input<'_>) -> Vec<u8> {
    let length = 14 + usize::from(input.byte()) * 5;
    let mut frame = vec![0xa5; length];
    let bytes = input.bytes(length);
    frame[..bytes.len()].copy_from_slice(bytes);
    frame
}

fn message(frame: &[u8], padding: usize) -> Vec<u8> {
    let mut message = vec![0; HEADER_LENGTH];
    assert!(Header::of_frame(frame.len(), padding).write(&mut message));
    message.extend_from_slice(frame);
    message.resize(message.len() + padding, 0);
    message
}

/// Pushes `bytes` in pieces as the input says, none of which ends a transfer but the last; returns
/// the frames.
fn push(
    stream: &mut Stream,
    mut bytes: &[u8],
    cuts: &mut Input<'_>,
    last: Transfer,
) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let room = stream.room();
        assert!(
            room.len() >= LIMITS.max_transfer,
            "{} bytes of room",
            room.len()
        );
        assert!(room.len() <= 2 * LIMITS.max_transfer);
        // Large pieces when the input is used up.
        let length = (1 + usize::from(!cuts.byte()) * 3)
            .min(bytes.len())
            .min(room.len());
        room[..length].copy_from_slice(&bytes[..length]);
        bytes = &bytes[length..];
        stream.filled(
            length,
            if bytes.is_empty() {
                last
            } else {
                Transfer::GoesOn
            },
        );
        while stream.is_ready() {
            let frame = stream.next_frame().expect("it is ready");
            assert!(
                (14..=LIMITS.max_frame).contains(&frame.len()),
                "{} bytes",
                frame.len()
            );
            frames.push(frame.to_vec());
        }
        assert_eq!(stream.next_frame(), None);
    }
    frames
}

/// However a stream is cut, its frames are the same.
fn in_order(mut input: Input<'_>) {
    let frames: Vec<_> = (0..1 + input.byte() % 8)
        .map(|_| frame(&mut input))
        .collect();
    let mut stream = Stream::new(LIMITS);
    let mut received = Vec::new();
    let mut shared = Vec::new();
    for frame in &frames {
        shared.extend(message(frame, usize::from(input.byte() % 128)));
        match input.byte() % 3 {
            0 => received.extend(push(
                &mut stream,
                &std::mem::take(&mut shared),
                &mut input,
                Transfer::Ended,
            )),
            1 => received.extend(push(
                &mut stream,
                &std::mem::take(&mut shared),
                &mut input,
                Transfer::GoesOn,
            )),
            _ => {}
        }
    }
    received.extend(push(&mut stream, &shared, &mut input, Transfer::Ended));
    assert_eq!(received, frames);
}

/// Whatever one transfer of several is, the frames of the others are there.
fn one_damaged(mut input: Input<'_>) {
    let before = frame(&mut input);
    let after = frame(&mut input);
    let mut damaged = message(&frame(&mut input), usize::from(input.byte() % 128));
    for _ in 0..1 + input.byte() % 8 {
        let at = usize::from(input.byte()) * 7 % damaged.len();
        damaged[at] ^= input.byte();
    }
    damaged.truncate(1 + input.number() as usize % 2048);
    let mut stream = Stream::new(LIMITS);
    let received = push(
        &mut stream,
        &message(&before, 0),
        &mut input,
        Transfer::Ended,
    );
    assert_eq!(received, [before]);
    push(&mut stream, &damaged, &mut input, Transfer::Ended);
    let received = push(
        &mut stream,
        &message(&after, 0),
        &mut input,
        Transfer::Ended,
    );
    assert_eq!(received.last(), Some(&after));
    assert_eq!(
        push(
            &mut stream,
            &message(&after, 0),
            &mut input,
            Transfer::Ended
        ),
        [after]
    );
}

/// After any bytes the next message with a transfer of its own is received.
fn hostile(mut input: Input<'_>) {
    let mut stream = Stream::new(LIMITS);
    let frame = frame(&mut input);
    let mut pushed = 0;
    let mut frames = 0;
    while !input.0.is_empty() {
        let length = usize::from(input.byte()) * 9;
        let end = if input.byte() % 2 == 0 {
            Transfer::Ended
        } else {
            Transfer::GoesOn
        };
        let bytes = input.bytes(length);
        pushed += bytes.len();
        frames += push(&mut stream, bytes, &mut Input(bytes), end).len();
        assert!(
            frames * (HEADER_LENGTH + 14) <= pushed,
            "{frames} frames in {pushed} bytes"
        );
    }
    stream.filled(0, Transfer::Ended);
    assert_eq!(stream.next_frame(), None);
    let received = push(
        &mut stream,
        &message(&frame, 0),
        &mut Input(&[]),
        Transfer::Ended,
    );
    assert_eq!(received.last(), Some(&frame));
    stream.restart();
    assert_eq!(
        push(
            &mut stream,
            &message(&frame, 0),
            &mut input,
            Transfer::Ended
        ),
        [frame]
    );
}

/// What is packed is received.
fn packed(mut input: Input<'_>) {
    let limits = TransmitLimits {
        max_transfer: usize::from(input.byte()) * 8,
        max_packets: u32::from(input.byte() % 8),
        alignment: 1 << (input.byte() % 8),
        packet_size: [0, 1, 8, 64, 512, 1024][usize::from(input.byte() % 6)],
    };
    let mut packer = Packer::new(vec![0xee; LIMITS.max_transfer], limits);
    let mut stream = Stream::new(LIMITS);
    let mut sent = Vec::new();
    while !input.0.is_empty() {
        let frame = frame(&mut input);
        if let Some(slot) = packer.slot(frame.len()) {
            slot.copy_from_slice(&frame);
            packer.commit();
            sent.push(frame);
            continue;
        }
        if packer.is_empty() {
            assert!(frame.len() > packer.capacity());
            continue;
        }
        let transfer = packer.finish().to_vec();
        assert!(transfer.len() <= limits.max_transfer);
        assert!(
            transfer.len() == limits.max_transfer
                || limits.packet_size < 2
                || transfer.len() % limits.packet_size != 0
        );
        assert_eq!(
            push(&mut stream, &transfer, &mut input, Transfer::Ended),
            sent
        );
        sent.clear();
        packer.clear();
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    match input.byte() % 4 {
        0 => in_order(input),
        1 => one_damaged(input),
        2 => hostile(input),
        _ => packed(input),
    }
});
