//! The adapter: both halves, the state of the link, and the card's life and next life.

use netscheme::frame::{FrameSink, FrameSource, LinkState, Mac, Slot};
use netscheme::network::server::{Full, Nic};
use virtio_core::Device;
use virtio_core::device::{InterruptStatus, Running};

use crate::config::Config;
use crate::counters::{Counter, Counters};
use crate::device::{Life, Pools, bring_up, longest_frame};
use crate::error::Error;
use crate::hardware::Hardware;
use crate::interrupts::Look;
use crate::receive::{Receive, ReceivedFrame};
use crate::transmit::Transmit;

/// A virtio network card that runs.
pub struct Adapter {
    hardware: Hardware,
    /// `None` between a reset that failed and the next try.
    device: Option<Device<Running>>,
    receive: Receive,
    transmit: Transmit,
    pools: Pools,
    mac: Mac,
    mtu: u16,
    config: Config,
    /// What the device's status says is wrong.
    complaint: Option<&'static str>,
    counters: Counters,
}

impl Adapter {
    /// Brings the card up. `random` is asked for random bytes only if the card has no address of
    /// its own that can be used.
    ///
    /// # Errors
    /// What stood in the way.
    pub(crate) fn start(
        mut hardware: Hardware,
        random: impl FnOnce() -> Result<[u8; 6], Error>,
    ) -> Result<Self, Error> {
        let Life {
            device,
            receive,
            transmit,
            pools,
            config,
            mtu,
        } = bring_up(&mut hardware, None)?;
        let mac = match config.address() {
            Some(mac) => mac,
            None => choose_address(&config, random()?),
        };
        let receive_doorbell = device.doorbell(&receive)?;
        let transmit_doorbell = device.doorbell(&transmit)?;
        log::info!(
            "address {mac}, MTU {mtu}, link {}, queues of {} and {}",
            config.link(),
            receive.size(),
            transmit.size()
        );
        Ok(Self {
            hardware,
            receive: Receive::new(pools.receive.clone(), receive, receive_doorbell),
            transmit: Transmit::new(
                pools.transmit.clone(),
                transmit,
                transmit_doorbell,
                longest_frame(mtu),
            ),
            device: Some(device),
            pools,
            mac,
            mtu,
            config,
            complaint: None,
            counters: Counters::default(),
        })
    }

    /// The received frames.
    pub fn receive_half(&mut self) -> &mut Receive {
        &mut self.receive
    }

    /// The frames to send.
    pub fn transmit_half(&mut self) -> &mut Transmit {
        &mut self.transmit
    }

    /// The interrupt status register, which INTx needs.
    pub(crate) fn interrupt_status(&self) -> Option<InterruptStatus> {
        self.device.as_ref().and_then(Device::interrupt_status)
    }

    /// An interrupt came: looks at what `look` says.
    pub(crate) fn on_interrupt(&mut self, look: Look) {
        self.counters.count(Counter::Interrupts);
        if look.config {
            self.counters.count(Counter::ConfigInterrupts);
        }
        if !self.look(look) {
            self.counters.count(Counter::Spurious);
        }
    }

    /// Looks at what `look` says, whether there is anything new, and takes no interrupts until
    /// somebody waits again.
    pub(crate) fn look(&mut self, look: Look) -> bool {
        let mut found = false;
        if look.queues {
            self.receive.disarm();
            self.transmit.disarm();
            found |= self.receive.is_ready();
            found |= self.transmit.reap() > 0;
        }
        if look.config {
            found |= self.look_at_config();
        }
        found
    }

    /// Looks for DEVICE_NEEDS_RESET (virtio 2.1.2) and for changes of the configuration; whether
    /// there was any.
    fn look_at_config(&mut self) -> bool {
        let Some(device) = &self.device else {
            return false;
        };
        let status = device.status();
        if status.is_gone() {
            self.complaint = Some("the device is gone: its registers read as ones");
            return true;
        }
        if status.needs_reset() {
            self.counters.count(Counter::NeedsReset);
            self.complaint = Some("the device asks to be reset (DEVICE_NEEDS_RESET)");
            return true;
        }
        let accepted = device.agreed().accepted;
        match device.config(|registers| Config::read(registers, accepted)) {
            Ok(config) => {
                let changed = config != self.config;
                self.set_config(config);
                changed
            }
            Err(error) => {
                self.counters.count(Counter::ConfigUnsettled);
                log::warn!("{error}");
                false
            }
        }
    }

