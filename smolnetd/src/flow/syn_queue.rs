//! Who is half open, how much of that may be, and how much of it one source may have.

use core::hash::{BuildHasher, Hasher};
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::FlowId;
use super::table::Keyed;
use crate::socket::tcp::TcpId;

/// Sources are told apart by a keyed hash into so many classes: whoever shares one with a flooder gets a cookie.
const CLASSES: usize = 256;

/// The part of a listener's records that one source may have.
const SHARE: usize = 4;

/// All connections in SYN-RECEIVED, by listener.
#[derive(Debug)]
pub struct SynQueue {
    waiting: BTreeMap<TcpId, BTreeSet<FlowId>>,
    /// How many there are.
    count: usize,
    /// How many each class of sources has, of all listeners.
    sources: Vec<usize>,
    key: Keyed,
}

impl SynQueue {
    /// An empty one, that tells sources apart under `key`.
    pub fn new(key: Keyed) -> SynQueue {
        SynQueue {
            waiting: BTreeMap::new(),
            count: 0,
            sources: vec![0; CLASSES],
            key,
        }
    }

    /// Is there room for one more from `source`, when a listener may have `most` and all together `most_in_all`?
    pub fn has_room(
        &self,
        listener: TcpId,
        source: IpAddr,
        (most, most_in_all): (usize, usize),
    ) -> bool {
        let of_listener = self.waiting.get(&listener).map_or(0, BTreeSet::len);
        let of_source = self.sources.get(self.class(source)).copied();
        of_listener < most
            && self.count < most_in_all
            && of_source.is_some_and(|count| count < most.div_ceil(SHARE))
    }

    /// How many there are, of all listeners.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Is nothing held of anybody?
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sources.iter().all(|&count| count == 0)
    }

    /// Takes one in.
    pub fn insert(&mut self, listener: TcpId, flow: FlowId, source: IpAddr) {
        if !self.waiting.entry(listener).or_default().insert(flow) {
            return;
        }
        self.count = self.count.saturating_add(1);
        let class = self.class(source);
        if let Some(count) = self.sources.get_mut(class) {
            *count = count.saturating_add(1);
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, listener: TcpId, flow: FlowId, source: IpAddr) {
        let Some(flows) = self.waiting.get_mut(&listener) else {
            return;
        };
        if !flows.remove(&flow) {
            return;
        }
        if flows.is_empty() {
            self.waiting.remove(&listener);
        }
        self.count = self.count.saturating_sub(1);
        let class = self.class(source);
        if let Some(count) = self.sources.get_mut(class) {
            *count = count.saturating_sub(1);
        }
    }

    /// Those of one listener.
    pub fn of(&self, listener: TcpId) -> Vec<FlowId> {
        let flows = self.waiting.get(&listener);
        flows.map_or_else(Vec::new, |flows| flows.iter().copied().collect())
    }

    /// A network is one source: of IPv6, whoever has one address has 2^64.
    fn class(&self, source: IpAddr) -> usize {
        let mut hasher = self.key.build_hasher();
        match source {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write_u64((address.to_bits() >> 64) as u64),
        }
        hasher.finish() as usize % CLASSES
    }
}
