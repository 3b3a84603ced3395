//! Moves calls that compute for long to threads of their own.
//!
//! The threads that serve connections poll every guest, a tick of the epoch at a time. A guest that
//! has had its share of them goes on here, where those that compute for long take turns with each
//! other: a short call never waits behind them, however many there are. Where the system lets them,
//! these threads also give way to the others.
//!
//! Many that come at once would still each have their share first, and all others wait meanwhile.
//! So calls of a method whose last ones were all long start here.
//!
//! A call that is dropped is dropped here too, at its next tick.

use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::plugin::Habit;

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

    /// Runs `work` to its end: here, or on the lane's threads once it has computed for long, or from
    /// its start where that is the `habit`. `None` when the lane was closed meanwhile.
    ///
    /// # Panics
    /// When `work` does.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        habit: &Habit,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let elsewhere = self.runtime.as_ref()?.handle();
        if habit.is_long() {
            let (value, computed) = there(Box::pin(timed(work)), elsewhere).await?;
            if computed < SHORT {
                habit.was_short();
            }
            return Some(value);
        }
        let mut work: Work<T> = Box::pin(work);
        if let Some(value) = here(&mut work, |computed, took| *computed += took).await {
            habit.was_short();
            return Some(value);
        }
        habit.was_long();
        there(work, elsewhere).await
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
                let mut work: Work<()> = Box::pin(work);
                if here(&mut work, burst).await.is_none() {
                    there(work, &handle).await;
                }
            });
        }
        task
    }
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Polls `work` here; `None` when it has computed for long, as `count` adds it up.
async fn here<T>(work: &mut Work<T>, count: impl Fn(&mut Duration, Duration)) -> Option<T> {
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
    ended.await
}

/// Runs `work` on the threads of `elsewhere`.
async fn there<T: Send + 'static>(work: Work<T>, elsewhere: &Handle) -> Option<T> {
    // Its drop ends the task.
    let mut task = JoinSet::new();
    task.spawn_on(work, elsewhere);
    match task.join_next().await? {
        Ok(value) => Some(value),
        Err(error) => error.try_into_panic().map_or(None, |panic| std::panic::resume_unwind(panic)),
    }
}

/// Says also for how long it computed.
async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = pin!(work);
    let mut computed = Duration::ZERO;
    let ended = poll_fn(|context| {
        let began = Instant::now();
        let polled = work.as_mut().poll(context);
        computed += began.elapsed();
        polled
    });
    let value = ended.await;
    (value, computed)
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
        assert_eq!(lane.run(&Habit::default(), compute(0)).await, Some(here));
        let there = lane.run(&Habit::default(), compute(20)).await.expect("it ends");
        assert_eq!(there, "jackfield-long");
    }

    #[tokio::test]
    async fn what_is_always_long_starts_there_until_it_is_short_again() {
        let lane = Lane::spawn().expect("threads");
        let habit = Habit::default();
        let here = std::thread::current().name().unwrap_or_default().to_owned();
        assert_eq!(lane.run(&habit, compute(0)).await, Some(here.clone()));
        while !habit.is_long() {
            lane.run(&habit, compute(20)).await.expect("it ends");
        }
        assert_eq!(lane.run(&habit, compute(0)).await.as_deref(), Some("jackfield-long"));
        // On a machine that is busy elsewhere even this may look long, but not for ever.
        while lane.run(&habit, compute(0)).await.as_ref() != Some(&here) {}
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
        let habit = Habit::default();
        let ended = tokio::time::timeout(SHORT * 10, lane.run::<()>(&habit, work)).await;
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
        lane.run::<()>(&Habit::default(), work).await;
    }
}
