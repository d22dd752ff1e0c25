//! Rings of TRBs in memory that the controller reads and writes (xHCI 1.2, 4.9). They know the format and no controller.

use super::trb::{CHAIN, CYCLE, TRB, Trb};

/// TRBs of a ring: a page of them.
pub(super) const RING_LENGTH: usize = 256;
/// Bytes of a ring.
pub(super) const RING_BYTES: usize = RING_LENGTH * TRB as usize;
/// Where the control word lies in a TRB: with it the TRB changes hands.
const CONTROL: u64 = 12;

/// Memory at device addresses.
pub(super) trait Memory {
    /// Copies what lies at `address` into `bytes`.
    fn read(&self, address: u64, bytes: &mut [u8]);
    /// Copies `bytes` to `address`.
    fn write(&self, address: u64, bytes: &[u8]);
}

/// There is no room for what was to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A ring that we fill: of commands, or of an endpoint's transfers. Its last TRB leads back to the first (4.9.2).
#[derive(Debug)]
pub(super) struct ProducerRing {
    base: u64,
    length: usize,
    enqueue: usize,
    /// The first TRB that the controller may still look at.
    dequeue: usize,
    cycle: u32,
}

impl ProducerRing {
    /// A ring in zeroed memory of `length` TRBs at `base`.
    pub(super) fn new(base: u64, length: usize) -> Self {
        Self {
            base,
            length: length.max(3),
            enqueue: 0,
            dequeue: 0,
            cycle: CYCLE,
        }
    }

    /// Where the next TRB goes, with the cycle bit that it will have: what the controller is told of the ring.
    pub(super) fn pointer(&self) -> u64 {
        self.address(self.enqueue) | u64::from(self.cycle)
    }

    /// Queues the TRBs of one descriptor; the controller sees all of them or none (4.11.7: the cycle bit of the first is
    /// written last). Gives the address of each.
    pub(super) fn push(&mut self, memory: &impl Memory, trbs: &[Trb]) -> Result<Vec<u64>, Full> {
        // One stays free: a full ring would look like an empty one (4.9.2.2).
        if trbs.is_empty() || trbs.len() >= self.room() {
            return Err(Full);
        }
        let first = (self.address(self.enqueue), self.cycle);
        let mut addresses = Vec::with_capacity(trbs.len());
        for (index, trb) in trbs.iter().enumerate() {
            let (address, mut cycle) = (self.address(self.enqueue), self.cycle);
            if index == 0 {
                cycle ^= CYCLE;
            }
            write(memory, address, *trb, cycle);
            addresses.push(address);
            self.advance(memory, trb.control);
        }
        let (address, cycle) = first;
        let control = trbs.first().map_or(0, |trb| trb.control) & !CYCLE | cycle;
        memory.write(address + CONTROL, &control.to_le_bytes());
        Ok(addresses)
    }

    /// The controller is done with the TRB at `address` and all before it.
    pub(super) fn consumed(&mut self, address: u64) {
        let offset = address.wrapping_sub(self.base);
        let index = usize::try_from(offset / TRB).unwrap_or(usize::MAX);
        if offset.is_multiple_of(TRB) && index < self.length - 1 {
            self.dequeue = (index + 1) % (self.length - 1);
        }
    }

    /// What was queued is not to be looked at any more.
    pub(super) fn forget(&mut self) {
        self.dequeue = self.enqueue;
    }

    /// TRBs that are free.
    fn room(&self) -> usize {
        let all = self.length - 1;
        match self.enqueue >= self.dequeue {
            true => all - (self.enqueue - self.dequeue),
            false => self.dequeue - self.enqueue,
        }
    }

    fn address(&self, index: usize) -> u64 {
        self.base + TRB * index as u64
    }

    /// Past a TRB; at the end over the link, which is handed over with the cycle bit of this round. Inside a descriptor it
    /// has the chain bit of the TRB before (4.11.7).
    fn advance(&mut self, memory: &impl Memory, control: u32) {
        self.enqueue += 1;
        if self.enqueue == self.length - 1 {
            let link = Trb::link(self.base, control & CHAIN);
            write(memory, self.address(self.enqueue), link, self.cycle);
            self.enqueue = 0;
            self.cycle ^= CYCLE;
        }
    }
}

fn write(memory: &impl Memory, address: u64, trb: Trb, cycle: u32) {
    let control = trb.control & !CYCLE | cycle;
    let bytes = Trb { control, ..trb }.to_bytes();
    let (body, control) = bytes.split_at(CONTROL as usize);
    memory.write(address, body);
    memory.write(address + CONTROL, control);
}

/// The ring that the controller fills: one segment, without a link (4.9.4).
#[derive(Debug)]
pub(super) struct EventRing {
    base: u64,
    length: usize,
    dequeue: usize,
    cycle: u32,
}

impl EventRing {
    /// A ring in zeroed memory of `length` TRBs at `base`.
    pub(super) fn new(base: u64, length: usize) -> Self {
        Self {
            base,
            length,
            dequeue: 0,
            cycle: CYCLE,
        }
    }

    /// The oldest event that was not taken yet.
    pub(super) fn next(&mut self, memory: &impl Memory) -> Option<Trb> {
        let address = self.pointer();
        let mut control = [0; 4];
        memory.read(address + CONTROL, &mut control);
        if u32::from_le_bytes(control) & CYCLE != self.cycle {
            return None;
        }
        // Ours now: the rest of it was written before its cycle bit.
        let mut bytes = [0; TRB as usize];
        memory.read(address, &mut bytes);
        self.dequeue += 1;
        if self.dequeue == self.length {
            self.dequeue = 0;
            self.cycle ^= CYCLE;
        }
        Some(Trb::from_bytes(bytes))
    }

    /// The address of the event that comes next.
    pub(super) fn pointer(&self) -> u64 {
        self.base + TRB * self.dequeue as u64
    }
}

#[cfg(test)]
mod tests;
