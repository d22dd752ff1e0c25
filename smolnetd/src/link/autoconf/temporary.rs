//! Temporary addresses (RFC 8981): a random identifier in each prefix, another one every day.

use core::net::Ipv6Addr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::Ipv6Cidr;

use super::AutoconfCounters;
use super::lifetime::Until;
use super::prefixes::Autonomous;
use crate::counters::count;
use crate::link::random::Random;

/// RFC 8981 section 3.8.
const TEMP_VALID_LIFETIME: Duration = Duration::from_secs(2 * 86_400);
const TEMP_PREFERRED_LIFETIME: Duration = Duration::from_secs(86_400);
/// MAX_DESYNC_FACTOR: 0.4 times the preferred lifetime.
const MAX_DESYNC_FACTOR: Duration = Duration::from_secs(86_400 * 2 / 5);
/// REGEN_ADVANCE: 2 + (TEMP_IDGEN_RETRIES * DupAddrDetectTransmits * RetransTimer / 1000) seconds.
const REGEN_ADVANCE: Duration = Duration::from_secs(5);
/// After so many addresses that others had, none is tried any more.
const TEMP_IDGEN_RETRIES: u32 = 3;
/// Temporary addresses at most: more than one a prefix, for the former one is still valid.
pub(super) const MAX_TEMPORARY: usize = 32;

/// A temporary address. It is valid and preferred no longer than its prefix, and no longer than these.
#[derive(Clone, Copy, Debug)]
struct Temporary {
    prefix: Ipv6Cidr,
    address: Ipv6Cidr,
    preferred: Instant,
    valid: Instant,
}

/// The temporary addresses of an adapter.
#[derive(Debug, Default)]
pub(super) struct TemporaryAddresses {
    wanted: bool,
    /// Oldest first.
    list: Vec<Temporary>,
    failures: u32,
    /// When the next is to be made.
    next: Option<Instant>,
}

impl TemporaryAddresses {
    /// Turned off, the addresses that there are go. True when there were some.
    pub(super) fn enable(&mut self, on: bool) -> bool {
        self.wanted = on;
        self.failures = 0;
        let gone = !on && !self.list.is_empty();
        if gone {
            self.list.clear();
        }
        gone
    }

    /// Another station has this address: another one is made (RFC 8981 section 3.4, step 7). True when it was ours.
    pub(super) fn failed(&mut self, address: Ipv6Cidr) -> bool {
        let before = self.list.len();
        self.list.retain(|temporary| temporary.address != address);
        let ours = self.list.len() != before;
        if ours {
            self.failures = self.failures.saturating_add(1);
        }
        ours
    }

    /// Makes addresses where they are due, and takes away what is over. True when something changed.
    pub(super) fn update(
        &mut self,
        now: Instant,
        prefixes: &[Autonomous],
        random: &mut Random,
        counters: &mut AutoconfCounters,
    ) -> bool {
        let before = self.list.len();
        self.list.retain(|temporary| {
            let prefix = prefix_of(temporary, prefixes);
            temporary.valid > now && prefix.is_some_and(|prefix| !prefix.valid.is_over(now))
        });
        let mut changed = self.list.len() != before;
        for prefix in prefixes {
            if self.due(prefix).is_some_and(|due| due <= now) && is_worth_it(now, prefix) {
                if self.list.len() >= MAX_TEMPORARY {
                    self.list.remove(0);
                }
                self.list.push(generate(now, prefix, random));
                count(&mut counters.temporary_begun);
                changed = true;
            }
        }
        let due = prefixes
            .iter()
            .filter_map(|prefix| self.due(prefix).filter(|due| is_worth_it(*due, prefix)));
        self.next = due.filter(|due| *due > now).min();
        changed
    }

    /// When [`TemporaryAddresses::update`] is wanted next, if nothing else changes before.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let ends = self.list.iter().map(|temporary| temporary.valid);
        ends.chain(self.next).min()
    }

    /// The addresses with the ends of their preferred and valid times: RFC 8981 section 3.4, steps 2 to 4.
    pub(super) fn addresses(
        &self,
        prefixes: &[Autonomous],
    ) -> impl Iterator<Item = (Ipv6Cidr, Until, Until)> {
        self.list.iter().filter_map(|temporary| {
            let prefix = prefix_of(temporary, prefixes)?;
            Some((
                temporary.address,
                prefix.preferred.min(Until::At(temporary.preferred)),
                prefix.valid.min(Until::At(temporary.valid)),
            ))
        })
    }

    /// When the next address in this prefix is to be made: RFC 8981 section 3.5. At any time that has passed for the
    /// first.
    fn due(&self, prefix: &Autonomous) -> Option<Instant> {
        if !self.wanted || self.failures >= TEMP_IDGEN_RETRIES {
            return None;
        }
        let newest = self
            .list
            .iter()
            .rfind(|temporary| temporary.prefix == prefix.prefix);
        Some(newest.map_or(Instant::ZERO, |newest| newest.preferred - REGEN_ADVANCE))
    }
}

/// RFC 8981 section 3.4, step 5: one that would be preferred for no longer than the next takes is not made.
fn is_worth_it(now: Instant, prefix: &Autonomous) -> bool {
    prefix.preferred > Until::At(now + REGEN_ADVANCE)
}

fn prefix_of<'p>(temporary: &Temporary, prefixes: &'p [Autonomous]) -> Option<&'p Autonomous> {
    prefixes
        .iter()
        .find(|prefix| prefix.prefix == temporary.prefix)
}

fn generate(now: Instant, prefix: &Autonomous, random: &mut Random) -> Temporary {
    let mut identifier = random.next_u64();
    // One that is reserved is as rare as two machines with the same: one more try is enough.
    if is_reserved(identifier) {
        identifier = random.next_u64();
    }
    // RFC 8981 section 3.8: drawn anew for each address, so that they do not all change together.
    let desync = random.between(Duration::ZERO, MAX_DESYNC_FACTOR);
    let network = prefix.prefix.address().to_bits();
    let address = Ipv6Addr::from_bits(network | u128::from(identifier));
    Temporary {
        prefix: prefix.prefix,
        address: Ipv6Cidr::new(address, prefix.prefix.prefix_len()),
        preferred: now + (TEMP_PREFERRED_LIFETIME - desync),
        valid: now + TEMP_VALID_LIFETIME,
    }
}

/// Identifiers that are not for hosts: RFC 5453 section 3.
fn is_reserved(identifier: u64) -> bool {
    /// Of the IANA's block, RFC 5453.
    const ETHERNET_BLOCK: u64 = 0x0200_5eff_fe00_0000;
    identifier == 0
        || identifier & !0xff_ffff == ETHERNET_BLOCK
        || (0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff).contains(&identifier)
}
