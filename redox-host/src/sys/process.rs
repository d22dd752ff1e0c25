//! Namespaces and signals.

use syscall::error::{EINVAL, EPERM, ESRCH, Error, Result};
use syscall::flag::{CallFlags, UPPER_FDTBL_TAG};

use super::{Cx, call, close, dup, dup_upper, file};

/// Makes a namespace with those names of the current one.
pub(crate) fn mkns(cx: &Cx, names: &[&[u8]]) -> Result<usize> {
    let mut buf = (libredox::protocol::NsDup::ForkNs as usize)
        .to_ne_bytes()
        .to_vec();
    for name in names {
        buf.extend_from_slice(&name.len().to_ne_bytes());
        buf.extend_from_slice(name);
    }
    dup_upper(cx, cx.namespace_fd()?, &buf)
}

/// Enters the namespace `fd`, which moves to the upper table. Gives the number of the one before (usize::MAX for none), which stays open.
pub(crate) fn setns(cx: &Cx, fd: usize) -> Result<usize> {
    let fd = if fd & UPPER_FDTBL_TAG == 0 {
        let file = cx.files(|files| files.remove(fd))?;
        cx.insert_upper(file)?
    } else {
        file(cx, fd)?;
        fd
    };
    Ok(cx.set_namespace(fd))
}

/// `setrens` of relibc: for 0 a namespace of `memory` and `pipe` only. The namespace before is closed.
pub(crate) fn setrens(cx: &Cx, namespace: usize) -> Result<usize> {
    let new = if namespace == 0 {
        mkns(cx, &[b"memory", b"pipe"])?
    } else {
        namespace
    };
    let old = setns(cx, new)?;
    if old != usize::MAX && old != new {
        close(cx, old)?;
    }
    Ok(0)
}

/// Gives a scheme's root to a namespace under a name.
pub(crate) fn register_scheme(
    cx: &Cx,
    namespace: usize,
    name: &[u8],
    root: usize,
) -> Result<usize> {
    let mut buf = (libredox::protocol::NsDup::IssueRegister as usize)
        .to_ne_bytes()
        .to_vec();
    buf.extend_from_slice(name);
    let register = dup(cx, namespace, &buf)?;
    let result = call(
        cx,
        &[register],
        &mut root.to_ne_bytes(),
        (CallFlags::FD | CallFlags::WRITE).bits(),
        &[],
    );
    close(cx, register)?;
    result.map(|_| 0)
}

/// `kill` within this machine. SIGKILL ends the process, 0 only looks, everything else interrupts.
pub(crate) fn kill(cx: &Cx, pid: usize, signal: u32) -> Result<usize> {
    if signal > 64 {
        return Err(Error::new(EINVAL));
    }
    let target = cx.machine().find(pid).ok_or(Error::new(ESRCH))?;
    if cx.uid() != 0 && cx.uid() != target.uid() {
        return Err(Error::new(EPERM));
    }
    match signal {
        0 => {}
        9 => target.end(),
        _ => drop(target.interrupt()),
    }
    Ok(0)
}
