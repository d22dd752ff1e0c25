//! The transcript as a program, for Redox: prints it, or runs one of its parts when it was started as one.

use std::process::{Command, ExitCode, Stdio};

use transcript::{Part, Worlds};

/// Starts parts as processes: this program again, told by its arguments which part to be. Descriptors without O_CLOEXEC are inherited.
struct Redox;

impl Worlds for Redox {
    fn start(&mut self, part: Part, _inherited: &[usize]) -> usize {
        let program = std::env::current_exe().unwrap_or_else(|_| "transcript".into());
        match Command::new(program)
            .args(part.to_arguments())
            .stdin(Stdio::null())
            .spawn()
        {
            Ok(child) => child.id() as usize,
            Err(error) => {
                eprintln!("cannot start {part:?}: {error}");
                0
            }
        }
    }

    fn wait(&mut self, process: usize) -> libredox::error::Result<()> {
        libredox::call::waitpid(process, &mut 0, 0).map(|_| ())
    }
}

mod signal {
    //! A reader must survive SIGUSR1, without which the read that it interrupts would never say so.
    #![allow(unsafe_code)]

    extern "C" fn nothing(_signal: i32) {}

    /// Installs a handler that does nothing; calls are not restarted after it.
    pub(crate) fn survive() {
        // SAFETY: all zeroes is a value of this plain structure.
        let mut action: libredox::data::SigAction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = nothing as *const () as usize;
        let _ = libredox::call::sigaction(libredox::flag::SIGUSR1, Some(&action), None);
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(part) = Part::from_arguments(&arguments) {
        signal::survive();
        return if part.run() == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    match transcript::run(&mut Redox, &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
