//! Frames between the card and the buffers of those who read and write.

use syscall::error::{EINVAL, EMSGSIZE, EWOULDBLOCK, Error, Result};

use super::NetworkScheme;
use super::pipes::Turn;
use crate::frame::{ETHERNET_HEADER, VLAN_TAG};
use crate::network::server::{Full, Nic};

impl<N: Nic> NetworkScheme<N> {
    /// One frame into `buffer`; a frame that is longer is cut, as by any datagram socket.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.alive()?;
        let Some(frame) = self.nic.receive() else {
            return Err(Error::new(EWOULDBLOCK));
        };
        if frame.len() > buffer.len() {
            self.counters.rx_truncated += 1;
        }
        let pairs = buffer.len().min(frame.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..pairs), frame.get(..pairs)) {
            to.copy_from_slice(from);
        }
        Ok(pairs)
    }

    pub(super) fn transmit(&mut self, frame: &[u8]) -> Result<usize> {
        self.alive()?;
        if frame.len() < ETHERNET_HEADER {
            self.counters.tx_too_short += 1;
            return Err(Error::new(EINVAL));
        }
        let longest = usize::from(self.nic.mtu()) + ETHERNET_HEADER;
        if frame.len() > longest + if is_tagged(frame) { VLAN_TAG } else { 0 } {
            self.counters.tx_too_long += 1;
            return Err(Error::new(EMSGSIZE));
        }
        self.nic
            .transmit(frame)
            .map_err(|Full| Error::new(EWOULDBLOCK))?;
        self.doorbell = true;
        Ok(frame.len())
    }

    /// Nobody reads from the pipe any more: what is on its way to it was lost.
    pub(super) fn close_inlet(&mut self) {
        if let Some(inlet) = self.inlet.take() {
            self.counters.rx_no_reader += inlet.lost();
        }
    }

    /// Queues what the stack has written; true when there may be more of it.
    pub(super) fn take_from_pipe(&mut self) -> bool {
        let Some(mut outlet) = self.outlet.take() else {
            return false;
        };
        match outlet.turn(|frame| self.transmit(frame)) {
            Ok(turn) => {
                self.outlet = Some(outlet);
                turn == Turn::More
            }
            Err(_) => false,
        }
    }
}

/// Whether a VLAN tag follows the addresses (IEEE 802.1Q, 9.3; both tag types).
fn is_tagged(frame: &[u8]) -> bool {
    matches!(frame.get(12..14), Some([0x81, 0x00] | [0x88, 0xa8]))
}
