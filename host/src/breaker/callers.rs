//! The breaker of a plugin for all of its callers, and one for each caller whose calls trap. Pure.
//!
//! One caller can make a method trap that serves all others well: by a divisor of zero, by a request
//! that takes more memory than the plugin may have. Its own breaker refuses it alone; for the breaker
//! of all it counts for so little that it takes several callers to open that.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jackfield_transport::PeerId;

use super::{Admission, Breaker, Change, LONGEST_PAUSE, Outcome, Pass, SLICE, SLICES};

/// For whom a plugin is quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// For all.
    Everybody,
    /// For this one alone.
    Caller(PeerId),
}

/// The breakers of one plugin.
#[derive(Debug, Default)]
pub(super) struct Callers {
    all: Judged,
    own: HashMap<PeerId, Own>,
    crowd: Crowd,
    /// Calls that ended.
    calls: u64,
}

/// A breaker, and why it is open.
#[derive(Debug, Default)]
struct Judged {
    breaker: Breaker,
    reason: String,
}

/// What is known of a caller whose calls trapped.
#[derive(Debug)]
struct Own {
    judged: Judged,
    /// Traps that counted for all since then, in that trial if there was one.
    counted: u32,
    since: Instant,
    trial: Option<u64>,
    last: Instant,
}

/// Whether there is more than one caller.
#[derive(Debug, Default)]
enum Crowd {
    #[default]
    Nobody,
    One(PeerId),
    Several,
}

/// The right to run a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passes {
    all: Pass,
    own: Option<Pass>,
}

/// A call may not run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused<'a> {
    pub(super) whose: Whose,
    pub(super) reason: &'a str,
    pub(super) left: Duration,
}

impl Callers {
    /// A call of `caller` comes.
    ///
    /// # Errors
    /// When it may not run.
    pub(super) fn admit(&mut self, now: Instant, caller: &PeerId) -> Result<Passes, Refused<'_>> {
        let all = match self.all.breaker.admit(now) {
            Admission::Runs(pass) => pass,
            Admission::Refused(left) => {
                let reason = &self.all.reason;
                return Err(Refused { whose: Whose::Everybody, reason, left });
            }
        };
        let Some(own) = self.own.get_mut(caller) else { return Ok(Passes { all, own: None }) };
        match own.judged.breaker.admit(now) {
            Admission::Runs(pass) => Ok(Passes { all, own: Some(pass) }),
            Admission::Refused(left) => {
                // It changes nothing: nobody is told.
                let _ = self.all.breaker.ended(now, all, Outcome::Neither);
                let reason = &own.judged.reason;
                Err(Refused { whose: Whose::Caller(caller.clone()), reason, left })
            }
        }
    }

    /// Whether calls of `caller` are refused now, without asking for one.
    pub(super) fn refused(&self, now: Instant, caller: &PeerId) -> Option<Refused<'_>> {
        let own = || {
            let refused = self.own.get(caller)?.judged.refused(now, Whose::Caller(caller.clone()));
            refused.filter(|refused| refused.left > Duration::ZERO)
        };
        self.all.refused(now, Whose::Everybody).filter(|all| all.left > Duration::ZERO).or_else(own)
    }

    /// For whom it is quarantined or on trial: for all, or else for some.
    pub(super) fn quarantines(&self, now: Instant) -> Vec<Refused<'_>> {
        if let Some(all) = self.all.refused(now, Whose::Everybody) {
            return vec![all];
        }
        let own = self.own.iter();
        own.filter_map(|(caller, own)| own.judged.refused(now, Whose::Caller(caller.clone())))
            .collect()
    }

    /// The call of `caller` with these passes has ended, with this message when it trapped.
    pub(super) fn ended(
        &mut self,
        now: Instant,
        caller: &PeerId,
        passes: Passes,
        (outcome, message): (Outcome, &str),
    ) -> Option<(Whose, Change)> {
        self.calls += 1;
        self.crowd.add(caller);
        let trial = self.all.breaker.trial();
        let mut seen = outcome;
        if outcome == Outcome::Trap {
            self.know(now, caller);
        }
        let mut own = None;
        if let Some(known) = self.own.get_mut(caller) {
            if outcome == Outcome::Trap && !known.counts(now, trial) {
                seen = Outcome::Neither;
            }
            let pass = passes.own.unwrap_or(Pass { trial: None });
            own = known.judged.ended(now, pass, (outcome, message));
        }
        let all = self.all.ended(now, passes.all, (seen, message));
        let own = own.map(|change| (Whose::Caller(caller.clone()), change));
        all.map(|change| (Whose::Everybody, change)).or(own)
    }

    /// Calls that have ended so far.
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether what `whose` met was met by everybody who ever called.
    pub(super) fn is_all_there_is(&self, whose: &Whose) -> bool {
        match whose {
            Whose::Everybody => true,
            Whose::Caller(_) => matches!(self.crowd, Crowd::One(_)),
        }
    }

    /// Keeps account of a caller from its first trap on. The traps of one more than there is room
    /// for count as everybody's.
    fn know(&mut self, now: Instant, caller: &PeerId) {
        if let Some(own) = self.own.get_mut(caller) {
            own.last = now;
            return;
        }
        if self.own.len() >= MAX_CALLERS {
            self.own.retain(|_, own| now.saturating_duration_since(own.last) < FORGOTTEN);
        }
        if self.own.len() < MAX_CALLERS {
            let judged = Judged::default();
            let own = Own { judged, counted: 0, since: now, trial: None, last: now };
            self.own.insert(caller.clone(), own);
        }
    }
}

