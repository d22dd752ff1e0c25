//! What a program asks of its connection (RFC 9293 3.9.1, 3.10.2 to 3.10.6), and what others have to tell it.

use smoltcp::time::Instant;

use super::{Connection, View, mss_for};
use crate::error::SocketError;
use crate::flow::sequence::Seq;
use crate::flow::state::State;
use crate::socket::Readiness;

impl Connection {
    /// What a socket can see of it.
    pub fn view(&self) -> View {
        View {
            readiness: self.readiness(),
            received: self.incoming.unread(),
            ended: self.has_ended(),
            enough: self.enough(),
        }
    }

    /// Is there a reason not to wait for more, whatever is there?
    fn has_ended(&self) -> bool {
        self.error.is_some() || self.is_at_end()
    }

    /// Who wants so many octets or more is content with half of what the buffer holds.
    fn enough(&self) -> usize {
        self.window.capacity() / 2
    }

    /// Which calls would not block.
    pub fn readiness(&self) -> Readiness {
        if self.error.is_some() || self.is_over() {
            return Readiness::BOTH;
        }
        if self.is_connecting() {
            return Readiness::default();
        }
        // Not for every segment that is acknowledged: a writer is woken for something worth writing.
        let enough = self.outgoing.limit().div_ceil(4);
        Readiness {
            readable: self.incoming.unread() > 0 || self.is_at_end(),
            writable: !self.state.may_send() || self.outgoing.room() >= enough,
        }
    }

    /// Will nothing more be there to read than is there now?
    fn is_at_end(&self) -> bool {
        self.read_shut || !self.state.may_receive()
    }

    /// The pending error, once.
    pub fn take_error(&mut self) -> Option<SocketError> {
        self.error.take()
    }

    /// Reads, or looks at, what was received; 0 is the end of the stream. Data that came before an error is read
    /// before it.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`], the pending error.
    pub fn receive(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        peek: bool,
    ) -> Result<usize, SocketError> {
        if buffer.is_empty() && self.error.is_none() {
            return Ok(0);
        }
        if self.incoming.unread() > 0 {
            if peek {
                return Ok(self.incoming.peek(buffer));
            }
            let octets = self.incoming.read(buffer);
            self.has_read(now, octets);
            return Ok(octets);
        }
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        if self.is_connecting() {
            return Err(SocketError::WouldBlock);
        }
        // Of an attempt that failed, which was told, nothing will come either.
        if !self.established || self.is_at_end() {
            return Ok(0);
        }
        Err(SocketError::WouldBlock)
    }

    /// Can more come before so many octets are there to be read, and is there room for them? So many as half the buffer
    /// holds are as good as all.
    pub fn awaits(&self, octets: usize) -> bool {
        let has_room = self.window.promised(self.rcv_nxt) >= self.rcv_mss.max(1);
        let comes = !self.has_ended() && has_room;
        comes && self.incoming.unread() < octets.min(self.enough())
    }

    /// The window may be opened, if it is worth a segment (RFC 9293 3.8.6.2.2).
    fn has_read(&mut self, now: Instant, octets: usize) {
        if !self.state.may_receive() {
            return;
        }
        self.restrain_window();
        self.window.read(now, octets, self.recovery.srtt());
        let unread = self.incoming.unread();
        if self
            .window
            .is_update_due(self.rcv_nxt, unread, self.path_mss)
        {
            self.acks.owe_now();
        }
    }

    /// No larger a window is offered than there is memory for.
    pub(super) fn restrain_window(&mut self) {
        let memory = self.share.beside(self.outgoing.held());
        self.window.restrain(memory);
    }

    /// Queues what fits of `data`, of the buffer and of what there is memory for. Without memory the buffer is smaller,
    /// until what is in it is acknowledged: whoever waits for room is woken by that.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] if nothing fits, the pending error, [`SocketError::BrokenPipe`] after the sending
    /// side was shut down, or the connection ended or never came to be.
    pub fn send(&mut self, now: Instant, data: &[u8]) -> Result<usize, SocketError> {
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        if self.is_connecting() {
            return Err(SocketError::WouldBlock);
        }
        if !self.established {
            return Err(SocketError::BrokenPipe);
        }
        if !self.state.may_send() {
            return Err(SocketError::BrokenPipe);
        }
        if self.outgoing.is_empty() {
            self.timers.progress(now);
        }
        let memory = self.share.beside(self.incoming.held());
        if self.outgoing.limit() > memory {
            self.outgoing.set_limit(memory);
        }
        let octets = self.outgoing.write(data);
        if octets == 0 && !data.is_empty() {
            Err(SocketError::WouldBlock)
        } else {
            Ok(octets)
        }
    }

    /// Nothing is read any more, once what is there has been.
    pub fn shut_read(&mut self) {
        self.read_shut = true;
    }

    /// CLOSE (RFC 9293 3.10.4): FIN after what was written.
    pub fn shut_write(&mut self, now: Instant) {
        let next = match self.state {
            State::Established => State::FinWait1,
            State::CloseWait => State::LastAck,
            _ => return,
        };
        self.state = next;
        self.timers.progress(now);
    }

    /// Octets received that nobody has read.
    pub fn unread(&self) -> usize {
        self.incoming.unread()
    }

    /// Is its send buffer as small as it is because there is no memory for a larger one?
    pub fn is_short_of_memory(&self) -> bool {
        self.outgoing.limit() >= self.share.beside(self.incoming.held())
    }

    /// Octets written that the peer has not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.outgoing.len()
    }

    /// ABORT (RFC 9293 3.10.5): RST, if there is a peer that knows of us; it leaves when the flow is served.
    pub fn abort(&mut self, error: Option<SocketError>) {
        match self.state {
            State::Closed => (),
            State::SynSent | State::TimeWait => self.fail(error),
            _ => {
                self.error = error.or(self.error);
                self.owes_reset = true;
                self.end(State::Closed);
            }
        }
    }

    /// The end, without a word to the peer.
    pub fn fail(&mut self, error: Option<SocketError>) {
        if !self.is_over() {
            self.error = error.or(self.error);
        }
        self.owes_reset = false;
        self.end(State::Closed);
    }

    /// Is an ICMP error about a segment of ours that is on its way or not yet acknowledged (RFC 5927 4.1)?
    pub fn has_sent_and_waits_for(&self, sequence: Seq) -> bool {
        !sequence.before(self.snd_una()) && sequence.before(self.snd_nxt())
    }

    /// An ICMP error that may pass (RFC 1122 4.2.3.9): remembered as the reason if the connection times out. In
    /// SYN-SENT there is nothing to lose, and it ends the attempt.
    pub fn unreachable(&mut self, error: SocketError) {
        if self.state == State::SynSent {
            self.fail(Some(error));
        } else {
            self.soft_error = Some(error);
        }
    }

    /// The path carries packets of `mtu` bytes.
    pub fn limit_mtu(&mut self, mtu: u16) {
        self.path_mss = mss_for(mtu, self.headers);
        self.recovery.limit_mss(self.mss());
    }

    /// Another way leads to the peer: what did not arrive by the former one is tried again.
    pub fn path_changed(&mut self, now: Instant) {
        self.recovery.path_changed(now);
    }

    /// What is on its way does not arrive: it is to be sent again, at once. That it does not is `news`, or was known
    /// and may be under repair.
    pub fn send_again(&mut self, now: Instant, news: bool) {
        self.recovery.path_lost(now, news);
    }
}
