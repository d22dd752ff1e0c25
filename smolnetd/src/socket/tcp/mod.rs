//! TCP (RFC 9293) as sockets: connections, listeners with accept queues, and the flows behind them.
//!
//! A socket is what a client holds; a flow ([`crate::flow`]) is a connection on the network. They meet in a flow's
//! holder and a socket's kind, and live apart: a flow goes on after its socket was closed, and what a flow received is
//! there to be read after it ended.

mod calls;
mod closing;
mod counters;
mod info;
mod limits;
mod memory;
mod network;
mod options;
mod ports;
#[cfg(test)]
mod tests;

use core::net::SocketAddr;
use std::collections::{HashMap, VecDeque};

use smoltcp::time::Instant;

use crate::error::SocketError;
use crate::flow::connection::{Holder, View};
use crate::flow::cookie::Cookies;
use crate::flow::memory::Memory;
use crate::flow::sequence::Seq;
use crate::flow::syn_queue::SynQueue;
use crate::flow::table::{Ages, Keyed};
use crate::flow::{Connection, FlowId, FlowKey, Flows, Phase, State};
use crate::secret::Secret;
use crate::socket::{OptionName, Owner, Readiness, SocketOption};

pub use counters::{Reason, TcpCounters};
pub use info::Info;
pub use limits::Limits;
pub use options::{Room, TcpOptions};
pub use ports::LocalEnd;

/// A TCP socket. Never used again after close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TcpId(pub u64);

/// Whether a packet found somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// It belonged to a flow or listener, or was dropped under a counter.
    Consumed,
    /// A well-formed segment that no flow and no listener waits for: [`Tcp::refuse`] is the answer.
    NoFlow,
}

/// What an ICMP error said about a packet of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpError {
    /// Destination unreachable: port or protocol.
    PortUnreachable,
    /// Destination unreachable: host.
    HostUnreachable,
    /// Destination unreachable: network.
    NetworkUnreachable,
    /// Destination unreachable: administratively prohibited.
    Prohibited,
    /// Fragmentation needed and DF set (RFC 1191), with the next hop's MTU in bytes (0 from old routers).
    PacketTooBig {
        /// The MTU that the router named.
        mtu: u16,
    },
}

/// A socket that listens.
#[derive(Debug, Default)]
struct Listener {
    backlog: usize,
    /// Connections that nobody has accepted yet, the oldest first.
    queue: VecDeque<FlowId>,
    /// Cookies are believed until then: the last was sent not long ago.
    cookies_until: Option<Instant>,
}

/// What a socket is.
#[derive(Debug)]
enum Kind {
    /// Neither listening nor connected.
    Idle,
    Listener(Listener),
    Connection(FlowId),
}

#[derive(Debug)]
struct Socket {
    owner: Owner,
    kind: Kind,
    /// The local address that it was bound to.
    bound: Option<LocalEnd>,
    options: TcpOptions,
    /// Is it on the list of changed ones?
    changed: bool,
}

/// All TCP flows, listeners and sockets.
#[derive(Debug)]
pub struct Tcp {
    limits: Limits,
    secret: Secret,
    counters: TcpCounters,
    flows: Flows,
    memory: Memory,
    half_open: SynQueue,
    cookies: Cookies,
    time_wait: Ages,
    orphans: Ages,
    sockets: HashMap<TcpId, Socket, Keyed>,
    next_id: u64,
    ports: ports::Ports,
    changed: VecDeque<TcpId>,
}

impl Tcp {
    /// `secret` is random and known to no one outside: sequence numbers, ports and hash keys come from it.
    pub fn new(secret: [u8; 32], limits: Limits) -> Tcp {
        let secret = Secret::new(secret);
        let key = Keyed(secret.hash("flows", 0), secret.hash("flows", 1));
        Tcp {
            memory: Memory::new(limits.memory, limits.memory_per_user),
            limits,
            secret,
            counters: TcpCounters::default(),
            flows: Flows::new(key),
            half_open: SynQueue::new(key),
            cookies: Cookies::new(secret),
            time_wait: Ages::default(),
            orphans: Ages::default(),
            sockets: HashMap::with_hasher(key),
            next_id: 0,
            ports: ports::Ports::new(key),
            changed: VecDeque::new(),
        }
    }

    /// What was counted.
    pub fn counters(&self) -> &TcpCounters {
        &self.counters
    }

    /// How many connections the flow table holds, half-open ones and those in TIME-WAIT included.
    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// The socket's own address: what it was bound to, or its connection's end.
    pub fn local(&self, id: TcpId) -> Option<SocketAddr> {
        let socket = self.sockets.get(&id)?;
        let bound = socket.bound.map(LocalEnd::socket_addr);
        match socket.kind {
            Kind::Connection(flow) => self.flows.get(flow).map(|flow| flow.key.local).or(bound),
            Kind::Idle | Kind::Listener(_) => bound,
        }
    }

    /// The peer's address, from the start of the connection attempt on; none if the attempt failed.
    pub fn peer(&self, id: TcpId) -> Option<SocketAddr> {
        let Kind::Connection(flow) = self.sockets.get(&id)?.kind else {
            return None;
        };
        let flow = self.flows.get(flow)?;
        match &flow.phase {
            Phase::Open(connection)
                if connection.was_established() || connection.is_connecting() =>
            {
                Some(flow.key.remote)
            }
            _ => None,
        }
    }

