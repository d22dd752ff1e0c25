//! Name servers and search domains that routers announce (RFC 8106).

use core::net::Ipv6Addr;

use smoltcp::time::Instant;

use super::AutoconfCounters;
use super::lifetime::Until;
use crate::counters::count;

/// Entries of a list at most.
pub(super) const MAX_ENTRIES: usize = 8;
/// Entries of one router at most. RFC 8106 section 5.3.1 wants three at least to be kept.
pub(super) const MAX_OF_ONE_ROUTER: usize = 3;

#[derive(Clone, Debug)]
struct Entry<T> {
    value: T,
    router: Ipv6Addr,
    until: Until,
    heard: Instant,
}

/// A DNS Repository of RFC 8106 section 6: of addresses, or of domains.
#[derive(Debug)]
pub(super) struct Learned<T> {
    /// In the order in which they came.
    list: Vec<Entry<T>>,
}

impl<T: PartialEq + Clone> Learned<T> {
    pub(super) fn new() -> Learned<T> {
        Learned { list: Vec::new() }
    }

    /// A router says one: RFC 8106 section 6.1. Lifetime 0 ends it (section 5.1), whoever said it before. Those of
    /// routers that are `proven` do not give way. True when the list changed.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        router: Ipv6Addr,
        value: T,
        lifetime: u32,
        proven: impl Fn(Ipv6Addr) -> bool,
        counters: &mut AutoconfCounters,
    ) -> bool {
        if lifetime == 0 {
            let before = self.list.len();
            self.list.retain(|entry| entry.value != value);
            return self.list.len() != before;
        }
        let entry = Entry {
            value,
            router,
            until: Until::after(now, lifetime),
            heard: now,
        };
        if let Some(known) = self
            .list
            .iter_mut()
            .find(|known| known.value == entry.value)
        {
            *known = entry;
            return false;
        }
        let of_router = self.list.iter().filter(|known| known.router == router);
        let room = of_router.count() < MAX_OF_ONE_ROUTER
            && (self.list.len() < MAX_ENTRIES || self.make_room(proven));
        if room {
            self.list.push(entry);
        } else {
            count(&mut counters.resolver_table_full);
        }
        room
    }

    /// RFC 8106 section 6.1: the one that would end first gives way.
    fn make_room(&mut self, proven: impl Fn(Ipv6Addr) -> bool) -> bool {
        let candidates = self.list.iter().enumerate();
        let first = candidates
            .filter(|(_, entry)| !proven(entry.router))
            .min_by_key(|(_, entry)| entry.until)
            .map(|(place, _)| place);
        first.map(|place| self.list.remove(place)).is_some()
    }

    /// Takes away what is over. True when something was.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let before = self.list.len();
        self.list.retain(|entry| !entry.until.is_over(now));
        self.list.len() != before
    }

    /// Takes away what was not said since then.
    pub(super) fn forget_before(&mut self, since: Instant) {
        self.list.retain(|entry| entry.heard >= since);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.list
            .iter()
            .filter_map(|entry| entry.until.instant())
            .min()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = T> {
        self.list.iter().map(|entry| entry.value.clone())
    }
}
