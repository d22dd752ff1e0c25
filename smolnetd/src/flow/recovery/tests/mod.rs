//! Stories about a sender, on a virtual clock.

mod network;
mod receiver;
mod simulation;

use super::*;

const MSS: usize = 1000;
