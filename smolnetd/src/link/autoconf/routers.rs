//! The routers that have spoken, and what each leads to: RFC 4861 sections 6.3.4 to 6.3.6, RFC 4191 section 3.

use core::net::Ipv6Addr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::Ipv6Cidr;

use super::lifetime::Until;
use super::{AutoRoute, AutoconfCounters};
use crate::counters::count;
use crate::route::Preference;

/// Routers at most.
pub(super) const MAX_ROUTERS: usize = 16;
/// More-specific routes of one router at most.
pub(super) const MAX_SPECIFIC: usize = 16;
/// RFC 4191 section 3.5: a router that does not answer is asked no more often than once a minute.
const PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// The default route, which a router has by its lifetime, or by a Route Information option of length 0
/// (RFC 4191 section 3.1: the option counts).
pub(super) const DEFAULT: Ipv6Cidr = Ipv6Cidr::new(Ipv6Addr::UNSPECIFIED, 0);

/// Has the router shown that it is there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Not yet.
    None,
    /// It has answered.
    Reachable,
    /// It has not answered (RFC 4861 section 7.3.3).
    Unreachable { probe: Instant },
}

#[derive(Clone, Debug)]
struct Router {
    address: Ipv6Addr,
    proof: Proof,
    /// When it last spoke.
    heard: Instant,
    routes: Vec<Offered>,
}

/// A route by way of the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offered {
    destination: Ipv6Cidr,
    preference: Preference,
    until: Until,
}

/// The Default Router List, and the more-specific routes.
#[derive(Debug, Default)]
pub(super) struct Routers {
    /// In the order in which they came.
    list: Vec<Router>,
}

impl Routers {
    /// Do we know this router?
    pub(super) fn contains(&self, address: Ipv6Addr) -> bool {
        self.list.iter().any(|router| router.address == address)
    }

    /// Has this router shown that it is there?
    pub(super) fn is_proven(&self, address: Ipv6Addr) -> bool {
        self.list
            .iter()
            .any(|router| router.address == address && router.proof == Proof::Reachable)
    }

    /// Is there a default router, whatever is known of it?
    pub(super) fn has_default(&self) -> bool {
        self.list.iter().any(Router::is_default)
    }

    /// Is there a default router that is not known to be gone?
    pub(super) fn has_usable_default(&self) -> bool {
        self.list
            .iter()
            .any(|router| router.is_default() && !router.is_unreachable())
    }

    /// The router has spoken; what it says follows with [`Routers::set`].
    pub(super) fn heard(&mut self, now: Instant, address: Ipv6Addr) {
        if let Some(router) = self.find(address) {
            router.heard = now;
            // An advertisement is no proof (RFC 4861 section 7.3.1), but a reason to ask.
            if let Proof::Unreachable { probe } = &mut router.proof {
                *probe = now;
            }
        }
    }

    /// The router leads to `destination`, until then; not any more, if that is now. True when something changed.
    pub(super) fn set(
        &mut self,
        now: Instant,
        address: Ipv6Addr,
        destination: Ipv6Cidr,
        preference: Preference,
        until: Until,
        counters: &mut AutoconfCounters,
    ) -> bool {
        if until.is_over(now) {
            return self.withdraw(address, destination);
        }
        let Some(router) = self.find_or_admit(now, address, counters) else {
            return false;
        };
        let offered = Offered {
            destination,
            preference,
            until,
        };
        if let Some(known) = router.route(destination) {
            return core::mem::replace(known, offered) != offered;
        }
        let specific = router.routes.iter().filter(|route| !route.is_default());
        if !offered.is_default() && specific.count() >= MAX_SPECIFIC {
            count(&mut counters.route_table_full);
            return false;
        }
        router.routes.push(offered);
        true
    }

    /// RFC 4861 section 7.3.3: it answers.
    pub(super) fn reachable(&mut self, address: Ipv6Addr) {
        if let Some(router) = self.find(address) {
            router.proof = Proof::Reachable;
        }
    }

    /// RFC 4861 section 6.3.6: it does not answer. True when it is a router, and this is news.
    pub(super) fn unreachable(&mut self, now: Instant, address: Ipv6Addr) -> bool {
        let Some(router) = self.find(address).filter(|router| !router.is_unreachable()) else {
            return false;
        };
        let probe = now + PROBE_INTERVAL;
        router.proof = Proof::Unreachable { probe };
        true
    }

