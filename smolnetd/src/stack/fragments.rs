//! Fragments in the stack: what comes in is put together before anybody sees it, what goes out is cut if it must be.

use core::net::IpAddr;
use std::collections::VecDeque;

use smoltcp::time::Instant;

use super::Stack;
use super::input::Accepted;
use super::network::{LOOPBACK, Network};
use crate::counters::count;
use crate::error::SocketError;
use crate::fragment::{Fragment, Outcome, Piece, SplitError, split};
use crate::icmp::Complaint;
use crate::output::{Arrival, Path};
use crate::ports::{LinkId, Ports};

impl Stack {
    /// A part of a packet. When it was the last that was missing, the whole comes in as if it had never been cut.
    pub(super) fn input_fragment(
        &mut self,
        now: Instant,
        arrival: Arrival,
        accepted: &Accepted<'_>,
        fragment: &Fragment<'_>,
        ports: &mut impl Ports,
    ) {
        match self.network.reassembly.take(now, fragment) {
            Outcome::Waiting | Outcome::Dropped => (),
            Outcome::Problem(parameter) => {
                self.complain(now, accepted, Complaint::Parameter(parameter), ports);
            }
            Outcome::Whole(whole) => match self.admit(arrival, &whole) {
                // Nobody cuts a packet twice at its source; whoever wraps fragments in fragments wants to be a burden.
                Ok(inner) if inner.packet.fragment.is_some() => {
                    count(&mut self.network.reassembly.counters.nested);
                }
                Ok(inner) => self.input_packet(now, arrival, &inner, ports),
                Err(reason) => count(reason(&mut self.network.counters)),
            },
        }
    }

    /// Gives up what did not become whole in time, and says so to its sender (RFC 792, RFC 4443 3.3).
    pub(super) fn expire_fragments(&mut self, now: Instant, ports: &mut impl Ports) {
        for expired in self.network.reassembly.expire(now) {
            let arrival = Arrival {
                link: expired.link,
                looped: expired.link == LOOPBACK,
            };
            // Its destination may be none of ours any more.
            if let Ok(accepted) = self.admit(arrival, &expired.packet) {
                self.complain(now, &accepted, Complaint::ReassemblyTimeExceeded, ports);
            }
        }
    }
}

/// What is left of a packet that began to leave in pieces, when its link had no room for more.
#[derive(Debug)]
pub(super) struct Remainder {
    next_hop: IpAddr,
    pieces: VecDeque<Vec<u8>>,
}

impl Network {
    /// Sends a whole packet of ours that is too big for its path, in pieces. What finds no room waits: a packet of which
    /// a part has left is not to be sent again. There is one such packet for each link at most.
    ///
    /// # Errors
    /// As [`Network::transmit`]; `MessageTooLong` if it must not be cut.
    pub(super) fn transmit_in_pieces(
        &mut self,
        now: Instant,
        path: &Path,
        packet: &[u8],
        identification: u32,
        ports: &mut impl Ports,
    ) -> Result<(), SocketError> {
        let pieces = split(packet, path.mtu, identification).map_err(|error| match error {
            SplitError::DontFragment | SplitError::Fragment | SplitError::TooNarrow => {
                SocketError::MessageTooLong
            }
            SplitError::Malformed => SocketError::Invalid,
        })?;
        if !self.flush_pieces(now, path.link, ports) {
            return Err(SocketError::WouldBlock);
        }
        let mut pieces = pieces.iter();
        let mut any = false;
        while let Some(piece) = pieces.next() {
            let write = |to: &mut [u8]| piece.write(to);
            match self.transmit_to(now, path.link, path.next_hop, piece.length(), write, ports) {
                Ok(()) => count(&mut self.reassembly.counters.sent),
                Err(SocketError::WouldBlock) if any => {
                    let rest = core::iter::once(piece).chain(pieces);
                    self.hold_back(path, rest.map(Piece::to_vec).collect());
                    break;
                }
                Err(error) => return Err(error),
            }
            any = true;
        }
        count(&mut self.reassembly.counters.split);
        Ok(())
    }

    fn hold_back(&mut self, path: &Path, pieces: VecDeque<Vec<u8>>) {
        count(&mut self.reassembly.counters.held_back);
        let next_hop = path.next_hop;
        let remainder = Remainder { next_hop, pieces };
        self.remainders.insert(path.link, remainder);
    }

    /// Sends what was held back for want of room on `link`. False if there is still something.
    pub(super) fn flush_pieces(
        &mut self,
        now: Instant,
        link: LinkId,
        ports: &mut impl Ports,
    ) -> bool {
        let Some(mut remainder) = self.remainders.remove(&link) else {
            return true;
        };
        while let Some(piece) = remainder.pieces.front() {
            let write = |to: &mut [u8]| to.copy_from_slice(piece);
            match self.transmit_to(now, link, remainder.next_hop, piece.len(), write, ports) {
                Ok(()) => count(&mut self.reassembly.counters.sent),
                Err(SocketError::WouldBlock) => {
                    self.remainders.insert(link, remainder);
                    return false;
                }
                // Without one of its pieces the others are of no use.
                Err(_) => return true,
            }
            remainder.pieces.pop_front();
        }
        true
    }
}
