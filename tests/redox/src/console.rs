//! The serial console: logs in and runs commands, each within a bounded time.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use lab::{Context, Error, Result};

/// What is kept of what the other side says between two prompts, in bytes. A console that says more has gone mad.
const MOST_TEXT: usize = 1 << 20;
/// How much of it an error shows.
const SHOWN: usize = 600;
const ASKED: &str = "login: ";
/// How shells of root and of others end their prompts.
const PROMPTS: [&str; 2] = ["# ", "$ "];

/// A console on the other side of a socket.
pub(crate) struct Console<L: FnMut(&str)> {
    stream: UnixStream,
    /// What was said since the last answer, without the terminal's control sequences.
    text: String,
    cleaner: Cleaner,
    /// What the shell says when it waits for a command; known after the login.
    prompt: String,
    /// Gets whole lines.
    log: L,
    logged: usize,
    /// Nothing is waited for beyond this.
    end: Instant,
    /// What was started and has not ended yet; None when the shell waits for a command, as far as can be told.
    running: Option<String>,
}

/// A key that the terminal takes for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Ctrl-C: ends what runs.
    Interrupt = 0x03,
    /// Ctrl-Z: leaves what runs, and gives the shell back.
    Suspend = 0x1a,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// Its exit status; 127 is how shells say that there is no such command.
    pub(crate) status: i32,
    /// What it printed.
    pub(crate) output: String,
    /// From the line's end to the next prompt.
    pub(crate) time: Duration,
}

impl<L: FnMut(&str)> Console<L> {
    /// The console behind `stream`. Nothing waits beyond `end`, whatever its own time limit is.
    pub(crate) fn new(stream: UnixStream, end: Instant, log: L) -> Self {
        Console {
            stream,
            text: String::new(),
            cleaner: Cleaner::default(),
            prompt: String::new(),
            log,
            logged: 0,
            end,
            running: None,
        }
    }

    /// Whether the time for everything is over.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// The command that was started and has not ended yet.
    pub(crate) fn running(&self) -> Option<&str> {
        self.running.as_deref()
    }

    /// Waits until one of `texts` was said, and gives which; None when `deadline` has passed. What was said up to there
    /// is kept.
    pub(crate) fn look_for(&mut self, texts: &[&str], deadline: Instant) -> Result<Option<usize>> {
        let place = |said: &str| texts.iter().position(|&text| said.contains(text));
        self.hears(|said| place(said).is_some(), deadline)?;
        Ok(place(&self.text))
    }

    /// Waits until what was said is what `wanted` is looking for; false when `deadline` has passed.
    fn hears(&mut self, wanted: impl Fn(&str) -> bool, deadline: Instant) -> Result<bool> {
        while !wanted(&self.text) {
            if !self.hear(deadline)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same; an error, which names `what` was waited for, when `deadline` has passed.
    fn listen(
        &mut self,
        wanted: impl Fn(&str) -> bool,
        what: &str,
        deadline: Instant,
    ) -> Result<()> {
        match self.hears(wanted, deadline)? {
            true => Ok(()),
            false => Err(self.not_in_time(what)),
        }
    }

    /// Whether anything was said since the last answer.
    pub(crate) fn has_spoken(&self) -> bool {
        !self.text.trim().is_empty()
    }

    /// Logs in. A user without a password is not asked for one.
    pub(crate) fn log_in(&mut self, user: &str, password: &str, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        self.expect(ASKED, deadline)?;
        self.forget();
        self.say(user)?;
        let asks = |text: &str| text.ends_with("assword: ");
        self.listen(|text| asks(text) || is_prompt(text), "a prompt", deadline)?;
        if asks(&self.text) {
            self.forget();
            self.say(password)?;
            self.listen(is_prompt, "a prompt", deadline)?;
        }
        // The prompt is whatever the shell ends with: there is no telling what the shell is.
        let line = self.text.rsplit('\n').next().unwrap_or_default();
        self.prompt = line.trim_start().to_owned();
        self.forget();
        self.running = None;
        Ok(())
    }

    /// Leaves the shell; the login is next.
    pub(crate) fn log_out(&mut self) -> Result<()> {
        self.start("exit")
    }

    /// Presses a key, and waits for the prompt; whether that came in time.
    pub(crate) fn press(&mut self, key: Key, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        self.forget();
        self.send(&[key as u8])?;
        let prompt = self.prompt.clone();
        let is_back = self.hears(|text| text.ends_with(&prompt), deadline)?;
        if is_back {
            self.running = None;
        }
        Ok(is_back)
    }

    /// Runs a command and waits for the next prompt.
    pub(crate) fn run(&mut self, command: &str, timeout: Duration) -> Result<Done> {
        self.start(command)?;
        self.finish(timeout)
    }

    /// Types a command without waiting for its end.
    pub(crate) fn start(&mut self, command: &str) -> Result<()> {
        self.forget();
        self.running = Some(command.to_owned());
        self.say(command)
    }

    /// Waits until what was started has said `text`.
    pub(crate) fn expect(&mut self, text: &str, deadline: Instant) -> Result<()> {
        self.listen(|said| said.contains(text), text, deadline)
    }

    /// Waits for the end of what was started.
    pub(crate) fn finish(&mut self, timeout: Duration) -> Result<Done> {
        let started = Instant::now();
        let output = self.answer(timeout)?;
        let time = started.elapsed();
        self.start("echo status $?")?;
        let status = self.answer(timeout)?;
        let number = status
            .lines()
            .find_map(|line| line.trim().strip_prefix("status "));
        Ok(Done {
            status: number
                .and_then(|number| number.trim().parse().ok())
                .context(format_args!("the shell says no status but {status:?}"))?,
            output,
            time,
        })
    }

    /// What was said between the echo of the command and the next prompt.
    fn answer(&mut self, timeout: Duration) -> Result<String> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(answer) = between(&self.text, &self.prompt) {
                let answer = answer.to_owned();
                self.forget();
                self.running = None;
                return Ok(answer);
            }
            if !self.hear(deadline)? {
                return Err(self.not_in_time(&self.prompt));
            }
        }
    }

