//! Errors by their names.

use core::fmt;

/// What a call gives.
pub(crate) type Result<T> = core::result::Result<T, Failed>;

/// A call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) call: &'static str,
    pub(crate) errno: i32,
}

impl Failed {
    /// The error of the call before.
    pub(crate) fn last(call: &'static str) -> Failed {
        let errno = std::io::Error::last_os_error().raw_os_error();
        Failed {
            call,
            errno: errno.unwrap_or(0),
        }
    }

    /// It went well and its answer makes no sense.
    pub(crate) fn answer(call: &'static str) -> Failed {
        Failed { call, errno: 0 }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed with {}", self.call, name(self.errno))
    }
}

macro_rules! names {
    ($($name:ident)*) => {
        /// The name of an error number.
        pub(crate) fn name(errno: i32) -> String {
            match errno {
                0 => "an answer that makes no sense".into(),
                $(libc::$name => stringify!($name).into(),)*
                other => format!("error {other}"),
            }
        }
    };
}

names! {
    EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EDESTADDRREQ
    EFAULT EHOSTUNREACH EINPROGRESS EINTR EINVAL EIO EISCONN EMFILE EMSGSIZE ENETDOWN ENETUNREACH ENFILE ENOBUFS ENODEV
    ENOENT ENOMEM ENOPROTOOPT ENOSYS ENOTCONN ENOTSOCK EOPNOTSUPP EPERM EPIPE EPROTONOSUPPORT EPROTOTYPE ESOCKTNOSUPPORT
    ETIMEDOUT ENOTTY
}
