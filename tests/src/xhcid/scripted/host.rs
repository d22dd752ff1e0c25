//! xhcid's end of a scripted bus.

use libredox::Fd;
use syscall::error::{EIO, Error, Result};

use super::pipe::Pipe;
use super::{Held, Plugged, Reply, ScriptedBus, State, Wire};
use crate::xhcid::bus::{Bus, BusEvent, Endpoint, EndpointState, Port, Setup, Ticket, Transfer};

/// The bus, and its interrupt.
pub(super) struct HostEnd {
    pub(super) bus: ScriptedBus,
    pub(super) interrupt: Fd,
}

impl HostEnd {
    /// Something that the host did may be what a test waits for.
    fn did<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.bus.lock();
        let result = work(&mut state);
        state.changes = state.changes.wrapping_add(1);
        drop(state);
        self.bus.0.changed.notify_all();
        result
    }
}

impl Bus for HostEnd {
    fn fd(&self) -> usize {
        self.interrupt.raw()
    }

    fn next_event(&mut self) -> Option<BusEvent> {
        self.bus.lock().events.pop_front()
    }

    fn address(&mut self, port: Port) -> Result<()> {
        self.did(|state| state.step(port).map(drop))
    }

    fn configure(&mut self, port: Port, endpoints: &[Endpoint]) -> Result<()> {
        self.did(|state| {
            let on = state.step(port)?;
            let pipes = endpoints
                .iter()
                .map(|endpoint| (endpoint.address, Pipe::default()));
            on.pipes = pipes.collect();
            Ok(())
        })
    }

    fn submit(&mut self, port: Port, transfer: Transfer) -> Result<Ticket> {
        self.did(|state| state.submit(port, transfer))
    }

    fn state(&self, port: Port, endpoint: u8) -> EndpointState {
        let state = self.bus.lock();
        let pipe = state
            .plugged
            .get(&port)
            .and_then(|on| on.pipes.get(&endpoint));
        pipe.map_or(EndpointState::Disabled, Pipe::state)
    }

    fn reset(&mut self, port: Port, endpoint: u8) -> Result<()> {
        self.did(|state| {
            let on = state.step(port)?;
            let pipe = on.pipes.get_mut(&endpoint).ok_or(Error::new(EIO))?;
            pipe.reset();
            Ok(())
        })
    }

    fn release(&mut self, _port: Port) {}
}

impl State {
    fn control(&mut self, port: Port, ticket: Ticket, setup: Setup, data: &[u8]) -> Result<()> {
        let on = self.step(port)?;
        let mut wire = Wire::default();
        let reply = match on.standard(setup) {
            Some(reply) => reply,
            None => on.device.control(setup, data, &mut wire),
        };
        self.answer(port, ticket, Held::Control(setup), reply);
        self.carry_out(port, wire);
        Ok(())
    }

    fn submit(&mut self, port: Port, transfer: Transfer) -> Result<Ticket> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        match transfer {
            Transfer::Control { setup, data } => self.control(port, ticket, setup, &data)?,
            Transfer::In { endpoint, length } => {
                let on = self.step(port)?;
                let pipe = on.pipes.get_mut(&endpoint).ok_or(Error::new(EIO))?;
                let done = pipe.ask(ticket, length);
                self.events.extend(done.map(BusEvent::Completed));
            }
            Transfer::Out { endpoint, data } => {
                let on = self.step(port)?;
                let pipe = on.pipes.get_mut(&endpoint).ok_or(Error::new(EIO))?;
                if pipe.is_halted() {
                    let done = pipe.ask(ticket, data.len());
                    self.events.extend(done.map(BusEvent::Completed));
                    return Ok(ticket);
                }
                let mut wire = Wire::default();
                let reply = on.device.receive(endpoint, &data, &mut wire);
                if reply == Reply::Stall {
                    pipe.halt();
                }
                self.answer(port, ticket, Held::Out(data.len()), reply);
                self.carry_out(port, wire);
            }
        }
        Ok(ticket)
    }
}

impl Plugged {
    /// Requests that every device answers alike; None for the others.
    fn standard(&mut self, setup: Setup) -> Option<Reply> {
        let done = Reply::Done(Vec::new());
        Some(match (setup.request_type, setup.request) {
            (0x80, Setup::GET_DESCRIPTOR) => match self.device.descriptors().get(setup.value) {
                Some(bytes) => Reply::Done(bytes),
                None => Reply::Stall,
            },
            (0x00, Setup::SET_CONFIGURATION) => {
                self.configuration = u8::try_from(setup.value).ok();
                done
            }
            (0x01, Setup::SET_INTERFACE) => done,
            (0x02, Setup::CLEAR_FEATURE) => {
                if let Some(pipe) = u8::try_from(setup.index)
                    .ok()
                    .and_then(|of| self.pipes.get_mut(&of))
                {
                    pipe.clear_halt();
                }
                done
            }
            _ => return None,
        })
    }
}
