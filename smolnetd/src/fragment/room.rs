//! Who may hold what: datagrams and bytes, of all and of each sender.

use smoltcp::time::Instant;

use super::datagram::Datagram;
use super::{
    DATAGRAM_OVERHEAD, Fragment, IPV4_TIMEOUT, IPV6_TIMEOUT, Key, MAX_BYTES, MAX_BYTES_PER_OWNER,
    MAX_DATAGRAMS, Reassembly,
};
use crate::counters::count;
use crate::fair::Owner;

impl Reassembly {
    /// The datagram that `fragment` is of, begun if need be, with room for it.
    pub(super) fn datagram_of(&mut self, now: Instant, fragment: &Fragment<'_>) -> u64 {
        let key = Key {
            source: fragment.source,
            destination: fragment.destination,
            identification: fragment.identification,
            protocol: fragment.source.is_ipv4().then_some(fragment.protocol),
            link: fragment.link,
        };
        let owner = Owner::of(fragment.source);
        self.make_room(owner, Datagram::cost_of(fragment));
        if let Some(number) = self.by_key.get(&key) {
            return *number;
        }
        self.make_room(
            owner,
            Datagram::cost_of(fragment).saturating_add(DATAGRAM_OVERHEAD),
        );
        while self.datagrams.len() >= MAX_DATAGRAMS {
            self.evict(self.datagrams.victim());
        }
        let timeout = if fragment.source.is_ipv4() {
            IPV4_TIMEOUT
        } else {
            IPV6_TIMEOUT
        };
        let expires = now + timeout;
        let number = self.datagrams.insert(owner, Datagram::new(key, expires));
        self.by_key.insert(key, number);
        self.ends.insert((expires, number));
        self.account(owner, 0, DATAGRAM_OVERHEAD);
        number
    }

    /// Gives datagrams up until `cost` more bytes of `owner` are within the bounds: its own oldest for its own bound,
    /// the oldest of whoever has most datagrams for that of all.
    fn make_room(&mut self, owner: Owner, cost: usize) {
        let own = |room: &Reassembly| room.bytes_of.get(&owner).copied().unwrap_or(0);
        while own(self).saturating_add(cost) > MAX_BYTES_PER_OWNER
            && self.evict(self.datagrams.oldest(owner))
        {}
        while self.bytes.saturating_add(cost) > MAX_BYTES && self.evict(self.datagrams.victim()) {}
    }

    /// False when there was nothing to give up.
    fn evict(&mut self, victim: Option<u64>) -> bool {
        let evicted = victim.and_then(|victim| self.forget(victim));
        if evicted.is_some() {
            count(&mut self.counters.evicted);
        }
        evicted.is_some()
    }

    /// Takes a datagram out of all tables.
    pub(super) fn forget(&mut self, number: u64) -> Option<Datagram> {
        let datagram = self.datagrams.remove(number)?;
        self.by_key.remove(&datagram.key);
        self.ends.remove(&(datagram.expires, number));
        self.account(Owner::of(datagram.key.source), datagram.cost(), 0);
        Some(datagram)
    }

    /// What a datagram of `owner` costs has changed.
    pub(super) fn account(&mut self, owner: Owner, before: usize, after: usize) {
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
        let own = self.bytes_of.entry(owner).or_default();
        *own = own.saturating_sub(before).saturating_add(after);
        if *own == 0 {
            self.bytes_of.remove(&owner);
        }
    }
}
