//! The adapter itself: what it keeps, and what it answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::{Descriptors, Device, Reply, Wire, message};
use super::{Answer, BULK_IN, INTERRUPT, RESPONSE_AVAILABLE, RndisSpec};
use crate::xhcid::bus::Setup;

/// SEND_ENCAPSULATED_COMMAND and GET_ENCAPSULATED_RESPONSE (CDC 1.2, 6.2.1 and 6.2.2).
const SEND_COMMAND: (u8, u8) = (0x21, 0);
const GET_RESPONSE: (u8, u8) = (0xa1, 1);
/// OIDs that the adapter knows ([MS-RNDIS] 2.2.x takes them from NDIS).
const OID_GEN_MAXIMUM_FRAME_SIZE: u32 = 0x0001_0106;
const OID_GEN_LINK_SPEED: u32 = 0x0001_0107;
const OID_GEN_CURRENT_PACKET_FILTER: u32 = 0x0001_010e;
const OID_GEN_MEDIA_CONNECT_STATUS: u32 = 0x0001_0114;
const OID_802_3_PERMANENT_ADDRESS: u32 = 0x0101_0101;
const OID_802_3_CURRENT_ADDRESS: u32 = 0x0101_0102;

pub(super) struct Adapter {
    pub(super) spec: RndisSpec,
    pub(super) link: bool,
    pub(super) filter: u32,
    /// Answers that wait for GET_ENCAPSULATED_RESPONSE.
    pub(super) responses: VecDeque<Vec<u8>>,
    /// Messages whose answer the script put off.
    pub(super) put_off: VecDeque<Vec<u8>>,
    pub(super) requests: Vec<Vec<u8>>,
    pub(super) transfers: Vec<Vec<u8>>,
    pub(super) frames: Vec<Vec<u8>>,
}

impl Adapter {
    /// As it is when it is plugged in: the link is up.
    pub(super) fn new(spec: RndisSpec) -> Self {
        Self {
            spec,
            link: true,
            filter: 0,
            responses: VecDeque::new(),
            put_off: VecDeque::new(),
            requests: Vec::new(),
            transfers: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// What a well-behaved adapter answers; None to what has no answer.
    pub(super) fn usual(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let id = message::word(request, 8);
        Some(match message::word(request, 0) {
            message::INITIALIZE => message::initialize_complete(
                id,
                self.spec.packets,
                self.spec.transfer_size,
                self.spec.alignment,
            ),
            message::QUERY => {
                let information = self.query(message::word(request, 12));
                let status = information
                    .as_ref()
                    .map_or(message::NOT_SUPPORTED, |_| message::SUCCESS);
                message::query_complete(id, status, &information.unwrap_or_default())
            }
            message::SET => {
                let offset = (message::word(request, 20) as usize).saturating_add(8);
                if message::word(request, 12) == OID_GEN_CURRENT_PACKET_FILTER {
                    self.filter = message::word(request, offset);
                }
                message::set_complete(id, message::SUCCESS)
            }
            message::RESET => message::reset_complete(message::SUCCESS, true),
            message::KEEPALIVE => message::keepalive_complete(id, message::SUCCESS),
            _ => return None,
        })
    }

    fn query(&self, oid: u32) -> Option<Vec<u8>> {
        let number = |value: u32| value.to_le_bytes().to_vec();
        Some(match oid {
            OID_GEN_MAXIMUM_FRAME_SIZE => number(1500),
            // In units of 100 bit/s.
            OID_GEN_LINK_SPEED => number(100_000_000 / 100),
            OID_GEN_CURRENT_PACKET_FILTER => number(self.filter),
            OID_GEN_MEDIA_CONNECT_STATUS => number((!self.link).into()),
            OID_802_3_PERMANENT_ADDRESS | OID_802_3_CURRENT_ADDRESS => self.spec.mac.clone(),
            _ => return None,
        })
    }

    fn command(&mut self, request: &[u8], wire: &mut Wire) -> Reply {
        self.requests.push(request.to_vec());
        let answers = match (self.spec.script)(request) {
            Answer::Usual => self.usual(request).into_iter().collect(),
            Answer::Messages(messages) => messages,
            Answer::Later => {
                self.put_off.push_back(request.to_vec());
                Vec::new()
            }
            Answer::Stall => return Reply::Stall,
        };
        for answer in answers {
            self.responses.push_back(answer);
            if self.spec.notifies {
                wire.send(INTERRUPT, RESPONSE_AVAILABLE);
            }
        }
        Reply::Done(Vec::new())
    }
}

/// The device's end.
pub(super) struct Plug {
    pub(super) descriptors: Descriptors,
    pub(super) adapter: Arc<Mutex<Adapter>>,
}

impl Device for Plug {
    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn control(&mut self, setup: Setup, data: &[u8], wire: &mut Wire) -> Reply {
        let mut adapter = self.adapter.lock().unwrap_or_else(PoisonError::into_inner);
        match (setup.request_type, setup.request) {
            SEND_COMMAND => adapter.command(data, wire),
            // One byte of zero when there is none, as from QEMU's.
            GET_RESPONSE => Reply::Done(adapter.responses.pop_front().unwrap_or(vec![0])),
            _ => Reply::Stall,
        }
    }

    fn receive(&mut self, _endpoint: u8, data: &[u8], wire: &mut Wire) -> Reply {
        let mut adapter = self.adapter.lock().unwrap_or_else(PoisonError::into_inner);
        adapter.transfers.push(data.to_vec());
        let alignment = 1 << adapter.spec.alignment.min(7);
        for frame in message::frames(data) {
            for back in (adapter.spec.peer)(&frame) {
                wire.send(BULK_IN, message::packet(&back, alignment));
            }
            adapter.frames.push(frame);
        }
        match adapter.spec.holds {
            true => Reply::Hold,
            false => Reply::Done(Vec::new()),
        }
    }
}
