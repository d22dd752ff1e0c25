//! Interrupts as eventfds: the server of QEMU's `ivshmem-doorbell`.
//!
//! The device is a letter box: a write of (peer << 16 | vector) to its doorbell register signals that peer's eventfd.
//! To QEMU we are peer 1; a network card whose MSI-X entry n is programmed with the doorbell's address and the data
//! (1 << 16 | n) therefore rings our eventfd n, and no one else is involved.
//!
//! Protocol (QEMU docs/specs/ivshmem-spec.txt): each message is one little-endian i64, with at most one file
//! descriptor beside it: the version 0; the client's own id; -1 with the shared memory; then (peer id, eventfd)
//! pairs, where the n-th message of one peer is its vector n.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::error::{Context, Result};

/// The id under which QEMU rings us.
pub(super) const OUR_PEER_ID: u16 = 1;
const QEMU_PEER_ID: i64 = 0;
const PROTOCOL_VERSION: i64 = 0;
const SHARED_MEMORY: i64 = -1;
const SHARED_MEMORY_BYTES: u64 = 4096;
/// Where the doorbell register lies in BAR 0 (ivshmem-spec: "Doorbell", offset 12).
pub(super) const DOORBELL_OFFSET: u64 = 12;

/// What the device needs to exist. QEMU unplugs a peer when its server goes, so it stays as long as the machine.
#[derive(Debug)]
pub(super) struct IvshmemServer {
    /// QEMU listens on it for peers that come and go.
    _stream: UnixStream,
    /// QEMU signals these; their readers get duplicates.
    vectors: Vec<OwnedFd>,
}

impl IvshmemServer {
    /// Introduces QEMU, which has connected on `stream`, to us with `vectors` eventfds.
    pub(super) fn introduce(stream: UnixStream, vectors: u16) -> Result<Self> {
        let shared = memfd_create("ivshmem", MemfdFlags::CLOEXEC)?;
        ftruncate(&shared, SHARED_MEMORY_BYTES)?;
        let ours = eventfds(vectors)?;
        // Nobody rings QEMU; but its own vectors have to be announced before it counts as connected.
        let theirs = eventfds(vectors)?;
        send(&stream, PROTOCOL_VERSION, None)?;
        send(&stream, QEMU_PEER_ID, None)?;
        send(&stream, SHARED_MEMORY, Some(shared.as_fd()))?;
        for vector in &ours {
            send(&stream, OUR_PEER_ID.into(), Some(vector.as_fd()))?;
        }
        for vector in &theirs {
            send(&stream, QEMU_PEER_ID, Some(vector.as_fd()))?;
        }
        Ok(Self {
            _stream: stream,
            vectors: ours,
        })
    }

    /// The eventfds, vector 0 first.
    pub(super) fn eventfds(&self) -> Result<Vec<OwnedFd>> {
        self.vectors
            .iter()
            .map(|fd| fd.try_clone().context("an eventfd"))
            .collect()
    }
}

fn eventfds(count: u16) -> Result<Vec<OwnedFd>> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    (0..count)
        .map(|_| eventfd(0, flags).context("an eventfd"))
        .collect()
}

fn send(stream: &UnixStream, value: i64, fd: Option<BorrowedFd<'_>>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds: &[BorrowedFd<'_>] = fd.as_slice();
    if fd.is_some() {
        // There is room for one, by the line above.
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    let bytes = value.to_le_bytes();
    sendmsg(
        stream,
        &[IoSlice::new(&bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )
    .context("ivshmem")
    .map(drop)
}
