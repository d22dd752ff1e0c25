//! The loopback link: what is sent on it comes back, from a bounded queue.

use std::collections::VecDeque;

/// Packets that may wait.
const MAX_PACKETS: usize = 1024;
/// Bytes that may wait, all packets together.
const MAX_BYTES: usize = 4 << 20;

/// IP packets on their way from this machine to itself. What finds no room is refused, never silently lost: the
/// sender keeps it (TCP) or counts it (datagrams).
#[derive(Debug, Default)]
pub(super) struct Loopback {
    packets: VecDeque<Vec<u8>>,
    bytes: usize,
    /// A buffer given back, to be filled again: a ping-pong of packets then allocates nothing.
    spare: Option<Vec<u8>>,
}

impl Loopback {
    /// Is there room for another packet, whatever its size? While true, the next [`Loopback::push`] succeeds.
    pub(super) fn has_room(&self) -> bool {
        self.packets.len() < MAX_PACKETS && self.bytes < MAX_BYTES
    }

    /// Queues a packet of `length` bytes that `fill` writes; false, with `fill` not called, when there is no room.
    pub(super) fn push(&mut self, length: usize, fill: impl FnOnce(&mut [u8])) -> bool {
        if !self.has_room() {
            return false;
        }
        let mut packet = self.spare.take().unwrap_or_default();
        packet.clear();
        packet.resize(length, 0);
        fill(&mut packet);
        self.bytes = self.bytes.saturating_add(length);
        self.packets.push_back(packet);
        true
    }

    /// The oldest packet.
    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        let packet = self.packets.pop_front()?;
        self.bytes = self.bytes.saturating_sub(packet.len());
        Some(packet)
    }

    /// Takes a buffer back, to be used for a packet to come.
    pub(super) fn recycle(&mut self, packet: Vec<u8>) {
        self.spare = Some(packet);
    }

    /// Forgets what waits. Returns how many packets that were.
    pub(super) fn clear(&mut self) -> usize {
        let count = self.packets.len();
        self.packets.clear();
        self.bytes = 0;
        count
    }
}
