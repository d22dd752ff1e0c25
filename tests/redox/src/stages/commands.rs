//! Commands at the prompt, and what to make of what they print.

use std::time::{Duration, Instant};

use lab::{Error, Result};

use crate::boot::Redox;
use crate::console::Done;

/// How long a command may take.
pub(crate) const COMMAND: Duration = Duration::from_secs(30);
/// How long the network may take to be there.
const NETWORK: Duration = Duration::from_secs(20);
/// What shells say of a command that is not there.
const NO_COMMAND: i32 = 127;

/// A command that has to succeed.
pub(crate) fn successful<L: FnMut(&str)>(
    redox: &mut Redox<L>,
    command: &str,
    timeout: Duration,
) -> Result<Done> {
    let done = redox.console.run(command, timeout)?;
    match done.status {
        0 => Ok(done),
        NO_COMMAND => Err(Error::new(format!(
            "the image has no command for: {command}"
        ))),
        status => Err(Error::new(format!(
            "{command}: status {status}: {}",
            done.output.trim()
        ))),
    }
}

/// Runs a command until its output has what is looked for; that is what the stage shows. What tells of changes is a file
/// of netcfg, which no command waits for, so this asks again.
pub(crate) fn wait_for<L: FnMut(&str)>(
    redox: &mut Redox<L>,
    command: &str,
    look: impl Fn(&str) -> Option<String>,
) -> Result<String> {
    let deadline = Instant::now() + NETWORK;
    loop {
        let done = redox.console.run(command, COMMAND)?;
        match look(&done.output) {
            Some(found) => return Ok(found),
            None if Instant::now() > deadline => {
                return Err(Error::new(format!("{command}: {}", done.output.trim())));
            }
            None => {}
        }
    }
}

/// The first line or word that begins so.
pub(crate) fn find(text: &str, beginning: &str) -> Option<String> {
    let lines = text.lines().map(str::trim);
    lines
        .chain(text.split_whitespace())
        .find(|part| part.starts_with(beginning))
        .map(|part| part.trim_end_matches('/').to_owned())
}

pub(crate) fn last_line<L: FnMut(&str)>(redox: &mut Redox<L>, command: &str) -> Result<String> {
    let done = successful(redox, command, COMMAND)?;
    let last = done
        .output
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty());
    Ok(last.unwrap_or_default().to_owned())
}

pub(crate) fn contains(done: &Done, wanted: &str) -> Result<String> {
    match done.output.contains(wanted) {
        true => Ok(wanted.to_owned()),
        false => Err(Error::new(format!("no {wanted} in {}", done.output.trim()))),
    }
}

pub(crate) fn same(got: &str, wanted: &str) -> Result<String> {
    match got.trim_end() == wanted.trim_end() {
        true => Ok(format!("{} bytes", wanted.len())),
        false => Err(Error::new(format!("not what was served: {got:?}"))),
    }
}

pub(crate) fn rate(bytes: u64, done: &Done) -> String {
    let seconds = done.time.as_secs_f64().max(f64::EPSILON);
    format!("{:.1} MB/s", bytes as f64 / 1e6 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_beginning_and_a_word_too() {
        assert_eq!(
            find("tcp/  network.pci-0_virtio_net/", "network."),
            Some("network.pci-0_virtio_net".into())
        );
        assert_eq!(
            find("lo\n10.0.2.15/24\n", "10.0.2."),
            Some("10.0.2.15/24".into())
        );
        let routes = "default via 10.0.2.2 dev eth0\ndefault via fe80::2 dev eth0 proto ra";
        assert_eq!(
            find(routes, "default via fe80::"),
            Some("default via fe80::2 dev eth0 proto ra".into())
        );
        assert_eq!(find("down", "up"), None);
    }
}
