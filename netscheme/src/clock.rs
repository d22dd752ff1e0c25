//! The one place where a daemon reads the clock.

use syscall::flag::CLOCK_MONOTONIC;

use crate::time::Instant;

/// The time now, by `CLOCK_MONOTONIC`.
///
/// Zero when the clock cannot be read, which no known system does: every deadline then looks far
/// away, and events still come.
pub fn now() -> Instant {
    match libredox::call::clock_gettime(CLOCK_MONOTONIC as i32) {
        Ok(time) => Instant::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)).saturating_add(
            core::time::Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0)),
        ),
        Err(_) => Instant::ZERO,
    }
}
