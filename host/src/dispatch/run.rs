//! Runs one guest: a fresh instance, one call, and nothing left of it.
//!
//! A guest ends by returning, by trapping, by its deadline, or because its caller went away, which
//! drops this future. In each case its store goes with it; the permit goes back when the store is
//! gone, not before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jackfield_wire::{Executed, Failure, Status};

use super::fault::Fault;
use super::gate::Permit;
use super::lane::Lane;
use super::{Call, End, trap};
use crate::engine::Running;
use crate::guest::{Guest, Output, Source};
use crate::limits::HostLimits;
use crate::value::{Answer, CallError, Prepared, WriteError};

/// Calls the method with `arguments` until the call's deadline; gives back what it `held` when
/// nothing of the guest is left.
pub(super) async fn guest(
    lane: &Lane,
    call: Call,
    arguments: Prepared,
    limits: &Arc<HostLimits>,
    held: (Permit, Running),
) -> Result<End, Fault> {
    let call = Arc::new(call);
    let source = Source {
        service: call.plugin.service().as_str().into(),
        method: call.method().info().name.as_str().into(),
    };
    let output = Output::new(source, call.plugin.log().clone());
    let started = Arc::new(AtomicBool::new(false));
    let job = Job {
        call: Arc::clone(&call),
        limits: Arc::clone(limits),
        output: output.clone(),
        started: Arc::clone(&started),
        _held: held,
    };
    let ended = tokio::time::timeout_at(call.deadline, lane.run(job.run(arguments))).await;
    let stderr = output.finish();
    let executed = if started.load(Ordering::Relaxed) { Executed::Yes } else { Executed::No };
    match ended {
        Ok(Some(Ok(Answer::Ok(json)))) => {
            let has_result = call.method().plan().signature().result.is_some();
            Ok(End::Value(has_result.then_some(json)))
        }
        Ok(Some(Ok(Answer::Application(json)))) => Ok(End::Application(json)),
        Ok(Some(Err(CallError::Guest(error)))) => {
            Err(trap::failure(&error, executed, &stderr, call.plugin.limits()).into())
        }
        Ok(Some(Err(CallError::Result(error)))) => {
            let status = match error {
                WriteError::TooLarge { .. } => Status::ResourceExhausted,
                WriteError::Type(_) => Status::Internal,
            };
            Err(Failure::new(status, executed, error.to_string()).into())
        }
        Ok(None) => Err(Failure::new(Status::Unavailable, executed, "the host ends").into()),
        Err(_) => Err(past_deadline(&call, executed, &stderr).into()),
    }
}

/// A guest and all that it needs, wherever it runs.
struct Job {
    call: Arc<Call>,
    limits: Arc<HostLimits>,
    output: Output,
    /// Whether the method itself began.
    started: Arc<AtomicBool>,
    /// Last, so that it outlives the store.
    _held: (Permit, Running),
}

impl Job {
    async fn run(self, arguments: Prepared) -> Result<Answer, CallError> {
        let Call { plugin, .. } = &*self.call;
        let pre = plugin.pre();
        let mut store = Guest::store(plugin, &self.limits, &self.output);
        let instance = pre.instantiate_async(&mut store).await.map_err(CallError::Guest)?;
        let method = self.call.method();
        let function = instance.get_func(&mut store, method.index()).ok_or_else(|| {
            CallError::Guest(wasmtime::Error::msg("the instance lacks what its component exports"))
        })?;
        // Until here only the component's own start-up has run, which can reach nothing that
        // outlives the store: no import with a lasting effect is ever granted. So it counts as not
        // executed.
        self.started.store(true, Ordering::Relaxed);
        method.plan().call(&mut store, function, arguments, plugin.limits().result).await
    }
}

fn past_deadline(call: &Call, executed: Executed, stderr: &str) -> Failure {
    let text = format!(
        "{}.{} had not ended after {:?}, its deadline, and was stopped{}",
        call.plugin.service(),
        call.method().info().name,
        call.budget,
        trap::quoted(stderr),
    );
    Failure::new(Status::DeadlineExceeded, executed, text)
}
