//! How many attempts beyond the first a service may cost. Pure.
//!
//! When every host fails, retries multiply the load at the worst moment. A budget bounds them: a
//! fifth of the calls of the last ten seconds, and ten in each second for those who call seldom.
//! After Finagle's `RetryBudget`, which has the same figures.

use std::time::Duration;

/// The attempts that may be made beyond the first of each call, retries and hedges alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryBudget {
    /// Of the calls of the last ten seconds, in percent. Default 20: with every host failing, 1.2
    /// attempts to a call. 0 leaves only the fixed rate.
    pub percent: u32,
    /// In each second, beside the share. Default 10: a client that calls once in a minute may still
    /// repeat.
    pub per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, per_second: 10 }
    }
}

/// What was earned and spent in each of the last seconds, in hundredths of an attempt.
#[derive(Debug)]
pub(crate) struct Purse {
    terms: RetryBudget,
    /// The second that each slot belongs to, modulo their number.
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    earned: u64,
    spent: u64,
}

impl Purse {
    pub(crate) fn new(terms: RetryBudget) -> Self {
        Self { terms, slots: [Slot::default(); SLOTS] }
    }

    /// A call begins.
    pub(crate) fn earn(&mut self, now: Duration) {
        let percent = u64::from(self.terms.percent);
        self.slot(now).earned += percent;
    }

    /// Takes one attempt, if there is one.
    pub(crate) fn spend(&mut self, now: Duration) -> bool {
        let second = now.as_secs();
        let fresh = |slot: &&Slot| slot.second + SLOTS as u64 > second;
        let (earned, spent) = self
            .slots
            .iter()
            .filter(fresh)
            .fold((0, 0), |sum, slot| (sum.0 + slot.earned, sum.1 + slot.spent));
        // The fixed rate counts for as many seconds as the client has lived, up to the window.
        let lived = (second + 1).min(SLOTS as u64);
        let fixed = u64::from(self.terms.per_second) * lived * ATTEMPT;
        let may = spent + ATTEMPT <= earned + fixed;
        if may {
            self.slot(now).spent += ATTEMPT;
        }
        may
    }

    /// Gives one attempt back that could not be made; nothing when it was spent too long ago to
    /// count.
    pub(crate) fn refund(&mut self, now: Duration) {
        let fresh = |slot: &&mut Slot| slot.second + SLOTS as u64 > now.as_secs();
        let spent = self.slots.iter_mut().filter(fresh).filter(|slot| slot.spent >= ATTEMPT);
        if let Some(last) = spent.max_by_key(|slot| slot.second) {
            last.spent -= ATTEMPT;
        }
    }

    fn slot(&mut self, now: Duration) -> &mut Slot {
        let second = now.as_secs();
        let slot = &mut self.slots[(second % SLOTS as u64) as usize];
        if slot.second != second {
            *slot = Slot { second, earned: 0, spent: 0 };
        }
        slot
    }
}

/// Ten seconds: a host that dies takes all the calls on it at once, and their retries must find
/// what the calls before them earned.
const SLOTS: usize = 10;

/// What one attempt costs, so that percents are whole.
const ATTEMPT: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn purse() -> Purse {
        Purse::new(RetryBudget::default())
    }

    /// Calls at a steady rate that all fail, each repeated as often as the purse allows, up to four
    /// times; gives the extra attempts.
    fn all_failing(purse: &mut Purse, per_second: u64, seconds: u64) -> u64 {
        let calls = per_second * seconds;
        let now = |call| Duration::from_nanos(call * 1_000_000_000 / per_second);
        let repeated = (0..calls).map(|call| {
            purse.earn(now(call));
            (0..4).take_while(|_| purse.spend(now(call))).count() as u64
        });
        repeated.sum()
    }

    proptest! {
        #[test]
        fn with_all_hosts_failing_attempts_stay_within_the_share_and_the_fixed_rate(
            per_second in 1u64..2000, seconds in 1u64..30,
        ) {
            let extra = all_failing(&mut purse(), per_second, seconds);
            let (share, fixed) = (per_second * seconds / 5, 10 * seconds);
            // What the first calls could not spend yet is spent once more after the window.
            prop_assert!(extra <= share + fixed + 10 * (10 + per_second / 5) / 5 + 1);
        }

        #[test]
        fn attempts_of_any_window_never_exceed_its_budget(
            steps in proptest::collection::vec((0u64..3000, 0u8..8, 0u8..8), 1..60),
        ) {
            let mut purse = purse();
            let (mut ms, mut earned, mut spent) = (0, vec![], vec![]);
            for (gap, calls, tries) in steps {
                ms += gap;
                let now = Duration::from_millis(ms);
                (0..calls).for_each(|_| purse.earn(now));
                earned.push((ms / 1000, u64::from(calls)));
                let taken = (0..tries).filter(|_| purse.spend(now)).count() as u64;
                spent.push((ms / 1000, taken));
                let in_window = |all: &[(u64, u64)]| -> u64 {
                    all.iter().filter(|(s, _)| s + 10 > ms / 1000).map(|(_, n)| n).sum()
                };
                let most = in_window(&earned) / 5 + 100 + 1;
                prop_assert!(in_window(&spent) <= most, "{} of {most}", in_window(&spent));
            }
        }
    }

    #[test]
    fn the_first_second_has_the_fixed_rate_and_an_idle_client_gets_it_back() {
        let mut purse = purse();
        let spend = |purse: &mut Purse, at| {
            (0..500).filter(|_| purse.spend(Duration::from_secs(at))).count()
        };
        assert_eq!(spend(&mut purse, 0), 10);
        assert_eq!(spend(&mut purse, 1), 10);
        assert_eq!(spend(&mut purse, 3600), 100);
    }

    #[test]
    fn what_is_given_back_can_be_spent_again_and_no_more() {
        let mut purse = purse();
        let at = Duration::from_secs;
        let spend = |purse: &mut Purse, now| (0..500).filter(|_| purse.spend(now)).count();
        assert_eq!(spend(&mut purse, at(0)), 10);
        purse.refund(at(0));
        assert_eq!(spend(&mut purse, at(0)), 1);
        purse.refund(at(1));
        assert_eq!(spend(&mut purse, at(1)), 11, "from the second in which it was spent");
        (0..99).for_each(|_| purse.refund(at(60)));
        assert_eq!(spend(&mut purse, at(60)), 100);
    }

    #[test]
    fn a_host_that_dies_under_load_finds_what_earlier_calls_earned() {
        let mut purse = purse();
        (0..10_000).for_each(|call| purse.earn(Duration::from_millis(call)));
        let at_once = (0..5000).filter(|_| purse.spend(Duration::from_millis(9_999))).count();
        assert_eq!(at_once, 2100);
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing() {
        let mut purse = Purse::new(RetryBudget { percent: 0, per_second: 0 });
        purse.earn(Duration::ZERO);
        assert!(!purse.spend(Duration::ZERO));
    }
}
