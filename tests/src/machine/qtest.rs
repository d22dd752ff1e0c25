//! QEMU's qtest protocol: registers and ports of the machine, read and written by lines of text on a socket.
//!
//! One connection serves every user of the machine. Reads wait for their answer; writes are posted, as on a real bus:
//! the socket keeps their order, so a read sees every write before it, and an answer "FAIL" is counted and logged when
//! it is met. Whoever waits for an answer reads the socket for everybody; no thread stands between, for a wake-up
//! costs as much as the round trip itself.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::net::RecvFlags;

use crate::error::{Context, Error, Result};
use crate::wait;

/// QEMU answers in microseconds. One that says nothing for this long is as good as gone.
const ANSWER: Duration = Duration::from_secs(20);
/// A posted write looks for answers when this many are on their way…
const LOOK_FOR_ANSWERS: usize = 32;
/// …and waits for some at this many. A socket holds some 270 short messages each way: below that neither QEMU's answers
/// nor our commands ever block, so the two cannot wait for each other.
const WAIT_FOR_ANSWERS: usize = 128;

/// The connection. Clones are the same connection.
#[derive(Clone, Debug)]
pub struct Qtest(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: UnixStream,
    /// What has been sent and not been answered, oldest first. Its lock is the right to write to the socket.
    sent: Mutex<VecDeque<Sent>>,
    /// Its lock is the right to read from the socket.
    received: Mutex<Vec<u8>>,
    on_line: OnceLock<LineHandler>,
    failures: AtomicU64,
    gone: AtomicBool,
}

/// Called with the number of an input of the interrupt controller and whether it was raised.
struct LineHandler(Box<dyn Fn(u32, bool) + Send + Sync>);

impl fmt::Debug for LineHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineHandler")
    }
}

#[derive(Debug)]
enum Sent {
    Posted(Command),
    Asked(Arc<OnceLock<String>>),
}

/// One line of the protocol: a verb, an address or port, and for writes the value.
#[derive(Clone, Copy, Debug)]
struct Command {
    verb: &'static str,
    address: u64,
    value: Option<u64>,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => write!(f, "{} {:#x} {value:#x}", self.verb, self.address),
            None => write!(f, "{} {:#x}", self.verb, self.address),
        }
    }
}

/// How many bytes one access moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Long,
    /// 64 bits. Ports have no such width: they take 32 bits of it.
    Quad,
}

impl Width {
    const fn bytes(self) -> u32 {
        match self {
            Width::Byte => 1,
            Width::Word => 2,
            Width::Long => 4,
            Width::Quad => 8,
        }
    }

    fn choose<T: Copy>(self, [byte, word, long, quad]: [T; 4]) -> T {
        match self {
            Width::Byte => byte,
            Width::Word => word,
            Width::Long => long,
            Width::Quad => quad,
        }
    }

    /// What a read gives when nobody answers.
    const fn all_ones(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
}

impl Qtest {
    /// Takes the socket on which QEMU has connected.
    pub fn new(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(Self(Arc::new(Shared {
            stream,
            sent: Mutex::default(),
            received: Mutex::default(),
            on_line: OnceLock::new(),
            failures: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        })))
    }

    /// Reads memory at a physical address; all ones when QEMU is gone.
    pub fn read(&self, width: Width, address: u64) -> u64 {
        self.value(
            width,
            width.choose(["readb", "readw", "readl", "readq"]),
            address,
        )
    }

    /// Writes memory at a physical address; nothing happens when QEMU is gone.
    pub fn write(&self, width: Width, address: u64, value: u64) {
        self.post(Command {
            verb: width.choose(["writeb", "writew", "writel", "writeq"]),
            address,
            value: Some(value),
        });
    }

    /// Reads an I/O port; all ones when QEMU is gone.
    pub fn port_in(&self, width: Width, port: u16) -> u64 {
        self.value(
            width,
            width.choose(["inb", "inw", "inl", "inl"]),
            port.into(),
        )
    }

    /// Writes an I/O port; nothing happens when QEMU is gone.
    pub fn port_out(&self, width: Width, port: u16, value: u64) {
        self.post(Command {
            verb: width.choose(["outb", "outw", "outl", "outl"]),
            address: port.into(),
            value: Some(value),
        });
    }

    /// From now on `handler` hears of every input of the I/O APIC that is raised or lowered, until QEMU is gone.
    /// It runs on whatever thread reads the socket and must not use this connection. Once only.
    pub fn intercept_lines(
        &self,
        handler: impl Fn(u32, bool) + Send + Sync + 'static,
    ) -> Result<()> {
        if self.0.on_line.set(LineHandler(Box::new(handler))).is_err() {
            return Err(Error::new(
                "the interrupt lines have been intercepted already",
            ));
        }
        self.ask("irq_intercept_in ioapic")?;
        let listener = self.clone();
        std::thread::Builder::new()
            .name("interrupt lines".into())
            .spawn(move || listener.listen())?;
        Ok(())
    }

    /// How many commands QEMU refused.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Whether QEMU has hung up or stopped answering.
    pub fn is_gone(&self) -> bool {
        self.0.gone.load(Ordering::Relaxed)
    }

    /// Ends the connection: from now on everything reads all ones.
    pub fn close(&self) {
        self.lose("closed by the lab", log::Level::Debug);
    }

