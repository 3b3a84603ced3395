//! One counter for each status, made when that first comes up.

use std::sync::OnceLock;

use jackfield_wire::Status;
use metrics::{Counter, Label};

/// Counters of one name that differ in their status.
pub(super) struct ByStatus {
    name: &'static str,
    labels: Vec<Label>,
    counters: [OnceLock<Counter>; STATUSES],
}

impl ByStatus {
    pub(super) fn new(name: &'static str, labels: &[(&'static str, String)]) -> Self {
        let labels = labels.iter().map(Label::from).collect();
        Self { name, labels, counters: [const { OnceLock::new() }; STATUSES] }
    }

    pub(super) fn count(&self, status: Status) {
        // A status that is added later without a place here shares the last one.
        let slot = (status as usize).min(STATUSES - 1);
        self.counters[slot].get_or_init(|| self.counter(status)).increment(1);
    }

    fn counter(&self, status: Status) -> Counter {
        let mut labels = self.labels.clone();
        labels.push(Label::new("status", status.name()));
        metrics::counter!(self.name, labels)
    }
}

/// The closed set of [`Status`].
const STATUSES: usize = Status::ALL.len();
