//! What router discovery asks of the neighbours: who is a router, where it is, and whether it is still there.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::{Duration, Instant};

use crate::counters::count;
use crate::link::Link;
use crate::link::handle::is_station;
use crate::link::neighbour::Claim;
use crate::ports::Ports;

impl Link {
    /// RFC 4861 section 6.3.4: a router told where it is, or a redirect (section 8.3) where a better one is.
    pub fn learn_router(
        &mut self,
        now: Instant,
        router: Ipv6Addr,
        mac: [u8; 6],
        ports: &mut impl Ports,
    ) {
        if !is_station(mac) || mac == self.config.mac {
            count(&mut self.counters.ndp_rx_bad_sender);
            return;
        }
        self.hear(now, router, Some(mac), Claim::Router, ports);
    }

    /// Is this neighbour known to be a router?
    pub fn neighbour_is_router(&self, address: IpAddr) -> bool {
        self.neighbours.is_router(address)
    }

    /// Has a neighbour resolved, or verified, with nothing to send to it: [`super::super::LinkEvent`] tells the
    /// outcome.
    pub fn probe(&mut self, now: Instant, address: Ipv6Addr, ports: &mut impl Ports) {
        // That it cannot be asked for is counted there.
        let _ = self.resolve(now, address.into(), ports);
    }

    /// RFC 4861 section 6.3.2, BaseReachableTime: how long a neighbour that answered counts as reachable, on average.
    /// What section 6.2.1 does not allow a router to say (0, more than an hour) is ignored.
    pub fn set_reachable_time(&mut self, base: Duration) {
        self.neighbours.set_reachable_time(base);
    }

    /// RFC 4861 section 6.3.2, RetransTimer: the time between two solicitations. Less than 100 ms or more than a minute
    /// is ignored: nobody shall make us flood the link, or wait for ever.
    pub fn set_retrans_timer(&mut self, time: Duration) {
        if self.neighbours.set_retrans_timer(time) {
            self.addresses.set_retrans_timer(time);
        }
    }
}
