//! The options of a TCP socket.

use smoltcp::time::Duration;

use super::Limits;
use crate::error::SocketError;
use crate::socket::datagram::ECN;
use crate::socket::{OptionName, SocketOption};

/// What a socket was asked to do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// TCP_NODELAY: no waiting for a full segment (RFC 9293 3.7.4).
    pub no_delay: bool,
    /// SO_KEEPALIVE: the time between probes.
    pub keep_alive: Option<Duration>,
    /// SO_LINGER: 0 makes close send RST. Any other time is the default: close cannot wait, delivery goes on behind it.
    pub linger: Option<Duration>,
    /// SO_RCVBUF in bytes.
    pub receive_buffer: usize,
    /// SO_SNDBUF in bytes.
    pub send_buffer: usize,
    /// IP_TTL
    pub hop_limit: Option<u8>,
    /// IP_TOS or IPV6_TCLASS
    pub traffic_class: u8,
    /// SO_REUSEADDR
    pub reuse: bool,
}

/// The smallest buffer that can be asked for, in bytes: a segment of any size fits.
const MIN_BUFFER: usize = 2048;

/// The largest receive buffer in bytes: the window is not scaled, and smoltcp 0.14 panics beyond it.
const MAX_RECEIVE_BUFFER: usize = 65_535;

/// Keep-alive probes come neither in a storm nor never.
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(1);
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(32_767);

impl TcpOptions {
    pub(super) fn new(limits: &Limits) -> TcpOptions {
        TcpOptions {
            no_delay: false,
            keep_alive: None,
            linger: None,
            receive_buffer: limits.receive_buffer.min(MAX_RECEIVE_BUFFER),
            send_buffer: limits.send_buffer,
            hop_limit: None,
            traffic_class: 0,
            reuse: false,
        }
    }

    pub(super) fn set(&mut self, option: SocketOption, limits: &Limits) -> Result<(), SocketError> {
        match option {
            SocketOption::NoDelay(on) => self.no_delay = on,
            SocketOption::KeepAlive(Some(Duration::ZERO)) => return Err(SocketError::Invalid),
            SocketOption::KeepAlive(interval) => {
                self.keep_alive =
                    interval.map(|interval| interval.clamp(KEEP_ALIVE_MIN, KEEP_ALIVE_MAX));
            }
            SocketOption::Linger(time) => self.linger = time,
            SocketOption::ReceiveBuffer(bytes) => {
                self.receive_buffer = bytes.clamp(MIN_BUFFER, MAX_RECEIVE_BUFFER);
            }
            SocketOption::SendBuffer(bytes) => {
                self.send_buffer = bytes.clamp(MIN_BUFFER, limits.send_buffer_max.max(MIN_BUFFER));
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
            | SocketOption::State(_)
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
            OptionName::Linger => SocketOption::Linger(self.linger),
            OptionName::ReceiveBuffer => SocketOption::ReceiveBuffer(self.receive_buffer),
            OptionName::SendBuffer => SocketOption::SendBuffer(self.send_buffer),
            OptionName::TimeToLive => SocketOption::TimeToLive(
                self.hop_limit
                    .unwrap_or(crate::flow::segment::DEFAULT_HOP_LIMIT),
            ),
            OptionName::ReuseAddress => SocketOption::ReuseAddress(self.reuse),
            OptionName::Broadcast => SocketOption::Broadcast(false),
            OptionName::TrafficClass => SocketOption::TrafficClass(self.traffic_class),
            OptionName::V6Only
            | OptionName::ReusePort
            | OptionName::MaximumSegment
            | OptionName::State
            | OptionName::MulticastHops
            | OptionName::MulticastLoop
            | OptionName::MulticastLink => return Err(SocketError::NoSuchOption),
        })
    }
}
