//! Bytes that both ends can compute: as many as wanted, from anywhere, never the same twice in a row.

use sha2::{Digest, Sha256};

/// Fills `buffer` with the bytes of the pattern that start at `offset`.
pub fn pattern(offset: u64, buffer: &mut [u8]) {
    let mut position = offset;
    let mut rest = buffer;
    while !rest.is_empty() {
        let word = mix(position / 8).to_le_bytes();
        let from = word.get((position % 8) as usize..).unwrap_or_default();
        let length = from.len().min(rest.len());
        let (now, later) = rest.split_at_mut(length);
        now.copy_from_slice(from.get(..length).unwrap_or_default());
        position = position.wrapping_add(length as u64);
        rest = later;
    }
}

/// The finaliser of SplitMix64: every bit of the input changes half of the output.
fn mix(index: u64) -> u64 {
    let mut value = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// SHA-256 of the first `length` bytes of the pattern, in hexadecimal.
pub fn sha256_of_pattern(length: u64) -> String {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut offset = 0;
    while offset < length {
        let part = (length - offset).min(buffer.len() as u64) as usize;
        if let Some(part) = buffer.get_mut(..part) {
            pattern(offset, part);
            hash.update(&*part);
        }
        offset += part as u64;
    }
    hexadecimal(&hash.finalize())
}

/// Two digits a byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
