//! How long the calls of a service take: a histogram that forgets, for the moment to hedge. Pure.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Counts of latencies by size. Writers may lose each other's halvings, never more.
#[derive(Debug)]
pub(crate) struct Quantiles {
    counts: [AtomicU32; BUCKETS],
    total: AtomicU32,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU32::new(0)), total: AtomicU32::new(0) }
    }
}

impl Quantiles {
    pub(crate) fn add(&self, elapsed: Duration) {
        self.counts[bucket(elapsed)].fetch_add(1, Ordering::Relaxed);
        if self.total.fetch_add(1, Ordering::Relaxed) >= WINDOW {
            self.halve();
        }
    }

    /// What `percent` of the latest calls did not take longer than, within a fifth; `None` while
    /// too few are known.
    pub(crate) fn at(&self, percent: u32) -> Option<Duration> {
        let counts = self.counts.each_ref().map(|count| u64::from(count.load(Ordering::Relaxed)));
        let total: u64 = counts.iter().sum();
        if total < FEWEST {
            return None;
        }
        let rank = (total * u64::from(percent.min(100))).div_ceil(100);
        let mut seen = 0;
        let reached = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        reached.map(end)
    }

    fn halve(&self) {
        let mut total = 0;
        for count in &self.counts {
            let half = count.load(Ordering::Relaxed) / 2;
            count.store(half, Ordering::Relaxed);
            total += half;
        }
        self.total.store(total, Ordering::Relaxed);
    }
}

fn bucket(elapsed: Duration) -> usize {
    let ratio = elapsed.as_micros() as f64 / FIRST_END_US;
    (ratio.max(1.0).ln() / GROWTH.ln()).ceil().min((BUCKETS - 1) as f64) as usize
}

fn end(bucket: usize) -> Duration {
    Duration::from_secs_f64(FIRST_END_US * GROWTH.powi(bucket as i32) / 1e6)
}

/// From 50 µs in steps of a fifth, the last begins at 97 s.
const BUCKETS: usize = 80;
const FIRST_END_US: f64 = 50.0;
const GROWTH: f64 = 1.2;

/// Calls after which the counts are halved: a service that became slower is known as such soon.
const WINDOW: u32 = 2000;

/// Fewer say nothing about one in twenty.
const FEWEST: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95th_is_known_within_a_fifth_and_follows_a_change() {
        let quantiles = Quantiles::default();
        assert_eq!(quantiles.at(95), None);
        for call in 0..1000 {
            let slow = call % 20 == 0;
            quantiles.add(Duration::from_millis(if slow { 80 } else { 10 }));
        }
        assert!((10..=12).contains(&quantiles.at(95).unwrap().as_millis()));
        assert!((80..=96).contains(&quantiles.at(99).unwrap().as_millis()));
        (0..20_000).for_each(|_| quantiles.add(Duration::from_millis(40)));
        assert!((40..=48).contains(&quantiles.at(95).unwrap().as_millis()));
    }

    #[test]
    fn extremes_have_a_place() {
        let quantiles = Quantiles::default();
        (0..50).for_each(|_| quantiles.add(Duration::MAX));
        assert!(quantiles.at(50).unwrap() >= Duration::from_secs(90));
        (0..500).for_each(|_| quantiles.add(Duration::ZERO));
        assert!(quantiles.at(50).unwrap() <= Duration::from_micros(50));
    }
}
