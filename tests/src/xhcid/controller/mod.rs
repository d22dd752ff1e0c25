//! QEMU's xHCI controller as a [`Bus`]: registers on the qtest socket, rings in guest memory, an interrupt as an event.

mod memory;
mod registers;
mod ring;
mod slot;
mod trb;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use libredox::Fd;
use netscheme::reactor::Reactor;
use pcid_interface::msix::Vector;
use redox_host::{Host, SharedRam};
use syscall::error::{EIO, ENODEV, ENOSYS, Error, Result};
use syscall::flag::EventFlags;
use virtio_netd::Platform;

use super::bus::{
    Bus, BusEvent, Completion, Endpoint, EndpointState, Outcome, Port, Ticket, Transfer,
};
use crate::LabPlatform;
use crate::error::Context;
use crate::machine::{
    Machine, MsiMessage, PciBus, PciFunction, QtestRegisters, program_msix_entry,
};
use memory::{GuestMemory, Piece};
use registers::*;
use ring::{EventRing, ProducerRing, RING_BYTES, RING_LENGTH};
use slot::{DEFAULT_CONTROL, Slot, index_of};
use trb::{COMMAND_COMPLETION, PORT_STATUS_CHANGE, SUCCESS, TRANSFER_EVENT, Trb};

/// The interrupter that is used: its events come with entry 0 of the MSI-X table.
const INTERRUPTER: u16 = 0;

/// The controller of a machine, for [`super::Xhcid::spawn`].
pub fn of(
    machine: &Machine,
    host: &Arc<Host>,
) -> crate::Result<impl FnOnce() -> crate::Result<Box<dyn Bus>> + Send + 'static> {
    let function = machine.xhci()?;
    let registers = machine.registers(function.bars[0]);
    let registers = registers.context("the controller has no registers")?;
    let interrupts = Interrupts {
        bus: machine.bus().clone(),
        function,
        table: table(machine, &function)?,
    };
    let mut platform = LabPlatform::new(machine.qtest(), machine.msi_doorbell(), host, true);
    let ram = machine.ram().clone();
    Ok(move || {
        let vector = platform.vector().context("an interrupt")?;
        let vector = vector.context("the machine has no messages")?;
        interrupts.enable(&vector);
        let controller = Controller::start(registers, &ram, vector.irq);
        let controller = controller.context("the controller does not start")?;
        Ok(Box::new(controller) as Box<dyn Bus>)
    })
}

/// How its interrupts become messages.
struct Interrupts {
    bus: PciBus,
    function: PciFunction,
    table: QtestRegisters,
}

fn table(machine: &Machine, function: &PciFunction) -> crate::Result<QtestRegisters> {
    let msix = machine.bus().msix(function.address);
    let msix = msix.context("the controller has no MSI-X")?;
    let bar = function.bars.get(usize::from(msix.table_bar));
    let (address, size) = bar
        .and_then(|bar| bar.memory())
        .context("its MSI-X table is nowhere")?;
    let offset = u64::from(msix.table_offset);
    let length = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
    Ok(QtestRegisters::new(
        machine.qtest(),
        address.saturating_add(offset),
        length,
    ))
}

impl Interrupts {
    fn enable(&self, vector: &Vector) {
        self.bus.enable(self.function.address);
        let message = MsiMessage {
            address: vector.message.address,
            data: vector.message.data,
        };
        program_msix_entry(&self.table, INTERRUPTER, message);
        if let Some(msix) = self.bus.msix(self.function.address) {
            self.bus
                .set_msix_enabled(self.function.address, &msix, true);
        }
    }
}

