//! The one place where a daemon or a command reads the clock.

use core::time::Duration;

use syscall::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};

use crate::time::Instant;

/// The time now, by `CLOCK_MONOTONIC`.
///
/// Zero when the clock cannot be read, which no known system does: every deadline then looks far
/// away, and events still come.
pub fn now() -> Instant {
    match libredox::call::clock_gettime(CLOCK_MONOTONIC as i32) {
        Ok(time) => Instant::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)).saturating_add(
            Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0)),
        ),
        Err(_) => Instant::ZERO,
    }
}

/// The time of day, since 1970-01-01 00:00 UTC: for what carries dates, such as certificates. It may jump; deadlines
/// are made of [`now`].
///
/// `None` when the clock cannot be read or stands before 1970.
pub fn wall() -> Option<Duration> {
    let time = libredox::call::clock_gettime(CLOCK_REALTIME as i32).ok()?;
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u32::try_from(time.tv_nsec).ok()?;
    Some(Duration::new(seconds, nanos.min(999_999_999)))
}
