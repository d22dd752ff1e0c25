//! Frames in the bytes of a pipe: each is a length of two bytes, little-endian, and as many bytes.

use crate::frame::{ETHERNET_HEADER, VLAN_TAG};

/// Bytes before each frame.
const HEADER: usize = 2;

/// Puts `frame` at the start of `room`; gives the bytes taken. None if it does not fit.
pub(super) fn put(room: &mut [u8], frame: &[u8]) -> Option<usize> {
    let length = u16::try_from(frame.len()).ok()?;
    let (header, rest) = room.split_at_mut_checked(HEADER)?;
    rest.get_mut(..frame.len())?.copy_from_slice(frame);
    header.copy_from_slice(&length.to_le_bytes());
    Some(HEADER + frame.len())
}

/// The frame at the start of `bytes`, and what comes after it. None at the end, and where a length lies.
pub(super) fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*header)))
}

/// The room that a frame of `length` bytes takes.
pub(super) const fn size(length: usize) -> usize {
    HEADER + length
}

/// The room that the longest frame with a payload of `mtu` bytes takes.
pub(super) fn longest(mtu: u16) -> usize {
    size(usize::from(mtu) + ETHERNET_HEADER + VLAN_TAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut room = [0; 12];
        let first = put(&mut room, b"one").unwrap();
        let second = put(&mut room[first..], b"four").unwrap();
        assert_eq!((first, second), (size(3), size(4)));
        assert_eq!(put(&mut room[first + second..], b""), None, "a byte short");
        let (one, rest) = take(&room).unwrap();
        let (four, rest) = take(rest).unwrap();
        assert_eq!((one, four, rest), (&b"one"[..], &b"four"[..], &[0][..]));
        assert_eq!(take(rest), None);
    }

    #[test]
    fn a_length_that_lies_is_no_frame() {
        assert_eq!(take(&[5, 0, 1, 2, 3, 4]), None);
        assert_eq!(take(&[0xff, 0xff]), None);
        assert_eq!(take(&[0, 0]), Some((&[][..], &[][..])));
    }
}
