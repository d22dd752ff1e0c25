//! Who may be remembered when there is room for few.

use core::net::IpAddr;
use std::collections::VecDeque;

use smoltcp::time::Instant;

use super::state::State;
use super::{LinkCounters, MAX_NEIGHBOURS, MAX_STRANGERS, Neighbour, Neighbours};
use crate::counters::count;

impl Neighbours {
    /// Who asks for us is remembered, for we are about to answer it; but strangers displace nobody but each other.
    pub(super) fn admit_stranger(
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
                router: false,
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
    pub(super) fn make_room(&mut self, now: Instant, counters: &mut LinkCounters) {
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
