//! Time as the core sees it: how long the registry has run, on a monotonic clock.
//!
//! Never a wall clock: no step of the system's time may end a lease.

use std::time::Duration;

/// Time since the registry started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(Duration);

impl Moment {
    /// The moment this long after the start.
    pub(crate) fn since_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the start this is.
    pub(crate) fn elapsed(self) -> Duration {
        self.0
    }

    pub(crate) fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Time from `earlier` to this; zero when it is not earlier.
    pub(crate) fn after(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
