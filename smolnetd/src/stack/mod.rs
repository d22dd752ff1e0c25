//! The stack: owns the links, the routes, the TCP engine and the sockets, and moves packets between them.
//!
//! A packet's way in is [`Stack::handle_frame`]: link, `input`, then TCP or a socket. Its way out starts in a call or
//! in [`Stack::poll`] and goes through `network`: route, link, the adapter's slot. A packet to ourselves takes the same
//! ways, over the loopback link.

mod autoconf;
mod calls;
mod config;
mod datagrams;
mod fragments;
mod groups;
mod icmp;
mod identifiers;
mod input;
mod listing;
mod network;
mod path;
mod search;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};

use smoltcp::time::{Duration, Instant};

pub use identifiers::IdentifierKind;
pub use listing::SocketInfo;
pub use network::LOOPBACK;
use network::Network;
pub use search::is_domain;
use sockets::Sockets;

use crate::counters::count;
use crate::error::SocketError;
use crate::icmp::{IcmpCounters, RateLimit};
use crate::link::{Link, LinkConfig};
use crate::output::Arrival;
use crate::ports::{LinkId, Ports};
use crate::quota::{Exceeded, Share};
use crate::route::RouteTable;
use crate::secret::Secret;
use crate::socket::icmp::IcmpTable;
use crate::socket::raw::RawTable;
use crate::socket::tcp::{Tcp, TcpId};
use crate::socket::udp::UdpTable;
use crate::socket::{SocketId, tcp};

/// Looped packets that one [`Stack::poll`] moves at most.
const LOOPED_PER_POLL: usize = 256;

/// ICMP errors at once, and the time until one more may follow.
const ERROR_BURST: u32 = 50;
const ERROR_INTERVAL: Duration = Duration::from_millis(1);

/// How much of everything there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sockets.
    pub sockets: Share,
    /// Bytes that wait to be read in the queues of datagram sockets.
    pub inbox_bytes: Share,
    /// TCP's own.
    pub tcp: tcp::Limits,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            sockets: Share {
                all: 65_536,
                of_user: 16_384,
                for_root: 4096,
            },
            inbox_bytes: Share {
                all: 64 << 20,
                of_user: 16 << 20,
                for_root: 8 << 20,
            },
            tcp: tcp::Limits::default(),
        }
    }
}

/// What has changed since somebody last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// The readiness of a socket may be another.
    Socket(SocketId),
    /// A socket was opened, bound, connected or closed.
    Sockets,
    /// A link came, went, or changed its carrier.
    Link(LinkId),
    /// A link's addresses.
    Addresses(LinkId),
    /// A link's neighbours: one answers, or does not.
    Neighbours(LinkId),
    /// The route table.
    Routes,
    /// The name servers or the search list.
    Resolvers,
}

/// A whole TCP/IP host.
#[derive(Debug)]
pub struct Stack {
    network: Network,
    tcp: Tcp,
    tcp_sockets: BTreeMap<TcpId, SocketId>,
    sockets: Sockets,
    udp: UdpTable,
    icmp: IcmpTable,
    icmp_counters: IcmpCounters,
    error_limit: RateLimit,
    raw: RawTable,
    /// Datagram sockets that found a link's transmit ring full.
    waiting: BTreeSet<(LinkId, SocketId)>,
    /// Links that have room again and packets of their own to send.
    roomy: BTreeSet<LinkId>,
    changes: BTreeSet<Change>,
    config: config::Config,
}

