//! What of a socket's options a connection obeys.

use smoltcp::time::Duration;

use super::Connection;
use crate::socket::tcp::{Room, TcpOptions};

/// What a connection was asked to do differently.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// TCP_NODELAY
    pub(super) no_delay: bool,
    /// IP_TTL, IPV6_UNICAST_HOPS
    pub(super) hop_limit: Option<u8>,
    /// SO_KEEPALIVE, with how it is done.
    pub(super) keep_alive: Option<KeepAlive>,
    /// TCP_USER_TIMEOUT
    pub(super) user_timeout: Option<Duration>,
    /// How large the send buffer is to begin with, and how large it may become, in octets.
    pub(super) send_start: usize,
    pub(super) send_most: usize,
    /// The shift that our SYN offers for our windows (RFC 7323 2.3).
    pub(super) shift: u8,
}

/// RFC 9293 3.8.4, and the names that systems have for its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeepAlive {
    /// TCP_KEEPIDLE: from the last segment of the peer to the first probe.
    pub(super) idle: Duration,
    /// TCP_KEEPINTVL: between probes that are not answered.
    pub(super) interval: Duration,
    /// TCP_KEEPCNT: so many of them end the connection.
    pub(super) count: u32,
}

impl Settings {
    pub(super) fn new(options: &TcpOptions) -> Settings {
        Settings {
            no_delay: options.no_delay,
            hop_limit: options.hop_limit,
            keep_alive: options.keep_alive.then_some(KeepAlive {
                idle: options.keep_alive_idle,
                interval: options.keep_alive_interval,
                count: options.keep_alive_count,
            }),
            user_timeout: options.user_timeout,
            send_start: options.send_buffer.start,
            send_most: options.send_buffer.most,
            shift: options.window_shift(),
        }
    }
}

impl Connection {
    /// Applies what a socket's options say to a connection that exists. Buffers whose size was asked for have it from
    /// here on, as far as they are not fuller already and no window is taken back.
    pub fn apply(&mut self, options: &TcpOptions) {
        self.settings = Settings::new(options);
        let Room { start, most } = options.send_buffer;
        if options.send_buffer.is_fixed() || self.outgoing.limit() > most {
            self.outgoing.set_limit(start.max(1));
        }
        if options.receive_buffer.is_fixed() {
            let Room { start, most } = options.receive_buffer;
            self.window.set_capacity(start, most);
        }
    }
}
