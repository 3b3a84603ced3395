//! The deadline of one call, from its first moment. It covers every attempt and every wait.

use std::time::Duration;

use tokio::time::Instant;

/// When a call ends at the latest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    started: Instant,
    total: Duration,
}

impl Deadline {
    /// A deadline `total` from now; more than a year counts as a year.
    pub(crate) fn after(total: Duration) -> Self {
        Self { started: Instant::now(), total: total.min(LONGEST) }
    }

    /// The same beginning with another length.
    pub(crate) fn lasting(&self, total: Duration) -> Self {
        Self { total: total.min(LONGEST), ..*self }
    }

    pub(crate) fn at(&self) -> Instant {
        self.started + self.total
    }

    /// This one, or what is left until `other` when that is sooner.
    pub(crate) fn or_sooner(self, other: Option<Duration>) -> Self {
        Self { total: other.map_or(self.total, |other| self.total.min(other)), ..self }
    }

    /// What it was at the start.
    pub(crate) fn total(&self) -> Duration {
        self.total
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn left(&self) -> Duration {
        self.total.saturating_sub(self.elapsed())
    }

    /// What is left as it travels, at least 1; `None` when nothing is: then the call is not sent.
    pub(crate) fn left_ms(&self) -> Option<u32> {
        let left = self.left();
        let ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        (!left.is_zero()).then_some(ms.max(1))
    }
}

/// Keeps `started + total` within what an instant can hold, and below `u32::MAX` milliseconds times
/// a few: nobody waits a year for a call.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_left_shrinks_to_nothing() {
        let deadline = Deadline::after(Duration::from_secs(2));
        assert_eq!(deadline.left_ms(), Some(2000));
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!((deadline.left_ms(), deadline.elapsed().as_millis()), (Some(500), 1500));
        tokio::time::advance(Duration::from_micros(499_900)).await;
        assert_eq!(deadline.left_ms(), Some(1));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!((deadline.left(), deadline.left_ms()), (Duration::ZERO, None));
    }

    #[tokio::test]
    async fn an_endless_deadline_does_not_overflow() {
        let deadline = Deadline::after(Duration::MAX);
        assert!(deadline.at() > Instant::now());
        assert_eq!(deadline.left_ms(), Some(u32::MAX));
    }
}
