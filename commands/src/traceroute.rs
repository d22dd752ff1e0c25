//! `traceroute`: which routers a packet passes, by datagrams that may pass one router more each time, and what the routers
//! say of those that may not (RFC 792, RFC 4443 3.3), which `/scheme/icmp/udp/ADDRESS:PORT` gives to read.

use core::time::Duration;

use netscheme::clock;
use syscall::flag::{O_NONBLOCK, O_RDWR};

use crate::address::{Address, Family};
use crate::fd::OpenedFile;
use crate::wait::{Waiting, after};
use crate::{Error, Terminal, dns};

/// The first port that is tried: nobody listens there.
const FIRST_PORT: u16 = 33_434;
/// An ICMP header, in bytes; the packet that it is about follows.
const ICMP_HEADER: usize = 8;
/// The verb of `recvmsg`.
const RECEIVE_MESSAGE: u64 = 5;
/// Room for a message and for who sent it, in bytes.
const ROOM: usize = 2048;
const NAME: usize = 128;
const WORD: usize = size_of::<usize>();

struct Options {
    hops: u8,
    probes: u8,
    patience: Duration,
    family: Family,
    host: String,
}

const USAGE: &str = "traceroute [-4 | -6] [-m HOPS] [-q PROBES] [-w SECONDS] HOST";

fn options(args: &[String]) -> Result<Options, Error> {
    let usage = || Error::Usage(USAGE.into());
    let mut options = Options {
        hops: 30,
        probes: 3,
        patience: Duration::from_secs(1),
        family: Family::Any,
        host: String::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(usage);
        match arg.as_str() {
            "-m" => options.hops = value()?.parse().map_err(|_| usage())?,
            "-q" => options.probes = value()?.parse().map_err(|_| usage())?,
            "-w" => {
                let seconds = value()?.parse().map_err(|_| usage())?;
                options.patience = Duration::try_from_secs_f64(seconds).map_err(|_| usage())?;
            }
            host if !host.starts_with('-') && options.host.is_empty() => options.host = host.into(),
            other => options.family = Family::of_option(other).ok_or_else(usage)?,
        }
    }
    match options.host.is_empty() || options.hops == 0 || options.probes == 0 {
        true => Err(usage()),
        false => Ok(options),
    }
}

/// `traceroute`
pub(crate) fn run(args: &[String], terminal: &mut Terminal<'_>) -> Result<(), Error> {
    let options = options(args)?;
    let address = dns::lookup_one(&options.host, options.family, terminal.seed)?;
    let (host, hops) = (&options.host, options.hops);
    writeln!(terminal.out, "{host} ({address}), {hops} hops at most")?;
    let mut route = Route::open(address)?;
    for hop in 1..=hops {
        if route.hop(hop, &options, terminal)? {
            return Ok(());
        }
    }
    Err(Error::Answer(format!(
        "traceroute: {host} was not reached in {hops} hops"
    )))
}

/// Where the datagrams leave, and where the messages about them come in.
struct Route {
    destination: Address,
    datagrams: OpenedFile,
    messages: Waiting,
    port: u16,
}

impl Route {
    fn open(destination: Address) -> Result<Route, Error> {
        let any = if destination.ip.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let datagrams = OpenedFile::open("/scheme/udp", O_RDWR)?.dup(&format!("/{any}"))?;
        let name = datagrams.fpath()?;
        let own = name.rsplit(':').next().and_then(|port| port.parse().ok());
        let own: u16 = own.ok_or_else(|| Error::Answer(format!("{name} has no port")))?;
        let path = format!("/scheme/icmp/udp/{}", destination.with_port(own));
        let messages = Waiting::new(OpenedFile::open(&path, O_RDWR | O_NONBLOCK)?)?;
        Ok(Route {
            destination,
            datagrams,
            messages,
            port: FIRST_PORT,
        })
    }

    /// One line: who is so many hops away. True when that is the end of the way.
    fn hop(
        &mut self,
        hop: u8,
        options: &Options,
        terminal: &mut Terminal<'_>,
    ) -> Result<bool, Error> {
        self.datagrams.dup("hop_limit")?.write_all(&[hop])?;
        write!(terminal.out, "{hop:2}")?;
        let (mut told, mut ended) = (String::new(), false);
        for _ in 0..options.probes {
            match self.probe(options.patience)? {
                None => write!(terminal.out, "  *")?,
                Some(answer) => {
                    if answer.from != told {
                        write!(terminal.out, "  {}", answer.from)?;
                        told = answer.from;
                    }
                    let micros = answer.after.as_micros();
                    write!(terminal.out, "  {}.{:03} ms", micros / 1000, micros % 1000)?;
                    if let Verdict::Refused(why) = answer.verdict {
                        write!(terminal.out, " {why}")?;
                    }
                    ended |= answer.verdict != Verdict::Passing;
                }
            }
            terminal.out.flush()?;
        }
        writeln!(terminal.out)?;
        Ok(ended)
    }

