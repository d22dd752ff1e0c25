//! The image as it is beside ours, on the same machine at the same time: boots that alternate, and the same measurements.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::peers::EchoServer;
use lab::{Context, Result, RunDirectory, Surroundings, Table};
use measure::Measure;

use crate::boot::{self, Redox, Spec};
use crate::stages::commands::{COMMAND, successful};

/// How often each side is booted.
const ROUNDS: usize = 3;
/// How long each thing is measured that is counted by the second.
const SECONDS: u64 = 3;
/// How long a measurement may take.
const MEASURE: Duration = Duration::from_secs(60);
/// How long the network may take to be there.
const NETWORK: Duration = Duration::from_secs(30);
const WEB: u16 = 80;
const ECHO: u16 = 7;
/// The router of QEMU's user network, behind which the host's servers are.
const PEER: &str = "10.0.2.2";

/// One of the two.
pub(crate) struct Side<'a> {
    pub(crate) name: &'static str,
    pub(crate) spec: Spec<'a>,
}

/// What is in a line of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// From the loader to the login, in seconds.
    Prompt,
    Taken(Measure),
}

impl Line {
    fn all() -> impl Iterator<Item = Line> {
        core::iter::once(Line::Prompt).chain(Measure::ALL.map(Line::Taken))
    }

    fn title(self) -> String {
        match self {
            Line::Prompt => "prompt, s".to_owned(),
            Line::Taken(measure) => format!("{}, {}", measure.name(), measure.unit()),
        }
    }
}

/// The numbers of one side.
#[derive(Default)]
struct Numbers(Vec<(Line, f64)>);

impl Numbers {
    fn of(&self, line: Line) -> Vec<f64> {
        let of_line = self.0.iter().filter(|(of, _)| *of == line);
        let mut numbers: Vec<f64> = of_line.map(|(_, number)| *number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    }
}

/// Boots both sides in turn, and prints what was measured.
///
/// # Errors
/// A side does not boot, or its network does not come. What cannot be measured has no number in the table.
pub(crate) fn both(
    table: &mut Table,
    sides: &[Side<'_>; 2],
    surroundings: &Surroundings,
    run: &Arc<RunDirectory>,
    megabytes: u64,
) -> Result<()> {
    let socket = surroundings
        .namespace
        .enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, ECHO)))?
        .context("the echo server's port")?;
    let _echo = EchoServer::udp(socket)?;
    let mut numbers = [Numbers::default(), Numbers::default()];
    for round in 1..=ROUNDS {
        for (side, numbers) in sides.iter().zip(&mut numbers) {
            table.stage(&format!("{}, round {round}", side.name), || {
                let mut redox =
                    boot::start(&side.spec, &surroundings.namespace, run, "compared.pcap")?;
                let time = redox.boot()?;
                numbers.0.push((Line::Prompt, time.as_secs_f64()));
                measure(&mut redox, numbers, megabytes)
            })?;
        }
    }
    println!(
        "\n{}",
        comparison(sides.each_ref().map(|s| s.name), &numbers)
    );
    Ok(())
}

/// Everything once. Gives what could not be measured, in words.
fn measure<L: FnMut(&str)>(
    redox: &mut Redox<L>,
    numbers: &mut Numbers,
    megabytes: u64,
) -> Result<String> {
    wait_for_network(redox)?;
    let mut failed = Vec::new();
    for measure in Measure::ALL {
        let command = format!(
            "measure {} {PEER} {WEB} {ECHO} {} {SECONDS}",
            measure.name(),
            megabytes * 1_000_000
        );
        let done = redox.console.run(&command, MEASURE);
        let number = done.as_ref().ok().and_then(|done| number(&done.output));
        match number {
            Some(number) => numbers.0.push((Line::Taken(measure), number)),
            None => {
                let said = done.map(|done| done.output);
                let said = said.unwrap_or_else(|error| error.to_string());
                failed.push(format!("{}: {}", measure.name(), said.trim()));
            }
        }
        if redox.console.running().is_some() {
            redox.recover()?;
            wait_for_network(redox)?;
        }
    }
    match failed.is_empty() {
        true => Ok("measured".to_owned()),
        false => Ok(failed.join("; ")),
    }
}

/// What asks too early may wait for ever on upstream's, so this asks with what gives up.
fn wait_for_network<L: FnMut(&str)>(redox: &mut Redox<L>) -> Result<()> {
    let deadline = Instant::now() + NETWORK;
    loop {
        let done = successful(redox, &format!("ping -c 1 {PEER}"), COMMAND);
        match done {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) if redox.console.running().is_some() => redox.recover().map(drop)?,
            Err(_) => {}
        }
    }
}

/// The number at the start of a line of what was printed.
fn number(output: &str) -> Option<f64> {
    output
        .lines()
        .find_map(|line| line.split_whitespace().next()?.parse().ok())
}

/// Medians with the smallest and the largest, and how many times the first is the second.
fn comparison(names: [&str; 2], numbers: &[Numbers; 2]) -> String {
    let mut text = format!("  {:<16} {:>24} {:>24}  ratio\n", "", names[0], names[1]);
    for line in Line::all() {
        let [theirs, ours] = numbers.each_ref().map(|numbers| numbers.of(line));
        let ratio = median(&theirs).zip(median(&ours));
        let ratio = ratio.map_or("-".to_owned(), |(theirs, ours)| {
            format!("{:.2}", ours / theirs)
        });
        let (theirs, ours) = (spread(&theirs), spread(&ours));
        text.push_str(&format!(
            "  {:<16} {theirs:>24} {ours:>24}  {ratio}\n",
            line.title()
        ));
    }
    text
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

fn spread(sorted: &[f64]) -> String {
    match (sorted.first(), median(sorted), sorted.last()) {
        (Some(least), Some(median), Some(most)) => {
            format!("{median:.1} ({least:.1} to {most:.1})")
        }
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_compared_and_what_could_not_be_measured_has_no_number() {
        let prompt =
            |numbers: &[f64]| Numbers(numbers.iter().map(|&n| (Line::Prompt, n)).collect());
        let text = comparison(
            ["theirs", "ours"],
            &[prompt(&[9.0, 2.0, 4.0]), prompt(&[6.0, 5.0])],
        );
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("theirs") && lines[0].contains("ours"));
        assert!(lines[1].contains("4.0 (2.0 to 9.0)"), "{text}");
        assert!(lines[1].contains("6.0 (5.0 to 6.0)"), "{text}");
        assert!(lines[1].ends_with("1.50"), "{text}");
        assert!(
            lines[2].starts_with("  download, MB/s") && lines[2].ends_with("-  -"),
            "{text}"
        );
        assert_eq!(lines.len(), 2 + Measure::ALL.len());
    }

    #[test]
    fn the_number_is_found_among_other_words() {
        assert_eq!(number("12.500 MB/s\n"), Some(12.5));
        assert_eq!(number("a log line\n3.000 /s"), Some(3.0));
        assert_eq!(number("measure: udp: timed out"), None);
    }
}
