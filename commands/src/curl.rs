//! `curl`: fetches or uploads over HTTP.

use core::time::Duration;
use std::io::Write;

use netscheme::{Instant, clock};
use syscall::flag::{O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY};

use crate::address::Family;
use crate::connect::connect;
use crate::fd::OpenedFile;
use crate::http::{Connection, Head};
use crate::url::Url;
use crate::{Error, Terminal, dns};

const USAGE: &str = "curl [-4 | -6] [-s] [-f] [-i] [-I] [-o FILE] [-T FILE] [-H HEADER]… URL";
/// Bytes read from an uploaded file at once.
const CHUNK: usize = 64 * 1024;

#[derive(Default)]
struct Options {
    url: String,
    family: Family,
    silent: bool,
    fail: bool,
    show_head: bool,
    head_only: bool,
    output: Option<String>,
    upload: Option<String>,
    headers: Vec<String>,
}

fn options(args: &[String]) -> Result<Options, Error> {
    let usage = || Error::Usage(USAGE.into());
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().ok_or_else(usage);
        match arg.as_str() {
            "-s" => options.silent = true,
            "-f" => options.fail = true,
            "-i" => options.show_head = true,
            "-I" => options.head_only = true,
            "-o" => options.output = Some(value()?),
            "-T" => options.upload = Some(value()?),
            "-H" => options.headers.push(value()?),
            url if !url.starts_with('-') && options.url.is_empty() => options.url = url.into(),
            other => options.family = Family::of_option(other).ok_or_else(usage)?,
        }
    }
    let bad = |h: &String| h.contains(['\r', '\n']) || !h.contains(':');
    if options.url.is_empty() || options.headers.iter().any(bad) {
        return Err(usage());
    }
    Ok(options)
}

pub(crate) fn run(args: &[String], terminal: &mut Terminal<'_>) -> Result<(), Error> {
    let options = options(args)?;
    let url = Url::parse(&options.url).map_err(Error::Usage)?;
    let addresses = dns::lookup(&url.host, options.family, terminal.seed)?;
    let mut connection = Connection::new(connect(&addresses, url.port)?);
    let method = method(&options);
    match &options.upload {
        Some(path) => upload(&connection, &options, &url, path)?,
        None => connection.write_all(request(&options, &url, method, None).as_bytes())?,
    }
    let head = connection.read_head()?;
    if options.show_head || options.head_only {
        print_head(&head, terminal.out)?;
    }
    let framing = head.framing(method)?;
    let total = match framing {
        crate::http::Framing::Length(length) => Some(length),
        _ => None,
    };
    let mut progress = Progress::new(total, options.silent, terminal.err);
    let count = match &options.output {
        None => connection.read_body(framing, terminal.out, &mut |n| progress.at(n))?,
        Some(path) => {
            let file = OpenedFile::open(path, O_WRONLY | O_CREAT | O_TRUNC)?;
            connection.read_body(framing, &mut FileOut(&file), &mut |n| progress.at(n))?
        }
    };
    progress.done(count);
    terminal.out.flush()?;
    match options.fail && head.status >= 400 {
        true => Err(Error::Answer(format!(
            "{}: the server says {} {}",
            options.url, head.status, head.reason
        ))),
        false => Ok(()),
    }
}

fn method(options: &Options) -> &'static str {
    match (options.head_only, &options.upload) {
        (true, _) => "HEAD",
        (false, Some(_)) => "PUT",
        (false, None) => "GET",
    }
}

fn request(options: &Options, url: &Url, method: &str, length: Option<u64>) -> String {
    let mut text = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: redox-curl/{}\r\nAccept: */*\r\nConnection: close\r\n",
        url.path,
        url.host_header(),
        env!("CARGO_PKG_VERSION")
    );
    if let Some(length) = length {
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    for header in &options.headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text
}

/// Sends the request and a file as its body. The length promised is the one that the file has at the start; a file
/// that shrinks meanwhile is an error, and one that grows is cut.
fn upload(connection: &Connection, options: &Options, url: &Url, path: &str) -> Result<(), Error> {
    let file = OpenedFile::open(path, O_RDONLY)?;
    let length = file.length()?;
    connection.write_all(request(options, url, "PUT", Some(length)).as_bytes())?;
    let mut buffer = vec![0; CHUNK];
    let mut left = length;
    while left > 0 {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Err(Error::Answer(format!(
                "{path} became shorter by {left} bytes while it was sent"
            )));
        }
        let n = n.min(usize::try_from(left).unwrap_or(usize::MAX));
        connection.write_all(buffer.get(..n).unwrap_or_default())?;
        left -= n as u64;
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

/// Says once a second how far a transfer is, and at its end how it went.
struct Progress<'a> {
    total: Option<u64>,
    silent: bool,
    started: Instant,
    next: Instant,
    err: &'a mut dyn Write,
}

impl<'a> Progress<'a> {
    fn new(total: Option<u64>, silent: bool, err: &'a mut dyn Write) -> Self {
        let started = clock::now();
        Progress {
            total,
            silent,
            started,
            next: started.saturating_add(Duration::from_secs(1)),
            err,
        }
    }

    fn at(&mut self, count: u64) {
        if self.silent {
            return;
        }
        let now = clock::now();
        if now >= self.next {
            self.next = now.saturating_add(Duration::from_secs(1));
            self.say(count, now);
        }
    }

    fn done(&mut self, count: u64) {
        if !self.silent {
            self.say(count, clock::now());
        }
    }

    fn say(&mut self, count: u64, now: Instant) {
        let micros = now.since(self.started).as_micros().max(1);
        let rate = u128::from(count) * 1_000_000 / micros;
        let total = self.total.map_or(String::new(), |t| format!(" of {t}"));
        // Progress that cannot be shown is no reason to end the transfer.
        let _ = writeln!(
            self.err,
            "curl: {count}{total} bytes, {}.{:02} MB/s",
            rate / 1_000_000,
            rate / 10_000 % 100
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_would_smuggle_a_second_one_is_refused() {
        let args = ["-H", "X: y\r\nEvil: z", "http://host/"].map(String::from);
        assert!(matches!(options(&args), Err(Error::Usage(_))));
    }

    #[test]
    fn the_request_is_what_the_rfc_asks_for() {
        let args = ["-H", "X: y", "http://host:81/a"].map(String::from);
        let options = options(&args).unwrap();
        let url = Url::parse(&options.url).unwrap();
        let text = request(&options, &url, method(&options), None);
        assert!(
            text.starts_with("GET /a HTTP/1.1\r\nHost: host:81\r\n"),
            "{text}"
        );
        assert!(text.ends_with("X: y\r\n\r\n"), "{text}");
    }
}
