//! The way out: where the stack puts the frames it emits.

/// Which adapter. Numbers are given in the order of appearance and never used again, so that a late frame or timer
/// of an adapter that has gone reaches nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// The adapters' transmit sides, as the stack sees them: a frame is written in place, straight into the slot that
/// the driver will send.
pub trait Ports {
    /// Is there room for one more frame on `link`? While true, the next [`Ports::send`] on it succeeds.
    fn has_room(&self, link: LinkId) -> bool;

    /// Has `write` fill a frame of exactly `length` bytes (Ethernet header included, checksum sequence excluded) and
    /// queues it. `None`, with `write` not called, when there is no room or no such link; the caller counts the drop
    /// or waits for [`crate::stack::Stack::room_again`].
    fn send<R>(
        &mut self,
        link: LinkId,
        length: usize,
        write: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R>;
}
