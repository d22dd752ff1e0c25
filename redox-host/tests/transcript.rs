//! The transcript of the scheme protocol, as it runs on redox-host. A real Redox prints the same (`transcript/src/main.rs`).
//! After a change that is meant, run with `UPDATE_TRANSCRIPT=1` and look at the difference.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use redox_host::{Entered, Host, HostConfig, Process, ProcessSpec};
use transcript::{Part, Worlds};

/// Starts parts as processes of the machine.
struct Lab<'a> {
    host: &'a Host,
    client: &'a Entered,
    started: Vec<Process>,
}

impl Worlds for Lab<'_> {
    fn start(&mut self, part: Part, inherited: &[usize]) -> usize {
        let mut spec = ProcessSpec::new(format!("{part:?}"));
        for &fd in inherited {
            spec = spec.fd(fd, self.client, fd).unwrap();
        }
        let process = self.host.spawn(spec, move || part.run());
        let pid = process.pid();
        self.started.push(process);
        pid
    }

    fn wait(&mut self, process: usize) -> libredox::error::Result<()> {
        let ended = self.started.iter().position(|part| part.pid() == process);
        if let Some(place) = ended {
            self.started.remove(place).wait(common::LONG).unwrap();
        }
        Ok(())
    }
}

fn transcribe() -> String {
    let host = Host::new(HostConfig::default()).unwrap();
    let client = host.enter(ProcessSpec::new("client"));
    let mut out = Vec::new();
    let mut lab = Lab {
        host: &host,
        client: &client,
        started: Vec::new(),
    };
    transcript::run(&mut lab, &mut out).unwrap();
    for process in lab.started {
        process.wait(common::LONG).unwrap();
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn the_scheme_protocol_is_as_transcribed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/transcript/transcript.txt");
    let now = transcribe();
    if std::env::var_os("UPDATE_TRANSCRIPT").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let before = std::fs::read_to_string(path).unwrap();
    for (number, (now, before)) in now.lines().zip(before.lines()).enumerate() {
        assert_eq!(now, before, "line {}", number + 1);
    }
    assert_eq!(now, before);
}

#[test]
fn the_transcript_says_the_same_every_time() {
    let first = transcribe();
    for _ in 0..10 {
        assert_eq!(transcribe(), first);
    }
}
