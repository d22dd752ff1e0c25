//! What is kept of a run: `runs/<time>-<process>-<name>/` with the log, the counters and the packets.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Context, Result};

/// The variable that names the folder of the runs; without it they are in `runs/` of the workspace.
pub const RUNS_FOLDER: &str = "LAB_RUNS";
/// Older runs than this many are deleted when a new one begins.
const RUNS_KEPT: usize = 200;

/// The folder of one run. It stays.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    log: Mutex<File>,
    start: Instant,
}

impl RunDirectory {
    /// Makes a folder for a run of that name.
    pub fn create(name: &str) -> Result<Self> {
        let runs = runs_folder();
        fs::create_dir_all(&runs).context(runs.display())?;
        forget_the_oldest(&runs);
        let path = new_folder(&runs, name).context(runs.display())?;
        let log = File::create(path.join("log")).context(path.display())?;
        Ok(Self {
            path,
            log: Mutex::new(log),
            start: Instant::now(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The log of everybody.
    pub fn log_path(&self) -> PathBuf {
        self.file("log")
    }

    /// The last `count` lines that `who` logged, for an error message.
    pub fn last_lines(&self, who: &str, count: usize) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let name = format!(" {who}: ");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&name)).collect();
        lines
            .get(lines.len().saturating_sub(count)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// Adds a line to the log: seconds since the start, who, what. A full disk loses the line, not the run.
    pub fn log(&self, who: &str, line: &[u8]) {
        let mut file = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = self.start.elapsed().as_secs_f64();
        let mut text = format!("{seconds:10.6} {who}: ").into_bytes();
        text.extend_from_slice(line);
        text.push(b'\n');
        let _ = file.write_all(&text);
    }
}

/// Where the folders of the runs are.
pub fn runs_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os(RUNS_FOLDER) {
        return folder.into();
    }
    // A binary that was taken elsewhere keeps its runs where it is started.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    workspace
        .filter(|folder| folder.is_dir())
        .unwrap_or(Path::new("."))
        .join("runs")
}

fn new_folder(runs: &Path, name: &str) -> std::io::Result<PathBuf> {
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(100)
        .collect();
    let base = format!("{}-{}-{name}", utc_now(), std::process::id());
    for attempt in 1.. {
        let path = runs.join(if attempt == 1 {
            base.clone()
        } else {
            format!("{base}-{attempt}")
        });
        match fs::create_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| path),
        }
    }
    unreachable!("the loop above has no end")
}

/// "20261120T164205": sorts as time does.
fn utc_now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    utc(seconds)
}

fn utc(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}")
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar. The year is taken to begin on 1 March,
/// so that the leap day is its last.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    let day = days + DAYS_TO_1970;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year_of_era + next_year, month, day_of_month)
}

fn forget_the_oldest(runs: &Path) {
    let Ok(entries) = fs::read_dir(runs) else {
        return;
    };
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("20"))
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    let surplus = folders.len().saturating_sub(RUNS_KEPT);
    for folder in folders.iter().take(surplus) {
        // Somebody else may be forgetting it too.
        let _ = fs::remove_dir_all(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        assert_eq!(utc(0), "19700101T000000");
        assert_eq!(utc(951_782_400), "20000229T000000");
        assert_eq!(utc(1_709_251_199), "20240229T235959");
        assert_eq!(utc(1_795_193_999), "20261120T165959");
    }

    #[test]
    fn two_runs_of_one_second_and_name_have_two_folders() {
        let runs = tempfile::tempdir().unwrap();
        let first = new_folder(runs.path(), "a/../b").unwrap();
        let second = new_folder(runs.path(), "a/../b").unwrap();
        assert_ne!(first, second);
        assert_eq!(first.parent(), Some(runs.path()), "a name cannot climb out");
    }
}
