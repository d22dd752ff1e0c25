//! The kernel's door for Linux programs: their internet sockets are smolnetd's.
//!
//! A program runs with the library of `tests/preload` and asks here (`socket_door` has the words) for what its C library
//! would ask the kernel of Redox: the calls that are made on its behalf are those that relibc makes, by `open`, `dup`,
//! `SYS_CALL` and `fpath`, in one process of the machine.
//!
//! Each socket is a pair of Linux's, one end the program's, the other held here. Two threads move what comes on one side
//! to the other, for all sockets: one sleeps in an epoll of the pairs, one in an event queue of the scheme's files. Why a
//! pair and not the scheme's file by proxy: the program gets a real descriptor, with all that the kernel of Linux does for
//! one (epoll's edges, fork, passing on), no shared state to be kept right in a foreign process, and backpressure by
//! nothing but full buffers; the price is one more copy each way.
//!
//! A socket ends when the last descriptor of its other end is closed, which the kernel tells (POLLHUP), however
//! the program ended.

mod connect;
mod datagram;
mod echo;
mod listener;
mod loops;
mod pair;
mod questions;
mod room;
mod socket;
mod stream;

use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use netscheme::reactor::Reactor;
use redox_host::{ContextHandle, Process, ProcessSpec};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, listen, shutdown,
    socket_with,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::error::{Context, Result};
use crate::process::Program;
use crate::stack::Stack;
use room::{GOING, Room};

pub use questions::ask;

/// Questions that may wait to be let in.
const BACKLOG: i32 = 1024;
/// Bytes moved at once.
const CHUNK: usize = 128 << 10;
/// What a loop's buffer holds: a chunk, or a datagram with all that stands before it.
const BUFFER: usize = if CHUNK > datagram::BUFFER {
    CHUNK
} else {
    datagram::BUFFER
};
/// How often bytes are moved for one socket before it is the next one's turn.
const ROUNDS: usize = 16;

/// The door of a running stack. Dropping it ends the programs' sockets.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
    _folder: TempDir,
    room: Arc<Room>,
    process: Process,
}

impl Door {
    /// Opens the door of a stack, in a folder of its own: names of Unix sockets must be short.
    pub fn open(stack: &Stack) -> Result<Door> {
        let folder = crate::scratch::folder()?;
        let path = folder.path().join("door");
        let pass = Permissions::from_mode(0o711);
        std::fs::set_permissions(folder.path(), pass).context(path.display())?;
        let about = stack.machine().run().path().display().to_string();
        let room = Room::new(door(&path)?, crate::seed(), about).context("an epoll")?;
        let room = Arc::new(room);
        let served = Arc::clone(&room);
        let process = stack
            .host()
            .spawn(ProcessSpec::new("programs"), move || serve(&served));
        Ok(Door {
            path,
            _folder: folder,
            room,
            process,
        })
    }

    /// Where it is: what [`socket_door::DOOR`] tells the programs.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A program, its words split at spaces, with that library preloaded: its sockets are the stack's.
    pub fn program(&self, library: &Path, line: &str, package: &str) -> Result<Program<'static>> {
        // So that it is said which package is missing.
        Program::new(line.split(' ').next().unwrap_or_default(), package)?;
        let env = Program::new("env", "coreutils")?;
        Ok(env
            .arg(format!("LD_PRELOAD={}", library.display()))
            .arg(format!("{}={}", socket_door::DOOR, self.path.display()))
            .args(line.split(' ')))
    }

    /// How many sockets there are.
    pub fn sockets(&self) -> usize {
        self.room.lock().len()
    }

    /// Waits until there are no more sockets; whether that came within a moment.
    pub fn wait_until_unused(&self) -> bool {
        self.room.wait_until_unused()
    }

    /// Waits until somebody asks to end it all.
    pub fn wait_for_down(&self) {
        self.room.wait_for_down();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        for socket in self.room.lock().values() {
            socket.hang_up();
        }
        self.wait_until_unused();
        let _ = shutdown(&self.room.listener, Shutdown::Both);
        self.process.kill();
        self.process.wait(GOING);
    }
}

fn door(path: &Path) -> Result<OwnedFd> {
    let kind = SocketType::SEQPACKET;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = socket_with(AddressFamily::UNIX, kind, flags, None).context("a socket")?;
    let address = SocketAddrUnix::new(path).context(path.display())?;
    bind(&listener, &address).context(path.display())?;
    // For programs that have given up being root, too: each is here the user that it is there.
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).context(path.display())?;
    listen(&listener, BACKLOG).context(path.display())?;
    Ok(listener)
}

/// Serves until the door is shut.
fn serve(room: &Arc<Room>) -> i32 {
    // Each socket is one descriptor here. Without as many as there may be, there is room for fewer sockets.
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let _ = setrlimit(Resource::Nofile, most);
    let Some(process) = redox_host::current() else {
        return 1;
    };
    let loops = room.waits().iter().enumerate();
    let started = loops.map(|(index, waits)| {
        let reactor = Reactor::new().ok()?;
        waits.for_stack_at(reactor.fd());
        beside(&process, room, move |room| loops::stack_side(room, reactor))?;
        match index {
            0 => Some(()),
            _ => beside(&process, room, move |room| {
                loops::programs_side(room, index)
            }),
        }
    });
    if started.collect::<Option<()>>().is_none() {
        return 1;
    }
    loops::programs_side(room, 0);
    0
}

/// Starts a further thread of the process; `None` if there is none to be had.
fn beside(
    process: &ContextHandle,
    room: &Arc<Room>,
    main: impl FnOnce(&Arc<Room>) + Send + 'static,
) -> Option<()> {
    let (room, process) = (Arc::clone(room), process.clone());
    let main = move || {
        let _attached = process.attach();
        main(&room);
    };
    let thread = std::thread::Builder::new().name("programs".into());
    thread.spawn(main).ok().map(drop)
}
