//! Keeps calls away from a plugin that traps on most of them, and lets it come back. Pure.
//!
//! Only traps count: unreachable code, a panic, a limit that it ran into. Values and errors of its
//! own count as good. Deadlines, callers that go away and wrong arguments do not count at all. Each
//! generation has a breaker of its own: a reload starts anew.
//!
//! Right arguments can make a method trap, too. So a caller whose calls trap gets a breaker to
//! itself (`callers`), and counts for so little in the one of all that it cannot take the plugin
//! away from the others.

mod callers;
mod watch;

use std::time::{Duration, Instant};

pub(crate) use callers::Whose;
pub(crate) use watch::{News, Quarantined, Watch};

/// How a call ended, as far as it says something of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It answered.
    Good,
    /// It trapped.
    Trap,
    /// Its caller or the host ended it.
    Neither,
}

/// Whether a call may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may. To be given back with its outcome.
    Runs(Pass),
    /// It may not for this long.
    Refused(Duration),
}

/// The right to run a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Which trial it belongs to; `None` when the plugin was not on trial.
    trial: Option<u64>,
}

/// Something that people should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Calls are refused for this long.
    Quarantined { pause: Duration, trapped: u32, calls: u32 },
    /// Calls run as usual again.
    Recovered,
}

/// Watches the calls of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: State,
    /// How often in a row it was quarantined.
    strikes: u32,
    /// When it last recovered.
    recovered: Option<Instant>,
    trials: u64,
}

#[derive(Debug)]
enum State {
    Closed(Window),
    Open {
        until: Instant,
    },
    /// A few calls run, to see.
    Trial(Trial),
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Window::default())
    }
}

#[derive(Debug)]
struct Trial {
    number: u64,
    running: u32,
    good: u32,
    trapped: u32,
}

impl Breaker {
    /// A call comes.
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        if let State::Open { until } = self.state {
            let left = until.saturating_duration_since(now);
            if left > Duration::ZERO {
                return Admission::Refused(left);
            }
            self.trials += 1;
            let trial = Trial { number: self.trials, running: 0, good: 0, trapped: 0 };
            self.state = State::Trial(trial);
        }
        let State::Trial(trial) = &mut self.state else {
            return Admission::Runs(Pass { trial: None });
        };
        if trial.running + trial.good + trial.trapped >= PROBES {
            return Admission::Refused(TRIAL_WAIT);
        }
        trial.running += 1;
        Admission::Runs(Pass { trial: Some(trial.number) })
    }

    /// The call with this pass has ended.
    pub(crate) fn ended(&mut self, now: Instant, pass: Pass, outcome: Outcome) -> Option<Change> {
        match &mut self.state {
            State::Closed(window) if pass.trial.is_none() => {
                let (trapped, calls) = window.add(now, outcome);
                let storm = calls >= MIN_CALLS && trapped * 2 >= calls;
                storm.then(|| self.quarantine(now, trapped, calls))
            }
            State::Trial(trial) if pass.trial == Some(trial.number) => {
                trial.running = trial.running.saturating_sub(1);
                match outcome {
                    Outcome::Good => trial.good += 1,
                    Outcome::Trap => trial.trapped += 1,
                    Outcome::Neither => {}
                }
                let (good, trapped) = (trial.good, trial.trapped);
                if trapped * 2 >= PROBES {
                    return Some(self.quarantine(now, trapped, good + trapped));
                }
                (good * 2 > PROBES).then(|| self.recover(now))
            }
            // It began before the last change, and says nothing of what is now.
            _ => None,
        }
    }

    /// Which trial runs, if one does.
    fn trial(&self) -> Option<u64> {
        match &self.state {
            State::Trial(trial) => Some(trial.number),
            State::Closed(_) | State::Open { .. } => None,
        }
    }

    /// How long calls are refused still; `None` when they are not.
    pub(crate) fn quarantine_left(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed(_) => None,
            State::Open { until } => Some(until.saturating_duration_since(now)),
            State::Trial(_) => Some(Duration::ZERO),
        }
    }

    fn quarantine(&mut self, now: Instant, trapped: u32, calls: u32) -> Change {
        let calm = |at: Instant| now.saturating_duration_since(at) >= LONGEST_PAUSE;
        if matches!(self.state, State::Closed(_)) && self.recovered.is_some_and(calm) {
            self.strikes = 0;
        }
        let pause = (FIRST_PAUSE * 2_u32.pow(self.strikes.min(16))).min(LONGEST_PAUSE);
        self.strikes = self.strikes.saturating_add(1);
        self.state = State::Open { until: now + pause };
        Change::Quarantined { pause, trapped, calls }
    }

    fn recover(&mut self, now: Instant) -> Change {
        self.state = State::default();
        self.recovered = Some(now);
        Change::Recovered
    }
}

