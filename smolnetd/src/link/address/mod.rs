//! The addresses of one adapter, and how others are asked and told of them.
//!
//! IPv4 follows RFC 5227, as far as it does not keep a user waiting: an address is in use from the moment it is added;
//! one probe asks whether somebody else has it, and after a second without an answer it is announced twice. IPv6
//! follows RFC 4862: an address is tentative until nobody has claimed it.

mod autoconfigured;
mod dad;
mod identifier;
mod types;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpCidr;

use super::ndp::wire::Nonce;
use super::random::Random;
use crate::route::is_host;

pub use self::autoconfigured::{Autoconfigured, Identity};
pub(super) use self::dad::Standing;
pub(super) use self::identifier::Identifiers;
pub use self::types::{AddressError, AddressOrigin, AddressState, LinkAddress};

/// Addresses that an adapter may have.
pub const MAX_ADDRESSES: usize = 64;

/// How long an answer to the probe is waited for. RFC 5227 section 1.1 has three probes and up to seven seconds.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// RFC 5227 section 1.1: ANNOUNCE_INTERVAL
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// RFC 5227 section 1.1: ANNOUNCE_NUM
const ANNOUNCE_NUM: u8 = 2;
/// RFC 5227 section 1.1: DEFEND_INTERVAL
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// How far others have been asked and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is to be said: the link is down, is no Ethernet, or the address is another's.
    Quiet,
    /// IPv6: the next solicitation is due, or, when all have been sent, the address is unique (RFC 4862 section 5.4.1).
    Detect { sent: u8, at: Instant },
    /// The probe is due.
    Probe { at: Instant },
    /// The probe may still be answered; then, and after that, the address is announced.
    Announce { sent: u8, at: Instant },
    /// Everything has been said.
    Settled,
}

/// What is due about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// "Does anybody have this?" (RFC 5227 section 1.1)
    Probe(Ipv4Addr),
    /// "I have this." (RFC 5227 section 1.1)
    Announce(Ipv4Addr),
    /// "Does anybody have this?" (RFC 4862 section 5.4.2)
    Solicit(Ipv6Addr, Nonce),
    /// Nobody had it: it may be used.
    Usable(IpCidr),
    /// Its preferred lifetime is over (RFC 4862 section 5.5.4).
    Deprecated(IpCidr),
    /// Its valid lifetime is over, and it has been taken away.
    Expired(IpCidr),
}

/// What to do about another station that claims an address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// We have only just taken it: it is the other's, and is not announced.
    Withdraw,
    /// Announce it once more.
    Defend,
    /// Nothing: it was announced lately (two that defend one address must not flood the link), or it is the other's.
    Bear,
}

#[derive(Debug)]
struct Entry {
    stage: Stage,
    defended: Option<Instant>,
    /// What our own solicitations for it can be told by (RFC 7527 section 4.1).
    nonce: Nonce,
    /// DAD_Counter of RFC 7217 section 5: how often its identifier was found taken.
    collisions: u8,
}

/// The addresses of one adapter.
#[derive(Debug)]
pub(super) struct Addresses {
    list: Vec<LinkAddress>,
    /// One for each of `list`, in the same order.
    entries: Vec<Entry>,
    /// Are there others who could be asked and told: is it Ethernet?
    shared: bool,
    /// Is there a carrier?
    up: bool,
    identifiers: Option<Identifiers>,
    /// RFC 4862 section 5.1: DupAddrDetectTransmits
    dad_transmits: u8,
    /// RFC 4861 section 6.3.2: RetransTimer
    retrans_timer: Duration,
    random: Random,
}

impl Addresses {
    pub(super) fn new(shared: bool, up: bool, random: Random) -> Addresses {
        Addresses {
            list: Vec::new(),
            entries: Vec::new(),
            shared,
            up,
            identifiers: None,
            dad_transmits: dad::DUP_ADDR_DETECT_TRANSMITS,
            retrans_timer: dad::RETRANS_TIMER,
            random,
        }
    }

    pub(super) fn list(&self) -> &[LinkAddress] {
        &self.list
    }

