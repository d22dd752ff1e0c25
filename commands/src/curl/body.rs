//! What is uploaded: a file, or the text of `-d`.

use syscall::flag::O_RDONLY;

use super::options::Options;
use super::progress::Progress;
use crate::fd::OpenedFile;
use crate::http::{Connection, Head};
use crate::{Error, Terminal};

/// Bytes read from an uploaded file at once.
const CHUNK: usize = 64 * 1024;

/// The body of a request. It can be sent again, to where a redirect leads.
pub(super) enum Body {
    Text(Vec<u8>),
    /// A file, its path, and the length that it has at the start, which is the one promised.
    File(OpenedFile, String, u64),
}

impl Body {
    /// What the options say; `-d @FILE` is a file.
    pub(super) fn of(options: &Options) -> Result<Option<Body>, Error> {
        let data = options.data.as_deref();
        let path = data.and_then(|data| data.strip_prefix('@'));
        match (options.upload.as_deref().or(path), data) {
            (Some(path), _) => {
                let file = OpenedFile::open(path, O_RDONLY)?;
                let length = file.length()?;
                Ok(Some(Body::File(file, path.into(), length)))
            }
            (None, Some(text)) => Ok(Some(Body::Text(text.into()))),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn length(&self) -> u64 {
        match self {
            Body::Text(text) => text.len() as u64,
            Body::File(_, _, length) => *length,
        }
    }

    /// Sends everything. When the server hangs up meanwhile it may have said why: then that is the answer.
    pub(super) fn send(
        self,
        connection: &mut Connection,
        options: &Options,
        terminal: &mut Terminal<'_>,
    ) -> Result<Option<Head>, Error> {
        let (file, path, length) = match self {
            Body::Text(text) => return write(connection, &text),
            Body::File(file, path, length) => (file, path, length),
        };
        let mut progress = Progress::new(Some(length), 0, options, terminal.err);
        let mut buffer = vec![0; CHUNK];
        let mut left = length;
        while left > 0 {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                return Err(Error::Answer(format!(
                    "{path} became shorter by {left} bytes while it was sent"
                )));
            }
            // A file that grew meanwhile is cut.
            let n = n.min(usize::try_from(left).unwrap_or(usize::MAX));
            if let Some(head) = write(connection, buffer.get(..n).unwrap_or_default())? {
                return Ok(Some(head));
            }
            left = left.saturating_sub(n as u64);
            progress.at(length.saturating_sub(left));
        }
        progress.done(length);
        Ok(None)
    }
}

fn write(connection: &mut Connection, bytes: &[u8]) -> Result<Option<Head>, Error> {
    match connection.write_all(bytes) {
        Ok(()) => Ok(None),
        Err(error) => connection.read_head().map(Some).or(Err(error)),
    }
}
