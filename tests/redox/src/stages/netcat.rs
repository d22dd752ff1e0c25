//! Upstream's `nc`, which has std's sockets: out and in.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use lab::network::Namespace;
use lab::{Context, Error, Result};

use super::FORWARD;
use super::commands::COMMAND;
use crate::boot::Redox;

/// The host's port for what comes out.
const PORT: u16 = 7009;
const THEIRS: &str = "hello from the host";
const OURS: &str = "hello from Redox";
/// How often and how long one looks whether `nc` listens: it does not say so.
const TRIES: usize = 10;
const TRY: Duration = Duration::from_secs(2);

/// `nc` connects to the host: a line each way.
pub(super) fn out<L: FnMut(&str)>(redox: &mut Redox<L>, host: &Namespace) -> Result<String> {
    let listener = host
        .enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)))?
        .context("listening on the host")?;
    redox.console.start(&format!("nc 10.0.2.2:{PORT}"))?;
    redox
        .console
        .expect("Remote host", Instant::now() + COMMAND)?;
    // It is connected by now, so this does not wait.
    let (connection, _) = listener.accept()?;
    talk(redox, connection)
}

/// `nc -l` accepts a connection from the host: a line each way.
pub(super) fn inward<L: FnMut(&str)>(redox: &mut Redox<L>, host: &Namespace) -> Result<String> {
    let (port, guest) = FORWARD;
    redox.console.start(&format!("nc -l 0.0.0.0:{guest}"))?;
    for _ in 0..TRIES {
        // QEMU takes the connection at once, and ends it when nobody listens in Redox.
        let connection = host
            .enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)))?
            .context("connecting from the host")?;
        let deadline = Instant::now() + TRY;
        if redox
            .console
            .look_for(&["Incoming connection"], deadline)?
            .is_some()
        {
            return talk(redox, connection);
        }
    }
    Err(Error::new("nc -l does not accept a connection"))
}

/// A line each way; the end of the connection ends `nc`.
fn talk<L: FnMut(&str)>(redox: &mut Redox<L>, mut connection: TcpStream) -> Result<String> {
    connection.set_read_timeout(Some(COMMAND))?;
    connection.write_all(format!("{THEIRS}\n").as_bytes())?;
    redox.console.expect(THEIRS, Instant::now() + COMMAND)?;
    redox.console.say(OURS)?;
    let mut line = String::new();
    BufReader::new(&connection)
        .read_line(&mut line)
        .context("hearing from Redox")?;
    drop(connection);
    let done = redox.console.finish(COMMAND)?;
    match (line.trim_end(), done.status) {
        (OURS, 0) => Ok("a line each way".to_owned()),
        (heard, status) => Err(Error::new(format!(
            "the host heard {heard:?}; status {status}"
        ))),
    }
}