    /// Sends one datagram and waits for what is said about it.
    fn probe(&mut self, patience: Duration) -> Result<Option<Answer>, Error> {
        let port = self.port;
        self.port = port.checked_add(1).unwrap_or(FIRST_PORT);
        let started = clock::now();
        let to = self.destination.with_port(port);
        self.datagrams.dup(&to)?.write_all(b"how far?")?;
        let (deadline, is_v4) = (after(patience), self.destination.ip.is_ipv4());
        while let Some((from, message)) = self.messages.until(deadline, receive)? {
            // Late messages about datagrams of before are not counted.
            if about(&message, is_v4) == Some(port)
                && let Some(verdict) = Verdict::of(&message, is_v4)
            {
                let after = clock::now().since(started);
                return Ok(Some(Answer {
                    from,
                    after,
                    verdict,
                }));
            }
        }
        Ok(None)
    }
}

struct Answer {
    from: String,
    after: Duration,
    verdict: Verdict,
}

/// What a message says of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It would have gone on.
    Passing,
    /// It came where it was to go.
    Arrived,
    /// It goes no further, and why.
    Refused(&'static str),
}

impl Verdict {
    /// By type and code: RFC 792, RFC 1812 5.2.7.1, RFC 4443 3.1 and 3.3.
    fn of(message: &[u8], is_v4: bool) -> Option<Verdict> {
        let [kind, code, ..] = *message else {
            return None;
        };
        Some(match (is_v4, kind, code) {
            (true, 11, _) | (false, 3, _) => Verdict::Passing,
            (true, 3, 3) | (false, 1, 4) => Verdict::Arrived,
            (true, 3, 0 | 6 | 11) | (false, 1, 0) => Verdict::Refused("no route"),
            (true, 3, 1 | 7 | 12) | (false, 1, 3) => Verdict::Refused("no host"),
            (true, 3, 9 | 10 | 13) | (false, 1, 1 | 5 | 6) => Verdict::Refused("prohibited"),
            (true, 3, _) | (false, 1, _) => Verdict::Refused("unreachable"),
            _ => return None,
        })
    }
}

/// The port that the datagram was for which a message quotes.
fn about(message: &[u8], is_v4: bool) -> Option<u16> {
    let quoted = message.get(ICMP_HEADER..)?;
    let header = match is_v4 {
        true => usize::from(quoted.first()? & 0xf) * 4,
        false => 40,
    };
    let port = quoted.get(header..)?.get(2..4)?;
    Some(u16::from_be_bytes(port.try_into().ok()?))
}

/// `recvfrom`: who sent a message, and the message.
fn receive(file: &OpenedFile) -> Result<(String, Vec<u8>), Error> {
    let mut buffer = vec![0; 3 * WORD + NAME + ROOM];
    let request = [NAME, ROOM, 0].map(usize::to_ne_bytes);
    let words = buffer.iter_mut().zip(request.as_flattened());
    words.for_each(|(to, from)| *to = *from);
    file.call(&mut buffer, &[RECEIVE_MESSAGE, 0])?;
    received(&buffer).ok_or_else(|| Error::Answer("a message that makes no sense".into()))
}

/// `[name length][name][payload length][payload]`
fn received(answer: &[u8]) -> Option<(String, Vec<u8>)> {
    let (length, rest) = answer.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from_ne_bytes(*length))?;
    let (length, rest) = rest.split_first_chunk()?;
    let message = rest.get(..usize::from_ne_bytes(*length))?;
    // `/scheme/icmp/ADDRESS:0`
    let (_, end) = core::str::from_utf8(name).ok()?.rsplit_once('/')?;
    let (address, _port) = end.rsplit_once(':')?;
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    Some((bare.to_owned(), message.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_about_the_datagram_that_it_quotes() {
        let quoted = [&[0x46, 0][..], &[0; 22], &[1, 2, 0x82, 0x9a, 0, 8]].concat();
        let exceeded = [&[11, 0][..], &[0; 6], &quoted].concat();
        assert_eq!(about(&exceeded, true), Some(33_434));
        assert_eq!(Verdict::of(&exceeded, true), Some(Verdict::Passing));
        let refused = [&[1, 4][..], &[0; 6], &[0x60], &[0; 39], &[1, 2, 0x82, 0x9b]].concat();
        assert_eq!(about(&refused, false), Some(33_435));
        assert_eq!(Verdict::of(&refused, false), Some(Verdict::Arrived));
    }

    #[test]
    fn a_message_that_was_cut_anywhere_is_about_nothing() {
        let message = [&[11, 0][..], &[0; 6], &[0x45], &[0; 19], &[1, 2, 3, 4]].concat();
        for length in 0..message.len() {
            assert_eq!(about(&message[..length], true), None, "{length}");
        }
        assert_eq!(Verdict::of(&[11], true), None);
        assert_eq!(received(&[255; 40]), None);
    }

    #[test]
    fn arguments_that_make_no_sense_are_answered_with_the_usage() {
        for args in [
            &["-m"][..],
            &["-m", "256", "host"],
            &["-m", "0", "host"],
            &["-q", "0", "host"],
            &["-w", "-1", "host"],
            &["a", "b"],
            &[],
        ] {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            assert!(matches!(options(&args), Err(Error::Usage(_))), "{args:?}");
        }
    }
}
