//! One instance for many calls at once.
//!
//! The instance lives in a task that runs its calls beside each other. It ends when one of them
//! traps, when its plugin's generation ends, and when a call that nobody waits for any more does
//! not end: wasmtime cannot stop one call of several, so new calls then go to a new instance, and
//! the old one ends with the last call that somebody still waits for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use wasmtime::Store;
use wasmtime::component::{
    Accessor, AccessorTask, ComponentExportIndex, Func, Instance, InstancePre,
};

use super::Slot;
use crate::guest::Guest;
use crate::value::{Answer, CallError, MethodPlan, Prepared};

/// A call of a shared instance.
pub(crate) struct Job {
    pub(crate) plan: Arc<MethodPlan>,
    pub(crate) index: ComponentExportIndex,
    pub(crate) arguments: Prepared,
    /// Bytes of its result.
    pub(crate) limit: usize,
    /// Asked when the method is to begin: whether it still may.
    pub(crate) begin: Box<dyn FnOnce() -> bool + Send + Sync>,
    /// Kept until the method has ended, whoever waits for that: it stands for what the call takes.
    pub(crate) permit: Box<dyn Send + Sync>,
}

/// What a new instance is made of.
pub(crate) struct Seed {
    pub(crate) store: Store<Guest>,
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) slot: Slot,
}

/// The instance that the calls of one generation share, when there is one.
#[derive(Default)]
pub(crate) struct Shared {
    /// Never held across an await.
    current: Mutex<Option<Arc<Worker>>>,
    rests: AtomicBool,
}

impl Shared {
    /// The instance for a new call; `seed` and `run` make one when there is none that takes calls.
    ///
    /// # Errors
    /// Those of `seed`.
    pub(crate) fn worker<E>(
        &self,
        seed: impl FnOnce() -> Result<Seed, E>,
        run: impl FnOnce(Work) -> JoinSet<()>,
    ) -> Result<Arc<Worker>, E> {
        let mut current = self.current();
        if let Some(worker) = current.as_ref().filter(|worker| worker.takes_calls(Instant::now())) {
            return Ok(Arc::clone(worker));
        }
        let worker = Worker::spawn(seed()?, run);
        // Asked under the lock: whoever rests takes what is there under it, later.
        let kept = (!self.rests.load(Ordering::Relaxed)).then(|| Arc::clone(&worker));
        let before = std::mem::replace(&mut *current, kept);
        drop(current);
        drop(before);
        Ok(worker)
    }

    /// Lets go of the instance as soon as its calls have ended, and keeps none from now on.
    pub(super) fn rest(&self) {
        self.rests.store(true, Ordering::Relaxed);
        let gone = self.current().take();
        drop(gone);
    }

    /// Keeps one again.
    pub(super) fn wake(&self) {
        self.rests.store(false, Ordering::Relaxed);
    }

    /// Lets go of an instance that takes no calls.
    pub(super) fn sweep(&self, now: Instant) {
        let gone = self.current().take_if(|worker| !worker.takes_calls(now));
        drop(gone);
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Worker>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of an instance, to be spawned.
pub(crate) type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// An instance at work. Dropping it ends it at once.
pub(crate) struct Worker {
    jobs: mpsc::UnboundedSender<OneCall>,
    /// Calls so far.
    calls: AtomicU64,
    ending: Arc<Ending>,
    _task: JoinSet<()>,
}

/// What is known of an instance's end.
#[derive(Default)]
struct Ending {
    /// Its start-up went well.
    lived: AtomicBool,
    /// Why it ended.
    error: OnceLock<wasmtime::Error>,
    /// Calls that have not ended and whose callers went away, and when; the oldest first. Never
    /// held across an await.
    abandoned: Mutex<Vec<(u64, Instant)>>,
}

impl Ending {
    fn abandoned(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call with this number has ended, whether or not somebody waited.
    fn ended(&self, number: u64) {
        self.abandoned().retain(|(other, _)| *other != number);
    }
}

impl Worker {
    fn spawn(seed: Seed, run: impl FnOnce(Work) -> JoinSet<()>) -> Arc<Self> {
        // Each job has a permit, which bounds them.
        let (jobs, incoming) = mpsc::unbounded_channel();
        let ending = Arc::new(Ending::default());
        let task = run(Box::pin(serve(seed, incoming, Arc::clone(&ending))));
        Arc::new(Self { jobs, calls: AtomicU64::new(0), ending, _task: task })
    }

    /// Runs a call beside others. `None` when the instance has ended: see [`Self::error`].
    ///
    /// # Cancel safety
    /// A call that is dropped goes on; the instance takes no new calls when it does not end soon.
    pub(crate) async fn call(&self, job: Job) -> Option<Result<Answer, CallError>> {
        let (send, mut answer) = oneshot::channel();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let ending = Arc::clone(&self.ending);
        self.jobs.send(OneCall { number, job, answer: send, ending }).ok()?;
        // Dropped before the channel: who sees that closed finds it counted.
        let mut waiting = Waiting { number, ending: Some(&self.ending) };
        let answered = (&mut answer).await;
        waiting.ending = None;
        answered.ok()
    }

    /// Why the instance has ended.
    pub(crate) fn error(&self) -> Option<&wasmtime::Error> {
        self.ending.error.get()
    }

    /// Whether it took calls before it ended.
    pub(crate) fn lived(&self) -> bool {
        self.ending.lived.load(Ordering::Relaxed)
    }

    fn takes_calls(&self, now: Instant) -> bool {
        if self.error().is_some() {
            return false;
        }
        let abandoned = self.ending.abandoned();
        let long = |(_, since): &(u64, Instant)| now.saturating_duration_since(*since) >= LINGER;
        !self.jobs.is_closed()
            && abandoned.len() <= MAX_ABANDONED
            && !abandoned.first().is_some_and(long)
    }
}

/// Somebody who waits for an answer.
struct Waiting<'a> {
    number: u64,
    ending: Option<&'a Ending>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ending) = self.ending {
            ending.abandoned().push((self.number, Instant::now()));
        }
    }
}

