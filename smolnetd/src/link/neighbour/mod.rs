//! The neighbours on one link: how well each is known (the states of RFC 4861 section 7.3.2), what waits for it, and
//! when it has to be asked. Which packet asks (ARP, neighbour solicitation) is the caller's business.

mod heard;
mod room;
mod state;

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smoltcp::time::{Duration, Instant};

use self::state::State;
use super::random::Random;
use super::{LinkCounters, NeighbourInfo};
use crate::counters::count;

pub(super) use self::heard::{Claim, Flags, Heard};
pub use self::state::NeighbourState;
pub(super) use self::state::{Due, Evidence, Learned, Resolution};

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

/// RFC 4861 section 6.2.1: the most that AdvReachableTime may be.
const MAX_REACHABLE_TIME: Duration = Duration::from_secs(3600);
/// What a router may make of RETRANS_TIMER.
const MIN_RETRANS_TIMER: Duration = Duration::from_millis(100);
const MAX_RETRANS_TIMER: Duration = Duration::from_secs(60);

/// Neighbours that are remembered, of both families together. With [`MAX_PENDING`] packets of 1500 bytes they take less
/// than half a megabyte, whatever others send.
pub(crate) const MAX_NEIGHBOURS: usize = 512;
/// Of these, such as only made themselves known and were never sent anything.
pub(super) const MAX_STRANGERS: usize = 128;
/// Packets that may wait for one neighbour.
pub(super) const MAX_PENDING_PER_NEIGHBOUR: usize = 16;
/// Packets that may wait on one link.
pub(super) const MAX_PENDING: usize = 256;

#[derive(Debug)]
struct Neighbour {
    state: State,
    /// When a packet of ours was last sent there; when it came in, for a stranger.
    last_used: Instant,
    /// It made itself known, and nothing was ever sent to it.
    stranger: bool,
    /// IsRouter of RFC 4861 section 5.1; never with ARP.
    router: bool,
    pending: VecDeque<Box<[u8]>>,
}

/// On one link, a neighbour is asked for an upper layer's doubts no more often.
const DOUBT_INTERVAL: Duration = Duration::from_secs(1);

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
    /// ReachableTime of IPv6's neighbours lies between these.
    reachable_time: (Duration, Duration),
    /// RetransTimer of IPv6's neighbours.
    retrans_timer: Duration,
    /// When somebody may be doubted again.
    may_doubt: Instant,
    /// Has somebody come or gone, or is in another state than before? That time alone makes a neighbour stale is no
    /// news: nobody is woken up for it.
    changed: bool,
    random: Random,
}

