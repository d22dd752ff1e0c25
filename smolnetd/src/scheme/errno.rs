//! Socket errors as Redox's error numbers.

use syscall::error::{self as errno, Error};

use crate::error::SocketError;

/// The error number of a failed call. `WouldBlock` becomes EWOULDBLOCK, which the server of the scheme takes as
/// "park this call" and turns into EAGAIN for callers that do not wait.
pub(crate) fn errno(error: SocketError) -> Error {
    Error::new(match error {
        SocketError::WouldBlock => errno::EWOULDBLOCK,
        SocketError::InProgress => errno::EINPROGRESS,
        SocketError::AlreadyInProgress => errno::EALREADY,
        SocketError::IsConnected => errno::EISCONN,
        SocketError::NotConnected => errno::ENOTCONN,
        SocketError::ConnectionRefused => errno::ECONNREFUSED,
        SocketError::ConnectionReset => errno::ECONNRESET,
        SocketError::ConnectionAborted => errno::ECONNABORTED,
        SocketError::TimedOut => errno::ETIMEDOUT,
        SocketError::HostUnreachable => errno::EHOSTUNREACH,
        SocketError::NetworkUnreachable => errno::ENETUNREACH,
        SocketError::NetworkDown => errno::ENETDOWN,
        SocketError::AddressInUse => errno::EADDRINUSE,
        SocketError::AddressNotAvailable => errno::EADDRNOTAVAIL,
        SocketError::DestinationRequired => errno::EDESTADDRREQ,
        SocketError::BrokenPipe => errno::EPIPE,
        SocketError::MessageTooLong => errno::EMSGSIZE,
        SocketError::AccessDenied => errno::EACCES,
        SocketError::NoBuffers => errno::ENOBUFS,
        SocketError::TooManyOfUser => errno::EMFILE,
        SocketError::TooMany => errno::ENFILE,
        SocketError::Invalid => errno::EINVAL,
        SocketError::BadSocket => errno::EBADF,
        SocketError::NotSupported => errno::EOPNOTSUPP,
        SocketError::FamilyNotSupported => errno::EAFNOSUPPORT,
        SocketError::NoSuchOption => errno::ENOPROTOOPT,
        SocketError::NotFound => errno::ENOENT,
        SocketError::Exists => errno::EEXIST,
        SocketError::NoDevice => errno::ENODEV,
    })
}
