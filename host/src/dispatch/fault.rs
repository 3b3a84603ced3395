//! A call that did not go well: what its caller is told, and when to try again.

use std::time::Duration;

use jackfield_wire::name::ServiceName;
use jackfield_wire::{Executed, Failure, Status};

use super::gate::Busy;
use crate::breaker::{Outcome, Quarantined};

/// A failure, and when another attempt may go better.
#[derive(Debug)]
pub(super) struct Fault {
    failure: Failure,
    retry_after: Option<Duration>,
}

impl Fault {
    pub(super) fn failure(&self) -> &Failure {
        &self.failure
    }

    /// Milliseconds until another attempt may go better; `None` when it is no question of time.
    pub(super) fn retry_after_ms(&self) -> Option<u32> {
        let Failure { status, executed, .. } = self.failure;
        let busy = status == Status::ResourceExhausted && executed == Executed::No;
        let after = self.retry_after.or(busy.then_some(RETRY_AFTER))?;
        Some(u32::try_from(after.as_millis()).unwrap_or(u32::MAX).max(1))
    }

    /// What it says of the plugin.
    pub(super) fn outcome(&self) -> (Outcome, &str) {
        match self.failure.status {
            Status::Trapped => (Outcome::Trap, &self.failure.message),
            _ => (Outcome::Neither, ""),
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { failure, retry_after: None }
    }
}

impl From<Busy> for Fault {
    fn from(busy: Busy) -> Self {
        let failure = Failure::not_executed(Status::ResourceExhausted, busy.to_string());
        Self { failure, retry_after: Some(busy.retry_after) }
    }
}

/// What a caller of `service` is told while it is quarantined.
pub(super) fn quarantined(service: &ServiceName, told: &Quarantined) -> Fault {
    let failure = Failure::not_executed(Status::Unavailable, format!("{service} is {told}"));
    Fault { failure, retry_after: Some(told.left) }
}

/// When a caller that was turned away may try again, where nothing better is known: a few small
/// calls' time.
const RETRY_AFTER: Duration = Duration::from_millis(50);
