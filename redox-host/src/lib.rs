//! The Redox kernel interface on Linux.
//!
//! This crate defines the C functions that `libredox` 0.1 (`redox_*_v0`, `redox_*_v1`) and `redox_event` 0.4 (`redox_event_queue_*_v1`) declare, so that a
//! daemon written on them and on `redox-scheme` runs unchanged in a Linux process. Each daemon is a thread with a process of its own: descriptors,
//! namespace, environment, uid, gid, pid, exit. A [`Host`] is one machine; it is the stand-in for a kernel, not a mock of what we would like one to be:
//! it keeps the contract below, quirks included, and what it keeps differently stands under "Exceptions".
//!
//! # The contract that is kept
//! Sources: redox-os/kernel of August 2026, relibc of the same month, the namespace manager of base's bootstrap. The tests of each part are in the file named.
//!
//! 1. **Requests** (`tests/scheme_protocol.rs`). Sqe of 64 and Cqe of 16 bytes; uid and gid in the last argument except in calls; offset u64::MAX unless
//!    positioned; the flags of the description with each read and write. A read of a socket gives as many requests as fit; a bad answer after a good one is
//!    a short count. Payloads are zero before the provider writes them, lie at the caller's offset in a page, and are copied back for the whole
//!    requested length. Paths are UTF-8 (EINVAL) of at most 4096 bytes (ENAMETOOLONG). SYS_CALL on a socket without FD is EOPNOTSUPP.
//! 2. **Parking** (`tests/parking.rs`). Answers by tag, in any order, from any thread of the provider. A signal sends one Cancel (one-way, same tag) and the
//!    answer to the original tag ends the call; ECANCELED is then EINTR; EINTR without a Cancel becomes EIO. SIGKILL sends no Cancel. EAGAIN (11) and EWOULDBLOCK
//!    (41) are two numbers, and pass as the scheme gave them.
//! 3. **Files** (`tests/files.rs`). `dup` without a path is the kernel's, with one the scheme's, and inherits flags; CloseMsg at the last reference; OnDetach once
//!    asked for; Fcntl must be answered well before F_GETFL and F_SETFL take effect, and what the scheme says is not what F_GETFL gives; fstat, fsync and
//!    getdents of libredox are StdFsCall, `sync_data` of std a plain Fsync ([`calls::fdatasync`]). RespondWithFd takes the descriptor from the provider.
//! 4. **Events** (`tests/events.rs`). Edges of 24 bytes, one for each post and registration, never coalesced; Fevent gets the union of all masks and what it
//!    returns is triggered; posts with nobody registered are lost; the timeout holds for the next blocking read.
//! 5. **Calls and travelling files** (`tests/calls.rs`). Three words of metadata; unknown flags are EINVAL; Sendfd, Recvfd, `obtain_fd`, `move_fd`.
//! 6. **Memory** (`tests/memory.rs`). A shared mapping of a scheme's file is the provider's memory at a second address; MmapPrep and a blocking Munmap; the mapping
//!    holds the file; frames outlive their provider. `phys_contiguous` is guest RAM in powers of two, with `translation`.
//! 7. **Interrupts** (`tests/interrupts.rs`). Counts, acknowledgements, one event for each open handle, none at the subscription; vectors are never given back.
//! 8. **Namespaces** (`tests/namespaces.rs`). Forks are copies, in which no scheme can be created; `setrens(0, 0)` leaves `memory` and `pipe`. The name of a
//!    dead scheme stands (EEXIST) until it is unlinked; opening it, and every call on its files, is ENODEV; even the last `close` says so.
//! 9. **Processes** (`tests/processes.rs`). A killed or panicked process takes nothing else with it and leaves nothing behind.
//!
//! # Exceptions
//! - **Callers of a scheme whose socket is closed** get ENODEV. Kernels since March 2026 leave them asleep until they are killed;
//!   [`Host::strand_callers_of_dead_schemes`] does the same. Code that must work on Redox must not block in a call to a scheme that may die.
//! - **A killed process cannot be stopped by Linux.** Its calls give ESRCH and change nothing, blocked ones return; but its thread goes on until it looks at a
//!   result. Its mappings, and payloads of calls it will never answer, stay until then.
//! - **Payloads are always copies** that belong to the kernel. Redox lends whole pages, so that a provider sees later writes of the caller there, and uses
//!   the caller's own memory when both are one process.
//!   A call's payload is written back on Redox whatever its flags say, and EFAULT if it cannot be (a literal, say), after the scheme was asked; here a
//!   payload without READ is only read.
//! - **Opening by path** asks the scheme directly. The namespace manager of July 2026 opens on the caller's behalf: there a parked open holds up every
//!   other open of the system, and the caller's pid in the request is the manager's.
//! - **Numbers.** Flags of files in the lower half of the word are taken for Linux's (redox-scheme passes `libredox::flag`, which is Linux's here). Ambiguous, and
//!   read as Redox's: clock 1 (REALTIME), 0x1_0000 (O_RDONLY, not Linux's O_DIRECTORY). Read as Linux's: O_CLOEXEC 0x8_0000 without an access mode, and an open
//!   without any flag, which is O_RDONLY. PROT_READ of either world reads. Errors are Redox's.
//! - **Mappings.** MAP_FIXED is EOPNOTSUPP, hints are not looked at. A provider may lend only memory that it got from `mmap`, from one mapping (else
//!   EFAULT). A private mapping sees the provider's writes to pages that the client has not written. A process that ends sends its Munmap without waiting.
//!   Memory that was not mapped by a call (heap, stack) has no `translation`; `physical` cannot be mapped; cacheability is not kept.
//! - **Timers** fire when they are due, not at a tick of 4 ms.
//! - **null, zero, rand, log, file** are daemons on Redox and built in here; `file` does not look at the process's uid. There is one CPU.
//! - **Not there** (ENOSYS): sigaction and sigprocmask, fchown, get_proc_credentials, get_socket_token, get_ens. waitpid is ECHILD. No current directory.

mod abi;
mod bounce;
mod call;
pub mod calls;
mod context;
mod event;
mod files;
mod host;
mod irq;
mod machine;
mod memory;
mod namespace;
mod numbers;
mod ram;
mod scheme;
mod scheme_socket;
mod schemes;
mod sys;
mod user;
mod wait;

pub use context::as_user;
pub use host::{
    Attached, ContextHandle, Entered, ExitStatus, Host, HostConfig, Process, ProcessSpec, Usage,
    current, env,
};
pub use irq::IrqController;
pub use ram::SharedRam;
