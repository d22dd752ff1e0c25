//! The neighbours on one link: how well each is known (the states of RFC 4861 section 7.3.2), what waits for it, and
//! when it has to be asked. Which packet asks (ARP, neighbour solicitation) is the caller's business.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smoltcp::time::{Duration, Instant};

use super::LinkCounters;
use super::random::Random;
use crate::counters::count;

/// RFC 4861 section 10: RETRANS_TIMER. It also keeps requests for one address a second apart, as RFC 1122 section
/// 2.3.2.1 demands.
const RETRANS_TIMER: Duration = Duration::from_secs(1);
/// RFC 4861 section 10: MAX_MULTICAST_SOLICIT
const MAX_MULTICAST_SOLICIT: u8 = 3;
/// RFC 4861 section 10: MAX_UNICAST_SOLICIT
const MAX_UNICAST_SOLICIT: u8 = 3;
/// RFC 4861 section 10: DELAY_FIRST_PROBE_TIME
const DELAY_FIRST_PROBE_TIME: Duration = Duration::from_secs(5);
/// RFC 4861 section 10: REACHABLE_TIME times MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR.
const REACHABLE_TIME: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(45));

/// Neighbours that are remembered.
pub(super) const MAX_NEIGHBOURS: usize = 512;
/// Of these, such as only made themselves known and were never sent anything.
pub(super) const MAX_STRANGERS: usize = 128;
/// Packets that may wait for one neighbour.
pub(super) const MAX_PENDING_PER_NEIGHBOUR: usize = 16;
/// Packets that may wait on one link.
pub(super) const MAX_PENDING: usize = 256;

/// How well a neighbour is known: RFC 4861 section 7.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Address resolution is going on; packets wait.
    Incomplete,
    /// Known to have answered lately.
    Reachable,
    /// Nothing is known of late; used as it is until someone sends.
    Stale,
    /// In use though stale: upper layers are given a moment to confirm it.
    Delay,
    /// Being asked by unicast.
    Probe,
}

/// [`NeighbourState`] with what belongs to it. Only the states that have a deadline need a timer; that a reachable
/// neighbour has become stale is noticed when it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Incomplete {
        asked: u8,
        deadline: Instant,
    },
    Reachable {
        mac: [u8; 6],
        until: Instant,
    },
    Stale {
        mac: [u8; 6],
    },
    Delay {
        mac: [u8; 6],
        deadline: Instant,
    },
    Probe {
        mac: [u8; 6],
        asked: u8,
        deadline: Instant,
    },
}

impl State {
    fn deadline(&self) -> Option<Instant> {
        match *self {
            State::Incomplete { deadline, .. }
            | State::Delay { deadline, .. }
            | State::Probe { deadline, .. } => Some(deadline),
            State::Reachable { .. } | State::Stale { .. } => None,
        }
    }

    fn mac(&self) -> Option<[u8; 6]> {
        match *self {
            State::Incomplete { .. } => None,
            State::Reachable { mac, .. }
            | State::Stale { mac }
            | State::Delay { mac, .. }
            | State::Probe { mac, .. } => Some(mac),
        }
    }

    /// The state as it is at `now`.
    fn at(self, now: Instant) -> State {
        match self {
            State::Reachable { mac, until } if until <= now => State::Stale { mac },
            state => state,
        }
    }

    fn name(&self) -> NeighbourState {
        match self {
            State::Incomplete { .. } => NeighbourState::Incomplete,
            State::Reachable { .. } => NeighbourState::Reachable,
            State::Stale { .. } => NeighbourState::Stale,
            State::Delay { .. } => NeighbourState::Delay,
            State::Probe { .. } => NeighbourState::Probe,
        }
    }
}

#[derive(Debug)]
struct Neighbour {
    state: State,
    /// When a packet of ours was last sent there; when it came in, for a stranger.
    last_used: Instant,
    /// It made itself known, and nothing was ever sent to it.
    stranger: bool,
    pending: VecDeque<Box<[u8]>>,
}

/// Where a packet for a neighbour goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// To this Ethernet address.
    Known([u8; 6]),
    /// Into the queue.
    Wait,
}

/// How a neighbour's Ethernet address came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It answered to us alone.
    Reply,
    /// It asked for us: it is about to speak to us.
    Request,
    /// Anything else: gratuitous replies, announcements, requests for others.
    Hearsay,
}