impl Stack {
    /// A host with nothing but its loopback link. `secret` is random and told to nobody: everything that must not be
    /// guessed (ports, sequence numbers, identifiers) comes from it.
    pub fn new(secret: [u8; 32], limits: Limits, now: Instant) -> Stack {
        let secret = Secret::new(secret);
        let Limits {
            sockets,
            inbox_bytes,
            tcp,
        } = limits;
        let mut stack = Stack {
            network: Network::new(secret, now),
            tcp: Tcp::new(secret.derive("tcp"), tcp),
            tcp_sockets: BTreeMap::new(),
            sockets: Sockets::new(sockets, inbox_bytes),
            udp: UdpTable::new(secret),
            icmp: IcmpTable::new(secret),
            icmp_counters: IcmpCounters::default(),
            error_limit: RateLimit::new(ERROR_BURST, ERROR_INTERVAL, now),
            raw: RawTable::default(),
            waiting: BTreeSet::new(),
            roomy: BTreeSet::new(),
            changes: BTreeSet::new(),
            config: config::Config::default(),
        };
        stack.addresses_changed(now, LOOPBACK);
        stack.changes.clear();
        stack
    }

    /// A frame came in on `link`. Replies that cannot wait leave at once; call [`Stack::poll`] after a batch.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        link: LinkId,
        frame: &[u8],
        ports: &mut impl Ports,
    ) {
        let Some(adapter) = self.network.links.get_mut(&link) else {
            return count(&mut self.network.counters.unknown_link);
        };
        if let Some(packet) = adapter.receive(now, frame, ports) {
            self.input(
                now,
                Arrival {
                    link,
                    looped: false,
                },
                packet,
                ports,
            );
        }
        self.apply_events(now, link);
    }

    /// Does what is due: timers, flows with something to send, packets to ourselves. To be called after every batch
    /// of frames and calls, and at [`Stack::next_deadline`]; it costs little when there is nothing to do. True when
    /// it stopped with work left, so as not to keep others waiting: call it again soon.
    #[must_use]
    pub fn poll(&mut self, now: Instant, ports: &mut impl Ports) -> bool {
        self.poll_links(now, ports);
        if self.network.routes.expire(now) > 0 {
            self.routes_changed(now);
        }
        if self.network.path_mtus.expire(now) {
            self.paths_changed(now);
        }
        self.expire_fragments(now, ports);
        let mut budget = LOOPED_PER_POLL;
        loop {
            self.tcp.poll(now, &mut self.network.egress(ports));
            // Only when the loopback queue is empty are the flows asked again: a batch is acknowledged as one.
            let before = budget;
            while budget > 0 && self.loop_once(now, ports) {
                budget -= 1;
            }
            if budget == before || budget == 0 {
                return budget == 0;
            }
        }
    }

    /// When [`Stack::poll`] must be called next if nothing else happens before; none if never.
    pub fn next_deadline(&self) -> Option<Instant> {
        let links = self
            .network
            .links
            .values()
            .filter_map(Link::next_deadline)
            .min();
        [
            links,
            self.network.routes.next_deadline(),
            self.network.path_mtus.next_deadline(),
            self.network.reassembly.next_deadline(),
            self.tcp.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// A link whose transmit ring was full has room again. What waits for it goes on at the next [`Stack::poll`].
    pub fn room_again(&mut self, link: LinkId) {
        self.tcp.room_again(link);
        self.roomy.insert(link);
        let waiting: Vec<_> = self
            .waiting
            .range((link, SocketId(0))..=(link, SocketId(u64::MAX)))
            .copied()
            .collect();
        for (link, id) in waiting {
            self.waiting.remove(&(link, id));
            if let Ok(socket) = self.sockets.datagram_mut(id) {
                socket.waits_for = None;
                self.changes.insert(Change::Socket(id));
            }
        }
    }

    /// Appends what has changed since the last call, each change once.
    pub fn take_changes(&mut self, changes: &mut Vec<Change>) {
        for id in self.tcp.take_changed() {
            if let Some(id) = self.tcp_sockets.get(&id) {
                self.changes.insert(Change::Socket(*id));
            }
        }
        for (id, link) in &mut self.network.links {
            if link.take_neighbours_changed() {
                self.changes.insert(Change::Neighbours(*id));
            }
        }
        changes.extend(core::mem::take(&mut self.changes));
    }

    /// A link, if it is there.
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.network.links.get(&id)
    }

    /// All links, loopback first, then in the order in which they came.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.network.links.values()
    }

    /// The link of that name.
    pub fn link_by_name(&self, name: &str) -> Option<&Link> {
        self.links().find(|link| link.name() == name)
    }

    /// The link that a zone names (RFC 4007 11): by its name, or by its number.
    pub fn zone(&self, text: &str) -> Option<LinkId> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let numbered = || {
            let number = text.parse().ok().filter(|_| is_number)?;
            self.link(LinkId(number))
        };
        self.link_by_name(text).or_else(numbered).map(Link::id)
    }

    /// The route table.
    pub fn routes(&self) -> &RouteTable {
        &self.network.routes
    }

    /// Every counter with its name: `ip.received`, `udp.no_port`, `eth0.rx_frames`.
    pub fn stats(&self) -> Vec<(String, u64)> {
        let own = [
            ("ip", self.network.counters.iter().collect::<Vec<_>>()),
            (
                "fragment",
                self.network.reassembly.counters.iter().collect(),
            ),
            ("path_mtu", self.network.path_mtus.counters.iter().collect()),
            ("socket", self.sockets.counters.iter().collect()),
            ("icmp", self.icmp_counters.iter().collect()),
            ("udp", self.udp.counters.iter().collect()),
            ("tcp", self.tcp.counters().iter().collect()),
            ("tcp.memory", self.tcp.memory().iter().collect()),
        ];
        let links = self.links().map(|link| {
            let counters = link.counters().iter();
            let learned = link.autoconf_counters().iter();
            (link.name(), counters.chain(learned).collect())
        });
        own.into_iter()
            .chain(links)
            .flat_map(|(owner, counters)| {
                counters
                    .into_iter()
                    .map(move |(name, value)| (format!("{owner}.{name}"), value))
            })
            .collect()
    }

    /// Somebody was refused one more file of a socket: counts it, and gives the reason.
    pub(crate) fn refused(&mut self, exceeded: Exceeded) -> SocketError {
        self.sockets.refused(exceeded)
    }

    /// How many sockets there are.
    pub fn socket_count(&self) -> usize {
        self.sockets.len()
    }

    /// Links whose time has come, or that have room again.
    fn poll_links(&mut self, now: Instant, ports: &mut impl Ports) {
        let mut due = core::mem::take(&mut self.roomy);
        let late = |link: &Link| link.next_deadline().is_some_and(|deadline| deadline <= now);
        due.extend(
            self.network
                .links
                .values()
                .filter(|link| late(link))
                .map(Link::id),
        );
        for id in due {
            if let Some(link) = self.network.links.get_mut(&id) {
                link.poll(now, ports);
                self.network.flush_pieces(now, id, ports);
                self.apply_events(now, id);
            }
        }
    }

    /// Takes one packet from the loopback link; false when there is none.
    fn loop_once(&mut self, now: Instant, ports: &mut impl Ports) -> bool {
        let Some(link) = self.network.links.get_mut(&LOOPBACK) else {
            return false;
        };
        let was_full = !link.has_room(ports);
        let Some(packet) = link.take_looped() else {
            return false;
        };
        self.input(
            now,
            Arrival {
                link: LOOPBACK,
                looped: true,
            },
            &packet,
            ports,
        );
        if let Some(link) = self.network.links.get_mut(&LOOPBACK) {
            link.recycle(packet);
        }
        if was_full {
            self.room_again(LOOPBACK);
        }
        true
    }

    /// Brings a new link in. It has no addresses yet; [`Stack::enable_dhcp`] or [`Stack::add_address`] give it some.
    pub fn add_link(&mut self, now: Instant, config: LinkConfig) -> LinkId {
        let id = self.network.add_link(now, config);
        self.changes.insert(Change::Link(id));
        id
    }
}

#[cfg(test)]
mod tests;
