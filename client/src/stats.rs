//! What a client has seen of one endpoint: the calls on it, its latency, its failures. Pure.
//!
//! One of these lives as long as the instance is known at its address, through every new snapshot;
//! an instance that moves or comes back begins anew. Every field is an atomic of its own and no two
//! are read as one: a reader may see a latency without its last sample, which costs one pick.
//! `now` is the time since the client began.

mod latency;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use jackfield_wire::Load;

use self::latency::Latency;

/// The experience with one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    in_flight: AtomicU32,
    latency: Latency,
    /// Calls of others at the host, as it said last, and when, in milliseconds; packed so that the
    /// two stay together.
    others: AtomicU64,
    /// Calls that waited there for a permit, and when it said so.
    queued: AtomicU64,
    failures: AtomicU32,
    /// When it came back from an ejection, in microseconds; 0 when it never did.
    returned: AtomicU64,
    /// Answers since the last look at outliers, and how long they took in all, in microseconds.
    answers: AtomicU32,
    spent: AtomicU64,
}

/// One call on an endpoint. Dropped when the call ends, however it ends.
#[derive(Debug)]
pub(crate) struct Occupied {
    stats: Arc<Stats>,
    total: Arc<AtomicU32>,
}

impl Stats {
    /// Counts a call, here and in the `total` of its service, until the guard is dropped.
    pub(crate) fn occupy(self: &Arc<Self>, total: &Arc<AtomicU32>) -> Occupied {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        total.fetch_add(1, Ordering::Relaxed);
        Occupied { stats: self.clone(), total: total.clone() }
    }

    /// Calls of this client that are on it.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// It answered after `elapsed`.
    pub(crate) fn succeeded(&self, elapsed: Duration, now: Duration) {
        self.observe(elapsed, now);
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.spent.fetch_add(micros(elapsed), Ordering::Relaxed);
        self.cleared();
    }

    /// It was given up after `elapsed`, because another one was faster.
    pub(crate) fn overtaken(&self, elapsed: Duration, now: Duration) {
        self.observe(elapsed, now);
    }

