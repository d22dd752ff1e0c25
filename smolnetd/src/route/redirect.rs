//! A router's word that another next hop is better for one destination.

use core::net::IpAddr;

use smoltcp::time::{Duration, Instant};

use super::prefix::{host, is_host};
use super::{Origin, Route, RouteError, RouteTable, Selector};
use crate::ports::LinkId;

/// How long a redirect is followed. RFC 4861 has it in the destination cache, whose entries have no lifetime; a router
/// that is still asked will say so again.
pub const REDIRECT_LIFETIME: Duration = Duration::from_secs(600);

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectError {
    /// It does not come from the router that packets to the destination go to (RFC 4861 8.1, RFC 1122 3.2.2.2).
    NotFirstHop,
    /// A destination that is no host (RFC 4861 8.1).
    Destination,
    /// A next hop that is neither a router's link-local address nor the destination itself (RFC 4861 8.1), or is not
    /// on a network that we are on (RFC 1122 3.2.2.2).
    Target,
    /// There are as many next hops for this destination as there may be.
    TooMany,
}

impl RouteTable {
    /// Follows a redirect that came in on `link` from `router`: packets to `destination` go to `target` from now on,
    /// or to the destination itself when that is the target. What is to be checked about the message itself is the
    /// caller's part (hop limit 255, a link-local source). Returns whether lookups may find something else now.
    ///
    /// # Errors
    /// See [`RedirectError`]; nothing changes then.
    pub fn redirect(
        &mut self,
        now: Instant,
        link: LinkId,
        router: IpAddr,
        destination: IpAddr,
        target: IpAddr,
    ) -> Result<bool, RedirectError> {
        let current = self.check_redirect(link, router, destination, target)?;
        if target == router {
            return Ok(false);
        }
        let route = Route {
            destination: host(destination),
            gateway: Some(target).filter(|target| *target != destination),
            link,
            source: current.source,
            // A host route that somebody configured stays the first of its metric.
            metric: current.metric,
            origin: Origin::Redirect,
            expires: Some(now + REDIRECT_LIFETIME),
        };
        let former = Selector {
            destination: Some(route.destination),
            link: Some(link),
            origin: Some(Origin::Redirect),
            ..Selector::default()
        };
        self.remove(&former);
        self.add(route).map_err(|error| match error {
            RouteError::Invalid => RedirectError::Target,
            RouteError::TooMany => RedirectError::TooMany,
        })
    }

    /// Whether a redirect is to be believed, as far as the table can tell; gives the route that it is about.
    ///
    /// # Errors
    /// See [`RedirectError`].
    pub fn check_redirect(
        &self,
        link: LinkId,
        router: IpAddr,
        destination: IpAddr,
        target: IpAddr,
    ) -> Result<&Route, RedirectError> {
        if !is_host(destination) {
            return Err(RedirectError::Destination);
        }
        let current = self
            .lookup_on(destination, link)
            .filter(|route| route.gateway == Some(router))
            .ok_or(RedirectError::NotFirstHop)?;
        if self.is_on_link(link, destination, target) {
            Ok(current)
        } else {
            Err(RedirectError::Target)
        }
    }

    fn is_on_link(&self, link: LinkId, destination: IpAddr, target: IpAddr) -> bool {
        match target {
            IpAddr::V6(address) => target == destination || address.is_unicast_link_local(),
            IpAddr::V4(_) => self
                .lookup_on(target, link)
                .is_some_and(|route| route.gateway.is_none() && route.origin == Origin::Connected),
        }
    }
}
