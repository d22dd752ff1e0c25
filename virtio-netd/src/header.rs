//! The header before every frame in a buffer (virtio 5.1.6).

use crate::counters::Counter;

/// Bytes of the header. With VERSION_1 it always has `num_buffers` (virtio 5.1.6.1).
pub const HEADER_LENGTH: usize = 12;

/// The header of a frame to send that asks nothing of the device: whole checksums, one segment.
/// `num_buffers` is 0 in that direction (virtio 5.1.6.2.1).
pub const PLAIN: [u8; HEADER_LENGTH] = [0; HEADER_LENGTH];

/// `flags`: the checksum from `csum_start` on is still to be computed.
const NEEDS_CSUM: u8 = 1;

/// `gso_type`: one frame as it goes over the wire.
const GSO_NONE: u8 = 0;
/// `gso_type`: TCP over IPv4.
const GSO_TCPV4: u8 = 1;
/// `gso_type`: UDP, to be fragmented.
const GSO_UDP: u8 = 3;
/// `gso_type`: TCP over IPv6.
const GSO_TCPV6: u8 = 4;
/// `gso_type`: UDP, to be cut into datagrams.
const GSO_UDP_L4: u8 = 5;
/// `gso_type`: a bit beside the type, the frame has ECN set.
const GSO_ECN: u8 = 0x80;

/// What a device says about a frame that it received. All fields are little-endian on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Bit 0: the checksum is still to be computed. Bit 1: it has been verified.
    pub flags: u8,
    /// What the frame is to be cut into, if anything.
    pub gso_type: u8,
    /// Bytes of the headers before the payload.
    pub hdr_len: u16,
    /// Bytes of payload in each part.
    pub gso_size: u16,
    /// Where in the frame the checksum starts to count.
    pub csum_start: u16,
    /// Where its field is, from there.
    pub csum_offset: u16,
    /// How many buffers the frame takes. Says something only with MRG_RXBUF, which this driver does
    /// not use.
    pub num_buffers: u16,
}

impl Header {
    /// Splits what the device wrote into the header and the frame. `None` when it is shorter than a
    /// header.
    #[must_use]
    pub fn split(written: &[u8]) -> Option<(Self, &[u8])> {
        let (header, frame) = written.split_first_chunk::<HEADER_LENGTH>()?;
        let [flags, gso_type, l0, l1, g0, g1, s0, s1, o0, o1, n0, n1] = *header;
        let header = Self {
            flags,
            gso_type,
            hdr_len: u16::from_le_bytes([l0, l1]),
            gso_size: u16::from_le_bytes([g0, g1]),
            csum_start: u16::from_le_bytes([s0, s1]),
            csum_offset: u16::from_le_bytes([o0, o1]),
            num_buffers: u16::from_le_bytes([n0, n1]),
        };
        Some((header, frame))
    }

    /// Whether a frame of `length` bytes with this header can be used, and under which reason it is
    /// dropped when not.
    ///
    /// None of the offloads is negotiated, so an honest device sends `flags` 0 (or "verified") and
    /// `gso_type` NONE (virtio 5.1.6.4.1). A frame that says otherwise has no valid checksum or is
    /// no frame of the wire.
    ///
    /// # Errors
    /// The reason.
    pub fn check(&self, length: usize) -> Result<(), Counter> {
        if self.flags & NEEDS_CSUM != 0 {
            // The checksum's own two bytes must lie inside the frame.
            let end = usize::from(self.csum_start)
                .saturating_add(usize::from(self.csum_offset))
                .saturating_add(2);
            return Err(if end > length {
                Counter::RxCsumOutOfRange
            } else {
                Counter::RxCsumNotNegotiated
            });
        }
        match self.gso_type & !GSO_ECN {
            GSO_NONE => Ok(()),
            GSO_TCPV4 | GSO_UDP | GSO_TCPV6 | GSO_UDP_L4 if self.gso_size == 0 => {
                Err(Counter::RxGsoSizeZero)
            }
            GSO_TCPV4 | GSO_UDP | GSO_TCPV6 | GSO_UDP_L4 => Err(Counter::RxGsoNotNegotiated),
            _ => Err(Counter::RxGsoUnknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_twelve_little_endian_bytes_before_the_frame() {
        let bytes = [1, 0x84, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 0xaa, 0xbb];
        let (header, frame) = Header::split(&bytes).unwrap();
        assert_eq!(frame, [0xaa, 0xbb]);
        let expected = Header {
            flags: 1,
            gso_type: 0x84,
            hdr_len: 0x0102,
            gso_size: 0x0304,
            csum_start: 0x0506,
            csum_offset: 0x0708,
            num_buffers: 0x090a,
        };
        assert_eq!(header, expected);
        for length in 0..HEADER_LENGTH {
            assert_eq!(
                Header::split(&bytes[..length]),
                None,
                "{length} bytes are no header"
            );
        }
    }

    #[test]
    fn a_plain_frame_is_used_whatever_num_buffers_says() {
        for num_buffers in [0, 1, 2, u16::MAX] {
            assert_eq!(
                Header {
                    num_buffers,
                    ..Header::default()
                }
                .check(60),
                Ok(()),
                "num_buffers {num_buffers}"
            );
        }
        assert_eq!(
            Header {
                flags: 2,
                ..Header::default()
            }
            .check(60),
            Ok(()),
            "verified by the device"
        );
    }

    #[test]
    fn a_checksum_outside_the_frame_is_told_from_one_that_was_not_agreed_on() {
        let check = |csum_start, csum_offset, length| {
            Header {
                flags: 1,
                csum_start,
                csum_offset,
                ..Header::default()
            }
            .check(length)
        };
        assert_eq!(check(34, 16, 60), Err(Counter::RxCsumNotNegotiated));
        assert_eq!(
            check(34, 16, 52),
            Err(Counter::RxCsumNotNegotiated),
            "the field is the frame's end"
        );
        assert_eq!(
            check(34, 16, 51),
            Err(Counter::RxCsumOutOfRange),
            "half the field is outside"
        );
        assert_eq!(
            check(u16::MAX, u16::MAX, 1514),
            Err(Counter::RxCsumOutOfRange)
        );
        assert_eq!(check(0, u16::MAX, 60), Err(Counter::RxCsumOutOfRange));
    }

    #[test]
    fn segments_of_no_size_and_of_no_known_kind_are_told_apart() {
        let check = |gso_type, gso_size| {
            Header {
                gso_type,
                gso_size,
                ..Header::default()
            }
            .check(1514)
        };
        for gso_type in [1, 3, 4, 5, 0x81, 0x84] {
            assert_eq!(
                check(gso_type, 0),
                Err(Counter::RxGsoSizeZero),
                "type {gso_type:#x}"
            );
            assert_eq!(
                check(gso_type, 1448),
                Err(Counter::RxGsoNotNegotiated),
                "type {gso_type:#x}"
            );
        }
        for gso_type in [2, 6, 0x7f, 0xff] {
            assert_eq!(
                check(gso_type, 1448),
                Err(Counter::RxGsoUnknown),
                "type {gso_type:#x}"
            );
        }
    }
}
