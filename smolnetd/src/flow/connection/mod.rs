//! A connection in smoltcp's hands, with its guard, its timeouts and the words that a socket gets from it.

mod calls;
mod network;
mod timeouts;

use core::fmt;
use core::net::SocketAddr;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::TcpControl;

use super::segment::{Control, Segment};
use super::sequence::Seq;
use super::{Agreed, FlowKey};
use crate::engine::Engine;
use crate::error::SocketError;
use crate::guard::Guard;
use crate::output::Path;
use crate::socket::Readiness;
use crate::socket::tcp::{Limits, TcpCounters, TcpId, TcpOptions};

/// Who will read what a connection receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A socket.
    Socket(TcpId),
    /// Nobody yet: it waits in this listener's accept queue.
    Queued(TcpId),
    /// Nobody any more: it delivers what was written and ends.
    Orphan {
        /// Its place in the order of age.
        mark: u64,
        /// When its socket was closed.
        since: Instant,
    },
}

/// What serving a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// It has nothing more to send now.
    Idle,
    /// It has more to send, after the others.
    More,
    /// Its link is full.
    Blocked,
}

/// What a connection works with and in.
pub struct Context<'a, O> {
    /// The time.
    pub now: Instant,
    /// The connection's name.
    pub key: FlowKey,
    /// Its way out.
    pub path: &'a Path,
    /// How long everything may take.
    pub limits: &'a Limits,
    /// smoltcp.
    pub engine: &'a mut Engine,
    /// What is counted.
    pub counters: &'a mut TcpCounters,
    /// The stack.
    pub out: &'a mut O,
}

/// What a socket can see of a connection, to tell whether it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    readiness: Readiness,
    received: usize,
}

impl View {
    /// Is there anything in `after` that somebody may have waited for?
    pub fn differs(self, after: View) -> bool {
        self.readiness != after.readiness || after.received > self.received
    }
}

