//! How long to wait after a failure: exponential, with full jitter. Pure.
//!
//! Full jitter (a uniform draw between nothing and the bound) spreads many clients that failed at
//! one moment; see <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.

use std::time::Duration;

/// The bounds of a wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The bound after the first failure.
    pub first: Duration,
    /// The bound that later ones grow up to.
    pub most: Duration,
    /// What the bound is multiplied by after each further failure; below 1 counts as 1.
    pub factor: f64,
}

impl Backoff {
    /// Between attempts to reach a registry again: soon enough that a restart is hardly noticed,
    /// spread enough that thousands do not come back in one moment. Five seconds at most, half of a
    /// lease's default time: a host that waits longer would lose its lease to a registry that has
    /// just come back with the old set.
    pub const RECONNECT: Self =
        Self { first: Duration::from_millis(100), most: Duration::from_secs(5), factor: 2.0 };

    /// The longest wait after `failures` failures in a row.
    pub fn bound(&self, failures: u32) -> Duration {
        let steps = failures.saturating_sub(1).min(MAX_STEPS) as i32;
        let grown = self.first.as_secs_f64() * self.factor.max(1.0).powi(steps);
        // NaN and what no duration can hold are beyond every bound.
        Duration::try_from_secs_f64(grown).unwrap_or(Duration::MAX).min(self.most)
    }

    /// A wait after `failures` failures in a row; `entropy` is any uniformly drawn number.
    pub fn pause(&self, failures: u32, entropy: u64) -> Duration {
        let bound = u64::try_from(self.bound(failures).as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(entropy % (bound + 1))
    }
}

/// Keeps the power within what an `i32` can say; every bound is reached long before.
const MAX_STEPS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Backoff = Backoff::RECONNECT;

    #[test]
    fn the_bound_doubles_up_to_its_most() {
        let bounds: Vec<_> = (0..8).map(|n| ANY.bound(n).as_millis()).collect();
        assert_eq!(bounds, [100, 100, 200, 400, 800, 1600, 3200, 5000]);
    }

    #[test]
    fn factors_that_make_no_sense_do_no_harm() {
        let bound = |factor| Backoff { factor, ..ANY }.bound(u32::MAX);
        assert_eq!((bound(0.5), bound(1.0)), (ANY.first, ANY.first));
        assert_eq!([f64::INFINITY, 1e300].map(bound), [ANY.most; 2]);
        assert_eq!(bound(f64::NAN), ANY.first);
    }

    #[test]
    fn a_pause_is_anywhere_up_to_its_bound_and_never_over_it() {
        assert_eq!(ANY.pause(3, 0), Duration::ZERO);
        assert_eq!(ANY.pause(3, 400_000), ANY.bound(3));
        for failures in [0, 1, 7, u32::MAX] {
            for entropy in [0, 1, 99_999, 5_000_001, u64::MAX] {
                assert!(ANY.pause(failures, entropy) <= ANY.bound(failures));
            }
        }
    }
}
