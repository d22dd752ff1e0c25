//! Path MTU discovery (RFC 1191, RFC 8201): what routers have said about how large a packet to a destination may be.
//!
//! Only who knows the flows can tell whether a report is about a packet of ours; what comes here has passed that. It is
//! still believed only downwards, only so far, and only for a while: then the way is tried again with large packets.

#[cfg(test)]
mod tests;

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use smoltcp::time::{Duration, Instant};

use crate::counters::{count, counters};
use crate::fair::{Fair, Owner};
use crate::ip::v6;
use crate::ports::LinkId;

/// Destinations that are remembered.
pub const MAX_PATHS: usize = 1024;

/// How long a path MTU is believed (RFC 1191 6.3, RFC 8201 4: ten minutes are recommended).
pub const PATH_MTU_LIFETIME: Duration = Duration::from_secs(600);

/// The smallest IPv4 path MTU in bytes that is believed. RFC 1191 3 has 68, but each step down is an attacker's gain,
/// and links that carry less than what every host must take (576 bytes, RFC 791) can fragment below IP.
pub const MIN_IPV4_PATH_MTU: u16 = 552;

/// RFC 1191 section 7.1: the sizes that links have, for routers that do not say theirs. Bytes, downwards.
const PLATEAUS: [u16; 8] = [
    32_000,
    17_914,
    8166,
    4352,
    2002,
    1492,
    1006,
    MIN_IPV4_PATH_MTU,
];

counters! {
    /// What became of reports that a packet was too big.
    pub struct PathMtuCounters {
        /// A path MTU went down.
        lowered,
        /// Ignored: an IPv6 report of less than 1280 bytes (RFC 8201 4).
        below_minimum,
        /// Ignored: a report that would not have made the path MTU smaller (RFC 8201 4).
        not_lower,
        /// Forgotten to make room for another destination.
        evicted,
        /// Forgotten because its time was over: the path is tried again.
        expired,
    }
}

/// A way: the adapter, without which a link-local address says nothing, and the destination.
type Key = (LinkId, IpAddr);

#[derive(Debug)]
struct Entry {
    key: Key,
    mtu: u16,
    expires: Instant,
}

/// The path MTUs that are smaller than their link's.
#[derive(Debug, Default)]
pub struct PathMtus {
    entries: Fair<Entry>,
    by_key: BTreeMap<Key, u64>,
    ends: BTreeSet<(Instant, u64)>,
    /// What became of reports.
    pub counters: PathMtuCounters,
}

impl PathMtus {
    /// The largest packet in bytes, IP header included, to `destination` over a link of `link_mtu`.
    pub fn mtu(&self, link: LinkId, destination: IpAddr, link_mtu: u16) -> u16 {
        let number = self.by_key.get(&(link, destination));
        let entry = number.and_then(|number| self.entries.get(*number));
        entry.map_or(link_mtu, |entry| entry.mtu.min(link_mtu))
    }

    /// A router says that a packet to `destination` was too big, and `told` bytes would not be (0 from routers that
    /// know no better, RFC 1191 5). The caller has seen that it quotes a packet of ours. Returns the path MTU if it is
    /// less than before.
    pub fn too_big(
        &mut self,
        now: Instant,
        link: LinkId,
        destination: IpAddr,
        told: u16,
        link_mtu: u16,
    ) -> Option<u16> {
        let current = self.mtu(link, destination, link_mtu);
        match after_report(destination, current, told) {
            Ok(mtu) => {
                self.set(now, (link, destination), mtu);
                count(&mut self.counters.lowered);
                Some(mtu)
            }
            Err(reason) => {
                count(reason(&mut self.counters));
                None
            }
        }
    }

    fn set(&mut self, now: Instant, key: Key, mtu: u16) {
        if let Some(former) = self.by_key.get(&key) {
            self.forget(*former);
        } else if self.entries.len() >= MAX_PATHS
            && let Some(victim) = self.entries.victim()
        {
            self.forget(victim);
            count(&mut self.counters.evicted);
        }
        let expires = now + PATH_MTU_LIFETIME;
        let entry = Entry { key, mtu, expires };
        let number = self.entries.insert(Owner::of(key.1), entry);
        self.by_key.insert(key, number);
        self.ends.insert((expires, number));
    }

    fn forget(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(number) {
            self.by_key.remove(&entry.key);
            self.ends.remove(&(entry.expires, number));
        }
    }

    /// Forgets what was learned long ago. Returns whether some path may carry more again: its flows are to be told.
    pub fn expire(&mut self, now: Instant) -> bool {
        let ended = self.ends.iter().take_while(|(end, _)| *end <= now);
        let numbers: Vec<u64> = ended.map(|(_, number)| *number).collect();
        for number in &numbers {
            self.forget(*number);
            count(&mut self.counters.expired);
        }
        !numbers.is_empty()
    }

    /// When [`PathMtus::expire`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// How many destinations are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is none remembered?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a report is ignored: the counter it falls under.
pub type Reason = fn(&mut PathMtuCounters) -> &mut u64;

/// What a path to `destination` that carried `current` bytes carries after a router said `told`: less, and a multiple of
/// four, so that there are few different sizes.
///
/// # Errors
/// Why the report changes nothing.
pub fn after_report(destination: IpAddr, current: u16, told: u16) -> Result<u16, Reason> {
    let mtu = match destination {
        IpAddr::V4(_) if told == 0 => plateau_below(current),
        IpAddr::V4(_) => told.max(MIN_IPV4_PATH_MTU),
        IpAddr::V6(_) if told < v6::MIN_MTU => {
            return Err(|counters| &mut counters.below_minimum);
        }
        IpAddr::V6(_) => told,
    };
    if mtu >= current {
        return Err(|counters| &mut counters.not_lower);
    }
    Ok(mtu & !3)
}

/// RFC 1191 7.1: the next size below `current`; that itself when there is none.
fn plateau_below(current: u16) -> u16 {
    let mut plateaus = PLATEAUS.into_iter();
    plateaus
        .find(|plateau| *plateau < current)
        .unwrap_or(current)
}
