//! `./demo`: the daemons on QEMU's hardware, shown stage by stage, or with a command of the user's choice.

mod bench;
mod net6;
mod options;
mod programs;
mod session;
mod shell;
mod stages;

use std::process::ExitCode;

use options::{Action, Options};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let done = match &options.action {
        Action::Help => {
            println!("{}", options::USAGE);
            Ok(())
        }
        Action::Stages => stages::run(&options),
        Action::Bench => bench::run(&options),
        Action::BenchPrograms => bench::programs::run(&options),
        Action::Shell => session::Session::start(&options).and_then(|s| shell::run(&s, &options)),
        Action::Run(program) => match programs::run(&options, program) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Action::Up => programs::up(),
        Action::Serve => programs::serve(&options),
        Action::Status => programs::status(),
        Action::Down => programs::down(),
        Action::Command(words) => {
            session::Session::start(&options).and_then(|session| session.command(words, &options))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}
