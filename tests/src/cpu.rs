//! Who took how much time of the CPUs.

use std::collections::BTreeMap;

/// Clock ticks of `/proc` a second, on every Linux that Debian runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of this process's threads so far, by the threads' names (proc(5), fields 14 and 15 of `stat`).
pub fn cpu_seconds() -> BTreeMap<String, f64> {
    let mut seconds = BTreeMap::new();
    let threads = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    for text in
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok())
    {
        let Some((name, rest)) = text
            .split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(')'))
        else {
            continue;
        };
        let ticks = rest
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok());
        *seconds.entry(name.to_owned()).or_insert(0.0) += ticks.sum::<f64>() / TICKS_PER_SECOND;
    }
    seconds
}
