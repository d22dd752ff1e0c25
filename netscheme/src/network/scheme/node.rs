//! What there is to open, and what is kept of an open file.

use syscall::error::{ENOENT, ENOTDIR, Error, Result};
use syscall::flag::O_DIRECTORY;

use crate::directory;
use crate::frame::LinkState;
use crate::readiness::Readiness;

/// The files beside the data.
pub(super) const NODES: [&str; 6] = ["rx", "tx", "mac", "mtu", "link", "stats"];

/// An open file.
pub(super) struct Handle {
    pub(super) node: Node,
    /// Open flags, with what `fcntl` made of them.
    pub(super) flags: usize,
    pub(super) readiness: Readiness,
}

pub(super) enum Node {
    Root,
    Data,
    Mac,
    Text(Text),
}

impl Node {
    /// What `path` names when it is opened with `flags`.
    pub(super) fn at(path: &str, flags: usize) -> Result<Node> {
        let node = match path.trim_matches('/') {
            "" if flags & O_DIRECTORY != 0 => return Ok(Node::Root),
            "" => Node::Data,
            "mac" => Node::Mac,
            "mtu" => Node::Text(Text::new(Source::Mtu)),
            "link" => Node::Text(Text::new(Source::Link)),
            "stats" => Node::Text(Text::new(Source::Stats)),
            _ => return Err(Error::new(ENOENT)),
        };
        match flags & O_DIRECTORY {
            0 => Ok(node),
            _ => Err(Error::new(ENOTDIR)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Mtu,
    Link,
    Stats,
}

/// A text being read: a snapshot, and after its end the next one.
pub(super) struct Text {
    pub(super) source: Source,
    contents: String,
    /// Bytes read so far; `None` when the next read begins anew.
    at: Option<usize>,
    /// The link's state when the snapshot was taken.
    pub(super) link: Option<LinkState>,
}

impl Text {
    fn new(source: Source) -> Self {
        Self {
            source,
            contents: String::new(),
            at: None,
            link: None,
        }
    }

    /// Whether the next read begins with a new snapshot.
    pub(super) fn is_at_start(&self) -> bool {
        self.at.is_none()
    }

    /// Reads on, from the start of `fresh` if there is one: a text and the link's state in it.
    pub(super) fn read(&mut self, fresh: Option<(String, LinkState)>, buffer: &mut [u8]) -> usize {
        if let Some((contents, link)) = fresh {
            (self.contents, self.link) = (contents, Some(link));
        }
        let at = self.at.unwrap_or(0);
        let length = directory::read_at(self.contents.as_bytes(), at as u64, buffer);
        // A read into nothing is not the end.
        self.at = (length > 0 || buffer.is_empty()).then_some(at + length);
        length
    }
}
