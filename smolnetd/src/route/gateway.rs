//! Gateways, as many as there are in routes, and which of them do not answer.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use smoltcp::time::{Duration, Instant};

use crate::ports::LinkId;

/// How long a gateway that did not answer is avoided when nobody looks after it: then it is tried again, which costs a
/// few packets if it is still away.
pub const GATEWAY_RETRY: Duration = Duration::from_secs(60);

type Key = (LinkId, IpAddr);

#[derive(Debug, Default)]
struct Gateway {
    /// How many routes it is the next hop of.
    routes: usize,
    avoided: bool,
    retry: Option<Instant>,
}

/// The gateways of all routes. What is no gateway is not remembered, whatever is said of it.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    known: BTreeMap<Key, Gateway>,
    retries: BTreeSet<(Instant, Key)>,
}

impl Gateways {
    /// One more route goes over it.
    pub(super) fn add(&mut self, key: Key) {
        let gateway = self.known.entry(key).or_default();
        gateway.routes = gateway.routes.saturating_add(1);
    }

    /// One route less.
    pub(super) fn remove(&mut self, key: Key) {
        let Some(gateway) = self.known.get_mut(&key) else {
            return;
        };
        gateway.routes = gateway.routes.saturating_sub(1);
        if gateway.routes == 0 {
            self.set(key, false, None);
            self.known.remove(&key);
        }
    }

    /// Is it to be passed by?
    pub(super) fn is_avoided(&self, key: Key) -> bool {
        self.known.get(&key).is_some_and(|gateway| gateway.avoided)
    }

    /// Says whether it is to be passed by, and until when. True if that is news.
    pub(super) fn set(&mut self, key: Key, avoided: bool, retry: Option<Instant>) -> bool {
        let Some(gateway) = self.known.get_mut(&key) else {
            return false;
        };
        if let Some(former) = core::mem::replace(&mut gateway.retry, retry) {
            self.retries.remove(&(former, key));
        }
        if let Some(retry) = retry {
            self.retries.insert((retry, key));
        }
        core::mem::replace(&mut gateway.avoided, avoided) != avoided
    }

    /// Those that were avoided for long enough are tried again. Returns how many they are.
    pub(super) fn expire(&mut self, now: Instant) -> usize {
        let due = self.retries.iter().take_while(|(retry, _)| *retry <= now);
        let keys: Vec<Key> = due.map(|(_, key)| *key).collect();
        for key in &keys {
            self.set(*key, false, None);
        }
        keys.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.retries.first().map(|(retry, _)| *retry)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.retries.is_empty()
    }
}