    /// Sends a line of the protocol and gives what follows "OK" in the answer.
    pub fn ask(&self, command: &str) -> Result<String> {
        let answer = Arc::new(OnceLock::new());
        self.send(&format!("{command}\n"), Sent::Asked(answer.clone()))?;
        loop {
            // The lock comes first: its last holder may have read our answer.
            let mut received = lock(&self.0.received);
            if let Some(answer) = answer.get() {
                return match answer.strip_prefix("OK") {
                    Some(rest) => Ok(rest.trim().to_owned()),
                    None => Err(Error::new(format!("qtest: {command}: {answer}"))),
                };
            }
            self.receive(&mut received, RecvFlags::empty())?;
        }
    }

    fn value(&self, width: Width, verb: &'static str, address: u64) -> u64 {
        let command = Command {
            verb,
            address,
            value: None,
        };
        let answer = self
            .ask(&command.to_string())
            .and_then(|answer| parse_value(&answer).context(answer));
        match answer {
            Ok(value) => value & width.all_ones(),
            Err(error) => {
                if !self.is_gone() {
                    self.0.failures.fetch_add(1, Ordering::Relaxed);
                    log::warn!("{error}");
                }
                width.all_ones()
            }
        }
    }

    fn post(&self, command: Command) {
        let Ok(on_the_way) = self.send(&format!("{command}\n"), Sent::Posted(command)) else {
            return;
        };
        if on_the_way >= WAIT_FOR_ANSWERS {
            let mut received = lock(&self.0.received);
            while lock(&self.0.sent).len() >= WAIT_FOR_ANSWERS {
                if self.receive(&mut received, RecvFlags::empty()).is_err() {
                    return;
                }
            }
        } else if on_the_way >= LOOK_FOR_ANSWERS
            // Somebody who holds the lock reads the answers anyway.
            && let Ok(mut received) = self.0.received.try_lock()
        {
            let _ = self.receive(&mut received, RecvFlags::DONTWAIT);
        }
    }

    /// Sends a line; says how many are waiting for their answer now.
    fn send(&self, line: &str, sent: Sent) -> Result<usize> {
        let mut queue = lock(&self.0.sent);
        if self.is_gone() {
            return Err(Error::new("QEMU is gone"));
        }
        queue.push_back(sent);
        if let Err(error) = (&self.0.stream).write_all(line.as_bytes()) {
            drop(queue);
            self.lose(&error.to_string(), log::Level::Warn);
            return Err(error).context("qtest");
        }
        Ok(queue.len())
    }

    /// Reads what is there (or waits for something, as `flags` say) and hands the complete lines on.
    fn receive(&self, received: &mut Vec<u8>, flags: RecvFlags) -> Result<()> {
        let mut chunk = [0; 4096];
        let length = match rustix::net::recv(&self.0.stream, &mut chunk, flags) {
            Ok((0, _)) => {
                self.lose("it has hung up", log::Level::Debug);
                return Err(Error::new("QEMU is gone"));
            }
            Ok((length, _)) => length,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(rustix::io::Errno::AGAIN) if flags.contains(RecvFlags::DONTWAIT) => return Ok(()),
            Err(error) => {
                self.lose(
                    &format!("no answer for {ANSWER:?} ({error})"),
                    log::Level::Warn,
                );
                return Err(error).context("qtest");
            }
        };
        received.extend(chunk.iter().take(length));
        let complete = received
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let lines: Vec<u8> = received.drain(..complete).collect();
        for line in String::from_utf8_lossy(&lines).lines() {
            self.handle_line(line);
        }
        Ok(())
    }

    fn handle_line(&self, line: &str) {
        if let Some((number, raised)) = parse_interrupt(line) {
            if let Some(LineHandler(handler)) = self.0.on_line.get() {
                handler(number, raised);
            }
            return;
        }
        match lock(&self.0.sent).pop_front() {
            Some(Sent::Asked(answer)) => {
                // Fresh from the queue, so nobody has set it.
                let _ = answer.set(line.to_owned());
            }
            Some(Sent::Posted(command)) if !line.starts_with("OK") => {
                self.0.failures.fetch_add(1, Ordering::Relaxed);
                log::warn!("qtest: {command}: {line}");
            }
            Some(Sent::Posted(_)) => {}
            None => log::warn!("qtest: an answer to no question: {line}"),
        }
    }

    /// Notices interrupt lines while nobody asks anything.
    fn listen(&self) {
        while !self.is_gone() {
            let Ok(ready) = wait::readable(&[self.0.stream.as_fd()], None) else {
                return;
            };
            if ready == [true] {
                let _ = self.receive(&mut lock(&self.0.received), RecvFlags::DONTWAIT);
            }
        }
    }

    fn lose(&self, why: &str, level: log::Level) {
        if !self.0.gone.swap(true, Ordering::Relaxed) {
            log::log!(level, "QEMU is gone: {why}");
            // Wakes whoever reads; fails only when the other end is closed, which does the same.
            let _ = self.0.stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse_interrupt(line: &str) -> Option<(u32, bool)> {
    let (verb, number) = line.strip_prefix("IRQ ")?.split_once(' ')?;
    let raised = match verb {
        "raise" => true,
        "lower" => false,
        _ => return None,
    };
    Some((number.trim().parse().ok()?, raised))
}

/// Hexadecimal with "0x"; `in` answers have four digits, `read` answers sixteen.
fn parse_value(answer: &str) -> Option<u64> {
    u64::from_str_radix(answer.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests;