/// A controller that runs.
struct Controller {
    registers: ControllerRegisters,
    memory: GuestMemory,
    interrupt: Fd,
    /// Where it sleeps until a command is completed.
    reactor: Reactor,
    contexts: Piece,
    commands: ProducerRing,
    completions: EventRing,
    /// Memory of the rings and of the event ring's table, which it uses as long as it runs.
    _pieces: [Piece; 3],
    /// By slot number.
    slots: BTreeMap<u8, Slot>,
    connected: BTreeSet<Port>,
    happened: VecDeque<BusEvent>,
    /// The answer to the command that is waited for.
    answer: Option<Trb>,
    tickets: u64,
}

impl Controller {
    /// Resets it and sets it up (xHCI 1.2, 4.2).
    fn start(registers: QtestRegisters, ram: &SharedRam, interrupt: Fd) -> Result<Self> {
        let registers = ControllerRegisters::new(registers)?;
        if registers.scratchpads != 0 {
            return Err(Error::new(ENOSYS));
        }
        registers.write(USBCMD, RESET);
        // QEMU's is done with it when it has read the write.
        let waiting = registers.read(USBCMD)? & RESET != 0;
        if waiting || registers.read(USBSTS)? & NOT_READY != 0 {
            return Err(Error::new(EIO));
        }
        let memory = GuestMemory::open(ram)?;
        let contexts = memory.piece(8 * (usize::from(registers.slots) + 1))?;
        let (commands, command_memory) = memory.ring()?;
        let (events, table) = (memory.piece(RING_BYTES)?, memory.piece(64)?);
        registers.write(CONFIG, registers.slots.into());
        registers.write_u64(DCBAAP, contexts.address());
        registers.write_u64(CRCR, commands.pointer());
        // One segment (6.5).
        memory.write_u64(table.address(), events.address());
        memory.write_words(table.address() + 8, &[RING_LENGTH as u32, 0]);
        registers.write_runtime(ERSTSZ, 1);
        registers.write_runtime_u64(ERDP, events.address());
        registers.write_runtime_u64(ERSTBA, table.address());
        registers.write_runtime(IMAN, INTERRUPT_ENABLE);
        registers.write(USBCMD, RUN | INTERRUPTS);
        let reactor = Reactor::new()?;
        reactor.watch(interrupt.raw(), 0, EventFlags::EVENT_READ)?;
        let mut controller = Self {
            completions: EventRing::new(events.address(), RING_LENGTH),
            registers,
            memory,
            interrupt,
            reactor,
            contexts,
            commands,
            _pieces: [command_memory, events, table],
            slots: BTreeMap::new(),
            connected: BTreeSet::new(),
            happened: VecDeque::new(),
            answer: None,
            tickets: 0,
        };
        for port in 1..=controller.registers.ports {
            controller.look_at_port(Port(port))?;
        }
        Ok(controller)
    }

    /// Takes all events. A device that is faster than this is heard of again: the last write allows the next interrupt,
    /// and rings it when there is more.
    fn drain(&mut self) {
        let mut any = false;
        while let Some(event) = self.completions.next(&self.memory) {
            any = true;
            match event.kind() {
                TRANSFER_EVENT => self.transfer_event(event),
                COMMAND_COMPLETION => self.answer = Some(event),
                PORT_STATUS_CHANGE => {
                    if let Err(error) = self.look_at_port(Port(event.port())) {
                        log::debug!("xhcid: port {}: {error}", event.port());
                    }
                }
                kind => log::debug!("xhcid: event of type {kind}, code {}", event.code()),
            }
        }
        if any {
            let dequeue = self.completions.pointer() as u32;
            self.registers.write_runtime(ERDP, dequeue | HANDLER_BUSY);
        }
    }

    fn transfer_event(&mut self, event: Trb) {
        let slot = self.slots.get_mut(&event.slot()).filter(|slot| !slot.gone);
        let pipe = slot.and_then(|slot| slot.pipes.get_mut(&event.index()));
        match pipe.and_then(|pipe| pipe.event(&self.memory, event)) {
            Some(done) => self.happened.push_back(BusEvent::Completed(done)),
            None => log::trace!("xhcid: {event:?} ends no transfer"),
        }
    }

