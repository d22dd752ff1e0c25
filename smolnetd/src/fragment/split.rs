//! A packet of ours, cut to fit.

use smoltcp::wire::Ipv4Packet;

use crate::ip::Fragment;
use crate::ip::v6::HEADER_LENGTH as IPV6_HEADER_LENGTH;

/// Next Header of the fragment header.
const FRAGMENT: u8 = 44;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;

/// Why a packet was not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitError {
    /// It is not an IP packet.
    Malformed,
    /// It says that it must not be (RFC 791 3.2).
    DontFragment,
    /// It is a fragment already, and IPv6 knows no fragments of fragments.
    Fragment,
    /// Its headers leave no room for eight bytes of data.
    TooNarrow,
}

/// A packet as it goes out: headers of its own and its part of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'p> {
    header: Vec<u8>,
    data: &'p [u8],
}

impl Piece<'_> {
    /// Its length in bytes.
    pub fn length(&self) -> usize {
        self.header.len().saturating_add(self.data.len())
    }

    /// A copy of it.
    pub fn to_vec(&self) -> Vec<u8> {
        [&self.header, self.data].concat()
    }

    /// Writes it; `to` has [`Piece::length`] bytes.
    pub fn write(&self, to: &mut [u8]) {
        for (to, from) in to.iter_mut().zip(self.header.iter().chain(self.data)) {
            *to = *from;
        }
    }
}

/// Cuts an IP packet into pieces of `mtu` bytes at most; one that fits is its own only piece. `identification` tells the
/// pieces of one packet from those of others; an IPv4 packet may bring its own.
///
/// # Errors
/// See [`SplitError`].
pub fn split(packet: &[u8], mtu: u16, identification: u32) -> Result<Vec<Piece<'_>>, SplitError> {
    let mtu = usize::from(mtu);
    if packet.len() <= mtu {
        let header = Vec::new();
        return Ok(vec![Piece {
            header,
            data: packet,
        }]);
    }
    match packet.first().map(|first| first >> 4) {
        Some(4) => split_v4(packet, mtu, identification),
        Some(6) => split_v6(packet, mtu, identification),
        _ => Err(SplitError::Malformed),
    }
}

/// RFC 791 3.2. What is cut may be a fragment itself: it keeps its place.
fn split_v4(packet: &[u8], mtu: usize, identification: u32) -> Result<Vec<Piece<'_>>, SplitError> {
    let header = Ipv4Packet::new_checked(packet).map_err(|_| SplitError::Malformed)?;
    if header.dont_frag() {
        return Err(SplitError::DontFragment);
    }
    let (own, data) = packet
        .split_at_checked(header.header_len().into())
        .ok_or(SplitError::Malformed)?;
    let later = later_header(own);
    let mut pieces = Vec::new();
    let (mut offset, mut rest) = (usize::from(header.frag_offset()), data);
    while !rest.is_empty() {
        let own = if pieces.is_empty() { own } else { &later };
        let (data, behind) = cut(rest, mtu.saturating_sub(own.len()))?;
        let mut bytes = own.to_vec();
        let mut fields = Ipv4Packet::new_unchecked(&mut bytes);
        fields.set_total_len(fit(own.len().saturating_add(data.len()))?);
        fields.set_frag_offset(fit(offset)?);
        fields.set_more_frags(header.more_frags() || !behind.is_empty());
        if header.ident() == 0 {
            // Who wrote none has left it to us.
            fields.set_ident((identification & 0xffff) as u16);
        }
        fields.fill_checksum();
        pieces.push(Piece {
            header: bytes,
            data,
        });
        (offset, rest) = (offset.saturating_add(data.len()), behind);
    }
    Ok(pieces)
}

