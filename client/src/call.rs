//! The life of a call: find, try, perhaps try again, conclude.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_wire::ServiceName;
use jackfield_wire::name::BUILTIN_SERVICE;
use tokio::time::timeout_at;

use crate::answer::Answer;
use crate::attempt::{Answered, Destination, Failed, FailureKind, attempt};
use crate::candidates::{self, Experience};
use crate::client::{Inner, Source};
use crate::deadline::Deadline;
use crate::error::{
    Attempt, CallError, ConnectError, MaxRetriesExceeded, NoAvailableInstance, NoInstance,
    RequestTimeout, ServiceError, TransportError,
};
use crate::picker::Draw;
use crate::pool::Reach;
use crate::retry::{Decision, Standing};
use crate::snapshot::{Endpoint, Origin, Snapshot};
use crate::spec::{Route, Spec};

/// Runs a call to its end. Dropping the future cancels it, on the host too.
pub(crate) async fn run(inner: &Inner, spec: &Spec) -> Result<Answer, CallError> {
    let deadline = Deadline::after(spec.deadline).or_sooner(spec.context.left());
    let mut history = Vec::new();
    loop {
        let to = choose(inner, spec, &deadline, &mut history).await?;
        let failed = match attempt(&inner.pool, &to, spec, &deadline).await {
            Ok(answered) => return Ok(answer(answered, &to, spec, &deadline, history)),
            Err(failed) => failed,
        };
        tracing::debug!(target = %spec.target, attempt = %failed.attempt, "attempt failed");
        history.push(failed.attempt.clone());
        match decide(inner, spec, &failed, &deadline, &history) {
            Decision::Again(pause) => tokio::time::sleep(pause).await,
            Decision::Exhausted if history.len() > 1 => {
                return Err(exhausted(spec, history));
            }
            Decision::Exhausted | Decision::Final => {
                return Err(conclude(spec, failed, &deadline, history));
            }
        }
        if let (Source::Direct(direct), FailureKind::Connect) = (&inner.source, failed.kind) {
            // A name server may be slower than the call may take.
            _ = timeout_at(deadline.at(), direct.refresh(&inner.pool)).await;
        }
    }
}

/// What this call and the client have learned about endpoints.
struct Past<'a> {
    history: &'a [Attempt],
    reach: Reach<'a>,
}

impl Experience for Past<'_> {
    fn tried(&self, endpoint: &Endpoint) -> bool {
        was_tried(self.history, endpoint)
    }

    fn down(&self, address: SocketAddr) -> bool {
        self.reach.is_down(address)
    }
}

/// Of two hosts that are said to be at one address, only one can be; the other was not tried yet.
fn was_tried(history: &[Attempt], endpoint: &Endpoint) -> bool {
    let host = Some(&endpoint.instance.host);
    history
        .iter()
        .any(|attempt| attempt.address == endpoint.address && attempt.host.as_ref() == host)
}

/// The endpoint of the next attempt. Waits only for what was never heard of.
async fn choose(
    inner: &Inner,
    spec: &Spec,
    deadline: &Deadline,
    history: &mut Vec<Attempt>,
) -> Result<Destination, CallError> {
    let nobody = |reason, history: &mut Vec<Attempt>| {
        let (service, attempts) = (sought(spec).clone(), std::mem::take(history));
        let error = NoAvailableInstance { service, reason, attempts };
        Err(CallError::NoAvailableInstance(Box::new(error)))
    };
    if let Some(to) = destination(inner, spec, history) {
        return Ok(to);
    }
    let Source::Registry(shared) = &inner.source else {
        return nobody(NoInstance::UnknownService { known: vec![] }, history);
    };
    if let Err(none) = shared.first(deadline.left()).await {
        return nobody(NoInstance::NoRegistry(none), history);
    }
    let settled = |snapshot: &Snapshot| {
        snapshot.origin() != Origin::Gathering || !endpoints(snapshot, spec).is_empty()
    };
    // When the patience ends first, the set is as good as it gets.
    _ = shared.until(deadline.left().min(SETTLE), settled).await;
    match destination(inner, spec, history) {
        Some(to) => Ok(to),
        None => nobody(no_instance(&shared.snapshot(), spec), history),
    }
}

fn destination(inner: &Inner, spec: &Spec, history: &[Attempt]) -> Option<Destination> {
    let anyone = |address| Destination { address, host: None, listed: false };
    let shared = match (&spec.route, &inner.source) {
        (Route::At(address), _) => return Some(anyone(*address)),
        (_, Source::Direct(direct)) => {
            let tried = |address: &_| history.iter().any(|attempt| attempt.address == *address);
            let (addresses, reach) = (direct.addresses(), inner.pool.reach());
            let rank = |address: &_| (tried(address), reach.is_down(*address));
            return addresses.into_iter().min_by_key(rank).map(anyone);
        }
        (_, Source::Registry(shared)) => shared,
    };
    let snapshot = shared.snapshot();
    let candidates = endpoints(&snapshot, spec);
    // The pool is let go before anybody picks.
    let choices = candidates::best(candidates, &Past { history, reach: inner.pool.reach() });
    if choices.is_empty() {
        return None;
    }
    let draw = Draw { entropy: inner.chance.draw(), key: spec.key.as_deref() };
    let picker = inner.pickers.of(sought(spec), spec.balance, &inner.chance);
    let picked = choices[picker.pick(&choices, &draw) % choices.len()];
    Some(Destination {
        address: picked.address,
        host: Some(picked.instance.host.clone()),
        listed: lists(picked, &spec.target.method),
    })
}

