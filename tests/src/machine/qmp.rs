//! QEMU's monitor: link up and down, announcements, devices that come and go.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Context, Error, Result};

const ANSWER: Duration = Duration::from_secs(20);
/// Events that nobody waits for are forgotten, oldest first.
const EVENTS_KEPT: usize = 256;

/// The monitor of one machine.
#[derive(Debug)]
pub struct Qmp(Mutex<Connection>);

#[derive(Debug)]
struct Connection {
    stream: BufReader<UnixStream>,
    /// What was read of a line whose end has not come.
    partial: String,
    events: VecDeque<Value>,
}

impl Qmp {
    /// Takes the socket on which QEMU has connected; returns when QEMU runs its main loop.
    pub fn new(stream: UnixStream) -> Result<Self> {
        let mut connection = Connection {
            stream: BufReader::new(stream),
            partial: String::new(),
            events: VecDeque::new(),
        };
        let greeting = connection
            .receive(Instant::now() + ANSWER)?
            .context("QMP: no greeting")?;
        if greeting.get("QMP").is_none() {
            return Err(Error::new(format!("QMP: not a greeting: {greeting}")));
        }
        let qmp = Self(Mutex::new(connection));
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes a command; its "return", or an error with QEMU's description.
    pub fn execute(&self, command: &str, arguments: Value) -> Result<Value> {
        self.lock().execute(command, &arguments)
    }

    /// Sets the link of a network device (the netdev's or the card's id).
    pub fn set_link(&self, name: &str, up: bool) -> Result<()> {
        self.execute("set_link", json!({"name": name, "up": up}))
            .map(drop)
    }

    /// Asks every card to announce itself, as after a migration.
    pub fn announce_self(&self) -> Result<()> {
        let parameters = json!({"initial": 50, "max": 500, "rounds": 1, "step": 100});
        self.execute("announce-self", parameters).map(drop)
    }

    /// What a card lets through: promiscuous mode, the table of addresses, the receive state.
    pub fn query_rx_filter(&self, name: &str) -> Result<Value> {
        let mut answer = self.execute("query-rx-filter", json!({"name": name}))?;
        answer
            .get_mut(0)
            .map(Value::take)
            .context("query-rx-filter: no such card")
    }

    /// Plugs a device in: an object with "driver", "id" and its properties.
    pub fn device_add(&self, device: Value) -> Result<()> {
        self.execute("device_add", device).map(drop)
    }

    /// Asks for a device to be unplugged; the event DEVICE_DELETED tells when it is.
    pub fn device_del(&self, id: &str) -> Result<()> {
        self.execute("device_del", json!({"id": id})).map(drop)
    }

    /// Ends QEMU.
    pub fn quit(&self) -> Result<()> {
        self.execute("quit", json!({})).map(drop)
    }

    /// Waits for an event of that name, also one that came earlier and was not taken; its "data".
    pub fn wait_for_event(&self, name: &str, timeout: Duration) -> Result<Value> {
        let deadline = Instant::now() + timeout;
        let mut connection = self.lock();
        loop {
            let position = connection
                .events
                .iter()
                .position(|event| event["event"] == name);
            if let Some(mut event) =
                position.and_then(|position| connection.events.remove(position))
            {
                return Ok(event["data"].take());
            }
            let event = connection
                .receive(deadline)?
                .context(format_args!("QMP: no event {name} within {timeout:?}"))?;
            connection.keep(event);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let line = format!("{}\n", json!({"execute": command, "arguments": arguments}));
        self.stream
            .get_mut()
            .write_all(line.as_bytes())
            .context("QMP")?;
        let deadline = Instant::now() + ANSWER;
        loop {
            let mut message = self
                .receive(deadline)?
                .context(format_args!("QMP: no answer to {command}"))?;
            if let Some(error) = message.get("error") {
                let text = error["desc"]
                    .as_str()
                    .unwrap_or("an error without a description");
                return Err(Error::new(format!("QMP: {command}: {text}")));
            }
            match message.get_mut("return") {
                Some(value) => return Ok(value.take()),
                None => self.keep(message),
            }
        }
    }

    fn keep(&mut self, event: Value) {
        if self.events.len() == EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// The next message; None when there is none by `deadline`.
    fn receive(&mut self, deadline: Instant) -> Result<Option<Value>> {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        self.stream.get_ref().set_read_timeout(Some(left))?;
        match self.stream.read_line(&mut self.partial) {
            Ok(0) => Err(Error::new("QMP: QEMU is gone")),
            Ok(_) => {
                let line = std::mem::take(&mut self.partial);
                Ok(Some(
                    serde_json::from_str(&line).context(format_args!("QMP: {}", line.trim()))?,
                ))
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("QMP"),
        }
    }
}
