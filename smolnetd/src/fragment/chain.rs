//! IPv6's header chain.

/// Does `data`, which begins with the header `next_header`, hold the whole header chain, the upper layer's own header
/// included (RFC 7112 5)? Of upper layers that are not known here no header is asked for.
pub(super) fn is_whole(next_header: u8, data: &[u8]) -> bool {
    let (mut next_header, mut rest) = (next_header, data);
    // Each turn takes at least eight bytes away.
    loop {
        let length = match (next_header, rest) {
            // Hop-by-hop and destination options, routing, mobility, HIP, shim6: units of eight bytes beyond the first.
            (0 | 43 | 60 | 135 | 139 | 140, [_, units, ..]) => units_of(*units, 1, 8),
            // The authentication header: units of four bytes, two of which are not counted (RFC 4302 2.2).
            (51, [_, units, ..]) => units_of(*units, 2, 4),
            (0 | 43 | 60 | 135 | 139 | 140 | 51, _) => return false,
            _ => return rest.len() >= upper_layer_length(next_header, rest),
        };
        let Some((header, behind)) = rest.split_at_checked(length) else {
            return false;
        };
        next_header = header.first().copied().unwrap_or(59);
        rest = behind;
    }
}

fn units_of(units: u8, uncounted: usize, size: usize) -> usize {
    usize::from(units)
        .saturating_add(uncounted)
        .saturating_mul(size)
}

/// Length in bytes of the upper layer's header that `data` begins with.
fn upper_layer_length(protocol: u8, data: &[u8]) -> usize {
    match protocol {
        // IPv4 and IPv6 in IPv6.
        4 => 20,
        41 => 40,
        // TCP says the length of its header itself.
        6 => {
            let words = data.get(12).map_or(0, |byte| usize::from(byte >> 4));
            words.saturating_mul(4).max(20)
        }
        // UDP, ESP, ICMPv6, UDP-Lite.
        17 | 50 | 58 | 136 => 8,
        // DCCP, SCTP.
        33 | 132 => 12,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An options header of `length` bytes that `next` follows.
    fn options(next: u8, length: usize) -> Vec<u8> {
        let mut header = vec![0; length];
        header[0] = next;
        header[1] = (length / 8 - 1) as u8;
        header
    }

    #[test]
    fn rfc7112_5_the_chain_ends_with_the_upper_layers_header() {
        let mut tcp = [0; 24];
        tcp[12] = 6 << 4;
        let udp = [0; 8];
        let chain = |parts: &[&[u8]]| parts.concat();
        for (next_header, data, whole) in [
            (17, chain(&[&udp]), true),
            (17, chain(&[&udp[..7]]), false),
            (6, chain(&[&tcp]), true),
            (6, chain(&[&tcp[..23]]), false),
            (6, chain(&[&[0; 20]]), true),
            (58, chain(&[&udp]), true),
            (59, chain(&[]), true),
            (253, chain(&[]), true),
            (60, chain(&[&options(17, 8), &udp]), true),
            (60, chain(&[&options(17, 8), &udp[..4]]), false),
            (
                60,
                chain(&[&options(60, 8), &options(43, 16), &options(17, 8), &udp]),
                true,
            ),
            (60, chain(&[&options(17, 16)[..8]]), false),
            (60, chain(&[&[17]]), false),
            // An authentication header of 12 bytes.
            (
                51,
                chain(&[&[17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &udp]),
                true,
            ),
            (0, options(0, 2048), false),
        ] {
            assert_eq!(
                is_whole(next_header, &data),
                whole,
                "{next_header} {data:?}"
            );
        }
    }
}
