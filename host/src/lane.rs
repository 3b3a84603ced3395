//! Keeps what takes long away from the threads that serve connections.
//!
//! The threads that serve connections poll every guest, a tick of the epoch at a time. A guest that
//! has had its share of them goes on here, where those that compute for long take turns with each
//! other: a short call never waits behind them, however many there are. Where the system lets them,
//! these threads also give way to the others. There are more of them than cores, and each plugin
//! gets only some at a time: one that holds a thread within a single instruction does not hold up
//! those of other plugins.
//!
//! Many that come at once would still each have their share first, and all others wait meanwhile.
//! So calls of methods that have held serving threads for long before start here (`habit`).
//!
//! What is neither a guest nor can be interrupted comes here as well: arguments of many bytes are
//! checked, files are read and linked, stores are taken down whose calls were given up.
//!
//! A call that is dropped is dropped here too, at its next tick.

mod habit;
mod stopwatch;

use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::PollSemaphore;

pub(crate) use habit::{Conduct, Habit, Who};
use stopwatch::{Held, Stopwatch};

use crate::engine::{Pulse, Ticker};

/// The threads for what takes long.
pub(crate) struct Lane {
    /// Always there until it is dropped.
    runtime: Option<Runtime>,
    /// Interrupts guests, which run nowhere else.
    ticker: Ticker,
    conversions: Semaphore,
}

impl Lane {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system has none left.
    pub(crate) fn spawn(ticker: Ticker) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS_PER_CORE * cores())
            .thread_name(LANE)
            .on_thread_start(give_way)
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime), ticker, conversions: Semaphore::new(cores()) })
    }

    /// Runs `work` to its end: here, or on the lane's threads once it has computed for long, or from
    /// its start when it may not be `who`'s turn here. `None` when the lane was closed meanwhile.
    ///
    /// # Cancel safety
    /// Work that is dropped half-way is taken down on the lane's threads.
    ///
    /// # Panics
    /// When `work` does.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        who: Who<'_>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let lane = self.runtime.as_ref()?.handle();
        let mut work = Removable { work: Some(self.ticked(work)), lane };
        if who.may_serve(Instant::now())
            && let Some(value) = here(&mut work, who, |computed, took| *computed += took).await
        {
            return Some(value);
        }
        let (value, longest) = there(work.take()?, who.plugin, lane).await?;
        who.ended_there(longest);
        Some(value)
    }

    /// Starts what serves many calls of a plugin: here, and on the lane's threads once it has
    /// computed for long without a pause. Ends when the answer is dropped.
    pub(crate) fn start(
        &self,
        plugin: &Arc<Conduct>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> JoinSet<()> {
        let mut task = JoinSet::new();
        let Some(lane) = self.runtime.as_ref().map(|runtime| runtime.handle().clone()) else {
            return task;
        };
        let (plugin, work) = (Arc::clone(plugin), self.ticked(work));
        task.spawn(async move {
            let burst = |computed: &mut Duration, took: Duration| {
                *computed = if took < PAUSE { Duration::ZERO } else { *computed + took };
            };
            let who = Who { plugin: &plugin, method: None };
            let mut work = Removable { work: Some(work), lane: &lane };
            let ended =
                who.may_serve(Instant::now()) && here(&mut work, who, burst).await.is_some();
            if !ended && let Some(work) = work.take() {
                there(work, &plugin, &lane).await;
            }
        });
        task
    }

    /// Runs `work` of `plugin` on the lane's threads from its start. `None` when the lane was closed
    /// meanwhile. Dropping it ends it at its next tick.
    ///
    /// # Panics
    /// When `work` does.
    pub(crate) async fn send<T: Send + 'static>(
        &self,
        plugin: &Conduct,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (value, _) = there(self.ticked(work), plugin, self.runtime.as_ref()?.handle()).await?;
        Some(value)
    }

    fn ticked<T>(&self, work: impl Future<Output = T> + Send + 'static) -> Work<T> {
        Work { future: Box::pin(work), pulse: self.ticker.pulse() }
    }

    /// Runs what cannot be interrupted on a thread of its own beside the lane's.
    ///
    /// # Errors
    /// When `work` panicked, or the lane was closed meanwhile.
    ///
    /// # Cancel safety
    /// Work that is dropped goes on to its end, if it has begun; nobody gets what comes of it.
    pub(crate) async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let lane = self.runtime.as_ref().ok_or(Lost::Closed)?.handle();
        let mut task = JoinSet::new();
        task.spawn_blocking_on(work, lane);
        let ended = task.join_next().await.ok_or(Lost::Closed)?;
        ended.map_err(|error| if error.is_panic() { Lost::Panic } else { Lost::Closed })
    }

    /// The same for values of many bytes, which take many times their memory meanwhile: as many at a
    /// time as there are cores.
    ///
    /// # Errors
    /// As [`Self::block`].
    ///
    /// # Cancel safety
    /// As [`Self::block`].
    pub(crate) async fn convert<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let _turn = self.conversions.acquire().await.map_err(|_| Lost::Closed)?;
        self.block(work).await
    }
}

