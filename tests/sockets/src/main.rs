//! What a program sees of its sockets: the same over Linux, over smolnetd by its preloaded library, and on Redox.
//!
//! `sockets [--differences FILE] [--only WORDS] [PEER]` goes through its cases, one line each: `ok NAME`, `skip NAME: why`,
//! `FAIL NAME: what was expected, what came`, and `differs NAME: …` for one that failed as the file says that it must. PEER
//! is the address of somebody outside who listens at no port below 1024. Exit code 1: something failed, or passed that
//! should have differed.
//!
//! A line of the file is `NAME: REASON` with, on the line below and indented, what the case then says.

mod case;
mod cases;
mod differences;
mod ends;
mod errno;
mod sys;

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use case::{Case, Fail, Family, Outcome, Over, World};
use differences::Differences;

/// The longest that a case may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was asked for.
#[derive(Default)]
struct Options {
    differences: Differences,
    only: String,
    peer: Option<core::net::IpAddr>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(complaint) => {
            eprintln!("sockets: {complaint}");
            return ExitCode::from(2);
        }
    };
    let mut sum = Sum::default();
    let families = [Family::V4, Family::V6];
    for case in cases::all() {
        for family in families.into_iter().filter(|family| told(case, *family)) {
            let name = name(case, family);
            if name.contains(&options.only) {
                let world = World {
                    family,
                    peer: options.peer,
                };
                sum.tell(&name, run(case, world), &options.differences);
            }
        }
    }
    println!("{sum}");
    // Cases that did not end are still there.
    std::process::exit(i32::from(sum.failed > 0))
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--differences" => {
                let path = words.next().ok_or("--differences wants a file")?;
                let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
                options.differences = Differences::parse(&text);
            }
            "--only" => options.only = words.next().ok_or("--only wants words")?,
            address => {
                let parsed = address
                    .parse()
                    .map_err(|_| format!("{address}: no address"));
                options.peer = Some(parsed?);
            }
        }
    }
    Ok(options)
}

fn told(case: &Case, family: Family) -> bool {
    match case.over {
        Over::Both => true,
        Over::V4 => family == Family::V4,
        Over::V6 => family == Family::V6,
    }
}

/// The sentence.
fn name(case: &Case, family: Family) -> String {
    let sentence = case.name.replace('_', " ");
    match (case.over, family) {
        (Over::Both, Family::V4) => format!("{sentence}, over IPv4"),
        (Over::Both, Family::V6) => format!("{sentence}, over IPv6"),
        _ => sentence,
    }
}

/// Runs a case in a thread of its own: one that never ends is left behind.
fn run(case: &Case, world: World) -> Outcome {
    let (done, waiting) = mpsc::channel();
    let act = case.run;
    let family = world.family.domain();
    if let Err(failed) = sys::Socket::new(family, libc::SOCK_DGRAM, 0)
        && failed.errno == libc::EAFNOSUPPORT
    {
        return case::skip("there is no such family here");
    }
    let body = move || {
        let _ = done.send(act(&world));
    };
    let thread = std::thread::Builder::new().spawn(body)?;
    match waiting.recv_timeout(PATIENCE) {
        Ok(outcome) => {
            let _ = thread.join();
            outcome
        }
        Err(mpsc::RecvTimeoutError::Timeout) => {
            let seconds = PATIENCE.as_secs();
            Err(Fail::Wrong(format!("it had not ended after {seconds} s")))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Fail::Wrong("it panicked".into())),
    }
}

/// How many came to what.
#[derive(Default)]
struct Sum {
    passed: usize,
    differ: usize,
    failed: usize,
    skipped: usize,
}

impl Sum {
    fn tell(&mut self, name: &str, outcome: Outcome, differences: &Differences) {
        match (outcome, differences.of(name)) {
            (Ok(()), None) => {
                self.passed += 1;
                println!("ok {name}");
            }
            (Ok(()), Some(_)) => {
                self.failed += 1;
                println!("FAIL {name}: it is on the list of differences, and passed");
            }
            (Err(Fail::Skip(why)), _) => {
                self.skipped += 1;
                println!("skip {name}: {why}");
            }
            (Err(Fail::Wrong(what)), Some(expected)) if what == expected => {
                self.differ += 1;
                println!("differs {name}: {what}");
            }
            (Err(Fail::Wrong(what)), _) => {
                self.failed += 1;
                println!("FAIL {name}: {what}");
            }
        }
    }
}

impl core::fmt::Display for Sum {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Sum {
            passed,
            differ,
            failed,
            skipped,
        } = self;
        write!(
            f,
            "{passed} passed, {differ} differ as listed, {failed} failed, {skipped} skipped"
        )
    }
}