    /// Types a line for what runs.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        self.send(format!("{line}\r").as_bytes())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("the console")
    }

    fn forget(&mut self) {
        let rest = self.text.get(self.logged..).unwrap_or_default();
        if !rest.trim().is_empty() {
            (self.log)(rest.trim_end());
        }
        self.text.clear();
        self.logged = 0;
    }

    /// Takes in what is said next; false when `deadline` passes in silence.
    fn hear(&mut self, deadline: Instant) -> Result<bool> {
        let left = deadline
            .min(self.end)
            .saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        self.stream
            .set_read_timeout(Some(left))
            .context("the console")?;
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Error::new(format!(
                "the console is gone; it said: {}",
                self.last()
            ))),
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                self.cleaner.clean(bytes, &mut self.text);
                self.log_lines();
                match self.text.len() > MOST_TEXT {
                    true => Err(Error::new(format!(
                        "the console does not stop: {}",
                        self.last()
                    ))),
                    false => Ok(true),
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error).context("the console"),
        }
    }

    fn log_lines(&mut self) {
        while let Some((line, rest)) = self
            .text
            .get(self.logged..)
            .and_then(|text| text.split_once('\n'))
        {
            (self.log)(line);
            self.logged = self.text.len() - rest.len();
        }
    }

    fn not_in_time(&self, wanted: &str) -> Error {
        let end = match self.is_over() {
            true => "until the time for everything was over",
            false => "in vain",
        };
        Error::new(format!(
            "waited for {wanted:?} {end}; the console said: {}",
            self.last()
        ))
    }

    /// The end of what was said.
    fn last(&self) -> String {
        let skipped = self.text.chars().count().saturating_sub(SHOWN);
        let end: String = self.text.chars().skip(skipped).collect();
        format!("{end:?}")
    }
}

/// Whether what was said ends like a prompt.
fn is_prompt(text: &str) -> bool {
    PROMPTS.iter().any(|end| text.ends_with(end))
}

/// The lines between the first one, which is the echo of what was typed, and the prompt.
fn between<'a>(text: &'a str, prompt: &str) -> Option<&'a str> {
    let (_echo, rest) = text.split_once('\n')?;
    if rest.starts_with(prompt) {
        return Some("");
    }
    // What a command prints may end without a line's end.
    let (answer, _) = rest.split_once(prompt)?;
    Some(answer)
}

/// Takes the carriage returns and the terminal's control sequences (ECMA-48 section 5.4; OSC up to BEL) out of what is
/// said, which may be cut anywhere.
#[derive(Debug, Default)]
struct Cleaner {
    state: State,
    /// Bytes of a character that is not whole yet.
    pending: Vec<u8>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    Escape,
    Control,
    Command,
}

impl Cleaner {
    fn clean(&mut self, bytes: &[u8], text: &mut String) {
        for &byte in bytes {
            self.state = match (&self.state, byte) {
                (State::Text, 0x1b) => State::Escape,
                (State::Text, b'\r' | 0x07) => State::Text,
                (State::Text, byte) => {
                    self.pending.push(byte);
                    State::Text
                }
                (State::Escape, b'[') => State::Control,
                (State::Escape, b']') => State::Command,
                (State::Control, 0x40..=0x7e) | (State::Command, 0x07) | (State::Escape, _) => {
                    State::Text
                }
                (State::Control, _) => State::Control,
                (State::Command, _) => State::Command,
            };
        }
        let whole = match std::str::from_utf8(&self.pending) {
            // A character cut in two waits for its other half.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.pending.len(),
        };
        let rest = self.pending.split_off(whole);
        text.push_str(&String::from_utf8_lossy(&self.pending));
        self.pending = rest;
    }
}

#[cfg(test)]
pub(crate) mod tests;
