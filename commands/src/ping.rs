//! `ping`: echo of ICMP and ICMPv6 over `/scheme/icmp/echo/ADDRESS`.
//!
//! The layout is that of Redox's own `ping`: a sequence number in 2 bytes, 6 of padding, the time of sending as
//! seconds and nanoseconds, 40 bytes of payload. The scheme sends the first two bytes as the sequence number of the
//! request and the rest as its data, and a reply reads the same way.

use core::time::Duration;

use netscheme::{Instant, clock};
use syscall::flag::{O_NONBLOCK, O_RDWR};

use crate::address::Family;
use crate::fd::OpenedFile;
use crate::wait::{Waiting, after};
use crate::{Error, Terminal, dns};

/// Sequence number, padding and time of sending, in bytes.
const HEADER: usize = 24;
/// Payload behind the header when no size is asked for.
const PAYLOAD: usize = 40;
/// ICMP data beyond this does not fit an IPv4 packet.
const LARGEST: usize = 65_507;

struct Options {
    count: u64,
    interval: Duration,
    timeout: Duration,
    size: usize,
    family: Family,
    host: String,
}

const USAGE: &str = "ping [-4 | -6] [-c COUNT] [-i SECONDS] [-s BYTES] [-W SECONDS] HOST";

fn options(args: &[String], family: Family) -> Result<Options, Error> {
    let usage = || Error::Usage(USAGE.into());
    let mut options = Options {
        count: 4,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        size: HEADER + PAYLOAD - 2,
        family,
        host: String::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(usage);
        match arg.as_str() {
            "-c" => options.count = value()?.parse().map_err(|_| usage())?,
            "-i" => options.interval = seconds(value()?).ok_or_else(usage)?,
            "-W" => options.timeout = seconds(value()?).ok_or_else(usage)?,
            "-s" => options.size = value()?.parse().map_err(|_| usage())?,
            host if !host.starts_with('-') && options.host.is_empty() => options.host = host.into(),
            other => options.family = Family::of_option(other).ok_or_else(usage)?,
        }
    }
    match options.host.is_empty() || options.size > LARGEST {
        true => Err(usage()),
        false => Ok(options),
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// Round-trip times of the replies, in microseconds.
#[derive(Default)]
struct Tally {
    sent: u64,
    received: u64,
    least: u64,
    most: u64,
    sum: u64,
}

impl Tally {
    fn reply(&mut self, micros: u64) {
        self.least = if self.received == 0 {
            micros
        } else {
            self.least.min(micros)
        };
        self.most = self.most.max(micros);
        self.sum = self.sum.saturating_add(micros);
        self.received += 1;
    }
}

/// `ping`; `family` is that of the command's name.
pub(crate) fn run(
    args: &[String],
    family: Family,
    terminal: &mut Terminal<'_>,
) -> Result<(), Error> {
    let options = options(args, family)?;
    let addr = dns::lookup_one(&options.host, options.family, terminal.seed)?;
    let path = format!("/scheme/icmp/echo/{addr}");
    let mut socket = Waiting::new(OpenedFile::open(&path, O_RDWR | O_NONBLOCK)?)?;
    let mut tally = Tally::default();
    while tally.sent < options.count {
        let sequence = u16::try_from(tally.sent & 0xffff).unwrap_or(0);
        let started = clock::now();
        socket
            .file
            .write_all(&request(sequence, options.size, started))?;
        tally.sent += 1;
        let answer = reply(
            &mut socket,
            sequence,
            options.size,
            started,
            options.timeout,
        )?;
        match answer {
            Some(micros) => {
                tally.reply(micros);
                writeln!(
                    terminal.out,
                    "{} bytes from {addr}: icmp_seq={sequence} time={} ms",
                    options.size + 8,
                    millis(micros)
                )?;
            }
            None => writeln!(terminal.out, "{addr}: icmp_seq={sequence} no reply")?,
        }
        if tally.sent < options.count {
            // Late replies of earlier requests are read, and dropped, meanwhile.
            let until = started.saturating_add(options.interval);
            let mut rest = [0; 64];
            while socket.read_until(until, &mut rest)?.is_some() {}
        }
    }
    summary(&options.host, &tally, terminal)
}

fn millis(micros: u64) -> String {
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

fn summary(host: &str, tally: &Tally, terminal: &mut Terminal<'_>) -> Result<(), Error> {
    let lost = tally.sent - tally.received;
    writeln!(
        terminal.out,
        "{host}: {} sent, {} received, {lost} lost",
        tally.sent, tally.received
    )?;
    if let Some(mean) = tally.sum.checked_div(tally.received) {
        writeln!(
            terminal.out,
            "round trip min/avg/max = {}/{}/{} ms",
            millis(tally.least),
            millis(mean),
            millis(tally.most)
        )?;
        return Ok(());
    }
    match tally.sent {
        0 => Ok(()),
        _ => Err(Error::Answer(format!(
            "ping: {host} did not answer; is it up, and is there a route to it (cat /scheme/netcfg/route/list)?"
        ))),
    }
}

/// The bytes written to the socket: two of the sequence number, then `size` bytes of ICMP data.
fn request(sequence: u16, size: usize, now: Instant) -> Vec<u8> {
    let mut bytes = vec![0; 6];
    bytes.extend_from_slice(&now.nanos().to_ne_bytes());
    bytes.extend((bytes.len()..size).map(|i| (i & 0xff) as u8));
    bytes.truncate(size);
    bytes.splice(0..0, sequence.to_be_bytes());
    bytes
}

/// Waits for the reply to `sequence` and checks its data; its round trip in microseconds.
fn reply(
    socket: &mut Waiting,
    sequence: u16,
    size: usize,
    started: Instant,
    timeout: Duration,
) -> Result<Option<u64>, Error> {
    let expected = request(sequence, size, started);
    let mut buffer = vec![0; expected.len().max(64)];
    let deadline = after(timeout);
    while let Some(n) = socket.read_until(deadline, &mut buffer)? {
        if buffer.get(..n) == Some(expected.as_slice()) {
            let micros = clock::now().since(started).as_micros();
            return Ok(Some(u64::try_from(micros).unwrap_or(u64::MAX)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_asked_for_whatever_the_size() {
        for size in [0, 1, 6, 13, 14, 62, 1472] {
            let bytes = request(0x0102, size, Instant::from_secs(1));
            assert_eq!(bytes.len(), size + 2);
            assert_eq!(&bytes[..2], &[1, 2]);
        }
    }

    #[test]
    fn arguments_that_make_no_sense_are_answered_with_the_usage() {
        for args in [
            &["-c"][..],
            &["-c", "many", "host"],
            &["-s", "65508", "host"],
            &["-i", "-1", "host"],
            &["-i", "nan", "host"],
            &["a", "b"],
            &["-x", "host"],
            &[],
        ] {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            let parsed = options(&args, Family::Any);
            assert!(matches!(parsed, Err(Error::Usage(_))), "{args:?}");
        }
    }
}
