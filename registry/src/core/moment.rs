//! Time as the core sees it: how long the registry has run, on a monotonic clock.
//!
//! Never a wall clock: no step of the system's time may end a lease.

use std::num::NonZeroU64;
use std::time::Duration;

/// Time since the registry started, to the nanosecond and for 584 years. Never zero inside, so that
/// an optional one takes no more room: every instance has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(NonZeroU64);

impl Moment {
    /// The moment this long after the start.
    pub(crate) fn since_start(elapsed: Duration) -> Self {
        Self::default().plus(elapsed)
    }

    /// How long after the start this is.
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }

    pub(crate) fn plus(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// Time from `earlier` to this; zero when it is not earlier.
    pub(crate) fn after(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Moment {
    fn default() -> Self {
        Self(NonZeroU64::MIN)
    }
}