    /// RFC 4861 section 7.2.5: it is no default router any more. True when it was one.
    pub(super) fn resigned(&mut self, address: Ipv6Addr) -> bool {
        self.withdraw(address, DEFAULT)
    }

    /// Is it a router that does not answer?
    pub(super) fn is_silent(&self, address: Ipv6Addr) -> bool {
        self.list
            .iter()
            .any(|router| router.address == address && router.is_unreachable())
    }

    /// A router that is to be asked whether it is there again (RFC 4191 section 3.5).
    pub(super) fn probe(&mut self, now: Instant) -> Option<Ipv6Addr> {
        self.list
            .iter_mut()
            .find_map(|router| match &mut router.proof {
                Proof::Unreachable { probe } if *probe <= now => {
                    *probe = now + PROBE_INTERVAL;
                    Some(router.address)
                }
                _ => None,
            })
    }

    /// What was known of who answers holds no more: the carrier was away. True when somebody counted as gone.
    pub(super) fn doubt_all(&mut self) -> bool {
        let gone = self.list.iter().any(Router::is_unreachable);
        self.list
            .iter_mut()
            .for_each(|router| router.proof = Proof::None);
        gone
    }

    /// Takes away what is over, and who has nothing left. True when something was.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let mut changed = false;
        for router in &mut self.list {
            let before = router.routes.len();
            router.routes.retain(|route| !route.until.is_over(now));
            changed |= router.routes.len() != before;
        }
        self.list.retain(|router| !router.routes.is_empty());
        changed
    }

    /// Takes away who has not spoken since then.
    pub(super) fn forget_before(&mut self, since: Instant) {
        self.list.retain(|router| router.heard >= since);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let ends = self
            .list
            .iter()
            .flat_map(|router| &router.routes)
            .filter_map(|route| route.until.instant());
        let probes = self.list.iter().filter_map(|router| match router.proof {
            Proof::Unreachable { probe } => Some(probe),
            _ => None,
        });
        ends.chain(probes).min()
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = AutoRoute> {
        self.list.iter().flat_map(|router| {
            router.routes.iter().map(|route| AutoRoute {
                destination: route.destination,
                gateway: Some(router.address),
                preference: route.preference,
                expires: route.until.instant(),
            })
        })
    }

    fn find(&mut self, address: Ipv6Addr) -> Option<&mut Router> {
        self.list
            .iter_mut()
            .find(|router| router.address == address)
    }

    fn withdraw(&mut self, address: Ipv6Addr, destination: Ipv6Cidr) -> bool {
        let Some(router) = self.find(address) else {
            return false;
        };
        let before = router.routes.len();
        router
            .routes
            .retain(|route| route.destination != destination);
        let changed = router.routes.len() != before;
        self.list.retain(|router| !router.routes.is_empty());
        changed
    }

    fn find_or_admit(
        &mut self,
        now: Instant,
        address: Ipv6Addr,
        counters: &mut AutoconfCounters,
    ) -> Option<&mut Router> {
        if !self.contains(address) {
            if self.list.len() >= MAX_ROUTERS {
                let Some(place) = self.dispensable() else {
                    count(&mut counters.router_table_full);
                    return None;
                };
                count(&mut counters.router_evicted);
                self.list.remove(place);
            }
            self.list.push(Router {
                address,
                proof: Proof::None,
                heard: now,
                routes: Vec::new(),
            });
        }
        self.find(address)
    }
    /// Who gives way to a newcomer: one that does not answer, else the last to come of those that never had to. So
    /// whoever forges routers by the thousand displaces his own, never one that is in use and answers.
    fn dispensable(&self) -> Option<usize> {
        let last = |wanted: fn(&Router) -> bool| self.list.iter().rposition(wanted);
        last(Router::is_unreachable).or_else(|| last(|router| router.proof == Proof::None))
    }
}

impl Router {
    fn is_default(&self) -> bool {
        self.routes.iter().any(Offered::is_default)
    }

    fn is_unreachable(&self) -> bool {
        matches!(self.proof, Proof::Unreachable { .. })
    }

    fn route(&mut self, destination: Ipv6Cidr) -> Option<&mut Offered> {
        self.routes
            .iter_mut()
            .find(|route| route.destination == destination)
    }
}

impl Offered {
    fn is_default(&self) -> bool {
        self.destination == DEFAULT
    }
}
