//! What is learned from neighbour discovery: RFC 4861 section 7.2 and appendix C. What ARP says is
//! [`Neighbours::learn`]'s.

use core::net::IpAddr;

use smoltcp::time::Instant;

use super::state::State;
use super::{DELAY_FIRST_PROBE_TIME, LinkCounters, Neighbours};
use crate::counters::count;

/// In which message a neighbour spoke of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) enum Claim {
    /// A solicitation for us.
    Solicitation,
    /// A router's advertisement or redirect.
    Router,
    /// An advertisement, with its flags.
    Advertisement {
        router: bool,
        solicited: bool,
        overrides: bool,
    },
}

/// What follows from what was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::link) struct Heard {
    /// The neighbour's packets can be sent.
    pub(in crate::link) resolved: bool,
    /// A router has proved that it is there.
    pub(in crate::link) router_answers: bool,
    /// What was a router is none any more.
    pub(in crate::link) router_lost: bool,
}

impl Neighbours {
    /// `address` speaks of itself and is at `mac`, if it says that.
    pub(in crate::link) fn hear(
        &mut self,
        now: Instant,
        address: IpAddr,
        mac: Option<[u8; 6]>,
        claim: Claim,
        counters: &mut LinkCounters,
    ) -> Heard {
        match claim {
            Claim::Solicitation | Claim::Router => {
                let resolved = mac.is_some_and(|mac| self.hear_source(now, address, mac, counters));
                if claim == Claim::Router {
                    self.set_router(address, true);
                }
                Heard {
                    resolved,
                    ..Heard::default()
                }
            }
            Claim::Advertisement {
                router,
                solicited,
                overrides,
            } => {
                let Some(known) = self.entries.get(&address).map(|known| known.state.at(now))
                else {
                    // RFC 4861 section 7.2.5: nobody asked, and nobody talks to it.
                    count(&mut counters.neighbour_not_learned);
                    return Heard::default();
                };
                self.hear_advertisement(
                    now,
                    address,
                    (known, mac),
                    router,
                    (solicited, overrides),
                    counters,
                )
            }
        }
    }

    /// RFC 4861 sections 7.2.3, 6.3.4 and 8.3: the address is taken in, and that it hears us has still to be seen.
    fn hear_source(
        &mut self,
        now: Instant,
        address: IpAddr,
        mac: [u8; 6],
        counters: &mut LinkCounters,
    ) -> bool {
        let Some(neighbour) = self.entries.get(&address) else {
            self.admit_stranger(now, address, mac, counters);
            return false;
        };
        match neighbour.state {
            State::Incomplete { .. } => {
                // Its packets leave now, and the first of them starts the delay (section 7.3.3).
                let deadline = now + DELAY_FIRST_PROBE_TIME;
                self.set_state(address, State::Delay { mac, deadline });
                true
            }
            state if state.mac() == Some(mac) => false,
            _ => {
                self.set_state(address, State::Stale { mac });
                false
            }
        }
    }

    /// RFC 4861 section 7.2.5
    fn hear_advertisement(
        &mut self,
        now: Instant,
        address: IpAddr,
        (known, mac): (State, Option<[u8; 6]>),
        router: bool,
        (solicited, overrides): (bool, bool),
        counters: &mut LinkCounters,
    ) -> Heard {
        let Some(known_mac) = known.mac() else {
            let Some(mac) = mac else {
                count(&mut counters.neighbour_not_learned);
                return Heard::default();
            };
            self.set_router(address, router);
            if solicited {
                self.set_reachable(now, address, mac);
            } else {
                let deadline = now + DELAY_FIRST_PROBE_TIME;
                self.set_state(address, State::Delay { mac, deadline });
            }
            return Heard {
                resolved: true,
                router_answers: router && solicited,
                router_lost: false,
            };
        };
        let mac = mac.unwrap_or(known_mac);
        if mac != known_mac && !overrides {
            // Rule I: only that somebody contradicts is taken in, and nothing else of the message.
            count(&mut counters.neighbour_contradictions);
            if let State::Reachable { mac, .. } = known {
                self.set_state(address, State::Stale { mac });
            }
            return Heard::default();
        }
        // Rule II
        let proved = solicited && !matches!(known, State::Reachable { .. });
        if solicited {
            self.set_reachable(now, address, mac);
        } else if mac != known_mac {
            self.set_state(address, State::Stale { mac });
        }
        let was_router = self.set_router(address, router);
        Heard {
            resolved: false,
            router_answers: router && proved,
            router_lost: was_router && !router,
        }
    }

    /// Is this neighbour a router?
    pub(in crate::link) fn is_router(&self, address: IpAddr) -> bool {
        self.entries
            .get(&address)
            .is_some_and(|neighbour| neighbour.router)
    }

    /// IsRouter (RFC 4861 section 5.1); returns what it was.
    fn set_router(&mut self, address: IpAddr, router: bool) -> bool {
        self.entries
            .get_mut(&address)
            .is_some_and(|neighbour| core::mem::replace(&mut neighbour.router, router))
    }
}
