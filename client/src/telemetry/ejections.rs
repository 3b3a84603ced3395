//! Who is left out, counted for all clients of a process together.

use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Counter, Gauge};

use super::{EJECTED, EJECTIONS};

/// What one client adds to the figures; takes it away when it ends.
pub(crate) struct Ejections {
    outliers: Counter,
    unreachable: Counter,
    ejected: Gauge,
    /// Of `ejected`, what this client has added.
    added: AtomicUsize,
}

impl Ejections {
    pub(crate) fn new() -> Self {
        Self {
            outliers: metrics::counter!(EJECTIONS, "reason" => "outlier"),
            unreachable: metrics::counter!(EJECTIONS, "reason" => "unreachable"),
            ejected: metrics::gauge!(EJECTED),
            added: AtomicUsize::new(0),
        }
    }

    /// An instance has failed too often, or is too slow.
    pub(crate) fn outlier(&self) {
        self.outliers.increment(1);
    }

    /// An address cannot be reached.
    pub(crate) fn unreachable(&self) {
        self.unreachable.increment(1);
    }

    /// So many are out now.
    pub(crate) fn are(&self, out: usize) {
        let before = self.added.swap(out, Ordering::Relaxed);
        if out > before {
            self.ejected.increment((out - before) as f64);
        } else if out < before {
            self.ejected.decrement((before - out) as f64);
        }
    }
}

impl Drop for Ejections {
    fn drop(&mut self) {
        self.are(0);
    }
}

impl std::fmt::Debug for Ejections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ejections").field("out", &self.added).finish_non_exhaustive()
    }
}
