//! Several frames in one read or write.

use syscall::error::{EBUSY, EINVAL, EWOULDBLOCK};
use syscall::flag::{O_NONBLOCK, O_RDWR};

use super::{Card, NetworkScheme, errno, open, read, scheme, try_open, write};
use crate::network::bundle;

fn bundled(frames: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; frames.iter().map(|frame| bundle::size(frame.len())).sum()];
    let mut at = 0;
    for frame in frames {
        at += bundle::put(&mut bytes[at..], frame).unwrap();
    }
    bytes
}

fn receiving(frames: &[&[u8]]) -> (NetworkScheme<Card>, usize) {
    let mut scheme = scheme();
    let file = open(&mut scheme, "frames");
    let frames = frames.iter().map(|frame| frame.to_vec());
    scheme.nic.received.extend(frames);
    (scheme, file)
}

#[test]
fn one_read_takes_all_frames_that_wait() {
    let frames: [&[u8]; 3] = [&[1; 60], &[2; 1514], &[3; 42]];
    let (mut scheme, file) = receiving(&frames);
    let bytes = read(&mut scheme, file, 65536).unwrap();
    assert_eq!(bytes, bundled(&frames));
    assert_eq!(*scheme.nic.recycled.borrow(), 3, "the card has them back");
    assert_eq!(errno(read(&mut scheme, file, 65536)), EWOULDBLOCK);
}

#[test]
fn a_frame_that_might_not_fit_waits_for_the_next_read() {
    let frames: [&[u8]; 3] = [&[1; 1514], &[2; 60], &[3; 60]];
    let (mut scheme, file) = receiving(&frames);
    // After the first two there is less than the room of the longest frame there could be.
    let bytes = read(&mut scheme, file, 3000).unwrap();
    assert_eq!(bytes, bundled(&frames[..1]));
    assert_eq!(scheme.nic.received.len(), 2, "nothing is cut");
    assert_eq!(errno(read(&mut scheme, file, 1000)), EINVAL);
    assert_eq!(
        read(&mut scheme, file, 65536).unwrap(),
        bundled(&frames[1..])
    );
}

#[test]
fn one_write_sends_all_its_frames_and_rings_once() {
    let (mut scheme, file) = receiving(&[]);
    let frames: [&[u8]; 3] = [&[1; 60], &[2; 1514], &[3; 42]];
    let bytes = bundled(&frames);
    assert_eq!(write(&mut scheme, file, &bytes).unwrap(), bytes.len());
    scheme.settle();
    assert_eq!(scheme.nic.sent, frames);
    assert_eq!(scheme.nic.doorbells, 1);
}

#[test]
fn what_does_not_fit_into_the_card_is_not_counted_as_written() {
    let (mut scheme, file) = receiving(&[]);
    scheme.nic.room = 2;
    let bytes = bundled(&[&[1; 60], &[2; 60], &[3; 60]]);
    assert_eq!(
        write(&mut scheme, file, &bytes).unwrap(),
        2 * bundle::size(60)
    );
    let rest = &bytes[2 * bundle::size(60)..];
    assert_eq!(errno(write(&mut scheme, file, rest)), EWOULDBLOCK);
    scheme.nic.room = 1;
    assert_eq!(write(&mut scheme, file, rest).unwrap(), rest.len());
    assert_eq!(scheme.nic.sent, [[1; 60], [2; 60], [3; 60]]);
}

#[test]
fn what_is_no_frame_is_counted_and_holds_up_no_other() {
    let (mut scheme, file) = receiving(&[]);
    let bytes = bundled(&[&[1; 13], &[2; 1515], &[3; 60]]);
    assert_eq!(write(&mut scheme, file, &bytes).unwrap(), bytes.len());
    assert_eq!(scheme.nic.sent, [[3; 60]]);
    let counters = scheme.counters;
    assert_eq!((counters.tx_too_short, counters.tx_too_long), (1, 1));
    // A length that lies ends the bundle.
    let mut lie = bundled(&[&[4; 60]]);
    lie.extend_from_slice(&[0xff, 0xff, 1]);
    assert_eq!(write(&mut scheme, file, &lie).unwrap(), bundle::size(60));
    assert_eq!(errno(write(&mut scheme, file, &[0xff, 0xff, 1])), EINVAL);
    assert_eq!(errno(write(&mut scheme, file, &[])), EINVAL);
}

#[test]
fn there_is_one_reader_of_frames_whichever_file_it_reads() {
    let (mut scheme, _file) = receiving(&[]);
    let second = try_open(&mut scheme, "", O_RDWR | O_NONBLOCK);
    assert_eq!(errno(second), EBUSY);
}
