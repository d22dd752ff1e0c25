//! The server of one scheme: takes requests, answers them or parks them, posts events.
//!
//! The scheme itself is a [`redox_scheme::scheme::SchemeSync`] that knows nothing of blocking beyond
//! one word: `EWOULDBLOCK` means "not yet". The server parks such a call unless its file is
//! non-blocking, runs it again when the scheme's owner says that its handle changed
//! ([`Server::retry`]), answers it when it is cancelled, when its deadline comes or its file closes.
//!
//! Two things must hold for a call that waits: the kernel keeps the caller's buffer mapped until the
//! answer, so every request that has a tag is answered once; and a caller that is killed sends no
//! cancel, so closing answers what is left. An `openat` never waits: it may come from a namespace
//! manager that opens for everybody, and nobody could open anything meanwhile.
//!
//! A turn of a daemon: [`Server::serve`] (again while it says there is more), [`Server::retry`] for
//! every handle that changed, [`Server::expire`], [`Server::post`], [`Server::flush`], then sleep
//! until [`Server::next_deadline`].

use std::collections::VecDeque;

use redox_scheme::scheme::{SchemeResponse, SchemeState, SchemeSync};
use redox_scheme::{Id, Request, RequestKind, Response, SignalBehavior, Socket};
use syscall::error::{EAGAIN, EBADF, ECANCELED, EINTR, ENOBUFS, EOPNOTSUPP, EWOULDBLOCK, Error};
use syscall::flag::EventFlags;
use syscall::schemev2::{Cqe, CqeOpcode};

use crate::parking::{CallKind, Deadline, Lane, Parking, Place};
use crate::peek::{self, Verdict};
use crate::time::Instant;

mod call;
mod counters;
mod start;
pub use counters::Counters;
pub use start::StartError;

use call::Call;

/// Requests taken by one read of the socket.
const BATCH: usize = 64;
/// Requests handled by one [`Server::serve`], so that one busy client does not starve the rest of
/// the daemon.
const PER_TURN: usize = 512;
/// Calls that may wait at a time unless [`Server::set_parking_limit`] says otherwise. Each one pins
/// up to two pages of the kernel's and a thread of the client's.
pub const PARKING_LIMIT: usize = 8192;

/// A scheme whose calls may wait.
pub trait Scheme: SchemeSync {
    /// Whether `handle` is non-blocking, for calls that do not carry their file's flags: `dup` and
    /// `SYS_CALL`. (`read` and `write` do carry them.)
    fn nonblocking(&self, handle: usize) -> bool {
        let _ = handle;
        false
    }

    /// How long a call of `kind` on `handle` that must wait from `now` on may do so: the point where
    /// it ends and the error it then gets. `None` lets it wait for ever.
    fn park_deadline(&self, handle: usize, kind: CallKind, now: Instant) -> Option<(Instant, i32)> {
        let _ = (handle, kind, now);
        None
    }
}

/// Why a server cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerError {
    /// The scheme's socket is closed: nobody can call any more.
    Closed,
    /// The socket answered this error.
    Socket(Error),
}

impl core::fmt::Display for ServerError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ServerError::Closed => f.write_str("the scheme's socket was closed"),
            ServerError::Socket(error) => write!(f, "the scheme's socket failed: {error}"),
        }
    }
}

impl std::error::Error for ServerError {}

/// What one [`Server::serve`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "when there is more, no event will say so: serve again before sleeping"]
pub struct Served {
    /// Requests handled.
    pub requests: usize,
    /// Whether more may be pending: the turn's bound was reached first.
    pub more: bool,
}

/// The server of one scheme.
pub struct Server {
    socket: Socket,
    requests: Vec<Request>,
    responses: VecDeque<Response>,
    /// Answers to requests that were never decoded.
    refusals: VecDeque<Cqe>,
    parking: Parking<Id, Call>,
    locks: SchemeState,
    counters: Counters,
}

impl Server {
    /// Opens a scheme socket and registers it as `/scheme/<name>` in this process's namespace;
    /// `root_handle` is what the scheme calls its root directory. The thread that calls this must
    /// live as long as the server: the kernel binds the scheme to it.
    ///
    /// A name whose scheme is dead is taken over.
    ///
    /// # Errors
    /// [`StartError`], which says in words what is wrong.
    pub fn create(name: &str, root_handle: usize) -> Result<Self, StartError> {
        Ok(Self {
            socket: start::start(name, root_handle)?,
            requests: Vec::with_capacity(BATCH),
            responses: VecDeque::with_capacity(BATCH),
            refusals: VecDeque::new(),
            parking: Parking::new(PARKING_LIMIT),
            locks: SchemeState::new(),
            counters: Counters::default(),
        })
    }

    /// The descriptor to watch for `EVENT_READ`.
    pub fn fd(&self) -> usize {
        self.socket.inner().raw()
    }

