//! Stories about a sender, on a virtual clock.

mod hostile;
mod losses;
mod network;
mod paths;
mod receiver;
mod simulation;
mod story;
mod timeouts;
mod windows;

use super::*;

const MSS: usize = 1000;
