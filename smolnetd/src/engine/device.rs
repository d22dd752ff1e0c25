//! The devices that smoltcp sees: each holds one packet, or none.

use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken,
};
use smoltcp::time::Instant;

use crate::guard::Guard;
use crate::output::{Output, Path};

/// RFC 791: every link carries 68 bytes. Below that smoltcp's arithmetic on the segment size would underflow.
const MIN_MTU: u16 = 68;

/// Where the packets of one flow go while smoltcp works on it.
pub struct Wire<'a, O> {
    /// The time.
    pub now: Instant,
    /// The flow's way out.
    pub path: &'a Path,
    /// The stack.
    pub out: &'a mut O,
    /// The flow's guard: it sees whatever leaves.
    pub guard: &'a mut Guard,
    /// The link had no room for something: the flow must be served again when there is.
    pub starved: bool,
    /// A reply was owed at once and the link had no room for it.
    pub reply_lost: bool,
    /// Segments emitted.
    pub emitted: usize,
}

impl<'a, O: Output> Wire<'a, O> {
    /// A way out on which nothing has happened yet.
    pub fn new(now: Instant, path: &'a Path, out: &'a mut O, guard: &'a mut Guard) -> Wire<'a, O> {
        Wire {
            now,
            path,
            out,
            guard,
            starved: false,
            reply_lost: false,
            emitted: 0,
        }
    }
}

/// Checksums of what comes in have been verified by the stack (IP) and in [`crate::flow::segment`] (TCP).
fn capabilities(mtu: u16) -> DeviceCapabilities {
    let mut checksum = ChecksumCapabilities::ignored();
    checksum.ipv4 = Checksum::Tx;
    checksum.tcp = Checksum::Tx;
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = usize::from(mtu.max(MIN_MTU));
    capabilities.checksum = checksum;
    capabilities
}

/// A device that holds the one packet that came in and writes what leaves where it will be sent from.
pub(super) struct OnePacket<'a, 'w, O> {
    pub(super) frame: Option<&'a [u8]>,
    pub(super) mtu: u16,
    pub(super) wire: &'a mut Wire<'w, O>,
}

impl<O: Output> Device for OnePacket<'_, '_, O> {
    type RxToken<'t>
        = Incoming<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t, O>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let frame = self.frame.take()?;
        Some((Incoming(frame), Outgoing::new(self.wire, true)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        if !self.wire.out.has_room(self.wire.path.link) {
            self.wire.starved = true;
            return None;
        }
        Some(Outgoing::new(self.wire, false))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

/// The packet that came in.
pub(super) struct Incoming<'a>(&'a [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for one packet, or, for a reply, perhaps none.
pub(super) struct Outgoing<'a, O> {
    now: Instant,
    path: &'a Path,
    out: &'a mut O,
    guard: &'a mut Guard,
    starved: &'a mut bool,
    reply_lost: &'a mut bool,
    emitted: &'a mut usize,
    is_reply: bool,
}

impl<'a, O: Output> Outgoing<'a, O> {
    fn new<'w>(wire: &'a mut Wire<'w, O>, is_reply: bool) -> Outgoing<'a, O>
    where
        'w: 'a,
    {
        Outgoing {
            now: wire.now,
            path: wire.path,
            out: wire.out,
            guard: wire.guard,
            starved: &mut wire.starved,
            reply_lost: &mut wire.reply_lost,
            emitted: &mut wire.emitted,
            is_reply,
        }
    }
}

impl<O: Output> TxToken for Outgoing<'_, O> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let guard = self.guard;
        let mut write = Some(f);
        let mut result = None;
        if !self.is_reply || self.out.has_room(self.path.link) {
            self.out.emit(self.now, self.path, length, |buffer| {
                if let Some(write) = write.take() {
                    result = Some(write(&mut *buffer));
                    guard.departing(buffer);
                }
            });
            *self.emitted = self.emitted.saturating_add(1);
        } else {
            *self.starved = true;
            *self.reply_lost = true;
        }
        match (result, write) {
            (Some(result), _) => result,
            (None, Some(write)) => {
                // Nobody took it: smoltcp counts it as sent all the same, so does the guard.
                let mut nowhere = vec![0; length];
                let result = write(&mut nowhere);
                guard.departing(&mut nowhere);
                result
            }
            (None, None) => unreachable!("a packet is written once, and what it returned is kept"),
        }
    }
}

/// The device of a handshake that is gone through again: what leaves has been sent before.
pub(super) struct Replay<'a> {
    pub(super) frame: Option<&'a [u8]>,
    pub(super) mtu: u16,
    pub(super) guard: &'a mut Guard,
}

impl Device for Replay<'_> {
    type RxToken<'t>
        = Incoming<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Past<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let frame = self.frame.take()?;
        Some((Incoming(frame), Past(self.guard)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        Some(Past(self.guard))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

/// A packet that was sent before, for the guard to see.
pub(super) struct Past<'a>(&'a mut Guard);

impl TxToken for Past<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut past = vec![0; length];
        let result = f(&mut past);
        self.0.departing(&mut past);
        result
    }
}

/// The device that an `Interface` is made with: only its capabilities matter.
pub(super) struct Nowhere {
    pub(super) mtu: u16,
}

impl Device for Nowhere {
    type RxToken<'t> = Incoming<'t>;
    type TxToken<'t> = Past<'t>;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}
