//! A moving average of latencies that rises fast and comes down slowly. Pure.
//!
//! After Finagle's Peak-EWMA: a sample has the weight `1 − e^(−t/τ)` after a gap of `t`, and a reader
//! sees the average decayed by the same rule, so that a slow endpoint is tried again once in a while.
//! There a sample over the average replaces it. Here it has a weight of at least [`RISE`], and one
//! below of at least [`FALL`]: with some hiccups in a second on every endpoint, peaks alone would make
//! all of them look slow. `τ` doubles each time a try finds the endpoint slow still, so that the
//! tries become rare.
//!
//! With it goes how many calls the endpoint runs at a time without a queue, its *room*: by Little's
//! law the usual number of calls on it, for as much of the latency as the fastest answers take. The
//! rest of the latency is waiting, and a number that grew with the queue would excuse the queue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The average. Several writers may lose each other's samples, never more.
#[derive(Debug)]
pub(super) struct Latency {
    /// Bits of an `f64` in microseconds; NaN when nothing was measured.
    value: AtomicU64,
    /// Of the last sample, in microseconds.
    at: AtomicU64,
    /// In microseconds.
    tau: AtomicU64,
    /// Bits of an `f64`: the calls on the endpoint when answers came, averaged as they are.
    calls: AtomicU64,
    /// Bits of an `f64` in microseconds: the fastest answer, slowly forgotten.
    fastest: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            value: AtomicU64::new(f64::NAN.to_bits()),
            at: AtomicU64::new(0),
            tau: AtomicU64::new(FIRST_TAU),
            calls: AtomicU64::new(1_f64.to_bits()),
            fastest: AtomicU64::new(f64::NAN.to_bits()),
        }
    }
}

impl Latency {
    /// Adds a sample: the latency of a call, and how many were on the endpoint when it ended, with
    /// that one.
    pub(super) fn observe(&self, sample: Duration, calls: f64, now: Duration) {
        let (sample, now) = (sample.as_micros().max(1) as f64, super::micros(now));
        let gap = now.saturating_sub(self.at.load(Ordering::Relaxed));
        self.at.store(now, Ordering::Relaxed);
        let stored = load(&self.value);
        if stored.is_nan() {
            store(&self.fastest, sample);
            store(&self.calls, calls);
            return store(&self.value, sample);
        }
        let tau = self.tau.load(Ordering::Relaxed);
        let weight = decay(gap, tau);
        let is_higher = sample > stored * weight;
        let share = (1.0 - weight).max(if is_higher { RISE } else { FALL });
        // Whoever takes part in most picks is heard of far more often than this.
        if gap.saturating_mul(2) >= tau {
            let tau = if is_higher { (tau * 2).min(LAST_TAU) } else { FIRST_TAU };
            self.tau.store(tau, Ordering::Relaxed);
        }
        let fastest = load(&self.fastest);
        let risen = fastest + (sample - fastest) * (1.0 - decay(gap, FORGOTTEN));
        store(&self.fastest, risen.min(sample));
        let usual = load(&self.calls);
        store(&self.calls, usual + (calls - usual) * share);
        store(&self.value, stored + (sample - stored) * share);
    }

    /// How many calls it runs at a time without a queue, as far as was seen; at least 1.
    pub(super) fn room(&self) -> f64 {
        let served = load(&self.fastest) / load(&self.value);
        // Of what was never measured this is not a number, and `max` takes the other.
        (load(&self.calls) * served).max(1.0)
    }

    /// The average in microseconds, decayed to `now`.
    pub(super) fn at(&self, now: Duration) -> Option<f64> {
        let value = load(&self.value);
        if value.is_nan() {
            return None;
        }
        let gap = super::micros(now).saturating_sub(self.at.load(Ordering::Relaxed));
        Some(value * decay(gap, self.tau.load(Ordering::Relaxed)))
    }

    /// Begins anew.
    pub(super) fn forget(&self) {
        self.tau.store(FIRST_TAU, Ordering::Relaxed);
        store(&self.value, f64::NAN);
    }
}

fn load(bits: &AtomicU64) -> f64 {
    f64::from_bits(bits.load(Ordering::Relaxed))
}

