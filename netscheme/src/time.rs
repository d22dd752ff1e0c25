//! A point in time, as a number: no clock is read here.

use core::time::Duration;

/// Nanoseconds of `CLOCK_MONOTONIC`, which counts from an arbitrary point (the start of the system).
///
/// 64 bits of nanoseconds last 584 years; arithmetic is checked or saturating all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The clock's own zero.
    pub const ZERO: Instant = Instant(0);
    /// The last representable point: a deadline that never comes.
    pub const MAX: Instant = Instant(u64::MAX);

    /// `nanos` nanoseconds after [`Instant::ZERO`].
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// `micros` microseconds after [`Instant::ZERO`], saturating.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// `millis` milliseconds after [`Instant::ZERO`], saturating.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// `secs` seconds after [`Instant::ZERO`], saturating.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since [`Instant::ZERO`].
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Whole microseconds since [`Instant::ZERO`].
    pub const fn micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole milliseconds since [`Instant::ZERO`].
    pub const fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// `self + duration`, or `None` beyond [`Instant::MAX`].
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_add(nanos).map(Self)
    }

    /// `self + duration`, or [`Instant::MAX`] beyond it.
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or(Self::MAX)
    }

    /// `self - duration`, or [`Instant::ZERO`] before it.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_time_is_a_deadline_and_not_a_panic() {
        let late = Instant::from_nanos(u64::MAX - 1);
        assert_eq!(
            late.checked_add(Duration::from_nanos(1)),
            Some(Instant::MAX)
        );
        assert_eq!(late.checked_add(Duration::from_nanos(2)), None);
        assert_eq!(late.saturating_add(Duration::MAX), Instant::MAX);
        assert_eq!(Instant::from_secs(u64::MAX), Instant::MAX);
    }

    #[test]
    fn a_clock_that_seems_to_run_backwards_measures_zero() {
        let earlier = Instant::from_millis(5);
        let later = Instant::from_millis(7);
        assert_eq!(later.since(earlier), Duration::from_millis(2));
        assert_eq!(earlier.since(later), Duration::ZERO);
        assert_eq!(
            earlier.saturating_sub(Duration::from_secs(1)),
            Instant::ZERO
        );
    }

    #[test]
    fn units_agree() {
        assert_eq!(Instant::from_micros(1_500), Instant::from_nanos(1_500_000));
        assert_eq!(Instant::from_nanos(1_999_999).millis(), 1);
        assert_eq!(Instant::from_nanos(1_999).micros(), 1);
        assert!(Instant::from_secs(1) > Instant::from_millis(999));
    }
}