/// The IPv4 header of all fragments but the first: of the options, those whose copied flag is set (RFC 791 3.1).
fn later_header(header: &[u8]) -> Vec<u8> {
    let (fixed, mut options) = header.split_at_checked(20).unwrap_or((header, &[]));
    let mut later = fixed.to_vec();
    // What follows the end of the list is padding, and what makes no sense goes no further.
    while let Some(&kind) = options.first().filter(|kind| **kind != 0) {
        let length = match (kind, options) {
            (1, _) => 1,
            (_, [_, length, ..]) if *length >= 2 => usize::from(*length),
            _ => break,
        };
        let Some((option, behind)) = options.split_at_checked(length) else {
            break;
        };
        if kind & 0x80 != 0 {
            later.extend_from_slice(option);
        }
        options = behind;
    }
    later.resize(later.len().next_multiple_of(4), 0);
    let words = u8::try_from(later.len() / 4).unwrap_or(5);
    if let Some(first) = later.first_mut() {
        *first = 0x40 | words;
    }
    later
}

/// RFC 8200 4.5.
fn split_v6(packet: &[u8], mtu: usize, identification: u32) -> Result<Vec<Piece<'_>>, SplitError> {
    let (unfragmentable, next_header_at) = unfragmentable(packet)?;
    let (own, data) = packet
        .split_at_checked(unfragmentable)
        .ok_or(SplitError::Malformed)?;
    let mut own = own.to_vec();
    let next_header = own
        .get_mut(next_header_at)
        .map(|next_header| core::mem::replace(next_header, FRAGMENT))
        .ok_or(SplitError::Malformed)?;
    let room = mtu.saturating_sub(own.len().saturating_add(Fragment::HEADER_LENGTH));
    let mut pieces = Vec::new();
    let (mut offset, mut rest) = (0_usize, data);
    while !rest.is_empty() {
        let (data, behind) = cut(rest, room)?;
        let mut bytes = own.clone();
        bytes.extend_from_slice(&[next_header, 0]);
        let more = u16::from(!behind.is_empty());
        bytes.extend_from_slice(&(fit(offset)? | more).to_be_bytes());
        bytes.extend_from_slice(&identification.to_be_bytes());
        let length = fit(bytes
            .len()
            .saturating_add(data.len())
            .saturating_sub(IPV6_HEADER_LENGTH))?;
        if let Some(field) = bytes.get_mut(4..6) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        pieces.push(Piece {
            header: bytes,
            data,
        });
        (offset, rest) = (offset.saturating_add(data.len()), behind);
    }
    Ok(pieces)
}

/// How long the part of an IPv6 packet is that every fragment begins with, and where in it the fragment header is to be
/// named: the headers up to and with the last that nodes on the way look at (RFC 8200 4.5).
fn unfragmentable(packet: &[u8]) -> Result<(usize, usize), SplitError> {
    let mut found = (IPV6_HEADER_LENGTH, 6);
    let (mut at, mut next_header_at) = found;
    loop {
        let kind = *packet.get(next_header_at).ok_or(SplitError::Malformed)?;
        match kind {
            FRAGMENT => return Err(SplitError::Fragment),
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let units = packet
                    .get(at.saturating_add(1))
                    .ok_or(SplitError::Malformed)?;
                next_header_at = at;
                at = at.saturating_add(usize::from(*units).saturating_add(1).saturating_mul(8));
            }
            _ => return Ok(found),
        }
        // Destination options are for nodes on the way only when a routing header follows them.
        if kind != DESTINATION_OPTIONS {
            found = (at, next_header_at);
        }
    }
}

/// As much of `data` as fits into `room` bytes: all, or a multiple of eight.
fn cut(data: &[u8], room: usize) -> Result<(&[u8], &[u8]), SplitError> {
    if data.len() <= room {
        return Ok((data, &[]));
    }
    let length = room & !7;
    if length == 0 {
        return Err(SplitError::TooNarrow);
    }
    data.split_at_checked(length).ok_or(SplitError::TooNarrow)
}

/// A number for a field of 16 bits.
fn fit(number: usize) -> Result<u16, SplitError> {
    u16::try_from(number).map_err(|_| SplitError::Malformed)
}
