//! smoltcp's TCP, one socket at a time: an `Interface` per MTU, a device that holds one packet, and initial sequence
//! numbers of our own choice.
//!
//! Nothing here routes or resolves: `Medium::Ip`, any address taken as ours, one catch-all route per family. The
//! route table and the links decide, outside.

mod device;

use core::fmt;
use core::net::SocketAddr;
use std::collections::BTreeMap;

use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpListenEndpoint, Ipv4Address, Ipv6Address};

use crate::flow::sequence::Seq;
use crate::guard::Guard;
use crate::output::Output;
use device::{Nowhere, OnePacket, Replay};

pub use device::Wire;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Path;
    use crate::ports::LinkId;

    /// Keeps nothing: the guard sees what leaves.
    struct Ether;

    impl Output for Ether {
        fn has_room(&self, _: LinkId) -> bool {
            true
        }
        fn emit(&mut self, _: Instant, _: &Path, length: usize, fill: impl FnOnce(&mut [u8])) {
            fill(&mut vec![0; length]);
        }
        fn path(&self, _: SocketAddr, _: SocketAddr) -> Option<Path> {
            None
        }
        fn is_local(&self, _: SocketAddr) -> bool {
            true
        }
        fn confirm(&mut self, _: Instant, _: &Path) {}
    }

    /// RFC 6528 stands on this: smoltcp's generator, and how often `Interface::new` draws from it.
    #[test]
    fn smoltcp_begins_where_it_is_told_to() {
        let (local, remote) = (
            SocketAddr::from(([10, 0, 2, 15], 4000)),
            SocketAddr::from(([10, 0, 2, 2], 80)),
        );
        let path = Path {
            link: LinkId(1),
            zone: LinkId(1),
            source: local.ip(),
            next_hop: remote.ip(),
            mtu: 1500,
            hop_limit: 64,
        };
        let now = Instant::from_secs(1);
        let scattered = (0..1000_u32).map(|n| n.wrapping_mul(0x9e37_79b9));
        for iss in [0, 1, u32::MAX, 0x8000_0000, 0x7fff_ffff]
            .into_iter()
            .chain(scattered)
        {
            let socket = tcp::Socket::new(
                tcp::SocketBuffer::new(vec![0; 9]),
                tcp::SocketBuffer::new(vec![0; 9]),
            );
            let mut set = SocketSet::new(Vec::new());
            let handle = set.add(socket);
            Engine::connect(now, 1500, set.get_mut(handle), local, remote, Seq(iss))
                .expect("connect");
            let mut guard = Guard::new(Seq(!iss), 1460, 9);
            let mut ether = Ether;
            let mut wire = Wire::new(now, &path, &mut ether, &mut guard);
            assert!(Engine::default().egress(&mut set, &mut wire));
            assert_eq!(guard.iss(), Seq(iss), "the SYN's number");
        }
    }

    #[test]
    fn the_inverse_is_one() {
        for odd in [1, 3, 0xbb2e_fcec_3c39_611d, u64::MAX] {
            assert_eq!(inverse(odd).wrapping_mul(odd), 1);
        }
    }
}