fn store(bits: &AtomicU64, value: f64) {
    bits.store(value.to_bits(), Ordering::Relaxed);
}

fn decay(gap: u64, tau: u64) -> f64 {
    (-(gap as f64) / tau as f64).exp()
}

/// The least weight of a slower answer: six in a row make nearly all of the average.
const RISE: f64 = 0.3;

/// The least weight of a faster one: a hiccup is forgotten after some ten answers.
const FALL: f64 = 0.1;

/// A second: an endpoint that looks slow by mistake is tried again soon, where Finagle's ten seconds
/// leave the others with its calls.
const FIRST_TAU: u64 = 1_000_000;

/// How fast the fastest answer is forgotten, in microseconds: an endpoint that is full for some
/// seconds must not take the queue for its usual latency.
const FORGOTTEN: u64 = 60_000_000;

/// An endpoint that stays twenty times slower than the others is then tried every 48 s: at 100 calls
/// in a second that is one in five thousand.
const LAST_TAU: u64 = 16_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_rises_fast_and_comes_down_slowly_and_one_hiccup_is_no_trend() {
        let latency = Latency::default();
        assert_eq!(latency.at(ms(0)), None);
        latency.observe(ms(1), 1.0, ms(0));
        latency.observe(ms(51), 1.0, ms(1));
        let hiccup = latency.at(ms(1)).unwrap();
        assert!((15_000.0..17_000.0).contains(&hiccup), "{hiccup}");
        (0..20).for_each(|_| latency.observe(ms(1), 1.0, ms(2)));
        assert!(latency.at(ms(2)).unwrap() < 3_000.0);
        (0..6).for_each(|_| latency.observe(ms(51), 1.0, ms(3)));
        let trend = latency.at(ms(3)).unwrap();
        assert!(trend > 44_000.0);
        assert!((latency.at(ms(1003)).unwrap() / trend - 0.368).abs() < 0.01);
    }

    #[test]
    fn one_that_is_slow_at_each_try_is_tried_ever_less_often() {
        let (fast, slow) = (300.0, ms(5));
        let latency = Latency::default();
        let mut now = ms(0);
        let mut gaps = Vec::new();
        for _ in 0..6 {
            (0..8).for_each(|_| latency.observe(slow, 1.0, now));
            let before = now;
            while latency.at(now).unwrap() > fast {
                now += ms(10);
            }
            gaps.push((now - before).as_secs());
        }
        assert_eq!(gaps, [2, 5, 11, 22, 45, 45]);
        latency.observe(Duration::from_micros(200), 1.0, now);
        (0..8).for_each(|_| latency.observe(slow, 1.0, now));
        assert!(latency.at(now + ms(3000)).unwrap() < fast);
    }

    #[test]
    fn room_is_what_runs_without_a_queue() {
        let latency = Latency::default();
        assert_eq!(latency.room(), 1.0);
        (0..50).for_each(|_| latency.observe(ms(2), 8.0, ms(1)));
        assert!((latency.room() - 8.0).abs() < 0.1, "eight at once, none waits");
        (0..50).for_each(|_| latency.observe(ms(20), 80.0, ms(2)));
        assert!((latency.room() - 8.0).abs() < 0.1, "those beyond the eight wait");
        (0..100).for_each(|_| latency.observe(ms(2), 1.0, ms(3)));
        assert!(latency.room() < 1.1);
    }

    proptest! {
        #[test]
        fn it_stays_between_nothing_and_the_highest_sample(
            samples in proptest::collection::vec((1u64..10_000_000, 0u64..5_000_000), 1..40),
        ) {
            let latency = Latency::default();
            let (mut now, mut highest) = (0, 0);
            for (sample, gap) in samples {
                now += gap;
                highest = highest.max(sample);
                latency.observe(Duration::from_micros(sample), 1.0, Duration::from_micros(now));
                let value = latency.at(Duration::from_micros(now)).unwrap();
                prop_assert!(value > 0.0 && value <= highest as f64 * (1.0 + 1e-9), "{value}");
            }
        }
    }
}