impl Judged {
    fn refused(&self, now: Instant, whose: Whose) -> Option<Refused<'_>> {
        let left = self.breaker.quarantine_left(now)?;
        Some(Refused { whose, reason: &self.reason, left })
    }

    fn ended(
        &mut self,
        now: Instant,
        pass: Pass,
        (outcome, message): (Outcome, &str),
    ) -> Option<Change> {
        let change = self.breaker.ended(now, pass, outcome)?;
        self.reason = match change {
            Change::Quarantined { trapped, calls, .. } => {
                let last: String = message.chars().take(MAX_MESSAGE).collect();
                format!("{trapped} of its last {calls} calls trapped, the last one: {last}")
            }
            Change::Recovered => String::new(),
        };
        Some(change)
    }
}

impl Own {
    /// Whether one more trap counts for all.
    fn counts(&mut self, now: Instant, trial: Option<u64>) -> bool {
        let old = now.saturating_duration_since(self.since) >= WINDOW;
        if old || trial != self.trial {
            (self.counted, self.since, self.trial) = (0, now, trial);
        }
        self.counted += 1;
        self.counted <= if trial.is_some() { MAX_IN_TRIAL } else { MAX_COUNTED }
    }
}

impl Crowd {
    fn add(&mut self, caller: &PeerId) {
        match self {
            Self::Nobody => *self = Self::One(caller.clone()),
            Self::One(first) if first != caller => *self = Self::Several,
            Self::One(_) | Self::Several => {}
        }
    }
}

/// Traps of one caller that count for all within a window. A window may meet the ends of two such
/// spans, and twice this is still less than half of the calls that make a storm.
const MAX_COUNTED: u32 = 24;

/// The same while calls run on trial, of which five decide.
const MAX_IN_TRIAL: u32 = 2;

/// How long calls count.
const WINDOW: Duration = SLICE.saturating_mul(SLICES as u32);

/// Callers that are known one by one: when more of them meet traps at once, it is the plugin.
const MAX_CALLERS: usize = 64;

/// A caller that met no trap for so long is as good as a new one.
const FORGOTTEN: Duration = LONGEST_PAUSE.saturating_mul(2);

