//! What the driver is told at its start.

use core::fmt;
use core::time::Duration;

/// How the driver is started.
pub const USAGE: &str =
    "usb-rndisd SCHEME PORT INTERFACE [--endpoints blocking|nonblocking|events] [--notify]";

/// KeepAliveTimeoutPeriod of RNDIS.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// What an xhcid's `data` files can do. No call tells it, so the driver is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoints {
    /// A read waits until the device has sent something, and xhcid serves nobody meanwhile: what upstream's does, and
    /// what nobody can receive by.
    #[default]
    Blocking,
    /// With `O_NONBLOCK`, a read starts a transfer and says `EWOULDBLOCK` until it is over. No event tells when: the
    /// driver has to look.
    NonBlocking,
    /// The same, and `fevent` tells when a transfer is over.
    Events,
}

impl Endpoints {
    const ALL: [(&'static str, Self); 3] = [
        ("blocking", Self::Blocking),
        ("nonblocking", Self::NonBlocking),
        ("events", Self::Events),
    ];
}

/// What the driver is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// xhcid's scheme, without `/scheme/`.
    pub scheme: String,
    /// The port in xhcid's form: `5`, or `5.2` for port 2 of a hub in port 5.
    pub port: String,
    /// The number of the control interface.
    pub interface: u8,
    /// What xhcid's `data` files can do.
    pub endpoints: Endpoints,
    /// Whether `INIT_NOTIFY` is meant for this driver. What xhcid starts inherits xhcid's own environment, where that
    /// variable names a descriptor that is closed, or something else by now, or xhcid's own line to init.
    pub notify: bool,
    /// The value of `INIT_NOTIFY`, if it is meant for this driver: the descriptor that takes one byte once the scheme is
    /// there.
    pub init_notify: Option<String>,
    /// How long nothing is heard from the device before it is asked whether it lives.
    pub keepalive: Duration,
}

impl Options {
    /// Reads the arguments, without the program's name. They come as xhcid's configuration gives them: `$SCHEME`, `$PORT`
    /// and `$IF_NUM`, and options anywhere.
    ///
    /// # Errors
    /// [`UsageError`], in words.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let (mut words, mut endpoints, mut notify) = (Vec::new(), Endpoints::default(), false);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--endpoints" => endpoints = parse_endpoints(arguments.next())?,
                "--notify" => notify = true,
                option if option.starts_with('-') => {
                    return Err(UsageError(format!("{option:?} is no option")));
                }
                _ => words.push(argument),
            }
        }
        let [scheme, port, interface] = <[String; 3]>::try_from(words).map_err(|words| {
            UsageError(format!(
                "{} arguments where there should be three",
                words.len()
            ))
        })?;
        if scheme.is_empty() || scheme.contains('/') {
            return Err(UsageError(format!("{scheme:?} is no scheme")));
        }
        if !port.split('.').all(is_port_part) {
            return Err(UsageError(format!("{port:?} is no port")));
        }
        let interface = interface
            .parse()
            .map_err(|_| UsageError(format!("{interface:?} is no interface's number")))?;
        Ok(Self {
            scheme,
            port,
            interface,
            endpoints,
            notify,
            init_notify: None,
            keepalive: KEEPALIVE,
        })
    }
}

fn parse_endpoints(word: Option<String>) -> Result<Endpoints, UsageError> {
    let word = word.ok_or_else(|| UsageError("--endpoints needs a word after it".to_owned()))?;
    let known = Endpoints::ALL.iter().find(|(name, _)| *name == word);
    known
        .map(|&(_, endpoints)| endpoints)
        .ok_or_else(|| UsageError(format!("{word:?} is nothing that endpoints can be")))
}

/// A decimal number that is not zero, as every part of a port is.
fn is_port_part(part: &str) -> bool {
    part.bytes().all(|digit| digit.is_ascii_digit())
        && part.parse::<u8>().is_ok_and(|port| port > 0)
}

/// What is wrong with the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; usage: {USAGE}", self.0)
    }
}

impl std::error::Error for UsageError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, UsageError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_line_of_xhcids_configuration_is_read() {
        let options = parse("usb.pci-0000-00-06.0_xhci 5.2.1 0 --endpoints events").unwrap();
        assert_eq!(options.scheme, "usb.pci-0000-00-06.0_xhci");
        assert_eq!((options.port.as_str(), options.interface), ("5.2.1", 0));
        assert_eq!(
            (options.endpoints, options.notify),
            (Endpoints::Events, false)
        );
        let options = parse("--notify --endpoints nonblocking usb 1 255").unwrap();
        assert_eq!(
            (options.endpoints, options.notify),
            (Endpoints::NonBlocking, true)
        );
        assert_eq!(options.interface, 255);
    }

    #[test]
    fn unless_told_xhcid_is_taken_for_upstreams() {
        assert_eq!(parse("usb 1 0").unwrap().endpoints, Endpoints::Blocking);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_usage() {
        for (line, why) in [
            ("", "0 arguments where there should be three"),
            ("usb 1", "2 arguments"),
            ("usb 1 0 0", "4 arguments"),
            ("usb/port2 1 0", "is no scheme"),
            ("usb 0 0", "is no port"),
            ("usb 1..2 0", "is no port"),
            ("usb 1.256 0", "is no port"),
            ("usb +1 0", "is no port"),
            ("usb 1/endpoints 0", "is no port"),
            ("usb 1 256", "is no interface's number"),
            ("usb 1 0 --endpoints", "needs a word"),
            (
                "usb 1 0 --endpoints maybe",
                "\"maybe\" is nothing that endpoints can be",
            ),
            ("usb 1 0 --fast", "\"--fast\" is no option"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(
                error.contains(why) && error.contains("usage: usb-rndisd SCHEME"),
                "{line}: {error}"
            );
        }
    }
}
