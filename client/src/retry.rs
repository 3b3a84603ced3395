//! Whether a failed call is tried again, where, and when. Pure.
//!
//! A call is repeated only when it is certain that the method did not run, or when the caller said
//! that running it twice does no harm. Whether the budget allows it is asked after this
//! ([`crate::budget`]).

use std::time::Duration;

use jackfield_transport::Backoff;
use jackfield_wire::{Executed, Status};

use crate::error::Exhaustion;

/// How often and how fast a call is repeated, after every word on it was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RetryPolicy {
    /// Attempts beyond the first.
    pub(crate) max_retries: u32,
    /// The bound of the first pause; a pause is drawn uniformly below its bound.
    pub(crate) delay: Duration,
    /// What the bound is multiplied by for each further one.
    pub(crate) factor: f64,
    /// The bound that pauses grow up to.
    pub(crate) max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 2,
            delay: Duration::from_millis(20),
            factor: 2.0,
            max_delay: Duration::from_secs(1),
        }
    }
}

/// What an attempt ended in, as far as a repetition depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    pub(crate) executed: Executed,
    pub(crate) cure: Cure,
    pub(crate) retry_after: Option<Duration>,
}

/// What could make the next attempt end otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cure {
    /// Nothing: everyone will say the same.
    Nothing,
    /// Another endpoint; this one will say the same.
    Elsewhere,
    /// Time, or another endpoint.
    Time,
}

/// What the attempts so far leave to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Attempts made.
    pub(crate) made: u32,
    /// The caller holds the method safe to execute twice.
    pub(crate) idempotent: bool,
    /// An endpoint is left that was not tried.
    pub(crate) another: bool,
    /// Until the deadline.
    pub(crate) left: Duration,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again after this pause.
    Again(Duration),
    /// It could be tried again, but something is used up.
    Exhausted(Exhaustion),
    /// Trying again is not safe, or of no use.
    Final,
}

impl RetryPolicy {
    /// Decides; `entropy` is any uniformly drawn number.
    pub(crate) fn decide(&self, outcome: &Outcome, standing: &Standing, entropy: u64) -> Decision {
        let safe = match outcome.executed {
            Executed::No => true,
            Executed::Unknown => standing.idempotent,
            Executed::Yes => false, // Its outcome is known.
        };
        let useful = match outcome.cure {
            Cure::Nothing => false,
            Cure::Elsewhere => standing.another,
            Cure::Time => true,
        };
        if !safe || !useful {
            return Decision::Final;
        }
        let pause = self.pause(outcome, standing, entropy);
        if standing.made > self.max_retries {
            return Decision::Exhausted(Exhaustion::Attempts);
        }
        if pause >= standing.left {
            return Decision::Exhausted(Exhaustion::Deadline);
        }
        Decision::Again(pause)
    }

    /// A host's own wish counts for that host: another one is asked without it.
    fn pause(&self, outcome: &Outcome, standing: &Standing, entropy: u64) -> Duration {
        let backoff = Backoff { first: self.delay, most: self.max_delay, factor: self.factor };
        let drawn = backoff.pause(standing.made, entropy);
        match outcome.retry_after {
            Some(wish) if !standing.another => drawn.max(wish),
            _ => drawn,
        }
    }
}

