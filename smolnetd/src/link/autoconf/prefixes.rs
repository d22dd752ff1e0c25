//! Prefixes that routers announce: which are on the link (RFC 4861 section 6.3.4), and in which we have addresses
//! (RFC 4862 section 5.5).

use core::net::Ipv6Addr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::Ipv6Cidr;

use super::lifetime::Until;
use super::wire::{PrefixInformation, is_link_local};
use super::{AutoRoute, AutoconfCounters};
use crate::counters::count;
use crate::route::Preference;

/// Prefixes of either sort at most. A full list takes no others until one of its own ends: an address in use must not
/// give way to a newcomer, and who announces a thousand prefixes gets no thousand addresses out of us.
pub(super) const MAX_PREFIXES: usize = 16;
/// RFC 4862 section 5.5.3 (e).
const TWO_HOURS: Duration = Duration::from_secs(2 * 3600);
/// The length that leaves 64 bits to the interface identifier (RFC 4291 section 2.5.1, RFC 2464 section 4).
const SLAAC_LENGTH: u8 = 64;

/// A prefix whose addresses are on the link.
#[derive(Clone, Copy, Debug)]
struct OnLink {
    prefix: Ipv6Cidr,
    until: Until,
    heard: Instant,
}

/// A prefix in which we have addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Autonomous {
    /// Of 64 bits.
    pub(super) prefix: Ipv6Cidr,
    pub(super) preferred: Until,
    pub(super) valid: Until,
    heard: Instant,
    /// Has its preferred time ended, as far as anybody was told?
    deprecated: bool,
}

/// The Prefix List, and the prefixes of addresses.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    on_link: Vec<OnLink>,
    autonomous: Vec<Autonomous>,
}

/// What an option, or time, has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) routes: bool,
    pub(super) addresses: bool,
}

impl Prefixes {
    /// Do we know this prefix?
    pub(super) fn contains(&self, option: &PrefixInformation) -> bool {
        let prefix = network(option.prefix, option.length);
        self.on_link
            .iter()
            .any(|known| Some(known.prefix) == prefix)
            || self
                .autonomous
                .iter()
                .any(|known| Some(known.prefix) == prefix)
    }

