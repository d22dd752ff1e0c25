//! A scripted adapter that speaks RNDIS: well-behaved, but for what its script says.

mod adapter;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Descriptors, ScriptedBus, message};
use crate::xhcid::bus::Port;
use adapter::{Adapter, Plug};

/// Address of the endpoint that says RESPONSE_AVAILABLE.
pub const INTERRUPT: u8 = 0x81;
/// Address of the endpoint that frames come from.
pub const BULK_IN: u8 = 0x82;
/// Address of the endpoint that frames go to.
pub const BULK_OUT: u8 = 0x02;

/// RESPONSE_AVAILABLE as RNDIS has it: two words.
const RESPONSE_AVAILABLE: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];

/// What the adapter does with a control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What a well-behaved adapter does.
    Usual,
    /// These messages are its answers, in this order; none is silence.
    Messages(Vec<Vec<u8>>),
    /// The usual answer, when the test calls [`Rndis::release`].
    Later,
    /// It refuses the control transfer.
    Stall,
}

type Script = Box<dyn FnMut(&[u8]) -> Answer + Send>;
type Peer = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>> + Send>;

/// An adapter to plug in.
pub struct RndisSpec {
    descriptors: Descriptors,
    mac: Vec<u8>,
    packets: u32,
    transfer_size: u32,
    alignment: u32,
    notifies: bool,
    holds: bool,
    script: Script,
    peer: Peer,
}

impl Default for RndisSpec {
    fn default() -> Self {
        Self::new()
    }
}

impl RndisSpec {
    /// An adapter as QEMU's: one packet in a transfer of at most 1580 bytes, no alignment, 64-byte packets, its RNDIS
    /// configuration with value 2 before another with value 1. Its link is up.
    pub fn new() -> Self {
        let rndis = Self::configuration(2, [0x02, 0x02, 0xff]);
        let other = Descriptors::configuration(1, &[Descriptors::interface(0, 0, [0xff; 3], &[])]);
        Self {
            descriptors: Descriptors::new(vec![rndis, other]),
            mac: vec![0x52, 0x54, 0x00, 0x12, 0x34, 0x57],
            packets: 1,
            transfer_size: 1580,
            alignment: 0,
            notifies: true,
            holds: false,
            script: Box::new(|_| Answer::Usual),
            peer: Box::new(|_| Vec::new()),
        }
    }

    /// A configuration with a control interface of this class and a data interface behind it.
    pub fn configuration(value: u8, class: [u8; 3]) -> Vec<u8> {
        let endpoint = Descriptors::endpoint;
        let control = Descriptors::interface(0, 0, class, &[endpoint(INTERRUPT, 3, 16, 8)]);
        let bulk = [endpoint(BULK_IN, 2, 64, 0), endpoint(BULK_OUT, 2, 64, 0)];
        let data = Descriptors::interface(1, 0, [0x0a, 0, 0], &bulk);
        Descriptors::configuration(value, &[control, data])
    }

    /// The class of its control interface, in one configuration with value 1.
    #[must_use]
    pub fn class(self, class: [u8; 3]) -> Self {
        let configuration = Self::configuration(1, class);
        self.descriptors(Descriptors::new(vec![configuration]))
    }

    /// Other descriptors. The endpoints are to be [`INTERRUPT`], [`BULK_IN`] and [`BULK_OUT`].
    #[must_use]
    pub fn descriptors(mut self, descriptors: Descriptors) -> Self {
        self.descriptors = descriptors;
        self
    }

    /// What it says is its address: any bytes.
    #[must_use]
    pub fn mac(mut self, mac: &[u8]) -> Self {
        self.mac = mac.to_vec();
        self
    }

    /// What it agrees to: MaxPacketsPerTransfer, MaxTransferSize in bytes, and PacketAlignmentFactor (an exponent).
    #[must_use]
    pub fn limits(mut self, packets: u32, transfer_size: u32, alignment: u32) -> Self {
        (self.packets, self.transfer_size, self.alignment) = (packets, transfer_size, alignment);
        self
    }

    /// It never says RESPONSE_AVAILABLE: its answers have to be asked for.
    #[must_use]
    pub fn without_notifications(mut self) -> Self {
        self.notifies = false;
        self
    }

    /// It is slow to take data: each transfer from the host ends when the test says so ([`ScriptedBus::answer`]).
    #[must_use]
    pub fn holds_data(mut self) -> Self {
        self.holds = true;
        self
    }

    /// What it does with each control message, beginning with INITIALIZE.
    #[must_use]
    pub fn script(mut self, script: impl FnMut(&[u8]) -> Answer + Send + 'static) -> Self {
        self.script = Box::new(script);
        self
    }

