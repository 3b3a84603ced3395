//! Moves calls that compute for long to threads of their own.
//!
//! The threads that serve connections poll every guest, a tick of the epoch at a time. A guest that
//! has had its share of them goes on here, where those that compute for long take turns with each
//! other: a short call never waits behind them, however many there are. Where the system lets them,
//! these threads also give way to the others.
//!
//! A call that is dropped is dropped here too, at its next tick.

use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

/// The threads for long computations.
pub(super) struct Lane {
    /// Always there until it is dropped.
    runtime: Option<Runtime>,
}

impl Lane {
    /// Starts the threads: half as many as the machine has cores, at least one.
    ///
    /// # Errors
    /// When the system has none left.
    pub(super) fn spawn() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let runtime = Builder::new_multi_thread()
            .worker_threads((cores / 2).max(1))
            .thread_name("jackfield-long")
            .on_thread_start(give_way)
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs `work` to its end: here, or on the lane's threads once it has computed for long.
    /// `None` when the lane was closed meanwhile.
    ///
    /// # Panics
    /// When `work` does.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let runtime = self.runtime.as_ref()?;
        moving(Box::pin(work), runtime.handle(), |computed, took| *computed += took).await
    }

    /// Starts what serves many calls: here, and on the lane's threads once it has computed for long
    /// without a pause. Ends when the answer is dropped.
    pub(super) fn start(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
        let mut task = JoinSet::new();
        if let Some(handle) = self.runtime.as_ref().map(|runtime| runtime.handle().clone()) {
            task.spawn(async move {
                let burst = |computed: &mut Duration, took: Duration| {
                    *computed = if took < PAUSE { Duration::ZERO } else { *computed + took };
                };
                moving(Box::pin(work), &handle, burst).await;
            });
        }
        task
    }
}

/// Polls `work` here until it has computed for long, as `count` adds it up, and elsewhere then.
async fn moving<T: Send + 'static>(
    mut work: Pin<Box<dyn Future<Output = T> + Send>>,
    elsewhere: &Handle,
    count: impl Fn(&mut Duration, Duration),
) -> Option<T> {
    let mut computed = Duration::ZERO;
    let ended = poll_fn(|context| {
        let began = Instant::now();
        let polled = work.as_mut().poll(context);
        count(&mut computed, began.elapsed());
        match polled {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if computed >= SHORT => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    if let Some(value) = ended.await {
        return Some(value);
    }
    // Its drop ends the task.
    let mut task = JoinSet::new();
    task.spawn_on(work, elsewhere);
    match task.join_next().await? {
        Ok(value) => Some(value),
        Err(error) => error.try_into_panic().map_or(None, |panic| std::panic::resume_unwind(panic)),
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting would block the thread that drops a host; the tasks' owners are gone.
            runtime.shutdown_background();
        }
    }
}

/// Makes this thread yield to those of the same process.
#[cfg(target_os = "linux")]
fn give_way() {
    use rustix::process::{Pid, setpriority_process};
    let link = std::fs::read_link("/proc/thread-self").ok();
    let id = link.as_deref().and_then(|path| path.file_name()?.to_str()?.parse().ok());
    if let Some(thread) = id.and_then(Pid::from_raw) {
        // Where it is not allowed, turns alone have to do.
        let _ = setpriority_process(Some(thread), NICE);
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

/// A tenth of the weight of an ordinary thread, when cores are short.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Time on the serving threads that a call has at most: two ticks. Moving a call costs some ten
/// microseconds, which a call of this length does not notice; twice as long would show in the
/// slowest hundredth of its neighbours.
const SHORT: Duration = Duration::from_millis(2);

/// A poll shorter than half a tick ended because there was nothing to compute.
const PAUSE: Duration = Duration::from_micros(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes for at least so many times a quarter of [`SHORT`], yielding between.
    async fn compute(ticks: u32) -> String {
        for _ in 0..ticks {
            let end = Instant::now() + SHORT / 4;
            while Instant::now() < end {}
            tokio::task::yield_now().await;
        }
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn short_work_stays_and_long_work_moves() {
        let lane = Lane::spawn().expect("threads");
        let here = std::thread::current().name().unwrap_or_default().to_owned();
        assert_eq!(lane.run(compute(0)).await, Some(here));
        let there = lane.run(compute(20)).await.expect("it ends");
        assert_eq!(there, "jackfield-long");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_dropped() {
        struct Told(Option<tokio::sync::oneshot::Sender<()>>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.take().expect("once").send(());
            }
        }
        let lane = Lane::spawn().expect("threads");
        let (send, dropped) = tokio::sync::oneshot::channel();
        let told = Told(Some(send));
        let work = async move {
            let _told = told;
            loop {
                compute(1).await;
            }
        };
        let ended = tokio::time::timeout(SHORT * 10, lane.run::<()>(work)).await;
        assert!(ended.is_err());
        dropped.await.expect("it is dropped");
    }

    #[tokio::test]
    #[should_panic(expected = "said so")]
    async fn a_panic_comes_back() {
        let lane = Lane::spawn().expect("threads");
        let work = async {
            compute(20).await;
            panic!("said so");
        };
        lane.run::<()>(work).await;
    }
}
