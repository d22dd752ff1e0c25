//! DHCPv4 client (RFC 2131), sans-IO: messages come in, messages and changes of the lease go out.
//!
//! ```text
//!            ┌────────────┐  OFFER   ┌──────────────┐   ACK   ┌─────────┐  T1   ┌────────────┐  T2   ┌─────────────┐
//!  Init ───► │ Selecting  ├────────► │  Requesting  ├───────► │  Bound  ├─────► │  Renewing  ├─────► │  Rebinding  │
//!   ▲        └─────▲──────┘          └──────────────┘         └────▲────┘       └─────┬──────┘       └──────┬──────┘
//!   │              │ no answer       ┌──────────────┐   ACK        │       ACK        │                     │
//!   │              └─────────────────┤  Rebooting   ├──────────────┴──────────────────┴─────────────────────┘
//!   └── NAK, lease run out           └──────────────┘ carrier back, client turned on again, with a lease
//! ```
//! The lease is held apart from the state: it stays in force, and is ended in time, whatever the client is doing.

mod lease;
#[cfg(test)]
mod tests;
mod wire;

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::{Duration, Instant};

use self::lease::Grant;
use self::wire::{Reply, ReplyKind, Request, RequestKind};
use super::LinkCounters;
use super::random::Random;
use crate::counters::count;

pub use lease::Lease;

/// RFC 2131 section 4.1: four seconds before the first retransmission, doubled up to 64, each give or take a second.
const FIRST_BACKOFF: Duration = Duration::from_secs(4);
const MAX_DOUBLINGS: u32 = 4;
const JITTER: Duration = Duration::from_secs(1);
/// Requests for an offered address before the client begins again.
const MAX_REQUESTS: u32 = 4;
/// Requests for the former address (INIT-REBOOT) before the client looks for a new one.
const MAX_REBOOT_REQUESTS: u32 = 2;
/// Messages after which the reply is asked for by broadcast, now and then: there are relays and bridges that cannot
/// deliver to an address that does not answer ARP yet.
const UNICAST_ATTEMPTS: u32 = 2;
/// RFC 2131 section 4.4.5: at least a minute between requests in RENEWING and REBINDING.
const MIN_RENEWAL_INTERVAL: Duration = Duration::from_secs(60);
/// RFC 2131 section 3.1, step 5: the wait after a DECLINE.
const DECLINE_WAIT: Duration = Duration::from_secs(10);
/// Of T1 and T2, the part by which they come early at random (RFC 2131 section 4.4.5), as a divisor.
const FUZZ: u32 = 64;

/// What the client is about. RFC 2131 section 4.4, figure 5; each `at` is when it acts next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Turned off, or without a carrier.
    Idle,
    /// INIT
    Init { at: Instant },
    /// SELECTING
    Selecting { sent: u32, at: Instant },
    /// REQUESTING
    Requesting {
        address: Ipv4Addr,
        server: Ipv4Addr,
        sent: u32,
        at: Instant,
    },
    /// INIT-REBOOT and REBOOTING
    Rebooting { sent: u32, at: Instant },
    /// BOUND; `None` when the lease is for ever.
    Bound { at: Option<Instant> },
    /// RENEWING
    Renewing { at: Instant },
    /// REBINDING
    Rebinding { at: Instant },
}

/// A lease in force.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    grant: Grant,
    until: Option<Until>,
}

/// The times of a lease that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Until {
    renew: Instant,
    rebind: Instant,
    expire: Instant,
}

/// What the client wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// This IP packet is to be sent to all on the link.
    Broadcast(Vec<u8>),
    /// This IP packet is to be sent to `next_hop`.
    Unicast { next_hop: IpAddr, packet: Vec<u8> },
    /// The lease began, or was renewed.
    Bound { lease: Lease, before: Option<Lease> },
    /// The lease ended.
    Lost(Lease),
}

/// The DHCP client of one link.
#[derive(Debug)]
pub(super) struct Client {
    mac: [u8; 6],
    mtu: u16,
    host_name: Option<String>,
    random: Random,
    enabled: bool,
    carrier: bool,
    state: State,
    held: Option<Held>,
    xid: u32,
    /// When the exchange began, for the field `secs`.
    began: Instant,
    /// When the last REQUEST was sent: a lease counts from there (RFC 2131 section 4.4.5).
    requested: Instant,
    /// NAKs and DECLINEs since the last lease: the client must not run in circles with a server.
    refusals: u32,
    /// A DECLINE that is to be sent: address and server.
    decline: Option<(Ipv4Addr, Ipv4Addr)>,
}

