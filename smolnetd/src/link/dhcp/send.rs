//! What the client says, and when again.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::{Duration, Instant};

use super::wire::{Request, RequestKind};
use super::{Action, Client, Held, Lease, State};

/// RFC 2131 section 4.1: four seconds before the first retransmission, doubled up to 64, each give or take a second.
const FIRST_BACKOFF: Duration = Duration::from_secs(4);
const MAX_DOUBLINGS: u32 = 4;
const JITTER: Duration = Duration::from_secs(1);
/// Messages after which the reply is asked for by broadcast, now and then: there are relays and bridges that cannot
/// deliver to an address that does not answer ARP yet.
const UNICAST_ATTEMPTS: u32 = 2;
/// RFC 2131 section 4.4.5: at least a minute between requests in RENEWING and REBINDING.
const MIN_RENEWAL_INTERVAL: Duration = Duration::from_secs(60);
/// RFC 791 section 3.1: every host takes packets of this many bytes.
const MIN_MAX_SIZE: u16 = 576;

impl Client {
    /// Is there an address for us? `sent` is how many times this was asked.
    pub(super) fn discover(&mut self, now: Instant, sent: u32) -> Action {
        let at = self.backoff(now, sent);
        let sent = sent.saturating_add(1);
        self.state = State::Selecting { sent, at };
        Action::Broadcast(self.message(now, RequestKind::Discover, sent).packet())
    }

    /// We take what that server offered.
    pub(super) fn request_offered(
        &mut self,
        now: Instant,
        address: Ipv4Addr,
        server: Ipv4Addr,
        sent: u32,
    ) -> Action {
        let at = self.backoff(now, sent);
        let sent = sent.saturating_add(1);
        self.state = State::Requesting {
            address,
            server,
            sent,
            at,
        };
        self.requested = now;
        let request = Request {
            requested: Some(address),
            server: Some(server),
            ..self.message(now, RequestKind::Request, sent)
        };
        Action::Broadcast(request.packet())
    }

    /// May we go on with the address that we had? RFC 2131 section 4.3.2, INIT-REBOOT: whoever knows may answer.
    pub(super) fn request_former(&mut self, now: Instant, address: Ipv4Addr, sent: u32) -> Action {
        let at = self.backoff(now, sent);
        let sent = sent.saturating_add(1);
        self.state = State::Rebooting { sent, at };
        self.requested = now;
        let request = Request {
            requested: Some(address),
            ..self.message(now, RequestKind::Request, sent)
        };
        Action::Broadcast(request.packet())
    }

    /// That address is in use by another station: RFC 2131 section 4.4.4.
    pub(super) fn refuse(&self, now: Instant, address: Ipv4Addr, server: Ipv4Addr) -> Action {
        let decline = Request {
            requested: Some(address),
            server: Some(server),
            ..self.message(now, RequestKind::Decline, 0)
        };
        Action::Broadcast(decline.packet())
    }

    /// RFC 2131 section 4.4.5: to the server that granted the lease until T2, to all after it; again when half of
    /// what is left is over.
    pub(super) fn renew(&mut self, now: Instant) -> Option<Action> {
        let Some(Held {
            grant,
            until: Some(until),
        }) = self.held.clone()
        else {
            self.state = State::Init { at: now };
            return None;
        };
        self.requested = now;
        let request = Request {
            ciaddr: grant.address,
            ..self.message(now, RequestKind::Request, 0)
        };
        if now < until.rebind {
            let server = grant.server;
            let packet = Request {
                destination: server,
                ..request
            }
            .packet();
            let next_hop = next_hop(&grant.lease);
            let at = halfway(now, until.rebind);
            self.state = State::Renewing { at };
            return Some(Action::Unicast { next_hop, packet });
        }
        let packet = request.packet();
        let at = halfway(now, until.expire);
        self.state = State::Rebinding { at };
        Some(Action::Broadcast(packet))
    }

    /// A message to all, with the broadcast bit in every other one after the first few; `sent` counts this one.
    fn message(&self, now: Instant, kind: RequestKind, sent: u32) -> Request<'_> {
        let seconds = now.secs().saturating_sub(self.began.secs());
        Request {
            kind,
            xid: self.xid,
            secs: u16::try_from(seconds.max(0)).unwrap_or(u16::MAX),
            broadcast: sent > UNICAST_ATTEMPTS && sent % 2 == 1,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: self.mac,
            requested: None,
            server: None,
            host_name: self.host_name.as_deref(),
            max_size: self.mtu.max(MIN_MAX_SIZE),
            destination: Ipv4Addr::BROADCAST,
        }
    }

    /// When to send again after `sent` messages before this one.
    pub(super) fn backoff(&mut self, now: Instant, sent: u32) -> Instant {
        let wait = FIRST_BACKOFF * (1 << sent.min(MAX_DOUBLINGS));
        now + self.random.between(wait - JITTER, wait + JITTER)
    }
}

/// When half of the time until `end` is over, but not before a minute is, and not after `end`.
fn halfway(now: Instant, end: Instant) -> Instant {
    let left = end.total_micros().saturating_sub(now.total_micros());
    let half = Duration::from_micros(u64::try_from(left / 2).unwrap_or(0));
    (now + half.max(MIN_RENEWAL_INTERVAL)).min(end)
}

/// The way to the server that granted the lease: it is on the link, or behind the first router.
fn next_hop(lease: &Lease) -> IpAddr {
    match lease.routers.first() {
        Some(router) if !lease.address.contains_addr(&lease.server.into()) => *router,
        _ => lease.server,
    }
}
