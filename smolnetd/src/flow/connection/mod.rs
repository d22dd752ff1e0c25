//! A connection from SYN-SENT, or from the end of a listener's handshake, on: the transmission control block of RFC 9293
//! 3.3.1, and what segments, programs and time do to it.
//!
//! ```text
//! input        RFC 9293 3.10.7.3 and 3.10.7.4: a segment, step by step in the RFC's order
//!  handshake   … the SYNs: what the two ends agree upon
//!  acknowledge … fifth: the ACK field and the send window
//!  text        … seventh and eighth: the data and the FIN
//! output       what leaves next: decided without touching anything, then written straight into the link's slot
//!  probe       … into a closed window, and into silence
//! acks         which acknowledgements are owed
//! timers       what takes too long
//! calls        RFC 9293 3.9.1: what a program asks for
//! ```
//!
//! SND.UNA and SND.NXT are [`Recovery`]'s, which knows what was lost and how much may be on its way; the octets are the
//! buffers'; RCV.WND is the [`ReceiveWindow`]'s. What is here is the order of things.

mod acknowledge;
mod acks;
mod calls;
mod handshake;
mod input;
mod output;
mod probe;
mod settings;
mod text;
mod timers;

use core::fmt;
use core::net::SocketAddr;

use smoltcp::time::Instant;

use super::buffer::{ReceiveBuffer, ReceiveWindow, SendBuffer};
use super::memory::{Account, Share};
use super::recovery::{MIN_MSS, Recovery};
use super::sequence::Seq;
use super::state::State;
use super::{Agreed, FlowKey, Scaling};
use crate::error::SocketError;
use crate::output::Path;
use crate::socket::Readiness;
use crate::socket::tcp::{Limits, TcpCounters, TcpId, TcpOptions};
use acks::Acks;
use settings::Settings;
use timers::Timers;

pub use acks::CHALLENGE_INTERVAL;

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
    /// Nothing more will be received.
    ended: bool,
    /// So many octets are as good as any larger number to a reader who wants all of them.
    enough: usize,
}

impl View {
    /// Is there anything in `after` that somebody may have waited for?
    pub fn differs(self, after: View) -> bool {
        self.readiness != after.readiness
            || after.received > self.received
            || after.ended != self.ended
            || after.enough < self.enough
    }
}

/// A connection in any state from SYN-SENT on, or what is left of it for its socket to read.
///
/// Names with `snd`, `rcv`, `iss` and `irs` are the variables of RFC 9293 3.3.1.
pub struct Connection {
    /// Who will read what it receives.
    pub holder: Holder,
    /// Who pays for its memory, from when it is in the flow table on.
    pub account: Option<Account>,
    /// How much of it there may be, as it was when the connection was last looked after.
    pub share: Share,
    state: State,
    settings: Settings,

    iss: Seq,
    recovery: Recovery,
    outgoing: SendBuffer,
    /// SND.WND in octets.
    snd_wnd: u32,
    snd_wl1: Seq,
    snd_wl2: Seq,
    /// MAX.SND.WND of RFC 5961 5.2, and the "maximum send window" of RFC 9293 3.8.6.2.1.
    max_snd_wnd: u32,

    irs: Seq,
    rcv_nxt: Seq,
    incoming: ReceiveBuffer,
    window: ReceiveWindow,
    acks: Acks,
    /// Where the peer's FIN is, which may have come before what precedes it.
    peer_fin: Option<Seq>,
    /// The largest segment that came, in octets of data.
    rcv_mss: usize,

    /// The peer's Maximum Segment Size option, or what stands for it.
    peer_mss: u16,
    /// The largest segment that the path carries, in octets of data.
    path_mss: usize,
    /// Length in bytes of the IP and TCP headers of its segments, without options.
    headers: u16,
    /// How windows are scaled; before both SYNs are known, not at all.
    scaling: Option<Scaling>,
    /// The shift that our SYN offers for our windows (RFC 7323 2.3), and the window that it had when it left last: said is
    /// said, whatever options a program sets meanwhile.
    syn_shift: u8,
    syn_window: u16,
    /// Both ends know SACK (RFC 2018 section 2).
    sack: bool,
    /// Our SYN has left more than once.
    syn_repeated: bool,
    /// In SYN-RECEIVED: our SYN is to leave again, with the ACK of the peer's.
    owes_syn_ack: bool,