impl Client {
    /// A client that is off.
    pub(super) fn new(
        mac: [u8; 6],
        mtu: u16,
        carrier: bool,
        random: Random,
        now: Instant,
    ) -> Client {
        Client {
            mac,
            mtu,
            host_name: None,
            random,
            enabled: false,
            carrier,
            state: State::Idle,
            held: None,
            xid: 0,
            began: now,
            requested: now,
            refusals: 0,
            decline: None,
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn lease(&self) -> Option<&Lease> {
        self.held.as_ref().map(|held| &held.grant.lease)
    }

    /// The name to give to the server; not sent unless it is one (RFC 952, RFC 1123 section 2.1).
    pub(super) fn set_host_name(&mut self, name: &str) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let valid = (1..=63).contains(&name.len()) && name.bytes().all(plain);
        self.host_name = valid.then(|| name.to_owned());
    }

    /// Turns the client on or off. The lease stays.
    pub(super) fn enable(&mut self, now: Instant, on: bool) {
        if core::mem::replace(&mut self.enabled, on) != on {
            self.restart(now);
        }
    }

    /// The carrier came or went. The lease stays: it is asked for again when the carrier is back.
    pub(super) fn set_carrier(&mut self, now: Instant, carrier: bool) {
        if core::mem::replace(&mut self.carrier, carrier) != carrier {
            self.restart(now);
        }
    }

    /// The leased address was taken away by others: the lease is forgotten.
    pub(super) fn forget(&mut self, now: Instant) {
        self.held = None;
        self.restart(now);
    }

    /// The leased address is in use by another station: RFC 2131 section 4.4.4.
    pub(super) fn decline(&mut self, now: Instant) -> Option<Lease> {
        let held = self.held.take()?;
        self.decline = Some((held.grant.address, held.grant.server));
        if self.state != State::Idle {
            self.state = State::Init {
                at: now + DECLINE_WAIT,
            };
        }
        Some(held.grant.lease)
    }

    /// When [`Client::poll`] is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let state = match self.state {
            State::Idle => None,
            State::Bound { at } => at,
            State::Init { at }
            | State::Selecting { at, .. }
            | State::Requesting { at, .. }
            | State::Rebooting { at, .. }
            | State::Renewing { at }
            | State::Rebinding { at } => Some(at),
        };
        // A DECLINE is always due: any time that has passed will do.
        let decline = self.decline.map(|_| self.began);
        [state, self.expiry(), decline].into_iter().flatten().min()
    }

    /// One thing that is to be done at `now`; to be called until there is none.
    pub(super) fn poll(&mut self, now: Instant, counters: &mut LinkCounters) -> Option<Action> {
        if let Some((address, server)) = self.decline.take() {
            return Some(self.send(
                now,
                RequestKind::Decline,
                Some(address),
                Some(server),
                false,
            ));
        }
        if self.expiry().is_some_and(|expiry| expiry <= now) {
            let lease = self.held.take().map(|held| held.grant.lease);
            if matches!(
                self.state,
                State::Bound { .. } | State::Renewing { .. } | State::Rebinding { .. }
            ) {
                self.state = State::Init { at: now };
            }
            count(&mut counters.dhcp_leases_lost);
            return lease.map(Action::Lost);
        }
        // Each turn either returns or moves on to a state that acts later, or that returns.
        loop {
            match self.state {
                State::Init { at } if at <= now => {
                    self.begin(now, State::Selecting { sent: 0, at: now })
                }
                State::Selecting { sent, at } if at <= now => {
                    return Some(self.discover(now, sent));
                }
                State::Requesting {
                    at,
                    sent: MAX_REQUESTS..,
                    ..
                } if at <= now => self.state = State::Init { at: now },
                State::Requesting {
                    address,
                    server,
                    sent,
                    at,
                } if at <= now => {
                    let at = self.backoff(now, sent);
                    self.state = State::Requesting {
                        address,
                        server,
                        sent: sent.saturating_add(1),
                        at,
                    };
                    let broadcast = wants_broadcast(sent);
                    return Some(self.send(
                        now,
                        RequestKind::Request,
                        Some(address),
                        Some(server),
                        broadcast,
                    ));
                }
                State::Rebooting {
                    at,
                    sent: MAX_REBOOT_REQUESTS..,
                } if at <= now => {
                    self.state = State::Init { at: now };
                }
                State::Rebooting { sent, at } if at <= now => {
                    let Some(address) = self.held.as_ref().map(|held| held.grant.address) else {
                        self.state = State::Init { at: now };
                        continue;
                    };
                    let at = self.backoff(now, sent);
                    self.state = State::Rebooting {
                        sent: sent.saturating_add(1),
                        at,
                    };
                    // RFC 2131 section 4.3.2: no server identifier, ciaddr zero.
                    let broadcast = wants_broadcast(sent);
                    return Some(self.send(
                        now,
                        RequestKind::Request,
                        Some(address),
                        None,
                        broadcast,
                    ));
                }
                State::Bound { at: Some(at) } if at <= now => {
                    self.begin(now, State::Renewing { at: now })
                }
                State::Renewing { at } | State::Rebinding { at } if at <= now => {
                    return self.renew(now);
                }
                _ => return None,
            }
        }
    }

    /// The message in `packet`, when it is one for a DHCP client and the client is on; such a packet is for nobody
    /// else.
    pub(super) fn intercept<'p>(
        &self,
        packet: &'p [u8],
        counters: &mut LinkCounters,
    ) -> Option<Option<&'p [u8]>> {
        if !self.enabled {
            return None;
        }
        let message = wire::message_to_client(packet)?;
        count(&mut counters.dhcp_rx);
        if message.is_err() {
            count(&mut counters.dhcp_rx_malformed);
        }
        Some(message.ok())
    }

    /// A message from a server. What is to be done follows here and from [`Client::poll`], due at once.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        message: &[u8],
        counters: &mut LinkCounters,
    ) -> Option<Action> {
        let Ok(reply) = Reply::parse(message) else {
            count(&mut counters.dhcp_rx_malformed);
            return None;
        };
        // RFC 2131 section 4.4.1: the transaction identifier, and that it is ours.
        let ours = reply.xid == self.xid && reply.chaddr == self.mac;
        match (&self.state, reply.kind()) {
            (State::Selecting { .. }, Some(ReplyKind::Offer)) if ours => {
                self.receive_offer(now, &reply, counters)
            }
            (State::Requesting { .. }, Some(ReplyKind::Ack)) if ours => {
                self.receive_ack(&reply, counters)
            }
            (
                State::Rebooting { .. } | State::Renewing { .. } | State::Rebinding { .. },
                Some(ReplyKind::Ack),
            ) if ours => self.receive_ack(&reply, counters),
            (_, Some(ReplyKind::Nak)) if ours && self.expects_nak(&reply) => {
                self.receive_nak(now, counters)
            }
            _ => {
                count(&mut counters.dhcp_rx_unexpected);
                None
            }
        }
    }

    /// RFC 2131 section 4.4.1 leaves the choice among offers to us: the first that can be used.
    fn receive_offer(
        &mut self,
        now: Instant,
        reply: &Reply<'_>,
        counters: &mut LinkCounters,
    ) -> Option<Action> {
        match Grant::read(reply, self.mtu) {
            Some(Grant {
                address, server, ..
            }) => {
                self.state = State::Requesting {
                    address,
                    server,
                    sent: 0,
                    at: now,
                };
            }
            None => count(&mut counters.dhcp_rx_unusable),
        }
        None
    }

    fn receive_ack(&mut self, reply: &Reply<'_>, counters: &mut LinkCounters) -> Option<Action> {
        let expected = match self.state {
            State::Requesting { server, .. } => Some(server),
            _ => None,
        };
        let usable = |grant: &Grant| expected.is_none_or(|server| grant.server == server);
        let Some(grant) = Grant::read(reply, self.mtu).filter(usable) else {
            count(&mut counters.dhcp_rx_unusable);
            return None;
        };
        count(if self.held.is_some() {
            &mut counters.dhcp_renewals
        } else {
            &mut counters.dhcp_leases
        });
        self.refusals = 0;
        let until = self.until(&grant);
        self.state = State::Bound {
            at: until.map(|until| until.renew),
        };
        let lease = grant.lease.clone();
        let before = self
            .held
            .replace(Held { grant, until })
            .map(|held| held.grant.lease);
        Some(Action::Bound { lease, before })
    }

    /// Is a NAK from this server one to obey? While a server of our choice is spoken to, only from that one.
    fn expects_nak(&self, reply: &Reply<'_>) -> bool {
        let server = reply.address(wire::option::SERVER_IDENTIFIER);
        let held = self.held.as_ref().map(|held| held.grant.server);
        match self.state {
            State::Requesting { server: chosen, .. } => {
                server.is_none_or(|server| server == chosen)
            }
            State::Renewing { .. } => server.is_none() || server == held,
            State::Rebooting { .. } | State::Rebinding { .. } => true,
            _ => false,
        }
    }

    /// RFC 2131 section 3.1, step 4 and section 4.4.5: begin again; but at once only the first time.
    fn receive_nak(&mut self, now: Instant, counters: &mut LinkCounters) -> Option<Action> {
        count(&mut counters.dhcp_naks);
        let at = match self.refusals {
            0 => now,
            refusals => self.backoff(now, refusals),
        };
        self.refusals = self.refusals.saturating_add(1);
        self.state = State::Init { at };
        let held = self.held.take()?;
        count(&mut counters.dhcp_leases_lost);
        Some(Action::Lost(held.grant.lease))
    }

    fn discover(&mut self, now: Instant, sent: u32) -> Action {
        let at = self.backoff(now, sent);
        self.state = State::Selecting {
            sent: sent.saturating_add(1),
            at,
        };
        self.send(
            now,
            RequestKind::Discover,
            None,
            None,
            wants_broadcast(sent),
        )
    }

    /// RFC 2131 section 4.4.5: to the server that granted the lease until T2, to all after it.
    fn renew(&mut self, now: Instant) -> Option<Action> {
        let Some(Held {
            grant,
            until: Some(until),
        }) = self.held.clone()
        else {
            self.state = State::Init { at: now };
            return None;
        };
        let rebinding = now >= until.rebind;
        let end = if rebinding {
            until.expire
        } else {
            until.rebind
        };
        let left = Duration::from_micros(
            u64::try_from(end.total_micros() - now.total_micros()).unwrap_or(0),
        );
        let at = (now + MIN_RENEWAL_INTERVAL.max(left / 2)).min(end);
        self.state = if rebinding {
            State::Rebinding { at }
        } else {
            State::Renewing { at }
        };
        self.requested = now;
        let destination = if rebinding {
            Ipv4Addr::BROADCAST
        } else {
            grant.server
        };
        let request = Request {
            ciaddr: grant.address,
            destination,
            ..self.request(now, RequestKind::Request)
        };
        let packet = request.packet();
        Some(if rebinding {
            Action::Broadcast(packet)
        } else {
            Action::Unicast {
                next_hop: next_hop(&grant.lease),
                packet,
            }
        })
    }

    fn send(
        &mut self,
        now: Instant,
        kind: RequestKind,
        requested: Option<Ipv4Addr>,
        server: Option<Ipv4Addr>,
        broadcast: bool,
    ) -> Action {
        self.requested = now;
        Action::Broadcast(
            Request {
                requested,
                server,
                broadcast,
                ..self.request(now, kind)
            }
            .packet(),
        )
    }

    fn request(&self, now: Instant, kind: RequestKind) -> Request<'_> {
        let seconds = now.secs().saturating_sub(self.began.secs());
        Request {
            kind,
            xid: self.xid,
            secs: u16::try_from(seconds.max(0)).unwrap_or(u16::MAX),
            broadcast: false,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: self.mac,
            requested: None,
            server: None,
            host_name: self.host_name.as_deref(),
            max_size: self.mtu.max(576),
            destination: Ipv4Addr::BROADCAST,
        }
    }

    /// From the beginning, or from the lease that there is: RFC 2131 section 3.2. The wait of one to ten seconds that
    /// section 4.4.1 wants before the first message is for machines that are switched on together; a user waits here.
    fn restart(&mut self, now: Instant) {
        self.refusals = 0;
        match (self.enabled && self.carrier, &self.held) {
            (false, _) => self.state = State::Idle,
            (true, Some(_)) => self.begin(now, State::Rebooting { sent: 0, at: now }),
            (true, None) => self.begin(now, State::Selecting { sent: 0, at: now }),
        }
    }

    /// A new exchange.
    fn begin(&mut self, now: Instant, state: State) {
        self.xid = self.random.next_u32();
        self.began = now;
        self.state = state;
    }

    fn expiry(&self) -> Option<Instant> {
        self.held.as_ref()?.until.map(|until| until.expire)
    }

    fn until(&mut self, grant: &Grant) -> Option<Until> {
        let (duration, (t1, t2)) = grant.lease.duration.zip(grant.times)?;
        let early = self.random.between(Duration::ZERO, t1 / FUZZ);
        Some(Until {
            renew: self.requested + (t1 - early),
            rebind: self.requested + (t2 - early),
            expire: self.requested + duration,
        })
    }

    /// When to send again after `sent` messages before this one.
    fn backoff(&mut self, now: Instant, sent: u32) -> Instant {
        let wait = FIRST_BACKOFF * (1 << sent.min(MAX_DOUBLINGS));
        now + self.random.between(wait - JITTER, wait + JITTER)
    }
}

/// Every other message after the first few.
fn wants_broadcast(sent: u32) -> bool {
    sent >= UNICAST_ATTEMPTS && sent % 2 == 0
}

/// The way to the server that granted the lease: it is on the link, or behind the first router.
fn next_hop(lease: &Lease) -> IpAddr {
    match lease.routers.first() {
        Some(router) if !lease.address.contains_addr(&lease.server.into()) => *router,
        _ => lease.server,
    }
}
