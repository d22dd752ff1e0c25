//! Log lines on the daemon's standard error: `name: level: text`.
//!
//! Init gives every daemon a standard error that leads to the system's log. In the lab several daemons
//! share one Linux process and with it the `log` crate's global logger, each on threads of its own:
//! name and level therefore belong to the thread.

use core::cell::RefCell;
use core::fmt::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// The descriptor of standard error.
const STDERR: usize = 2;

thread_local! {
    static DAEMON: RefCell<Daemon> = const { RefCell::new(Daemon { name: String::new(), level: LevelFilter::Off }) };
}

struct Daemon {
    name: String,
    level: LevelFilter,
}

struct Logger;

static LOGGER: Logger = Logger;

/// Logs this thread's lines under `name` from now on, those at `level` and above. The first call in
/// a process installs the logger; if another one is installed already, that one keeps the lines.
pub fn init(name: &str, level: LevelFilter) {
    DAEMON.with_borrow_mut(|daemon| {
        *daemon = Daemon {
            name: name.to_owned(),
            level,
        };
    });
    // The global filter comes before ours; it must let through what any daemon wants.
    let _ = log::set_logger(&LOGGER);
    if log::max_level() < level {
        log::set_max_level(level);
    }
}

/// The level that `text` names (`error`, `warn`, `info`, `debug`, `trace`, `off`); `None` when it
/// names none.
pub fn parse_level(text: &str) -> Option<LevelFilter> {
    text.parse().ok()
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        DAEMON
            .try_with(|daemon| {
                daemon
                    .try_borrow()
                    .is_ok_and(|daemon| metadata.level() <= daemon.level)
            })
            .unwrap_or(false)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = DAEMON.try_with(|daemon| {
            daemon
                .try_borrow()
                .ok()
                .map(|daemon| format_line(&daemon.name, record))
        });
        if let Ok(Some(line)) = line {
            // There is nowhere to report that a report failed.
            let _ = libredox::call::write(STDERR, line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// One line, written at once so that the lines of several daemons do not mix.
fn format_line(name: &str, record: &Record<'_>) -> String {
    let level = match record.level() {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let mut line = String::new();
    // Writing to a string fails only if an argument's own formatting does.
    let _ = write!(line, "{name}: {level}: {}", record.args());
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_how_bad_and_what() {
        let args = format_args!("the queue is full");
        let record = Record::builder().level(Level::Warn).args(args).build();
        assert_eq!(
            format_line("virtio-netd", &record),
            "virtio-netd: warn: the queue is full\n"
        );
    }

    #[test]
    fn two_daemons_in_one_process_keep_their_own_levels() {
        let enabled = |level| LOGGER.enabled(&Metadata::builder().level(level).build());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                init("quiet", LevelFilter::Error);
                assert!(enabled(Level::Error) && !enabled(Level::Info));
            });
            scope.spawn(|| {
                init("verbose", LevelFilter::Debug);
                assert!(enabled(Level::Debug) && !enabled(Level::Trace));
            });
        });
        assert!(
            !enabled(Level::Error),
            "a thread that is no daemon says nothing"
        );
        assert_eq!(parse_level("debug"), Some(LevelFilter::Debug));
        assert_eq!(parse_level("loud"), None);
    }
}
