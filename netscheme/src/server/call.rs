//! One call: who made it, how it is run, whether it may wait.

use redox_scheme::scheme::{Op, SchemeResponse, SchemeState};
use redox_scheme::{CallerCtx, OpenResult, Response};
use syscall::error::{EWOULDBLOCK, Error};

use super::Scheme;
use crate::parking::CallKind;
use crate::stdfs;

/// A call as the kernel sent it, kept until it is answered.
pub(super) struct Call {
    op: Op,
    caller: CallerCtx,
}

impl Call {
    /// A call of `op`. Where a call carries metadata the kernel sends that in the place of the user's
    /// and group's numbers, so the caller could make them up: they become nobody's.
    pub(super) fn new(op: Op, caller: CallerCtx) -> Self {
        let nobody = matches!(
            op,
            Op::Call(_) | Op::StdFsCall(_) | Op::UnlinkAt(_) | Op::Frenameat(_) | Op::Flinkat(_)
        );
        let caller = match nobody {
            true => CallerCtx {
                uid: u32::MAX,
                gid: u32::MAX,
                ..caller
            },
            false => caller,
        };
        Self { op, caller }
    }

    /// The kernel's name for it.
    pub(super) fn tag(&self) -> redox_scheme::Id {
        self.caller.id
    }

    /// The file it is about; `None` when it was malformed.
    pub(super) fn handle(&self) -> Option<usize> {
        self.op.file_id()
    }

    pub(super) fn kind(&self) -> CallKind {
        match &self.op {
            Op::Read(_) => CallKind::Read,
            Op::Write(_) => CallKind::Write,
            Op::Dup(_) => CallKind::Dup,
            Op::Call(call) => CallKind::Call(call.metadata().first().copied().unwrap_or(u64::MAX)),
            Op::Recvfd(_) => CallKind::RecvFd,
            _ => CallKind::Other,
        }
    }

    /// Whether it may be parked.
    pub(super) fn may_wait(&self, scheme: &impl Scheme) -> bool {
        let Some(handle) = self.handle() else {
            return false;
        };
        match &self.op {
            // The caller may be a namespace manager, which serves everybody else, too.
            Op::OpenAt(_) | Op::UnlinkAt(_) => false,
            Op::Read(_) | Op::Write(_) => !self.op.is_explicitly_nonblock(),
            Op::Dup(_) | Op::Call(_) | Op::Recvfd(_) => !scheme.nonblocking(handle),
            _ => true,
        }
    }

    /// Runs it; `None` when it would have to wait.
    pub(super) fn run(
        &mut self,
        scheme: &mut impl Scheme,
        locks: &mut SchemeState,
    ) -> Option<SchemeResponse> {
        let outcome = match &mut self.op {
            Op::StdFsCall(op) => SchemeResponse::Regular(stdfs::handle(op, scheme, &self.caller)),
            op => op.handle_sync_dont_consume(&self.caller, scheme, locks),
        };
        match outcome {
            SchemeResponse::Opened(
                Ok(OpenResult::WouldBlock) | Err(Error { errno: EWOULDBLOCK }),
            )
            | SchemeResponse::Regular(Err(Error { errno: EWOULDBLOCK }))
            | SchemeResponse::RegularAndNotifyOnDetach(Err(Error { errno: EWOULDBLOCK })) => None,
            outcome => Some(outcome),
        }
    }

    /// The answer that says `outcome`.
    pub(super) fn answer(self, outcome: SchemeResponse) -> Response {
        match outcome {
            SchemeResponse::Regular(result) => Response::new(result, self.op),
            SchemeResponse::RegularAndNotifyOnDetach(result) => {
                Response::new_notify_on_detach(result, self.op)
            }
            SchemeResponse::Opened(result) => Response::open_dup_like(result, self.op),
        }
    }

    /// The answer that says that it failed.
    pub(super) fn fail(self, errno: i32) -> Response {
        Response::err(errno, self.op)
    }
}