async fn serve(seed: Seed, mut jobs: mpsc::UnboundedReceiver<OneCall>, ending: Arc<Ending>) {
    // In this order: what comes first goes last, and the slot has to outlive the store.
    let Seed { slot: _slot, pre, mut store } = seed;
    let error = match pre.instantiate_async(&mut store).await {
        Ok(instance) => {
            ending.lived.store(true, Ordering::Relaxed);
            run(&mut store, instance, &mut jobs).await
        }
        Err(error) => Some(error),
    };
    if let Some(error) = error {
        // It is the first and only one.
        let _ = ending.error.set(error);
    }
    // Only now do callers hear of it: their answers go with the store and the channel.
}

async fn run(
    store: &mut Store<Guest>,
    instance: Instance,
    jobs: &mut mpsc::UnboundedReceiver<OneCall>,
) -> Option<wasmtime::Error> {
    let served = store.run_concurrent(async |accessor| {
        while let Some(call) = jobs.recv().await {
            let index = call.job.index;
            let function = accessor.with(|mut store| instance.get_func(&mut store, index));
            let function = function.ok_or_else(|| {
                wasmtime::Error::msg("the instance lacks what its component exports")
            })?;
            accessor.spawn(Task { call, function })?;
        }
        Ok(())
    });
    served.await.and_then(|ended| ended).err()
}

/// A call on its way into the instance.
struct OneCall {
    number: u64,
    job: Job,
    answer: oneshot::Sender<Result<Answer, CallError>>,
    ending: Arc<Ending>,
}

/// A call as a task of the instance.
struct Task {
    call: OneCall,
    function: Func,
}

impl AccessorTask<Guest> for Task {
    async fn run(self, accessor: &Accessor<Guest>) -> wasmtime::Result<()> {
        let OneCall { number, job, answer, ending } = self.call;
        let Job { plan, arguments, limit, begin, permit: _permit, .. } = job;
        // The instance was busy for longer than its caller waited.
        if answer.is_closed() || !begin() {
            ending.ended(number);
            return Ok(());
        }
        let told = plan.call_beside_others(accessor, self.function, arguments, limit).await;
        if answer.send(told).is_err() {
            ending.ended(number);
        }
        Ok(())
    }
}

/// How long a call that nobody waits for may go on before its instance takes no new ones: most end
/// by themselves in this time.
const LINGER: Duration = Duration::from_secs(1);

/// So many of them may go on at once: each holds memory of the instance.
const MAX_ABANDONED: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_ends_takes_its_own_mark_along_and_no_other() {
        let ending = Ending::default();
        for number in [3, 1, 2] {
            drop(Waiting { number, ending: Some(&ending) });
        }
        drop(Waiting { number: 4, ending: None });
        ending.ended(3);
        let left: Vec<_> = ending.abandoned().iter().map(|(number, _)| *number).collect();
        assert_eq!(left, [1, 2]);
    }
}
