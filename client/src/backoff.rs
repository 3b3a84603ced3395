//! How long to wait after a failure: exponential, with full jitter. Pure.
//!
//! Full jitter (a uniform draw between nothing and the bound) spreads many clients that failed at
//! one moment; see <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.

use std::time::Duration;

/// The bounds of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The bound after the first failure.
    pub(crate) first: Duration,
    /// The bound that later ones double up to.
    pub(crate) most: Duration,
}

impl Backoff {
    /// The longest wait after `failures` failures in a row.
    pub(crate) fn bound(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(MAX_DOUBLINGS);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }

    /// A wait after `failures` failures in a row; `entropy` is any uniformly drawn number.
    pub(crate) fn pause(&self, failures: u32, entropy: u64) -> Duration {
        let bound = u64::try_from(self.bound(failures).as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(entropy % (bound + 1))
    }
}

/// Keeps `1 << doublings` within a `u32`; every bound here is reached long before.
const MAX_DOUBLINGS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANY: Backoff =
        Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };

    #[test]
    fn the_bound_doubles_up_to_its_most() {
        let bounds: Vec<_> = (0..8).map(|n| ANY.bound(n).as_millis()).collect();
        assert_eq!(bounds, [100, 100, 200, 400, 800, 1600, 3200, 5000]);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_over_its_bound(failures: u32, entropy: u64) {
            prop_assert!(ANY.pause(failures, entropy) <= ANY.bound(failures));
        }
    }
}
