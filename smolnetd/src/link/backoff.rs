//! Retransmission as RFC 8415 section 15 has it; RFC 7559 takes the same for Router Solicitations.

use smoltcp::time::Duration;

use super::random::Random;

/// RAND of RFC 8415 section 15 lies between -0.1 and +0.1: a tenth, as a divisor.
const SPREAD: u64 = 10;

/// The times between retransmissions of one exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// IRT
    first: Duration,
    /// MRT
    longest: Duration,
    /// RTprev
    previous: Option<Duration>,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff {
            first,
            longest,
            previous: None,
        }
    }

    /// From the beginning.
    pub(super) fn restart(&mut self) {
        self.previous = None;
    }

    /// Another MRT, as a server may ask for.
    pub(super) fn set_longest(&mut self, longest: Duration) {
        self.longest = longest;
    }

    /// RT: how long to wait for an answer to the message that is being sent.
    pub(super) fn next(&mut self, random: &mut Random) -> Duration {
        let wait = match self.previous {
            None => spread(random, self.first, self.first),
            // RT = 2*RTprev + RAND*RTprev
            Some(previous) => spread(random, twice(previous), previous),
        };
        let wait = if wait > self.longest {
            spread(random, self.longest, self.longest)
        } else {
            wait
        };
        self.previous = Some(wait);
        wait
    }
}

/// `base` + RAND * `part`.
fn spread(random: &mut Random, base: Duration, part: Duration) -> Duration {
    let tenth = Duration::from_micros(part.total_micros() / SPREAD);
    let low = Duration::from_micros(base.total_micros().saturating_sub(tenth.total_micros()));
    let high = Duration::from_micros(base.total_micros().saturating_add(tenth.total_micros()));
    random.between(low, high)
}

fn twice(wait: Duration) -> Duration {
    Duration::from_micros(wait.total_micros().saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(4);
    const LONGEST: Duration = Duration::from_secs(3600);

    /// RFC 8415 section 15, RFC 7559 section 2.
    #[test]
    fn waits_double_give_or_take_a_tenth_up_to_the_longest() {
        let mut random = Random::new(7, 0);
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next(&mut random)).collect();
        let mut before: Option<u64> = None;
        for wait in &waits {
            let micros = wait.total_micros();
            let (low, high) = match before {
                None => (3_600_000, 4_400_000),
                Some(before) if before > 1_800_000_000 => (3_240_000_000, 3_960_000_000),
                Some(before) => (before * 19 / 10, (before * 21 / 10).min(3_960_000_000)),
            };
            assert!((low..=high).contains(&micros), "{waits:?}");
            before = Some(micros);
        }
        backoff.restart();
        assert!(backoff.next(&mut random) < Duration::from_secs(5));
    }

    #[test]
    fn no_longest_wait_is_too_long_to_reckon_with() {
        let mut random = Random::new(7, 0);
        let mut backoff = Backoff::new(FIRST, Duration::MAX);
        for _ in 0..200 {
            backoff.next(&mut random);
        }
    }
}
