//! Arithmetic on time that cannot overflow, whatever the clock says.

use smoltcp::time::Instant;

/// Microseconds.
pub(super) type Micros = u64;

/// From `then` to `now`; none if the clock went back.
pub(super) fn elapsed(now: Instant, then: Instant) -> Micros {
    let micros = now.total_micros().saturating_sub(then.total_micros());
    Micros::try_from(micros).unwrap_or(0)
}

/// `wait` after `at`.
pub(super) fn later(at: Instant, wait: Micros) -> Instant {
    let wait = i64::try_from(wait).unwrap_or(i64::MAX);
    Instant::from_micros(at.total_micros().saturating_add(wait))
}
