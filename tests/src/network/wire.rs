//! A bare cable: what the card sends is a frame in the test's hand, and the other way round.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Context, Result};
use crate::{scratch, wait};

/// Longer than any frame, also one that segmentation offload leaves whole.
const LONGEST_FRAME: usize = 128 << 10;

/// A cable whose far end the test holds. Clones are the same cable.
#[derive(Clone, Debug)]
pub struct Wire(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Wire {
    /// A new cable.
    pub fn new() -> Result<Self> {
        let folder = scratch::folder()?;
        let socket = UnixDatagram::bind(folder.path().join("test")).context("a wire")?;
        Ok(Self(Arc::new(Inner { socket, folder })))
    }

    /// Sends a frame to the card. Waits while QEMU has ten that it has not read: nothing is lost on the way to it.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.0
            .socket
            .send_to(frame, self.0.folder.path().join("qemu"))
            .context("sending on the wire")
            .map(drop)
    }

    /// The next frame that the card sent; None when there is none within `timeout`.
    pub fn receive(&self, timeout: Duration) -> Result<Option<Vec<u8>>> {
        if wait::readable(&[self.0.socket.as_fd()], Some(timeout))? != [true] {
            return Ok(None);
        }
        let mut frame = vec![0; LONGEST_FRAME];
        let length = self
            .0
            .socket
            .recv(&mut frame)
            .context("receiving on the wire")?;
        frame.truncate(length);
        Ok(Some(frame))
    }

    /// What can be read when the card has sent a frame.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }

    pub(super) fn argument(&self, id: &str) -> String {
        let folder = self.0.folder.path().display();
        format!(
            "dgram,id={id},local.type=unix,local.path={folder}/qemu,remote.type=unix,remote.path={folder}/test"
        )
    }
}