    /// A router announces a prefix.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        option: &PrefixInformation,
        counters: &mut AutoconfCounters,
    ) -> Changed {
        let prefix = network(option.prefix, option.length).filter(|prefix| is_usable(*prefix));
        let Some(prefix) = prefix else {
            count(&mut counters.option_unusable);
            return Changed::default();
        };
        Changed {
            routes: option.on_link && self.learn_on_link(now, prefix, option.valid, counters),
            addresses: option.autonomous && self.learn_autonomous(now, prefix, option, counters),
        }
    }

    /// RFC 4861 section 6.3.4, the L flag. Without it the option says nothing of what is on the link, not even that
    /// something no longer is.
    fn learn_on_link(
        &mut self,
        now: Instant,
        prefix: Ipv6Cidr,
        valid: u32,
        counters: &mut AutoconfCounters,
    ) -> bool {
        let until = Until::after(now, valid);
        let full = self.on_link.len() >= MAX_PREFIXES;
        let known = self.on_link.iter_mut().find(|known| known.prefix == prefix);
        match known {
            Some(known) => {
                known.heard = now;
                core::mem::replace(&mut known.until, until) != until
            }
            None if valid == 0 => false,
            None if full => {
                count(&mut counters.prefix_table_full);
                false
            }
            None => {
                self.on_link.push(OnLink {
                    prefix,
                    until,
                    heard: now,
                });
                true
            }
        }
    }

    /// RFC 4862 section 5.5.3, the A flag.
    fn learn_autonomous(
        &mut self,
        now: Instant,
        prefix: Ipv6Cidr,
        option: &PrefixInformation,
        counters: &mut AutoconfCounters,
    ) -> bool {
        // (c)
        if option.preferred > option.valid {
            count(&mut counters.prefix_bad_lifetimes);
            return false;
        }
        // (d): the prefix and the identifier make 128 bits.
        if prefix.prefix_len() != SLAAC_LENGTH {
            count(&mut counters.prefix_not_64);
            return false;
        }
        let full = self.autonomous.len() >= MAX_PREFIXES;
        let known = self
            .autonomous
            .iter_mut()
            .find(|known| known.prefix == prefix);
        match known {
            Some(known) => known.renew(now, option, counters),
            None if option.valid == 0 => false,
            None if full => {
                count(&mut counters.prefix_table_full);
                false
            }
            None => {
                let preferred = Until::after(now, option.preferred);
                self.autonomous.push(Autonomous {
                    prefix,
                    preferred,
                    valid: Until::after(now, option.valid),
                    heard: now,
                    deprecated: preferred.is_over(now),
                });
                count(&mut counters.address_begun);
                true
            }
        }
    }

    /// Takes away what is over, and sees what has become deprecated (RFC 4862 section 5.5.4).
    pub(super) fn expire(&mut self, now: Instant, counters: &mut AutoconfCounters) -> Changed {
        let before = (self.on_link.len(), self.autonomous.len());
        self.on_link.retain(|known| !known.until.is_over(now));
        self.autonomous.retain(|known| {
            let over = known.valid.is_over(now);
            if over {
                count(&mut counters.address_expired);
            }
            !over
        });
        let mut addresses = self.autonomous.len() != before.1;
        for known in &mut self.autonomous {
            let deprecated = known.preferred.is_over(now);
            addresses |= core::mem::replace(&mut known.deprecated, deprecated) != deprecated;
        }
        Changed {
            routes: self.on_link.len() != before.0,
            addresses,
        }
    }

    /// Takes away what was not announced since then.
    pub(super) fn forget_before(&mut self, since: Instant) {
        self.on_link.retain(|known| known.heard >= since);
        self.autonomous.retain(|known| known.heard >= since);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let on_link = self.on_link.iter().map(|known| known.until);
        let valid = self.autonomous.iter().map(|known| known.valid);
        let preferred = self
            .autonomous
            .iter()
            .filter(|known| !known.deprecated)
            .map(|known| known.preferred);
        on_link
            .chain(valid)
            .chain(preferred)
            .filter_map(Until::instant)
            .min()
    }

    pub(super) fn autonomous(&self) -> &[Autonomous] {
        &self.autonomous
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = AutoRoute> {
        self.on_link.iter().map(|known| AutoRoute {
            destination: known.prefix,
            gateway: None,
            preference: Preference::Medium,
            expires: known.until.instant(),
        })
    }
}

impl Autonomous {
    /// RFC 4862 section 5.5.3 (e): the preferred lifetime is what it says; the valid one may be made longer, or two
    /// hours, but nobody ends an address at once by one packet.
    fn renew(
        &mut self,
        now: Instant,
        option: &PrefixInformation,
        counters: &mut AutoconfCounters,
    ) -> bool {
        let before = (self.preferred, self.valid);
        let offered = Until::after(now, option.valid);
        let two_hours = Until::At(now + TWO_HOURS);
        self.heard = now;
        if offered > two_hours || offered > self.valid {
            self.valid = offered;
        } else {
            if offered < self.valid {
                count(&mut counters.prefix_two_hours);
            }
            self.valid = self.valid.min(two_hours);
        }
        self.preferred = Until::after(now, option.preferred);
        self.deprecated = self.preferred.is_over(now);
        before != (self.preferred, self.valid)
    }
}

/// A prefix that a network can have: not link-local (RFC 4862 section 5.5.3 (b), RFC 4861 section 4.6.2), not
/// multicast, not loopback, and not everything there is.
fn is_usable(prefix: Ipv6Cidr) -> bool {
    let address = prefix.address();
    prefix.prefix_len() > 0
        && !(is_link_local(address)
            || address.is_multicast()
            || address.is_loopback()
            || address.is_unspecified())
}

/// The prefix without host bits; `None` for a length that there is not.
pub(super) fn network(address: Ipv6Addr, length: u8) -> Option<Ipv6Cidr> {
    let host_bits = 128_u32.checked_sub(length.into())?;
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    let network = Ipv6Addr::from_bits(address.to_bits() & mask);
    Some(Ipv6Cidr::new(network, length))
}
