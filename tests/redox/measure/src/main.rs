//! `measure WHAT ADDRESS WEB_PORT ECHO_PORT BYTES SECONDS` prints a number and its unit.

use std::process::ExitCode;
use std::time::Duration;

use measure::{Measure, Peer};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((measure, peer, bytes, time)) = parse(&words) else {
        eprintln!("usage: measure WHAT ADDRESS WEB_PORT ECHO_PORT BYTES SECONDS");
        return ExitCode::from(2);
    };
    match measure.take(peer, bytes, time) {
        Ok(number) => {
            println!("{number:.3} {}", measure.unit());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("measure: {}: {error}", measure.name());
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String]) -> Option<(Measure, Peer, u64, Duration)> {
    let [what, address, web, echo, bytes, seconds] = words else {
        return None;
    };
    let mut all = Measure::ALL.into_iter();
    let measure = all.find(|measure| measure.name() == what)?;
    let peer = Peer {
        address: address.parse().ok()?,
        web: web.parse().ok()?,
        echo: echo.parse().ok()?,
    };
    let time = Duration::from_secs(seconds.parse().ok()?);
    Some((measure, peer, bytes.parse().ok()?, time))
}