/// Whether somebody is left who was not tried.
fn is_another_left(inner: &Inner, spec: &Spec, history: &[Attempt]) -> bool {
    let untried = |address| history.iter().all(|attempt| attempt.address != address);
    match (&spec.route, &inner.source) {
        (Route::At(_), _) => false,
        (_, Source::Direct(direct)) => direct.addresses().into_iter().any(untried),
        (_, Source::Registry(shared)) => endpoints(&shared.snapshot(), spec)
            .into_iter()
            .any(|endpoint| endpoint.instance.enabled && !was_tried(history, endpoint)),
    }
}

/// Who may answer. What every host answers itself may be asked of any, each once.
fn endpoints<'a>(snapshot: &'a Snapshot, spec: &Spec) -> Vec<&'a Endpoint> {
    let service = sought(spec).as_str();
    if service != BUILTIN_SERVICE {
        return snapshot.endpoints(service).iter().collect();
    }
    let mut all: Vec<_> = snapshot.all_endpoints().collect();
    all.sort_by_key(|endpoint| endpoint.address);
    all.dedup_by_key(|endpoint| endpoint.address);
    all
}

/// The service whose instances are asked.
fn sought(spec: &Spec) -> &ServiceName {
    match &spec.route {
        Route::Via(service) => service,
        Route::Target | Route::At(_) => &spec.target.service,
    }
}

/// Whether the registry names the method, by its short or its qualified name.
fn lists(endpoint: &Endpoint, method: &str) -> bool {
    let short = method.rsplit_once('#').map_or(method, |(_, short)| short);
    endpoint.instance.methods.iter().any(|known| known.name == method || known.name == short)
}

fn no_instance(snapshot: &Snapshot, spec: &Spec) -> NoInstance {
    match endpoints(snapshot, spec).len() {
        0 => {
            let known = snapshot.services().map(|(name, _)| name.clone()).collect();
            NoInstance::UnknownService { known }
        }
        count => NoInstance::AllDisabled { count },
    }
}

fn decide(
    inner: &Inner,
    spec: &Spec,
    failed: &Failed,
    deadline: &Deadline,
    history: &[Attempt],
) -> Decision {
    let another = is_another_left(inner, spec, history);
    let standing = Standing {
        made: u32::try_from(history.len()).unwrap_or(u32::MAX),
        idempotent: spec.idempotent,
        another,
        left: deadline.left(),
    };
    spec.retry.decide(&failed.outcome, &standing, inner.chance.draw())
}

fn answer(
    answered: Answered,
    to: &Destination,
    spec: &Spec,
    deadline: &Deadline,
    attempts: Vec<Attempt>,
) -> Answer {
    let Answered { host, value, generation, load } = answered;
    let (target, elapsed) = (spec.target.clone(), deadline.elapsed());
    Answer { target, value, generation, load, host, address: to.address, elapsed, attempts }
}

fn exhausted(spec: &Spec, attempts: Vec<Attempt>) -> CallError {
    let executed = Attempt::executed_in_any(&attempts);
    let target = spec.target.clone();
    CallError::MaxRetriesExceeded(Box::new(MaxRetriesExceeded { target, attempts, executed }))
}

fn conclude(spec: &Spec, failed: Failed, deadline: &Deadline, attempts: Vec<Attempt>) -> CallError {
    let target = spec.target.clone();
    let executed = Attempt::executed_in_any(&attempts);
    match failed.kind {
        FailureKind::Timeout => {
            let phase = failed.attempt.phase;
            let deadline = deadline.total();
            let error = RequestTimeout { target, deadline, phase, executed, attempts };
            CallError::RequestTimeout(Box::new(error))
        }
        FailureKind::Connect => CallError::Connect(Box::new(ConnectError { target, attempts })),
        FailureKind::Transport => {
            CallError::Transport(Box::new(TransportError { target, executed, attempts }))
        }
        FailureKind::Answer => CallError::ServiceError(Box::new(ServiceError {
            target,
            status: failed.outcome.status,
            executed,
            message: failed.attempt.message,
            value: failed.value,
            attempts,
        })),
    }
}

/// How long a call for an unknown service waits for a registry that has just started: most hosts
/// register again within it, and a mistyped name does not look like a hang.
const SETTLE: Duration = Duration::from_secs(2);