    /// Lets at most `limit` calls wait; those that do already are not touched.
    pub fn set_parking_limit(&mut self, limit: usize) {
        self.parking.set_limit(limit);
    }

    /// How many calls wait.
    pub fn parked(&self) -> usize {
        self.parking.len()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes the pending requests and answers or parks each. Answers are not sent before
    /// [`Server::flush`].
    ///
    /// # Errors
    /// [`ServerError`] when the socket is of no more use.
    pub fn serve(&mut self, scheme: &mut impl Scheme, now: Instant) -> Result<Served, ServerError> {
        let mut served = Served {
            requests: 0,
            more: false,
        };
        loop {
            match self
                .socket
                .read_requests(&mut self.requests, SignalBehavior::Restart)
            {
                Ok(()) if self.requests.is_empty() => return Err(ServerError::Closed),
                Ok(()) => {}
                Err(Error {
                    errno: EAGAIN | EWOULDBLOCK,
                }) => return Ok(served),
                Err(error) => return Err(ServerError::Socket(error)),
            }
            // A read that was not filled took all there was; what comes later brings its own event.
            let drained = self.requests.len() < self.requests.capacity();
            served.requests += self.requests.len();
            let mut requests = core::mem::take(&mut self.requests);
            for request in requests.drain(..) {
                self.handle(request, scheme, now);
            }
            self.requests = requests;
            if drained {
                return Ok(served);
            }
            if served.requests >= PER_TURN {
                served.more = true;
                return Ok(served);
            }
        }
    }

    /// Runs again what waits on `handle`, in the order it came, because something changed there.
    /// Readers and writers are apart: one that must wait on stops only those behind it that wait for
    /// the same thing.
    pub fn retry(&mut self, scheme: &mut impl Scheme, handle: usize) {
        for lane in Lane::ALL {
            self.retry_lane(scheme, handle, lane);
        }
    }

    /// Ends the calls whose deadline has come: each gets one last try, then the error that
    /// [`Scheme::park_deadline`] chose.
    pub fn expire(&mut self, scheme: &mut impl Scheme, now: Instant) {
        while let Some((place, errno)) = self.parking.expired(now) {
            let Self {
                parking,
                responses,
                locks,
                counters,
                ..
            } = self;
            parking.try_run(place, |mut call| {
                let outcome = call.run(scheme, locks).unwrap_or_else(|| {
                    counters.expired += 1;
                    SchemeResponse::Regular(Err(Error::new(errno)))
                });
                responses.push_back(call.answer(outcome));
                None
            });
            self.retry_behind(scheme, place);
        }
    }

    /// The earliest deadline of a waiting call.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.parking.next_deadline()
    }

    /// Reports to the watchers of `handle` that `flags` became ready. Each post costs kernel memory
    /// until the watcher takes it: post edges only ([`crate::readiness::Readiness`] finds them).
    pub fn post(&mut self, handle: usize, flags: EventFlags) {
        if !flags.is_empty() {
            self.responses
                .push_back(Response::post_fevent(handle, flags.bits()));
        }
    }

    /// Answers everything that waits on `handle` with `errno`.
    pub fn close_parked(&mut self, handle: usize, errno: i32) {
        while let Some(call) = self.parking.remove_any(handle) {
            self.responses.push_back(call.fail(errno));
        }
    }

    /// Sends the answers and events gathered so far, as one write where the kernel takes it so.
    /// Returns whether all are sent; what is not stays for the next call.
    ///
    /// # Errors
    /// [`ServerError`] when the socket is of no more use.
    pub fn flush(&mut self) -> Result<bool, ServerError> {
        while let Some(refusal) = self.refusals.front() {
            let sent = libredox::call::write(self.socket.inner().raw(), refusal);
            if !self.sent(sent.map(|_| ()).map_err(Error::from))? {
                return Ok(false);
            }
            self.refusals.pop_front();
        }
        while !self.responses.is_empty() {
            self.responses.make_contiguous();
            let before = self.responses.len();
            let sent = self
                .socket
                .write_responses(&mut self.responses, SignalBehavior::Restart);
            if !self.sent(sent)? {
                return Ok(false);
            }
            if self.responses.len() == before {
                // The kernel refuses the first one: its caller is gone. It must not hold up the rest.
                self.responses.pop_front();
            }
        }
        Ok(true)
    }

    /// What a write to the socket means: sent or refused for good (true), to be tried again (false).
    fn sent(&mut self, result: Result<(), Error>) -> Result<bool, ServerError> {
        match result {
            Ok(()) => Ok(true),
            Err(Error {
                errno: EAGAIN | EWOULDBLOCK | EINTR,
            }) => Ok(false),
            Err(error @ Error { errno: EBADF }) => Err(ServerError::Socket(error)),
            Err(_) => {
                self.counters.unanswered += 1;
                Ok(true)
            }
        }
    }

