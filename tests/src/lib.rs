//! The lab: QEMU's devices as the hardware of this process, Linux as the peer, and the Redox kernel interface of
//! `redox-host` in between. The daemons that run here are the ones that run on Redox.

mod checksum;
mod cpu;
mod door;
mod error;
pub mod machine;
pub mod network;
pub mod pcap;
pub mod pcid;
pub mod peers;
mod platform;
mod process;
pub mod programs;
mod run;
mod scratch;
mod skip;
mod stack;
mod surroundings;
mod table;
mod wait;
pub mod xhcid;

pub use cpu::{CpuSeconds, cpu_seconds, cpu_seconds_since};
pub use door::{Door, ask};
pub use error::{Context, Error, Result};
pub use platform::LabPlatform;
pub use process::{Process, Program};
pub use run::{RUNS_FOLDER, RunDirectory, runs_folder};
pub use skip::{ALLOW_NO_TAP, SKIPPED_FILE, requires_namespace, requires_tap};
pub use stack::{CommandOutput, Stack, StackSpec, StaticAddress};
pub use surroundings::Surroundings;
pub use table::Table;
pub use wait::Stop;

/// A number that nobody can guess, from the keys of the standard library's hash.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
