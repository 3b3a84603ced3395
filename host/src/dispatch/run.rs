//! Runs one call in an instance: one that was kept for it, or a fresh one.
//!
//! A guest ends by returning, by trapping, by its deadline, or because its caller went away, which
//! drops this future. Unless it returned, and its plugin asked for its instance to be kept, its
//! store goes with it; the permit goes back when the store is gone, not before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jackfield_wire::{Executed, Failure, Status};

use super::fault::Fault;
use super::gate::Permit;
use super::{Call, End, trap};
use crate::guest::{Guest, Output, Source};
use crate::keeper::{Live, Slot};
use crate::lane::Lane;
use crate::limits::HostLimits;
use crate::value::{Answer, CallError, Prepared, WriteError};

/// Calls the method with `arguments` until the call's deadline; gives the `permit` back when
/// nothing of the guest is left.
pub(super) async fn guest(
    lane: &Lane,
    call: Call,
    arguments: Prepared,
    limits: &Arc<HostLimits>,
    permit: Permit,
) -> Result<End, Fault> {
    let call = Arc::new(call);
    let job = Job::new(&call, limits, permit)?;
    let (output, progress, calls) = (job.output.clone(), Arc::clone(&job.progress), job.calls);
    let running = lane.run(call.plugin.who(call.method()), job.run(arguments));
    let ended = tokio::select! {
        biased;
        ended = running => Ok(ended),
        () = tokio::time::sleep_until(call.deadline) => Err(()),
    };
    let failure = match ended {
        Ok(Some(Ok(Answer::Ok(json)))) => {
            let has_result = call.method().plan().signature().result.is_some();
            return Ok(End::Value(has_result.then_some(json)));
        }
        Ok(Some(Ok(Answer::Application(json)))) => return Ok(End::Application(json)),
        Ok(Some(Err(error))) => failed(&call, error, progress.executed(&call), &output),
        Ok(None) => Failure::new(Status::Unavailable, progress.executed(&call), "the host ends"),
        Err(_) => past_deadline(&call, progress.executed(&call), &output.finish()),
    };
    let lost = call.plugin.keeper().is_single() && !progress.kept.load(Ordering::Relaxed);
    Err(if lost && calls > 0 { and_lost(&failure, calls) } else { failure }.into())
}

/// The same on this thread, however long it takes and without a deadline: for benchmarks.
pub(super) async fn here(
    call: Call,
    arguments: Prepared,
    limits: &Arc<HostLimits>,
    permit: Permit,
) -> Result<Answer, Fault> {
    let call = Arc::new(call);
    let job = Job::new(&call, limits, permit)?;
    let (output, progress) = (job.output.clone(), Arc::clone(&job.progress));
    let failure = |error| failed(&call, error, progress.executed(&call), &output).into();
    job.run(arguments).await.map_err(failure)
}

/// How far a guest has come, for those who stop it.
#[derive(Default)]
struct Progress {
    /// The method itself began.
    started: AtomicBool,
    /// The instance serves on.
    kept: AtomicBool,
}

impl Progress {
    fn executed(&self, call: &Call) -> Executed {
        match self.started.load(Ordering::Relaxed) {
            true => Executed::Yes,
            false => call.plugin.executed_by_start_up(),
        }
    }
}

/// A guest and all that it needs, wherever it runs.
struct Job {
    call: Arc<Call>,
    limits: Arc<HostLimits>,
    output: Output,
    progress: Arc<Progress>,
    /// What was kept for it.
    live: Option<Live>,
    /// Calls that have left something in it.
    calls: u32,
    /// Room for what it makes, if that is to stay.
    slot: Option<Slot>,
    /// Last, so that it outlives the store.
    _permit: Permit,
}

