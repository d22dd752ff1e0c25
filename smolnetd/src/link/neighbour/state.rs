//! How well a neighbour is known, and what others learn from it.

use core::net::IpAddr;

use smoltcp::time::Instant;

/// How well a neighbour is known: RFC 4861 section 7.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Address resolution is going on; packets wait.
    Incomplete,
    /// Known to have answered lately.
    Reachable,
    /// Nothing is known of late; used as it is until someone sends.
    Stale,
    /// In use though stale: upper layers are given a moment to confirm it.
    Delay,
    /// Being asked by unicast.
    Probe,
}

/// [`NeighbourState`] with what belongs to it. Only the states that have a deadline need a timer; that a reachable
/// neighbour has become stale is noticed when it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Incomplete {
        asked: u8,
        deadline: Instant,
    },
    Reachable {
        mac: [u8; 6],
        until: Instant,
    },
    Stale {
        mac: [u8; 6],
    },
    Delay {
        mac: [u8; 6],
        deadline: Instant,
    },
    Probe {
        mac: [u8; 6],
        asked: u8,
        deadline: Instant,
    },
}

impl State {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match *self {
            State::Incomplete { deadline, .. }
            | State::Delay { deadline, .. }
            | State::Probe { deadline, .. } => Some(deadline),
            State::Reachable { .. } | State::Stale { .. } => None,
        }
    }

    pub(super) fn mac(&self) -> Option<[u8; 6]> {
        match *self {
            State::Incomplete { .. } => None,
            State::Reachable { mac, .. }
            | State::Stale { mac }
            | State::Delay { mac, .. }
            | State::Probe { mac, .. } => Some(mac),
        }
    }

    /// The state as it is at `now`.
    pub(super) fn at(self, now: Instant) -> State {
        match self {
            State::Reachable { mac, until } if until <= now => State::Stale { mac },
            state => state,
        }
    }

    pub(super) fn name(&self) -> NeighbourState {
        match self {
            State::Incomplete { .. } => NeighbourState::Incomplete,
            State::Reachable { .. } => NeighbourState::Reachable,
            State::Stale { .. } => NeighbourState::Stale,
            State::Delay { .. } => NeighbourState::Delay,
            State::Probe { .. } => NeighbourState::Probe,
        }
    }
}

/// Where a packet for a neighbour goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) enum Resolution {
    /// To this Ethernet address.
    Known([u8; 6]),
    /// Into the queue.
    Wait,
}

/// How a neighbour's Ethernet address came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) enum Evidence {
    /// It answered to us alone.
    Reply,
    /// It asked for us: it is about to speak to us.
    Request,
    /// Anything else: gratuitous replies, announcements, requests for others.
    Hearsay,
}

/// What follows from what was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) enum Learned {
    /// Nothing.
    Nothing,
    /// Its packets can be sent.
    Resolved,
    /// What was known is to be verified there, by unicast.
    Verify([u8; 6]),
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::link) enum Due {
    /// Ask for a neighbour: by broadcast, or by unicast to verify what is known.
    Ask {
        address: IpAddr,
        mac: Option<[u8; 6]>,
    },
    /// It did not answer; these packets waited. With a router, there may be none.
    Failed {
        address: IpAddr,
        router: bool,
        packets: Vec<Box<[u8]>>,
    },
}
