//! How far a transfer is.

use core::time::Duration;
use std::io::Write;

use netscheme::{Instant, clock};

use super::options::Options;

/// How often it is said, and how long a transfer may take without a word.
const INTERVAL: Duration = Duration::from_secs(1);

/// Says once a second how far a transfer is, and at its end how it went, if it took a while or the user wants to hear it
/// (`-#`). A short transfer is silent.
pub(super) struct Progress<'a> {
    total: Option<u64>,
    /// Bytes that were there before.
    from: u64,
    silent: bool,
    started: Instant,
    next: Instant,
    /// Something is to be said at the end.
    wanted: bool,
    err: &'a mut dyn Write,
}

impl<'a> Progress<'a> {
    pub(super) fn new(
        total: Option<u64>,
        from: u64,
        options: &Options,
        err: &'a mut dyn Write,
    ) -> Self {
        let started = clock::now();
        Progress {
            total,
            from,
            silent: options.silent,
            started,
            next: started.saturating_add(INTERVAL),
            wanted: options.progress,
            err,
        }
    }

    /// `count` bytes have been moved.
    pub(super) fn at(&mut self, count: u64) {
        if self.silent {
            return;
        }
        let now = clock::now();
        if now >= self.next {
            self.next = now.saturating_add(INTERVAL);
            self.wanted = true;
            self.say(count, now);
        }
    }

    /// That was all.
    pub(super) fn done(&mut self, count: u64) {
        if self.wanted && !self.silent {
            self.say(count, clock::now());
        }
    }

    fn say(&mut self, count: u64, now: Instant) {
        let line = line(self.from, count, self.total, now.since(self.started));
        // Progress that cannot be shown is no reason to end the transfer.
        let _ = writeln!(self.err, "curl: {line}");
    }
}

/// "1500000 of 3000000 bytes (50 %), 1.50 MB/s, 1 s left"
fn line(from: u64, count: u64, total: Option<u64>, took: Duration) -> String {
    let micros = took.as_micros().max(1);
    let rate = u128::from(count) * 1_000_000 / micros;
    let speed = format!("{}.{:02} MB/s", rate / 1_000_000, rate / 10_000 % 100);
    let there = u128::from(from) + u128::from(count);
    let Some(total) = total else {
        return format!("{there} bytes, {speed}");
    };
    let whole = u128::from(from) + u128::from(total);
    let percent = there * 100 / whole.max(1);
    let left = whole.saturating_sub(there);
    let rest = match left {
        0 => String::new(),
        _ if rate == 0 => ", stalled".into(),
        _ => format!(", {} s left", left.div_ceil(rate)),
    };
    format!("{there} of {whole} bytes ({percent} %), {speed}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let second = Duration::from_secs(1);
        for (from, count, total, expected) in [
            (
                0,
                1_500_000,
                Some(3_000_000),
                "1500000 of 3000000 bytes (50 %), 1.50 MB/s, 1 s left",
            ),
            (
                1_000_000,
                1_000_000,
                Some(2_000_000),
                "2000000 of 3000000 bytes (66 %), 1.00 MB/s, 1 s left",
            ),
            (
                0,
                3_000_000,
                Some(3_000_000),
                "3000000 of 3000000 bytes (100 %), 3.00 MB/s",
            ),
            (0, 0, Some(5), "0 of 5 bytes (0 %), 0.00 MB/s, stalled"),
            (0, 0, Some(0), "0 of 0 bytes (0 %), 0.00 MB/s"),
            (0, 70_000, None, "70000 bytes, 0.07 MB/s"),
        ] {
            assert_eq!(line(from, count, total, second), expected);
        }
        // Numbers of a hostile server.
        assert!(line(u64::MAX, u64::MAX, Some(u64::MAX), Duration::ZERO).contains("100 %"));
    }
}
