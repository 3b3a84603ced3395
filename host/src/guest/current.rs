//! The call that a guest runs for: who makes it, how long it has, which trace it is part of.
//!
//! Set when a method begins, gone when it has ended: start-up code and an instance at rest run for
//! nobody.

use std::time::Duration;

use jackfield_transport::PeerId;
use jackfield_wire::TraceContext;
use tokio::time::Instant;

/// One call, as its guest may know it.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) caller: PeerId,
    pub(crate) deadline: Instant,
    pub(crate) trace: Option<TraceContext>,
    /// Calls of services above it.
    pub(crate) hops: u8,
}

impl Current {
    /// How long its caller still waits.
    pub(super) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