/// What follows from what was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// Nothing.
    Nothing,
    /// Its packets can be sent.
    Resolved,
    /// What was known is to be verified there, by unicast.
    Verify([u8; 6]),
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Ask for a neighbour: by broadcast, or by unicast to verify what is known.
    Ask {
        address: IpAddr,
        mac: Option<[u8; 6]>,
    },
    /// It did not answer; these packets waited.
    Failed {
        address: IpAddr,
        packets: Vec<Box<[u8]>>,
    },
}

/// The neighbours on one link.
#[derive(Debug)]
pub(super) struct Neighbours {
    entries: BTreeMap<IpAddr, Neighbour>,
    /// The deadlines of the states, and whose they are.
    timers: BTreeSet<(Instant, IpAddr)>,
    /// Those that came in as strangers, oldest first; whoever is none any more is passed over.
    strangers: VecDeque<IpAddr>,
    /// Packets that wait, all neighbours together.
    pending: usize,
    random: Random,
}

impl Neighbours {
    pub(super) fn new(random: Random) -> Neighbours {
        Neighbours {
            entries: BTreeMap::new(),
            timers: BTreeSet::new(),
            strangers: VecDeque::new(),
            pending: 0,
            random,
        }
    }

    /// Somebody wants to send to `address`; `None` when it is unknown: [`Neighbours::admit`] it, if it can be asked for.
    pub(super) fn resolve(&mut self, now: Instant, address: IpAddr) -> Option<Resolution> {
        let neighbour = self.entries.get_mut(&address)?;
        neighbour.last_used = now;
        neighbour.stranger = false;
        // Nobody overtakes those who still wait for room in the ring.
        let waits = !neighbour.pending.is_empty();
        let mac = match neighbour.state.at(now) {
            State::Incomplete { .. } => return Some(Resolution::Wait),
            State::Reachable { mac, .. } | State::Delay { mac, .. } | State::Probe { mac, .. } => {
                mac
            }
            // RFC 4861 section 7.3.3: the first packet to a stale neighbour starts the delay.
            State::Stale { mac } => {
                self.set_state(
                    address,
                    State::Delay {
                        mac,
                        deadline: now + DELAY_FIRST_PROBE_TIME,
                    },
                );
                mac
            }
        };
        Some(if waits {
            Resolution::Wait
        } else {
            Resolution::Known(mac)
        })
    }

    /// Takes in an unknown neighbour, which the caller asks for once, by broadcast; the timer asks again.
    pub(super) fn admit(&mut self, now: Instant, address: IpAddr, counters: &mut LinkCounters) {
        self.make_room(now, counters);
        let state = State::Incomplete {
            asked: 1,
            deadline: now + RETRANS_TIMER,
        };
        self.insert(
            address,
            Neighbour {
                state,
                last_used: now,
                stranger: false,
                pending: VecDeque::new(),
            },
        );
    }

    /// Has `packet` wait for `address`. The oldest packet for the same neighbour gives way when too many wait (RFC
    /// 4861 section 7.2.2); false when there is none that could.
    pub(super) fn enqueue(
        &mut self,
        address: IpAddr,
        packet: Box<[u8]>,
        counters: &mut LinkCounters,
    ) -> bool {
        let Some(neighbour) = self.entries.get_mut(&address) else {
            return false;
        };
        if neighbour.pending.len() >= MAX_PENDING_PER_NEIGHBOUR || self.pending >= MAX_PENDING {
            if neighbour.pending.pop_front().is_none() {
                count(&mut counters.pending_full);
                return false;
            }
            self.pending = self.pending.saturating_sub(1);
            count(&mut counters.pending_overflow);
        }
        neighbour.pending.push_back(packet);
        self.pending = self.pending.saturating_add(1);
        true
    }

    /// The Ethernet address of a neighbour and the length of the packet that waits for it first.
    pub(super) fn first_pending(&self, address: IpAddr) -> Option<([u8; 6], usize)> {
        let neighbour = self.entries.get(&address)?;
        Some((neighbour.state.mac()?, neighbour.pending.front()?.len()))
    }

    /// Takes the packet that waits first.
    pub(super) fn pop_pending(&mut self, address: IpAddr) -> Option<Box<[u8]>> {
        let packet = self.entries.get_mut(&address)?.pending.pop_front()?;
        self.pending = self.pending.saturating_sub(1);
        Some(packet)
    }

