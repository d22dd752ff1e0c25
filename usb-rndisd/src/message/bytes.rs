//! Numbers and ranges in bytes that came from outside: nothing here panics.

use core::ops::Range;

/// The number at `offset`; 0 where there are no bytes, so look at the length first.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |number| u32::from_le_bytes(*number))
}

/// Writes `number` at `offset`; nothing where there is no room.
pub(super) fn put_u32(bytes: &mut [u8], offset: usize, number: u32) {
    if let Some(place) = bytes
        .get_mut(offset..)
        .and_then(|rest| rest.first_chunk_mut())
    {
        *place = number.to_le_bytes();
    }
}

/// Where every offset in a message counts from: the field behind MessageType and MessageLength.
pub(super) const OFFSETS_FROM: usize = 8;

/// The part of a message that `offset` and `length` describe, counted from the message's first
/// byte. `None` when it begins before `header`, the end of the message's own fields, or does not end
/// within `message` bytes; the sums cannot wrap (CVE-2023-54110, CVE-2026-80814).
pub(super) fn part(
    offset: u32,
    length: u32,
    header: usize,
    message: usize,
) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?.checked_add(OFFSETS_FROM)?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (header <= start && end <= message).then_some(start..end)
}