/// Characters of a trap's message that people are told again and again.
const MAX_MESSAGE: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_transport::Role;
    use proptest::prelude::*;

    fn peer(number: usize) -> PeerId {
        PeerId::new("local", Role::Client, &format!("c{number}")).expect("a name")
    }

    fn call(
        callers: &mut Callers,
        now: Instant,
        number: usize,
        outcome: Outcome,
    ) -> Option<(Whose, Change)> {
        let passes = callers.admit(now, &peer(number)).expect("it runs");
        callers.ended(now, &peer(number), passes, (outcome, "unreachable"))
    }

    #[test]
    fn a_caller_whose_calls_trap_is_refused_alone() {
        let (mut callers, now) = (Callers::default(), Instant::now());
        let change = (0..100).find_map(|_| call(&mut callers, now, 1, Outcome::Trap));
        assert!(
            matches!(&change, Some((Whose::Caller(who), Change::Quarantined { .. })) if *who == peer(1))
        );
        assert_eq!(callers.admit(now, &peer(1)).unwrap_err().whose, Whose::Caller(peer(1)));
        assert!(
            callers.refused(now, &peer(1)).is_some() && callers.refused(now, &peer(2)).is_none()
        );
        assert_eq!(call(&mut callers, now, 2, Outcome::Good), None);
        assert_eq!(callers.quarantines(now).len(), 1);
    }

    #[test]
    fn several_callers_whose_calls_trap_are_a_storm_of_the_plugin() {
        let (mut callers, now) = (Callers::default(), Instant::now());
        let change = (0..100).find_map(|n| call(&mut callers, now, n % 5, Outcome::Trap));
        assert!(matches!(change, Some((Whose::Everybody, Change::Quarantined { .. }))));
        assert_eq!(callers.admit(now, &peer(9)).unwrap_err().whose, Whose::Everybody);
    }

    #[test]
    fn a_trial_ends_well_for_all_though_one_caller_goes_on_as_before() {
        let (mut callers, now) = (Callers::default(), Instant::now());
        (0..100).find_map(|n| call(&mut callers, now, n % 5, Outcome::Trap)).expect("a storm");
        let then = now + Duration::from_secs(1);
        for _ in 0..9 {
            assert_eq!(call(&mut callers, then, 1, Outcome::Trap), None);
        }
        let change = (0..6).find_map(|_| call(&mut callers, then, 9, Outcome::Good));
        assert_eq!(change, Some((Whose::Everybody, Change::Recovered)));
    }

    #[test]
    fn one_caller_is_all_there_is_until_another_comes() {
        let (mut callers, now) = (Callers::default(), Instant::now());
        let whose = Whose::Caller(peer(1));
        call(&mut callers, now, 1, Outcome::Good);
        assert!(callers.is_all_there_is(&whose));
        call(&mut callers, now, 2, Outcome::Neither);
        assert!(!callers.is_all_there_is(&whose) && callers.is_all_there_is(&Whose::Everybody));
        assert_eq!(callers.calls(), 2);
    }

    #[test]
    fn more_callers_than_are_known_are_still_a_storm() {
        let (mut callers, now) = (Callers::default(), Instant::now());
        let storm = (0..1000).find_map(|n| {
            let change = call(&mut callers, now, n, Outcome::Trap)?;
            assert!(callers.own.len() <= MAX_CALLERS);
            Some(change)
        });
        assert!(matches!(storm, Some((Whose::Everybody, _))));
    }

    proptest! {
        #[test]
        fn no_caller_takes_a_plugin_away_from_the_others(
            calls in proptest::collection::vec((0..4u8, 0..300u64), 1..600)
        ) {
            let (mut callers, mut now) = (Callers::default(), Instant::now());
            for (kind, ms) in calls {
                now += Duration::from_millis(ms);
                if kind == 0 {
                    prop_assert_eq!(call(&mut callers, now, 2, Outcome::Good), None);
                } else if let Ok(passes) = callers.admit(now, &peer(1)) {
                    let change = callers.ended(now, &peer(1), passes, (Outcome::Trap, ""));
                    prop_assert!(!matches!(change, Some((Whose::Everybody, _))));
                }
                prop_assert_eq!(callers.refused(now, &peer(2)), None);
            }
        }
    }
}
