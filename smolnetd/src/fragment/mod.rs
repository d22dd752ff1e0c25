//! Fragments of both families: put together again on the way in (RFC 791, RFC 815, RFC 8200 4.5), cut on the way out.
//!
//! ```text
//!  take(fragment) ─ checks of its own ─ datagram: no overlap, one end ─┬─ Waiting
//!                                                                      └─ Whole: an IP packet without fragments
//!  expire(now)                           who never became whole: the first fragments, for ICMP time exceeded
//!  split(packet, mtu)                    pieces of a packet of ours
//! ```
//!
//! Nothing here trusts anybody: a datagram whose fragments contradict each other is given up as a whole (RFC 5722), and
//! what all senders together make us hold has a bound, at which who holds most gives way.

mod chain;
mod counters;
mod datagram;
mod identification;
mod room;
mod split;
#[cfg(test)]
mod tests;

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use smoltcp::time::{Duration, Instant};

pub use self::counters::FragmentCounters;
use self::datagram::{Datagram, Trouble};
pub use self::identification::Identifications;
pub use self::split::{Piece, SplitError, split};

use crate::counters::count;
use crate::fair::{Fair, Owner};
use crate::ip::{self, Incoming, Parameter};
use crate::ports::LinkId;

/// Datagrams that may be incomplete at a time, those that were given up and are still remembered included.
pub const MAX_DATAGRAMS: usize = 1024;

/// Fragments of one datagram: 65535 bytes in pieces of 552, which is what the narrowest paths that are believed make.
pub const MAX_FRAGMENTS: usize = 128;

/// Bytes that all incomplete datagrams may hold, their overhead included.
pub const MAX_BYTES: usize = 4 << 20;

/// Bytes that the datagrams of one sender may hold: 13 of the largest.
pub const MAX_BYTES_PER_OWNER: usize = 1 << 20;

/// What a fragment costs beside its bytes.
const FRAGMENT_OVERHEAD: usize = 96;

/// What a datagram costs beside its fragments.
const DATAGRAM_OVERHEAD: usize = 512;

/// How long an IPv6 datagram may take to become whole (RFC 8200 4.5).
pub const IPV6_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an IPv4 datagram may take. RFC 1122 3.3.2 has 60 to 120 s, of a time when that was how long a packet could
/// live; identifications of 16 bits come again sooner (RFC 4963), so that what hosts do today is taken.
pub const IPV4_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest IPv4 packet, and the largest payload of an IPv6 packet, in bytes.
const LARGEST: usize = 65_535;

/// A fragment as it came, its headers read.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'p> {
    /// Where it came in: what comes in elsewhere cannot meddle.
    pub link: LinkId,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol, or Next Header of the fragment header.
    pub protocol: u8,
    /// Identification; 16 bits of it are in use with IPv4.
    pub identification: u32,
    /// Where its data belongs, in bytes.
    pub offset: usize,
    /// Do more follow?
    pub more: bool,
    /// The whole packet.
    pub packet: &'p [u8],
    /// Length in bytes of what every fragment begins with: the IPv4 header, or the IPv6 header and the extension
    /// headers before the fragment header.
    pub unfragmentable: usize,
    /// With IPv6, the place in `packet` of the Next Header byte that names the fragment header.
    pub next_header_at: usize,
    /// Its part of the datagram: the end of `packet`.
    pub data: &'p [u8],
}

impl<'p> Fragment<'p> {
    /// What `packet`, which came in on `link`, is as a fragment; none if it is whole.
    pub fn of(link: LinkId, packet: &Incoming<'p>) -> Option<Fragment<'p>> {
        let fragment = packet.fragment?;
        Some(Fragment {
            link,
            source: packet.source,
            destination: packet.destination,
            protocol: packet.protocol,
            identification: fragment.identification,
            offset: fragment.offset,
            more: fragment.more,
            packet: packet.packet,
            unfragmentable: fragment.unfragmentable,
            next_header_at: fragment.next_header_at,
            data: packet.payload,
        })
    }
}

/// Which datagram a fragment is of. RFC 791 3.2: the protocol counts with IPv4; RFC 8200 4.5: not with IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    protocol: Option<u8>,
    link: LinkId,
}

/// What became of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is kept, or was there already.
    Waiting,
    /// It was the last that was missing: this is the packet that was cut.
    Whole(Vec<u8>),
    /// It was dropped and counted.
    Dropped,
    /// It was dropped and counted, and its sender is owed an ICMPv6 parameter problem.
    Problem(Parameter),
}

/// RFC 8200 4.5: the Payload Length is not a multiple of eight.
const PAYLOAD_LENGTH: Parameter = parameter(0, 4);

