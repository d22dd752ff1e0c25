//! What a case is, what it comes to, and how it says what it expects.

use core::fmt::Debug;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::errno::{self, Failed};

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// What was expected, and what came.
    Wrong(String),
    /// It cannot be tried here.
    Skip(String),
}

/// What a case comes to.
pub(crate) type Outcome<T = ()> = Result<T, Fail>;

impl From<Failed> for Fail {
    fn from(failed: Failed) -> Fail {
        Fail::Wrong(failed.to_string())
    }
}

impl From<std::io::Error> for Fail {
    fn from(error: std::io::Error) -> Fail {
        Fail::Wrong(error.to_string())
    }
}

/// It cannot be tried here, because of that.
pub(crate) fn skip<T>(why: &str) -> Outcome<T> {
    Err(Fail::Skip(why.into()))
}

/// That must have come.
pub(crate) fn equal<T: PartialEq + Debug>(what: &str, came: T, expected: T) -> Outcome {
    match came == expected {
        true => Ok(()),
        false => Err(Fail::Wrong(format!(
            "{what}: {expected:?} was expected, {came:?} came"
        ))),
    }
}

/// That must be true.
pub(crate) fn holds(what: &str, is_true: bool) -> Outcome {
    match is_true {
        true => Ok(()),
        false => Err(Fail::Wrong(format!("{what}: it was not so"))),
    }
}

/// The call must fail with that error.
pub(crate) fn fails<T: Debug>(
    what: &str,
    result: crate::errno::Result<T>,
    expected: i32,
) -> Outcome {
    let expected = errno::name(expected);
    let came = match result {
        Err(failed) => errno::name(failed.errno),
        Ok(value) => format!("{value:?}"),
    };
    match came == expected {
        true => Ok(()),
        false => Err(Fail::Wrong(format!(
            "{what}: {expected} was expected, {came} came"
        ))),
    }
}

/// One of IP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn domain(self) -> i32 {
        match self {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        }
    }

    pub(crate) fn localhost(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::LOCALHOST.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }

    pub(crate) fn any(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// An address for documentation (RFC 5737, RFC 3849): nobody has it.
    pub(crate) fn nobody(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(192, 0, 2, 77).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77).into(),
        }
    }

    /// A group that the network does not carry further.
    pub(crate) fn group(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(239, 1, 2, 3).into(),
            Family::V6 => Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, 0x123).into(),
        }
    }
}

/// What a case is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) family: Family,
    /// Somebody outside who listens at no port below 1024.
    pub(crate) peer: Option<IpAddr>,
}

impl World {
    /// Any port of this machine, to itself.
    pub(crate) fn here(&self) -> SocketAddr {
        SocketAddr::new(self.family.localhost(), 0)
    }

    /// Somebody outside of the case's family, or the case cannot be tried.
    pub(crate) fn outside(&self) -> Outcome<IpAddr> {
        match self.peer {
            Some(peer) if peer.is_ipv4() == (self.family == Family::V4) => Ok(peer),
            _ => skip("nobody outside was named"),
        }
    }
}

/// Over which families a case is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Both,
    V4,
    V6,
}

/// A case: a sentence, and what it does.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) over: Over,
    pub(crate) run: fn(&World) -> Outcome,
}

/// A list of cases by the functions that are them.
macro_rules! cases {
    ($($over:ident: $($case:ident)*;)*) => {
        pub(crate) const CASES: &[$crate::case::Case] = &[$($(
            $crate::case::Case {
                name: stringify!($case),
                over: $crate::case::Over::$over,
                run: $case,
            },
        )*)*];
    };
}
pub(crate) use cases;