    /// Something about a port changed (4.19.2): a device came, went, or came instead of another.
    fn look_at_port(&mut self, port: Port) -> Result<()> {
        let status = self.registers.read_port(port)?;
        self.registers.write_port(port, status & CHANGES);
        let here = status & CONNECTED != 0;
        if self.connected.contains(&port) && (!here || status & CONNECT_CHANGE != 0) {
            self.connected.remove(&port);
            self.gone(port);
        }
        if here && self.connected.insert(port) {
            self.happened.push_back(BusEvent::Attached(port));
        }
        Ok(())
    }

    /// A device was pulled out: the controller says nothing of what was under way.
    fn gone(&mut self, port: Port) {
        for slot in self.slots.values_mut().filter(|slot| slot.port == port.0) {
            slot.gone = true;
            let pipes = slot.pipes.values_mut();
            let lost = pipes.flat_map(|pipe| pipe.forget()).map(failed);
            self.happened.extend(lost);
        }
        self.happened.push_back(BusEvent::Detached(port));
    }

    /// Has a command executed and waits for its end, which takes microseconds; gives the slot of the answer.
    fn command(&mut self, command: Trb) -> Result<u8> {
        let pushed = self.commands.push(&self.memory, &[command]);
        let address = pushed.ok().and_then(|pushed| pushed.first().copied());
        let address = address.ok_or(Error::new(EIO))?;
        self.registers.ring_doorbell(0, 0);
        let mut events = Vec::new();
        loop {
            self.drain();
            if let Some(answer) = self.answer.take_if(|answer| answer.parameter == address) {
                self.commands.consumed(address);
                if answer.code() != SUCCESS {
                    log::warn!("xhcid: {command:?} gave code {}", answer.code());
                    return Err(Error::new(EIO));
                }
                return Ok(answer.slot());
            }
            self.reactor.wait(None, &mut events)?;
        }
    }

    /// Resets the port until its device listens at address 0 (4.3.1); its speed.
    fn reset_port(&mut self, port: Port) -> Result<u32> {
        self.registers.write_port(port, PORT_RESET);
        let mut events = Vec::new();
        loop {
            let status = self.registers.read_port(port)?;
            if status & CONNECTED == 0 {
                return Err(Error::new(ENODEV));
            }
            if status & PORT_RESET == 0 {
                return Ok(status >> 10 & 0xf);
            }
            self.reactor.wait(None, &mut events)?;
        }
    }

    /// After a stall, or an error: Reset Endpoint, then on with an empty ring (4.6.8, 4.6.10).
    fn recover(&mut self, port: Port, index: u8) -> Result<()> {
        let slot = slot_of(&mut self.slots, port)?;
        let number = slot.number;
        let pipe = slot.pipes.get_mut(&index).ok_or(Error::new(EIO))?;
        pipe.halted = false;
        let (forgotten, dequeue) = (pipe.forget(), pipe.pointer());
        self.happened.extend(forgotten.into_iter().map(failed));
        self.command(Trb::reset_endpoint(number, index))?;
        self.command(Trb::set_dequeue_pointer(dequeue, number, index))?;
        Ok(())
    }

    /// Takes a slot from the controller and from us.
    fn disable(&mut self, number: u8) {
        if let Err(error) = self.command(Trb::disable_slot(number)) {
            log::debug!("xhcid: slot {number}: {error}");
        }
        self.slots.remove(&number);
        self.memory.write_u64(self.context_entry(number), 0);
    }

    /// Where the controller finds a slot's contexts (6.1).
    fn context_entry(&self, slot: u8) -> u64 {
        self.contexts.address() + 8 * u64::from(slot)
    }
}

/// The slot of the device that is in this port. ENODEV when there is none.
fn slot_of(slots: &mut BTreeMap<u8, Slot>, port: Port) -> Result<&mut Slot> {
    let mut slots = slots.values_mut();
    let slot = slots.find(|slot| slot.port == port.0 && !slot.gone);
    slot.ok_or(Error::new(ENODEV))
}

