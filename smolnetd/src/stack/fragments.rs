//! Fragments in the stack: what comes in is put together before anybody sees it, what goes out is cut if it must be.

use smoltcp::time::Instant;

use super::Stack;
use super::input::Accepted;
use super::network::{LOOPBACK, Network};
use crate::counters::count;
use crate::error::SocketError;
use crate::fragment::{Fragment, Outcome, Piece, SplitError, split};
use crate::icmp::Complaint;
use crate::output::{Arrival, Path};
use crate::ports::Ports;

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

impl Network {
    /// Sends a whole packet of ours that is too big for its path, in pieces.
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
        let mut sent = 0_u64;
        for piece in &pieces {
            self.transmit_piece(now, path, piece, ports)
                .inspect_err(|_| {
                    if sent > 0 {
                        count(&mut self.reassembly.counters.sent_in_part);
                    }
                })?;
            sent = sent.wrapping_add(1);
        }
        count(&mut self.reassembly.counters.split);
        Ok(())
    }

    fn transmit_piece(
        &mut self,
        now: Instant,
        path: &Path,
        piece: &Piece<'_>,
        ports: &mut impl Ports,
    ) -> Result<(), SocketError> {
        let write = |to: &mut [u8]| piece.write(to);
        self.transmit(now, path, piece.length(), write, ports)?;
        count(&mut self.reassembly.counters.sent);
        Ok(())
    }
}