/// Why work beside the lane gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    #[error("the host ends")]
    Closed,
    #[error("the host failed at it; its log says where")]
    Panic,
}

/// Work in which guests are interrupted.
struct Work<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    pulse: Pulse,
}

impl<T> Work<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<T> {
        let _running = self.pulse.running();
        self.future.as_mut().poll(context)
    }
}

/// Work that is taken down on the lane's threads when it is given up before its end: a store with
/// much in it takes milliseconds.
struct Removable<'a, T: Send + 'static> {
    work: Option<Work<T>>,
    lane: &'a Handle,
}

impl<T: Send + 'static> Removable<'_, T> {
    fn take(&mut self) -> Option<Work<T>> {
        self.work.take()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let value = ready!(work.poll(context));
        self.work = None;
        Poll::Ready(value)
    }
}

impl<T: Send + 'static> Drop for Removable<'_, T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            // Nobody waits for its end; a lane that was closed drops it at once.
            drop(self.lane.spawn(async move { drop(work) }));
        }
    }
}

/// Polls `work` here; `None` when it has computed for long, as `count` adds it up, or when its
/// plugin has.
async fn here<T: Send + 'static>(
    work: &mut Removable<'_, T>,
    who: Who<'_>,
    count: impl Fn(&mut Duration, Duration),
) -> Option<T> {
    let mut computed = Duration::ZERO;
    let ended = poll_fn(|context| {
        let now = Instant::now();
        let watch = match who.is_watched(now) {
            true => Stopwatch::exact(now),
            false => Stopwatch::rough(now),
        };
        let polled = work.poll(context);
        let (now, held) = watch.stop();
        who.held(now, held);
        count(&mut computed, held.wall);
        match polled {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if computed >= SHORT || !who.may_serve(now) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    ended.await
}

/// Runs `work` on the threads of `lane`, in turns with the plugin's other calls. Says also for how
/// long it held one of them without a break.
async fn there<T: Send + 'static>(
    mut work: Work<T>,
    plugin: &Conduct,
    lane: &Handle,
) -> Option<(T, Duration)> {
    let mut turns = PollSemaphore::new(Arc::clone(plugin.turns()));
    let mut longest = Duration::ZERO;
    let mut task = JoinSet::new();
    let in_turns = async move {
        let value = poll_fn(|context| {
            let turn = ready!(turns.poll_acquire(context));
            let watch = Stopwatch::exact(Instant::now());
            let polled = work.poll(context);
            let (_, Held { wall, computed }) = watch.stop();
            longest = longest.max(computed.unwrap_or(wall));
            drop(turn);
            // A scheduler lets a thread run for some milliseconds, whoever wakes up meanwhile.
            std::thread::yield_now();
            polled
        });
        (value.await, longest)
    };
    // Its drop ends the task.
    task.spawn_on(in_turns, lane);
    joined(task).await
}

/// What the only task of a set gives.
async fn joined<T: 'static>(mut task: JoinSet<T>) -> Option<T> {
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

/// How many cores there are, as far as this process may use them.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
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

/// What its threads are called.
const LANE: &str = "jackfield-long";

/// Each plugin computes on as many at a time as there are cores, so it takes several that hold
/// theirs within one instruction before another plugin's calls wait for that.
const THREADS_PER_CORE: usize = 4;

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
    use crate::engine::Engines;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn lane() -> Lane {
        let engines = Arc::new(Engines::new(wasmtime::Engine::default()));
        Lane::spawn(Ticker::spawn(engines).expect("a thread")).expect("threads")
    }

    /// Computes for so long in one piece.
    fn hold(time: Duration) {
        let end = stopwatch::time_of_thread() + time;
        while stopwatch::time_of_thread() < end {}
    }

    /// Computes for at least so many times a quarter of [`SHORT`], yielding between.
    async fn compute(ticks: u32) -> String {
        for _ in 0..ticks {
            let end = Instant::now() + SHORT / 4;
            while Instant::now() < end {}
            tokio::task::yield_now().await;
        }
        this_thread()
    }

    fn this_thread() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    async fn run(lane: &Lane, plugin: &Conduct, method: &Habit, ticks: u32) -> String {
        let who = Who { plugin, method: Some(method) };
        lane.run(who, compute(ticks)).await.expect("the lane is open")
    }

    #[tokio::test]
    async fn short_work_stays_and_long_work_moves() {
        let (lane, plugin) = (lane(), Conduct::new());
        assert_eq!(run(&lane, &plugin, &Habit::of_method(), 0).await, this_thread());
        assert_eq!(run(&lane, &plugin, &Habit::of_method(), 20).await, LANE);
    }

    #[tokio::test]
    async fn what_held_a_thread_for_long_starts_there_next_and_others_do_not() {
        let (lane, plugin) = (lane(), Conduct::new());
        let (method, other) = (Habit::of_method(), Habit::of_method());
        let who = Who { plugin: &plugin, method: Some(&method) };
        lane.run(who, async { hold(8 * SHORT) }).await.expect("the lane is open");
        assert_eq!(run(&lane, &plugin, &method, 0).await, LANE);
        assert_eq!(run(&lane, &plugin, &other, 0).await, this_thread());
    }

    #[tokio::test]
    async fn calls_that_are_given_up_before_they_move_are_counted_as_well() {
        let (lane, plugin) = (lane(), Conduct::new());
        let method = Habit::of_method();
        let who = Who { plugin: &plugin, method: Some(&method) };
        while who.may_serve(Instant::now()) {
            let held = async {
                hold(SHORT / 2);
                std::future::pending::<()>().await;
            };
            let mut work = std::pin::pin!(lane.run(who, held));
            poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_pending())).await;
        }
    }

    #[tokio::test]
    async fn one_plugin_does_not_get_all_threads() {
        let lane = Arc::new(lane());
        let (greedy, other) = (Arc::new(Conduct::new()), Conduct::new());
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let mut holders = JoinSet::new();
        for _ in 0..2 * THREADS_PER_CORE * cores() {
            let (lane, greedy, held) = (Arc::clone(&lane), Arc::clone(&greedy), Arc::clone(&held));
            holders.spawn(async move {
                let hold = async move {
                    // As an instruction that does not end: until the sender is gone.
                    let _ = held.lock().expect("nobody panics").recv();
                };
                lane.send(&greedy, hold).await
            });
        }
        tokio::task::yield_now().await;
        assert_eq!(lane.send(&other, compute(0)).await.as_deref(), Some(LANE));
        drop(release);
        assert!(holders.join_all().await.iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn only_so_many_conversions_run_at_a_time() {
        let lane = Arc::new(lane());
        let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let running = Arc::new(AtomicUsize::new(0));
        let mut all = JoinSet::new();
        for _ in 0..3 * cores() {
            let (begin, held, running) = (begin.clone(), Arc::clone(&held), Arc::clone(&running));
            let convert = move || {
                let at_a_time = running.fetch_add(1, Ordering::SeqCst) + 1;
                begin.send(at_a_time).expect("somebody listens");
                held.lock().expect("nobody panics").recv().expect("it is released");
                running.fetch_sub(1, Ordering::SeqCst);
            };
            let lane = Arc::clone(&lane);
            all.spawn(async move { lane.convert(convert).await });
        }
        for number in 1..=3 * cores() {
            assert!(begun.recv().await.expect("one more begins") <= cores());
            if number >= cores() {
                release.send(()).expect("one waits");
            }
        }
        (1..cores()).for_each(|_| release.send(()).expect("the rest wait"));
        assert!(all.join_all().await.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_dropped_on_the_lane() {
        struct Told(Option<tokio::sync::oneshot::Sender<String>>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.take().expect("once").send(this_thread());
            }
        }
        let (lane, plugin) = (lane(), Conduct::new());
        let method = Habit::of_method();
        for computes in [false, true] {
            let (send, dropped) = tokio::sync::oneshot::channel();
            let told = Told(Some(send));
            let work = async move {
                let _told = told;
                loop {
                    if computes {
                        compute(1).await;
                    } else {
                        std::future::pending::<()>().await;
                    }
                }
            };
            let who = Who { plugin: &plugin, method: Some(&method) };
            let ended = tokio::time::timeout(SHORT * 10, lane.run::<()>(who, work)).await;
            assert!(ended.is_err());
            assert_eq!(dropped.await.expect("it is dropped"), LANE);
        }
    }

    #[tokio::test]
    #[should_panic(expected = "said so")]
    async fn a_panic_comes_back() {
        let (lane, plugin) = (lane(), Conduct::new());
        let work = async {
            compute(20).await;
            panic!("said so");
        };
        lane.run::<()>(Who { plugin: &plugin, method: None }, work).await;
    }
}