    /// It did something right that says nothing about its latency.
    pub(crate) fn cleared(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Its failure is charged as a slow answer, so that failing fast attracts no calls.
    pub(crate) fn penalized(&self, elapsed: Duration, now: Duration) {
        self.observe(elapsed.max(FAILURE), now);
    }

    /// Counts a failure; gives how many there were in a row.
    pub(crate) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// What the host said of its load.
    pub(crate) fn reported(&self, load: Load, now: Duration) {
        let all = load.in_flight.saturating_add(load.queued);
        self.others.store(pack(all.saturating_sub(self.in_flight()), now), Ordering::Relaxed);
        self.queued.store(pack(load.queued, now), Ordering::Relaxed);
    }

    /// Calls on it: this client's, and those of others as far as the host's word is fresh.
    pub(crate) fn load(&self, now: Duration) -> f64 {
        let (others, at) = unpack(self.others.load(Ordering::Relaxed));
        let age = millis(now).saturating_sub(at);
        let fresh = 1.0 - f64::from(age.min(REPORT_LASTS_MS)) / f64::from(REPORT_LASTS_MS);
        f64::from(self.in_flight()) + f64::from(others) * fresh
    }

    /// Whether it said a moment ago that calls wait there.
    pub(crate) fn is_crowded(&self, now: Duration) -> bool {
        let (queued, at) = unpack(self.queued.load(Ordering::Relaxed));
        queued > 0 && millis(now).saturating_sub(at) < REPORT_LASTS_MS
    }

    /// The time that one more call costs there, in microseconds: its latency, and as much more of it
    /// as there are calls for its `capacity`, the client's and those of others, where `room` of them
    /// for each unit of capacity are usual. One that was never measured takes a single call; until
    /// that has ended it is as slow as [`SEED`].
    pub(crate) fn cost(&self, now: Duration, capacity: f64, room: f64) -> f64 {
        match self.latency.at(now) {
            Some(latency) => latency * (1.0 + (self.load(now) + 1.0) / (capacity * room)),
            None => SEED.as_micros() as f64 * f64::from(self.in_flight()) / capacity,
        }
    }

    /// How many calls are on it at a time without waiting, as far as was seen; at least 1.
    pub(crate) fn room(&self) -> f64 {
        self.latency.room()
    }

    fn observe(&self, elapsed: Duration, now: Duration) {
        self.latency.observe(elapsed, self.load(now).max(1.0), now);
    }

    /// The latency that the next call will meet, as far as is known.
    pub(crate) fn latency(&self, now: Duration) -> Option<Duration> {
        self.latency.at(now).map(|micros| Duration::from_secs_f64(micros / 1e6))
    }

    /// It is back from an ejection: its failures are forgotten, and its share grows over `window`.
    pub(crate) fn welcome(&self, now: Duration) {
        self.failures.store(0, Ordering::Relaxed);
        self.latency.forget();
        self.returned.store(micros(now).max(1), Ordering::Relaxed);
    }

    /// The share of its calls that it takes, below 1 for a while after it came back.
    pub(crate) fn ramp(&self, now: Duration, window: Duration) -> f64 {
        let returned = self.returned.load(Ordering::Relaxed);
        if returned == 0 || window.is_zero() {
            return 1.0;
        }
        let back = micros(now).saturating_sub(returned) as f64 / micros(window) as f64;
        back.clamp(FIRST_SHARE, 1.0)
    }

    /// How many answers there were since the last time this was asked, and their mean latency.
    pub(crate) fn take_window(&self) -> (u32, Duration) {
        let answers = self.answers.swap(0, Ordering::Relaxed);
        let spent = self.spent.swap(0, Ordering::Relaxed);
        (answers, Duration::from_micros(spent / u64::from(answers.max(1))))
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.stats.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.total.fetch_sub(1, Ordering::Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Wraps after 49 days, which makes one report look fresh once.
fn millis(time: Duration) -> u32 {
    time.as_millis() as u32
}

fn pack(count: u32, now: Duration) -> u64 {
    u64::from(count) << 32 | u64::from(millis(now))
}

fn unpack(packed: u64) -> (u32, u32) {
    ((packed >> 32) as u32, packed as u32)
}

/// What a failure costs in the average: longer than nearly every answer, so that an endpoint that
/// fails fast is not taken for one that is fast.
const FAILURE: Duration = Duration::from_secs(1);

/// How slow an endpoint is taken to be while its first call runs: without it, one that has just
/// come would look free and take every call until its first answer.
const SEED: Duration = Duration::from_secs(1);

/// The share of one that has just come back: too small to hurt when it fails again, large enough to
/// be measured soon.
const FIRST_SHARE: f64 = 0.1;

/// How long a host's word about its load counts, less every moment: beyond it another client's calls
/// have come and gone.
const REPORT_LASTS_MS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_newcomer_takes_one_call_and_then_looks_slow_until_it_has_answered() {
        let (stats, total) = (Arc::new(Stats::default()), Arc::default());
        assert_eq!(stats.cost(ms(0), 1.0, 1.0), 0.0);
        let first = stats.occupy(&total);
        assert!(stats.cost(ms(0), 1.0, 1.0) >= 1e6);
        stats.succeeded(ms(2), ms(2));
        drop(first);
        assert_eq!(stats.cost(ms(2), 1.0, 1.0), 4000.0);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_failure_costs_more_than_a_slow_answer() {
        let (fast_failing, slow) = (Stats::default(), Stats::default());
        fast_failing.penalized(ms(0), ms(0));
        slow.succeeded(ms(200), ms(0));
        assert!(fast_failing.cost(ms(0), 1.0, 1.0) > slow.cost(ms(0), 1.0, 1.0));
    }

    #[test]
    fn a_hosts_word_on_its_load_ages_and_leaves_out_our_own_calls() {
        let (stats, total) = (Arc::new(Stats::default()), Arc::default());
        let _one = stats.occupy(&total);
        stats.reported(Load { in_flight: 9, queued: 2 }, ms(100));
        assert_eq!(stats.load(ms(100)), 11.0);
        assert_eq!(stats.load(ms(600)), 6.0);
        assert_eq!(stats.load(ms(5000)), 1.0);
        assert!(stats.is_crowded(ms(600)) && !stats.is_crowded(ms(1100)));
    }

    #[test]
    fn one_that_comes_back_takes_a_growing_share() {
        let stats = Stats::default();
        assert_eq!(stats.ramp(ms(0), ms(1000)), 1.0);
        stats.welcome(ms(50));
        let shares = [50, 550, 1050, 9000].map(|now| stats.ramp(ms(now), ms(1000)));
        assert_eq!(shares, [0.1, 0.5, 1.0, 1.0]);
        assert_eq!(stats.ramp(ms(50), Duration::ZERO), 1.0);
    }
}