/// A connection in any state from SYN-SENT on, or what is left of it for its socket to read.
pub struct Connection {
    set: SocketSet<'static>,
    handle: SocketHandle,
    guard: Guard,
    /// Who will read what it receives.
    pub holder: Holder,
    /// Length in bytes of the IP and TCP headers of its segments.
    headers: u16,
    /// IRS, once known.
    irs: Option<Seq>,
    /// Octets read by the socket, on the circle of sequence numbers.
    consumed: u32,
    /// Octets written by the socket, likewise.
    written: u32,
    established: bool,
    over: bool,
    read_shut: bool,
    owes_ack: bool,
    error: Option<SocketError>,
    soft_error: Option<SocketError>,
    opened: Instant,
    heard: Instant,
    progress: Instant,
    una: Seq,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state())
            .field("holder", &self.holder)
            .field("guard", &self.guard)
            .field("received", &self.socket().recv_queue())
            .field("unacknowledged", &self.socket().send_queue())
            .field("error", &self.error)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Connection {
    fn new(
        iss: Seq,
        (key, mtu): (FlowKey, u16),
        options: &TcpOptions,
        holder: Holder,
        now: Instant,
    ) -> Connection {
        let headers = headers_of(key);
        // From 65536 on smoltcp 0.14 panics when a peer that scales windows fills the buffer.
        let receive = options.receive_buffer.clamp(1, usize::from(u16::MAX));
        let buffers = (
            SocketBuffer::new(vec![0; receive]),
            SocketBuffer::new(vec![0; options.send_buffer.max(1)]),
        );
        let mut socket = Socket::new(buffers.0, buffers.1);
        // The guard's, by the window that the socket sees.
        socket.set_congestion_control(CongestionControl::None);
        socket.set_nagle_enabled(!options.no_delay);
        socket.set_keep_alive(options.keep_alive);
        socket.set_hop_limit(options.hop_limit);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(socket);
        Connection {
            set,
            handle,
            guard: Guard::new(iss, mss_for(mtu, headers), receive),
            holder,
            headers,
            irs: None,
            consumed: 0,
            written: 0,
            established: false,
            over: false,
            read_shut: false,
            owes_ack: false,
            error: None,
            soft_error: None,
            opened: now,
            heard: now,
            progress: now,
            una: iss,
        }
    }

    /// An active open: its SYN leaves when it is served.
    ///
    /// # Errors
    /// The addresses are not such that a connection can be between them.
    pub fn active(
        now: Instant,
        key: FlowKey,
        path: &Path,
        iss: Seq,
        options: &TcpOptions,
        holder: Holder,
    ) -> Result<Connection, SocketError> {
        let mut connection = Connection::new(iss, (key, path.mtu), options, holder, now);
        Engine::connect(
            now,
            path.mtu,
            connection.socket_mut(),
            key.local,
            key.remote,
            iss,
        )
        .map_err(|_| SocketError::AddressNotAvailable)?;
        Ok(connection)
    }

    /// A passive open whose handshake is complete but for the ACK that is at hand. None if smoltcp does not see it so.
    pub fn passive(
        now: Instant,
        key: FlowKey,
        path: &Path,
        agreed: &Agreed,
        holder: Holder,
        options: &TcpOptions,
    ) -> Option<Connection> {
        let mut connection = Connection::new(agreed.iss, (key, path.mtu), options, holder, now);
        let swapped = FlowKey {
            local: key.remote,
            remote: key.local,
        };
        let window = u16::try_from(agreed.peer_window).unwrap_or(u16::MAX);
        let syn = Control {
            ack: None,
            control: TcpControl::Syn,
            mss: agreed.peer_mss,
            window_scale: agreed.scaling.map(|scaling| scaling.theirs),
            sack_permitted: agreed.sack,
            ..Control::ack(swapped, agreed.irs, Seq(0), window)
        };
        let mut packet = vec![0; syn.length()];
        syn.write(&mut packet);
        let segment = Segment::parse(&packet).ok()?;
        connection.guard.passive_syn(&segment, agreed.repeated);
        connection.irs = Some(agreed.irs);
        let answered = agreed.sent.unwrap_or(now);
        let socket = (&mut connection.set, connection.handle);
        let guard = &mut connection.guard;
        let times = (answered, answered);
        Engine::replay_handshake(times, path.mtu, socket, key.local, &packet, guard)
            .then_some(connection)
    }

    /// ISS
    pub fn iss(&self) -> Seq {
        self.guard.iss()
    }

    /// IRS, once known.
    pub fn irs(&self) -> Option<Seq> {
        self.irs
    }

    fn socket(&self) -> &Socket<'static> {
        self.set.get(self.handle)
    }

    fn socket_mut(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// The connection's state in the words of RFC 9293 3.3.2.
    pub fn state(&self) -> State {
        if self.over {
            State::Closed
        } else {
            self.socket().state()
        }
    }

    /// Has nothing come of it yet?
    pub fn is_connecting(&self) -> bool {
        !self.over && matches!(self.socket().state(), State::SynSent | State::SynReceived)
    }

    /// Was it ever established?
    pub fn was_established(&self) -> bool {
        self.established
    }

    /// Has smoltcp nothing more to do with it?
    pub fn is_over(&self) -> bool {
        self.over
            || match self.socket().state() {
                State::TimeWait => true,
                // With an address left, a RST is still to be sent.
                State::Closed => self.socket().remote_endpoint().is_none(),
                _ => false,
            }
    }

    /// Did it end as RFC 9293 wants it, with TIME-WAIT to come?
    pub fn is_time_wait(&self) -> bool {
        !self.over && self.socket().state() == State::TimeWait
    }

    /// RCV.NXT
    pub fn rcv_nxt(&self) -> Seq {
        let fin = match self.socket().state() {
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait => 1,
            _ => 0,
        };
        let Some(irs) = self.irs else {
            return Seq::default();
        };
        irs.plus(1)
            .plus(self.consumed as usize)
            .plus(self.socket().recv_queue())
            .plus(fin)
    }

    /// SND.UNA
    pub fn una(&self) -> Seq {
        let (syn, fin) = match self.socket().state() {
            State::SynSent | State::SynReceived => (0, 0),
            State::FinWait2 | State::TimeWait => (1, 1),
            _ => (1, 0),
        };
        let acknowledged = self.written as usize + syn + fin;
        self.guard
            .iss()
            .plus(acknowledged)
            .minus(self.socket().send_queue())
    }

    /// SND.NXT
    pub fn snd_nxt(&self) -> Seq {
        self.guard.snd_nxt()
    }

    /// The window that the peer was told last, in bytes.
    pub fn window(&self) -> u16 {
        self.guard.window(self.rcv_nxt())
    }
}

/// Length in bytes of the headers of a flow's segments: no options.
pub(super) fn headers_of(key: FlowKey) -> u16 {
    match key.local {
        SocketAddr::V4(_) => 40,
        SocketAddr::V6(_) => 60,
    }
}

/// The segment size that a path of this MTU carries, in bytes, as smoltcp reckons it.
fn mss_for(mtu: u16, headers: u16) -> usize {
    usize::from(mtu.saturating_sub(headers))
}
