//! `net COMMAND …`: all commands in one program. Under the name of a command, it is that command.

use std::io::{self, Write};
use std::process::ExitCode;

use commands::Terminal;

fn main() -> ExitCode {
    let mut words = std::env::args();
    let called = words.next().unwrap_or_default();
    let called = called.rsplit('/').next().unwrap_or_default();
    let name = match called {
        "" | "net" => words.next().unwrap_or_default(),
        name => name.to_owned(),
    };
    let arguments: Vec<String> = words.collect();
    let seed = match netscheme::random::seed() {
        Ok([a, b, c, d, e, f, g, h, ..]) => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        Err(error) => {
            eprintln!("{name}: reading /scheme/rand: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        input: 0,
        seed,
    };
    let result = commands::run(&name, &arguments, &mut terminal);
    let result = result.and_then(|()| Ok(out.flush()?));
    if let Err(error) = result {
        eprintln!("{name}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
