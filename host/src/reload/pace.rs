//! How often to look at the folder: at once when it is quiet, and never more than a share of the
//! time while it is not. A look costs as much as the folder has files, whatever changed.

use std::time::Duration;

/// When the next look may be. Times are since any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Duration,
    rest_until: Duration,
}

impl Pace {
    /// A look began at `from` and ended at `to`.
    pub(super) fn looked(&mut self, from: Duration, to: Duration) {
        let rest = to.saturating_sub(from) * REST;
        (self.last, self.rest_until) = (from, to + rest.min(MAX_REST));
    }

    /// When the last look began: what is known of the folder is true of that moment.
    pub(super) fn last(&self) -> Duration {
        self.last
    }

    /// Whether it is too early for another look.
    pub(super) fn rests(&self, now: Duration) -> bool {
        now < self.rest_until
    }

    /// The moment of a look that is wanted at `at`.
    pub(super) fn not_before(&self, at: Duration) -> Duration {
        at.max(self.rest_until)
    }
}

/// Rest after a look, in times of what it took: looks take a tenth of a core at most. A thousand
/// plugins that a hundred renames a second go through would otherwise take a whole one.
const REST: u32 = 9;

/// A folder on a slow disk, or a look on a busy machine, keeps a new file waiting no longer.
const MAX_REST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_storm_of_notices_makes_looks_a_tenth_of_the_time() {
        let (mut pace, mut now, mut looks) = (Pace::default(), Duration::ZERO, 0);
        while now < 1000 * MS {
            if !pace.rests(now) {
                pace.looked(now, now + 5 * MS);
                now += 5 * MS;
                looks += 1;
            }
            now += MS;
        }
        assert_eq!(looks, 20);
    }

    #[test]
    fn a_quiet_folder_is_looked_at_when_something_is_heard() {
        let mut pace = Pace::default();
        assert!(!pace.rests(Duration::ZERO));
        pace.looked(10 * MS, 11 * MS);
        assert!(pace.rests(19 * MS));
        assert!(!pace.rests(20 * MS));
        assert_eq!(pace.not_before(15 * MS), 20 * MS);
        assert_eq!(pace.not_before(25 * MS), 25 * MS);
        assert_eq!(pace.last(), 10 * MS);
    }

    #[test]
    fn a_slow_look_keeps_a_new_file_waiting_for_no_longer_than_the_bound() {
        let mut pace = Pace::default();
        pace.looked(Duration::ZERO, 1000 * MS);
        assert!(pace.rests(1000 * MS));
        assert!(!pace.rests(1000 * MS + MAX_REST));
    }
}
