//! What a datagram socket has received and nobody has read yet: bounded, and whole datagrams only.

use core::net::SocketAddr;
use std::collections::VecDeque;

use super::{ReceiveFlags, Received};

/// Bytes that one socket may hold unless SO_RCVBUF says otherwise.
pub(crate) const DEFAULT_LIMIT: usize = 256 << 10;
/// The least that SO_RCVBUF can ask for: one full datagram.
const SMALLEST_LIMIT: usize = 64 << 10;
/// The most that SO_RCVBUF can ask for.
const LARGEST_LIMIT: usize = 4 << 20;
/// What a datagram costs beside its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 96;
/// Places for datagrams that an empty queue keeps.
const KEPT: usize = 64;

#[derive(Debug)]
struct Datagram {
    source: SocketAddr,
    data: Box<[u8]>,
}

impl Datagram {
    fn cost(&self) -> usize {
        cost(self.data.len())
    }
}

/// What a buffer has when so much is asked for, in bytes.
pub(crate) fn within_reason(bytes: usize) -> usize {
    bytes.clamp(SMALLEST_LIMIT, LARGEST_LIMIT)
}

/// What a datagram of `length` bytes is charged.
pub(crate) fn cost(length: usize) -> usize {
    length.saturating_add(OVERHEAD)
}

/// A bounded queue of datagrams.
#[derive(Debug)]
pub(crate) struct Inbox {
    datagrams: VecDeque<Datagram>,
    charged: usize,
    limit: usize,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox {
            datagrams: VecDeque::new(),
            charged: 0,
            limit: DEFAULT_LIMIT,
        }
    }
}

impl Inbox {
    /// Is there nothing to read?
    pub(crate) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Bytes that wait to be read.
    pub(crate) fn bytes(&self) -> usize {
        let overhead = self.datagrams.len().saturating_mul(OVERHEAD);
        self.charged.saturating_sub(overhead)
    }

    /// Bytes that the datagrams here are charged in all.
    pub(crate) fn charged(&self) -> usize {
        self.charged
    }

    /// The bound, in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Sets the bound, within reason. What is there already stays.
    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.limit = within_reason(bytes);
    }

    /// Takes a datagram in; false when it has no room.
    pub(crate) fn push(&mut self, source: SocketAddr, data: &[u8]) -> bool {
        let charged = self.charged.saturating_add(cost(data.len()));
        if charged > self.limit {
            return false;
        }
        self.charged = charged;
        self.datagrams.push_back(Datagram {
            source,
            data: data.into(),
        });
        true
    }

    /// The oldest datagram, as much of it as `buffer` holds. Unless only peeked at, it is gone then, and the rest of
    /// it too.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], flags: ReceiveFlags) -> Option<Received> {
        let datagram = self.datagrams.front()?;
        let length = datagram.data.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(&datagram.data) {
            *to = *from;
        }
        let received = Received {
            length,
            full_length: datagram.data.len(),
            source: Some(datagram.source),
        };
        if !flags.peek {
            self.charged = self.charged.saturating_sub(datagram.cost());
            self.datagrams.pop_front();
            // One burst long ago is no reason to hold memory for ever.
            if self.datagrams.is_empty() && self.datagrams.capacity() > KEPT {
                self.datagrams = VecDeque::new();
            }
        }
        Some(received)
    }

    /// Drops what is there, and says how many bytes it was charged.
    pub(crate) fn clear(&mut self) -> usize {
        self.datagrams.clear();
        core::mem::take(&mut self.charged)
    }
}
