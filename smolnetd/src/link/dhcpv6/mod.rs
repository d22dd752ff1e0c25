//! Stateless DHCPv6 client (RFC 8415 section 18.2.6), sans-IO: it asks for name servers and search domains where a
//! router says that there is somebody to ask.
//!
//! ```text
//!          a router says so, and           answer                 the refresh time is over
//!  Idle ─► there is an address ──► Asking ───────► Informed ─────────────────────────────► Asking
//!   ▲                                │ again and again, ever more seldom
//!   └─── the carrier goes, or a program takes the port
//! ```
//! What was learned stays until another answer replaces it, or the network turns out to be another one.

#[cfg(test)]
mod tests;
mod wire;

use core::net::Ipv6Addr;

use smoltcp::time::{Duration, Instant};

use self::wire::{Message, TransactionId, option};
use super::autoconf::AutoconfCounters;
use super::backoff::Backoff;
use super::random::Random;
use crate::counters::count;

/// RFC 8415 section 18.2.6: the first message comes at random within INF_MAX_DELAY, which is a second; a user waits
/// here, and a tenth of it parts machines that are switched on together too.
const MAX_DELAY: Duration = Duration::from_millis(100);
/// RFC 8415 section 7.6.
const INF_TIMEOUT: Duration = Duration::from_secs(1);
const INF_MAX_RT: Duration = Duration::from_secs(3600);
/// RFC 8415 section 21.25: the INF_MAX_RT that a server may ask for, in seconds.
const MAX_RT_RANGE: core::ops::RangeInclusive<u32> = 60..=86_400;
/// RFC 8415 section 21.23, in seconds: without the option, and at the least.
const IRT_DEFAULT: u32 = 86_400;
const IRT_MINIMUM: u32 = 600;
const INFINITE: u32 = u32::MAX;
/// Name servers, and search domains, that are taken from one answer.
const MAX_ENTRIES: usize = 8;

/// What the client is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// An Information-request is due then; `began` is when the first was sent.
    Asking {
        xid: TransactionId,
        at: Instant,
        began: Option<Instant>,
    },
    /// Nothing to do until then, if ever.
    Informed {
        refresh: Option<Instant>,
    },
}

/// The DHCPv6 client of one link.
#[derive(Debug)]
pub(super) struct Client {
    mac: [u8; 6],
    /// Has a router said that there is a server?
    wanted: bool,
    /// Is the port ours?
    allowed: bool,
    /// Our link-local address, known to be ours alone.
    source: Option<Ipv6Addr>,
    state: State,
    backoff: Backoff,
    servers: Vec<Ipv6Addr>,
    domains: Vec<String>,
    /// When a server said so.
    heard: Instant,
}

impl Client {
    /// A client that waits for a router's word, and for an address.
    pub(super) fn new(mac: [u8; 6]) -> Client {
        Client {
            mac,
            wanted: false,
            allowed: true,
            source: None,
            state: State::Idle,
            backoff: Backoff::new(INF_TIMEOUT, INF_MAX_RT),
            servers: Vec::new(),
            domains: Vec::new(),
            heard: Instant::ZERO,
        }
    }

    /// Our link-local address came or went.
    pub(super) fn set_source(
        &mut self,
        now: Instant,
        source: Option<Ipv6Addr>,
        random: &mut Random,
    ) {
        self.source = source;
        self.update(now, random);
    }

    /// The port became free, or was taken by a program.
    pub(super) fn allow(&mut self, now: Instant, allowed: bool, random: &mut Random) {
        self.allowed = allowed;
        self.update(now, random);
    }

    /// A router says that there is a server. That it does not say so any more later ends nothing.
    pub(super) fn start(&mut self, now: Instant, random: &mut Random) {
        self.wanted = true;
        self.update(now, random);
    }

    /// The carrier went: it begins again when a router says so again.
    pub(super) fn stop(&mut self) {
        self.wanted = false;
        self.state = State::Idle;
    }

    /// Forgets what it was told before then.
    pub(super) fn forget_before(&mut self, since: Instant) {
        if self.heard < since {
            self.servers.clear();
            self.domains.clear();
        }
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.servers.iter().copied()
    }

    pub(super) fn domains(&self) -> impl Iterator<Item = String> {
        self.domains.iter().cloned()
    }

