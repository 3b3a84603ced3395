//! What a registry says of itself, and the counters behind it.

use std::sync::atomic::{AtomicU64, Ordering};

use jackfield_wire::Status;
use jackfield_wire::registry::Revision;

use crate::core::Refused;

/// A registry at one moment. Counts are since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryStatus {
    /// The state of the set.
    pub revision: Revision,
    /// It has been up for a TTL: what it does not hold is gone.
    pub authoritative: bool,
    /// Instances, whatever their health.
    pub instances: usize,
    /// Instances that may be called now.
    pub available: usize,
    /// Instances that are silent, and kept until somebody has looked.
    pub doubtful: usize,
    /// Watches that are open.
    pub watches: usize,
    /// Registrations of single instances, repeated ones too.
    pub registered: u64,
    /// Heartbeat messages.
    pub heartbeats: u64,
    /// Deregistrations of single instances.
    pub deregistered: u64,
    /// Instances whose connection was lost.
    pub suspected: u64,
    /// Instances that no heartbeat renewed in time.
    pub expired: u64,
    /// Requests that were refused, malformed ones included.
    pub refused: u64,
    /// Requests refused because the peer may not do that.
    pub denied: u64,
    /// Streams that brought no readable request.
    pub malformed: u64,
}

/// Requests that were not served.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    all: AtomicU64,
    denied: AtomicU64,
    malformed: AtomicU64,
}

impl Refusals {
    pub(crate) fn count(&self, refused: &Refused) {
        self.all.fetch_add(1, Ordering::Relaxed);
        if refused.status() == Status::PermissionDenied {
            self.denied.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(refused, Refused::Malformed(_)) {
            self.malformed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn fill(&self, status: &mut RegistryStatus) {
        status.refused = self.all.load(Ordering::Relaxed);
        status.denied = self.denied.load(Ordering::Relaxed);
        status.malformed = self.malformed.load(Ordering::Relaxed);
    }
}
