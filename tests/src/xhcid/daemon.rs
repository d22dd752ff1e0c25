//! xhcid's loop: what happened on the bus, then what is asked of the files, then sleep.

use std::collections::VecDeque;
use std::sync::Weak;

use netscheme::reactor::Reactor;
use redox_host::Host;
use redox_scheme::scheme::{SchemeState, SchemeSync, register_sync_scheme};
use redox_scheme::{Request, RequestKind, Response, SignalBehavior, Socket};
use syscall::error::{EAGAIN, EBADF, EOPNOTSUPP, ESRCH, EWOULDBLOCK, Error, Result};
use syscall::flag::EventFlags;

use super::bus::{BusEvent, Port};
use super::drivers::Board;
use super::scheme::{Asked, XhciScheme};
use super::spec::Detach;

/// Requests taken by one read of the socket.
const BATCH: usize = 64;
const SOCKET: usize = 0;
const BUS: usize = 1;

/// The daemon.
pub(super) struct Daemon {
    scheme: XhciScheme,
    board: Board,
    host: Weak<Host>,
    socket: Socket,
    reactor: Reactor,
    requests: Vec<Request>,
    responses: VecDeque<Response>,
    locks: SchemeState,
}

impl Daemon {
    /// Registers the scheme.
    pub(super) fn new(mut scheme: XhciScheme, board: Board, host: Weak<Host>) -> Result<Self> {
        let socket = Socket::nonblock()?;
        let name = scheme.spec.scheme.clone();
        register_sync_scheme(&socket, &name, &mut scheme)?;
        let reactor = Reactor::new()?;
        reactor.watch(socket.inner().raw(), SOCKET, EventFlags::EVENT_READ)?;
        reactor.watch(scheme.hub.bus.fd(), BUS, EventFlags::EVENT_READ)?;
        Ok(Self {
            scheme,
            board,
            host,
            socket,
            reactor,
            requests: Vec::with_capacity(BATCH),
            responses: VecDeque::new(),
            locks: SchemeState::new(),
        })
    }

    /// Serves until the process is killed.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut events = Vec::new();
        loop {
            // A request may have made something happen, and what happened may answer the next one.
            while self.look_at_bus() | self.serve()? | self.do_asked() {
                self.tell()?;
            }
            self.reactor.wait(None, &mut events)?;
        }
    }

    fn look_at_bus(&mut self) -> bool {
        let mut happened = false;
        while let Some(event) = self.scheme.hub.next_event() {
            happened = true;
            match event {
                BusEvent::Attached(port) => self.attach(port),
                BusEvent::Detached(port) => self.detach(port),
                BusEvent::Completed(done) => self.scheme.completed(done),
            }
        }
        happened
    }

    fn attach(&mut self, port: Port) {
        match self.scheme.attach(port) {
            Ok(interfaces) => {
                self.board.set_attached(port, true);
                self.board
                    .start(&self.scheme.spec, &self.host, port, &interfaces);
            }
            // Pulled out again, or never answered.
            Err(error) => {
                log::warn!("xhcid: the device of port {port} cannot be attached: {error}")
            }
        }
    }

    fn detach(&mut self, port: Port) {
        if self.scheme.spec.detach == Detach::Kills {
            self.board.kill(port);
        }
        self.scheme.detach(port);
        self.board.set_attached(port, false);
    }

    fn do_asked(&mut self) -> bool {
        let asked = std::mem::take(&mut self.scheme.asked);
        for (port, what) in &asked {
            match what {
                Asked::Attach => self.attach(*port),
                Asked::Detach => self.detach(*port),
            }
        }
        !asked.is_empty()
    }

    /// Takes what is asked and answers it. Returns whether there was something.
    fn serve(&mut self) -> Result<bool> {
        match self
            .socket
            .read_requests(&mut self.requests, SignalBehavior::Restart)
        {
            Ok(()) if self.requests.is_empty() => return Err(Error::new(EBADF)),
            Ok(()) => {}
            Err(Error {
                errno: EAGAIN | EWOULDBLOCK,
            }) => return Ok(false),
            Err(error) => return Err(error),
        }
        for request in self.requests.drain(..) {
            let response = match request.kind() {
                RequestKind::Call(call) => call.handle_sync(&mut self.scheme, &mut self.locks),
                RequestKind::OnClose { id } => {
                    self.scheme.on_close(id);
                    continue;
                }
                RequestKind::SendFd(request) => Response::err(EOPNOTSUPP, request),
                RequestKind::RecvFd(request) => Response::err(EOPNOTSUPP, request),
                // Whatever waits blocks this very loop, so there is never a call to cancel.
                _ => continue,
            };
            self.responses.push_back(response);
        }
        Ok(true)
    }

    /// Sends answers and events.
    fn tell(&mut self) -> Result<()> {
        let edges = self.scheme.edges().into_iter();
        self.responses
            .extend(edges.map(|(handle, flags)| Response::post_fevent(handle, flags.bits())));
        while !self.responses.is_empty() {
            self.responses.make_contiguous();
            let sent = self
                .socket
                .write_responses(&mut self.responses, SignalBehavior::Restart);
            match sent {
                Ok(()) => {}
                Err(
                    error @ Error {
                        errno: ESRCH | EBADF,
                    },
                ) => return Err(error),
                // The caller of the first one is gone.
                Err(_) => drop(self.responses.pop_front()),
            }
        }
        Ok(())
    }
}
