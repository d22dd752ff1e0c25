//! `ping`, `ping6`, `traceroute`, `curl`, `nc`, `dns`, `cat`, `ls` and `write` over the network schemes.
//!
//! Written on libredox alone, so that the same commands run on Redox and in the lab. A command gets its arguments and
//! its [`Terminal`]; it returns an error whose text says what happened, where, and what to do.

mod address;
mod connect;
mod curl;
mod dns;
mod error;
mod fd;
mod files;
mod http;
mod nc;
mod order;
mod ping;
mod stream;
mod tls;
mod traceroute;
mod url;
mod wait;

use std::io::Write;

use address::Family;

pub use error::Error;
pub use fd::{OpenedFile, read_text, write_text};

/// Where a command's text goes and its input comes from.
pub struct Terminal<'a> {
    /// Standard output: what was asked for.
    pub out: &'a mut dyn Write,
    /// Standard error: progress and remarks.
    pub err: &'a mut dyn Write,
    /// The file descriptor that `nc` reads its input from.
    pub input: usize,
    /// Random bytes for transaction ids.
    pub seed: u64,
}

/// Runs the command `name`.
///
/// # Errors
/// Whatever the command failed with; [`Error::Usage`] when its arguments make no sense or there is no such command.
pub fn run(name: &str, args: &[String], terminal: &mut Terminal<'_>) -> Result<(), Error> {
    match name {
        "ping" => ping::run(args, Family::Any, terminal),
        "ping6" => ping::run(args, Family::V6, terminal),
        "traceroute" => traceroute::run(args, terminal),
        "curl" => curl::run(args, terminal),
        "nc" => nc::run(args, terminal),
        "dns" => dns::run(args, terminal),
        "cat" => files::cat(args, terminal),
        "ls" => files::ls(args, terminal),
        "write" => files::write(args, terminal),
        _ => Err(Error::Usage(format!(
            "no command \"{name}\"; there are ping, ping6, traceroute, curl, nc, dns, cat, ls and write"
        ))),
    }
}
