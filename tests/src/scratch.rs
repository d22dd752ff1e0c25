//! Folders for sockets and memory files, deleted with their owner; what a killed process left behind is deleted by the
//! next one.

use std::path::Path;

use tempfile::TempDir;

use crate::error::{Context, Result};

const PREFIX: &str = "lab-";

/// A folder of this process, in memory where there is such a place.
pub(crate) fn folder() -> Result<TempDir> {
    let shared_memory = Path::new("/dev/shm");
    let place = if shared_memory.is_dir() {
        shared_memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    delete_orphans(&place);
    let prefix = format!("{PREFIX}{}-", std::process::id());
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(&place)
        .context(format_args!("a folder in {}", place.display()))
}

fn delete_orphans(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if owner(&path).is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            // Somebody else may be deleting it too.
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// The process whose folder that is; None for what is no folder of ours.
fn owner(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    name.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_deleted_by_the_next() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = place.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        // No process has a number above 2^22.
        let orphan = make("lab-4194305-Xyz");
        let ours = make(&format!("lab-{}-Xyz", std::process::id()));
        let others = [make("lab-Xyz"), make("lab"), make("elsewhere-4194305-x")];
        delete_orphans(place.path());
        assert!(!orphan.exists());
        assert!(ours.exists() && others.iter().all(|path| path.exists()));
    }
}
