//! Duplicate address detection (RFC 4862 section 5.4), and another identifier when one is taken (RFC 7217 section 6).

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpCidr, Ipv6Cidr};

use super::{AddressOrigin, AddressState, Addresses, Due, Entry, LinkAddress, Stage};

/// RFC 4862 section 5.1
pub(super) const DUP_ADDR_DETECT_TRANSMITS: u8 = 1;
/// RFC 4861 section 10
pub(super) const RETRANS_TIMER: Duration = Duration::from_secs(1);
/// RFC 4861 section 10: MAX_RTR_SOLICITATION_DELAY, the longest that RFC 4862 section 5.4.2 has a host wait so that
/// not all of them speak at once.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// RFC 7217 section 6, and RFC 8981 section 3.8: TEMP_IDGEN_RETRIES
const IDGEN_RETRIES: u8 = 3;

/// What an address is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) enum Standing {
    /// Ours for sure.
    Assigned,
    /// Ours, unless somebody has it.
    Tentative,
    /// Not ours.
    Foreign,
}

impl Addresses {
    /// RFC 4862 section 5.4.2: an address that every host on the link may be making at this moment is asked for after
    /// a random delay; one that somebody wants to use now is not kept waiting.
    pub(super) fn first_detection(&mut self, now: Instant, origin: AddressOrigin) -> Stage {
        let at = match origin {
            AddressOrigin::Static | AddressOrigin::Dhcp => now,
            _ => self.in_a_moment(now),
        };
        Stage::Detect { sent: 0, at }
    }

    /// RFC 4862 section 5.4.2: asks as often as configured; who has not been contradicted a RetransTimer later, is unique.
    pub(super) fn poll_detection(&mut self, now: Instant) -> Option<Due> {
        for (own, entry) in self.list.iter_mut().zip(&mut self.entries) {
            let (Stage::Detect { sent, at }, IpAddr::V6(address)) = (entry.stage, own.address())
            else {
                continue;
            };
            if at > now {
                continue;
            }
            if sent >= self.dad_transmits {
                entry.stage = Stage::Settled;
                own.state = own.state_at(now);
                return Some(Due::Usable(own.cidr));
            }
            entry.stage = Stage::Detect {
                sent: sent.saturating_add(1),
                at: now + self.retrans_timer,
            };
            return Some(Due::Solicit(address, entry.nonce));
        }
        None
    }

    /// A question about `address` found no room: it does not count, and is asked a RetransTimer later.
    pub(in crate::link) fn not_asked(&mut self, address: Ipv6Addr) {
        let place = self
            .list
            .iter()
            .position(|own| own.address() == IpAddr::V6(address));
        let entry = place.and_then(|place| self.entries.get_mut(place));
        if let Some(Stage::Detect { sent, .. }) = entry.map(|entry| &mut entry.stage) {
            *sent = sent.saturating_sub(1);
        }
    }

    pub(in crate::link) fn set_retrans_timer(&mut self, time: Duration) {
        self.retrans_timer = time;
    }

    pub(super) fn in_a_moment(&mut self, now: Instant) -> Instant {
        now + self.random.between(Duration::ZERO, MAX_DELAY)
    }

    pub(in crate::link) fn standing(&self, address: Ipv6Addr) -> Standing {
        let own = self
            .list
            .iter()
            .find(|own| own.address() == IpAddr::V6(address));
        match own.map(|own| own.state) {
            Some(AddressState::Tentative) => Standing::Tentative,
            Some(AddressState::Preferred | AddressState::Deprecated) => Standing::Assigned,
            Some(AddressState::Duplicate) | None => Standing::Foreign,
        }
    }

    /// RFC 7527 section 4.2: is this the nonce of our own solicitation for `address`, which came back to us?
    pub(in crate::link) fn is_own_nonce(&self, address: Ipv6Addr, nonce: Option<&[u8]>) -> bool {
        self.entry(address.into())
            .is_some_and(|entry| nonce == Some(&entry.nonce))
    }

    /// The groups in which those who want our addresses are heard.
    pub(in crate::link) fn heard_at(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.list
            .iter()
            .zip(&self.entries)
            .filter(|(_, entry)| entry.stage.listens())
            .filter_map(|(own, _)| match own.address() {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            })
    }

    /// RFC 4862 section 5.4.5: somebody else has the tentative `address`. One that we made ourselves gives way to
    /// another, a few times; then, and any other at once, it is a duplicate. Returns what it was.
    pub(in crate::link) fn duplicate(
        &mut self,
        now: Instant,
        address: Ipv6Addr,
    ) -> Option<LinkAddress> {
        let place = self.list.iter().position(|own| {
            own.address() == IpAddr::V6(address) && own.state == AddressState::Tentative
        })?;
        let taken = *self.list.get(place)?;
        let collisions = self.entries.get(place)?.collisions.saturating_add(1);
        let other = (collisions <= IDGEN_RETRIES)
            .then(|| self.another(&taken, collisions))
            .flatten();
        let at = self.in_a_moment(now);
        let nonce = self.random.next_nonce();
        let (own, entry) = (self.list.get_mut(place)?, self.entries.get_mut(place)?);
        if let Some(other) = other {
            own.cidr = IpCidr::Ipv6(other);
            *entry = Entry {
                stage: Stage::Detect { sent: 0, at },
                defended: None,
                nonce,
                collisions,
            };
        } else {
            own.state = AddressState::Duplicate;
            entry.stage = Stage::Quiet;
        }
        Some(taken)
    }

    /// RFC 7217 section 6: the next address instead of one that is taken.
    fn another(&self, taken: &LinkAddress, collisions: u8) -> Option<Ipv6Cidr> {
        let IpCidr::Ipv6(cidr) = taken.cidr else {
            return None;
        };
        match taken.origin {
            AddressOrigin::LinkLocal | AddressOrigin::Slaac => {
                self.identifiers.as_ref()?.again(cidr, collisions)
            }
            // A temporary address is made elsewhere, and so is the next.
            AddressOrigin::Static | AddressOrigin::Dhcp | AddressOrigin::Temporary => None,
        }
    }
}

impl Stage {
    /// Has the address's solicited-node group been joined? RFC 4862 section 5.4.2 does so just before it asks.
    fn listens(&self) -> bool {
        match self {
            Stage::Detect { sent, .. } => *sent > 0,
            Stage::Settled => true,
            Stage::Quiet | Stage::Probe { .. } | Stage::Announce { .. } => false,
        }
    }
}
