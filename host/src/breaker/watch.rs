//! A plugin's breaker as its calls share it, and what people are told of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Admission, Breaker, Change, Outcome, Pass};

/// Watches the calls of one generation of a plugin.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Never held across an await.
    state: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    breaker: Breaker,
    /// Why it is quarantined; empty when it is not.
    reason: String,
}

/// Calls are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "quarantined: {reason}; tried again in {left:?}, and at once when the plugin's file changes"
)]
pub(crate) struct Quarantined {
    reason: String,
    /// For how long.
    pub(crate) left: Duration,
}

impl Quarantined {
    /// What happened.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

impl Watch {
    /// A call wants to run.
    ///
    /// # Errors
    /// When it may not.
    pub(crate) fn admit(&self) -> Result<Watching<'_>, Quarantined> {
        let mut state = self.state();
        match state.breaker.admit(Instant::now()) {
            Admission::Runs(pass) => Ok(Watching { watch: self, pass: Some(pass) }),
            Admission::Refused(left) => Err(Quarantined { reason: state.reason.clone(), left }),
        }
    }

    /// Whether calls are refused now, without asking for one.
    ///
    /// # Errors
    /// When they are.
    pub(crate) fn check(&self) -> Result<(), Quarantined> {
        self.quarantine().filter(|told| told.left > Duration::ZERO).map_or(Ok(()), Err)
    }

    /// What people are to know; while a trial runs, with nothing left.
    pub(crate) fn quarantine(&self) -> Option<Quarantined> {
        let state = self.state();
        let left = state.breaker.quarantine_left(Instant::now())?;
        let left = Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        Some(Quarantined { reason: state.reason.clone(), left })
    }

    fn ended(&self, pass: Pass, outcome: Outcome, message: &str) -> Option<Change> {
        let mut state = self.state();
        let change = state.breaker.ended(Instant::now(), pass, outcome)?;
        state.reason = match change {
            Change::Quarantined { trapped, calls, .. } => {
                let last: String = message.chars().take(MAX_MESSAGE).collect();
                format!("{trapped} of its last {calls} calls trapped, the last one: {last}")
            }
            Change::Recovered => String::new(),
        };
        Some(change)
    }

    fn state(&self) -> MutexGuard<'_, Watched> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that runs. Dropped without an end it counts as ended by others.
pub(crate) struct Watching<'a> {
    watch: &'a Watch,
    pass: Option<Pass>,
}

impl Watching<'_> {
    /// It has ended, with this message when it trapped.
    pub(crate) fn ended(mut self, outcome: Outcome, message: &str) -> Option<Change> {
        let pass = self.pass.take()?;
        self.watch.ended(pass, outcome, message)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.watch.ended(pass, Outcome::Neither, "");
        }
    }
}

/// Characters of a trap's message that people are told again and again.
const MAX_MESSAGE: usize = 300;
