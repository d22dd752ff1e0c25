//! Sockets: what a client holds. The kinds differ, the words are the same: open, bind, connect, receive, send,
//! close; each call is done, failed, or would block until the socket's readiness changes.

pub mod bound;
pub(crate) mod datagram;
pub(crate) mod group;
pub(crate) mod icmp;
pub(crate) mod inbox;
pub(crate) mod raw;
pub mod tcp;
pub mod udp;

use core::net::SocketAddr;

use smoltcp::time::Duration;

use crate::ports::LinkId;

/// A socket of the [`crate::stack::Stack`], of any kind. Never used again after close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u64);

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// A TCP connection or listener.
    Tcp,
    /// UDP datagrams.
    Udp,
    /// ICMP echo requests out, the replies to them in. Data is the sequence number (2 bytes, big-endian), then what
    /// the request carries; a reply reads in the same layout. The identifier is the socket's own.
    IcmpEcho,
    /// ICMP errors about the datagrams that were sent from the UDP port this socket is bound to. Reads only: a whole
    /// ICMP message each.
    IcmpUdpErrors,
    /// Whole IPv4 packets of one protocol number, header included, both ways.
    Raw(u8),
    /// The same with IPv6 packets. What they carry behind extension headers is the protocol.
    RawV6(u8),
}

/// Who opened a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The user; 0 may do what others may not: ports below 1024 and raw sockets.
    pub uid: u32,
}

impl Owner {
    /// The system itself.
    pub const ROOT: Owner = Owner { uid: 0 };

    /// May this user do what only the system may?
    pub fn is_privileged(self) -> bool {
        self.uid == 0
    }
}

/// Which direction `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// Nothing is received any more.
    Read,
    /// Nothing is sent any more.
    Write,
    /// Both.
    Both,
}

impl How {
    /// Is receiving over?
    pub fn read(self) -> bool {
        matches!(self, How::Read | How::Both)
    }

    /// Is sending over?
    pub fn write(self) -> bool {
        matches!(self, How::Write | How::Both)
    }
}

/// Which calls would not block. A pending error makes a socket both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Readiness {
    /// `receive` or `accept` has an answer: data, end of stream, a connection or an error.
    pub readable: bool,
    /// `send` has an answer: room, or an error.
    pub writable: bool,
}

impl Readiness {
    /// Both directions: what a pending error looks like.
    pub const BOTH: Readiness = Readiness {
        readable: true,
        writable: true,
    };
}

/// How to receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReceiveFlags {
    /// Leave the data where it is.
    pub peek: bool,
}

/// What was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// Bytes written into the caller's buffer. On a TCP socket, 0 means end of stream.
    pub length: usize,
    /// Bytes that the datagram had: more than `length` when the buffer was too small and the rest is lost.
    pub full_length: usize,
    /// Who sent it, for datagrams.
    pub source: Option<SocketAddr>,
}

/// An option with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOption {
    /// SO_BROADCAST: datagrams may be sent to broadcast addresses.
    Broadcast(bool),
    /// SO_REUSEADDR: another socket with this option may hold the same local address.
    ReuseAddress(bool),
    /// SO_RCVBUF in bytes; bounded.
    ReceiveBuffer(usize),
    /// SO_SNDBUF in bytes; bounded.
    SendBuffer(usize),
    /// SO_KEEPALIVE: a silent peer is asked whether it is there.
    KeepAlive(bool),
    /// TCP_KEEPIDLE: how long it may be silent before.
    KeepAliveIdle(Duration),
    /// TCP_KEEPINTVL: from one question to the next.
    KeepAliveInterval(Duration),
    /// TCP_KEEPCNT: after how many without an answer it is given up; 1 to 127.
    KeepAliveCount(u32),
    /// TCP_USER_TIMEOUT (RFC 5482): how long what was sent may remain unacknowledged; none is the system's patience.
    UserTimeout(Option<Duration>),
    /// SO_LINGER: none is the default, a close in the background for as long as it takes. With a time, what has not
    /// arrived by then is given up, with RST; at once if it is 0.
    Linger(Option<Duration>),
    /// TCP_NODELAY.
    NoDelay(bool),
    /// IP_TTL, or IPV6_UNICAST_HOPS: 1 to 255.
    TimeToLive(u8),
    /// IP_TOS, or IPV6_TCLASS: the byte of RFC 2474 and RFC 3168; the two bits of ECN are the stack's own.
    TrafficClass(u8),
    /// SO_REUSEPORT: as SO_REUSEADDR, for datagrams and among the sockets of one user.
    ReusePort(bool),
    /// TCP_MAXSEG, which is only read: octets of data that a segment carries.
    MaximumSegment(usize),
    /// TCP_INFO, which is only read.
    Info(tcp::Info),
    /// IPV6_V6ONLY: a socket of IPv6 does not hear IPv4. Before it is bound or connected.
    V6Only(bool),
    /// IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS: TTL or hop limit of what is sent to groups; 0 stays in the host.
    MulticastHops(u8),
    /// IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP: what is sent to a group reaches this host's members too.
    MulticastLoop(bool),
    /// IP_MULTICAST_IF, IPV6_MULTICAST_IF: over which link groups are spoken to; none leaves it to the routes.
    MulticastLink(Option<LinkId>),
}

/// An option's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptionName {
    /// [`SocketOption::Broadcast`]
    Broadcast,
    /// [`SocketOption::ReuseAddress`]
    ReuseAddress,
    /// [`SocketOption::ReceiveBuffer`]
    ReceiveBuffer,
    /// [`SocketOption::SendBuffer`]
    SendBuffer,
    /// [`SocketOption::KeepAlive`]
    KeepAlive,
    /// [`SocketOption::KeepAliveIdle`]
    KeepAliveIdle,
    /// [`SocketOption::KeepAliveInterval`]
    KeepAliveInterval,
    /// [`SocketOption::KeepAliveCount`]
    KeepAliveCount,
    /// [`SocketOption::UserTimeout`]
    UserTimeout,
    /// [`SocketOption::Linger`]
    Linger,
    /// [`SocketOption::NoDelay`]
    NoDelay,
    /// [`SocketOption::TimeToLive`]
    TimeToLive,
    /// [`SocketOption::TrafficClass`]
    TrafficClass,
    /// [`SocketOption::ReusePort`]
    ReusePort,
    /// [`SocketOption::MaximumSegment`]
    MaximumSegment,
    /// [`SocketOption::Info`]
    Info,
    /// [`SocketOption::V6Only`]
    V6Only,
    /// [`SocketOption::MulticastHops`]
    MulticastHops,
    /// [`SocketOption::MulticastLoop`]
    MulticastLoop,
    /// [`SocketOption::MulticastLink`]
    MulticastLink,
}