    /// When [`Client::poll`] is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle => None,
            State::Asking { at, .. } => Some(at),
            State::Informed { refresh } => refresh,
        }
    }

    /// The packet that is to be sent to its group at `now`.
    pub(super) fn poll(&mut self, now: Instant, random: &mut Random) -> Option<Vec<u8>> {
        if let State::Informed { refresh: Some(at) } = self.state
            && at <= now
        {
            self.ask(now, random);
        }
        let State::Asking { xid, at, began } = self.state else {
            return None;
        };
        let source = self.source.filter(|_| at <= now)?;
        let began = began.unwrap_or(now);
        self.state = State::Asking {
            xid,
            at: now + self.backoff.next(random),
            began: Some(began),
        };
        // RFC 8415 section 21.9: in hundredths of a second, 0 in the first message.
        let elapsed = (now - began).total_millis() / 10;
        let elapsed = u16::try_from(elapsed).unwrap_or(u16::MAX);
        Some(wire::information_request(source, self.mac, xid, elapsed))
    }

    /// A packet came in. `None` when it is not for the client, else whether what it knows has changed.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        packet: &[u8],
        counters: &mut AutoconfCounters,
    ) -> Option<bool> {
        if self.state == State::Idle {
            return None;
        }
        let message = wire::message_to_client(packet, self.source?)?;
        count(&mut counters.dhcpv6_rx);
        match message.and_then(Message::parse) {
            Ok(message) => Some(self.receive_message(now, &message, counters)),
            Err(_) => {
                count(&mut counters.dhcpv6_rx_malformed);
                Some(false)
            }
        }
    }

    /// RFC 8415 section 18.2.10.4.
    fn receive_message(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        counters: &mut AutoconfCounters,
    ) -> bool {
        if !self.expects(message) {
            count(&mut counters.dhcpv6_rx_unexpected);
            return false;
        }
        // RFC 8415 section 18.2.10: INF_MAX_RT counts even in what is else of no use.
        if let Some(seconds) = message
            .u32(option::INF_MAX_RT)
            .filter(|seconds| MAX_RT_RANGE.contains(seconds))
        {
            self.backoff
                .set_longest(Duration::from_secs(seconds.into()));
        }
        if !message.is_success() {
            count(&mut counters.dhcpv6_rx_failure);
            return false;
        }
        count(&mut counters.dhcpv6_replies);
        let refresh = message
            .u32(option::INFORMATION_REFRESH_TIME)
            .unwrap_or(IRT_DEFAULT)
            .max(IRT_MINIMUM);
        self.state = State::Informed {
            refresh: (refresh != INFINITE).then(|| now + Duration::from_secs(refresh.into())),
        };
        let servers = bounded(message.servers());
        let domains = bounded(message.domains());
        let changed = servers != self.servers || domains != self.domains;
        self.servers = servers;
        self.domains = domains;
        self.heard = now;
        changed
    }

    /// RFC 8415 section 16.10: a reply to the question that is open, from a server that says who it is, and to us.
    fn expects(&self, message: &Message<'_>) -> bool {
        let State::Asking {
            xid,
            began: Some(_),
            ..
        } = self.state
        else {
            return false;
        };
        message.is_reply()
            && message.xid == xid
            && message
                .option(option::SERVER_ID)
                .is_some_and(|server| !server.is_empty())
            && message.option(option::CLIENT_ID) == Some(&wire::duid(self.mac))
    }

    /// Begins or ends as things stand.
    fn update(&mut self, now: Instant, random: &mut Random) {
        let running = self.wanted && self.allowed && self.source.is_some();
        match (running, self.state) {
            (true, State::Idle) => self.ask(now, random),
            (false, _) => self.state = State::Idle,
            (true, _) => {}
        }
    }

    /// A new exchange.
    fn ask(&mut self, now: Instant, random: &mut Random) {
        let [_, xid @ ..] = random.next_u32().to_be_bytes();
        self.backoff.restart();
        self.state = State::Asking {
            xid,
            at: now + random.between(Duration::ZERO, MAX_DELAY),
            began: None,
        };
    }
}

/// The first of a list, each once.
fn bounded<T: PartialEq>(values: Vec<T>) -> Vec<T> {
    let mut list = Vec::new();
    for value in values {
        if list.len() < MAX_ENTRIES && !list.contains(&value) {
            list.push(value);
        }
    }
    list
}
