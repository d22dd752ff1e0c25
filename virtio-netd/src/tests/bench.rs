//! A card, its driver, and the card's own end of both queues.

use netscheme::frame::LinkState;
use netscheme::network::server::Nic;
use virtio_core::testing::{DeviceQueue, FakeDevice, TestMemory};
use virtio_core::{DmaSpace, Features};

use crate::config::{MAC, STATUS};
use crate::counters::Counter;
use crate::error::Error;
use crate::hardware::Hardware;
use crate::header::HEADER_LENGTH;
use crate::interrupts::Look;
use crate::nic::Adapter;

pub(super) const CARD: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
pub(super) const RANDOM: [u8; 6] = [0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6];

/// What a plain card offers.
pub(super) const PLAIN: Features = Features::VERSION_1.with(MAC).with(STATUS);
/// The same with suppression of notifications by index.
pub(super) const EVENTS: Features = PLAIN.with(Features::EVENT_IDX);

/// The header of a frame that nothing is wrong with.
pub(super) const SOUND: [u8; HEADER_LENGTH] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

/// A card before its driver.
pub(super) struct Card {
    pub(super) fake: FakeDevice,
    pub(super) memory: TestMemory,
}

impl Card {
    /// A card that offers `offered` and has queues of these largest sizes, an address, and a link
    /// that is up.
    pub(super) fn new(offered: Features, sizes: [u16; 2]) -> Self {
        let memory = TestMemory::new(0x10_0000, 8192);
        let fake = FakeDevice::new(&memory, offered, &sizes);
        let card = Self { fake, memory };
        card.set_config(0, &CARD);
        card.set_config(6, &[1, 0]);
        card
    }

    /// Writes into the configuration space.
    pub(super) fn set_config(&self, offset: usize, bytes: &[u8]) {
        let mut state = self.fake.state();
        state.config[offset..offset + bytes.len()].copy_from_slice(bytes);
        state.generation = state.generation.wrapping_add(1);
    }

    /// Brings the card up.
    pub(super) fn try_start(&self) -> Result<Adapter, Error> {
        let hardware = Hardware {
            transport: self.fake.transport(),
            memory: DmaSpace::new(Box::new(self.memory.clone()), Vec::new()),
            queue_vector: Some(0),
            config_vector: Some(1),
            addresses_are_the_bus: true,
        };
        Adapter::start(hardware, || Ok(RANDOM))
    }

    pub(super) fn start(self) -> Bench {
        let nic = self.try_start().unwrap();
        let (rx, tx) = (self.fake.queue(0), self.fake.queue(1));
        Bench {
            card: self,
            nic,
            rx,
            tx,
        }
    }
}

/// A card that runs.
pub(super) struct Bench {
    pub(super) card: Card,
    pub(super) nic: Adapter,
    /// The card's end of the receive queue.
    pub(super) rx: DeviceQueue,
    /// The card's end of the transmit queue.
    pub(super) tx: DeviceQueue,
}

impl Bench {
    pub(super) fn new(offered: Features, sizes: [u16; 2]) -> Self {
        Card::new(offered, sizes).start()
    }

    /// The card receives `frame` behind `header`. Whether the driver wanted an interrupt for it;
    /// `None` when the card has no buffer.
    pub(super) fn deliver_with(
        &mut self,
        header: [u8; HEADER_LENGTH],
        frame: &[u8],
    ) -> Option<bool> {
        let bytes = [&header[..], frame].concat();
        self.deliver_bytes(&bytes, bytes.len() as u32)
    }

    /// The card writes `bytes` and says that it wrote `written`.
    pub(super) fn deliver_bytes(&mut self, bytes: &[u8], written: u32) -> Option<bool> {
        let chain = self.rx.pop()?;
        let part = chain.parts[0];
        assert!(part.writable && chain.parts.len() == 1, "{chain:?}");
        self.rx.memory.write(
            part.address,
            &bytes[..bytes.len().min(part.length as usize)],
        );
        Some(self.rx.push(chain.head, written))
    }

