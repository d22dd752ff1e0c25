//! `./demo shell`: a prompt on one machine.

use std::io::{self, BufRead, IsTerminal, Write};

use commands::Terminal;
use lab::{Context, Result};

use crate::options::Options;
use crate::session::Session;

const HELP: &str = "ping HOST, curl URL, dns NAME, nc HOST PORT, cat PATH, ls PATH, write PATH TEXT, exit\n\
                    try: ls /scheme/netcfg, cat /scheme/netcfg/route/list";

pub(crate) fn run(session: &Session, options: &Options) -> Result<()> {
    session.settle();
    let prompt = io::stdin().is_terminal();
    if prompt {
        println!("{HELP}");
    }
    let mut lines = io::stdin().lock().lines();
    loop {
        if prompt {
            print!("redox$ ");
            io::stdout().flush().context("the output")?;
        }
        let Some(line) = lines.next() else { break };
        let line = line.context("the input")?;
        let words: Vec<String> = split(&line);
        match words.first().map(String::as_str) {
            None => {}
            Some("exit" | "quit") => break,
            Some("help" | "?") => println!("{HELP}"),
            Some(name) => one(session, name, words.get(1..).unwrap_or_default()),
        }
    }
    session.keep_pcap(options)
}

/// Runs a command; that it fails is said, and the shell goes on. The commands here have no input of their own.
fn one(session: &Session, name: &str, arguments: &[String]) {
    let _process = session.stack.enter(name);
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        input: 0,
        seed: lab::seed(),
    };
    if let Err(error) = commands::run(name, arguments, &mut terminal) {
        let _ = writeln!(terminal.err, "{name}: {error}");
    }
    let _ = terminal.out.flush();
}

/// Words, of which those in double quotes may contain spaces.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quoted_words_keep_their_spaces() {
        assert_eq!(
            split("write  /scheme/netcfg/route/add \"default via 10.0.2.2\""),
            ["write", "/scheme/netcfg/route/add", "default via 10.0.2.2"]
        );
        assert_eq!(split("  "), [""; 0]);
        assert_eq!(split("a \"\" b"), ["a", "", "b"]);
    }
}
