//! One datagram on its way to becoming whole.

use std::collections::BTreeMap;

use smoltcp::time::Instant;
use smoltcp::wire::{Ipv4Packet, Ipv6Packet};

use super::{DATAGRAM_OVERHEAD, FRAGMENT_OVERHEAD, Fragment, Key, MAX_FRAGMENTS};
use crate::ip::v6::HEADER_LENGTH as IPV6_HEADER_LENGTH;

/// Why a fragment was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is there already, to the byte: no harm is done.
    Duplicate,
    /// It overlaps another (RFC 5722 3, RFC 8200 4.5). IPv4 goes by the same rule: who overlaps means no good.
    Overlap,
    /// It ends elsewhere than a last fragment said, or goes on beyond that.
    InconsistentEnd,
    /// There are too many.
    TooManyFragments,
    /// The datagram was given up before.
    GivenUp,
}

/// What the first fragment brings: the headers of the whole.
#[derive(Debug)]
pub(super) struct First {
    /// All that came before its data, the fragment header included.
    header: Box<[u8]>,
    unfragmentable: usize,
    next_header_at: usize,
    protocol: u8,
}

impl First {
    pub(super) fn of(fragment: &Fragment<'_>) -> First {
        let length = fragment.packet.len().saturating_sub(fragment.data.len());
        First {
            header: fragment.packet.get(..length).unwrap_or_default().into(),
            unfragmentable: fragment.unfragmentable,
            next_header_at: fragment.next_header_at,
            protocol: fragment.protocol,
        }
    }

    /// The packet that was cut into `pieces`.
    pub(super) fn whole<'p>(&self, pieces: impl Iterator<Item = &'p [u8]>) -> Vec<u8> {
        let mut packet = self
            .header
            .get(..self.unfragmentable)
            .unwrap_or_default()
            .to_vec();
        pieces.for_each(|piece| packet.extend_from_slice(piece));
        let length = packet.len();
        if packet.first().is_some_and(|first| first >> 4 == 4) {
            if let Ok(mut header) = Ipv4Packet::new_checked(&mut packet) {
                header.set_total_len(u16::try_from(length).unwrap_or(u16::MAX));
                header.set_more_frags(false);
                header.set_frag_offset(0);
                header.fill_checksum();
            }
            return packet;
        }
        if let Some(next_header) = packet.get_mut(self.next_header_at) {
            *next_header = self.protocol;
        }
        if length >= IPV6_HEADER_LENGTH {
            let payload = u16::try_from(length.saturating_sub(IPV6_HEADER_LENGTH));
            Ipv6Packet::new_unchecked(&mut packet).set_payload_len(payload.unwrap_or(u16::MAX));
        }
        packet
    }
}

/// What is there of a datagram.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) key: Key,
    pub(super) expires: Instant,
    /// By their offsets, none overlapping another.
    pieces: BTreeMap<usize, Box<[u8]>>,
    /// Bytes of all pieces.
    received: usize,
    /// Where it ends, once the last fragment is there.
    end: Option<usize>,
    first: Option<First>,
    given_up: bool,
}

impl Datagram {
    pub(super) fn new(key: Key, expires: Instant) -> Datagram {
        Datagram {
            key,
            expires,
            pieces: BTreeMap::new(),
            received: 0,
            end: None,
            first: None,
            given_up: false,
        }
    }

    /// Was it given up? What comes of it later is dropped until its time is over, so that nobody gets a second try.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// What it costs, in bytes.
    pub(super) fn cost(&self) -> usize {
        let header = self.first.as_ref().map_or(0, |first| first.header.len());
        let overhead = self.pieces.len().saturating_mul(FRAGMENT_OVERHEAD);
        [DATAGRAM_OVERHEAD, header, overhead, self.received]
            .into_iter()
            .fold(0, usize::saturating_add)
    }

    /// What adding `fragment` costs at most, in bytes.
    pub(super) fn cost_of(fragment: &Fragment<'_>) -> usize {
        fragment.packet.len().saturating_add(FRAGMENT_OVERHEAD)
    }

    /// Adds a fragment. True if nothing is missing any more.
    ///
    /// # Errors
    /// See [`Trouble`]: but for a duplicate the datagram is given up.
    pub(super) fn add(&mut self, fragment: &Fragment<'_>) -> Result<bool, Trouble> {
        match self.fits(fragment) {
            Ok(()) => (),
            Err(trouble @ (Trouble::Duplicate | Trouble::GivenUp)) => return Err(trouble),
            Err(trouble) => {
                self.give_up();
                return Err(trouble);
            }
        }
        let end = fragment.offset.saturating_add(fragment.data.len());
        if !fragment.more {
            self.end = Some(end);
        }
        if fragment.offset == 0 {
            self.first = Some(First::of(fragment));
        }
        self.received = self.received.saturating_add(fragment.data.len());
        self.pieces.insert(fragment.offset, fragment.data.into());
        Ok(self.end == Some(self.received))
    }

    fn fits(&self, fragment: &Fragment<'_>) -> Result<(), Trouble> {
        let (start, end) = (
            fragment.offset,
            fragment.offset.saturating_add(fragment.data.len()),
        );
        if self.given_up {
            return Err(Trouble::GivenUp);
        }
        let is_same = self
            .pieces
            .get(&start)
            .is_some_and(|piece| **piece == *fragment.data);
        if is_same && fragment.more == (self.end != Some(end)) {
            return Err(Trouble::Duplicate);
        }
        let last_end = self
            .pieces
            .last_key_value()
            .map_or(0, |(start, piece)| start.saturating_add(piece.len()));
        let agrees = match self.end {
            Some(known) if fragment.more => end < known,
            Some(known) => end == known,
            None => fragment.more || last_end < end || (last_end == end && !is_same),
        };
        if !agrees {
            return Err(Trouble::InconsistentEnd);
        }
        let before = self.pieces.range(..end).next_back();
        if before.is_some_and(|(other, piece)| other.saturating_add(piece.len()) > start) {
            return Err(Trouble::Overlap);
        }
        if self.pieces.len() >= MAX_FRAGMENTS {
            return Err(Trouble::TooManyFragments);
        }
        Ok(())
    }

    fn give_up(&mut self) {
        self.given_up = true;
        self.pieces.clear();
        (self.received, self.end, self.first) = (0, None, None);
    }

    /// The packet, when nothing is missing.
    pub(super) fn whole(self) -> Option<Vec<u8>> {
        let pieces = self.pieces.values().map(|piece| &**piece);
        self.first.as_ref().map(|first| first.whole(pieces))
    }

    /// The first fragment as it came, if it has come.
    pub(super) fn first_fragment(&self) -> Option<Vec<u8>> {
        let header = &self.first.as_ref()?.header;
        Some([header, &**self.pieces.get(&0)?].concat())
    }
}