impl Neighbours {
    pub(super) fn new(random: Random) -> Neighbours {
        Neighbours {
            entries: BTreeMap::new(),
            timers: BTreeSet::new(),
            strangers: VecDeque::new(),
            pending: 0,
            reachable_time: REACHABLE_TIME,
            retrans_timer: RETRANS_TIMER,
            may_doubt: Instant::ZERO,
            changed: false,
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
            deadline: now + self.retrans_timer(address),
        };
        self.insert(
            address,
            Neighbour {
                state,
                last_used: now,
                stranger: false,
                router: false,
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
                Evidence::Reply | Evidence::Hearsay => count(&mut counters.neighbour_not_learned),
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
                count(&mut counters.neighbour_contradictions);
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
                count(&mut counters.neighbour_contradictions);
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

    /// An upper layer has proof that `address` hears us: RFC 4861 section 7.3.1. True when that was news.
    pub(super) fn confirm(&mut self, now: Instant, address: IpAddr) -> bool {
        let Some(neighbour) = self.entries.get(&address) else {
            return false;
        };
        match neighbour.state {
            State::Incomplete { .. } => false,
            // Proof comes with every acknowledgement; one in a while is enough.
            State::Reachable { until, .. } if until >= now + self.reachable_time(address).0 => {
                false
            }
            State::Reachable { mac, .. }
            | State::Stale { mac }
            | State::Delay { mac, .. }
            | State::Probe { mac, .. } => {
                self.set_reachable(now, address, mac);
                true
            }
        }
    }

    /// An upper layer has cause to think that `address` is gone: it is asked at once. Not often, whoever calls: a peer
    /// that never answers must not have us ask our neighbours all the time.
    pub(super) fn doubt(&mut self, now: Instant, address: IpAddr) {
        let known = self.entries.get(&address).map(|known| known.state.at(now));
        let (
            Some(State::Reachable { mac, .. } | State::Stale { mac } | State::Delay { mac, .. }),
            true,
        ) = (known, self.may_doubt <= now)
        else {
            return;
        };
        self.may_doubt = now + DOUBT_INTERVAL;
        self.set_state(address, State::Delay { mac, deadline: now });
    }

    /// One thing that is due at `now`, with the state already moved on; to be called until there is none.
    pub(super) fn poll(&mut self, now: Instant, counters: &mut LinkCounters) -> Option<Due> {
        loop {
            let due = |(deadline, _): &&(Instant, IpAddr)| *deadline <= now;
            let &(deadline, address) = self.timers.first().filter(due)?;
            // Whoever goes takes the timer along, and every state that has one moves on: that it is taken away here
            // says only that one without an owner could not stop the others.
            self.timers.remove(&(deadline, address));
            let due = self.time_out(now, address, counters);
            if due.is_some() {
                return due;
            }
        }
    }

    /// The state of `address` is at its deadline.
    fn time_out(
        &mut self,
        now: Instant,
        address: IpAddr,
        counters: &mut LinkCounters,
    ) -> Option<Due> {
        let neighbour = self.entries.get(&address)?;
        let waits = !neighbour.pending.is_empty();
        let router = neighbour.router;
        let deadline = now + self.retrans_timer(address);
        let (state, mac) = match neighbour.state {
            State::Incomplete { asked, .. } if asked < MAX_MULTICAST_SOLICIT => {
                let asked = asked.saturating_add(1);
                (State::Incomplete { asked, deadline }, None)
            }
            State::Incomplete { .. } => {
                count(&mut counters.neighbour_failed);
                let packets = self.remove(address);
                return Some(Due::Failed {
                    address,
                    router,
                    packets,
                });
            }
            State::Delay { mac, .. } => {
                let asked = 1;
                (
                    State::Probe {
                        mac,
                        asked,
                        deadline,
                    },
                    Some(mac),
                )
            }
            State::Probe { mac, asked, .. } if asked < MAX_UNICAST_SOLICIT => {
                let asked = asked.saturating_add(1);
                (
                    State::Probe {
                        mac,
                        asked,
                        deadline,
                    },
                    Some(mac),
                )
            }
            // RFC 4861 section 7.3.3: the entry is discarded, so that the next packet starts a resolution of its own;
            // packets that already wait do so at once.
            State::Probe { .. } if waits => (State::Incomplete { asked: 1, deadline }, None),
            State::Probe { .. } => {
                let packets = self.remove(address);
                // Nobody waits for it; but others may be better routers.
                return router.then_some(Due::Failed {
                    address,
                    router,
                    packets,
                });
            }
            State::Reachable { .. } | State::Stale { .. } => return None,
        };
        self.set_state(address, state);
        Some(Due::Ask { address, mac })
    }

    /// When [`Neighbours::poll`] is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(deadline, _)| *deadline)
    }

    /// Forgets everybody. Returns how many packets waited.
    pub(super) fn clear(&mut self) -> usize {
        self.changed = true;
        self.entries.clear();
        self.timers.clear();
        self.strangers.clear();
        core::mem::take(&mut self.pending)
    }

    /// How many packets wait.
    #[cfg(test)]
    pub(super) fn pending(&self) -> usize {
        self.entries
            .values()
            .map(|neighbour| neighbour.pending.len())
            .sum()
    }

    /// Is anything known of `address`?
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.entries.contains_key(&address)
    }

    /// Everybody, by address.
    pub(super) fn iter(&self, now: Instant) -> impl Iterator<Item = NeighbourInfo> {
        self.entries.iter().map(move |(address, neighbour)| {
            let state = neighbour.state.at(now);
            NeighbourInfo {
                address: *address,
                mac: state.mac(),
                state: state.name(),
                router: neighbour.router,
            }
        })
    }

    fn set_reachable(&mut self, now: Instant, address: IpAddr, mac: [u8; 6]) {
        let (least, most) = self.reachable_time(address);
        let until = now + self.random.between(least, most);
        self.set_state(address, State::Reachable { mac, until });
    }

    fn reachable_time(&self, address: IpAddr) -> (Duration, Duration) {
        match address {
            IpAddr::V4(_) => REACHABLE_TIME,
            IpAddr::V6(_) => self.reachable_time,
        }
    }

    fn retrans_timer(&self, address: IpAddr) -> Duration {
        match address {
            IpAddr::V4(_) => RETRANS_TIMER,
            IpAddr::V6(_) => self.retrans_timer,
        }
    }

    /// RFC 4861 section 6.3.2: BaseReachableTime, times MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR.
    pub(super) fn set_reachable_time(&mut self, base: Duration) {
        if base > Duration::ZERO && base <= MAX_REACHABLE_TIME {
            self.reachable_time = (base / 2, base + base / 2);
        }
    }

    /// False when the time is absurd, and ignored.
    pub(super) fn set_retrans_timer(&mut self, time: Duration) -> bool {
        let sensible = time >= MIN_RETRANS_TIMER && time <= MAX_RETRANS_TIMER;
        if sensible {
            self.retrans_timer = time;
        }
        sensible
    }

    /// Has anything changed since the last question?
    pub(super) fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
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
        self.changed = true;
    }

    fn insert(&mut self, address: IpAddr, neighbour: Neighbour) {
        if let Some(deadline) = neighbour.state.deadline() {
            self.timers.insert((deadline, address));
        }
        self.entries.insert(address, neighbour);
        self.changed = true;
    }

    fn remove(&mut self, address: IpAddr) -> Vec<Box<[u8]>> {
        let Some(neighbour) = self.entries.remove(&address) else {
            return Vec::new();
        };
        self.changed = true;
        if let Some(deadline) = neighbour.state.deadline() {
            self.timers.remove(&(deadline, address));
        }
        self.pending = self.pending.saturating_sub(neighbour.pending.len());
        neighbour.pending.into()
    }
}
