//! Calls on a user scheme: tags, parking, cancellation, answers (kernel scheme/user.rs, call_inner and respond).

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use syscall::error::{
    EAGAIN, EBADFD, ECANCELED, EINTR, EINVAL, EIO, ENODEV, ENOENT, ESRCH, Error, Result,
};
use syscall::schemev2::{Opcode, Sqe, SqeFlags};

use crate::bounce::{Bounce, Payload};
use crate::context::{Context, current_waiter};
use crate::files::Description;
use crate::wait::{Waiter, Woken, lock};

/// What a provider answered.
#[derive(Debug)]
pub(crate) enum Response {
    /// A result, the first byte of `extra`, and whether OnDetach is wanted.
    Regular(Result<usize>, u8, bool),
    /// A file of the provider's.
    File(Arc<Description>),
    /// The files that the provider moved to the request before.
    Files(Vec<Arc<Description>>),
}

impl Response {
    /// The result of a call that cannot give files.
    pub(crate) fn regular(self) -> Result<usize> {
        match self {
            Self::Regular(result, _, _) => result,
            Self::File(_) | Self::Files(_) => Err(Error::new(EIO)),
        }
    }
}

/// A request that was made and whose answer nobody took yet.
enum State {
    Waiting {
        /// Who sleeps; None when nobody waits for the answer.
        caller: Option<Arc<Waiter>>,
        /// Files that travel with the request, either way.
        files: Vec<Arc<Description>>,
        /// A Cancel was sent.
        canceling: bool,
        /// Keeps the payload alive while the provider may use it.
        memory: Option<Arc<Bounce>>,
    },
    Responded(Response),
}

#[derive(Default)]
struct States {
    /// By tag. Free tags are reused, the last freed first.
    slots: Vec<Option<State>>,
    free: Vec<u32>,
    /// The socket is closed.
    dead: bool,
}

impl States {
    fn insert(&mut self, state: State) -> Result<u32> {
        if let Some(tag) = self.free.pop() {
            self.slots[tag as usize] = Some(state);
            return Ok(tag);
        }
        let tag = u32::try_from(self.slots.len()).map_err(|_| Error::new(EAGAIN))?;
        self.slots.push(Some(state));
        Ok(tag)
    }

    fn get(&mut self, tag: usize) -> Option<&mut State> {
        self.slots.get_mut(tag)?.as_mut()
    }

    fn remove(&mut self, tag: u32) -> Option<State> {
        let state = self.slots.get_mut(tag as usize)?.take()?;
        self.free.push(tag);
        Some(state)
    }
}

/// The requests of one scheme socket that are under way.
#[derive(Default)]
pub(crate) struct Calls {
    states: Mutex<States>,
}

/// Where requests go: the queue that the provider reads.
pub(crate) trait Submit {
    /// Queues one request and tells who watches the socket.
    fn submit(&self, sqe: Sqe);
}

impl Calls {
    /// Makes a request and sleeps until it is answered. `memory` of `payload` stays alive as long as the provider may use it.
    pub(crate) fn call(
        &self,
        cx: &Context,
        to: &impl Submit,
        mut sqe: Sqe,
        files: Vec<Arc<Description>>,
        payload: &Payload,
    ) -> Result<Response> {
        let waiter = current_waiter();
        waiter.prepare();
        let state = State::Waiting {
            caller: Some(Arc::clone(&waiter)),
            files,
            canceling: false,
            memory: payload.share(),
        };
        sqe.tag = self.admit(state)?;
        to.submit(sqe);
        loop {
            let woken = cx.sleep(&waiter, None);
            let mut states = lock(&self.states);
            match states.get(sqe.tag as usize) {
                Some(State::Responded(_)) => return take_response(&mut states, sqe.tag),
                Some(State::Waiting {
                    caller, canceling, ..
                }) => match woken {
                    // The provider may still use the payload: the state keeps it until the answer comes. No Cancel is sent.
                    Woken::Killed => {
                        *caller = None;
                        return Err(Error::new(ESRCH));
                    }
                    Woken::Interrupted if !*canceling => {
                        *canceling = true;
                        waiter.prepare();
                        // Under the lock: once the answer is taken the tag may belong to another request.
                        to.submit(Sqe {
                            opcode: Opcode::Cancel as u8,
                            sqe_flags: SqeFlags::ONEWAY,
                            tag: sqe.tag,
                            ..Sqe::default()
                        });
                    }
                    Woken::Interrupted | Woken::Notified | Woken::TimedOut => waiter.prepare(),
                },
                None => return Err(Error::new(EBADFD)),
            }
        }
    }

    /// Makes a request whose answer nobody waits for.
    pub(crate) fn send(&self, to: &impl Submit, mut sqe: Sqe) -> Result<()> {
        sqe.tag = self.admit(State::Waiting {
            caller: None,
            files: Vec::new(),
            canceling: false,
            memory: None,
        })?;
        to.submit(sqe);
        Ok(())
    }

