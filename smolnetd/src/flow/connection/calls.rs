//! What a socket asks of its connection.

use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};

use super::{Connection, View};
use crate::error::SocketError;
use crate::socket::Readiness;
use crate::socket::tcp::TcpOptions;

/// RFC 5681 4.1 asks for the retransmission timeout, whose least is this.
const IDLE: Duration = Duration::from_secs(1);

impl Connection {
    /// What a socket can see of it.
    pub fn view(&self) -> View {
        View {
            readiness: self.readiness(),
            received: self.socket().recv_queue(),
        }
    }

    /// Which calls would not block.
    pub fn readiness(&self) -> Readiness {
        if self.error.is_some() || self.is_over() {
            return Readiness::BOTH;
        }
        if self.is_connecting() {
            return Readiness::default();
        }
        let socket = self.socket();
        let room = socket.send_capacity().saturating_sub(socket.send_queue());
        // Not for every segment that is acknowledged: a writer is woken for something worth writing.
        let enough = socket.send_capacity().div_ceil(4);
        Readiness {
            readable: socket.can_recv() || self.read_shut || !socket.may_recv(),
            writable: !socket.may_send() || room >= enough,
        }
    }

    /// The pending error, once.
    pub fn take_error(&mut self) -> Option<SocketError> {
        self.error.take()
    }

    /// Reads, or looks at, what was received; 0 is the end of the stream. Data that came before an error is read
    /// before it.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`], the pending error, or [`SocketError::NotConnected`].
    pub fn receive(&mut self, buffer: &mut [u8], peek: bool) -> Result<usize, SocketError> {
        if buffer.is_empty() && self.error.is_none() {
            return Ok(0);
        }
        if self.socket().can_recv() {
            if peek {
                return self
                    .socket_mut()
                    .peek_slice(buffer)
                    .map_err(|_| SocketError::NotConnected);
            }
            let length = self
                .socket_mut()
                .recv_slice(buffer)
                .map_err(|_| SocketError::NotConnected)?;
            self.consumed = self.consumed.wrapping_add(length as u32);
            return Ok(length);
        }
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        if self.is_connecting() {
            return Err(SocketError::WouldBlock);
        }
        if !self.established {
            return Err(SocketError::NotConnected);
        }
        if self.read_shut || self.is_over() || !self.socket().may_recv() {
            return Ok(0);
        }
        Err(SocketError::WouldBlock)
    }

    /// Queues what fits of `data`.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] if nothing fits, the pending error, [`SocketError::BrokenPipe`] after the sending
    /// side was shut down or the connection ended, [`SocketError::NotConnected`] if it never began.
    pub fn send(&mut self, now: Instant, data: &[u8]) -> Result<usize, SocketError> {
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        if self.is_connecting() {
            return Err(SocketError::WouldBlock);
        }
        if !self.established {
            return Err(SocketError::NotConnected);
        }
        if self.is_over() || !self.socket().may_send() {
            return Err(SocketError::BrokenPipe);
        }
        if self.socket().send_queue() == 0 {
            if now >= self.progress + IDLE {
                self.guard.congestion().restart_after_idle();
            }
            self.progress = now;
        }
        let length = self
            .socket_mut()
            .send_slice(data)
            .map_err(|_| SocketError::BrokenPipe)?;
        self.written = self.written.wrapping_add(length as u32);
        if length == 0 && !data.is_empty() {
            Err(SocketError::WouldBlock)
        } else {
            Ok(length)
        }
    }

    /// Nothing is read any more, once what is there has been.
    pub fn shut_read(&mut self) {
        self.read_shut = true;
    }

    /// FIN after what was written (RFC 9293 3.10.4).
    pub fn shut_write(&mut self, now: Instant) {
        if self.socket().may_send() {
            self.progress = now;
            self.socket_mut().close();
        }
    }

    /// Octets received that nobody has read.
    pub fn unread(&self) -> usize {
        self.socket().recv_queue()
    }

    /// Octets written that the peer has not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.socket().send_queue()
    }

    /// RST (RFC 9293 3.10.5), if there is a peer that knows of us; it leaves when the flow is served.
    pub fn abort(&mut self, error: Option<SocketError>) {
        match self.state() {
            State::Closed => (),
            State::SynSent | State::TimeWait => self.fail(error),
            _ => {
                self.error = error.or(self.error);
                self.socket_mut().abort();
            }
        }
    }

    /// The end, without a word to the peer.
    pub fn fail(&mut self, error: Option<SocketError>) {
        if !self.is_over() {
            self.error = error.or(self.error);
        }
        self.over = true;
    }

    /// Applies what a socket's options say to a connection that exists.
    pub fn apply(&mut self, options: &TcpOptions) {
        let socket = self.socket_mut();
        socket.set_nagle_enabled(!options.no_delay);
        socket.set_keep_alive(options.keep_alive);
        socket.set_hop_limit(options.hop_limit);
    }
}
