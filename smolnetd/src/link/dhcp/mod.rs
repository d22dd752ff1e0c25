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
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod wire;

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::{Duration, Instant};

use self::lease::Grant;
use super::LinkCounters;
use super::random::Random;
use crate::counters::count;

pub use lease::Lease;

/// Requests for an offered address before the client begins again.
const MAX_REQUESTS: u32 = 4;
/// Requests for the former address (INIT-REBOOT) before the client looks for a new one.
const MAX_REBOOT_REQUESTS: u32 = 2;
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
            return Some(self.refuse(now, address, server));
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
        // Each turn either returns, or moves on to a state that returns.
        loop {
            match self.state {
                State::Init { at } if at <= now => {
                    self.begin(now, State::Selecting { sent: 0, at: now });
                }
                State::Selecting { sent, at } if at <= now => {
                    return Some(self.discover(now, sent));
                }
                State::Requesting { sent, at, .. } if at <= now && sent >= MAX_REQUESTS => {
                    self.state = State::Init { at: now };
                }
                State::Requesting {
                    address,
                    server,
                    sent,
                    at,
                } if at <= now => {
                    return Some(self.request_offered(now, address, server, sent));
                }
                State::Rebooting { sent, at } if at <= now => match &self.held {
                    Some(held) if sent < MAX_REBOOT_REQUESTS => {
                        let address = held.grant.address;
                        return Some(self.request_former(now, address, sent));
                    }
                    _ => self.state = State::Init { at: now },
                },
                State::Bound { at: Some(at) } if at <= now => {
                    self.begin(now, State::Renewing { at: now });
                }
                State::Renewing { at } | State::Rebinding { at } if at <= now => {
                    return self.renew(now);
                }
                _ => return None,
            }
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
}
