//! A moving average of latencies that jumps up and comes down slowly. Pure.
//!
//! Peak-EWMA as Finagle made it: a sample over the average replaces it, one below pulls it down with
//! the weight `1 − e^(−t/τ)` after a gap of `t`; a reader sees the average decayed by the same
//! rule, so that a slow endpoint is tried again once in a while. Here `τ` doubles each time such a
//! try finds it slow still, so that the tries become rare, and a single hiccup is soon forgotten.

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
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            value: AtomicU64::new(f64::NAN.to_bits()),
            at: AtomicU64::new(0),
            tau: AtomicU64::new(FIRST_TAU),
        }
    }
}

impl Latency {
    /// Adds a sample.
    pub(super) fn observe(&self, sample: Duration, now: Duration) {
        let (sample, now) = (sample.as_micros().max(1) as f64, super::micros(now));
        let stored = f64::from_bits(self.value.load(Ordering::Relaxed));
        let gap = now.saturating_sub(self.at.load(Ordering::Relaxed));
        let tau = self.tau.load(Ordering::Relaxed);
        let weight = decay(gap, tau);
        let current = stored * weight;
        let is_higher = stored.is_nan() || sample > current;
        let next = if is_higher { sample } else { current + sample * (1.0 - weight) };
        if !stored.is_nan() && gap >= tau {
            let tau = if is_higher { (tau * 2).min(LAST_TAU) } else { FIRST_TAU };
            self.tau.store(tau, Ordering::Relaxed);
        }
        self.at.store(now, Ordering::Relaxed);
        self.value.store(next.to_bits(), Ordering::Relaxed);
    }

    /// The average in microseconds, decayed to `now`.
    pub(super) fn at(&self, now: Duration) -> Option<f64> {
        let value = f64::from_bits(self.value.load(Ordering::Relaxed));
        if value.is_nan() {
            return None;
        }
        let gap = super::micros(now).saturating_sub(self.at.load(Ordering::Relaxed));
        Some(value * decay(gap, self.tau.load(Ordering::Relaxed)))
    }

    /// Begins anew.
    pub(super) fn forget(&self) {
        self.tau.store(FIRST_TAU, Ordering::Relaxed);
        self.value.store(f64::NAN.to_bits(), Ordering::Relaxed);
    }
}

fn decay(gap: u64, tau: u64) -> f64 {
    (-(gap as f64) / tau as f64).exp()
}

/// A second: an endpoint that had one hiccup of 10 ms among answers of 0.3 ms is back after 3.5 s,
/// where Finagle's ten seconds take 35 and leave the others with its calls.
const FIRST_TAU: u64 = 1_000_000;

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
    fn it_jumps_up_and_comes_down_slowly() {
        let latency = Latency::default();
        assert_eq!(latency.at(ms(0)), None);
        latency.observe(ms(1), ms(0));
        latency.observe(ms(50), ms(1));
        assert_eq!(latency.at(ms(1)), Some(50_000.0));
        latency.observe(ms(1), ms(2));
        assert!(latency.at(ms(2)).unwrap() > 49_000.0);
        assert!((latency.at(ms(1002)).unwrap() / 18_300.0 - 1.0).abs() < 0.02);
    }

    #[test]
    fn one_that_is_slow_at_each_try_is_tried_ever_less_often() {
        let (fast, slow) = (300.0, ms(5));
        let latency = Latency::default();
        let mut now = ms(0);
        let mut gaps = Vec::new();
        for _ in 0..6 {
            latency.observe(slow, now);
            let before = now;
            while latency.at(now).unwrap() > fast {
                now += ms(10);
            }
            gaps.push((now - before).as_secs());
        }
        assert_eq!(gaps, [2, 5, 11, 22, 45, 45]);
        latency.observe(Duration::from_micros(200), now);
        latency.observe(slow, now);
        assert!(latency.at(now + ms(3000)).unwrap() < fast);
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
                latency.observe(Duration::from_micros(sample), Duration::from_micros(now));
                let value = latency.at(Duration::from_micros(now)).unwrap();
                prop_assert!(value > 0.0 && value <= highest as f64 * (1.0 + 1e-9), "{value}");
            }
        }
    }
}