    timers: Timers,
    established: bool,
    read_shut: bool,
    /// In CLOSED: a RST is still to leave.
    owes_reset: bool,
    error: Option<SocketError>,
    soft_error: Option<SocketError>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state)
            .field("holder", &self.holder)
            .field("snd_una", &self.snd_una().since(self.iss))
            .field("snd_nxt", &self.snd_nxt().since(self.iss))
            .field("snd_wnd", &self.snd_wnd)
            .field("rcv_nxt", &self.rcv_nxt.since(self.irs))
            .field("unacknowledged", &self.outgoing.len())
            .field("unread", &self.incoming.unread())
            .field("out_of_order", &self.incoming.out_of_order())
            .field("acks", &self.acks)
            .field("timers", &self.timers)
            .field("recovery", &self.recovery)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl Connection {
    fn new(
        (state, start, iss): (State, Seq, Seq),
        (key, path): (FlowKey, &Path),
        options: &TcpOptions,
        holder: Holder,
        now: Instant,
    ) -> Connection {
        let headers = headers_of(key);
        let path_mss = mss_for(path.mtu, headers);
        Connection {
            holder,
            account: None,
            share: Share::default(),
            state,
            settings: Settings::new(options),
            iss,
            recovery: Recovery::new(start, path_mss),
            outgoing: SendBuffer::new(options.send_buffer.start.max(1)),
            snd_wnd: 0,
            snd_wl1: Seq::default(),
            snd_wl2: Seq::default(),
            max_snd_wnd: 0,
            irs: Seq::default(),
            rcv_nxt: Seq::default(),
            incoming: ReceiveBuffer::new(),
            window: options.receive_window(),
            acks: Acks::default(),
            peer_fin: None,
            rcv_mss: usize::from(key.default_mss()).min(path_mss),
            peer_mss: key.default_mss(),
            path_mss,
            headers,
            scaling: None,
            syn_shift: options.window_shift(),
            syn_window: 0,
            sack: false,
            syn_repeated: false,
            owes_syn_ack: false,
            timers: Timers::new(now),
            established: false,
            read_shut: false,
            owes_reset: false,
            error: None,
            soft_error: None,
        }
    }

    /// An active open (RFC 9293 3.10.1): its SYN leaves when it is served.
    pub fn active(
        now: Instant,
        key: FlowKey,
        path: &Path,
        iss: Seq,
        options: &TcpOptions,
        holder: Holder,
    ) -> Connection {
        Connection::new(
            (State::SynSent, iss, iss),
            (key, path),
            options,
            holder,
            now,
        )
    }

    /// A passive open whose handshake is complete. The segment that completed it is still to be taken in.
    pub fn passive(
        now: Instant,
        key: FlowKey,
        path: &Path,
        agreed: &Agreed,
        holder: Holder,
        options: &TcpOptions,
    ) -> Connection {
        let begin = (State::Established, agreed.iss.plus(1), agreed.iss);
        let mut connection = Connection::new(begin, (key, path), options, holder, now);
        connection.take_over(now, agreed);
        connection
    }

    /// What was sent and how it fares.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The connection's state (RFC 9293 3.3.2).
    pub fn state(&self) -> State {
        self.state
    }

    /// Has nothing come of it yet?
    pub fn is_connecting(&self) -> bool {
        self.state.is_opening()
    }

    /// Was it ever established?
    pub fn was_established(&self) -> bool {
        self.established
    }

    /// Has it nothing more to say or to hear?
    pub fn is_over(&self) -> bool {
        match self.state {
            State::Closed => !self.owes_reset,
            State::TimeWait => true,
            _ => false,
        }
    }

    /// Did it end as RFC 9293 wants it, with TIME-WAIT to come?
    pub fn is_time_wait(&self) -> bool {
        self.state == State::TimeWait
    }

    /// Has something come that was not acknowledged yet?
    pub fn owes_ack(&self) -> bool {
        self.acks.are_owed()
    }

    /// ISS
    pub fn iss(&self) -> Seq {
        self.iss
    }

    /// IRS, once known.
    pub fn irs(&self) -> Option<Seq> {
        let known = self.established || self.state == State::SynReceived;
        known.then_some(self.irs)
    }

    /// RCV.NXT
    pub fn rcv_nxt(&self) -> Seq {
        self.rcv_nxt
    }

    /// SND.UNA
    pub fn snd_una(&self) -> Seq {
        self.recovery.una()
    }

    /// SND.NXT
    pub fn snd_nxt(&self) -> Seq {
        self.recovery.nxt()
    }

    /// The end of what was written, which is where our FIN is or will be. Not once the FIN is acknowledged.
    fn written_end(&self) -> Seq {
        let syn = usize::from(self.state.is_opening());
        self.snd_una().plus(syn).plus(self.outgoing.len())
    }

    /// Is anything on its way?
    fn is_in_flight(&self) -> bool {
        self.snd_nxt().after(self.snd_una())
    }

    /// Eff.snd.MSS of RFC 9293 3.7.1, in octets of data.
    fn mss(&self) -> usize {
        let peer = usize::from(self.peer_mss).max(MIN_MSS);
        peer.min(self.path_mss).max(1)
    }

    /// The window that the peer was told last, as the header has it.
    pub fn window_field(&self) -> u16 {
        let shift = self.scaling.map_or(0, |scaling| scaling.ours);
        let window = self.window.promised(self.rcv_nxt) >> shift;
        u16::try_from(window).unwrap_or(u16::MAX)
    }

    /// Bytes of memory that it holds beside itself.
    pub fn held(&self) -> usize {
        let buffers = self.outgoing.held().saturating_add(self.incoming.held());
        buffers.saturating_add(self.recovery.held())
    }

    /// The end. What was received in order stays for its socket.
    fn end(&mut self, state: State) {
        self.state = state;
        self.outgoing.clear();
        self.incoming.discard_out_of_order();
    }
}

/// Length in bytes of the headers of a flow's segments: no options.
pub(super) fn headers_of(key: FlowKey) -> u16 {
    match key.local {
        SocketAddr::V4(_) => 40,
        SocketAddr::V6(_) => 60,
    }
}

/// The segment size that a path of this MTU carries, in octets of data.
fn mss_for(mtu: u16, headers: u16) -> usize {
    usize::from(mtu.saturating_sub(headers)).max(1)
}
