//! How long the calls of a method compute, as far as it decides where the next one starts.

use std::sync::atomic::{AtomicU8, Ordering};

/// What the last calls of a method were like. Two that end at once may count as one.
#[derive(Debug, Default)]
pub(crate) struct Habit {
    /// Long ones in a row, up to [`CERTAIN`].
    long: AtomicU8,
}

impl Habit {
    /// Whether the next call will be long, for all that is known.
    pub(crate) fn is_long(&self) -> bool {
        self.long.load(Ordering::Relaxed) >= CERTAIN
    }

    /// A call computed for long.
    pub(crate) fn was_long(&self) {
        let long = self.long.load(Ordering::Relaxed);
        self.long.store(long.saturating_add(1).min(CERTAIN), Ordering::Relaxed);
    }

    /// A call did not.
    pub(crate) fn was_short(&self) {
        // Most methods are always short, and write nothing that others read.
        if self.long.load(Ordering::Relaxed) > 0 {
            self.long.store(0, Ordering::Relaxed);
        }
    }
}

/// Long calls in a row that are no accident of a busy machine. Each costs the others two
/// milliseconds of a thread.
const CERTAIN: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_several_long_calls_in_a_row_and_one_short_one_ends_it() {
        let habit = Habit::default();
        for _ in 1..CERTAIN {
            habit.was_long();
        }
        habit.was_short();
        for _ in 0..CERTAIN {
            assert!(!habit.is_long());
            habit.was_long();
        }
        assert!(habit.is_long());
        habit.was_short();
        assert!(!habit.is_long());
    }
}
