//! smoltcp's TCP, one socket at a time: an `Interface` per MTU, a device that holds one packet, and initial sequence
//! numbers of our own choice.
//!
//! Nothing here routes or resolves: `Medium::Ip`, any address taken as ours, one catch-all route per family. The
//! route table and the links decide, outside.

use core::fmt;
use core::net::SocketAddr;
use std::collections::BTreeMap;

use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken,
};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpListenEndpoint, Ipv4Address, Ipv6Address};

use crate::flow::sequence::Seq;
use crate::guard::Guard;
use crate::output::{Output, Path};

/// RFC 791: every link carries 68 bytes. Below that smoltcp's arithmetic on the segment size would underflow.
const MIN_MTU: u16 = 68;

/// smoltcp's interfaces, one per MTU: `Interface::new` copies what the device can do and never asks again.
#[derive(Default)]
pub struct Engine {
    interfaces: BTreeMap<u16, Interface>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("mtus", &self.interfaces.keys())
            .finish()
    }
}

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

impl Engine {
    /// Hands one IP packet to the flow's socket. A reply that cannot wait leaves at once.
    pub fn ingress<O: Output>(
        &mut self,
        set: &mut SocketSet<'static>,
        frame: &[u8],
        wire: &mut Wire<'_, O>,
    ) {
        let (now, mtu) = (wire.now, wire.path.mtu);
        let mut device = OnePacket {
            frame: Some(frame),
            mtu,
            wire,
        };
        let _: PollIngressSingleResult =
            self.interface(mtu, now)
                .poll_ingress_single(now, &mut device, set);
    }

    /// Has the flow's socket emit one segment, if it has one to send and there is room. True if it did.
    pub fn egress<O: Output>(
        &mut self,
        set: &mut SocketSet<'static>,
        wire: &mut Wire<'_, O>,
    ) -> bool {
        let (now, mtu) = (wire.now, wire.path.mtu);
        let mut device = OnePacket {
            frame: None,
            mtu,
            wire,
        };
        self.interface(mtu, now).poll_egress(now, &mut device, set)
            == PollResult::SocketStateChanged
    }

    /// When the flow's socket wants [`Engine::egress`] next; a time in the past means now.
    pub fn deadline(
        &mut self,
        now: Instant,
        mtu: u16,
        set: &SocketSet<'static>,
    ) -> Option<Instant> {
        self.interface(mtu, now).poll_at(now, set)
    }

    /// Active open: the socket goes to SYN-SENT with `iss` as its initial sequence number.
    pub fn connect(
        now: Instant,
        mtu: u16,
        socket: &mut tcp::Socket<'static>,
        local: SocketAddr,
        remote: SocketAddr,
        iss: Seq,
    ) -> Result<(), tcp::ConnectError> {
        let mut interface = new_interface(mtu, seed_for(iss), now);
        let local = IpListenEndpoint {
            addr: Some(local.ip().into()),
            port: local.port(),
        };
        socket.connect(interface.context(), remote, local)
    }

    /// Passive open, after the fact: has a fresh socket go through LISTEN and SYN-RECEIVED, fed with the `syn` that
    /// once came and with its SYN-ACK, which has long been sent, thrown away. False if it did not come out as wanted.
    pub fn replay_handshake(
        (arrived, answered): (Instant, Instant),
        mtu: u16,
        (set, handle): (&mut SocketSet<'static>, SocketHandle),
        local: SocketAddr,
        syn: &[u8],
        guard: &mut Guard,
    ) -> bool {
        let mut interface = new_interface(mtu, seed_for(guard.iss()), arrived);
        let endpoint = IpListenEndpoint {
            addr: Some(local.ip().into()),
            port: local.port(),
        };
        if set
            .get_mut::<tcp::Socket<'static>>(handle)
            .listen(endpoint)
            .is_err()
        {
            return false;
        }
        let iss = guard.iss();
        let mut device = Replay {
            frame: Some(syn),
            mtu,
            guard,
        };
        interface.poll_ingress_single(arrived, &mut device, set);
        interface.poll_egress(answered, &mut device, set);
        guard.iss() == iss
            && set.get::<tcp::Socket<'static>>(handle).state() == tcp::State::SynReceived
    }

    fn interface(&mut self, mtu: u16, now: Instant) -> &mut Interface {
        self.interfaces
            .entry(mtu)
            .or_insert_with(|| new_interface(mtu, 0, now))
    }
}

fn new_interface(mtu: u16, seed: u64, now: Instant) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut interface = Interface::new(config, &mut Nowhere { mtu }, now);
    interface.set_any_ip(true);
    let routes = interface.routes_mut();
    // Tables of two: there is room for one route of each family.
    let _ = routes.add_default_ipv4_route(Ipv4Address::new(192, 0, 2, 1));
    let _ = routes.add_default_ipv6_route(Ipv6Address::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    interface
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

/// The seed for which the first sequence number that a fresh `Interface` gives out is `iss` (RFC 6528 is ours to do:
/// smoltcp's own numbers can be predicted from two of them).
///
/// smoltcp draws from a PCG: s' = s·M + A (mod 2^64), of which 32 bits from a place that the top 3 bits name come
/// out. M is odd, so a step can be undone. `Interface::new` draws one number before, and draws again if its lower and
/// upper half are equal; the state is free in the bits that do not come out, so that such a draw is avoided.
fn seed_for(iss: Seq) -> u64 {
    const A: u64 = 0x7590_ef39;
    const M: u64 = 0xbb2e_fcec_3c39_611d;
    const M_INVERSE: u64 = inverse(M);
    let before = |state: u64| state.wrapping_sub(A).wrapping_mul(M_INVERSE);
    let out = |state: u64| (state >> (29 - (state >> 61))) as u32;
    for low in 0..1 << 16 {
        // Top bits 0: the output is bits 29 to 60.
        let second = u64::from(iss.0) << 29 | low;
        let first = before(second);
        if out(first) as u16 != (out(first) >> 16) as u16 {
            return before(first);
        }
    }
    u64::from(iss.0)
}

/// The inverse of an odd number modulo 2^64: each step of Newton's doubles the bits that are right.
const fn inverse(odd: u64) -> u64 {
    let mut guess = odd;
    let mut step = 0;
    while step < 6 {
        guess = guess.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(guess)));
        step += 1;
    }
    guess
}

/// A device that holds the one packet that came in and writes what leaves where it will be sent from.
struct OnePacket<'a, 'w, O> {
    frame: Option<&'a [u8]>,
    mtu: u16,
    wire: &'a mut Wire<'w, O>,
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
struct Incoming<'a>(&'a [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for one packet, or, for a reply, perhaps none.
struct Outgoing<'a, O> {
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
struct Replay<'a> {
    frame: Option<&'a [u8]>,
    mtu: u16,
    guard: &'a mut Guard,
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
struct Past<'a>(&'a mut Guard);

impl TxToken for Past<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut past = vec![0; length];
        let result = f(&mut past);
        self.0.departing(&mut past);
        result
    }
}

/// The device that an `Interface` is made with: only its capabilities matter.
struct Nowhere {
    mtu: u16,
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
