//! The Internet's checksum, for who speaks to the stack: not the stack's own.

/// RFC 1071, of bytes in which the checksum is still zero.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match *word {
        [a, b] => u32::from(u16::from_be_bytes([a, b])),
        [a] => u32::from(u16::from_be_bytes([a, 0])),
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 3 has these bytes, and their sum.
    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        assert_eq!(
            checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
        assert_eq!(checksum(&[]), 0xffff);
    }
}
