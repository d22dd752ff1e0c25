//! The options of a TCP socket.

use smoltcp::time::Duration;

use super::Limits;
use crate::error::SocketError;
use crate::flow::buffer::ReceiveWindow;
use crate::flow::segment::DEFAULT_HOP_LIMIT;
use crate::socket::datagram::ECN;
use crate::socket::{OptionName, SocketOption};

/// How large a buffer may be, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// To begin with.
    pub start: usize,
    /// When it has grown with use.
    pub most: usize,
}

impl Room {
    /// Always the same.
    fn fixed(octets: usize) -> Room {
        Room {
            start: octets,
            most: octets,
        }
    }

    /// Does it never grow?
    pub fn is_fixed(self) -> bool {
        self.start >= self.most
    }
}

/// What a socket was asked to do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// TCP_NODELAY: no waiting for a full segment (RFC 9293 3.7.4).
    pub no_delay: bool,
    /// SO_KEEPALIVE (RFC 9293 3.8.4)
    pub keep_alive: bool,
    /// TCP_KEEPIDLE: from the last that was heard of the peer to the first probe.
    pub keep_alive_idle: Duration,
    /// TCP_KEEPINTVL: between probes.
    pub keep_alive_interval: Duration,
    /// TCP_KEEPCNT: probes without an answer that end the connection.
    pub keep_alive_count: u32,
    /// TCP_USER_TIMEOUT (RFC 5482)
    pub user_timeout: Option<Duration>,
    /// SO_LINGER: 0 makes close send RST; with another time, RST follows if not all has been delivered by then.
    pub linger: Option<Duration>,
    /// SO_RCVBUF
    pub receive_buffer: Room,
    /// SO_SNDBUF
    pub send_buffer: Room,
    /// IP_TTL
    pub hop_limit: Option<u8>,
    /// IP_TOS or IPV6_TCLASS
    pub traffic_class: u8,
    /// SO_REUSEADDR
    pub reuse: bool,
}

/// The smallest buffer that can be asked for, in bytes: a segment of any size fits.
const MIN_BUFFER: usize = 2048;

/// Keep-alive probes come neither in a storm nor never.
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(1);
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(32_767);
const KEEP_ALIVE_COUNT_MAX: u32 = 127;

/// RFC 9293 3.8.4: two hours at least, unless somebody says otherwise; then what everybody does.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(7200);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(75);
const KEEP_ALIVE_COUNT: u32 = 9;

/// The longest user timeout: as many milliseconds as an int without sign has.
const USER_TIMEOUT_MAX: Duration = Duration::from_millis(u32::MAX as u64);

impl TcpOptions {
    pub(super) fn new(limits: &Limits) -> TcpOptions {
        TcpOptions {
            no_delay: false,
            keep_alive: false,
            keep_alive_idle: KEEP_ALIVE_IDLE,
            keep_alive_interval: KEEP_ALIVE_INTERVAL,
            keep_alive_count: KEEP_ALIVE_COUNT,
            user_timeout: None,
            linger: None,
            receive_buffer: Room {
                start: limits.receive_buffer,
                most: limits.receive_buffer_max.max(limits.receive_buffer),
            },
            send_buffer: Room {
                start: limits.send_buffer,
                most: limits.send_buffer_max.max(limits.send_buffer),
            },
            hop_limit: None,
            traffic_class: 0,
            reuse: false,
        }
    }

    /// The receive window that a connection begins with.
    pub(crate) fn receive_window(&self) -> ReceiveWindow {
        let Room { start, most } = self.receive_buffer;
        ReceiveWindow::new(start.max(1), most.max(1))
    }

    /// The shift that a SYN offers for it (RFC 7323 2.3).
    pub(crate) fn window_shift(&self) -> u8 {
        ReceiveWindow::shift_for(self.receive_buffer.most)
    }