/// The calls of the last seconds.
#[derive(Debug, Default)]
struct Window {
    /// One for each slice of time, in a circle.
    slices: [Slice; SLICES],
    /// When the first slice began.
    start: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Which slice of time since the start this counts.
    number: u64,
    calls: u32,
    trapped: u32,
}

impl Window {
    /// Counts a call; gives how many trapped, of how many.
    fn add(&mut self, now: Instant, outcome: Outcome) -> (u32, u32) {
        let start = *self.start.get_or_insert(now);
        let since = now.saturating_duration_since(start).as_millis() / SLICE.as_millis();
        let number = u64::try_from(since).unwrap_or(u64::MAX);
        let place = usize::try_from(number % SLICES as u64).unwrap_or(0);
        let slice = &mut self.slices[place];
        if slice.number != number {
            *slice = Slice { number, calls: 0, trapped: 0 };
        }
        slice.calls += u32::from(outcome != Outcome::Neither);
        slice.trapped += u32::from(outcome == Outcome::Trap);
        let oldest = (number + 1).saturating_sub(SLICES as u64);
        let recent = self.slices.iter().filter(|slice| slice.number >= oldest);
        recent.fold((0, 0), |(trapped, calls), s| (trapped + s.trapped, calls + s.calls))
    }
}

/// Calls that must have ended before their share of traps says anything: one bad caller's few
/// attempts are no storm.
const MIN_CALLS: u32 = 100;

/// The window in which they count: ten slices of a second. A plugin called ten times a second is
/// still caught; what was longer ago was another load.
const SLICES: usize = 10;
const SLICE: Duration = Duration::from_secs(1);

/// Long enough that a storm costs next to nothing, short enough that a hiccup is soon over.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Doubling ends here: somebody who mends what the plugin depends on waits no longer than this. A
/// plugin that then works for as long has its record cleared.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Calls that run on trial. Half of them decide, as half of the calls in a storm.
const PROBES: u32 = 10;

