//! The whole driver, from pcid's channel to its scheme, on the stand-in for the kernel: only the
//! card is made of plain values.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bars;
mod card;
mod interrupts;
mod machine;
mod memory;
mod pcid;
mod resets;
mod scheme;