impl Job {
    fn new(call: &Arc<Call>, limits: &Arc<HostLimits>, permit: Permit) -> Result<Self, Fault> {
        let keeper = call.plugin.keeper();
        let source = Source {
            service: call.plugin.service().shared(),
            method: Arc::clone(call.method().label()),
            call: Some(call.id),
        };
        let live = keeper.take(permit.since());
        let (output, slot) = match &live {
            Some(live) => {
                live.output.begin(source);
                (live.output.clone(), None)
            }
            None => {
                let slot = keeper.reserve().map_err(|full| {
                    Failure::not_executed(Status::ResourceExhausted, full.to_string())
                })?;
                (Output::new(source, call.plugin.log().clone()), slot)
            }
        };
        let calls = live.as_ref().map_or(0, Live::calls);
        Ok(Self {
            call: Arc::clone(call),
            limits: Arc::clone(limits),
            output,
            progress: Arc::default(),
            live,
            calls,
            slot,
            _permit: permit,
        })
    }

    async fn run(mut self, arguments: Prepared) -> Result<Answer, CallError> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.make().await?,
        };
        let (plugin, method) = (&self.call.plugin, self.call.method());
        let store = &mut live.store;
        let function = live.instance.get_func(&mut *store, method.index()).ok_or_else(|| {
            CallError::Guest(wasmtime::Error::msg("the instance lacks what its component exports"))
        })?;
        // Until here only the component's own start-up has run: without grants it can reach nothing
        // that outlives the store, and counts as not executed.
        self.progress.started.store(true, Ordering::Relaxed);
        store.set_epoch_deadline(1);
        let limit = plugin.limits().result;
        store.data_mut().serve(self.call.current.clone());
        let answer = method.plan().call(&mut *store, function, arguments, limit).await;
        store.data_mut().serve(None);
        if matches!(answer, Ok(_) | Err(CallError::Result(WriteError::TooLarge { .. }))) {
            self.output.finish();
            self.progress.kept.store(true, Ordering::Relaxed);
            plugin.keeper().put(live);
        }
        answer
    }

    async fn make(&mut self) -> Result<Live, CallError> {
        let plugin = &self.call.plugin;
        let mut store = Guest::store(plugin, &self.limits, &self.output);
        let made = plugin.pre().instantiate_async(&mut store).await;
        let instance = made.map_err(CallError::Guest)?;
        Ok(Live::new(store, instance, self.output.clone(), self.slot.take()))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let lost = !self.progress.kept.load(Ordering::Relaxed);
        if lost && self.calls > 0 && self.call.plugin.keeper().is_single() {
            let (service, calls) = (self.call.plugin.service(), self.calls);
            tracing::warn!(%service, calls, "the only instance is lost, with what its calls left");
        }
    }
}

fn failed(call: &Call, error: CallError, executed: Executed, output: &Output) -> Failure {
    match error {
        CallError::Guest(error) => {
            trap::failure(&error, executed, &output.finish(), call.plugin.limits())
        }
        CallError::Result(error) => unwritten(&error, executed),
    }
}

/// What a caller is told whose result cannot be told.
pub(super) fn unwritten(error: &WriteError, executed: Executed) -> Failure {
    let status = match error {
        WriteError::TooLarge { .. } => Status::ResourceExhausted,
        WriteError::Type(_) => Status::Internal,
    };
    Failure::new(status, executed, error.to_string())
}

fn and_lost(failure: &Failure, calls: u32) -> Failure {
    let text = format!(
        "{}; the plugin's only instance is lost with it, and what its {calls} calls before had left \
         there",
        failure.message
    );
    Failure::new(failure.status, failure.executed, text)
}

/// What a caller is told whose call was stopped.
pub(super) fn past_deadline(call: &Call, executed: Executed, stderr: &str) -> Failure {
    let text = format!(
        "{}.{} had not ended after {:?}, its deadline, and was stopped{}",
        call.plugin.service(),
        call.method().info().name,
        call.budget,
        trap::quoted(stderr),
    );
    Failure::new(Status::DeadlineExceeded, executed, text)
}
