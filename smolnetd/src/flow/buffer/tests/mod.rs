//! The buffers and the window against models that are too simple to be wrong, at every boundary, and all together.

mod receive;
mod send;
mod together;
mod window;

use std::sync::LazyLock;

/// How long it takes until the octets of a stream repeat: prime, and no multiple of anything that is tested.
const PERIOD: usize = 65_521;

/// A stream's octets, twice, so that any 64 KiB of it can be borrowed.
static STREAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let octet = |at: usize| ((at % PERIOD) as u32).wrapping_mul(0x9E37_79B1) >> 24;
    (0..2 * PERIOD).map(|at| octet(at) as u8).collect()
});

/// The `length` octets of a stream (up to 65,521) from the `at`th on.
fn stream(at: u64, length: usize) -> &'static [u8] {
    &STREAM[(at % PERIOD as u64) as usize..][..length]
}
