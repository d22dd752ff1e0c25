//! The way back to a prompt, when a command did not end in time.

use std::time::{Duration, Instant};

use lab::{Error, Result};

use crate::console::{Console, Key};

/// How long the shell may take to be back after a key.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How long the tools for processes may take.
const TOOLS: Duration = Duration::from_secs(10);
/// Bytes of a program's path that the kernel keeps.
const NAME_KEPT: usize = 32;
/// How long a login may take.
const LOGIN: Duration = Duration::from_secs(30);

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    /// Empty, or what is said when the login asks for it.
    pub(crate) password: String,
}

impl Login {
    pub(crate) fn new(user: &str, password: &str) -> Login {
        Login {
            user: user.into(),
            password: password.into(),
        }
    }

    /// `USER:PASSWORD`; a password may have colons in it.
    pub(crate) fn parse(text: &str) -> Option<Login> {
        let (user, password) = text.split_once(':')?;
        Some(Login::new(user, password))
    }

    /// Logs in at the login's question.
    pub(crate) fn enter<L: FnMut(&str)>(&self, console: &mut Console<L>) -> Result<()> {
        console.log_in(&self.user, &self.password, LOGIN)
    }
}

/// Gets a console back whose command does not end: by Ctrl-C; by leaving the command with Ctrl-Z, killing its process
/// and logging in anew; and if the shell does not come back at all, by `restart`, after which the login asks again.
/// Each key has `patience` to work. Says which of them it was.
///
/// # Errors
/// Nothing helped, or the time for everything is over.
pub(crate) fn recover<L: FnMut(&str)>(
    console: &mut Console<L>,
    login: &Login,
    patience: Duration,
    restart: impl FnOnce(&mut Console<L>) -> Result<()>,
) -> Result<&'static str> {
    if console.is_over() {
        return Err(Error::new("the time for everything is over"));
    }
    let command = console.running().unwrap_or_default().to_owned();
    if console.press(Key::Interrupt, patience)? {
        return Ok("interrupted");
    }
    if console.press(Key::Suspend, patience)? {
        kill(console, program(&command))?;
        console.log_out()?;
        login.enter(console)?;
        return Ok("killed");
    }
    restart(console)?;
    login.enter(console)?;
    Ok("ended by a restart of the machine")
}

/// The program that a command line starts.
fn program(command: &str) -> &str {
    let word = command.split_whitespace().next().unwrap_or_default();
    word.rsplit('/').next().unwrap_or_default()
}

/// Kills every process of that name, by its number; how many there were.
///
/// # Errors
/// There is no list of processes.
pub(crate) fn kill<L: FnMut(&str)>(console: &mut Console<L>, program: &str) -> Result<usize> {
    let processes = processes(console, program)?;
    for process in &processes {
        console.run(&format!("kill -9 {process}"), TOOLS)?;
    }
    Ok(processes.len())
}

/// The numbers of the processes of that name, by what `ps` prints; of a long one, the whole path has to be given.
///
/// # Errors
/// There is no `ps`, or it does not end.
pub(crate) fn processes<L: FnMut(&str)>(
    console: &mut Console<L>,
    program: &str,
) -> Result<Vec<u64>> {
    let done = console.run("ps", TOOLS)?;
    match done.status {
        0 => Ok(numbers(&done.output, program)),
        status => Err(Error::new(format!("ps: status {status}"))),
    }
}

/// Each line of `ps` begins with the process's number and ends with its name, which may have folders before it, and of
/// which the kernel keeps the beginning only; its state, the fourth word, ends with Z when it is dead. Threads have lines
/// of their own.
fn numbers(list: &str, program: &str) -> Vec<u64> {
    let is_it = |name: &str| {
        let cut = name.len() >= NAME_KEPT && program.starts_with(name);
        cut || name == program || name.rsplit('/').next() == Some(program)
    };
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = words.first()?.parse().ok()?;
        let is_dead = words.get(3).is_some_and(|state| state.ends_with('Z'));
        (is_it(words.last()?) && !is_dead).then_some(number)
    };
    let mut numbers: Vec<u64> = list.lines().filter_map(of_line).collect();
    numbers.dedup();
    numbers
}

/// Kills the one process of that name, and waits until there is none any more.
///
/// # Errors
/// There is none, or it does not end.
pub(crate) fn end<L: FnMut(&str)>(console: &mut Console<L>, program: &str) -> Result<()> {
    if kill(console, program)? == 0 {
        return Err(Error::new(format!("{program} does not run")));
    }
    let deadline = Instant::now() + TOOLS;
    while !processes(console, program)?.is_empty() {
        if Instant::now() > deadline {
            return Err(Error::new(format!("{program} does not end")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
