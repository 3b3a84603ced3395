//! Makes the calls of a run.
//!
//! Without a rate each of `in_flight` callers calls again once it has its answer. With a rate calls
//! are due at fixed times from the beginning on, and latency counts from then: a slow answer delays
//! the calls behind it and shows in the latency of each, instead of hiding calls that would have
//! been slow (which is called coordinated omission).
//!
//! A run ends by its time, its count or an interruption. Calls in flight are waited for, bounded by
//! their own deadlines, and counted; an interruption drops them.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::plan::Load;
use super::tally::{Failure, Tally};
use crate::exit::Exit;

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) tally: Tally,
    /// In which answers count for the throughput.
    pub(crate) window: Duration,
    /// Calls in flight that an interruption dropped.
    pub(crate) dropped: u64,
    /// Calls that were due, by the rate, and did not begin before the time was over.
    pub(crate) never_begun: u64,
    /// The signal that ended the run.
    pub(crate) interrupted: Option<Exit>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) elapsed: Duration,
    pub(crate) answers: u64,
    pub(crate) failed: u64,
}

/// Makes the calls of `load`, in turn by each of `callers`, and tells `progress` now and then.
pub(crate) async fn drive<C, F>(
    load: &Load,
    callers: &[C],
    interruption: impl Future<Output = Exit>,
    mut progress: impl FnMut(Progress),
) -> Driven
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let run = Arc::new(Run::new(load));
    let mut tasks = JoinSet::new();
    if let Some(schedule) = &run.schedule {
        let (schedule, begin) = (schedule.clone(), run.begin);
        tasks.spawn_blocking(move || schedule.pace(begin));
    }
    for (number, caller) in callers.iter().cycle().take(load.in_flight).enumerate() {
        tasks.spawn(run.clone().work(caller.clone(), number));
    }
    let mut interruption = std::pin::pin!(interruption);
    let mut tick = tokio::time::interval(TICK);
    let interrupted = loop {
        tokio::select! {
            biased;
            exit = &mut interruption => break Some(exit),
            next = tasks.join_next() => match next {
                Some(ended) => ended.expect("callers do not panic and nobody aborts them"),
                None => break None,
            },
            _ = tick.tick() => progress(run.progress()),
        }
    };
    let end = Instant::now();
    if let Some(schedule) = &run.schedule {
        schedule.is_over.store(true, Ordering::Relaxed);
    }
    tasks.shutdown().await;
    run.result(end, interrupted)
}

/// What the callers of a run share.
struct Run {
    begin: Instant,
    /// From then on no call begins.
    end: Option<Instant>,
    /// The most calls that begin.
    count: u64,
    /// Numbers given to calls so far; may pass `count` by one for each caller.
    taken: AtomicU64,
    begun: AtomicU64,
    schedule: Option<Arc<Schedule>>,
    /// More than one, so that callers on different cores seldom meet. Held to add one call or to
    /// read, never across an await.
    tallies: Vec<Mutex<Tally>>,
}

impl Run {
    fn new(load: &Load) -> Self {
        let begin = Instant::now();
        let (schedule, count) = match load.rate {
            Some(rate) => {
                let count = calls_due(rate, load.duration).min(load.count.unwrap_or(u64::MAX));
                (Some(Arc::new(Schedule::new(rate, count, load.in_flight))), count)
            }
            None => (None, load.count.unwrap_or(u64::MAX)),
        };
        Self {
            begin,
            end: load.duration.map(|duration| begin + duration),
            count,
            taken: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            schedule,
            tallies: (0..SHARDS.min(load.in_flight)).map(|_| Mutex::default()).collect(),
        }
    }

    /// One caller, until no call is left to it.
    async fn work<C, F>(self: Arc<Self>, caller: C, number: usize)
    where
        C: Fn() -> F,
        F: Future<Output = Result<(), Failure>>,
    {
        let tally = &self.tallies[number % self.tallies.len()];
        while let Some(due) = self.next().await {
            self.begun.fetch_add(1, Ordering::Relaxed);
            let outcome = caller().await;
            let now = Instant::now();
            let in_time = self.end.is_none_or(|end| now <= end);
            tally.lock().unwrap_or_else(PoisonError::into_inner).add(
                outcome,
                now.saturating_duration_since(due),
                in_time,
            );
        }
    }

    /// Waits until the next call is due, and says since when.
    async fn next(&self) -> Option<Instant> {
        let Some(schedule) = &self.schedule else {
            let is_mine = !self.is_over(Duration::ZERO) && self.take() < self.count;
            return is_mine.then(Instant::now);
        };
        schedule.due.acquire().await.expect("nobody closes it").forget();
        let number = self.take();
        (number < self.count && !self.is_over(LATE)).then(|| schedule.due_at(self.begin, number))
    }

    fn take(&self) -> u64 {
        self.taken.fetch_add(1, Ordering::Relaxed)
    }

