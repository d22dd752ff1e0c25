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
    /// An advertisement.
    Advertisement(Flags),
}

/// The flags of an advertisement: RFC 4861 section 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) struct Flags {
    /// R: its sender is a router.
    pub(in crate::link) router: bool,
    /// S: it answers a solicitation.
    pub(in crate::link) solicited: bool,
    /// O: it is to replace what is known.
    pub(in crate::link) overrides: bool,
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
        if let Claim::Advertisement(flags) = claim {
            return self.hear_advertisement(now, address, mac, flags, counters);
        }
        let resolved = mac.is_some_and(|mac| self.hear_source(now, address, mac, counters));
        if claim == Claim::Router {
            self.set_router(address, true);
        }
        Heard {
            resolved,
            ..Heard::default()
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
        mac: Option<[u8; 6]>,
        flags: Flags,
        counters: &mut LinkCounters,
    ) -> Heard {
        let Some(state) = self.entries.get(&address).map(|known| known.state.at(now)) else {
            // Nobody asked, and nobody talks to it.
            count(&mut counters.neighbour_not_learned);
            return Heard::default();
        };
        match (state.mac(), mac) {
            (Some(known), mac) => {
                let mac = mac.unwrap_or(known);
                self.hear_again(now, address, (state, known, mac), flags, counters)
            }
            (None, Some(mac)) => self.hear_answer(now, address, mac, flags),
            (None, None) => {
                count(&mut counters.neighbour_not_learned);
                Heard::default()
            }
        }
    }

    /// Who was asked for answers.
    fn hear_answer(&mut self, now: Instant, address: IpAddr, mac: [u8; 6], flags: Flags) -> Heard {
        self.set_router(address, flags.router);
        if flags.solicited {
            self.set_reachable(now, address, mac);
        } else {
            let deadline = now + DELAY_FIRST_PROBE_TIME;
            self.set_state(address, State::Delay { mac, deadline });
        }
        Heard {
            resolved: true,
            router_answers: flags.router && flags.solicited,
            router_lost: false,
        }
    }

    /// Who is `known` says that it is at `mac`.
    fn hear_again(
        &mut self,
        now: Instant,
        address: IpAddr,
        (state, known, mac): (State, [u8; 6], [u8; 6]),
        flags: Flags,
        counters: &mut LinkCounters,
    ) -> Heard {
        let was_reachable = matches!(state, State::Reachable { .. });
        if mac != known && !flags.overrides {
            // Rule I: only that somebody contradicts is taken in, and nothing else of the message.
            count(&mut counters.neighbour_contradictions);
            if was_reachable {
                self.set_state(address, State::Stale { mac: known });
            }
            return Heard::default();
        }
        // Rule II
        if flags.solicited {
            self.set_reachable(now, address, mac);
        } else if mac != known {
            self.set_state(address, State::Stale { mac });
        }
        let was_router = self.set_router(address, flags.router);
        Heard {
            resolved: false,
            router_answers: flags.router && flags.solicited && !was_reachable,
            router_lost: was_router && !flags.router,
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
