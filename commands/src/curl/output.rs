//! Where a download goes: to the terminal, or into a file, from its start or behind what is there already.

use std::io::Write;

use syscall::error::ENOENT;
use syscall::flag::{O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY};

use super::options::{Options, Resume};
use super::progress::Progress;
use super::request::Request;
use crate::fd::OpenedFile;
use crate::http::{Connection, Framing, Head};
use crate::url::Url;
use crate::{Error, Terminal};

/// Where a download goes, and from which byte on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    path: Option<String>,
    from: u64,
}

/// What is to be done with a body.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// It is all there is.
    Whole,
    /// It goes behind what is there.
    Append,
    /// What is there is whole.
    Nothing,
}

impl Target {
    pub(super) fn new(options: &Options, url: &Url) -> Result<Target, Error> {
        let path = match options.remote_name {
            false => options.output.clone(),
            true => Some(url.file_name().map(str::to_owned).ok_or_else(|| {
                Error::Usage(format!("{url} ends in no name of a file: -o gives one"))
            })?),
        };
        let from = match (options.resume, &path) {
            (None, _) => 0,
            (Some(Resume::At(from)), None) => from,
            // Refused with the options.
            (Some(Resume::Automatic), None) => 0,
            (Some(resume), Some(path)) => {
                let length = length(path)?;
                match resume {
                    Resume::At(from) if length != 0 && length != from => {
                        return Err(Error::Usage(format!(
                            "{path} has {length} bytes, and cannot go on at {from}; -C - goes on at its end"
                        )));
                    }
                    Resume::At(from) => from,
                    Resume::Automatic => length,
                }
            }
        };
        Ok(Target { path, from })
    }

    /// The first byte that is missing.
    pub(super) fn from(&self) -> u64 {
        self.from
    }

