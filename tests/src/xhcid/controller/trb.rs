//! Transfer request blocks: what goes over the rings, 16 bytes each (xHCI 1.2, 6.4). Little-endian.

use crate::xhcid::bus::{Outcome, Setup};

/// Bytes of a TRB.
pub(super) const TRB: u64 = 16;

/// Bits of the control word.
pub(super) const CYCLE: u32 = 1;
const TOGGLE_CYCLE: u32 = 1 << 1;
const INTERRUPT_ON_SHORT: u32 = 1 << 2;
pub(super) const CHAIN: u32 = 1 << 4;
const INTERRUPT_ON_COMPLETION: u32 = 1 << 5;
const IMMEDIATE_DATA: u32 = 1 << 6;
/// In data and status stages: the stage goes to the host.
const DIRECTION_IN: u32 = 1 << 16;

/// Types (table 6-91).
const NORMAL: u32 = 1;
const SETUP_STAGE: u32 = 2;
const DATA_STAGE: u32 = 3;
const STATUS_STAGE: u32 = 4;
const LINK: u32 = 6;
const ENABLE_SLOT: u32 = 9;
const DISABLE_SLOT: u32 = 10;
const ADDRESS_DEVICE: u32 = 11;
const CONFIGURE_ENDPOINT: u32 = 12;
const RESET_ENDPOINT: u32 = 14;
const SET_DEQUEUE_POINTER: u32 = 16;
pub(super) const TRANSFER_EVENT: u32 = 32;
pub(super) const COMMAND_COMPLETION: u32 = 33;
pub(super) const PORT_STATUS_CHANGE: u32 = 34;

/// Completion codes (table 6-90).
pub(super) const SUCCESS: u8 = 1;
const STALL_ERROR: u8 = 6;
const SHORT_PACKET: u8 = 13;

/// A TRB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trb {
    pub(super) parameter: u64,
    pub(super) status: u32,
    pub(super) control: u32,
}

impl Trb {
    const fn of(kind: u32, parameter: u64, status: u32, flags: u32) -> Self {
        Self {
            parameter,
            status,
            control: kind << 10 | flags,
        }
    }

    /// A transfer, or a part of one, of at most 64 KiB (6.4.1.1).
    pub(super) const fn normal(address: u64, length: u32) -> Self {
        let flags = INTERRUPT_ON_SHORT | INTERRUPT_ON_COMPLETION;
        Self::of(NORMAL, address, length, flags)
    }

    /// The setup stage carries its eight bytes itself (6.4.1.2.1); it says which way the data stage goes.
    pub(super) fn setup(setup: Setup) -> Self {
        let data = match (setup.length, setup.is_in()) {
            (0, _) => 0,
            (_, false) => 2 << 16,
            (_, true) => 3 << 16,
        };
        let bytes = u64::from_le_bytes(setup.to_bytes());
        Self::of(SETUP_STAGE, bytes, 8, IMMEDIATE_DATA | data)
    }

    /// The data stage (6.4.1.2.2).
    pub(super) const fn data(address: u64, setup: Setup) -> Self {
        let direction = if setup.request_type & 0x80 != 0 {
            DIRECTION_IN
        } else {
            0
        };
        let flags = INTERRUPT_ON_SHORT | direction;
        Self::of(DATA_STAGE, address, setup.length as u32, flags)
    }

    /// The status stage goes the other way, and to the host when there is no data (6.4.1.2.3; USB 2.0, 8.5.3).
    pub(super) const fn status(setup: Setup) -> Self {
        let data_in = setup.request_type & 0x80 != 0 && setup.length != 0;
        let direction = if data_in { 0 } else { DIRECTION_IN };
        Self::of(STATUS_STAGE, 0, 0, INTERRUPT_ON_COMPLETION | direction)
    }

    /// Back to the first TRB of the ring, with the other cycle bit (6.4.4.1).
    pub(super) const fn link(ring: u64, chain: u32) -> Self {
        Self::of(LINK, ring, 0, TOGGLE_CYCLE | chain & CHAIN)
    }

    pub(super) const fn enable_slot() -> Self {
        Self::of(ENABLE_SLOT, 0, 0, 0)
    }

    pub(super) const fn disable_slot(slot: u8) -> Self {
        Self::of(DISABLE_SLOT, 0, 0, (slot as u32) << 24)
    }

    pub(super) const fn address_device(input: u64, slot: u8) -> Self {
        Self::of(ADDRESS_DEVICE, input, 0, (slot as u32) << 24)
    }

    pub(super) const fn configure_endpoint(input: u64, slot: u8) -> Self {
        Self::of(CONFIGURE_ENDPOINT, input, 0, (slot as u32) << 24)
    }

    pub(super) const fn reset_endpoint(slot: u8, index: u8) -> Self {
        let whom = (slot as u32) << 24 | (index as u32) << 16;
        Self::of(RESET_ENDPOINT, 0, 0, whom)
    }

    /// `dequeue` has the ring's cycle bit in its bit 0.
    pub(super) const fn set_dequeue_pointer(dequeue: u64, slot: u8, index: u8) -> Self {
        let whom = (slot as u32) << 24 | (index as u32) << 16;
        Self::of(SET_DEQUEUE_POINTER, dequeue, 0, whom)
    }

    pub(super) const fn kind(self) -> u32 {
        self.control >> 10 & 0x3f
    }

    /// Of an event: how it went.
    pub(super) const fn code(self) -> u8 {
        (self.status >> 24) as u8
    }

    /// Of a transfer event: the bytes that were not moved (6.4.2.1).
    pub(super) const fn residue(self) -> u32 {
        self.status & 0x00ff_ffff
    }

    /// Of an event: the slot that it is about.
    pub(super) const fn slot(self) -> u8 {
        (self.control >> 24) as u8
    }

    /// Of a transfer event: the endpoint's device context index.
    pub(super) const fn index(self) -> u8 {
        (self.control >> 16 & 0x1f) as u8
    }

    /// Of a port status change event: the port (6.4.2.3).
    pub(super) const fn port(self) -> u8 {
        (self.parameter >> 24) as u8
    }

    /// What a transfer event says.
    pub(super) const fn outcome(self) -> Outcome {
        match self.code() {
            SUCCESS => Outcome::Success,
            SHORT_PACKET => Outcome::Short,
            STALL_ERROR => Outcome::Stalled,
            _ => Outcome::Failed,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; TRB as usize] {
        let word = u128::from(self.parameter)
            | u128::from(self.status) << 64
            | u128::from(self.control) << 96;
        word.to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; TRB as usize]) -> Self {
        let word = u128::from_le_bytes(bytes);
        Self {
            parameter: word as u64,
            status: (word >> 64) as u32,
            control: (word >> 96) as u32,
        }
    }
}
