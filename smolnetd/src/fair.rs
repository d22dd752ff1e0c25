//! Room for few, shared by many: what strangers make us remember has a bound, and who fills it gives way first.

use core::cmp::Reverse;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

/// Whose something is: an IPv4 address, or the network of an IPv6 one, in which a host has as many as it likes. On the
/// link everybody has the same network, and each address counts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner(IpAddr);

impl Owner {
    /// Who has this address.
    pub(crate) fn of(address: IpAddr) -> Owner {
        Owner(match address {
            IpAddr::V6(address) if !address.is_unicast_link_local() => {
                IpAddr::V6((address.to_bits() >> 64 << 64).into())
            }
            address => address,
        })
    }
}

/// Things in the order in which they came, each somebody's. Numbers are never used again.
#[derive(Debug)]
pub(crate) struct Fair<T> {
    things: BTreeMap<u64, (Owner, T)>,
    owned: BTreeMap<Owner, BTreeSet<u64>>,
    /// Who has most, last; of those that have as many, who has the oldest.
    ranking: BTreeSet<(usize, Reverse<u64>, Owner)>,
    next: u64,
}

impl<T> Default for Fair<T> {
    fn default() -> Fair<T> {
        Fair {
            things: BTreeMap::new(),
            owned: BTreeMap::new(),
            ranking: BTreeSet::new(),
            next: 0,
        }
    }
}

impl<T> Fair<T> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.things.len()
    }

    /// Keeps one more thing, under a new number.
    pub(crate) fn insert(&mut self, owner: Owner, thing: T) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.things.insert(number, (owner, thing));
        self.change(owner, |owned| owned.insert(number));
        number
    }

    /// The thing of that number.
    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.things.get(&number).map(|(_, thing)| thing)
    }

    /// The thing of that number, to be changed.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.things.get_mut(&number).map(|(_, thing)| thing)
    }

    /// Takes the thing of that number out.
    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let (owner, thing) = self.things.remove(&number)?;
        self.change(owner, |owned| owned.remove(&number));
        Some(thing)
    }

    /// What to give up when there is no room: the oldest of whoever has most.
    pub(crate) fn victim(&self) -> Option<u64> {
        self.ranking.last().map(|(_, Reverse(oldest), _)| *oldest)
    }

    /// The oldest of `owner`'s.
    pub(crate) fn oldest(&self, owner: Owner) -> Option<u64> {
        self.owned.get(&owner)?.first().copied()
    }

    fn change(&mut self, owner: Owner, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let owned = self.owned.entry(owner).or_default();
        if let Some(oldest) = owned.first() {
            self.ranking.remove(&(owned.len(), Reverse(*oldest), owner));
        }
        change(owned);
        match owned.first() {
            Some(oldest) => {
                self.ranking.insert((owned.len(), Reverse(*oldest), owner));
            }
            None => {
                self.owned.remove(&owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(text: &str) -> Owner {
        Owner::of(text.parse().expect("an address"))
    }

    #[test]
    fn the_oldest_of_whoever_has_most_gives_way() {
        let mut fair = Fair::default();
        let (few, many) = (owner("10.0.0.1"), owner("10.0.0.2"));
        let first = fair.insert(few, "first");
        let numbers = ["a", "b", "c"].map(|name| fair.insert(many, name));
        assert_eq!(fair.victim(), Some(numbers[0]));
        assert_eq!(fair.remove(numbers[0]), Some("a"));
        assert_eq!(fair.remove(numbers[0]), None);
        assert_eq!(fair.victim(), Some(numbers[1]));
        fair.remove(numbers[1]);
        // Now both have one, and the oldest of all is the first.
        assert_eq!(fair.victim(), Some(first));
        assert_eq!(
            (fair.oldest(few), fair.oldest(many)),
            (Some(first), Some(numbers[2]))
        );
        fair.remove(first);
        fair.remove(numbers[2]);
        assert_eq!((fair.len(), fair.victim()), (0, None));
        assert!(
            fair.owned.is_empty() && fair.ranking.is_empty(),
            "nothing stays behind"
        );
    }

    #[test]
    fn a_host_is_its_whole_network_but_on_the_link() {
        assert_eq!(owner("2001:db8::1"), owner("2001:db8::ffff:1"));
        assert_ne!(owner("2001:db8::1"), owner("2001:db8:0:1::1"));
        assert_ne!(owner("fe80::1"), owner("fe80::2"));
        assert_ne!(owner("10.0.0.1"), owner("10.0.0.2"));
    }
}
