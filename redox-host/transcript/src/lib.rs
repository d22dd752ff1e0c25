//! Exercises the scheme protocol as the network daemons use it, between two processes, and prints one line for each thing it saw: no address, no time,
//! nothing that differs from run to run. It is written on libredox and redox-scheme only. On redox-host it runs in a test, which compares what it
//! printed with `transcript.txt`; on Redox it is a program, and must print the same.
//!
//! `provider` serves the scheme `/scheme/transcript` and keeps a log of what it was asked; `client` asks, reads that log, and prints.

mod client;
mod pages;
mod provider;
mod server;

pub use client::run;

/// What runs as a process of its own beside the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Serves the scheme; writes one byte to the descriptor `ready` once it can be opened.
    Provider {
        /// The writing end of a pipe.
        ready: usize,
    },
    /// Reads once from the descriptor `from` and writes what came of it to the descriptor `to`.
    Reader {
        /// A file of the provider's.
        from: usize,
        /// The writing end of a pipe.
        to: usize,
    },
}

impl Part {
    /// Runs it in the calling process; gives the exit status.
    pub fn run(self) -> i32 {
        let result = match self {
            Self::Provider { ready } => server::serve(ready),
            Self::Reader { from, to } => client::read_once(from, to),
        };
        i32::from(result.is_err())
    }

    /// The part and its descriptors as arguments of a program.
    pub fn to_arguments(self) -> Vec<String> {
        match self {
            Self::Provider { ready } => vec!["provider".to_owned(), ready.to_string()],
            Self::Reader { from, to } => {
                vec!["reader".to_owned(), from.to_string(), to.to_string()]
            }
        }
    }

    /// The part that `to_arguments` told; None for anything else.
    pub fn from_arguments(arguments: &[String]) -> Option<Self> {
        let number = |i: usize| arguments.get(i)?.parse().ok();
        match arguments.first()?.as_str() {
            "provider" => Some(Self::Provider { ready: number(1)? }),
            "reader" => Some(Self::Reader {
                from: number(1)?,
                to: number(2)?,
            }),
            _ => None,
        }
    }
}

/// How processes are started: the one thing that the two worlds do differently.
pub trait Worlds {
    /// Starts `part` as a process of its own, which has the client's descriptors `inherited` under the same numbers. Gives its process id.
    fn start(&mut self, part: Part, inherited: &[usize]) -> usize;

    /// Returns when nothing is left of a part that was killed: a call that reaches a scheme while it dies is never answered on Redox.
    fn wait(&mut self, process: usize) -> libredox::error::Result<()>;
}
