//! Runs one guest: a fresh instance, one call, and nothing left of it.
//!
//! A guest ends by returning, by trapping, by its deadline, or because its caller went away, which
//! drops this future. In each case its store goes with it.

use std::sync::atomic::{AtomicBool, Ordering};

use jackfield_wire::{Executed, Failure, Status};

use super::{Call, End, trap};
use crate::guest::{Guest, Output, Source};
use crate::limits::HostLimits;
use crate::value::{Answer, CallError, Prepared, WriteError};

/// Calls the method with `arguments` until the call's deadline.
pub(super) async fn guest(
    call: &Call<'_>,
    arguments: Prepared,
    limits: &HostLimits,
) -> Result<End, Failure> {
    let source = Source {
        service: call.plugin.service().as_str().into(),
        method: call.method.info().name.as_str().into(),
    };
    let output = Output::new(source, call.plugin.log().clone());
    let started = AtomicBool::new(false);
    let running = Box::pin(instance(call, arguments, limits, &output, &started));
    let ended = tokio::time::timeout_at(call.deadline, running).await;
    let stderr = output.finish();
    let executed = if started.load(Ordering::Relaxed) { Executed::Yes } else { Executed::No };
    match ended {
        Ok(Ok(Answer::Ok(json))) => {
            let has_result = call.method.plan().signature().result.is_some();
            Ok(End::Value(has_result.then_some(json)))
        }
        Ok(Ok(Answer::Application(json))) => Ok(End::Application(json)),
        Ok(Err(CallError::Guest(error))) => {
            Err(trap::failure(&error, executed, &stderr, call.plugin.limits()))
        }
        Ok(Err(CallError::Result(error))) => {
            let status = match error {
                WriteError::TooLarge { .. } => Status::ResourceExhausted,
                WriteError::Type(_) => Status::Internal,
            };
            Err(Failure::new(status, executed, error.to_string()))
        }
        Err(_) => Err(past_deadline(call, executed, &stderr)),
    }
}

async fn instance(
    call: &Call<'_>,
    arguments: Prepared,
    limits: &HostLimits,
    output: &Output,
    started: &AtomicBool,
) -> Result<Answer, CallError> {
    let pre = call.plugin.pre();
    let mut store = Guest::store(call.plugin, limits, output);
    let instance = pre.instantiate_async(&mut store).await.map_err(CallError::Guest)?;
    let function = instance.get_func(&mut store, call.method.index()).ok_or_else(|| {
        CallError::Guest(wasmtime::Error::msg("the instance lacks what its component exports"))
    })?;
    // Until here only the component's own start-up has run, which can reach nothing that outlives
    // the store: no import with a lasting effect is ever granted. So it counts as not executed.
    started.store(true, Ordering::Relaxed);
    call.method.plan().call(&mut store, function, arguments, call.plugin.limits().result).await
}

fn past_deadline(call: &Call<'_>, executed: Executed, stderr: &str) -> Failure {
    let text = format!(
        "{}.{} had not ended after {:?}, its deadline, and was stopped{}",
        call.plugin.service(),
        call.method.info().name,
        call.budget,
        trap::quoted(stderr),
    );
    Failure::new(Status::DeadlineExceeded, executed, text)
}