impl Outcome {
    /// What a host's answer allows. `listed` says that the registry named the method as one that
    /// this host has: if the host then does not know it, it withdrew it a moment ago.
    pub(crate) fn answered(
        status: Status,
        executed: Executed,
        retry_after_ms: Option<u32>,
        listed: bool,
    ) -> Self {
        let cure = match status {
            Status::Unavailable | Status::ResourceExhausted => Cure::Time,
            Status::NotFound if listed => Cure::Elsewhere,
            Status::Trapped | Status::Internal | Status::Cancelled => Cure::Time,
            _ => Cure::Nothing,
        };
        let retry_after = retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
        Self { status, executed, cure, retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STANDING: Standing =
        Standing { made: 1, idempotent: false, another: true, left: Duration::from_secs(10) };

    const STATUSES: [Status; 11] = [
        Status::Application,
        Status::InvalidArgument,
        Status::NotFound,
        Status::Unauthenticated,
        Status::PermissionDenied,
        Status::ResourceExhausted,
        Status::Unavailable,
        Status::DeadlineExceeded,
        Status::Cancelled,
        Status::Trapped,
        Status::Internal,
    ];

    fn decide(outcome: &Outcome, standing: &Standing) -> Decision {
        RetryPolicy::default().decide(outcome, standing, 12345)
    }

    fn again(outcome: Outcome, standing: Standing) -> bool {
        matches!(decide(&outcome, &standing), Decision::Again(_))
    }

    proptest! {
        #[test]
        fn what_may_have_run_is_never_repeated_unless_idempotent(
            status in proptest::sample::select(&STATUSES[..]),
            listed: bool, made in 0u32..9,
        ) {
            let unknown = Outcome::answered(status, Executed::Unknown, None, listed);
            let standing = Standing { made, ..STANDING };
            prop_assert!(!again(unknown, standing));
            let yes = Outcome::answered(status, Executed::Yes, None, listed);
            let standing = Standing { idempotent: true, ..standing };
            prop_assert!(!again(yes, standing));
        }

        #[test]
        fn no_call_is_tried_more_often_than_allowed_or_past_its_deadline(
            made in 3u32..99, left_ms in 0u64..100, wish: Option<u32>, entropy: u64,
        ) {
            let outcome = Outcome::answered(Status::Unavailable, Executed::No, wish, true);
            let standing = Standing { made, idempotent: true, ..STANDING };
            prop_assert_eq!(decide(&outcome, &standing), Decision::Exhausted(Exhaustion::Attempts));
            let left = Duration::from_millis(left_ms);
            let standing = Standing { left, another: false, ..STANDING };
            if let Decision::Again(pause) =
                RetryPolicy::default().decide(&outcome, &standing, entropy)
            {
                prop_assert!(pause < left);
            }
        }
    }

    #[test]
    fn what_everyone_will_say_the_same_about_is_not_repeated() {
        for status in [
            Status::InvalidArgument,
            Status::Application,
            Status::PermissionDenied,
            Status::Unauthenticated,
            Status::DeadlineExceeded,
        ] {
            let outcome = Outcome::answered(status, Executed::No, None, true);
            let standing = Standing { idempotent: true, ..STANDING };
            assert!(!again(outcome, standing), "{status}");
        }
    }

    #[test]
    fn an_unknown_method_is_final_and_a_withdrawn_one_is_looked_for_elsewhere() {
        let outcome = |listed| Outcome::answered(Status::NotFound, Executed::No, None, listed);
        assert!(!again(outcome(false), STANDING));
        assert!(again(outcome(true), STANDING));
        assert!(!again(outcome(true), Standing { another: false, ..STANDING }));
    }

    #[test]
    fn an_unavailable_host_is_left_for_another_and_asked_again_when_it_is_the_only_one() {
        let outcome = Outcome::answered(Status::Unavailable, Executed::No, Some(500), true);
        let wish = Duration::from_millis(500);
        assert!(matches!(decide(&outcome, &STANDING), Decision::Again(pause) if pause < wish));
        let alone = Standing { another: false, ..STANDING };
        assert_eq!(decide(&outcome, &alone), Decision::Again(wish));
        let late = Standing { left: wish, ..alone };
        assert_eq!(decide(&outcome, &late), Decision::Exhausted(Exhaustion::Deadline));
    }

    #[test]
    fn an_idempotent_call_is_repeated_after_a_lost_connection() {
        let outcome = Outcome::answered(Status::Unavailable, Executed::Unknown, None, true);
        assert!(!again(outcome, STANDING));
        assert!(again(outcome, Standing { idempotent: true, ..STANDING }));
    }
}
