//! The addresses of one adapter, and how others are told of them: RFC 5227, as far as it does not keep a user
//! waiting. An address is in use from the moment it is added; one probe asks whether somebody else has it, and after
//! a second without an answer it is announced twice.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpCidr;

use crate::route::is_host;

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

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressOrigin {
    /// Configured by hand or by a file.
    Static,
    /// Granted by a DHCP server.
    Dhcp,
}

/// One address of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The address and the prefix of its network.
    pub cidr: IpCidr,
    /// Where it comes from.
    pub origin: AddressOrigin,
}

impl LinkAddress {
    /// The address without its prefix.
    pub fn address(&self) -> IpAddr {
        self.cidr.address().into()
    }

    /// The broadcast address of its network; `None` for IPv6 and for prefixes of 31 (RFC 3021) and 32.
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.cidr {
            IpCidr::Ipv4(cidr) => cidr.broadcast(),
            IpCidr::Ipv6(_) => None,
        }
    }
}

/// Why an address was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Not an address that a host may have on this kind of adapter: unspecified, broadcast, multicast, a network's
    /// own, or a loopback address elsewhere than on the loopback link.
    Invalid,
    /// The adapter has [`MAX_ADDRESSES`].
    TooMany,
}

/// How far others have been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is to be said: the link is down, is no Ethernet, the address is not IPv4, or it is another's.
    Quiet,
    /// The probe is due.
    Probe { at: Instant },
    /// The probe may still be answered; then, and after that, the address is announced.
    Announce { sent: u8, at: Instant },
    /// Everything has been said.
    Settled,
}

/// What others are to be told: RFC 5227 section 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announcement {
    /// "Does anybody have this?"
    Probe(Ipv4Addr),
    /// "I have this."
    Announce(Ipv4Addr),
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
}

/// The addresses of one adapter.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    list: Vec<LinkAddress>,
    /// One for each of `list`, in the same order.
    entries: Vec<Entry>,
}

impl Addresses {
    pub(super) fn list(&self) -> &[LinkAddress] {
        &self.list
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.list.iter().any(|own| own.address() == address)
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
    /// family.
    pub(super) fn source_for(&self, peer: IpAddr) -> Option<IpAddr> {
        let of_family = || {
            self.list
                .iter()
                .filter(|own| own.address().is_ipv4() == peer.is_ipv4())
        };
        let around = of_family().filter(|own| own.cidr.contains_addr(&peer.into()));
        // `max_by_key` prefers the last of equals; the first added is wanted.
        let closest = around.rev().max_by_key(|own| own.cidr.prefix_len());
        closest
            .or_else(|| of_family().next())
            .map(LinkAddress::address)
    }

    /// Adds an address, or changes the prefix and origin of one that is there. `announce` says whether others are to
    /// be told of a new one.
    pub(super) fn add(
        &mut self,
        now: Instant,
        address: LinkAddress,
        announce: bool,
    ) -> Result<(), AddressError> {
        if !is_assignable(address.cidr) {
            return Err(AddressError::Invalid);
        }
        if let Some(own) = self
            .list
            .iter_mut()
            .find(|own| own.address() == address.address())
        {
            *own = address;
            return Ok(());
        }
        if self.list.len() >= MAX_ADDRESSES {
            return Err(AddressError::TooMany);
        }
        self.list.push(address);
        let stage = if announce {
            first_stage(now, &address)
        } else {
            Stage::Quiet
        };
        self.entries.push(Entry {
            stage,
            defended: None,
        });
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

    /// The carrier came (tell everything anew: others may have taken our addresses meanwhile) or went.
    pub(super) fn set_up(&mut self, now: Instant, up: bool) {
        for (own, entry) in self.list.iter().zip(&mut self.entries) {
            entry.stage = if up {
                first_stage(now, own)
            } else {
                Stage::Quiet
            };
        }
    }

    /// One thing that others are to be told now, with the stage already moved on; to be called until there is none.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Announcement> {
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
                    return Some(Announcement::Probe(address));
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
                    return Some(Announcement::Announce(address));
                }
                _ => {}
            }
        }
        None
    }

    /// When [`Addresses::poll`] is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadline = |entry: &Entry| match entry.stage {
            Stage::Probe { at } | Stage::Announce { at, .. } => Some(at),
            Stage::Quiet | Stage::Settled => None,
        };
        self.entries.iter().filter_map(deadline).min()
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

fn first_stage(now: Instant, address: &LinkAddress) -> Stage {
    match address.cidr {
        IpCidr::Ipv4(_) => Stage::Probe { at: now },
        // Duplicate address detection of IPv6 is another protocol (RFC 4862 section 5.4).
        IpCidr::Ipv6(_) => Stage::Quiet,
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
