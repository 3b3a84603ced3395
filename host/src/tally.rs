//! Counts what becomes of calls, method by method, for whoever asks a host by `jackfield.stats`.
//!
//! A call adds to a few atomics and nothing else: no lock, nothing allocated. Threads have counters of
//! their own, as far as there are enough: two that add to the same ones all the time wait for each
//! other's caches, which costs four times as much as the adding. The counters of a method
//! belong to its name: every version of a plugin that has it counts there, so a reload loses nothing.
//! They end with the last version that is loaded.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jackfield_wire::reflect::{LATENCY_BOUNDS, Latency, MethodReport, latency_bucket};
use jackfield_wire::{ServiceName, Status};
use tokio::time::Instant;

/// The counters of a host's methods. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tallies(Arc<Mutex<HashMap<ServiceName, Methods>>>);

/// By their qualified names.
type Methods = HashMap<String, Weak<MethodTally>>;

impl Tallies {
    /// Those of the methods of a version that is being loaded, in their order.
    pub(crate) fn of<'a>(
        &self,
        service: &ServiceName,
        methods: impl Iterator<Item = &'a str>,
    ) -> Vec<Arc<MethodTally>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, methods| {
            methods.retain(|_, tally| tally.strong_count() > 0);
            !methods.is_empty()
        });
        let known = all.entry(service.clone()).or_default();
        let one = |name: &str| {
            let there = known.get(name).and_then(Weak::upgrade);
            there.unwrap_or_else(|| {
                let new = Arc::new(MethodTally::default());
                known.insert(name.to_owned(), Arc::downgrade(&new));
                new
            })
        };
        methods.map(one).collect()
    }
}

/// What became of the calls of one method.
#[derive(Debug)]
pub(crate) struct MethodTally(Box<[Share]>);

/// What some threads have counted of it. Alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Share {
    begun: AtomicU64,
    ended: ByStatus,
    time_ns: AtomicU64,
    latency: Buckets,
}

/// A call that waits or runs; counts as cancelled when it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    tally: &'a MethodTally,
    began: Instant,
    status: Status,
}

impl MethodTally {
    /// A call has begun at `began`.
    pub(crate) fn begin(&self, began: Instant) -> Counted<'_> {
        self.share().begun.fetch_add(1, Ordering::Relaxed);
        Counted { tally: self, began, status: Status::Cancelled }
    }

    /// What it has counted of the method `name`.
    pub(crate) fn report(&self, name: &str, hidden: bool) -> MethodReport {
        let mut ended = BTreeMap::new();
        for (status, count) in self.0.iter().flat_map(|share| share.ended.counts()) {
            *ended.entry(status).or_insert(0) += count;
        }
        let calls = ended.values().sum();
        let sum = |of: &dyn Fn(&Share) -> &AtomicU64| -> u64 {
            self.0.iter().map(|share| of(share).load(Ordering::Relaxed)).sum()
        };
        // Read last: otherwise more might have ended than begun.
        let begun = sum(&|share| &share.begun);
        let counts = (0..BUCKETS).map(|bucket| sum(&|share| &share.latency.0[bucket]));
        MethodReport {
            name: name.to_owned(),
            hidden,
            calls,
            failures: ended.into_iter().filter(|(status, _)| *status != Status::Ok).collect(),
            in_flight: begun.saturating_sub(calls),
            latency: Latency::new(sum(&|share| &share.time_ns), counts),
        }
    }

    /// Where this thread counts. A call may begin on one thread and end on another.
    fn share(&self) -> &Share {
        thread_local!(static PLACE: usize = NEXT.fetch_add(1, Ordering::Relaxed));
        &self.0[PLACE.with(|place| place % self.0.len())]
    }
}

impl Default for MethodTally {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shares = (THREADS_PER_CORE * cores).clamp(LEAST_SHARES, MOST_SHARES);
        Self((0..shares).map(|_| Share::default()).collect())
    }
}

impl Counted<'_> {
    /// How it ended.
    pub(crate) fn ended(mut self, status: Status) {
        self.status = status;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let share = self.tally.share();
        share.time_ns.fetch_add(ns, Ordering::Relaxed);
        share.latency.0[latency_bucket(took)].fetch_add(1, Ordering::Relaxed);
        share.ended.count(self.status);
    }
}

/// A counter for each status.
#[derive(Debug)]
pub(crate) struct ByStatus([AtomicU64; Status::ALL.len()]);

impl ByStatus {
    pub(crate) fn count(&self, status: Status) {
        // Each status is at the place of its number.
        self.0[status as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Those that are not 0.
    pub(crate) fn counts(&self) -> BTreeMap<Status, u64> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Status::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

impl Default for ByStatus {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Status::ALL.len()])
    }
}

/// The next thread's place.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Those that serve and those of the lane.
const THREADS_PER_CORE: usize = 2;

/// A share takes 800 bytes. With this many, threads of a large machine seldom meet.
const MOST_SHARES: usize = 16;
const LEAST_SHARES: usize = 4;

const BUCKETS: usize = LATENCY_BOUNDS.len() + 1;

#[derive(Debug)]
struct Buckets([AtomicU64; BUCKETS]);

impl Default for Buckets {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn service(name: &str) -> ServiceName {
        ServiceName::new(name).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_counts_by_how_it_ended_and_how_long_it_took() {
        let tally = MethodTally::default();
        let (running, ended) = (tally.begin(Instant::now()), tally.begin(Instant::now()));
        let dropped = tally.begin(Instant::now());
        tokio::time::advance(Duration::from_millis(3)).await;
        ended.ended(Status::Ok);
        drop(dropped);
        let report = tally.report("f", false);
        assert_eq!((report.calls, report.in_flight), (2, 1));
        assert_eq!(report.failures, BTreeMap::from([(Status::Cancelled, 1)]));
        assert_eq!((report.latency.count(), report.latency.sum_ns), (2, 6_000_000));
        assert_eq!(report.latency.buckets[0].up_to_ns, Some(3_200_000));
        running.ended(Status::Trapped);
        assert_eq!(tally.report("f", false).failed(Status::Trapped), 1);
    }

    #[test]
    fn threads_count_together() {
        let tally = MethodTally::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| tally.begin(Instant::now()).ended(Status::Trapped));
            }
        });
        let report = tally.report("f", false);
        assert_eq!((report.calls, report.in_flight, report.latency.count()), (40, 0, 40));
        assert_eq!(report.failed(Status::Trapped), 40);
    }

    #[test]
    fn versions_of_a_plugin_count_together_and_nothing_outlives_the_last() {
        let tallies = Tallies::default();
        let names = |tallies: &Tallies| tallies.0.lock().unwrap().len();
        let first = tallies.of(&service("a"), ["f", "g"].into_iter());
        first[1].begin(Instant::now()).ended(Status::Ok);
        let second = tallies.of(&service("a"), ["g", "h"].into_iter());
        assert!(Arc::ptr_eq(&first[1], &second[0]));
        drop(first);
        assert_eq!(tallies.of(&service("a"), ["g"].into_iter())[0].report("g", false).calls, 1);
        drop(second);
        let other = tallies.of(&service("b"), ["g"].into_iter());
        assert_eq!((names(&tallies), other[0].report("g", false).calls), (1, 0));
    }
}
