//! The provider's loop: requests are answered or parked; cancellation, files that travel, events.

use libredox::call;
use redox_scheme::scheme::{Op, SchemeResponse, SchemeState, SchemeSync, register_sync_scheme};
use redox_scheme::{
    CallRequest, CallerCtx, Id, RecvFdRequest, RequestKind, Response, SendFdRequest,
    SignalBehavior, Socket,
};
use syscall::error::{EBADF, ECANCELED, ENOENT, EOPNOTSUPP, EWOULDBLOCK, Error, Result};
use syscall::flag::{FmoveFdFlags, FobtainFdFlags, MapFlags};

use crate::pages::{PAGE, Pages};
use crate::provider::{NAME, Scheme};

/// A request that waits for its answer.
struct Parked {
    id: Id,
    caller: CallerCtx,
    op: Op,
}

struct Server {
    socket: Socket,
    scheme: Scheme,
    state: SchemeState,
    parked: Vec<Parked>,
}

impl Server {
    fn respond(&self, response: Response) -> Result<()> {
        self.socket
            .write_response(response, SignalBehavior::Restart)
            .map(|_| ())
    }

    /// Answers, or parks what cannot be answered yet.
    fn handle(&mut self, caller: CallerCtx, mut op: Op) -> Result<()> {
        let would_block = Error::new(EWOULDBLOCK);
        match op.handle_sync_dont_consume(&caller, &mut self.scheme, &mut self.state) {
            SchemeResponse::Regular(Err(error))
                if error == would_block && !op.is_explicitly_nonblock() =>
            {
                let seen = op.file_id().is_some_and(|id| self.scheme.is_seen(id));
                if seen {
                    self.scheme.note("parked".to_owned());
                }
                self.parked.push(Parked {
                    id: caller.id,
                    caller,
                    op,
                });
                Ok(())
            }
            SchemeResponse::Regular(result) => self.respond(Response::new(result, op)),
            SchemeResponse::RegularAndNotifyOnDetach(result) => {
                self.respond(Response::new_notify_on_detach(result, op))
            }
            SchemeResponse::Opened(result) => self.respond(Response::open_dup_like(result, op)),
        }
    }

    fn call(&mut self, request: CallRequest) -> Result<()> {
        let caller = request.caller();
        match request.op() {
            Ok(op) => self.handle(caller, op),
            Err(request) => self.respond(Response::err(EOPNOTSUPP, request)),
        }
    }

    fn cancel(&mut self, id: Id) -> Result<()> {
        let Some(index) = self.parked.iter().position(|parked| parked.id == id) else {
            self.scheme.note("cancel of nothing parked".to_owned());
            return Ok(());
        };
        self.scheme.note("cancel of a parked request".to_owned());
        let parked = self.parked.remove(index);
        self.respond(Response::err(ECANCELED, parked.op))
    }

    fn send(&mut self, request: SendFdRequest) -> Result<()> {
        let line = format!(
            "sendfd {} files {} metadata {:?}",
            request.id(),
            request.num_fds(),
            request.metadata()
        );
        self.scheme.note(line);
        let mut fds = [usize::MAX];
        let result = request.obtain_fd(&self.socket, FobtainFdFlags::empty(), &mut fds);
        self.scheme.mail = result.is_ok().then_some(fds[0]);
        self.respond(Response::new(result.map(|()| 1), request))
    }

    fn receive(&mut self, request: RecvFdRequest) -> Result<()> {
        let line = format!(
            "recvfd {} files {} metadata {:?}",
            request.id(),
            request.num_fds(),
            request.metadata()
        );
        self.scheme.note(line);
        let Some(fd) = self.scheme.mail.take() else {
            return self.respond(Response::err(ENOENT, request));
        };
        match request.move_fd(&self.socket, FmoveFdFlags::empty(), &[fd]) {
            Ok(()) => self.respond(Response::return_external_multiple_fds(1, request)),
            Err(error) => self.respond(Response::new(Err(error), request)),
        }
    }

    /// What a request made possible: events, parked requests that can be answered now.
    fn follow_up(&mut self) -> Result<()> {
        for (id, flags) in std::mem::take(&mut self.scheme.posts) {
            self.respond(Response::post_fevent(id, flags))?;
        }
        if std::mem::take(&mut self.scheme.answer_parked) {
            let (reads, waits): (Vec<_>, Vec<_>) = std::mem::take(&mut self.parked)
                .into_iter()
                .partition(|parked| {
                    parked
                        .op
                        .file_id()
                        .is_some_and(|id| self.scheme.is_seen(id))
                });
            self.parked = waits;
            for (order, mut parked) in reads.into_iter().rev().enumerate() {
                if let Op::Read(read) = &mut parked.op {
                    read.buf().fill(b'1' + order as u8);
                }
                self.respond(Response::ok(4, parked.op))?;
            }
        }
        self.scheme.quiet = true;
        for parked in std::mem::take(&mut self.parked) {
            self.handle(parked.caller, parked.op)?;
        }
        self.scheme.quiet = false;
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        let Some(request) = self.socket.next_request(SignalBehavior::Restart)? else {
            return Err(Error::new(EBADF));
        };
        match request.kind() {
            RequestKind::Call(request) => self.call(request)?,
            RequestKind::Cancellation(request) => self.cancel(request.id)?,
            RequestKind::SendFd(request) => self.send(request)?,
            RequestKind::RecvFd(request) => self.receive(request)?,
            RequestKind::OnClose { id } => self.scheme.on_close(id),
            RequestKind::OnDetach { id, .. } => self.scheme.note(format!("detach {id}")),
            RequestKind::MsyncMsg | RequestKind::MunmapMsg | RequestKind::MmapMsg => {}
        }
        self.follow_up()
    }
}

/// Serves until it is killed.
pub(crate) fn serve(ready: usize) -> libredox::error::Result<()> {
    let pages = Pages::map(usize::MAX, 2 * PAGE, MapFlags::MAP_PRIVATE, 0)?;
    let socket = Socket::create()?;
    let mut scheme = Scheme::new(pages);
    register_sync_scheme(&socket, NAME, &mut scheme)?;
    call::write(ready, b"!")?;
    call::close(ready)?;
    let mut server = Server {
        socket,
        scheme,
        state: SchemeState::new(),
        parked: Vec::new(),
    };
    loop {
        server.turn()?;
    }
}