fn failed(ticket: Ticket) -> BusEvent {
    BusEvent::Completed(Completion {
        ticket,
        outcome: Outcome::Failed,
        transferred: 0,
        data: Vec::new(),
    })
}

impl Bus for Controller {
    fn fd(&self) -> usize {
        self.interrupt.raw()
    }

    fn next_event(&mut self) -> Option<BusEvent> {
        if self.happened.is_empty() {
            self.drain();
        }
        self.happened.pop_front()
    }

    fn address(&mut self, port: Port) -> Result<()> {
        self.release(port);
        let speed = self.reset_port(port)?;
        let number = self.command(Trb::enable_slot())?;
        let slot = Slot::new(&self.memory, number, port.0, speed, self.registers.context)?;
        let (input, output) = (slot.input(), slot.output());
        self.memory.write_u64(self.context_entry(number), output);
        self.slots.insert(number, slot);
        self.command(Trb::address_device(input, number)).map(drop)
    }

    fn configure(&mut self, port: Port, endpoints: &[Endpoint]) -> Result<()> {
        let Self { slots, memory, .. } = self;
        let slot = slot_of(slots, port)?;
        let pipes = slot.pipes.iter_mut();
        let old = pipes.filter(|(index, _)| **index != DEFAULT_CONTROL);
        let lost: Vec<_> = old.flat_map(|(_, pipe)| pipe.forget()).collect();
        slot.prepare(memory, endpoints)?;
        let command = Trb::configure_endpoint(slot.input(), slot.number);
        self.happened.extend(lost.into_iter().map(failed));
        self.command(command).map(drop)
    }

    fn submit(&mut self, port: Port, transfer: Transfer) -> Result<Ticket> {
        let index = match &transfer {
            Transfer::Control { .. } => DEFAULT_CONTROL,
            Transfer::In { endpoint, .. } | Transfer::Out { endpoint, .. } => index_of(*endpoint),
        };
        let halted = |pipe: &slot::Pipe| pipe.halted;
        let stalled = slot_of(&mut self.slots, port)?
            .pipes
            .get(&index)
            .is_some_and(halted);
        if index == DEFAULT_CONTROL && stalled {
            // The device's own end of a protocol stall is over with the next setup packet (USB 2.0, 8.5.3.4).
            self.recover(port, index)?;
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let Self { slots, memory, .. } = self;
        let slot = slot_of(slots, port)?;
        let pipe = slot.pipes.get_mut(&index).ok_or(Error::new(EIO))?;
        pipe.queue(memory, ticket, &transfer)?;
        self.registers.ring_doorbell(slot.number, index);
        Ok(ticket)
    }

    fn state(&self, port: Port, endpoint: u8) -> EndpointState {
        // The state follows the event that made it (4.8.3); an answer from QEMU comes after both.
        if self.registers.read(USBSTS).is_err() {
            return EndpointState::Disabled;
        }
        let mut slots = self.slots.values();
        let slot = slots.find(|slot| slot.port == port.0 && !slot.gone);
        slot.map_or(EndpointState::Disabled, |slot| {
            slot.state(&self.memory, endpoint)
        })
    }

    fn reset(&mut self, port: Port, endpoint: u8) -> Result<()> {
        self.recover(port, index_of(endpoint))
    }

    fn release(&mut self, port: Port) {
        let of_port = self.slots.values().filter(|slot| slot.port == port.0);
        let numbers: Vec<u8> = of_port.map(|slot| slot.number).collect();
        for number in numbers {
            self.disable(number);
        }
    }
}

/// Nothing is to write into memory that is somebody else's soon.
impl Drop for Controller {
    fn drop(&mut self) {
        self.registers.write(USBCMD, RESET);
    }
}
