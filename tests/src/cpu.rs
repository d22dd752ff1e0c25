//! Who took how much time of the CPUs.

use std::collections::BTreeMap;
use std::path::Path;

/// Seconds by the names of threads.
pub type CpuSeconds = BTreeMap<String, f64>;

/// The seconds that this process's threads have had a CPU for so far, to the nanosecond (proc(5), `schedstat`).
pub fn cpu_seconds() -> CpuSeconds {
    let mut seconds = CpuSeconds::new();
    let threads = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    for (name, spent) in threads.filter_map(|thread| of_thread(&thread.path())) {
        *seconds.entry(name).or_default() += spent;
    }
    seconds
}

/// What they have had since `before`.
pub fn cpu_seconds_since(before: &CpuSeconds) -> CpuSeconds {
    let mut seconds = cpu_seconds();
    for (name, spent) in &mut seconds {
        *spent -= before.get(name).copied().unwrap_or_default();
    }
    seconds
}

fn of_thread(folder: &Path) -> Option<(String, f64)> {
    let name = std::fs::read_to_string(folder.join("comm")).ok()?;
    let times = std::fs::read_to_string(folder.join("schedstat")).ok()?;
    let nanoseconds: f64 = times.split_whitespace().next()?.parse().ok()?;
    Some((name.trim_end().to_owned(), nanoseconds / 1e9))
}
