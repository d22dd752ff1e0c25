//! Why a socket call failed: the names of POSIX, without an operating system's numbers.

use core::fmt;

/// Why a call on a socket or on the configuration failed. The rim turns it into an errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketError {
    /// The call cannot be answered yet: park it until the socket's readiness changes.
    WouldBlock,
    /// EINPROGRESS: a connection attempt has been started and goes on.
    InProgress,
    /// EALREADY: a connection attempt is already under way.
    AlreadyInProgress,
    /// EISCONN
    IsConnected,
    /// ENOTCONN
    NotConnected,
    /// ECONNREFUSED: the peer answered with RST or an ICMP port unreachable.
    ConnectionRefused,
    /// ECONNRESET
    ConnectionReset,
    /// ECONNABORTED
    ConnectionAborted,
    /// ETIMEDOUT: the peer did not answer in time.
    TimedOut,
    /// EHOSTUNREACH: the next hop does not answer, or an ICMP error says so.
    HostUnreachable,
    /// ENETUNREACH: no route.
    NetworkUnreachable,
    /// ENETDOWN: the adapter is down or gone.
    NetworkDown,
    /// EADDRINUSE
    AddressInUse,
    /// EADDRNOTAVAIL: not an address of this machine, or no port is free.
    AddressNotAvailable,
    /// EDESTADDRREQ
    DestinationRequired,
    /// EPIPE: the sending side was shut down.
    BrokenPipe,
    /// EMSGSIZE: a datagram larger than any packet, or than the path carries if it must not be cut.
    MessageTooLong,
    /// EACCES
    AccessDenied,
    /// ENOBUFS: a bound on memory is reached.
    NoBuffers,
    /// EMFILE: this user has as many sockets as one may have.
    TooManyOfUser,
    /// ENFILE: there are as many sockets as there may be.
    TooMany,
    /// EINVAL
    Invalid,
    /// EBADF: no such socket.
    BadSocket,
    /// EOPNOTSUPP: not for this kind of socket.
    NotSupported,
    /// EAFNOSUPPORT: an address family that this socket or build does not speak.
    FamilyNotSupported,
    /// ENOPROTOOPT: an option that does not exist.
    NoSuchOption,
    /// ENOENT
    NotFound,
    /// EEXIST
    Exists,
    /// ENODEV
    NoDevice,
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for SocketError {}