    fn admit(&self, state: State) -> Result<u32> {
        let mut states = lock(&self.states);
        if states.dead {
            drop(states);
            drop(state);
            return Err(Error::new(ENODEV));
        }
        states.insert(state)
    }

    /// The provider's answer. EBADFD for a tag that is not under way, EINVAL for one answered already.
    pub(crate) fn respond(&self, tag: u32, response: Response) -> Result<()> {
        let mut states = lock(&self.states);
        match states.get(tag as usize) {
            None => return Err(Error::new(EBADFD)),
            Some(State::Responded(_)) => return Err(Error::new(EINVAL)),
            Some(State::Waiting { .. }) => {}
        }
        let Some(State::Waiting {
            caller,
            files,
            canceling,
            memory,
        }) = states.slots.get_mut(tag as usize).and_then(Option::take)
        else {
            return Err(Error::new(EBADFD));
        };
        let (response, unused) = finish(response, files, canceling);
        match caller {
            Some(caller) => {
                states.slots[tag as usize] = Some(State::Responded(response));
                // The payload's share goes before the caller wakes, so that it finds the memory unshared.
                drop(memory);
                drop(states);
                caller.wake();
            }
            None => {
                states.free.push(tag);
                drop(states);
                drop((response, memory));
            }
        }
        // Files that the provider did not take are closed.
        drop(unused);
        Ok(())
    }

    /// Files for a request that wants some (`move_fd`).
    pub(crate) fn move_files(&self, tag: usize, moved: Vec<Arc<Description>>) -> Result<()> {
        let mut states = lock(&self.states);
        let replaced = match states.get(tag) {
            None => return Err(Error::new(EINVAL)),
            Some(State::Waiting { files, .. }) => std::mem::replace(files, moved),
            Some(State::Responded(_)) => return Err(Error::new(ENOENT)),
        };
        drop(states);
        drop(replaced);
        Ok(())
    }

    /// The files that a request brought (`obtain_fd`).
    pub(crate) fn obtain_files(&self, tag: usize) -> Result<Vec<Arc<Description>>> {
        match lock(&self.states).get(tag) {
            None => Err(Error::new(EINVAL)),
            Some(State::Waiting { files, .. }) => Ok(std::mem::take(files)),
            Some(State::Responded(_)) => Err(Error::new(ENOENT)),
        }
    }

    /// The next file that a request brought (CqeOpcode::ObtainFd).
    pub(crate) fn obtain_one(&self, tag: usize) -> Result<Arc<Description>> {
        match lock(&self.states).get(tag) {
            None => Err(Error::new(EINVAL)),
            Some(State::Waiting { files, .. }) if !files.is_empty() => Ok(files.remove(0)),
            Some(_) => Err(Error::new(ENOENT)),
        }
    }

    /// The socket is closed. New requests get ENODEV; whoever waits gets it too, unless callers are to be left waiting as today's kernel leaves them.
    /// The payloads come back, for the provider's threads may still use them.
    pub(crate) fn die(&self, strand: bool) -> Vec<Arc<Bounce>> {
        let mut states = lock(&self.states);
        states.dead = true;
        let mut kept = Vec::new();
        let mut callers = Vec::new();
        let mut dropped = Vec::new();
        for slot in states.slots.iter_mut().flatten() {
            let State::Waiting {
                caller,
                files,
                memory,
                ..
            } = slot
            else {
                continue;
            };
            kept.extend(memory.take());
            dropped.append(files);
            if strand {
                continue;
            }
            if let Some(caller) = caller.take() {
                callers.push(caller);
                *slot = State::Responded(Response::Regular(Err(Error::new(ENODEV)), 0, false));
            }
        }
        drop(states);
        callers.iter().for_each(|caller| caller.wake());
        kept
    }

    /// How many requests are under way.
    pub(crate) fn pending(&self) -> usize {
        let states: MutexGuard<'_, States> = lock(&self.states);
        states.slots.iter().flatten().count()
    }
}

fn take_response(states: &mut States, tag: u32) -> Result<Response> {
    match states.remove(tag) {
        Some(State::Responded(response)) => Ok(response),
        _ => Err(Error::new(EBADFD)),
    }
}

/// What the caller gets, and the files that nobody took.
fn finish(
    response: Response,
    files: Vec<Arc<Description>>,
    canceling: bool,
) -> (Response, Vec<Arc<Description>>) {
    match response {
        // The signal trampoline runs after EINTR: only a call that was cancelled may see it.
        Response::Regular(Err(Error { errno: ECANCELED }), extra, detach) if canceling => (
            Response::Regular(Err(Error::new(EINTR)), extra, detach),
            files,
        ),
        Response::Regular(Err(Error { errno: EINTR }), extra, detach) if !canceling => (
            Response::Regular(Err(Error::new(EIO)), extra, detach),
            files,
        ),
        Response::Files(_) => (Response::Files(files), Vec::new()),
        other => (other, files),
    }
}

/// Marks a description whose scheme asked for OnDetach (or no longer does).
pub(crate) fn set_notify_on_detach(file: &Description, wanted: bool) {
    file.notify_on_detach.store(wanted, Ordering::Relaxed);
}