    /// `address` is said to be at `mac`.
    ///
    /// RFC 826: an entry that is there is updated; one is made only for who asks for us. A claim that was not asked
    /// for never replaces what is known to be good: that is verified instead, and forgotten when it does not answer,
    /// so that a neighbour's new adapter is found in seconds and an impostor is not believed.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        address: IpAddr,
        mac: [u8; 6],
        evidence: Evidence,
        counters: &mut LinkCounters,
    ) -> Learned {
        let Some(neighbour) = self.entries.get(&address) else {
            match evidence {
                Evidence::Request => self.admit_stranger(now, address, mac, counters),
                Evidence::Reply | Evidence::Hearsay => count(&mut counters.arp_rx_not_learned),
            }
            return Learned::Nothing;
        };
        match (neighbour.state.at(now), evidence) {
            (State::Incomplete { .. }, Evidence::Reply) => {
                self.set_reachable(now, address, mac);
                Learned::Resolved
            }
            // RFC 4861 section 7.2.3: that it speaks does not prove that it hears.
            (State::Incomplete { .. }, _) => {
                self.set_state(
                    address,
                    State::Delay {
                        mac,
                        deadline: now + DELAY_FIRST_PROBE_TIME,
                    },
                );
                Learned::Resolved
            }
            (State::Probe { mac: known, .. }, Evidence::Reply) if known == mac => {
                self.set_reachable(now, address, mac);
                Learned::Nothing
            }
            (state, _) if state.mac() == Some(mac) => Learned::Nothing,
            (State::Reachable { mac: known, .. }, _) => {
                count(&mut counters.arp_rx_contradictions);
                self.set_state(
                    address,
                    State::Probe {
                        mac: known,
                        asked: 1,
                        deadline: now + RETRANS_TIMER,
                    },
                );
                Learned::Verify(known)
            }
            (State::Probe { .. }, _) => {
                count(&mut counters.arp_rx_contradictions);
                Learned::Nothing
            }
            (State::Delay { deadline, .. }, _) => {
                self.set_state(address, State::Delay { mac, deadline });
                Learned::Nothing
            }
            (State::Stale { .. }, _) => {
                self.set_state(address, State::Stale { mac });
                Learned::Nothing
            }
        }
    }

    /// An upper layer has proof that `address` hears us: RFC 4861 section 7.3.1.
    pub(super) fn confirm(&mut self, now: Instant, address: IpAddr) {
        let Some(neighbour) = self.entries.get(&address) else {
            return;
        };
        match neighbour.state {
            State::Incomplete { .. } => {}
            // Proof comes with every acknowledgement; one in a while is enough.
            State::Reachable { until, .. } if until >= now + REACHABLE_TIME.0 => {}
            State::Reachable { mac, .. }
            | State::Stale { mac }
            | State::Delay { mac, .. }
            | State::Probe { mac, .. } => self.set_reachable(now, address, mac),
        }
    }

    /// One thing that is due at `now`, with the state already moved on; to be called until there is none.
    pub(super) fn poll(&mut self, now: Instant, counters: &mut LinkCounters) -> Option<Due> {
        loop {
            let &(deadline, address) = self
                .timers
                .first()
                .filter(|(deadline, _)| *deadline <= now)?;
            let Some(neighbour) = self.entries.get(&address) else {
                // Cannot be, for whoever goes takes its timer along; a timer without an owner must not stop the rest.
                self.timers.remove(&(deadline, address));
                continue;
            };
            let again = now + RETRANS_TIMER;
            match neighbour.state {
                State::Incomplete { asked, .. } if asked < MAX_MULTICAST_SOLICIT => {
                    self.set_state(
                        address,
                        State::Incomplete {
                            asked: asked.saturating_add(1),
                            deadline: again,
                        },
                    );
                    return Some(Due::Ask { address, mac: None });
                }
                State::Incomplete { .. } => {
                    count(&mut counters.neighbour_failed);
                    let packets = self.remove(address);
                    return Some(Due::Failed { address, packets });
                }
                State::Delay { mac, .. } => {
                    self.set_state(
                        address,
                        State::Probe {
                            mac,
                            asked: 1,
                            deadline: again,
                        },
                    );
                    return Some(Due::Ask {
                        address,
                        mac: Some(mac),
                    });
                }
                State::Probe { mac, asked, .. } if asked < MAX_UNICAST_SOLICIT => {
                    let asked = asked.saturating_add(1);
                    self.set_state(
                        address,
                        State::Probe {
                            mac,
                            asked,
                            deadline: again,
                        },
                    );
                    return Some(Due::Ask {
                        address,
                        mac: Some(mac),
                    });
                }
                // RFC 4861 section 7.3.3: the entry is discarded, so that the next packet starts a resolution of its
                // own; packets that already wait do so at once.
                State::Probe { .. } if neighbour.pending.is_empty() => {
                    self.remove(address);
                }
                State::Probe { .. } => {
                    self.set_state(
                        address,
                        State::Incomplete {
                            asked: 1,
                            deadline: again,
                        },
                    );
                    return Some(Due::Ask { address, mac: None });
                }
                State::Reachable { .. } | State::Stale { .. } => {
                    self.timers.remove(&(deadline, address));
                }
            }
        }
    }

    /// When [`Neighbours::poll`] is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(deadline, _)| *deadline)
    }

    /// Forgets everybody. Returns how many packets waited.
    pub(super) fn clear(&mut self) -> usize {
        self.entries.clear();
        self.timers.clear();
        self.strangers.clear();
        core::mem::take(&mut self.pending)
    }

    /// How many packets wait.
    #[cfg(test)]
    pub(super) fn pending(&self) -> usize {
        self.entries.values().map(|neighbour| neighbour.pending.len()).sum()
    }

    /// Is anything known of `address`?
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.entries.contains_key(&address)
    }

    /// Everybody, by address.
    pub(super) fn iter(
        &self,
        now: Instant,
    ) -> impl Iterator<Item = (IpAddr, Option<[u8; 6]>, NeighbourState)> {
        self.entries.iter().map(move |(address, neighbour)| {
            let state = neighbour.state.at(now);
            (*address, state.mac(), state.name())
        })
    }

    fn set_reachable(&mut self, now: Instant, address: IpAddr, mac: [u8; 6]) {
        let until = now + self.random.between(REACHABLE_TIME.0, REACHABLE_TIME.1);
        self.set_state(address, State::Reachable { mac, until });
    }

    fn set_state(&mut self, address: IpAddr, state: State) {
        let Some(neighbour) = self.entries.get_mut(&address) else {
            return;
        };
        if let Some(deadline) = neighbour.state.deadline() {
            self.timers.remove(&(deadline, address));
        }
        if let Some(deadline) = state.deadline() {
            self.timers.insert((deadline, address));
        }
        neighbour.state = state;
    }

    fn insert(&mut self, address: IpAddr, neighbour: Neighbour) {
        if let Some(deadline) = neighbour.state.deadline() {
            self.timers.insert((deadline, address));
        }
        self.entries.insert(address, neighbour);
    }

    fn remove(&mut self, address: IpAddr) -> Vec<Box<[u8]>> {
        let Some(neighbour) = self.entries.remove(&address) else {
            return Vec::new();
        };
        if let Some(deadline) = neighbour.state.deadline() {
            self.timers.remove(&(deadline, address));
        }
        self.pending = self.pending.saturating_sub(neighbour.pending.len());
        neighbour.pending.into()
    }

    /// Who asks for us is remembered, for we are about to answer it; but strangers displace nobody but each other.
    fn admit_stranger(
        &mut self,
        now: Instant,
        address: IpAddr,
        mac: [u8; 6],
        counters: &mut LinkCounters,
    ) {
        if self.strangers.len() >= MAX_STRANGERS {
            self.evict_stranger(counters);
        }
        if self.entries.len() >= MAX_NEIGHBOURS {
            count(&mut counters.neighbour_table_full);
            return;
        }
        let state = State::Stale { mac };
        self.insert(
            address,
            Neighbour {
                state,
                last_used: now,
                stranger: true,
                pending: VecDeque::new(),
            },
        );
        self.strangers.push_back(address);
    }

    /// Has the oldest stranger go; false when there is none.
    fn evict_stranger(&mut self, counters: &mut LinkCounters) -> bool {
        while let Some(address) = self.strangers.pop_front() {
            if self
                .entries
                .get(&address)
                .is_some_and(|neighbour| neighbour.stranger)
            {
                self.remove(address);
                count(&mut counters.neighbour_evicted);
                return true;
            }
        }
        false
    }

    /// Makes room for a neighbour that we want to speak to: strangers go first, then who was not used for longest,
    /// the stale before those whose resolution goes on, these before those in use.
    fn make_room(&mut self, now: Instant, counters: &mut LinkCounters) {
        if self.entries.len() < MAX_NEIGHBOURS || self.evict_stranger(counters) {
            return;
        }
        let rank = |neighbour: &Neighbour| match neighbour.state.at(now) {
            State::Stale { .. } => 0,
            State::Incomplete { .. } => 1,
            State::Reachable { .. } | State::Delay { .. } | State::Probe { .. } => 2,
        };
        let worst = self
            .entries
            .iter()
            .min_by_key(|(_, neighbour)| (rank(neighbour), neighbour.last_used));
        if let Some(address) = worst.map(|(address, _)| *address) {
            let packets = self.remove(address).len();
            count(&mut counters.neighbour_evicted);
            counters.pending_flushed = counters.pending_flushed.wrapping_add(packets as u64);
        }
    }
}
