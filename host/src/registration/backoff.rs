//! How long to wait before the next attempt: growing, with full jitter, so that the hosts of a
//! restarted registry do not all come back at once.

use std::time::Duration;

/// Counts attempts that failed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause, for a `random` number from 0 to 1.
    pub(super) fn next(&mut self, random: f64) -> Duration {
        let ceiling = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LAST);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(random.clamp(0.0, 1.0)).max(LEAST)
    }
}

/// The longest first pause.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause of all: a host is back this long after its registry at the latest, which is
/// within the time that clients live on what they knew.
const LAST: Duration = Duration::from_secs(5);

/// No pause is shorter: attempts that fail at once must not spin.
const LEAST: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_ceiling_and_are_spread_below_it() {
        let mut backoff = Backoff::default();
        let longest: Vec<_> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(longest, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        assert_eq!(backoff.next(0.5), LAST / 2);
        assert_eq!(backoff.next(0.0), LEAST);
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.next(1.0), LAST);
    }
}