    fn set_config(&mut self, config: Config) {
        if config.link() != self.config.link() {
            self.counters.count(Counter::LinkChanges);
            log::info!("link {}", config.link());
        }
        self.config = config;
    }

    /// What is wrong with the card so that it must be reset, if anything is.
    pub(crate) fn trouble(&self) -> Option<String> {
        let Self {
            receive, transmit, ..
        } = self;
        let halves = receive.trouble().or_else(|| transmit.trouble());
        halves
            .or_else(|| self.complaint.map(str::to_owned))
            .or_else(|| {
                self.device
                    .is_none()
                    .then(|| "the device was not brought up again".to_owned())
            })
    }

    /// Resets the card and brings it up again with all its buffers. Frames under way are lost, and
    /// nothing else.
    ///
    /// # Errors
    /// It does not come up. [`Adapter::trouble`] then still says so, and this can be tried again.
    pub(crate) fn revive(&mut self) -> Result<(), Error> {
        self.counters.count(Counter::Resets);
        let faults = [self.receive.trouble(), self.transmit.trouble()];
        self.counters.add(
            Counter::DeviceFaults,
            faults.into_iter().flatten().count() as u64,
        );
        self.complaint = None;
        self.stop()?;
        let Life {
            device,
            receive,
            transmit,
            pools,
            config,
            mtu,
        } = bring_up(&mut self.hardware, Some(self.pools.clone()))?;
        let receive_doorbell = device.doorbell(&receive)?;
        let transmit_doorbell = device.doorbell(&transmit)?;
        self.receive
            .renew(pools.receive.clone(), receive, receive_doorbell);
        self.transmit.renew(
            pools.transmit.clone(),
            transmit,
            transmit_doorbell,
            longest_frame(mtu),
        );
        self.pools = pools;
        self.mtu = mtu;
        self.device = Some(device);
        self.set_config(config);
        Ok(())
    }

    /// Stops the card and takes all buffers back.
    fn stop(&mut self) -> Result<(), Error> {
        if let Some(device) = self.device.take() {
            // Nothing is taken back before the device says that it has stopped.
            device.reset()?;
        }
        self.receive.retire();
        self.transmit.retire();
        Ok(())
    }
}

/// An address of the adapter's own, for a card that has none that one station can own.
fn choose_address(config: &Config, random: [u8; 6]) -> Mac {
    let mac = Mac::local(random);
    match config.mac {
        Some(theirs) => log::warn!(
            "the device's address {} is no station's; {mac}, a random one, is used",
            Mac(theirs)
        ),
        None => log::info!("the device has no address; {mac}, a random one, is used"),
    }
    mac
}

impl Nic for Adapter {
    type Frame<'a> = ReceivedFrame<'a>;

    fn receive(&mut self) -> Option<ReceivedFrame<'_>> {
        if self.can_receive() {
            self.receive.next_frame()
        } else {
            None
        }
    }

    fn can_receive(&mut self) -> bool {
        self.receive.is_ready() || self.receive.arm()
    }

    fn transmit(&mut self, frame: &[u8]) -> Result<(), Full> {
        let mut slot = self.transmit.slot(frame.len()).ok_or(Full)?;
        slot.copy_from_slice(frame);
        slot.commit();
        Ok(())
    }

    fn can_transmit(&mut self) -> bool {
        self.transmit.is_ready()
    }

    fn flush(&mut self) {
        self.receive.publish();
        self.transmit.flush();
    }

    fn mac(&self) -> Mac {
        self.mac
    }

    fn mtu(&self) -> u16 {
        self.mtu
    }

    fn link(&self) -> LinkState {
        self.config.link()
    }

    fn stats(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let halves = [
            self.receive.counters(),
            self.transmit.counters(),
            &self.counters,
        ];
        let counted = Counter::ALL.iter().map(move |&counter| {
            (
                counter.name(),
                halves.iter().map(|half| half.get(counter)).sum(),
            )
        });
        let gauges = [
            ("rx_ring_size", self.receive.ring_size()),
            ("rx_posted", self.receive.posted()),
            ("rx_in_flight", self.receive.in_flight()),
            ("tx_ring_size", self.transmit.ring_size()),
            ("tx_posted", self.transmit.posted()),
            ("tx_free", self.transmit.free()),
        ];
        counted.chain(gauges.map(|(name, value)| (name, value as u64)))
    }
}
