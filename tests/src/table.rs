//! How stages are shown.

use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Stages and how they went, printed as they happen.
pub struct Table {
    started: Instant,
    passed: usize,
}

impl Table {
    /// Prints the title and what the columns are.
    pub fn new(title: &str) -> Table {
        println!("{title}\n");
        println!("  {:<26} {:>9}  result", "stage", "time");
        Table {
            started: Instant::now(),
            passed: 0,
        }
    }

    /// Runs a stage and prints its line; what `run` gives is what the line shows.
    ///
    /// # Errors
    /// What the stage failed with, under its name.
    pub fn stage(&mut self, name: &str, run: impl FnOnce() -> Result<String>) -> Result<()> {
        let started = Instant::now();
        let result = run();
        let time = milliseconds(started.elapsed());
        match result {
            Ok(detail) => {
                println!("  {name:<26} {time:>9}  ok    {detail}");
                self.passed += 1;
                Ok(())
            }
            Err(error) => {
                println!("  {name:<26} {time:>9}  FAILED");
                Err(Error::new(format!("stage \"{name}\": {error}")))
            }
        }
    }

    /// The last line, when all went well.
    pub fn finish(&self) {
        let time = milliseconds(self.started.elapsed());
        println!("\n  {} stages passed in {time}", self.passed);
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
