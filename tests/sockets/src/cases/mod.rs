//! The cases, by what they are about. Each is a function whose name is a sentence.

mod accepting;
mod connecting;
mod datagrams;
mod ending;
mod making;
mod messages;
mod multicast;
mod naming;
mod options;
mod outside;
mod readiness;
mod streams;
mod threads;
mod unreachable;

use crate::case::Case;

/// All, in an order that begins with the simple ones.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [
        making::CASES,
        naming::CASES,
        connecting::CASES,
        accepting::CASES,
        #[cfg(feature = "linux")]
        accepting::with_flags::CASES,
        streams::CASES,
        ending::CASES,
        datagrams::CASES,
        messages::CASES,
        unreachable::CASES,
        readiness::CASES,
        options::CASES,
        multicast::CASES,
        threads::CASES,
        outside::CASES,
    ]
    .into_iter()
    .flatten()
}