    /// Is `address` one that may be used?
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let is_it = |own: &LinkAddress| own.address() == address && own.state.is_usable();
        self.list.iter().any(is_it)
    }

    /// Is `address` ours, or about to be?
    pub(super) fn owns(&self, address: IpAddr) -> bool {
        let is_it =
            |own: &LinkAddress| own.address() == address && own.state != AddressState::Duplicate;
        self.list.iter().any(is_it)
    }

    /// Is `address` the broadcast address of a network that we are on, or the limited one?
    pub(super) fn is_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else {
            return false;
        };
        address.is_broadcast() || self.list.iter().any(|own| own.broadcast() == Some(address))
    }

    /// Is `address` in a network that we are on?
    pub(super) fn is_on_link(&self, address: IpAddr) -> bool {
        self.list
            .iter()
            .any(|own| own.cidr.contains_addr(&address.into()))
    }

    /// The address to speak from to `peer`: that whose network contains it most closely, else the first of its
    /// family; of IPv6 rather one that is preferred, and none of the link alone.
    pub(super) fn source_for(&self, peer: IpAddr) -> Option<IpAddr> {
        let of_family = self
            .list
            .iter()
            .filter(|own| own.address().is_ipv4() == peer.is_ipv4() && own.state.is_usable());
        let rank = |own: &&LinkAddress| {
            let around = own.cidr.contains_addr(&peer.into());
            (
                around.then(|| own.cidr.prefix_len()),
                own.state == AddressState::Preferred,
                !own.is_link_local(),
            )
        };
        // `max_by_key` prefers the last of equals; the first added is wanted.
        of_family.rev().max_by_key(rank).map(LinkAddress::address)
    }

    /// Adds an address, or changes the prefix and origin of one that is there. Others are told of a new one.
    pub(super) fn add(
        &mut self,
        now: Instant,
        cidr: IpCidr,
        origin: AddressOrigin,
    ) -> Result<(), AddressError> {
        if !is_assignable(cidr) {
            return Err(AddressError::Invalid);
        }
        let address = LinkAddress::new(cidr, origin);
        let known = self
            .list
            .iter()
            .position(|own| own.address() == address.address());
        match known {
            Some(place) => self.replace(now, place, address),
            None => self.push(now, address)?,
        }
        Ok(())
    }

    /// Changes the prefix and origin of an address. Whoever configures a duplicate once more wants others to be asked
    /// once more.
    fn replace(&mut self, now: Instant, place: usize, address: LinkAddress) {
        let stage = self.first_stage(now, &address);
        let (Some(own), Some(entry)) = (self.list.get_mut(place), self.entries.get_mut(place))
        else {
            return;
        };
        let state = match own.state {
            AddressState::Preferred | AddressState::Deprecated => AddressState::Preferred,
            AddressState::Tentative => AddressState::Tentative,
            AddressState::Duplicate => {
                entry.stage = stage;
                AddressState::Tentative
            }
        };
        *own = LinkAddress { state, ..address };
    }

    fn push(&mut self, now: Instant, mut address: LinkAddress) -> Result<(), AddressError> {
        if self.list.len() >= MAX_ADDRESSES {
            return Err(AddressError::TooMany);
        }
        if address.address().is_ipv6() && self.shared {
            address.state = AddressState::Tentative;
        }
        let stage = self.first_stage(now, &address);
        self.entries.push(Entry {
            stage,
            defended: None,
            nonce: self.random.next_nonce(),
            collisions: 0,
        });
        self.list.push(address);
        Ok(())
    }

    /// Takes an address away, whatever its prefix.
    pub(super) fn remove(&mut self, address: IpAddr) -> Option<LinkAddress> {
        let place = self.list.iter().position(|own| own.address() == address)?;
        if place < self.entries.len() {
            self.entries.remove(place);
        }
        Some(self.list.remove(place))
    }

    /// The carrier came (ask and tell everything anew: others may have taken our addresses meanwhile) or went.
    pub(super) fn set_up(&mut self, now: Instant, up: bool) {
        self.up = up;
        for place in 0..self.list.len() {
            let Some(own) = self.list.get_mut(place) else {
                continue;
            };
            let detect = up && self.shared && own.address().is_ipv6();
            if detect {
                own.state = AddressState::Tentative;
            }
            let own = *own;
            // RFC 4862 section 5.4.2: what comes first after the carrier comes a random moment later.
            let stage = match detect {
                true => Stage::Detect {
                    sent: 0,
                    at: self.in_a_moment(now),
                },
                false => self.first_stage(now, &own),
            };
            if let Some(entry) = self.entries.get_mut(place) {
                entry.stage = stage;
            }
        }
    }

    fn first_stage(&mut self, now: Instant, address: &LinkAddress) -> Stage {
        match address.cidr {
            _ if !self.up || !self.shared => Stage::Quiet,
            IpCidr::Ipv4(_) => Stage::Probe { at: now },
            IpCidr::Ipv6(_) => self.first_detection(now, address.origin),
        }
    }

    /// One thing that is due now, with the stage already moved on; to be called until there is none.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Due> {
        self.poll_lifetimes(now)
            .or_else(|| self.poll_announcements(now))
            .or_else(|| self.poll_detection(now))
    }

    fn poll_announcements(&mut self, now: Instant) -> Option<Due> {
        for (own, entry) in self.list.iter().zip(&mut self.entries) {
            let IpAddr::V4(address) = own.address() else {
                continue;
            };
            match entry.stage {
                Stage::Probe { at } if at <= now => {
                    entry.stage = Stage::Announce {
                        sent: 0,
                        at: now + PROBE_WAIT,
                    };
                    return Some(Due::Probe(address));
                }
                Stage::Announce { sent, at } if at <= now => {
                    let sent = sent.saturating_add(1);
                    entry.stage = match sent {
                        ANNOUNCE_NUM.. => Stage::Settled,
                        _ => Stage::Announce {
                            sent,
                            at: now + ANNOUNCE_INTERVAL,
                        },
                    };
                    return Some(Due::Announce(address));
                }
                _ => {}
            }
        }
        None
    }

    /// When [`Addresses::poll`] is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let stages = self.entries.iter().filter_map(|entry| match entry.stage {
            Stage::Probe { at } | Stage::Announce { at, .. } | Stage::Detect { at, .. } => Some(at),
            Stage::Quiet | Stage::Settled => None,
        });
        let lifetimes = self.list.iter().filter_map(LinkAddress::next_deadline);
        stages.chain(lifetimes).min()
    }

    /// Was `address` taken so lately that another station's probe for it counts as a claim (RFC 5227 section 2.1.1)?
    pub(super) fn is_tentative(&self, address: IpAddr) -> bool {
        self.entry(address)
            .is_some_and(|entry| entry.stage.is_tentative())
    }

    /// Another station claims `address`: RFC 5227 section 2.4. Once announced, an address is kept and defended (the
    /// section's choice (c)), else two forged packets would take it, and with it every connection, away.
    pub(super) fn conflict(&mut self, now: Instant, address: IpAddr) -> Option<Conflict> {
        let place = self.list.iter().position(|own| own.address() == address)?;
        let entry = self.entries.get_mut(place)?;
        if entry.stage.is_tentative() {
            entry.stage = Stage::Quiet;
            return Some(Conflict::Withdraw);
        }
        let lately = entry
            .defended
            .is_some_and(|defended| now < defended + DEFEND_INTERVAL);
        if lately || entry.stage == Stage::Quiet {
            return Some(Conflict::Bear);
        }
        entry.defended = Some(now);
        Some(Conflict::Defend)
    }

    fn entry(&self, address: IpAddr) -> Option<&Entry> {
        let place = self.list.iter().position(|own| own.address() == address)?;
        self.entries.get(place)
    }
}

impl Stage {
    fn is_tentative(&self) -> bool {
        matches!(self, Stage::Probe { .. } | Stage::Announce { sent: 0, .. })
    }
}

/// Can a host have this address in this network?
pub(crate) fn is_assignable(cidr: IpCidr) -> bool {
    let address: IpAddr = cidr.address().into();
    let in_network = match cidr {
        // RFC 1122 section 3.2.1.3: host parts of all zeros and all ones are not a host's. RFC 3021 and single hosts
        // have neither. RFC 1122 also keeps 0.0.0.0/8 for "this network", and RFC 1112 240.0.0.0/4 for later.
        IpCidr::Ipv4(cidr) => {
            let special = cidr.address() == cidr.network().address()
                || cidr.broadcast() == Some(cidr.address());
            let [first, ..] = cidr.address().octets();
            cidr.prefix_len() > 0
                && (1..=239).contains(&first)
                && (cidr.prefix_len() > 30 || !special)
        }
        IpCidr::Ipv6(cidr) => cidr.prefix_len() > 0,
    };
    in_network && is_host(address)
}
