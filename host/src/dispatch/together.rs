//! Runs a call in an instance that others run in as well.
//!
//! At its deadline, or when its caller goes away, the call alone is given up; the instance decides
//! what becomes of it. Its permit goes back when the method has ended, or the instance: until then
//! it takes memory and a stack as any other.

use std::sync::{Arc, OnceLock};

use jackfield_wire::{Executed, Failure, Status};

use super::fault::Fault;
use super::gate::Permit;
use super::{Call, End, run, trap};
use crate::guest::{Guest, Output, Source};
use crate::keeper::{Job, Seed, Shared};
use crate::lane::Lane;
use crate::limits::HostLimits;
use crate::value::{Answer, CallError, Prepared};

/// Calls the method with `arguments` until the call's deadline, in the instance of `shared`.
pub(super) async fn guest(
    lane: &Lane,
    shared: &Shared,
    call: &Call,
    arguments: Prepared,
    limits: &HostLimits,
    permit: Permit,
) -> Result<End, Fault> {
    let keeper = call.plugin.keeper();
    let seed = || {
        let slot = keeper
            .claim()
            .map_err(|full| Failure::not_executed(Status::ResourceExhausted, full.to_string()))?;
        let service = call.plugin.service().as_str().into();
        // Nobody can tell which of its calls wrote something.
        let source = Source { service, method: "*".into(), call: None };
        let output = Output::new(source, call.plugin.log().clone());
        let store = Guest::store(&call.plugin, limits, &output);
        Ok::<_, Failure>(Seed { store, pre: call.plugin.pre().clone(), slot })
    };
    let worker = shared.worker(seed, |work| lane.start(call.plugin.conduct(), work))?;
    let fate = Arc::new(Fate::default());
    let begun = Arc::clone(&fate);
    let method = call.method();
    let job = Job {
        plan: method.shared_plan(),
        index: *method.index(),
        arguments,
        limit: call.plugin.limits().result,
        begin: Box::new(move || begun.begin()),
        permit: Box::new(permit),
    };
    let ended = tokio::time::timeout_at(call.deadline, worker.call(job)).await;
    let began = fate.settle();
    let executed = if began { Executed::Yes } else { call.plugin.executed_by_start_up() };
    let failure = match ended {
        Ok(Some(Ok(Answer::Ok(json)))) => {
            let has_result = method.plan().signature().result.is_some();
            return Ok(End::Value(has_result.then_some(json)));
        }
        Ok(Some(Ok(Answer::Application(json)))) => return Ok(End::Application(json)),
        Ok(Some(Err(CallError::Guest(error)))) => {
            trap::failure(&error, executed, "", call.plugin.limits())
        }
        Ok(Some(Err(CallError::Result(error)))) => run::unwritten(&error, executed),
        // Another call took the instance along before this one began.
        Ok(None) if !began && worker.lived() => Failure::not_executed(
            Status::Unavailable,
            "the instance that calls share ended just now; try again",
        ),
        Ok(None) => match worker.error() {
            Some(error) => and_others(&trap::failure(error, executed, "", call.plugin.limits())),
            None => Failure::new(Status::Unavailable, executed, "the host ends"),
        },
        Err(_) => run::past_deadline(call, executed, ""),
    };
    Err(failure.into())
}

/// Whether a call begins, or its caller has been told first that it did not.
#[derive(Default)]
struct Fate(OnceLock<bool>);

impl Fate {
    /// The instance comes to it. Says whether it may begin.
    fn begin(&self) -> bool {
        *self.0.get_or_init(|| true)
    }

    /// Nobody waits any more. Says whether it began; if not, it never will.
    fn settle(&self) -> bool {
        *self.0.get_or_init(|| false)
    }
}

fn and_others(failure: &Failure) -> Failure {
    let text =
        format!("{}; it ended all calls of the instance that this one shared", failure.message);
    Failure::new(failure.status, failure.executed, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_whose_caller_was_told_that_it_did_not_begin_never_does() {
        let late = Fate::default();
        assert!(!late.settle());
        assert!(!late.begin());
        let early = Fate::default();
        assert!(early.begin());
        assert!(early.settle());
    }
}