    /// Who is behind it: for each frame from the host, the frames that come back, each in a transfer of its own.
    #[must_use]
    pub fn peer(mut self, peer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        self.peer = Box::new(peer);
        self
    }
}

/// The test's end of a scripted adapter. Clones are the same adapter.
#[derive(Clone)]
pub struct Rndis {
    bus: ScriptedBus,
    port: Port,
    adapter: Arc<Mutex<Adapter>>,
}

impl Rndis {
    /// Plugs such an adapter into a port of the bus.
    pub fn plug(bus: &ScriptedBus, port: Port, spec: RndisSpec) -> Self {
        let descriptors = spec.descriptors.clone();
        let adapter = Arc::new(Mutex::new(Adapter::new(spec)));
        let device = Plug {
            descriptors,
            adapter: adapter.clone(),
        };
        bus.plug(port, device);
        Self {
            bus: bus.clone(),
            port,
            adapter,
        }
    }

    /// Pulls it out.
    pub fn unplug(&self) {
        self.bus.unplug(self.port);
    }

    /// Each frame in a packet message, all in one transfer; the adapter's alignment is kept.
    pub fn send_frames(&self, frames: &[&[u8]]) {
        let alignment = 1 << self.lock().spec.alignment.min(7);
        let messages = frames.iter().map(|frame| message::packet(frame, alignment));
        self.send_raw(&messages.collect::<Vec<_>>().concat());
    }

    /// One frame in a transfer of its own.
    pub fn send_frame(&self, frame: &[u8]) {
        self.send_frames(&[frame]);
    }

    /// A transfer of any bytes; of none it is an empty one.
    pub fn send_raw(&self, bytes: &[u8]) {
        self.bus.act(self.port, |wire| wire.send(BULK_IN, bytes));
    }

    /// Any bytes, cut before each of these offsets, in a transfer for each piece.
    pub fn send_cut(&self, bytes: &[u8], cuts: &[usize]) {
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let mut start = 0;
        self.bus.act(self.port, |wire| {
            for end in ends {
                let piece = bytes.get(start..end).unwrap_or_default();
                wire.send(BULK_IN, piece);
                start = end;
            }
        });
    }

    /// The cable: what queries say, and an indication.
    pub fn set_link(&self, up: bool) {
        self.lock().link = up;
        let status = if up {
            message::MEDIA_CONNECT
        } else {
            message::MEDIA_DISCONNECT
        };
        self.respond(message::indicate_status(status));
    }

    /// Any message on the control channel, with its notification: an indication, a KEEPALIVE, nonsense.
    pub fn respond(&self, message: Vec<u8>) {
        let notifies = {
            let mut adapter = self.lock();
            adapter.responses.push_back(message);
            adapter.spec.notifies
        };
        if notifies {
            self.notify();
        }
    }

    /// RESPONSE_AVAILABLE, true or not.
    pub fn notify(&self) {
        self.bus
            .act(self.port, |wire| wire.send(INTERRUPT, RESPONSE_AVAILABLE));
    }

    /// Gives the usual answers to the messages that the script put off.
    pub fn release(&self) {
        let put_off: Vec<Vec<u8>> = self.lock().put_off.drain(..).collect();
        for request in put_off {
            let answer = self.lock().usual(&request);
            if let Some(answer) = answer {
                self.respond(answer);
            }
        }
    }

    /// Another script, from now on.
    pub fn set_script(&self, script: impl FnMut(&[u8]) -> Answer + Send + 'static) {
        self.lock().spec.script = Box::new(script);
    }

    /// Halts an endpoint until the host clears it.
    pub fn stall(&self, endpoint: u8) {
        self.bus.act(self.port, |wire| wire.stall(endpoint));
    }

    /// The control messages of the host so far.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.lock().requests.clone()
    }

    /// The types of those messages.
    pub fn request_types(&self) -> Vec<u32> {
        let adapter = self.lock();
        adapter
            .requests
            .iter()
            .map(|bytes| message::word(bytes, 0))
            .collect()
    }

    /// The bulk transfers of the host so far, as they were.
    pub fn transfers(&self) -> Vec<Vec<u8>> {
        self.lock().transfers.clone()
    }

    /// The frames in them.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        self.lock().frames.clone()
    }

    /// The packet filter that was set last.
    pub fn filter(&self) -> u32 {
        self.lock().filter
    }

    /// Waits until the adapter satisfies `wanted`; false after `timeout`.
    pub fn wait_until(&self, timeout: Duration, wanted: impl Fn(&Self) -> bool) -> bool {
        self.bus.wait_until(timeout, || wanted(self))
    }

    fn lock(&self) -> MutexGuard<'_, Adapter> {
        self.adapter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
