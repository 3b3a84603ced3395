//! A plugin's breakers as its calls share them, and what people are told of them.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jackfield_transport::PeerId;

use super::callers::{Callers, Passes, Refused};
use super::{Change, Outcome, Whose};

/// Watches the calls of one generation of a plugin.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Never held across an await.
    state: Mutex<Callers>,
}

/// Calls are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantined {
    whose: Whose,
    reason: String,
    /// For how long.
    pub(crate) left: Duration,
}

/// Something that people should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) change: Change,
    pub(crate) whose: Whose,
    /// Why calls are refused; `None` when they are no more.
    pub(crate) quarantine: Option<Quarantined>,
    /// Calls that have ended so far.
    pub(crate) calls: u64,
    /// It is what everybody meets who ever called.
    pub(crate) is_all_there_is: bool,
}

impl fmt::Display for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = "and at once when the plugin's file changes";
        write!(f, "quarantined: {}; tried again in {:?}, {again}", self.reason(), self.left)
    }
}

impl Quarantined {
    fn new(refused: &Refused<'_>) -> Self {
        let Refused { whose, reason, left } = refused;
        let left = Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        Self { whose: whose.clone(), reason: (*reason).to_owned(), left }
    }

    /// What happened, and to whom.
    pub(crate) fn reason(&self) -> String {
        match &self.whose {
            Whose::Everybody => self.reason.clone(),
            Whose::Caller(caller) => format!("for {caller} alone: {}", self.reason),
        }
    }
}

impl Watch {
    /// Begins anew, as with a new generation.
    pub(crate) fn forget(&self) {
        *self.state() = Callers::default();
    }

    /// A call of `caller` wants to run at `now`.
    ///
    /// # Errors
    /// When it may not.
    pub(crate) fn admit<'a>(
        &'a self,
        now: Instant,
        caller: &'a PeerId,
    ) -> Result<Watching<'a>, Quarantined> {
        let mut state = self.state();
        let passes = state.admit(now, caller);
        let passes = passes.map_err(|refused| Quarantined::new(&refused))?;
        drop(state);
        Ok(Watching { watch: self, caller, passes: Some(passes) })
    }

    /// Whether calls of `caller` are refused at `now`, without asking for one.
    ///
    /// # Errors
    /// When they are.
    pub(crate) fn check(&self, now: Instant, caller: &PeerId) -> Result<(), Quarantined> {
        let state = self.state();
        state.refused(now, caller).map_or(Ok(()), |told| Err(Quarantined::new(&told)))
    }

    /// What people are to know; while a trial runs, with nothing left. Of several callers that are
    /// refused, the one for longest.
    pub(crate) fn quarantine(&self) -> Option<Quarantined> {
        let state = self.state();
        let all = state.quarantines(Instant::now());
        all.iter().max_by_key(|refused| refused.left).map(Quarantined::new)
    }

    fn ended(&self, caller: &PeerId, passes: Passes, ended: (Outcome, &str)) -> Option<News> {
        let (now, mut state) = (Instant::now(), self.state());
        let (whose, change) = state.ended(now, caller, passes, ended)?;
        let told = state.quarantines(now).into_iter().find(|refused| refused.whose == whose);
        let quarantine = told.as_ref().map(Quarantined::new);
        let (calls, is_all_there_is) = (state.calls(), state.is_all_there_is(&whose));
        Some(News { change, whose, quarantine, calls, is_all_there_is })
    }

    fn state(&self) -> MutexGuard<'_, Callers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that runs. Dropped without an end it counts as ended by others.
pub(crate) struct Watching<'a> {
    watch: &'a Watch,
    caller: &'a PeerId,
    passes: Option<Passes>,
}

impl Watching<'_> {
    /// It has ended, with this message when it trapped.
    pub(crate) fn ended(mut self, outcome: Outcome, message: &str) -> Option<News> {
        let passes = self.passes.take()?;
        self.watch.ended(self.caller, passes, (outcome, message))
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        if let Some(passes) = self.passes.take() {
            // It changes nothing: nobody is told.
            let _ = self.watch.ended(self.caller, passes, (Outcome::Neither, ""));
        }
    }
}