    /// The state of the socket in the words of RFC 9293 3.3.2.
    pub fn state(&self, id: TcpId) -> Option<State> {
        match &self.sockets.get(&id)?.kind {
            Kind::Idle => Some(State::Closed),
            Kind::Listener(_) => Some(State::Listen),
            Kind::Connection(_) => self.connection(id).map(Connection::state),
        }
    }

    /// Does it listen?
    pub fn is_listening(&self, id: TcpId) -> bool {
        self.sockets
            .get(&id)
            .is_some_and(|socket| matches!(socket.kind, Kind::Listener(_)))
    }

    /// Is a connection attempt under way?
    pub fn is_connecting(&self, id: TcpId) -> bool {
        self.connection(id).is_some_and(Connection::is_connecting)
    }

    /// Which calls would not block. A socket that was never connected is ready for nothing.
    pub fn readiness(&self, id: TcpId) -> Readiness {
        match self.sockets.get(&id).map(|socket| &socket.kind) {
            None | Some(Kind::Idle) => Readiness::default(),
            Some(Kind::Listener(listener)) => Readiness {
                readable: !listener.queue.is_empty(),
                writable: false,
            },
            Some(Kind::Connection(_)) => self
                .connection(id)
                .map_or(Readiness::BOTH, |connection| connection.readiness()),
        }
    }

    /// Octets received that nobody has read yet.
    pub fn unread(&self, id: TcpId) -> usize {
        self.connection(id).map_or(0, Connection::unread)
    }

    /// Octets written that the peer has not acknowledged.
    pub fn unacknowledged(&self, id: TcpId) -> usize {
        self.connection(id).map_or(0, Connection::unacknowledged)
    }

    /// The pending error, once (SO_ERROR).
    pub fn take_error(&mut self, id: TcpId) -> Option<SocketError> {
        self.with_connection(id, |connection| connection.take_error())
            .flatten()
    }

    /// Sets an option, on a connection that exists too: its buffers become as large as was asked for, but give up
    /// nothing that is in them or that the peer was promised.
    ///
    /// # Errors
    /// [`SocketError::Invalid`] for a value that cannot be, [`SocketError::BadSocket`].
    pub fn set_option(&mut self, id: TcpId, option: SocketOption) -> Result<(), SocketError> {
        let socket = self.sockets.get_mut(&id).ok_or(SocketError::BadSocket)?;
        socket.options.set(option, &self.limits)?;
        let options = socket.options;
        if let Kind::Connection(flow) = socket.kind {
            let before = self.view(flow);
            self.with_connection(id, |connection| connection.apply(&options));
            self.flows.mark_dirty(flow);
            self.tell(flow, before);
        }
        Ok(())
    }

    /// An option's value.
    ///
    /// # Errors
    /// [`SocketError::BadSocket`], [`SocketError::NoSuchOption`]
    pub fn option(&self, id: TcpId, name: OptionName) -> Result<SocketOption, SocketError> {
        self.sockets
            .get(&id)
            .ok_or(SocketError::BadSocket)?
            .options
            .get(name)
    }

    /// Sockets whose readiness may have changed, or that received more, each once. What is not taken stays.
    pub fn take_changed(&mut self) -> impl Iterator<Item = TcpId> + use<'_> {
        core::iter::from_fn(|| {
            while let Some(id) = self.changed.pop_front() {
                if let Some(socket) = self.sockets.get_mut(&id) {
                    socket.changed = false;
                    return Some(id);
                }
            }
            None
        })
    }

    fn connection(&self, id: TcpId) -> Option<&Connection> {
        let Kind::Connection(flow) = self.sockets.get(&id)?.kind else {
            return None;
        };
        self.flows.connection(flow)
    }

    fn with_connection<R>(&mut self, id: TcpId, f: impl FnOnce(&mut Connection) -> R) -> Option<R> {
        let Kind::Connection(flow) = self.sockets.get(&id)?.kind else {
            return None;
        };
        self.with_flow(flow, |lent| f(lent.connection))
    }

    /// What the flow's holder saw of it.
    fn view(&self, flow: FlowId) -> Option<View> {
        self.flows.connection(flow).map(Connection::view)
    }

    /// Tells the flow's holder, if what it sees is no longer what it saw `before`.
    fn tell(&mut self, flow: FlowId, before: Option<View>) {
        if let Some(before) = before
            && let Some(connection) = self.flows.connection(flow)
            && let Holder::Socket(id) = connection.holder
            && before.differs(connection.view())
        {
            self.touch(id);
        }
    }

    fn touch(&mut self, id: TcpId) {
        if let Some(socket) = self.sockets.get_mut(&id)
            && !socket.changed
        {
            socket.changed = true;
            self.changed.push_back(id);
        }
        // Those that were closed since are not taken from the list one by one.
        if self.changed.len() > self.sockets.len().saturating_mul(2).saturating_add(64) {
            self.changed.retain(|id| self.sockets.contains_key(id));
        }
    }

    /// RFC 6528: ISN = M + F(localip, localport, remoteip, remoteport, secretkey), M ticking every 4 µs.
    fn initial_sequence_number(&self, now: Instant, key: &FlowKey) -> Seq {
        let clock = now.total_micros() / 4;
        Seq((clock as u32).wrapping_add(self.secret.hash("initial sequence number", key) as u32))
    }

    /// RFC 6056 3.3.3: F(local address, remote address and port, secret).
    fn port_offset(&self, local: core::net::IpAddr, remote: SocketAddr) -> u32 {
        self.secret.hash("tcp port", (local, remote)) as u32
    }
}

impl Listener {
    /// Is there no room for another connection that nobody has accepted yet?
    fn is_full(&self) -> bool {
        self.queue.len() >= self.backlog
    }
}