    /// Takes the final answer.
    pub(super) fn receive(
        &self,
        connection: &mut Connection,
        request: &Request,
        head: &Head,
        options: &Options,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Error> {
        if options.show_head || options.head_only {
            print_head(head, terminal.out)?;
        }
        let says = || {
            let (status, reason) = (head.status, &head.reason);
            Error::Answer(format!(
                "{}: the server says {status} {reason}",
                request.url
            ))
        };
        let plan = self.plan(head)?;
        if options.fail && head.status >= 400 && plan != Plan::Nothing {
            return Err(says());
        }
        match plan {
            Plan::Nothing => return remark(options, terminal, "everything is there already"),
            Plan::Whole if self.from > 0 => {
                // Another error than 416: nothing of it belongs into the file.
                if !(200..300).contains(&head.status) {
                    return Err(says());
                }
                remark(
                    options,
                    terminal,
                    "the server sends everything, so it is begun anew",
                )?;
            }
            _ => {}
        }
        self.copy(
            connection,
            head.framing(&request.method)?,
            &plan,
            options,
            terminal,
        )
    }

    /// RFC 9110 14.2, 15.3.7, 15.5.17: what an answer to a request for a range means. With the user's own If-Range
    /// (13.1.5) the server itself sends everything when it is not the same any more.
    fn plan(&self, head: &Head) -> Result<Plan, Error> {
        let name = self.path.as_deref().unwrap_or("the output");
        if self.from == 0 {
            return Ok(Plan::Whole);
        }
        match (head.status, head.content_range()) {
            (206, Some((Some(first), _))) if first == self.from => Ok(Plan::Append),
            (206, range) => Err(Error::Answer(format!(
                "the server was asked for what is behind byte {}, and sends {}",
                self.from,
                match range {
                    Some((Some(first), _)) => format!("what is behind byte {first}"),
                    _ => "a part without saying which".into(),
                }
            ))),
            (416, Some((_, Some(whole)))) if whole == self.from => Ok(Plan::Nothing),
            (416, Some((_, Some(whole)))) => Err(Error::Answer(format!(
                "{name} has {} bytes, and the server's has {whole}: they are not the same",
                self.from
            ))),
            (200..=299, _) if self.path.is_none() => Err(Error::Answer(format!(
                "the server cannot begin at byte {}",
                self.from
            ))),
            _ => Ok(Plan::Whole),
        }
    }

    fn copy(
        &self,
        connection: &mut Connection,
        framing: Framing,
        plan: &Plan,
        options: &Options,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Error> {
        let total = match framing {
            Framing::Length(length) => Some(length),
            _ => None,
        };
        let (from, end) = match plan {
            Plan::Append => (self.from, O_APPEND),
            _ => (0, O_TRUNC),
        };
        let mut progress = Progress::new(total, from, options, terminal.err);
        let mut at = |count| progress.at(count);
        let count = match &self.path {
            None => connection.read_body(framing, terminal.out, &mut at)?,
            Some(path) => {
                let file = OpenedFile::open(path, O_WRONLY | O_CREAT | end)?;
                connection
                    .read_body(framing, &mut FileOut(&file), &mut at)
                    .map_err(|error| resumable(error, path))?
            }
        };
        progress.done(count);
        terminal.out.flush()?;
        Ok(())
    }
}

/// Bytes of a file, none if there is no such file.
fn length(path: &str) -> Result<u64, Error> {
    match OpenedFile::open(path, O_RDONLY) {
        Ok(file) => file.length(),
        Err(Error::Call { errno: ENOENT, .. }) => Ok(0),
        Err(error) => Err(error),
    }
}

fn resumable(error: Error, path: &str) -> Error {
    match error {
        Error::Output(_) => error,
        error => Error::Answer(format!(
            "{error}; what has come is in {path}, and -C - goes on from there"
        )),
    }
}

fn remark(options: &Options, terminal: &mut Terminal<'_>, text: &str) -> Result<(), Error> {
    if !options.silent {
        writeln!(terminal.err, "curl: {text}")?;
    }
    Ok(())
}

fn print_head(head: &Head, out: &mut dyn Write) -> Result<(), Error> {
    writeln!(out, "HTTP/1.1 {} {}", head.status, head.reason)?;
    for (name, value) in &head.headers {
        writeln!(out, "{name}: {value}")?;
    }
    writeln!(out)?;
    Ok(())
}

/// A file of a scheme as a sink of bytes.
struct FileOut<'a>(&'a OpenedFile);

impl Write for FileOut<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes).map_err(std::io::Error::other)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(path: Option<&str>, status: u16, range: Option<&str>) -> Result<Plan, Error> {
        let target = Target {
            path: path.map(str::to_owned),
            from: 100,
        };
        let range = range.map(|range| ("content-range".to_owned(), range.to_owned()));
        target.plan(&Head {
            status,
            reason: String::new(),
            headers: range.into_iter().collect(),
        })
    }

    /// RFC 9110 14.4, 15.3.7, 15.5.17.
    #[test]
    fn a_part_goes_only_where_it_belongs() {
        let file = Some("/f");
        for (path, status, range, expected) in [
            (file, 206, Some("bytes 100-199/200"), Plan::Append),
            (None, 206, Some("bytes 100-199/*"), Plan::Append),
            (file, 200, None, Plan::Whole),
            (file, 416, Some("bytes */100"), Plan::Nothing),
            (file, 416, None, Plan::Whole),
            (file, 404, None, Plan::Whole),
        ] {
            assert_eq!(
                plan(path, status, range).unwrap(),
                expected,
                "{status} {range:?}"
            );
        }
        for (path, status, range, words) in [
            (file, 206, Some("bytes 99-199/200"), "behind byte 99"),
            (file, 206, None, "without saying which"),
            (file, 206, Some("bytes x"), "without saying which"),
            (file, 416, Some("bytes */90"), "the server's has 90"),
            (None, 200, None, "cannot begin at byte 100"),
        ] {
            let error = plan(path, status, range).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