    fn is_over(&self, grace: Duration) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end + grace)
    }

    fn progress(&self) -> Progress {
        let mut progress = Progress { elapsed: self.begin.elapsed(), answers: 0, failed: 0 };
        for tally in &self.tallies {
            let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            progress.answers += tally.answers();
            progress.failed += tally.failed();
        }
        progress
    }

    fn result(&self, stopped: Instant, interrupted: Option<Exit>) -> Driven {
        let mut tally = Tally::default();
        for part in &self.tallies {
            tally.merge(&part.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let begun = self.begun.load(Ordering::Relaxed);
        let end = self.end.map_or(stopped, |end| end.min(stopped));
        let due =
            self.schedule.as_ref().filter(|_| interrupted.is_none()).map_or(0, |_| self.count);
        Driven {
            dropped: begun.saturating_sub(tally.answers() + tally.failed()),
            never_begun: due.saturating_sub(begun),
            window: end.saturating_duration_since(self.begin),
            tally,
            interrupted,
        }
    }
}

/// When calls are due.
struct Schedule {
    rate: f64,
    count: u64,
    /// A permit for each call that is due, and in the end one for each caller, to go home with.
    due: Semaphore,
    callers: usize,
    is_over: AtomicBool,
}

impl Schedule {
    fn new(rate: f64, count: u64, callers: usize) -> Self {
        let (due, is_over) = (Semaphore::new(0), AtomicBool::new(false));
        Self { rate, count, due, callers, is_over }
    }

    fn due_at(&self, begin: Instant, number: u64) -> Instant {
        begin + Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// Lets calls begin as they are due. On a thread of its own, because the runtime's clock has
    /// steps of a millisecond, which would be in every latency.
    fn pace(&self, begin: Instant) {
        let mut given = 0;
        while given < self.count && !self.is_over.load(Ordering::Relaxed) {
            let elapsed = begin.elapsed();
            let due = calls_due(self.rate, Some(elapsed)).min(self.count);
            self.due.add_permits(usize::try_from(due - given).unwrap_or(Semaphore::MAX_PERMITS));
            given = due;
            let next = self.due_at(begin, given).saturating_duration_since(Instant::now());
            std::thread::sleep(next.min(NAP));
        }
        self.due.add_permits(self.callers);
    }
}

/// The calls that are due within a time from the beginning on, where the first is due.
fn calls_due(rate: f64, elapsed: Option<Duration>) -> u64 {
    let Some(elapsed) = elapsed else { return u64::MAX };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a plan bounds it")]
    let due = (rate * elapsed.as_secs_f64()).ceil().max(1.0) as u64;
    due
}

/// How often progress is told: for an eye.
const TICK: Duration = Duration::from_millis(200);

/// How late a call may begin that was due just before the end.
const LATE: Duration = Duration::from_millis(50);

/// How long the pace keeper may sleep before it looks whether the run is over.
const NAP: Duration = Duration::from_millis(20);

/// A tally is a few hundred kilobytes.
const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::sync::Notify;

    fn load(in_flight: usize) -> Load {
        Load { in_flight, rate: None, duration: None, count: None }
    }

    async fn finish<C, F>(load: Load, caller: C) -> Driven
    where
        C: Fn() -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        drive(&load, &[caller], pending(), |_| {}).await
    }

    #[tokio::test]
    async fn a_count_is_exact_however_many_callers_there_are() {
        for rate in [None, Some(1e6)] {
            let load = Load { count: Some(100), rate, ..load(7) };
            let driven = finish(load, || async { Ok(()) }).await;
            assert_eq!((driven.tally.answers(), driven.dropped), (100, 0));
            assert_eq!((driven.never_begun, driven.interrupted), (0, None));
        }
    }

    #[tokio::test]
    async fn no_more_calls_are_in_flight_than_asked_for() {
        let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let caller = {
            let most = most.clone();
            move || {
                let (now, most) = (now.clone(), most.clone());
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                }
            }
        };
        finish(Load { count: Some(50), ..load(3) }, caller).await;
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_call_that_waits_for_its_turn_is_as_late_as_it_was_due() {
        // One caller, ten calls due at once or so, 20 ms each: the last waits for nine others.
        let load = Load { count: Some(10), rate: Some(1e6), ..load(1) };
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(())
        };
        let driven = finish(load, slow).await;
        let longest = Duration::from_nanos(driven.tally.latencies.max());
        assert!(longest >= Duration::from_millis(199), "{longest:?}");
    }

    #[tokio::test]
    async fn calls_that_did_not_begin_in_time_are_counted() {
        let duration = Some(Duration::from_millis(1));
        let load = Load { duration, rate: Some(50_000.0), ..load(1) };
        let slow = || async {
            tokio::time::sleep(LATE * 2).await;
            Ok(())
        };
        let driven = finish(load, slow).await;
        // On a machine that stands still for a while not even the first may begin.
        assert_eq!(driven.tally.answers() + driven.never_begun, 50);
        assert!(driven.never_begun >= 49);
        assert_eq!(driven.tally.in_time, 0);
    }

    #[tokio::test]
    async fn an_interruption_drops_what_is_in_flight_and_says_so() {
        let begun = Arc::new(Notify::new());
        let caller = {
            let begun = begun.clone();
            move || {
                begun.notify_one();
                pending()
            }
        };
        let interruption = async {
            begun.notified().await;
            Exit::Interrupted
        };
        let driven = drive(&load(1), &[caller], interruption, |_| {}).await;
        assert_eq!((driven.dropped, driven.tally.answers()), (1, 0));
        assert_eq!(driven.interrupted, Some(Exit::Interrupted));
    }

    #[tokio::test]
    async fn an_interruption_ends_a_slow_pace_too() {
        let load = Load { rate: Some(0.001), count: Some(5), ..load(2) };
        let driven =
            drive(&load, &[|| async { Ok(()) }], async { Exit::Interrupted }, |_| {}).await;
        assert_eq!(driven.never_begun, 0);
    }

    #[tokio::test]
    async fn every_caller_is_used() {
        let used: Vec<Arc<AtomicU64>> = (0..3).map(|_| Arc::default()).collect();
        let callers: Vec<_> = used
            .iter()
            .cloned()
            .map(|used| {
                move || {
                    used.fetch_add(1, Ordering::SeqCst);
                    async {
                        tokio::task::yield_now().await;
                        Ok(())
                    }
                }
            })
            .collect();
        drive(&Load { count: Some(30), ..load(3) }, &callers, pending(), |_| {}).await;
        assert!(used.iter().all(|used| used.load(Ordering::SeqCst) > 0));
    }
}