    fn handle(&mut self, request: Request, scheme: &mut impl Scheme, now: Instant) {
        self.counters.requests += 1;
        if self.refuse_malformed(&request) {
            return;
        }
        match request.kind() {
            RequestKind::Call(request) => {
                let caller = request.caller();
                match request.op() {
                    Ok(op) => self.call(Call::new(op, caller), scheme, now),
                    Err(request) => self.responses.push_back(Response::err(EOPNOTSUPP, request)),
                }
            }
            RequestKind::Cancellation(request) => self.cancel(request.id, scheme),
            RequestKind::OnClose { id } => {
                // Only a caller that was killed can still wait on a file that closes.
                self.close_parked(id, ECANCELED);
                scheme.on_close(id);
            }
            RequestKind::SendFd(request) => {
                let result = scheme.on_sendfd(&request).map_err(no_waiting);
                self.responses.push_back(Response::new(result, request));
            }
            RequestKind::RecvFd(request) => {
                let caller = request.caller();
                self.call(Call::new(request.op(), caller), scheme, now);
            }
            RequestKind::MsyncMsg
            | RequestKind::MunmapMsg
            | RequestKind::MmapMsg
            | RequestKind::OnDetach { .. } => {}
        }
    }

    /// Refuses `request` if it must not be decoded; returns whether it did.
    fn refuse_malformed(&mut self, request: &Request) -> bool {
        match peek::judge(request) {
            Verdict::Decode => return false,
            Verdict::Refuse { tag, errno } => self.refusals.push_back(refusal(tag, errno)),
            Verdict::Ignore => {}
        }
        self.counters.refused_malformed += 1;
        true
    }

    /// Answers the call with `tag` that a signal interrupted; the kernel makes EINTR of ECANCELED.
    fn cancel(&mut self, tag: Id, scheme: &mut impl Scheme) {
        // A tag that does not wait was answered already; the answer is on its way.
        if let Some((place, call)) = self.parking.remove_tag(tag) {
            self.counters.cancelled += 1;
            self.responses.push_back(call.fail(ECANCELED));
            self.retry_behind(scheme, place);
        }
    }

    /// Who waited behind a call that was given up may want less than that one did.
    fn retry_behind(&mut self, scheme: &mut impl Scheme, place: Place) {
        if place.lane.in_order() {
            self.retry_lane(scheme, place.handle, place.lane);
        }
    }

    fn call(&mut self, mut call: Call, scheme: &mut impl Scheme, now: Instant) {
        let waits = call.may_wait(scheme);
        let behind = self.is_behind_others(&call, scheme);
        if !(behind && waits)
            && let Some(outcome) = call.run(scheme, &mut self.locks)
        {
            return self.responses.push_back(call.answer(outcome));
        }
        match call.handle() {
            Some(handle) if waits => {
                let kind = call.kind();
                let deadline = scheme.park_deadline(handle, kind, now);
                self.park(call, handle, kind.lane(), deadline);
            }
            _ => self.responses.push_back(call.fail(EAGAIN)),
        }
    }

    /// Whether calls that came before `call` wait for the same thing and still must.
    fn is_behind_others(&mut self, call: &Call, scheme: &mut impl Scheme) -> bool {
        let lane = call.kind().lane();
        let Some(handle) = call.handle().filter(|_| lane.in_order()) else {
            return false;
        };
        if self.parking.next(handle, lane, None).is_none() {
            return false;
        }
        self.retry_lane(scheme, handle, lane);
        self.parking.next(handle, lane, None).is_some()
    }

    fn park(&mut self, call: Call, handle: usize, lane: Lane, deadline: Option<Deadline>) {
        if self.parking.is_full() {
            self.counters.refused_parking += 1;
            return self.responses.push_back(call.fail(ENOBUFS));
        }
        self.counters.parked += 1;
        self.parking.park(call.tag(), handle, lane, call, deadline);
    }

    fn retry_lane(&mut self, scheme: &mut impl Scheme, handle: usize, lane: Lane) {
        let Self {
            parking,
            responses,
            locks,
            ..
        } = self;
        let mut after = None;
        while let Some(place) = parking.next(handle, lane, after) {
            let left = parking.try_run(place, |mut call| match call.run(scheme, locks) {
                Some(outcome) => {
                    responses.push_back(call.answer(outcome));
                    None
                }
                None => Some(call),
            });
            if !left && lane.in_order() {
                return;
            }
            after = Some(place);
        }
    }
}

/// The answer to a request that `redox_scheme` must not decode.
fn refusal(tag: u32, errno: i32) -> Cqe {
    Cqe {
        flags: CqeOpcode::RespondRegular as u8,
        extra_raw: [0; 3],
        tag,
        result: Error::mux(Err(Error::new(errno))) as u64,
    }
}

/// The error of a call that cannot be parked.
fn no_waiting(error: Error) -> Error {
    match error.errno {
        EWOULDBLOCK => Error::new(EAGAIN),
        _ => error,
    }
}
