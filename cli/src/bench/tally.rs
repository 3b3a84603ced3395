//! What became of calls: how many were answered and how soon, and how the others failed.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use jackfield_wire::Status;

/// The outcomes of any number of calls, in bounded memory.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Of answers, in nanoseconds, to three digits.
    pub(crate) latencies: Histogram<u64>,
    /// By the name of their status.
    pub(crate) failures: BTreeMap<&'static str, Failures>,
    /// Answers that came before the time to begin calls was over.
    pub(crate) in_time: u64,
}

/// A call that was not answered.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    /// For a person.
    pub(crate) text: String,
}

/// Failures of one status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failures {
    pub(crate) status: Status,
    pub(crate) count: u64,
    /// The text of the first.
    pub(crate) example: String,
}

impl Default for Tally {
    fn default() -> Self {
        let latencies = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3);
        Self {
            latencies: latencies.expect("the bounds are in order and the digits fit"),
            failures: BTreeMap::new(),
            in_time: 0,
        }
    }
}

impl Tally {
    /// Adds one call.
    pub(crate) fn add(&mut self, outcome: Result<(), Failure>, took: Duration, in_time: bool) {
        match outcome {
            Ok(()) => {
                let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                self.latencies.saturating_record(nanos);
                self.in_time += u64::from(in_time);
            }
            Err(failure) => {
                let Failure { status, text: example } = failure;
                let none = Failures { status, count: 0, example };
                self.failures.entry(status.name()).or_insert(none).count += 1;
            }
        }
    }

    /// Adds every call of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("all tallies have the same bounds");
        for (name, failures) in &other.failures {
            self.failures
                .entry(name)
                .or_insert_with(|| Failures { count: 0, ..failures.clone() })
                .count += failures.count;
        }
        self.in_time += other.in_time;
    }

    /// Calls that were answered.
    pub(crate) fn answers(&self) -> u64 {
        self.latencies.len()
    }

    /// Calls that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().map(|failures| failures.count).sum()
    }
}

/// Longer than any deadline that people set; a longer latency counts as this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: Status, text: &str) -> Result<(), Failure> {
        Err(Failure { status, text: text.into() })
    }

    #[test]
    fn failures_are_counted_by_name_with_the_first_as_example() {
        let mut tally = Tally::default();
        tally.add(failure(Status::Trapped, "one"), Duration::ZERO, true);
        tally.add(failure(Status::Trapped, "two"), Duration::ZERO, true);
        let mut other = Tally::default();
        other.add(failure(Status::Trapped, "three"), Duration::ZERO, true);
        other.add(failure(Status::Internal, "four"), Duration::ZERO, true);
        tally.merge(&other);
        let trapped = Failures { status: Status::Trapped, count: 3, example: "one".into() };
        assert_eq!(tally.failures["trapped"], trapped);
        assert_eq!((tally.failed(), tally.answers()), (4, 0));
    }

    #[test]
    fn a_latency_beyond_all_bounds_is_kept_as_the_longest() {
        let mut tally = Tally::default();
        tally.add(Ok(()), Duration::MAX, false);
        assert_eq!((tally.answers(), tally.in_time), (1, 0));
        assert!(tally.latencies.max() >= LONGEST.as_nanos() as u64);
    }
}