    /// The card receives a frame that nothing is wrong with.
    pub(super) fn deliver(&mut self, frame: &[u8]) -> Option<bool> {
        self.deliver_with(SOUND, frame)
    }

    /// The card sends the next frame: its bytes behind a header that asks for nothing, and whether
    /// the driver wanted an interrupt.
    pub(super) fn send_next(&mut self) -> Option<(Vec<u8>, bool)> {
        let chain = self.tx.pop()?;
        let part = chain.parts[0];
        assert!(!part.writable && chain.parts.len() == 1, "{chain:?}");
        let bytes = self.tx.memory.read(part.address, part.length as usize);
        assert_eq!(
            bytes[..HEADER_LENGTH],
            [0; HEADER_LENGTH],
            "the header asks for something"
        );
        let interrupt = self.tx.push(chain.head, 0);
        Some((bytes[HEADER_LENGTH..].to_vec(), interrupt))
    }

    /// The driver reads the next frame.
    pub(super) fn read(&mut self) -> Option<Vec<u8>> {
        self.nic.receive().map(|frame| frame.to_vec())
    }

    /// The driver reads until nothing is left.
    pub(super) fn read_all(&mut self) -> Vec<Vec<u8>> {
        core::iter::from_fn(|| self.read()).collect()
    }

    /// The queues' interrupt.
    pub(super) fn interrupt(&mut self) {
        self.nic.on_interrupt(Look {
            queues: true,
            config: false,
        });
    }

    /// The configuration's interrupt.
    pub(super) fn config_interrupt(&mut self) {
        self.nic.on_interrupt(Look {
            queues: false,
            config: true,
        });
    }

    /// The driver resets the card; the card's ends are those of its new life.
    pub(super) fn revive(&mut self) {
        self.nic.revive().unwrap();
        self.look_again();
    }

    /// Takes the card's ends of the queues as the driver has set them up last.
    pub(super) fn look_again(&mut self) {
        self.rx = self.card.fake.queue(0);
        self.tx = self.card.fake.queue(1);
    }

    pub(super) fn stat(&self, name: &str) -> u64 {
        self.nic
            .stats()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("no {name} in stats"))
            .1
    }

    pub(super) fn count(&self, counter: Counter) -> u64 {
        self.stat(counter.name())
    }

    pub(super) fn link(&self) -> LinkState {
        self.nic.link()
    }

    /// No buffer is lost, and the driver has done nothing that a driver must not do.
    pub(super) fn assert_whole(&self) {
        let (size, posted, in_flight) = (
            self.stat("rx_ring_size"),
            self.stat("rx_posted"),
            self.stat("rx_in_flight"),
        );
        assert_eq!(
            posted + in_flight,
            size,
            "{posted} posted and {in_flight} in flight are not {size}"
        );
        assert_eq!(
            self.stat("tx_posted") + self.stat("tx_free"),
            self.stat("tx_ring_size")
        );
        assert_eq!(self.count(Counter::RxNotReposted), 0);
        assert_eq!(self.card.fake.state().offences, Vec::<String>::new());
    }

    /// Frames still go both ways.
    pub(super) fn assert_works(&mut self) {
        let (down, up) = (frame(77, 60), frame(78, 61));
        assert!(!self.nic.can_receive(), "nothing was sent");
        assert_eq!(
            self.deliver(&down),
            Some(true),
            "the frame finds a buffer and the driver asleep"
        );
        self.interrupt();
        assert_eq!(self.read(), Some(down));
        assert_eq!(self.nic.transmit(&up), Ok(()));
        self.nic.flush();
        assert_eq!(self.send_next().map(|(frame, _)| frame), Some(up));
        self.assert_whole();
    }
}

/// A frame of `length` bytes that no other number has.
pub(super) fn frame(number: u64, length: usize) -> Vec<u8> {
    let mut frame = vec![number as u8; length];
    frame[..8].copy_from_slice(&number.to_be_bytes());
    frame
}