/// What a caller is told who comes while the trial's calls run.
const TRIAL_WAIT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pass(breaker: &mut Breaker, now: Instant) -> Pass {
        match breaker.admit(now) {
            Admission::Runs(pass) => pass,
            refused @ Admission::Refused(_) => panic!("{refused:?}"),
        }
    }

    fn call(breaker: &mut Breaker, now: Instant, outcome: Outcome) -> Option<Change> {
        let pass = pass(breaker, now);
        breaker.ended(now, pass, outcome)
    }

    fn storm(breaker: &mut Breaker, now: Instant) -> Change {
        (0..MIN_CALLS).find_map(|_| call(breaker, now, Outcome::Trap)).expect("a storm")
    }

    #[test]
    fn a_storm_quarantines_and_each_failed_trial_doubles_the_pause() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let mut change = storm(&mut breaker, now);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let Change::Quarantined { pause, .. } = change else { panic!("{change:?}") };
            assert_eq!(pause, Duration::from_secs(seconds));
            assert_eq!(breaker.admit(now), Admission::Refused(pause));
            assert_eq!(breaker.quarantine_left(now), Some(pause));
            now += pause;
            change = (0..PROBES).find_map(|_| call(&mut breaker, now, Outcome::Trap)).unwrap();
        }
    }

    #[test]
    fn it_recovers_when_most_of_a_trial_is_good_and_is_forgiven_after_a_calm_minute() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        storm(&mut breaker, now);
        let then = now + FIRST_PAUSE;
        assert_eq!(call(&mut breaker, then, Outcome::Trap), None);
        let change = (0..PROBES).find_map(|_| call(&mut breaker, then, Outcome::Good));
        assert_eq!(change, Some(Change::Recovered));
        assert_eq!(breaker.quarantine_left(then), None);
        let Change::Quarantined { pause, .. } = storm(&mut breaker, then) else { panic!() };
        assert_eq!(pause, 2 * FIRST_PAUSE, "too soon to be forgiven");
        let then = then + pause;
        (0..PROBES).find_map(|_| call(&mut breaker, then, Outcome::Good));
        let Change::Quarantined { pause, .. } = storm(&mut breaker, then + LONGEST_PAUSE) else {
            panic!()
        };
        assert_eq!(pause, FIRST_PAUSE);
    }

    #[test]
    fn only_so_many_calls_run_on_trial_and_those_without_a_verdict_make_room() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        storm(&mut breaker, now);
        let then = now + FIRST_PAUSE;
        let passes: Vec<_> = (0..PROBES).map(|_| pass(&mut breaker, then)).collect();
        assert_eq!(breaker.admit(then), Admission::Refused(TRIAL_WAIT));
        for pass in passes {
            assert_eq!(breaker.ended(then, pass, Outcome::Neither), None);
        }
        assert!(matches!(breaker.admit(then), Admission::Runs(_)));
    }

    #[test]
    fn calls_from_before_a_quarantine_have_no_say_in_the_trial() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let old: Vec<_> = (0..PROBES).map(|_| pass(&mut breaker, now)).collect();
        storm(&mut breaker, now);
        let then = now + FIRST_PAUSE;
        pass(&mut breaker, then);
        for pass in old {
            assert_eq!(breaker.ended(then, pass, Outcome::Good), None);
        }
        assert!(breaker.quarantine_left(then).is_some());
    }

    #[test]
    fn traps_of_long_ago_do_not_count() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..50 {
            // Eight in ten seconds are no storm.
            for _ in 0..8 {
                assert_eq!(call(&mut breaker, now, Outcome::Trap), None);
            }
            now += SLICE * 10;
        }
    }

    proptest! {
        #[test]
        fn what_callers_bring_about_never_quarantines(
            calls in proptest::collection::vec((any::<bool>(), 0..50u64), 1..400)
        ) {
            let (mut breaker, mut now) = (Breaker::default(), Instant::now());
            for (good, ms) in calls {
                now += Duration::from_millis(ms);
                let outcome = if good { Outcome::Good } else { Outcome::Neither };
                prop_assert_eq!(call(&mut breaker, now, outcome), None);
            }
        }

        #[test]
        fn fewer_traps_than_half_never_quarantine(
            calls in proptest::collection::vec(0..300u64, 1..400)
        ) {
            let (mut breaker, mut now) = (Breaker::default(), Instant::now());
            for ms in calls {
                now += Duration::from_millis(ms);
                prop_assert_eq!(call(&mut breaker, now, Outcome::Good), None);
                prop_assert_eq!(call(&mut breaker, now, Outcome::Good), None);
                prop_assert_eq!(call(&mut breaker, now, Outcome::Trap), None);
            }
        }

        #[test]
        fn whatever_happens_it_lets_calls_through_again(
            calls in proptest::collection::vec((0..3u8, 0..5000u64), 1..400)
        ) {
            let (mut breaker, mut now) = (Breaker::default(), Instant::now());
            for (outcome, ms) in calls {
                now += Duration::from_millis(ms);
                let outcome = [Outcome::Good, Outcome::Trap, Outcome::Neither][usize::from(outcome)];
                match breaker.admit(now) {
                    Admission::Runs(pass) => {
                        breaker.ended(now, pass, outcome);
                    }
                    Admission::Refused(left) => prop_assert!(left <= LONGEST_PAUSE),
                }
            }
            let admission = breaker.admit(now + LONGEST_PAUSE);
            prop_assert!(matches!(admission, Admission::Runs(_)), "{:?}", admission);
        }
    }
}