/// RFC 7112 5: the first fragment has not got the whole header chain.
const HEADER_CHAIN: Parameter = parameter(3, 0);

const fn parameter(code: u8, pointer: u32) -> Parameter {
    Parameter {
        code,
        pointer,
        to_groups: false,
    }
}

/// A datagram whose time was over while its first fragment was there: who sent it is owed an ICMP time exceeded of
/// code 1 (RFC 792, RFC 1122 3.3.2, RFC 8200 4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Where it came in.
    pub link: LinkId,
    /// The first fragment as it came.
    pub packet: Vec<u8>,
}

/// The datagrams that are incomplete.
#[derive(Debug, Default)]
pub struct Reassembly {
    datagrams: Fair<Datagram>,
    by_key: BTreeMap<Key, u64>,
    ends: BTreeSet<(Instant, u64)>,
    bytes: usize,
    bytes_of: BTreeMap<Owner, usize>,
    /// What became of fragments.
    pub counters: FragmentCounters,
}

impl Reassembly {
    /// Takes in a fragment. What was sent as one and is whole (RFC 6946) does not come here: the IP layer steps over
    /// such a header.
    pub fn take(&mut self, now: Instant, fragment: &Fragment<'_>) -> Outcome {
        count(&mut self.counters.received);
        if let Err(refused) = self.check(fragment) {
            return refused;
        }
        let number = self.datagram_of(now, fragment);
        let Some(datagram) = self.datagrams.get_mut(number) else {
            return Outcome::Dropped;
        };
        let before = datagram.cost();
        let added = datagram.add(fragment);
        let after = datagram.cost();
        self.account(Owner::of(fragment.source), before, after);
        match added {
            Ok(true) => self.complete(number),
            Ok(false) => Outcome::Waiting,
            Err(Trouble::Duplicate) => {
                count(&mut self.counters.duplicates);
                Outcome::Waiting
            }
            Err(trouble) => {
                count(self.counters.of(trouble));
                Outcome::Dropped
            }
        }
    }

    /// What can be said of a fragment without knowing the others.
    fn check(&mut self, fragment: &Fragment<'_>) -> Result<(), Outcome> {
        let v6 = fragment.source.is_ipv6();
        let refuse = |problem: Parameter| {
            if v6 {
                Outcome::Problem(problem)
            } else {
                Outcome::Dropped
            }
        };
        // RFC 8200 4.5, RFC 791 3.2: offsets count in eights.
        if fragment.more && !fragment.data.len().is_multiple_of(8) {
            count(&mut self.counters.bad_length);
            return Err(refuse(PAYLOAD_LENGTH));
        }
        if fragment.data.is_empty() {
            count(&mut self.counters.empty);
            return Err(Outcome::Dropped);
        }
        let fixed = if v6 { ip::v6::HEADER_LENGTH } else { 0 };
        let end = fragment.offset.saturating_add(fragment.data.len());
        if end.saturating_add(fragment.unfragmentable.saturating_sub(fixed)) > LARGEST {
            count(&mut self.counters.too_long);
            let pointer = fragment.unfragmentable.saturating_add(2);
            let pointer = u32::try_from(pointer).unwrap_or(0);
            return Err(refuse(parameter(0, pointer)));
        }
        if v6 && fragment.offset == 0 && !chain::is_whole(fragment.protocol, fragment.data) {
            count(&mut self.counters.incomplete_header_chain);
            return Err(refuse(HEADER_CHAIN));
        }
        Ok(())
    }

    fn complete(&mut self, number: u64) -> Outcome {
        let whole = self.forget(number).and_then(Datagram::whole);
        let Some(packet) = whole else {
            return Outcome::Dropped;
        };
        count(&mut self.counters.reassembled);
        Outcome::Whole(packet)
    }

    /// Gives up the datagrams whose time is over, and says for which of them an ICMP time exceeded is owed.
    pub fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let ended = self.ends.iter().take_while(|(end, _)| *end <= now);
        let numbers: Vec<u64> = ended.map(|(_, number)| *number).collect();
        let mut expired = Vec::new();
        for number in numbers {
            let Some(datagram) = self.forget(number) else {
                continue;
            };
            if !datagram.is_given_up() {
                count(&mut self.counters.timed_out);
            }
            let link = datagram.key.link;
            expired.extend(
                datagram
                    .first_fragment()
                    .map(|packet| Expired { link, packet }),
            );
        }
        expired
    }

    /// When [`Reassembly::expire`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// How many datagrams are incomplete.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Is none incomplete?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are held, overhead included: [`MAX_BYTES`] at most.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