    pub(super) fn set(&mut self, option: SocketOption, limits: &Limits) -> Result<(), SocketError> {
        let asked =
            |bytes: usize, most: usize| Room::fixed(bytes.clamp(MIN_BUFFER, most.max(MIN_BUFFER)));
        match option {
            SocketOption::NoDelay(on) => self.no_delay = on,
            SocketOption::KeepAlive(on) => self.keep_alive = on,
            SocketOption::KeepAliveIdle(time) => self.keep_alive_idle = between_probes(time)?,
            SocketOption::KeepAliveInterval(time) => {
                self.keep_alive_interval = between_probes(time)?;
            }
            SocketOption::KeepAliveCount(0) => return Err(SocketError::Invalid),
            SocketOption::KeepAliveCount(count) => {
                self.keep_alive_count = count.min(KEEP_ALIVE_COUNT_MAX);
            }
            SocketOption::UserTimeout(time) => {
                let time = time.filter(|&time| time > Duration::ZERO);
                self.user_timeout = time.map(|time| time.min(USER_TIMEOUT_MAX));
            }
            SocketOption::Linger(time) => self.linger = time,
            SocketOption::ReceiveBuffer(bytes) => {
                self.receive_buffer = asked(bytes, limits.receive_buffer_max);
            }
            SocketOption::SendBuffer(bytes) => {
                self.send_buffer = asked(bytes, limits.send_buffer_max);
            }
            SocketOption::TimeToLive(0) => return Err(SocketError::Invalid),
            SocketOption::TimeToLive(limit) => self.hop_limit = Some(limit),
            SocketOption::ReuseAddress(on) => self.reuse = on,
            SocketOption::TrafficClass(class) => self.traffic_class = class & !ECN,
            SocketOption::Broadcast(_) => (),
            // How a socket names addresses is not kept here; a connection is with one peer.
            SocketOption::V6Only(_)
            | SocketOption::ReusePort(_)
            | SocketOption::MaximumSegment(_)
            | SocketOption::Info(_)
            | SocketOption::MulticastHops(_)
            | SocketOption::MulticastLoop(_)
            | SocketOption::MulticastLink(_) => return Err(SocketError::NoSuchOption),
        }
        Ok(())
    }

    pub(super) fn get(&self, name: OptionName) -> Result<SocketOption, SocketError> {
        Ok(match name {
            OptionName::NoDelay => SocketOption::NoDelay(self.no_delay),
            OptionName::KeepAlive => SocketOption::KeepAlive(self.keep_alive),
            OptionName::KeepAliveIdle => SocketOption::KeepAliveIdle(self.keep_alive_idle),
            OptionName::KeepAliveInterval => {
                SocketOption::KeepAliveInterval(self.keep_alive_interval)
            }
            OptionName::KeepAliveCount => SocketOption::KeepAliveCount(self.keep_alive_count),
            OptionName::UserTimeout => SocketOption::UserTimeout(self.user_timeout),
            OptionName::Linger => SocketOption::Linger(self.linger),
            OptionName::ReceiveBuffer => SocketOption::ReceiveBuffer(self.receive_buffer.start),
            OptionName::SendBuffer => SocketOption::SendBuffer(self.send_buffer.start),
            OptionName::TimeToLive => {
                SocketOption::TimeToLive(self.hop_limit.unwrap_or(DEFAULT_HOP_LIMIT))
            }
            OptionName::ReuseAddress => SocketOption::ReuseAddress(self.reuse),
            OptionName::Broadcast => SocketOption::Broadcast(false),
            OptionName::TrafficClass => SocketOption::TrafficClass(self.traffic_class),
            OptionName::V6Only
            | OptionName::ReusePort
            | OptionName::MaximumSegment
            | OptionName::Info
            | OptionName::MulticastHops
            | OptionName::MulticastLoop
            | OptionName::MulticastLink => return Err(SocketError::NoSuchOption),
        })
    }
}

/// A time of keep-alive, within reason.
fn between_probes(time: Duration) -> Result<Duration, SocketError> {
    if time == Duration::ZERO {
        return Err(SocketError::Invalid);
    }
    Ok(time.clamp(KEEP_ALIVE_MIN, KEEP_ALIVE_MAX))
}
